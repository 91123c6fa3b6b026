//! The cool phrase on its way to Cooler.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chain::KeyRole;
use clap::{Args, Subcommand};
use custody::{Role, identity::Identity, manifest::VerifiedManifest};
use rand_core::OsRng;
use serde_json::json;

use crate::{
    Output,
    files::{self, NewFile},
    phrase_prompt,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Seal the cool phrase (read from standard input) to Cooler's XKey; only Cooler can open the file.
    Seal(Seal),
}

#[derive(Args)]
pub(crate) struct Seal {
    /// The manifest, signed by both stations.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Cooler's XKey (X...), or a file with Cooler's identity as JSON; its fingerprint is then printed.
    #[arg(long, value_name = "XKEY|FILE")]
    to: String,
    /// Where the sealed phrase is written (JSON).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// To whom.
struct Recipient {
    xkey: String,
    /// Known only from an identity.
    fingerprint: Option<String>,
}

pub(crate) fn run(command: Command, output: Output) -> Result<()> {
    let Command::Seal(Seal { manifest, to, out }) = command;
    let file = NewFile::create(&out)?;
    let manifest = files::verified_manifest(&manifest)?;
    let Recipient { xkey, fingerprint } = recipient(&to, &manifest)?;
    let announce = match &fingerprint {
        Some(fingerprint) => format!("sealing to Cooler with fingerprint {fingerprint}"),
        None => format!("sealing to {xkey}"),
    };
    eprintln!("{announce}; compare it with what Cooler's admin reads out before you type the phrase");
    let phrase = phrase_prompt::read(KeyRole::Cool)?;
    let sealed = custody::sealed_phrase::seal(&phrase, &manifest, &xkey, &mut OsRng)?;
    file.finish(&sealed.to_json())?;
    match output {
        Output::Text => println!("sealed cool phrase: {}", out.display()),
        Output::Json => println!(
            "{}",
            json!({
                "recipient": sealed.recipient,
                "fingerprint": fingerprint,
                "custodyId": sealed.custody_id,
                "manifestDigest": sealed.manifest_digest,
            })
        ),
    }
    Ok(())
}

/// An XKey is taken as it is; an identity must be Cooler's, proven, and of this custody.
fn recipient(to: &str, manifest: &VerifiedManifest) -> Result<Recipient> {
    let path = Path::new(to);
    if !path.exists() {
        if to.starts_with('X') {
            return Ok(Recipient { xkey: to.to_owned(), fingerprint: None });
        }
        bail!("--to '{to}' is neither an XKey (X...) nor a file");
    }
    let identity: Identity =
        serde_json::from_slice(&files::read(path)?).with_context(|| format!("{to} is not an identity"))?;
    if identity.role != Role::Cooler {
        bail!("{to} is the identity of {}; the cool phrase goes only to cooler", identity.role);
    }
    if identity.custody_id.is_some_and(|id| id != manifest.custody_id()) {
        bail!("{to} is the identity of another custody's cooler");
    }
    custody::identity::verify(&identity).with_context(|| to.to_owned())?;
    let fingerprint = custody::identity::fingerprint(identity.role, &identity.keys);
    Ok(Recipient { xkey: identity.keys.xkey, fingerprint: Some(fingerprint) })
}
