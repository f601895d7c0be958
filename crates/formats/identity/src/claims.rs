use std::{collections::BTreeMap, fmt};

use moment::UnixSeconds;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

/// Deepest nesting of a claim set. Keycloak's `resource_access` has 4 levels; a token has no use for more.
const MAX_DEPTH: usize = 16;

/// The claim set of one token, parsed once.
///
/// Every value keeps its exact JSON text, so integers beyond 2^53 (and beyond 64 bits) are not
/// rounded. JSON `null` reads as an absent claim. Duplicate names are refused at any depth (RFC 7519 §4
/// allows that), because two readers could otherwise see two identities in one token.
#[derive(Clone)]
pub struct Claims(BTreeMap<String, Box<RawValue>>);

impl Claims {
    /// Parses a JSON object.
    ///
    /// # Errors
    /// [`ClaimError::TooDeep`], [`ClaimError::NotAnObject`] (also for duplicate names).
    pub fn parse(json: &[u8]) -> Result<Self, ClaimError> {
        let text = std::str::from_utf8(json).map_err(|_| ClaimError::NotAnObject)?;
        if exceeds_depth(text) {
            return Err(ClaimError::TooDeep);
        }
        wire::json::from_str(text).map_err(|_| ClaimError::NotAnObject)
    }

    /// A string claim; `None` when absent or `null`.
    ///
    /// # Errors
    /// [`ClaimError::WrongType`].
    pub fn string(&self, name: &'static str) -> Result<Option<String>, ClaimError> {
        self.typed(name)
    }

    /// A string, or the exact digits of an integer; `None` when absent, `null` or empty.
    ///
    /// # Errors
    /// [`ClaimError::WrongType`] for fractions, booleans, lists and objects.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, ClaimError> {
        self.text_named(name).map_err(|_| ClaimError::WrongType(name))
    }

    /// Like [`Claims::text`], of a claim whose name is configured.
    ///
    /// # Errors
    /// For the types that [`Claims::text`] refuses.
    pub(crate) fn text_named(&self, name: &str) -> Result<Option<String>, serde_json::Error> {
        let Some(raw) = self.0.get(name) else { return Ok(None) };
        if is_integer(raw.get()) {
            return Ok(Some(raw.get().to_owned()));
        }
        let text: Option<String> = serde_json::from_str(raw.get())?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Like [`Claims::text`], of a member of nested objects, and of booleans too.
    ///
    /// # Errors
    /// For fractions, lists and objects, and when an object is expected where there is none.
    pub(crate) fn text_at(&self, path: &[String]) -> Result<Option<String>, ClaimError> {
        let wrong = |_| ClaimError::WrongType("a nested claim");
        let Some((first, rest)) = path.split_first() else { return Ok(None) };
        let Some(raw) = self.0.get(first) else { return Ok(None) };
        if !rest.is_empty() {
            let inner: Option<Self> = serde_json::from_str(raw.get()).map_err(wrong)?;
            return inner.map_or(Ok(None), |inner| inner.text_at(rest));
        }
        if matches!(raw.get(), "true" | "false") {
            return Ok(Some(raw.get().to_owned()));
        }
        self.text_named(first).map_err(wrong)
    }

    /// Like [`Claims::text`], for a claim without which there is no identity.
    ///
    /// # Errors
    /// [`ClaimError::Missing`], [`ClaimError::WrongType`].
    pub fn required_text(&self, name: &'static str) -> Result<String, ClaimError> {
        self.text(name)?.ok_or(ClaimError::Missing(name))
    }

    /// A `NumericDate` (RFC 7519 §2) in whole seconds, fractions cut off.
    ///
    /// # Errors
    /// [`ClaimError::WrongType`] for anything but a non-negative number without exponent.
    pub fn time(&self, name: &'static str) -> Result<Option<UnixSeconds>, ClaimError> {
        let Some(raw) = self.0.get(name).filter(|raw| raw.get() != "null") else {
            return Ok(None);
        };
        let (whole, fraction) = raw.get().split_once('.').unwrap_or((raw.get(), "0"));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ClaimError::WrongType(name));
        }
        whole
            .parse()
            .map(|seconds| Some(UnixSeconds(seconds)))
            .map_err(|_| ClaimError::WrongType(name))
    }

    /// A claim that is one string or a list of strings, as `aud` is (RFC 7519 §4.1.3).
    ///
    /// # Errors
    /// [`ClaimError::WrongType`].
    pub fn strings(&self, name: &'static str) -> Result<Vec<String>, ClaimError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(match self.typed(name)? {
            None => Vec::new(),
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        })
    }

    /// Whether the claim is `true`, or one of the strings `"true"` and `"True"` that some
    /// issuers send for `email_verified`.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|raw| matches!(raw.get(), "true" | "\"true\"" | "\"True\""))
    }

    /// The exact JSON text of a claim; `None` when absent or `null`.
    pub(crate) fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(AsRef::as_ref).filter(|raw| raw.get() != "null")
    }

    /// Reads a claim as `T`; `None` when absent or `null`.
    ///
    /// # Errors
    /// [`ClaimError::WrongType`].
    pub(crate) fn typed<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ClaimError> {
        let Some(raw) = self.0.get(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| ClaimError::WrongType(name))
    }
}

