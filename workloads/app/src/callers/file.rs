//! The callers' file: one line a credential, `NAME SCOPES CREDENTIAL`, separated by blanks. SCOPES are joined by
//! commas; CREDENTIAL is `token-sha256:HEX` or `certificate:NAME`. Empty lines and those that begin with `#` say
//! nothing. A caller with several lines has several credentials, as while a token is changed.

use std::{collections::BTreeSet, path::PathBuf, str::FromStr};

use data_encoding::HEXLOWER;
use rustls::pki_types::ServerName;

use super::known::{Caller, Callers, Credential};
use crate::domain::{CallerName, Scope};

const TOKEN: &str = "token-sha256:";
const CERTIFICATE: &str = "certificate:";

/// Why a callers' file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallersError {
    #[error("can't read the callers' file {}: {error}; make a line for it with `app token`", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("the callers' file, line {line}: {why}")]
    Line { line: usize, why: String },
    #[error("the callers' file names nobody, so nobody could call; make a token with `app token` and add its line")]
    Nobody,
    #[error("the callers' file names a certificate, but tls.clientCaFile is not configured, so none is asked for")]
    NoAuthority,
}

impl Callers {
    /// Reads the file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, CallersError> {
        let mut callers = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (caller, credential) = entry(line).map_err(|why| CallersError::Line { line: at + 1, why })?;
            if callers.iter().any(|(_, known)| *known == credential) {
                return Err(CallersError::Line { line: at + 1, why: "its credential is listed twice".to_owned() });
            }
            callers.push((caller, credential));
        }
        Ok(Self(callers))
    }

    /// The line of a caller with this token's hash.
    pub(crate) fn line(name: &CallerName, scopes: &BTreeSet<Scope>, hash: &[u8; 32]) -> String {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        format!("{name} {} {TOKEN}{}", scopes.join(","), HEXLOWER.encode(hash))
    }
}

fn entry(line: &str) -> Result<(Caller, Credential), String> {
    let parts: Vec<_> = line.split_whitespace().collect();
    let [name, scopes, credential] = parts[..] else {
        return Err(format!("expected NAME SCOPES CREDENTIAL, found {} words", parts.len()));
    };
    let name = CallerName::from_str(name).map_err(|error| error.to_string())?;
    let scopes = scopes.split(',').map(Scope::from_str).collect::<Result<_, _>>();
    let scopes = scopes.map_err(|error| error.to_string())?;
    Ok((Caller { name, scopes }, self::credential(credential)?))
}

fn credential(text: &str) -> Result<Credential, String> {
    if let Some(hex) = text.strip_prefix(TOKEN) {
        let hash = HEXLOWER.decode(hex.as_bytes()).ok().and_then(|hash| hash.try_into().ok());
        return hash.map(Credential::Token).ok_or_else(|| format!("{TOKEN} needs 64 lower-case hex digits"));
    }
    if let Some(name) = text.strip_prefix(CERTIFICATE) {
        let server = ServerName::try_from(name.to_owned());
        return server.map(Credential::Certificate).map_err(|_| format!("'{name}' is not a DNS name or IP address"));
    }
    // What it says may be a token: it is not shown.
    Err(format!("the credential begins neither with {TOKEN} nor with {CERTIFICATE}"))
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;
    use crate::callers::Token;

    fn name(text: &str) -> CallerName {
        text.parse().unwrap()
    }

    #[test]
    fn a_caller_is_known_by_each_of_its_tokens_and_by_nothing_else() {
        let (old, new, other) = (Token::random(&mut OsRng), Token::random(&mut OsRng), Token::random(&mut OsRng));
        let all = BTreeSet::from(Scope::ALL);
        let read = BTreeSet::from([Scope::Read]);
        let text = format!(
            "# who may call\n\n{}\n  {}\n{}\n",
            Callers::line(&name("shop"), &all, &old.hash()),
            Callers::line(&name("shop"), &read, &new.hash()),
            Callers::line(&name("ops"), &read, &other.hash()),
        );
        let callers = Callers::parse(&text).unwrap();
        let known = |token: &str| callers.by_token(token).map(|caller| (caller.name.as_str(), caller.scopes.clone()));
        assert_eq!(known(old.as_str()), Some(("shop", all)));
        assert_eq!(known(new.as_str()), Some(("shop", read.clone())));
        assert_eq!(known(other.as_str()), Some(("ops", read)));
        for nobody in ["", "multisig_app_", &old.as_str()[1..], Token::random(&mut OsRng).as_str()] {
            assert_eq!(known(nobody), None);
        }
        let hash = HEXLOWER.encode(&old.hash());
        assert_eq!(known(&hash), None, "what is on the disk opens nothing");
        assert!(!callers.use_certificates());
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_and_its_credential_not_shown() {
        let hash = "00".repeat(32);
        for (line, why) in [
            ("shop pay".to_owned(), "2 words"),
            (format!("Shop pay token-sha256:{hash}"), "not a caller's name"),
            (format!("shop pay,write token-sha256:{hash}"), "'write' is not a scope"),
            (format!("shop , token-sha256:{hash}"), "is not a scope"),
            ("shop pay token-sha256:00".to_owned(), "64 lower-case hex digits"),
            ("shop pay certificate:a_b/".to_owned(), "not a DNS name"),
            ("shop pay multisig_app_secret".to_owned(), "begins neither with"),
            (format!("shop pay token-sha256:{hash}\nops read token-sha256:{hash}"), "twice"),
        ] {
            let error = Callers::parse(&format!("# a comment\n{line}")).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("line ") && !error.contains("secret"), "{error}");
        }
        assert!(Callers::parse("# nobody\n").unwrap().is_empty());
    }
}
