//! Bulk export: all rows of an entity, page by page in the order of their ids, as JSON lines or CSV. Each page is a
//! transaction of its own, so a long export holds nothing up; rows written meanwhile may or may not be in it.

use std::{borrow::Cow, collections::BTreeMap, io::Write};

use freehold_model::{
    entity::{Entity, Kind, VectorForm},
    mutate,
};
use freehold_store::Tenant;
use half::f16;
use serde_json::{Value, value::RawValue};

use crate::{
    Engine,
    error::{Code, Error, Refusal},
    import::{Format, Precision},
    personal::{StatedPurpose, Tag},
    read::count,
};

/// A row by its fields, each as PostgreSQL wrote it: read as a number, it could lose digits.
type Row<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Rows in a page.
const PAGE_ROWS: u32 = 1000;

/// Where an export goes.
pub struct Export<'a> {
    /// Which entity.
    pub entity: String,
    /// The rows.
    pub output: &'a mut (dyn Write + Send),
    /// How they are written.
    pub format: Format,
    /// A vector field that goes into a raw file instead: its name, the file, and how a number is stored.
    pub vectors: Option<(String, &'a mut (dyn Write + Send), Precision)>,
    /// What personal data is opened for, if not for what its classes are kept for.
    pub purpose: Option<StatedPurpose>,
}

impl Engine {
    /// Exports all rows of an entity; gives their number.
    ///
    /// # Errors
    /// `NoSuchEntity`, `NoSuchField`; `Import` if a row has no vector where a raw file needs one or the output cannot
    /// be written; faults.
    pub async fn export(
        &self,
        tenant: &Tenant,
        mut export: Export<'_>,
        heard: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, Error> {
        let snapshot = self.snapshot();
        let entity = snapshot.model.entity(&export.entity).cloned();
        let tag = Tag::new();
        let first =
            mutate::dump(&snapshot.model, &export.entity, None, PAGE_ROWS, Some(tag.as_str()))?;
        let Some(entity) = entity else { return Ok(0) };
        check_vectors(&entity, &export)?;
        let titles = titles(&entity, export.vectors.as_ref().map(|(field, ..)| field.as_str()));
        let mut csv = (export.format == Format::Csv).then(csv::WriterBuilder::new);
        let (mut page, mut all, mut head) = (first, 0, true);
        loop {
            let row = self.store.run(tenant, &page).await?;
            let sealed = row.text(0).unwrap_or_default();
            let purpose = export.purpose.as_ref().into();
            let lines = self.open_body(&snapshot, tenant, sealed, &tag, purpose).await?;
            match &mut csv {
                None if export.vectors.is_none() => {
                    export.output.write_all(lines.as_bytes()).map_err(|e| unwritable(&e))?
                }
                builder => {
                    let mut rows: Vec<Row> =
                        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
                    if let Some((field, file, precision)) = &mut export.vectors {
                        take_vectors(&mut rows, field, *file, *precision)?;
                    }
                    match builder {
                        Some(builder) => write_csv(
                            builder,
                            (&entity, &titles),
                            &rows,
                            export.output,
                            std::mem::take(&mut head),
                        )?,
                        None => write_lines(&titles, &rows, export.output)?,
                    }
                }
            }
            let exported = count(row.int(1));
            all += exported;
            heard(exported);
            match row.text(2) {
                Some(last) if exported == u64::from(PAGE_ROWS) => {
                    page = mutate::dump(
                        &snapshot.model,
                        &export.entity,
                        Some(last),
                        PAGE_ROWS,
                        Some(tag.as_str()),
                    )?;
                }
                _ => break,
            }
        }
        export.output.flush().map_err(|error| unwritable(&error))?;
        if let Some((_, file, _)) = &mut export.vectors {
            file.flush().map_err(|error| unwritable(&error))?;
        }
        Ok(all)
    }
}

fn check_vectors(entity: &Entity, export: &Export<'_>) -> Result<(), Refusal> {
    let Some((name, ..)) = &export.vectors else { return Ok(()) };
    match entity.field(name).map(|field| &field.kind) {
        Some(Kind::Vector(vector))
            if matches!(vector.form, VectorForm::Vector | VectorForm::Halfvec) =>
        {
            Ok(())
        }
        _ => Err(Refusal::new(
            Code::NoSuchField,
            format!("{} has no dense vector field {name}", entity.name),
        )),
    }
}

fn titles(entity: &Entity, without: Option<&str>) -> Vec<String> {
    let fields = entity.fields.iter().map(|field| field.name.to_string());
    ["id".to_owned()]
        .into_iter()
        .chain(fields)
        .filter(|name| Some(name.as_str()) != without)
        .collect()
}

/// Moves a field's vectors out of the rows into the raw file.
fn take_vectors(
    rows: &mut [Row],
    field: &str,
    file: &mut (dyn Write + Send),
    precision: Precision,
) -> Result<(), Refusal> {
    let mut bytes = Vec::new();
    for row in rows {
        let numbers = row.remove(field).map(RawValue::get).map(serde_json::from_str::<Vec<f64>>);
        let Some(Ok(numbers)) = numbers else {
            let id = row.get("id").map_or("", |id| id.get().trim_matches('"'));
            return Err(Refusal::new(
                Code::Import,
                format!("row {id} has no {field}, and a raw file cannot skip one"),
            )
            .hint("wait until vectors that are due are filled, or export them with the rows"));
        };
        for number in numbers {
            match precision {
                Precision::F32 => bytes.extend((number as f32).to_le_bytes()),
                Precision::F16 => bytes.extend(f16::from_f64(number).to_le_bytes()),
            }
        }
    }
    file.write_all(&bytes).map_err(|error| unwritable(&error))
}

fn write_lines(
    titles: &[String],
    rows: &[Row],
    output: &mut (dyn Write + Send),
) -> Result<(), Refusal> {
    for row in rows {
        let fields = titles.iter().filter_map(|title| Some((title, row.get(&**title)?)));
        let fields: Vec<String> =
            fields.map(|(title, json)| format!("{}:{json}", Value::from(title.as_str()))).collect();
        writeln!(output, "{{{}}}", fields.join(",")).map_err(|error| unwritable(&error))?;
    }
    Ok(())
}

fn write_csv(
    builder: &csv::WriterBuilder,
    (entity, titles): (&Entity, &[String]),
    rows: &[Row],
    output: &mut (dyn Write + Send),
    head: bool,
) -> Result<(), Refusal> {
    let mut writer = builder.from_writer(output);
    let unwritable = |error: csv::Error| unwritable(&error.into());
    if head {
        writer.write_record(titles).map_err(unwritable)?;
    }
    for row in rows {
        writer
            .write_record(titles.iter().map(|title| {
                // Null and the empty text are the same empty cell: CSV cannot tell them apart, JSON lines can.
                row.get(&**title)
                    .and_then(|json| mutate::cell_text(entity, title, json.get()))
                    .unwrap_or_default()
            }))
            .map_err(unwritable)?;
    }
    writer.flush().map_err(|error| unwritable(error.into()))
}

fn unwritable(error: &std::io::Error) -> Refusal {
    Refusal::new(Code::Import, "the file cannot be written").detail(error.to_string())
}
