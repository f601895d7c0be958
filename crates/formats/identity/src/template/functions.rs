//! What a template may do with a claim's text. Pure, and strict: a text that a function does not fit
//! is refused, and never passed on as it was.

use crate::principal::{escape_segment, is_path};

/// One step after `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// `segment "/" 2`: the n-th part (1-based), which must be there.
    Segment(String, usize),
    /// `trim_prefix "p://"`: without the text that it must begin with.
    TrimPrefix(String),
    /// `trim_suffix ".git"`: without the text that it must end with.
    TrimSuffix(String),
    /// `slice 4` or `slice 0 7`: bytes, as Go counts them.
    Slice(usize, Option<usize>),
    /// `lower`: of ASCII's letters; others with two cases are refused.
    Lower,
    /// `path_escape`: for one segment of a URL's path.
    PathEscape,
    /// `path`: may hold slashes, in a URI too.
    Path,
    /// `default "x"` or `default $x`: for a claim that is missing.
    Default(String),
    /// `map "a" "x" "b" "y" else "z"`: by the whole text; without `else` any other is refused.
    Map(Vec<Mapping>, Option<String>),
}

/// One line of a `map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    from: String,
    to: String,
}

/// An argument of a function.
pub(crate) enum Argument {
    Text(String),
    Number(usize),
    /// The word `else`.
    Else,
}

impl Function {
    /// The function `name` of `arguments`; `None` when there is none, or it takes others.
    pub(crate) fn build(name: &str, mut arguments: Vec<Argument>) -> Option<Self> {
        use Argument::{Number, Text};
        if name == "map" {
            return map(arguments);
        }
        let (second, first) = match arguments.len() {
            0 => (None, None),
            1 => (None, arguments.pop()),
            2 => (arguments.pop(), arguments.pop()),
            _ => return None,
        };
        Some(match (name, first, second) {
            ("segment", Some(Text(separator)), Some(Number(position)))
                if position > 0 && !separator.is_empty() =>
            {
                Self::Segment(separator, position)
            }
            ("trim_prefix", Some(Text(prefix)), None) => Self::TrimPrefix(prefix),
            ("trim_suffix", Some(Text(suffix)), None) => Self::TrimSuffix(suffix),
            ("slice", Some(Number(start)), None) => Self::Slice(start, None),
            ("slice", Some(Number(start)), Some(Number(end))) => Self::Slice(start, Some(end)),
            ("lower", None, None) => Self::Lower,
            ("path_escape", None, None) => Self::PathEscape,
            ("path", None, None) => Self::Path,
            ("default", Some(Text(text)), None) => Self::Default(text),
            _ => return None,
        })
    }

    /// `text` after this step; `Err` when it does not fit.
    pub(crate) fn apply(&self, text: Option<String>) -> Result<Option<String>, ()> {
        let Some(text) = text else {
            return Ok(match self {
                Self::Default(default) => Some(default.clone()),
                _ => None,
            });
        };
        let applied = match self {
            Self::Segment(separator, position) => {
                text.split(separator.as_str()).nth(position - 1).map(str::to_owned)
            }
            Self::TrimPrefix(prefix) => text.strip_prefix(prefix.as_str()).map(str::to_owned),
            Self::TrimSuffix(suffix) => text.strip_suffix(suffix.as_str()).map(str::to_owned),
            Self::Slice(start, end) => {
                text.get(*start..end.unwrap_or(text.len())).map(str::to_owned)
            }
            Self::Lower => lower(&text),
            Self::PathEscape => Some(escape_segment(&text)),
            Self::Path => is_path(&text).then_some(text),
            Self::Default(_) => return Ok(Some(text)),
            Self::Map(pairs, other) => {
                let found = pairs.iter().find(|pair| pair.from == text).map(|pair| &pair.to);
                return found.or(other.as_ref()).map(|to| Some(to.clone())).ok_or(());
            }
        };
        // Nothing left is not the same as nothing there: it would make a name with a hole.
        applied.filter(|text| !text.is_empty()).map(Some).ok_or(())
    }
}

/// Elsewhere two letters may have one small one: `K` (U+212A, Kelvin) has that of `K`.
fn lower(text: &str) -> Option<String> {
    let has_case = |c: char| c.is_lowercase() || c.is_uppercase() || !c.to_lowercase().eq([c]);
    let odd = text.chars().any(|c| !c.is_ascii() && has_case(c));
    (!odd).then(|| text.to_ascii_lowercase())
}

fn map(arguments: Vec<Argument>) -> Option<Function> {
    let (mut pairs, mut other) = (Vec::new(), None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match (argument, arguments.next()?) {
            _ if other.is_some() => return None,
            (Argument::Text(from), Argument::Text(to)) => pairs.push(Mapping { from, to }),
            (Argument::Else, Argument::Text(to)) => other = Some(to),
            _ => return None,
        }
    }
    (!pairs.is_empty()).then_some(Function::Map(pairs, other))
}
