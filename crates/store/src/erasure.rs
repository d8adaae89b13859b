//! Erasures, legal holds and receipts, as PostgreSQL keeps them.
//!
//! All of it is asked as `freehold_control`; rows are deleted elsewhere, inside the tenant's wall.

use aws_lc_rs::{digest, hmac};
use uuid::Uuid;

use crate::{
    error::{Error, Fault},
    key::hex,
    prove::{Signed, sign_with, verify},
    row::Row,
    store::{Store, Tenant, tenant_in},
};

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureState {
    /// A legal hold keeps the person; it goes on when that is released.
    Held,
    /// Nobody can open or write what is theirs any more; rows are being dealt with.
    Blocked,
    /// Nothing of theirs is left but what is kept for a duty.
    Cleaned,
    /// Their keys are destroyed.
    Shredded,
    /// The receipt is written.
    Ended,
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: Uuid,
    /// The tenant's id.
    pub tenant: Uuid,
    /// The entity whose rows are people.
    pub entity: String,
    /// The id of the person's row.
    pub person: Uuid,
    /// How far it is.
    pub state: ErasureState,
    /// What was done so far: a JSON object.
    pub counts: String,
    /// When it was asked for; RFC 3339 in UTC, without the zone.
    pub requested_at: String,
    /// When nothing was left.
    pub cleaned_at: Option<String>,
    /// When the keys were destroyed.
    pub shredded_at: Option<String>,
    /// The epoch in which they were: what opens them in backups goes with its key. 0 is one made of the root key.
    pub epoch: Option<u32>,
}

/// An erasure in a list, without whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureInfo {
    /// Its id.
    pub id: String,
    /// The tenant's name, or its id if it is gone.
    pub tenant: String,
    /// The entity.
    pub entity: String,
    /// How far it is.
    pub state: String,
    /// When it was asked for.
    pub requested_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Since when no key that exists opens what backups hold of the person.
    pub unreadable_at: Option<String>,
    /// What keeps it from going on.
    pub error: Option<String>,
}

/// What says that something was destroyed, without saying whose it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its number, counted from 1.
    pub number: i64,
    /// What it says: a JSON object.
    pub body: String,
    /// SHA-256 of the body, in hexadecimal digits; the next receipt names it.
    pub hash: String,
    /// Ed25519 over the body, in hexadecimal digits.
    pub signature: String,
}

impl Receipt {
    /// Whether the holder of this key signed it, it is whole, and it names the receipt before by this hash.
    #[must_use]
    pub fn holds(&self, public_key: &str, before: &str) -> bool {
        let signed =
            Signed { public_key: public_key.to_owned(), signature: self.signature.clone() };
        let hash = hex(digest::digest(&digest::SHA256, self.body.as_bytes()).as_ref());
        hash == self.hash
            && self.body.contains(&format!("\"before\":\"{before}\""))
            && verify(&signed, self.body.as_bytes())
    }
}

impl ErasureState {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "held" => Self::Held,
            "blocked" => Self::Blocked,
            "cleaned" => Self::Cleaned,
            "shredded" => Self::Shredded,
            "ended" => Self::Ended,
            _ => return None,
        })
    }

    /// `held`, `blocked`, `cleaned`, `shredded` or `ended`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Cleaned => "cleaned",
            Self::Shredded => "shredded",
            Self::Ended => "ended",
        }
    }
}

impl Store {
    /// Begins to erase a person, or takes up what was begun. From now on nobody opens what is theirs, here at once, in other
    /// processes within ten seconds.
    ///
    /// # Errors
    /// Faults only.
    pub async fn begin_erasure(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
    ) -> Result<Erasure, Error> {
        let doing = "beginning an erasure";
        let text = "select id, state from freehold.erasure_begin($1::text::uuid, $2::text::uuid, $3, $4::text::uuid)";
        let (id, made) = (tenant.id().to_string(), Uuid::now_v7().to_string());
        let whose = person.to_string();
        let rows =
            self.ask(doing, text, &[Some(&id), Some(&made), Some(entity), Some(&whose)]).await?;
        self.forget_keys(tenant, person);
        let id = rows.first().and_then(|row| row.text(0)?.parse().ok());
        let id = id.ok_or_else(|| Fault::new(doing, "no answer"))?;
        let found = self.erasure(id).await?;
        found.ok_or_else(|| Fault::new(doing, "it is gone").into())
    }

