//! Objects of a bucket as what they are: blobs of rows. Whatever is done to one is a write to its row.

use freehold_model::{Name, entity::Whose, mutate::Resolution};
use freehold_store::{Access, Tenant};
use serde_json::json;
use uuid::Uuid;

use super::{Bucket, Put, Stored, no_such_blob};
use crate::{
    Engine,
    error::{Code, Error, Refusal},
    write::{Operation, Verb},
};

/// An object by its bucket and its path there.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its bucket.
    pub bucket: &'a Bucket,
    /// Its path: the value of the field that names the bucket's objects, or the row's id.
    pub path: &'a str,
}

/// What may be at the path already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Create,
    /// Something that is replaced.
    Replace,
    /// Either.
    Upsert,
}

impl Engine {
    /// Whether an upload to this place would be taken as it looks now, before bytes are sent for nothing.
    ///
    /// # Errors
    /// `Conflict`, `NoSuchBlob`.
    pub async fn may_store(
        &self,
        tenant: &Tenant,
        object: Object<'_>,
        mode: Mode,
    ) -> Result<(), Error> {
        self.snapshot().permit(tenant, &object.bucket.entity, Access::Write)?;
        let found = self.find_row(tenant, object.bucket, object.path).await?;
        let row = found.is_some();
        let blob = found.is_some_and(|found| found.blob.is_some());
        let missing = if object.bucket.makes_rows() { mode == Mode::Replace && !row } else { !row };
        if missing || mode == Mode::Replace && !blob {
            return Err(no_such_blob(object.path).into());
        }
        if mode == Mode::Create && (blob || row && object.bucket.makes_rows()) {
            return Err(taken(object.path).into());
        }
        Ok(())
    }

    /// Gives an upload to the row at this place, which is made if the bucket makes rows. If that fails the upload is given
    /// up.
    ///
    /// # Errors
    /// `Conflict`, `NoSuchBlob`, and whatever the write of a row is refused for.
    pub async fn take_blob(
        &self,
        tenant: &Tenant,
        object: Object<'_>,
        mode: Mode,
        stored: &Stored,
    ) -> Result<(), Error> {
        self.take_for(tenant, object, mode, stored, None).await
    }

    /// The same; a row that is made for it refers to `owner`, by the reference of this name.
    async fn take_for(
        &self,
        tenant: &Tenant,
        object: Object<'_>,
        mode: Mode,
        stored: &Stored,
        owner: Option<(Name, Uuid)>,
    ) -> Result<(), Error> {
        let taken = self.take(tenant, object, mode, stored, owner).await;
        if taken.is_err() {
            self.give_up_blob(tenant, stored.id).await;
        }
        taken
    }

    async fn take(
        &self,
        tenant: &Tenant,
        object: Object<'_>,
        mode: Mode,
        stored: &Stored,
        owner: Option<(Name, Uuid)>,
    ) -> Result<(), Error> {
        let Object { bucket, path } = object;
        let field = bucket.field.as_str();
        let id = stored.id.to_string();
        if bucket.makes_rows() && mode != Mode::Replace {
            let mut row = json!({ bucket.key(): path, field: id });
            if let Some((reference, person)) = owner {
                row[reference.as_str()] = person.to_string().into();
            }
            let (resolution, query) = match mode {
                Mode::Upsert => {
                    (Some(Resolution::Merge), format!("on_conflict={}", encoded(bucket.key())))
                }
                _ => (None, String::new()),
            };
            let verb = Verb::Insert(row, resolution);
            return match self.write(tenant, self.change(bucket, verb, query)).await {
                Err(error) if is_conflict(&error) => Err(taken(path).into()),
                other => other.map(drop),
            };
        }
        let mut query = at(object);
        if mode == Mode::Create {
            query.push_str(&format!("&{}=is.null", encoded(field)));
        }
        let verb = Verb::Update(json!({ field: id }));
        let written = self.write(tenant, self.change(bucket, verb, query)).await?;
        match (written.rows, mode) {
            (0, Mode::Create) => Err(taken(path).into()),
            (0, _) => Err(no_such_blob(path).into()),
            _ => Ok(()),
        }
    }

    /// Takes an object away, and its row, too, if the bucket makes rows. Answers with the row's id; none if there is no such
    /// object.
    ///
    /// # Errors
    /// Whatever the write of a row is refused for.
    pub async fn remove_blob(
        &self,
        tenant: &Tenant,
        object: Object<'_>,
    ) -> Result<Option<String>, Error> {
        let Object { bucket, path } = object;
        let found = self.find_row(tenant, bucket, path).await?;
        let Some(found) = found.filter(|found| found.blob.is_some()) else { return Ok(None) };
        let verb = match bucket.makes_rows() {
            true => Verb::Delete,
            false => Verb::Update(json!({ bucket.field.as_str(): null })),
        };
        let written = self.write(tenant, self.change(bucket, verb, at(object))).await?;
        Ok((written.rows > 0).then_some(found.row))
    }

