//! What docs/compose.md tells its readers to type, in the order of the page.

/// A command of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// The line of the page on which it begins.
    pub(crate) line: usize,
    /// As it stands there; continued lines are one.
    pub(crate) text: String,
}

/// Words with which a text in backticks is a command.
const PROGRAMS: [&str; 16] = [
    "docker-compose ",
    "docker ",
    "deploy/backup ",
    "deploy/restore ",
    "deploy/upgrade ",
    "countersignd ",
    "countersign ",
    "cosign ",
    "cargo ",
    "git ",
    "gh ",
    "caddy ",
    "chmod ",
    "chown ",
    "sha256sum ",
    "ss ",
];

/// Every command: the lines of fences without a language, and what stands in the text in backticks.
pub(crate) fn commands(page: &str) -> Vec<Command> {
    let mut reader = Reader::default();
    for (line, text) in (1..).zip(page.lines()) {
        reader.take(line, text);
    }
    reader.end_of_text();
    reader.commands
}

#[derive(Default)]
struct Reader {
    commands: Vec<Command>,
    /// The language of the fence that is open.
    fence: Option<String>,
    /// A line that goes on.
    begun: Option<Command>,
    /// Lines of a paragraph; a text in backticks may go over its end.
    text: Vec<(usize, String)>,
}

impl Reader {
    fn take(&mut self, line: usize, text: &str) {
        if let Some(language) = text.trim_start().strip_prefix("```") {
            self.end_of_text();
            self.fence = match self.fence {
                Some(_) => None,
                None => Some(language.to_owned()),
            };
        } else if self.fence.as_deref() == Some("") {
            self.typed(line, text.trim());
        } else if self.fence.is_none() {
            if text.trim().is_empty() {
                self.end_of_text();
            } else {
                self.text.push((line, text.to_owned()));
            }
        }
    }

    fn typed(&mut self, line: usize, text: &str) {
        let mut command =
            self.begun.take().unwrap_or_else(|| Command { line, text: String::new() });
        let goes_on = text.strip_suffix('\\');
        command.text.push_str(goes_on.unwrap_or(text));
        if goes_on.is_some() {
            self.begun = Some(command);
        } else if !command.text.is_empty() {
            self.commands.push(command);
        }
    }

    fn end_of_text(&mut self) {
        let lines = std::mem::take(&mut self.text);
        let whole = lines.iter().map(|(_, text)| text.trim()).collect::<Vec<_>>().join("\n");
        let first = lines.first().map_or(0, |(line, _)| *line);
        let mut before = 0;
        for (position, part) in whole.split('`').enumerate() {
            let line = first + before;
            before += part.matches('\n').count();
            let text = part.replace('\n', " ");
            if position % 2 == 1 && PROGRAMS.iter().any(|program| text.starts_with(program)) {
                self.commands.push(Command { line, text });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn lines_of_fences_and_texts_in_backticks_are_read_in_their_order() {
        let page = "Type `docker-compose\nps` or `check`:\n```\none \\\n    two\n```\n```toml\nx = 1\n```\n  ```\n  three\n  ```\n";
        let read: Vec<_> = commands(page).into_iter().map(|one| (one.line, one.text)).collect();
        let expected = [(1, "docker-compose ps"), (4, "one two"), (11, "three")];
        assert_eq!(read, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
