//! What a data centre's cluster and Vault hold before anybody has decided anything: namespace, account, rights, empty
//! placeholders, projected tokens, and a Vault that lets the account in.

use std::fs;

use data_encoding::BASE64URL_NOPAD;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{Role as RbacRole, RoleBinding},
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use crate::data_center::Member;

impl Member {
    pub(crate) async fn make_objects(&self) {
        let (made, role, namespace) = (PostParams::default(), self.role, self.namespace());
        let object = from(json!({"metadata": {"name": namespace}}));
        Api::<Namespace>::all(self.client()).create(&made, &object).await.unwrap();
        let account = from(json!({"metadata": {"name": role}}));
        Api::<ServiceAccount>::namespaced(self.client(), &namespace).create(&made, &account).await.unwrap();
        let placeholders = ["config", "credentials", "report"].map(|kind| self.map(kind));
        for name in &placeholders {
            self.maps().create(&made, &from(json!({"metadata": {"name": name}}))).await.unwrap();
        }
        let readable = [&["multisig-trust".to_owned()][..], &placeholders].concat();
        let rules = json!([
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": readable, "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [self.map("report")], "verbs": ["patch"]},
        ]);
        let rights = from(json!({"metadata": {"name": role}, "rules": rules}));
        Api::<RbacRole>::namespaced(self.client(), &namespace).create(&made, &rights).await.unwrap();
        let binding = from(json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": namespace}],
        }));
        Api::<RoleBinding>::namespaced(self.client(), &namespace).create(&made, &binding).await.unwrap();
    }

    /// What the kubelet does.
    pub(crate) async fn project_tokens(&self) {
        for (folder, audiences) in [("kube", vec![]), ("vault", vec!["vault-b".to_owned()])] {
            let spec = TokenRequestSpec { audiences, expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
            let request = TokenRequest { spec, ..TokenRequest::default() };
            let accounts = Api::<ServiceAccount>::namespaced(self.client(), &self.namespace());
            let issued =
                accounts.create_token_request(self.role.as_str(), &PostParams::default(), &request).await.unwrap();
            let folder = self.folder.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("token"), issued.status.unwrap().token).unwrap();
        }
        fs::write(self.folder.path().join("kube/ca.crt"), self.cluster.ca_pem()).unwrap();
        fs::create_dir_all(self.folder.path().join("data")).unwrap();
    }

    pub(crate) async fn set_up_vault(&self) {
        let jwks = http::Request::get("/openid/v1/jwks").body(Vec::new()).unwrap();
        let jwks = self.client().request_text(jwks).await.unwrap();
        let token = fs::read_to_string(self.folder.path().join("vault/token")).unwrap();
        let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let plan = SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-b".to_owned(),
            jwks: Jwks::parse(&jwks).unwrap(),
            issuer: claims["iss"].as_str().unwrap().to_owned(),
            audience: "vault-b".to_owned(),
            namespace: self.namespace(),
            service_account: self.role.to_string(),
            role: self.role.to_string(),
            policy: "multisig-workload".to_owned(),
        };
        let connection = Connection::new(&self.vault.address(), self.vault.ca_pem()).unwrap();
        let token = Zeroizing::new(self.vault.root_token().to_owned());
        vault::setup(&Admin::new(connection, &token).unwrap(), &plan).await.unwrap();
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