    /// Gives an object another path. Within a bucket its row gets the new name and no byte is moved; to another bucket it is
    /// copied, then removed.
    ///
    /// # Errors
    /// `NoSuchBlob`, `Conflict`, `NotBuilt` where objects are named by their rows' ids.
    pub async fn move_blob(
        &self,
        tenant: &Tenant,
        from: Object<'_>,
        to: Object<'_>,
    ) -> Result<(), Error> {
        let same = from.bucket.name == to.bucket.name;
        if !same || !from.bucket.makes_rows() {
            self.copy_blob(tenant, from, to, Mode::Create).await.map_err(in_the_way)?;
            self.remove_blob(tenant, from).await?;
            return Ok(());
        }
        let verb = Verb::Update(json!({ from.bucket.key(): to.path }));
        match self.write(tenant, self.change(from.bucket, verb, at(from))).await {
            Ok(written) if written.rows == 0 => Err(no_such_blob(from.path).into()),
            Err(error) if is_conflict(&error) => Err(in_the_way(taken(to.path).into())),
            other => other.map(drop),
        }
    }

    /// Copies an object: its bytes are opened, sealed anew under a key of the copy's own, and stored again. What is somebody's
    /// stays theirs, if a row is made for it that can refer to them.
    ///
    /// # Errors
    /// As [`Engine::put_blob`] and [`Engine::take_blob`].
    pub async fn copy_blob(
        &self,
        tenant: &Tenant,
        from: Object<'_>,
        to: Object<'_>,
        mode: Mode,
    ) -> Result<Stored, Error> {
        let blob = self.blob_at(tenant, from.bucket, from.path).await?;
        self.may_store(tenant, to, mode).await?;
        let put = Put {
            entity: &to.bucket.entity,
            field: &to.bucket.field,
            name: to.path.rsplit('/').next(),
            content_type: &blob.content_type,
            length: Some(blob.size),
        };
        let owner = match blob.subject.filter(|_| to.bucket.makes_rows()) {
            Some(person) if self.find_row(tenant, to.bucket, to.path).await?.is_none() => {
                self.owner_in(from.bucket, to.bucket).map(|reference| (reference, person))
            }
            _ => None,
        };
        let bytes = self.read_blob(tenant, &blob, 0..blob.size, None).await?;
        let stored = self.put_blob(tenant, put, bytes).await?;
        self.take_for(tenant, to, mode, &stored, owner).await?;
        Ok(stored)
    }

    /// The reference by which rows of a bucket say whose their blobs are, if it is to the people whose those of another are.
    fn owner_in(&self, from: &Bucket, to: &Bucket) -> Option<Name> {
        let snapshot = self.snapshot();
        let whose = |bucket: &Bucket| {
            let entity = snapshot.model.entity(&bucket.entity)?;
            let whose = &entity.field(&bucket.field)?.personal()?.whose;
            let reference = match whose {
                Whose::Of(reference) => Some(reference.clone()),
                Whose::Itself | Whose::Nobody => None,
            };
            Some((reference, entity.people_of(whose)?.clone()))
        };
        let ((_, of), (reference, people)) = (whose(from)?, whose(to)?);
        reference.filter(|_| of == people)
    }

    fn change(&self, bucket: &Bucket, verb: Verb, query: String) -> Operation {
        Operation { entity: bucket.entity.to_string(), verb, query, returning: false }
    }
}

/// The filter that finds the row of an object.
fn at(object: Object<'_>) -> String {
    format!("{}=eq.{}", encoded(object.bucket.key()), encoded(object.path))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

fn taken(path: &str) -> Refusal {
    Refusal::new(Code::Conflict, "there is an object at this path")
        .detail(path.chars().take(200).collect::<String>())
        .hint("send x-upsert: true to replace it; by a signed URL, when it is signed")
}

/// A move replaces nothing.
fn in_the_way(error: Error) -> Error {
    match error {
        Error::Refused(refusal) if refusal.code == Code::Conflict => {
            refusal.hint("remove that one before, or move to another path").into()
        }
        other => other,
    }
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.code == Code::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_filter_is_encoded() {
        assert_eq!(encoded("a/b &c=d,\"ä"), "a%2Fb%20%26c%3Dd%2C%22%C3%A4");
    }
}
