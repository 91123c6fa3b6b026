//! Transactions: the bytes that are decoded, judged and signed, and the JSON and text around them.

use std::sync::OnceLock;

use alloy_primitives::{Address, U256, keccak256};
use chain::{Amount, Asset, ChainId, ChainRules, Owners, Payload, Transaction, WalletDesc};
use chain_evm::EvmSafe;

use crate::input::Input;

const DESTINATION: [u8; 20] = [0xaa; 20];
const TOKEN: [u8; 20] = [0xbb; 20];
const OTHER_TOKEN: [u8; 20] = [0xcc; 20];
/// Bytes of the ten fields and of the length of `data`.
const HEAD: usize = 11 * 32;

struct World {
    rules: EvmSafe,
    /// Of another chain.
    elsewhere: EvmSafe,
    wallet: WalletDesc,
    own: [u8; 20],
    assets: Vec<Asset>,
}

/// Reads `data` as a transaction, its fields, its JSON, or a signature or name beside it.
pub fn transaction(data: &[u8]) {
    let world = world();
    let mut input = Input::new(data);
    match input.choice(6) {
        0 => decoded(world, input.rest()),
        1 => ten_fields(world, &mut input),
        2 => json(world, input.rest()),
        3 => token_call(world, &mut input),
        4 => signature(world, &mut input),
        _ => names(world, input.rest()),
    }
}

/// Whatever decodes was built by nobody else's rules: it encodes to the same bytes, and its digest is EIP-712's.
fn decoded(world: &World, unsigned: &[u8]) {
    let World { rules, elsewhere, wallet, own, assets } = world;
    let decoded = rules.decode(unsigned, wallet, assets);
    assert_eq!(decoded, rules.decode(unsigned, wallet, assets), "decoded otherwise at the second time");
    assert_eq!(decoded, rules.decode_at(unsigned, &wallet.address, assets));
    if let Ok(Transaction { effects, claims, id: digest, .. }) = decoded {
        let [effect] = &effects[..] else { panic!("one call has one effect") };
        assert_eq!(rules.build(effect, wallet, assets, &claims).unwrap(), unsigned, "not built as it was decoded");
        assert_eq!(digest, eip712(unsigned, rules.number(), own), "another digest than the contract's");
        let there = elsewhere.decode_at(unsigned, &wallet.address, assets).unwrap();
        assert_ne!(there.id, digest, "one signature for two chains");
        let other = rules.decode_at(unsigned, &display([0xdd; 20]), assets).map(|other| other.id);
        assert_ne!(other, Ok(digest), "one signature for two wallets");
    }
}

/// `getTransactionHash` of Safe 1.4.1, by hand.
fn eip712(unsigned: &[u8], chain: u64, wallet: &[u8; 20]) -> [u8; 32] {
    let transaction = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,\
                       uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)";
    let length = usize::from_be_bytes(unsigned[HEAD - 8..HEAD].try_into().unwrap());
    let data = keccak256(&unsigned[HEAD..HEAD + length]);
    let message = [keccak256(transaction).as_slice(), &unsigned[..64], data.as_slice(), &unsigned[96..320]].concat();
    let domain = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    let domain = [domain.as_slice(), &word_of(chain), &padded(wallet)].concat();
    keccak256([&b"\x19\x01"[..], keccak256(domain).as_slice(), keccak256(message).as_slice()].concat()).0
}

/// Ten fields in their one encoding: decoded if, and only if, they are one of the three shapes.
fn ten_fields(world: &World, input: &mut Input<'_>) {
    let to = address(world, input);
    let value = number(input);
    let mut words = [[0; 32]; 10];
    (words[0], words[1]) = (padded(&to), value);
    words[2] = word_of(320);
    for index in [3, 4, 5, 6, 9] {
        words[index] = number(input);
    }
    // A Solidity compiler writes no operation beyond a byte.
    words[3][..31].fill(0);
    (words[7], words[8]) = (padded(&address(world, input)), padded(&address(world, input)));
    let call = (input.choice(2) == 1).then(|| (address(world, input), number(input)));
    let data = call.map_or_else(|| input.bytes().to_vec(), |(to, amount)| transfer(&to, &amount));
    let bytes = encoded(&words, &data);
    let plain = (3..9).all(|index| words[index] == [0; 32]) && to != world.own && words[9][..24] == [0; 24];
    let effect = match transfer_of(&data) {
        None => data.is_empty() && may_receive(world, &to),
        Some((payee, amount)) => {
            value == [0; 32] && [TOKEN, OTHER_TOKEN].contains(&to) && amount != [0; 32] && may_receive(world, &payee)
        }
    };
    let decoded_here = world.rules.decode(&bytes, &world.wallet, &world.assets);
    assert_eq!(decoded_here.is_ok(), plain && effect, "{decoded_here:?}");
    decoded(world, &bytes);
}

