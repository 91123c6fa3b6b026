//! What charts/app installs: App's own configuration, keys from Secrets, nothing that may be written but its data.

use std::process::Command;

use serde_json::{Value, json};

use crate::config::Config;

fn values() -> Value {
    let key = json!({"messageKey": "11".repeat(32), "xkey": format!("X{}", "A".repeat(55))});
    json!({
        "image": format!("r/app@sha256:{}", "0".repeat(64)),
        "config": {
            "custodyId": "07".repeat(16),
            "manifestDigest": "00".repeat(32),
            "signers": {"keeper": [key], "cooler": [key]},
            "nats": {"urls": ["tls://nats:4222"]},
            "chain": {
                "id": "eip155:1",
                "nodes": ["https://node.example"],
                "finality": {"depth": 12},
                "headAge": 180,
                "leastTip": 1_000_000,
                "assets": [{"symbol": "ETH", "asset": "native", "decimals": 18}],
            },
            "clientKeys": true,
        },
    })
}

fn helm(values: &Value) -> Result<Vec<Value>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    let program = harness::servers::path("helm").unwrap().join("helm");
    let chart = harness::servers::repository().join("charts/app");
    let mut command = Command::new(program);
    let output = command.args(["template", "app", "--namespace=custody", "--values"]).arg(file.path()).arg(chart);
    let output = output.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if !output.status.success() {
        return Err(text(output.stderr));
    }
    let objects = text(output.stdout);
    Ok(objects.split("\n---\n").map(|object| serde_saphyr::from_str(object).unwrap()).collect())
}

fn object<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap()
}

#[test]
fn app_understands_the_configuration_and_finds_every_file_of_it_mounted() {
    let objects = helm(&values()).unwrap();
    let config = object(&objects, "ConfigMap")["data"]["config.json"].as_str().unwrap();
    let _: Config = serde_json::from_str(config).unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    let pod = &object(&objects, "Deployment")["spec"]["template"]["spec"];
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let is_mounted = |path: &str| mounts.iter().any(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()));
    for field in ["dataDir", "callersFile", "identityDir", "manifestFile", "credentialsFile", "relayerKeyFile"] {
        assert!(is_mounted(config[field].as_str().unwrap()), "{field}");
    }
    assert!(is_mounted(config["nats"]["caFile"].as_str().unwrap()));
    for mount in mounts.iter().filter(|mount| mount["name"] != "data") {
        assert_eq!(mount["readOnly"], true, "{mount}");
    }
}

