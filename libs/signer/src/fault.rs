//! Where a test may end the process: each step of a signature has a name. Compiled only with the feature `fault-points`,
//! which no image is built with.

#[cfg(feature = "fault-points")]
mod armed {
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// Where the process ends, and how often it may pass there before.
    type Fault = Option<(String, u64)>;

    static FAULT: LazyLock<Mutex<Fault>> =
        LazyLock::new(|| Mutex::new(std::env::var("MULTISIG_FAULT").ok().map(|fault| parse(&fault))));

    fn parse(fault: &str) -> (String, u64) {
        let (name, after) = fault.split_once(':').unwrap_or((fault, "0"));
        (name.to_owned(), after.parse().unwrap_or_default())
    }

    /// Ends the process at `fault` from now on, as if `MULTISIG_FAULT` had said so.
    pub fn arm(fault: &str) {
        *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(parse(fault));
    }

    /// Ends the process here, as a power cut would, if `MULTISIG_FAULT` names this point: `NAME`, or `NAME:N` for the
    /// time after N others.
    pub fn point(name: &str) {
        let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *fault {
            Some((armed, after)) if armed == name && *after > 0 => *after -= 1,
            Some((armed, _)) if armed == name => end(),
            _ => {}
        }
    }

    fn end() -> ! {
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

#[cfg(feature = "fault-points")]
pub use armed::{arm, point};

/// Without the feature a point is nothing.
#[cfg(not(feature = "fault-points"))]
pub fn point(_name: &str) {}
