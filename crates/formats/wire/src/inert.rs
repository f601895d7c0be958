//! Text of others, made to be shown: one value stays one value on one line.
//!
//! A terminal obeys escape sequences, a log reader and a CI runner begin anew at each line
//! (`::set-output`), a browser and an editor turn text around at bidirectional marks, and nobody sees
//! what has no width. So each program has one writer, and it shows these characters as escapes.
//! So is `##[`, which GitHub's runner obeys anywhere in a line, as Azure's agent does `##vso[`.
//! Letters that look like other letters are shown as they are: homoglyphs are out of scope.

use std::{borrow::Cow, fmt::Write};

/// Whether `c` has no place in a name: it moves the cursor or the line, turns what follows it around
/// (UAX 9), or shows as nothing and means nothing in any script.
///
/// Not so the joiners U+200C and U+200D and the variation selectors, which words of some scripts and
/// emoji need: they may stand in a name, and are shown as escapes.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    // Controls of C0 and C1, and DEL.
    c.is_control()
        // Soft hyphen; marks of direction.
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        // Line and paragraph separator; isolates, and the deprecated format characters after them.
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{206f}')
        // Without width: grapheme joiner, vowel separators, space, word joiner and invisible
        // operators, byte order mark, annotations.
        || matches!(c, '\u{34f}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}')
        || matches!(c, '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}')
        // Fillers that are letters by class and blank by shape.
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
        // Musical and shorthand format controls; tags.
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether `c` is shown as an escape: what [`is_deceptive`], and what shows as nothing beside it.
fn must_be_escaped(c: char) -> bool {
    is_deceptive(c)
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
        // Spaces of other widths, which pad a value until it wraps to a line of its own.
        || matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
        // The rest of the plane of tags and variation selectors, all default ignorable.
        || matches!(c, '\u{e0080}'..='\u{e0fff}')
}

/// `text` on one line: `\n`, `\r`, `\t`, and all else that is not to be seen as `\u{202e}`.
///
/// A backslash stays one, so that escaping twice changes nothing and Windows paths can be read. What
/// is shown is for eyes; machines read JSON, which [`escape_json`] leaves unambiguous.
///
/// Of three spaces in a row the middle one is escaped, since a terminal wraps what is padded.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    let shown = escape_characters(text);
    if shown.contains("   ") { Cow::Owned(shown.replace("   ", " \\u{20} ")) } else { shown }
}

fn escape_characters(text: &str) -> Cow<'_, str> {
    escape_with(text, |shown, c| {
        let _ = match c {
            '\n' => shown.write_str("\\n"),
            '\r' => shown.write_str("\\r"),
            '\t' => shown.write_str("\\t"),
            c => write!(shown, "\\u{{{:x}}}", u32::from(c)),
        };
    })
}

/// `json`, which must be JSON on one line, with such characters of its strings as `\uXXXX`: the same
/// value to every reader, and nothing to a terminal.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    escape_with(json, |shown, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

fn escape_with(text: &str, write_escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(|c| must_be_escaped(c) || c == '#') else {
        return Cow::Borrowed(text);
    };
    let (plain, rest) = text.split_at(first);
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(plain);
    for (at, c) in rest.char_indices() {
        let begins_command = c == '#' && rest.get(at..).is_some_and(is_command);
        if begins_command || must_be_escaped(c) {
            write_escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether all of it is printing ASCII that begins no command: nearly all text, and then nothing is
/// decoded or copied.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'#')
}

/// Whether a runner of a CI would take `text` for an order to itself: the older form of GitHub's
/// workflow commands, Azure Pipelines' logging commands, those of `TeamCity`.
///
/// Only the first bytes are looked at: a text of marks alone asks this of each of them.
fn is_command(text: &str) -> bool {
    ["##[", "##vso[", "##teamcity["]
        .iter()
        .any(|of| text.get(..of.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(of)))
}

/// Escapes each line of a text whose line ends are our own.
#[must_use]
pub fn escape_each_line(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => escape_characters(line) + "\n",
            None => escape_characters(line),
        })
        .collect()
}

