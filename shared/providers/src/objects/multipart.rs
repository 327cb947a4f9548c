//! Writing an S3 object piece by piece.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::BytesMut;

use super::{ObjectError, ObjectWriter};
use crate::aws::AwsFailure;

/// Size of every part but the last: S3 wants 5 MiB at least, and 10,000 parts at most (so objects end at 80 GB). Also what
/// is held in memory.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// The SDK adds this checksum to every part of its own accord. S3 refuses parts with a checksum that the upload was not begun
/// with, and wants them all repeated at the end.
const CHECKSUM: ChecksumAlgorithm = ChecksumAlgorithm::Crc32;

pub(super) struct MultipartWriter {
    client: Client,
    bucket: String,
    key: String,
    content_type: String,
    buffer: BytesMut,
    written: u64,
    /// Begun with the first full part; small objects are a plain PUT.
    upload: Option<Upload>,
}

struct Upload {
    id: String,
    parts: Vec<CompletedPart>,
}

impl MultipartWriter {
    pub(super) fn new(client: Client, bucket: &str, key: &str, content_type: &str) -> Self {
        Self {
            client,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            buffer: BytesMut::new(),
            written: 0,
            upload: None,
        }
    }

    async fn upload_part(&mut self) -> Result<(), ObjectError> {
        if self.upload.is_none() {
            let call = self.client.create_multipart_upload().bucket(&self.bucket).key(&self.key);
            let answer = call.content_type(&self.content_type).checksum_algorithm(CHECKSUM).send().await;
            let id = answer.map_err(|error| self.failed(AwsFailure::call(&error)))?.upload_id;
            let id = id.ok_or_else(|| self.failed(AwsFailure::message("no upload id in the answer")))?;
            self.upload = Some(Upload { id, parts: Vec::new() });
        }
        let body = self.buffer.split().freeze();
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let call = self.client.upload_part().bucket(&self.bucket).key(&self.key).upload_id(&upload.id);
        match call.part_number(number).checksum_algorithm(CHECKSUM).body(body.into()).send().await {
            Ok(answer) => {
                let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
                upload.parts.push(part.set_checksum_crc32(answer.checksum_crc32).build());
                Ok(())
            }
            Err(error) => Err(self.failed(AwsFailure::call(&error))),
        }
    }

    fn failed(&self, cause: AwsFailure) -> ObjectError {
        ObjectError::Failed { key: self.key.clone(), cause }
    }
}

#[async_trait]
impl ObjectWriter for MultipartWriter {
    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), ObjectError> {
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PART_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == PART_BYTES {
                self.upload_part().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, ObjectError> {
        if self.upload.is_some() && !self.buffer.is_empty() {
            self.upload_part().await?;
        }
        match self.upload.take() {
            Some(Upload { id, parts }) => {
                let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
                let call = self.client.complete_multipart_upload().bucket(&self.bucket).key(&self.key);
                let answer = call.upload_id(id).multipart_upload(parts).send().await;
                answer.map_err(|error| self.failed(AwsFailure::call(&error)))?;
            }
            None => {
                let body = self.buffer.split().freeze();
                let call = self.client.put_object().bucket(&self.bucket).key(&self.key);
                let answer = call.content_type(&self.content_type).body(body.into()).send().await;
                answer.map_err(|error| self.failed(AwsFailure::call(&error)))?;
            }
        }
        Ok(self.written)
    }

    async fn abort(mut self: Box<Self>) -> Result<(), ObjectError> {
        if let Some(upload) = self.upload.take() {
            let call = self.client.abort_multipart_upload().bucket(&self.bucket).key(&self.key);
            let answer = call.upload_id(upload.id).send().await;
            answer.map_err(|error| self.failed(AwsFailure::call(&error)))?;
        }
        Ok(())
    }
}
