//! Just enough DER to make certificates and requests with keys that never change.

use const_oid::{
    ObjectIdentifier,
    db::{rfc4519, rfc5280, rfc5912, rfc8410},
};
use crypto::{LocalSigner, PublicKey, Signer};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

/// A CA that issues for everything, as DER.
pub(crate) fn root(signer: &LocalSigner) -> Vec<u8> {
    let extensions = [
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &[SEQUENCE, 3, BOOLEAN, 1, 0xff]),
        // keyCertSign and cRLSign.
        extension(rfc5280::ID_CE_KEY_USAGE, true, &[BIT_STRING, 2, 1, 0x06]),
        extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &[OCTET_STRING, 2, 0xca, 1]),
    ];
    certificate(signer, "root", signer.public_key(), &extensions)
}

/// A certificate for stamping time, issued by [`root`]'s signer.
pub(crate) fn timestamping(issuer: &LocalSigner, key: &PublicKey) -> Vec<u8> {
    let purposes = element(SEQUENCE, &[&oid(rfc5280::ID_KP_TIME_STAMPING)]);
    let extensions = [
        // digitalSignature.
        extension(rfc5280::ID_CE_KEY_USAGE, true, &[BIT_STRING, 2, 7, 0x80]),
        extension(rfc5280::ID_CE_EXT_KEY_USAGE, true, &purposes),
    ];
    certificate(issuer, "timestamping", key, &extensions)
}

/// A PKCS#10 request, as PEM.
pub(crate) fn request(signer: &LocalSigner) -> String {
    let spki = signer.public_key().spki_der();
    let info =
        element(SEQUENCE, &[&[INTEGER, 1, 0], &name("client"), spki, &element(CONTEXT_0, &[])]);
    pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", signed(signer, &info)))
}

/// PKCS#8 of an Ed25519 key (RFC 8410 §7).
pub(crate) fn ed25519_pkcs8(seed: &[u8; 32]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, &[&oid(rfc8410::ID_ED_25519)]);
    let key = element(OCTET_STRING, &[&element(OCTET_STRING, &[seed])]);
    element(SEQUENCE, &[&[INTEGER, 1, 0], &algorithm, &key])
}

/// PKCS#8 of a P-256 key (RFC 5915 §3), without its public half.
pub(crate) fn p256_pkcs8(scalar: &[u8; 32]) -> Vec<u8> {
    let curve = oid(rfc5912::SECP_256_R_1);
    let algorithm = element(SEQUENCE, &[&oid(rfc5912::ID_EC_PUBLIC_KEY), &curve]);
    let key = element(SEQUENCE, &[&[INTEGER, 1, 1], &element(OCTET_STRING, &[scalar])]);
    element(SEQUENCE, &[&[INTEGER, 1, 0], &algorithm, &element(OCTET_STRING, &[&key])])
}

/// A certificate of [`root`]'s name, signed with Ed25519, valid from 2020 to 2049.
fn certificate(
    issuer: &LocalSigner,
    subject: &str,
    key: &PublicKey,
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    let time = |text: &str| element(UTC_TIME, &[text.as_bytes()]);
    let tbs = element(
        SEQUENCE,
        &[
            &element(CONTEXT_0, &[&[INTEGER, 1, 2]]),
            &[INTEGER, 1, 7],
            &element(SEQUENCE, &[&oid(rfc8410::ID_ED_25519)]),
            &name("root"),
            &element(SEQUENCE, &[&time("200101000000Z"), &time("491231235959Z")]),
            &name(subject),
            key.spki_der(),
            &element(CONTEXT_3, &[&element(SEQUENCE, &extensions)]),
        ],
    );
    signed(issuer, &tbs)
}

/// The outer sequence that certificates and requests share.
fn signed(signer: &LocalSigner, to_be_signed: &[u8]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, &[&oid(rfc8410::ID_ED_25519)]);
    let signature = signer.sign_now(to_be_signed).unwrap();
    element(SEQUENCE, &[to_be_signed, &algorithm, &element(BIT_STRING, &[&[0], &signature])])
}

fn extension(id: ObjectIdentifier, critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 1, 0xff] } else { &[] };
    element(SEQUENCE, &[&oid(id), critical, &element(OCTET_STRING, &[content])])
}

fn name(common_name: &str) -> Vec<u8> {
    let part = |id: ObjectIdentifier, text: &str| {
        let text = element(UTF8_STRING, &[text.as_bytes()]);
        element(SET, &[&element(SEQUENCE, &[&oid(id), &text])])
    };
    element(SEQUENCE, &[&part(rfc4519::O, "countersign.test"), &part(rfc4519::CN, common_name)])
}

fn oid(id: ObjectIdentifier) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, &[id.as_bytes()])
}

pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut out = vec![tag];
    match length {
        [0, low @ ..0x80] => out.push(low),
        [0, low] => out.extend_from_slice(&[0x81, low]),
        [high, low] => out.extend_from_slice(&[0x82, high, low]),
    }
    out.extend_from_slice(&content);
    out
}
