//! The command line, read by hand: four words and a few flags.

use std::path::PathBuf;

use crate::Result;

pub const USAGE: &str = "\
usage: axle-bench [cold|requests|import|all|crm] [options]

  cold       process start to first poll of the runtime API, file size and memory, against an empty function
  requests   function time of representative warm events
  import     rows per second of a CSV import, and the worker's memory on a large file
  all        all of these (default)
  crm        the CRM's lists and searches over very many companies and contacts; fills a table first, so only when named

  --dir DIR      where <function>/bootstrap binaries lie (default target/lambda; release profile)
  --only A,B     only these functions in `cold`
  --quick        fewer runs and smaller files
  --rows N       rows of the timed import (default 50000)
  --companies N  companies of `crm`, with three contacts each (default 100000)
  --mb N         size of the large file in MB (default 500)
  --json FILE    write the figures there too";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Cold,
    Requests,
    Import,
    Crm,
}

#[derive(Debug)]
pub struct Args {
    pub parts: Vec<Part>,
    pub dir: PathBuf,
    pub only: Vec<String>,
    pub json: Option<PathBuf>,
    /// Process starts a function and baseline.
    pub starts: usize,
    /// Warm requests an event.
    pub requests: usize,
    pub rows: u64,
    pub large_bytes: u64,
    /// Companies, and requests for each list of them.
    pub companies: usize,
    pub crm_requests: usize,
}

/// `None` when help was asked for.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Option<Args>> {
    let mut parts = Vec::new();
    let mut dir = PathBuf::from("target/lambda");
    let (mut only, mut json, mut quick, mut rows, mut megabytes, mut companies) = (Vec::new(), None, false, None, None, None);
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
        match word.as_str() {
            "cold" => parts.push(Part::Cold),
            "requests" => parts.push(Part::Requests),
            "import" => parts.push(Part::Import),
            "all" => parts.extend([Part::Cold, Part::Requests, Part::Import]),
            "--dir" => dir = value()?.into(),
            "--only" => only.extend(value()?.split(',').map(str::to_owned)),
            "--json" => json = Some(value()?.into()),
            "crm" => parts.push(Part::Crm),
            "--companies" => companies = Some(number(&word, &value()?)?),
            "--rows" => rows = Some(number(&word, &value()?)?),
            "--mb" => megabytes = Some(number(&word, &value()?)?),
            "--quick" => quick = true,
            "-h" | "--help" => return Ok(None),
            other => return Err(format!("{other} is not known\n\n{USAGE}").into()),
        }
    }
    if parts.is_empty() {
        parts.extend([Part::Cold, Part::Requests, Part::Import]);
    }
    Ok(Some(Args {
        parts,
        dir,
        only,
        json,
        starts: if quick { 10 } else { 40 },
        requests: if quick { 50 } else { 300 },
        rows: rows.unwrap_or(if quick { 5_000 } else { 50_000 }),
        large_bytes: megabytes.unwrap_or(if quick { 50 } else { 500 }) * 1_000_000,
        companies: usize::try_from(companies.unwrap_or(if quick { 5_000 } else { 100_000 }))?,
        crm_requests: if quick { 20 } else { 60 },
    }))
}

fn number(flag: &str, text: &str) -> Result<u64> {
    let number: u64 = text.parse().map_err(|_| format!("{flag} needs a whole number, not {text}"))?;
    if number == 0 { Err(format!("{flag} needs a number above 0").into()) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(words: &str) -> Result<Option<Args>> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn defaults_and_flags() {
        let args = parsed("").unwrap().unwrap();
        assert_eq!(args.parts, [Part::Cold, Part::Requests, Part::Import]);
        assert!(args.starts >= 30, "a median and a p95 need that many");
        let args = parsed("crm --companies 9").unwrap().unwrap();
        assert_eq!((args.parts, args.companies), (vec![Part::Crm], 9));
        let args = parsed("import --quick --rows 7 --dir x --only a,b").unwrap().unwrap();
        assert_eq!((args.parts, args.rows, args.large_bytes), (vec![Part::Import], 7, 50_000_000));
        assert_eq!((args.dir, args.only), ("x".into(), vec!["a".to_owned(), "b".to_owned()]));
        assert!(parsed("--help").unwrap().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (words, message) in [("warm", "warm is not known"), ("--rows", "--rows needs"), ("--mb 0", "--mb needs")] {
            let error = parsed(words).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
