//! What a model says of personal data: which fields are, whose they are, how they are found again, and what becomes of
//! rows when a person is erased.

use super::{Entity, Field, Kind, Scalar, Span, Vector};
use crate::names::Name;

/// A class of personal data, `[personal.…]`: what the register of processing says of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// What it is kept for; a read opens it for this unless it says another purpose.
    pub purpose: String,
    /// On which ground: `consent`, `contract`, `duty`, `vital`, `public` or `interest`.
    pub basis: String,
    /// How long it is kept; `None` until the person is erased.
    pub retention: Option<Span>,
    /// The author's words about it.
    pub about: Option<String>,
    /// Where it comes from, if not from the person.
    pub source: Option<String>,
    /// Who else gets it.
    pub recipients: Vec<String>,
    /// What else its fields are opened for, where a request says so.
    pub purposes: Vec<String>,
}

/// What is said of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privacy {
    /// It is personal data.
    Personal(Personal),
    /// It is not, and why.
    Not(String),
}

/// Of a field that is personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal {
    /// Its class.
    pub class: Name,
    /// Whose data it is.
    pub whose: Whose,
    /// Whether it stays for a while when that person is erased, and so is sealed with a key of its own.
    pub kept: bool,
    /// How its sealed values are found again, if they are.
    pub lookup: Option<Lookup>,
    /// How its values are kept.
    pub stored: Stored,
}

/// How values of a field of personal data are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Sealed.
    Sealed,
    /// Sealed, and as they are in a table beside it that is in no WAL and no backup, in which they are searched. Vectors
    /// only.
    Derived,
    /// As they are, so that they can be searched, and why. Vectors only.
    Open(String),
}

/// Whose data a field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The row is the person.
    Itself,
    /// The person whom this reference of the row names; nobody while it is empty.
    Of(Name),
    /// No data subject of the model; it is sealed with the tenant's own key.
    Nobody,
}

/// How a value is made alike before it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// Without regard to case and to spaces around.
    Email,
    /// Digits with the country's code, whatever stands between them.
    Phone,
    /// Without regard to case, to spaces around and to how many stand between words.
    Folded,
    /// As it is.
    Exact,
}

/// What becomes of a row when the person it refers to is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnErase {
    /// It is deleted.
    Delete,
    /// What is that person's in it is emptied; it goes on referring to them, of whom only the id is left.
    Blank,
    /// The same, and the reference is emptied.
    Unlink,
    /// It stays for a while.
    Keep(Keep),
}

/// Why and how long a row outlives the erasure of its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The duty.
    pub why: String,
    /// How long after the erasure.
    pub span: Span,
}

impl Privacy {
    /// The reference that says whose it is.
    pub(crate) fn reference_mut(&mut self) -> Option<&mut Name> {
        match self {
            Self::Personal(Personal { whose: Whose::Of(reference), .. }) => Some(reference),
            _ => None,
        }
    }
}

impl Field {
    /// What is said of it, if it is personal data whose values are sealed before PostgreSQL sees them. Blobs are sealed in
    /// their own way.
    #[must_use]
    pub fn sealed(&self) -> Option<&Personal> {
        match (&self.privacy, &self.kind) {
            (
                Some(Privacy::Personal(personal)),
                Kind::Scalar(_) | Kind::Array(_) | Kind::Enum(_) | Kind::Vector(_),
            ) => Some(personal)
                .filter(|personal| matches!(personal.stored, Stored::Sealed | Stored::Derived)),
            _ => None,
        }
    }

    /// Its vector, if it is sealed and searched in a copy beside its table.
    #[must_use]
    pub fn copied(&self) -> Option<&Vector> {
        match (&self.kind, self.sealed()?) {
            (Kind::Vector(vector), Personal { stored: Stored::Derived, .. }) => Some(vector),
            _ => None,
        }
    }

    /// Why it holds personal data in the open, if it does: it is a vector that is to be searched.
    #[must_use]
    pub fn open_why(&self) -> Option<&str> {
        match &self.privacy {
            Some(Privacy::Personal(Personal { stored: Stored::Open(why), .. })) => Some(why),
            _ => None,
        }
    }

    /// What is said of it, if it is personal data, a blob or not.
    #[must_use]
    pub fn personal(&self) -> Option<&Personal> {
        match &self.privacy {
            Some(Privacy::Personal(personal)) => Some(personal),
            _ => None,
        }
    }

    /// How its sealed values are found again.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        self.sealed().and_then(|personal| personal.lookup)
    }

    /// PostgreSQL's type of its column.
    #[must_use]
    pub fn sql_type(&self) -> String {
        match self.sealed() {
            Some(_) => Scalar::Bytea.sql_type(),
            None => self.kind.sql_type(),
        }
    }

    /// The column by which its values are found and told apart.
    pub(crate) fn key_column(&self) -> String {
        if self.lookup().is_some() { lookup_column(&self.name) } else { self.name.to_string() }
    }
}

/// The hidden column that holds the blind index of a sealed field.
#[must_use]
pub fn lookup_column(field: &str) -> String {
    format!("{field}~lookup")
}

