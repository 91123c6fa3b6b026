//! Which tables are authenticated.

/// A table whose rows are in the tally.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Which of its rows; `ROW` stands for the row.
    pub(super) counted: Option<&'static str>,
}

const fn all_of(name: &'static str) -> Table {
    Table { name, counted: None }
}

/// Their places in this list are known in memory only: it may be ordered anew. Which steps the schema may take later is in
/// `docs/decisions/0018-rows-are-authenticated.md`.
pub(super) const AUTHENTICATED: &[Table] = &[
    all_of("addresses"),
    all_of("announcements"),
    all_of("claims"),
    all_of("cool_keys"),
    all_of("destinations"),
    all_of("documents"),
    all_of("evacuations"),
    Table { name: "freezes", counted: Some("ROW.pending = 0") },
    all_of("heads"),
    all_of("hot"),
    all_of("hot_keys"),
    all_of("identity"),
    all_of("intents"),
    all_of("local_policies"),
    all_of("overrides"),
    all_of("records"),
    all_of("settled"),
    all_of("spends"),
    all_of("start"),
    all_of("store"),
    all_of("sums"),
    all_of("vetoes"),
    all_of("waiting"),
    all_of("wallets"),
    all_of("windows"),
];

/// The others, and why each needs no place in the tally.
#[cfg(test)]
pub(super) const OTHERS: &[(&str, &str)] = &[
    ("audit", "a chain of hashes; the tally names its end, which the peers hold"),
    ("operations", "a result is verified by whoever uses it, and without it the claims refuse a second payment"),
    ("sealed_versions", "says how far a rotation is; each secret names its own version"),
    ("store_key", "opens by the signer's Vault alone, and another key opens no tally"),
    ("tally", "sealed by the store key"),
    ("used", "counts what has a quota, for the sake of the volume that somebody else can write to anyhow"),
];

impl Table {
    /// The condition on `row` under which it is counted.
    pub(super) fn counted(&self, row: &str) -> Option<String> {
        self.counted.map(|counted| counted.replace("ROW", row))
    }
}
