//! Reading from S3 at the reader's own pace.
//!
//! S3 closes connections on which nothing was read for a while, and an import reads as slowly as it writes leads. So a body that
//! breaks off is opened again where it ended, under the same ETag.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream as Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use super::{ByteStream, ObjectError};
use crate::aws::{AwsFailure, is_absent, status};

/// Waits before a body that broke off is opened again; a byte of progress starts them anew.
const RESUMES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

pub(super) struct Reader {
    client: Client,
    bucket: String,
    key: String,
    etag: Option<String>,
    next_byte: u64,
    body: Body,
    failures: usize,
}

impl Reader {
    /// Opens the object; `None` when there is nothing from that byte on.
    pub(super) async fn open(
        client: &Client,
        bucket: &str,
        key: &str,
        from_byte: u64,
        etag: Option<&str>,
    ) -> Result<Option<Self>, ObjectError> {
        let mut reader = Self {
            client: client.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag: etag.map(str::to_owned),
            next_byte: from_byte,
            body: Body::default(),
            failures: 0,
        };
        Ok(reader.reopen().await?.then_some(reader))
    }

    pub(super) fn into_stream(self) -> ByteStream {
        stream::try_unfold(self, |mut reader| async move { Ok(reader.next().await?.map(|bytes| (bytes, reader))) }).boxed()
    }

    /// Requests the bytes from `next_byte` on; false when there are none.
    async fn reopen(&mut self) -> Result<bool, ObjectError> {
        // A range is invalid in an empty object, so the whole is asked for plainly.
        let range = (self.next_byte > 0).then(|| format!("bytes={}-", self.next_byte));
        let call = self.client.get_object().bucket(&self.bucket).key(&self.key);
        match call.set_range(range).set_if_match(self.etag.clone()).send().await {
            Ok(answer) => {
                self.etag = answer.e_tag.or(self.etag.take());
                self.body = answer.body;
                Ok(true)
            }
            Err(error) => match status(&error) {
                Some(416) => Ok(false),
                Some(412) => Err(ObjectError::Changed(self.key.clone())),
                _ if is_absent(&error, &self.key) => Err(ObjectError::NotFound(self.key.clone())),
                _ => Err(self.failed(AwsFailure::call(&error))),
            },
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        loop {
            match self.body.next().await {
                None => return Ok(None),
                Some(Ok(bytes)) => {
                    self.next_byte += bytes.len() as u64;
                    self.failures = 0;
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => {
                    let Some(wait) = RESUMES.get(self.failures) else {
                        return Err(self.failed(AwsFailure::of(&error)));
                    };
                    self.failures += 1;
                    tokio::time::sleep(*wait).await;
                    if !self.reopen().await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn failed(&self, cause: AwsFailure) -> ObjectError {
        ObjectError::Failed { key: self.key.clone(), cause }
    }
}