#[test]
fn one_pod_as_restricted_as_can_be_and_it_starts_without_credentials() {
    let objects = helm(&values()).unwrap();
    let spec = &object(&objects, "Deployment")["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&json!(1), &json!("Recreate")));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(
        (&pod["securityContext"]["runAsNonRoot"], &pod["securityContext"]["fsGroup"]),
        (&json!(true), &json!(65532))
    );
    let security = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(pod["containers"][0]["securityContext"], security);
    let volumes = pod["volumes"].as_array().unwrap();
    let volume = |name: &str| volumes.iter().find(|volume| volume["name"] == name).unwrap();
    assert_eq!(volume("credentials")["configMap"], json!({"name": "main-app-credentials", "optional": true}));
    assert_eq!(volume("identity")["secret"]["secretName"], "app-identity");
    assert_eq!(object(&objects, "PersistentVolumeClaim")["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let port = |name: &str, objects: &[Value]| {
        let ports = object(objects, "Service")["spec"]["ports"].as_array().unwrap().clone();
        ports.into_iter().find(|port| port["name"] == name).unwrap()["port"].clone()
    };
    assert_eq!((port("http", &objects), port("health", &objects)), (json!(80), json!(8081)));
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(pod["containers"][0][probe]["httpGet"]["port"], "health");
    }

    let mut values = values();
    values["config"]["tls"] = json!({
        "certificateFile": "/etc/multisig/tls/tls.crt", "keyFile": "/etc/multisig/tls/tls.key",
        "clientCaFile": "/etc/multisig/tls/ca.crt",
    });
    let objects = helm(&values).unwrap();
    let _: Config =
        serde_json::from_str(object(&objects, "ConfigMap")["data"]["config.json"].as_str().unwrap()).unwrap();
    let pod = &object(&objects, "Deployment")["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == "app-tls"), "{volumes:#?}");
    assert_eq!(port("http", &objects), 443);
}

#[test]
fn only_named_pods_reach_app_and_app_reaches_only_its_servers() {
    let objects = helm(&values()).unwrap();
    let policy = &object(&objects, "NetworkPolicy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["podSelector"], object(&objects, "Deployment")["spec"]["selector"]);
    let port = |port: Value| json!({"port": port, "protocol": "TCP"});
    let callers = json!({"podSelector": {"matchLabels": {"multisig.dev/calls-app": "true"}}});
    let ingress = json!([
        {"ports": [port(json!("http"))], "from": [callers]},
        {
            "ports": [port(json!("health"))],
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        },
    ]);
    assert_eq!(policy["ingress"], ingress);
    let names = json!({"ports": [{"port": 53, "protocol": "UDP"}, port(json!(53))]});
    assert_eq!(policy["egress"], json!([names, {"ports": [port(json!(443)), port(json!(4222)), port(json!(8545))]}]));

    let mut values = values();
    let node = json!({"cidr": "203.0.113.7/32", "ports": [8545]});
    values["networkPolicy"] = json!({"callers": [], "monitoring": [], "egress": [node]});
    let objects = helm(&values).unwrap();
    let policy = &object(&objects, "NetworkPolicy")["spec"];
    assert!(policy["ingress"].as_array().is_none_or(Vec::is_empty), "nobody");
    let node = json!({"ports": [port(json!(8545))], "to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]});
    assert_eq!(policy["egress"], json!([names, node]));
}

#[test]
fn further_relayers_keys_come_from_the_same_secret_to_where_the_configuration_names_them() {
    let mut values = values();
    values["relayer"] = json!({"moreKeys": ["second.key"]});
    values["config"]["relayer"] = json!({"moreKeyFiles": ["/etc/multisig/relayer/second.key"]});
    let objects = helm(&values).unwrap();
    let config = object(&objects, "ConfigMap")["data"]["config.json"].as_str().unwrap();
    let _: Config = serde_json::from_str(config).unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    assert_eq!(config["relayer"]["moreKeyFiles"], json!(["/etc/multisig/relayer/second.key"]));
    let pod = &object(&objects, "Deployment")["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    let secret = &volumes.iter().find(|volume| volume["name"] == "relayer").unwrap()["secret"];
    let mounted = |key: &str| json!({"key": key, "path": key});
    assert_eq!(secret["secretName"], "app-relayer");
    assert_eq!(secret["items"], json!([mounted("relayer.key"), mounted("second.key")]));
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == "relayer").unwrap();
    assert_eq!(mount["mountPath"], "/etc/multisig/relayer");

    values["config"]["relayer"]["moreKeyFiles"] = json!(["/tmp/second.key"]);
    assert!(helm(&values).unwrap_err().contains("moreKeyFiles"));
}

#[test]
fn values_that_the_schema_does_not_know_are_refused() {
    let refused = |pointer: &str, value: Value, names: &str| {
        let mut values = values();
        *values.pointer_mut(pointer).unwrap() = value;
        let error = helm(&values).unwrap_err();
        assert!(error.contains(names), "{pointer}: {error}");
    };
    refused("/image", json!("r/app:latest"), "image");
    refused("/config/custodyId", json!("mine"), "custodyId");
    refused("/config/nats/urls", json!(["nats://nats:4222"]), "urls");
    refused("/config/clientKeys", json!("yes"), "clientKeys");
    refused("/config/signers/keeper", json!([]), "keeper");
    refused(
        "/config/chain",
        json!({"id": "eip155:1", "nodes": ["https://x"], "finality": "tagged", "assets": [], "key": "x"}),
        "key",
    );
    refused("/config", json!({"dataDir": "/tmp"}), "dataDir");
    let refused_at_top = |field: &str, value: Value| {
        let mut values = values();
        values[field] = value;
        assert!(helm(&values).is_err(), "{field}");
    };
    refused_at_top("networkPolicy", json!({"callers": [{}]}));
    refused_at_top("callers", json!({"secret": "x", "key": "y", "token": "z"}));
}

#[test]
fn backups_by_schedule_have_a_volume_of_their_own() {
    let mut values = values();
    let to = nkeys::XKey::new_from_raw([7; 32]).public_key();
    values["config"]["backups"] = json!({"to": to, "dir": "/backups", "everyMinutes": 60, "keep": 24});
    values["backups"] = json!({"claim": "app-backups"});
    let objects = helm(&values).unwrap();
    let config = object(&objects, "ConfigMap")["data"]["config.json"].as_str().unwrap();
    let _: Config = serde_json::from_str(config).unwrap();
    let pod = &object(&objects, "Deployment")["spec"]["template"]["spec"];
    let volume = json!({"name": "backups", "persistentVolumeClaim": {"claimName": "app-backups"}});
    assert!(pod["volumes"].as_array().unwrap().contains(&volume), "{pod:#}");
    let mount = json!({"name": "backups", "mountPath": "/backups"});
    assert!(pod["containers"][0]["volumeMounts"].as_array().unwrap().contains(&mount), "{pod:#}");
    values["config"]["backups"]["dir"] = json!("/data");
    assert!(helm(&values).unwrap_err().contains("/config/backups/dir"));
}
