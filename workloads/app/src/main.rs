//! App: users' wallets and payments over HTTP; asks Keeper and Cooler for signatures over NATS.

fn main() {}
