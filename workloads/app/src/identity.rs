//! App's own keys: made once, kept in files that only their owner can read, shown as public keys with proof.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use custody::{CustodyId, Role, identity::Identity};
use data_encoding::HEXLOWER;
use nkeys::{KeyPair, KeyPairType, XKey};
use protocol::envelope::OwnKeys;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

/// NATS user seed, `SU...`: the connection only.
const NATS_FILE: &str = "nats.seed";
/// ed25519 seed, 64 hex digits: signs messages.
const MESSAGE_FILE: &str = "message.seed";
/// X25519 seed, `SX...`: messages to App are sealed to it.
const XKEY_FILE: &str = "xkey.seed";
/// All of them.
pub(crate) const FILES: [&str; 3] = [NATS_FILE, MESSAGE_FILE, XKEY_FILE];
/// Prefix byte of a decoded curve seed (NKeys).
const CURVE: u8 = 23 << 3;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{} does not exist; run `app identity --dir {}` and back up what it makes", path.display(), dir.display())]
    Missing { path: PathBuf, dir: PathBuf },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{} does not hold {expected}; restore it, or remove the whole folder to make new keys", path.display())]
    Malformed { path: PathBuf, expected: &'static str },
}

/// App's keys. They reach neither logs nor the API.
pub(crate) struct AppKeys {
    /// The connection's.
    pub(crate) nats: KeyPair,
    /// The messages'.
    pub(crate) own: Arc<OwnKeys>,
}

impl AppKeys {
    /// Reads the keys from `dir`.
    pub(crate) fn load(dir: &Path) -> Result<Self, IdentityError> {
        let malformed = |file: &str, expected| IdentityError::Malformed { path: dir.join(file), expected };
        let nats = KeyPair::from_seed(&read(dir, NATS_FILE)?).ok();
        let nats = nats.filter(|pair| matches!(pair.key_pair_type(), KeyPairType::User));
        let message = hex_seed(&read(dir, MESSAGE_FILE)?);
        let xkey = nkeys::decode_seed(&read(dir, XKEY_FILE)?).ok().filter(|(kind, _)| *kind == CURVE);
        let xkey = xkey.map(|(_, seed)| Zeroizing::new(seed));
        let message = message.ok_or_else(|| malformed(MESSAGE_FILE, "an ed25519 seed of 64 hex digits"))?;
        let xkey = xkey.ok_or_else(|| malformed(XKEY_FILE, "a NATS curve seed (SX...)"))?;
        Ok(Self {
            nats: nats.ok_or_else(|| malformed(NATS_FILE, "a NATS user seed (SU...)"))?,
            own: Arc::new(OwnKeys::from_seeds(&message, &xkey)),
        })
    }

    /// Reads the keys from `dir`, or makes those that are missing: the command may have been cut off.
    pub(crate) fn load_or_make(dir: &Path, rng: &mut impl CryptoRngCore) -> Result<Self, IdentityError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| IdentityError::File { path: dir.to_owned(), error })?;
        make(dir, NATS_FILE, rng, |seed| {
            KeyPair::new_from_raw(KeyPairType::User, seed).and_then(|pair| pair.seed()).unwrap_or_default()
        })?;
        make(dir, MESSAGE_FILE, rng, |seed| HEXLOWER.encode(&seed))?;
        make(dir, XKEY_FILE, rng, |seed| XKey::new_from_raw(seed).seed().unwrap_or_default())?;
        Self::load(dir)
    }

    /// The public keys, with proof that App holds the private ones.
    pub(crate) fn identity(&self, custody_id: Option<CustodyId>) -> Identity {
        let keys = self.own.public().clone();
        let nats_user = self.nats.public_key();
        let statement = custody::identity::statement(Role::App, custody_id, &nats_user, &keys);
        let message_proof = custody::identity::prove(self.own.message_key(), &statement);
        let nats_proof = HEXLOWER.encode(&self.nats.sign(&statement).unwrap_or_default());
        Identity { role: Role::App, custody_id, nats_user, keys, message_proof, nats_proof }
    }
}

fn hex_seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    // The decoder wants an output of exactly the right length.
    (text.len() == 64 && HEXLOWER.decode_mut(text.as_bytes(), seed.as_mut_slice()).is_ok()).then_some(seed)
}

fn read(dir: &Path, file: &str) -> Result<Zeroizing<String>, IdentityError> {
    let path = dir.join(file);
    match text_file::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            Ok(Zeroizing::new(text.trim().to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(IdentityError::Missing { path, dir: dir.to_owned() }),
        Err(error) => Err(IdentityError::File { path, error }),
    }
}

/// Writes a new seed unless the file is there. The name appears only when the content is on the disk.
fn make(
    dir: &Path,
    file: &str,
    rng: &mut impl CryptoRngCore,
    encode: impl FnOnce([u8; 32]) -> String,
) -> Result<(), IdentityError> {
    let path = dir.join(file);
    if path.exists() {
        return Ok(());
    }
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(seed.as_mut_slice());
    let text = Zeroizing::new(encode(*seed));
    let part = dir.join(format!("{file}.part"));
    let write = || {
        let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        fs::rename(&part, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| IdentityError::File { path: path.clone(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rand_core::OsRng;

    use super::*;

    #[test]
    fn keys_are_made_once_and_proven() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("identity");
        let first = AppKeys::load_or_make(&dir, &mut OsRng).unwrap().identity(None);
        assert_eq!(AppKeys::load_or_make(&dir, &mut OsRng).unwrap().identity(None), first);
        custody::identity::verify(&first).unwrap();
        let statement = custody::identity::statement(Role::App, None, &first.nats_user, &first.keys);
        let proof = HEXLOWER.decode(first.nats_proof.as_bytes()).unwrap();
        KeyPair::from_public_key(&first.nats_user).unwrap().verify(&statement, &proof).unwrap();
    }

    #[test]
    fn only_the_owner_can_read_the_keys() {
        let home = tempfile::tempdir().unwrap();
        AppKeys::load_or_make(home.path(), &mut OsRng).unwrap();
        for file in [NATS_FILE, MESSAGE_FILE, XKEY_FILE] {
            let mode = fs::metadata(home.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }

    #[test]
    fn a_missing_or_damaged_key_is_named_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let Err(error) = AppKeys::load(home.path()) else { panic!("there are no keys") };
        assert!(error.to_string().contains("app identity --dir"), "{error}");
        AppKeys::load_or_make(home.path(), &mut OsRng).unwrap();
        for file in [NATS_FILE, MESSAGE_FILE, XKEY_FILE] {
            let path = home.path().join(file);
            let kept = fs::read(&path).unwrap();
            fs::write(&path, "SECRET").unwrap();
            let Err(error) = AppKeys::load_or_make(home.path(), &mut OsRng) else { panic!("{file} is damaged") };
            assert!(error.to_string().contains(file) && !error.to_string().contains("SECRET"), "{error}");
            fs::write(&path, kept).unwrap();
        }
    }
}
