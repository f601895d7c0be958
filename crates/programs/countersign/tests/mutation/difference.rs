//! What may differ in a bundle that is still good: evidence that was left out, or came from another
//! bundle of the same entry and was verified, and words that nobody signs and nobody believes.
//! Everything else would be a hole.

use serde_json::Value;

/// Whether two texts of JSON say the same: white space, order of members, absence for emptiness.
pub(crate) fn is_spelling(one: &[u8], other: &[u8]) -> bool {
    let read = |text| serde_json::from_slice::<Value>(text).ok().map(essence);
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// Differences that nothing explains.
pub(crate) fn unexplained(good: &Value, accepted: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (good, accepted) = (essence(good.clone()), essence(accepted.clone()));
    differences(&good, &accepted, "", &mut found);
    found.retain(|place| !is_explained(place, &good, &accepted));
    let shown = |place: &String| {
        format!("{place}: {:?} became {:?}", good.pointer(place), accepted.pointer(place))
    };
    found.iter().map(shown).collect()
}

fn is_explained(place: &str, good: &Value, accepted: &Value) -> bool {
    let (was, is) = (good.pointer(place), accepted.pointer(place));
    let version = accepted["mediaType"].as_str().unwrap_or_default();
    let has_set =
        accepted["verificationMaterial"]["tlogEntries"][0].get("inclusionPromise").is_some();
    let by_key = accepted["verificationMaterial"].get("publicKey").is_some();
    // Beside the good evidence, what is of nobody who is listed is passed over; of one who is, it
    // would have to hold.
    for list in ["/tlogEntries", "/timestampVerificationData/rfc3161Timestamps"] {
        let list = format!("/verificationMaterial{list}");
        let all = accepted.pointer(&list).and_then(Value::as_array);
        let still_there = good.pointer(&list).and_then(|good| good.get(0));
        let kept = still_there.is_some_and(|own| all.is_some_and(|all| all.contains(own)));
        if kept && place.starts_with(&format!("{list}/")) {
            return true;
        }
    }
    match place {
        // Nobody signs the version; each that is taken demands what the bundle holds.
        "/mediaType" => version.starts_with("application/vnd.dev.sigstore.bundle"),
        // Version 0.1 demands the SET alone.
        "/verificationMaterial/tlogEntries/0/inclusionProof"
        | "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint" => {
            (is.is_none() && has_set && version.ends_with("0.1"))
                // Taken from another bundle of the same entry, and so verified.
                || was.is_none()
        }
        // Where a log signed the time, or a key signed, a timestamp is evidence that need not be there.
        "/verificationMaterial/timestampVerificationData"
        | "/verificationMaterial/timestampVerificationData/rfc3161Timestamps" => {
            (has_set || by_key) && (is.is_none() || was.is_none())
        }
        // Lines of keys that nobody here knows: C2SP signed-note says to pass over them.
        "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope" => {
            own_part(was) == own_part(is)
        }
        // What is brought beside the leaf is a beginning of the trusted chain, of any length.
        _ => {
            let chain = "/verificationMaterial/x509CertificateChain/certificates/";
            let one = place.strip_prefix(chain).is_some_and(|rest| !rest.contains('/'));
            one && (is.is_none() || was.is_none())
        }
    }
}

/// A note up to the end of its first signature line.
fn own_part(note: Option<&Value>) -> Option<&str> {
    let note = note?.as_str()?;
    let lines = note.find("\n\n")? + 2;
    note.get(..lines + note.get(lines..)?.find('\n')? + 1)
}

fn differences(one: &Value, other: &Value, at: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let place = format!("{at}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differences(a, b, &place, found),
                    _ => found.push(place),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let place = format!("{at}/{index}");
                match (a.get(index), b.get(index)) {
                    (Some(a), Some(b)) => differences(a, b, &place, found),
                    _ => found.push(place),
                }
            }
        }
        (a, b) if a == b => {}
        _ => found.push(at.to_owned()),
    }
}

/// Without the members that protobuf takes for unset, and with integers as text.
fn essence(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, essence(value)));
            let unset = |value: &Value| match value {
                Value::Null => true,
                Value::String(text) => text.is_empty() || text == "0",
                Value::Array(values) => values.is_empty(),
                _ => false,
            };
            Value::Object(members.filter(|(_, value)| !unset(value)).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(essence).collect()),
        Value::Number(number) => Value::String(number.to_string()),
        other => other,
    }
}
