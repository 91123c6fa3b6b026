//! What App says of files that were spoilt on their way to it.

use chain_adapters::Adapters;
use serde_json::{Value, json};

use super::home::{CHAIN, Home, SAFE_PLACE};

fn home() -> Home {
    let assets = json!([{"symbol": "ETH", "asset": "native", "decimals": 18}]);
    let chain = json!({
        "id": format!("eip155:{CHAIN}"),
        "nodes": ["http://127.0.0.1:1"],
        "finality": {"depth": 0},
        "assets": assets,
    });
    Home::new(chain, &[SAFE_PLACE], &"1".repeat(64))
}

fn refused(home: &Home, change: impl FnOnce(&mut Value)) -> String {
    let Err(error) = home.settings(&Adapters::all(), change) else { panic!("it is accepted") };
    error.to_string()
}

#[test]
fn a_byte_order_mark_is_skipped_and_utf_16_is_named() {
    let home = home();
    let manifest = std::fs::read_to_string(home.path("manifest.json")).unwrap();
    let file = home.path("spoilt.json");
    let spoilt = |config: &mut Value| config["manifestFile"] = json!(file);
    std::fs::write(&file, format!("\u{feff}{manifest}")).unwrap();
    assert!(home.settings(&Adapters::all(), spoilt).is_ok());
    std::fs::write(&file, manifest.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let error = refused(&home, spoilt);
    assert_eq!(error, format!("{}: the file is UTF-16; save it as UTF-8", file.display()));
}

#[test]
fn an_asset_with_a_wrong_or_missing_checksum_is_refused_by_that_name() {
    let asset =
        |address: String| refused(&home(), move |config| config["chain"]["assets"][0]["asset"] = json!(address));
    let wrong = asset(SAFE_PLACE.replace("5aA", "5AA"));
    assert!(wrong.contains("the checksum of the address"), "{wrong}");
    let capitals = asset(format!("0x{}", SAFE_PLACE[2..].to_uppercase()));
    assert!(capitals.contains(&format!("compare it with {SAFE_PLACE}")), "{capitals}");
}
