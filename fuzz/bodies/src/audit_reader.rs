//! Audit exports: any file, two of them side by side, and a genuine one that somebody has changed.

use std::io;

use audit::{
    Decision, EVACUATION_SIGN, Entry, Export, Head, Header, Line, Record, SIGN, attested, compare, fork, hash, next,
    read, read_header, verify, write,
};

use crate::input::Input;

const CUSTODY: [u8; 16] = [7; 16];

/// Reads `data` as one export or two, or builds one from it and changes it.
pub fn audit_reader(data: &[u8]) {
    let mut input = Input::new(data);
    match input.choice(4) {
        0 => drop(one(input.rest())),
        1 => two(input),
        2 => changed(&mut input),
        _ => touched(&mut input),
    }
}

/// An accepted file is the only way to write what it says.
fn one(bytes: &[u8]) -> Option<Export> {
    let export = read(bytes).ok()?;
    let said = export.lines.iter().map(|line| serde_json::to_string(line).unwrap());
    let lines = [serde_json::to_string(&export.header).unwrap()].into_iter().chain(said);
    let again: String = lines.map(|line| line + "\n").collect();
    assert!(again.as_bytes() == bytes, "read and written again it is another file");
    assert_eq!(read_header(bytes).ok().as_ref(), Some(&export.header));
    let _ = attested(&export.header, &[]);
    if let Ok(verified) = verify(&export, &[Head::EMPTY]) {
        assert!(written(&export) == bytes, "whole, yet not what a signer writes");
        assert_eq!((verified.head, verified.decisions.values().sum()), (export.header.head, verified.head.count));
        assert!(verify(&export, &[export.header.head]).is_ok());
    }
    Some(export)
}

/// Two exports say the same of each other in either order.
fn two(input: Input<'_>) {
    let (a, b) = input.two();
    let (Some(a), Some(b)) = (one(a), one(b)) else { return };
    side_by_side(&a, &b);
    side_by_side(&a, &a);
    assert_eq!(fork(&a, &a), None);
    assert_eq!(fork(&a, &b), fork(&b, &a));
}

fn side_by_side(a: &Export, b: &Export) {
    let (there, back) = (compare(a, b), compare(b, a));
    assert_eq!((there.both, there.keeper_only, there.cooler_only), (back.both, back.cooler_only, back.keeper_only));
    assert_eq!(there.evacuations.len(), back.evacuations.len());
    let own = compare(a, a);
    assert!(own.keeper_only.is_empty() && own.cooler_only.is_empty());
}

/// Whatever was done to a chain whose head is known, it is found.
fn changed(input: &mut Input<'_>) {
    let genuine = export((0..input.choice(6)).map(|_| entry(input)).collect());
    assert_eq!(read(&written(&genuine)[..]).ok().as_ref(), Some(&genuine), "a signer writes what is not read");
    let mut changed = genuine.clone();
    for _ in 0..input.choice(4) {
        tamper(&mut changed, input);
    }
    let mended = input.choice(2) == 1;
    if mended {
        mend(&mut changed);
    }
    let whole = verify(&changed, &[genuine.header.head]);
    let continued = mended && changed.lines.starts_with(&genuine.lines);
    assert_eq!(whole.is_ok(), continued || changed == genuine, "{whole:?}");
    side_by_side(&genuine, &changed);
    assert_eq!(fork(&genuine, &changed), fork(&changed, &genuine));
}

/// No byte of a file can be touched so that its records are read as whole and say something else, or the same.
fn touched(input: &mut Input<'_>) {
    let genuine = export((0..=input.choice(3)).map(|_| entry(input)).collect());
    let mut text = written(&genuine);
    for _ in 0..=input.choice(4) {
        touch(&mut text, input);
    }
    let Some(read) = one(&text) else { return };
    if verify(&read, &[genuine.header.head]).is_ok() {
        assert_eq!(read.lines, genuine.lines);
    }
}

/// One byte changed, removed or inserted, or two of a line's fields swapped.
fn touch(text: &mut Vec<u8>, input: &mut Input<'_>) {
    let Some(at) = usize::from(u16::from_be_bytes(input.array())).checked_rem(text.len()) else { return };
    match input.choice(4) {
        0 => text[at] ^= input.byte(),
        1 => drop(text.remove(at)),
        2 => text.insert(at, input.byte()),
        _ => {
            let mut parts: Vec<&[u8]> = text.split(|byte| *byte == b',').collect();
            let (a, b) = (at % parts.len(), usize::from(input.byte()) % parts.len());
            parts.swap(a, b);
            *text = parts.join(&b',');
        }
    }
}

fn entry(input: &mut Input<'_>) -> Entry {
    let text = |input: &mut Input<'_>| String::from_utf8_lossy(input.bytes()).into_owned();
    Entry {
        at_ms: input.u64(),
        role: "keeper".to_owned(),
        custody_id: CUSTODY.to_vec(),
        operation: [SIGN, EVACUATION_SIGN, "Freeze"][usize::from(input.choice(3))].to_owned(),
        wallet: text(input),
        chain: text(input),
        digest: input.bytes().to_vec(),
        decision: [Decision::Signed, Decision::Refused][usize::from(input.choice(2))],
        reason: text(input),
        ..Entry::default()
    }
}

fn export(entries: Vec<Entry>) -> Export {
    let mut head = Head::EMPTY;
    let mut lines = Vec::new();
    for entry in entries {
        let (record, after) = next(&head, entry);
        head = after;
        lines.push(Line::from(record));
    }
    Export { header: Header::new("keeper", CUSTODY.to_vec(), head), lines }
}

/// One change, by somebody who may write the file.
fn tamper(export: &mut Export, input: &mut Input<'_>) {
    let count = export.lines.len();
    let mut place = || usize::from(input.byte()).checked_rem(count);
    let (Some(a), Some(b)) = (place(), place()) else { return };
    match input.choice(6) {
        0 => drop(export.lines.remove(a)),
        1 => export.lines.swap(a, b),
        2 => export.lines.insert(b, export.lines[a].clone()),
        3 => export.lines.truncate(a),
        4 => field(&mut export.lines[a].record, input),
        _ => {
            field(&mut export.lines[a].record, input);
            export.lines[a].hash = hash(&export.lines[a].record);
        }
    }
}

fn field(record: &mut Record, input: &mut Input<'_>) {
    match input.choice(6) {
        0 => record.seq = input.u64(),
        1 => record.at_ms = input.u64(),
        2 => record.digest = input.bytes().to_vec(),
        3 => record.previous = input.bytes().to_vec(),
        4 => record.decision = Decision::Done.as_str().to_owned(),
        _ => record.wallet.push('x'),
    }
}

/// All of the chain written anew, its header too: only a head that was kept elsewhere can tell.
fn mend(export: &mut Export) {
    let mut head = Head::EMPTY;
    for line in &mut export.lines {
        (line.record.seq, line.record.previous) = (head.count + 1, head.hash.to_vec());
        line.hash = hash(&line.record);
        head = Head { count: line.record.seq, hash: line.hash };
    }
    export.header.head = head;
}

fn written(export: &Export) -> Vec<u8> {
    let mut bytes = Vec::new();
    let records = export.lines.iter().map(|line| Ok::<_, io::Error>(line.record.clone()));
    write(&mut bytes, &export.header, records).expect("a vector takes everything");
    bytes
}
