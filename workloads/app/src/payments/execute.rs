//! Carries out what both owners have signed.

use std::time::Duration;

use chain::{
    KeyRole,
    execute::{Carried, Errands, Executor},
};

use super::{step::Step, trouble::Trouble};
use crate::domain::{Kind, RelayPurpose, Transaction};

/// How long one step follows a transaction before it says that it waits.
const FOLLOW: Duration = Duration::from_secs(20);

impl Step<'_> {
    /// Of a transaction of this kind.
    pub(super) fn executor(&self, kind: Kind) -> Executor<'_> {
        let errand = |purpose: RelayPurpose| purpose.errand(self.payment.id);
        let (creation, execution) = (errand(RelayPurpose::Creation), errand(RelayPurpose::Execution(kind)));
        let errands = Errands { creation, execution };
        Executor::new(&*self.app.client, self.app.trust.rules(), &self.wallet, errands, FOLLOW)
    }

    /// Sends the transaction with the signatures of both owners.
    pub(super) async fn executed(&self, transaction: &Transaction) -> Result<Carried, Trouble> {
        let missing = || Trouble::Wait("a stored signature is missing; restore the database".to_owned());
        let hot = transaction.hot.clone().ok_or_else(missing)?;
        let cool = transaction.cool.clone().ok_or_else(missing)?;
        let signatures = [(KeyRole::Hot, hot), (KeyRole::Cool, cool)];
        let call = self.app.trust.rules().assemble(&transaction.unsigned, &self.wallet, &signatures)?;
        Ok(self.executor(transaction.kind).execute(&call).await?)
    }
}
