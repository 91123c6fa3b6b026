//! Cooler signs a plan of version 2 while it serves.

use chain::{Asset, KeyRole};
use chain_adapters::Adapters;
use custodies::{CHAIN, FoundWallet};
use custody::report::WorkloadState;
use evacuation::{
    WalletsExport,
    stream::{OpenedPlan, OwnerPair, SignatureReader},
};

use super::{Hot, admin, serving, start};

#[tokio::test]
async fn cool_signs_every_rung_recorded_first_and_the_same_again_while_cooler_serves() {
    let member = start().await;
    let process = member.run();
    let app = serving(&member).await;
    Hot::new(&member).register(&member, &app).await;

    let exported = member.exec(&["wallets", "export"], "").await;
    assert!(exported.status.success(), "{exported:?}");
    let export = WalletsExport::parse(&exported.stdout).unwrap();
    assert_eq!((export.version, export.wallets.len()), (2, 1));
    assert!(export.audit_head.as_ref().is_some_and(|head| head.count > 0), "{export:?}");

    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    let found = [FoundWallet { record: export.wallets[0].clone(), live: None, held: vec![77] }];
    let draw = |owners| custodies::plan(&member.signed, &CHAIN.parse().unwrap(), &assets, owners, &found);
    let plan = draw(OwnerPair::CoolAndCold);

    let signed = member.exec(&["evac", "sign"], &plan).await;
    assert!(signed.status.success(), "{signed:?}");
    assert!(String::from_utf8_lossy(&signed.stderr).contains("2 transactions of 1 wallets"), "{signed:?}");
    let mut reader = OpenedPlan::open(plan.as_slice()).unwrap().verify(member.manifest(), &Adapters::all()).unwrap();
    let mut file = SignatureReader::open(signed.stdout.as_slice()).unwrap();
    let chunk = reader.next_chunk().unwrap().unwrap();
    chunk.signatures(KeyRole::Cool, &file.next_chunk().unwrap().unwrap()).unwrap();
    assert!(reader.next_chunk().unwrap().is_none() && file.next_chunk().unwrap().is_none());
    assert_eq!(file.plan(), Some(reader.digest()));
    let again = member.exec(&["evac", "sign"], &plan).await;
    assert_eq!(again.stdout, signed.stdout);
    let records = admin::chain(&member).await;
    let recorded = records.lines.iter().filter(|line| line.record.operation == audit::EVACUATION_SIGN);
    let digests: Vec<_> = chunk.steps().unwrap().iter().map(|step| step.id().to_vec()).collect();
    assert_eq!(recorded.map(|line| line.record.digest.clone()).collect::<Vec<_>>(), digests);

    let torn = member.exec(&["evac", "sign"], &plan[..plan.len() - 1]).await;
    assert!(!torn.status.success() && String::from_utf8_lossy(&torn.stderr).contains("incomplete"), "{torn:?}");
    let refused = async |plan: &[u8], why: &str| {
        let output = member.exec(&["evac", "sign"], plan).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty() && said.contains(why), "{why}: {said}");
    };
    refused(&draw(OwnerPair::HotAndCold), "the plan is signed by hot and cold, and not by cool").await;
    let paperless = draw(OwnerPair::HotAndCool);
    refused(&paperless, "evacuation.withoutPaper: the local policy does not let hot and cool").await;
    member.write_trust(|trust| trust["localPolicy"]["evacuation"] = serde_json::json!({"withoutPaper": true})).await;
    let signed = member.exec(&["evac", "sign", "-"], &paperless).await;
    let said = String::from_utf8_lossy(&signed.stderr).into_owned();
    assert!(signed.status.success() && said.contains("signed by hot and cool"), "{said}");
    assert_eq!(SignatureReader::open(signed.stdout.as_slice()).unwrap().role(), KeyRole::Cool);
    member.state(WorkloadState::Serving).await;
    assert_eq!(process.terminate().await, Some(0));
}