/// Escapes the bytes of one event or line, but for a final line feed; bytes that are no UTF-8 are
/// shown as `\xff`.
#[must_use]
pub fn escape_line(line: &[u8]) -> Cow<'_, [u8]> {
    let (body, end) = match line.strip_suffix(b"\n") {
        Some(body) => (body, "\n"),
        None => (line, ""),
    };
    if is_plain(body) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(line.len());
    for chunk in body.utf8_chunks() {
        shown.push_str(&escape_characters(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown.push_str(end);
    Cow::Owned(shown.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One of each kind, and how it is shown.
    const HOSTILE: &[(char, &str)] = &[
        ('\0', "\\u{0}"),
        ('\u{7}', "\\u{7}"),
        ('\t', "\\t"),
        ('\n', "\\n"),
        ('\r', "\\r"),
        ('\u{1b}', "\\u{1b}"),
        ('\u{7f}', "\\u{7f}"),
        ('\u{85}', "\\u{85}"),
        ('\u{9b}', "\\u{9b}"),
        ('\u{ad}', "\\u{ad}"),
        ('\u{61c}', "\\u{61c}"),
        ('\u{180e}', "\\u{180e}"),
        ('\u{200b}', "\\u{200b}"),
        ('\u{200e}', "\\u{200e}"),
        ('\u{200f}', "\\u{200f}"),
        ('\u{2028}', "\\u{2028}"),
        ('\u{2029}', "\\u{2029}"),
        ('\u{202a}', "\\u{202a}"),
        ('\u{202e}', "\\u{202e}"),
        ('\u{2060}', "\\u{2060}"),
        ('\u{2064}', "\\u{2064}"),
        ('\u{2066}', "\\u{2066}"),
        ('\u{2069}', "\\u{2069}"),
        ('\u{206f}', "\\u{206f}"),
        ('\u{3164}', "\\u{3164}"),
        ('\u{feff}', "\\u{feff}"),
        ('\u{fff9}', "\\u{fff9}"),
        ('\u{e0001}', "\\u{e0001}"),
        ('\u{e0041}', "\\u{e0041}"),
    ];

    #[test]
    fn what_moves_turns_or_hides_is_shown_as_an_escape() {
        for (c, shown) in HOSTILE {
            assert!(is_deceptive(*c), "{shown}");
            assert_eq!(escape(&format!("a{c}b")), format!("a{shown}b"));
        }
        for c in ['\u{200c}', '\u{200d}', '\u{fe0f}', '\u{e0100}'] {
            assert!(!is_deceptive(c), "words and emoji need it");
            assert_ne!(escape(&c.to_string()), c.to_string());
        }
    }

    #[test]
    fn text_of_people_is_shown_as_it_is() {
        for text in
            ["größe", "日本語", "עברית", "فارسی", "C:\\new\\table", "a b", "\u{1f680}", "%0a", ""]
        {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
            assert!(!text.chars().any(is_deceptive), "{text}");
        }
    }

    #[test]
    fn no_runner_finds_an_order_to_itself() {
        for (text, shown) in [
            ("a ##[set-output name=x]y", "a \\u{23}#[set-output name=x]y"),
            ("##vso[task.setvariable]", "\\u{23}#vso[task.setvariable]"),
            ("###VSO[x]", "#\\u{23}#VSO[x]"),
            ("##teamcity[x]", "\\u{23}#teamcity[x]"),
        ] {
            assert_eq!(escape(text), shown);
            let json = serde_json::to_string(text).unwrap();
            assert!(!escape_json(&json).to_lowercase().contains("##vso["));
            assert_eq!(serde_json::from_str::<String>(&escape_json(&json)).unwrap(), text);
        }
        for text in ["# title", "## title [x]", "a#b", "https://ci.example/#1"] {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn json_keeps_its_value() {
        for (c, _) in HOSTILE {
            let json = serde_json::to_string(&format!("a{c}b\\")).unwrap();
            let shown = escape_json(&json);
            assert!(!shown.chars().any(must_be_escaped), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), format!("a{c}b\\"));
        }
    }

    #[test]
    fn a_line_keeps_its_end_and_no_other() {
        let shown = |line: &[u8]| escape_line(line).into_owned();
        assert_eq!(shown(b"INFO refused\n"), b"INFO refused\n");
        assert_eq!(shown(b"INFO a\nERROR forged\r\n"), b"INFO a\\nERROR forged\\r\n");
        assert_eq!(shown(b"\n\n"), b"\\n\n");
        assert_eq!(shown(b""), b"");
        assert_eq!(shown(b"a\xff\x9bb\xe2\x80"), br"a\xff\x9bb\xe2\x80");
        assert_eq!(shown("\u{9b}2J".as_bytes()), br"\u{9b}2J");
    }

    #[test]
    fn megabytes_of_marks_that_begin_no_command_are_read_once() {
        let marks = "#".repeat(4 << 20);
        assert_eq!(escape(&marks), marks);
    }

    #[test]
    fn what_is_plain_needs_no_closer_look() {
        for byte in u8::MIN..=u8::MAX {
            let c = char::from(byte);
            let needs_none = c.is_ascii() && !must_be_escaped(c) && c != '#';
            assert_eq!(is_plain(&[b'a', byte]), needs_none, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_one_line_without_such_characters(text: String) {
            let shown = escape(&text);
            prop_assert!(!shown.chars().any(must_be_escaped));
            prop_assert_eq!(shown.lines().count().max(1), 1);
            prop_assert_eq!(escape(&shown), shown.clone(), "twice is once");
        }

        #[test]
        fn a_character_is_shown_as_itself_or_as_an_escape(c in any::<char>()) {
            let shown = escape(c.encode_utf8(&mut [0; 4])).into_owned();
            prop_assert_eq!(shown.chars().count() == 1, !must_be_escaped(c));
        }

        #[test]
        fn json_means_what_it_meant(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let shown = escape_json(&json);
            prop_assert!(!shown.chars().any(must_be_escaped));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }

        #[test]
        fn lines_of_any_bytes_are_text(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let shown = String::from_utf8(escape_line(&line).into_owned()).unwrap();
            let body = shown.strip_suffix('\n').unwrap_or(&shown);
            prop_assert!(!body.chars().any(must_be_escaped));
        }
    }

    #[test]
    fn padding_is_seen_as_padding() {
        assert_eq!(escape("a b  c"), "a b  c");
        assert_eq!(escape("a   b"), "a \\u{20} b");
        assert!(!escape(&" ".repeat(70)).contains("   "));
        assert_eq!(escape("a\u{a0}\u{3000}b"), "a\\u{a0}\\u{3000}b");
        // Our own lines are indented.
        assert_eq!(escape_each_line("a:\n    b"), "a:\n    b");
    }
}
