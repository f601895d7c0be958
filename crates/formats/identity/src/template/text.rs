//! One template: text with `{claim | function "argument"}` in it.

use std::collections::BTreeMap;

use super::functions::{Argument, Function};

/// Longest template, in bytes; upstream's longest has 160.
const MAX_LEN: usize = 2048;

/// Most functions of one value, and deepest path to a nested claim.
const MAX_STEPS: usize = 16;

/// A parsed template. Its constants are already in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextTemplate {
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text of the operator's: between the braces, or a constant.
    Fixed(String),
    Claim(ClaimValue),
}

/// What stands in braces and is not a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimValue {
    /// Names from the claim set inward; never empty.
    pub(crate) path: Vec<String>,
    /// `?`: without the claim there is no text at all.
    pub(crate) is_optional: bool,
    pub(crate) functions: Vec<Function>,
}

/// Why a text is no template, and where: 1-based, in characters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) column: usize,
    pub(crate) problem: String,
}

/// Two values of a URI of which nothing tells where the one ends and the other begins.
pub(crate) struct Unparted<'a> {
    pub(crate) left: &'a ClaimValue,
    pub(crate) right: &'a ClaimValue,
}

impl TextTemplate {
    /// Parses `text`; `$name` stands for a value of `values`.
    pub(crate) fn parse(text: &str, values: &BTreeMap<String, String>) -> Result<Self, Fault> {
        let mut parser = Parser { text, at: 0, values };
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(parser.fault(&format!("a template has 1 to {MAX_LEN} bytes")));
        }
        let mut template = Self { parts: Vec::new() };
        while let Some(c) = parser.peek() {
            let part = match c {
                '{' if !parser.rest().starts_with("{{") => parser.braces()?,
                _ => Part::Fixed(parser.fixed()?),
            };
            template.push(part);
        }
        Ok(template)
    }

    /// Adds `part`, fixed text to the fixed text before it.
    fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (Some(Part::Fixed(before)), Part::Fixed(text)) => before.push_str(&text),
            (_, part) => self.parts.push(part),
        }
    }

    /// The fixed text that it begins with.
    pub(crate) fn fixed_begin(&self) -> &str {
        match self.parts.first() {
            Some(Part::Fixed(text)) => text,
            _ => "",
        }
    }

    /// How many of its values are claims.
    pub(crate) fn claims(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Claim(_))).count()
    }

    /// The first two values of a URI between which nothing tells where the one ends and the other
    /// begins: the owners `ac` and `acm` could have one name for `me` and `e`.
    pub(crate) fn unparted(&self) -> Option<Unparted<'_>> {
        let (mut before, mut between) = (None, "");
        for (position, part) in self.parts.iter().enumerate() {
            match part {
                Part::Fixed(text) => between = text,
                Part::Claim(value) => {
                    let range = if position == 0 { Range::Url } else { value.range() };
                    if let Some((left, of_left)) = before
                        && !Range::are_parted(of_left, between, range)
                    {
                        return Some(Unparted { left, right: value });
                    }
                    (before, between) = (Some((value, range)), "");
                }
            }
        }
        None
    }

    /// How many of its values may hold slashes.
    pub(crate) fn paths(&self) -> usize {
        let is_path = |part: &&Part| matches!(part, Part::Claim(value) if value.is_path());
        self.parts.iter().filter(is_path).count()
    }
}

/// What a value may hold in a URI, as `principal::ci_provider` lets it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// The value that begins a URI: a server, or a URL that the operator or every token has.
    Url,
    /// Segments with slashes between.
    Path,
    /// One segment.
    Segment,
    /// One segment of unreserved characters and escapes.
    Escaped,
}

impl Range {
    /// Whether `between` has a character that tells where two values meet: one that neither may hold.
    /// There is at most one path, so that the other values are read from both ends towards it.
    fn are_parted(left: Self, between: &str, right: Self) -> bool {
        match (left, right) {
            (Self::Url, Self::Path) => between.starts_with('/'),
            _ => between.chars().any(|c| left.lets_part(c) && right.lets_part(c)),
        }
    }

    fn lets_part(self, c: char) -> bool {
        match self {
            Self::Url | Self::Path => true,
            Self::Segment => "/@:?#".contains(c),
            Self::Escaped => {
                c.is_ascii_graphic() && !c.is_ascii_alphanumeric() && !"-._~%".contains(c)
            }
        }
    }
}

impl ClaimValue {
    fn range(&self) -> Range {
        match self.functions.last() {
            _ if self.is_path() => Range::Path,
            Some(Function::PathEscape) => Range::Escaped,
            _ => Range::Segment,
        }
    }

