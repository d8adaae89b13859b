//! Sealing of values: published vectors of the cipher, and what opens where.

use proptest::prelude::*;

use super::*;
use crate::key::unhex;

fn bytes(digits: &str) -> Vec<u8> {
    unhex(digits).unwrap()
}

// RFC 8452, appendix C.2: key, nonce, plaintext, associated data, and what comes out.
const VECTORS: [[&str; 5]; 5] = [
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "",
        "",
        "07f5f4169bbf55a8400cd47ea6fd400f",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "0100000000000000",
        "",
        "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "010000000000000000000000",
        "",
        "9aab2aeb3faa0a34aea8e2b18ca50da9ae6559e48fd10f6e5c9ca17e",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "01000000000000000000000000000000",
        "",
        "85a01b63025ba19b7fd3ddfc033b3e76c9eac6fa700942702e90862383c6c366",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "0200000000000000",
        "01",
        "1de22967237a813291213f267e3b452f02d01ae33e4ec854",
    ],
];

#[test]
fn the_cipher_is_that_of_the_rfc() {
    for [key, nonce, plain, data, sealed] in VECTORS {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &bytes(key)).unwrap());
        let nonce: [u8; 12] = bytes(nonce).try_into().unwrap();
        let mut out = bytes(plain);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bytes(data)),
                &mut out,
            )
            .unwrap();
        out.extend_from_slice(tag.as_ref());
        assert_eq!(out, bytes(sealed));
        let opened = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(bytes(data)), &mut out)
            .unwrap();
        assert_eq!(opened, &bytes(plain)[..]);
    }
}

fn place() -> impl Strategy<Value = Place> {
    (any::<u128>(), any::<u32>(), any::<u128>(), any::<u128>()).prop_map(
        |(tenant, field, row, subject)| Place {
            tenant: Uuid::from_u128(tenant),
            field,
            row: Uuid::from_u128(row),
            subject: Uuid::from_u128(subject),
        },
    )
}

proptest! {
    #[test]
    fn a_value_opens_where_it_was_sealed(
        key: [u8; 32], kept: bool, generation: u8, place in place(), value in proptest::collection::vec(any::<u8>(), 0..1200)
    ) {
        let class = if kept { Class::Kept } else { Class::Ordinary };
        let key = SubjectKey::new(&key, class, generation);
        let sealed = key.seal(&place, &value);
        prop_assert_eq!(sealed.len() % 16, 0);
        prop_assert!(sealed.len() <= OVERHEAD + value.len() + 16);
        prop_assert_eq!(class_of(&sealed), Ok((class, generation)));
        let opened = key.open(&place, &sealed).unwrap();
        prop_assert_eq!(opened.reveal(), &value);
        prop_assert_ne!(key.seal(&place, &value), sealed);
    }

    #[test]
    fn a_value_opens_nowhere_else(
        a in place(), b in place(), which in 0..4usize, key: [u8; 32], other: [u8; 32], generation: u8, value: Vec<u8>
    ) {
        let sealer = SubjectKey::new(&key, Class::Ordinary, generation);
        let sealed = sealer.seal(&a, &value);
        let moved = match which {
            0 => Place { tenant: b.tenant, ..a },
            1 => Place { field: b.field, ..a },
            2 => Place { row: b.row, ..a },
            _ => Place { subject: b.subject, ..a },
        };
        prop_assume!(moved != a && key != other);
        prop_assert_eq!(sealer.open(&moved, &sealed).unwrap_err(), Closed::Elsewhere);
        let stranger = SubjectKey::new(&other, Class::Ordinary, generation);
        prop_assert_eq!(stranger.open(&a, &sealed).unwrap_err(), Closed::Elsewhere);
        let later = SubjectKey::new(&key, Class::Ordinary, generation.wrapping_add(1));
        prop_assert_eq!(later.open(&a, &sealed).unwrap_err(), Closed::Gone);
        // Not even when what it says of itself is changed to fit.
        let mut changed = sealed.clone();
        changed[3] = generation.wrapping_add(1);
        prop_assert_eq!(later.open(&a, &changed).unwrap_err(), Closed::Elsewhere);
        changed = sealed;
        changed[2] = 1;
        let kept = SubjectKey::new(&key, Class::Kept, generation);
        prop_assert_eq!(kept.open(&a, &changed).unwrap_err(), Closed::Elsewhere);
    }

    #[test]
    fn what_was_changed_does_not_open(place in place(), value: Vec<u8>, at: prop::sample::Index, bit in 0..8u32) {
        let key = SubjectKey::new(&[7; 32], Class::Ordinary, 0);
        let mut sealed = key.seal(&place, &value);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open(&place, &sealed).is_err());
    }
}

#[test]
fn what_is_too_short_or_of_no_known_form_does_not_open() {
    let key = SubjectKey::new(&[7; 32], Class::Ordinary, 0);
    let place = Place { tenant: Uuid::nil(), field: 1, row: Uuid::nil(), subject: Uuid::nil() };
    let sealed = key.seal(&place, b"\"x\"");
    for length in 0..sealed.len() {
        assert!(key.open(&place, &sealed[..length]).is_err(), "{length}");
    }
    assert_eq!(key.open(&place, b"ada@example.org").unwrap_err(), Closed::Form);
}

#[test]
fn what_is_personal_says_nothing() {
    assert_eq!(format!("{:?}", Personal::new("ada".to_owned())), "[personal]");
}

#[test]
fn a_blind_index_is_its_fields_own() {
    let key = BlindKey::new(&[1; 32]);
    assert_eq!(key.index(1, "a"), key.index(1, "a"));
    assert_ne!(key.index(1, "a"), key.index(2, "a"));
    assert_ne!(key.index(1, "a"), key.index(1, "b"));
    assert_ne!(key.index(1, "a"), BlindKey::new(&[2; 32]).index(1, "a"));
}
