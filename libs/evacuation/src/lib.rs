//! Evacuation of wallets with cool and cold: plan, bundle, verification. Pure.
