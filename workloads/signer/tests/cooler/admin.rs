//! Promises of the admin's local commands beside the running process: they hold at once, over restarts, and are on
//! record.

use audit::Export;
use serde_json::Value;
use signer::store::STORE_KEY_MADE;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A local command that is done.
async fn done(member: &Member, words: &[&str]) -> String {
    let output = member.exec(words, "").await;
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The exported audit chain, verified.
pub(super) async fn chain(member: &Member) -> Export {
    let export = audit::read(done(member, &["audit", "export"]).await.as_bytes()).unwrap();
    let attested = audit::attested(&export.header, &[]).unwrap().expect("the keys open, so the head is signed");
    audit::verify(&export, &[attested]).unwrap();
    export
}

/// After the first record, which every chain has.
async fn operations(member: &Member) -> Vec<String> {
    let mut operations = chain(member).await.lines.into_iter().map(|line| line.record.operation);
    assert_eq!(operations.next().as_deref(), Some(STORE_KEY_MADE));
    operations.collect()
}

/// Asks on another lane than App's.
async fn tell(caller: &Caller, lane: Lane, operation: Operation) -> Outcome {
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let request = Request { operation_id, operation: Some(operation) };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    caller.call(Role::Cooler, lane, &request, deadline).await.unwrap().outcome.unwrap()
}

/// Asks until a process that has just started serves.
async fn served(ask: impl AsyncFn() -> Outcome) -> Outcome {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Outcome::Unavailable(why)
                if ["Locked", "NotServing"].contains(&why.reason.as_str())
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            outcome => return outcome,
        }
    }
}

