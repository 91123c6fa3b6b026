//! Rows and columns that were changed, exchanged or taken away. Nobody else can know of most of it: then the signer
//! itself notices, or the other signer, whose files are others.

use anyhow::{Context, Result, ensure};
use chain::{ChainRules, Payload};
use custody::Role;
use prost::Message;
use protocol::ops::{Attestation, HotKeys, NamespaceKey, Outcome, Request, Response, Signed};

use super::story::{PRICE, Story, Whose};
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
const NO_FREEZE: &str = "DELETE FROM freezes";
const NO_MARK: &str = "DELETE FROM claims WHERE wallet = 'alice' AND nonce = 1";
const LOWER_MARK: &str = "UPDATE claims SET nonce = 7 WHERE wallet = 'alice' AND nonce = 1";
const NO_SPENDS: &str = "DELETE FROM spends; DELETE FROM sums";
const SETTLED: &str = "
    INSERT INTO settled (wallet, chain, nonce, id, at_ms)
    SELECT wallet, chain, nonce, id, 1 FROM claims WHERE wallet = 'alice' AND nonce = 1";

pub(super) async fn attacks(story: &mut Story) -> Result<()> {
    let keeper: [(&str, &str, &str); 5] = [
        ("keeper: two wallets' sealed keys exchanged", SWAP_SECRETS, "KeyDamaged"),
        ("keeper: a phrase's entropy as a key", OTHER_PURPOSE, "KeyDamaged"),
        ("keeper: the seed of its own key as a wallet's key", OTHER_IDENTITY, "KeyDamaged"),
        ("keeper: a wallet's keys put under another name", MOVE_WALLET, "KeyDamaged"),
        ("keeper: a wallet with another's owners", SWAP_HOT_KEYS, "StoreDamaged"),
    ];
    for (name, sql, why) in keeper {
        story
            .attack(name, async |story| {
                story.unnoticed(Role::Keeper, sql).await?;
                story.keeper_refuses(|story| &story.bob, 0, why).await
            })
            .await?;
    }
    story
        .attack("keeper: two wallets' addresses exchanged", async |story| {
            story.unnoticed(Role::Keeper, SWAP_ADDRESSES).await?;
            story.keeper_refuses(|story| &story.bob, 0, "StoreDamaged").await
        })
        .await?;
    cooler(story).await?;
    story
        .attack("keeper: two phrases' entropy exchanged, for whoever restores from it", async |story| {
            story.unnoticed(Role::Keeper, SWAP_ENTROPY).await?;
            let query = "SELECT entropy FROM hot WHERE wallet = 'bob'";
            let connection = open(&story.custody.keeper.start.data_dir)?;
            let sealed: String = connection.query_row(query, [], |row| row.get(0))?;
            let context = story.custody.context("bob", "entropy.v1");
            story.custody.stolen(Role::Keeper)?.stays_sealed(context, sealed).await?;
            Ok("the Vault's context".to_owned())
        })
        .await?;
    for role in [Role::Keeper, Role::Cooler] {
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
    attested(story).await?;
    results(story).await?;
    votes(story).await
}

/// Cooler's rows.
async fn cooler(story: &mut Story) -> Result<()> {
    for (name, sql) in
        [("a wallet with another's owners", SWAP_HOT_KEYS), ("two wallets' addresses exchanged", SWAP_ADDRESSES)]
    {
        story
            .attack(&format!("cooler: {name}"), async |story| {
                story.unnoticed(Role::Cooler, sql).await?;
                let told = story.steal_with_hot("bob").await?;
                ensure!(told == "StoreDamaged", "{told}");
                Ok(format!("cooler: {told}"))
            })
            .await?;
    }
    story
        .attack("cooler: a key that it did not seal as the cool key", async |story| {
            let query = "SELECT secret FROM hot_keys WHERE wallet = 'bob'";
            let connection = open(&story.custody.keeper.start.data_dir)?;
            let sealed: String = connection.query_row(query, [], |row| row.get(0))?;
            drop(connection);
            story.unnoticed(Role::Cooler, &format!("UPDATE cool_keys SET secret = '{sealed}'")).await?;
            let told = story.steal_with_hot("bob").await?;
            ensure!(told == "KeyDamaged", "{told}");
            Ok(format!("cooler: {told}"))
        })
        .await?;
    story
        .attack("cooler: a wallet with an owner of the thief's own", async |story| {
            let secret = [3; 32];
            let key = story.custody.chain.rules.public_key(&secret)?;
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
            story.custody.restart(Role::Cooler).await?;
            // Cooler now signs for a wallet of the thief's; bob's is another.
            let mut theirs = story.custody.pay(&story.bob, 0, THIEF, PRICE)?;
            theirs.hot = Some(story.custody.chain.rules.sign(&secret, &Payload::Digest(theirs.digest))?);
            let outcome = story.custody.app(Role::Cooler, countersign(&theirs)).await?;
            ensure!(reason(&outcome) == "HotSignatureInvalid", "{outcome:?}");
            let assets = [chain::Asset { symbol: "ETH".to_owned(), contract: None }];
            let digest = story.custody.chain.rules.decode(&theirs.payment.unsigned, &own, &assets)?.id;
            theirs.hot = Some(story.custody.chain.rules.sign(&secret, &Payload::Digest(digest))?);
            let outcome = story.custody.app(Role::Cooler, countersign(&theirs)).await?;
            theirs.cool = signature(outcome).ok();
            story.custody.chain.cash(&story.bob.desc, &[&theirs], None).await?;
            Ok("the digest binds the address: cool's vote is for a wallet of the thief's own".to_owned())
        })
        .await
}

/// What was attested.
async fn attested(story: &mut Story) -> Result<()> {
    let sql = "UPDATE hot SET attestation = (SELECT attestation FROM hot WHERE wallet = 'alice') WHERE wallet = 'bob'";
    story
        .attack("keeper: a wallet's attestation replaced by another's", async |story| {
            story.unnoticed(Role::Keeper, sql).await?;
            let hot = story.custody.create("bob", &[]).await?;
            let wallet = story.custody.register(&hot, &[]).await?;
            ensure!(wallet.id == "alice" && wallet.desc == story.alice.desc, "bob's name has alice's keys");
            Ok("the attestation names its wallet".to_owned())
        })
        .await?;
    story
        .attack("keeper: a wallet's attestation with the thief's key in it", async |story| {
            let hot = story.custody.create("bob", &[]).await?;
            let mut keys = HotKeys::decode(hot.body.as_slice())?;
            keys.keys.first_mut().context("no key")?.public_key = story.custody.chain.rules.public_key(&[3; 32])?;
            keys.wallet = "mallory".to_owned();
            let forged = Attestation { body: keys.encode_to_vec(), ..hot };
            let edit = |connection: &rusqlite::Connection| -> Result<()> {
                let row = forged.encode_to_vec();
                Ok(connection.execute("UPDATE hot SET attestation = ?1 WHERE wallet = 'bob'", [row]).map(drop)?)
            };
            story.write(Role::Keeper, edit).await?;
            story.custody.restart(Role::Keeper).await?;
            let told = story.custody.create("bob", &[]).await?;
            ensure!(told == forged, "the row was not believed");
            for role in [Role::Keeper, Role::Cooler] {
                let outcome = story.custody.app(role, registration(&told)).await?;
                ensure!(reason(&outcome) == "AttestationNotBelieved", "{outcome:?}");
            }
            Ok("keeper: AttestationNotBelieved; cooler: AttestationNotBelieved".to_owned())
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

/// What only the signer's own file says: then its vote is the thief's, and the other signer's is not.
async fn votes(story: &mut Story) -> Result<()> {
    let alone: [(&str, &str, Whose, u64, &str); 5] = [
        ("keeper: a freeze taken away", NO_FREEZE, |story| &story.carol, 0, "Frozen"),
        ("keeper: a watermark taken away", NO_MARK, |story| &story.alice, 1, "NonceUsed"),
        ("keeper: a watermark put at another nonce", LOWER_MARK, |story| &story.alice, 1, "NonceUsed"),
        ("keeper: what was spent taken away", NO_SPENDS, |story| &story.dave, 2, "OverWindow"),
        ("keeper: a settlement that nobody attested", SETTLED, |story| &story.alice, 2, "Unsettled"),
    ];
    for (name, sql, whose, nonce, why) in alone {
        story
            .attack(name, async |story| {
                story.unnoticed(Role::Keeper, sql).await?;
                story.cooler_refuses(whose, nonce, why).await
            })
            .await?;
    }
    let cooler: [(&str, &str, Whose, u64, &str); 2] = [
        ("cooler: a watermark taken away", NO_MARK, |story| &story.alice, 1, "NonceUsed"),
        ("cooler: what was spent taken away", NO_SPENDS, |story| &story.dave, 2, "OverWindow"),
    ];
    for (name, sql, whose, nonce, why) in cooler {
        story
            .attack(name, async |story| {
                story.unnoticed(Role::Cooler, sql).await?;
                story.keeper_refuses(whose, nonce, why).await
            })
            .await?;
    }
    story
        .attack("keeper: a looser local policy among those that were seen", async |story| {
            let sql = "INSERT INTO local_policies (content, seen_at_ms, superseded_at_ms)
                       SELECT replace(content, '4000000000000000000', '9000000000000000000'), 1, 9000000000000
                       FROM local_policies";
            story.unnoticed(Role::Keeper, sql).await?;
            let over = story.custody.pay(&story.bob, 0, THIEF, PRICE + 1)?;
            let outcome = story.custody.app(Role::Keeper, sign(&over)).await?;
            ensure!(reason(&outcome) == "OverLimit", "{outcome:?}");
            Ok("keeper: OverLimit".to_owned())
        })
        .await
}

impl Story {
    /// Cooler alone, with a signature of hot that Keeper gave for something else's sake: what it answers.
    async fn steal_with_hot(&mut self, wallet: &str) -> Result<String> {
        let hot = self.custody.stolen(Role::Keeper)?.hot(wallet).await?;
        let mut stolen = self.custody.pay(&self.bob, 0, THIEF, PRICE)?;
        stolen.hot = Some(self.custody.chain.rules.sign(&hot, &Payload::Digest(stolen.digest))?);
        let outcome = self.custody.app(Role::Cooler, countersign(&stolen)).await?;
        stolen.cool = signature(outcome.clone()).ok();
        self.custody.chain.cash(&self.bob.desc, &[&stolen], None).await?;
        Ok(reason(&outcome).to_owned())
    }
}

fn sha256(request: &Request) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(request.encode_to_vec()).into()
}
