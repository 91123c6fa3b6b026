//! `POST /payments`, `GET /payments/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use chain::{Amount, ChainRules, Effect};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH};
use jiff::Timestamp;
use prost::Message;
use protocol::ops::Attestation;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    http::problem::{Problem, parse},
    operation::Seed,
    payments::wake,
    store::{Kind, NewPayment, Payment, Stage},
    wallets::Registered,
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest idempotency key, characters.
const LONGEST_KEY: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    wallet: String,
    /// Destination.
    to: String,
    /// Symbol.
    asset: String,
    /// Decimal, smallest unit.
    amount: String,
    /// Where the signers' local policies ask for one.
    intent: Option<SignedIntent>,
}

/// An attestation of a payment intent, made elsewhere: the signers judge it, App hands it on. All in hex.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedIntent {
    /// The encoded intent.
    body: String,
    /// ed25519 public key.
    signer: String,
    /// ed25519 signature.
    signature: String,
}

impl SignedIntent {
    /// Its shape alone is checked.
    fn attestation(&self) -> Result<Attestation, Problem> {
        let bytes = |name: &str, text: &str, length: Option<usize>| {
            let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
            bytes.filter(|bytes| length.map_or(!bytes.is_empty(), |length| bytes.len() == length)).ok_or_else(|| {
                let wanted = length.map_or_else(String::new, |length| format!("{length} bytes in "));
                Problem::invalid("InvalidIntent", format!("intent.{name} is not {wanted}hex"))
            })
        };
        Ok(Attestation {
            body: bytes("body", &self.body, None)?,
            signer: bytes("signer", &self.signer, Some(PUBLIC_KEY_LENGTH))?,
            signature: bytes("signature", &self.signature, Some(SIGNATURE_LENGTH))?,
        })
    }
}

#[derive(Serialize)]
pub(super) struct AcceptedView {
    id: String,
    status: &'static str,
}

/// A payment as users see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentView {
    id: String,
    wallet: String,
    to: String,
    asset: String,
    amount: String,
    status: &'static str,
    /// While it is `waiting`: when the later of the signers' time locks has passed (RFC 3339).
    not_before: Option<Timestamp>,
    /// Why it is not, or won't be, paid.
    reason: Option<String>,
    /// In words: the reason, or what is being waited for.
    message: Option<String>,
    /// The chain transaction that paid.
    tx: Option<String>,
    /// Whose signatures are there.
    signers: Vec<&'static str>,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<AcceptedView>), Problem> {
    let idempotency_key = key(&headers)?;
    let request: Request = parse(body)?;
    let new = validate(&app, request, idempotency_key).await?;
    let payment = app.store.accept(new).await?.ok_or_else(|| {
        let message = "this Idempotency-Key belongs to another payment; a new payment needs a new key";
        Problem::new(StatusCode::CONFLICT, "IdempotencyKeyReused", message)
    })?;
    wake(&app, payment.wallet);
    Ok((StatusCode::ACCEPTED, Json(AcceptedView { id: payment.id, status: payment.status.as_str() })))
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<PaymentView>, Problem> {
    let payment =
        app.store.payment(id.clone()).await?.ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "UnknownPayment", format!("there is no payment '{id}'"))
        })?;
    let transaction = app.store.transaction(id, Kind::Payment).await?;
    let signers = transaction.map_or_else(Vec::new, |transaction| {
        let hot = transaction.hot_signature.map(|_| "hot");
        hot.into_iter().chain(transaction.cool_signature.map(|_| "cool")).collect()
    });
    Ok(Json(view(payment, signers)))
}

fn view(payment: Payment, signers: Vec<&'static str>) -> PaymentView {
    let message = match (payment.message, payment.trouble) {
        (Some(message), Some(trouble)) if payment.stage != Stage::Done => Some(format!("{message}; {trouble}")),
        (Some(message), _) => Some(message),
        (None, trouble) => trouble.filter(|_| payment.stage != Stage::Done),
    };
    PaymentView {
        id: payment.id,
        wallet: payment.wallet,
        to: payment.to,
        asset: payment.asset,
        amount: payment.amount,
        status: payment.status.as_str(),
        not_before: payment.not_before,
        reason: payment.reason,
        message,
        tx: payment.tx,
        signers,
    }
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let refused = |message: &str| Problem::new(StatusCode::BAD_REQUEST, "InvalidIdempotencyKey", message);
    let key = headers.get(IDEMPOTENCY_KEY).ok_or_else(|| {
        refused("the header Idempotency-Key is missing: choose one per payment, so that a retry pays once")
    })?;
    let key = key.to_str().unwrap_or_default();
    let known = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if known { Ok(key.to_owned()) } else { Err(refused("Idempotency-Key must be 1 to 128 visible ASCII characters")) }
}

/// Refuses at once what no signer would ever sign.
async fn validate(app: &App, request: Request, idempotency_key: String) -> Result<NewPayment, Problem> {
    let Request { wallet, to, asset, amount, intent } = request;
    let amount: Amount =
        amount.parse().map_err(|error: chain::ChainError| Problem::invalid("InvalidAmount", error.to_string()))?;
    if amount.is_zero() {
        return Err(Problem::invalid("InvalidAmount", "the amount is zero"));
    }
    if app.chain.asset(&asset).is_none() {
        let known: Vec<_> = app.chain.assets.iter().map(|asset| asset.symbol.as_str()).collect();
        let message = format!("asset '{asset}' is not configured; known: {}", known.join(", "));
        return Err(Problem::invalid("UnknownAsset", message));
    }
    let rules = app.trust.rules();
    let to = rules.address(&to).map_err(|error| Problem::invalid("InvalidDestination", error.to_string()))?;
    let stored = app.store.wallet(wallet.clone()).await?;
    let registered = stored.map(|stored| Registered::new(app, stored)).transpose()?.flatten();
    let desc = registered.ok_or_else(|| Problem::unknown_wallet(&wallet))?.desc;
    let transfer = Effect::Transfer { asset: asset.clone(), to: to.clone(), amount };
    let unsigned = rules.build(&transfer, app.trust.assets(), 0)?;
    rules
        .decode(&unsigned, &desc, app.trust.assets())
        .map_err(|refusal| Problem::invalid(refusal.reason, refusal.message))?;
    Ok(NewPayment {
        id: HEXLOWER.encode(&Seed::random().0),
        idempotency_key,
        wallet,
        to,
        asset,
        amount: amount.to_string(),
        intent: intent.map(|intent| intent.attestation()).transpose()?.map(|intent| intent.encode_to_vec()),
        operation_seed: Seed::random().0,
    })
}
