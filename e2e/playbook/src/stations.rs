//! The cold and the cool station: two folders, two phrases, one manifest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::Commands;

/// A station with its phrase "on paper": the phrase is held by the test alone.
pub struct Station {
    /// The station's folder; nothing but public halves and the manifest leaves it.
    pub folder: PathBuf,
    /// The phrase that the ceremony showed once.
    pub phrase: String,
}

/// After the ceremonies.
pub struct Ceremonies {
    /// Where the cold phrase was made.
    pub cold: Station,
    /// Where the cool phrase was made.
    pub cool: Station,
    /// The manifest, signed at both stations.
    pub manifest: PathBuf,
    /// Its digest, as both admins pin it.
    pub digest: String,
    /// The custody's id.
    pub custody_id: String,
}

impl Ceremonies {
    /// `cool seal`: the cool phrase, sealed to Cooler's own key; returns the file to be carried there.
    pub async fn seal_cool(&self, commands: &Commands, xkey: &str) -> Result<PathBuf> {
        let sealed = self.cool.folder.join("sealed.json");
        commands
            .paper()
            .words("cool seal --manifest")
            .arg(&self.manifest)
            .arg("--to")
            .arg(xkey)
            .arg("--out")
            .arg(&sealed)
            .stdin(format!("{}\n", self.cool.phrase))
            .succeed()
            .await?;
        Ok(sealed)
    }
}

/// A backup phrase, on its paper, and the key that App's backups are sealed to.
pub struct BackupKey {
    /// The phrase that was shown once.
    pub phrase: String,
    /// `X...`.
    pub recipient: String,
}

/// `backup key`.
pub async fn backup_key(commands: &Commands) -> Result<BackupKey> {
    let shown = commands.paper().words("backup key -o json").succeed().await?.json()?;
    let word = |field: &str| shown[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"));
    Ok(BackupKey { phrase: word("phrase")?, recipient: word("recipient")? })
}

/// One ceremony: shows the phrase once and writes the public half.
async fn ceremony(commands: &Commands, folder: &Path, role: &str) -> Result<Station> {
    fs::create_dir_all(folder)?;
    let shown = commands
        .paper()
        .words(&format!("ceremony {role} --no-confirm -o json --out"))
        .arg(folder.join("public.json"))
        .succeed()
        .await?
        .json()?;
    let phrase = shown["phrase"].as_str().context("the ceremony shows its phrase")?.to_owned();
    Ok(Station { folder: folder.to_owned(), phrase })
}

/// Both ceremonies, the manifest and its two signatures; `safe` is `CHAIN=ADDRESS`.
pub async fn ceremonies(commands: &Commands, folder: &Path, safe: &str) -> Result<Ceremonies> {
    let cold = ceremony(commands, &folder.join("cold-station"), "cold").await?;
    let cool = ceremony(commands, &folder.join("cool-station"), "cool").await?;
    let manifest = folder.join("manifest.json");
    commands
        .paper()
        .words("ceremony manifest --cool")
        .arg(cool.folder.join("public.json"))
        .arg("--cold")
        .arg(cold.folder.join("public.json"))
        .arg("--safe")
        .arg(safe)
        .arg("--out")
        .arg(&manifest)
        .succeed()
        .await?;
    for (role, station) in [("cold", &cold), ("cool", &cool)] {
        sign(commands, &manifest, role, &station.phrase).await?;
    }
    let shown = commands.paper().words("ceremony show -o json").arg(&manifest).succeed().await?.json()?;
    Ok(Ceremonies {
        cold,
        cool,
        manifest,
        digest: shown["digest"].as_str().context("a manifest has a digest")?.to_owned(),
        custody_id: shown["custodyId"].as_str().context("a manifest has a custody id")?.to_owned(),
    })
}

/// A station's signature on the manifest.
pub async fn sign(commands: &Commands, manifest: &Path, role: &str, phrase: &str) -> Result<()> {
    commands
        .paper()
        .words("ceremony sign --role")
        .arg(role)
        .arg(manifest)
        .stdin(format!("{phrase}\n"))
        .succeed()
        .await?;
    Ok(())
}
