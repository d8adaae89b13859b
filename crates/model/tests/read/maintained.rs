//! The property that carries read models: after any changes, the units that their images touch, recomputed, make each
//! table what its definition says. All forms that are accepted are kept up to date beside one another.

use std::collections::BTreeSet;

use freehold_model::{
    Model, ReadModel, declare,
    view::{Images, WRITER},
};
use tokio_postgres::Client;

use crate::{
    BASE, Form, Part, parts,
    postgres::{Ground, lay, rows, run},
    world::{Dice, TENANTS, capture, change},
};

/// All accepted forms as the read models `v1`, `v2` … of one model.
pub(crate) fn all() -> Model {
    let sound = |form: &Form| declare::read(&crate::file(form)).is_ok();
    let forms = parts().into_iter().filter_map(|part| match part {
        Part::Form(form) if sound(&form) => Some(form),
        _ => None,
    });
    let mut text = BASE.to_owned();
    for (at, form) in forms.enumerate() {
        text.push_str(&form.declared(&format!("v{}", at + 1)));
    }
    declare::read(&text).unwrap_or_else(|errors| panic!("{errors:#?}")).model
}

pub(crate) async fn enter(client: &Client, tenant: &str) {
    run(client, &format!("set freehold.test_tenant to '{tenant}'; set role {WRITER}")).await;
}

/// Missing, extra and different rows, and examples.
pub(crate) async fn faults(
    client: &Client,
    model: &ReadModel,
    table: &str,
) -> Option<Vec<Option<String>>> {
    let found = rows(client, &model.check(table, 5)).await.remove(0);
    (found[..3].iter().any(|count| count.as_deref() != Some("0"))).then_some(found)
}

fn columns(rows: &[Vec<Option<String>>], width: usize) -> Vec<Vec<Option<String>>> {
    (0..width).map(|at| rows.iter().map(|row| row[at].clone()).collect()).collect()
}

pub(crate) fn whole(rows: &[Vec<Option<String>>], width: usize) -> Vec<Vec<String>> {
    let text = |value: Option<String>| value.expect("no part of a unit is null");
    columns(rows, width).into_iter().map(|list| list.into_iter().map(text).collect()).collect()
}

/// Reads the log of the tenant in batches of a random size, and recomputes what each touches. Says how often the images
/// themselves said it.
async fn work(client: &Client, model: &Model, tenant: &str, dice: &mut Dice) -> u32 {
    let mut are_said = 0;
    let captures = model.captures();
    let log = client
        .query("select entity, links::text[] from public.log where tenant_id = $1::text::uuid order by seq", &[&tenant])
        .await
        .expect("a log");
    let mut images: Vec<(String, Vec<Option<String>>)> =
        log.iter().map(|row| (row.get(0), row.get(1))).collect();
    if dice.chance(50) {
        // Their order does not matter.
        images.reverse();
    }
    let mut rest = images.as_slice();
    while !rest.is_empty() {
        let size = (dice.below(20) as usize + 1).min(rest.len());
        let (batch, later) = rest.split_at(size);
        rest = later;
        for view in model.reads() {
            let mut units: BTreeSet<Vec<Option<String>>> = BTreeSet::new();
            for source in view.sources() {
                let capture = captures
                    .iter()
                    .find(|capture| capture.entity == source.entity)
                    .expect("captured");
                let places: Vec<usize> = source
                    .links
                    .iter()
                    .map(|link| capture.links.iter().position(|name| name == link).expect("logged"))
                    .collect();
                let own: Vec<_> =
                    batch.iter().filter(|(entity, _)| **entity == *source.entity).collect();
                if own.is_empty() {
                    continue;
                }
                let lists: Vec<Vec<Option<String>>> = places
                    .iter()
                    .map(|place| own.iter().map(|(_, links)| links[*place].clone()).collect())
                    .collect();
                let images = Images { entity: &source.entity, links: &lists };
                let touched: BTreeSet<_> =
                    rows(client, &view.touch(images)).await.into_iter().collect();
                if let Some(said) = view.said(images) {
                    let said = said.into_iter().map(|unit| unit.into_iter().map(Some).collect());
                    assert_eq!(said.collect::<BTreeSet<_>>(), touched, "{}", view.text());
                    are_said += 1;
                }
                units.extend(touched);
            }
            if !units.is_empty() {
                let units: Vec<_> = units.into_iter().collect();
                rows(client, &view.recompute(view.name(), &whole(&units, view.unit().len()))).await;
            }
        }
    }
    are_said
}

#[tokio::test]
async fn what_is_touched_is_recomputed() {
    let model = all();
    assert!(model.reads().len() >= 60, "{}", model.reads().len());
    let ground = Ground::new().await;
    let client = ground.client().await;
    lay(&client, &model).await;
    run(&client, "set role freehold_owner").await;
    for view in model.reads() {
        run(&client, &view.create_table(view.name()).join(";\n")).await;
    }
    run(&client, "reset role").await;
    capture(&client, &model.captures()).await;
    let (mut dice, mut made, mut are_said) = (Dice::new(), 0, 0);
    let mut most = vec![0; model.reads().len()];
    for round in 0..36 {
        let tenant = TENANTS[dice.below(2) as usize];
        let grow = round % 9 == 0;
        let changes = if grow { 90 } else { dice.below(14) + 1 };
        made += write(&client, &model, tenant, &mut dice, (changes, grow)).await;
        enter(&client, tenant).await;
        are_said += work(&client, &model, tenant, &mut dice).await;
        for (view, most) in model.reads().iter().zip(&mut most) {
            *most = verified(&client, view, round).await.max(*most);
        }
        run(&client, "reset role").await;
    }
    assert!(made > 200, "{made} changes");
    assert!(are_said > 200, "{are_said} times images said their units");
    for (view, most) in model.reads().iter().zip(most) {
        assert!(most > 1, "{} never had rows to be wrong about: {}", view.name(), view.text());
    }
}

/// Makes changes with the log empty before; says how many were possible.
async fn write(
    client: &Client,
    model: &Model,
    tenant: &str,
    dice: &mut Dice,
    (changes, grow): (u32, bool),
) -> u32 {
    run(client, "truncate public.log").await;
    run(client, &format!("set freehold.test_tenant to '{tenant}'; set role freehold_app")).await;
    let mut made = 0;
    for _ in 0..changes {
        let change = change(dice, model, grow);
        match client.batch_execute(&change).await {
            Ok(()) => made += 1,
            // A reference to nothing, or a unique name that is taken.
            Err(error) => assert!(
                error.code().is_some_and(|code| matches!(code.code(), "23503" | "23505")),
                "{change}: {error:?}"
            ),
        }
    }
    run(client, "reset role").await;
    made
}

/// Compares a read model with its definition; says how many rows it has.
async fn verified(client: &Client, view: &ReadModel, round: u32) -> i64 {
    let (name, text) = (view.name(), view.text());
    let found = faults(client, view, name).await;
    assert!(found.is_none(), "round {round}, {name}: {found:?}\n{text}\n{}", view.definition());
    for field in view.shape().fields.iter().filter(|field| !field.optional) {
        let nulls = format!("select from app.\"{name}\" where \"{}\" is null", field.name);
        let found = client.query(&nulls, &[]).await.expect("rows");
        assert!(found.is_empty(), "{} is null in {text}", field.name);
    }
    let count = format!("select count(*) from app.\"{name}\"");
    client.query_one(&count, &[]).await.expect("a count").get(0)
}
