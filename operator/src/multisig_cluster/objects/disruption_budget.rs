//! A place's PodDisruptionBudget. Pure.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::shape::Shape;

/// Nobody drains the only pod by accident; one that isn't ready may go.
pub fn disruption_budget(shape: &Shape<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: shape.metadata(),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(1)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            selector: Some(shape.selector()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

#[cfg(test)]
mod tests {
    use multisig_api::place::Place;

    use super::*;
    use crate::tests::fixtures;

    #[test]
    fn it_has_the_published_shape() {
        for place in [Place::Keeper, Place::Cooler] {
            insta::assert_json_snapshot!(
                format!("{place}_disruption_budget"),
                disruption_budget(&fixtures::shape(place))
            );
        }
    }
}
