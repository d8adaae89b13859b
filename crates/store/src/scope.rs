//! What of a tenant a key is for: relations, and functions by name. The servers hold keys to it, PostgreSQL does not.

use freehold_model::{Code, Refusal};

/// Most relations and functions of one key.
pub const SCOPE_MAX: usize = 100;

/// What is done with a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its rows are read.
    Read,
    /// Its rows are made, changed or deleted.
    Write,
    /// It is a function, and called.
    Call,
}

/// The relations and functions that a key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Reads what somebody lists: `commit` to read and write it as far as the role allows, `person:read` to read it only,
    /// `rpc/match` to call that function.
    ///
    /// # Errors
    /// `Usage` for an empty list, one of more than [`SCOPE_MAX`] or an entry that cannot be one.
    pub fn read<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Refusal> {
        let refuse = |what: String| {
            Refusal::new(Code::Usage, "this does not say what a key is for")
                .detail(what)
                .hint("relations such as commit or person:read, and functions such as rpc/match")
        };
        let mut scope = Self(Vec::new());
        for entry in entries.into_iter().map(str::trim) {
            let name = entry.strip_prefix("rpc/").or(entry.strip_suffix(":read")).unwrap_or(entry);
            let plain = |c: char| !c.is_control() && !",:/\"\\{}".contains(c);
            if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
                return Err(refuse(format!("`{}`", entry.chars().take(80).collect::<String>())));
            }
            if !scope.0.iter().any(|other| other == entry) {
                scope.0.push(entry.to_owned());
            }
        }
        match scope.0.len() {
            1..=SCOPE_MAX => Ok(scope),
            many => Err(refuse(format!("{many} entries, from 1 to {SCOPE_MAX}"))),
        }
    }

    /// As it is recorded. What is recorded was read before; whatever cannot be read is no leave for anything.
    pub(crate) fn recorded(text: &str) -> Self {
        Self(text.split(',').map(str::to_owned).collect())
    }

    /// As it is recorded.
    pub(crate) fn text(&self) -> String {
        self.0.join(",")
    }

    /// As it was listed.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.0
    }

    /// Whether it holds this.
    #[must_use]
    pub fn holds(&self, name: &str, access: Access) -> bool {
        self.0.iter().any(|entry| {
            if let Some(function) = entry.strip_prefix("rpc/") {
                return access == Access::Call && function == name;
            }
            match entry.strip_suffix(":read") {
                Some(relation) => access == Access::Read && relation == name,
                None => access != Access::Call && entry == name,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_holds_what_it_lists_and_no_more() {
        let scope = Scope::read(["commit", "person:read", " rpc/match ", "commit"]).unwrap();
        assert_eq!(scope.entries(), ["commit", "person:read", "rpc/match"]);
        assert_eq!(Scope::recorded(&scope.text()), scope);
        for (name, access, held) in [
            ("commit", Access::Read, true),
            ("commit", Access::Write, true),
            ("commit", Access::Call, false),
            ("person", Access::Read, true),
            ("person", Access::Write, false),
            ("person:read", Access::Write, false),
            ("match", Access::Call, true),
            ("match", Access::Read, false),
            ("rpc/match", Access::Read, false),
            ("other", Access::Read, false),
            ("", Access::Read, false),
        ] {
            assert_eq!(scope.holds(name, access), held, "{name} {access:?}");
        }
        for bad in ["", "a,b", "rpc/", ":read", "a:write", "rpc/a/b", "a\nb", "{a}"] {
            assert!(Scope::read([bad]).is_err(), "{bad}");
        }
        assert!(Scope::read([]).is_err());
    }
}
