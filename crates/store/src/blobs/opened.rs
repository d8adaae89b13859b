//! Opening the keys of blobs: each is wrapped by its tenant's key, or by one of the person whose it is.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{BLOB_KEY, TenantKey};
use crate::{
    error::Error,
    key::unhex,
    keystore::Key,
    personal::Keys,
    row::Row,
    seal::{Class, wrap},
    store::{Store, Tenant},
};

/// Which key of which person a blob's is wrapped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct By {
    pub(crate) person: Uuid,
    pub(crate) class: Class,
    pub(crate) generation: u8,
}

/// The wrapped key of a blob, as it is noted.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) blob: Uuid,
    /// Empty of whoever was erased before it was wrapped by their key.
    pub(crate) wrapped: Vec<u8>,
    /// None for the tenant's.
    pub(crate) by: Option<By>,
}

/// What became of one.
pub(crate) enum Opened {
    Key(Key),
    /// The key that it is wrapped by is destroyed, or is to be.
    Erased,
    /// It was changed, or put in the place of another; or a key has changed between two questions.
    Closed,
}

impl Opened {
    pub(crate) fn key(self) -> Option<Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Erased | Self::Closed => None,
        }
    }
}

/// The class of keys that has this number in the database.
fn class_numbered(number: i64) -> Option<Class> {
    [Class::Ordinary, Class::Kept].into_iter().find(|class| i64::from(class.number()) == number)
}

impl Noted {
    /// Of a row that begins with `id`, `sealed`, `key_subject`, `key_class` and `key_gen`.
    pub(crate) fn read(row: &Row) -> Self {
        Self::at(row, 2)
    }

    /// Of a row in which the generation of the tenant's key comes between.
    pub(crate) fn read_exported(row: &Row) -> Self {
        Self::at(row, 3)
    }

    fn at(row: &Row, at: usize) -> Self {
        let by = || {
            Some(By {
                person: row.text(at)?.parse().ok()?,
                class: class_numbered(row.int(at + 1)?)?,
                generation: row.int(at + 2)?.try_into().ok()?,
            })
        };
        let wrapped = row.text(1).and_then(unhex).unwrap_or_default();
        Self {
            blob: row.text(0).and_then(|id| id.parse().ok()).unwrap_or_default(),
            wrapped,
            by: by(),
        }
    }

    fn open(&self, tenant: Uuid, by_tenant: &TenantKey, people: &Keys) -> Opened {
        if self.wrapped.is_empty() {
            return Opened::Erased;
        }
        let key = match self.by {
            None => {
                let purpose = [BLOB_KEY, tenant.as_bytes(), self.blob.as_bytes()];
                by_tenant.unwrap(&purpose, &self.wrapped)
            }
            Some(By { person, class, generation }) => {
                match people.one(&person, (class, generation)) {
                    Some(key) => key.unwrap_blob((tenant, person, self.blob), &self.wrapped),
                    None => return Opened::Erased,
                }
            }
        };
        key.map_or(Opened::Closed, Opened::Key)
    }
}

/// The key of a blob under its tenant's.
pub(super) fn wrap_for_tenant(by: &TenantKey, tenant: Uuid, blob: Uuid, key: &Key) -> Vec<u8> {
    wrap::wrap(&by.key, &[BLOB_KEY, tenant.as_bytes(), blob.as_bytes()], key)
}

impl Store {
    /// The keys of a tenant's blobs, in their order. What does not open with the keys that are kept is tried once more with those
    /// that there are now.
    pub(super) async fn open_blob_keys(
        &self,
        tenant: &Tenant,
        noted: &[Noted],
    ) -> Result<Vec<Opened>, Error> {
        let people: BTreeSet<Uuid> =
            noted.iter().filter_map(|noted| noted.by.map(|by| by.person)).collect();
        let open = async || {
            let keys = self.keys_to_open(tenant, &people).await?;
            let by_tenant = self.tenant_key(tenant).await?;
            let open = |noted: &Noted| noted.open(tenant.id(), &by_tenant, &keys);
            Ok::<_, Error>(noted.iter().map(open).collect::<Vec<_>>())
        };
        let opened = open().await?;
        let shut = noted.iter().zip(&opened).filter(|(noted, opened)| {
            !noted.wrapped.is_empty() && !matches!(opened, Opened::Key(_))
        });
        let mut is_old = false;
        for (noted, opened) in shut {
            is_old = true;
            if matches!(opened, Opened::Closed) {
                self.0.ring.forget(tenant.id());
            }
            if let Some(by) = noted.by {
                self.forget_keys(tenant, by.person);
            }
        }
        if is_old { open().await } else { Ok(opened) }
    }
}
