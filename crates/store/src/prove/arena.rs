//! Where the attacks take place: two tenants, one row of each entity for each, and sessions for whoever attacks.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use freehold_model::{
    Model, ReadModel,
    entity::{Entity, Field, Kind, Scalar, VectorForm},
};
use uuid::Uuid;

use super::{
    eve::{Eve, Said},
    forge::{Forge, Forger, Token},
    rows::{self, Seed},
};
use crate::{
    connect::Address,
    error::{Error, Fault},
    key::{RootKey, hex},
    platform::{ANONYMOUS, APP, Mode},
    session::COMMIT,
    store::Tenant,
};

/// One of the two tenants.
#[derive(Debug, Clone)]
pub struct Canary {
    /// The tenant.
    pub tenant: Tenant,
    /// In the texts of its rows, and nowhere else.
    pub mark: String,
    /// The id of its row of each entity.
    pub rows: BTreeMap<String, Uuid>,
}

const FACTS: &str = "select current_setting('server_version'), to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
    (select checksum from freehold.model_version order by version desc limit 1)";

/// A database with two tenants in it.
pub struct Arena {
    app: Address,
    anonymous: Address,
    operator: Address,
    forger: Forger,
    model: Model,
    a: Canary,
    b: Canary,
    mode: Mode,
    locked: bool,
    ending: &'static str,
    void: Mutex<Vec<String>>,
    words: BTreeMap<&'static str, String>,
}

impl Arena {
    /// Fills one row of each entity for both tenants, as `freehold_app`, where the model allows. `url` is the operator's.
    ///
    /// # Errors
    /// Faults; `Server` if the database is not set up.
    pub async fn open(
        url: &str,
        root: &RootKey,
        model: &Model,
        [a, b]: [&Tenant; 2],
    ) -> Result<Self, Error> {
        let operator = Address::parse(url)?;
        let limits = [
            ("search_path", "pg_catalog,app,freehold_ext,pg_temp"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "3s"),
        ];
        let login = |role| operator.clone().settings(&limits).login(role, &root.password(role));
        let (app, anonymous) = (login(APP), login(ANONYMOUS));
        let forger = Forger::new(root, operator.database());
        let (mode, locked) = gate(&operator).await?;
        let canary = |tenant: &Tenant| {
            let mark = format!("canary{}", hex(&Uuid::new_v4().as_bytes()[..5]));
            Canary { tenant: tenant.clone(), mark, rows: BTreeMap::new() }
        };
        let (a, b) = (canary(a), canary(b));
        let mut arena = Self {
            app,
            anonymous,
            operator,
            forger,
            model: model.clone(),
            a,
            b,
            mode,
            locked,
            ending: COMMIT,
            void: Mutex::default(),
            words: BTreeMap::new(),
        };
        arena.a.rows = arena.fill_rows(&arena.a, 1).await?;
        arena.b.rows = arena.fill_rows(&arena.b, 2).await?;
        arena.words = arena.vocabulary();
        Ok(arena)
    }

    /// The tenant that attacks.
    #[must_use]
    pub fn a(&self) -> &Canary {
        &self.a
    }

    /// The tenant that is attacked.
    #[must_use]
    pub fn b(&self) -> &Canary {
        &self.b
    }

    /// The login of those who have no key.
    pub(super) fn anonymous(&self) -> &Address {
        &self.anonymous
    }

    /// All tables of the model, and whether anybody may read each without a key.
    pub(super) fn tables(&self) -> Vec<(String, bool)> {
        let reads = self.model.reads().iter().map(ReadModel::shape);
        let all = self.model.entities().iter().chain(reads);
        let table = |name: &str| format!("app.\"{}\"", name.replace('"', "\"\""));
        all.map(|one| (table(&one.name), one.is_open())).collect()
    }

    /// How the gate keeps the tenant.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a superuser could take from PUBLIC what PostgreSQL's own catalogue gives it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// A pool that ends transactions and leaves the session as it is: a control, in which what the pool holds must leak.
    #[must_use]
    pub fn careless(mut self) -> Self {
        self.ending = "commit";
        self
    }

