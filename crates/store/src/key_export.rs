//! All wrapped keys of a database in one file. With the keystore they open what an older backup of the rows holds, but of
//! whoever was erased before the file was written.
//!
//! ```text
//! freehold key export 1
//! installation UUID
//! tenant UUID FOLDER GENERATION EPOCH SPENT WRAPPED [EPOCH WRAPPED of the generation before]
//! person UUID CLASS GENERATION STATE TENANT-KEY'S-GENERATION WRAPPED      of the tenant above
//! blob UUID TENANT-KEY'S-GENERATION WRAPPED [PERSON CLASS GENERATION of the key that wraps it]      of the tenant above
//! end SHA256                                                              of all before
//! ```

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use crate::{
    blobs::{BLOB_KEY, Noted, TenantKey, epoch_in},
    error::Error,
    key::unhex,
    keystore::durable,
    personal::{parts, purpose},
    row::Row,
    seal::{Hash, SubjectKey},
    store::Store,
};

const HEAD: &str = "freehold key export 1";
const DOING: &str = "exporting keys";

/// Keys asked for at once.
const PAGE: &str = "5000";

/// The keys of one tenant in an export, wrapped.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExportedTenant {
    /// Id, folder, generation, epoch, whether spent, wrapped, and epoch and wrapped of the generation before.
    pub(crate) words: Vec<String>,
    /// Person, class, generation, state, generation of the tenant's key, wrapped.
    pub(crate) people: Vec<[String; 6]>,
    /// Blob, generation of the tenant's key, wrapped; then person, class and generation, empty where the tenant's key wraps it.
    pub(crate) blobs: Vec<[String; 6]>,
}

/// A file that is written beside and takes its place when it is whole.
struct Draft {
    file: BufWriter<fs::File>,
    hash: Hash,
    beside: PathBuf,
    path: PathBuf,
    keys: usize,
}

impl Draft {
    fn new(path: &Path) -> io::Result<Self> {
        let beside = path.with_extension(format!("new-{}", Uuid::new_v4().simple()));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let (file, hash) = (BufWriter::new(file), Hash::default());
        Ok(Self { file, hash, beside, path: path.to_owned(), keys: 0 })
    }

    fn line(&mut self, words: &[&str]) -> io::Result<()> {
        let mut line = words.join(" ");
        line.push('\n');
        self.hash.update(line.as_bytes());
        self.file.write_all(line.as_bytes())
    }

    fn take_place(self) -> io::Result<()> {
        let Self { mut file, hash, beside, path, .. } = self;
        writeln!(file, "end {}", hash.digits())?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(beside, &path)?;
        durable(&path)
    }
}

