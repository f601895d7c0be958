use std::{cell::RefCell, collections::BTreeSet, fmt, path::PathBuf, str::FromStr};

use toml::{Table, Value};
use wire::inert;

/// Everything that is wrong with a configuration file, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

/// Where the sections of one file note their [`Problems`].
#[derive(Debug, Default)]
pub(super) struct Notes {
    problems: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

impl Notes {
    /// Notes that `what` is wrong at `place`, a dotted TOML path.
    pub(super) fn note(&self, place: &str, what: impl fmt::Display) {
        self.problems.borrow_mut().push(format!("{place}: {what}"));
    }

    /// Notes what can be meant at `place`, and seldom is.
    pub(super) fn warn(&self, place: &str, what: impl fmt::Display) {
        self.warnings.borrow_mut().push(format!("{place}: {what}"));
    }

    /// The problems that were noted, if any were, and the warnings.
    pub(super) fn into_parts(self) -> (Option<Problems>, Vec<String>) {
        let problems = self.problems.into_inner();
        let problems = if problems.is_empty() { None } else { Some(Problems(problems)) };
        (problems, self.warnings.into_inner())
    }
}

impl fmt::Display for Problems {
    /// One problem a line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems) = self;
        let plural = if problems.len() == 1 { "" } else { "s" };
        write!(formatter, "{} problem{plural}", problems.len())?;
        // A value that a problem quotes may have lines of its own.
        let mut problems = problems.iter().map(|problem| inert::escape(problem));
        problems.try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// One table of the file. Each key is taken once; what is left at the end nobody knows.
///
/// Serde would stop at the first thing that is wrong.
pub(super) struct Section<'p> {
    path: String,
    values: Table,
    asked: BTreeSet<&'static str>,
    /// Every key that the file has here.
    given: BTreeSet<String>,
    problems: &'p Notes,
}

impl<'p> Section<'p> {
    pub(super) fn root(values: Table, problems: &'p Notes) -> Self {
        let given = values.keys().cloned().collect();
        Self { path: String::new(), values, asked: BTreeSet::new(), given, problems }
    }

    /// Notes what is wrong with `key`.
    pub(super) fn wrong(&self, key: &str, what: impl fmt::Display) {
        self.problems.note(&self.place(key), what);
    }

    /// Notes what is wrong with the whole table.
    pub(super) fn wrong_here(&self, what: impl fmt::Display) {
        self.problems.note(&self.path, what);
    }

    /// Notes what is wrong with another table, or with what became of it.
    pub(super) fn wrong_at(&self, place: &str, what: impl fmt::Display) {
        self.problems.note(place, what);
    }

    /// Notes what can be meant, and seldom is, with `key`.
    pub(super) fn warn(&self, key: &str, what: impl fmt::Display) {
        self.problems.warn(&self.place(key), what);
    }

    /// Likewise with another table.
    pub(super) fn warn_at(&self, place: &str, what: impl fmt::Display) {
        self.problems.warn(place, what);
    }

    /// Likewise with the whole table.
    pub(super) fn warn_here(&self, what: impl fmt::Display) {
        self.problems.warn(&self.path, what);
    }

    /// The dotted TOML path of the table.
    pub(super) fn here(&self) -> &str {
        &self.path
    }

    /// The text at `key`, for whoever else reads it.
    pub(super) fn peek(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(Value::as_str)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.is_empty() => Some(text),
            other => self.not(key, "a text that is not empty", &other),
        }
    }

    pub(super) fn required_text(&mut self, key: &'static str) -> Option<String> {
        self.required(key, Self::text)
    }

