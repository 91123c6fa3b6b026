//! Looks after what the relayer has sent: with each block, all of it at once.

use std::sync::Arc;

use chain::Account;
use chain_clients::Tending;

use crate::app::App;

/// For ever.
pub(crate) async fn relay(app: Arc<App>) {
    let (mut tending, mut failures) = (Tending::default(), 0);
    loop {
        match tending.next(&*app.client).await {
            Ok(accounts) => {
                tell(&app, &accounts);
                failures = 0;
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, "the relayer's transactions can't be looked after; tried again");
                tokio::time::sleep(backoff::delay(failures)).await;
            }
        }
    }
}

/// For health and the metrics.
fn tell(app: &App, accounts: &[Account]) {
    app.metrics.relayers(accounts);
    app.health.relayer(trouble(accounts));
}

/// What people have to do something about.
fn trouble(accounts: &[Account]) -> Option<String> {
    let mut troubles = Vec::new();
    for Account { float, low, stuck, foreign, .. } in accounts {
        let relayer = &float.relayer;
        if *low {
            troubles.push(format!("the relayer {relayer} holds only {} wei; send it more", float.balance));
        }
        if let [(tx, why), rest @ ..] = &stuck[..] {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            troubles.push(format!("transaction {tx} of the relayer {relayer} is not mined: {why}{more}"));
        }
        if *foreign > 0 {
            troubles.push(format!(
                "something else sends with the key of the relayer {relayer}: {foreign} of its nonces were used; use a \
                 key that nothing else uses"
            ));
        }
    }
    (!troubles.is_empty()).then(|| troubles.join("; "))
}

#[cfg(test)]
mod tests {
    use chain::{Float, Stuck};

    use super::*;

    #[test]
    fn an_alert_says_which_relayer_and_what_to_do() {
        let float = Float { relayer: "0xAB".to_owned(), balance: 7.into(), decimals: 18 };
        let (short, stuck) = (None, Vec::new());
        let well = Account { float, low: false, short, in_flight: 2, stuck, opened: 0, foreign: 0 };
        assert_eq!(trouble(std::slice::from_ref(&well)), None);
        let why = Stuck::AtCeiling { offered: 90, ceiling: 100 };
        let stuck = vec![("0x01".to_owned(), why.clone()), ("0x02".to_owned(), why)];
        let told = trouble(&[Account { low: true, stuck, foreign: 1, ..well }]).unwrap();
        for part in
            ["0xAB holds only 7 wei", "0x01", "the configured ceiling of 100", "(and 1 more)", "something else sends"]
        {
            assert!(told.contains(part), "{told}");
        }
    }
}
