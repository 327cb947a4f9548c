//! The refused rows: a CSV that can be corrected and imported again.
//!
//! It grows in pieces, one for each chunk that has refused rows. The import's record names the pieces that count, so what a
//! worker wrote that then lost its race is nobody's. Every so many small pieces are put together into a larger one: the list
//! stays short however long the file.

use axle_domain::csv::{Columns, REASON_COLUMN, ROW_COLUMN, Row, protect, write_record};
use axle_providers::objects::{ObjectStore, append, read_all};
use axle_store::imports::{ErrorPart, ImportRecord};

use super::{CSV, stored};
use crate::error::Result;

/// Pieces that are put together into one of the next level.
const FAN: usize = 32;
/// Pieces of this level are left alone: a thousand chunks each.
const TOP: u8 = 2;

/// A row that made no lead, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) row: Row,
    pub(super) reason: String,
}

/// Stores the refused rows of a chunk.
pub(super) async fn keep(
    objects: &dyn ObjectStore,
    import: &mut ImportRecord,
    first_row: u64,
    run: &str,
    refused: &[Refused],
) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut csv = Vec::new();
    for refused in refused {
        write_row(&mut csv, import.columns.as_ref(), refused);
    }
    let part = ErrorPart { name: format!("{first_row:012}-{run}"), level: 0, bytes: csv.len() as u64 };
    objects.put(&import.error_part_key(&part.name), CSV, csv.into()).await.map_err(stored)?;
    import.error_parts.push(part);
    for level in 0..TOP {
        combine(objects, import, level).await?;
    }
    Ok(())
}

/// Puts the last pieces together if they have become enough.
async fn combine(objects: &dyn ObjectStore, import: &mut ImportRecord, level: u8) -> Result<()> {
    let alike = import.error_parts.iter().rev().take_while(|part| part.level == level).count();
    if alike < FAN {
        return Ok(());
    }
    let parts = import.error_parts.split_off(import.error_parts.len() - alike);
    let first = parts.first().map(|part| part.name.clone()).unwrap_or_default();
    let name = format!("{first}-{}", level + 1);
    let mut writer = objects.writer(&import.error_part_key(&name), CSV).await.map_err(stored)?;
    for part in &parts {
        append(objects, &import.error_part_key(&part.name), &mut *writer).await.map_err(stored)?;
    }
    let bytes = writer.finish().await.map_err(stored)?;
    import.error_parts.push(ErrorPart { name, level: level + 1, bytes });
    Ok(())
}

/// Length of the whole CSV, in bytes.
pub(super) fn size(import: &ImportRecord) -> u64 {
    header(import).len() as u64 + import.error_parts.iter().map(|part| part.bytes).sum::<u64>()
}

/// Writes the whole CSV to one object.
pub(super) async fn merge(objects: &dyn ObjectStore, import: &ImportRecord, key: &str) -> Result<()> {
    let mut writer = objects.writer(key, CSV).await.map_err(stored)?;
    writer.write(&header(import)).await.map_err(stored)?;
    for part in &import.error_parts {
        append(objects, &import.error_part_key(&part.name), &mut *writer).await.map_err(stored)?;
    }
    writer.finish().await.map_err(stored)?;
    Ok(())
}

/// The whole CSV, for those that are small.
pub(super) async fn read(objects: &dyn ObjectStore, import: &ImportRecord) -> Result<Vec<u8>> {
    let mut csv = header(import);
    for part in &import.error_parts {
        csv.extend(read_all(objects, &import.error_part_key(&part.name), part.bytes).await.map_err(stored)?);
    }
    Ok(csv)
}

/// The names of the columns: ours in front, so that a row with too many cells is still told apart from its reason.
fn header(import: &ImportRecord) -> Vec<u8> {
    let mut names = vec![ROW_COLUMN, REASON_COLUMN];
    if let Some(columns) = &import.columns {
        names.extend(columns.iter().map(|column| column.name.as_str()).filter(|name| !is_ours(name)));
    }
    let mut csv = Vec::new();
    write_record(&mut csv, &names);
    csv
}

/// A column of an earlier such CSV, which was corrected and imported again.
fn is_ours(name: &str) -> bool {
    name == ROW_COLUMN || name == REASON_COLUMN
}

fn write_row(csv: &mut Vec<u8>, columns: Option<&Columns>, refused: &Refused) {
    let (number, reason) = (refused.row.number.to_string(), protect(&refused.reason));
    let mut cells = vec![number.as_str(), &*reason];
    let mut columns = columns.map(Columns::iter);
    let mut given = refused.row.iter();
    loop {
        match (columns.as_mut().and_then(Iterator::next), given.next()) {
            (None, None) => break,
            (Some(column), _) if is_ours(&column.name) => {}
            (_, cell) => cells.push(cell.unwrap_or_default()),
        }
    }
    write_record(csv, &cells);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(header: &[&str], cells: &[&str]) -> String {
        let columns = Columns::map(&Row::from_cells(1, header), None).unwrap();
        let mut csv = Vec::new();
        write_row(&mut csv, Some(&columns), &Refused { row: Row::from_cells(7, cells), reason: "=bad".to_owned() });
        String::from_utf8(csv).unwrap()
    }

    #[test]
    fn cells_stay_under_their_columns() {
        assert_eq!(written(&["email", "name"], &["=x", "A, \"B\""]), "7,'=bad,=x,\"A, \"\"B\"\"\"\r\n");
        assert_eq!(written(&["email", "name"], &["x"]), "7,'=bad,x,\r\n");
        assert_eq!(written(&["email", "name"], &["x", "y", "z"]), "7,'=bad,x,y,z\r\n");
        assert_eq!(written(&["import_row", "import_error", "email"], &["3", "old", "x"]), "7,'=bad,x\r\n");
    }
}
