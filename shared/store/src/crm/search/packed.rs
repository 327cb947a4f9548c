//! The rows of a segment: packed and compressed for the table, and unpacked into columns that a search can run through.
//!
//! Packed by column, so that like lies beside like: times as differences, what an id repeats of its time left out, owners by their
//! place in a directory, and the texts as one text with a line each. Some 30 bytes a row are left when that is compressed.

use std::io::{Read as _, Write as _};

use axle_domain::crm::{CompanyStatus, OwnerFilter};
use axle_domain::{Time, UserId};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use memchr::memmem::Finder;
use uuid::Uuid;

use crate::error::{Error, Result};

/// The form that is written.
const FORM: u8 = 1;
/// Ends a row's text. Folded texts have no white space but single spaces.
const END: char = '\n';
/// Bytes that a segment's rows may come to: more is damage, or somebody's bomb.
const UNPACKED_MAX: u64 = 32 << 20;

/// What lists filter and order a record by, as of one of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub created_at: Time,
    pub id: Uuid,
    pub version: u64,
    pub status: Option<CompanyStatus>,
    pub owner: Option<UserId>,
    /// Folded.
    pub q: String,
}

impl Row {
    /// Its place in the order of creation: its sort key in the main listing.
    pub fn position(&self) -> String {
        format!("{}#{}", self.created_at, self.id.as_hyphenated())
    }

    /// The same order, without the text.
    pub(super) fn order(&self) -> (Time, Uuid) {
        (self.created_at, self.id)
    }
}

const STATUSES: [CompanyStatus; 3] = [CompanyStatus::Prospect, CompanyStatus::Active, CompanyStatus::Inactive];

/// 0 for none.
fn status_code(status: Option<CompanyStatus>) -> u8 {
    let place = status.and_then(|status| STATUSES.iter().position(|known| *known == status));
    place.map_or(0, |place| u8::try_from(place + 1).unwrap_or_default())
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The bytes of an id that UUIDv7 takes from the time.
fn time_bytes(created_at: i64) -> [u8; 6] {
    let [_, _, time @ ..] = created_at.to_be_bytes();
    time
}

/// Packs rows that are in order.
pub fn pack(rows: &[Row]) -> Result<Vec<u8>> {
    let mut owners: Vec<Uuid> = rows.iter().filter_map(|row| Some(row.owner?.uuid())).collect();
    owners.sort_unstable();
    owners.dedup();
    let mut out = vec![FORM];
    put(&mut out, rows.len() as u64);
    let mut last = 0;
    for row in rows {
        let created = row.created_at.millis();
        put(&mut out, created.wrapping_sub(last) as u64);
        last = created;
    }
    for row in rows {
        let time = time_bytes(row.created_at.millis());
        out.extend(row.id.as_bytes().iter().zip(time).map(|(a, b)| a ^ b));
    }
    rows.iter().for_each(|row| out.extend(&row.id.as_bytes()[6..]));
    rows.iter().for_each(|row| put(&mut out, row.version));
    out.extend(rows.iter().map(|row| status_code(row.status)));
    put(&mut out, owners.len() as u64);
    owners.iter().for_each(|owner| out.extend(owner.as_bytes()));
    for row in rows {
        let place = row.owner.and_then(|owner| owners.binary_search(&owner.uuid()).ok());
        put(&mut out, place.map_or(0, |place| place as u64 + 1));
    }
    for row in rows {
        out.extend(row.q.split(END).flat_map(|part| [" ", part]).skip(1).flat_map(str::bytes));
        out.push(END as u8);
    }
    let failed = |e: std::io::Error| Error::Fault(format!("a segment could not be packed: {e}"));
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&out).map_err(failed)?;
    encoder.finish().map_err(failed)
}

fn damaged() -> Error {
    Error::Fault("a segment is damaged".to_owned())
}

/// Reads what [`put`] and its neighbours wrote.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (some, rest) = self.0.split_at_checked(n).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(some)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().ok_or_else(damaged)
    }

    fn number(&mut self) -> Result<u64> {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f).checked_shl(shift).ok_or_else(damaged)?;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
            shift += 7;
        }
    }

    /// A number of things that take at least a byte each.
    fn count(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).ok().filter(|n| *n <= self.0.len()).ok_or_else(damaged)
    }
}

/// Whose records a search wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Any,
    /// Of the directory, from 1; 0 is nobody's.
    At(u32),
}

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    pub status: Option<CompanyStatus>,
    pub owner: Option<OwnerFilter>,
    /// Folded.
    pub q: Option<String>,
}