    /// An erasure, as it is now.
    ///
    /// # Errors
    /// Faults only.
    pub async fn erasure(&self, id: Uuid) -> Result<Option<Erasure>, Error> {
        let text = "select id, tenant, entity, subject, state, counts, requested_at, cleaned_at, shredded_at, epoch from freehold.erasure_of($1::text::uuid)";
        let rows = self.ask("looking for an erasure", text, &[Some(&id.to_string())]).await?;
        let one = |row: &Row| {
            Some(Erasure {
                id,
                tenant: row.text(1)?.parse().ok()?,
                entity: row.text(2)?.to_owned(),
                person: row.text(3)?.parse().ok()?,
                state: ErasureState::read(row.text(4)?)?,
                counts: row.text(5)?.to_owned(),
                requested_at: row.text(6)?.to_owned(),
                cleaned_at: row.text(7).map(str::to_owned),
                shredded_at: row.text(8).map(str::to_owned),
                epoch: row.int(9).and_then(|epoch| u32::try_from(epoch).ok()),
            })
        };
        Ok(rows.first().and_then(one))
    }

    /// All erasures, the newest first.
    ///
    /// # Errors
    /// Faults only.
    pub async fn erasures(&self, most: u32) -> Result<Vec<ErasureInfo>, Error> {
        let text = "select id, tenant, entity, state, requested_at, ended_at, error, unreadable_at from freehold.erasures($1::text::bigint)";
        let rows = self.ask("listing erasures", text, &[Some(&most.to_string())]).await?;
        let one = |row: &Row| ErasureInfo {
            id: word(row, 0),
            tenant: word(row, 1),
            entity: word(row, 2),
            state: word(row, 3),
            requested_at: word(row, 4),
            ended_at: row.text(5).map(str::to_owned),
            error: row.text(6).map(str::to_owned),
            unreadable_at: row.text(7).map(str::to_owned),
        };
        Ok(rows.iter().map(one).collect())
    }

    /// Nothing is left but `kept`, a JSON object of numbers of rows.
    ///
    /// # Errors
    /// Faults only.
    pub async fn erasure_cleaned(&self, id: Uuid, kept: &str) -> Result<(), Error> {
        let text = "select freehold.erasure_cleaned($1::text::uuid, $2::text::jsonb)";
        self.ask("noting an erasure", text, &[Some(&id.to_string()), Some(kept)]).await.map(drop)
    }

    /// Notes what keeps an erasure from going on.
    ///
    /// # Errors
    /// Faults only.
    pub async fn erasure_failed(&self, id: Uuid, why: &str) -> Result<(), Error> {
        let text = "select freehold.erasure_failed($1::text::uuid, $2)";
        self.ask("noting an erasure", text, &[Some(&id.to_string()), Some(why)]).await.map(drop)
    }

    /// Destroys the person's keys, but for `keep` (as PostgreSQL reads an interval) that of what is kept.
    ///
    /// # Errors
    /// Faults only.
    pub async fn shred(&self, id: Uuid, keep: Option<&str>) -> Result<(), Error> {
        let text = "select freehold.erasure_shred($1::text::uuid, $2::text::interval)";
        self.ask("destroying keys", text, &[Some(&id.to_string()), keep]).await.map(drop)
    }

    /// Destroys the keys of what was kept, once its time is over; says whether there were any.
    ///
    /// # Errors
    /// Faults only.
    pub async fn shred_kept(&self, id: Uuid) -> Result<bool, Error> {
        let text = "select freehold.erasure_kept_over($1::text::uuid)";
        let rows = self.ask("destroying keys", text, &[Some(&id.to_string())]).await?;
        Ok(rows.first().and_then(|row| row.bool(0)) == Some(true))
    }

