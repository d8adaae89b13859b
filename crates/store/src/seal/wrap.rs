//! Keys under keys, and small texts that only the servers can read.
//!
//! A wrapped key, 94 bytes: format 1, suite 1 (AES-256-GCM), nonce[12], the key sealed[32], tag[16], commitment[32]. The
//! commitment is HKDF of the wrapping key and the nonce, compared before the key is used.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time, hkdf, rand,
};
use zeroize::Zeroizing;

const HEAD: [u8; 2] = [1, 1];
const WRAPPED: usize = 2 + NONCE_LEN + 32 + 16 + 32;

/// Random bytes for a key.
///
/// # Panics
/// When the machine has no randomness.
pub(crate) fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(&mut *bytes).expect("the system has randomness");
    bytes
}

/// `key` under `by`, for this purpose alone.
pub(crate) fn wrap(by: &[u8; 32], purpose: &[&[u8]], key: &[u8; 32]) -> Vec<u8> {
    let nonce = *random::<NONCE_LEN>();
    let mut out = Vec::with_capacity(WRAPPED);
    out.extend_from_slice(&HEAD);
    out.extend_from_slice(&nonce);
    let mut sealed = key.to_vec();
    seal(by, nonce, purpose, &mut sealed);
    out.extend_from_slice(&sealed);
    out.extend_from_slice(&commitment(by, &nonce));
    out
}

/// The key that was wrapped; `None` if it was under another key, for another purpose, or was changed.
pub(crate) fn unwrap(
    by: &[u8; 32],
    purpose: &[&[u8]],
    wrapped: &[u8],
) -> Option<Zeroizing<[u8; 32]>> {
    let rest = wrapped.strip_prefix(&HEAD).filter(|_| wrapped.len() == WRAPPED)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let (sealed, said) = rest.split_at(48);
    constant_time::verify_slices_are_equal(&commitment(by, nonce), said).ok()?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let opened = open(by, *nonce, purpose, &mut sealed)?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(opened);
    Some(key)
}

/// A text that says nothing to whoever holds it: nonce, sealed, tag.
pub(crate) fn seal_text(by: &[u8; 32], purpose: &[&[u8]], text: &[u8]) -> Vec<u8> {
    let nonce = *random::<NONCE_LEN>();
    let mut sealed = text.to_vec();
    seal(by, nonce, purpose, &mut sealed);
    [&nonce[..], &sealed].concat()
}

/// What was sealed so; `None` if it was not, or for another purpose.
pub(crate) fn open_text(by: &[u8; 32], purpose: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut rest = rest.to_vec();
    open(by, *nonce, purpose, &mut rest).map(|opened| opened.to_vec())
}

fn seal(by: &[u8; 32], nonce: [u8; NONCE_LEN], purpose: &[&[u8]], bytes: &mut Vec<u8>) {
    cipher(by)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(framed(purpose)),
            bytes,
        )
        .expect("short texts are within the cipher's bounds");
}

fn open<'b>(
    by: &[u8; 32],
    nonce: [u8; NONCE_LEN],
    purpose: &[&[u8]],
    bytes: &'b mut [u8],
) -> Option<&'b mut [u8]> {
    cipher(by)
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(framed(purpose)), bytes)
        .ok()
}

fn cipher(by: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, by).expect("a key of 32 bytes"))
}

// Each part with its length before it, so that no two lists of parts are the same bytes.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
}

fn commitment(by: &[u8; 32], nonce: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"freehold wrapped key 1")
        .extract(by)
        .expand(&[b"commitment", nonce], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut bytes))
        .expect("32 bytes are within HKDF's bounds");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_for_its_purpose_under_its_key_alone() {
        let (by, other, key) = ([1; 32], [2; 32], [3; 32]);
        let wrapped = wrap(&by, &[b"a", b"b"], &key);
        assert_eq!(wrapped.len(), WRAPPED);
        assert_eq!(unwrap(&by, &[b"a", b"b"], &wrapped).as_deref(), Some(&key));
        assert_eq!(unwrap(&other, &[b"a", b"b"], &wrapped), None);
        assert_eq!(unwrap(&by, &[b"ab"], &wrapped), None);
        assert_eq!(unwrap(&by, &[b"", b"ab"], &wrapped), None);
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(unwrap(&by, &[b"a", b"b"], &changed), None, "{at}");
        }
        assert_ne!(wrapped, wrap(&by, &[b"a", b"b"], &key));
    }

    #[test]
    fn a_sealed_text_opens_for_its_purpose_alone() {
        let sealed = seal_text(&[1; 32], &[b"get", b"a/b"], b"text");
        assert_eq!(open_text(&[1; 32], &[b"get", b"a/b"], &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(open_text(&[1; 32], &[b"put", b"a/b"], &sealed), None);
        assert_eq!(open_text(&[1; 32], &[b"get", b"a/b"], &sealed[..20]), None);
        assert_eq!(open_text(&[1; 32], &[b"get", b"a/b"], b""), None);
    }
}
