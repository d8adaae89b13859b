//! A database with the platform, two tenants and two walled tables.

use freehold_model::{
    Code, Model, Sql, declare,
    plan::{Target, plan},
};
use freehold_store::{Apply, Config, Error, Mode, Operator, RootKey, Store, Tenant};
use freehold_testkit::TestDb;
use tokio_postgres::Client;

/// All tests share the server and so the role, whose password comes from the root key.
pub(crate) const ROOT: [u8; 32] = [7; 32];

/// What is derived from [`ROOT`] for `freehold_app`.
pub(crate) const APP_PASSWORD: &str =
    "a859e72946c6cac5e1cd71a5678e9d7333cfac6bc267942fa6a6553249085216";

const TABLES: &str = "
begin; set local role freehold_owner; set local freehold.applying = 'on';
create table app.person (
  tenant_id uuid not null default freehold.tenant(), id uuid not null default freehold.uuidv7(),
  handle text not null, age integer, embedding freehold_ext.vector(3),
  constraint \"person~pkey\" primary key (tenant_id, id), constraint \"person~age~min\" check (age >= 0)
) partition by list (tenant_id);
create table freehold_shelf.\"person~d\" partition of app.person default partition by hash (tenant_id);
create table freehold_shelf.\"person~0\" partition of freehold_shelf.\"person~d\" for values with (modulus 1, remainder 0);
create unique index \"person~handle~key\" on app.person (tenant_id, handle);
create table app.note (
  tenant_id uuid not null default freehold.tenant(), id uuid not null default freehold.uuidv7(),
  author uuid not null, constraint \"note~pkey\" primary key (tenant_id, id),
  constraint \"note~author~fk\" foreign key (tenant_id, author) references app.person (tenant_id, id) on delete restrict
) partition by list (tenant_id);
create table freehold_shelf.\"note~d\" partition of app.note default;
create trigger \"person~embedding~due\" after insert or update of embedding on app.person for each row
  when (new.embedding is null) execute function freehold.embedding_due('person', 'embedding');
create trigger noted after insert or truncate on app.person for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app.person for each statement execute function freehold.note();
create trigger noted_update after update on app.person referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app.person referencing old table as changed for each statement execute function freehold.note_rows();
create trigger noted after insert or update or delete or truncate on app.note for each statement execute function freehold.note();
alter table app.person enable row level security; alter table app.person force row level security;
alter table app.note enable row level security; alter table app.note force row level security;
alter table freehold_shelf.\"person~d\" enable row level security; alter table freehold_shelf.\"person~d\" force row level security;
alter table freehold_shelf.\"person~0\" enable row level security; alter table freehold_shelf.\"person~0\" force row level security;
alter table freehold_shelf.\"note~d\" enable row level security; alter table freehold_shelf.\"note~d\" force row level security;
create policy wall on app.person as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app.person as permissive for all to freehold_app using (true) with check (true);
create policy wall on app.note as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app.note as permissive for all to freehold_app using (true) with check (true);
grant select, insert, delete on app.person, app.note to freehold_app;
grant update (handle, age, embedding) on app.person to freehold_app;
commit";

pub(crate) struct House {
    pub(crate) db: TestDb,
    pub(crate) store: Store,
    pub(crate) a: Tenant,
    pub(crate) b: Tenant,
}

pub(crate) async fn house() -> House {
    house_in(Mode::Seal).await
}

pub(crate) async fn house_in(mode: Mode) -> House {
    let db = database(mode).await;
    let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let a = store.tenant_named("a").await.unwrap();
    let b = store.tenant_named("b").await.unwrap();
    store.run(&a, &insert("ann")).await.unwrap();
    store.run(&b, &insert("bob")).await.unwrap();
    House { db, store, a, b }
}

