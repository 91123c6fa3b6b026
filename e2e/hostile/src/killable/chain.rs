//! The chain that says what moved.

use anyhow::{Context, Result, ensure};
use chain::{Call, ChainRules, KeyRole, WalletDesc};
use chain_evm::EvmSafe;
use custodies::CHAIN;
use data_encoding::HEXLOWER;
use harness::{Options, evm::Anvil};
use serde_json::json;

use super::requests::Paid;

const CHAIN_NUMBER: u64 = 31_337;

/// An EVM node with the real Safe, and somebody who sends what others have signed.
pub(crate) struct Chain {
    pub(crate) anvil: Anvil,
    pub(crate) rules: EvmSafe,
    relayer: String,
}

impl Chain {
    /// A new one.
    pub(crate) async fn start() -> Result<Self> {
        let anvil = Anvil::start(CHAIN_NUMBER, Options::default()).await?;
        let relayer = anvil.dev_accounts()?.get(1).context("anvil has one account only")?.address.clone();
        Ok(Self { anvil, rules: EvmSafe::new(CHAIN.parse()?)?, relayer })
    }

    /// The wallet's code, and money.
    pub(crate) async fn open(&self, wallet: &WalletDesc, wei: u128) -> Result<()> {
        let created = self.rules.creation(wallet)?.context("a Safe is created by a call")?;
        self.send(&created).await?;
        self.anvil.fund(&wallet.address, wei).await
    }

    async fn send(&self, Call { to, data }: &Call) -> Result<()> {
        let call = json!({"from": self.relayer, "to": to, "data": format!("0x{}", HEXLOWER.encode(data))});
        self.anvil.send(call).await.map(drop)
    }

    /// Puts on the chain whatever has both signatures, what nobody legitimate asked for first; what left the wallet
    /// beside the `explained` digest, wei.
    pub(crate) async fn cash(&self, wallet: &WalletDesc, all: &[&Paid], explained: Option<&[u8; 32]>) -> Result<u128> {
        let mut ready: Vec<_> = all.iter().filter(|paid| paid.hot.is_some() && paid.cool.is_some()).collect();
        ready.sort_by_key(|paid| Some(&paid.digest) == explained);
        let mut moved = 0;
        for paid in ready {
            let (hot, cool) = (paid.hot.clone().unwrap_or_default(), paid.cool.clone().unwrap_or_default());
            let signatures = [(KeyRole::Hot, vec![hot]), (KeyRole::Cool, vec![cool])];
            let Ok(call) = self.rules.assemble(&paid.payment.unsigned, wallet, &signatures) else {
                continue;
            };
            let before = self.anvil.balance(&wallet.address).await?;
            let sent = self.send(&call).await;
            let left = before.saturating_sub(self.anvil.balance(&wallet.address).await?);
            if Some(&paid.digest) != explained {
                moved += left;
            } else if moved == 0 {
                sent?;
                ensure!(left > 0, "the legitimate payment moved nothing");
            }
        }
        Ok(moved)
    }
}
