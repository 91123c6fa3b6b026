//! A wallet is made, or shown. A new one: hot key at Keeper, record at both signers, and an address that App computed
//! itself, given out only after both durably hold it. Asked again, the same operations go on where they stopped.

use chain::{Asset, ChainError, Claim, ClientError, Created, Held, WalletDesc, WalletState};
use custody::{Role, WalletId};
use prost::Message;

use crate::{
    app::App,
    domain::{Attested, ClientKey, Cursor, Page, Seed, Wallet, WalletFilter},
    signers::{Away, Denial, Refused},
    store::StoreError,
    trust::Distrust,
};

/// Why there is no wallet (yet).
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalletError {
    #[error("{0}")]
    Refused(Refused),
    #[error("{0}; ask again with the same id")]
    NotYet(Away),
    #[error(transparent)]
    Distrust(#[from] Distrust),
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// No address is given out as long as it is not known that a wallet can be there.
    #[error("{0}")]
    Unverified(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A wallet with its addresses, computed here.
pub(crate) struct Registered {
    pub(crate) id: WalletId,
    pub(crate) desc: WalletDesc,
    pub(crate) keeper: Vec<u8>,
    pub(crate) cooler: Vec<u8>,
}

impl Registered {
    /// From what is stored; the address is computed again, never read.
    fn new(app: &App, wallet: Wallet) -> Result<Option<Self>, WalletError> {
        let Some(Attested { hot_key, address, keeper, cooler }) = wallet.attested else { return Ok(None) };
        let desc = app.trust.wallet(&hot_key)?;
        if desc.address != address.as_str() {
            return Err(Distrust::Stored.into());
        }
        Ok(Some(Self { id: wallet.id, desc, keeper, cooler }))
    }
}

/// The wallet of this id, once both signers hold it.
pub(crate) async fn registered(app: &App, id: &WalletId) -> Result<Option<Registered>, WalletError> {
    let wallet = app.store.wallet(id).await?;
    Ok(wallet.map(|wallet| Registered::new(app, wallet)).transpose()?.flatten())
}

/// Wallets that fit, and where the next page begins, if there is one. Those that were never given out are left out.
pub(crate) async fn list(
    app: &App,
    filter: WalletFilter,
    page: Page,
) -> Result<(Vec<Registered>, Option<Cursor>), WalletError> {
    let (wallets, next) = page.cut(app.store.wallets(filter, page).await?);
    let registered = wallets.into_iter().filter_map(|wallet| Registered::new(app, wallet).transpose());
    Ok((registered.collect::<Result<_, _>>()?, next))
}

/// What the chain says of a wallet.
pub(crate) struct OnChain {
    /// Native coin.
    pub(crate) native: Held,
    /// Each listed asset, by its symbol.
    pub(crate) balances: Vec<(String, Held)>,
    /// Whether it exists there.
    pub(crate) created: bool,
    /// The next one, where the chain counts a wallet's transactions.
    pub(crate) nonce: Option<u64>,
}

/// Asks the node; a wallet's address is known also while it is away.
pub(crate) async fn on_chain(app: &App, wallet: &Registered) -> Result<OnChain, ClientError> {
    let listed = app.trust.assets().as_slice();
    // The native coin is shown also where it is not listed.
    let native = Asset { symbol: String::new(), contract: None };
    let asked: Vec<Asset> = [native].into_iter().chain(listed.iter().cloned()).collect();
    let WalletState { created, next, balances, .. } = app.client.wallet_state(&wallet.desc, &asked).await?;
    let mut balances = balances.into_iter();
    Ok(OnChain {
        native: balances.next().unwrap_or_else(|| Held::Unreadable("not read".to_owned())),
        balances: listed.iter().map(|asset| asset.symbol.clone()).zip(balances).collect(),
        created: created != Created::No,
        nonce: match next[..] {
            [Claim::Sequence(nonce)] => Some(nonce),
            _ => None,
        },
    })
}

/// The wallet of this id, made if it is not there.
pub(crate) async fn create(app: &App, id: &WalletId) -> Result<Registered, WalletError> {
    let client_key = app.client_keys.then(ClientKey::random);
    let wallet = app.store.ask_for_wallet(id, Seed::random(), client_key).await?;
    let seed = wallet.seed;
    if let Some(registered) = Registered::new(app, wallet)? {
        return Ok(registered);
    }
    let registered = register(app, id, seed).await;
    if let Err(WalletError::Refused(_) | WalletError::Distrust(_)) = registered {
        // A decision is final for its operation. Nothing of value hangs on a wallet that was never given out, so the
        // next request, perhaps after an admin changed something, asks under new operations.
        app.store.renew_wallet(id, Seed::random()).await?;
    }
    registered
}

async fn register(app: &App, id: &WalletId, seed: Seed) -> Result<Registered, WalletError> {
    let client_key = app.client_key(id).await?;
    let hot = app.signers.create(seed.operation("create"), id, client_key.as_ref()).await?;
    let (hot_keys, hot_key) = app.trust.hot_keys(id, &hot)?;
    let desc = app.trust.wallet(&hot_key)?;
    let creation = app.trust.rules().creation(&desc)?;
    app.client.verify_contracts(creation.as_ref().map(|creation| (&desc, creation))).await?;
    let register = |signer: Role| {
        let (hot, hot_keys, desc) = (hot.clone(), &hot_keys, &desc);
        async move {
            let operation = seed.operation(&format!("register-{signer}"));
            let record = app.signers.register(signer, operation, hot, app.trust.rules().id()).await?;
            app.trust.record(signer, hot_keys, desc, &record)?;
            Ok::<_, WalletError>(record.encode_to_vec())
        }
    };
    let (keeper, cooler) = tokio::join!(register(Role::Keeper), register(Role::Cooler));
    let (keeper, cooler) = (keeper?, cooler?);
    let attested = Attested { hot_key, address: app.trust.address(&desc.address)?, keeper, cooler };
    app.store.attest_wallet(id, attested).await?;
    let registered = registered(app, id).await?;
    tracing::info!(wallet = id.as_str(), address = desc.address, "wallet registered");
    registered.ok_or(WalletError::Distrust(Distrust::Stored))
}

impl From<Denial> for WalletError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Refused(refused) => Self::Refused(refused),
            Denial::Away(away) => Self::NotYet(away),
        }
    }
}
