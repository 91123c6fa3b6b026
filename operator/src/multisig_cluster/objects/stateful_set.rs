//! The workload: a StatefulSet in the published shape. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{
            Capabilities, ConfigMapProjection, Container, ContainerPort, HTTPGetAction, KeyToPath,
            PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
            ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecurityContext,
            ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use multisig_api::multisig_cluster::place::{ResourceAmounts, ResourcesSpec};

use super::shape::{PORT, Shape};

const USER: i64 = 65532;
const DATA_DIR: &str = "/data";
const KUBE_DIR: &str = "/var/run/secrets/multisig/kube";
const VAULT_DIR: &str = "/var/run/secrets/multisig/vault";
/// The kubelet renews at four fifths of these.
const KUBE_TOKEN_SECONDS: i64 = 3600;
const VAULT_TOKEN_SECONDS: i64 = 600;

/// The workload: one pod, whose volume is the admin's.
pub fn stateful_set(shape: &Shape<'_>) -> StatefulSet {
    StatefulSet {
        metadata: shape.metadata(),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(shape.place.to_string()),
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
            selector: shape.selector(),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(shape.labels()), ..ObjectMeta::default() }),
                spec: Some(pod(shape)),
            },
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn pod(shape: &Shape<'_>) -> PodSpec {
    PodSpec {
        service_account_name: Some(shape.place.to_string()),
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
        containers: vec![container(shape)],
        volumes: Some(volumes(shape)),
        ..PodSpec::default()
    }
}

fn container(shape: &Shape<'_>) -> Container {
    let args = [
        "run".to_owned(),
        format!("--data-dir={DATA_DIR}"),
        format!("--kube-dir={KUBE_DIR}"),
        format!("--vault-token-file={VAULT_DIR}/token"),
        format!("--namespace={}", shape.namespace),
        format!("--listen=0.0.0.0:{PORT}"),
    ];
    Container {
        name: shape.place.to_string(),
        image: Some(shape.image.to_owned()),
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
        resources: Some(resources(shape.resources)),
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

fn volumes(shape: &Shape<'_>) -> Vec<Volume> {
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
                claim_name: format!("{}-data", shape.place),
                read_only: None,
            }),
            ..Volume::default()
        },
        projected("kube", vec![token(None, KUBE_TOKEN_SECONDS), root_certificate]),
        projected("vault", vec![token(Some(shape.vault_audience.to_owned()), VAULT_TOKEN_SECONDS)]),
    ]
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

/// What a signer needs at a few hundred signatures a second. No CPU limit: it would only add latency.
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
    use multisig_api::place::Place;

    use super::*;
    use crate::tests::fixtures;

    #[test]
    fn it_has_the_published_shape() {
        for place in [Place::Keeper, Place::Cooler] {
            insta::assert_json_snapshot!(format!("{place}_stateful_set"), stateful_set(&fixtures::shape(place)));
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
