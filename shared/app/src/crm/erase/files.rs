//! Stored files: exports, and what was imported.

use std::time::Instant;

use axle_domain::ImportJobId;
use axle_providers::objects::{ObjectError, read_all};
use axle_store::imports::{ImportRecord, ImportStatus};
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{Done, Work};
use crate::error::{Error, Result};

/// What was found in a file.
enum Look {
    Theirs,
    NotTheirs,
    /// Nothing up to this byte; the time is over.
    NotUpTo(u64),
}

/// Where files of a tenant are.
const PLACES: [&str; 3] = ["exports", "imports", "uploads"];
/// Bytes of a piece that are looked at once more with the next: longer than any address in any spelling.
const OVERLAP: usize = 1_024;
/// The largest file of refused rows that is written anew; a larger one goes.
const REWRITE_MAX: u64 = 32 * 1024 * 1024;

fn stored(e: ObjectError) -> Error {
    match e {
        ObjectError::Failed { .. } => Error::Unavailable(e.to_string()),
        _ => Error::Internal(e.to_string()),
    }
}

/// Bytes as text, whatever the encoding: addresses are ASCII, which every encoding of files has, UTF-16 with zeros between.
fn text_of(bytes: &[u8]) -> String {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The records of a CSV, with their line ends: a line that leaves a quote open goes on in the next.
fn csv_records(text: &str) -> Vec<String> {
    let (mut records, mut open) = (Vec::new(), String::new());
    for line in text.split_inclusive('\n') {
        open.push_str(line);
        if open.matches('"').count().is_multiple_of(2) {
            records.push(std::mem::take(&mut open));
        }
    }
    records.extend((!open.is_empty()).then_some(open));
    records
}

impl Work<'_> {
    /// A file, or a part of one. The position is the place's number and the last key that was looked at; of one that was not looked at
    /// to its end, the byte to go on at besides.
    pub(super) async fn files(&mut self) -> Result<Done> {
        let mut done = Done::default();
        let at = self.erasure.after.clone().unwrap_or_default();
        let (place, after) = at.split_once(':').unwrap_or(("0", ""));
        let (number, from) = match place.split_once('+') {
            Some((number, from)) => (number, from.parse::<u64>().ok()),
            None => (place, None),
        };
        let number: usize = number.parse().unwrap_or(0);
        let Some(place) = PLACES.get(number) else { return Ok(done) };
        let key = if from.is_some() { Some(after.to_owned()) } else { self.next_file(place, after).await? };
        let Some(key) = key else {
            done.next = Some(format!("{}:", number + 1));
            return Ok(done);
        };
        match self.look_into(&key, from.unwrap_or(0)).await? {
            Look::NotUpTo(byte) => {
                done.next = Some(format!("{number}+{byte}:{key}"));
                return Ok(done);
            }
            Look::Theirs if self.is_being_read(&key).await? => {
                done.blocked = true;
                return Ok(done);
            }
            Look::Theirs => {
                self.clean_file(&key).await?;
                done.note("files");
            }
            Look::NotTheirs => {}
        }
        done.next = Some(format!("{number}:{key}"));
        Ok(done)
    }

    async fn next_file(&self, place: &str, after: &str) -> Result<Option<String>> {
        let prefix = format!("{place}/{}/", self.ctx.entity_id);
        let keys = self.app.objects().list(&prefix, Some(after).filter(|after| !after.is_empty())).await.map_err(stored)?;
        Ok(keys.into_iter().next())
    }

    /// Looks for them in a file from a byte on, until the time is over.
    async fn look_into(&self, key: &str, from: u64) -> Result<Look> {
        let mut pieces = match self.app.objects().get_stream(key, from, None).await {
            Ok(pieces) => pieces,
            Err(ObjectError::NotFound(_)) => return Ok(Look::NotTheirs),
            Err(e) => return Err(stored(e)),
        };
        let (mut seen, mut at) = (Vec::new(), from);
        while let Some(piece) = pieces.try_next().await.map_err(stored)? {
            seen.extend_from_slice(&piece);
            if seen.len() < 64 * OVERLAP {
                continue;
            }
            if self.person.is_in(&text_of(&seen)) {
                return Ok(Look::Theirs);
            }
            let done = seen.len() - OVERLAP;
            seen.drain(..done);
            at += done as u64;
            if Instant::now() >= self.deadline {
                return Ok(Look::NotUpTo(at));
            }
        }
        Ok(if self.person.is_in(&text_of(&seen)) { Look::Theirs } else { Look::NotTheirs })
    }

    /// Whether an import that has not ended reads it.
    async fn is_being_read(&self, key: &str) -> Result<bool> {
        let name = key.rsplit('/').next().and_then(|name| name.strip_suffix(".csv"));
        let Some(id) = name.and_then(|name| name.parse::<ImportJobId>().ok()) else { return Ok(false) };
        let found = self.table.get::<ImportRecord>(&ImportRecord::key_of(self.ctx.entity_id, id), self.ctx.now).await?;
        Ok(found.is_some_and(|import| !matches!(import.value.status, ImportStatus::Completed | ImportStatus::Failed)))
    }

    /// Refused rows are written anew without them. Other files go: an export can be made again, and what was imported is in the table.
    async fn clean_file(&self, key: &str) -> Result<()> {
        let objects = self.app.objects();
        let is_refused_rows = key.contains("/errors/") || key.ends_with("/errors.csv");
        match read_all(objects, key, if is_refused_rows { REWRITE_MAX } else { 0 }).await {
            Ok(bytes) if is_refused_rows => {
                let records = csv_records(&String::from_utf8_lossy(&bytes));
                let clean = |record: String| match self.person.is_in(&record) {
                    true => self.person.redact(&record, true).unwrap_or(record),
                    false => record,
                };
                let rest: String = records.into_iter().map(clean).collect();
                objects.put(key, "text/csv", Bytes::from(rest)).await.map_err(stored)
            }
            Ok(_) | Err(ObjectError::TooLarge(_)) => objects.delete(key).await.map_err(stored),
            Err(ObjectError::NotFound(_)) => Ok(()),
            Err(e) => Err(stored(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_csv() {
        assert_eq!(csv_records("a,b\n\"x\ny\",z\r\nlast"), ["a,b\n", "\"x\ny\",z\r\n", "last"]);
        assert_eq!(text_of(b"a\0d\0a\0@\0"), "ada@");
    }
}
