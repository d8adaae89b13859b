//! Reports are signed, so that one that is shown to somebody is known to come from this installation.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::key::{RootKey, hex, unhex};

/// A signature, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Ed25519, 32 bytes. The same for every report under one root key.
    pub public_key: String,
    /// 64 bytes.
    pub signature: String,
}

/// Signs with a key derived from the root key.
///
/// # Panics
/// Never: any 32 bytes are an Ed25519 key.
#[must_use]
pub fn sign(root: &RootKey, bytes: &[u8]) -> Signed {
    sign_with(&root.report_key(), bytes)
}

/// Signs with the key of this seed.
pub(crate) fn sign_with(seed: &[u8; 32], bytes: &[u8]) -> Signed {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed");
    Signed {
        public_key: hex(pair.public_key().as_ref()),
        signature: hex(pair.sign(bytes).as_ref()),
    }
}

/// Whether the holder of that key signed these bytes.
#[must_use]
pub fn verify(signed: &Signed, bytes: &[u8]) -> bool {
    let (Some(key), Some(signature)) = (unhex(&signed.public_key), unhex(&signed.signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_its_bytes_and_its_key_alone() {
        let (one, other) =
            (sign(&RootKey::new([1; 32]), b"a report"), sign(&RootKey::new([2; 32]), b"a report"));
        assert!(verify(&one, b"a report"));
        assert!(!verify(&one, b"a retort"));
        assert!(!verify(
            &Signed { signature: other.signature.clone(), ..one.clone() },
            b"a report"
        ));
        assert!(!verify(&Signed { public_key: other.public_key, ..one.clone() }, b"a report"));
        for public_key in ["", "zz", "abc", "00"] {
            let wrong = Signed { public_key: public_key.into(), ..one.clone() };
            assert!(!verify(&wrong, b"a report"), "{public_key}");
        }
    }
}