impl fmt::Debug for Claims {
    /// Shows names only: values are personal data and belong in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object with distinct names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut claims = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate claim"));
            }
        }
        Ok(Claims(claims))
    }
}

/// Why a claim cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ClaimError {
    /// Nested deeper than any real token.
    #[error("the claims are nested too deeply")]
    TooDeep,
    /// Of two claims of one name, readers disagree which counts.
    #[error("the claims are not a JSON object with distinct names")]
    NotAnObject,
    /// Absent, `null` or empty.
    #[error("claim `{0}` is missing")]
    Missing(&'static str),
    /// Of another JSON type than the claim must have.
    #[error("claim `{0}` has the wrong type")]
    WrongType(&'static str),
}

pub(crate) fn is_integer(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Counts brackets outside of strings. Whether they match is the parser's business.
fn exceeds_depth(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn keeps_integers_exact_beyond_53_and_64_bits() {
        let claims =
            claims(r#"{"a":9007199254740993,"b":123456789012345678901234567890,"c":1750000000}"#);
        assert_eq!(claims.text("a").unwrap().unwrap(), "9007199254740993");
        assert_eq!(claims.text("b").unwrap().unwrap(), "123456789012345678901234567890");
        assert_eq!(claims.text("c").unwrap().unwrap(), "1750000000");
    }

    #[test]
    fn reads_null_and_empty_as_absent() {
        let claims = claims(r#"{"a":null,"b":""}"#);
        assert_eq!(claims.text("a"), Ok(None));
        assert_eq!(claims.text("b"), Ok(None));
        assert_eq!(claims.time("a"), Ok(None));
        assert_eq!(claims.strings("a"), Ok(vec![]));
        assert_eq!(claims.required_text("a"), Err(ClaimError::Missing("a")));
        assert_eq!(claims.required_text("c"), Err(ClaimError::Missing("c")));
    }

    #[test]
    fn refuses_text_of_another_type() {
        let claims = claims(r#"{"a":true,"b":[1],"c":{},"d":1.5,"e":1e3}"#);
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(claims.text(name), Err(ClaimError::WrongType(name)));
        }
    }

    #[test]
    fn refuses_duplicate_names_also_when_escaped() {
        for json in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":"a","\u0069ss":"b"}"#,
            r#"{"kubernetes.io":{"namespace":"a","x":1,"x":2}}"#,
            r#"{"act":[{"sub":"a","sub":"b"}]}"#,
        ] {
            assert_eq!(Claims::parse(json.as_bytes()).err(), Some(ClaimError::NotAnObject));
        }
    }

    #[test]
    fn refuses_what_is_no_object() {
        for json in ["", "[]", "null", "1", "\"a\"", "{", "{}x", "{\"a\":}"] {
            assert_eq!(
                Claims::parse(json.as_bytes()).err(),
                Some(ClaimError::NotAnObject),
                "{json}"
            );
        }
        assert_eq!(Claims::parse(b"{\"a\":\"\xff\"}").err(), Some(ClaimError::NotAnObject));
    }

    #[test]
    fn bounds_nesting() {
        let nested =
            |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(Claims::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(
            Claims::parse(nested(MAX_DEPTH + 1).as_bytes()).err(),
            Some(ClaimError::TooDeep)
        );
        let brackets_in_text = format!("{{\"a\":\"{}\"}}", "[".repeat(100));
        assert!(Claims::parse(brackets_in_text.as_bytes()).is_ok());
    }

    #[test]
    fn reads_times_in_whole_seconds() {
        let claims =
            claims(r#"{"a":17,"b":17.9,"c":-1,"d":"17","e":1e9,"f":18446744073709551616}"#);
        assert_eq!(claims.time("a"), Ok(Some(UnixSeconds(17))));
        assert_eq!(claims.time("b"), Ok(Some(UnixSeconds(17))));
        for name in ["c", "d", "e", "f"] {
            assert_eq!(claims.time(name), Err(ClaimError::WrongType(name)));
        }
    }

    #[test]
    fn reads_one_or_many_strings() {
        let claims = claims(r#"{"a":"x","b":["x","y"],"c":7,"d":["x",1]}"#);
        assert_eq!(claims.strings("a").unwrap(), ["x"]);
        assert_eq!(claims.strings("b").unwrap(), ["x", "y"]);
        assert_eq!(claims.strings("c"), Err(ClaimError::WrongType("c")));
        assert_eq!(claims.strings("d"), Err(ClaimError::WrongType("d")));
    }

    #[test]
    fn knows_true_in_its_three_spellings() {
        let claims =
            claims(r#"{"a":true,"b":"true","c":"True","d":"TRUE","e":1,"f":false,"g":null}"#);
        for name in ["a", "b", "c"] {
            assert!(claims.is_true(name), "{name}");
        }
        for name in ["d", "e", "f", "g", "h"] {
            assert!(!claims.is_true(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", claims(r#"{"email":"secret@example.com"}"#));
        assert!(shown.contains("email") && !shown.contains("secret"));
    }

    proptest! {
        #[test]
        fn text_survives_byte_exact(value in ".{1,64}") {
            let json = serde_json::json!({ "a": value }).to_string();
            prop_assert_eq!(claims(&json).text("a").unwrap(), Some(value));
        }

        #[test]
        fn parse_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Claims::parse(&bytes);
        }
    }
}
