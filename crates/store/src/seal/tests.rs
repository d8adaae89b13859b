//! What was sealed opens whole and by ranges, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::key::hex;

fn key(secret: u8) -> BlobKey {
    BlobKey::new(Zeroizing::new([secret; 32]), Uuid::from_u128(1), Uuid::from_u128(2))
}

fn seal(key: &BlobKey, bytes: &[u8], step: usize) -> (Vec<u8>, Sum) {
    let mut sealer = key.sealer(0);
    let mut out = Vec::new();
    for part in bytes.chunks(step.max(1)) {
        sealer.push(part);
        // Parts of whatever size, and the memory of the last one once more.
        while let Some(part) = sealer.take(step * 3 + 1) {
            out.extend_from_slice(&part);
            sealer.give_back(part.into_memory());
        }
    }
    assert_eq!(sealer.size(), bytes.len() as u64);
    out.extend_from_slice(&sealer.finish());
    let mut hash = ContentHash::default();
    hash.update(bytes);
    (out, hash.sum(bytes.len() as u64))
}

fn open(
    key: &BlobKey,
    sealed: &[u8],
    size: u64,
    range: Range<u64>,
    step: usize,
) -> Result<Vec<u8>, Rot> {
    let (mut unsealer, place) = key.unsealer(size, range);
    let mut out = Vec::new();
    let end = (place.end as usize).min(sealed.len());
    let start = (place.start as usize).min(end);
    for part in sealed[start..end].chunks(step.max(1)) {
        unsealer.push(part, &mut out)?;
    }
    unsealer.finish()?;
    Ok(out)
}

fn whole(key: &BlobKey, sealed: &[u8], size: u64) -> Result<Vec<u8>, Rot> {
    let (mut unsealer, _) = key.unsealer(size, 0..size);
    let mut out = Vec::new();
    unsealer.push(sealed, &mut out)?;
    unsealer.finish()?;
    Ok(out)
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 7 + i / 256) as u8).collect()
}

#[test]
fn the_format_is_what_it_was() {
    let (sealed, sum) = seal(&key(9), b"freehold", 3);
    assert_eq!(
        hex(&sealed),
        include_str!("known.txt").trim(),
        "format 1 is written somewhere already: a change needs a format of its own"
    );
    assert_eq!(
        sum.digits(),
        "4a3f3566dbc389b1b28e16bee832e0349f8c1f27e2bbef981723a983ae4ec03a",
        "BLAKE3 of the plain bytes"
    );
    let mut before = HashKind::Sha256.begin();
    before.update(b"freehold");
    assert_eq!(
        before.digits(),
        "1bc3d86bd5f155269053370e005d898612e3973dc4a4b2ec71d364e96e1758df",
        "SHA-256, which blobs from before have"
    );
}

#[test]
fn edges_of_chunks_are_sealed_and_opened() {
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1] {
        let bytes = pattern(size);
        let (sealed, sum) = seal(&key(1), &bytes, 1000);
        assert_eq!(sum.size, size as u64);
        assert_eq!(sealed.len() as u64, sealed_size(size as u64), "{size}");
        assert_eq!(open(&key(1), &sealed, size as u64, 0..size as u64, 777).unwrap(), bytes);
        assert_eq!(whole(&key(1), &sealed, size as u64).unwrap(), bytes);
    }
}

#[test]
fn what_is_cut_moved_or_anothers_is_refused() {
    let bytes = pattern(3 * CHUNK + 5);
    let (sealed, _) = seal(&key(1), &bytes, CHUNK);
    let size = bytes.len() as u64;
    let step = CHUNK + TAG;
    let chunk = |i: usize| HEADER + i * step..HEADER + (i + 1) * step;
    // Cut, anywhere.
    for end in [0, 10, HEADER, HEADER + 1, HEADER + step, sealed.len() - 1] {
        assert_eq!(whole(&key(1), &sealed[..end], size), Err(Rot::Length), "{end}");
    }
    // A whole number of chunks does not pass for a shorter blob.
    let cut = &sealed[..HEADER + 2 * step];
    assert_eq!(whole(&key(1), cut, 2 * CHUNK as u64), Err(Rot::Chunk));
    // Longer.
    let longer = [&sealed[..], b"x"].concat();
    assert_eq!(whole(&key(1), &longer, size), Err(Rot::Length));
    // Two chunks in each other's place.
    let mut moved = sealed.clone();
    moved[chunk(0)].copy_from_slice(&sealed[chunk(1)]);
    moved[chunk(1)].copy_from_slice(&sealed[chunk(0)]);
    assert_eq!(whole(&key(1), &moved, size), Err(Rot::Chunk));
    // A chunk of another object, under the same secret for another blob or tenant.
    for (tenant, blob) in [(1, 3), (3, 2)] {
        let other =
            BlobKey::new(Zeroizing::new([1; 32]), Uuid::from_u128(tenant), Uuid::from_u128(blob));
        let (foreign, _) = seal(&other, &bytes, CHUNK);
        let mut mixed = sealed.clone();
        mixed[chunk(1)].copy_from_slice(&foreign[chunk(1)]);
        assert_eq!(whole(&key(1), &mixed, size), Err(Rot::Chunk));
        assert_eq!(whole(&key(1), &foreign, size), Err(Rot::Key));
    }
    assert_eq!(whole(&key(2), &sealed, size), Err(Rot::Key));
    assert_eq!(whole(&key(1), &vec![0; sealed.len()], size), Err(Rot::Header));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_is_what_it_is_of_the_whole(
        size in 0_usize..200_000, a in any::<u64>(), b in any::<u64>(), step in 1_usize..100_000,
    ) {
        let bytes = pattern(size);
        let (sealed, _) = seal(&key(1), &bytes, step);
        let (a, b) = (a % (size as u64 + 1), b % (size as u64 + 1));
        let (start, end) = (a.min(b), a.max(b));
        if start < end {
            let opened = open(&key(1), &sealed, size as u64, start..end, step).unwrap();
            prop_assert_eq!(&opened[..], &bytes[start as usize..end as usize]);
        }
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed(size in 0_usize..150_000, at in any::<usize>(), bit in 0_u8..8) {
        let bytes = pattern(size);
        let (mut sealed, _) = seal(&key(1), &bytes, 5000);
        let at = at % sealed.len();
        sealed[at] ^= 1 << bit;
        prop_assert!(whole(&key(1), &sealed, size as u64).is_err());
    }
}
