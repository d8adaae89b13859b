//! Plans carried out, at once, interrupted, and against each other.

use freehold_model::{
    Code, Model, declare,
    plan::{Plan, Target, plan},
};
use freehold_store::{Apply, Chore, Config, Error, Filling, Operator, RootKey, Store};
use freehold_testkit::TestDb;

use crate::fixture::{ROOT, code, sql};

const FIRST: &str = r#"
[model]
name = "shop"

[entity.customer.field]
email = { type = "text", unique = true }
age = { type = "integer", optional = true, min = 0 }
"#;

const SECOND: &str = r#"
[model]
name = "shop"

[entity.customer.field]
email = { type = "text", unique = true }
age = { type = "integer", optional = true, min = 0 }
city = { type = "text", optional = true }

[entity.order]
index = [["total"]]

[entity.order.field]
customer = { ref = "customer" }
total = { type = "numeric" }
"#;

struct Shop {
    db: TestDb,
    operator: Operator,
    model: Model,
    version: i64,
}

async fn shop() -> Shop {
    let db = TestDb::empty().await;
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    let mut shop = Shop { db, operator, model: Model::default(), version: 0 };
    shop.go(FIRST, &[]).await.unwrap();
    shop
}

fn model(text: &str) -> Model {
    declare::read(text).unwrap_or_else(|problems| panic!("{problems:?}")).model
}

impl Shop {
    async fn another(&self) -> Operator {
        Operator::open(self.db.url(), "test").await.unwrap()
    }

    async fn store(&self) -> Store {
        Store::connect(Config::new(self.db.url(), RootKey::new(ROOT))).await.unwrap()
    }

    async fn plan(&mut self, to: &Model) -> Plan {
        let major = self.operator.check_server().await.unwrap().major;
        plan(&self.model, to, Target { major }).unwrap()
    }

    async fn go(&mut self, text: &str, allowed: &[&str]) -> Result<usize, Error> {
        self.go_filling(text, allowed, async |_| Ok(())).await
    }

    async fn go_filling(
        &mut self,
        text: &str,
        allowed: &[&str],
        mut fill: impl AsyncFnMut(&Filling) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let to = model(text);
        let plan = self.plan(&to).await;
        let allowed: Vec<String> = allowed.iter().map(|flag| (*flag).to_owned()).collect();
        let apply =
            Apply { plan: &plan, from_version: self.version, model: &to, text, allowed: &allowed };
        let mut steps = 0;
        let chore = async |chore: &Chore| match chore {
            Chore::Fill(filling) => fill(filling).await,
            Chore::Build(building) => panic!("no model here has a read model: {building:?}"),
        };
        let applied = self
            .operator
            .apply(apply, chore, |progress| steps += usize::from(progress.tries == 0))
            .await;
        self.version = applied?;
        self.model = to;
        Ok(steps)
    }
}

#[tokio::test]
async fn a_model_is_applied_recorded_and_used() {
    let mut shop = shop().await;
    let (version, text) = shop.operator.current_model().await.unwrap().unwrap();
    assert_eq!((version, text.as_str()), (shop.version, FIRST));
    let store = shop.store().await;
    assert_eq!(store.current_model().await.unwrap(), Some((version, text)));
    let a = store.tenant_named("a").await.unwrap();
    let insert = sql("insert into app.customer (email) values ($1) returning id::text", &["x@y"]);
    store.run(&a, &insert).await.unwrap();
    let error = store.run(&a, &insert).await.err().unwrap().refine(&shop.model);
    assert_eq!(error.to_string(), "customer has a row with the same email (customer(email))");
    let young =
        sql("insert into app.customer (email, age) values ('z', '-1') returning id::text", &[]);
    let error = store.run(&a, &young).await.err().unwrap().refine(&shop.model);
    assert_eq!(error.to_string(), "age is less than the least value allowed (customer.age)");
    assert!(shop.go(SECOND, &[]).await.unwrap() >= 2);
    let note = "insert into app.\"order\" (customer, total) values ('0196b0b0-0000-7000-8000-000000000001', 1) returning id::text";
    let error = store.run(&a, &sql(note, &[])).await.err().unwrap().refine(&shop.model);
    assert_eq!(
        error.to_string(),
        "customer refers to a row of customer that is not there (order.customer)"
    );
}

#[tokio::test]
async fn of_two_applies_at_once_one_wins() {
    let mut shop = shop().await;
    let to = model(SECOND);
    let plan = shop.plan(&to).await;
    let from_version = shop.version;
    let apply = Apply { plan: &plan, from_version, model: &to, text: SECOND, allowed: &[] };
    let mut other = shop.another().await;
    // The second comes while the first is in its first step.
    let blocker = shop.db.client().await;
    blocker.batch_execute("begin; lock table app.customer in access share mode").await.unwrap();
    let first = shop.operator.apply(apply, async |_| Ok(()), |_| {});
    let second = async {
        wait_until_blocked(&blocker).await;
        let refused = other.apply(apply, async |_| Ok(()), |_| {}).await;
        blocker.batch_execute("commit").await.unwrap();
        refused
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.unwrap() > from_version);
    assert_eq!(code(second), Code::ApplyConflict);
    // And a plan from a version that is no more is refused.
    assert_eq!(code(other.apply(apply, async |_| Ok(()), |_| {}).await), Code::ApplyConflict);
}