/// A token transfer whose calldata was touched: only the one encoding is understood.
fn token_call(world: &World, input: &mut Input<'_>) {
    let mut data = transfer(&address(world, input), &number(input));
    let (at, xor) = (usize::from(input.byte()), input.byte());
    if let Some(byte) = data.get_mut(at) {
        *byte ^= xor;
    }
    data.extend_from_slice(input.bytes());
    let mut words = [[0; 32]; 10];
    (words[0], words[2], words[9]) = (padded(&TOKEN), word_of(320), word_of(input.u64()));
    let bytes = encoded(&words, &data);
    let understood = world.rules.decode(&bytes, &world.wallet, &world.assets).is_ok();
    assert!(!understood || data.is_empty() || transfer_of(&data).is_some(), "calldata of another kind");
    decoded(world, &bytes);
}

/// The JSON of the ten fields: what is encoded from it is canonical, whatever it does.
fn json(world: &World, bytes: &[u8]) {
    let Ok(unsigned) = world.rules.read(bytes) else { return };
    if let Err(refusal) = world.rules.decode(&unsigned, &world.wallet, &world.assets) {
        assert!(!["Malformed", "NotCanonical"].contains(&refusal.reason), "{refusal}");
    }
    decoded(world, &unsigned);
}

/// A signature is believed of the key that the contract would find, and of no other.
fn signature(world: &World, input: &mut Input<'_>) {
    let digest = Payload::Digest(input.array());
    let mut signature = world.rules.sign(&[1; 32], &digest).unwrap();
    for _ in 0..input.choice(4) {
        let (at, xor) = (usize::from(input.choice(65)), input.byte());
        signature[at] ^= xor;
    }
    signature.extend_from_slice(input.bytes());
    let made = signature == world.rules.sign(&[1; 32], &digest).unwrap();
    let by = |key: &[u8]| world.rules.verify(key, &digest, &signature);
    let Owners { hot, cool, cold } = &world.wallet.owners;
    assert_eq!(by(hot), made, "malleable");
    assert!(!by(cool) && !by(cold), "a signature by whoever did not sign");
}

/// Chain ids, addresses and amounts are written as they are read.
fn names(world: &World, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<ChainId>() {
        assert_eq!(id.as_str(), text);
        assert_eq!(format!("{}:{}", id.namespace(), id.reference()), text);
        if let Ok(rules) = EvmSafe::new(id) {
            assert_eq!(format!("eip155:{}", rules.number()), text);
        }
    }
    if let Ok(address) = world.rules.address(text) {
        assert!(address.eq_ignore_ascii_case(text));
        assert_eq!(world.rules.address(&address), Ok(address));
    }
    if let Ok(amount) = text.parse::<Amount>() {
        assert_eq!(amount.to_string(), text);
    }
}

fn may_receive(world: &World, address: &[u8; 20]) -> bool {
    ![[0; 20], world.own, TOKEN, OTHER_TOKEN].contains(address)
}

fn encoded(words: &[[u8; 32]; 10], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&words.concat()[..], &word_of(data.len() as u64), data].concat();
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}

fn transfer(to: &[u8; 20], amount: &[u8; 32]) -> Vec<u8> {
    [&keccak256("transfer(address,uint256)")[..4], &padded(to), amount].concat()
}

/// Payee and amount, of exactly the bytes that [`transfer`] writes.
fn transfer_of(data: &[u8]) -> Option<([u8; 20], [u8; 32])> {
    let (to, amount) = (data.get(16..36)?.try_into().ok()?, data.get(36..)?.try_into().ok()?);
    (transfer(&to, &amount) == data).then_some((to, amount))
}

fn address(world: &World, input: &mut Input<'_>) -> [u8; 20] {
    match input.choice(6) {
        0 => [0; 20],
        1 => DESTINATION,
        2 => TOKEN,
        3 => OTHER_TOKEN,
        4 => world.own,
        _ => input.array(),
    }
}

fn number(input: &mut Input<'_>) -> [u8; 32] {
    match input.choice(4) {
        0 => [0; 32],
        1 => word_of(input.byte().into()),
        2 => word_of(input.u64()),
        _ => input.array(),
    }
}

fn word_of(value: u64) -> [u8; 32] {
    U256::from(value).to_be_bytes()
}

fn padded(address: &[u8; 20]) -> [u8; 32] {
    Address::from(*address).into_word().0
}

fn display(address: [u8; 20]) -> String {
    Address::from(address).to_checksum(None)
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let rules = |id: &str| EvmSafe::new(id.parse().unwrap()).unwrap();
        let here = rules("eip155:1");
        let key = |fill| here.public_key(&[fill; 32]).unwrap();
        let wallet = here.wallet(&Owners { hot: key(1), cool: key(2), cold: key(3) }, [0; 32]).unwrap();
        let own = wallet.address.parse::<Address>().unwrap().into_array();
        let token = |symbol: &str, contract| Asset { symbol: symbol.to_owned(), contract: Some(display(contract)) };
        let native = Asset { symbol: "ETH".to_owned(), contract: None };
        let assets = vec![native, token("USD", TOKEN), token("EUR", OTHER_TOKEN)];
        World { elsewhere: rules("eip155:10"), rules: here, wallet, own, assets }
    })
}
