//! Positions: what a write did, as a token that a later read can wait for.

use std::time::Duration;

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use freehold_model::{Code, Refusal, Sql};
use tokio::time::{Instant, timeout_at};

use crate::{
    error::{Error, Fault},
    key::{RootKey, hex},
    refusal::explain,
    row::Row,
    session::{Stumble, is_stale},
    store::{Store, Tenant, TimeZone},
};

/// The first and the longest wait before a look whether a read model is there yet.
const WAITS: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];

/// Where a write stands among all others of its server. [`Store::position_text`] makes a token of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    cluster: i64,
    transaction: u64,
}

/// Marks the number of a position as that of a read. Transactions never have so great a number.
const READ: u64 = 1 << 63;

impl Position {
    /// What a read has seen: a snapshot in which so many transactions have ended.
    pub(crate) fn of_read(cluster: i64, ended: u64) -> Self {
        Self { cluster, transaction: ended | READ }
    }

    /// How many transactions had ended in what was read; none for a write.
    #[must_use]
    pub fn read(self) -> Option<u64> {
        (self.transaction & READ != 0).then_some(self.transaction & !READ)
    }

    pub(crate) fn transaction(self) -> u64 {
        self.transaction
    }
}

/// Whether read models show a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// Whether all of them do.
    pub is_fresh: bool,
    /// Of which definitions that is said, as one text: if it is the same before and after a read, the read saw these.
    pub served: String,
}

/// Makes tokens of positions: the number of a transaction would tell one tenant how much the others write.
pub(crate) struct Seal {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
    cluster: std::sync::OnceLock<i64>,
}

impl Seal {
    pub(crate) fn new(key: &RootKey) -> Self {
        let key =
            || UnboundCipherKey::new(&AES_256, &*key.position_key()).expect("the key has 32 bytes");
        Self {
            encrypting: EncryptingKey::ecb(key()).expect("AES has this mode"),
            decrypting: DecryptingKey::ecb(key()).expect("AES has this mode"),
            cluster: std::sync::OnceLock::new(),
        }
    }

    // One block, so the mode says nothing; half of it is known, so that nothing else can be read as a position.
    fn seal(&self, position: Position) -> String {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&position.cluster.to_be_bytes());
        block[8..].copy_from_slice(&position.transaction.to_be_bytes());
        self.encrypting
            .less_safe_encrypt(&mut block, aws_lc_rs::cipher::EncryptionContext::None)
            .expect("one block is encrypted whole");
        hex(&block)
    }

    fn open(&self, text: &str) -> Option<Position> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut block = u128::from_str_radix(text, 16).ok()?.to_be_bytes();
        self.decrypting.decrypt(&mut block, DecryptionContext::None).ok()?;
        let (cluster, transaction) = block.split_at(8);
        Some(Position {
            cluster: i64::from_be_bytes(cluster.try_into().ok()?),
            transaction: u64::from_be_bytes(transaction.try_into().ok()?),
        })
    }
}

impl Store {
    /// [`Store::run_all`] that also says the position of what it wrote, in the same round trip; none if it wrote nothing.
    /// Wakes the workers.
    ///
    /// # Errors
    /// As [`Store::run_all`].
    pub async fn run_placed(
        &self,
        tenant: &Tenant,
        sql: &Sql,
    ) -> Result<(Vec<Row>, Option<Position>), Error> {
        self.run_placed_in(tenant, sql, None).await
    }

    async fn run_placed_in(
        &self,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
    ) -> Result<(Vec<Row>, Option<Position>), Error> {
        let doing = "running a statement";
        let cluster = self.cluster().await?;
        let mut lease = self.lease_for(tenant).await?;
        let work = async {
            let wording = self.wording(tenant);
            let text = wording.of(sql);
            let mut may_be_stale = lease.knows(&text);
            loop {
                let prepared = lease.statement(&text).await;
                let statement = prepared.map_err(|error| explain(doing, error))?;
                let opening = self.opening(&lease, tenant)
                    + &TimeZone::setting(zone)
                    + &wording.settings(sql);
                match lease.transact_placed(&opening, &statement, sql.params()).await {
                    Ok(done) => return Ok(done),
                    Err(Stumble::Statement(error)) if is_stale(&error) => {
                        lease.forget(&text);
                        if !std::mem::take(&mut may_be_stale) {
                            return Err(explain(doing, error));
                        }
                    }
                    Err(Stumble::Opening(error)) => return Err(self.not_opened(tenant, error)),
                    Err(Stumble::Statement(error)) => return Err(explain(doing, error)),
                    Err(Stumble::Commit(error)) => return Err(explain("committing", error)),
                }
            }
        };
        let done = self.in_time(work).await?;
        lease.give_back();
        let (rows, transaction) = done?;
        Ok((rows, self.placed(cluster, transaction)))
    }

