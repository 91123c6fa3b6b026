//! Promises of the EVM adapter. Expected values were computed with ethers 6 and the bytecode of Safe 1.4.1.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use alloy_primitives::{Address, U256};
use chain::{
    Amount, Asset, ChainError, ChainId, ChainRules, Claim, Creation, Declares, Effect, KeyRole, Owners, Payer, Payload,
    Signature, Signatures, Transaction, Validity, WalletDesc,
};
use chain_evm::{
    EvmSafe,
    constants::{self, FACTORY},
};
use custody::phrase::{EIP155, Phrase};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::{Value, json};

const DESTINATION: &str = "0x00000000000000000000000000000000000000AA";
const TOKEN: &str = "0x00000000000000000000000000000000000000bb";
const OTHER_TOKEN: &str = "0x00000000000000000000000000000000000000cc";
const ONE_ETHER: u128 = 1_000_000_000_000_000_000;

/// `vectors.json`, hex without prefix.
fn vector(pointer: &str) -> String {
    let vectors: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    vectors.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

fn rules() -> EvmSafe {
    EvmSafe::new("eip155:1".parse().unwrap()).unwrap()
}

/// Secret keys are 32 bytes of 0x01, 0x02, 0x03.
fn owners() -> Owners {
    let key = |byte| rules().public_key(&[byte; 32]).unwrap();
    Owners { hot: key(1), cool: key(2), cold: key(3) }
}

fn wallet() -> WalletDesc {
    rules().wallet(&owners(), [0; 32]).unwrap()
}

fn assets() -> Vec<Asset> {
    vec![
        Asset { symbol: "ETH".into(), contract: None },
        Asset { symbol: "USD".into(), contract: Some(TOKEN.to_lowercase()) },
        Asset { symbol: "EUR".into(), contract: Some(OTHER_TOKEN.to_lowercase()) },
    ]
}

fn transfer(asset: &str, amount: u128) -> Effect {
    Effect::Transfer { asset: asset.into(), to: DESTINATION.into(), amount: amount.into() }
}

fn build(intent: &Effect) -> Vec<u8> {
    rules().build(intent, &wallet(), &assets(), &[Claim::Sequence(5)]).unwrap()
}

fn decode(unsigned: &[u8]) -> Transaction {
    rules().decode(unsigned, &wallet(), &assets()).unwrap()
}

/// By the owner whose secret key is 32 times `byte`.
fn sign(byte: u8, digest: [u8; 32]) -> Signature {
    rules().sign(&[byte; 32], &Payload::Digest(digest)).unwrap()
}

fn native() -> Vec<u8> {
    build(&transfer("ETH", ONE_ETHER))
}

/// The unsigned bytes with field `index` (0 is `to`, 9 is `nonce`) set; field 2 (`data`) is its offset.
fn with_field(bytes: &[u8], index: usize, value: U256) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[index * 32..index * 32 + 32].copy_from_slice(&value.to_be_bytes::<32>());
    out
}

fn with_data(bytes: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = bytes[..320].to_vec();
    out.extend_from_slice(&U256::from(data.len()).to_be_bytes::<32>());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(32), 0);
    out
}

fn word(address: &str) -> U256 {
    U256::from_str_radix(&address[2..], 16).unwrap()
}

fn refusal(unsigned: &[u8]) -> &'static str {
    rules().decode(unsigned, &wallet(), &assets()).unwrap_err().reason
}

/// The native transfer as ten fields in JSON.
fn fields() -> Value {
    let zero = "0x0000000000000000000000000000000000000000";
    json!({
        "to": DESTINATION, "value": ONE_ETHER.to_string(), "data": "0x", "operation": "0", "safeTxGas": "0",
        "baseGas": "0", "gasPrice": "0", "gasToken": zero, "refundReceiver": zero, "nonce": "5",
    })
}

fn read(fields: &Value) -> Result<Vec<u8>, &'static str> {
    rules().read(fields.to_string().as_bytes()).map_err(|refusal| refusal.reason)
}

fn fields_but(field: &str, value: &str) -> Result<Vec<u8>, &'static str> {
    let mut fields = fields();
    fields[field] = value.into();
    read(&fields)
}

