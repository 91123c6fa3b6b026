//! Safe 1.4.1, canonical deployment. Fixed for ever: every deposit address is computed from these.

use alloy_primitives::{Address, B256, address, b256};

/// `Safe`, the contract that every wallet delegates to.
pub const SINGLETON: Address = address!("41675C099F32341bf84BFc5382aF534df5C7461a");

/// `SafeProxyFactory`, which creates wallets.
pub const FACTORY: Address = address!("4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67");

/// keccak256 of the code at [`SINGLETON`].
pub const SINGLETON_CODE_HASH: B256 = b256!("1fe2df852ba3299d6534ef416eefa406e56ced995bca886ab7a553e6d0c5e1c4");

/// keccak256 of the code at [`FACTORY`].
pub const FACTORY_CODE_HASH: B256 = b256!("50c3cdc4074750a7a974204a716c999edd37482f907608d960b2b025ee0b3317");

/// `Multicall3`, which many chains have at this address: many reads in one. A chain without it is read otherwise.
pub const MULTICALL: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// keccak256 of the code at [`MULTICALL`].
pub const MULTICALL_CODE_HASH: B256 = b256!("d5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891");

/// keccak256 of the factory's `proxyCreationCode()` followed by [`SINGLETON`] as a 32-byte word: the init code hash of
/// CREATE2 (EIP-1014).
pub const PROXY_INIT_CODE_HASH: B256 = b256!("76733d705f71b79841c0ee960a0ca880f779cde7ef446c989e6d23efc0a4adfb");

/// Signatures that a wallet asks for.
pub const THRESHOLD: u64 = 2;
