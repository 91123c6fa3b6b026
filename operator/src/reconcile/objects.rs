//! The objects that the hub writes on a member, in the published shape. Pure.

use std::collections::BTreeMap;

use custody::CustodyId;
use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{
            Capabilities, ConfigMap, ConfigMapProjection, Container, ContainerPort, HTTPGetAction, KeyToPath,
            PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
            ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecurityContext, Service,
            ServiceAccountTokenProjection, ServicePort, ServiceSpec, Volume, VolumeMount, VolumeProjection,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use multisig_api::{
    labels,
    multisig_cluster::{ResourceAmounts, ResourcesSpec},
};

use crate::signers::Signer;

/// What distinguishes one signer's objects from another's.
pub struct Shape<'a> {
    /// Keeper or cooler: the name of everything.
    pub signer: Signer,
    /// The custody.
    pub custody: CustodyId,
    /// Namespace on the member.
    pub namespace: &'a str,
    /// Image by digest.
    pub image: &'a str,
    /// Audience of the token with which the workload logs in to its Vault.
    pub vault_audience: &'a str,
    /// CPU and memory.
    pub resources: Option<&'a ResourcesSpec>,
}

const USER: i64 = 65532;
const PORT: i32 = 8080;
const DATA_DIR: &str = "/data";
const KUBE_DIR: &str = "/var/run/secrets/multisig/kube";
const VAULT_DIR: &str = "/var/run/secrets/multisig/vault";
/// The kubelet renews at four fifths of these.
const KUBE_TOKEN_SECONDS: i64 = 3600;
const VAULT_TOKEN_SECONDS: i64 = 600;

impl Shape<'_> {
    /// The workload: one pod, whose volume is the admin's.
    pub fn stateful_set(&self) -> StatefulSet {
        StatefulSet {
            metadata: self.metadata(),
            spec: Some(StatefulSetSpec {
                replicas: Some(1),
                service_name: Some(self.signer.to_string()),
                // OrderedReady never replaces a pod that isn't ready, which is every pod that still waits for its admin.
                pod_management_policy: Some("Parallel".to_owned()),
                update_strategy: Some(StatefulSetUpdateStrategy {
                    type_: Some("RollingUpdate".to_owned()),
                    ..StatefulSetUpdateStrategy::default()
                }),
                persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some("Retain".to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                }),
                selector: self.selector(),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta { labels: Some(self.labels()), ..ObjectMeta::default() }),
                    spec: Some(self.pod()),
                },
                ..StatefulSetSpec::default()
            }),
            ..StatefulSet::default()
        }
    }

    /// Gives the pod its name in DNS; also where metrics are scraped.
    pub fn service(&self) -> Service {
        Service {
            metadata: self.metadata(),
            spec: Some(ServiceSpec {
                cluster_ip: Some("None".to_owned()),
                publish_not_ready_addresses: Some(true),
                selector: self.selector().match_labels,
                ports: Some(vec![ServicePort {
                    name: Some("http".to_owned()),
                    port: PORT,
                    target_port: Some(IntOrString::String("http".to_owned())),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        }
    }

    /// Nobody drains the only signer by accident; one that isn't ready may go.
    pub fn disruption_budget(&self) -> PodDisruptionBudget {
        PodDisruptionBudget {
            metadata: self.metadata(),
            spec: Some(PodDisruptionBudgetSpec {
                min_available: Some(IntOrString::Int(1)),
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                selector: Some(self.selector()),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        }
    }

    fn pod(&self) -> PodSpec {
        PodSpec {
            service_account_name: Some(self.signer.to_string()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(30),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
                ..PodSecurityContext::default()
            }),
            containers: vec![self.container()],
            volumes: Some(self.volumes()),
            ..PodSpec::default()
        }
    }

    fn container(&self) -> Container {
        let args = [
            "run".to_owned(),
            format!("--data-dir={DATA_DIR}"),
            format!("--kube-dir={KUBE_DIR}"),
            format!("--vault-token-file={VAULT_DIR}/token"),
            format!("--namespace={}", self.namespace),
            format!("--listen=0.0.0.0:{PORT}"),
        ];
        Container {
            name: self.signer.to_string(),
            image: Some(self.image.to_owned()),
            args: Some(args.to_vec()),
            ports: Some(vec![ContainerPort {
                name: Some("http".to_owned()),
                container_port: PORT,
                ..ContainerPort::default()
            }]),
            // A first start opens its store and makes its keys: minutes are allowed, and only for that.
            startup_probe: Some(probe("/livez", 2, 90)),
            liveness_probe: Some(probe("/livez", 10, 3)),
            readiness_probe: Some(probe("/readyz", 2, 1)),
            resources: Some(resources(self.resources)),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                read_only_root_filesystem: Some(true),
                capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
                ..SecurityContext::default()
            }),
            volume_mounts: Some(vec![
                mount("data", DATA_DIR, false),
                mount("kube", KUBE_DIR, true),
                mount("vault", VAULT_DIR, true),
            ]),
            ..Container::default()
        }
    }

    fn volumes(&self) -> Vec<Volume> {
        let root_certificate = VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: "kube-root-ca.crt".to_owned(),
                items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
                optional: None,
            }),
            ..VolumeProjection::default()
        };
        vec![
            Volume {
                name: "data".to_owned(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: format!("{}-data", self.signer),
                    read_only: None,
                }),
                ..Volume::default()
            },
            projected("kube", vec![token(None, KUBE_TOKEN_SECONDS), root_certificate]),
            projected("vault", vec![token(Some(self.vault_audience.to_owned()), VAULT_TOKEN_SECONDS)]),
        ]
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.signer.to_string()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let pairs = [
            (labels::NAME, self.signer.to_string()),
            (labels::PART_OF, labels::PART_OF_VALUE.to_owned()),
            (labels::MANAGED_BY, labels::MANAGER.to_owned()),
            (labels::ROLE, self.signer.to_string()),
            (labels::CUSTODY, self.custody.to_string()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Immutable once created: nothing that may ever change is in it.
    fn selector(&self) -> LabelSelector {
        let label = (labels::ROLE.to_owned(), self.signer.to_string());
        LabelSelector { match_labels: Some(BTreeMap::from([label])), match_expressions: None }
    }
}

/// The data of a placeholder, and nothing else of it.
pub fn placeholder_data(name: &str, namespace: &str, data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn projected(name: &str, sources: Vec<VolumeProjection>) -> Volume {
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), default_mode: None }),
        ..Volume::default()
    }
}

