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

/// The other contracts of Safe 1.4.1's canonical deployment, and the contract that all of it was deployed through. No
/// wallet of ours uses them, and whatever is sent to one of them stays there.
pub const BESIDE_SAFE: [Address; 9] = [
    address!("29fcB43b46531BcA003ddC8FCB67FFE91900C762"), // SafeL2
    address!("fd0732Dc9E303f09fCEf3a7388Ad10A83459Ec99"), // CompatibilityFallbackHandler
    address!("eDCF620325E82e3B9836eaaeFdc4283E99Dd7562"), // TokenCallbackHandler
    address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526"), // MultiSend
    address!("9641d764fc13c8B624c04430C7356C1C7C8102e2"), // MultiSendCallOnly
    address!("d53cd0aB83D845Ac265BE939c57F53AD838012c9"), // SignMessageLib
    address!("9b35Af71d77eaf8d7e40252370304687390A1A52"), // CreateCall
    address!("3d4BA2E0884aa488718476ca2FB8Efc291A46199"), // SimulateTxAccessor
    address!("914d7Fec6aaC8cd542e72Bca78B30650d45643d7"), // Safe Singleton Factory
];

/// The highest of the precompiled contracts that stand in a row from 0x01 on (EIP-2537, Prague).
pub const LAST_PRECOMPILE: u64 = 0x11;

/// The precompiled contract that verifies P-256 signatures (EIP-7951, Osaka).
pub const P256_PRECOMPILE: u64 = 0x100;

/// keccak256 of the factory's `proxyCreationCode()` followed by [`SINGLETON`] as a 32-byte word: the init code hash of
/// CREATE2 (EIP-1014).
pub const PROXY_INIT_CODE_HASH: B256 = b256!("76733d705f71b79841c0ee960a0ca880f779cde7ef446c989e6d23efc0a4adfb");

/// Signatures that a wallet asks for.
pub const THRESHOLD: u64 = 2;
