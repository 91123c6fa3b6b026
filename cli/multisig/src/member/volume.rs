//! Whether a signer's volume is large enough for the wallets that are planned. Pure.

use custody::{
    local_policy::LocalPolicy,
    volume::{PLANNED_PAYMENTS, needed, planned_wallets, reserve},
};
use serde::Serialize;

use super::plan::Plan;

const MIB: u64 = 1 << 20;

/// What the volume is good for.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VolumePlan {
    /// As in the plan.
    size: String,
    /// For so many wallets.
    wallets: u64,
    /// Of it for evacuations, freezes and settlements alone, bytes.
    reserve_bytes: u64,
}

/// What the plan's volume is good for under the local policy that will hold, or why it is too small.
pub(crate) fn judge(plan: &Plan, policy: Option<&LocalPolicy>) -> Result<VolumePlan, String> {
    let none = LocalPolicy::new(Vec::new());
    let policy = policy.unwrap_or(&none);
    let size = &plan.storage.size;
    let fits = planned_wallets(bytes(size).unwrap_or_default(), policy);
    if let Some(wallets) = plan.wallets.filter(|wallets| *wallets > fits) {
        let (all, kept) = (needed(wallets, policy).div_ceil(MIB), reserve(wallets, policy).div_ceil(MIB));
        return Err(format!(
            "storage.size: {size} is too small for {wallets} wallets with {PLANNED_PAYMENTS} payments each: they take \
             {all}Mi, {kept}Mi of it kept for their evacuation; make it at least {all}Mi"
        ));
    }
    Ok(VolumePlan { size: size.clone(), wallets: fits, reserve_bytes: reserve(fits, policy) })
}

/// A Kubernetes quantity, as [`Plan`] accepts it.
fn bytes(quantity: &str) -> Option<u64> {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &quantity[digits.len()..] {
        "Mi" => MIB,
        "Gi" => MIB << 10,
        "Ti" => MIB << 20,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

impl std::fmt::Display for VolumePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { size, wallets, reserve_bytes } = self;
        let reserve = reserve_bytes.div_ceil(MIB);
        write!(f, "{size}: {wallets} wallets, {PLANNED_PAYMENTS} payments each; {reserve}Mi kept for their evacuation")
    }
}

#[cfg(test)]
mod tests {
    use custody::local_policy::AssetLimits;

    use super::*;

    fn policy(assets: usize) -> LocalPolicy {
        let asset = |number: usize| AssetLimits::new("eip155:1", &format!("A{number}"), "native", 18, "1");
        LocalPolicy::new((0..assets).map(asset).collect())
    }

    fn judged(size: &str, wallets: Option<u64>, assets: usize) -> Result<VolumePlan, String> {
        let plan = crate::member::plan::tests::with(&format!("storage: {{size: {size}}}")).unwrap();
        judge(&Plan { wallets, ..plan }, Some(&policy(assets)))
    }

    #[test]
    fn a_volume_says_for_how_many_wallets_it_is_good_and_more_of_them_are_refused() {
        let good = judged("1Gi", None, 1).unwrap();
        assert!(good.wallets > 10_000 && good.to_string().starts_with("1Gi: "), "{good}");
        assert_eq!(judged("1Gi", Some(good.wallets), 1).unwrap(), good);
        let error = judged("1Gi", Some(good.wallets + 1), 1).unwrap_err();
        assert!(error.starts_with("storage.size: 1Gi is too small") && error.ends_with("at least 1025Mi"), "{error}");
        // What it asks for is enough, and more assets take more.
        assert!(judged("1025Mi", Some(good.wallets + 1), 1).is_ok());
        assert!(judged("1Gi", None, 3).unwrap().wallets < good.wallets);
        assert!(judged("64Mi", Some(1), 1).is_err());
    }

    #[test]
    fn quantities_are_bytes() {
        for (quantity, expected) in
            [("64Mi", 64 << 20), ("1Gi", 1 << 30), ("2Ti", 2 << 40), ("5M", 5_000_000), ("3G", 3_000_000_000)]
        {
            assert_eq!(bytes(quantity), Some(expected));
        }
        assert_eq!((bytes("99999999999T"), bytes("1Ki")), (None, None));
    }
}
