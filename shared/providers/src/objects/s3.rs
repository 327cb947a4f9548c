//! Objects in one S3 bucket.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use super::multipart::MultipartWriter;
use super::read::Reader;
use super::{ByteStream, ObjectError, ObjectInfo, ObjectStore, ObjectWriter, PresignedPut, attachment};
use crate::aws::{AwsFailure, is_absent};
use crate::lazy::Lazy;

/// One S3 bucket.
///
/// Needs `s3:GetObject` and `s3:PutObject` (multipart uploads included) on the keys used, and `s3:AbortMultipartUpload` where
/// writers are aborted; `s3:ListBucket` and `s3:DeleteObject` where objects are looked through and deleted.
#[derive(Debug)]
pub struct S3Objects {
    client: Lazy<Client>,
    bucket: String,
}

impl S3Objects {
    /// The bucket with this name.
    pub fn new(client: Lazy<Client>, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }
}

#[async_trait]
impl ObjectStore for S3Objects {
    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<(), ObjectError> {
        let call = self.client.get().await.put_object().bucket(&self.bucket).key(key);
        call.content_type(content_type).body(body.into()).send().await.map_err(|error| failed(key, &error))?;
        Ok(())
    }

    async fn get_stream(&self, key: &str, from_byte: u64, etag: Option<&str>) -> Result<ByteStream, ObjectError> {
        let reader = Reader::open(self.client.get().await, &self.bucket, key, from_byte, etag).await?;
        Ok(reader.map_or_else(|| stream::empty().boxed(), Reader::into_stream))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, ObjectError> {
        match self.client.get().await.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => Ok(Some(ObjectInfo {
                bytes: answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default(),
                etag: answer.e_tag.unwrap_or_default(),
            })),
            Err(error) if is_absent(&error, key) => Ok(None),
            Err(error) => Err(failed(key, &error)),
        }
    }

    async fn presign_put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Option<u64>,
        ttl: Duration,
    ) -> Result<PresignedPut, ObjectError> {
        let call = self.client.get().await.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        let call = call.set_content_length(bytes.and_then(|bytes| i64::try_from(bytes).ok()));
        let request = call.presigned(expiring(key, ttl)?).await.map_err(|error| failed(key, &error))?;
        Ok(PresignedPut { url: request.uri().to_owned(), headers: headers(&request) })
    }

    async fn presign_get(&self, key: &str, file_name: &str, ttl: Duration) -> Result<String, ObjectError> {
        let call = self.client.get().await.get_object().bucket(&self.bucket).key(key);
        let call = call.response_content_disposition(attachment(file_name));
        let request = call.presigned(expiring(key, ttl)?).await.map_err(|error| failed(key, &error))?;
        Ok(request.uri().to_owned())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, ObjectError> {
        let call = self.client.get().await.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let call = call.set_start_after(after.map(str::to_owned));
        let answer = call.send().await.map_err(|error| failed(prefix, &error))?;
        Ok(answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let call = self.client.get().await.delete_object().bucket(&self.bucket).key(key);
        call.send().await.map(drop).map_err(|error| failed(key, &error))
    }

    async fn writer(&self, key: &str, content_type: &str) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        let client = self.client.get().await.clone();
        Ok(Box::new(MultipartWriter::new(client, &self.bucket, key, content_type)))
    }
}

fn failed<E: ProvideErrorMetadata + Error + 'static>(key: &str, error: &SdkError<E>) -> ObjectError {
    ObjectError::Failed { key: key.to_owned(), cause: AwsFailure::call(error) }
}

fn expiring(key: &str, ttl: Duration) -> Result<PresigningConfig, ObjectError> {
    PresigningConfig::expires_in(ttl).map_err(|error| ObjectError::Failed { key: key.to_owned(), cause: AwsFailure::of(&error) })
}

/// The headers that are signed, less `host`, which every client sets by itself.
fn headers(request: &PresignedRequest) -> std::collections::BTreeMap<String, String> {
    let headers = request.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
    headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
