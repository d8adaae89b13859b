//! The one secret of an installation, and what is derived from it.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use aws_lc_rs::{hkdf, rand};
use freehold_model::{Code, Refusal};
use zeroize::{Zeroize as _, Zeroizing};

/// 32 random bytes from which the token key and the password of `freehold_app` are derived. All databases of one
/// PostgreSQL server that Freehold uses share it, because they share the role.
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// The key in these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new random key.
    ///
    /// # Panics
    /// When the machine has no randomness.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut *bytes).expect("the system has randomness");
        Self(bytes)
    }

    /// Reads the 64 hexadecimal digits in `path`, which nobody but its owner may be able to read.
    ///
    /// # Errors
    /// `Usage` if the file is missing, open to others or holds something else.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let refuse =
            |what: String| Refusal::new(Code::Usage, what).detail(path.display().to_string());
        let file = fs::File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => refuse("there is no root key".into()).hint(format!(
                "if this server never had one: (umask 077; openssl rand -hex 32 > {})",
                path.display()
            )),
            kind => refuse(format!("the root key cannot be read: {kind}")),
        })?;
        let mode = file.metadata().map_err(|error| refuse(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(refuse("others can read the root key".into())
                .hint(format!("make it its owner's alone: chmod 600 {}", path.display())));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(4096)
            .read_to_string(&mut text)
            .map_err(|error| refuse(format!("the root key cannot be read: {}", error.kind())))?;
        Self::of_digits(&text)
            .ok_or_else(|| refuse("the root key is not 64 hexadecimal digits".into()))
    }

    /// The key that 64 hexadecimal digits say; white space behind them does not count.
    #[must_use]
    pub fn of_digits(text: &str) -> Option<Self> {
        let mut key = Self::new([0; 32]);
        let digits = text.trim_end().as_bytes();
        let whole = digits.len() == 64
            && digits.chunks_exact(2).zip(key.0.iter_mut()).all(|(pair, byte)| {
                let digit =
                    |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(pair[0]).zip(digit(pair[1])).is_some_and(|(high, low)| {
                    *byte = high << 4 | low;
                    true
                })
            });
        whole.then_some(key)
    }

    /// Reads the key in `path`, or writes a new one there, for its owner alone. Of two processes that do so at once,
    /// both get the same key.
    ///
    /// # Errors
    /// As [`Self::read`]; `Usage` if the file cannot be written.
    pub fn read_or_create(path: &Path) -> Result<Self, Refusal> {
        let key = Self::random();
        match key.write_new(path) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(Refusal::new(
                Code::Usage,
                format!("the root key cannot be written: {}", error.kind()),
            )
            .detail(path.display().to_string())),
        }
    }

    /// Puts the file of a new root key in the place of the old one's, which is overwritten. Nothing is done if the new one's
    /// is not there any more.
    ///
    /// # Errors
    /// `Usage` if it cannot be moved.
    pub fn take_place(new: &Path, old: &Path) -> Result<(), Refusal> {
        crate::keystore::take_place(new, old).map_err(|error| {
            Refusal::new(Code::Usage, format!("the new root key cannot take its place: {error}"))
                .detail(format!("{} to {}", new.display(), old.display()))
        })
    }

    /// Whether it is the same key.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }

    // Written beside and linked into place, so that nobody ever reads half a key.
    fn write_new(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            let mut digits = hex(&*self.0);
            digits.push('\n');
            file.write_all(digits.as_bytes())?;
            digits.zeroize();
            file.sync_all()?;
            fs::hard_link(&beside, path)
        })();
        let removed = fs::remove_file(&beside);
        written.and(removed)
    }

    pub(crate) fn token_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"freehold token")
    }

    /// By which positions are sealed: whoever holds one learns nothing from it.
    pub(crate) fn position_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"freehold position")
    }

    /// The password of one of the logins.
    pub(crate) fn password(&self, role: &str) -> Zeroizing<String> {
        Zeroizing::new(hex(&*self.derive(format!("{role} password").as_bytes())))
    }

    /// The seed of the key that signs reports of `freehold prove`.
    pub(crate) fn report_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"freehold report")
    }

    /// Wraps the tenants' keys.
    pub(crate) fn tenants_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"freehold tenant keys")
    }

    /// Wraps what is in the keystore.
    pub(crate) fn epochs_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"freehold epoch keys")
    }

    /// Seals the tokens of signed URLs.
    pub(crate) fn url_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"freehold signed urls")
    }

    /// Tells keys apart without saying anything about them.
    pub(crate) fn fingerprint(&self) -> String {
        hex(&self.derive(b"freehold fingerprint")[..8])
    }

    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"freehold root key 1")
            .extract(&*self.0)
            .expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *bytes))
            .expect("32 bytes are within HKDF's bounds");
        bytes
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey")
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |four: u8| DIGITS[usize::from(four)];
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text
}

/// The bytes that hexadecimal digits stand for; `None` of anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_is_read_again_and_is_its_owners_alone() {
        let folder = std::env::temp_dir().join(format!("freehold-key-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("root.key");
        let made = RootKey::read_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootKey::read_or_create(&path).unwrap().fingerprint(), made.fingerprint());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(RootKey::read(&path).unwrap_err().hint.unwrap().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "zz").unwrap();
        assert_eq!(RootKey::read(&path).unwrap_err().code, Code::Usage);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_derived_differs_by_purpose_and_by_key() {
        let (a, b) = (RootKey::new([1; 32]), RootKey::new([2; 32]));
        assert_ne!(hex(&*a.token_key()), *a.password("freehold_app"));
        assert_ne!(*a.password("freehold_control"), *a.password("freehold_app"));
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.fingerprint(), RootKey::new([1; 32]).fingerprint());
    }
}
