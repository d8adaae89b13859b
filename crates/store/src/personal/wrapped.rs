//! Wrapped keys of people: fetched and opened, drawn and wrapped. If the tenant's key changes meanwhile, it is done again.

use uuid::Uuid;

use super::{INDEX, SUBJECT_KEY, Secret};
use crate::{
    blobs::TRIES,
    error::{Error, Fault},
    key::{hex, unhex},
    param::list,
    row::Row,
    seal::wrap,
    store::{Store, Tenant},
};

impl Store {
    pub(super) async fn wrapped(
        &self,
        tenant: &Tenant,
        people: &[Uuid],
    ) -> Result<Vec<Unwrapped>, Error> {
        let doing = "looking for people's keys";
        let text = "select subject, class, gen, wrapped from freehold.subject_keys($1::text::uuid, $2::text::uuid[])";
        let id = tenant.id().to_string();
        let ids: Vec<String> = people.iter().map(Uuid::to_string).collect();
        let ids = list(ids.iter().map(String::as_str));
        for _ in 0..TRIES {
            let rows = self.ask(doing, text, &[Some(&id), Some(&ids)]).await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let by = self.tenant_key(tenant).await?;
            let one = |row: &Row| {
                let person: Uuid = row.text(0)?.parse().ok()?;
                let class = u8::try_from(row.int(1)?).ok()?;
                let generation = u8::try_from(row.int(2)?).ok()?;
                let wrapped = unhex(row.text(3)?)?;
                let secret = by.unwrap(&parts(&purpose(tenant.id(), &person, class)), &wrapped)?;
                Some(Unwrapped { person, class, generation, secret })
            };
            if let Some(keys) = rows.iter().map(one).collect() {
                return Ok(keys);
            }
            // The tenant's key has changed, perhaps between the two questions.
            self.0.ring.forget(tenant.id());
        }
        Err(Fault::new(doing, "one was wrapped with another key").into())
    }

    pub(super) async fn make_keys(
        &self,
        tenant: &Tenant,
        wanted: &[(Uuid, u8)],
    ) -> Result<(), Error> {
        self.draw_keys(tenant, wanted, false).await
    }

    /// Gives a person another key of each class they have one of: what is written from now on is sealed with it, what was
    /// written before opens with the one before. Says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn renew_keys(&self, tenant: &Tenant, person: Uuid) -> Result<usize, Error> {
        let mut classes: Vec<(Uuid, u8)> = self
            .wrapped(tenant, &[person])
            .await?
            .iter()
            .filter(|key| key.class != INDEX)
            .map(|key| (key.person, key.class))
            .collect();
        classes.dedup();
        if !classes.is_empty() {
            self.draw_keys(tenant, &classes, true).await?;
        }
        self.forget_keys(tenant, person);
        Ok(classes.len())
    }

    async fn draw_keys(
        &self,
        tenant: &Tenant,
        wanted: &[(Uuid, u8)],
        renew: bool,
    ) -> Result<(), Error> {
        let doing = "making people's keys";
        let people: Vec<String> = wanted.iter().map(|(person, _)| person.to_string()).collect();
        let classes: Vec<String> = wanted.iter().map(|(_, class)| class.to_string()).collect();
        let text = "select freehold.subject_keys_make($1::text::uuid, $2::text::uuid[], $3::text::smallint[], $4::text::text[], $5::text::bigint, $6::text::boolean)";
        let (id, renew) = (tenant.id().to_string(), renew.to_string());
        for _ in 0..TRIES {
            let by = self.tenant_key(tenant).await?;
            let made = |(person, class): &(Uuid, u8)| {
                let purpose = purpose(tenant.id(), person, *class);
                hex(&wrap::wrap(&by.key, &parts(&purpose), &wrap::random()))
            };
            let made: Vec<String> = wanted.iter().map(made).collect();
            let lists = [&people, &classes, &made].map(|all| list(all.iter().map(String::as_str)));
            let generation = by.generation.to_string();
            let params = [&id, &lists[0], &lists[1], &lists[2], &generation, &renew];
            let rows = self.ask(doing, text, &params.map(|text| Some(text.as_str()))).await?;
            if rows.first().and_then(|row| row.bool(0)) == Some(true) {
                return Ok(());
            }
            self.0.ring.forget(tenant.id());
        }
        Err(Fault::new(doing, "the tenant's key changes again and again").into())
    }
}

pub(super) struct Unwrapped {
    pub(super) person: Uuid,
    pub(super) class: u8,
    pub(super) generation: u8,
    pub(super) secret: Secret,
}

/// What a person's key is wrapped for.
pub(crate) fn purpose(tenant: Uuid, person: &Uuid, class: u8) -> [Vec<u8>; 4] {
    let (tenant, person) = (tenant.as_bytes().to_vec(), person.as_bytes().to_vec());
    [SUBJECT_KEY.to_vec(), tenant, person, vec![class]]
}

pub(crate) fn parts(purpose: &[Vec<u8>; 4]) -> [&[u8]; 4] {
    [&purpose[0], &purpose[1], &purpose[2], &purpose[3]]
}
