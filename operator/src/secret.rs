//! Taking values out of Secrets without leaving copies behind.

use k8s_openapi::api::core::v1::Secret;
use zeroize::{Zeroize, Zeroizing};

/// Moves the values of `keys` out, in their order, and wipes all others.
pub fn take<const N: usize>(secret: Secret, keys: [&str; N]) -> [Option<Zeroizing<Vec<u8>>>; N] {
    let mut data = secret.data.unwrap_or_default();
    let taken = keys.map(|key| data.remove(key).map(|value| Zeroizing::new(value.0)));
    for value in data.values_mut() {
        value.0.zeroize();
    }
    taken
}
