//! A Fulcio configuration as values: JSON, or the part of YAML that such files use.

use std::{collections::HashMap, str::Chars};

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use yaml_rust2::{
    Event,
    parser::{MarkedEventReceiver, Parser},
    scanner::{Marker, TScalarStyle},
};

/// Longest file, in bytes, and longest text that its aliases stand for together; upstream's public one
/// has 20 KiB.
pub(super) const MAX_LEN: usize = 1 << 20;

/// Deepest nesting; upstream's has 4 levels.
const MAX_DEPTH: usize = 16;

/// What a file is written in, and so how its settings are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `ClientID` in any case: Go's reader takes `clientid` too, and of both the last.
    Json,
    /// `client-id` to the letter.
    Yaml,
}

impl Format {
    /// Whether Fulcio reads the setting `name`, as YAML has it, where a file has `written`.
    pub(super) fn reads(self, written: &str, name: &str) -> bool {
        match self {
            Self::Json => fold(written).eq(name.chars().filter(|letter| *letter != '-')),
            Self::Yaml => written == name,
        }
    }

    /// Whether `written` is what the other format, or a mistaken hand, would call `name`.
    pub(super) fn resembles(written: &str, name: &str) -> bool {
        let bare = |letter: &char| !matches!(letter, '-' | '_');
        fold(written).filter(bare).eq(name.chars().filter(bare))
    }

    /// How `name` is spelled.
    pub(super) fn spelled(self, name: &str) -> String {
        match self {
            Self::Json => format!("in JSON it is `{}`, in any case", name.replace('-', "")),
            Self::Yaml => format!("in YAML it is `{name}`"),
        }
    }
}

/// Without case, as Go compares names: two letters beyond ASCII are ones of it.
fn fold(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|letter| match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    })
}

/// Reads `text`, JSON first, as Fulcio does. Names that come twice are refused: of two entries
/// upstream takes one, and nobody sees which.
pub(super) fn parse(text: &str) -> anyhow::Result<(Format, Value)> {
    if text.len() > MAX_LEN {
        bail!("is longer than {MAX_LEN} bytes");
    }
    if text.trim_start().starts_with('{') {
        let value = wire::json::from_str(text).context("is not JSON with distinct names")?;
        return Ok((Format::Json, value));
    }
    let mut tree = Tree::default();
    let text = with_parted_aliases(text);
    let mut parser: Parser<Chars<'_>> = Parser::new_from_str(&text);
    parser.load(&mut tree, false).map_err(|error| {
        anyhow::anyhow!("is not YAML: line {}: {}", error.marker().line(), error.info())
    })?;
    match (tree.fault, tree.root) {
        (Some(fault), _) => bail!(fault),
        (None, Some(root)) => Ok((Format::Yaml, root)),
        (None, None) => bail!("is empty"),
    }
}

/// Puts a space after each alias that is a key: upstream's file has `*name:`, of which the colon is
/// the name's in YAML 1.2, and the end of it in the library that Fulcio reads with.
fn with_parted_aliases(text: &str) -> String {
    let parted = |line: &str| {
        let name = line.trim_start().strip_prefix('*').and_then(|rest| rest.split_once(':'));
        let is_key = |(name, rest): (&str, &str)| {
            let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            !name.is_empty() && name.bytes().all(of_name) && rest.trim().is_empty()
        };
        if name.is_some_and(is_key) { line.replacen(':', " :", 1) } else { line.to_owned() }
    };
    text.split_inclusive('\n').map(parted).collect()
}

/// Builds values from the parser's events.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    /// Texts by their anchors. Tables and lists have none: their aliases would multiply.
    anchors: HashMap<usize, Value>,
    /// Length of what aliases stand for so far.
    expanded: usize,
    root: Option<Value>,
    fault: Option<String>,
}

enum Open {
    Table(Map<String, Value>, Option<String>),
    List(Vec<Value>),
}

impl MarkedEventReceiver for Tree {
    fn on_event(&mut self, event: Event, mark: Marker) {
        if self.fault.is_some() {
            return;
        }
        if let Err(fault) = self.take(event) {
            self.fault = Some(format!("line {}: {fault}", mark.line()));
        }
    }
}

