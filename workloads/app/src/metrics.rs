//! Figures for the owner's monitoring, in the OpenMetrics text format.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64},
};

use chain::{Account, NodeState};
use custody::Role;
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use protocol::ops::{Outcome, Response};

use crate::domain::Status;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    signer: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabel {
    node: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RelayerLabel {
    relayer: String,
}

/// All figures; clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    answers: Family<AnswerLabels, Counter>,
    payments: Family<StatusLabel, Gauge>,
    /// Steps of payments that have to be taken again.
    pub(crate) troubles: Counter,
    /// 1 while App serves.
    pub(crate) serving: Gauge,
    /// 1 while the callers' file can be used.
    pub(crate) callers_file_valid: Gauge,
    float: Family<RelayerLabel, Gauge<f64, AtomicU64>>,
    float_low: Family<RelayerLabel, Gauge>,
    in_flight: Family<RelayerLabel, Gauge>,
    stuck: Family<RelayerLabel, Gauge>,
    foreign: Family<RelayerLabel, Gauge>,
    node_up: Family<NodeLabel, Gauge>,
    node_block: Family<NodeLabel, Gauge>,
    node_head_age: Family<NodeLabel, Gauge>,
    /// When the last backup by schedule was made, Unix seconds.
    pub(crate) last_backup: Gauge,
}

impl Metrics {
    /// With the figures of the connection to the broker.
    pub(crate) fn new() -> (Self, transport::Metrics) {
        let mut registry = Registry::with_prefix("app");
        let link = transport::Metrics::register(&mut registry);
        let (answers, payments) = (Family::default(), Family::default());
        let (troubles, serving) = (Counter::default(), Gauge::<i64, AtomicI64>::default());
        let last_backup = Gauge::<i64, AtomicI64>::default();
        let callers_file_valid = Gauge::<i64, AtomicI64>::default();
        let float = Family::<RelayerLabel, Gauge<f64, AtomicU64>>::default();
        let gauge = || Family::<RelayerLabel, Gauge>::default();
        let (float_low, in_flight, stuck, foreign) = (gauge(), gauge(), gauge(), gauge());
        registry.register("signer_answers", "Answers of the signers by outcome", answers.clone());
        registry.register("payments", "Payments by status", payments.clone());
        registry.register("payment_troubles", "Steps of payments that are taken again", troubles.clone());
        registry.register("serving", "1 while connected to the broker and the node", serving.clone());
        registry.register(
            "last_backup_seconds",
            "When the last backup by schedule was made, 0: never",
            last_backup.clone(),
        );
        let help = "1 while the callers' file can be used; else the one read before it counts";
        registry.register("callers_file_valid", help, callers_file_valid.clone());
        registry.register("relayer_float_coins", "Native coins that the relayer can pay fees with", float.clone());
        let (node_up, node_block, node_head_age) = (Family::default(), Family::default(), Family::default());
        let up = "1 while the node answers for the right chain and is not behind";
        registry.register("node_up", up, node_up.clone());
        registry.register("node_block", "Number of the node's newest block", node_block.clone());
        registry.register("node_head_age_seconds", "Age of the node's newest block", node_head_age.clone());
        registry.register("relayer_float_low", "1 while the float is below the configured least", float_low.clone());
        registry.register("relayer_in_flight", "Calls that are sent and not mined", in_flight.clone());
        registry.register("relayer_stuck", "Calls that time alone may not help", stuck.clone());
        registry.register("relayer_foreign_nonces", "Nonces that something else has used", foreign.clone());
        let registry = Arc::new(registry);
        let metrics = Self {
            registry,
            answers,
            payments,
            troubles,
            serving,
            callers_file_valid,
            float,
            float_low,
            in_flight,
            stuck,
            foreign,
            node_up,
            node_block,
            node_head_age,
            last_backup,
        };
        (metrics, link)
    }

    /// How the nodes are.
    pub(crate) fn nodes(&self, nodes: &[NodeState], now: Timestamp) {
        for NodeState { node, head, trouble } in nodes {
            let label = NodeLabel { node: node.clone() };
            self.node_up.get_or_create(&label).set(trouble.is_none().into());
            if let Some(head) = head {
                let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
                self.node_block.get_or_create(&label).set(gauge(head.number));
                let age = now.as_second().saturating_sub(gauge(head.time)).max(0);
                self.node_head_age.get_or_create(&label).set(age);
            }
        }
    }

    /// How the relayer's accounts stand.
    pub(crate) fn relayers(&self, accounts: &[Account]) {
        for account in accounts {
            let label = RelayerLabel { relayer: account.float.relayer.clone() };
            let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            self.float.get_or_create(&label).set(account.float.whole());
            self.float_low.get_or_create(&label).set(i64::from(account.low));
            self.in_flight.get_or_create(&label).set(count(account.in_flight));
            self.stuck.get_or_create(&label).set(count(account.stuck.len()));
            self.foreign.get_or_create(&label).set(i64::try_from(account.foreign).unwrap_or(i64::MAX));
        }
    }

    /// A signer was asked; `None`: it did not answer.
    pub(crate) fn answer(&self, signer: Role, answer: Option<&Response>) {
        let outcome = match answer.and_then(|response| response.outcome.as_ref()) {
            None => "none",
            Some(Outcome::Refused(_)) => "refused",
            Some(Outcome::Unavailable(_)) => "unavailable",
            Some(Outcome::Pending(_)) => "pending",
            Some(_) => "done",
        };
        self.answers.get_or_create(&AnswerLabels { signer: signer.as_str(), outcome }).inc();
    }

    /// The text that `/metrics` answers.
    pub(crate) fn text(&self, payments: &[(Status, u64)]) -> String {
        for status in Status::ALL {
            let count = payments.iter().find(|(counted, _)| *counted == status).map_or(0, |(_, count)| *count);
            let gauge = self.payments.get_or_create(&StatusLabel { status: status.as_str() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        workload::health::text(&self.registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_counted_also_at_zero() {
        let text = Metrics::new().0.text(&[(Status::Confirmed, 3)]);
        assert!(text.contains("app_payments{status=\"confirmed\"} 3"), "{text}");
        assert!(text.contains("app_payments{status=\"refused\"} 0"), "{text}");
    }
}