fn token(audience: Option<String>, seconds: i64) -> VolumeProjection {
    VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience,
            expiration_seconds: Some(seconds),
            path: "token".to_owned(),
        }),
        ..VolumeProjection::default()
    }
}

/// What a signer needs at a few hundred signatures a second; no CPU limit, which would only add latency.
fn resources(spec: Option<&ResourcesSpec>) -> ResourceRequirements {
    let given = spec.cloned().unwrap_or_default();
    let amounts = |given: Option<ResourceAmounts>, cpu: Option<&str>, memory: Option<&str>| {
        let given = given.unwrap_or_default();
        let amount = |given: Option<String>, default: Option<&str>| given.or(default.map(str::to_owned)).map(Quantity);
        let pairs = [("cpu", amount(given.cpu, cpu)), ("memory", amount(given.memory, memory))];
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<BTreeMap<_, _>>()
    };
    ResourceRequirements {
        requests: Some(amounts(given.requests, Some("100m"), Some("64Mi"))),
        limits: Some(amounts(given.limits, None, Some("256Mi"))),
        ..ResourceRequirements::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn the_objects_have_the_published_shape() {
        for signer in Signer::BOTH {
            let shape = fixtures::shape(signer);
            insta::assert_json_snapshot!(format!("{signer}_stateful_set"), shape.stateful_set());
            insta::assert_json_snapshot!(format!("{signer}_service"), shape.service());
            insta::assert_json_snapshot!(format!("{signer}_disruption_budget"), shape.disruption_budget());
        }
    }

    #[test]
    fn resources_that_are_given_replace_the_defaults_one_by_one() {
        let cpu = ResourceAmounts { cpu: Some("2".to_owned()), memory: None };
        let given = ResourcesSpec { requests: Some(cpu.clone()), limits: Some(cpu) };
        let resources = resources(Some(&given));
        let quantity = |text: &str| Some(Quantity(text.to_owned()));
        assert_eq!(resources.requests.as_ref().and_then(|amounts| amounts.get("cpu").cloned()), quantity("2"));
        assert_eq!(resources.requests.as_ref().and_then(|amounts| amounts.get("memory").cloned()), quantity("64Mi"));
        assert_eq!(resources.limits.as_ref().and_then(|amounts| amounts.get("cpu").cloned()), quantity("2"));
    }
}
