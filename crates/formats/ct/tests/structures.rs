//! The structures of RFC 6962, byte by byte.

use crypto::{KeyType, LocalSigner, Signer, Unsigned};
use ct::{LogEntry, PreCertEntry, Sct, SctError, TimestampedEntry};
use moment::UnixMillis;
use proptest::prelude::*;

const NOW: UnixMillis = UnixMillis(1_790_000_000);

#[test]
fn structures_have_the_bytes_of_rfc_6962() {
    let entry =
        LogEntry::Precertificate(PreCertEntry { issuer_key_hash: [0xaa; 32], tbs: vec![1, 2, 3] });
    let hash = "aa".repeat(32);
    let body = format!("0000000000000102 0001 {hash} 000003 010203 0001 09").replace(' ', "");
    let signed = ct::signed_data(&entry, UnixMillis(0x0102), &[9]).unwrap();
    assert_eq!(hex::encode(signed), format!("0000{body}"));
    let leaf = ct::merkle_tree_leaf(&entry, UnixMillis(0x0102), &[9]).unwrap();
    assert_eq!(hex::encode(leaf), format!("0000{body}"));

    let entry = LogEntry::Certificate(vec![7]);
    let leaf = ct::merkle_tree_leaf(&entry, UnixMillis(1), &[]).unwrap();
    assert_eq!(hex::encode(leaf), "0000000000000000000100000000010700 00".replace(' ', ""));
    let head = ct::tree_head_signed_data(UnixMillis(1), 2, &[0xbb; 32]);
    let expected = format!("0001{:016x}{:016x}{}", 1, 2, "bb".repeat(32));
    assert_eq!(hex::encode(head), expected);
}

#[test]
fn a_leaf_reads_back_to_its_last_byte_and_nothing_else_does() {
    let precertificate = PreCertEntry { issuer_key_hash: [0xaa; 32], tbs: vec![1, 2, 3] };
    for entry in [LogEntry::Precertificate(precertificate), LogEntry::Certificate(vec![7])] {
        let leaf = ct::merkle_tree_leaf(&entry, NOW, &[9]).unwrap();
        let expected = TimestampedEntry { timestamp: NOW, entry, extensions: vec![9] };
        assert_eq!(TimestampedEntry::of_leaf(&leaf), Some(expected));
        for length in 0..leaf.len() {
            assert_eq!(TimestampedEntry::of_leaf(&leaf[..length]), None, "{length}");
        }
        assert_eq!(TimestampedEntry::of_leaf(&[leaf.as_slice(), &[0]].concat()), None);
        for at in [0, 1, 10, 11] {
            let mut other = leaf.clone();
            other[at] ^= 2;
            assert_eq!(TimestampedEntry::of_leaf(&other), None, "{at}");
        }
    }
}

#[test]
fn refuses_fields_longer_than_their_prefix() {
    let entry = LogEntry::Certificate(Vec::new());
    assert_eq!(ct::signed_data(&entry, UnixMillis(0), &vec![0; 0x1_0000]), Err(SctError::TooLong));
    let entry = LogEntry::Certificate(vec![0; 0x100_0000]);
    assert_eq!(ct::merkle_tree_leaf(&entry, UnixMillis(0), &[]), Err(SctError::TooLong));
    let sct = Sct { signature: vec![0; 0x1_0000], ..sct(1) };
    assert_eq!(sct.encode(), Err(SctError::TooLong));
}

#[test]
fn log_releases_no_sct_that_does_not_verify() {
    let log = LocalSigner::generate(KeyType::EcdsaP256, "log").unwrap();
    let unsigned = ct::UnsignedSct::new(LogEntry::Certificate(vec![1]), NOW).unwrap();
    let signature = log.sign_now(b"something else").unwrap();
    let error = unsigned.clone().with_signature(&signature, log.public_key()).unwrap_err();
    assert_eq!(error, SctError::SignatureMismatch);
    let wrong = LocalSigner::generate(KeyType::Ed25519, "log").unwrap();
    let signature = wrong.sign_now(unsigned.bytes_to_sign()).unwrap();
    let error = unsigned.with_signature(&signature, wrong.public_key()).unwrap_err();
    assert_eq!(error, SctError::LogKey);
}

