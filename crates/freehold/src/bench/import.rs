//! `bench import`: rows per second through the product's import, against a raw COPY of the same rows into a plain
//! table with the same keys and no tenant, partition or policy.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufReader, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use freehold_engine::{
    Tenant, Yardstick,
    import::{Format, Import, OnBad, VectorFile},
};
use serde_json::{Value, json};

use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::output::Failure;

const DIMENSIONS: usize = 384;

pub(super) async fn run(
    ground: &mut Ground<'_>,
    rows: Option<&Path>,
    vectors: Option<&Path>,
) -> Result<Report, Failure> {
    let folder = tempfile::tempdir()?;
    let limit = if ground.quick { 5_000 } else { 20_000 };
    let files = match rows {
        Some(rows) => given(folder.path(), rows, vectors, limit)?,
        None => generated(folder.path(), limit)?,
    };
    let tenant = super::tenant(ground, "acme").await?;
    let mut yardstick = Yardstick::open(&ground.url, ground.engine.store(), tenant.clone()).await?;
    let copy = copy_rows(&files)?;
    let (mut ours, mut other) = (Vec::new(), Vec::new());
    let rounds = if ground.quick { 3 } else { 7 };
    for round in 0..=rounds {
        ground.bar.set_message(format!("round {round} of {rounds}, {} rows", files.count));
        yardstick.empty_documents().await?;
        let begun = Instant::now();
        let imported = import(ground, &tenant, &files).await?;
        let walled = imported as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let copied = yardstick.copy_in(&copy).await?;
        let plain = copied as f64 / begun.elapsed().as_secs_f64();
        if round > 0 {
            ours.push(walled);
            other.push(plain);
        }
    }
    let case = format!("{} rows with {DIMENSIONS}-dimensional vectors", files.count);
    Ok(Report {
        bench: "import",
        about: "JSON lines and raw vectors, every row checked, through the wall; against COPY FROM STDIN of the same rows \
                as text into a plain table with the same unique keys"
            .into(),
        rows: vec![Row { case, ours, other, unit: "rows/s", goal: Goal::AtLeast(0.5) }],
    })
}

struct Files {
    rows: PathBuf,
    vectors: PathBuf,
    count: usize,
}

async fn import(ground: &Ground<'_>, tenant: &Tenant, files: &Files) -> Result<u64, Failure> {
    let import = Import {
        entity: "document".into(),
        input: Box::new(BufReader::with_capacity(1 << 20, File::open(&files.rows)?)),
        format: Format::JsonLines,
        vectors: Some(("embedding".into(), VectorFile::open(&files.vectors, DIMENSIONS as u32)?)),
        on_bad: OnBad::Stop,
        upsert: None,
        source: Some("bench".into()),
        restart: true,
    };
    Ok(ground.engine.import(tenant, import, &mut |_| {}).await?.rows)
}

/// The first rows of a file of commits (`sha`, `author`, `committed_at`, `subject`, `body`, `files`), in our shape.
fn given(
    folder: &Path,
    rows: &Path,
    vectors: Option<&Path>,
    limit: usize,
) -> Result<Files, Failure> {
    let text = std::fs::read_to_string(rows)?;
    let path = folder.join("rows.jsonl");
    let mut out = std::io::BufWriter::new(File::create(&path)?);
    let mut count = 0;
    for line in text.lines().take(limit) {
        let row: Value =
            serde_json::from_str(line).map_err(|error| Failure::Machine(error.to_string()))?;
        // The same commit may be in two repositories.
        let sha = format!("{}-{count}", row["sha"].as_str().unwrap_or_default());
        let at = row["committed_at"].clone();
        writeln!(
            out,
            "{}",
            json!({
                "sha": sha, "author": row["author"], "at": at, "subject": row["subject"], "body": row["body"], "files": row["files"],
            })
        )?;
        count += 1;
    }
    out.flush()?;
    let wanted = match vectors {
        Some(file) => first_vectors(folder, file, count)?,
        None => random_vectors(folder, count)?,
    };
    Ok(Files { rows: path, vectors: wanted, count })
}

/// The same rows in COPY's text format.
fn copy_rows(files: &Files) -> Result<Vec<u8>, Failure> {
    let text = std::fs::read_to_string(&files.rows)?;
    let mut vectors = VectorFile::open(&files.vectors, DIMENSIONS as u32)?;
    let mut out = String::with_capacity(text.len() + files.count * 4000);
    for line in text.lines() {
        let row: Value =
            serde_json::from_str(line).map_err(|error| Failure::Machine(error.to_string()))?;
        for field in ["sha", "author", "at", "subject", "body"] {
            out.push_str(&copied(row[field].as_str().unwrap_or_default()));
            out.push('\t');
        }
        let files =
            row["files"].as_array().into_iter().flatten().filter_map(Value::as_str).map(quoted);
        out.push_str(&copied(&format!("{{{}}}", files.collect::<Vec<_>>().join(","))));
        let vector: Vec<String> =
            vectors.next_vector()?.unwrap_or_default().iter().map(f32::to_string).collect();
        let _ = writeln!(out, "\t[{}]", vector.join(","));
    }
    Ok(out.into_bytes())
}

fn copied(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn first_vectors(folder: &Path, file: &Path, count: usize) -> Result<PathBuf, Failure> {
    let bytes = std::fs::read(file)?;
    let (name, width) = if file.extension().is_some_and(|name| name == "f16") {
        ("v.f16", 2)
    } else {
        ("v.f32", 4)
    };
    let wanted = count * DIMENSIONS * width;
    let Some(first) = bytes.get(..wanted) else {
        return Err(Failure::Machine(format!(
            "{} holds fewer than {count} vectors",
            file.display()
        )));
    };
    let path = folder.join(name);
    std::fs::write(&path, first)?;
    Ok(path)
}

fn generated(folder: &Path, count: usize) -> Result<Files, Failure> {
    let path = folder.join("rows.jsonl");
    let mut out = std::io::BufWriter::new(File::create(&path)?);
    for number in 0..count {
        let words = [
            "fix", "add", "remove", "the", "parser", "cache", "index", "of", "tests", "when",
            "empty",
        ];
        let subject: Vec<&str> =
            (0..8).map(|at| words[(number * 7 + at * number % 5 + at) % words.len()]).collect();
        let subject = subject.join(" ");
        let row = json!({
            "sha": format!("{:040x}", (number as u128 + 1) * 0x9e37_79b9_7f4a_7c15_f39c_c060), "author": format!("author-{}", number % 97),
            "at": format!("2025-{:02}-{:02}T12:00:00Z", number % 12 + 1, number % 28 + 1),
            "subject": subject, "body": subject.repeat(6), "files": [format!("src/{}.rs", number % 300), "Cargo.toml"],
        });
        writeln!(out, "{row}")?;
    }
    out.flush()?;
    Ok(Files { rows: path, vectors: random_vectors(folder, count)?, count })
}

/// Vectors of unit length from a fixed sequence (xorshift64*), so that every run loads the same.
fn random_vectors(folder: &Path, count: usize) -> Result<PathBuf, Failure> {
    let path = folder.join("v.f32");
    let mut out = std::io::BufWriter::new(File::create(&path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..count {
        let mut vector: Vec<f32> = Vec::with_capacity(DIMENSIONS);
        for _ in 0..DIMENSIONS {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            vector
                .push((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / 8_388_608.0 - 1.0);
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        for number in vector {
            out.write_all(&(number / length).to_le_bytes())?;
        }
    }
    out.flush()?;
    Ok(path)
}
