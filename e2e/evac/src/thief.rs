//! Whoever took App and Keeper: all hot keys, and every payment that hot and cool had signed. He sees what waits to be
//! mined and pays whatever comes first. He can never sign alone.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes};
use anyhow::{Context, Result, bail, ensure};
use chain::{ChainRules, Claim, KeyRole, Payload};
use serde_json::{Value, json};

use crate::{
    assets::Kind,
    chain::{Chain, Offer, number},
    cooler::Signed,
    safe::{asked, executes, parts, takes_all, together},
    wallets::Holder,
};

/// The account that pays for what he does.
const ACCOUNT: usize = 7;
/// Nobody else offers so much, wei per gas.
const TIP: u128 = 300_000_000_000;
/// Enough for a creation and a payment.
const GAS: u64 = 700_000;
/// What he dusts with, wei.
pub(crate) const DUST: u128 = 1;
const DUST_GAS: u64 = 30_000;

/// What he does before us.
enum Trick {
    /// The payment that was signed before the freeze.
    Pay(Signed),
    /// The wallet's creation, which takes all gas of whoever creates it once more.
    Create,
}

/// He.
pub(crate) struct Thief<'a> {
    chain: &'a Chain,
    from: String,
    /// By wallet; what is done is taken away.
    tricks: BTreeMap<Address, (&'a Holder, Trick)>,
    /// Wallets that he has not dusted yet.
    dust: Vec<Address>,
    per_block: usize,
    seen: BTreeSet<String>,
    /// By wallet.
    paid: BTreeMap<Address, String>,
    created: Vec<String>,
    dusted: Vec<String>,
}

/// In what he was faster: transactions that took place.
pub(crate) struct Faster {
    /// Wallets of which a payment was in front of us.
    pub(crate) paid: BTreeSet<Address>,
    /// Wallets that he has created in front of us, beside those.
    pub(crate) created: usize,
    pub(crate) dusted: usize,
}