// RFC 6962 section 2.1.4 leaves logs the choice; before, SCTs by RSA did not even decode.
#[test]
fn scts_of_an_rsa_log_verify_and_fit_no_other_key() {
    let log = LocalSigner::generate(KeyType::Rsa2048, "log").unwrap();
    let entry = LogEntry::Certificate(vec![7]);
    let message = ct::signed_data(&entry, NOW, &[]).unwrap();
    let sct_of = |algorithm| Sct {
        log_id: log.public_key().spki_sha256(),
        timestamp: NOW,
        extensions: Vec::new(),
        algorithm,
        signature: log.sign_now(&message).unwrap(),
    };
    let sct = Sct::decode(&sct_of([4, 1]).encode().unwrap()).unwrap();
    sct.verify(&entry, log.public_key()).unwrap();
    let other = sct_of([6, 1]).verify(&entry, log.public_key());
    assert_eq!(other, Err(SctError::SignatureMismatch));
    let ecdsa = sct_of([4, 3]).verify(&entry, log.public_key());
    assert_eq!(ecdsa, Err(SctError::LogKey));
}

fn sct(timestamp: u64) -> Sct {
    Sct {
        log_id: [1; 32],
        timestamp: UnixMillis(timestamp),
        extensions: vec![4],
        algorithm: ct::SHA256_WITH_ECDSA,
        signature: vec![0x30, 0],
    }
}

#[test]
fn sct_lists_survive_encoding() {
    for scts in [vec![sct(1)], vec![sct(2), sct(u64::MAX)]] {
        let list = ct::encode_sct_list(&scts).unwrap();
        assert_eq!(ct::decode_sct_list(&list), Ok(scts));
    }
}

#[test]
fn refuses_malformed_scts() {
    let good = sct(1).encode().unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        Sct::decode(&bytes)
    };
    assert_eq!(Sct::decode(&good), Ok(sct(1)));
    assert_eq!(changed(0, 1), Err(SctError::Version));
    assert_eq!(changed(44, 2), Err(SctError::SignatureAlgorithm));
    assert_eq!(changed(44, 3), Err(SctError::SignatureAlgorithm));
    assert_eq!(changed(45, 0), Err(SctError::SignatureAlgorithm));
    assert_eq!(changed(45, 2), Err(SctError::SignatureAlgorithm));
    assert_eq!(changed(45, 1).unwrap().algorithm, [4, 1], "RSA, RFC 6962 section 2.1.4");
    assert_eq!(Sct::decode(&[good.as_slice(), &[0]].concat()), Err(SctError::Malformed));
    for length in 0..good.len() {
        assert!(Sct::decode(&good[..length]).is_err(), "{length}");
    }
}

#[test]
fn refuses_empty_lists_and_bytes_after_them() {
    assert_eq!(ct::decode_sct_list(&[]), Err(SctError::Malformed));
    assert_eq!(ct::decode_sct_list(&[0, 0]), Err(SctError::Malformed));
    let mut list = ct::encode_sct_list(&[sct(1)]).unwrap();
    list.push(0);
    assert_eq!(ct::decode_sct_list(&list), Err(SctError::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_that_decode_as_sct_encode_back(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(sct) = Sct::decode(&bytes) {
            prop_assert_eq!(sct.encode().unwrap(), bytes.clone());
        }
        let _ = ct::decode_sct_list(&bytes);
    }
}

#[test]
fn a_tree_head_takes_its_logs_signature_and_no_other() {
    let key = |key_type| LocalSigner::generate(key_type, "log").unwrap();
    let log = key(KeyType::EcdsaP256);
    let unsigned = ct::UnsignedTreeHead::new(UnixMillis(1), 2, [0xbb; 32]);
    assert_eq!(unsigned.bytes_to_sign(), ct::tree_head_signed_data(UnixMillis(1), 2, &[0xbb; 32]));
    let sign = |signer: &LocalSigner| {
        let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
        unsigned.clone().with_signature(&signature, log.public_key())
    };
    let signed = sign(&log).unwrap();
    assert_eq!(
        (signed.timestamp, signed.tree_size, signed.root_hash),
        (UnixMillis(1), 2, [0xbb; 32])
    );
    let (algorithm, signature) = ct::decode_digitally_signed(&signed.digitally_signed).unwrap();
    assert_eq!(algorithm, ct::SHA256_WITH_ECDSA);
    log.public_key().verify(unsigned.bytes_to_sign(), signature).unwrap();
    assert_eq!(sign(&key(KeyType::EcdsaP256)), Err(SctError::SignatureMismatch));
}
