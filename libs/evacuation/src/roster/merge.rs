//! Records of several sources become one roster, or the reasons why not.

use std::{collections::BTreeMap, fmt};

use chain::ChainId;
use chain_adapters::Adapters;
use custody::{WalletId, manifest::VerifiedManifest};

use super::{Entry, Payment, Roster, shown};
use crate::{ExportedWallet, wallet::wallet};

/// Payments of one wallet that are kept: more than any signer tells.
const MOST_PAYMENTS: usize = 64;

/// Records on their way into a roster.
pub struct Sources<'a> {
    chain: &'a ChainId,
    manifest: &'a VerifiedManifest,
    adapters: &'a Adapters,
    files: Vec<String>,
    /// All records, in the order in which they came.
    read: Roster,
    /// Of each its source.
    from: Vec<u8>,
    /// Why a record can't be planned with.
    unsound: BTreeMap<u32, String>,
    assets: BTreeMap<(String, Option<String>), u32>,
}

/// Two sources say different things of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which wallet.
    pub wallet: String,
    /// The source whose record is planned with; one of two, where neither can be preferred.
    pub file: String,
    /// The other source.
    pub other: String,
    /// What the other says.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wallet, file, other, what } = self;
        write!(f, "wallet {wallet}: {other} differs from {file}: {what}")
    }
}

/// What sources come to.
#[derive(Debug)]
pub struct Merged {
    /// All wallets.
    pub roster: Roster,
    /// Records that are not planned with, since another of the same wallet is right.
    pub differences: Vec<Difference>,
    /// Of each source: its name, its records, and how many wallets no other source has.
    pub sources: Vec<(String, u64, u64)>,
}

/// Why there is no roster.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// A source contradicts itself.
    #[error("{file}: wallet {wallet} is in it twice; make it again")]
    Twice {
        /// The source.
        file: String,
        /// Which wallet.
        wallet: String,
    },
    /// No source has a record that its keys confirm.
    #[error("{file}: {why}")]
    Unsound {
        /// The source.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// Several wallets under one name, each the one of its keys.
    #[error(
        "{} wallets differ between the sources, and each record is right by its own keys; find out which signer's is \
         the wallet, and name only that source",
        .0.len()
    )]
    Contradiction(Vec<Difference>),
    /// More than can be told apart.
    #[error("too many wallets for one plan; plan with fewer files")]
    TooMany,
}

impl<'a> Sources<'a> {
    /// Of wallets on `chain`, under a manifest.
    pub fn new(chain: &'a ChainId, manifest: &'a VerifiedManifest, adapters: &'a Adapters) -> Self {
        let (files, read, from) = (Vec::new(), Roster::default(), Vec::new());
        Self { chain, manifest, adapters, files, read, from, unsound: BTreeMap::new(), assets: BTreeMap::new() }
    }

    /// Another source begins.
    pub fn file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    /// A record of the present source. One of another chain is none of ours.
    pub fn record(&mut self, record: &ExportedWallet) -> Result<(), RosterError> {
        let Some(recorded) = record.on(self.chain) else { return Ok(()) };
        let sound = wallet(self.manifest, self.adapters, &recorded);
        let (key, salt) = (record.hot_key(self.chain), record.salt_bytes());
        let place = self.push(&record.id, &key, salt, record)?;
        if let Err(error) = sound {
            self.unsound.insert(place, error.to_string());
        }
        Ok(())
    }

    /// A record of the present source that can't be believed, and why.
    pub fn unsound(&mut self, id: &WalletId, why: &str) -> Result<(), RosterError> {
        let nothing = ExportedWallet::new(id.clone(), &BTreeMap::new(), [0; 32], BTreeMap::new());
        let place = self.push(id, &[], [0; 32], &nothing)?;
        self.unsound.insert(place, format!("wallet {id} on {}: {why}", self.chain));
        Ok(())
    }

    fn push(&mut self, id: &WalletId, key: &[u8], salt: [u8; 32], record: &ExportedWallet) -> Result<u32, RosterError> {
        let place = |at: usize| u32::try_from(at).map_err(|_| RosterError::TooMany);
        let source = u8::try_from(self.files.len().saturating_sub(1)).map_err(|_| RosterError::TooMany)?;
        let (name, bytes) = (place(self.read.names.len())?, place(self.read.bytes.len())?);
        let number = place(self.read.wallets.len())?;
        let salted = salt != [0; 32];
        self.read.names.push_str(id.as_str());
        // A key that is no chain's is in no sound record.
        let key_length = u8::try_from(key.len()).unwrap_or_default();
        self.read.bytes.extend_from_slice(&key[..key_length.into()]);
        if salted {
            self.read.bytes.extend_from_slice(&salt);
        }
        let first_payment = place(self.read.payments.len())?;
        let mut payments = 0;
        for payment in record.outstanding.iter().filter(|payment| payment.chain == *self.chain).take(MOST_PAYMENTS) {
            let asset = self.asset(&payment.asset, payment.contract.as_deref())?;
            self.read.payments.push(Payment { nonce: payment.nonce, amount: payment.amount, asset });
            payments += 1;
        }
        let name_length = u8::try_from(id.as_str().len()).unwrap_or_default();
        let highest = record.highest.get(self.chain).copied();
        self.read.wallets.push(Entry {
            name,
            bytes,
            name_length,
            key_length,
            salted,
            payments,
            first_payment,
            highest,
        });
        self.from.push(source);
        Ok(number)
    }

