//! App's side of the broker, in App's stead: its own keys and credentials, once App itself is stopped.

use std::{collections::BTreeMap, fs, sync::Arc};

use anyhow::{Context, Result};
use custody::{Role, config::Credentials};
use data_encoding::HEXLOWER;
use nkeys::{KeyPair, XKey};
use protocol::envelope::{OwnKeys, Party, Peers};
use tokio::sync::watch;
use transport::{Caller, Link, Metrics};

use crate::World;

impl World {
    /// Asks Keeper and Cooler as App does.
    pub async fn caller(&self) -> Result<Caller> {
        let room = &self.owner.folder;
        let read = |name: &str| Ok::<_, anyhow::Error>(fs::read_to_string(room.join(name))?.trim().to_owned());
        let message: [u8; 32] =
            HEXLOWER.decode(read("identity/message.seed")?.as_bytes())?.try_into().ok().context("32 bytes")?;
        let xkey = XKey::from_seed(&read("identity/xkey.seed")?)?;
        let (_, xkey) = nkeys::decode_seed(&xkey.seed()?)?;
        let commands = &self.ground.commands;
        let (_, keeper) = self.ground.keeper.fingerprint(commands).await?;
        let (_, cooler) = self.ground.cooler.fingerprint(commands).await?;
        let peers =
            Peers::new(&BTreeMap::from([(Role::Keeper, vec![keeper.keys]), (Role::Cooler, vec![cooler.keys])]))?;
        let custody = self.ground.ceremonies.custody_id.parse()?;
        let party = Party::new(custody, Role::App, Arc::new(OwnKeys::from_seeds(&message, &xkey)), peers)?;
        let credentials: Credentials = serde_json::from_str(&read("credentials.json")?)?;
        let link = Link::connect(transport::Options {
            urls: vec![self.ground.nats.url()],
            ca_pem: self.ground.nats.ca_pem().to_owned(),
            custody,
            role: Role::App,
            nkey: KeyPair::from_seed(&read("identity/nats.seed")?)?,
            jwt: keep(credentials.user_jwt),
        })
        .await?;
        Ok(Caller::new(link, keep(party), Metrics::default()))
    }
}

/// A value that never changes, watched.
fn keep<T: Send + Sync + 'static>(value: T) -> watch::Receiver<T> {
    let (sender, receiver) = watch::channel(value);
    // Dropping the sender would read as "no more values".
    tokio::spawn(async move { sender.closed().await });
    receiver
}
