//! Rows and columns that were changed, exchanged, added or taken away. The signer itself notices: the rows are not those
//! that it wrote. What it does not count, others verify.

use anyhow::{Context, Result, ensure};
use chain::ChainRules;
use custody::Role;
use prost::Message;
use protocol::ops::{Attestation, HotKeys, NamespaceKey, Outcome, Request, Response, Signed};

use super::story::{PRICE, Story};
use crate::{
    files::open,
    killable::{
        THIEF,
        requests::{countersign, reason, registration, request, sign, signature},
    },
};

const SWAP_SECRETS: &str = "
    CREATE TEMP TABLE t AS SELECT wallet, secret FROM hot_keys;
    UPDATE hot_keys SET secret = (SELECT secret FROM t WHERE wallet = 'alice') WHERE wallet = 'bob';
    UPDATE hot_keys SET secret = (SELECT secret FROM t WHERE wallet = 'bob') WHERE wallet = 'alice';";
const SWAP_ENTROPY: &str = "
    CREATE TEMP TABLE t AS SELECT wallet, entropy FROM hot;
    UPDATE hot SET entropy = (SELECT entropy FROM t WHERE wallet = 'alice') WHERE wallet = 'bob';";
const SWAP_HOT_KEYS: &str = "
    UPDATE wallets SET hot_keys = (SELECT hot_keys FROM wallets WHERE wallet = 'alice') WHERE wallet = 'bob';";
const SWAP_ADDRESSES: &str = "
    CREATE TEMP TABLE t AS SELECT wallet, address FROM addresses;
    UPDATE addresses SET address = 'x' || wallet WHERE wallet IN ('alice', 'bob');
    UPDATE addresses SET address = (SELECT address FROM t WHERE wallet = 'alice') WHERE wallet = 'bob';
    UPDATE addresses SET address = (SELECT address FROM t WHERE wallet = 'bob') WHERE wallet = 'alice';";
const MOVE_WALLET: &str = "
    UPDATE hot_keys SET wallet = 'was-bob' WHERE wallet = 'bob';
    UPDATE hot_keys SET wallet = 'bob' WHERE wallet = 'alice';";
const OTHER_PURPOSE: &str =
    "UPDATE hot_keys SET secret = (SELECT entropy FROM hot WHERE wallet = 'bob') WHERE wallet = 'bob'";
const OTHER_IDENTITY: &str = "UPDATE hot_keys SET secret = (SELECT message_seed FROM identity) WHERE wallet = 'bob'";
const SWAP_SEEDS: &str = "UPDATE identity SET message_seed = xkey_seed, xkey_seed = message_seed";
const OTHER_ATTESTATION: &str =
    "UPDATE hot SET attestation = (SELECT attestation FROM hot WHERE wallet = 'alice') WHERE wallet = 'bob'";
const NO_FREEZE: &str = "DELETE FROM freezes";
const PENDING_FREEZE: &str = "UPDATE freezes SET pending = 1, wallet = 'nobody'";
const NO_MARK: &str = "DELETE FROM claims WHERE wallet = 'alice' AND nonce = 1";
const LOWER_MARK: &str = "UPDATE claims SET nonce = 7 WHERE wallet = 'alice' AND nonce = 1";
const NO_SPENDS: &str = "DELETE FROM spends; DELETE FROM sums";
const LESS_SPENT: &str = "UPDATE spends SET amount = unhex(printf('%064x', 1)) WHERE wallet = 'dave'";
const LESS_SUM: &str = "UPDATE sums SET amount = unhex(printf('%064x', 1)) WHERE wallet = 'dave'";
const UNREGISTERED: &str = "DELETE FROM addresses WHERE wallet = 'bob'; DELETE FROM wallets WHERE wallet = 'bob'";
const NO_RECORD: &str = "DELETE FROM records WHERE wallet = 'alice'";
const LOOSER: &str = "
    INSERT INTO local_policies (content, seen_at_ms, superseded_at_ms)
    SELECT replace(content, '4000000000000000000', '9000000000000000000'), 1, 9000000000000 FROM local_policies";
const INTENT: &str = "INSERT INTO intents (id, digest) VALUES (zeroblob(16), zeroblob(32))";
const ANNOUNCED: &str = "
    INSERT INTO announcements (digest, wallet, chain, summary, at_ms) SELECT zeroblob(32), wallet, chain, '', 1
    FROM addresses WHERE wallet = 'bob'";
