//! One pass over a MultisigCluster. The files are its steps, in the order in which they run; [`objects`] says what each
//! object looks like. Only [`dereference`], [`observe`], [`account`], [`apply`], [`cleanup`] and the status write touch
//! the world; all else is pure.

pub mod pass;

pub mod dereference;
pub mod validate;

pub mod observe;
pub mod separation;

pub mod gate;
pub mod recipients;

pub mod account;
pub mod plan;

pub mod apply;
pub mod status;

pub mod cleanup;
pub mod difference;
pub mod objects;

use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt, runtime::controller::Action};
use multisig_api::{MultisigCluster, labels};
use rand_core::{OsRng, RngCore};

use crate::{context::Context, hub, places};
use account::AccountOutcome;
use pass::{Error, KIND, Pass};

/// One pass.
pub async fn reconcile(cluster: &MultisigCluster, context: &Context, now: Timestamp) -> Result<Action, Error> {
    let pass = Pass { cluster, context, now };
    // Each step's future is on the heap: together they would be a good part of a thread's stack.
    if cluster.meta().deletion_timestamp.is_some() {
        return Box::pin(cleanup::cleanup(pass)).await;
    }
    let places = places::configured(cluster);
    let references = Box::pin(dereference::dereference(cluster, &places, context)).await?;
    let valid = validate::validate(cluster, &places, &references);
    let (members, seen) = Box::pin(observe::observe(cluster, context, &valid)).await;
    let candidates = separation::candidates(cluster, &places, &references, &seen);
    let separated = separation::judge(&candidates, &validate::distinct_domains(cluster));
    let gate = gate::gate(cluster, &valid, &separated, &seen);
    let recipients = recipients::recipients(cluster, &references, &seen, validate::custody(cluster)?);

    let account = match &gate {
        Ok(wiring) => {
            // Before the first effect outside the hub, so that deletion never forgets one.
            hub::set_finalizer(context, cluster, labels::FINALIZER, true).await?;
            account::advance_account(pass, &references, wiring, &recipients).await?
        }
        Err(_) => AccountOutcome::unchanged(&references),
    };
    let plans = plan::plan(&gate, &valid, &seen, &account.credentials(), &recipients.identities);
    let effects = Box::pin(apply::apply(pass, &references, &gate, &members, &plans, &account)).await?;

    let found = status::Found {
        verified: candidates.map(|_, candidate| candidate.verified_now()),
        data_centers: candidates.map(|_, candidate| candidate.spec.map(|spec| spec.data_center.clone())),
        separated,
        seen: &seen,
        effects,
        recipients: &recipients,
        account: &account,
    };
    let (after, transitions) = status::status(cluster, &found, now);
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    context.metrics.conditions(KIND, &namespace, &name, &after.conditions);
    if hub::write_status(context, cluster, cluster.status.as_ref(), &after).await? {
        hub::log_transitions(KIND, &namespace, &name, &transitions);
        hub::publish_transitions(context, &cluster.object_ref(&()), &transitions).await;
    }
    Ok(status::requeue(&after, now, OsRng.next_u32()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<'a, F: Future>(_: impl FnOnce(&'a MultisigCluster, &'a Context, Timestamp) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_pass_fits_many_times_into_the_2_mib_stack_of_a_worker() {
        let size = size(reconcile);
        assert!(size < 64 * 1024, "{size} bytes: put the largest step on the heap");
    }
}
