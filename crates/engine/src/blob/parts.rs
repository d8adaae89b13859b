//! One object on its way to the storage: in one request if it is small, else in parts, of which a few travel at once.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use freehold_store::{Tenant, Upload, seal::Part};
use object_store::{
    MultipartId, MultipartUpload, ObjectStoreExt as _,
    multipart::{MultipartStore, PartId},
    path::Path,
};
use tokio::task::JoinSet;

use super::{
    Blobs,
    folder::{self, Writing},
    place,
};
use crate::{Engine, error::Error};

/// Bytes of one part. Services take ten thousand parts, so the largest blob has 64 GB.
pub(super) const PART: usize = 8 << 20;

/// Parts on their way at once.
const PARTS: usize = 2;

const STORING: &str = "storing a part of a blob";

pub(super) struct Parts<'a> {
    engine: &'a Engine,
    blobs: &'a Blobs,
    tenant: &'a Tenant,
    upload: &'a Upload,
    path: Path,
    begun: Option<Begun>,
    sent: usize,
    on_the_way: JoinSet<Result<Arrived, Error>>,
    arrived: BTreeMap<usize, PartId>,
}

/// A part that is stored.
enum Arrived {
    /// What the storage calls it.
    Named(usize, PartId),
    Held,
    /// Its memory.
    Written(Vec<u8>),
}

/// An upload in parts that the storage has begun.
enum Begun {
    /// In a folder of this machine.
    File(Writing),
    /// By a name, which is noted: whoever deletes the blob can give up its parts, also after this process died.
    Named(Arc<dyn MultipartStore>, MultipartId),
    /// By a storage that names none.
    Held(Box<dyn MultipartUpload>),
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        blobs: &'a Blobs,
        tenant: &'a Tenant,
        upload: &'a Upload,
    ) -> Self {
        Self {
            engine,
            blobs,
            tenant,
            upload,
            path: blobs.at(&upload.object),
            begun: None,
            sent: 0,
            on_the_way: JoinSet::new(),
            arrived: BTreeMap::new(),
        }
    }

    /// Sends a part of [`PART`] bytes on its way; gives the memory of an earlier one back, if it is free.
    pub(super) async fn send(&mut self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        let mut free = None;
        while self.on_the_way.len() >= PARTS {
            free = self.arrived().await?;
        }
        let begun = match &mut self.begun {
            Some(begun) => begun,
            none => none.insert(
                begin(self.engine, self.blobs, self.tenant, self.upload, &self.path).await?,
            ),
        };
        let (number, blobs) = (self.sent, self.blobs.clone());
        self.sent += 1;
        match begun {
            Begun::File(file) => {
                self.blobs.io_in_time(STORING, file.flush()).await?;
                let written = file.write(part);
                self.on_the_way.spawn(async move {
                    blobs.io_in_time(STORING, written).await.map(Arrived::Written)
                });
            }
            Begun::Named(store, id) => {
                let (store, id, path) = (store.clone(), id.clone(), self.path.clone());
                self.on_the_way.spawn(async move {
                    let stored = store.put_part(&path, &id, number, Bytes::from(part).into());
                    Ok(Arrived::Named(number, blobs.in_time(STORING, stored).await?))
                });
            }
            Begun::Held(upload) => {
                let stored = upload.put_part(Bytes::from(part).into());
                self.on_the_way.spawn(async move {
                    blobs.in_time(STORING, stored).await.map(|()| Arrived::Held)
                });
            }
        }
        Ok(free)
    }

    async fn arrived(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.on_the_way.join_next().await {
            Some(Ok(stored)) => match stored? {
                Arrived::Named(number, part) => {
                    self.arrived.insert(number, part);
                    Ok(None)
                }
                Arrived::Held => Ok(None),
                Arrived::Written(memory) => Ok(Some(memory)),
            },
            Some(Err(error)) => Err(place::failed(STORING, &error)),
            None => Ok(None),
        }
    }

    /// Sends what is left, and waits until all of it is stored.
    pub(super) async fn finish(&mut self, last: Part) -> Result<(), Error> {
        if self.begun.is_none() {
            let doing = "storing a blob";
            if let Some(place) = self.blobs.file(&self.upload.object) {
                return self.blobs.io_in_time(doing, folder::write(place, last)).await;
            }
            let stored = self.blobs.store().put(&self.path, Bytes::from(last).into());
            return self.blobs.in_time(doing, stored).await.map(drop);
        }
        self.send(last).await?;
        while !self.on_the_way.is_empty() {
            self.arrived().await?;
        }
        let doing = "ending a stored blob";
        let parts = std::mem::take(&mut self.arrived).into_values().collect();
        match &mut self.begun {
            Some(Begun::File(file)) => self.blobs.io_in_time(doing, file.finish()).await?,
            Some(Begun::Named(store, id)) => {
                self.blobs.in_time(doing, store.complete_multipart(&self.path, id, parts)).await?;
            }
            Some(Begun::Held(upload)) => {
                self.blobs.in_time(doing, upload.complete()).await?;
            }
            None => {}
        }
        self.begun = None;
        Ok(())
    }

    /// Gives up what is stored. Whether it can or not, the upload is doomed, and its object and parts with it.
    pub(super) async fn abort(&mut self) {
        self.on_the_way.shutdown().await;
        let doing = "giving up a stored blob";
        match self.begun.take() {
            Some(Begun::File(file)) => {
                let _ = self.blobs.io_in_time(doing, file.abort()).await;
            }
            Some(Begun::Named(store, id)) => {
                let _ = self.blobs.in_time(doing, store.abort_multipart(&self.path, &id)).await;
            }
            Some(Begun::Held(mut upload)) => {
                let _ = self.blobs.in_time(doing, upload.abort()).await;
            }
            None => {}
        }
    }
}

/// A death between the storage's answer and the note leaves an upload without parts, which takes no room.
async fn begin(
    engine: &Engine,
    blobs: &Blobs,
    tenant: &Tenant,
    upload: &Upload,
    path: &Path,
) -> Result<Begun, Error> {
    let doing = "beginning to store a blob";
    if let Some(place) = blobs.file(&upload.object) {
        return Ok(Begun::File(blobs.io_in_time(doing, Writing::begin(place)).await?));
    }
    let Some(named) = blobs.named() else {
        return Ok(Begun::Held(blobs.in_time(doing, blobs.store().put_multipart(path)).await?));
    };
    let id = blobs.in_time(doing, named.create_multipart(path)).await?;
    if let Err(error) = engine.store.blob_in_parts(tenant, upload.id, &id).await {
        let _ = blobs.in_time("giving up a stored blob", named.abort_multipart(path, &id)).await;
        return Err(error);
    }
    Ok(Begun::Named(named.clone(), id))
}