    /// The same for a statement that answers with one row, with times told in a time zone.
    ///
    /// # Errors
    /// As [`Store::run_in`].
    pub async fn run_one_placed(
        &self,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
    ) -> Result<(Row, Option<Position>), Error> {
        let (mut rows, position) = self.run_placed_in(tenant, sql, zone).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok((row, position)),
            _ => Err(Fault::new("running a statement", "not one row").into()),
        }
    }

    /// The token of a position: 32 hexadecimal digits that say nothing to whoever has not the root key.
    #[must_use]
    pub fn position_text(&self, position: Position) -> String {
        self.0.feed.seal.seal(position)
    }

    /// The position that a token stands for.
    ///
    /// # Errors
    /// `Preference` if it is none of this server's.
    pub async fn read_position(&self, text: &str) -> Result<Position, Error> {
        let cluster = self.cluster().await?;
        match self.0.feed.seal.open(text) {
            Some(position) if position.cluster == cluster => Ok(position),
            _ => Err(Refusal::new(Code::Preference, "this is no consistency token of this database's server")
                .hint("give the token that a write returned, as it was; after a restore into another server old tokens mean nothing")
                .into()),
        }
    }

    /// Whether these read models of one tenant show what was written there, as they are read now.
    ///
    /// # Errors
    /// Faults only.
    pub async fn freshness(
        &self,
        tenant: &Tenant,
        models: &[&str],
        position: Position,
    ) -> Result<Freshness, Error> {
        let names = crate::param::list(models.iter().copied());
        let params = [tenant.id().to_string(), names, position.transaction.to_string()];
        let params: Vec<Option<&str>> = params.iter().map(|param| Some(param.as_str())).collect();
        let text = "select fresh, served from freehold.fresh($1::text::uuid, $2::text::text[], $3::text::xid8)";
        let rows = self.ask("asking whether a read model is fresh", text, &params).await?;
        let row = rows.first();
        Ok(Freshness {
            is_fresh: row.and_then(|row| row.bool(0)) == Some(true),
            served: row.and_then(|row| row.text(1)).unwrap_or_default().to_owned(),
        })
    }

    /// Waits until they do, at the latest `until`; says how it is then.
    ///
    /// # Errors
    /// Faults only.
    pub async fn wait_fresh(
        &self,
        tenant: &Tenant,
        models: &[&str],
        position: Position,
        until: Instant,
    ) -> Result<Freshness, Error> {
        let [mut pause, longest] = WAITS;
        loop {
            let mut stepped = std::pin::pin!(self.0.feed.stepped.notified());
            stepped.as_mut().enable();
            let freshness = self.freshness(tenant, models, position).await?;
            if freshness.is_fresh || Instant::now() >= until {
                return Ok(freshness);
            }
            // Workers of other processes tell nobody here.
            let _ = timeout_at(until.min(Instant::now() + pause), stepped).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// The cluster whose transaction numbers positions have.
    pub(crate) async fn cluster(&self) -> Result<i64, Error> {
        let known = &self.0.feed.seal.cluster;
        if let Some(cluster) = known.get() {
            return Ok(*cluster);
        }
        let doing = "asking which cluster this is";
        let rows = Box::pin(self.ask(doing, "select freehold.cluster()", &[])).await?;
        let cluster = rows.first().and_then(|row| row.int(0));
        let cluster = cluster.ok_or_else(|| Fault::new(doing, "no number"))?;
        Ok(*known.get_or_init(|| cluster))
    }

    pub(crate) fn placed(&self, cluster: i64, transaction: Option<String>) -> Option<Position> {
        let transaction = self.0.minter.unmask(&transaction?)?;
        let position = Position { cluster, transaction };
        self.wake();
        Some(position)
    }
}