#[test]
fn keys_of_a_known_phrase_have_the_address_of_other_wallets() {
    let phrase = Phrase::parse(&format!("{}art", "abandon ".repeat(23))).unwrap();
    let hot = phrase.keys().public_key(EIP155).unwrap().to_vec();
    let wallet = rules().wallet(&Owners { hot, ..owners() }, [0; 32]).unwrap();
    assert_eq!(wallet.owner_addresses[0], "0xF278cF59F82eDcf871d630F28EcC8056f25C1cdb");
    assert_eq!(rules().owner_address(&wallet.owners.hot), Ok(wallet.owner_addresses[0].clone()));
    assert_eq!(rules().owner_address(&[2; 32]), Err(ChainError::Address("02".repeat(32))));
}

#[test]
fn the_wallet_has_the_address_that_the_factory_gives_it() {
    let wallet = wallet();
    assert_eq!(
        wallet.owner_addresses,
        [
            "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1",
            "0x5050A4F4b3f9338C3472dcC01A87C76A144b3c9c",
            "0x3325a78425F17a7E487Eb5666b2bFd93aBb06c70"
        ]
    );
    assert_eq!(wallet.address, "0xe87E4346D17bc2401d844379CCaB3E4cfbFC0845");
    let mut salt = [0; 32];
    salt[31] = 7;
    assert_eq!(rules().wallet(&owners(), salt).unwrap().address, "0x6Cce3bC7E80B8D4742B31398f213d3adf0239Fc8");
}

#[test]
fn the_deployment_call_is_that_of_the_factory() {
    let call = rules().creation(&wallet()).unwrap().unwrap();
    assert_eq!(call.to, FACTORY.to_checksum(None));
    assert_eq!(HEXLOWER.encode(&call.data), vector("/deploy"));
    let anatomy = rules().anatomy(&wallet()).unwrap();
    assert!(anatomy.contains(&("initializer", format!("0x{}", vector("/initializer")))), "{anatomy:?}");
}

#[test]
fn the_address_binds_owners_and_their_order() {
    let Owners { hot, cool, cold } = owners();
    let swapped = rules().wallet(&Owners { hot: cool, cool: hot, cold }, [0; 32]).unwrap();
    assert_ne!(swapped.address, wallet().address);
}

#[test]
fn a_key_owns_once_and_is_a_key() {
    let twice = Owners { cold: owners().hot, ..owners() };
    assert_eq!(rules().wallet(&twice, [0; 32]), Err(ChainError::SameOwner));
    for bad in [vec![], vec![2; 32], vec![5; 33], vec![0xff; 33], vec![2; 34]] {
        let refused = rules().wallet(&Owners { cool: bad, ..owners() }, [0; 32]);
        assert!(matches!(refused, Err(ChainError::PublicKey { role: KeyRole::Cool, .. })));
    }
}

#[test]
fn only_evm_chain_ids_have_rules() {
    assert_eq!(EvmSafe::new("eip155:8453".parse().unwrap()).unwrap().number(), 8453);
    let other: ChainId = "solana:1".parse().unwrap();
    assert_eq!(EvmSafe::new(other.clone()), Err(ChainError::NoAdapter(other)));
}

#[test]
fn what_it_declares() {
    let declared = Declares {
        payload_binds_wallet: true,
        payload_is_id: true,
        address_binds_owners: true,
        creation: Creation::AtFirstSpend,
        payer: Payer::Relayer,
    };
    assert_eq!(rules().declares(), declared);
}

#[test]
fn one_nonce_is_used_up_and_nothing_is_changed() {
    let build = |effect: &Effect, claims: &[Claim]| rules().build(effect, &wallet(), &assets(), claims);
    let coin = Claim::Coin([1; 32], 0);
    for claims in [vec![], vec![coin], vec![Claim::Sequence(1), Claim::Sequence(2)]] {
        assert!(matches!(build(&transfer("ETH", 1), &claims), Err(ChainError::Assemble(_))), "{claims:?}");
    }
    let change = Effect::Change { asset: "ETH".into(), amount: 1.into() };
    assert!(matches!(build(&change, &[Claim::Sequence(1)]), Err(ChainError::Assemble(_))));
    let message = Payload::Message(vec![1; 32]);
    assert!(matches!(rules().sign(&[1; 32], &message), Err(ChainError::Assemble(_))));
    assert!(!rules().verify(&owners().hot, &message, &sign(1, [1; 32])));
}

