//! From the text of a model file to a checked [`Model`], or to everything that is wrong with it.
//!
//! `syntax` makes a tree, `walk` compares it with the `grammar`, the other parts check what only they know. No part stops at a
//! problem: each leaves out what it could not read, and what depends on that stays silent.

mod anonymous;
mod blob;
mod caches;
mod classes;
mod codes;
mod complaint;
mod constant;
mod cycles;
mod decimal;
mod embedder;
mod entities;
mod erasure;
mod expiry;
mod field;
mod form;
mod generalised;
mod grammar;
mod keys;
mod kind;
mod less;
mod likeness;
mod names;
mod privacy;
mod reads;
mod report;
mod schema;
mod slices;
mod syntax;
#[cfg(test)]
mod syntax_test;
mod tables;
mod time;
mod tree;
mod vector;
mod walk;

pub use codes::CODES;
pub use schema::schema;
pub(crate) use time::{date, instant};

use crate::{diagnostic::Diagnostic, entity::Model};
use report::Report;

/// A model file to start from, explained in its comments.
pub const TEMPLATE: &str = include_str!("declare/template.toml");

/// Longest file in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// A model without errors, and what its author may want to think about.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The model.
    pub model: Model,
    /// In the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the text of a model file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file; warnings are not among them.
pub fn read(text: &str) -> Result<Checked, Vec<Diagnostic>> {
    let mut report = Report::default();
    if text.len() > FILE_BYTES_MAX {
        let message =
            format!("a model file has at most {FILE_BYTES_MAX} bytes, this one has {}", text.len());
        report
            .error(codes::FILE_TOO_LARGE, &(0..0), message)
            .help("a file of this size holds data; load that with `freehold import`");
        return Err(report.finish().err().unwrap_or_default());
    }
    let tree = syntax::parse(text, &mut report);
    let root = walk::walk(&tree, &(0..0), &grammar::ROOT, &mut report);
    let (name, about) = about_model(&root, &mut report);
    let mut embedders = embedder::Embedders::read(root.named("embed"), &mut report);
    let classes = classes::read(root.named("personal"), &mut report);
    let entities = entities::read(root.named("entity"), &classes, &mut embedders, &mut report);
    let classes = classes.finish(&entities, &mut report);
    let embedders = embedders.finish(&mut report);
    let reads = reads::read(text, root.named("read"), &root, &entities, &mut report);
    if root.named("entity").is_empty() {
        report
            .warn(codes::MODEL_EMPTY, &(0..0), "the model has no entities")
            .help("begin one with `[entity.person]`");
    }
    let mut model = Model { name, about, entities, embedders, classes, reads, ..Model::default() };
    model.caches = caches::read(root.named("cache"), &model, &mut report);
    let warnings = report.finish()?;
    Ok(Checked { model, warnings })
}

fn about_model(root: &walk::Found, report: &mut Report) -> (String, Option<String>) {
    let Some(pair) = root.pair("model") else { return Default::default() };
    let Some(found) = walk::walk_named(pair, &grammar::MODEL, report) else {
        return Default::default();
    };
    if let Some((text, at)) = found.text("name")
        && let Err(rule) = crate::names::Name::new(text)
    {
        report
            .error(codes::NAME_INVALID, at, rule)
            .help("a short word is enough, such as `history`");
    }
    (found.owned("name").unwrap_or_default(), found.owned("about"))
}
