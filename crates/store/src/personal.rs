//! The keys of people: fetched wrapped, unwrapped here, and kept for a few seconds.
//!
//! root key → epoch's key → tenant's key → person's key → values. PostgreSQL has the wrapped keys and nothing that opens them.

mod wrapped;

pub(crate) use wrapped::{parts, purpose};

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use freehold_model::{Code, Name, Refusal};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    error::{Error, Fault},
    param::list,
    row::Row,
    seal::{BlindKey, Class, Closed, Personal, Place, SubjectKey, class_of},
    store::{Store, Tenant},
};

/// How long a person's key is used without asking for it again: so long another process may go on opening what is being
/// erased.
const KEPT: Duration = Duration::from_secs(10);

/// Most people whose keys are kept.
const KEPT_MAX: usize = 50_000;

/// For what a person's key is wrapped, before tenant, person and class.
const SUBJECT_KEY: &[u8] = b"subject key";

/// The class under which the secret of blind indexes stands.
const INDEX: u8 = 2;

type Secret = Zeroizing<[u8; 32]>;

/// All of one person's.
type TheirKeys = Arc<Vec<SubjectKey>>;

/// What is known for a while.
#[derive(Default)]
pub(crate) struct People {
    numbers: Mutex<Arc<HashMap<(String, String), u32>>>,
    /// By tenant and person.
    keys: Mutex<HashMap<(Uuid, Uuid), (Instant, TheirKeys)>>,
    blind: Mutex<HashMap<Uuid, (Instant, BlindKey)>>,
}

/// The keys of some people of a tenant.
pub struct Keys {
    tenant: Uuid,
    of: HashMap<Uuid, TheirKeys>,
}

/// How often fields were opened, for a purpose.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Opens(HashMap<(String, String), u64>);

impl Opens {
    /// Counts one.
    pub fn add(&mut self, entity: &str, field: &str) {
        self.add_many(entity, field, 1);
    }

    /// Counts several; none is nothing.
    pub fn add_many(&mut self, entity: &str, field: &str, opens: u64) {
        if opens > 0 {
            *self.0.entry((entity.to_owned(), field.to_owned())).or_default() += opens;
        }
    }

    /// Whether nothing was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Keys {
    /// Seals a value for a field of a row.
    ///
    /// # Errors
    /// `Erased` if the person has no key any more.
    pub fn seal(
        &self,
        place: Place,
        class: Class,
        value: &Personal<Vec<u8>>,
    ) -> Result<Vec<u8>, Refusal> {
        let place = Place { tenant: self.tenant, ..place };
        let keys = self.of.get(&place.subject).map(|keys| keys.iter());
        // The newest is the last.
        let key = keys.into_iter().flatten().rfind(|key| key.class() == class);
        key.map(|key| key.seal(&place, value.reveal())).ok_or_else(erased)
    }

