//! JSON that means the same to every reader.
//!
//! RFC 8259 §4 leaves open what a repeated member means: most readers take the last, some the first,
//! ours would differ by the Rust type that is read. Whoever can make two readers see two values in one
//! signed text has signed twice. So every text from outside is read through here: a member given twice
//! is refused at any depth, also where nobody looks, and so is nesting beyond 128 levels, text that is
//! no UTF-8 or no Unicode (lone surrogates), and a number that no `f64` can hold.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};

use crate::inert;

/// Reads `json` as `T`.
///
/// # Errors
/// What is not JSON, has a member twice, or is not the shape.
pub fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    check(json)?;
    serde_json::from_slice(json)
}

/// Reads `json` as `T`, as [`from_slice`] does.
///
/// # Errors
/// Those of [`from_slice`].
pub fn from_str<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, serde_json::Error> {
    from_slice(json.as_bytes())
}

/// Looks through `json` to its end, for callers that read it in parts.
///
/// # Errors
/// What is not JSON, or has a member twice.
pub fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Unambiguous.deserialize(&mut reader)?;
    reader.end()
}

/// Any value, of which nothing is kept.
struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut names: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Name(name)) = object.next_key()? {
            names.push(name);
            object.next_value_seed(Self)?;
        }
        // Sorted, not hashed: an object of a million members must not cost its square.
        names.sort_unstable();
        let twice = names.windows(2).find_map(|pair| match pair {
            [one, next] if one == next => Some(one),
            _ => None,
        });
        match twice {
            None => Ok(()),
            Some(name) => {
                Err(de::Error::custom(format_args!("duplicate field `{}`", inert::escape(name))))
            }
        }
    }
}

/// A member's name with its escapes resolved: `iss` and `\u0069ss` are one.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_member_given_twice_is_refused_wherever_it_is() {
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"x":{"a":null,"a":null}}]"#,
            r#"{"x":[0,{"y":{"a":{},"a":[]}}]}"#,
            r#"{"":0,"":0}"#,
        ] {
            let error = from_str::<Value>(twice).unwrap_err();
            assert!(error.to_string().starts_with("duplicate field `"), "{twice}: {error}");
            serde_json::from_str::<Value>(twice).unwrap();
        }
    }

    #[test]
    fn one_name_in_several_objects_is_no_repetition() {
        for once in
            [r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#, r#"[{"a":1},{"a":1}]"#, r#"{"a":1,"A":2}"#]
        {
            from_str::<Value>(once).unwrap();
        }
    }

    #[test]
    fn what_readers_differ_on_is_refused_also_where_nobody_looks() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for odd in [
            &b"{\"x\":\"\xff\"}"[..],
            br#"{"x":"\ud800"}"#,
            br#"{"x":1e999}"#,
            br#"{"x":01}"#,
            br#"{"x":1,}"#,
            br"{} {}",
            deep.as_bytes(),
        ] {
            from_slice::<Empty>(odd).unwrap_err();
        }
        from_str::<Empty>(r#"{"x":[1,-1,1.5,"\ud83d\ude00",null,true]}"#).unwrap();
    }

    #[derive(Debug, Deserialize)]
    struct Empty {}

    #[test]
    fn the_error_shows_the_name_as_inert_text() {
        let error = check("{\"\u{202e}\\n\":1,\"\u{202e}\\n\":2}".as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(r"duplicate field `\u{202e}\n`"), "{error}");
    }

    #[test]
    fn many_members_are_compared_in_no_more_than_a_moment() {
        let members: Vec<String> = (0..200_000).map(|n| format!("\"{n}\":0")).collect();
        check(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_once_is_read_as_it_is(value in value()) {
            prop_assert_eq!(from_str::<Value>(&value.to_string()).unwrap(), value);
        }

        #[test]
        fn never_panics(json in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = check(&json);
        }
    }
}