#[test]
fn bytes_and_digests_are_those_of_the_contract() {
    let intents = [
        ("native", transfer("ETH", ONE_ETHER)),
        ("erc20", transfer("USD", 12345)),
        ("cancel", Effect::Cancel { to: DESTINATION.into() }),
    ];
    for (name, intent) in intents {
        let unsigned = build(&intent);
        assert_eq!(HEXLOWER.encode(&unsigned), vector(&format!("/{name}/unsigned")));
        let decoded = decode(&unsigned);
        assert_eq!(HEXLOWER.encode(&decoded.id), vector(&format!("/{name}/digest")));
        assert_eq!((decoded.effects, decoded.claims), (vec![intent], vec![Claim::Sequence(5)]));
        assert_eq!((decoded.fee.most, decoded.fee.payer), (Amount::ZERO, Payer::Relayer));
        assert_eq!(decoded.validity, Validity::UntilClaimed);
        for role in [KeyRole::Hot, KeyRole::Cool, KeyRole::Cold] {
            let payloads = rules().payloads(&unsigned, &wallet(), role).unwrap();
            assert_eq!(payloads, [Payload::Digest(decoded.id)], "one digest, whoever signs");
        }
    }
}

#[test]
fn signatures_and_the_execution_call_are_those_of_the_contract() {
    let sign = |byte| sign(byte, decode(&native()).id);
    assert_eq!(HEXLOWER.encode(&sign(1)), vector("/hotSignature"));
    assert_eq!(HEXLOWER.encode(&sign(2)), vector("/coolSignature"));
    let (hot, cool) = ((KeyRole::Hot, vec![sign(1)]), (KeyRole::Cool, vec![sign(2)]));
    for signatures in [[hot.clone(), cool.clone()], [cool, hot]] {
        let call = rules().assemble(&native(), &wallet(), &signatures).unwrap();
        assert_eq!(call.to, wallet().address);
        assert_eq!(HEXLOWER.encode(&call.data), vector("/execute"));
    }
}

#[test]
fn signatures_stand_in_the_order_of_the_owners_addresses() {
    let sign = |byte| sign(byte, decode(&native()).id);
    let signatures = [(KeyRole::Cool, vec![sign(2)]), (KeyRole::Cold, vec![sign(3)])];
    let call = rules().assemble(&native(), &wallet(), &signatures).unwrap();
    let (cold, cool) = (HEXLOWER.encode(&sign(3)), HEXLOWER.encode(&sign(2)));
    assert!(HEXLOWER.encode(&call.data).contains(&format!("{cold}{cool}")), "0x3325... is below 0x5050...");
}

#[test]
fn nothing_is_assembled_but_two_right_signatures_of_different_owners() {
    let by = |role, byte| (role, vec![sign(byte, decode(&native()).id)]);
    let assemble = |signatures: &[(KeyRole, Signatures)]| rules().assemble(&native(), &wallet(), signatures);
    use KeyRole::{Cold, Cool, Hot};
    assert!(assemble(&[]).is_err());
    assert!(assemble(&[by(Hot, 1)]).is_err());
    assert!(assemble(&[by(Hot, 1), by(Hot, 1)]).is_err(), "the same owner twice");
    assert!(assemble(&[by(Hot, 1), by(Cool, 1)]).is_err(), "one key in two roles");
    assert!(assemble(&[by(Hot, 1), by(Cool, 9)]).is_err(), "a stranger");
    assert!(assemble(&[by(Hot, 1), by(Cool, 2), by(Cold, 3)]).is_err(), "one more than needed");
    assert!(assemble(&[by(Hot, 1), (Cool, Vec::new())]).is_err(), "no signature");
    assert!(assemble(&[by(Hot, 1), (Cool, vec![by(Cool, 2).1.remove(0); 2])]).is_err(), "the right one twice");
    let other = rules().wallet(&owners(), [9; 32]).unwrap();
    assert!(rules().assemble(&native(), &other, &[by(Hot, 1), by(Cool, 2)]).is_err(), "another wallet");
}

