//! `multisig policy test FILE REQUEST`: the signers' rules, one by one, for a payment that nobody has to make.

use std::{fmt, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use policy::{Finding, Outcome, Verdict};
use policy_file::policy::{Loaded, Request};
use serde::Serialize;

use crate::{failure::bad_input, input::read, output::Output};

const AFTER_HELP: &str = "\
FILE: a data centre's trust.json, or YAML with the local policy as `member prepare` reads it:
  localPolicy:
    assets: [{chain: 'eip155:1', symbol: ETH, asset: native, decimals: 18, perTransaction: '1000000000000000000',
              perWallet: {amount: '2000000000000000000', windowSeconds: 86400}}]
  earlierPolicies: []               # local policies that still apply too, because the present one may be looser
  hub: {limits: []}                 # as in MemberConfig: chain (eip155:1), asset, perTransaction, perWallet, total
  safeDestinations: {'eip155:1': ['0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed']}   # where a cancel may go

REQUEST (YAML):
  wallet: alice
  chain: eip155:1
  kind: transfer                    # or cancel, which has neither asset nor amount
  asset: ETH
  to: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'
  amount: '1000000000000000000'     # in the smallest unit, like every amount
  # Optional, with these defaults:
  fee: '0'                          # highest fee of the transaction
  now: 2026-01-31T12:00:00Z         # default: this machine's time
  internal: false                   # whether the destination is a wallet of this custody
  spent: []                         # what already counts: [{limit: perWallet, windowSeconds: 86400, amount: '5'}];
                                    # with internal: true, in the window of internal payments
  vetoed: false
  # Optional, without a default:
  listedSince: 2026-01-01T00:00:00Z # when the signer first saw the destination on the local policy's list
  announcedAt: 2026-01-30T12:00:00Z # when the transaction was announced
  custodyId: '000102030405060708090a0b0c0d0e0f'               # with an intent; default: trust.json's
  intent: {body: HEX, signer: HEX, signature: HEX}            # the attestation; its signature is verified

Exit codes: 0 it would be signed; 1 it would be refused or would wait; 2 a file is wrong.";

/// Show for a payment, rule by rule, whether it would be signed
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TestArgs {
    /// The policy (YAML or JSON)
    file: PathBuf,
    /// The payment (YAML or JSON)
    request: PathBuf,
}

/// Verdict and reasons.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    verdict: &'static str,
    /// Of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Of a payment that waits and has been announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    /// Every rule, in the signers' order.
    findings: Vec<Found>,
    /// SHA-256 over everything that holds, as the signer's report shows it where the manifest's safe destinations are
    /// these.
    policy_digest: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// For people.
    text: String,
}

impl TestArgs {
    /// Prints every rule's finding; anything but allowed is an error.
    pub(crate) fn run(self, output: Output) -> Result<()> {
        let named = |path: &PathBuf| {
            let path = path.clone();
            move |error: String| bad_input(format!("{}: {error}", path.display()))
        };
        let loaded = read(&self.file).and_then(|text| Loaded::parse(&text)).map_err(named(&self.file))?;
        let request = read(&self.request)
            .and_then(|text| Request::parse(&text, &loaded, Timestamp::now()))
            .map_err(named(&self.request))?;
        let verdict = loaded.policy.judge(&request.facts());
        let findings = loaded.policy.explain(&request.facts()).into_iter().map(found).collect();
        output.print(&explained(&verdict, findings, HEXLOWER.encode(&loaded.policy.digest())))?;
        match verdict {
            Verdict::Allowed { .. } => Ok(()),
            Verdict::Pending { not_before_ms: 0, lapses_at_ms: 0 } => bail!("this would wait: announce it first"),
            Verdict::Pending { not_before_ms: 0, .. } => bail!("its announcement has lapsed: announce it again"),
            Verdict::Pending { .. } => bail!("this would wait for its time lock"),
            Verdict::Refused(refusal) => bail!("this would be refused: {refusal}"),
        }
    }
}

fn explained(verdict: &Verdict, findings: Vec<Found>, policy_digest: String) -> Explained {
    let (verdict, reason, not_before) = match verdict {
        Verdict::Allowed { .. } => ("Allowed", None, None),
        Verdict::Pending { not_before_ms, .. } => {
            let announced = i64::try_from(*not_before_ms).ok().filter(|ms| *ms > 0);
            ("Pending", None, announced.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
        }
        Verdict::Refused(refusal) => ("Refused", Some(refusal.reason), None),
    };
    Explained { verdict, reason, not_before, findings, policy_digest }
}

fn found(Finding { rule, outcome }: Finding) -> Found {
    let (word, reason) = match &outcome {
        Outcome::Kept(_) | Outcome::Intended(_) => ("Kept", None),
        Outcome::Unneeded(_) => ("NotNeeded", None),
        Outcome::Waits { .. } => ("Waits", None),
        Outcome::Refuses(refusal) => ("Refuses", Some(refusal.reason)),
    };
    Found { rule: rule.as_str(), outcome: word, reason, text: outcome.to_string() }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Found { rule, text, .. } in &self.findings {
            writeln!(f, "{rule:14} {text}")?;
        }
        write!(f, "\nverdict        {}", self.verdict)?;
        if let Some(reason) = self.reason {
            write!(f, ": {reason}")?;
        }
        if let Some(at) = self.not_before {
            write!(f, " until {at}")?;
        }
        Ok(())
    }
}