    /// A text that `T` can be read from.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        let text = self.text(key)?;
        text.parse().map_err(|error| self.wrong(key, format!("`{text}`: {error}"))).ok()
    }

    /// An absolute path: services start in directories of their own.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key)?);
        if !path.is_absolute() {
            self.wrong(key, format!("`{}` is not an absolute path", path.display()));
            return None;
        }
        Some(path)
    }

    /// A list of absolute paths.
    pub(super) fn paths(&mut self, key: &'static str) -> Vec<PathBuf> {
        let paths: Vec<PathBuf> =
            self.texts(key).unwrap_or_default().into_iter().map(PathBuf::from).collect();
        for path in paths.iter().filter(|path| !path.is_absolute()) {
            self.wrong(key, format!("`{}` is not an absolute path", path.display()));
        }
        paths
    }

    pub(super) fn integer<T: TryFrom<i64>>(&mut self, key: &'static str) -> Option<T> {
        match self.take(key)? {
            Value::Integer(number) => {
                let fitting = T::try_from(number).ok();
                if fitting.is_none() {
                    self.wrong(key, format!("{number} is out of range"));
                }
                fitting
            }
            other => self.not(key, "a whole number", &other),
        }
    }

    /// True where `key` says so.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.choice(key).unwrap_or_default()
    }

    /// True or false, where `key` says which.
    pub(super) fn choice(&mut self, key: &'static str) -> Option<bool> {
        match self.take(key)? {
            Value::Boolean(flag) => Some(flag),
            other => self.not(key, "true or false", &other),
        }
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts = value.as_array().and_then(|values| {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
        });
        if texts.is_none() { self.not(key, "a list of texts", &value) } else { texts }
    }

    /// The value as it is, for whoever reads it by serde.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<Value> {
        self.take(key)
    }

    /// Whether `key` is there; asking makes it a known one.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.asked.insert(key);
        self.values.contains_key(key)
    }

    /// Whether `key` is there, for whoever else reads it.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Whether `key` was there when the table was read.
    pub(super) fn was_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// The table `key`; an empty one where there is none.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'p> {
        let values = match self.take(key) {
            None => Table::new(),
            Some(Value::Table(values)) => values,
            Some(other) => self.not(key, "a table", &other).unwrap_or_default(),
        };
        self.child(self.place(key), values)
    }

    /// The tables `key.<name>`.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(String, Section<'p>)> {
        let mut sections = Vec::new();
        for (name, value) in std::mem::take(&mut self.section(key).values) {
            let place = format!("{}.{name}", self.place(key));
            match value {
                Value::Table(values) => sections.push((name, self.child(place, values))),
                _ => self.problems.note(&place, "is not a table"),
            }
        }
        sections
    }

    /// The tables of the list `key`.
    pub(super) fn listed(&mut self, key: &'static str) -> Vec<Section<'p>> {
        let values = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(other) => self.not(key, "a list of tables", &other).unwrap_or_default(),
        };
        let mut sections = Vec::new();
        for (position, value) in values.into_iter().enumerate() {
            let place = format!("{}[{position}]", self.place(key));
            match value {
                Value::Table(values) => sections.push(self.child(place, values)),
                _ => self.problems.note(&place, "is not a table"),
            }
        }
        sections
    }

    /// Whether `key` is there and is `text`.
    pub(super) fn is_text(&self, key: &str, text: &str) -> bool {
        self.peek(key) == Some(text)
    }

    /// Everything that was not taken yet.
    pub(super) fn rest(&mut self) -> Table {
        std::mem::take(&mut self.values)
    }

    /// Notes every key that nobody has asked for.
    pub(super) fn end(&mut self) {
        let known: Vec<&str> = self.asked.iter().copied().collect();
        for key in std::mem::take(&mut self.values).keys() {
            self.wrong(key, format!("unknown key; known here are {}", known.join(", ")));
        }
    }

    /// `read`, and a problem when `key` is not there at all.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.wrong(key, "is missing");
            return None;
        }
        read(self, key)
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.insert(key);
        self.values.remove(key)
    }

    fn not<T>(&self, key: &str, what: &str, found: &Value) -> Option<T> {
        self.wrong(key, format!("must be {what}, and is of type {}", found.type_str()));
        None
    }

    fn child(&self, path: String, values: Table) -> Section<'p> {
        let given = values.keys().cloned().collect();
        Section { path, values, asked: BTreeSet::new(), given, problems: self.problems }
    }

    fn place(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
