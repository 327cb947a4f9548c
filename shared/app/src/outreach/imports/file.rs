//! The rows of a stored file, read as they are asked for.

use axle_domain::csv::{Format, Position, Reader, Row};
use axle_providers::objects::{ByteStream, ObjectError, ObjectStore};
use axle_store::imports::ImportRecord;
use futures_util::TryStreamExt as _;

use super::stored;
use super::work::Halt;

/// A stored file, open at some row. Holds what has arrived and is not read yet, and one row.
pub(super) struct File {
    bytes: ByteStream,
    reader: Reader,
    ended: bool,
}

impl File {
    pub(super) async fn open(
        objects: &dyn ObjectStore,
        import: &ImportRecord,
        format: &Format,
        at: Position,
    ) -> Result<Self, Halt> {
        let bytes = objects.get_stream(&import.source, at.byte, import.etag.as_deref()).await.map_err(unreadable)?;
        Ok(Self { bytes, reader: Reader::resume(format, at), ended: false })
    }

    /// Reads the next row into `row`; false at the end of the file.
    pub(super) async fn read(&mut self, row: &mut Row) -> Result<bool, Halt> {
        loop {
            if self.reader.read(row) {
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            match self.bytes.try_next().await.map_err(unreadable)? {
                Some(bytes) => self.reader.push(&bytes),
                None => {
                    self.reader.finish();
                    self.ended = true;
                }
            }
        }
    }
}

/// The file's first bytes, at least `enough` of them or all; with whether they are all.
pub(super) async fn beginning(objects: &dyn ObjectStore, import: &ImportRecord, enough: usize) -> Result<(Vec<u8>, bool), Halt> {
    let mut bytes = objects.get_stream(&import.source, 0, import.etag.as_deref()).await.map_err(unreadable)?;
    let mut sample = Vec::new();
    while sample.len() < enough {
        match bytes.try_next().await.map_err(unreadable)? {
            Some(piece) => sample.extend_from_slice(&piece),
            None => return Ok((sample, true)),
        }
    }
    Ok((sample, false))
}

/// A file that was replaced stays so; anything else may pass.
fn unreadable(e: ObjectError) -> Halt {
    match e {
        ObjectError::NotFound(_) => Halt::FileMissing,
        ObjectError::Changed(_) => Halt::Unusable("the uploaded file was replaced after its import had been started".to_owned()),
        other => Halt::Error(stored(other)),
    }
}
