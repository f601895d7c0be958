//! Go's text/template, as far as Fulcio's configurations use it, in our templates' words.
//!
//! Translated are claims (`.name`, `index . "name"`), `slice`, `printf` of `%s` and `%v`, and an `if eq`
//! between texts. Everything else is refused by its name.

use std::{collections::BTreeMap, fmt::Write};

/// Claims that forges fill with paths.
const PATHS: [&str; 8] = [
    "repository",
    "job_workflow_ref",
    "workflow_ref",
    "project_path",
    "namespace_path",
    "ci_config_ref_uri",
    "pipeline_name",
    "sub",
];

/// What a text is translated for.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Texts for claims that a token lacks.
    pub(super) defaults: &'a BTreeMap<String, String>,
    pub(super) is_uri: bool,
}

/// A translated text, piece by piece.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translated(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Claim { name: String, functions: String },
}

impl Translated {
    /// Translates an upstream text: a template, or the name of a claim.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        if !text.contains("{{") {
            return Ok(Self(vec![claim(text.trim())]));
        }
        let mut parser = Parser { tokens: lex(text)?.into_iter() };
        match parser.pieces()? {
            (pieces, Stop::AtTheEnd) => Ok(Self(pieces)),
            (_, Stop::Else | Stop::EndOfIf) => Err("`else` or `end` without `if`".to_owned()),
        }
    }

    /// In our words.
    pub(super) fn text(&self, context: Context<'_>) -> String {
        let mut text = String::new();
        for (place, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(fixed) => text.push_str(&fixed.replace('{', "{{").replace('}', "}}")),
                Piece::Claim { name, functions } => {
                    let default = match context.defaults.get(name) {
                        Some(_) if is_word(name) => format!(" | default ${name}"),
                        Some(default) => format!(" | default {}", quote(default)),
                        None => String::new(),
                    };
                    let is_path = context.is_uri && place > 0 && PATHS.contains(&name.as_str());
                    let path = if is_path { " | path" } else { "" };
                    let name = if is_word(name) { name.clone() } else { quote(name) };
                    let _ = write!(text, "{{{name}{default}{functions}{path}}}");
                }
            }
        }
        text
    }

    /// The URL that it begins with, as far as the configuration tells.
    pub(super) fn begin(&self, context: Context<'_>) -> Option<String> {
        match self.0.first()? {
            Piece::Text(text) => Some(text.clone()),
            Piece::Claim { name, .. } => context.defaults.get(name).cloned(),
        }
    }

    /// Whether a claim is all of it, and may so name any host.
    pub(super) fn is_one_claim(&self) -> bool {
        matches!(self.0.as_slice(), [Piece::Claim { .. }])
    }
}

fn claim(name: &str) -> Piece {
    Piece::Claim { name: name.to_owned(), functions: String::new() }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

enum Token {
    Text(String),
    Action(Vec<Word>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// `.name`; empty for `.` alone.
    Field(String),
    Name(String),
    Text(String),
    Number(usize),
    Open,
    Close,
}

/// Texts and actions; `{{-` and `-}}` take the white space beside them.
fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut trims = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, next) = after.split_once("}}").ok_or("`{{` without `}}`")?;
        let before = if trims { before.trim_start() } else { before };
        let inner = action.strip_prefix("- ");
        let before = if inner.is_some() { before.trim_end() } else { before };
        let inner = inner.unwrap_or(action);
        trims = inner.ends_with(" -");
        let inner = inner.strip_suffix(" -").unwrap_or(inner).trim();
        tokens.push(Token::Text(before.to_owned()));
        if !inner.starts_with("/*") {
            tokens.push(Token::Action(words(inner)?));
        }
        rest = next;
    }
    tokens.push(Token::Text(if trims { rest.trim_start() } else { rest }.to_owned()));
    Ok(tokens)
}

fn words(action: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '(' => (Word::Open, rest.get(1..)),
            ')' => (Word::Close, rest.get(1..)),
            '"' | '`' => quoted(rest, first)?,
            '.' => {
                let (name, after) = name(rest.get(1..).unwrap_or_default());
                (Word::Field(name.to_owned()), Some(after))
            }
            '0'..='9' => {
                let (digits, after) = name(rest);
                let number = digits.parse().map_err(|_| format!("the number `{digits}`"))?;
                (Word::Number(number), Some(after))
            }
            c if c.is_ascii_alphabetic() => {
                let (name, after) = name(rest);
                (Word::Name(name.to_owned()), Some(after))
            }
            '|' => return Err("a pipeline (`|`)".to_owned()),
            '$' => return Err("a variable (`$`)".to_owned()),
            other => return Err(format!("the character `{other}`")),
        };
        words.push(word);
        rest = after.unwrap_or_default().trim_start();
    }
    Ok(words)
}

fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

fn quoted(text: &str, quote: char) -> Result<(Word, Option<&str>), String> {
    let inner = text.get(1..).unwrap_or_default();
    let (content, after) = inner.split_once(quote).ok_or("a quotation mark without another")?;
    if content.contains('\\') && quote == '"' {
        return Err("an escape in a quoted text".to_owned());
    }
    Ok((Word::Text(content.to_owned()), Some(after)))
}

/// What ended a run of pieces.
enum Stop {
    AtTheEnd,
    Else,
    EndOfIf,
}

struct Parser {
    tokens: std::vec::IntoIter<Token>,
}

impl Parser {
    fn pieces(&mut self) -> Result<(Vec<Piece>, Stop), String> {
        let mut pieces = Vec::new();
        while let Some(token) = self.tokens.next() {
            let words = match token {
                Token::Text(text) if text.is_empty() => continue,
                Token::Text(text) => {
                    pieces.push(Piece::Text(text));
                    continue;
                }
                Token::Action(words) => words,
            };
            match words.split_first() {
                Some((Word::Name(name), rest)) if name == "if" => pieces.push(self.choice(rest)?),
                Some((Word::Name(name), [])) if name == "else" => return Ok((pieces, Stop::Else)),
                Some((Word::Name(name), _)) if name == "else" => {
                    return Err("`else if`".to_owned());
                }
                Some((Word::Name(name), [])) if name == "end" => {
                    return Ok((pieces, Stop::EndOfIf));
                }
                _ => pieces.extend(whole(&words)?),
            }
        }
        Ok((pieces, Stop::AtTheEnd))
    }

    /// `if eq <claim> "text"` between texts.
    fn choice(&mut self, condition: &[Word]) -> Result<Piece, String> {
        let Some((Word::Name(name), rest)) = condition.split_first() else {
            return Err("an `if` without `eq`".to_owned());
        };
        if name != "eq" {
            return Err(format!("`if {name}`"));
        }
        let (pieces, rest) = operand(rest)?;
        let ([Piece::Claim { name, functions }], [Word::Text(wanted)]) = (pieces.as_slice(), rest)
        else {
            return Err("an `eq` that is not of one claim and one text".to_owned());
        };
        let (then, end) = self.pieces()?;
        let other = match end {
            Stop::Else => match self.pieces()? {
                (other, Stop::EndOfIf) => other,
                _ => return Err("an `if` without `end`".to_owned()),
            },
            Stop::EndOfIf => Vec::new(),
            Stop::AtTheEnd => return Err("an `if` without `end`".to_owned()),
        };
        let (then, other) = (only_text(&then)?, only_text(&other)?);
        let map = format!(" | map {} {} else {}", quote(wanted), quote(&then), quote(&other));
        Ok(Piece::Claim { name: name.clone(), functions: format!("{functions}{map}") })
    }
}

fn only_text(pieces: &[Piece]) -> Result<String, String> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Ok(text.clone()),
        Piece::Claim { name, .. } => Err(format!("an `if` with the claim `{name}` inside")),
    };
    pieces.iter().map(text).collect()
}

fn whole(words: &[Word]) -> Result<Vec<Piece>, String> {
    match operand(words)? {
        (pieces, []) => Ok(pieces),
        (_, [Word::Name(name), ..]) => Err(format!("`{name}`")),
        (_, [Word::Field(_), ..]) => Err("a nested claim (upstream has none)".to_owned()),
        _ => Err("something after an expression".to_owned()),
    }
}

/// One expression and what follows it.
fn operand(words: &[Word]) -> Result<(Vec<Piece>, &[Word]), String> {
    let (first, rest) = words.split_first().ok_or("an empty expression")?;
    match first {
        Word::Field(name) if !name.is_empty() => Ok((vec![claim(name)], rest)),
        Word::Text(text) => Ok((vec![Piece::Text(text.clone())], rest)),
        Word::Open => match operand(rest)? {
            (pieces, [Word::Close, rest @ ..]) => Ok((pieces, rest)),
            _ => Err("parentheses around more than one expression".to_owned()),
        },
        Word::Name(function) => match function.as_str() {
            "index" => index(rest),
            "slice" => slice(rest),
            "printf" => printf(rest),
            other => Err(format!("the function `{other}`")),
        },
        _ => Err("an expression without a claim".to_owned()),
    }
}