    /// Statements so far that PostgreSQL answered with neither rows nor a refusal: they tried nothing.
    #[must_use]
    pub fn void(&self) -> Vec<String> {
        self.void.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Entities of which no row could be made for both.
    #[must_use]
    pub fn unfilled(&self) -> Vec<&str> {
        let names = self.model.entities().iter().map(|entity| entity.name.as_str());
        names.filter(|name| !self.is_filled(name)).collect()
    }

    /// How the pool ends a tenant's transaction.
    pub(super) fn ending(&self) -> &'static str {
        self.ending
    }

    pub(super) fn note_void(&self, statement: String) {
        self.void.lock().unwrap_or_else(PoisonError::into_inner).push(statement);
    }

    /// Whether there is something of B in the answer that the question did not bring.
    #[must_use]
    pub fn spills(&self, question: &str, answer: &str) -> bool {
        let id = self.b.tenant.id();
        [self.b.mark.clone(), id.to_string(), id.simple().to_string()]
            .iter()
            .any(|secret| answer.contains(secret.as_str()) && !question.contains(secret.as_str()))
    }

    /// The server's version, the time there in UTC, SHA-256 over what the wall is made of, and the applied model's checksum.
    ///
    /// # Errors
    /// Faults only.
    pub async fn facts(&self) -> Result<[String; 3], Error> {
        let facts = self.look(FACTS).await?;
        let mut facts = facts.split('|').map(str::to_owned);
        Ok(std::array::from_fn(|_| facts.next().unwrap_or_default()))
    }