#[test]
fn an_owner_has_signed_when_every_payload_has_its_signature() {
    let digest = decode(&native()).id;
    let signed_by = |role, signatures: &[Signature]| rules().signed_by(&native(), &wallet(), role, signatures);
    assert_eq!(signed_by(KeyRole::Hot, &[sign(1, digest)]), Ok(true));
    assert_eq!(signed_by(KeyRole::Cool, &[sign(1, digest)]), Ok(false));
    assert_eq!(signed_by(KeyRole::Hot, &[]), Ok(false), "missing");
    assert_eq!(signed_by(KeyRole::Hot, &[sign(1, digest), sign(1, digest)]), Ok(false), "one too many");
}

#[test]
fn a_digest_is_of_one_wallet_on_one_chain() {
    let digest = |rules: &EvmSafe, salt| {
        let wallet = rules.wallet(&owners(), salt).unwrap();
        rules.decode(&native(), &wallet, &assets()).unwrap().id
    };
    let other_chain = EvmSafe::new("eip155:2".parse().unwrap()).unwrap();
    assert_ne!(digest(&rules(), [0; 32]), digest(&rules(), [1; 32]));
    assert_ne!(digest(&rules(), [0; 32]), digest(&other_chain, [0; 32]));
    assert_eq!(other_chain.wallet(&owners(), [0; 32]).unwrap().address, wallet().address);
    assert_eq!(other_chain.decode(&native(), &wallet(), &assets()).unwrap_err().reason, "WrongChain");
}

#[test]
fn a_takeover_is_refused_by_name() {
    let own = word(&wallet().address);
    assert_eq!(refusal(&with_field(&native(), 3, U256::from(1))), "Delegatecall");
    assert_eq!(refusal(&with_field(&native(), 0, own)), "SelfCall");
    assert_eq!(refusal(&with_field(&build(&Effect::Cancel { to: DESTINATION.into() }), 0, own)), "SelfCall");
    for field in 4..=8 {
        assert_eq!(refusal(&with_field(&native(), field, U256::from(1))), "RefundFields", "field {field}");
    }
}

#[test]
fn only_transfers_of_listed_assets_are_understood() {
    let (native, token) = (native(), build(&transfer("USD", 1)));
    let approve = [&[0x09, 0x5e, 0xa7, 0xb3][..], &token[356..420]].concat();
    assert_eq!(refusal(&with_data(&with_field(&native, 0, word(TOKEN)), &[1])), "UnknownCall", "value and data");
    assert_eq!(refusal(&with_field(&token, 1, U256::from(1))), "UnknownCall", "value beside an ERC-20 transfer");
    assert_eq!(refusal(&with_data(&token, &approve)), "UnknownCall", "approve");
    assert_eq!(refusal(&with_data(&token, &token[352..419])), "UnknownCall", "a byte short");
    assert_eq!(refusal(&with_data(&token, &[&token[352..420], &[0]].concat())), "UnknownCall", "a byte long");
    let mut dirty = token[352..420].to_vec();
    dirty[4] = 1;
    assert_eq!(refusal(&with_data(&token, &dirty)), "UnknownCall", "dirty address padding");
    assert_eq!(refusal(&with_field(&token, 0, word("0x00000000000000000000000000000000000000dd"))), "UnknownAsset");
    let none = rules().decode(&native, &wallet(), &assets()[1..]).unwrap_err();
    assert_eq!(none.reason, "UnknownAsset", "native is not listed");
    let bad = [Asset { symbol: "X".into(), contract: Some("0x1".into()) }];
    assert_eq!(rules().decode(&native, &wallet(), &bad).unwrap_err().reason, "BadAssetList");
}

#[test]
fn money_is_not_sent_where_it_is_lost() {
    let to = |address: &str| Effect::Transfer { asset: "USD".into(), to: address.into(), amount: 1.into() };
    let own = wallet().address;
    assert_eq!(refusal(&build(&to(&own))), "OwnAddress");
    assert_eq!(refusal(&build(&to(TOKEN))), "AssetContract");
    assert_eq!(refusal(&build(&to(OTHER_TOKEN))), "AssetContract");
    assert_eq!(refusal(&build(&to("0x0000000000000000000000000000000000000000"))), "ZeroAddress");
    assert_eq!(refusal(&with_field(&native(), 0, U256::ZERO)), "ZeroAddress");
    assert_eq!(refusal(&with_field(&native(), 0, word(TOKEN))), "AssetContract");
    assert_eq!(refusal(&build(&transfer("USD", 0))), "ZeroAmount");
}

