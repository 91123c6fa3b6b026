//! Promises of the audit chain: whatever was done to it after it was written is found, and named.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io;

use audit::{
    AuditError, Broken, Decision, EVACUATION_SIGN, Entry, Export, Head, Header, Line, MAX_LINE_BYTES, Record, SIGN,
    compare, fork, next, read, read_header, verify, write,
};
use proptest::prelude::*;

const CUSTODY: [u8; 16] = [7; 16];
const CHAIN: &str = "eip155:1";

fn entry(role: &str, digest: u8) -> Entry {
    Entry {
        at_ms: 1_700_000_000_000 + u64::from(digest),
        role: role.to_owned(),
        custody_id: CUSTODY.to_vec(),
        requester: "app".to_owned(),
        requester_key: vec![3; 32],
        operation_id: vec![digest; 16],
        operation: SIGN.to_owned(),
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        digest: vec![digest; 32],
        decision: Decision::Signed,
        policy_digest: vec![4; 32],
        trust_digest: vec![5; 32],
        ..Entry::default()
    }
}

fn export(role: &str, entries: impl IntoIterator<Item = Entry>) -> Export {
    let mut head = Head::EMPTY;
    let mut lines = Vec::new();
    for entry in entries {
        let (record, after) = next(&head, entry);
        head = after;
        lines.push(Line::from(record));
    }
    Export { header: Header::new(role, CUSTODY.to_vec(), head), lines }
}

/// A Keeper that signed digests 1 to `count`.
fn keeper(count: u8) -> Export {
    export("keeper", (1..=count).map(|digest| entry("keeper", digest)))
}

fn text(export: &Export) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, &export.header, export.lines.iter().map(|line| Ok::<_, io::Error>(line.record.clone()))).unwrap();
    out
}

/// Each field of a record, changed a little.
fn changes() -> Vec<fn(&mut Record)> {
    vec![
        |record| record.seq ^= 1,
        |record| record.at_ms += 1,
        |record| record.role.push('x'),
        |record| record.custody_id[0] ^= 1,
        |record| record.requester = "admin".to_owned(),
        |record| record.requester_key.clear(),
        |record| record.operation_id[15] ^= 1,
        |record| record.operation = EVACUATION_SIGN.to_owned(),
        |record| record.wallet = "bob".to_owned(),
        |record| record.chain = "eip155:10".to_owned(),
        |record| record.digest[31] ^= 0x80,
        |record| record.decision = "Refused".to_owned(),
        |record| record.reason = "Frozen".to_owned(),
        |record| record.policy_digest[0] ^= 1,
        |record| record.trust_digest.clear(),
        |record| record.previous[0] ^= 1,
    ]
}

#[test]
fn what_was_written_is_read_and_whole() {
    let export = keeper(5);
    assert_eq!(read(&text(&export)[..]).unwrap(), export);
    let verified = verify(&export, &[Head::EMPTY, export.lines[2].record.head(), export.header.head]).unwrap();
    assert_eq!(verified.head, export.header.head);
    assert_eq!(verified.decisions, [("Signed".to_owned(), 5)].into());
    assert!(verify(&keeper(0), &[Head::EMPTY]).is_ok());
}

#[test]
fn a_changed_field_is_named_whether_or_not_its_hash_was_mended() {
    for (seq, change) in (1..=4u64).flat_map(|seq| changes().into_iter().map(move |change| (seq, change))) {
        let mut changed = keeper(4);
        let line = &mut changed.lines[seq as usize - 1];
        change(&mut line.record);
        assert_eq!(verify(&changed, &[]), Err(Broken::Changed { seq }));
        let line = &mut changed.lines[seq as usize - 1];
        *line = Line::from(line.record.clone());
        assert!(verify(&changed, &[]).is_err(), "mended at {seq}");
    }
    let mut mended = keeper(4);
    mended.lines[1].record.wallet = "bob".to_owned();
    mended.lines[1] = Line::from(mended.lines[1].record.clone());
    assert_eq!(verify(&mended, &[]), Err(Broken::Changed { seq: 2 }));
}

#[test]
fn removed_records_are_named_also_at_both_ends() {
    for seq in 1..=5u64 {
        let mut removed = keeper(5);
        removed.lines.remove(seq as usize - 1);
        assert_eq!(verify(&removed, &[]), Err(Broken::Removed { seq, count: 1 }));
    }
    let mut removed = keeper(5);
    removed.lines.drain(1..4);
    assert_eq!(verify(&removed, &[]), Err(Broken::Removed { seq: 2, count: 3 }));
}

