//! One pass over a MultisigCluster: dereference, validate, judge the separation, plan, apply, say what came of it. Only
//! [`dereference`], [`apply`], the look at the members and the status write touch the world; all else is pure.

pub mod apply;
pub mod cleanup;
pub mod credentials;
pub mod dereference;
pub mod difference;
pub mod objects;
pub mod plan;
pub mod separation;
pub mod status;
pub mod validate;

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt, runtime::controller::Action};
use multisig_api::{
    MultisigCluster, MultisigClusterStatus,
    conditions::{condition, reason},
    labels,
    multisig_cluster::{SignerSpec, SignerStatus},
};
use rand_core::{OsRng, RngCore};

use crate::{
    calls::CallError,
    conditions::{self, Finding, Status},
    context::Context,
    hub,
    members::{self, Member, Seen},
    schedule,
    signers::{Pair, Signer},
};
use apply::AccountOutcome;
use dereference::Dereferenced;
use plan::{MemberPlan, Write};
use separation::Place;
use validate::{Valid, ValidMember};

/// The kind, in metrics and logs.
pub const KIND: &str = "MultisigCluster";

/// Why a pass ended early. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub's API server.
    #[error("the hub: {0}")]
    Hub(#[from] CallError),
    /// A JWT could not be made.
    #[error(transparent)]
    Jwt(#[from] natsauth::JwtError),
}

/// A pass: over what, with what, when.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The object.
    pub cluster: &'a MultisigCluster,
    /// The world.
    pub context: &'a Context,
    /// When it began.
    pub now: Timestamp,
}

/// One pass.
pub async fn reconcile(cluster: &MultisigCluster, context: &Context, now: Timestamp) -> Result<Action, Error> {
    let pass = Pass { cluster, context, now };
    // Each step's future is on the heap: together they would be a good part of a thread's stack.
    if cluster.meta().deletion_timestamp.is_some() {
        return Box::pin(cleanup::cleanup(pass)).await;
    }
    let references = Box::pin(dereference::dereference(cluster, context)).await?;
    let valid = validate::validate(cluster, &references);
    let (members, seen) = Box::pin(look(cluster, context, &valid)).await;
    let places = places(cluster, &references, &seen);
    let separated = separation::judge(&places, validate::distinct_domains(cluster));
    let gate = plan::gate(cluster, &valid, &separated, &seen);
    let custody = valid.wiring.as_ref().map(|wiring| wiring.custody).or_else(|_| cluster.spec.custody.id.parse());
    let custody = custody.map_err(|error: custody::ids::NameError| CallError::Malformed(error.to_string()))?;
    let parties = credentials::parties(cluster, &references, &seen, custody);

    let account = match &gate {
        Ok(wiring) => {
            // Before the first effect outside the hub, so that deletion never forgets one.
            hub::set_finalizer(context, cluster, labels::FINALIZER, true).await?;
            apply::advance_account(pass, &references, wiring, &parties).await?
        }
        Err(_) => AccountOutcome::unchanged(&references),
    };
    let plans = plan::plan(&gate, &valid, &seen, &account.credentials(), &parties.identities);
    let effects = Box::pin(take_effect(pass, &references, &gate, &members, &plans, &account));
    let Effects { synced, nats, app } = effects.await?;

    let found = status::Found {
        verified: Pair::from_fn(|signer| verified(places.get(signer))),
        data_centers: Pair::from_fn(|signer| places.get(signer).spec.map(|spec| spec.data_center.clone())),
        separated,
        seen: &seen,
        synced,
        parties: &parties,
        account: &account,
        nats,
        app,
    };
    let (after, transitions) = status::status(cluster, &found, now);
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    context.metrics.conditions(KIND, &namespace, &name, &after.conditions);
    if hub::write_status(context, cluster, cluster.status.as_ref(), &after).await? {
        hub::log_transitions(KIND, &namespace, &name, &transitions);
        hub::publish_transitions(context, &cluster.object_ref(&()), &transitions).await;
    }
    Ok(requeue(&after, now))
}

/// A member that can be written to, and where.
type Reached<'a> = Option<(Arc<Member>, &'a ValidMember<'a>)>;

