//! Keys of blobs under the keys of the people whose they are.
//!
//! A person's key seals values. What wraps the keys of their blobs is HKDF-SHA256 of the same secret (salt "freehold subject 1"; info
//! "blob keys", class, generation), so neither does the other's work. It wraps for the tenant, the blob, the person, class and generation:
//! one that was put in the place of another does not open. The form is that of every wrapped key.

use aws_lc_rs::hkdf;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    value::{Class, SubjectKey},
    wrap,
};

const PURPOSE: &[u8] = b"blob key of a person";

pub(super) fn wrapping(secret: &[u8; 32], class: Class, generation: u8) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"freehold subject 1")
        .extract(secret)
        .expand(&[b"blob keys", &[class.number(), generation]], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *bytes))
        .expect("32 bytes are within HKDF's bounds");
    bytes
}

impl SubjectKey {
    /// The key of a blob of this person, wrapped.
    pub(crate) fn wrap_blob(
        &self,
        (tenant, person, blob): (Uuid, Uuid, Uuid),
        key: &[u8; 32],
    ) -> Vec<u8> {
        let which = [self.class().number(), self.generation()];
        let purpose = [PURPOSE, tenant.as_bytes(), blob.as_bytes(), person.as_bytes(), &which];
        wrap::wrap(&self.wraps, &purpose, key)
    }

    /// The same, open; none if it was wrapped for another tenant, person or blob, by another key, or was changed.
    pub(crate) fn unwrap_blob(
        &self,
        (tenant, person, blob): (Uuid, Uuid, Uuid),
        wrapped: &[u8],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let which = [self.class().number(), self.generation()];
        let purpose = [PURPOSE, tenant.as_bytes(), blob.as_bytes(), person.as_bytes(), &which];
        wrap::unwrap(&self.wraps, &purpose, wrapped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(kept: bool) -> Class {
        if kept { Class::Kept } else { Class::Ordinary }
    }

    type Place = (u8, bool, u8, u8, u8, u8);

    fn key(place: Place) -> SubjectKey {
        SubjectKey::new(&[place.0; 32], class(place.1), place.2)
    }

    fn of(place: Place) -> (Uuid, Uuid, Uuid) {
        let id = |n: u8| Uuid::from_u128(u128::from(n));
        (id(place.3), id(place.4), id(place.5))
    }

    proptest! {
        #[test]
        fn a_blobs_key_opens_in_its_place_alone(
            made in (0..2_u8, any::<bool>(), 0..2_u8, 0..2_u8, 0..2_u8, 0..2_u8),
            asked in (0..2_u8, any::<bool>(), 0..2_u8, 0..2_u8, 0..2_u8, 0..2_u8),
            secret in any::<[u8; 32]>(),
            bit in 0..94_usize * 8,
        ) {
            let wrapped = key(made).wrap_blob(of(made), &secret);
            let opened = key(asked).unwrap_blob(of(asked), &wrapped);
            if made == asked {
                prop_assert_eq!(opened.as_deref(), Some(&secret));
            } else {
                prop_assert_eq!(opened, None);
            }
            let mut changed = wrapped.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(key(made).unwrap_blob(of(made), &changed), None);
        }
    }

    #[test]
    fn what_wraps_is_not_what_seals() {
        let secret = [7; 32];
        let wraps = wrapping(&secret, Class::Ordinary, 0);
        assert_ne!(*wraps, secret);
        assert_ne!(wraps, wrapping(&secret, Class::Kept, 0));
        assert_ne!(wraps, wrapping(&secret, Class::Ordinary, 1));
        let place = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let wrapped = SubjectKey::new(&secret, Class::Ordinary, 0).wrap_blob(place, &[9; 32]);
        let tenants = [crate::blobs::BLOB_KEY, place.0.as_bytes(), place.2.as_bytes()];
        assert_eq!(wrap::unwrap(&secret, &tenants, &wrapped), None);
    }
}