impl Store {
    /// Writes all wrapped keys to a file, for its owner alone, or to the one beside the keystore; every one of them was
    /// opened. Gives the number of keys.
    ///
    /// # Errors
    /// `Usage` if it cannot be written; a fault if a tenant's key does not open: then the file is as it was.
    pub async fn export_keys(&self, path: Option<&Path>) -> Result<usize, Error> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => self.keystore()?.folder("export"),
        };
        let unwritten = |error: io::Error| -> Error {
            Refusal::new(Code::Usage, format!("the export of keys cannot be written: {error}"))
                .detail(path.display().to_string())
                .into()
        };
        let mut draft = Draft::new(&path).map_err(unwritten)?;
        let beside = draft.beside.clone();
        let written = async {
            let id = self.keystore_state().await?.id.to_string();
            draft.line(&[HEAD]).map_err(unwritten)?;
            draft.line(&["installation", &id]).map_err(unwritten)?;
            let mut after = Uuid::nil().to_string();
            let text = "select tenant, folder, gen, epoch, wrapped, spent, old_epoch, old_wrapped from freehold.tenant_keys_all($1::text::uuid, $2::text::bigint)";
            loop {
                let rows = self.ask(DOING, text, &[Some(&after), Some(PAGE)]).await?;
                let Some(last) = rows.last() else { break };
                after = last.text(0).unwrap_or_default().to_owned();
                for row in &rows {
                    self.export_tenant(&mut draft, row).await?.map_err(unwritten)?;
                }
            }
            let keys = draft.keys;
            draft.take_place().map_err(unwritten)?;
            Ok(keys)
        };
        let written: Result<usize, Error> = Box::pin(written).await;
        if written.is_err() {
            // The error that counts is the first.
            let _ = fs::remove_file(beside);
        }
        written
    }

    async fn export_tenant(&self, draft: &mut Draft, row: &Row) -> Result<io::Result<()>, Error> {
        let word = |at: usize| row.text(at).unwrap_or_default();
        let tenant: Uuid = word(0).parse().unwrap_or_default();
        let open = |epoch: usize, at: usize| {
            self.0.ring.unwrap_tenant(epoch_in(row, epoch), tenant, word(at))
        };
        let old = row.text(7).map(|_| open(6, 7)).transpose()?;
        let generation = row.int(2).unwrap_or_default();
        let keys = TenantKey { folder: word(1).to_owned(), generation, key: open(3, 4)?, old };
        let (generation, epoch) = (generation.to_string(), epoch_in(row, 3).to_string());
        let spent = if row.bool(5) == Some(true) { "spent" } else { "good" };
        let old_epoch = epoch_in(row, 6).to_string();
        let mut words = vec!["tenant", word(0), word(1), &generation, &epoch, spent, word(4)];
        if row.text(7).is_some() {
            words.extend([&*old_epoch, word(7)]);
        }
        if let Err(error) = draft.line(&words) {
            return Ok(Err(error));
        }
        draft.keys += 1;
        let people = self.export_people(draft, tenant, &keys).await?;
        if people.is_err() {
            return Ok(people);
        }
        self.export_blobs(draft, tenant, &keys).await
    }

    async fn export_people(
        &self,
        draft: &mut Draft,
        tenant: Uuid,
        keys: &TenantKey,
    ) -> Result<io::Result<()>, Error> {
        let id = tenant.to_string();
        let text = "select subject, class, gen, wrapped, wrap_gen, state from freehold.subject_keys_all($1::text::uuid, $2::text::uuid, $3::text::bigint, $4::text::bigint, $5::text::bigint)";
        let mut after = (Uuid::nil().to_string(), "-1".to_owned(), "-1".to_owned());
        loop {
            let params =
                [Some(&*id), Some(&*after.0), Some(&*after.1), Some(&*after.2), Some(PAGE)];
            let rows = self.ask(DOING, text, &params).await?;
            if rows.is_empty() {
                return Ok(Ok(()));
            }
            for row in &rows {
                let number = |at: usize| row.int(at).unwrap_or_default().to_string();
                let word = |at: usize| row.text(at).unwrap_or_default();
                let person: Uuid = word(0).parse().unwrap_or_default();
                let class = row.int(1).and_then(|class| u8::try_from(class).ok());
                let purpose = purpose(tenant, &person, class.unwrap_or_default());
                noted_if_lost(keys, &parts(&purpose), word(3));
                let (class, generation, under) = (number(1), number(2), number(4));
                let words = ["person", word(0), &class, &generation, word(5), &under, word(3)];
                if let Err(error) = draft.line(&words) {
                    return Ok(Err(error));
                }
                after = (word(0).to_owned(), class, generation);
            }
            draft.keys += rows.len();
        }
    }

    async fn export_blobs(
        &self,
        draft: &mut Draft,
        tenant: Uuid,
        keys: &TenantKey,
    ) -> Result<io::Result<()>, Error> {
        let (id, mut after) = (tenant.to_string(), Uuid::nil().to_string());
        let text = "select id, wrapped, key_gen, subject, class, gen, subject_wrapped from freehold.blob_keys_all($1::text::uuid, $2::text::uuid, $3::text::bigint)";
        loop {
            let rows = self.ask(DOING, text, &[Some(&id), Some(&after), Some(PAGE)]).await?;
            if rows.is_empty() {
                return Ok(Ok(()));
            }
            for row in &rows {
                let word = |at: usize| row.text(at).unwrap_or_default();
                // Of whoever was erased before it was wrapped by their key.
                let wrapped = if word(1).is_empty() { "-" } else { word(1) };
                let number = |at: usize| row.int(at).unwrap_or_default().to_string();
                let (under, class, generation) = (number(2), number(4), number(5));
                let mut words = vec!["blob", word(0), &*under, wrapped];
                if row.text(3).is_some() {
                    words.extend([word(3), &*class, &*generation]);
                }
                note_blob_if_lost(keys, tenant, row);
                if let Err(error) = draft.line(&words) {
                    return Ok(Err(error));
                }
                word(0).clone_into(&mut after);
            }
            draft.keys += rows.len();
        }
    }

    /// Reads an export, tenant by tenant, once it is known to be whole and of this installation. Tenants whose key does not
    /// open with this keystore are left out, and counted.
    pub(crate) async fn read_export(
        &self,
        path: &Path,
    ) -> Result<(Vec<ExportedTenant>, usize), Error> {
        let id = self.keystore_state().await?.id;
        let mut tenants = read(path, id)?;
        let before = tenants.len();
        tenants.retain(|tenant| {
            let word = |at: usize| tenant.words.get(at).map(String::as_str).unwrap_or_default();
            let (id, epoch) = (word(0).parse().unwrap_or_default(), word(3).parse());
            epoch.is_ok_and(|epoch| self.0.ring.unwrap_tenant(epoch, id, word(5)).is_ok())
        });
        let left = before - tenants.len();
        Ok((tenants, left))
    }
}

