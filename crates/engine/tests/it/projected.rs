//! Read models: built, followed, changed, compared with their definition.

use freehold_engine::{Engine, Tenant, project::Watch};
use serde_json::{Value, json};

use crate::ground::{Ground, ground};

const MODEL: &str = r#"
[model]
name = "shop"

[entity.team.field]
name = { type = "text", unique = true }

[entity.person.field]
handle = { type = "text", unique = true }
team   = { ref = "team", optional = true, on_delete = "unlink" }

[entity.commit.field]
sha    = { type = "text", unique = true }
author = { ref = "person", on_delete = "cascade" }
at     = { type = "timestamptz" }
lines  = { type = "integer" }

[read.author_month]
key = ["author", "month"]
sql = """
select author, date_trunc('month', at) as month, count(*) as commits, sum(lines) as lines
from commit group by author, month
"""

[read.team_work]
key = ["team"]
sql = """
select t.id as team, t.name, count(c.id) as commits, count(distinct p.id) as people, 100 / (10 - max(c.lines)) as share
from team t left join person p on p.team = t.id left join commit c on c.author = p.id
group by t.id, t.name
"""
"#;

async fn catch_up(engine: &Engine) {
    let mut seen = Watch::default();
    while engine.project_round(&mut seen).await.unwrap() > 0 {}
}

async fn fill(ground: &Ground, tenant: &Tenant, mark: &str) {
    ground
        .insert(tenant, "team", json!([{"name": format!("{mark}1")}, {"name": format!("{mark}2")}]))
        .await;
    let teams = ground.read(tenant, "team?order=name").await;
    let people = json!([
        {"handle": format!("{mark}-ann"), "team": teams[0]["id"]},
        {"handle": format!("{mark}-bob"), "team": teams[1]["id"]},
    ]);
    ground.insert(tenant, "person", people).await;
    let people = ground.read(tenant, "person?order=handle").await;
    let commits: Vec<Value> = (0..20)
        .map(|i| {
            json!({"sha": format!("{mark}{i}"), "author": people[i % 2]["id"], "lines": i % 5,
                "at": format!("2024-{:02}-15T00:00:00Z", 1 + i % 3)})
        })
        .collect();
    ground.insert(tenant, "commit", json!(commits)).await;
}

async fn holds(ground: &Ground, name: &str) {
    for tenant in [&ground.a, &ground.b] {
        let found = ground.engine.check_read(tenant, name).await.unwrap();
        assert!(found.is_right(), "{name} of {}: {found:?}", tenant.name());
    }
}

#[tokio::test]
async fn read_models_follow_whoever_writes() {
    let ground = ground(MODEL).await;
    fill(&ground, &ground.a, "a").await;
    fill(&ground, &ground.b, "b").await;
    catch_up(&ground.engine).await;
    let months = ground.read(&ground.a, "author_month?order=month,author&select=commits").await;
    assert_eq!(months.as_array().unwrap().len(), 6);
    assert_eq!(
        ground.read(&ground.a, "team_work?order=name&select=name,commits,people").await,
        json!([{"name": "a1", "commits": 10, "people": 1}, {"name": "a2", "commits": 10, "people": 1}])
    );
    // People move, commits go, somebody writes past the API.
    let teams = ground.read(&ground.a, "team?order=name").await;
    ground.update(&ground.a, "person?handle=eq.a-ann", json!({"team": teams[1]["id"]})).await;
    let client = ground.db.client().await;
    client.batch_execute("delete from app.commit where lines = 3; update app.commit set at = at + interval '1 year' where lines = 2").await.unwrap();
    catch_up(&ground.engine).await;
    for name in ["author_month", "team_work"] {
        holds(&ground, name).await;
    }
    assert_eq!(
        ground.read(&ground.a, "team_work?order=name&select=name,commits,people").await,
        json!([{"name": "a1", "commits": 0, "people": 0}, {"name": "a2", "commits": 16, "people": 2}])
    );
    client.batch_execute("truncate app.commit").await.unwrap();
    catch_up(&ground.engine).await;
    assert_eq!(ground.read(&ground.b, "author_month").await, json!([]));
    holds(&ground, "team_work").await;
}

