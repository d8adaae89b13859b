//! The one door that is not a tenant's: setting up, tenants, keys, the model. Whoever opens it says why, and that is kept.

mod key_import;
mod keys;
mod placement;
mod quota;
mod slices;
mod tenants;

use std::{path::Path, time::Duration};

use freehold_model::{Code, Refusal};

pub use key_import::KeysImported;
pub use keys::{ApiKey, KeyInfo, WantedKey};
pub use placement::{DISPLACES, Decision, Limit, Moving, Origin, Placed, Policy};
pub use quota::BlobUsage;
pub use slices::{SliceDone, SliceInfo};
pub use tenants::{Swept, TenantInfo, TenantState};

use crate::{
    connect::Address,
    error::{Error, Fault},
    key::RootKey,
    keystore::Keystore,
    platform::{self, Mode, Server},
    row::Row,
    session::Session,
};

/// A connection with the operator's own rights.
pub struct Operator {
    pub(crate) session: Session,
    pub(crate) reason: &'static str,
}

impl Operator {
    /// Connects as the URL's user and records the reason, as soon as there is a place for it.
    ///
    /// # Errors
    /// `Usage` for a URL that cannot be read, `Server` if the server refuses the user.
    pub async fn open(url: &str, reason: &'static str) -> Result<Self, Error> {
        let address = Address::parse(url)?.settings(&[
            ("search_path", "pg_catalog,pg_temp"),
            ("client_min_messages", "warning"),
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("row_security", "on"),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO,MDY"),
        ]);
        let session = Session::open(&address, Duration::from_secs(10)).await?;
        let mut operator = Self { session, reason };
        if operator.is_set_up().await? {
            operator.record().await?;
        }
        Ok(operator)
    }

    /// Checks that the server is one that Freehold can use, and says what it is.
    ///
    /// # Errors
    /// `Server` with the mend.
    pub async fn check_server(&mut self) -> Result<Server, Error> {
        platform::look(&mut self.session).await
    }

    /// Makes or repairs Freehold's roles, schemas and functions. Doing it again changes nothing.
    ///
    /// # Errors
    /// `Server` with the mend; nothing is half-done.
    pub async fn set_up(&mut self, key: &RootKey) -> Result<Mode, Error> {
        self.set_up_in(key, None).await
    }

    /// The same in this mode, instead of the best one the server allows.
    ///
    /// # Errors
    /// As [`Self::set_up`].
    pub async fn set_up_in(&mut self, key: &RootKey, mode: Option<Mode>) -> Result<Mode, Error> {
        let server = platform::look(&mut self.session).await?;
        let mode = platform::install(&mut self.session, &server, key, mode).await?;
        self.record().await?;
        Ok(mode)
    }

    /// Gives the servers' role its password back and takes its settings away: SQL in a tenant's session can change
    /// both, and then no server can log in.
    ///
    /// # Errors
    /// `Server` if the root key is another, or the operator may not.
    pub async fn repair_login(&mut self, key: &RootKey) -> Result<(), Error> {
        platform::repair_login(&mut self.session, key).await
    }

    /// Makes `new` the root key in place of `old`: of the servers' logins, of tokens, and of the keystore in `folder`. Doing it
    /// again changes nothing, wherever it ended. The files of both keys stay as they are.
    ///
    /// # Errors
    /// `Server` if neither is this server's, or keys of tenants are wrapped by the old one itself; `Usage` if the keystore is
    /// not there or cannot be written.
    pub async fn rotate_root(
        &mut self,
        old: &RootKey,
        new: &RootKey,
        folder: &Path,
        told: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<(), Error> {
        let rows = self.as_gate("select id::text from freehold.keystore", &[]).await?;
        let id = rows.first().and_then(|row| row.text(0)?.parse().ok());
        let id = id.ok_or_else(|| Fault::new("changing the root key", "no id"))?;
        let (before, after) =
            (Keystore::new(folder.to_owned(), id, old), Keystore::new(folder.to_owned(), id, new));
        let stopped = || Refusal::new(Code::TryAgain, "the change of keys was stopped");
        // Until the old one's are gone both open it, so it does not matter where this ends.
        if before.opens()? {
            before.wrap_also(new)?;
        } else if !after.opens()? {
            return Err(before.missing().into());
        }
        if !told("the keystore opens with both root keys") {
            return Err(stopped().into());
        }
        platform::reroot(&mut self.session, old, new).await?;
        if !told("the logins and tokens of PostgreSQL are those of the new one") {
            return Err(stopped().into());
        }
        after.only_this_root()?;
        told("the keystore opens with the new one alone");
        Ok(())
    }

    /// The applied model: its version and its text.
    ///
    /// # Errors
    /// `Server` if Freehold is not set up.
    pub async fn current_model(&mut self) -> Result<Option<(i64, String)>, Error> {
        let text = "select version, text from freehold.model_version order by version desc limit 1";
        let rows = self.as_gate(text, &[]).await?;
        Ok(rows.first().and_then(|row| row.int(0).zip(row.text(1).map(str::to_owned))))
    }

    /// Whether Freehold is set up in this database by this version.
    ///
    /// # Errors
    /// As [`Self::check_server`].
    pub async fn is_current(&mut self) -> Result<bool, Error> {
        let server = platform::look(&mut self.session).await?;
        Ok(server.mode.is_some()
            && platform::recorded_version(&mut self.session).await? == Some(platform::VERSION))
    }

    /// Whether Freehold is set up in this database.
    ///
    /// # Errors
    /// Faults only.
    pub async fn is_set_up(&mut self) -> Result<bool, Error> {
        let text = "select to_regclass('freehold.platform_version') is not null";
        let rows = self.session.select("looking for Freehold", text, &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::new("looking for Freehold", "no row"))?;
        Ok(row.bool(0) == Some(true))
    }

    pub(crate) async fn as_gate(
        &mut self,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Error> {
        platform::in_gates_name(&mut self.session, text, params).await
    }

    async fn record(&mut self) -> Result<(), Error> {
        let reason = self.reason;
        self.as_gate("insert into freehold.operator_log (reason) values ($1)", &[Some(reason)])
            .await
            .map(drop)
    }
}
