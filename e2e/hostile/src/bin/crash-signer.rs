//! A signer that a suite kills: the signers' own pipeline, store and Vault client, without broker and API server.
//! `MULTISIG_FAULT` names the point at which it ends itself.

#[path = "../killable/wire.rs"]
mod wire;

use std::{
    io::{self, Read, Write, stdin, stdout},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::{Context, Result};
use custody::{phrase::Phrase, trust::MemberTrust};
use prost::Message;
use signer::pipeline::Asker;
use signer_workload::embedded::EmbeddedSigner;
use wire::{Answer, Ask, Asked, Nothing, Question, Start, Told, Vouchers};
use workload::{documents::Documents, place::Place};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, with backtraces switched on too: whoever started it reads the end of its log.
            eprintln!("{}", format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" "));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    harness::install_crypto();
    let path = std::env::args().nth(1).context("name the file to start from")?;
    let start: Start = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let trust = MemberTrust::parse(start.trust.as_bytes())?;
    let place = Place {
        data_dir: start.data_dir,
        kube_dir: PathBuf::new(),
        vault_token_file: start.vault_token_file,
        namespace: String::new(),
    };
    let host = EmbeddedSigner::open(&place, &trust).await?;
    let (trust_text, config, manifest) = (Some(start.trust), Some(start.config), Some(start.manifest));
    let documents = Documents { trust: trust_text, config, manifest, credentials: None };
    // Without the others' keys, at its very first start, it only says which its own are.
    if trust.complete().is_ok() {
        host.serve(start.role, &documents).await?;
    }
    let (answers, waiting) = mpsc::channel::<Answer>();
    thread::spawn(move || -> Result<()> {
        let mut out = stdout().lock();
        waiting.iter().try_for_each(|answer| write(&mut out, &answer))?;
        Ok(())
    });
    answers.send(Answer { number: 0, told: Some(Told::Ready(serde_json::to_string(host.public())?)) })?;
    let runtime = tokio::runtime::Handle::current();
    let serve = move || -> Result<()> {
        let (host, trust) = (Arc::new(host), Arc::new(trust));
        let mut input = stdin().lock();
        // Its parent's end is the end of its input.
        while let Some(Question { number, ask }) = read(&mut input)? {
            let (host, trust, answers) = (host.clone(), trust.clone(), answers.clone());
            runtime.spawn(async move {
                let told = match ask {
                    Some(ask) => {
                        answer(&host, &trust, ask).await.unwrap_or_else(|error| Told::Failed(error.to_string()))
                    }
                    None => Told::Failed("an empty question".to_owned()),
                };
                let _ = answers.send(Answer { number, told: Some(told) });
            });
        }
        Ok(())
    };
    tokio::task::spawn_blocking(serve).await?
}

async fn answer(host: &EmbeddedSigner, trust: &MemberTrust, ask: Ask) -> Result<Told> {
    Ok(match ask {
        Ask::Request(asked) => {
            let Asked { role, request } = *asked;
            let asker = Asker { role: role.parse()?, key: [9; 32] };
            Told::Response(host.answer(asker, request).await)
        }
        Ask::Head(voucher) => Told::Head(host.head(voucher.parse()?).await?),
        Ask::Vouch(Vouchers { held }) => {
            let held = held.into_iter().map(|voucher| Ok((voucher.role.parse()?, voucher.held)));
            host.vouched(&held.collect::<Result<Vec<_>>>()?).await?;
            Told::Done(0)
        }
        Ask::Rotate(generation) => Told::Done(host.rotate(generation).await?),
        Ask::Cool(words) => {
            host.keep_cool(trust, &Phrase::parse(&words)?).await?;
            Told::Done(0)
        }
        Ask::Arm(fault) => {
            host.arm(&fault);
            Told::Done(0)
        }
        Ask::Accept(Nothing {}) => {
            host.accept().await?;
            Told::Done(0)
        }
    })
}

fn write(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let bytes = answer.encode_to_vec();
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&[&length.to_be_bytes()[..], &bytes].concat())?;
    out.flush()
}

/// None at the end.
fn read(input: &mut impl Read) -> io::Result<Option<Question>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    Question::decode(bytes.as_slice()).map(Some).map_err(io::Error::other)
}
