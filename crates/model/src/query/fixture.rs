//! The model that tests of queries and writes are about. Its tables are in `tests/pg/setup.sql`.

use crate::{
    Model, Name,
    entity::{
        Bounds, DefaultValue, Entity, Field, Key, Kind, Metric, OnDelete, Ref, Scalar, Vector,
        VectorForm, When,
    },
};

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| name(text)).collect()
}

fn field(text: &str, kind: Kind) -> Field {
    Field {
        name: name(text),
        was: None,
        about: None,
        kind,
        optional: false,
        default: None,
        bounds: Bounds::default(),
        search: None,
        privacy: None,
        on_erase: None,
        generalises: None,
    }
}

fn scalar(text: &str, scalar: Scalar) -> Field {
    field(text, Kind::Scalar(scalar))
}

fn optional(mut field: Field) -> Field {
    field.optional = true;
    field
}

fn reference(text: &str, to: &str, on_delete: OnDelete) -> Field {
    field(text, Kind::Ref(Ref { entity: name(to), on_delete }))
}

fn vector(text: &str, form: VectorForm, dimensions: u32, metric: Metric, of: &[&str]) -> Field {
    let vector = Vector {
        form,
        dimensions,
        metric,
        of: names(of),
        embedder: name("lexical"),
        when: When::Now,
    };
    optional(field(text, Kind::Vector(vector)))
}

fn entity(text: &str, fields: Vec<Field>, uniques: &[&[&str]]) -> Entity {
    let uniques = uniques.iter().map(|fields| Key { fields: names(fields) }).collect();
    Entity {
        name: name(text),
        was: None,
        about: None,
        fields,
        uniques,
        indexes: Vec::new(),
        key: None,
        subject: false,
        expires: Vec::new(),
        slices: None,
        anonymous: false,
    }
}

pub(crate) fn model() -> Model {
    let person = entity(
        "person",
        vec![
            scalar("handle", Scalar::Text),
            optional(scalar("age", Scalar::SmallInt)),
            optional(scalar("last_seen", Scalar::TimestampTz)),
            optional(scalar("meta", Scalar::Jsonb)),
        ],
        &[&["handle"]],
    );
    let mut subject = scalar("subject", Scalar::Text);
    subject.search = Some("english".into());
    let mut status =
        field("status", Kind::Enum(vec!["open".into(), "merged".into(), "it's \"odd\"".into()]));
    status.default = Some(DefaultValue::Constant("open".into()));
    let mut at = scalar("at", Scalar::TimestampTz);
    at.default = Some(DefaultValue::Now);
    let commit = entity(
        "commit",
        vec![
            scalar("sha", Scalar::Text),
            reference("author", "person", OnDelete::Restrict),
            optional(reference("reviewer", "person", OnDelete::Unlink)),
            at,
            subject,
            optional(scalar("body", Scalar::Text)),
            optional(field("files", Kind::Array(Scalar::Text))),
            status,
            optional(scalar("added", Scalar::Integer)),
            optional(scalar("size", Scalar::BigInt)),
            optional(scalar("weight", Scalar::Numeric(Some((10, 2))))),
            optional(scalar("ratio", Scalar::Double)),
            optional(scalar("signed", Scalar::Boolean)),
            optional(scalar("day", Scalar::Date)),
            optional(scalar("patch", Scalar::Bytea)),
            vector("embedding", VectorForm::Vector, 3, Metric::Cosine, &["subject", "body"]),
            vector("half", VectorForm::Halfvec, 3, Metric::L2, &[]),
            vector("bits", VectorForm::Bit, 8, Metric::Hamming, &[]),
            vector("sparse", VectorForm::Sparsevec, 5, Metric::Ip, &[]),
        ],
        &[&["sha"]],
    );
    let file = entity(
        "file",
        vec![
            reference("commit", "commit", OnDelete::Cascade),
            scalar("path", Scalar::Text),
            optional(scalar("lines", Scalar::Integer)),
        ],
        &[&["commit", "path"]],
    );
    let node = entity(
        "node",
        vec![
            optional(scalar("label", Scalar::Text)),
            optional(reference("parent", "node", OnDelete::Unlink)),
            optional(scalar("order", Scalar::Integer)),
            optional(scalar("we ird\"ü", Scalar::Text)),
            vector("where", VectorForm::Vector, 2, Metric::L2, &["label"]),
        ],
        &[],
    );
    let entities = vec![person, commit, file, node, review()];
    Model { name: "history".into(), entities, ..Model::default() }
}

/// What joins commits and persons.
fn review() -> Entity {
    entity(
        "review",
        vec![
            reference("commit", "commit", OnDelete::Cascade),
            reference("person", "person", OnDelete::Cascade),
            optional(scalar("stars", Scalar::Integer)),
        ],
        &[&["commit", "person"]],
    )
}
