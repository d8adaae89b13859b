//! How much a tenant may have in storage, and how much it has.

use super::Operator;
use crate::{error::Error, operator::tenants::missing, row::Row};

/// What a tenant has in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobUsage {
    /// Bytes, with those that are reserved for uploads and those that are doomed and not yet deleted.
    pub bytes: u64,
    /// Blobs, likewise.
    pub objects: u64,
    /// The most bytes it may have.
    pub bytes_max: Option<u64>,
    /// The most blobs it may have.
    pub objects_max: Option<u64>,
}

impl Operator {
    /// Sets how much a tenant may have; the outer `None` leaves a limit as it is, the inner one takes it away. What is there
    /// already stays, also if it is more.
    ///
    /// # Errors
    /// `NoSuchTenant`.
    pub async fn set_blob_quota(
        &mut self,
        tenant: &str,
        bytes: Option<Option<u64>>,
        objects: Option<Option<u64>>,
    ) -> Result<(), Error> {
        let text = "insert into freehold.blob_usage as u (tenant_id, bytes_max, objects_max) \
                    select t.id, $2::text::bigint, $3::text::bigint from freehold.tenant t where t.name = $1 \
                    on conflict (tenant_id) do update set bytes_max = case when $4::text::boolean then excluded.bytes_max else u.bytes_max end, \
                    objects_max = case when $5::text::boolean then excluded.objects_max else u.objects_max end returning 1";
        let said = |limit: Option<Option<u64>>| limit.flatten().map(|limit| limit.to_string());
        let (most, many) = (said(bytes), said(objects));
        let (with_bytes, with_objects) =
            (bytes.is_some().to_string(), objects.is_some().to_string());
        let params = [
            Some(tenant),
            most.as_deref(),
            many.as_deref(),
            Some(&*with_bytes),
            Some(&*with_objects),
        ];
        match self.as_gate(text, &params).await?.first() {
            Some(_) => Ok(()),
            None => Err(missing(tenant).into()),
        }
    }

    /// What a tenant has in storage, and may have.
    ///
    /// # Errors
    /// `NoSuchTenant`.
    pub async fn blob_usage(&mut self, tenant: &str) -> Result<BlobUsage, Error> {
        let text = "select coalesce(u.bytes, 0), coalesce(u.objects, 0), u.bytes_max, u.objects_max \
                    from freehold.tenant t left join freehold.blob_usage u on u.tenant_id = t.id where t.name = $1";
        let rows = self.as_gate(text, &[Some(tenant)]).await?;
        let row = rows.first().ok_or_else(|| missing(tenant))?;
        let number = |row: &Row, i: usize| row.int(i).and_then(|number| u64::try_from(number).ok());
        Ok(BlobUsage {
            bytes: number(row, 0).unwrap_or(0),
            objects: number(row, 1).unwrap_or(0),
            bytes_max: number(row, 2),
            objects_max: number(row, 3),
        })
    }
}
