use std::fmt;

use super::ForgeKind;

/// An owner's or repository's URL, taken apart: `https://host/segment/...`.
///
/// Two of them are compared by their parts, never as texts: no prefix, user, port, escape or
/// dot segment makes one pass for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForgeUrl {
    /// As in [`super::Forge`].
    host: String,
    /// Unescaped.
    segments: Vec<String>,
}

impl ForgeUrl {
    /// `None` for anything but an https URL of plain segments: without user, query, fragment,
    /// empty and dot segments, and without a final slash.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        if !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        Some(Self { host: host_of(authority)?, segments: segments_of(path)? })
    }

    pub(super) const fn new(host: String, segments: Vec<String>) -> Self {
        Self { host, segments }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether both are one place to a forge of this kind.
    pub(super) fn is_same(&self, other: &Self, kind: ForgeKind) -> bool {
        self.segments.len() == other.segments.len() && self.is_at_or_above(other, kind)
    }

    /// Whether `other` is this place, or in it.
    pub(super) fn is_at_or_above(&self, other: &Self, kind: ForgeKind) -> bool {
        let mut pairs = self.segments.iter().zip(&other.segments);
        self.host == other.host
            && self.segments.len() <= other.segments.len()
            && pairs.all(|(one, other)| kind.is_same_name(one, other))
    }

    /// The same without `.git` at its end, which clone URLs have and names do not.
    pub(super) fn without_git_suffix(&self) -> Option<Self> {
        let (last, before) = self.segments.split_last()?;
        let last = last.strip_suffix(".git")?;
        let segments = before.iter().cloned().chain([last.to_owned()]).collect();
        Some(Self { host: self.host.clone(), segments })
    }
}

impl fmt::Display for ForgeUrl {
    /// Unescaped but for spaces: for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/{}", self.host, self.segments.join("/").replace(' ', "%20"))
    }
}

/// Host in lower case, with its port when that is another than 443. `None` for users, addresses in
/// brackets, empty labels (so also a final dot), and ports that are written oddly.
pub(super) fn host_of(authority: &str) -> Option<String> {
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (authority, None),
    };
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if !name.split('.').all(is_label) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    match port {
        None | Some("443") => Some(name),
        Some(port) => {
            let number: u16 = port.parse().ok()?;
            // `+8443` and `08443` are numbers too.
            (number > 0 && number.to_string() == port).then(|| format!("{name}:{port}"))
        }
    }
}

/// The segments of a path without its leading slash, unescaped.
pub(super) fn segments_of(path: &str) -> Option<Vec<String>> {
    path.split('/').map(unescaped).collect()
}

/// A segment whose escapes are undone (RFC 3986 §2.1); Azure's projects have spaces, the ids of
/// Bitbucket braces. `None` when what it hides could change the URL's meaning, or how it looks.
fn unescaped(segment: &str) -> Option<String> {
    if segment.contains(' ') {
        return None;
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut one = [0];
                hex::decode_to_slice([rest.next()?, rest.next()?], &mut one).ok()?;
                one[0]
            }
            plain => plain,
        };
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_plain = |c: char| c.is_alphanumeric() || "-_.~ {}()!$&'*+,;=".contains(c);
    let leads_somewhere = !text.is_empty() && !text.chars().all(|c| c == '.');
    (leads_somewhere && text.chars().all(is_plain)).then_some(text)
}
