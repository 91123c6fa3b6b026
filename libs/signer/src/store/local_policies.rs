//! Local policies as they were seen. A stricter one holds at once; one that was followed by another goes on to hold beside it
//! for its own delay, so that loosening waits and whoever could shorten the delay has to wait for it first.

use custody::local_policy::LocalPolicy;
use rusqlite::{Connection, OptionalExtension};

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

impl Ledger<'_> {
    /// Notes the present local policy; nothing is written while it is the newest one. Destinations that are new on its list
    /// begin to cool.
    pub fn see_local_policy(&self, local_policy: &LocalPolicy) -> Result<(), StoreError> {
        let content = serde_json::to_string(local_policy).map_err(|error| StoreError::Failed(error.to_string()))?;
        let newest: Option<String> = self
            .connection
            .query_row("SELECT content FROM local_policies ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
            .optional()?;
        if newest.as_ref() == Some(&content) {
            return Ok(());
        }
        let now = signed(self.now_ms())?;
        self.connection
            .execute("UPDATE local_policies SET superseded_at_ms = ?1 WHERE superseded_at_ms IS NULL", [now])?;
        self.connection.execute("INSERT INTO local_policies (content, seen_at_ms) VALUES (?1, ?2)", (content, now))?;
        self.list_destinations(local_policy, now)
    }

    /// A destination cools from its first sighting on; one that was taken off the list and comes back cools again.
    fn list_destinations(&self, local_policy: &LocalPolicy, now: i64) -> Result<(), StoreError> {
        let listed = || local_policy.destinations.iter().flat_map(|list| &list.allow);
        let mut query = self.connection.prepare("SELECT chain, address FROM destinations")?;
        let known: Vec<(String, String)> =
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        for (chain, address) in known {
            if !listed().any(|listed| listed.chain == chain && listed.address.eq_ignore_ascii_case(&address)) {
                let delete = "DELETE FROM destinations WHERE chain = ?1 AND address = ?2";
                self.connection.execute(delete, (chain, address))?;
            }
        }
        for destination in listed() {
            self.connection.execute(
                "INSERT INTO destinations (chain, address, seen_at_ms) VALUES (?1, lower(?2), ?3) ON CONFLICT DO NOTHING",
                (&destination.chain, &destination.address, now),
            )?;
        }
        Ok(())
    }

    /// Whether `local_policy` is the newest one that was noted.
    pub fn has_seen_local_policy(&self, local_policy: &LocalPolicy) -> Result<bool, StoreError> {
        let newest: Option<String> = self
            .connection
            .query_row("SELECT content FROM local_policies ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
            .optional()?;
        Ok(newest.is_some_and(|newest| {
            serde_json::from_str::<LocalPolicy>(&newest).is_ok_and(|newest| newest == *local_policy)
        }))
    }

    /// Earlier local policies whose delay has not passed yet.
    pub fn held_local_policies(&self) -> Result<Vec<LocalPolicy>, StoreError> {
        let mut held = Vec::new();
        for (local_policy, superseded_at_ms) in superseded(self.connection)? {
            let until = superseded_at_ms.saturating_add(local_policy.loosening_delay_seconds.saturating_mul(1000));
            if self.now_ms() < until {
                held.push(local_policy);
            }
        }
        Ok(held)
    }

    /// When a destination was first seen on a local policy's list, Unix milliseconds.
    pub fn listed_since(&self, chain: &str, address: &str) -> Result<Option<u64>, StoreError> {
        let seen: Option<i64> = self
            .connection
            .prepare_cached("SELECT seen_at_ms FROM destinations WHERE chain = ?1 AND address = lower(?2)")?
            .query_row((chain, address), |row| row.get(0))
            .optional()?;
        seen.map(unsigned).transpose()
    }
}

fn superseded(connection: &Connection) -> Result<Vec<(LocalPolicy, u64)>, StoreError> {
    let mut query = connection.prepare(
        "SELECT content, superseded_at_ms FROM local_policies WHERE superseded_at_ms IS NOT NULL ORDER BY id",
    )?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (content, at) = row?;
        let unreadable = |error| StoreError::Failed(format!("a local policy that was seen is not readable ({error})"));
        Ok((serde_json::from_str(&content).map_err(unreadable)?, unsigned(at)?))
    })
    .collect()
}
