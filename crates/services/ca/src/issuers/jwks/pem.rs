use base64::{Engine, engine::general_purpose::STANDARD};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The contents of every block `PUBLIC KEY` (RFC 7468 §13), DER. `None` when there is anything else
/// between begin and end lines: a private key has no business here, and half a file none either.
pub(super) fn public_keys(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (&mut block, line) {
            (None, BEGIN) => block = Some(String::new()),
            (Some(base64), END) => {
                keys.push(STANDARD.decode(base64.as_bytes()).ok()?);
                block = None;
            }
            (_, line) if line.starts_with("-----") => return None,
            (Some(base64), line) => base64.push_str(line),
            // Text around the blocks is for people (RFC 7468 §2).
            (None, _) => {}
        }
    }
    block.is_none().then_some(keys)
}
