//! A place's headless Service. Pure.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::shape::{PORT, Shape};

/// Gives the pod its name in DNS; also where metrics are scraped.
pub fn service(shape: &Shape<'_>) -> Service {
    Service {
        metadata: shape.metadata(),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: shape.selector().match_labels,
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: PORT,
                target_port: Some(IntOrString::String("http".to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
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
            insta::assert_json_snapshot!(format!("{place}_service"), service(&fixtures::shape(place)));
        }
    }
}
