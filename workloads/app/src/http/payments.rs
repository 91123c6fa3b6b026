//! `POST /payments`, `GET /payments/{id}`, `GET /payments`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use custody::WalletId;
use data_encoding::HEXLOWER_PERMISSIVE;
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH};
use jiff::Timestamp;
use protocol::ops::Attestation;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    callers::Caller,
    domain::{
        Address, Change, History, IdempotencyKey, InvalidAmount, InvalidIdempotencyKey, Order, Payment, PaymentFilter,
        PaymentId, Stage, Status,
    },
    http::{
        page::{self, page},
        problem::{self, Problem, parse},
    },
    service::{
        payments::{self, Remembered, Shown},
        wallets,
    },
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const RFC_3339: &str = "RFC 3339, as 2026-01-31T12:00:00Z";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    wallet: String,
    /// Destination; or else `to_wallet`.
    to: Option<String>,
    /// Another wallet of this custody; or else `to`.
    to_wallet: Option<String>,
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
    /// The wallet that was named in the place of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_wallet: Option<String>,
    asset: String,
    amount: String,
    status: &'static str,
    /// While it is `waiting`: when the later of the signers' time locks has passed (RFC 3339).
    not_before: Option<Timestamp>,
    /// Why it is not, or won't be, paid.
    reason: Option<String>,
    /// In words: the reason, or what is being waited for.
    message: Option<String>,
    /// The chain transaction in which it took place.
    tx: Option<String>,
    /// Blocks that follow the one that decides it, while that one may still vanish.
    depth: Option<u64>,
    /// What reached the destination, where the token let less than the amount through.
    moved: Option<String>,
    /// When it was asked for (RFC 3339).
    created_at: Option<Timestamp>,
    /// When anything of it changed last.
    updated_at: Option<Timestamp>,
    /// Each change of the status and of what decides it, oldest first. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<ChangeView>>,
    /// Whose signatures are there. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    signers: Option<Vec<&'static str>>,
}

/// Which payments, and which part of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    wallet: Option<String>,
    status: Option<String>,
    asset: Option<String>,
    created_after: Option<String>,
    created_before: Option<String>,
    limit: Option<u16>,
    order: Option<page::Order>,
    cursor: Option<String>,
}

/// A page of payments.
#[derive(Serialize)]
pub(super) struct ListView {
    payments: Vec<PaymentView>,
    /// Cursor of the next page, if there is one.
    next: Option<String>,
}

/// A change of a payment as users see it.
#[derive(Serialize)]
struct ChangeView {
    status: &'static str,
    at: Timestamp,
    reason: Option<String>,
    tx: Option<String>,
    /// Number of the block that decides it, or speaks against it.
    block: Option<u64>,
}

impl From<Change> for ChangeView {
    fn from(Change { at, status, reason, tx, block }: Change) -> Self {
        Self { status: status.as_str(), at, reason, tx, block }
    }
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<AcceptedView>), Problem> {
    let idempotency_key = key(&headers)?;
    let request: Request = parse(&headers, body)?;
    let order = order(&app, request).await?;
    let payment = payments::accept(&app, caller.name, idempotency_key, order).await?;
    Ok((StatusCode::ACCEPTED, Json(AcceptedView { id: payment.id.to_string(), status: payment.status.as_str() })))
}

/// A payment of which only the signers' records are left.
#[derive(Serialize)]
pub(super) struct RememberedView {
    id: String,
    wallet: String,
    status: &'static str,
    message: &'static str,
    /// The chain transaction that paid.
    tx: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let text = problem::id(path)?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "UnknownPayment", format!("there is no payment '{text}'"));
    let id: PaymentId = text.parse().map_err(|_| unknown())?;
    match payments::show(&app, id).await? {
        Some(shown) => Ok(Json(view(shown)).into_response()),
        None => {
            let remembered = payments::remembered(&app, id).await?.ok_or_else(unknown)?;
            Ok(Json(remembered_view(remembered)).into_response())
        }
    }
}

