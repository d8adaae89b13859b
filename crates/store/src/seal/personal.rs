//! A value that is somebody's: it cannot be printed or written anywhere by accident.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Personal data in the open. It has no `Display` and no `Serialize`, its `Debug` says nothing, and it is wiped when it is
/// dropped; [`Personal::reveal`] is the only way to it.
pub struct Personal<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Personal<T> {
    /// Takes a value into care.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. Whoever asks for it answers for where it goes.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}