impl<'a> Thief<'a> {
    pub(crate) fn new(chain: &'a Chain, holders: &'a [Holder], payments: BTreeMap<Address, Signed>) -> Result<Self> {
        let by_address = holders.iter().map(|holder| (holder.address, holder));
        let by_address: BTreeMap<Address, &Holder> = by_address.collect();
        let mut tricks = BTreeMap::new();
        for (address, signed) in payments {
            let holder = by_address.get(&address).context("a payment of a wallet that is not there")?;
            tricks.insert(address, (*holder, Trick::Pay(signed)));
        }
        for holder in holders.iter().filter(|holder| holder.created_by_thief) {
            tricks.insert(holder.address, (holder, Trick::Create));
        }
        let dust = holders.iter().map(|holder| holder.address).collect();
        let per_block = holders.len().div_ceil(8);
        let from = chain.account(ACCOUNT)?.address.clone();
        let (seen, paid) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { chain, from, tricks, dust, per_block, seen, paid, created: Vec::new(), dusted: Vec::new() })
    }

    /// How many wallets he is going to run in front of with a payment.
    pub(crate) fn pays(&self) -> usize {
        self.tricks.values().filter(|(_, trick)| matches!(trick, Trick::Pay(_))).count()
    }

    /// How many others he is going to create.
    pub(crate) fn creates(&self) -> usize {
        self.tricks.len() - self.pays()
    }

    /// With hot's signature alone he takes all of a wallet: the chain refuses. Its words.
    pub(crate) async fn alone(&self, holder: &Holder) -> Result<String> {
        let rules = &self.chain.rules;
        let (value, to) = (holder.of(Kind::Eth), self.from.parse()?);
        let assets = [chain::Asset { symbol: Kind::Eth.symbol().to_owned(), contract: None }];
        let effect = chain::Effect::Transfer {
            asset: Kind::Eth.symbol().to_owned(),
            to: rules.address(&self.from)?,
            amount: value.into(),
        };
        let unsigned = rules.build(&effect, &holder.desc, &assets, &[Claim::Sequence(0)])?;
        let id = match rules.decode(&unsigned, &holder.desc, &assets) {
            Ok(transaction) => transaction.id,
            Err(refusal) => bail!("the theft can't be built: {refusal:?}"),
        };
        let hot = rules.sign(&holder.hot_secret, &Payload::Digest(id))?;
        let data = Bytes::from(takes_all(to, value, hot));
        let offer = Offer { gas: GAS, tip: TIP };
        let tx = self.chain.send(&self.from, holder.address, &data, 0, offer).await?;
        let receipt = self.chain.anvil.receipt(&tx).await?;
        ensure!(receipt["status"] == "0x0", "the chain carried out what hot alone has signed: {receipt}");
        let again = json!([{"from": self.from, "to": holder.address, "data": data}, "latest"]);
        match self.chain.anvil.rpc::<Value>("eth_call", again).await {
            Ok(answer) => bail!("the chain takes one signature: {answer}"),
            // "Signatures data too short".
            Err(error) if format!("{error:#}").contains("GS020") => Ok("GS020".to_owned()),
            Err(error) => Err(error.context("one signature was not refused by the Safe")),
        }
    }

    /// Runs in front of what waits to be mined from `payer`, and dusts some wallets.
    pub(crate) async fn acts(&mut self, waiting: &[Waiting]) -> Result<()> {
        for Waiting { hash, input } in waiting {
            if !self.seen.insert(hash.clone()) {
                continue;
            }
            let wallets: Vec<Address> = parts(input).iter().filter(|call| executes(call)).map(|it| it.target).collect();
            for wallet in wallets {
                let Some((holder, trick)) = self.tricks.remove(&wallet) else { continue };
                let pays = matches!(trick, Trick::Pay(_));
                let tx = self.plays(holder, trick).await?;
                match pays {
                    true => drop(self.paid.insert(wallet, tx)),
                    false => self.created.push(tx),
                }
            }
        }
        if !waiting.is_empty() {
            for wallet in self.dust.split_off(self.dust.len().saturating_sub(self.per_block)) {
                let offer = Offer { gas: DUST_GAS, tip: TIP };
                self.dusted.push(self.chain.send(&self.from, wallet, &Bytes::new(), DUST, offer).await?);
            }
        }
        Ok(())
    }

    async fn plays(&self, holder: &Holder, trick: Trick) -> Result<String> {
        let rules = &self.chain.rules;
        let created = rules.creation(&holder.desc)?.context("a Safe is created by a call")?;
        let (to, data) = match trick {
            Trick::Create => (created.to.parse()?, created.data.into()),
            Trick::Pay(Signed { unsigned, hot, cool }) => {
                let signatures = [(KeyRole::Hot, hot), (KeyRole::Cool, cool)];
                let pays = rules.assemble(&unsigned, &holder.desc, &signatures)?;
                let create =
                    (!holder.exists).then(|| Ok::<_, anyhow::Error>(asked(created.to.parse()?, created.data, true)));
                let pay = asked(holder.address, pays.data, false);
                together(create.transpose()?.into_iter().chain([pay]).collect())
            }
        };
        self.chain.send(&self.from, to, &data, 0, Offer { gas: GAS, tip: TIP }).await
    }

    /// What is left of the dust, when it is over.
    pub(crate) async fn dusts_the_rest(&mut self) -> Result<()> {
        for wallet in std::mem::take(&mut self.dust) {
            let offer = Offer { gas: DUST_GAS, tip: TIP };
            self.dusted.push(self.chain.send(&self.from, wallet, &Bytes::new(), DUST, offer).await?);
        }
        Ok(())
    }

    /// In what he was faster.
    pub(crate) async fn faster(&self) -> Result<Faster> {
        let mut paid = BTreeSet::new();
        for (wallet, tx) in &self.paid {
            if self.took_place(tx).await? {
                paid.insert(*wallet);
            }
        }
        let (created, dusted) = (self.took_place_of(&self.created).await?, self.took_place_of(&self.dusted).await?);
        Ok(Faster { paid, created, dusted })
    }

    async fn took_place_of(&self, txs: &[String]) -> Result<usize> {
        let mut count = 0;
        for tx in txs {
            count += usize::from(self.took_place(tx).await?);
        }
        Ok(count)
    }

    async fn took_place(&self, tx: &str) -> Result<bool> {
        let receipt: Value = self.chain.anvil.rpc("eth_getTransactionReceipt", json!([tx])).await?;
        Ok(number(&receipt["status"]) == Some(1))
    }

    /// What he holds of the tokens: never anything.
    pub(crate) async fn loot(&self) -> Result<u128> {
        let mut loot = 0;
        for kind in [Kind::Usd, Kind::Eur] {
            loot += self.chain.assets.held(&self.chain.anvil, kind, &self.from, None).await?;
        }
        Ok(loot)
    }

    /// His account.
    pub(crate) fn address(&self) -> &str {
        &self.from
    }
}

/// A transaction of ours that is not mined yet.
pub(crate) struct Waiting {
    pub(crate) hash: String,
    pub(crate) input: Bytes,
}
