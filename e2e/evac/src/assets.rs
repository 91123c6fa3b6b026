//! What the wallets hold, and what it is worth.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use anyhow::Result;
use custodies::CHAIN;
use custody::local_policy::{AssetLimits, LocalPolicy};
use harness::evm::{Anvil, tokens};
use serde_json::{Value, json};

/// Decimals of all of them.
pub(crate) const DECIMALS: u8 = 18;
/// More than anybody has.
const NO_LIMIT: &str = "1000000000000000000000000000000";

/// One of [`Assets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The chain's coin.
    Eth,
    /// A token.
    Usd,
    /// Another.
    Eur,
    /// A token that reverts whatever is asked of it but a balance.
    Paused,
    /// A token that answers a transfer with false and moves nothing.
    Liar,
}

impl Kind {
    /// All of them, in the order of the local policy.
    pub(crate) const ALL: [Kind; 5] = [Kind::Eth, Kind::Usd, Kind::Eur, Kind::Paused, Kind::Liar];
    /// Those that a transfer moves.
    pub(crate) const MOVABLE: [Kind; 3] = [Kind::Eth, Kind::Usd, Kind::Eur];

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Kind::Eth => "ETH",
            Kind::Usd => "USD",
            Kind::Eur => "EUR",
            Kind::Paused => "PAUSED",
            Kind::Liar => "LIAR",
        }
    }

    /// Of a whole unit, as it is in the file of prices.
    pub(crate) fn price(self) -> &'static str {
        match self {
            Kind::Eth => "3000.5",
            Kind::Usd | Kind::Paused | Kind::Liar => "1",
            Kind::Eur => "1.08",
        }
    }

    /// What so many smallest units are worth.
    pub(crate) fn worth(self, units: u128) -> f64 {
        units as f64 / 10f64.powi(DECIMALS.into()) * self.whole()
    }

    /// How many smallest units are worth so much.
    pub(crate) fn units(self, worth: f64) -> u128 {
        // Below 2^128: nobody holds that much.
        (worth / self.whole() * 10f64.powi(DECIMALS.into())) as u128
    }

    fn whole(self) -> f64 {
        self.price().parse().unwrap_or_default()
    }
}

/// The file of prices that the plan is put in order by.
pub(crate) fn prices() -> Value {
    let price = |kind: Kind| (kind.symbol().to_owned(), json!({"price": kind.price(), "decimals": DECIMALS}));
    Value::Object(Kind::ALL.into_iter().map(price).collect())
}

/// Where the tokens' contracts are.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    usd: String,
    eur: String,
}

impl Assets {
    /// Two tokens as everybody has them, one that is paused, one that lies.
    pub(crate) async fn deploy(anvil: &Anvil) -> Result<Self> {
        let (usd, eur) = (anvil.deploy_token().await?, anvil.deploy_token().await?);
        anvil.set_code(tokens::PAUSED, &tokens::code(tokens::REVERTS)).await?;
        anvil.set_code(tokens::LIAR, &tokens::code(tokens::RETURNS_FALSE)).await?;
        Ok(Self { usd, eur })
    }

    /// `None`: the chain's coin.
    pub(crate) fn contract(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Eth => None,
            Kind::Usd => Some(&self.usd),
            Kind::Eur => Some(&self.eur),
            Kind::Paused => Some(tokens::PAUSED),
            Kind::Liar => Some(tokens::LIAR),
        }
    }

    /// The local policy of a custody that holds all of them.
    pub(crate) fn local_policy(&self) -> LocalPolicy {
        let limits = |kind: Kind| {
            let contract = self.contract(kind).unwrap_or("native");
            AssetLimits::new(CHAIN, kind.symbol(), contract, DECIMALS, NO_LIMIT)
        };
        LocalPolicy::new(Kind::ALL.into_iter().map(limits).collect())
    }

    /// Gives somebody exactly so much, without a transaction.
    pub(crate) async fn give(&self, anvil: &Anvil, kind: Kind, to: Address, units: u128) -> Result<()> {
        let (method, params) = match self.contract(kind) {
            None => ("anvil_setBalance", json!([to, format!("{units:#x}")])),
            Some(contract) => {
                // `balances` is the first variable of the token; the other two have the owner's address itself as the place.
                let place = match kind {
                    Kind::Paused | Kind::Liar => to.into_word(),
                    _ => keccak256((to, U256::ZERO).abi_encode()),
                };
                ("anvil_setStorageAt", json!([contract, place, B256::from(U256::from(units))]))
            }
        };
        let _: Value = anvil.rpc(method, params).await?;
        Ok(())
    }

    /// What somebody holds at the end of a block, or of the newest.
    pub(crate) async fn held(&self, anvil: &Anvil, kind: Kind, by: &str, block: Option<u64>) -> Result<u128> {
        match self.contract(kind) {
            None => anvil.balance_at(by, block).await,
            Some(contract) => anvil.token_balance_at(contract, by, block).await,
        }
    }
}
