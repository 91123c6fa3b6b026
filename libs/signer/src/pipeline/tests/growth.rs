//! Promises about what a request costs, whatever is stored and whoever else asks; counted, never timed.

use std::{collections::BTreeSet, sync::mpsc};

use custody::local_policy::Rolling;

use super::*;
use crate::store::{Spend, Store, StoreError, Wanted};

fn hourly(amount: u128) -> Option<Rolling> {
    Some(Rolling { amount: amount.to_string(), window_seconds: 3600 })
}

impl Running {
    /// Lets nobody else write until `work`, which begins meanwhile, says so by the sender that it gets.
    async fn held<T>(&self, work: impl AsyncFnOnce(mpsc::Sender<()>) -> T) -> T {
        let (go, held) = mpsc::channel::<()>();
        let hold = self.store.decide(0, move |_| {
            let _ = held.recv();
            Ok(())
        });
        // Whatever waits for the writer would wait for ever.
        let work = tokio::time::timeout(std::time::Duration::from_secs(60), work(go));
        let (released, outcome) = tokio::join!(hold, work);
        released.unwrap();
        outcome.expect("it waits for the writer")
    }
}

#[tokio::test]
async fn a_check_waits_for_no_writer_and_writes_nothing() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.keeper.under(eth(|eth| (eth.per_wallet, eth.total) = (hourly(3), hourly(4))), false);
    let before = pair.keeper.chain().await;
    let check = async |amount| pair.keeper.ask(Operation::Check(payment("alice", &transfer("ETH", amount), 0))).await;
    let answers = pair.keeper.held(async |go| {
        let answers = (check(3).await, check(5).await);
        go.send(()).unwrap();
        answers
    });
    let (allowed, refusal) = answers.await;
    assert!(matches!(allowed, Outcome::Allowed(_)), "{allowed:?}");
    assert_eq!(refused(refusal), "OverWindow");
    assert_eq!(pair.keeper.chain().await, before);
}

#[tokio::test]
async fn signatures_that_share_a_commit_share_an_attested_head() {
    let pair = Pair::start().await;
    let wallets: Vec<String> = (0..20).map(|n| format!("wallet-{n}")).collect();
    join_all(wallets.iter().map(|wallet| pair.wallet(wallet))).await;
    let requests: Vec<_> =
        wallets.iter().map(|wallet| request(sign(&payment(wallet, &transfer("ETH", 1), 0)))).collect();
    let signs = join_all(requests.iter().map(|request| pair.keeper.answer(request)));
    let outcomes = pair.keeper.held(async |go| {
        // All of them wait for the writer before it goes on.
        let release = async {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            go.send(()).unwrap();
        };
        tokio::join!(signs, release).0
    });
    let outcomes = outcomes.await;
    let own = pair.keeper.keys.own().message_key().verifying_key();
    let end = pair.keeper.chain().await.len() as u64;
    let mut heads = BTreeSet::new();
    for outcome in outcomes {
        let head = protocol::attestation::audit_head(&signed(outcome).head.unwrap(), &[own]).unwrap();
        heads.insert((head.count, head.hash));
    }
    assert!(heads.len() <= 5, "{} heads of 20 signatures", heads.len());
    assert!(heads.iter().all(|(count, _)| *count <= end), "each is on the disk");
}

/// Many amounts of somebody else, signed long ago and outstanding.
async fn pay_much(store: &Store, many: u128) {
    let pay = move |ledger: &Ledger<'_>| {
        for number in 0..many {
            let mut id = [0; 32];
            id[..16].copy_from_slice(&number.to_be_bytes());
            let (wallet, chain, asset) = ("zoe".to_owned(), CHAIN.to_owned(), "ETH".to_owned());
            ledger.spend(&Spend { wallet, chain, id, asset, amount: 1_u128.into(), to: None }, true)?;
        }
        Ok(())
    };
    store.decide(1, pay).await.unwrap();
}

#[tokio::test]
async fn while_a_new_window_is_counted_nothing_is_signed_that_it_might_refuse_and_afterwards_all_of_it_counts() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let keeper = &pair.keeper;
    pay_much(&keeper.store, 1_500).await;
    keeper.under(eth(|eth| eth.total = hourly(1_502)), false);
    let (two, three) = (payment("alice", &transfer("ETH", 2), 0), payment("alice", &transfer("ETH", 3), 0));
    let waiting = request(sign(&two));
    assert_eq!(unavailable(keeper.answer(&waiting).await), "WindowBuilding");
    assert_eq!(unavailable(keeper.ask(Operation::Check(two.clone())).await), "WindowBuilding");
    // A cancel needs no window, and a wallet's own window few amounts.
    signed(keeper.ask(sign(&payment("alice", &cancel(SAFE), 0))).await);
    assert!(!keeper.signer.count_windows().await.unwrap());
    assert_eq!(refused(keeper.ask(sign(&three)).await), "OverWindow");
    signed(keeper.answer(&waiting).await);
}

