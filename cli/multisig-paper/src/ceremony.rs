//! The ceremonies: two phrases made separately, one manifest signed at both stations.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chain::{ChainId, KeyRole};
use chain_adapters::Adapters;
use clap::{Args, Subcommand};
use custody::{
    CustodyId,
    manifest::{self, Manifest, PublicHalf, SignedManifest},
    phrase::Phrase,
};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::{
    Output, Station,
    files::{self, NewFile},
    phrase_prompt,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the cold phrase: it is shown once, and only its public half is written.
    Cold(Make),
    /// Make the cool phrase: it is shown once, and only its public half is written.
    Cool(Make),
    /// Make an unsigned manifest from the two public halves and the safe destinations.
    Manifest(Compose),
    /// Sign the manifest at a station; the station's phrase is read from standard input.
    Sign(Sign),
    /// Show a manifest, its digest and who has signed it.
    Show(Show),
}

#[derive(Args)]
pub(crate) struct Make {
    /// Where the public half is written (JSON).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Do not ask for the phrase to be typed back. Implied by `-o json`, which prints the phrase for a script.
    #[arg(long)]
    no_confirm: bool,
}

#[derive(Args)]
pub(crate) struct Compose {
    /// The cool station's public half.
    #[arg(long, value_name = "FILE")]
    cool: PathBuf,
    /// The cold station's public half.
    #[arg(long, value_name = "FILE")]
    cold: PathBuf,
    /// An address that an evacuation may send to, for example eip155:1=0x5aAe...; repeatable.
    #[arg(long, value_name = "CHAIN=ADDRESS", required = true, value_parser = destination)]
    safe: Vec<(ChainId, String)>,
    /// The custody's identity, 32 hex digits; random by default.
    #[arg(long, value_name = "ID", conflicts_with = "previous")]
    custody_id: Option<CustodyId>,
    /// The manifest that this one replaces: same custody, next revision.
    #[arg(long, value_name = "MANIFEST")]
    previous: Option<PathBuf>,
    /// Where the manifest is written (JSON).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The manifest; the signature is added to it.
    manifest: PathBuf,
    /// Which station this is.
    #[arg(long, value_enum)]
    role: Station,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The manifest.
    manifest: PathBuf,
}

pub(crate) fn run(command: Command, output: Output) -> Result<()> {
    match command {
        Command::Cold(make) => make_phrase(KeyRole::Cold, &make, output),
        Command::Cool(make) => make_phrase(KeyRole::Cool, &make, output),
        Command::Manifest(compose) => compose_manifest(compose, output),
        Command::Sign(sign) => sign_manifest(&sign, output),
        Command::Show(show) => {
            let signed = files::manifest(&show.manifest)?;
            print_manifest(&signed, &signers(&signed, &show.manifest)?, output)
        }
    }
}

/// Digits at the end of the manifest's digest that people keep on paper.
pub(crate) const PAPER_DIGITS: usize = 8;

fn make_phrase(role: KeyRole, make: &Make, output: Output) -> Result<()> {
    let file = NewFile::create(&make.out)?;
    let phrase = Phrase::generate(&mut OsRng);
    let half = PublicHalf::from_keys(role, &phrase.keys())?;
    if output == Output::Text {
        phrase_prompt::show(role, &phrase)?;
        if !make.no_confirm {
            phrase_prompt::confirm(role, &phrase)?;
        }
    }
    file.finish(&half.to_json())?;
    match output {
        Output::Text => println!("public half: {}", make.out.display()),
        Output::Json => {
            let words: Vec<&str> = phrase.words().collect();
            println!("{}", json!({"role": role, "phrase": words.join(" "), "publicHalf": half}));
        }
    }
    Ok(())
}

fn compose_manifest(compose: Compose, output: Output) -> Result<()> {
    let file = NewFile::create(&compose.out)?;
    let half = |path: &Path| PublicHalf::parse(&files::read(path)?).with_context(|| path.display().to_string());
    let (custody_id, revision) = match &compose.previous {
        Some(path) => {
            let previous = files::verified_manifest(path)?;
            let next = previous.manifest().revision.checked_add(1).context("the revision cannot rise further")?;
            (previous.custody_id(), next)
        }
        None => (compose.custody_id.unwrap_or_else(|| CustodyId::generate(&mut OsRng)), 1),
    };
    let mut safe_destinations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (chain, address) in compose.safe {
        safe_destinations.entry(chain.to_string()).or_default().push(address);
    }
    let signed = SignedManifest::new(Manifest {
        version: manifest::VERSION,
        custody_id,
        revision,
        cool: half(&compose.cool)?,
        cold: half(&compose.cold)?,
        safe_destinations,
    })?;
    file.finish(&signed.to_json())?;
    print_manifest(&signed, &[], output)
}