#[test]
fn nothing_is_paid_to_precompiled_contracts_and_to_what_wallets_are_made_of() {
    let to = |asset: &str, to: &str| Effect::Transfer { asset: asset.into(), to: to.into(), amount: 1.into() };
    let refused = |address: &str| {
        let reasons = ["ETH", "USD"].map(|asset| refusal(&build(&to(asset, address))));
        let cancel = refusal(&build(&Effect::Cancel { to: address.into() }));
        assert!(reasons.iter().all(|reason| *reason == cancel), "{address}: {reasons:?} {cancel}");
        cancel
    };
    for number in (0x01..=0x11).chain([0x100]) {
        assert_eq!(
            refused(&format!("{:?}", Address::from_word(U256::from(number).into()))),
            "Precompile",
            "{number:#x}"
        );
    }
    for number in [0x12, 0xff, 0x101, 0x1_0001] {
        let address = format!("{:?}", Address::from_word(U256::from(number).into()));
        assert_eq!(rules().admits(&to("ETH", &address), &wallet(), &assets()), Ok(()), "{number:#x}");
    }
    let infrastructure = [constants::SINGLETON, constants::FACTORY, constants::MULTICALL];
    for address in infrastructure.iter().chain(&constants::BESIDE_SAFE) {
        assert_eq!(refused(&format!("{address:?}")), "Infrastructure");
    }
    // A mistyped digit would be a place that nobody knows: EIP-55 of the published spellings tells.
    let source = include_str!("../src/constants.rs");
    for written in source.split("address!(\"").skip(1).map(|rest| &rest[..40]) {
        assert_eq!(rules().address(&format!("0x{written}")).as_deref(), Ok(format!("0x{written}").as_str()));
    }
}

#[test]
fn what_would_be_refused_at_any_nonce_is_refused_before_there_is_one() {
    let admits = |effect: &Effect| rules().admits(effect, &wallet(), &assets()).map_err(|refusal| refusal.reason);
    let to = |to: &str| Effect::Transfer { asset: "ETH".into(), to: to.into(), amount: 1.into() };
    assert_eq!(admits(&transfer("USD", 1)), Ok(()));
    assert_eq!(admits(&Effect::Cancel { to: DESTINATION.into() }), Ok(()));
    assert_eq!(admits(&to(&wallet().address)), Err("SelfCall"));
    assert_eq!(admits(&to(&Address::ZERO.to_string())), Err("ZeroAddress"));
    assert_eq!(admits(&to(TOKEN)), Err("AssetContract"));
    assert_eq!(admits(&transfer("DOGE", 1)), Err("Malformed"));
}

#[test]
fn a_transaction_has_one_encoding_only() {
    let native = native();
    assert_eq!(refusal(&[]), "Malformed");
    assert_eq!(refusal(&native[..native.len() - 1]), "Malformed");
    assert_eq!(refusal(&[native.clone(), vec![0]].concat()), "NotCanonical");
    assert_eq!(refusal(&[native.clone(), vec![0; 32]].concat()), "NotCanonical");
    let mut dirty = native.clone();
    dirty[0] = 1;
    assert_eq!(refusal(&dirty), "Malformed", "dirty address padding");
    let mut moved = with_field(&native, 2, U256::from(352));
    moved.extend_from_slice(&[0; 32]);
    assert_eq!(refusal(&moved), "NotCanonical", "data elsewhere");
    assert_eq!(refusal(&with_field(&native, 9, U256::from(1) << 64)), "NonceTooLarge");
}

