//! What the proxy does, to which requests.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

/// A function of a request's parameters and its answer.
type Alteration = Arc<dyn Fn(&Value, &mut Value) + Send + Sync>;

/// What a request's parameters are answered with, if with anything.
type Response = Arc<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

/// A condition on a request's parameters.
type Condition = Box<dyn Fn(&Value) -> bool + Send + Sync>;

/// What happens to a request.
#[derive(Clone)]
pub enum Fault {
    /// It waits this long before it goes on.
    Delay(Duration),
    /// It is never answered.
    Stall,
    /// The connection ends; the node is not asked.
    Drop,
    /// The node is asked, and then the connection ends.
    LoseAnswer,
    /// This HTTP status, body and headers instead of an answer.
    Status(u16, String, Vec<(String, String)>),
    /// This JSON-RPC error instead of an answer.
    Error(Value),
    /// This result; the node is not asked.
    Answer(Value),
    /// A result made from the parameters; where there is none, the request goes on.
    Respond(Response),
    /// The node's result, altered; a node's error stays as it is.
    Alter(Alteration),
}

impl Fault {
    /// A JSON-RPC error without data.
    pub fn error(code: i64, message: &str) -> Self {
        Self::Error(json!({"code": code, "message": message}))
    }

    /// An HTTP status with a body and headers.
    pub fn status(status: u16, body: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::Status(status, body.to_owned(), headers.collect())
    }

    /// A result made from the request's parameters; the node is asked where it is none.
    pub fn respond(respond: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Self {
        Self::Respond(Arc::new(respond))
    }

    /// The node's result, changed in place; the first argument is the request's parameters.
    pub fn alter(alter: impl Fn(&Value, &mut Value) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(alter))
    }
}

/// Names a rule of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(pub(super) u64);

/// Which requests, and what happens to them: nothing until [`Rule::does`].
pub struct Rule {
    method: Option<String>,
    each: u64,
    times: u64,
    blocks: Option<RangeInclusive<u64>>,
    when: Option<Condition>,
    fault: Fault,
    matched: AtomicU64,
}

impl Rule {
    /// Requests of this method.
    pub fn on(method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..Self::any() }
    }

    /// All requests.
    pub fn any() -> Self {
        let fault = Fault::Delay(Duration::ZERO);
        Self { method: None, each: 1, times: u64::MAX, blocks: None, when: None, fault, matched: AtomicU64::new(0) }
    }

    /// Only each nth of them, the nth first.
    pub fn each(mut self, nth: u64) -> Self {
        self.each = nth.max(1);
        self
    }

    /// Only so often, then never again.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Only while the node's newest block is one of these.
    pub fn blocks(mut self, blocks: RangeInclusive<u64>) -> Self {
        self.blocks = Some(blocks);
        self
    }

    /// Only requests with such parameters.
    pub fn when(mut self, when: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Box::new(when));
        self
    }

    /// What happens to them.
    pub fn does(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    pub(super) fn wants_block(&self) -> bool {
        self.blocks.is_some()
    }

    pub(super) fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The fault, if the request is one that it befalls.
    pub(super) fn takes(&self, method: &str, params: &Value, newest: u64) -> Option<&Fault> {
        let fits = self.method.as_deref().is_none_or(|name| name == method)
            && self.blocks.as_ref().is_none_or(|blocks| blocks.contains(&newest))
            && self.when.as_ref().is_none_or(|when| when(params));
        if !fits {
            return None;
        }
        let nth = self.matched.fetch_add(1, Ordering::Relaxed) + 1;
        (nth.is_multiple_of(self.each) && nth / self.each <= self.times).then_some(&self.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(rule: &Rule, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| rule.takes("eth_call", &json!([]), 5).is_some()).collect()
    }

    #[test]
    fn a_rule_befalls_each_nth_request_so_often() {
        assert_eq!(hits(&Rule::any().each(2).times(2), 7), [false, true, false, true, false, false, false]);
        assert_eq!(hits(&Rule::on("eth_call").times(1), 2), [true, false]);
        assert_eq!(hits(&Rule::on("eth_getLogs"), 1), [false]);
        assert_eq!(hits(&Rule::any().blocks(6..=9), 1), [false]);
        assert_eq!(hits(&Rule::any().when(Value::is_object), 1), [false]);
    }
}