fn sign_manifest(sign: &Sign, output: Output) -> Result<()> {
    let role = sign.role.into();
    let mut signed = files::manifest(&sign.manifest)?;
    signers(&signed, &sign.manifest)?;
    check_destinations(signed.unverified())?;
    let shown = describe(&signed);
    match output {
        Output::Text => print!("The {role} station signs:\n{shown}"),
        Output::Json => eprint!("The {role} station signs:\n{shown}"),
    }
    let phrase = phrase_prompt::read(role)?;
    signed.sign(role, &phrase.keys())?;
    files::replace(&sign.manifest, &signed.to_json())?;
    let signers = signers(&signed, &sign.manifest)?;
    match output {
        Output::Text => print!("{}{}", signed_by(&signers), for_the_paper(&signed)),
        Output::Json => println!("{}", summary(&signed, &signers)),
    }
    Ok(())
}

/// By which an evacuation is held to this revision: the keys of all revisions are the same.
fn for_the_paper(signed: &SignedManifest) -> String {
    let (revision, digest) = (signed.unverified().revision, signed.digest());
    let digits = &digest[digest.len() - PAPER_DIGITS..];
    format!(
        "Write on the paper with the phrase, and cross out what an earlier revision had there: manifest revision {revision}, \
         digest ends with {digits}. An evacuation asks for these {PAPER_DIGITS} digits.\n"
    )
}

fn signers(signed: &SignedManifest, path: &Path) -> Result<Vec<KeyRole>> {
    signed.signers().with_context(|| path.display().to_string())
}

fn print_manifest(signed: &SignedManifest, signers: &[KeyRole], output: Output) -> Result<()> {
    check_destinations(signed.unverified())?;
    match output {
        Output::Text => print!("{}{}", describe(signed), signed_by(signers)),
        Output::Json => println!("{}", summary(signed, signers)),
    }
    Ok(())
}

/// What the stations sign, one fact a line.
fn describe(signed: &SignedManifest) -> String {
    let Manifest { version: _, custody_id, revision, cool, cold, safe_destinations } = signed.unverified();
    let mut text = format!("  custody   {custody_id}\n  revision  {revision}\n  digest    {}\n", signed.digest());
    for half in [cool, cold] {
        let _ = writeln!(text, "  {:<9} identity {}", half.role, half.identity);
        for (namespace, key) in &half.keys {
            let _ = writeln!(text, "            {namespace} {key}");
        }
    }
    for (chain, addresses) in safe_destinations {
        for address in addresses {
            let _ = writeln!(text, "  safe      {chain} {address}");
        }
    }
    text
}

fn signed_by(signers: &[KeyRole]) -> String {
    let missing: Vec<_> = [KeyRole::Cool, KeyRole::Cold].into_iter().filter(|role| !signers.contains(role)).collect();
    match missing.as_slice() {
        [] => "signed by cool and cold: complete\n".to_owned(),
        [role] => format!("signed by {}, not yet by {role}\n", signers[0]),
        _ => "not signed yet\n".to_owned(),
    }
}

fn summary(signed: &SignedManifest, signers: &[KeyRole]) -> Value {
    let manifest = signed.unverified();
    json!({
        "digest": signed.digest(),
        "custodyId": manifest.custody_id,
        "revision": manifest.revision,
        "cool": manifest.cool,
        "cold": manifest.cold,
        "safeDestinations": manifest.safe_destinations,
        "signedBy": signers,
        "complete": signed.verify().is_ok(),
    })
}

/// `CHAIN=ADDRESS`; the address with a correct checksum or in lower case, kept in display form.
fn destination(text: &str) -> Result<(ChainId, String)> {
    let Some((chain, address)) = text.split_once('=') else {
        bail!("expected CHAIN=ADDRESS, for example eip155:1=0x5aAe...");
    };
    let chain = chain.parse()?;
    let address = Adapters::all().rules(&chain)?.address(address)?;
    Ok((chain, address))
}

/// An address with a wrong checksum is a misread one.
fn check_destinations(manifest: &Manifest) -> Result<()> {
    for (chain, addresses) in &manifest.safe_destinations {
        let rules = Adapters::all().rules(&chain.parse()?)?;
        for address in addresses {
            rules.address(address).with_context(|| format!("safe destination on {chain}"))?;
        }
    }
    Ok(())
}
