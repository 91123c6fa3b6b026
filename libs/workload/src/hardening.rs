//! Keeps secrets in memory: no core dumps, no reading by other processes of the same user, no swapping where the host
//! allows it.

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};

/// Does what the host allows and says what it does not.
pub fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
    {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    match lock_memory() {
        Ok(()) => tracing::info!("memory is locked"),
        Err(why) => tracing::warn!(why, "memory is not locked: pages with keys may be swapped out on this host"),
    }
}

/// Only without a limit: under one, locking succeeds now and later allocations fail.
fn lock_memory() -> Result<(), String> {
    let unlimited = Rlimit { current: None, maximum: None };
    if setrlimit(Resource::Memlock, unlimited).is_err() {
        let limit = getrlimit(Resource::Memlock).maximum.unwrap_or_default();
        return Err(format!(
            "RLIMIT_MEMLOCK is {limit} bytes and can't be raised; the host has to set it to unlimited"
        ));
    }
    // Pages are locked as they are first used: most of what a runtime reserves never is.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(|error| error.to_string())
}
