//! What auditors see, against values computed by other implementations: ethers 6 and the bytecode of Safe 1.4.1.

use serde_json::{Value, json};

use super::{Room, Run};

const HOT: &str = "0x031b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f";
const COOL: &str = "0x024d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766";
const COLD: &str = "0x02531fe6068134503d2723133227c867ac8fa6c83c537e9a44c3c5bdbdcb1fe337";
const WALLET: &str = "0xe87E4346D17bc2401d844379CCaB3E4cfbFC0845";
const DESTINATION: &str = "0x00000000000000000000000000000000000000AA";
const TOKEN: &str = "0x00000000000000000000000000000000000000bb";
const ZERO: &str = "0x0000000000000000000000000000000000000000";

/// The chain adapter's vectors, hex without prefix.
fn vector(pointer: &str) -> String {
    let vectors = include_str!("../../../../libs/chain/evm/tests/vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    format!("0x{}", vectors.pointer(pointer).unwrap().as_str().unwrap())
}

fn phrase() -> String {
    format!("{}art\n", "abandon ".repeat(23))
}

/// One ether at nonce 5, with other values in some fields.
fn tx(changes: &[(&str, &str)]) -> Value {
    let mut tx = json!({
        "to": DESTINATION, "value": "1000000000000000000", "data": "0x", "operation": "0", "safeTxGas": "0",
        "baseGas": "0", "gasPrice": "0", "gasToken": ZERO, "refundReceiver": ZERO, "nonce": "5",
    });
    for (field, value) in changes {
        tx[field] = (*value).into();
    }
    tx
}

/// ERC-20 `transfer`.
fn transfer_call(to: &str, amount: u64) -> String {
    format!("0xa9059cbb{:0>64}{amount:064x}", &to[2..])
}

fn token(changes: &[(&str, &str)]) -> Value {
    let call = transfer_call(DESTINATION, 12345);
    tx(&[&[("to", TOKEN), ("value", "0"), ("data", &call)], changes].concat())
}

/// An auditor's desk: the list of assets and a transaction.
struct Desk(Room);

impl Desk {
    fn new() -> Self {
        let desk = Self(Room::new());
        desk.list(&json!([{"asset": "native"}, {"asset": TOKEN.to_lowercase(), "symbol": "USD", "decimals": 3}]));
        desk
    }

    fn list(&self, assets: &Value) {
        self.0.write("assets.json", &assets.to_string());
    }

    /// Decodes `tx` for the wallet on chain 1.
    fn decode(&self, tx: &str, options: &str) -> Run {
        self.0.write("tx.json", tx);
        let line = format!("chain decode --chain evm --chain-id 1 --wallet {WALLET} --assets assets.json tx.json");
        self.0.run(&format!("{line} {options}"), "")
    }

    fn shows(&self, tx: &Value, expected: &Value) {
        assert_eq!(self.decode(&tx.to_string(), "-o json").json(), *expected);
    }

    /// Refused with `reason` in both forms, exit code 1.
    fn refuses(&self, tx: &str, reason: &str) {
        let run = self.decode(tx, "-o json");
        assert_eq!((run.code, run.err.as_str()), (1, ""), "{tx}");
        let result: Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(result["refused"], reason, "{tx}: {result}");
        assert!(!result["message"].as_str().unwrap().is_empty());
        let run = self.decode(tx, "");
        assert_eq!((run.out.as_str(), run.err.lines().count()), ("", 1), "{}", run.err);
        run.refused(&format!("error: {reason}: "));
    }
}

#[test]
fn the_key_of_a_phrase_is_that_of_other_wallets() {
    let room = Room::new();
    let key = "0x02dc286c821c7490afbe20a79d13123b9f41f3d7ef21e4a9caacd22f5983b28eca";
    let address = "0xF278cF59F82eDcf871d630F28EcC8056f25C1cdb";
    let keys = room.run("chain keys --chain evm -o json", &phrase()).json();
    assert_eq!(keys, json!({"publicKey": key, "address": address}));
    let run = room.run("chain keys --chain evm", &phrase()).ok();
    assert!([key, address, "m/44'/60'/0'/0/0"].iter().all(|shown| run.out.contains(shown)), "{}", run.out);
    assert!(!format!("{}{}", run.out, run.err).contains("abandon"), "no word of the phrase is repeated");
    assert_eq!(room.files(), [""; 0]);
}

#[test]
fn a_wrong_phrase_or_chain_has_no_key() {
    let room = Room::new();
    let keys = |input: &str| room.run("chain keys --chain evm", input);
    keys("").refused("no phrase on standard input");
    keys("abandon abandon").refused("has 24 words, this one has 2");
    keys(&"abandon ".repeat(24)).refused("checksum");
    assert_eq!(room.run("chain keys --chain solana", &phrase()).code, 2);
    assert_eq!(room.run("chain keys", &phrase()).code, 2);
}

#[test]
fn a_wallet_is_the_one_that_the_factory_deploys() {
    let room = Room::new();
    let line = format!("chain wallet --chain evm --chain-id 1 --hot {HOT} --cool {COOL} --cold {COLD}");
    let owner = |role, key, address| json!({"role": role, "publicKey": key, "address": address});
    let zero = format!("0x{}", "00".repeat(32));
    let expected = json!({
        "chain": "eip155:1",
        "address": WALLET,
        "initializer": vector("/initializer"),
        "salt": zero,
        "owners": [
            owner("hot", HOT, "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"),
            owner("cool", COOL, "0x5050A4F4b3f9338C3472dcC01A87C76A144b3c9c"),
            owner("cold", COLD, "0x3325a78425F17a7E487Eb5666b2bFd93aBb06c70"),
        ],
        "constants": {
            "singleton": "0x41675C099F32341bf84BFc5382aF534df5C7461a",
            "factory": "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67",
            "proxyInitCodeHash": "0x76733d705f71b79841c0ee960a0ca880f779cde7ef446c989e6d23efc0a4adfb",
            "threshold": 2,
        },
    });
    assert_eq!(room.run(&format!("{line} -o json"), "").json(), expected);
    let text = room.run(&line, "").ok().out;
    for shown in [WALLET, HOT, COOL, COLD, &zero, &vector("/initializer"), "threshold"] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    let salt = format!("0x{:064x}", 7);
    let salted = room.run(&format!("{line} --salt {salt} -o json"), "").json();
    assert_eq!(salted["address"], "0x6Cce3bC7E80B8D4742B31398f213d3adf0239Fc8");
    assert_eq!(salted["salt"], salt);
}

#[test]
fn a_wallet_has_three_different_owners_and_a_chain() {
    let room = Room::new();
    let wallet = |chain: &str, cold: &str, more: &str| {
        let chain = format!("chain wallet --chain evm --chain-id {chain}");
        room.run(&format!("{chain} --hot {HOT} --cool {COOL} --cold {cold} {more}"), "")
    };
    wallet("1", HOT, "").refused("two owners of this wallet are the same key");
    wallet("1", &format!("0x05{}", "11".repeat(32)), "").refused("the cold public key is malformed");
    wallet("0", COLD, "").refused("'eip155:0' is not a chain id");
    for (chain, cold, more) in
        [("1", "0x02", ""), ("1", &COLD[..66], ""), ("1", "key", ""), ("one", COLD, ""), ("1", COLD, "--salt 0x7")]
    {
        assert_eq!(wallet(chain, cold, more).code, 2, "wrong usage: {chain} {cold} {more}");
    }
}

#[test]
fn an_auditor_sees_what_a_signer_would_sign() {
    let desk = Desk::new();
    let expected =
        |effect: Value, vector: String| json!({"effects": [effect], "fee": "0", "nonce": "5", "digest": vector});
    let native = json!({"kind": "transfer", "asset": "native", "to": DESTINATION, "amount": "1000000000000000000"});
    desk.shows(&tx(&[]), &expected(native, vector("/native/digest")));
    let erc20 = json!({"kind": "transfer", "asset": TOKEN, "to": DESTINATION, "amount": "12345"});
    desk.shows(&token(&[]), &expected(erc20, vector("/erc20/digest")));
    let cancel = json!({"kind": "cancel", "to": DESTINATION});
    desk.shows(&tx(&[("value", "0")]), &expected(cancel, vector("/cancel/digest")));
    let text = desk.decode(&token(&[]).to_string(), "").ok().out;
    let shown = ["eip155:1", WALLET, "transfer", TOKEN, DESTINATION, "12345 (12.345 USD)", &vector("/erc20/digest")];
    assert!(shown.iter().all(|shown| text.contains(shown)), "{text}");
}

#[test]
fn a_transaction_comes_from_a_pipe_as_well() {
    let desk = Desk::new();
    let line = format!("chain decode --chain evm --wallet {WALLET} --assets assets.json -o json");
    let decoded = |id: u8| desk.0.run(&format!("{line} --chain-id {id} -"), &tx(&[]).to_string()).json();
    assert_eq!(decoded(1)["digest"], vector("/native/digest"));
    assert_ne!(decoded(2)["digest"], decoded(1)["digest"], "a digest is of one chain");
}

#[test]
fn a_takeover_is_refused_by_its_name() {
    let desk = Desk::new();
    let refuses = |field: &str, value: &str, reason: &str| desk.refuses(&tx(&[(field, value)]).to_string(), reason);
    refuses("operation", "1", "Delegatecall");
    refuses("to", WALLET, "SelfCall");
    for (field, value) in
        [("safeTxGas", "1"), ("baseGas", "1"), ("gasPrice", "1"), ("gasToken", TOKEN), ("refundReceiver", DESTINATION)]
    {
        refuses(field, value, "RefundFields");
    }
    let approve = transfer_call(DESTINATION, 1).replace("a9059cbb", "095ea7b3");
    desk.refuses(&token(&[("data", &approve)]).to_string(), "UnknownCall");
    desk.refuses(&token(&[("value", "1")]).to_string(), "UnknownCall");
}

#[test]
fn lost_money_and_unknown_assets_are_refused_by_name() {
    let desk = Desk::new();
    let refuses = |tx: &Value, reason: &str| desk.refuses(&tx.to_string(), reason);
    refuses(&tx(&[("to", ZERO)]), "ZeroAddress");
    refuses(&tx(&[("to", TOKEN)]), "AssetContract");
    refuses(&token(&[("data", &transfer_call(WALLET, 1))]), "OwnAddress");
    refuses(&token(&[("data", &transfer_call(DESTINATION, 0))]), "ZeroAmount");
    refuses(&token(&[("to", DESTINATION)]), "UnknownAsset");
    refuses(&tx(&[("nonce", "18446744073709551616")]), "NonceTooLarge");
    desk.list(&json!([]));
    refuses(&tx(&[]), "UnknownAsset");
    desk.list(&json!([{"asset": "0x1"}]));
    refuses(&tx(&[]), "BadAssetList");
}

#[test]
fn what_is_no_safe_tx_is_malformed() {
    let desk = Desk::new();
    let mut odd = vec!["".to_owned(), "[]".to_owned(), "{}".to_owned(), format!("{}x", tx(&[]))];
    odd.push(tx(&[("signatures", "0x")]).to_string());
    odd.push(tx(&[]).to_string().replacen('{', "{\"nonce\":\"5\",", 1));
    odd.push(tx(&[]).to_string().replace("\"nonce\":\"5\"", "\"nonce\":5"));
    for (field, value) in [
        ("value", "-1"),
        ("value", "0x1"),
        ("nonce", "05"),
        ("operation", "256"),
        ("data", "a9059cbb"),
        ("to", "0x00000000000000000000000000000000000000Aa"),
        ("to", "\u{1b}[2J"),
    ] {
        odd.push(tx(&[(field, value)]).to_string());
    }
    odd.iter().for_each(|tx| desk.refuses(tx, "Malformed"));
}

#[test]
fn a_question_that_makes_no_sense_has_one_clear_line() {
    let desk = Desk::new();
    let ask = |wallet: &str, file: &str| {
        let line = format!("chain decode --chain evm --chain-id 1 --wallet {wallet} --assets assets.json {file}");
        desk.0.run(&format!("{line} -o json"), &tx(&[]).to_string())
    };
    ask(WALLET, "absent.json").refused("cannot read absent.json");
    ask(&WALLET.replace("0xe87E", "0xE87E"), "-").refused("--wallet: the checksum of the address '0xE87E");
    for (assets, why) in [
        (json!({}), "assets.json: invalid type"),
        (json!([{"asset": "native", "limit": "1"}]), "unknown field"),
        (json!([{"symbol": "ETH"}]), "missing field"),
        (json!([{"asset": "native", "symbol": "ETH\u{1b}"}]), "the symbol of native"),
        (json!([{"asset": DESTINATION}, {"asset": DESTINATION.to_lowercase()}]), "is listed twice"),
        (json!([{"asset": "native"}, {"asset": "native"}]), "native is listed twice"),
    ] {
        desk.list(&assets);
        ask(WALLET, "-").refused(why);
    }
}
