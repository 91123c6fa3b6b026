//! What the operator tells Prometheus. No label names an object but for the condition gauge, whose series are removed
//! with their object.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::client::Body;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::conditions::Status;

/// Which API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The hub's, without the lease.
    Hub,
    /// The hub's, for the lease.
    Lease,
    /// Any member's.
    Member,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    target: &'static str,
    access: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    kind: &'static str,
    namespace: String,
    name: String,
    condition: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    role: &'static str,
}

/// All metrics.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    conditions: Family<ConditionLabels, Gauge>,
    minted: Family<RoleLabel, Counter>,
    leader: Gauge,
}

fn duration_histogram() -> Histogram {
    Histogram::new([0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 30.0])
}

impl Metrics {
    /// All at zero.
    #[expect(clippy::new_without_default, reason = "a value with effects in its registry is made on purpose")]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
            requests: Family::default(),
            conditions: Family::default(),
            minted: Family::default(),
            leader: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("multisig_reconciles", "Reconciles by kind and outcome", metrics.reconciles.clone());
        registry.register("multisig_reconcile_seconds", "Duration of reconciles by kind", metrics.durations.clone());
        registry.register(
            "multisig_api_requests",
            "Requests to API servers, reads and writes",
            metrics.requests.clone(),
        );
        registry.register(
            "multisig_condition",
            "Status of each condition: 1 True, 0 False, -1 Unknown",
            metrics.conditions.clone(),
        );
        registry.register("multisig_credentials_minted", "NATS user JWTs minted by role", metrics.minted.clone());
        registry.register("multisig_leader", "1 while this process holds the lease", metrics.leader.clone());
        metrics
    }

    /// In the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into a String can't fail");
        text
    }

    /// A reconcile has ended.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, seconds: f64) {
        self.reconciles.get_or_create(&ReconcileLabels { kind, outcome }).inc();
        self.durations.get_or_create(&KindLabel { kind }).observe(seconds);
    }

    /// The conditions of an object.
    pub fn conditions(&self, kind: &'static str, namespace: &str, name: &str, conditions: &[Condition]) {
        for condition in conditions {
            let labels = condition_labels(kind, namespace, name, &condition.type_);
            self.conditions.get_or_create(&labels).set(Status::as_number(&condition.status));
        }
    }

    /// The object is gone.
    pub fn forget(&self, kind: &'static str, namespace: &str, name: &str, conditions: &[&str]) {
        for condition in conditions {
            self.conditions.remove(&condition_labels(kind, namespace, name, condition));
        }
    }

    /// A user JWT was minted.
    pub fn minted(&self, role: custody::Role) {
        self.minted.get_or_create(&RoleLabel { role: role.as_str() }).inc();
    }

    /// Whether this process leads.
    pub fn lead(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Counts a request that is about to be sent.
    pub fn request(&self, target: Target, request: &http::Request<Body>) {
        let access = if writes(request) { "write" } else { "read" };
        self.requests.get_or_create(&RequestLabels { target: target_name(target), access }).inc();
    }
}

fn condition_labels(kind: &'static str, namespace: &str, name: &str, condition: &str) -> ConditionLabels {
    ConditionLabels { kind, namespace: namespace.to_owned(), name: name.to_owned(), condition: condition.to_owned() }
}

fn target_name(target: Target) -> &'static str {
    match target {
        Target::Hub => "hub",
        Target::Lease => "lease",
        Target::Member => "member",
    }
}

/// Whether a request may change something: a dry run and a review of rights may not.
fn writes(request: &http::Request<Body>) -> bool {
    let uri = request.uri();
    let dry = uri.query().is_some_and(|query| query.split('&').any(|part| part == "dryRun=All"));
    !request.method().is_safe() && !dry && !uri.path().starts_with("/apis/authorization.k8s.io/")
}

/// Shared by everything that counts.
pub type SharedMetrics = Arc<Metrics>;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str) -> http::Request<Body> {
        http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
    }

    #[test]
    fn only_what_may_change_something_counts_as_a_write() {
        assert!(writes(&request("PATCH", "/api/v1/namespaces/a/configmaps/b?fieldManager=x")));
        assert!(writes(&request("DELETE", "/api/v1/namespaces/a/configmaps/b")));
        assert!(!writes(&request("GET", "/api/v1/namespaces/a/configmaps/b")));
        assert!(!writes(&request("PATCH", "/api/v1/namespaces/a/configmaps/b?dryRun=All&fieldManager=x")));
        assert!(!writes(&request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")));
    }

    #[test]
    fn requests_show_by_target() {
        let metrics = Metrics::new();
        metrics.request(Target::Member, &request("PATCH", "/x"));
        assert!(!metrics.text().contains("hub"));
        assert!(metrics.text().contains(r#"multisig_api_requests_total{target="member",access="write"} 1"#));
    }

    #[test]
    fn series_of_an_object_go_with_it() {
        let metrics = Metrics::new();
        let condition = Condition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            reason: String::new(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
            ),
        };
        metrics.conditions("MemberCluster", "ns", "a", &[condition]);
        assert!(metrics.text().contains(r#"name="a""#));
        metrics.forget("MemberCluster", "ns", "a", &["Ready"]);
        assert!(!metrics.text().contains(r#"name="a""#));
    }
}