pub(crate) async fn database(mode: Mode) -> TestDb {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        assert_eq!(operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap(), mode);
        operator.create_tenant("a").await.unwrap();
        operator.create_tenant("b").await.unwrap();
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(TABLES).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    };
    TestDb::from_template(&format!("store {} {TABLES}", mode.as_str()), build).await
}

/// Applies the first model of a database.
pub(crate) async fn apply(operator: &mut Operator, text: &str) {
    let model = declare::read(text).unwrap().model;
    let major = operator.check_server().await.unwrap().major;
    let plan = plan(&Model::default(), &model, Target { major }).unwrap();
    let wanted = Apply { plan: &plan, from_version: 0, model: &model, text, allowed: &[] };
    operator.apply(wanted, async |_| Ok(()), |_| {}).await.unwrap();
}

impl House {
    pub(crate) async fn operator(&self) -> Operator {
        Operator::open(self.db.url(), "test").await.unwrap()
    }

    pub(crate) async fn handles(&self, tenant: &Tenant) -> Vec<String> {
        let rows = self
            .store
            .run_all(tenant, &sql("select handle from app.person order by handle", &[]))
            .await
            .unwrap();
        rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
    }

    /// A backend that is logged in as `freehold_app` as far as PostgreSQL's rights go, for SQL of an attacker.
    pub(crate) async fn attacker(&self) -> Client {
        let client = self.db.client().await;
        client.batch_execute("set session authorization freehold_app").await.unwrap();
        client
    }

    /// The same, logged in: what the watchdog sees.
    pub(crate) async fn attacker_logged_in(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(
            &self.db.url_as("freehold_app", APP_PASSWORD),
            tokio_postgres::NoTls,
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        client
    }

    /// A token made by the key's pads instead of by the code under test.
    pub(crate) async fn token(&self, tenant: &Tenant, forge: Forge<'_>) -> String {
        let expiry =
            std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 + forge.life;
        let tenant = tenant.id().simple();
        let principal = "0".repeat(32);
        let nonce = 1;
        let name = |name: &str| name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let signed = format!(
            "0002{tenant}{principal}{expiry:016x}{nonce:016x}{:08x}{}00{}",
            forge.backend,
            name(forge.database.unwrap_or(self.db.name())),
            name(forge.login),
        );
        let text = "select encode(sha256(opad || sha256(ipad || decode($1, 'hex'))), 'hex') from freehold.mac_key where kid = $2";
        let row = self.db.client().await.query_one(text, &[&signed, &forge.kid]).await.unwrap();
        let mac: String = row.get(0);
        format!("v3.{:04x}.0002.{tenant}.{principal}.{expiry:016x}.{nonce:016x}.{mac}", forge.kid)
    }
}

pub(crate) struct Forge<'a> {
    pub(crate) backend: i32,
    pub(crate) life: i64,
    pub(crate) kid: i16,
    pub(crate) login: &'a str,
    pub(crate) database: Option<&'a str>,
}

impl Forge<'_> {
    /// What a genuine token of this backend has.
    pub(crate) fn none(backend: i32) -> Self {
        Self { backend, life: 30, kid: 1, login: "freehold_app", database: None }
    }
}

pub(crate) async fn backend(client: &Client) -> i32 {
    client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

pub(crate) fn sql(text: &str, params: &[&str]) -> Sql {
    Sql::any(text, params.iter().map(|param| Some((*param).to_owned())).collect())
}

pub(crate) fn insert(handle: &str) -> Sql {
    sql("insert into app.person (handle) values ($1) returning id::text", &[handle])
}

pub(crate) fn code<T>(result: Result<T, Error>) -> Code {
    match result.err().expect("it is refused") {
        Error::Refused(refusal) => refusal.code,
        Error::Violated(violation) => violation.code,
        Error::Failed(fault) => panic!("a fault: {fault}: {:?}", std::error::Error::source(&fault)),
    }
}

pub(crate) fn state(error: &tokio_postgres::Error) -> &str {
    error.code().expect("PostgreSQL's own refusal").code()
}
