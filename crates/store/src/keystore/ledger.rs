//! Whom has been erased, and what was receipted, kept beside the epoch keys: a database that is restored from a backup does
//! not know it any more.
//!
//! Each erasure is a file of its own, `ID.erased/ERASURE`, so that servers that share the folder need no lock:
//!
//! ```text
//! freehold erasure 1
//! tenant UUID
//! person UUID
//! entity NAME
//! mac 64 hexadecimal digits
//! ```
//!
//! A tenant that was deleted is `ID.tenants/TENANT`:
//!
//! ```text
//! freehold tenant 1
//! tenant UUID
//! mac 64 hexadecimal digits
//! ```
//!
//! A receipt is `ID.receipts/NUMBER`: its body, its hash and its signature, a line each.

use std::{fs, io, path::Path};

use aws_lc_rs::hmac;
use freehold_model::{Code, Refusal};
use uuid::Uuid;

use super::{Keystore, replace};
use crate::{
    erasure::Receipt,
    key::{hex, unhex},
};

const HEAD: &str = "freehold erasure 1";

const TENANT_HEAD: &str = "freehold tenant 1";

/// An erasure as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The erasure's id.
    pub id: Uuid,
    /// The tenant's id.
    pub tenant: Uuid,
    /// The entity whose rows are people.
    pub entity: String,
    /// The id of the person's row.
    pub person: Uuid,
}

impl Erased {
    fn text(&self) -> String {
        let Self { tenant, person, entity, .. } = self;
        format!("{HEAD}\ntenant {tenant}\nperson {person}\nentity {entity}\n")
    }

    fn mac(&self, key: &[u8; 32]) -> hmac::Context {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        mac.update(b"erased");
        mac.update(self.id.as_bytes());
        mac.update(self.text().as_bytes());
        mac
    }

    fn read(id: Uuid, text: &str, key: &[u8; 32]) -> Option<Self> {
        let mut lines = text.lines();
        let head = lines.next()? == HEAD;
        let mut next = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let erased = Self {
            id,
            tenant: next("tenant")?.parse().ok()?,
            person: next("person")?.parse().ok()?,
            entity: next("entity")?.to_owned(),
        };
        let mac = unhex(next("mac")?)?;
        let genuine = aws_lc_rs::constant_time::verify_slices_are_equal(
            erased.mac(key).sign().as_ref(),
            &mac,
        );
        (head && genuine.is_ok()).then_some(erased)
    }
}

impl Keystore {
    /// Notes an erasure, durably. Doing it again changes nothing.
    pub(crate) fn note_erased(&self, erased: &Erased, key: &[u8; 32]) -> Result<(), Refusal> {
        let mac = hex(erased.mac(key).sign().as_ref());
        let name = erased.id.to_string();
        self.put("erased", &name, &format!("{}mac {mac}\n", erased.text()))
    }

    /// The ids of all that were noted.
    pub(crate) fn erased_ids(&self) -> Result<Vec<Uuid>, Refusal> {
        let names = self.names("erased")?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// One that was noted.
    pub(crate) fn erased(&self, id: Uuid, key: &[u8; 32]) -> Result<Erased, Refusal> {
        let path = self.folder("erased").join(id.to_string());
        let text = fs::read_to_string(&path).map_err(|error| unread(&path, &error))?;
        Erased::read(id, &text, key).ok_or_else(|| {
            Refusal::new(Code::Usage, "an erasure in the ledger is damaged or somebody else's")
                .detail(path.display().to_string())
        })
    }

    /// Notes that a tenant is deleted, durably. Doing it again changes nothing.
    pub(crate) fn note_tenant(&self, tenant: Uuid, key: &[u8; 32]) -> Result<(), Refusal> {
        self.put("tenants", &tenant.to_string(), &tenant_text(tenant, key))
    }

    /// The tenants that were noted.
    ///
    /// # Errors
    /// `Usage` if the ledger cannot be read, or is not what was written.
    pub(crate) fn gone_tenants(&self, key: &[u8; 32]) -> Result<Vec<Uuid>, Refusal> {
        let mut gone = Vec::new();
        for name in self.names("tenants")? {
            let Ok(tenant) = name.parse::<Uuid>() else { continue };
            let path = self.folder("tenants").join(&name);
            let text = fs::read_to_string(&path).map_err(|error| unread(&path, &error))?;
            let wanted = tenant_text(tenant, key);
            aws_lc_rs::constant_time::verify_slices_are_equal(text.as_bytes(), wanted.as_bytes())
                .map_err(|_| {
                Refusal::new(Code::Usage, "a tenant in the ledger is damaged or somebody else's")
                    .detail(path.display().to_string())
            })?;
            gone.push(tenant);
        }
        Ok(gone)
    }

    /// Keeps a receipt.
    pub(crate) fn keep_receipt(&self, receipt: &Receipt) -> Result<(), Refusal> {
        let Receipt { number, body, hash, signature } = receipt;
        self.put("receipts", &number.to_string(), &format!("{body}\n{hash}\n{signature}\n"))
    }

    /// The numbers of the receipts that are kept, in order.
    pub(crate) fn receipt_numbers(&self) -> Result<Vec<i64>, Refusal> {
        let names = self.names("receipts")?;
        let mut numbers: Vec<i64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A receipt that is kept.
    pub(crate) fn kept_receipt(&self, number: i64) -> Result<Receipt, Refusal> {
        let path = self.folder("receipts").join(number.to_string());
        let text = fs::read_to_string(&path).map_err(|error| unread(&path, &error))?;
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        Ok(Receipt { number, body: next(), hash: next(), signature: next() })
    }

    fn put(&self, what: &str, name: &str, text: &str) -> Result<(), Refusal> {
        let folder = self.folder(what);
        let put = || {
            fs::create_dir_all(&folder)?;
            let path = folder.join(name);
            match path.exists() {
                true => Ok(()),
                false => replace(&path, text.as_bytes()),
            }
        };
        put().map_err(|error| self.unwritten(&error))
    }

    fn names(&self, what: &str) -> Result<Vec<String>, Refusal> {
        let folder = self.folder(what);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unread(&folder, &error)),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<_>>().map_err(|error| unread(&folder, &error))
    }
}

fn tenant_text(tenant: Uuid, key: &[u8; 32]) -> String {
    let text = format!("{TENANT_HEAD}\ntenant {tenant}\n");
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    mac.update(b"tenant");
    mac.update(text.as_bytes());
    format!("{text}mac {}\n", hex(mac.sign().as_ref()))
}

fn unread(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(Code::Usage, format!("the ledger cannot be read: {}", error.kind()))
        .detail(path.display().to_string())
}
