//! Copies of sealed vectors that workers have still to make, as `freehold status` shows them.

use freehold_engine::Uncopied;
use serde_json::{Value, json};

use crate::output;

pub(super) fn shown(one: &Uncopied) -> Value {
    json!({ "tenant": one.tenant, "entity": one.entity.as_str(), "field": one.field.as_str(), "copied": one.done })
}

pub(super) fn show(all: &[Uncopied], limit: usize) {
    if all.is_empty() {
        return;
    }
    output::say(format!("\ncopies of vectors to be made: {}", all.len()));
    for one in all.iter().take(limit) {
        let done = match one.done {
            Some(done) => format!("{done} so far"),
            None => "waits".to_owned(),
        };
        output::say(format!("  {}  {}.{}  {done}", one.tenant, one.entity, one.field));
    }
}
