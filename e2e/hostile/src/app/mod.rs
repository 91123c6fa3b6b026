//! The attacker is App: it has App's message key, XKey, connection, relayer and wallets. What it moves is bounded by the
//! local policy.

mod gates;
mod limits;
mod nonces;
mod operations;
mod registry;
mod transaction;

use std::collections::BTreeSet;

use anyhow::Result;
use futures::future::{FutureExt, LocalBoxFuture};

use crate::{
    report::{Row, Suite},
    suite::{self, Progress},
    world::{Arena, Kind, World},
};

/// What came of an attack of App.
struct Outcome {
    refused_by: BTreeSet<String>,
    moved: u128,
    limit: u128,
}

impl Outcome {
    /// Measures what moved.
    async fn of(arena: &Arena<'_>, refused_by: BTreeSet<String>, limit: u128) -> Result<Self> {
        Ok(Self { refused_by, moved: arena.moved().await?, limit })
    }
}

type Attack = for<'a> fn(&'a World) -> LocalBoxFuture<'a, Result<Outcome>>;

/// All of them; what stops a signer for long comes last.
const ATTACKS: &[(&str, Attack)] = &[
    ("another destination than was signed", |w| transaction::other_destination(w).boxed_local()),
    ("another amount than was signed", |w| transaction::other_amount(w).boxed_local()),
    ("trailing bytes after the transaction", |w| transaction::trailing_bytes(w).boxed_local()),
    ("hidden bytes in an address's padding", |w| transaction::dirty_padding(w).boxed_local()),
    ("hidden calldata after the transfer", |w| transaction::hidden_calldata(w).boxed_local()),
    ("delegatecall", |w| transaction::delegatecall(w).boxed_local()),
    ("self call: owner swapped", |w| transaction::owner_swapped(w).boxed_local()),
    ("self call: module enabled", |w| transaction::module_enabled(w).boxed_local()),
    ("approve", |w| transaction::approve(w).boxed_local()),
    ("transferFrom", |w| transaction::transfer_from(w).boxed_local()),
    ("refund to the sender", |w| transaction::refund(w).boxed_local()),
    ("refund in a token", |w| transaction::refund_in_token(w).boxed_local()),
    ("refund receiver alone", |w| transaction::refund_receiver(w).boxed_local()),
    ("coin along with a token transfer", |w| transaction::value_along(w).boxed_local()),
    ("coin that the local policy does not name", |w| transaction::native_coin(w).boxed_local()),
    ("token that the local policy does not name", |w| transaction::unknown_token(w).boxed_local()),
    ("over the limit in one payment", |w| limits::in_one(w).boxed_local()),
    ("over the limit in many payments of one wallet", |w| limits::in_many(w).boxed_local()),
    ("over the limit in many wallets", |w| limits::in_many_wallets(w).boxed_local()),
    ("limit raced by 100 requests at once", |w| limits::raced(w).boxed_local()),
    ("limit raced by 100 items of one batch", |w| limits::raced_in_a_batch(w).boxed_local()),
    ("one nonce raced by 100 payments", |w| limits::raced_at_one_nonce(w).boxed_local()),
    ("stockpile released at once", |w| limits::stockpile(w).boxed_local()),
    ("stockpile released after the window", |w| limits::stockpile_after_the_window(w).boxed_local()),
    ("stockpile released after both signers' restart", |w| limits::stockpile_over_a_restart(w).boxed_local()),
    ("stockpile of one wallet's next nonces", |w| limits::stockpile_of_nonces(w).boxed_local()),
    ("large payment without intent", |w| limits::without_intent(w).boxed_local()),
    ("large payment with App's own intent", |w| limits::own_intent(w).boxed_local()),
    ("intent of another payment", |w| limits::another_intent(w).boxed_local()),
    ("intent used twice", |w| limits::used_intent(w).boxed_local()),
    ("large payment before its time lock ends", |w| limits::locked(w).boxed_local()),
    ("signers asked for different payments at a nonce", |w| nonces::two_payments(w).boxed_local()),
    ("huge nonce", |w| nonces::huge(w).boxed_local()),
    ("nonce after a gap", |w| nonces::gap(w).boxed_local()),
    ("cancel to a foreign destination", |w| nonces::foreign_cancel(w).boxed_local()),
    ("signature of one wallet on another", |w| nonces::other_wallet(w).boxed_local()),
    ("signature of one chain on another", |w| nonces::other_chain(w).boxed_local()),
    ("payment released after its cancel", |w| nonces::after_the_cancel(w).boxed_local()),
    ("one signature in both places", |w| nonces::one_signature_twice(w).boxed_local()),
    ("executed transaction again", |w| nonces::executed_again(w).boxed_local()),
    ("dust at the evacuation's nonce", |w| nonces::dust(w).boxed_local()),
    ("foreign wallet", |w| registry::foreign_wallet(w).boxed_local()),
    ("wallet of own keys, attested by App", |w| registry::own_hot_key(w).boxed_local()),
    ("wallet with the cold key as hot", |w| registry::cold_as_hot(w).boxed_local()),
    ("Keeper's attestation with another key", |w| registry::altered_attestation(w).boxed_local()),
    ("registered wallet with another salt", |w| registry::other_salt(w).boxed_local()),
    ("unsigned hot", |w| registry::unsigned_hot(w).boxed_local()),
    ("hot signed by another key", |w| registry::other_hot(w).boxed_local()),
    ("forged settlement", |w| operations::settlement(w).boxed_local()),
    ("own lease", |w| operations::lease(w).boxed_local()),
    ("shown audit head", |w| operations::head(w).boxed_local()),
    ("operation that no version knows: thaw", |w| operations::thaw(w).boxed_local()),
    ("operation id of another payment", |w| operations::reused_id(w).boxed_local()),
    ("batch in a batch", |w| operations::nested_batch(w).boxed_local()),
    ("batch of 501 payments", |w| operations::long_batch(w).boxed_local()),
    ("settlement in a batch", |w| operations::smuggled(w).boxed_local()),
    ("payment of a frozen wallet", |w| gates::frozen_wallet(w).boxed_local()),
    ("stored signature of a frozen wallet", |w| gates::frozen_retry(w).boxed_local()),
    ("payment while a start is locked", |w| gates::locked(w).boxed_local()),
    ("payment after the lease", |w| gates::after_the_lease(w).boxed_local()),
    ("payment while everything is frozen", |w| gates::all_frozen(w).boxed_local()),
];

/// All attacks of the suite.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let progress = Progress::new(Suite::App, ATTACKS.len());
    let world = World::start().await?;
    let arena = world.arena(Kind::Plain, 1).await?;
    arena.pay(arena.wallet(), 1).await?;
    anyhow::ensure!(arena.moved().await? == 0, "a legitimate payment is explained");
    let mut rows = Vec::new();
    for (name, attack) in ATTACKS {
        progress.attack(name);
        let outcome = attack(&world).await;
        rows.extend(progress.outcome(
            name,
            outcome.map(|Outcome { refused_by, moved, limit }| Row {
                suite: Suite::App,
                attack: (*name).to_owned(),
                refused_by: suite::joined(&refused_by),
                moved: moved.to_string(),
                limit: Some(limit.to_string()),
            }),
        ));
    }
    progress.end(rows)
}