#[test]
fn the_malleable_twin_of_a_signature_is_refused() {
    let digest = Payload::Digest([7; 32]);
    let key = rules().public_key(&[1; 32]).unwrap();
    let signature = sign(1, [7; 32]);
    assert!(rules().verify(&key, &digest, &signature));
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    let s = U256::from_be_slice(&signature[32..64]);
    let mut twin = signature.clone();
    twin[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    twin[64] ^= 27 ^ 28;
    assert!(!rules().verify(&key, &digest, &twin));
    for v in [0, 1, 26, 29, 31, 32] {
        let other = [&signature[..64], &[v]].concat();
        assert!(!rules().verify(&key, &digest, &other), "v = {v} has another meaning for the contract");
    }
}

#[test]
fn unusable_secret_keys_are_refused() {
    assert_eq!(rules().public_key(&[0; 32]), Err(ChainError::SecretKey));
    assert_eq!(rules().sign(&[0xff; 32], &Payload::Digest([1; 32])), Err(ChainError::SecretKey));
}

#[test]
fn addresses_are_read_strictly_and_written_with_checksum() {
    let shown = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    assert_eq!(rules().address(&shown.to_lowercase()).unwrap(), shown);
    assert_eq!(rules().address(shown).unwrap(), shown);
    // Digits alone are written one way only.
    let digits = format!("0x{}", "1".repeat(40));
    assert_eq!(rules().address(&digits).unwrap(), digits);
    for bad in [&shown[2..], &shown[..41], &format!("{shown}0"), "0x", "", "vitalik.eth", &format!("0y{}", &shown[2..])]
    {
        assert_eq!(rules().address(bad), Err(ChainError::Address(bad.to_owned())), "{bad}");
    }
}

#[test]
fn a_wrong_checksum_is_called_so_and_a_missing_one_is_shown() {
    let shown = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    // A letter in another case, and a digit mistyped: nothing tells which, so the right spelling of it is not shown.
    for bad in [shown.replace("5aA", "5AA"), shown.replace("605", "606"), shown.replace("0x5aA", "0X5AA")] {
        let error = rules().address(&bad).unwrap_err();
        assert_eq!(error, ChainError::Checksum(bad.clone()));
        let right = rules().address(&bad.to_lowercase()).unwrap();
        assert!(error.to_string().contains("checksum") && !error.to_string().contains(&right), "{error}");
    }
    let capitals = shown[2..].to_uppercase();
    let spellings = [
        format!("0x{capitals}"),
        format!("0X{capitals}"),
        format!("0X{}", &shown[2..]),
        shown.to_lowercase().replace('x', "X"),
    ];
    for text in spellings {
        let error = rules().address(&text).unwrap_err();
        assert_eq!(error, ChainError::Spelling { text: text.clone(), right: shown.to_owned() });
        assert!(error.to_string().contains("checksum"), "{error}");
    }
}

#[test]
fn ten_fields_have_the_bytes_of_the_contract() {
    assert_eq!(fields_but("nonce", "5").unwrap(), native());
    let call = format!("0x{}", HEXLOWER.encode(&build(&transfer("USD", 12345))[352..420]));
    let mut erc20 = fields();
    (erc20["to"], erc20["value"], erc20["data"]) = (TOKEN.into(), "0".into(), call.into());
    let unsigned = read(&erc20).unwrap();
    assert_eq!(HEXLOWER.encode(&unsigned), vector("/erc20/unsigned"));
}

#[test]
fn fields_that_are_refused_reach_the_decoder() {
    let one = "0x0000000000000000000000000000000000000001";
    for (field, value, reason) in [
        ("operation", "255", "Delegatecall"),
        ("baseGas", "1", "RefundFields"),
        ("refundReceiver", one, "RefundFields"),
        ("nonce", "18446744073709551616", "NonceTooLarge"),
        ("data", "0x01", "UnknownCall"),
    ] {
        assert_eq!(refusal(&fields_but(field, value).unwrap()), reason, "{field}");
    }
}

#[test]
fn what_has_no_encoding_is_malformed() {
    let above = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for number in ["", "-1", "+1", "01", "1.0", "1e3", "0x1", " 1", above] {
        for field in ["value", "operation", "safeTxGas", "baseGas", "gasPrice", "nonce"] {
            assert_eq!(fields_but(field, number), Err("Malformed"), "{field} '{number}'");
        }
    }
    assert_eq!(fields_but("operation", "256"), Err("Malformed"));
    for data in ["", "00", "0x0", "0xzz", "0x00 "] {
        assert_eq!(fields_but("data", data), Err("Malformed"), "'{data}'");
    }
    for field in ["to", "gasToken", "refundReceiver"] {
        assert_eq!(fields_but(field, "0x00000000000000000000000000000000000000Aa"), Err("Malformed"), "{field}");
    }
    for field in fields().as_object().unwrap().keys() {
        let mut fewer = fields();
        fewer.as_object_mut().unwrap().remove(field);
        assert_eq!(read(&fewer), Err("Malformed"), "{field} is missing");
        let mut number = fields();
        number[field] = 0.into();
        assert_eq!(read(&number), Err("Malformed"), "{field} is not a string");
    }
    let mut more = fields();
    more["signatures"] = "0x".into();
    assert_eq!(read(&more), Err("Malformed"));
}

#[test]
fn what_the_bytes_do_depends_on_the_address_and_on_no_owner() {
    let at = |address: &str| rules().decode_at(&native(), address, &assets());
    assert_eq!(at(&wallet().address), rules().decode(&native(), &wallet(), &assets()));
    assert_eq!(at(DESTINATION).unwrap_err().reason, "SelfCall");
    assert_eq!(at("0x1").unwrap_err().reason, "WrongChain");
}

fn any_intent() -> impl Strategy<Value = Effect> {
    let address = any::<[u8; 20]>().prop_map(|bytes| Address::from(bytes).to_checksum(None));
    let amount = any::<[u64; 4]>().prop_map(|limbs| Amount(U256::from_limbs(limbs).max(U256::from(1))));
    let asset = prop_oneof![Just("ETH"), Just("USD"), Just("EUR")];
    prop_oneof![
        (asset, address.clone(), amount).prop_map(|(asset, to, amount)| Effect::Transfer {
            asset: asset.into(),
            to,
            amount
        }),
        address.prop_map(|to| Effect::Cancel { to }),
    ]
}

proptest! {
    #[test]
    fn what_is_built_decodes_to_itself(intent in any_intent(), nonce: u64) {
        let claims = vec![Claim::Sequence(nonce)];
        let unsigned = rules().build(&intent, &wallet(), &assets(), &claims).unwrap();
        let decoded = decode(&unsigned);
        prop_assert_eq!(decoded.effects, vec![intent]);
        prop_assert_eq!(decoded.claims, claims);
    }

    #[test]
    fn no_changed_byte_keeps_the_digest(position in 0..native().len(), change in 1..=255u8) {
        let mut bytes = native();
        bytes[position] ^= change;
        if let Ok(decoded) = rules().decode(&bytes, &wallet(), &assets()) {
            prop_assert_ne!(HEXLOWER.encode(&decoded.id), vector("/native/digest"));
            let again = rules().build(&decoded.effects[0], &wallet(), &assets(), &decoded.claims).unwrap();
            prop_assert_eq!(again, bytes, "what is accepted says all that is in the bytes");
        }
    }

    #[test]
    fn each_changed_field_changes_the_digest_or_is_refused(field in 0..10usize, limbs: [u64; 4]) {
        let bytes = with_field(&native(), field, U256::from_limbs(limbs));
        prop_assume!(bytes != native());
        match rules().decode(&bytes, &wallet(), &assets()) {
            Ok(decoded) => {
                prop_assert!([0, 1, 9].contains(&field));
                prop_assert_ne!(HEXLOWER.encode(&decoded.id), vector("/native/digest"));
            }
            Err(refusal) => prop_assert!(!refusal.message.is_empty()),
        }
    }

    #[test]
    fn unknown_calls_are_refused(data in proptest::collection::vec(any::<u8>(), 1..200)) {
        let bytes = with_data(&build(&transfer("USD", 1)), &data);
        prop_assert_eq!(refusal(&bytes), "UnknownCall");
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(rules().decode(&bytes, &wallet(), &assets()).is_err());
    }

    #[test]
    fn a_signature_fits_its_key_and_digest_only(secret in 1..=255u8, digest: [u8; 32], position in 0..65usize, change in 1..=255u8) {
        let key = rules().public_key(&[secret; 32]);
        prop_assume!(key.is_ok());
        let (key, signature) = (key.unwrap(), sign(secret, digest));
        let payload = Payload::Digest(digest);
        prop_assert!(rules().verify(&key, &payload, &signature));
        let mut other = signature.clone();
        other[position] ^= change;
        prop_assert!(!rules().verify(&key, &payload, &other));
        let mut other = digest;
        other[position % 32] ^= change;
        prop_assert!(!rules().verify(&key, &Payload::Digest(other), &signature));
    }
}