#[tokio::test]
async fn another_definition_is_built_beside_the_one_that_serves() {
    let ground = ground(MODEL).await;
    fill(&ground, &ground.a, "a").await;
    fill(&ground, &ground.b, "b").await;
    catch_up(&ground.engine).await;
    let finer = MODEL
        .replace("date_trunc('month', at) as month", "date_trunc('year', at) as month")
        .replace("sum(lines) as lines", "sum(lines) as lines, max(sha) as newest");
    let server = ground.another().await;
    ground.change(&finer, &[]).await.unwrap();
    // A server that has not heard of it leaves it alone.
    ground
        .db
        .client()
        .await
        .batch_execute("update app.commit set lines = lines + 1 where lines < 2")
        .await
        .unwrap();
    catch_up(&server).await;
    ground.engine.refresh().await.unwrap();
    catch_up(&ground.engine).await;
    holds(&ground, "author_month").await;
    let years = ground.read(&ground.b, "author_month?select=commits,newest&order=author").await;
    assert_eq!(years[0]["commits"], json!(10));
    // Renamed, dropped, made anew.
    let renamed = finer
        .replace(
            "[entity.commit.field]",
            "[entity.change]\nwas = \"commit\"\n\n[entity.change.field]",
        )
        .replace("from commit group", "from change group")
        .replace("left join commit c", "left join change c");
    ground.change(&renamed, &[]).await.unwrap();
    ground.engine.refresh().await.unwrap();
    ground.db.client().await.batch_execute("delete from app.change where lines = 4").await.unwrap();
    catch_up(&ground.engine).await;
    for name in ["author_month", "team_work"] {
        holds(&ground, name).await;
    }
    let (without, _) = renamed.split_once("[read.author_month]").unwrap();
    ground.change(without, &[]).await.unwrap();
    ground.engine.refresh().await.unwrap();
    assert!(
        ground
            .engine
            .read(
                &ground.a,
                freehold_engine::read::Read { entity: "author_month", query: "", count: false }
            )
            .await
            .is_err()
    );
    let left = ground.truth("select proname from pg_proc where proname like '%capture~%' and pronamespace = 'freehold_shelf'::regnamespace").await;
    assert_eq!(left, json!([]));
    let noted = ground.truth("select * from freehold.projector").await;
    assert_eq!(noted, json!([]));
}

#[tokio::test]
async fn a_unit_that_fails_is_parked_and_holds_nothing_up() {
    let ground = ground(MODEL).await;
    fill(&ground, &ground.a, "a").await;
    fill(&ground, &ground.b, "b").await;
    catch_up(&ground.engine).await;
    // Divides by zero, in one team of one tenant.
    ground.update(&ground.a, "commit?sha=eq.a0", json!({"lines": 10})).await;
    ground.update(&ground.a, "commit?sha=eq.a1", json!({"lines": 9})).await;
    catch_up(&ground.engine).await;
    let parked = ground.engine.parked(10).await.unwrap();
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(
        (parked[0].tenant.as_str(), parked[0].error.as_str()),
        ("a", "a division by zero: in what is computed")
    );
    holds(&ground, "author_month").await;
    assert_eq!(
        ground.read(&ground.a, "team_work?name=eq.a2&select=share").await,
        json!([{"share": 100}])
    );
    // It is tried again when its time has come, or when asked; and when something of it has changed.
    assert_eq!(ground.engine.replay(Some("team_work")).await.unwrap(), 1);
    catch_up(&ground.engine).await;
    assert_eq!(ground.engine.parked(10).await.unwrap()[0].attempts, 2);
    ground.update(&ground.a, "commit?sha=eq.a0", json!({"lines": 0})).await;
    catch_up(&ground.engine).await;
    assert!(ground.engine.parked(10).await.unwrap().is_empty());
    holds(&ground, "team_work").await;
}

const SHARES: &str = r#"
[model]
name = "shares"

[entity.item.field]
number = { type = "integer", unique = true }
parts  = { type = "integer" }

[read.share]
key = ["number"]
sql = "select number, 100 / parts as share from item"
"#;

