//! Ways to break a bundle.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Chosen by a generator that is the same in every run (xorshift64*).
pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`, which is small.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(bits).unwrap() % bound.max(1)
    }

    /// `bundle` as JSON, broken in one or two places; parts may come from `others`.
    pub(crate) fn broken(&mut self, bundle: &Value, others: &[&Value]) -> Vec<u8> {
        let mut broken = bundle.clone();
        let places = 1 + self.below(2);
        let in_text = self.below(8) == 0;
        for _ in 0..places {
            if !in_text {
                self.change(&mut broken, others);
            }
        }
        let mut text = broken.to_string().into_bytes();
        if in_text {
            for _ in 0..places {
                self.change_bytes(&mut text);
            }
        }
        text
    }

    fn change(&mut self, bundle: &mut Value, others: &[&Value]) {
        let mut places = Vec::new();
        pointers(bundle, "", &mut places);
        let place = places[self.below(places.len())].clone();
        let foreign = others[self.below(others.len())].pointer(&place);
        match self.below(6) {
            0 => remove(bundle, &place),
            1 => *bundle.pointer_mut(&place).unwrap() = Value::Null,
            2 if foreign.is_some() => {
                *bundle.pointer_mut(&place).unwrap() = foreign.unwrap().clone();
            }
            _ => self.change_value(bundle.pointer_mut(&place).unwrap()),
        }
    }

    fn change_value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.other_text(text),
            Value::Array(elements) if !elements.is_empty() => {
                let at = self.below(elements.len());
                match self.below(3) {
                    0 => elements.push(elements[at].clone()),
                    1 => elements.reverse(),
                    _ => drop(elements.remove(at)),
                }
            }
            Value::Object(members) if !members.is_empty() => {
                let at = self.below(members.len());
                let name = members.keys().nth(at).unwrap().clone();
                let member = members.remove(&name).unwrap();
                let renamed = ["extra", "hint", "certificate", "publicKey"][self.below(4)];
                members.insert(renamed.to_owned(), member);
            }
            Value::Number(number) => *value = (number.as_i64().unwrap_or(0) + 1).into(),
            other => *other = Value::Bool(self.below(2) == 0),
        }
    }

    fn other_text(&mut self, text: &str) -> String {
        if let Ok(number) = text.parse::<i64>() {
            return (number + [-1, 1, 256, 1 << 32][self.below(4)]).to_string();
        }
        let decoded = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
        if let (Some(mut bytes), true) = (decoded, self.below(4) > 0) {
            // A document inside the document.
            if let Ok(mut inner) = serde_json::from_slice::<Value>(&bytes)
                && inner.is_object()
                && self.below(2) == 0
            {
                let mut places = Vec::new();
                pointers(&inner, "", &mut places);
                let place = places[self.below(places.len())].clone();
                self.change_value(inner.pointer_mut(&place).unwrap());
                return STANDARD.encode(inner.to_string());
            }
            self.change_bytes(&mut bytes);
            return STANDARD.encode(bytes);
        }
        let mut characters: Vec<char> = text.chars().collect();
        let at = self.below(characters.len());
        match self.below(5) {
            0 => characters.truncate(at),
            1 => characters.push(['A', '=', ' ', '\n', '\u{202e}'][self.below(5)]),
            2 if !characters.is_empty() => drop(characters.remove(at)),
            _ if !characters.is_empty() => {
                characters[at] = ['A', 'b', '0', '/', '\u{0}', '\u{e9}'][self.below(6)];
            }
            _ => characters.push('x'),
        }
        characters.into_iter().collect()
    }

    fn change_bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, bytes[at]),
            2 => bytes.truncate(at),
            3 => bytes[at] = u8::try_from(self.below(256)).unwrap(),
            _ => bytes[at] ^= 1 << self.below(8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// JSON pointers of everything below `at`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, v)| (name.clone(), v)).collect(),
        Value::Array(values) => {
            values.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect()
        }
        _ => Vec::new(),
    };
    for (step, child) in children {
        let place = format!("{at}/{}", step.replace('~', "~0").replace('/', "~1"));
        found.push(place.clone());
        pointers(child, &place, found);
    }
    if at.is_empty() && found.is_empty() {
        found.push(String::new());
    }
}

fn remove(value: &mut Value, place: &str) {
    let Some((parent, step)) = place.rsplit_once('/') else { return };
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => {
            members.remove(&step.replace("~1", "/").replace("~0", "~"));
        }
        Value::Array(values) => drop(values.remove(step.parse().unwrap())),
        _ => {}
    }
}
