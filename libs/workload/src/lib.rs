//! What every workload needs, whatever it does: [`health`] and metrics over HTTP in one format, logs ([`telemetry`]),
//! a process whose memory stays its own ([`hardening`]), and a [`volume`] that keeps what was written. The feature `member` adds what the workload of a data
//! centre has: its [`place`], and the documents of admin and hub in its ConfigMaps.

#[cfg(feature = "member")]
pub mod configmaps;
#[cfg(feature = "member")]
pub mod documents;
pub mod hardening;
pub mod health;
#[cfg(feature = "member")]
pub mod place;
pub mod telemetry;
pub mod volume;
