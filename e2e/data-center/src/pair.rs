//! Both signers of one custody, each in a data centre of its own, serving under the same local policy with a sentinel.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use chain_evm_client::Rpc;
use custody::{Role, identity::PeerKeys, local_policy::LocalPolicy, report::WorkloadState, trust::Profile};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{data_center::Member, process::Process, sentinel::Sentinel, shared::Custody};

/// Keeper, Cooler and the sentinel.
pub struct Pair {
    /// What they share.
    pub custody: Arc<Custody>,
    /// Keeper's data centre.
    pub keeper: Member,
    /// Cooler's data centre.
    pub cooler: Member,
    /// Grants leases, attests settlements.
    pub sentinel: Sentinel,
    /// The signers' public keys, as their reports say.
    pub signers: BTreeMap<Role, PeerKeys>,
    processes: Mutex<BTreeMap<Role, Process>>,
}

impl Pair {
    /// From nothing to both serving, with trust of profile Production. `binaries` is the folder of `keeper` and
    /// `cooler`; the sentinel looks at the chain through `rpc`.
    pub async fn start(binaries: &Path, local_policy: LocalPolicy, rpc: Rpc) -> Self {
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
        let sentinel = Sentinel::start(&custody, &signers, rpc).await;
        let processes = Mutex::new(processes);
        let pair = Self { custody, keeper, cooler, sentinel, signers, processes };
        for member in [&pair.keeper, &pair.cooler] {
            member.write_trust(|trust| pair.production(member, &local_policy, trust)).await;
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

    /// A signer's process id.
    pub async fn pid(&self, role: Role) -> u32 {
        self.processes.lock().await[&role].pid()
    }

    /// SIGTERM, and another process on the same volume.
    pub async fn restart(&self, role: Role) {
        self.stopped(role, async {}).await;
    }

    /// Ends a signer with SIGTERM, and runs it again after `meanwhile`.
    pub async fn stopped<T>(&self, role: Role, meanwhile: impl Future<Output = T>) -> T {
        let mut processes = self.processes.lock().await;
        if let Some(process) = processes.remove(&role) {
            process.terminate().await;
        }
        let outcome = meanwhile.await;
        processes.insert(role, self.member(role).run());
        outcome
    }

    /// Holds a signer up while `meanwhile` happens: what is sent to it waits.
    pub async fn held_up<T>(&self, role: Role, meanwhile: impl Future<Output = T>) -> T {
        let processes = self.processes.lock().await;
        processes[&role].pause();
        let outcome = meanwhile.await;
        processes[&role].resume();
        outcome
    }

    fn production(&self, member: &Member, local_policy: &LocalPolicy, trust: &mut Value) {
        let other = member.other_role();
        let peers = [
            (other, &self.signers[&other]),
            (Role::App, self.custody.app.public()),
            (Role::Sentinel, self.custody.sentinel.public()),
        ];
        let peers: BTreeMap<Role, Vec<&PeerKeys>> = peers.map(|(role, keys)| (role, vec![keys])).into();
        trust["profile"] = json!(Profile::Production);
        trust["peers"] = json!(peers);
        trust["localPolicy"] = json!(local_policy);
    }

    /// As the data centre's admin carries it there.
    async fn import_cool(&self) {
        self.cooler.state(WorkloadState::AwaitingCoolKey).await;
        let xkey = &self.signers[&Role::Cooler].xkey;
        let sealed =
            custody::sealed_phrase::seal(&self.custody.cool, &self.custody.manifest, xkey, &mut OsRng).unwrap();
        let imported = self.cooler.exec(&["import"], &sealed.to_json()).await;
        assert!(imported.status.success(), "{imported:?}");
    }
}

/// What the process needs to make its keys, and nothing to serve with.
fn only_the_vault(trust: &mut Value) {
    for field in ["custody", "localPolicy"] {
        trust[field] = Value::Null;
    }
    trust["peers"] = json!({});
}