    /// Writes the receipt and ends the erasure. `body` is asked for what it says, given the hash of the receipt before.
    ///
    /// # Errors
    /// Faults only.
    pub async fn end_erasure(
        &self,
        erasure: &Erasure,
        body: &(dyn Fn(i64, &str) -> String + Sync),
    ) -> Result<(), Error> {
        let doing = "writing a receipt";
        let text = "select freehold.erasure_end($1::text::uuid, $2::text::bigint, $3::text::uuid, $4, $5, $6)";
        loop {
            let receipt = self.next_receipt(body).await?;
            let (id, tenant) = (erasure.id.to_string(), erasure.tenant.to_string());
            let number = receipt.number.to_string();
            let params = [
                Some(&*id),
                Some(&*number),
                Some(&*tenant),
                Some(&*receipt.body),
                Some(&*receipt.hash),
                Some(&*receipt.signature),
            ];
            let rows = self.ask(doing, text, &params).await?;
            let ended = rows.first().and_then(|row| row.bool(0)) == Some(true);
            if ended {
                self.keep_receipt(&receipt);
            }
            // Another receipt took the number, or somebody else has ended it.
            let still = self.erasure(erasure.id).await?.map(|erasure| erasure.state);
            if ended || still != Some(ErasureState::Shredded) {
                return Ok(());
            }
        }
    }

    /// A receipt that would come next, given its number and the hash of the one before.
    pub(crate) async fn next_receipt(
        &self,
        body: &(dyn Fn(i64, &str) -> String + Sync),
    ) -> Result<Receipt, Error> {
        let text = "select seq, hash from freehold.receipt_last()";
        let last = self.ask("writing a receipt", text, &[]).await?;
        let last = last.first();
        let number = last.and_then(|row| row.int(0)).unwrap_or(0) + 1;
        let body = body(number, last.and_then(|row| row.text(1)).unwrap_or_default());
        let hash = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        let signature = self.sign_receipt(&body).signature;
        Ok(Receipt { number, body, hash, signature })
    }

    /// The receipts from behind a number, in order.
    ///
    /// # Errors
    /// Faults only.
    pub async fn receipts(&self, after: i64, most: u32) -> Result<Vec<Receipt>, Error> {
        let text = "select seq, body, hash, signature from freehold.receipts($1::text::bigint, $2::text::bigint)";
        let params = [Some(&*after.to_string()), Some(&*most.to_string())];
        let rows = self.ask("reading receipts", text, &params).await?;
        let one = |row: &Row| Receipt {
            number: row.int(0).unwrap_or_default(),
            body: word(row, 1),
            hash: word(row, 2),
            signature: word(row, 3),
        };
        Ok(rows.iter().map(one).collect())
    }

    /// Signs a receipt, as reports of `freehold prove` are signed.
    #[must_use]
    pub fn sign_receipt(&self, body: &str) -> Signed {
        sign_with(self.0.ring.receipts(), body.as_bytes())
    }

    /// Stands for a person in receipts: to be made again by who knows whom, and by nobody else.
    #[must_use]
    pub fn person_ref(&self, tenant: Uuid, person: Uuid) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.ring.receipts());
        let mut context = hmac::Context::with_key(&key);
        context.update(b"person");
        context.update(tenant.as_bytes());
        context.update(person.as_bytes());
        hex(&context.sign().as_ref()[..16])
    }

    /// All tenants that can be worked in.
    ///
    /// # Errors
    /// Faults only.
    pub async fn active_tenants(&self) -> Result<Vec<Tenant>, Error> {
        let text = "select id, name from freehold.tenants_active()";
        let rows = self.ask("listing tenants", text, &[]).await?;
        Ok(rows.iter().filter_map(tenant_in).collect())
    }
}

fn word(row: &Row, at: usize) -> String {
    row.text(at).unwrap_or_default().to_owned()
}