    pub(crate) fn is_path(&self) -> bool {
        self.functions.contains(&Function::Path)
    }

    /// Whether every character of it that parts URIs is escaped.
    pub(crate) fn is_escaped(&self) -> bool {
        self.functions.contains(&Function::PathEscape)
    }

    /// How the claim is written: `"kubernetes.io".namespace` reads `kubernetes.io.namespace`.
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, on a character's boundary.
    at: usize,
    values: &'a BTreeMap<String, String>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.advance();
        }
        found
    }

    fn fault(&self, problem: &str) -> Fault {
        let before = self.text.get(..self.at).unwrap_or_default();
        Fault { column: before.chars().count() + 1, problem: problem.to_owned() }
    }

    fn skip_spaces(&mut self) {
        while self.takes(' ') {}
    }

    /// Text up to the next value; `{{` and `}}` stand for single braces.
    fn fixed(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let doubled = self.rest().starts_with("{{") || self.rest().starts_with("}}");
            match c {
                '{' | '}' if doubled => {
                    self.advance();
                }
                '{' => break,
                '}' => return Err(self.fault("`}` without `{`; write `}}` for the character")),
                c if c.is_control() => return Err(self.fault("a control character")),
                _ => {}
            }
            text.extend(self.advance());
        }
        Ok(text)
    }

    fn braces(&mut self) -> Result<Part, Fault> {
        self.advance();
        self.skip_spaces();
        if self.peek() == Some('$') {
            let constant = self.constant()?;
            self.skip_spaces();
            return if self.takes('}') {
                Ok(Part::Fixed(constant))
            } else {
                Err(self.fault("`}` expected after a value of yours"))
            };
        }
        let path = self.claim_path()?;
        let is_optional = self.takes('?');
        let mut functions = Vec::new();
        loop {
            self.skip_spaces();
            if self.takes('}') {
                return Ok(Part::Claim(ClaimValue { path, is_optional, functions }));
            }
            if !self.takes('|') {
                return Err(self.fault("`|` or `}` expected"));
            }
            if functions.len() == MAX_STEPS {
                return Err(self.fault("too many functions"));
            }
            functions.push(self.function()?);
        }
    }

    fn constant(&mut self) -> Result<String, Fault> {
        let unknown = self.fault("no such value in `template.values`");
        self.advance();
        let name = self.word()?;
        self.values.get(&name).cloned().ok_or(unknown)
    }

    fn claim_path(&mut self) -> Result<Vec<String>, Fault> {
        let mut path = Vec::new();
        loop {
            path.push(match self.peek() {
                Some('"' | '\'') => self.quoted()?,
                _ => self.word()?,
            });
            if path.len() > MAX_STEPS {
                return Err(self.fault("a claim nested too deeply"));
            }
            if !self.takes('.') {
                return Ok(path);
            }
        }
    }

    fn function(&mut self) -> Result<Function, Fault> {
        self.skip_spaces();
        let begin = self.at;
        let name = self.word()?;
        let mut arguments = Vec::new();
        loop {
            self.skip_spaces();
            arguments.push(match self.peek() {
                Some('"' | '\'') => Argument::Text(self.quoted()?),
                Some('$') => Argument::Text(self.constant()?),
                Some('0'..='9') => Argument::Number(self.number()?),
                Some('e') if name == "map" && self.word()? == "else" => Argument::Else,
                _ => break,
            });
        }
        Function::build(&name, arguments).ok_or_else(|| {
            self.at = begin;
            self.fault(&format!("no function `{name}` with such arguments"))
        })
    }

    /// Letters, digits, `_` and `-`.
    fn word(&mut self) -> Result<String, Fault> {
        let is_of_word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let word: String = self.rest().chars().take_while(is_of_word).collect();
        if word.is_empty() {
            return Err(self.fault("a name expected; other characters need quotes"));
        }
        self.at += word.len();
        Ok(word)
    }

    fn number(&mut self) -> Result<usize, Fault> {
        let wrong = self.fault("a number below 10000 expected");
        let word = self.word()?;
        word.parse().ok().filter(|number| *number < 10_000).ok_or(wrong)
    }

    /// In either quotes; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<String, Fault> {
        let unclosed = self.fault("a quotation mark without another");
        let quote = self.advance();
        let mut text = String::new();
        loop {
            match self.advance() {
                None => return Err(unclosed),
                c if c == quote => return Ok(text),
                Some('\\') => text.push(self.advance().ok_or_else(|| self.fault("a lone `\\`"))?),
                Some(c) if c.is_control() => return Err(self.fault("a control character")),
                Some(c) => text.push(c),
            }
        }
    }
}
