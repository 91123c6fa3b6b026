//! `POST /wallets`, `GET /wallets/{id}`, `GET /wallets`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
};
use chain::Held;
use custody::ids::NameError;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    domain::{THRESHOLD, WalletFilter},
    http::{
        page::{self, page},
        problem::{self, Problem, parse},
    },
    service::wallets::{self, OnChain, Registered},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWallet {
    id: String,
}

/// A wallet as users see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WalletView {
    id: String,
    chain: String,
    /// Deposit address; money sent there before the contract is deployed is safe.
    address: String,
    /// Owners' addresses.
    owners: OwnersView,
    threshold: u64,
    /// What each signer signed about this wallet (protobuf, lower-case hex): anybody can check it. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attestations: Option<AttestationsView>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    state: Option<StateView>,
}

/// Which wallets, and which part of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    address: Option<String>,
    limit: Option<u16>,
    order: Option<page::Order>,
    cursor: Option<String>,
}

/// A page of wallets.
#[derive(Serialize)]
pub(super) struct ListView {
    wallets: Vec<WalletView>,
    /// Cursor of the next page, if there is one.
    next: Option<String>,
}

#[derive(Serialize)]
struct OwnersView {
    hot: String,
    cool: String,
    cold: String,
}

#[derive(Serialize)]
struct AttestationsView {
    keeper: String,
    cooler: String,
}

/// What the chain says; all of it absent, with a message, while the node is away.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StateView {
    /// Native coin, smallest unit.
    balance: Option<String>,
    /// By symbol, smallest unit; null where the asset's contract gives no amount: the message says why.
    balances: Option<BTreeMap<String, Option<String>>>,
    deployed: Option<bool>,
    nonce: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<WalletView>), Problem> {
    let NewWallet { id } = parse(&headers, body)?;
    let id = id.parse().map_err(|error: NameError| Problem::invalid("InvalidWalletId", error.to_string()))?;
    // On a task of its own: a caller that hangs up does not cut the registration short.
    let registered = tokio::spawn(async move { wallets::create(&app, &id).await });
    let registered = registered.await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "the registration ended early; see App's log")
    })??;
    Ok((StatusCode::CREATED, Json(view(registered))))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<WalletView>, Problem> {
    let text = problem::id(path)?;
    let unknown = || Problem::unknown_wallet(&text);
    let id = text.parse().map_err(|_| unknown())?;
    let registered = wallets::registered(&app, &id).await?.ok_or_else(unknown)?;
    let state = match wallets::on_chain(&app, &registered).await {
        Ok(state) => state.into(),
        Err(error) => StateView { message: Some(error.to_string()), ..StateView::default() },
    };
    Ok(Json(WalletView { state: Some(state), ..view(registered) }))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ListView>, Problem> {
    let ListQuery { address, limit, order, cursor } = problem::query(query)?;
    let page = page(limit, order, cursor.as_deref())?;
    let invalid = |error: chain::ChainError| Problem::new(StatusCode::BAD_REQUEST, "InvalidFilter", error.to_string());
    let address = address.map(|text| app.trust.address(&text).map_err(invalid)).transpose()?;
    let (wallets, next) = wallets::list(&app, WalletFilter { address }, page).await?;
    let wallets = wallets.into_iter().map(|wallet| WalletView { attestations: None, ..view(wallet) });
    Ok(Json(ListView { wallets: wallets.collect(), next: next.map(|next| next.text()) }))
}

impl From<OnChain> for StateView {
    fn from(OnChain { native, balances, created, nonce }: OnChain) -> Self {
        let unreadable = |(symbol, held): &(String, Held)| match held {
            Held::Unreadable(why) => Some(format!("{symbol} can't be read: {why}")),
            Held::Units(_) => None,
        };
        let unreadable: Vec<String> = balances.iter().filter_map(unreadable).collect();
        let amount = |held: Held| held.units().map(|amount| amount.to_string());
        Self {
            balance: amount(native),
            balances: Some(balances.into_iter().map(|(symbol, held)| (symbol, amount(held))).collect()),
            deployed: Some(created),
            nonce,
            message: (!unreadable.is_empty()).then(|| unreadable.join("; ")),
        }
    }
}

fn view(registered: Registered) -> WalletView {
    let Registered { id, desc, keeper, cooler } = registered;
    let [hot, cool, cold] = desc.owner_addresses;
    WalletView {
        id: id.to_string(),
        chain: desc.chain.to_string(),
        address: desc.address,
        owners: OwnersView { hot, cool, cold },
        threshold: THRESHOLD,
        attestations: Some(AttestationsView { keeper: HEXLOWER.encode(&keeper), cooler: HEXLOWER.encode(&cooler) }),
        state: None,
    }
}