#[tokio::test]
async fn a_unit_that_fails_among_very_many_holds_nothing_up() {
    const ITEMS: usize = 1_700;
    let ground = ground(SHARES).await;
    catch_up(&ground.engine).await;
    let items: Vec<Value> = (0..ITEMS)
        .map(|i| json!({"number": i, "parts": if [3, 1_111].contains(&i) { 0 } else { 1 + i % 9 }}))
        .collect();
    ground.insert(&ground.a, "item", json!(items)).await;
    ground.insert(&ground.b, "item", json!(items[100..200])).await;
    catch_up(&ground.engine).await;
    let mut parked: Vec<_> = ground.engine.parked(10).await.unwrap();
    parked.sort_by(|a, b| a.unit.cmp(&b.unit));
    let units: Vec<_> = parked.iter().map(|parked| parked.unit.concat()).collect();
    assert_eq!(units, ["1111", "3"], "{parked:?}");
    let lag = ground.engine.lag(10).await.unwrap();
    assert!(lag.iter().all(|lag| lag.behind == 0), "{lag:?}");
    let shown = "select count(*) as n from app.share";
    assert_eq!(ground.truth(shown).await, json!([{"n": ITEMS - 2 + 100}]));
    let all = lag.iter().find(|lag| lag.tenant.is_none()).unwrap();
    assert_eq!(all.changes, ITEMS as u64 + 100);
    // Filled anew they are parked, too.
    ground
        .db
        .client()
        .await
        .batch_execute("update freehold.projection set filled = false")
        .await
        .unwrap();
    catch_up(&ground.engine).await;
    assert_eq!(ground.engine.parked(10).await.unwrap().len(), 2);
    ground.update(&ground.a, "item?parts=eq.0", json!({"parts": 5})).await;
    catch_up(&ground.engine).await;
    assert!(ground.engine.parked(10).await.unwrap().is_empty());
    holds(&ground, "share").await;
}

const SEALED: &str = r#"
[model]
name = "sealed"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a name of the product's" }
email  = { type = "text", personal = "contact", optional = true }

[entity.note.field]
by    = { ref = "person", on_erase = "delete", on_delete = "cascade" }
topic = { type = "text", not_personal = "a word of the product's" }
place = { vector = 2, not_personal = "where on the map a topic is" }

[read.writer]
key = ["person"]
search = { topics = "english" }
sql = """
select n.by as person, count(*) as notes, string_agg(n.topic, ' ' order by n.topic) as topics, avg(n.place) as centre
from note n group by n.by
"""
"#;

#[tokio::test]
async fn rows_are_found_by_words_and_vectors_and_lead_to_what_is_sealed() {
    let ground = ground(SEALED).await;
    for (tenant, mark) in [(&ground.a, "a"), (&ground.b, "b")] {
        let people = json!([
            {"handle": "ann", "email": format!("ann@{mark}.example")},
            {"handle": "bob", "email": format!("bob@{mark}.example")},
        ]);
        ground.insert(tenant, "person", people).await;
        let people = ground.read(tenant, "person?order=handle&select=id").await;
        let notes = json!([
            {"by": people[0]["id"], "topic": "running trains", "place": [0.0, 1.0]},
            {"by": people[0]["id"], "topic": "rails", "place": [0.0, 3.0]},
            {"by": people[1]["id"], "topic": "birds", "place": [4.0, 0.0]},
        ]);
        ground.insert(tenant, "note", notes).await;
    }
    catch_up(&ground.engine).await;
    holds(&ground, "writer").await;
    for (query, wanted) in [
        ("topics=fts(english).train", json!([{"notes": 2, "person": {"email": "ann@a.example"}}])),
        ("centre=nearest(k:1).[1,0]", json!([{"notes": 1, "person": {"email": "bob@a.example"}}])),
    ] {
        let target = format!("writer?select=notes,person(email)&{query}");
        assert_eq!(ground.read(&ground.a, &target).await, wanted, "{query}");
    }
    let centre = ground.read(&ground.a, "writer?select=centre&notes=eq.2").await;
    assert_eq!(centre, json!([{"centre": [0, 2]}]));
    // What is sealed of somebody is no row's of the read model.
    ground.update(&ground.a, "person?handle=eq.bob", json!({"email": "bob@new.example"})).await;
    catch_up(&ground.engine).await;
    let target = "writer?select=person(email)&notes=eq.1";
    assert_eq!(
        ground.read(&ground.a, target).await,
        json!([{"person": {"email": "bob@new.example"}}])
    );
    holds(&ground, "writer").await;
}