impl Criteria {
    /// The judgement of a row that stands alone.
    pub fn matches(&self, status: Option<CompanyStatus>, owner: Option<UserId>, q: &str) -> bool {
        let owner_fits = match self.owner {
            None => true,
            Some(OwnerFilter::Unassigned) => owner.is_none(),
            Some(OwnerFilter::User(user)) => owner == Some(user),
        };
        owner_fits
            && self.status.is_none_or(|wanted| status == Some(wanted))
            && self.q.as_deref().is_none_or(|part| q.contains(part))
    }
}

/// Rows in columns.
#[derive(Debug, Default)]
pub struct Segment {
    created: Vec<i64>,
    ids: Vec<Uuid>,
    versions: Vec<u64>,
    statuses: Vec<u8>,
    owners: Vec<u32>,
    directory: Vec<Uuid>,
    /// Where each row's line ends in the text.
    ends: Vec<usize>,
    text: String,
}

impl Segment {
    /// Unpacks what [`pack`] made.
    pub fn unpack(packed: &[u8]) -> Result<Self> {
        let mut raw = Vec::with_capacity(packed.len() * 4);
        DeflateDecoder::new(packed).take(UNPACKED_MAX).read_to_end(&mut raw).map_err(|_| damaged())?;
        let mut reader = Reader(&raw);
        if reader.byte()? != FORM {
            return Err(damaged());
        }
        let n = reader.count()?;
        let mut segment = Self::default();
        let mut last = 0_i64;
        for _ in 0..n {
            last = last.wrapping_add(reader.number()? as i64);
            segment.created.push(last);
        }
        let (times, rests) = (reader.take(n * 6)?, reader.take(n * 10)?);
        for ((created, time), rest) in segment.created.iter().zip(times.chunks_exact(6)).zip(rests.chunks_exact(10)) {
            let mut id = [0; 16];
            id.iter_mut().zip(time.iter().zip(time_bytes(*created))).for_each(|(to, (a, b))| *to = a ^ b);
            id[6..].copy_from_slice(rest);
            segment.ids.push(Uuid::from_bytes(id));
        }
        for _ in 0..n {
            segment.versions.push(reader.number()?);
        }
        segment.statuses = reader.take(n)?.to_vec();
        for _ in 0..reader.count()? {
            segment.directory.push(Uuid::from_slice(reader.take(16)?).map_err(|_| damaged())?);
        }
        for _ in 0..n {
            let place = u32::try_from(reader.number()?).ok().filter(|place| *place as usize <= segment.directory.len());
            segment.owners.push(place.ok_or_else(damaged)?);
        }
        segment.text = String::from_utf8(reader.0.to_vec()).map_err(|_| damaged())?;
        segment.ends = memchr::memchr_iter(END as u8, segment.text.as_bytes()).collect();
        if segment.ends.len() == n { Ok(segment) } else { Err(damaged()) }
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes of memory that it takes, more or less.
    pub fn weight(&self) -> usize {
        self.text.len() + self.len() * (8 + 16 + 8 + 1 + 4 + 8) + self.directory.len() * 16
    }

    pub(super) fn order(&self, row: usize) -> (Time, Uuid) {
        (Time::from_millis(self.created[row]), self.ids[row])
    }

    pub(super) fn version(&self, row: usize) -> u64 {
        self.versions[row]
    }

    /// The text of a row.
    pub fn q(&self, row: usize) -> &str {
        let from = if row == 0 { 0 } else { self.ends[row - 1] + 1 };
        &self.text[from..self.ends[row]]
    }

    /// Where a record stands, if it does.
    pub(super) fn find(&self, created_at: Time, id: Uuid) -> Option<usize> {
        let from = self.created.partition_point(|created| *created < created_at.millis());
        let same = self.created[from..].iter().take_while(|created| **created == created_at.millis()).count();
        self.ids[from..from + same].binary_search(&id).ok().map(|place| from + place)
    }

    /// The rows one by one.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        (0..self.len()).map(|i| Row {
            created_at: Time::from_millis(self.created[i]),
            id: self.ids[i],
            version: self.versions[i],
            status: usize::from(self.statuses[i]).checked_sub(1).and_then(|code| STATUSES.get(code)).copied(),
            owner: (self.owners[i] as usize)
                .checked_sub(1)
                .and_then(|place| self.directory.get(place))
                .map(|id| UserId::from_uuid(*id)),
            q: self.q(i).to_owned(),
        })
    }

    /// The rows that are looked for, in order. `finder` is for the text of `criteria`.
    pub(super) fn matching(&self, criteria: &Criteria, finder: Option<&Finder<'_>>, mut found: impl FnMut(usize)) {
        let owner = match criteria.owner {
            None => Place::Any,
            Some(OwnerFilter::Unassigned) => Place::At(0),
            Some(OwnerFilter::User(user)) => match self.directory.binary_search(&user.uuid()) {
                Ok(place) => Place::At(place as u32 + 1),
                Err(_) => return,
            },
        };
        let status = criteria.status.map(|status| status_code(Some(status)));
        let fits = |row: usize| {
            status.is_none_or(|status| self.statuses[row] == status)
                && (owner == Place::Any || owner == Place::At(self.owners[row]))
        };
        let Some(finder) = finder else { return (0..self.len()).filter(|row| fits(*row)).for_each(found) };
        let (mut row, mut from) = (0, 0);
        while let Some(at) = finder.find(&self.text.as_bytes()[from..]) {
            // A part has no line's end in it, so it lies within one line.
            row += self.ends[row..].partition_point(|end| *end < from + at);
            if fits(row) {
                found(row);
            }
            from = self.ends[row] + 1;
            row += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(n: u64) -> Row {
        let created_at = Time::from_millis(1_700_000_000_000 + (n / 3) as i64 * 17);
        let mut id = [n as u8; 16];
        id[..6].copy_from_slice(&time_bytes(created_at.millis() + (n % 2) as i64));
        id[15] = (n >> 8) as u8;
        Row {
            created_at,
            id: Uuid::from_bytes(id),
            version: n * n,
            status: (!n.is_multiple_of(4)).then(|| STATUSES[(n % 4) as usize - 1]),
            owner: (n % 5 > 1).then(|| UserId::from_uuid(Uuid::from_u128(u128::from(n % 5)))),
            q: format!("ünit {n:05}"),
        }
    }

    fn some(n: u64) -> Vec<Row> {
        let mut rows: Vec<Row> = (0..n).map(row).collect();
        rows.sort_by_key(Row::order);
        rows
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for n in [0, 1, 2, 700] {
            let rows = some(n);
            let segment = Segment::unpack(&pack(&rows).unwrap()).unwrap();
            assert_eq!(segment.rows().collect::<Vec<_>>(), rows);
            for (place, row) in rows.iter().enumerate() {
                assert_eq!(segment.find(row.created_at, row.id), Some(place));
                assert_eq!(segment.order(place), row.order());
            }
            assert_eq!(segment.find(Time::from_millis(5), Uuid::nil()), None);
        }
    }

    #[test]
    fn a_thousand_people_take_little_room() {
        let person = |n: u64| Row { q: format!("ada lovelace {n} ada.lovelace{n}@engines.example"), ..row(n) };
        let mut rows: Vec<Row> = (0..1000).map(person).collect();
        rows.sort_by_key(Row::order);
        assert!(pack(&rows).unwrap().len() < 30_000);
    }

    #[test]
    fn damage_is_noticed() {
        let packed = pack(&some(50)).unwrap();
        for end in [0, 1, packed.len() / 2, packed.len() - 1] {
            assert!(Segment::unpack(&packed[..end]).is_err(), "{end}");
        }
        assert!(Segment::unpack(b"nonsense").is_err());
    }

    #[test]
    fn a_search_finds_what_judging_each_row_finds() {
        let rows = some(600);
        let segment = Segment::unpack(&pack(&rows).unwrap()).unwrap();
        let owners = [None, Some(OwnerFilter::Unassigned), Some(OwnerFilter::User(UserId::from_uuid(Uuid::from_u128(3))))];
        let nobody = Some(OwnerFilter::User(UserId::from_uuid(Uuid::from_u128(99))));
        for owner in owners.into_iter().chain([nobody]) {
            for status in [None, Some(CompanyStatus::Prospect), Some(CompanyStatus::Inactive)] {
                for q in [None, Some("ünit"), Some("ü"), Some("5"), Some("00599"), Some("nowhere"), Some(" 0"), Some("")] {
                    let criteria = Criteria { status, owner, q: q.map(str::to_owned) };
                    let finder = q.filter(|q| !q.is_empty()).map(Finder::new);
                    let mut found = Vec::new();
                    segment.matching(&criteria, finder.as_ref(), |row| found.push(segment.order(row)));
                    let judged = rows.iter().filter(|row| criteria.matches(row.status, row.owner, &row.q));
                    assert_eq!(found, judged.map(Row::order).collect::<Vec<_>>(), "{criteria:?}");
                }
            }
        }
    }
}