const SETTLED: &str = "
    INSERT INTO settled (wallet, chain, nonce, id, at_ms)
    SELECT wallet, chain, nonce, id, 1 FROM claims WHERE wallet = 'alice' AND nonce = 1";

pub(super) async fn attacks(story: &mut Story) -> Result<()> {
    let keeper: [(&str, &str, &str); 15] = [
        ("two wallets' sealed keys exchanged", SWAP_SECRETS, "table hot_keys"),
        ("a phrase's entropy as a key", OTHER_PURPOSE, "table hot_keys"),
        ("the seed of its own key as a wallet's key", OTHER_IDENTITY, "table hot_keys"),
        ("a wallet's keys put under another name", MOVE_WALLET, "table hot_keys"),
        ("two phrases' entropy exchanged, for whoever restores from it", SWAP_ENTROPY, "table hot"),
        ("a wallet's attestation replaced by another's", OTHER_ATTESTATION, "table hot"),
        ("a freeze taken away", NO_FREEZE, "table freezes"),
        ("a freeze that waits for nobody any more", PENDING_FREEZE, "table freezes"),
        ("a watermark put at another nonce", LOWER_MARK, "table claims"),
        ("an amount made smaller", LESS_SPENT, "table spends"),
        ("a sum made smaller", LESS_SUM, "table sums"),
        ("a settlement that nobody attested", SETTLED, "table settled"),
        ("a looser local policy among those that were seen", LOOSER, "table local_policies"),
        ("an intent used for something else", INTENT, "table intents"),
        ("a payment that has waited for a year", ANNOUNCED, "table announcements"),
    ];
    for (name, sql, found) in keeper {
        story.attack(&format!("keeper: {name}"), async |story| story.tampered(Role::Keeper, sql, found).await).await?;
    }
    let both: [(&str, &str, &str); 6] = [
        ("a watermark taken away", NO_MARK, "table claims"),
        ("what was spent taken away", NO_SPENDS, "table spends"),
        ("a wallet with another's owners", SWAP_HOT_KEYS, "table wallets"),
        ("two wallets' addresses exchanged", SWAP_ADDRESSES, "table addresses"),
        ("a wallet's row taken away, to register its address again", UNREGISTERED, "table addresses"),
        ("the record of what a payment's id stands for taken away", NO_RECORD, "table records"),
    ];
    for role in [Role::Keeper, Role::Cooler] {
        for (name, sql, found) in both {
            story.attack(&format!("{role}: {name}"), async |story| story.tampered(role, sql, found).await).await?;
        }
        story
            .attack(&format!("{role}: its own seeds exchanged"), async |story| {
                story.write(role, |connection| Ok(connection.execute_batch(SWAP_SEEDS)?)).await?;
                story.does_not_start(role, "a sealed value does not open").await?;
                Ok("the Vault's context: it does not start".to_owned())
            })
            .await?;
        let newer = ("a newer", 99, "the store has version 99");
        // What is there already is not made again.
        let older = ("an older", 0, "table identity already exists");
        for (name, version, why) in [newer, older] {
            story
                .attack(&format!("{role}: {name} version of the tables"), async |story| {
                    let set = |connection: &rusqlite::Connection| {
                        Ok(connection.pragma_update(None, "user_version", version)?)
                    };
                    story.write(role, set).await?;
                    story.does_not_start(role, why).await?;
                    Ok("it does not start".to_owned())
                })
                .await?;
        }
    }
    keys(story).await?;
    results(story).await
}