    pub(super) async fn eve(&self) -> Result<Eve<'_>, Error> {
        Eve::connect(&self.app, Some(self)).await
    }

    /// What the gate sees, which the locked catalogue is open to: the shape of the schema.
    pub(super) async fn look(&self, sql: &str) -> Result<String, Error> {
        self.as_operator(&format!("begin; set local role freehold_gate; {sql}; commit")).await
    }

    pub(super) async fn as_operator(&self, sql: &str) -> Result<String, Error> {
        let observer = Eve::connect(&self.operator, None).await?;
        match observer.say(sql).await {
            Said::Yes { text, .. } => Ok(text.trim().to_owned()),
            Said::No { state, message } => {
                Err(Fault::new("looking at the schema", format!("{state} {message}: {sql}")).into())
            }
        }
    }

    pub(super) fn token(&self, forge: &Forge<'_>) -> Token {
        self.forger.sign(forge)
    }

    /// The statement with its words filled in; none if the model has nothing of the kind.
    pub(super) fn fill(&self, template: &str) -> Option<String> {
        let mut sql = template.to_owned();
        for (word, value) in &self.words {
            sql = sql.replace(&format!("{{{word}}}"), value);
        }
        // A word that was not filled stands there still; braces of SQL's own are never around letters alone.
        let unfilled = sql.split('{').skip(1).any(|rest| {
            rest.split_once('}').is_some_and(|(word, _)| {
                !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
            })
        });
        (!unfilled).then_some(sql)
    }

    /// Entities of which both have a row.
    pub(super) fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.model.entities().iter().filter(|entity| self.is_filled(&entity.name))
    }

    /// Values for a new row of A; its references go to rows of A or of B.
    pub(super) fn columns(&self, entity: &Entity, of: &Canary) -> (String, String) {
        let target = |name: &str| of.rows.get(name).copied().unwrap_or_default().to_string();
        rows::columns(entity, &Seed { number: 3, mark: None, target: &target })
    }

    /// What most attacks go for: the entity that has most of what they need.
    pub(super) fn stage(&self) -> Option<&Entity> {
        self.entities().min_by_key(|entity| {
            2 * usize::from(text(entity).is_none()) + usize::from(vector(entity).is_none())
        })
    }

    fn is_filled(&self, entity: &str) -> bool {
        self.a.rows.contains_key(entity) && self.b.rows.contains_key(entity)
    }

    async fn fill_rows(
        &self,
        canary: &Canary,
        number: usize,
    ) -> Result<BTreeMap<String, Uuid>, Error> {
        let uploads = rows::uploads(&self.model, &canary.tenant.id().to_string());
        if !uploads.is_empty() {
            self.look(&format!("{uploads} select 1")).await?;
        }
        let session = self.eve().await?;
        let ids: BTreeMap<String, Uuid> = self
            .model
            .entities()
            .iter()
            .map(|entity| {
                // In slices of time an id says when it was made.
                let new = if entity.slices.is_some() { Uuid::now_v7 } else { Uuid::new_v4 };
                (entity.name.to_string(), new())
            })
            .collect();
        let target = |name: &str| ids.get(name).copied().unwrap_or_default().to_string();
        let seed = Seed { number, mark: Some(&canary.mark), target: &target };
        let mut left: Vec<&Entity> = self.model.entities().iter().collect();
        let mut done = BTreeMap::new();
        // A row needs those that it refers to, so the order is found by trying.
        loop {
            let before = left.len();
            let mut held = Vec::new();
            for entity in left {
                let id = ids[entity.name.as_str()];
                let tenant = canary.tenant.id().to_string();
                let row = rows::insert(entity, &tenant, Some(&id.to_string()), &seed, "");
                let opened = session.open(canary).await;
                let made = opened.is_yes() && session.say(&row).await.is_yes();
                let end = if made { "commit" } else { "rollback" };
                if session.say(end).await.is_yes() && made {
                    done.insert(entity.name.to_string(), id);
                } else {
                    held.push(entity);
                }
            }
            if held.is_empty() || held.len() == before {
                return Ok(done);
            }
            left = held;
        }
    }

    fn vocabulary(&self) -> BTreeMap<&'static str, String> {
        let (a, b) = (self.a.tenant.id(), self.b.tenant.id());
        let mut words = BTreeMap::from([
            ("a", a.to_string()),
            ("b", b.to_string()),
            ("b_simple", b.simple().to_string()),
            ("x", Uuid::new_v4().to_string()),
            ("mark_b", self.b.mark.clone()),
        ]);
        let Some(stage) = self.stage() else { return words };
        let (columns, values) = self.columns(stage, &self.a);
        words.extend([
            ("t", rows::table(stage)),
            ("leaf", format!("freehold_shelf.{}", rows::ident(&format!("{}~0", stage.name)))),
            ("mid", format!("freehold_shelf.{}", rows::ident(&format!("{}~d", stage.name)))),
            ("id_a", self.a.rows[stage.name.as_str()].to_string()),
            ("id_b", self.b.rows[stage.name.as_str()].to_string()),
            ("c", rows::ident(&stage.fields[0].name)),
            ("cols", columns),
            ("vals", values),
        ]);
        if let Some(field) = text(stage) {
            words.insert("text", rows::ident(&field.name));
        }
        if let Some(field) = vector(stage)
            && let Kind::Vector(vector) = &field.kind
        {
            let seed = Seed { number: 1, mark: None, target: &|_| String::new() };
            words.insert("vec", rows::ident(&field.name));
            words.insert("op", vector.metric.operator().to_owned());
            words.insert("point", rows::value(field, &seed));
        }
        words
    }
}

async fn gate(operator: &Address) -> Result<(Mode, bool), Error> {
    let session = Eve::connect(operator, None).await?;
    let sql = "begin; set local role freehold_gate; \
               select mode, locked from freehold.platform_version order by version desc limit 1; commit";
    match session.say(sql).await {
        Said::Yes { text, .. } => {
            let mode = if text.starts_with("seal") { Mode::Seal } else { Mode::Ticket };
            Ok((mode, text.trim_end().ends_with('t')))
        }
        Said::No { state, message } => {
            Err(Fault::new("looking at the gate", format!("{state} {message}")).into())
        }
    }
}

/// A text that is long enough for the mark, and that many rows may share.
fn text(entity: &Entity) -> Option<&Field> {
    entity.fields.iter().find(|field| {
        field.kind == Kind::Scalar(Scalar::Text)
            && field.sealed().is_none()
            && field.bounds.max_length.is_none_or(|most| most >= 16)
            && !entity.uniques.iter().any(|key| key.fields.contains(&field.name))
    })
}

fn vector(entity: &Entity) -> Option<&Field> {
    entity.fields.iter().find(|field| match &field.kind {
        Kind::Vector(vector) if field.sealed().is_none() => {
            matches!(vector.form, VectorForm::Vector | VectorForm::Halfvec)
        }
        _ => false,
    })
}