#[test]
fn swapped_and_moved_records_are_called_reordered() {
    for (a, b) in [(0, 1), (1, 3), (0, 4), (3, 4)] {
        let mut swapped = keeper(5);
        swapped.lines.swap(a, b);
        assert_eq!(verify(&swapped, &[]), Err(Broken::Reordered { seq: a as u64 + 1 }));
    }
    let mut moved = keeper(5);
    let line = moved.lines.remove(1);
    moved.lines.push(line);
    assert_eq!(verify(&moved, &[]), Err(Broken::Reordered { seq: 2 }));
}

#[test]
fn an_inserted_record_is_named_whether_copied_or_made_to_fit() {
    let mut copied = keeper(4);
    copied.lines.insert(3, copied.lines[1].clone());
    assert_eq!(verify(&copied, &[]), Err(Broken::Inserted { seq: 4 }));
    let mut fits = keeper(4);
    let (record, _) = next(&fits.lines[1].record.head(), entry("keeper", 99));
    fits.lines.insert(2, Line::from(record));
    assert_eq!(verify(&fits, &[]), Err(Broken::Inserted { seq: 3 }));
    let mut stray = keeper(4);
    let (record, _) = next(&Head { count: 2, hash: [9; 32] }, entry("keeper", 99));
    stray.lines.insert(2, Line::from(record));
    assert_eq!(verify(&stray, &[]), Err(Broken::Inserted { seq: 3 }));
    let mut appended = keeper(4);
    let (record, _) = next(&appended.header.head, entry("keeper", 99));
    appended.lines.push(Line::from(record));
    assert_eq!(verify(&appended, &[]), Err(Broken::Inserted { seq: 5 }));
}

#[test]
fn a_chain_written_anew_shows_by_any_head_that_left_before() {
    let genuine = keeper(5);
    let anew = export("keeper", (1..=5).map(|digest| entry("keeper", if digest == 3 { 33 } else { digest })));
    assert!(verify(&anew, &[]).is_ok(), "by itself it looks whole");
    assert!(verify(&anew, &[genuine.lines[1].record.head()]).is_ok(), "this head is older than the lie");
    assert_eq!(verify(&anew, &[genuine.lines[2].record.head()]), Err(Broken::Forked { count: 3 }));
    assert_eq!(fork(&genuine, &anew), Some(3));
    assert_eq!(fork(&genuine, &keeper(2)), None);
}

#[test]
fn a_chain_older_than_a_published_head_was_rolled_back() {
    assert_eq!(verify(&keeper(3), &[keeper(5).header.head]), Err(Broken::RolledBack { published: 5, count: 3 }));
    assert_eq!(verify(&keeper(3), &[Head { count: 0, hash: [1; 32] }]), Err(Broken::Forked { count: 0 }));
}

#[test]
fn a_header_that_belongs_to_another_chain_is_refused() {
    let mut other = keeper(3);
    other.header.role = "cooler".to_owned();
    assert_eq!(verify(&other, &[]), Err(Broken::Foreign { seq: 1 }));
    let mut other = keeper(3);
    other.header.custody_id = vec![8; 16];
    assert_eq!(verify(&other, &[]), Err(Broken::Foreign { seq: 1 }));
    let mut other = keeper(3);
    other.header.head.hash[0] ^= 1;
    assert_eq!(verify(&other, &[]), Err(Broken::Changed { seq: 3 }));
}

#[test]
fn records_from_before_the_custody_was_known_belong_to_the_chain() {
    let before = Entry { custody_id: Vec::new(), ..entry("keeper", 1) };
    assert!(verify(&export("keeper", [before, entry("keeper", 2)]), &[]).is_ok());
}

#[test]
fn signatures_that_only_one_signer_made_are_named_and_evacuations_stand_apart() {
    let sweep = |digest| Entry { operation: EVACUATION_SIGN.to_owned(), ..entry("cooler", digest) };
    let refused = |role, digest| Entry { decision: Decision::Refused, ..entry(role, digest) };
    let elsewhere = Entry { chain: "eip155:10".to_owned(), ..entry("cooler", 1) };
    let hot = export("keeper", [entry("keeper", 1), entry("keeper", 2), entry("keeper", 2), refused("keeper", 5)]);
    let cool = export("cooler", [entry("cooler", 1), refused("cooler", 2), entry("cooler", 5), sweep(9), elsewhere]);
    let found = compare(&hot, &cool);
    let shown = |list: &[audit::Signature]| -> Vec<_> {
        list.iter().map(|one| (one.role.clone(), one.seq, one.chain.clone(), one.digest[0])).collect()
    };
    assert_eq!(found.both, 1);
    assert_eq!(shown(&found.keeper_only), [("keeper".to_owned(), 2, CHAIN.to_owned(), 2)]);
    let alarming = [("cooler".to_owned(), 5, "eip155:10".to_owned(), 1), ("cooler".to_owned(), 3, CHAIN.to_owned(), 5)];
    assert_eq!(shown(&found.cooler_only), alarming);
    assert_eq!(shown(&found.evacuations), [("cooler".to_owned(), 4, CHAIN.to_owned(), 9)]);
}

