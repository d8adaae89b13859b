//! The beginning of an upload: named, and noted with its wrapped key before its first byte is written.

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use super::{BLOB_KEY, NewBlob, TRIES, Upload, names, over_quota};
use crate::{
    error::{Error, Fault},
    key::hex,
    seal::{BlobKey, wrap},
    store::{Store, Tenant},
};

impl Store {
    /// Names an upload and draws its key. Nothing is known of it before it is noted.
    ///
    /// # Errors
    /// Faults only.
    pub async fn draft_blob(&self, tenant: &Tenant) -> Result<Upload, Error> {
        let of = self.tenant_key(tenant).await?;
        let id = Uuid::new_v4();
        let (object, given) = self.object_name(tenant, &of.folder);
        Ok(Upload { id, object, given, key: BlobKey::new(wrap::random(), tenant.id(), id) })
    }

    /// Notes an upload, before its first byte is written, and takes its room of the tenant's quota. It may get another name by that.
    ///
    /// # Errors
    /// `Quota`; `Unauthenticated` or `TenantSuspended` if the tenant or its key does not count any more.
    pub async fn note_blob(
        &self,
        tenant: &Tenant,
        upload: &mut Upload,
        new: NewBlob<'_>,
    ) -> Result<(), Error> {
        let doing = "noting an upload";
        let (of, id) = (tenant.id(), upload.id);
        let purpose: [&[u8]; 3] = [BLOB_KEY, of.as_bytes(), id.as_bytes()];
        let text = "select freehold.blob_begin($1::text::uuid, $2::text::uuid, $3::text::uuid, $4, $5, $6, $7, $8::text::bigint, $9, $10, $11::text::bigint, $12::text::boolean)";
        let (whose, principal) = (tenant.id().to_string(), tenant.key().to_string());
        let (made, reserve) = (upload.id.to_string(), new.reserve.to_string());
        let mut answer = None;
        for _ in 0..TRIES {
            let by = self.tenant_key(tenant).await?;
            let sealed = hex(&wrap::wrap(&by.key, &purpose, upload.key.secret()));
            let generation = by.generation.to_string();
            let params = [
                Some(whose.as_str()),
                Some(&principal),
                Some(&made),
                Some(new.entity),
                Some(new.field),
                new.name,
                Some(new.content_type),
                Some(&reserve),
                Some(&upload.object),
                Some(&sealed),
                Some(&generation),
                Some(if upload.given { "true" } else { "false" }),
            ];
            let rows = self.ask(doing, text, &params).await?;
            answer = rows.first().and_then(|row| row.text(0)).map(str::to_owned);
            match answer.as_deref() {
                Some("key") => self.0.ring.forget(tenant.id()),
                // It was given up. This one is waited for.
                Some("name") => {
                    self.0.names.forget(tenant.id());
                    upload.object = names::made(&by.folder);
                    upload.given = false;
                }
                _ => break,
            }
        }
        match answer.as_deref() {
            Some("made") => Ok(()),
            Some("quota") => Err(over_quota().into()),
            Some("tenant") if !tenant.key().is_nil() => {
                Err(Refusal::new(Code::Unauthenticated, "the API key is wrong, expired or revoked")
                    .into())
            }
            Some("tenant") => {
                Err(Refusal::new(Code::TenantSuspended, "the tenant is suspended or being deleted")
                    .into())
            }
            _ => Err(Fault::new(doing, "no answer").into()),
        }
    }
}
