//! A new wallet: hot key at Keeper, record at both signers, and an address that App computed itself, given out only
//! after both durably hold it. Asked again, the same operations go on where they stopped.

use chain::{ChainError, WalletDesc};
use custody::{Role, WalletId};
use prost::Message;

use crate::{
    app::App,
    client_key::ClientKey,
    operation::Seed,
    signers::{Away, Denial, Refused},
    store::{Attested, StoreError, Wallet},
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
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A wallet with its addresses, computed here.
pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) desc: WalletDesc,
    pub(crate) keeper: Vec<u8>,
    pub(crate) cooler: Vec<u8>,
}

impl Registered {
    /// From what is stored; the address is computed again, never read.
    pub(crate) fn new(app: &App, wallet: Wallet) -> Result<Option<Self>, WalletError> {
        let Some(Attested { hot_key, address, keeper, cooler }) = wallet.attested else { return Ok(None) };
        let desc = app.trust.wallet(&hot_key)?;
        if desc.address != address {
            return Err(Distrust::Stored.into());
        }
        Ok(Some(Self { id: wallet.id, desc, keeper, cooler }))
    }
}

/// The wallet of this id, made if it is not there.
pub(crate) async fn create(app: &App, id: &WalletId) -> Result<Registered, WalletError> {
    let client_key = app.client_keys.then(ClientKey::random);
    let wallet = app.store.ask_for_wallet(id.to_string(), Seed::random().0, client_key).await?;
    let seed = Seed(wallet.operation_seed);
    if let Some(registered) = Registered::new(app, wallet)? {
        return Ok(registered);
    }
    let registered = register(app, id, seed).await;
    if let Err(WalletError::Refused(_) | WalletError::Distrust(_)) = registered {
        // A decision is final for its operation. Nothing of value hangs on a wallet that was never given out, so the
        // next request, perhaps after an admin changed something, asks under new operations.
        app.store.renew_wallet(id.to_string(), Seed::random().0).await?;
    }
    registered
}

async fn register(app: &App, id: &WalletId, seed: Seed) -> Result<Registered, WalletError> {
    let client_key = client_key(app, id.to_string()).await?;
    let hot = app.signers.create(seed.operation("create"), id, client_key.as_ref()).await?;
    let (hot_keys, hot_key) = app.trust.hot_keys(id, &hot)?;
    let desc = app.trust.wallet(&hot_key)?;
    let register = |signer: Role| {
        let (hot, hot_keys, desc) = (hot.clone(), &hot_keys, &desc);
        async move {
            let operation = seed.operation(&format!("register-{signer}"));
            let record = app.signers.register(signer, operation, hot, &app.chain.id).await?;
            app.trust.record(signer, hot_keys, desc, &record)?;
            Ok::<_, WalletError>(record.encode_to_vec())
        }
    };
    let (keeper, cooler) = tokio::join!(register(Role::Keeper), register(Role::Cooler));
    let (keeper, cooler) = (keeper?, cooler?);
    let attested = Attested { hot_key, address: desc.address.clone(), keeper, cooler };
    app.store.attest_wallet(id.to_string(), attested).await?;
    let stored = app.store.wallet(id.to_string()).await?;
    let registered = stored.map(|wallet| Registered::new(app, wallet)).transpose()?.flatten();
    tracing::info!(wallet = id.as_str(), address = desc.address, "wallet registered");
    registered.ok_or(WalletError::Distrust(Distrust::Stored))
}

/// What Keeper is sent to open the wallet's keys with, if it seals them so.
pub(crate) async fn client_key(app: &App, wallet: String) -> Result<Option<ClientKey>, StoreError> {
    match app.client_keys {
        true => app.store.client_key(wallet).await,
        false => Ok(None),
    }
}

impl From<Denial> for WalletError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Refused(refused) => Self::Refused(refused),
            Denial::Away(away) => Self::NotYet(away),
        }
    }
}