#[track_caller]
fn unavailable(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unavailable(Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_freeze_by_admin_or_peer_stops_it_at_once_and_over_a_restart_until_the_admin_thaws() {
    let member = start().await;
    let process = member.run();
    let app = serving(&member).await;
    let keys = member.report().await.unwrap().identity.unwrap().keys;
    let (hot, keeper) = (Hot::new(&member), member.other(&keys).await);
    hot.register(&member, &app).await;
    let pay = async |nonce| ask(&app, Operation::Sign(hot.payment(&member, 5, nonce)), PATIENCE).await;
    assert!(matches!(pay(0).await, Outcome::Signed(_)));
    let said = done(&member, &["freeze", "--reason=theft"]).await;
    assert!(said.starts_with("all of cooler is frozen") && said.lines().count() == 1, "{said}");
    assert_eq!(unavailable(pay(0).await), "Frozen", "with the next request");
    let report = member.state(WorkloadState::Frozen).await;
    assert!(report.message.contains("admin") && report.message.contains("theft"), "{report:?}");
    assert_eq!(process.terminate().await, Some(0));

    let process = member.run();
    member.state(WorkloadState::Frozen).await;
    assert_eq!(unavailable(pay(0).await), "Frozen");
    let frozen = Operation::Freeze(Freeze { wallet: "alice".to_owned(), reason: "odd".to_owned() });
    assert_eq!(tell(&keeper, Lane::Peer, frozen).await, Outcome::Done(Done {}));
    done(&member, &["thaw", "--reason=over"]).await;
    assert_eq!(unavailable(pay(1).await), "Frozen", "alice alone");
    let freezes: Value = serde_json::from_str(&done(&member, &["freezes", "-o", "json"]).await).unwrap();
    assert_eq!(
        (&freezes["freezes"][0]["wallet"], &freezes["freezes"][0]["requester"]),
        (&json!("alice"), &json!("keeper"))
    );
    done(&member, &["thaw", "--wallet=alice"]).await;
    assert!(matches!(pay(1).await, Outcome::Signed(_)));
    member.state(WorkloadState::Serving).await;
    let told = operations(&member).await;
    assert_eq!(told, ["RegisterWallet", "Sign", "Freeze", "Freeze", "Thaw", "Thaw", "Sign"]);
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn a_volume_that_was_rolled_back_stays_locked_and_says_so_until_the_admin_accepts_it() {
    let member = start().await;
    let process = member.run();
    let app = serving(&member).await;
    let hot = Hot::new(&member);
    hot.register(&member, &app).await;
    let pay = async |nonce| ask(&app, Operation::Sign(hot.payment(&member, 5, nonce)), PATIENCE).await;
    assert!(matches!(pay(0).await, Outcome::Signed(_)));
    assert_eq!(process.terminate().await, Some(0));
    let yesterday = member.copy_volume();

    let process = member.run();
    let outcome = served(async || pay(1).await).await;
    assert!(matches!(outcome, Outcome::Signed(_)), "{outcome:?}");
    member.head_is_held().await;
    let history = done(&member, &["history", "export"]).await;
    assert_eq!(process.terminate().await, Some(0));
    member.restore_volume(yesterday);

    let process = member.run();
    let report = member.report_with(|it| it.state == WorkloadState::Locked && it.message.contains("rolled back")).await;
    assert!(report.message.contains("multisig member unlock"), "{report:?}");
    assert_eq!(unavailable(pay(1).await), "Locked");
    // As somebody would have it who can write to where it is kept.
    let (document, _) = history.trim_end().rsplit_once('\n').unwrap();
    for (file, why) in
        [(history.replacen("nonce 1", "nonce 7", 1), "HistoryTampered"), (document.to_owned(), "HistoryUnsigned")]
    {
        let refused = member.exec(&["history", "import", "-"], &file).await;
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(why), "{refused:?}");
    }
    let imported = member.exec(&["history", "import", "-"], &history).await;
    assert!(imported.status.success(), "{imported:?}");
    assert_eq!(unavailable(pay(1).await), "Locked", "an import opens nothing");
    done(&member, &["unlock", "--reason=restored from yesterday"]).await;
    member.state(WorkloadState::Serving).await;
    assert!(matches!(pay(1).await, Outcome::Signed(_)), "the one that was signed before");
    let other = ask(&app, Operation::Sign(hot.payment(&member, 6, 1)), PATIENCE).await;
    assert!(matches!(&other, Outcome::Refused(it) if it.reason == "NonceUsed"), "{other:?}");
    let told = operations(&member).await;
    assert_eq!(told, ["RegisterWallet", "Sign", "HistoryImport", "Unlock", "Sign", "Sign"]);
    member.head_is_held().await;
    assert_eq!(process.terminate().await, Some(0));
    let _process = member.run();
    let outcome = served(async || pay(1).await).await;
    assert!(matches!(outcome, Outcome::Signed(_)), "the others take the accepted chain for the newer one: {outcome:?}");
}

#[tokio::test]
async fn a_payment_that_waits_is_listed_and_a_veto_refuses_it() {
    let member = start().await;
    let _process = member.run();
    let app = serving(&member).await;
    let lock = json!({"above": "500", "delaySeconds": 3600});
    let before = member.report().await.unwrap().digests.policy;
    member.write_trust(|trust| trust["localPolicy"]["assets"][0]["timeLock"] = lock).await;
    member.report_with(|report| report.digests.policy != before).await;
    let hot = Hot::new(&member);
    hot.register(&member, &app).await;
    let pay = async |amount| ask(&app, Operation::Sign(hot.payment(&member, amount, 0)), PATIENCE).await;
    assert!(matches!(pay(600).await, Outcome::Pending(_)));
    let waits: Value = serde_json::from_str(&done(&member, &["pending", "-o", "json"]).await).unwrap();
    let summary = waits["pending"][0]["summary"].as_str().unwrap();
    assert!(summary.starts_with("600 ETH from alice to "), "{waits}");
    done(&member, &["veto", waits["pending"][0]["digest"].as_str().unwrap()]).await;
    let vetoed = pay(600).await;
    assert!(matches!(&vetoed, Outcome::Refused(it) if it.reason == "Vetoed"), "{vetoed:?}");
    assert!(matches!(pay(500).await, Outcome::Signed(_)));
    assert_eq!(operations(&member).await, ["RegisterWallet", "Sign", "Veto", "Sign", "Sign"]);
}

#[tokio::test]
async fn the_sentinels_settlement_opens_the_next_nonce_and_the_admins_does_in_its_place() {
    let member = start().await;
    let _process = member.run();
    let app = serving(&member).await;
    let keys = member.report().await.unwrap().identity.unwrap().keys;
    let sentinel = member.sentinel(&keys).await;
    let watcher = json!([member.sentinel.public()]);
    member.write_trust(|trust| trust["peers"]["sentinel"] = watcher).await;
    member.report_with(|report| report.message.contains("lease")).await;
    let until_ms = u64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() + 500_000;
    let leased = tell(&sentinel, Lane::Sentinel, Operation::Lease(Lease { until_ms })).await;
    assert_eq!(leased, Outcome::Done(Done {}));

    let hot = Hot::new(&member);
    hot.register(&member, &app).await;
    let pay = async |nonce| ask(&app, Operation::Sign(hot.payment(&member, 5, nonce)), PATIENCE).await;
    let signed = async |nonce| match pay(nonce).await {
        Outcome::Signed(signed) => signed.digest,
        other => panic!("{other:?}"),
    };
    let digest = signed(0).await;
    let next =
        ask(&app, Operation::Check(Payment { hot_signatures: Vec::new(), ..hot.payment(&member, 5, 1) }), PATIENCE);
    assert_eq!(unavailable(next.await), "Unsettled");
    let id = digest.clone().try_into().unwrap();
    let settlements = vec![Settlement::new("alice", CHAIN, Claim::Sequence(0), id)];
    let settled = tell(&sentinel, Lane::Sentinel, Operation::Settle(Settle { settlements })).await;
    assert_eq!(settled, Outcome::Done(Done {}));
    let digest = data_encoding::HEXLOWER.encode(&signed(1).await);
    let file = json!([{"wallet": "alice", "chain": CHAIN, "nonce": 1, "digest": digest}]).to_string();
    let settled = member.exec(&["settle", "-"], &file).await;
    assert!(settled.status.success(), "{settled:?}");
    signed(2).await;
    let told = operations(&member).await;
    assert_eq!(told, ["RegisterWallet", "Sign", "Settle", "Sign", "Settle", "Sign"]);
}
