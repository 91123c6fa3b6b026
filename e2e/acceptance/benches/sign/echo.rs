//! What the transport alone costs.

use std::collections::BTreeMap;

use acceptance::load::{Load, Run};
use anyhow::{Context, Result};
use custody::{CustodyId, Role};
use futures::StreamExt;
use harness::nats::Nats;
use natsauth::{AccountLimits, Scope, UserName, account_claims, role_permissions, user_claims};
use nkeys::KeyPair;
use protocol::subject::{Lane, inbox_prefix, queue, subject};
use rand_core::OsRng;

use crate::ours::unsigned;

/// A request and its echo over the same broker, sealed by nobody: what the transport alone costs.
#[derive(Clone)]
pub(crate) struct Echo {
    client: async_nats::Client,
    to: String,
    payload: Vec<u8>,
}

impl Echo {
    pub(crate) async fn set_up(nats: &Nats) -> Result<Self> {
        let (account, custody) = (KeyPair::new_account(), CustodyId::generate(&mut OsRng));
        let roles: BTreeMap<Role, KeyPair> =
            [Role::App, Role::Keeper].map(|role| (role, KeyPair::new_account())).into();
        let scope = |(role, key): (&Role, &KeyPair)| {
            Scope::new(&key.public_key(), role.as_str(), role_permissions(custody, *role))
        };
        let (public, scopes) = (account.public_key(), roles.iter().map(scope).collect());
        let claims = account_claims("echo", &public, scopes, AccountLimits::default(), BTreeMap::new(), 1);
        let jwt = natsauth::encode(claims, &KeyPair::from_seed(nats.operator_signing_seed())?)?;
        let push = nats.push_client().await?;
        push.request(format!("$SYS.REQ.ACCOUNT.{public}.CLAIMS.UPDATE"), jwt.into()).await?;
        let connect = async |role: Role| {
            let user = KeyPair::new_user();
            let claims = user_claims(&UserName::from(role), &user.public_key(), &public, 1, None);
            let jwt = natsauth::encode(claims, &roles[&role])?;
            let key = std::sync::Arc::new(user);
            let options = async_nats::ConnectOptions::with_jwt(jwt, move |nonce| {
                let key = key.clone();
                async move { key.sign(&nonce).map_err(async_nats::AuthError::new) }
            });
            let options = options.add_root_certificates(nats.ca_file()).require_tls(true).tls_first();
            Ok::<_, anyhow::Error>(options.custom_inbox_prefix(inbox_prefix(role)).connect(nats.url()).await?)
        };
        let to = subject(custody, Role::Keeper, Lane::Op);
        let keeper = connect(Role::Keeper).await?;
        let mut requests = keeper.queue_subscribe(to.clone(), queue(Role::Keeper).to_owned()).await?;
        keeper.flush().await?;
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                if let Some(reply) = request.reply {
                    let _ = keeper.publish(reply, request.payload).await;
                }
            }
        });
        // As long as an envelope around the same payment.
        Ok(Self { client: connect(Role::App).await?, to, payload: vec![7; unsigned(0)?.len() + 500] })
    }

    pub(crate) async fn run(&self, load: Load) -> Result<Run> {
        let echo = self.clone();
        load.run(1, move |_| {
            let echo = echo.clone();
            async move {
                let answer = echo.client.request(echo.to.clone(), echo.payload.clone().into()).await;
                answer.context("an echo").map(drop)
            }
        })
        .await
    }
}
