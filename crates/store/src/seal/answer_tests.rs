//! Cached answers: what opens where, and that the format is what it was.

use proptest::prelude::*;

use super::*;
use crate::key::{hex, unhex};

fn keys(secret: u8, tenant: u128) -> AnswerKeys {
    AnswerKeys::new(&[secret; 32], Uuid::from_u128(tenant))
}

// Made with Python's hashlib and cryptography, from what the module says.
const NAMED: &str = "0c2368383c4d71da265176a27f1b5c93ae526a3f372118b6004b6822126fe9b0";
const SEALED: &str = "0101000102030405060708090a0b03f8e3db835e3ef30d08427e04c039b2f90e93af2c11c738";

#[test]
fn the_format_is_what_it_was() {
    let keys = keys(9, 1);
    let name = keys.name(b"GET /person?select=name");
    assert_eq!(
        hex(&name),
        NAMED,
        "answers have names already: other names need a format of their own"
    );
    let sealed = unhex(SEALED).unwrap();
    assert_eq!(keys.open(&name, &sealed).unwrap(), b"freehold");
}

#[test]
fn what_is_too_short_or_of_no_known_form_does_not_open() {
    let keys = keys(1, 1);
    let name = keys.name(b"x");
    let sealed = keys.seal(&name, b"");
    assert_eq!(sealed.len(), ANSWER_OVERHEAD);
    assert_eq!(keys.open(&name, &sealed).unwrap(), b"");
    for length in 0..sealed.len() {
        assert_eq!(keys.open(&name, &sealed[..length]).unwrap_err(), Closed::Form, "{length}");
    }
    for at in 0..HEAD {
        let mut later = sealed.clone();
        later[at] += 1;
        assert_eq!(keys.open(&name, &later).unwrap_err(), Closed::Form);
    }
    assert_eq!(format!("{keys:?}"), "AnswerKeys");
}

#[test]
fn a_name_is_its_tenants_own() {
    let name = keys(1, 1).name(b"GET /person");
    assert_eq!(name, keys(1, 1).name(b"GET /person"));
    assert_ne!(name, keys(1, 1).name(b"GET /persons"));
    assert_ne!(name, keys(1, 2).name(b"GET /person"), "the key is the same, the tenant is not");
    assert_ne!(name, keys(2, 1).name(b"GET /person"), "the key is another");
}

proptest! {
    #[test]
    fn an_answer_opens_for_its_request_and_tenant_alone(
        secret: [u8; 32], other: [u8; 32], tenant: u128, stranger: u128, request: Vec<u8>, another: Vec<u8>,
        plain in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        prop_assume!(secret != other && tenant != stranger && request != another);
        let ours = AnswerKeys::new(&secret, Uuid::from_u128(tenant));
        let name = ours.name(&request);
        let sealed = ours.seal(&name, &plain);
        prop_assert_eq!(sealed.len(), plain.len() + ANSWER_OVERHEAD);
        prop_assert_eq!(ours.open(&name, &sealed).unwrap(), plain.clone());
        prop_assert_ne!(ours.seal(&name, &plain), sealed.clone());
        // Under another name, by another tenant with the same key, with another key: also when the name is its own.
        prop_assert_eq!(ours.open(&ours.name(&another), &sealed).unwrap_err(), Closed::Elsewhere);
        for theirs in [
            AnswerKeys::new(&secret, Uuid::from_u128(stranger)),
            AnswerKeys::new(&other, Uuid::from_u128(tenant)),
        ] {
            prop_assert_eq!(theirs.open(&name, &sealed).unwrap_err(), Closed::Elsewhere);
            prop_assert_eq!(theirs.open(&theirs.name(&request), &sealed).unwrap_err(), Closed::Elsewhere);
        }
    }

    #[test]
    fn what_was_changed_does_not_open(
        plain in proptest::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8u32
    ) {
        let keys = keys(7, 1);
        let name = keys.name(b"x");
        let mut sealed = keys.seal(&name, &plain);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(keys.open(&name, &sealed).is_err());
    }
}
