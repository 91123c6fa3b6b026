//! Promises of the file: what was signed is imported byte by byte as it was, or not at all.

use ed25519_dalek::SigningKey;

use super::*;

fn key(fill: u8) -> SigningKey {
    SigningKey::from_bytes(&[fill; 32])
}

fn custody() -> CustodyId {
    CustodyId::from_slice(&[7; 16]).unwrap()
}

fn file(key: Option<&SigningKey>) -> Vec<u8> {
    let mut file = HistoryWriter::begin(Vec::new(), custody(), Role::Keeper).unwrap();
    file.list("wallets").unwrap();
    for wallet in ["alice", "bob"] {
        let signed =
            SignedAt { claims: vec![Claim::Sequence(4)], kind: Kind::Payment, digest: Hex([9; 32]), payment_id: None };
        let (wallet, chain) = (wallet.to_owned(), "eip155:1".to_owned());
        file.item(&WalletHistory { wallet, chain, signed: vec![signed], ..WalletHistory::default() }).unwrap();
    }
    for list in ["evacuations", "intents", "freezes", "announcements"] {
        file.list(list).unwrap();
    }
    file.finish(key).unwrap()
}

fn read(file: &[u8], keys: &[u8], unsigned: bool) -> Result<History, HistoryError> {
    let keys: Vec<_> = keys.iter().map(|fill| key(*fill).verifying_key()).collect();
    let document = Signed::read(file).document(&keys, unsigned)?;
    History::parse(document, custody(), Role::Keeper)
}

#[test]
fn a_file_counts_with_the_signature_of_an_accepted_key_and_without_one_only_if_that_is_said() {
    let (signed, unsigned) = (file(Some(&key(1))), file(None));
    let history = read(&signed, &[2, 1], false).unwrap();
    assert_eq!(history.wallets.iter().map(|it| it.wallet.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(history.version, VERSION);
    assert_eq!(read(&unsigned, &[1], false), Err(HistoryError::Unsigned));
    assert_eq!(read(&unsigned, &[], true).unwrap(), history);
    let signer = Hex(key(1).verifying_key().to_bytes());
    for unsigned in [false, true] {
        assert_eq!(read(&signed, &[2], unsigned), Err(HistoryError::UnknownSigner { signer }));
    }
    // Its signature cut off it is one that nobody has signed.
    let document = Signed::read(&signed).document;
    assert_eq!((document, read(document, &[1], false)), (&unsigned[..], Err(HistoryError::Unsigned)));
}

#[test]
fn no_changed_byte_of_a_signed_file_is_imported() {
    let good = file(Some(&key(1)));
    let document = Signed::read(&good).document.len();
    for at in 0..document - 1 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(read(&bad, &[1], true), Err(HistoryError::Tampered), "byte {at}");
    }
    let mut joined = good.clone();
    joined[document - 1] = b' ';
    assert_eq!(read(&joined, &[1], false), Err(HistoryError::Unsigned), "the signature has no line of its own");
    for (more, why) in
        [(&b" "[..], HistoryError::Unsigned), (b"\n", HistoryError::Tampered), (b"{}\n", HistoryError::Tampered)]
    {
        let bad = [&good[..document], more, &good[document..]].concat();
        assert_eq!(read(&bad, &[1], false), Err(why));
    }
    for at in document..good.len() - 1 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read(&bad, &[1], false).is_err(), "byte {at} of the signature's line");
    }
}

#[test]
fn a_signature_of_another_kind_is_none_of_a_history() {
    use protocol::{attestation::attest, ops::Attestation};
    use sha2::{Digest, Sha256};

    let document = file(None);
    let digest = Sha256::digest(&document).to_vec();
    let Attestation { signer, signature, .. } = attest(protocol::attestation::AUDIT_HEAD, digest, &key(1));
    let (signer, signature) = (chain::hex::encode(signer), chain::hex::encode(signature));
    let line = format!("{{\"signer\":\"{signer}\",\"signature\":\"{signature}\"}}\n");
    assert_eq!(read(&[&document[..], line.as_bytes()].concat(), &[1], true), Err(HistoryError::Tampered));
}
