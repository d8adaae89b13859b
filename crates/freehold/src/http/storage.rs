//! Blobs over HTTP, in the shape of Supabase's storage, so that its clients work unmodified: every route on one screen.
//!
//! A bucket is a field of type `blob`; who may see the row may read its blob, and who may write the row may replace it.

mod bucket;
mod download;
mod form;
mod list;
mod manage;
mod name;
mod upload;

use axum::{
    Router,
    routing::{get, post},
};
use freehold_engine::{Code, Engine, Refusal};

use super::error::Answer;

pub(super) fn routes() -> Router<Engine> {
    Router::new()
        .route("/bucket", get(bucket::all).fallback(declared))
        .route("/bucket/{bucket}", get(bucket::one).fallback(declared))
        .route("/bucket/{bucket}/empty", post(declared))
        .route("/object/list/{bucket}", post(list::folder))
        .route("/object/list-v2/{bucket}", post(list::pages))
        .route("/object/move", post(manage::rename))
        .route("/object/copy", post(manage::copy))
        .route("/object/sign/{bucket}", post(manage::sign_many))
        .route(
            "/object/sign/{bucket}/{*path}",
            post(manage::sign).get(download::signed).head(download::signed),
        )
        .route(
            "/object/upload/sign/{bucket}/{*path}",
            post(manage::sign_upload).put(upload::signed),
        )
        .route("/object/info/{bucket}/{*path}", get(manage::info))
        .route("/object/authenticated/{bucket}/{*path}", get(download::object))
        .route("/object/public/{bucket}/{*path}", get(download::public))
        .route("/object/{bucket}", axum::routing::delete(manage::remove))
        .route(
            "/object/{bucket}/{*path}",
            get(download::object)
                .post(upload::create)
                .put(upload::replace)
                .delete(manage::remove_one),
        )
}

async fn declared() -> Answer {
    Refusal::new(Code::Method, "buckets are made by the model")
        .hint("declare a field of type `blob` and apply; freehold blobs says more")
        .into()
}