/// Looks at both members at once.
async fn look<'a>(
    cluster: &MultisigCluster,
    context: &Context,
    valid: &'a Valid<'a>,
) -> (Pair<Reached<'a>>, Pair<Seen>) {
    let namespace = cluster.namespace().unwrap_or_default();
    let one = async |signer: Signer| {
        let member = match valid.members.get(signer) {
            Ok(member) => member,
            Err(finding) => return (None, Seen::nothing(finding.clone())),
        };
        let ValidMember { name, spec, kubeconfig, .. } = member;
        match context.members.connect(&namespace, name, &spec.namespace, kubeconfig).await {
            Err(error) => {
                let why = format!("the kubeconfig of MemberCluster {name}: {error}");
                (None, Seen::nothing(Finding::bad(reason::KUBECONFIG_REFUSED, why)))
            }
            Ok(reached) => {
                let seen = members::look(&reached, spec, signer).await;
                (Some((reached, member)), seen)
            }
        }
    };
    let ((keeper, keeper_seen), (cooler, cooler_seen)) = futures::join!(one(Signer::Keeper), one(Signer::Cooler));
    (Pair { keeper, cooler }, Pair { keeper: keeper_seen, cooler: cooler_seen })
}

fn places<'a>(cluster: &'a MultisigCluster, references: &'a Dereferenced, seen: &'a Pair<Seen>) -> Pair<Place<'a>> {
    Pair::from_fn(|signer| {
        let spec = references.members.get(signer).member.read().map(|member| &member.spec);
        let before = signer_status(cluster, signer).and_then(|status| status.cluster_uid.as_ref());
        Place {
            member: &signer_spec(cluster, signer).member_ref.name,
            spec,
            seen: seen.get(signer).identity.as_ref(),
            verified_before: spec.is_some_and(|spec| before == Some(&spec.cluster_uid)),
        }
    })
}

fn verified(place: &Place<'_>) -> Option<String> {
    place.spec.filter(|_| place.verified_now()).map(|spec| spec.cluster_uid.clone())
}

/// What came of the writes.
struct Effects {
    synced: Pair<Finding>,
    nats: Finding,
    app: Option<Finding>,
}

/// Both members, the broker and App's ConfigMap at once: none waits for another.
async fn take_effect(
    pass: Pass<'_>,
    references: &Dereferenced,
    gate: &Result<&validate::Wiring, Finding>,
    members: &Pair<Reached<'_>>,
    plans: &Pair<MemberPlan>,
    account: &AccountOutcome,
) -> Result<Effects, Error> {
    let nats = async {
        match gate {
            Ok(wiring) => apply::push_account(pass, references, wiring, account).await,
            Err(stop) => Ok(account.problem.clone().unwrap_or_else(|| {
                Finding::unknown(reason::NOT_OBSERVED, format!("the broker is not asked: {}", stop.message))
            })),
        }
    };
    let app = async {
        let Ok(wiring) = gate else { return Ok(None) };
        let credentials = account.credentials().remove(&custody::Role::App);
        apply::deliver_app(pass, wiring, references.app_credentials.as_ref(), credentials.as_ref()).await
    };
    let (keeper, cooler, nats, app) = futures::join!(
        sync(members.keeper.as_ref(), &plans.keeper),
        sync(members.cooler.as_ref(), &plans.cooler),
        nats,
        app
    );
    Ok(Effects { synced: Pair { keeper, cooler }, nats: nats?, app: app? })
}

async fn sync(member: Option<&(Arc<Member>, &ValidMember<'_>)>, plan: &MemberPlan) -> Finding {
    let writes: &[Write] = match plan {
        Ok(writes) => writes,
        Err(finding) => return finding.clone(),
    };
    let Some((member, valid)) = member else {
        return Finding::unknown(reason::NOT_OBSERVED, "the member can't be called");
    };
    match apply::apply_member(member, &valid.spec.namespace, writes).await {
        Ok(()) => Finding::good("every object is as wanted"),
        Err(finding) => finding,
    }
}

/// When to look again, if nothing happens before.
fn requeue(status: &MultisigClusterStatus, now: Timestamp) -> Action {
    let ready = conditions::find(&status.conditions, condition::READY);
    Action::requeue(match ready {
        Some(ready) if ready.status == Status::True.as_str() => schedule::jittered(schedule::READY, OsRng.next_u32()),
        Some(ready) => {
            let since = now.as_second() - ready.last_transition_time.0.as_second();
            schedule::poll(Duration::from_secs(since.try_into().unwrap_or(0)))
        }
        None => schedule::poll(Duration::ZERO),
    })
}

fn signer_spec(cluster: &MultisigCluster, signer: Signer) -> &SignerSpec {
    match signer {
        Signer::Keeper => &cluster.spec.keeper,
        Signer::Cooler => &cluster.spec.cooler,
    }
}

fn signer_status(cluster: &MultisigCluster, signer: Signer) -> Option<&SignerStatus> {
    let status = cluster.status.as_ref()?;
    match signer {
        Signer::Keeper => status.keeper.as_ref(),
        Signer::Cooler => status.cooler.as_ref(),
    }
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
