//! A wallet of a plan, in memory and in a message.

use chain::Amount;
use custody::WalletId;

use super::{PlannedAsset, StreamError, header::PLAN, wire};
use crate::{Holding, Ladder, LadderError, Outstanding};

/// What a plan says of one wallet. Its address is not in it: it follows from the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedWallet {
    /// App's name for it.
    pub id: WalletId,
    /// Hot public key, in the chain's encoding (33-byte SEC1 for `eip155`).
    pub hot_key: Vec<u8>,
    /// Salt of the address.
    pub salt: [u8; 32],
    /// Whether it did not exist when this was planned: it is created before its first transaction.
    pub deploy: bool,
    /// What is signed of it.
    pub ladder: Ladder,
}

impl PlannedWallet {
    pub(crate) fn to_wire(&self) -> wire::Wallet {
        let Self { id, hot_key, salt, deploy, ladder } = self;
        let first = ladder.first();
        let outstanding = ladder.holdings().iter().flat_map(|holding| {
            holding.outstanding().iter().map(move |payment| wire::Outstanding {
                asset: holding.asset() as u32,
                ahead: payment.nonce - first,
                amount: wire::shortest(payment.amount),
            })
        });
        wire::Wallet {
            id: id.to_string(),
            hot_key: hot_key.clone(),
            salt: if *salt == [0; 32] { Vec::new() } else { salt.to_vec() },
            first,
            beyond: ladder.highest() - first,
            deploy: *deploy,
            assets: ladder.holdings().iter().fold(0, |set, holding| set | (1 << holding.asset())),
            balances: ladder.holdings().iter().map(|holding| wire::shortest(holding.balance())).collect(),
            outstanding: outstanding.collect(),
        }
    }

    /// There is one message for each wallet: any other is refused.
    pub(crate) fn from_wire(message: &wire::Wallet, listed: &[PlannedAsset]) -> Result<Self, StreamError> {
        let malformed = |why: &str| StreamError::malformed(PLAN, format!("wallet '{}': {why}", shown(&message.id)));
        let id: WalletId = message.id.parse().map_err(|_| malformed("its name is not one"))?;
        let salt = match message.salt.as_slice() {
            [] => [0; 32],
            salt => salt.try_into().map_err(|_| malformed("its salt has not 32 bytes"))?,
        };
        let holdings = holdings(message, listed).ok_or_else(|| malformed("its assets are not those of the list"))?;
        let wrong = |source: LadderError| StreamError::Ladder { wallet: id.to_string(), source };
        let holdings = holdings.into_iter().collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let highest = message.first.checked_add(message.beyond).ok_or_else(|| wrong(LadderError::Nonces))?;
        let ladder = Ladder::new(message.first, Some(highest), holdings).map_err(wrong)?;
        let wallet = Self { id, hot_key: message.hot_key.clone(), salt, deploy: message.deploy, ladder };
        if wallet.to_wire() == *message { Ok(wallet) } else { Err(malformed("it is not in its only encoding")) }
    }
}

/// `None`: an asset that is not listed, an amount that is not one, or not as many balances as assets.
fn holdings(message: &wire::Wallet, listed: &[PlannedAsset]) -> Option<Vec<Result<Holding, LadderError>>> {
    let assets: Vec<usize> = (0..64).filter(|place| (message.assets >> place) & 1 == 1).collect();
    if assets.len() != message.balances.len() {
        return None;
    }
    let holding = |(asset, balance): (usize, &Vec<u8>)| {
        let rebasing = listed.get(asset)?.rebasing;
        let of_it = message.outstanding.iter().filter(|payment| payment.asset as usize == asset);
        let outstanding = of_it.map(|payment| {
            let nonce = message.first.checked_add(payment.ahead)?;
            Some(Outstanding { nonce, amount: wire::amount(&payment.amount)? })
        });
        let balance: Amount = wire::amount(balance)?;
        Some(Holding::new(asset, balance, outstanding.collect::<Option<_>>()?, rebasing))
    };
    assets.into_iter().zip(&message.balances).map(holding).collect()
}

/// A name that may be anything, for an error.
fn shown(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}