#[tokio::test]
async fn what_a_request_and_a_start_cost_the_store_does_not_grow_with_what_is_stored() {
    let pair = Pair::start().await;
    // Connections that are new read the schema.
    costs(&pair, 0).await;
    let few = costs(&pair, 1).await;
    let file = pair.keeper.data_dir.join(crate::store::FILE);
    fill(&rusqlite::Connection::open(file).unwrap(), 3_000);
    let many = costs(&pair, 2).await;
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        assert!(few > 0 && many < few + 100, "{what}: {many} and not {few}");
    }
}

/// How often SQLite went round for each; the same things are done each time, by wallets of their own.
async fn costs(pair: &Pair, time: u64) -> Vec<(&'static str, u64)> {
    let keeper = &pair.keeper;
    keeper.under(eth(|eth| (eth.per_wallet, eth.total) = (hourly(100_000), hourly(100_000))), true);
    keeper.lease().await;
    while keeper.signer.count_windows().await.unwrap() {}
    let mut costs = Vec::new();
    let mut cost = async |what| {
        keeper.store.flush().await.unwrap();
        costs.push((what, keeper.store.turns()));
    };
    cost("what was before").await;
    let wallet = format!("alice-{time}");
    let hot = pair.hot(&wallet).await;
    cost("CreateWallet").await;
    let registered = keeper.ask(Operation::RegisterWallet(registration(hot))).await;
    assert!(matches!(registered, Outcome::Registered(_)), "{registered:?}");
    cost("RegisterWallet").await;
    let pay = payment(&wallet, &transfer("ETH", 1), 0);
    assert!(matches!(keeper.ask(Operation::Check(pay.clone())).await, Outcome::Allowed(_)));
    cost("Check").await;
    let paid = signed(keeper.ask(sign(&pay)).await);
    cost("Sign").await;
    assert_eq!(keeper.settle(&wallet, 0, &paid.digest).await, Outcome::Done(Done {}));
    cost("Settle").await;
    let wanted = Wanted { wallet: Some(wallet.clone()), limit: 10, ..Wanted::default() };
    assert_eq!(keeper.store.look(0, move |ledger| ledger.records(&wanted)).await.unwrap().len(), 1);
    cost("Records of a wallet").await;
    keeper.store.sealed_versions(2).await.unwrap();
    cost("what is to be rewrapped").await;
    let start = |ledger: &Ledger<'_>| {
        let looked = (ledger.has_signed()?, ledger.head()?, ledger.named_custody()?, ledger.records_end()?);
        Ok::<_, StoreError>(looked.0)
    };
    assert!(keeper.store.look(0, start).await.unwrap());
    keeper.store.identity().await.unwrap();
    keeper.store.cool_keys().await.unwrap();
    cost("a start").await;
    costs.into_iter().skip(1).collect()
}

/// So many wallets, each with a payment that is settled and one that is not, straight into the tables.
fn fill(db: &rusqlite::Connection, wallets: u32) {
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         CREATE TEMP TABLE made AS
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {wallets})
            SELECT i, 'w' || i AS wallet, CAST(printf('%032d', i) AS BLOB) AS id, CAST(printf('%032d', -i) AS BLOB) AS other FROM n;
         INSERT INTO hot (wallet, entropy, attestation) SELECT wallet, 'vault:v1:x', id FROM made;
         INSERT INTO hot_keys SELECT wallet, 'eip155', id, 'vault:v1:x' FROM made;
         INSERT INTO wallets SELECT wallet, id, id, id FROM made;
         INSERT INTO addresses SELECT wallet, '{CHAIN}', '0x' || i FROM made;
         INSERT INTO operations (sender, operation_id, digest, result) SELECT 'app', id, id, id FROM made;
         INSERT INTO claims (wallet, chain, nonce, kind, id) SELECT wallet, '{CHAIN}', 0, 'payment', id FROM made;
         INSERT INTO claims (wallet, chain, nonce, kind, id) SELECT wallet, '{CHAIN}', 1, 'payment', other FROM made;
         INSERT INTO settled (wallet, chain, nonce, id, at_ms) SELECT wallet, '{CHAIN}', 0, id, 1 FROM made;
         INSERT INTO records (operation_id, payment_id, wallet, chain, id, kind)
            SELECT id, id, wallet, '{CHAIN}', id, 'payment' FROM made;
         INSERT INTO spends (wallet, chain, id, asset, amount, signed_at_ms, counts_from_ms)
            SELECT wallet, '{CHAIN}', id, 'ETH', unhex(printf('%064x', 1)), 1, 1 FROM made;
         INSERT INTO spends (wallet, chain, id, asset, amount, signed_at_ms)
            SELECT wallet, '{CHAIN}', other, 'ETH', unhex(printf('%064x', 1)), 1 FROM made;
         INSERT INTO announcements SELECT id, wallet, '{CHAIN}', 'x', i, NULL FROM made;
         INSERT INTO intents SELECT substr(id, 17), id FROM made;
         INSERT INTO evacuations (digest, chain, address) SELECT id, '{CHAIN}', '0x' || i FROM made;
         DROP TABLE made;
         COMMIT"
    ))
    .unwrap();
}
