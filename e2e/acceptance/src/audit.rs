//! What the hub did on a member, read from the API server's own audit log.

use std::collections::BTreeSet;

use anyhow::Result;
use harness::cluster::Cluster;
use serde_json::Value;

const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// The hub's requests to a member, by the name under which its kubeconfig acts there.
pub struct Hub {
    user: String,
}

impl Hub {
    /// The hub in `namespace` of a member.
    pub fn in_namespace(namespace: &str) -> Self {
        Self { user: format!("system:serviceaccount:{namespace}:multisig-hub") }
    }

    fn requests(&self, member: &Cluster) -> Result<Vec<Value>> {
        let all = member.requests()?;
        Ok(all.into_iter().filter(|event| event["user"]["username"] == self.user.as_str()).collect())
    }

    /// Requests that may have changed something. Dry runs and reviews change nothing.
    pub fn writes(&self, member: &Cluster) -> Result<Vec<Value>> {
        let mut requests = self.requests(member)?;
        requests.retain(|event| {
            let verb = event["verb"].as_str().unwrap_or_default();
            let resource = event["objectRef"]["resource"].as_str().unwrap_or_default();
            let dry = event["requestURI"].as_str().unwrap_or_default().contains("dryRun");
            WRITES.contains(&verb) && !dry && !resource.ends_with("reviews")
        });
        Ok(requests)
    }

    /// How often it has read a ConfigMap: one more means one more reconcile.
    pub fn reads_of(&self, member: &Cluster, config_map: &str) -> Result<usize> {
        let requests = self.requests(member)?;
        let read = |event: &&Value| event["verb"] == "get" && event["objectRef"]["name"] == config_map;
        Ok(requests.iter().filter(read).count())
    }

    /// Kinds and names of all that it wrote, `resource/name`.
    pub fn written_objects(&self, member: &Cluster) -> Result<BTreeSet<String>> {
        let name = |event: &Value| {
            let object = &event["objectRef"];
            let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
            format!(
                "{}{subresource}/{}",
                object["resource"].as_str().unwrap_or_default(),
                object["name"].as_str().unwrap_or_default()
            )
        };
        Ok(self.writes(member)?.iter().map(name).collect())
    }
}

/// Secrets in `text`: NKey seeds, six BIP39 words in a row, and the canaries. Empty is good.
pub fn secrets_in(text: &str, canaries: &[&str]) -> Vec<String> {
    let mut found: Vec<String> =
        canaries.iter().filter(|canary| text.contains(**canary)).map(|_| "canary".into()).collect();
    let base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
    // An encoded seed is S, the kind's letter, and 56 more characters of base32.
    let seeds = text.split(|c: char| !base32(c)).filter(|word| word.len() == 58 && word.starts_with('S'));
    found.extend(seeds.map(|seed| format!("NKey seed {}...", &seed[..4])));
    let words: BTreeSet<&str> = bip39::Language::English.word_list().iter().copied().collect();
    let mut run = 0;
    for word in text.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty()) {
        run = if words.contains(word) { run + 1 } else { 0 };
        if run == 6 {
            found.push("six BIP39 words in a row".to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_must_not_be_there() {
        let phrase = "abandon abandon abandon abandon abandon about";
        let seed = "SUAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZY";
        assert_eq!(secrets_in(phrase, &[]).len(), 1);
        assert_eq!(secrets_in(seed, &[]).len(), 1);
        assert_eq!(secrets_in("token s.canary in a line", &["s.canary"]).len(), 1);
        assert!(secrets_in("a user UDXB4HYZ and ordinary words of a message", &["s.canary"]).is_empty());
    }
}
