//! Uploads of files that are too large for a request.

use std::collections::BTreeMap;
use std::time::Duration;

use axle_domain::{EntityId, Time, UploadId};
use axle_providers::objects::MAX_PUT_BYTES;
use serde::Serialize;
use utoipa::ToSchema;

use super::{CSV, stored};
use crate::context::{App, Ctx};
use crate::error::Result;

/// How long a file can be sent.
const TTL: Duration = Duration::from_secs(3600);

/// Where a file can be sent to.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Upload {
    /// Names the file in `POST /leads/import`.
    pub upload_id: UploadId,
    /// `PUT` the file here, with `headers` and without credentials. Whoever has it can send the file, so it is shown once: null in an
    /// idempotent replay.
    #[schema(value_type = Option<String>, example = "https://bucket.s3.eu-west-1.amazonaws.com/uploads/...")]
    pub url: String,
    /// Headers that must be sent with the file.
    #[schema(example = json!({"content-type": "text/csv"}))]
    pub headers: BTreeMap<String, String>,
    /// The URL is good until then. An import can be started for 7 days.
    pub expires_at: Time,
    /// The largest file: 5 GB.
    #[schema(example = 5_368_709_120_u64)]
    pub max_bytes: u64,
}

pub(super) fn key(entity: EntityId, id: UploadId) -> String {
    format!("uploads/{entity}/{id}")
}

/// Makes room for a file that is sent straight to the object store. Nothing is kept until it is.
pub async fn create_upload(app: &App, ctx: &Ctx) -> Result<Upload> {
    let upload_id = UploadId::new_at(ctx.now);
    let put = app.objects().presign_put(&key(ctx.entity_id, upload_id), CSV, None, TTL).await.map_err(stored)?;
    let expires_at = ctx.now.plus_secs(i64::try_from(TTL.as_secs()).unwrap_or(0));
    Ok(Upload { upload_id, url: put.url, headers: put.headers, expires_at, max_bytes: MAX_PUT_BYTES })
}
