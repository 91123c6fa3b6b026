//! The attacker is App: it has App's message key, XKey, connection, relayer and wallets. What it moves is bounded by the
//! local policy.

mod gates;
mod limits;
mod nonces;
mod operations;
mod outcome;
mod registry;
mod settlements;
mod transaction;

use anyhow::Result;
use futures::future::{FutureExt, LocalBoxFuture};

use crate::{
    report::{Row, Suite},
    suite::Progress,
    world::{Kind, World},
};
use outcome::Outcome;

type Attack = for<'a> fn(&'a World) -> LocalBoxFuture<'a, Result<Outcome>>;

/// All of them, and who refuses each for which reason; what stops a signer for long comes last.
const ATTACKS: &[(&str, &str, Attack)] = &[
    ("another destination than was signed", "chain: GS026", |w| transaction::other_destination(w).boxed_local()),
    ("another amount than was signed", "chain: GS026", |w| transaction::other_amount(w).boxed_local()),
    ("trailing bytes after the transaction", "keeper: NotCanonical; cooler: NotCanonical", |w| {
        transaction::trailing_bytes(w).boxed_local()
    }),
    ("hidden bytes in an address's padding", "keeper: Malformed; cooler: Malformed", |w| {
        transaction::dirty_padding(w).boxed_local()
    }),
    ("hidden calldata after the transfer", "keeper: UnknownCall; cooler: UnknownCall", |w| {
        transaction::hidden_calldata(w).boxed_local()
    }),
    ("delegatecall", "keeper: Delegatecall; cooler: Delegatecall", |w| transaction::delegatecall(w).boxed_local()),
    ("self call: owner swapped", "keeper: SelfCall; cooler: SelfCall", |w| transaction::owner_swapped(w).boxed_local()),
    ("self call: module enabled", "keeper: SelfCall; cooler: SelfCall", |w| {
        transaction::module_enabled(w).boxed_local()
    }),
    ("approve", "keeper: UnknownCall; cooler: UnknownCall", |w| transaction::approve(w).boxed_local()),
    ("transferFrom", "keeper: UnknownCall; cooler: UnknownCall", |w| transaction::transfer_from(w).boxed_local()),
    ("refund to the sender", "keeper: RefundFields; cooler: RefundFields", |w| transaction::refund(w).boxed_local()),
    ("refund in a token", "keeper: RefundFields; cooler: RefundFields", |w| {
        transaction::refund_in_token(w).boxed_local()
    }),
    ("refund receiver alone", "keeper: RefundFields; cooler: RefundFields", |w| {
        transaction::refund_receiver(w).boxed_local()
    }),
    ("coin along with a token transfer", "keeper: UnknownCall; cooler: UnknownCall", |w| {
        transaction::value_along(w).boxed_local()
    }),
    ("coin that the local policy does not name", "keeper: UnknownAsset; cooler: UnknownAsset", |w| {
        transaction::native_coin(w).boxed_local()
    }),
    ("token that the local policy does not name", "keeper: UnknownAsset; cooler: UnknownAsset", |w| {
        transaction::unknown_token(w).boxed_local()
    }),
    ("payment to what wallets are made of", "keeper: Infrastructure; cooler: Infrastructure", |w| {
        transaction::to_the_factory(w).boxed_local()
    }),
    ("over the limit in one payment", "keeper: OverLimit; cooler: OverLimit", |w| limits::in_one(w).boxed_local()),
    ("over the limit in many payments of one wallet", "keeper: OverWindow; cooler: OverWindow", |w| {
        limits::in_many(w).boxed_local()
    }),
    ("over the limit in many wallets", "keeper: OverWindow; cooler: OverWindow", |w| {
        limits::in_many_wallets(w).boxed_local()
    }),
    ("limit raced by 100 requests at once", "keeper: OverWindow; cooler: OverWindow", |w| {
        limits::raced(w).boxed_local()
    }),
    ("limit raced by 100 items of one batch", "keeper: OverWindow; cooler: OverWindow", |w| {
        limits::raced_in_a_batch(w).boxed_local()
    }),
    ("one nonce raced by 100 payments", "keeper: NonceUsed; cooler: NonceUsed", |w| {
        limits::raced_at_one_nonce(w).boxed_local()
    }),
    ("stockpile released at once", "keeper: OverWindow; cooler: OverWindow", |w| limits::stockpile(w).boxed_local()),
    ("stockpile released after the window", "keeper: OverWindow; cooler: OverWindow", |w| {
        limits::stockpile_after_the_window(w).boxed_local()
    }),
    ("stockpile released after both signers' restart", "keeper: OverWindow; cooler: OverWindow", |w| {
        limits::stockpile_over_a_restart(w).boxed_local()
    }),
    (
        "stockpile of one wallet's next nonces",
        "keeper: NonceNotNext, Unsettled; cooler: NonceNotNext, Unsettled",
        |w| limits::stockpile_of_nonces(w).boxed_local(),
    ),
    ("large payment without intent", "keeper: IntentMissing; cooler: IntentMissing", |w| {
        limits::without_intent(w).boxed_local()
    }),
    ("large payment with App's own intent", "keeper: IntentNotBelieved; cooler: IntentNotBelieved", |w| {
        limits::own_intent(w).boxed_local()
    }),
    ("intent of another payment", "keeper: IntentMismatch; cooler: IntentMismatch", |w| {
        limits::another_intent(w).boxed_local()
    }),
    ("intent used twice", "keeper: IntentUsed; cooler: IntentUsed", |w| limits::used_intent(w).boxed_local()),
    ("large payment before its time lock ends", "keeper: Pending; cooler: Pending", |w| {
        limits::locked(w).boxed_local()
    }),
    ("signers asked for different payments at a nonce", "keeper: NonceUsed; cooler: HotSignatureInvalid", |w| {
        nonces::two_payments(w).boxed_local()
    }),
    ("another payment under the id of one that was made", "keeper: PaymentMade; cooler: PaymentMade", |w| {
        nonces::made_twice(w).boxed_local()
    }),
    ("another payment under the id of one kept back", "keeper: PaymentIdUsed; cooler: PaymentIdUsed", |w| {
        nonces::kept_and_asked_again(w).boxed_local()
    }),
    ("huge nonce", "keeper: NonceTooLarge; cooler: NonceTooLarge", |w| nonces::huge(w).boxed_local()),
    ("nonce after a gap", "keeper: NonceNotNext; cooler: NonceNotNext", |w| nonces::gap(w).boxed_local()),
    ("cancel to a foreign destination", "keeper: NotASafeDestination; cooler: NotASafeDestination", |w| {
        nonces::foreign_cancel(w).boxed_local()
    }),
    ("signature of one wallet on another", "cooler: HotSignatureInvalid; chain: GS026", |w| {
        nonces::other_wallet(w).boxed_local()
    }),
    ("signature of one chain on another", "chain: GS026", |w| nonces::other_chain(w).boxed_local()),
    ("payment released after its cancel", "chain: GS026", |w| nonces::after_the_cancel(w).boxed_local()),
    ("one signature in both places", "chain: GS026", |w| nonces::one_signature_twice(w).boxed_local()),
    ("executed transaction again", "chain: GS026", |w| nonces::executed_again(w).boxed_local()),
    ("dust at the evacuation's nonce", "chain: GS026, then evacuated at the next nonce", |w| {
        nonces::dust(w).boxed_local()
    }),
    ("foreign wallet", "keeper: WalletUnknown; cooler: WalletUnknown", |w| registry::foreign_wallet(w).boxed_local()),
    ("wallet of own keys, attested by App", "keeper: AttestationNotBelieved; cooler: AttestationNotBelieved", |w| {
        registry::own_hot_key(w).boxed_local()
    }),
    ("wallet with the cold key as hot", "keeper: NotMyKey; cooler: WalletNotPossible", |w| {
        registry::cold_as_hot(w).boxed_local()
    }),
    ("wallet with the cool key as hot", "keeper: NotMyKey; cooler: WalletNotPossible", |w| {
        registry::cool_as_hot(w).boxed_local()
    }),
    ("Keeper's attestation with another key", "keeper: AttestationNotBelieved; cooler: AttestationNotBelieved", |w| {
        registry::altered_attestation(w).boxed_local()
    }),
    ("registered wallet with another salt", "keeper: WalletDiffers; cooler: WalletDiffers", |w| {
        registry::other_salt(w).boxed_local()
    }),
    ("unsigned hot", "cooler: HotSignatureInvalid", |w| registry::unsigned_hot(w).boxed_local()),
    ("hot signed by another key", "cooler: HotSignatureInvalid", |w| registry::other_hot(w).boxed_local()),
    ("forged settlement", "keeper: NotSentinel, Unsettled; cooler: NotSentinel, Unsettled", |w| {
        operations::settlement(w).boxed_local()
    }),
    (
        "taken sentinel: nonce 10^9 of every wallet",
        "keeper: SettlementNotContiguous; cooler: SettlementNotContiguous",
        |w| settlements::far(w).boxed_local(),
    ),
    ("taken sentinel: what is kept back is settled", "keeper: OverWindow; cooler: OverWindow", |w| {
        settlements::stockpile(w).boxed_local()
    }),
    ("taken sentinel: nonces that nothing has used", "keeper: NonceSettled; cooler: NonceSettled", |w| {
        settlements::made_up(w).boxed_local()
    }),
    ("thefts after a settled block has vanished", "keeper: NonceUsed; cooler: NonceUsed", |w| {
        settlements::reorganised(w).boxed_local()
    }),
    ("own lease", "keeper: NotSentinel; cooler: NotSentinel", |w| operations::lease(w).boxed_local()),
    ("shown audit head", "keeper: NotASigner; cooler: NotASigner", |w| operations::head(w).boxed_local()),
    ("operation that no version knows: thaw", "keeper: Frozen, Malformed; cooler: Frozen, Malformed", |w| {
        operations::thaw(w).boxed_local()
    }),
    ("operation id of another payment", "keeper: OperationIdReused", |w| operations::reused_id(w).boxed_local()),
    ("batch in a batch", "keeper: Malformed; cooler: Malformed", |w| operations::nested_batch(w).boxed_local()),
    ("batch of 501 payments", "keeper: Malformed; cooler: Malformed", |w| operations::long_batch(w).boxed_local()),
    ("settlement in a batch", "keeper: Malformed; cooler: Malformed", |w| operations::smuggled(w).boxed_local()),
    ("payment of a frozen wallet", "keeper: Frozen; cooler: Frozen", |w| gates::frozen_wallet(w).boxed_local()),
    ("stored signature of a frozen wallet", "keeper: Frozen; cooler: Frozen", |w| gates::frozen_retry(w).boxed_local()),
    ("payment while a start is locked", "keeper: Locked; cooler: Locked", |w| gates::locked(w).boxed_local()),
    ("payment after the lease", "keeper: LeaseExpired; cooler: LeaseExpired", |w| {
        gates::after_the_lease(w).boxed_local()
    }),
    ("payment while everything is frozen", "keeper: Frozen; cooler: Frozen", |w| gates::all_frozen(w).boxed_local()),
];

/// All attacks of the suite.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let progress = Progress::new(Suite::App, ATTACKS.len());
    let world = World::start().await?;
    let arena = world.arena(Kind::Plain, 1).await?;
    arena.pay(arena.wallet(), 1).await?;
    anyhow::ensure!(arena.moved().await? == 0, "a legitimate payment is explained");
    let mut rows = Vec::new();
    for (name, expected, attack) in ATTACKS {
        progress.attack(name);
        let row = attack(&world).await.map(|Outcome { refused_by, moved, limit }| {
            Row::new(Suite::App, name, refused_by.to_string(), moved).expecting(expected).within(limit)
        });
        rows.extend(progress.outcome(name, row));
    }
    progress.end(rows)
}
