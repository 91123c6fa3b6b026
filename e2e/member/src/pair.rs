//! Both signers of one custody, each in a data centre of its own, serving under the same floor with an observer.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use chain_evm_client::Rpc;
use custody::{
    Role, coolseal,
    trust::{Floor, PeerKeys, Profile},
    wiring::State,
};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{Custody, Member, Observer, Process};

/// Keeper, Cooler and the observer.
pub struct Pair {
    /// What they share.
    pub custody: Arc<Custody>,
    /// Keeper's data centre.
    pub keeper: Member,
    /// Cooler's data centre.
    pub cooler: Member,
    /// Grants leases, attests settlements.
    pub observer: Observer,
    /// The signers' public keys, as their reports say.
    pub signers: BTreeMap<Role, PeerKeys>,
    processes: Mutex<BTreeMap<Role, Process>>,
}

impl Pair {
    /// From nothing to both serving, with trust of profile Production. `binaries` is the folder of `keeper` and
    /// `cooler`; the observer looks at the chain through `rpc`.
    pub async fn start(binaries: &Path, floor: Floor, rpc: Rpc) -> Self {
        let custody = Arc::new(Custody::found().await);
        let (keeper, cooler) = tokio::join!(
            Member::start_in(custody.clone(), Role::Keeper, binaries.join("keeper")),
            Member::start_in(custody.clone(), Role::Cooler, binaries.join("cooler")),
        );
        let processes = BTreeMap::from([(Role::Keeper, keeper.run()), (Role::Cooler, cooler.run())]);
        let mut signers = BTreeMap::new();
        let mut users = BTreeMap::new();
        for member in [&keeper, &cooler] {
            member.write_trust(only_the_vault).await;
            let identity = member.report_with(|report| report.identity.is_some()).await.identity.unwrap();
            signers.insert(member.role, identity.keys);
            users.insert(member.role, identity.nats_user);
        }
        let observer = Observer::start(&custody, &signers, rpc).await;
        let processes = Mutex::new(processes);
        let pair = Self { custody, keeper, cooler, observer, signers, processes };
        for member in [&pair.keeper, &pair.cooler] {
            member.write_trust(|trust| pair.production(member, &floor, trust)).await;
            member.write_config(json!({})).await;
            member.write_credentials(&users[&member.role], 1).await;
        }
        pair.import_cool().await;
        pair.serving().await;
        pair
    }

    /// A signer's data centre.
    pub fn member(&self, role: Role) -> &Member {
        if role == Role::Keeper { &self.keeper } else { &self.cooler }
    }

    /// Waits until both serve.
    pub async fn serving(&self) {
        tokio::join!(self.keeper.ready(), self.cooler.ready());
    }

    /// SIGTERM, and another process on the same volume.
    pub async fn restart(&self, role: Role) {
        let mut processes = self.processes.lock().await;
        if let Some(process) = processes.remove(&role) {
            process.terminate().await;
        }
        processes.insert(role, self.member(role).run());
    }

    /// Holds a signer up while `meanwhile` happens: what is sent to it waits.
    pub async fn held_up<T>(&self, role: Role, meanwhile: impl Future<Output = T>) -> T {
        let processes = self.processes.lock().await;
        processes[&role].pause();
        let outcome = meanwhile.await;
        processes[&role].resume();
        outcome
    }

    fn production(&self, member: &Member, floor: &Floor, trust: &mut Value) {
        let other = member.other_role();
        let peers = [
            (other, &self.signers[&other]),
            (Role::App, self.custody.app.public()),
            (Role::Observer, self.custody.observer.public()),
        ];
        let peers: BTreeMap<Role, Vec<&PeerKeys>> = peers.map(|(role, keys)| (role, vec![keys])).into();
        trust["profile"] = json!(Profile::Production);
        trust["peers"] = json!(peers);
        trust["floor"] = json!(floor);
    }

    /// As the data centre's admin carries it there.
    async fn import_cool(&self) {
        self.cooler.state(State::AwaitingCoolKey).await;
        let xkey = &self.signers[&Role::Cooler].xkey;
        let sealed = coolseal::seal(&self.custody.cool, &self.custody.manifest(), xkey, &mut OsRng).unwrap();
        let imported = self.cooler.exec(&["import"], &sealed.to_json()).await;
        assert!(imported.status.success(), "{imported:?}");
    }
}

/// What the process needs to make its keys, and nothing to serve with.
fn only_the_vault(trust: &mut Value) {
    for field in ["custody", "floor"] {
        trust[field] = Value::Null;
    }
    trust["peers"] = json!({});
}
