//! Figures for the owner's monitoring, in the OpenMetrics text format.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64},
};

use chain::Account;
use custody::Role;
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
    float: Family<RelayerLabel, Gauge<f64, AtomicU64>>,
    float_low: Family<RelayerLabel, Gauge>,
    in_flight: Family<RelayerLabel, Gauge>,
    stuck: Family<RelayerLabel, Gauge>,
    foreign: Family<RelayerLabel, Gauge>,
}

impl Metrics {
    /// With the figures of the connection to the broker.
    pub(crate) fn new() -> (Self, transport::Metrics) {
        let mut registry = Registry::with_prefix("app");
        let link = transport::Metrics::register(&mut registry);
        let (answers, payments) = (Family::default(), Family::default());
        let (troubles, serving) = (Counter::default(), Gauge::<i64, AtomicI64>::default());
        let float = Family::<RelayerLabel, Gauge<f64, AtomicU64>>::default();
        let gauge = || Family::<RelayerLabel, Gauge>::default();
        let (float_low, in_flight, stuck, foreign) = (gauge(), gauge(), gauge(), gauge());
        registry.register("signer_answers", "Answers of the signers by outcome", answers.clone());
        registry.register("payments", "Payments by status", payments.clone());
        registry.register("payment_troubles", "Steps of payments that are taken again", troubles.clone());
        registry.register("serving", "1 while connected to the broker and the node", serving.clone());
        registry.register("relayer_float_coins", "Native coins that the relayer can pay fees with", float.clone());
        registry.register("relayer_float_low", "1 while the float is below the configured least", float_low.clone());
        registry.register("relayer_in_flight", "Calls that are sent and not mined", in_flight.clone());
        registry.register("relayer_stuck", "Calls that time alone may not help", stuck.clone());
        registry.register("relayer_foreign_nonces", "Nonces that something else has used", foreign.clone());
        let registry = Arc::new(registry);
        let figures =
            Self { registry, answers, payments, troubles, serving, float, float_low, in_flight, stuck, foreign };
        (figures, link)
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
