//! One event, one line: what callers sent cannot write lines of its own into the log. And which
//! events: never fewer than the trail of the keys.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

/// Keeps the trail of what keys were used for in a filter that does not name it: who asks for fewer
/// lines (`warn`) did not ask for certificates without a record. `audit=off` leaves it out.
pub(crate) fn with_audit(filter: &str) -> String {
    const TARGET: &str = "audit";
    let is_named = |directive: &str| {
        let target = directive.split(['=', '[']).next().unwrap_or_default();
        target.trim() == TARGET
    };
    if filter.split(',').any(is_named) {
        filter.to_owned()
    } else {
        format!("{filter},{TARGET}=info")
    }
}

/// Standard error, for a formatter that writes each event with one call.
///
/// tracing quotes texts, and takes escape sequences out of errors, but leaves their line feeds:
/// an error that quotes a caller (a PEM label, say) would forge log lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLines;

impl MakeWriter<'_> for LogLines {
    type Writer = OneLine<io::Stderr>;

    fn make_writer(&self) -> Self::Writer {
        OneLine(io::stderr())
    }
}

/// Escapes every line break but the last.
pub(crate) struct OneLine<W>(W);

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (body, end) = match event.strip_suffix(b"\n") {
            Some(body) => (body, b"\n".as_slice()),
            None => (event, b"".as_slice()),
        };
        if body.iter().any(|byte| is_break(*byte)) {
            let mut line = Vec::with_capacity(event.len() + 16);
            for byte in body {
                match byte {
                    b'\n' => line.extend_from_slice(b"\\n"),
                    b'\r' => line.extend_from_slice(b"\\r"),
                    byte => line.push(*byte),
                }
            }
            line.extend_from_slice(end);
            self.0.write_all(&line)?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
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
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        ["request", "trouble", "signing"].into_iter().filter(|word| text.contains(word)).collect()
    }

    #[test]
    fn a_quiet_log_still_has_the_trail_of_the_keys() {
        assert_eq!(let_through("info,sqlx=warn"), ["request", "trouble", "signing"]);
        assert_eq!(let_through("warn"), ["trouble", "signing"]);
        assert_eq!(let_through("warn,countersign_ca::audit=debug"), ["trouble", "signing"]);
        assert_eq!(let_through("off"), ["signing"]);
        assert_eq!(let_through(""), ["signing"]);
        assert_eq!(let_through("warn, audit=off"), ["trouble"], "who names it, decides");
    }

    fn written(event: &str) -> String {
        let mut writer = OneLine(Vec::new());
        writer.write_all(event.as_bytes()).unwrap();
        String::from_utf8(writer.0).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        assert_eq!(written("INFO refused\n"), "INFO refused\n");
        assert_eq!(written("INFO a\nERROR forged\r\n"), "INFO a\\nERROR forged\\r\n");
        assert_eq!(written("\n\n"), "\\n\n");
        assert_eq!(written(""), "");
    }
}