    /// Seals what was sealed for this place anew with the newest key; none if it is already, or of whom there is no key any
    /// more.
    ///
    /// # Errors
    /// `Elsewhere` of what was changed or moved.
    pub fn anew(
        &self,
        place: Place,
        class: Class,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Closed> {
        let keys = self.of.get(&place.subject).map(|keys| keys.iter());
        let newest = keys.into_iter().flatten().rfind(|key| key.class() == class);
        let Some(newest) = newest.filter(|_| class_of(sealed).is_ok()) else { return Ok(None) };
        if newest.is(class_of(sealed)?) {
            return Ok(None);
        }
        match self.open(place, sealed) {
            Ok(value) => {
                let place = Place { tenant: self.tenant, ..place };
                Ok(Some(newest.seal(&place, value.reveal())))
            }
            Err(Closed::Gone) => Ok(None),
            Err(closed) => Err(closed),
        }
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// `Gone` of a person who is erased; `Elsewhere` of what was changed or moved.
    pub fn open(&self, place: Place, sealed: &[u8]) -> Result<Personal<Vec<u8>>, Closed> {
        let place = Place { tenant: self.tenant, ..place };
        let wanted = class_of(sealed)?;
        let keys = self.of.get(&place.subject).map(|keys| keys.iter());
        let key = keys.into_iter().flatten().find(|key| key.is(wanted)).ok_or(Closed::Gone)?;
        key.open(&place, sealed)
    }

    /// A person's key of this class and generation.
    pub(crate) fn one(&self, person: &Uuid, wanted: (Class, u8)) -> Option<&SubjectKey> {
        self.of.get(person)?.iter().find(|key| key.is(wanted))
    }

    /// The newest of a person's keys of this class.
    pub(crate) fn newest(&self, person: &Uuid, class: Class) -> Option<&SubjectKey> {
        self.of.get(person)?.iter().rfind(|key| key.class() == class)
    }
}

pub(crate) fn erased() -> Refusal {
    Refusal::new(Code::Erased, "the person is erased, or is being erased")
        .hint("nothing can be written about them any more")
}

impl Store {
    /// The numbers of sealed fields, by entity and field, as they are known; asked for again if one of `wanted` is not
    /// among them.
    ///
    /// # Errors
    /// `TryAgain` if one is not there: the model changed underneath.
    pub async fn sealed_numbers(
        &self,
        wanted: &[(&Name, &Name)],
    ) -> Result<Arc<HashMap<(String, String), u32>>, Error> {
        let has = |numbers: &HashMap<(String, String), u32>| {
            wanted.iter().all(|(entity, field)| {
                numbers.contains_key(&(entity.to_string(), field.to_string()))
            })
        };
        let lock = || self.0.people.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        if has(&known) {
            return Ok(known);
        }
        let text = "select number, entity, field from freehold.sealed_fields()";
        let rows = self.ask("asking for sealed fields", text, &[]).await?;
        let one = |row: &Row| {
            let number = row.int(0).and_then(|number| u32::try_from(number).ok())?;
            Some(((row.text(1)?.to_owned(), row.text(2)?.to_owned()), number))
        };
        let fresh = Arc::new(rows.iter().filter_map(one).collect::<HashMap<_, _>>());
        *lock() = fresh.clone();
        if has(&fresh) {
            return Ok(fresh);
        }
        Err(Refusal::new(Code::TryAgain, "the model changed underneath").hint("try again").into())
    }

    /// Forgets the numbers of fields, after the model has changed.
    pub fn forget_sealed_numbers(&self) {
        *self.0.people.numbers.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// The keys of these people, for opening. Of whoever is erased there is none.
    ///
    /// # Errors
    /// Faults only.
    pub async fn keys_to_open(
        &self,
        tenant: &Tenant,
        people: &BTreeSet<Uuid>,
    ) -> Result<Keys, Error> {
        let mut of = HashMap::new();
        let mut missing = Vec::new();
        {
            let kept = self.0.people.keys.lock().unwrap_or_else(PoisonError::into_inner);
            for person in people {
                match kept.get(&(tenant.id(), *person)) {
                    Some((at, keys)) if at.elapsed() < KEPT => {
                        of.insert(*person, keys.clone());
                    }
                    _ => missing.push(*person),
                }
            }
        }
        if !missing.is_empty() {
            let fetched = self.fetch_keys(tenant, &missing).await?;
            self.keep_keys(tenant, &fetched);
            of.extend(fetched);
        }
        Ok(Keys { tenant: tenant.id(), of })
    }

    /// The same for sealing: whoever has none of a class gets one.
    ///
    /// # Errors
    /// Faults only; of whoever is erased there is none.
    pub async fn keys_to_seal(
        &self,
        tenant: &Tenant,
        wanted: &BTreeSet<(Uuid, Class)>,
    ) -> Result<Keys, Error> {
        let people: BTreeSet<Uuid> = wanted.iter().map(|(person, _)| *person).collect();
        let keys = self.keys_to_open(tenant, &people).await?;
        let lacks = |(person, class): &&(Uuid, Class)| {
            !keys.of.get(person).is_some_and(|keys| keys.iter().any(|key| key.class() == *class))
        };
        let lacking: Vec<(Uuid, u8)> =
            wanted.iter().filter(lacks).map(|(person, class)| (*person, class.number())).collect();
        if lacking.is_empty() {
            return Ok(keys);
        }
        self.make_keys(tenant, &lacking).await?;
        let people: Vec<Uuid> = lacking.iter().map(|(person, _)| *person).collect();
        let fetched = self.fetch_keys(tenant, &people).await?;
        self.keep_keys(tenant, &fetched);
        let mut of = keys.of;
        of.extend(fetched);
        Ok(Keys { tenant: tenant.id(), of })
    }

    /// What makes blind indexes for the tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn blind_key(&self, tenant: &Tenant) -> Result<BlindKey, Error> {
        let lock = || self.0.people.blind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, key)) = lock().get(&tenant.id())
            && at.elapsed() < KEPT
        {
            return Ok(key.clone());
        }
        let doing = "looking for a tenant's secret of lookups";
        let mut secret = self.wrapped(tenant, &[Uuid::nil()]).await?;
        if !secret.iter().any(|key| key.class == INDEX) {
            self.make_keys(tenant, &[(Uuid::nil(), INDEX)]).await?;
            secret = self.wrapped(tenant, &[Uuid::nil()]).await?;
        }
        let secret = secret.into_iter().find(|key| key.class == INDEX);
        let secret = secret.ok_or_else(|| Fault::new(doing, "the tenant is gone"))?;
        let key = BlindKey::new(&secret.secret);
        let mut kept = lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(tenant.id(), (Instant::now(), key.clone()));
        Ok(key)
    }