fn noted_if_lost(keys: &TenantKey, purpose: &[&[u8]], wrapped: &str) {
    if unhex(wrapped).and_then(|wrapped| keys.unwrap(purpose, &wrapped)).is_none() {
        tracing::error!("a wrapped key opens with no key of its tenant; it is exported as it is");
    }
}

fn note_blob_if_lost(keys: &TenantKey, tenant: Uuid, row: &Row) {
    let noted = Noted::read_exported(row);
    let opened = match noted.by {
        None => {
            let purpose = [BLOB_KEY, tenant.as_bytes(), noted.blob.as_bytes()];
            keys.unwrap(&purpose, &noted.wrapped)
        }
        Some(by) => {
            let purpose = purpose(tenant, &by.person, by.class.number());
            let wrapped = row.text(6).and_then(unhex).unwrap_or_default();
            let key = keys.unwrap(&parts(&purpose), &wrapped);
            let key = key.map(|key| SubjectKey::new(&key, by.class, by.generation));
            key.and_then(|key| key.unwrap_blob((tenant, by.person, noted.blob), &noted.wrapped))
        }
    };
    // What has no key any more is erased, not lost.
    let erased = noted.wrapped.is_empty() || noted.by.is_some() && row.text(6).is_none();
    if opened.is_none() && !erased {
        tracing::error!("a blob's key does not open; it is exported as it is");
    }
}

fn read(path: &Path, id: Uuid) -> Result<Vec<ExportedTenant>, Refusal> {
    let refuse = |why: String| Refusal::new(Code::Usage, why).detail(path.display().to_string());
    let damaged = || {
        refuse("the export of keys is damaged or cut".into()).hint(
            "take another copy of it, or the one beside the keystore: `freehold keys import` without a file",
        )
    };
    let file = fs::File::open(path)
        .map_err(|error| refuse(format!("the export of keys cannot be read: {}", error.kind())))?;
    let mut hash = Hash::default();
    let mut tenants: Vec<ExportedTenant> = Vec::new();
    let (mut number, mut ended) = (0, None);
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|_| damaged())?;
        if ended.is_some() {
            return Err(damaged());
        }
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (kind, rest) = words.split_first().ok_or_else(damaged)?;
        match (number, kind.as_str()) {
            (0, _) if line == HEAD => {}
            (1, "installation") if rest == [id.to_string()] => {}
            (1, "installation") => {
                return Err(refuse("the export of keys is another database's".into()));
            }
            (2.., "tenant") if rest.len() == 6 || rest.len() == 8 => {
                tenants.push(ExportedTenant { words: rest.to_vec(), ..Default::default() });
            }
            (2.., "end") => ended = rest.first().cloned(),
            _ => {
                let tenant = tenants.last_mut().ok_or_else(damaged)?;
                let rest = rest.to_vec();
                match kind.as_str() {
                    "person" => tenant.people.push(rest.try_into().map_err(|_| damaged())?),
                    "blob" if rest.len() == 3 || rest.len() == 6 => {
                        let mut rest = rest;
                        rest.resize(6, String::new());
                        tenant.blobs.push(rest.try_into().map_err(|_| damaged())?);
                    }
                    _ => return Err(damaged()),
                }
            }
        }
        if ended.is_none() {
            let mut whole = line;
            whole.write_char('\n').map_err(|_| damaged())?;
            hash.update(whole.as_bytes());
        }
        number += 1;
    }
    (ended == Some(hash.digits())).then_some(tenants).ok_or_else(damaged)
}
