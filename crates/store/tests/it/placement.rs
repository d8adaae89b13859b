//! Moving a tenant to a partition of its own and back: nothing is lost, seen twice or changed on the way, whoever reads and
//! writes meanwhile, and wherever the mover is killed.

mod background;
mod load;
mod many;
mod policy;

use std::sync::Arc;

use freehold_model::{
    Code, declare,
    plan::{Target, plan_with},
};
use freehold_store::{Apply, Config, Mode, Operator, RootKey, Store, Tenant};
use freehold_testkit::TestDb;
use tokio_postgres::Client;

use crate::fixture::{ROOT, apply, code, sql};

const MODEL: &str = "
[model]
name = \"moving\"

[entity.author.field]
name = { type = \"text\", unique = true }

[entity.doc]
index = [[\"n\"]]

[entity.doc.field]
title  = { type = \"text\", unique = true }
author = { ref = \"author\" }
parent = { ref = \"doc\", on_delete = \"unlink\", optional = true }
n      = { type = \"integer\", min = 0 }
at     = { type = \"timestamptz\", default = \"now()\" }
words  = { type = \"text\", search = \"english\", default = \"some words\" }
v      = { vector = 3, metric = \"l2\" }

[entity.mark.field]
doc = { ref = \"doc\", on_delete = \"cascade\" }
";

/// A database with the model, two tenants and rows of both.
pub(crate) struct Ground {
    pub(crate) db: TestDb,
    pub(crate) store: Store,
    pub(crate) a: Tenant,
    pub(crate) b: Tenant,
}

impl Ground {
    async fn new(mode: Mode) -> Self {
        let build = async |url: &str| {
            let mut operator = Operator::open(url, "test").await.unwrap();
            operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap();
            apply(&mut operator, MODEL).await;
            operator.create_tenant("a").await.unwrap();
            operator.create_tenant("b").await.unwrap();
        };
        let db = TestDb::from_template(&format!("moving {} {MODEL}", mode.as_str()), build).await;
        let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
        let a = store.tenant_named("a").await.unwrap();
        let b = store.tenant_named("b").await.unwrap();
        let ground = Self { db, store, a, b };
        for tenant in [&ground.a, &ground.b] {
            ground.fill(tenant, 1200).await;
        }
        ground
    }

    async fn fill(&self, tenant: &Tenant, rows: u32) {
        let rows = rows.to_string();
        for text in [
            "insert into app.author (name) select 'author ' || i from generate_series(1, 20) i",
            "insert into app.doc (title, author, n, v) select 'doc ' || i, (select id from app.author where name = 'author ' || (i % 20 + 1)), i, \
             array[i, i % 7, i % 11]::real[]::freehold_ext.vector from generate_series(1, $1::text::integer) i",
            "update app.doc d set parent = p.id from app.doc p where p.n = d.n / 2 and d.n % 3 = 0",
            "insert into app.mark (doc) select id from app.doc where n % 10 = 0",
        ] {
            let params = if text.contains("$1") { vec![rows.as_str()] } else { vec![] };
            self.store.run_all(tenant, &sql(text, &params)).await.unwrap();
        }
    }

    async fn operator(&self) -> Operator {
        Operator::open(self.db.url(), "test").await.unwrap()
    }

    async fn promote(&self) -> u64 {
        let (mut operator, mut helper) = (self.operator().await, self.operator().await);
        operator.promote(&mut helper, "a", "doc", |_| ()).await.unwrap()
    }

    async fn demote(&self) -> u64 {
        self.operator().await.demote("a", "doc", |_| ()).await.unwrap()
    }

    /// Everything of a tenant, as text.
    async fn all(&self, tenant: &Tenant) -> String {
        let text = "select coalesce(string_agg(r, e'\\n'), '') from (\
            select d::text as r from app.doc d union all select a::text from app.author a union all select m::text from app.mark m order by 1) r";
        let row = self.store.run(tenant, &sql(text, &[])).await.unwrap();
        row.text(0).unwrap().to_owned()
    }

    async fn state(&self) -> String {
        let placed = self.operator().await.placed(Some("a")).await.unwrap();
        placed.iter().find(|p| p.entity == "doc").map_or("shelf".into(), |p| p.state.clone())
    }

    /// What a move may leave behind of itself: nothing.
    async fn left(&self, admin: &Client) -> Vec<String> {
        let text = "select c.relname::text from pg_class c where c.relnamespace = 'freehold_shelf'::regnamespace and c.relkind = 'r' and not c.relispartition \
            union all select p.proname::text from pg_proc p where p.pronamespace = 'freehold_shelf'::regnamespace and p.proname ~ '~(come|go)~' \
            union all select k.conname::text from pg_constraint k where k.conname ~ '~(away|one)~' \
            union all select t.tgname::text from pg_trigger t where t.tgname ~ '~(come|go)~' \
            union all select 'noted' from freehold.move_queue";
        admin.query(text, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn there_and_back_again() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let ground = Ground::new(mode).await;
        let admin = ground.db.client().await;
        let (a, b) = (ground.all(&ground.a).await, ground.all(&ground.b).await);
        let print = ground.operator().await.fingerprint().await.unwrap();
        assert_eq!(ground.promote().await, 1200);
        assert_eq!(
            (ground.all(&ground.a).await, ground.all(&ground.b).await),
            (a.clone(), b.clone())
        );
        assert_eq!(ground.left(&admin).await, Vec::<String>::new());
        let own = "select count(*) from pg_inherits where inhparent = 'app.doc'::regclass";
        assert_eq!(admin.query_one(own, &[]).await.unwrap().get::<_, i64>(0), 2);
        assert_eq!(
            ground.operator().await.fingerprint().await.unwrap(),
            print,
            "it says nothing of tenants"
        );

        ground.store.refresh_placements().await.unwrap();
        let place = ground.store.placement(&ground.a, "doc");
        assert!(place.own && place.rows == 1200 && place.bytes > 0);
        assert_eq!(place.indexes.len(), 1);
        assert!(!ground.store.placement(&ground.b, "doc").own);

        walled(&ground, &admin).await;
        rules_hold(&ground).await;
        assert_eq!(ground.demote().await, 1200);
        assert_eq!((ground.all(&ground.a).await, ground.all(&ground.b).await), (a.clone(), b));
        assert_eq!(admin.query_one(own, &[]).await.unwrap().get::<_, i64>(0), 1);
        assert_eq!(ground.left(&admin).await, Vec::<String>::new());
        assert_eq!(ground.operator().await.fingerprint().await.unwrap(), print);
        rules_hold(&ground).await;

        // Deleted with its partition.
        ground.promote().await;
        ground.operator().await.delete_tenant("a", |_| ()).await.unwrap();
        assert_eq!(admin.query_one(own, &[]).await.unwrap().get::<_, i64>(0), 1);
    }
}

/// The partition is as shut as a shelf, and its name says nothing.
async fn walled(ground: &Ground, admin: &Client) {
    assert_eq!(ground.store.examine().await.unwrap().to_vec(), Vec::new());
    let report = ground.operator().await.audit(None).await.unwrap();
    let about: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.object.contains("doc"))
        .map(|finding| format!("{} {} {}", finding.check.id, finding.object, finding.detail))
        .collect();
    assert_eq!(about, Vec::<String>::new());
    let text = "select relname::text, relrowsecurity and relforcerowsecurity, relacl::text, \
        (select count(*) from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam where x.indrelid = c.oid and m.amname = 'hnsw') \
        from pg_class c join pg_inherits i on i.inhrelid = c.oid where i.inhparent = 'app.doc'::regclass and c.relkind = 'r'";
    let row = admin.query_one(text, &[]).await.unwrap();
    let (name, shut, grants, graphs): (String, bool, Option<String>, i64) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let id = ground.a.id().simple().to_string();
    assert!(shut && graphs == 1, "{name}");
    assert!(grants.is_none_or(|grants| !grants.contains("freehold_app") && !grants.contains("{=")));
    let suffix = name.strip_prefix("doc~").unwrap();
    assert!(suffix.len() == 10 && !suffix.contains('a') && !id.contains(suffix), "{name}");
    let attacker = ground.db.client().await;
    attacker.batch_execute("set session authorization freehold_app").await.unwrap();
    for text in [
        format!("select * from freehold_shelf.\"{name}\""),
        "select * from freehold.placement".into(),
        "select freehold.placements()".into(),
        "select * from freehold.move_queue".into(),
        "insert into freehold.move_queue (tenant_id, entity, id) values (gen_random_uuid(), 'doc', gen_random_uuid())".into(),
    ] {
        let error = attacker.batch_execute(&text).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{text}");
    }
}

/// References, keys and checks act on the tenant's rows as before, and are told by the names of the model.
async fn rules_hold(ground: &Ground) {
    let run = async |text: &str| ground.store.run_all(&ground.a, &sql(text, &[])).await;
    let model = declare::read(MODEL).unwrap().model;
    for (text, wanted) in [
        (
            "insert into app.doc (title, author, n, v) select title, author, n, v from app.doc limit 1",
            Code::Conflict,
        ),
        (
            "insert into app.doc (title, author, n, v) values ('x', freehold.uuidv7(), 1, '[1,2,3]')",
            Code::Reference,
        ),
        ("delete from app.author", Code::Reference),
        ("update app.doc set n = -1 where n = 5", Code::Check),
    ] {
        let error = run(text).await.unwrap_err().refine(&model);
        assert_eq!(code::<()>(Err(error)), wanted, "{text}");
    }
    // Undone at once, so that the rows stay as they are.
    let mut tx = ground.store.begin(&ground.a).await.unwrap();
    let counts =
        "select (select count(*) from app.mark)::text, (select count(parent) from app.doc)::text";
    let before = tx.query_one(&sql(counts, &[])).await.unwrap();
    tx.query(&sql("delete from app.doc where n = 30", &[])).await.unwrap();
    let after = tx.query_one(&sql(counts, &[])).await.unwrap();
    let number = |row: &freehold_store::Row, at| row.text(at).unwrap().parse::<i64>().unwrap();
    assert_eq!(number(&before, 0) - number(&after, 0), 1, "what refers to it goes with it");
    assert!(number(&before, 1) > number(&after, 1), "or is unlinked");
}

#[tokio::test]
async fn killed_at_every_step_it_is_gone_on_with_or_undone() {
    let ground = Arc::new(Ground::new(Mode::Seal).await);
    let admin = ground.db.client().await;
    let a = ground.all(&ground.a).await;
    let mut at = 1;
    loop {
        // Dropped in the middle, the connections are cut as those of a killed process are.
        let finished = killed_after(&ground, at).await;
        assert_eq!(ground.all(&ground.a).await, a, "after {at} steps");
        assert_eq!(ground.store.examine().await.unwrap().to_vec(), Vec::new(), "after {at} steps");
        if finished {
            break;
        }
        if at % 2 == 0 {
            // A change of the model meanwhile undoes it, as a demotion does.
            ground.demote().await;
            assert_eq!(ground.left(&admin).await, Vec::<String>::new(), "after {at} steps");
            assert_eq!(ground.state().await, "shelf");
        } else {
            ground
                .store
                .run_all(&ground.a, &sql("update app.doc set n = n where n < 40", &[]))
                .await
                .unwrap();
            assert_eq!(ground.promote().await, 1200);
            assert_eq!(ground.all(&ground.a).await, a, "gone on after {at} steps");
            assert_eq!(ground.left(&admin).await, Vec::<String>::new());
            ground.demote().await;
        }
        at += 1;
    }
    assert!(at > 6, "it was killed {at} times");
}

/// A change of the model carries the partition along: new fields, keys, references, names, and the index of its vectors.
#[tokio::test]
async fn a_change_of_the_model_carries_the_partition_along() {
    let ground = Ground::new(Mode::Seal).await;
    let admin = ground.db.client().await;
    ground.promote().await;
    let after = MODEL
        .replace("entity.doc", "entity.page")
        .replace("ref = \"doc\"", "ref = \"page\"")
        .replace("index = [[\"n\"]]", "was = \"doc\"\nindex = [[\"n\", \"at\"]]")
        .replace("v      = { vector", "place = { was = \"v\", vector")
        .replace("n      = { type = \"integer\", min = 0 }", "n = { type = \"bigint\", min = 0 }\nsize = { type = \"integer\", default = 7, unique = false }\nother = { ref = \"author\", optional = true }");
    let (old, new) = (declare::read(MODEL).unwrap().model, declare::read(&after).unwrap().model);
    let mut operator = ground.operator().await;
    let major = operator.check_server().await.unwrap().major;
    let places = operator.places().await.unwrap();
    let plan = plan_with(&old, &new, Target { major }, &places).unwrap();
    let apply = Apply { plan: &plan, from_version: 1, model: &new, text: &after, allowed: &[] };
    operator.apply(apply, async |_| Ok(()), |_| ()).await.unwrap();
    let mut helper = ground.operator().await;
    operator.tend_graphs(&mut helper, |_, _| ()).await.unwrap();

    let text = "select count(*), sum(n)::bigint, sum(size)::bigint from app.page";
    for tenant in [&ground.a, &ground.b] {
        let row = ground.store.run(tenant, &sql(text, &[])).await.unwrap();
        assert_eq!((row.int(0), row.int(1), row.int(2)), (Some(1200), Some(720_600), Some(8400)));
    }
    ground.store.refresh_placements().await.unwrap();
    let place = ground.store.placement(&ground.a, "page");
    assert_eq!(place.indexes[0].field, "place");
    assert_eq!(ground.store.examine().await.unwrap().to_vec(), Vec::new());
    // Every index of the partition is called like the shelf's.
    let names = "select distinct regexp_replace(i.relname, '~[^~]*$', '') as name from pg_index x join pg_class i on i.oid = x.indexrelid \
        join pg_class t on t.oid = x.indrelid join pg_inherits h on h.inhrelid = t.oid \
        where t.relkind = 'r' and t.relname like 'page~%' and i.relname !~ 'hnsw' and x.indisvalid and (h.inhparent = 'app.page'::regclass) = $1 order by 1";
    let named = async |own: bool| {
        let rows = admin.query(names, &[&own]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    assert_eq!(named(true).await, named(false).await);
    assert_eq!(operator.demote("a", "page", |_| ()).await.unwrap(), 1200);
}

async fn killed_after(ground: &Arc<Ground>, steps: usize) -> bool {
    let (mut operator, mut helper) = (ground.operator().await, ground.operator().await);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let moving = operator.promote(&mut helper, "a", "doc", |moving| {
        let _ = tell.send(moving.step);
    });
    let killed = async {
        for _ in 0..steps {
            told.recv().await;
        }
    };
    tokio::select! {
        biased;
        () = killed => false,
        moved = moving => { moved.unwrap(); true }
    }
}
