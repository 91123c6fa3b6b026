//! Where a test may end the process: each step of a signature has a name. Compiled only with the feature `fault-points`,
//! which no image is built with.

/// Ends the process here, as a power cut would, if `MULTISIG_FAULT` names this point.
#[cfg(feature = "fault-points")]
pub(super) fn point(name: &str) {
    if std::env::var("MULTISIG_FAULT").is_ok_and(|fault| fault == name) {
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(feature = "fault-points"))]
pub(super) fn point(_name: &str) {}
