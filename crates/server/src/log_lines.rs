//! One event, one line: what callers sent cannot write lines of its own into the log.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

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
