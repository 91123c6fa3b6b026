//! Values by place, and the two edges at which the places of a custody are read from its object. Nothing behind them
//! counts places or names one.

use std::{collections::BTreeMap, ops::Index};

use futures::future;
use multisig_api::{
    MultisigCluster,
    multisig_cluster::{
        place::{ResourcesSpec, SignerSpec},
        status::PlaceStatus,
    },
    place::Place,
};

/// One value for each place of a custody. All that belong to one pass have the same places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places<T>(BTreeMap<Place, T>);

impl<T> Places<T> {
    /// Each with its place, signers first.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &T)> + Clone {
        self.0.iter().map(|(place, value)| (*place, value))
    }

    /// A value for each place, made of the one here.
    pub fn map<'a, U>(&'a self, mut make: impl FnMut(Place, &'a T) -> U) -> Places<U> {
        self.0.iter().map(|(place, value)| (*place, make(*place, value))).collect()
    }

    /// Every two places once.
    pub fn pairs(&self) -> impl Iterator<Item = [(Place, &T); 2]> {
        self.iter().enumerate().flat_map(|(at, one)| self.iter().skip(at + 1).map(move |other| [one, other]))
    }
}

impl<T, U> Places<(T, U)> {
    /// Both halves by themselves.
    pub fn unzip(self) -> (Places<T>, Places<U>) {
        let (left, right) = self.0.into_iter().map(|(place, (left, right))| ((place, left), (place, right))).unzip();
        (Places(left), Places(right))
    }
}

impl<F: Future> Places<F> {
    /// Runs all of them at once: none waits for another.
    pub async fn join(self) -> Places<F::Output> {
        let (places, futures): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        places.into_iter().zip(future::join_all(futures).await).collect()
    }
}

impl<T, E> Places<Result<T, E>> {
    /// All of them, or the first error.
    pub fn transpose(self) -> Result<Places<T>, E> {
        self.0.into_iter().map(|(place, result)| Ok((place, result?))).collect()
    }
}

impl<T> FromIterator<(Place, T)> for Places<T> {
    fn from_iter<I: IntoIterator<Item = (Place, T)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T> Index<Place> for Places<T> {
    type Output = T;

    fn index(&self, place: Place) -> &T {
        self.0.get(&place).expect("all values of a pass are made for the same places")
    }
}

#[cfg(test)]
impl<T> std::ops::IndexMut<Place> for Places<T> {
    fn index_mut(&mut self, place: Place) -> &mut T {
        self.0.get_mut(&place).unwrap()
    }
}

/// What runs at a place, and on which member.
#[derive(Debug, Clone, Copy)]
pub struct PlaceSpec<'a> {
    /// Name of the MemberCluster.
    pub member: &'a str,
    /// Image by digest.
    pub image: &'a str,
    /// CPU and memory.
    pub resources: Option<&'a ResourcesSpec>,
    /// Version that its Vault key should have.
    pub vault_key_generation: Option<i64>,
}

/// The places of a custody. A sentinel would be one of them: validation refuses `spec.sentinel` for as long as this
/// version runs none.
pub fn configured(cluster: &MultisigCluster) -> Places<PlaceSpec<'_>> {
    let signers = [(Place::Keeper, &cluster.spec.keeper), (Place::Cooler, &cluster.spec.cooler)];
    signers.into_iter().map(|(place, spec)| (place, signer(spec))).collect()
}

fn signer(SignerSpec { member_ref, image, store: _, resources, vault_key_generation }: &SignerSpec) -> PlaceSpec<'_> {
    PlaceSpec {
        member: &member_ref.name,
        image,
        resources: resources.as_ref(),
        vault_key_generation: *vault_key_generation,
    }
}

/// What was last seen of a place, as the status remembers it.
pub fn last_seen(cluster: &MultisigCluster, place: Place) -> Option<&PlaceStatus> {
    cluster.status.as_ref()?.place(place)
}