#[tokio::test]
async fn a_table_that_is_busy_is_waited_for_without_holding_others_up() {
    let mut shop = shop().await;
    let blocker = shop.db.client().await;
    blocker.batch_execute("begin; lock table app.customer in access share mode").await.unwrap();
    let to = model(SECOND);
    let plan = shop.plan(&to).await;
    let apply =
        Apply { plan: &plan, from_version: shop.version, model: &to, text: SECOND, allowed: &[] };
    let mut blocker = Some(blocker);
    let mut tries = 0;
    let applied = shop.operator.apply(
        apply,
        async |_| Ok(()),
        |progress| {
            tries = tries.max(progress.tries);
            if progress.tries == 1 {
                blocker = None;
            }
        },
    );
    applied.await.unwrap();
    assert!(tries >= 1);
}

#[tokio::test]
async fn an_interrupted_apply_goes_on_after_the_last_step_done() {
    let mut shop = shop().await;
    let admin = shop.db.client().await;
    // The last step but the record is made impossible by a table in its way.
    let to = model(SECOND);
    let plan = shop.plan(&to).await;
    assert!(plan.steps.len() >= 2, "{}", plan.render());
    let last = plan.steps.len() - 1;
    let blocked = format!(
        "create function public.stop() returns trigger language plpgsql as $$ begin if new.steps_done = {} then raise exception 'stop'; end if; return new; end $$;
         grant usage on schema public to public;
         create trigger stop before update on freehold.apply_run for each row execute function public.stop()",
        last + 1
    );
    admin.batch_execute(&blocked).await.unwrap();
    assert!(matches!(shop.go(SECOND, &[]).await, Err(Error::Failed(_))));
    let unfinished = shop.operator.unfinished_apply().await.unwrap().unwrap();
    assert_eq!(
        (unfinished.done, unfinished.total, unfinished.text.as_str()),
        (last, last + 1, SECOND)
    );
    assert_eq!(shop.operator.current_model().await.unwrap().unwrap().1, FIRST);
    // Another target has to wait until this one is finished.
    let third = FIRST.replace("age =", "years =");
    let refused = shop.go(&third, &["drop:customer.age"]).await.err().unwrap();
    let Error::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.code, Code::ApplyConflict);
    assert!(refusal.hint.unwrap().contains("--resume"));

    admin.batch_execute("drop trigger stop on freehold.apply_run").await.unwrap();
    assert_eq!(shop.go(SECOND, &[]).await.unwrap(), 1);
    assert!(shop.operator.unfinished_apply().await.unwrap().is_none());
    assert_eq!(shop.operator.current_model().await.unwrap().unwrap().1, SECOND);
}

#[tokio::test]
async fn what_destroys_must_be_allowed_by_name() {
    let mut shop = shop().await;
    let without = FIRST.replace("age = { type = \"integer\", optional = true, min = 0 }\n", "");
    assert_eq!(code(shop.go(&without, &[]).await), Code::Destructive);
    assert!(shop.operator.unfinished_apply().await.unwrap().is_none());
    let flags: Vec<String> = {
        let to = model(&without);
        shop.plan(&to).await.destructive().into_iter().map(str::to_owned).collect()
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert!(!flags.is_empty());
    shop.go(&without, &flags).await.unwrap();
}

#[tokio::test]
async fn rows_that_stand_in_the_way_are_told_and_can_be_mended() {
    let mut shop = shop().await;
    let store = shop.store().await;
    let a = store.tenant_named("a").await.unwrap();
    store
        .run(&a, &sql("insert into app.customer (email) values ('x') returning id::text", &[]))
        .await
        .unwrap();
    let strict = FIRST.replace(
        "age = { type = \"integer\", optional = true, min = 0 }",
        "age = { type = \"integer\", min = 0 }",
    );
    let refused = shop.go(&strict, &[]).await.err().unwrap();
    assert!(
        matches!(&refused, Error::Refused(refusal) if [Code::Required, Code::Check].contains(&refusal.code)),
        "{refused:?}"
    );
    store.run_all(&a, &sql("update app.customer set age = 3", &[])).await.unwrap();
    shop.go(&strict, &[]).await.unwrap();
}

#[tokio::test]
async fn a_vector_of_another_dimension_is_filled_by_the_engine() {
    let mut shop = shop().await;
    let with = |dimensions: u16| {
        format!(
            "{FIRST}about = {{ type = \"text\", optional = true }}\nmeaning = {{ vector = {dimensions}, of = [\"about\"] }}\n"
        )
    };
    shop.go(&with(16), &[]).await.unwrap();
    let mut filled = Vec::new();
    let wider = with(24);
    let stopped = shop.go_filling(&wider, &[], async |filling| {
        filled.push(filling.clone());
        Err(freehold_model::Refusal::new(Code::Embedder, "not now").into())
    });
    assert_eq!(code(stopped.await), Code::Embedder);
    assert_eq!((filled[0].entity.as_str(), filled[0].field.as_str()), ("customer", "meaning"));
    // Taken up again at the filling itself.
    shop.go(&with(24), &[]).await.unwrap();
    let text = "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'app.customer'::regclass and attname = 'meaning'";
    let row = shop.db.client().await.query_one(text, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "freehold_ext.vector(24)");
}

/// Until a statement waits for the lock that `blocker` holds.
async fn wait_until_blocked(blocker: &tokio_postgres::Client) {
    let waiting = "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";
    for _ in 0..500 {
        if blocker.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            return;
        }
        // Polls: PostgreSQL does not announce who waits.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nothing waits for the lock");
}