    pub(crate) fn forget_people(&self) {
        self.0.people.keys.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.people.blind.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets a person's keys, here.
    pub fn forget_keys(&self, tenant: &Tenant, person: Uuid) {
        let mut kept = self.0.people.keys.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&(tenant.id(), person));
    }

    /// Notes what was opened, and for what.
    ///
    /// # Errors
    /// Faults only.
    pub async fn note_opens(
        &self,
        tenant: &Tenant,
        purpose: &(dyn Fn(&str, &str) -> String + Sync),
        opens: &Opens,
    ) -> Result<(), Error> {
        if opens.is_empty() {
            return Ok(());
        }
        let text = "select freehold.opened_add($1::text::uuid, $2::text::text[], $3::text::text[], $4::text::text[], $5::text::bigint[])";
        let entities = list(opens.0.keys().map(|(entity, _)| entity.as_str()));
        let fields = list(opens.0.keys().map(|(_, field)| field.as_str()));
        let purposes: Vec<String> =
            opens.0.keys().map(|(entity, field)| purpose(entity, field)).collect();
        let purposes = list(purposes.iter().map(String::as_str));
        let counts: Vec<String> = opens.0.values().map(u64::to_string).collect();
        let counts = list(counts.iter().map(String::as_str));
        let id = tenant.id().to_string();
        let params =
            [Some(&*id), Some(&*entities), Some(&*fields), Some(&*purposes), Some(&*counts)];
        self.ask("noting what was opened", text, &params).await.map(drop)
    }

    fn keep_keys(&self, tenant: &Tenant, fetched: &HashMap<Uuid, TheirKeys>) {
        let mut kept = self.0.people.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + fetched.len() > KEPT_MAX {
            kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        }
        if kept.len() + fetched.len() > KEPT_MAX {
            kept.clear();
        }
        // That there is none is not remembered: somebody may be about to make one.
        for (person, keys) in fetched.iter().filter(|(_, keys)| !keys.is_empty()) {
            kept.insert((tenant.id(), *person), (Instant::now(), keys.clone()));
        }
    }

    async fn fetch_keys(
        &self,
        tenant: &Tenant,
        people: &[Uuid],
    ) -> Result<HashMap<Uuid, TheirKeys>, Error> {
        let mut of: HashMap<Uuid, Vec<SubjectKey>> =
            people.iter().map(|person| (*person, Vec::new())).collect();
        for key in self.wrapped(tenant, people).await? {
            let class = match key.class {
                0 => Class::Ordinary,
                1 => Class::Kept,
                _ => continue,
            };
            of.entry(key.person).or_default().push(SubjectKey::new(
                &key.secret,
                class,
                key.generation,
            ));
        }
        Ok(of.into_iter().map(|(person, keys)| (person, Arc::new(keys))).collect())
    }
}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Self {
        Fault::new("opening personal data", closed).into()
    }
}