fn remembered_view(Remembered { lost, status, tx }: Remembered) -> RememberedView {
    RememberedView {
        id: lost.payment.to_string(),
        wallet: lost.wallet.to_string(),
        status: status.as_str(),
        message: "App's database was restored and knows this payment from the signers' records only; ask for it again \
                  with the same Idempotency-Key and it goes on from there, once",
        tx,
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ListView>, Problem> {
    let query = problem::query(query)?;
    let page = page(query.limit, query.order, query.cursor.as_deref())?;
    let (payments, next) = payments::list(&app, query.filter()?, page).await?;
    let payments = payments.into_iter().map(|shown| PaymentView { history: None, signers: None, ..view(shown) });
    Ok(Json(ListView { payments: payments.collect(), next: next.map(|next| next.text()) }))
}

impl ListQuery {
    fn filter(&self) -> Result<PaymentFilter, Problem> {
        let statuses = || Status::ALL.map(Status::as_str).join(", ");
        Ok(PaymentFilter {
            wallet: parsed("wallet", &self.wallet, "a wallet's id", |id| id.parse().ok())?,
            status: parsed("status", &self.status, &statuses(), Status::named)?,
            asset: parsed("asset", &self.asset, "a symbol", |symbol| symbol.parse().ok())?,
            created_after: parsed("createdAfter", &self.created_after, RFC_3339, |time| time.parse().ok())?,
            created_before: parsed("createdBefore", &self.created_before, RFC_3339, |time| time.parse().ok())?,
        })
    }
}

fn parsed<T>(
    name: &str,
    text: &Option<String>,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let invalid = || {
        let detail = format!("{name} '{text}' is unknown; expected {expected}");
        Problem::new(StatusCode::BAD_REQUEST, "InvalidFilter", detail)
    };
    parse(text).map(Some).ok_or_else(invalid)
}

fn view(Shown { payment, signed_by, history, depth }: Shown) -> PaymentView {
    let Payment { order, .. } = payment;
    let History { created, updated, changes } = history;
    let message = match (payment.message, payment.trouble) {
        (Some(message), Some(trouble)) if payment.stage != Stage::Done => Some(format!("{message}; {trouble}")),
        (Some(message), _) => Some(message),
        (None, trouble) => trouble.filter(|_| payment.stage != Stage::Done),
    };
    PaymentView {
        id: payment.id.to_string(),
        wallet: order.wallet.to_string(),
        to: order.to.to_string(),
        to_wallet: order.to_wallet.map(|wallet| wallet.to_string()),
        asset: order.asset.to_string(),
        amount: order.amount.to_string(),
        status: payment.status.as_str(),
        not_before: payment.not_before,
        reason: payment.reason,
        message,
        tx: payment.tx,
        depth,
        moved: payment.moved.map(|amount| amount.to_string()),
        created_at: created,
        updated_at: updated,
        history: Some(changes.into_iter().map(ChangeView::from).collect()),
        signers: Some(signed_by.into_iter().map(|owner| owner.as_str()).collect()),
    }
}

fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let refused = |message: String| Problem::new(StatusCode::BAD_REQUEST, "InvalidIdempotencyKey", message);
    let missing = "the header Idempotency-Key is missing: choose one per payment, so that a retry pays once";
    let key = headers.get(IDEMPOTENCY_KEY).ok_or_else(|| refused(missing.to_owned()))?;
    let key = key.to_str().unwrap_or_default().parse();
    key.map_err(|error: InvalidIdempotencyKey| refused(error.to_string()))
}

/// In domain types, or what is wrong with the first part that has none.
async fn order(app: &App, request: Request) -> Result<Order, Problem> {
    let Request { wallet, to, to_wallet, asset, amount, intent } = request;
    let amount = amount.parse();
    let amount = amount.map_err(|error: InvalidAmount| Problem::invalid("InvalidAmount", error.to_string()))?;
    let asset = app.trust.assets().listed(&asset);
    let asset = asset.map_err(|error| Problem::invalid("UnknownAsset", error.to_string()))?;
    let (to, to_wallet) = destination(app, to, to_wallet).await?;
    let wallet = wallet.parse().map_err(|_| Problem::unknown_wallet(&wallet))?;
    let intent = intent.map(|intent| intent.attestation()).transpose()?;
    Ok(Order { wallet, to, to_wallet, asset, amount, intent })
}

/// The address, and the wallet whose it is where one was named.
async fn destination(
    app: &App,
    to: Option<String>,
    to_wallet: Option<String>,
) -> Result<(Address, Option<WalletId>), Problem> {
    let invalid = |detail: String| Problem::invalid("InvalidDestination", detail);
    match (to, to_wallet) {
        (Some(to), None) => Ok((app.trust.address(&to).map_err(|error| invalid(error.to_string()))?, None)),
        (None, Some(name)) => {
            let unknown = || Problem::unknown_wallet(&name);
            let id = name.parse().map_err(|_| unknown())?;
            let payee = wallets::registered(app, &id).await?.ok_or_else(unknown)?;
            let to = app.trust.address(&payee.desc.address).map_err(|error| invalid(error.to_string()))?;
            Ok((to, Some(id)))
        }
        _ => Err(invalid("name either an address as 'to' or a wallet of this custody as 'toWallet'".to_owned())),
    }
}
