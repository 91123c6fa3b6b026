//! Values for tests.

use std::collections::BTreeMap;

use chain::KeyRole;
use custodies::{Ceremony, Custody};
use custody::{
    CustodyId,
    config::Credentials,
    identity::Identity as Reported,
    manifest::SignedManifest,
    report::{Digests, Report, WorkloadState},
    trust::{CustodyTrust, MemberTrust, VaultTrust},
};
use k8s_openapi::{
    api::{apps::v1::StatefulSetStatus, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use multisig_api::{
    MemberCluster, MemberClusterSpec, MultisigCluster, MultisigClusterStatus, labels,
    member_cluster::{ClaimedBy, Guard, MemberClusterStatus},
    multisig_cluster::status::PlaceStatus,
    place::Place,
    refs::KubeconfigRef,
};
use nkeys::KeyPair;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    document::Document,
    members::identity::Identity,
    multisig_cluster::{
        dereference::{Dereferenced, MemberReferences},
        objects::{shape::Shape, stateful_set::stateful_set},
        observe::{Objects, Seen},
        plan::Write,
    },
    nats::{
        account::{Issued, Record},
        keys::OperatorAccess,
    },
    places::Places,
};

pub(crate) fn custody() -> CustodyId {
    "00112233445566778899aabbccddeeff".parse().unwrap()
}

pub(crate) fn time(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

/// kube-system UID made of one digit.
pub(crate) fn uid(digit: char) -> String {
    [8, 4, 4, 4, 12].map(|length| digit.to_string().repeat(length)).join("-")
}

/// Which member is prepared for which place.
const MEMBERS: [(&str, Place); 3] = [("dc-a", Place::Keeper), ("dc-b", Place::Cooler), ("dc-c", Place::Sentinel)];

pub(crate) fn member_of(place: Place) -> &'static str {
    MEMBERS.iter().find(|(_, prepared)| *prepared == place).unwrap().0
}

fn place_on(member: &str) -> Place {
    MEMBERS.iter().find(|(name, _)| *name == member).unwrap().1
}

fn uid_of(member: &str) -> String {
    uid(member.chars().last().unwrap())
}

pub(crate) fn image(digit: char) -> String {
    format!("registry.example/signer@sha256:{}", digit.to_string().repeat(64))
}

pub(crate) fn cluster() -> MultisigCluster {
    let user = KeyPair::new_from_raw(nkeys::KeyPairType::User, [9; 32]).unwrap().public_key();
    serde_json::from_value(json!({
        "apiVersion": "multisig.dev/v1alpha1",
        "kind": "MultisigCluster",
        "metadata": {"name": "main", "namespace": "hub", "uid": "c0ffee", "generation": 1},
        "spec": {
            "profile": "Development",
            "custody": {
                "id": custody(),
                "scheme": "TwoOfThree",
                "manifestRef": {"name": "manifest", "key": "manifest"},
            },
            "chains": [{"name": "eth", "type": "EVM", "evm": {"chainID": 1}}],
            "nats": {
                "urls": ["tls://nats.example:4222"],
                "caBundleRef": {"name": "nats-ca", "key": "ca.crt"},
                "account": {"type": "Managed", "managed": {"secretRef": {"name": "nats-operator"}}},
            },
            "keeper": {"memberRef": {"name": "dc-a"}, "image": image('1')},
            "cooler": {"memberRef": {"name": "dc-b"}, "image": image('2')},
            "app": {"type": "External", "external": {"natsUser": user}},
            "policy": {"limits": [{"chain": "eth", "asset": "ETH", "perTransaction": "1000"}]},
        },
    }))
    .unwrap()
}

pub(crate) fn status_with_generation(generation: i64) -> MultisigClusterStatus {
    let keeper = PlaceStatus { credential_generation: Some(generation), ..PlaceStatus::default() };
    MultisigClusterStatus { keeper: Some(keeper), ..MultisigClusterStatus::default() }
}

pub(crate) fn member(name: &str) -> MemberCluster {
    let mut member = MemberCluster::new(
        name,
        MemberClusterSpec {
            kubeconfig_secret_ref: KubeconfigRef { name: name.to_owned(), key: "value".to_owned() },
            namespace: "custody".to_owned(),
            data_center: name.to_owned(),
            failure_domains: BTreeMap::from([("provider".to_owned(), format!("provider of {name}"))]),
            cluster_uid: uid_of(name),
            guard: Guard::Optional,
        },
    );
    let role = place_on(name).role();
    let claimed_by = Some(ClaimedBy { name: "main".to_owned(), role });
    member.status = Some(MemberClusterStatus { claimed_by, ..MemberClusterStatus::default() });
    member
}

pub(crate) fn trust(member: &str) -> MemberTrust {
    let role = place_on(member).role();
    MemberTrust {
        data_center: member.to_owned(),
        vault: VaultTrust { audience: "vault.example".to_owned(), ..custodies::vault(role) },
        custody: Some(CustodyTrust { id: custody(), manifest_digest: manifest().digest() }),
        peers: BTreeMap::new(),
        local_policy: None,
        ..Custody::fixed().trust(role)
    }
}

pub(crate) fn identity(member: &str) -> Identity {
    Identity { cluster_uid: uid_of(member), version: "v1.34.4".to_owned(), trust: Document::Read(trust(member)) }
}

pub(crate) fn manifest() -> SignedManifest {
    manifest_signed_by(&[KeyRole::Cool, KeyRole::Cold])
}

pub(crate) fn manifest_signed_by(stations: &[KeyRole]) -> SignedManifest {
    let safe = ["0x5afe000000000000000000000000000000000001"];
    Ceremony::fixed().id(custody()).destinations("eip155:1", &safe).signed_by(stations)
}

/// The member of a place and its kubeconfig, as the hub has them.
pub(crate) fn references(place: Place) -> MemberReferences {
    MemberReferences {
        member: Document::Read(member(member_of(place))),
        kubeconfig: Some(Zeroizing::new(b"kubeconfig".to_vec())),
    }
}

/// A value for each place of [`cluster`].
fn signers<T>(make: impl Fn(Place) -> T) -> Places<T> {
    [Place::Keeper, Place::Cooler].into_iter().map(|place| (place, make(place))).collect()
}

pub(crate) fn dereferenced() -> Dereferenced {
    let seed = Zeroizing::new(KeyPair::new_operator().seed().unwrap().into_bytes());
    let creds = Zeroizing::new(b"creds".to_vec());
    Dereferenced {
        members: signers(references),
        manifest: Some(manifest().to_json()),
        ca_bundle: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        operator: Some(OperatorAccess::read(Some(seed), Some(creds))),
        account: Document::Missing,
        app_credentials: None,
    }
}

pub(crate) fn record() -> Record {
    Record {
        account: KeyPair::new_from_raw(nkeys::KeyPairType::Account, [7; 32]).unwrap().public_key(),
        token: "token".to_owned(),
        issued: BTreeMap::new(),
        replaced: BTreeMap::new(),
        revoked: BTreeMap::new(),
        latest: 0,
    }
}

pub(crate) fn credentials(generation: u64) -> Credentials {
    Credentials { generation, user_jwt: format!("jwt of generation {generation}") }
}

/// Every member as its admin prepared it, before the hub wrote anything.
pub(crate) fn seen() -> Places<Seen> {
    signers(seen_at)
}

/// One of them.
pub(crate) fn seen_at(place: Place) -> Seen {
    let placeholder = |name: String| {
        let label = (labels::DELEGATED.to_owned(), labels::DELEGATED_HUB.to_owned());
        let metadata = ObjectMeta { name: Some(name), labels: Some([label].into()), ..ObjectMeta::default() };
        Some(ConfigMap { metadata, ..ConfigMap::default() })
    };
    Seen {
        identity: Ok(identity(member_of(place))),
        objects: Ok(Objects {
            config: placeholder(custody::config::config_map(place.role())),
            credentials: placeholder(custody::config::credentials_map(place.role())),
            report: Document::Missing,
            stateful_set: None,
            service: None,
            disruption_budget: None,
            pod: None,
        }),
    }
}

/// Does to `objects` what an API server would do with these writes.
pub(crate) fn apply(objects: &mut Objects, writes: &[Write]) {
    for Write { resource, name, body } in writes {
        let body = body.clone();
        match resource.kind.as_str() {
            "StatefulSet" => objects.stateful_set = serde_json::from_value(body).unwrap(),
            "Service" => objects.service = serde_json::from_value(body).unwrap(),
            "PodDisruptionBudget" => objects.disruption_budget = serde_json::from_value(body).unwrap(),
            "ConfigMap" => {
                let map = if name.ends_with("-config") { &mut objects.config } else { &mut objects.credentials };
                let applied: ConfigMap = serde_json::from_value(body).unwrap();
                map.as_mut().unwrap().data = applied.data;
                map.as_mut().unwrap().metadata.namespace = applied.metadata.namespace;
            }
            kind => panic!("{kind} is not written"),
        }
    }
}

/// The pod of a place runs, has the credentials that the record names, and serves.
pub(crate) fn serve(seen: &mut Seen, place: Place, record: &mut Record) {
    let mut set = stateful_set(&shape(place));
    set.status = Some(StatefulSetStatus { ready_replicas: Some(1), replicas: 1, ..StatefulSetStatus::default() });
    seen.objects.as_mut().unwrap().stateful_set = Some(set);
    let identity = reported(place, 1);
    report(seen, Some(identity.clone()), Some(1));
    let issued = Issued { user: identity.nats_user, generation: 1, jwt: "jwt".to_owned() };
    record.issued.insert(place.role(), issued);
}

/// The workload serves and has reported so.
pub(crate) fn report(seen: &mut Seen, identity: Option<Reported>, credentials_generation: Option<u64>) {
    seen.objects.as_mut().unwrap().report = Document::Read(Report {
        state: WorkloadState::Serving,
        message: "serving".to_owned(),
        identity,
        credentials_generation,
        vault_key_version: Some(1),
        rewrap_left: None,
        audit_head: None,
        digests: Digests::default(),
        version: "0.1.0".to_owned(),
    });
}

/// Keys of a workload with valid proofs, always the same for the same seed.
pub(crate) fn reported(place: Place, seed: u8) -> Reported {
    custodies::identity(place.role(), custody(), seed)
}

pub(crate) fn shape(place: Place) -> Shape<'static> {
    Shape {
        place,
        custody: custody(),
        namespace: "custody",
        image: "registry.example/signer@sha256:1111111111111111111111111111111111111111111111111111111111111111",
        vault_audience: "vault.example",
        resources: None,
    }
}