fn index(words: &[Word]) -> Result<(Vec<Piece>, &[Word]), String> {
    match words {
        [Word::Field(dot), Word::Text(name), rest @ ..] if dot.is_empty() => {
            Ok((vec![claim(name)], rest))
        }
        _ => Err("an `index` of anything but `. \"claim\"`".to_owned()),
    }
}

fn slice(words: &[Word]) -> Result<(Vec<Piece>, &[Word]), String> {
    let (pieces, rest) = operand(words)?;
    let [Piece::Claim { name, functions }] = pieces.as_slice() else {
        return Err("a `slice` of anything but a claim".to_owned());
    };
    let (bounds, rest) = match rest {
        [Word::Number(start), Word::Number(end), rest @ ..] => (format!("{start} {end}"), rest),
        [Word::Number(start), rest @ ..] => (start.to_string(), rest),
        _ => return Err("a `slice` without numbers".to_owned()),
    };
    let functions = format!("{functions} | slice {bounds}");
    Ok((vec![Piece::Claim { name: name.clone(), functions }], rest))
}

fn printf(words: &[Word]) -> Result<(Vec<Piece>, &[Word]), String> {
    let Some((Word::Text(format), mut rest)) = words.split_first() else {
        return Err("a `printf` without a format".to_owned());
    };
    let mut pieces = Vec::new();
    let mut texts = format.split('%');
    pieces.push(Piece::Text(texts.next().unwrap_or_default().to_owned()));
    for text in texts {
        let tail = text.strip_prefix(['s', 'v']).ok_or("a `printf` with other than %s and %v")?;
        let (argument, after) = operand(rest)?;
        pieces.extend(argument);
        pieces.push(Piece::Text(tail.to_owned()));
        rest = after;
    }
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Ok((pieces, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> Result<String, String> {
        let defaults = BTreeMap::from([("url".to_owned(), "https://github.com".to_owned())]);
        let context = Context { defaults: &defaults, is_uri: true };
        Translated::of(text).map(|translated| translated.text(context))
    }

    #[test]
    fn translates_what_upstreams_configuration_has() {
        for (text, expected) in [
            ("event_name", "{event_name}"),
            ("oidc.x/y", "{\"oidc.x/y\"}"),
            ("{{ .url }}/{{ .repository }}", "{url | default $url}/{repository | path}"),
            ("{{.url}}/{{.organization_slug}}", "{url | default $url}/{organization_slug}"),
            ("https://{{ .ci_config_ref_uri }}", "https://{ci_config_ref_uri | path}"),
            ("a/{{(index . \"o.c/p-id\")}}", "a/{\"o.c/p-id\"}"),
            (
                "refs/{{if eq .ref_type \"branch\"}}heads/{{ else }}tags/{{end}}{{ .ref }}",
                "refs/{ref_type | map \"branch\" \"heads/\" else \"tags/\"}{ref}",
            ),
            (
                "{{if eq (index . \"o/s\") \"true\"}}ssh-rerun{{ else }}\"\"{{end}}",
                "{\"o/s\" | map \"true\" \"ssh-rerun\" else \"\\\"\\\"\"}",
            ),
            ("{{ slice .sub 4 }}", "{sub | slice 4}"),
            ("{{ printf \"%s/%v\" .a (index . \"b\") }}", "{a}/{b}"),
            ("a {{- .b -}} c{d}", "a {b} c{{d}}"),
            ("{{/* note */}}x{{ .a }}", "x{a}"),
        ] {
            let expected = expected.replace("a {b} c", "a{b}c");
            assert_eq!(translated(text).as_deref(), Ok(expected.as_str()), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_by_name() {
        for (text, said) in [
            ("{{ .a | urlquery }}", "pipeline"),
            ("{{ range .a }}x{{ end }}", "`range`"),
            ("{{ with .a }}x{{ end }}", "`with`"),
            ("{{ len .a }}", "`len`"),
            ("{{ $x := .a }}", "variable"),
            ("{{ .a.b }}", "nested"),
            ("{{ if .a }}x{{ end }}", "`if`"),
            ("{{ if ne .a \"x\" }}x{{ end }}", "`if ne`"),
            ("{{ if eq .a \"x\" }}{{ .b }}{{ end }}", "`b`"),
            ("{{ if eq .a \"x\" }}y", "without `end`"),
            ("{{ end }}", "without `if`"),
            ("{{ printf \"%d\" .a }}", "printf"),
            ("{{ .a", "without"),
            ("{{ }}", "empty"),
        ] {
            let error = translated(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