/// Keys and owners of the thief's own.
async fn keys(story: &mut Story) -> Result<()> {
    story
        .attack("keeper: two phrases' entropy exchanged, opened by whoever has the Vault too", async |story| {
            story.write(Role::Keeper, |connection| Ok(connection.execute_batch(SWAP_ENTROPY)?)).await?;
            let query = "SELECT entropy FROM hot WHERE wallet = 'bob'";
            let connection = open(&story.custody.keeper.start.data_dir)?;
            let sealed: String = connection.query_row(query, [], |row| row.get(0))?;
            let context = story.custody.context("bob", "entropy.v1");
            story.custody.stolen(Role::Keeper)?.stays_sealed(context, sealed).await?;
            Ok("the Vault's context".to_owned())
        })
        .await?;
    story
        .attack("keeper: a wallet's attestation with the thief's key in it", async |story| {
            let hot = story.custody.create("bob", &[]).await?;
            let mut keys = HotKeys::decode(hot.body.as_slice())?;
            keys.keys.first_mut().context("no key")?.public_key = story.custody.chain.rules.public_key(&[3; 32])?;
            keys.wallet = "mallory".to_owned();
            let forged = Attestation { body: keys.encode_to_vec(), ..hot };
            // Who has it need not write it anywhere.
            for role in [Role::Keeper, Role::Cooler] {
                let outcome = story.custody.app(role, registration(&forged)).await?;
                ensure!(reason(&outcome) == "AttestationNotBelieved", "{outcome:?}");
            }
            let edit = |connection: &rusqlite::Connection| -> Result<()> {
                let row = forged.encode_to_vec();
                Ok(connection.execute("UPDATE hot SET attestation = ?1 WHERE wallet = 'bob'", [row]).map(drop)?)
            };
            story.write(Role::Keeper, edit).await?;
            let found = story.finds(Role::Keeper, "table hot").await?;
            Ok(format!("{found}; cooler: AttestationNotBelieved"))
        })
        .await?;
    story
        .attack("cooler: a key that it did not seal as the cool key", async |story| {
            let query = "SELECT secret FROM hot_keys WHERE wallet = 'bob'";
            let connection = open(&story.custody.keeper.start.data_dir)?;
            let sealed: String = connection.query_row(query, [], |row| row.get(0))?;
            drop(connection);
            let sql = format!("UPDATE cool_keys SET secret = '{sealed}'");
            story.tampered(Role::Cooler, &sql, "table cool_keys").await
        })
        .await?;
    story
        .attack("cooler: a wallet with an owner of the thief's own", async |story| {
            let key = story.custody.chain.rules.public_key(&[3; 32])?;
            let keys = vec![NamespaceKey { namespace: "eip155".to_owned(), public_key: key.clone() }];
            let custody_id = story.custody.manifest().custody_id().as_bytes().to_vec();
            let row = HotKeys { custody_id, wallet: "bob".to_owned(), keys }.encode_to_vec();
            let owners = story.custody.manifest().owners(story.custody.chain.rules.id(), &key)?;
            let own = story.custody.chain.rules.wallet(&owners, [0; 32])?;
            let edit = |connection: &rusqlite::Connection| -> Result<()> {
                connection.execute("UPDATE wallets SET hot_keys = ?1 WHERE wallet = 'bob'", [&row])?;
                connection.execute("UPDATE addresses SET address = ?1 WHERE wallet = 'bob'", [&own.address])?;
                Ok(())
            };
            story.write(Role::Cooler, edit).await?;
            story.finds(Role::Cooler, "table addresses").await
        })
        .await
}

/// Stored results.
async fn results(story: &mut Story) -> Result<()> {
    story
        .attack("keeper: a stored result replaced by another signature", async |story| {
            let paid = story.custody.pay(&story.bob, 0, THIEF, PRICE)?;
            let asked = request(sign(&paid));
            let bad = Response {
                outcome: Some(Outcome::Signed(Signed {
                    digest: paid.digest.to_vec(),
                    signatures: story.outstanding.hot.iter().cloned().collect(),
                    head: None,
                })),
            };
            let edit = |connection: &rusqlite::Connection| -> Result<()> {
                let sql = "INSERT INTO operations (sender, operation_id, digest, result) VALUES ('app', ?1, ?2, ?3)";
                connection.execute(sql, (&asked.operation_id, sha256(&asked), bad.encode_to_vec()))?;
                Ok(())
            };
            story.write(Role::Keeper, edit).await?;
            story.custody.restart(Role::Keeper).await?;
            let outcome = story.custody.keeper.process()?.say(Role::App, &asked).await.context("it ended")?;
            let mut told = paid.clone();
            told.hot = Some(signature(outcome)?);
            let outcome = story.custody.app(Role::Cooler, countersign(&told)).await?;
            ensure!(reason(&outcome) == "HotSignatureInvalid", "{outcome:?}");
            Ok("cooler: HotSignatureInvalid".to_owned())
        })
        .await?;
    story
        .attack("both: all operation ids forgotten", async |story| {
            for role in [Role::Keeper, Role::Cooler] {
                story.unnoticed(role, "DELETE FROM operations").await?;
            }
            let again = story.custody.app(Role::Keeper, sign(&story.outstanding)).await?;
            ensure!(Some(signature(again)?) == story.outstanding.hot, "another signature for the same payment");
            story.keeper_refuses(|story| &story.alice, 1, "NonceUsed").await
        })
        .await
}

fn sha256(request: &Request) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(request.encode_to_vec()).into()
}
