//! What charts/member installs, as text: every right and every label is a decision, so every change shows.

use std::process::Command;

fn helm(values: &[&str]) -> Result<String, String> {
    let program = harness::servers::path("helm").unwrap().join("helm");
    let chart = harness::servers::repository().join("charts/member");
    let mut command = Command::new(program);
    command.args(["template", "multisig-member", "--namespace=custody"]).arg(chart);
    for value in values {
        command.args(["--set-json", value]);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn a_keepers_namespace() {
    insta::assert_snapshot!(helm(&[r#"role="keeper""#]).unwrap());
}

#[test]
fn a_coolers_namespace_differs_in_its_name_only() {
    let keeper = helm(&[r#"role="keeper""#]).unwrap();
    assert_eq!(helm(&[r#"role="cooler""#]).unwrap(), keeper.replace("keeper", "cooler"));
}

#[test]
fn egress_can_be_narrowed_and_ingress_opened() {
    let rendered = helm(&[
        r#"role="keeper""#,
        r#"networkPolicy.egress=[{"cidr":"10.1.0.0/16","ports":[8200]}]"#,
        r#"networkPolicy.ingress=[{"ports":[{"port":8080}]}]"#,
        r#"storage={"size":"2Gi","storageClassName":"fast","accessMode":"ReadWriteOncePod"}"#,
    ])
    .unwrap();
    let policy = rendered.split("kind: NetworkPolicy").nth(1).unwrap().split("---").next().unwrap();
    assert!(policy.contains(r#"ipBlock: {cidr: "10.1.0.0/16"}"#) && policy.contains("{port: 8200, protocol: TCP}"));
    assert!(policy.contains("- port: 8080") && !policy.contains("4222"));
    assert!(rendered.contains(r#"storageClassName: "fast""#) && rendered.contains(r#"storage: "2Gi""#));
    assert!(rendered.contains("accessModes: [ReadWriteOncePod]"));
}

#[test]
fn values_that_the_schema_does_not_know_are_refused() {
    for (values, names) in [
        (r#"role="app""#, "role"),
        (r#"rolle="keeper""#, "rolle"),
        (r#"storage={"size":"big"}"#, "size"),
        (r#"storage={"size":"1Gi","accessMode":"ReadWriteMany"}"#, "accessMode"),
        (r#"networkPolicy.egress=[{"ports":[0]}]"#, "ports"),
        (r#"networkPolicy.egress=[{"cidr":"everywhere","ports":[1]}]"#, "cidr"),
    ] {
        let error = helm(&[r#"role="keeper""#, values]).unwrap_err();
        assert!(error.contains(names), "{values}: {error}");
    }
    assert!(helm(&[]).unwrap_err().contains("role"));
}
