//! One event, one line: what callers sent cannot write lines of its own into the log. And which
//! events: never fewer than the trail of the keys.

use std::{borrow::Cow, io};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use wire::inert;

/// Target of the lines about the use of keys.
pub(crate) const AUDIT: &str = "audit";

/// Keeps the trail of what keys were used for in a filter that does not name it: who asks for fewer
/// lines (`warn`) did not ask for certificates without a record, and who asks for more gets more of it
/// too. `audit=off` leaves it out.
pub(crate) fn with_audit(filter: &str) -> String {
    let is_named = |directive: &str| {
        let target = directive.split(['=', '[']).next().unwrap_or_default();
        target.trim() == AUDIT
    };
    if filter.split(',').any(is_named) {
        filter.to_owned()
    } else {
        let of_all = filter.split(',').filter_map(|directive| directive.parse().ok()).next_back();
        let level = of_all.unwrap_or(LevelFilter::OFF).max(LevelFilter::INFO);
        format!("{filter},{AUDIT}={level}")
    }
}

/// Standard error, for a formatter that writes each event with one call.
///
/// tracing quotes texts, and takes escape sequences out of errors, but leaves their line feeds, and
/// marks that turn text around: an error that quotes a caller (a PEM label, say) would forge log lines.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EventLines {
    /// For people.
    Text,
    /// One JSON object an event.
    Json,
}

impl MakeWriter<'_> for EventLines {
    type Writer = OneLine<io::Stderr>;

    fn make_writer(&self) -> Self::Writer {
        OneLine { form: *self, output: io::stderr() }
    }
}

/// Makes each event inert, but for its last line feed.
pub(crate) struct OneLine<W> {
    form: EventLines,
    output: W,
}

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.output.write_all(&line_of(self.form, event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// An event as one line, with nothing in it that a terminal or a reader of lines would obey.
pub(crate) fn line_of(form: EventLines, event: &[u8]) -> Cow<'_, [u8]> {
    match form {
        EventLines::Text => inert::escape_line(event),
        // An event of JSON is UTF-8; were it not, it would not be JSON either.
        EventLines::Json => {
            std::str::from_utf8(event).map_or_else(|_| inert::escape_line(event), json_line)
        }
    }
}

fn json_line(event: &str) -> Cow<'_, [u8]> {
    let (json, end) = event.strip_suffix('\n').map_or((event, ""), |json| (json, "\n"));
    match inert::escape_json(json) {
        Cow::Borrowed(_) => Cow::Borrowed(event.as_bytes()),
        Cow::Owned(json) => Cow::Owned((json + end).into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What a filter lets through of a request, a warning and the use of a key.
    fn let_through(filter: &str) -> Vec<&'static str> {
        #[derive(Clone, Default)]
        struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, event: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(event)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(with_audit(filter)))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("request");
            tracing::warn!("trouble");
            tracing::info!(target: "audit", "signing");
            tracing::debug!(target: "audit", "checkpoint");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let words = ["request", "trouble", "signing", "checkpoint"];
        words.into_iter().filter(|word| text.contains(word)).collect()
    }

    #[test]
    fn a_quiet_log_still_has_the_trail_of_the_keys() {
        assert_eq!(let_through("info,sqlx=warn"), ["request", "trouble", "signing"]);
        assert_eq!(let_through("warn"), ["trouble", "signing"]);
        assert_eq!(let_through("warn,ca::audit=debug"), ["trouble", "signing"]);
        assert_eq!(let_through("off"), ["signing"]);
        assert_eq!(let_through(""), ["signing"]);
        assert_eq!(let_through("warn, audit=off"), ["trouble"], "who names it, decides");
    }

    #[test]
    fn a_log_of_everything_has_the_whole_trail() {
        let everything = ["request", "trouble", "signing", "checkpoint"];
        for filter in ["debug", "trace,sqlx=warn", "sqlx=warn,DEBUG", "a=off,debug"] {
            assert_eq!(let_through(filter), everything, "{filter}");
        }
        assert_eq!(let_through("warn,audit=debug"), ["trouble", "signing", "checkpoint"]);
        assert_eq!(let_through("off,rekor=debug"), ["signing"]);
    }

    fn written(form: EventLines, event: &str) -> String {
        let mut writer = OneLine { form, output: Vec::new() };
        writer.write_all(event.as_bytes()).unwrap();
        String::from_utf8(writer.output).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let written = |event| written(EventLines::Text, event);
        assert_eq!(written("INFO refused\n"), "INFO refused\n");
        assert_eq!(written("INFO a\nERROR forged\r\n"), "INFO a\\nERROR forged\\r\n");
        assert_eq!(written("\n\n"), "\\n\n");
        assert_eq!(written(""), "");
    }

    #[test]
    fn an_event_moves_no_cursor_and_turns_no_text_around() {
        for c in [
            '\u{1b}', '\u{7}', '\t', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200b}',
            '\u{2028}', '\u{feff}',
        ] {
            let text = written(EventLines::Text, &format!("INFO a{c}b\n"));
            assert!(!text.contains(c) && text.ends_with("b\n"), "{text:?}");
            let event = serde_json::json!({"message": format!("a{c}b")});
            let json = written(EventLines::Json, &format!("{event}\n"));
            assert!(!json.contains(c) && json.ends_with("\"}\n"), "{json:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), event);
        }
    }
}