#[test]
fn what_is_no_export_of_this_version_is_refused_by_its_own_reason() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err();
    assert!(matches!(refused(b""), AuditError::Empty));
    assert!(matches!(refused(b"hello\n"), AuditError::Format));
    assert!(matches!(refused(b"{\"format\":\"other\",\"version\":1}\n"), AuditError::Format));
    assert!(matches!(refused(b"{\"format\":\"multisig-audit\",\"version\":2}\n"), AuditError::Version(2)));
    assert!(matches!(
        refused(b"{\"format\":\"multisig-audit\",\"version\":1}\n"),
        AuditError::Malformed { line: 1, .. }
    ));
    assert!(matches!(refused(&vec![b'x'; MAX_LINE_BYTES + 1]), AuditError::LineTooLong(1)));
    let good = text(&keeper(2));
    assert!(matches!(refused(&good[..good.len() - 1]), AuditError::Cut(3)));
    let said = String::from_utf8(good).unwrap();
    for (from, to) in [
        ("\"seq\":2", "\"seq\": 2"),
        ("\"seq\":2", "\"extra\":1,\"seq\":2"),
        ("\"reason\":\"\"", "\"reason\":\"\\u0041\""),
    ] {
        let bad = said.replacen(from, to, 1);
        assert!(matches!(refused(bad.as_bytes()), AuditError::NotExact(2 | 3)), "{to}");
    }
    for (from, to) in [("alice", "al\u{9b}ce"), ("\"seq\":2", "\"seq\":-2"), ("\"seq\":2,", "")] {
        let bad = said.replace(from, to);
        assert!(matches!(refused(bad.as_bytes()), AuditError::Malformed { line: 2 | 3, .. }), "{to}");
    }
}

#[test]
fn a_record_full_of_the_worst_text_can_be_exported() {
    let worst = || "\\".repeat(600);
    let (record, head) = next(
        &Head::EMPTY,
        Entry {
            requester: worst(),
            operation: worst(),
            wallet: worst(),
            chain: worst(),
            reason: worst(),
            digest: vec![0; 600],
            ..entry("keeper", 1)
        },
    );
    let whole = Export { header: Header::new("keeper", CUSTODY.to_vec(), head), lines: vec![Line::from(record)] };
    assert_eq!(read(&text(&whole)[..]).unwrap(), whole);
}

#[test]
fn the_first_line_alone_remembers_a_head() {
    let export = keeper(3);
    assert_eq!(read_header(&text(&export)[..]).unwrap().head, export.header.head);
}

/// Refused by the reader or by the verification.
fn found(bytes: &[u8]) -> bool {
    read(bytes).map_or(true, |export| verify(&export, &[]).is_err())
}

proptest! {
    #[test]
    fn any_changed_removed_or_added_byte_is_found(at in any::<prop::sample::Index>(), xor in 1u8.., what in 0..3) {
        let mut bytes = text(&keeper(4));
        let at = at.index(bytes.len());
        match what {
            0 => bytes[at] ^= xor,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, xor),
        }
        prop_assert!(found(&bytes));
    }

    #[test]
    fn any_removed_swapped_copied_or_foreign_line_is_found(
        at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), what in 0..4,
    ) {
        let good = text(&keeper(6));
        let mut lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
        let (at, to) = (at.index(lines.len()), to.index(lines.len()));
        let other = text(&export("keeper", (50..60).map(|digest| entry("keeper", digest))));
        match what {
            0 => drop(lines.remove(at)),
            1 if at != to => lines.swap(at, to),
            2 => lines.insert(to, lines[at]),
            _ => lines.insert(to, other.split_inclusive(|byte| *byte == b'\n').nth(at).unwrap()),
        }
        prop_assert!(found(&lines.concat()));
    }

    #[test]
    fn the_reader_never_panics_and_what_it_reads_is_written_back(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for bytes in [bytes.clone(), [&text(&keeper(1))[..], &bytes].concat()] {
            if let Ok(export) = read(&bytes[..]) {
                let _ = verify(&export, &[Head::EMPTY]);
                prop_assert!(export.lines.iter().any(|line| *line != Line::from(line.record.clone())) || text(&export) == bytes);
            }
        }
    }
}
