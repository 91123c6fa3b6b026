//! Sums modulo 2^256.

/// A sum of row authenticators, or one of them. The sum of a set of rows, in whatever order they came and went, is
/// MSet-Add-Hash (Clarke et al., ASIACRYPT 2003); it tells nobody anything as long as it is kept from them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    /// From 32 bytes, little endian.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = <[u8; 32]>::try_from(bytes).ok()?;
        let (limbs, _) = bytes.as_chunks::<8>();
        Some(Self(std::array::from_fn(|at| u64::from_le_bytes(limbs[at]))))
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (limb, to) in self.0.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *to = limb.to_le_bytes();
        }
        bytes
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let mut carry = false;
        Self(std::array::from_fn(|at| {
            let (limb, over) = self.0[at].carrying_add(other.0[at], carry);
            carry = over;
            limb
        }))
    }

    pub(super) fn minus(self, other: Self) -> Self {
        let mut borrow = false;
        Self(std::array::from_fn(|at| {
            let (limb, under) = self.0[at].borrowing_sub(other.0[at], borrow);
            borrow = under;
            limb
        }))
    }
}