impl Tree {
    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::MappingStart(..) => self.open(Open::Table(Map::new(), None)),
            Event::SequenceStart(..) => self.open(Open::List(Vec::new())),
            Event::MappingEnd | Event::SequenceEnd => match self.open.pop() {
                Some(Open::Table(table, _)) => self.value(Value::Object(table)),
                Some(Open::List(list)) => self.value(Value::Array(list)),
                None => Err("ends before it begins".to_owned()),
            },
            Event::Scalar(text, style, anchor, _) => {
                let value = scalar(text, style);
                if anchor != 0 {
                    self.anchors.insert(anchor, value.clone());
                }
                self.value(value)
            }
            Event::Alias(anchor) => self.alias(anchor),
            _ => Ok(()),
        }
    }

    /// Each alias is a copy, and a few letters long: what they stand for has a limit of its own.
    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let value = self.anchors.get(&anchor).ok_or("an alias of something that is no text")?;
        self.expanded += value.as_str().map_or(1, str::len);
        if self.expanded > MAX_LEN {
            return Err(format!("its aliases stand for more than {MAX_LEN} bytes"));
        }
        self.value(value.clone())
    }

    fn open(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() == MAX_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        self.open.push(open);
        Ok(())
    }

    fn value(&mut self, value: Value) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Table(table, key)) => match (key.take(), value) {
                (Some(name), value) => {
                    if table.insert(name.clone(), value).is_some() {
                        return Err(format!("`{name}` comes twice"));
                    }
                }
                // Fulcio's reader would mix other settings in.
                (None, Value::String(name)) if name == "<<" => {
                    return Err("`<<` is not translated: write out what it merges".to_owned());
                }
                (None, Value::String(name)) => *key = Some(name),
                (None, _) => return Err("a key that is no text".to_owned()),
            },
        }
        Ok(())
    }
}

/// Only what such files have of types: texts, switches and nothing.
fn scalar(text: String, style: TScalarStyle) -> Value {
    match (style, text.as_str()) {
        (TScalarStyle::Plain, "true" | "True" | "TRUE") => Value::Bool(true),
        (TScalarStyle::Plain, "false" | "False" | "FALSE") => Value::Bool(false),
        (TScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_and_json_read_alike() {
        let yaml = "define:\n  - &a \"x-y\"\noidc-issuers:\n  https://a.example:\n    type: *a\n    on: true\n*a:\n  k: 'true'\n";
        let expected = json!({"define": ["x-y"], "x-y": {"k": "true"},
            "oidc-issuers": {"https://a.example": {"type": "x-y", "on": true}}});
        assert_eq!(parse(yaml).unwrap(), (Format::Yaml, expected.clone()));
        assert_eq!(parse(&expected.to_string()).unwrap(), (Format::Json, expected));
    }

    #[test]
    fn names_that_come_twice_and_aliases_of_tables_are_refused() {
        for (text, said) in [
            ("a: 1\nb: 2\na: 3\n", "line 3: `a` comes twice"),
            (r#"{"a":1,"a":2}"#, "distinct"),
            ("a: &t {x: 1}\nb: *t\n", "alias"),
            ("a: &l [x, x]\nb: [*l, *l]\n", "alias"),
            ("a: {<<: {x: 1}}\n", "`<<` is not translated"),
            ("a: [", "line"),
            ("", "empty"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(parse(&"[".repeat(MAX_DEPTH + 2)).is_err());
        assert!(parse(&" ".repeat(MAX_LEN + 1)).is_err());
    }

    #[test]
    fn aliases_stand_for_no_more_than_a_file_may_hold() {
        let bomb = |times| {
            let text = "x".repeat(MAX_LEN / 4);
            format!("a: &a {text}\nb: [{}]\n", vec!["*a"; times].join(", "))
        };
        assert!(parse(&bomb(4)).is_ok());
        let error = parse(&bomb(5)).unwrap_err().to_string();
        assert!(error.contains("line 2: its aliases stand for more than"), "{error}");
        // Sixty GiB, if they were all written out.
        assert!(parse(&bomb(200_000)).is_err());
    }

    #[test]
    fn settings_are_spelled_as_fulcios_readers_take_them() {
        for (format, written, reads) in [
            (Format::Yaml, "client-id", true),
            (Format::Yaml, "Client-Id", false),
            (Format::Yaml, "client_id", false),
            (Format::Yaml, "clientid", false),
            (Format::Yaml, "ClientID", false),
            (Format::Json, "ClientID", true),
            (Format::Json, "clientid", true),
            (Format::Json, "client-id", false),
            (Format::Json, "client_id", false),
            (Format::Json, "ClientID ", false),
        ] {
            assert_eq!(format.reads(written, "client-id"), reads, "{format:?} {written}");
        }
        assert!(
            Format::Json.reads("\u{17f}\u{212a}ipEmailVerification", "skip-email-verification")
        );
    }
}