    fn asset(&mut self, symbol: &str, contract: Option<&str>) -> Result<u32, RosterError> {
        let named = (symbol.to_owned(), contract.map(str::to_ascii_lowercase));
        if let Some(place) = self.assets.get(&named) {
            return Ok(*place);
        }
        let place = u32::try_from(self.read.assets.len()).map_err(|_| RosterError::TooMany)?;
        self.read.assets.push(named.clone());
        self.assets.insert(named, place);
        Ok(place)
    }

    /// All of them, each wallet once.
    pub fn merge(self) -> Result<Merged, RosterError> {
        let mut order: Vec<u32> = (0..).take(self.read.wallets.len()).collect();
        order.sort_unstable_by(|one, other| {
            let key = |at: u32| (self.read.wallet(at as usize).id, self.from[at as usize]);
            key(*one).cmp(&key(*other))
        });
        let mut counts: Vec<(String, u64, u64)> = self.files.iter().map(|file| (file.clone(), 0, 0)).collect();
        let (mut wallets, mut differences, mut contradictions) = (Vec::new(), Vec::new(), Vec::new());
        let mut payments = Vec::new();
        for same in order.chunk_by(|one, other| self.id(*one) == self.id(*other)) {
            for at in same {
                counts[usize::from(self.from[*at as usize])].1 += 1;
            }
            if let [only] = same {
                counts[usize::from(self.from[*only as usize])].2 += 1;
            }
            if let Some(pair) = same.windows(2).find(|pair| self.from[pair[0] as usize] == self.from[pair[1] as usize])
            {
                return Err(RosterError::Twice { file: self.file_of(pair[0]), wallet: self.id(pair[0]).to_owned() });
            }
            let Some(best) = same.iter().find(|at| !self.unsound.contains_key(at)) else {
                let why = self.unsound.get(&same[0]).cloned().unwrap_or_default();
                return Err(RosterError::Unsound { file: self.file_of(same[0]), why });
            };
            for other in same.iter().filter(|at| *at != best) {
                match self.difference(*best, *other) {
                    Some((true, difference)) => contradictions.push(difference),
                    Some((false, difference)) => differences.push(difference),
                    None => {}
                }
            }
            wallets.push(self.merged(*best, same, &mut payments)?);
        }
        if !contradictions.is_empty() {
            return Err(RosterError::Contradiction(contradictions));
        }
        let Roster { names, bytes, assets, .. } = self.read;
        let roster = Roster { names, bytes, wallets, payments, assets };
        Ok(Merged { roster, differences, sources: counts })
    }

    fn id(&self, at: u32) -> &str {
        self.read.wallet(at as usize).id
    }

    fn file_of(&self, at: u32) -> String {
        self.files.get(usize::from(self.from[at as usize])).cloned().unwrap_or_default()
    }

    /// What `other` says differently than `best`, and whether that is a contradiction.
    fn difference(&self, best: u32, other: u32) -> Option<(bool, Difference)> {
        let (one, two) = (self.read.wallet(best as usize), self.read.wallet(other as usize));
        let (fatal, what) = match self.unsound.get(&other) {
            Some(why) => (false, why.clone()),
            None if one.hot_key != two.hot_key => {
                (true, format!("the hot key is {}, not {}", shown(two.hot_key), shown(one.hot_key)))
            }
            None if one.salt != two.salt => {
                (true, format!("the salt is {}, not {}", shown(&two.salt), shown(&one.salt)))
            }
            None => return None,
        };
        let (wallet, file, other) = (one.id.to_owned(), self.file_of(best), self.file_of(other));
        Some((fatal, Difference { wallet, file, other, what }))
    }

    /// What all sound records of a wallet know together.
    fn merged(&self, best: u32, same: &[u32], payments: &mut Vec<Payment>) -> Result<Entry, RosterError> {
        let first_payment = u32::try_from(payments.len()).map_err(|_| RosterError::TooMany)?;
        let mut highest = None;
        let mut known: BTreeMap<(u64, u32), Payment> = BTreeMap::new();
        for at in same.iter().filter(|at| !self.unsound.contains_key(at)) {
            // More may be signed than one signer knows, and never less.
            highest = highest.max(self.read.wallets[*at as usize].highest);
            for payment in &self.read.payments[self.read.payments_of(*at as usize)] {
                let there = known.entry((payment.nonce, payment.asset)).or_insert(*payment);
                there.amount = there.amount.max(payment.amount);
            }
        }
        payments.extend(known.values().take(MOST_PAYMENTS));
        let count = known.len().min(MOST_PAYMENTS) as u8;
        Ok(Entry { highest, first_payment, payments: count, ..self.read.wallets[best as usize] })
    }
}
