//! Whether an evacuation is signed without paper.

use custody::local_policy::LocalPolicy;

/// Why a plan of hot and cool is not signed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WithoutPaper {
    /// The present local policy says nothing of it.
    #[error(
        "evacuation.withoutPaper: the local policy does not let hot and cool evacuate without paper; set localPolicy.evacuation \
         to {{withoutPaper: true}} in both data centres, or make a plan that the cold phrase signs"
    )]
    NotAllowed,
    /// An earlier one goes on to hold.
    #[error(
        "evacuation.withoutPaper: the earlier local policy does not let hot and cool evacuate without paper, and holds until its \
         looseningDelaySeconds have passed since this signer saw the new one; wait, or make a plan that the cold phrase signs"
    )]
    Waits,
}

/// All local policies that hold have to allow it: the present one, and `held`, earlier ones whose loosening delay has not
/// passed.
pub fn without_paper(present: Option<&LocalPolicy>, held: &[LocalPolicy]) -> Result<(), WithoutPaper> {
    if !present.is_some_and(LocalPolicy::evacuates_without_paper) {
        return Err(WithoutPaper::NotAllowed);
    }
    if held.iter().all(LocalPolicy::evacuates_without_paper) { Ok(()) } else { Err(WithoutPaper::Waits) }
}

#[cfg(test)]
mod tests {
    use custody::local_policy::EvacuationRules;

    use super::*;

    #[test]
    fn paper_is_dispensed_with_only_if_every_local_policy_that_holds_says_so() {
        let silent = LocalPolicy::new(Vec::new());
        let with =
            |without_paper| LocalPolicy { evacuation: Some(EvacuationRules { without_paper }), ..silent.clone() };
        let (allows, refuses) = (with(true), with(false));
        let judged = |present: &LocalPolicy, held: &[&LocalPolicy]| {
            without_paper(Some(present), &held.iter().map(|policy| (*policy).clone()).collect::<Vec<_>>())
        };
        assert_eq!(without_paper(None, &[]), Err(WithoutPaper::NotAllowed));
        for present in [&silent, &refuses] {
            assert_eq!(judged(present, &[]), Err(WithoutPaper::NotAllowed));
            assert_eq!(judged(present, &[&allows]), Err(WithoutPaper::NotAllowed), "what is stricter holds at once");
            assert_eq!(judged(&allows, &[&allows, present]), Err(WithoutPaper::Waits), "what is looser waits");
        }
        assert_eq!(judged(&allows, &[]), Ok(()));
        assert_eq!(judged(&allows, &[&allows]), Ok(()));
        let text = serde_json::to_string(&silent).unwrap();
        assert!(!text.contains("evacuation"), "a local policy without it is written as before: {text}");
        let read: LocalPolicy = serde_json::from_str(&serde_json::to_string(&allows).unwrap()).unwrap();
        assert_eq!(read, allows);
        let unknown = text.replace("}", r#","evacuation":{"withoutCold":true}}"#);
        assert!(serde_json::from_str::<LocalPolicy>(&unknown).is_err());
    }
}