impl Entity {
    /// Its fields whose values are sealed.
    pub fn sealed_fields(&self) -> impl Iterator<Item = (&Field, &Personal)> {
        self.fields.iter().filter_map(|field| Some((field, field.sealed()?)))
    }

    /// Its vectors that are searched in a copy.
    pub fn copied_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.copied().is_some())
    }

    /// Its blobs that are somebody's personal data: their keys are wrapped by that person's.
    pub fn personal_blobs(&self) -> impl Iterator<Item = (&Field, &Personal)> {
        let blobs = self.fields.iter().filter(|field| matches!(field.kind, Kind::Blob(_)));
        let personal = blobs.filter_map(|field| Some((field, field.personal()?)));
        personal.filter(|(_, personal)| personal.whose != Whose::Nobody)
    }

    /// The entity whose rows are the people whose its data are by this; none if it is nobody's.
    #[must_use]
    pub fn people_of<'m>(&'m self, whose: &Whose) -> Option<&'m Name> {
        match whose {
            Whose::Itself => Some(&self.name),
            Whose::Of(reference) => match &self.field(reference)?.kind {
                Kind::Ref(to) => Some(&to.entity),
                _ => None,
            },
            Whose::Nobody => None,
        }
    }

    /// The references by which it is said whose its sealed fields and its blobs are, each once.
    #[must_use]
    pub fn owners(&self) -> Vec<&Name> {
        let mut owners: Vec<&Name> = Vec::new();
        for (_, personal) in self.sealed_fields().chain(self.personal_blobs()) {
            if let Whose::Of(reference) = &personal.whose
                && !owners.contains(&reference)
            {
                owners.push(reference);
            }
        }
        owners
    }
}

impl Lookup {
    /// The names in a model file.
    pub const NAMES: [&'static str; 4] = ["email", "phone", "folded", "exact"];

    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Email, Self::Phone, Self::Folded, Self::Exact];
        Self::NAMES.iter().position(|known| *known == name).map(|at| all[at])
    }

    /// The value as it is looked up: values that are the same to a person come out the same.
    ///
    /// # Errors
    /// What the value is not.
    pub fn normalise(self, value: &str) -> Result<String, &'static str> {
        let value = value.trim();
        match self {
            Self::Exact => Ok(value.to_owned()),
            Self::Folded => {
                Ok(value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
            }
            Self::Email => match value.split_once('@') {
                Some((name, host)) if !name.is_empty() && host.contains(|c: char| c != '@') => {
                    Ok(value.to_lowercase())
                }
                _ => Err("is not an e-mail address"),
            },
            Self::Phone => {
                let plain = value.replace([' ', '-', '.', '/', '(', ')', '\u{a0}'], "");
                let digits = plain.strip_prefix('+').or_else(|| plain.strip_prefix("00"));
                let digits = digits.unwrap_or_default();
                let fits = (7..=15).contains(&digits.len())
                    && digits.bytes().all(|digit| digit.is_ascii_digit());
                if fits {
                    Ok(format!("+{digits}"))
                } else {
                    Err("is not a phone number with its country's code")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_to_a_person_is_looked_up_alike() {
        let email = |text: &str| Lookup::Email.normalise(text);
        assert_eq!(email(" Ada@Example.ORG "), email("ada@example.org"));
        assert!(email("ada").is_err() && email("@x").is_err() && email("a@").is_err());
        let phone = |text: &str| Lookup::Phone.normalise(text);
        assert_eq!(phone("+44 (20) 7946-0000").as_deref(), Ok("+442079460000"));
        assert_eq!(phone("0044 20 7946 0000"), phone("+442079460000"));
        assert!(phone("020 7946 0000").is_err() && phone("+12a45678").is_err());
        assert_eq!(Lookup::Folded.normalise(" Ada  LOVELACE").as_deref(), Ok("ada lovelace"));
        assert_eq!(Lookup::Exact.normalise("Ada").as_deref(), Ok("Ada"));
    }

    #[test]
    fn any_purpose_is_taken_until_a_class_says_which_there_are() {
        let model = |purposes: &str| {
            let class = "basis = \"contract\"\nretention = \"until erased\"\n";
            let text = format!(
                "[model]\nname = \"m\"\n[personal.a]\npurpose = \"account\"\n{class}{purposes}\n\
                 [personal.b]\npurpose = \"health\"\n{class}[entity.person]\nsubject = true\n\
                 [entity.person.field]\nx = {{ type = \"text\", personal = \"a\" }}\ny = {{ type = \"text\", personal = \"b\" }}\n"
            );
            crate::declare::read(&text).map(|checked| checked.model).expect("a model")
        };
        let open = model("");
        assert!(open.allows_purpose("whatever") && open.allows_purpose("account"));
        let closed = model("purposes = [\"support\"]");
        for (purpose, allowed) in
            [("support", true), ("account", true), ("health", true), ("whatever", false)]
        {
            assert_eq!(closed.allows_purpose(purpose), allowed, "{purpose}");
        }
    }
}
