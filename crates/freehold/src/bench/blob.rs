//! `bench blob`: sealed uploads and downloads, rows and all, against the same bytes by the storage's library alone.

use std::time::Instant;

use freehold_engine::{
    Engine, Tenant, Way, Work, Yardstick,
    blob::{Blobs, Mode, Object, Put},
};
use futures_util::{StreamExt as _, stream};

use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::{config::Config, output::Failure};

/// Sizes, how many blobs of each are moved in one round, and the rounds, also for a quick run.
const CASES: [(&str, usize, usize, usize, usize); 3] =
    [("4 KiB", 4 << 10, 100, 9, 3), ("1 MiB", 1 << 20, 32, 9, 3), ("256 MiB", 256 << 20, 1, 7, 2)];

/// Bytes as they come from a socket.
const PIECE: usize = 256 << 10;

pub(super) async fn run(ground: &mut Ground<'_>, config: &Config) -> Result<Report, Failure> {
    let folder = tempfile::tempdir()?;
    let blobs = match &config.blobs {
        Some(url) => Blobs::open(url, config.blobs_patience)?,
        None => Blobs::folder(folder.path().to_owned())?,
    };
    let place = config.blobs.as_deref().map_or("a folder", |url| match url.split_once(':') {
        Some(("file", _)) | None => "a folder",
        Some((kind, _)) => kind,
    });
    let tenant = super::tenant(ground, "acme").await?;
    let engine = ground.engine.clone().with_blobs(blobs.clone());
    let mut rival = Yardstick::open(&ground.url, ground.engine.store(), tenant.clone()).await?;
    rival.fill(1).await?;
    let mut rows = Vec::new();
    for (name, size, many, rounds, few) in CASES {
        let rounds = if ground.quick { few } else { rounds };
        let bytes: Vec<bytes_of::Piece> = bytes_of::pieces(size, PIECE);
        let (mut up, mut down) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let mut noted = Vec::new();
        for round in 0..=rounds {
            ground.bar.set_message(format!("{name}: round {round} of {rounds}"));
            let ours = sealed(&engine, &tenant, &bytes, size, many).await?;
            let plain_noted = plain(&blobs, &bytes, many, Some(&mut rival)).await?;
            let plain = plain(&blobs, &bytes, many, None).await?;
            if round > 0 {
                let rate = |seconds: f64| (size * many) as f64 / seconds / 1e6;
                up.0.push(rate(ours.0));
                down.0.push(rate(ours.1));
                up.1.push(rate(plain.0));
                down.1.push(rate(plain.1));
                noted.push(rate(plain_noted.0));
            }
        }
        let goal = if size >= 1 << 20 { Goal::AtLeast(0.8) } else { Goal::Open };
        let beside = (up.0.clone(), noted);
        for (what, (ours, other), goal) in
            [("up", up, goal), ("up, with a row by hand", beside, Goal::Open), ("down", down, goal)]
        {
            rows.push(Row { case: format!("{name} {what}"), ours, other, unit: "MB/s", goal });
        }
    }
    Ok(Report {
        bench: "blob",
        about: format!(
            "in {place}: sealed, hashed, noted in PostgreSQL and taken by a row; against the same bytes by object_store alone, one after the \
             other in both; or by object_store and then a durable row without a wall, as one would by hand; peak memory of this process {}",
            peak()
        ),
        rows,
    })
}

/// Seconds to upload all with their rows, and to download all.
async fn sealed(
    engine: &Engine,
    tenant: &Tenant,
    bytes: &[bytes_of::Piece],
    size: usize,
    many: usize,
) -> Result<(f64, f64), Failure> {
    let bucket = engine.bucket("file")?;
    let begun = Instant::now();
    for number in 0..many {
        let path = format!("{number}");
        let put = Put {
            entity: "file",
            field: "file",
            name: Some(&path),
            content_type: "application/octet-stream",
            length: Some(size as u64),
        };
        let pieces = stream::iter(bytes.iter().cloned().map(Ok::<_, std::io::Error>));
        let stored = engine.put_blob(tenant, put, pieces).await?;
        let object = Object { bucket: &bucket, path: &path };
        engine.take_blob(tenant, object, Mode::Upsert, &stored).await?;
    }
    let up = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for number in 0..many {
        let blob = engine.blob_at(tenant, &bucket, &number.to_string()).await?;
        let mut bytes = engine.read_blob(tenant, &blob, 0..blob.size, None).await?;
        while let Some(some) = bytes.next().await {
            some?;
        }
    }
    let down = begun.elapsed().as_secs_f64();
    for number in 0..many {
        engine.remove_blob(tenant, Object { bucket: &bucket, path: &number.to_string() }).await?;
    }
    while engine.delete_doomed().await? > 0 {}
    Ok((up, down))
}

async fn plain(
    blobs: &Blobs,
    bytes: &[bytes_of::Piece],
    many: usize,
    mut rival: Option<&mut Yardstick>,
) -> Result<(f64, f64), Failure> {
    let begun = Instant::now();
    for number in 0..many {
        blobs.put_plain(&format!("plain/{number}"), bytes).await?;
        if let Some(rival) = &mut rival {
            rival.request(Way::Plain, Work::Insert).await?;
        }
    }
    let up = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for number in 0..many {
        blobs.get_plain(&format!("plain/{number}")).await?;
    }
    let down = begun.elapsed().as_secs_f64();
    for number in 0..many {
        blobs.delete_plain(&format!("plain/{number}")).await;
    }
    Ok((up, down))
}

/// The largest memory this process had.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".into(), |line| line.trim().to_owned())
}

mod bytes_of {
    //! Bytes that do not compress, in pieces.

    pub(super) type Piece = axum::body::Bytes;

    pub(super) fn pieces(size: usize, piece: usize) -> Vec<Piece> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut one = Vec::with_capacity(piece);
        while one.len() < piece.min(size) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            one.extend_from_slice(&state.to_le_bytes());
        }
        let one = Piece::from(one);
        (0..size.div_ceil(piece)).map(|i| one.slice(0..piece.min(size - i * piece))).collect()
    }
}
