//! Transit: encrypt, decrypt and rewrap in batches under the workload's own derived key, each item bound to its context.
//! No associated data, since a rewrap could not carry it. The workload rotates its own key.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, Vault, connection::Request};

/// Most items of one batch.
pub const BATCH_LIMIT: usize = 500;

/// The derivation context of a value: 32 bytes that name what it belongs to.
pub type Context = [u8; 32];

/// The outcome for one ciphertext of a batch.
pub type Opened = Result<Zeroizing<Vec<u8>>, Error>;

/// What a workload may know of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct KeyInfo {
    /// Newest version; encrypts from now on.
    pub latest_version: u64,
    /// Ciphertexts below this version do not open any more.
    pub min_decryption_version: u64,
}

#[derive(Serialize)]
struct Batch<I> {
    batch_input: Vec<I>,
}

#[derive(Serialize)]
struct Plain {
    context: String,
    plaintext: Zeroizing<String>,
}

#[derive(Serialize)]
struct Sealed<'a> {
    context: String,
    ciphertext: &'a str,
}

/// The body of a call that has nothing to say.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct KeyConfig {
    min_decryption_version: u64,
}

#[derive(Deserialize)]
struct Results {
    batch_results: Vec<ItemResult>,
}

#[derive(Deserialize)]
struct ItemResult {
    #[serde(default)]
    ciphertext: String,
    #[serde(default)]
    plaintext: Zeroizing<String>,
    #[serde(default)]
    error: String,
}

impl Vault {
    /// Encrypts each value under its context; `vault:vN:...` in the same order. All or nothing.
    pub async fn encrypt(&self, values: &[(Context, &[u8])]) -> Result<Vec<String>, Error> {
        let path = format!("{}/encrypt/{}", self.settings.transit_mount, self.settings.key);
        let mut ciphertexts = Vec::with_capacity(values.len());
        for chunk in values.chunks(BATCH_LIMIT) {
            let item = |(context, value): &(Context, &[u8])| Plain {
                context: BASE64.encode(context),
                plaintext: Zeroizing::new(BASE64.encode(value)),
            };
            let batch = Batch { batch_input: chunk.iter().map(item).collect() };
            for result in self.batch(&path, &batch, chunk.len()).await? {
                if !result.error.is_empty() || result.ciphertext.is_empty() {
                    return Err(Error::Unexpected { path, code: 200, cause: one_line(&result.error) });
                }
                ciphertexts.push(result.ciphertext);
            }
        }
        Ok(ciphertexts)
    }

    /// Decrypts each ciphertext under its context, in the same order; one that does not open does not spoil the rest.
    pub async fn decrypt(&self, values: &[(Context, &str)]) -> Result<Vec<Opened>, Error> {
        let path = format!("{}/decrypt/{}", self.settings.transit_mount, self.settings.key);
        let mut opened = Vec::with_capacity(values.len());
        for chunk in values.chunks(BATCH_LIMIT) {
            opened.extend(self.batch(&path, &sealed(chunk), chunk.len()).await?.into_iter().map(open));
        }
        Ok(opened)
    }

    /// Seals each ciphertext by the newest version of the key, in the same order and without its plaintext ever leaving
    /// the Vault; one that does not open does not spoil the rest.
    pub async fn rewrap(&self, values: &[(Context, &str)]) -> Result<Vec<Result<String, Error>>, Error> {
        let path = format!("{}/rewrap/{}", self.settings.transit_mount, self.settings.key);
        let mut rewrapped = Vec::with_capacity(values.len());
        for chunk in values.chunks(BATCH_LIMIT) {
            rewrapped.extend(self.batch(&path, &sealed(chunk), chunk.len()).await?.into_iter().map(resealed));
        }
        Ok(rewrapped)
    }

    /// Makes a new version of the key; what older ones sealed still opens. Whoever asks twice gets two.
    pub async fn rotate(&self) -> Result<(), Error> {
        let path = format!("{}/keys/{}/rotate", self.settings.transit_mount, self.settings.key);
        self.call_only(&Request::post(&path, &Nothing {})?).await
    }

    /// From now on nothing that a version below `version` sealed opens any more. Whoever administers the Vault can
    /// lower it again, as long as the versions were not trimmed.
    pub async fn raise_min_decryption_version(&self, version: u64) -> Result<(), Error> {
        let path = format!("{}/keys/{}/config", self.settings.transit_mount, self.settings.key);
        self.call_only(&Request::post(&path, &KeyConfig { min_decryption_version: version })?).await
    }

    /// Versions of the workload's key.
    pub async fn key(&self) -> Result<KeyInfo, Error> {
        let path = format!("{}/keys/{}", self.settings.transit_mount, self.settings.key);
        self.call(&Request::get(&path)).await
    }

    async fn batch<I: Serialize>(&self, path: &str, batch: &Batch<I>, count: usize) -> Result<Vec<ItemResult>, Error> {
        let results: Results = self.call(&Request::batch(path, batch)?).await?;
        if results.batch_results.len() != count {
            let cause = format!("{} results for {count} items", results.batch_results.len());
            return Err(Error::Unexpected { path: path.to_owned(), code: 200, cause });
        }
        Ok(results.batch_results)
    }
}

fn sealed<'a>(values: &[(Context, &'a str)]) -> Batch<Sealed<'a>> {
    let item = |&(context, ciphertext): &(Context, &'a str)| Sealed { context: BASE64.encode(&context), ciphertext };
    Batch { batch_input: values.iter().map(item).collect() }
}

fn resealed(result: ItemResult) -> Result<String, Error> {
    match (result.error.as_str(), result.ciphertext) {
        ("", ciphertext) if !ciphertext.is_empty() => Ok(ciphertext),
        ("", _) => Err(Error::BadCiphertext("the Vault's answer has no ciphertext".to_owned())),
        (words, _) => Err(Error::BadCiphertext(one_line(words))),
    }
}

fn open(result: ItemResult) -> Opened {
    if !result.error.is_empty() {
        return Err(Error::BadCiphertext(one_line(&result.error)));
    }
    BASE64
        .decode(result.plaintext.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| Error::BadCiphertext("the Vault's answer is not base64".to_owned()))
}

fn one_line(words: &str) -> String {
    words.trim().replace('\n', " ")
}
