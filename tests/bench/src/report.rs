//! The figures: kept as they come in, printed as tables, written as JSON.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::machine::Machine;
use crate::stats::{mb, print_table};
use crate::world::World;

/// A cold start may take this many times that of the empty function.
pub const COLD_LIMIT: f64 = 1.5;

/// The import worker's memory on a file of any size.
pub const IMPORT_MEMORY_LIMIT: u64 = 100_000_000;

/// A list, filter or search of the CRM over 100,000 companies and 300,000 contacts may take this long, in milliseconds.
pub const CRM_LIMIT_MS: f64 = 300.0;

#[derive(Serialize)]
pub struct Cold {
    pub function: String,
    pub starts: usize,
    pub median_ms: f64,
    pub p95_ms: f64,
    /// Of the empty function, started in turn with this one.
    pub baseline_median_ms: f64,
    pub ratio: f64,
    pub file_bytes: u64,
    /// At the first poll.
    pub peak_memory_bytes: u64,
}

#[derive(Serialize)]
pub struct Requests {
    pub event: String,
    pub function: String,
    pub requests: usize,
    /// The first request of the process: pays for everything that start-up put off.
    pub first_ms: f64,
    pub median_ms: f64,
    pub p95_ms: f64,
    /// Processor time of the function, on average; where it was measured.
    pub cpu_ms: Option<f64>,
    /// Of the empty function, sent the same event in turn with this one; none for workers, which take other events.
    pub baseline_median_ms: Option<f64>,
    pub peak_memory_bytes: u64,
}

#[derive(Serialize)]
pub struct Import {
    pub file: String,
    pub file_bytes: u64,
    pub rows: u64,
    pub invocations: usize,
    /// Time inside the worker, all its invocations together.
    pub worker_seconds: f64,
    pub rows_per_second: f64,
    pub peak_memory_bytes: u64,
    /// Whether this file is the one that the memory limit is judged on.
    pub large: bool,
}

#[derive(Default, Serialize)]
pub struct Report {
    /// When, in seconds since 1970: figures without a date are hearsay.
    pub measured_at: u64,
    pub machine: Machine,
    pub cold: Vec<Cold>,
    pub requests: Vec<Requests>,
    pub crm: Vec<Requests>,
    pub import: Vec<Import>,
    /// Limits that were exceeded.
    pub exceeded: Vec<String>,
    /// Wrong answers and crashes.
    pub faults: Vec<String>,
    /// What could not be measured, and why.
    pub skipped: Vec<String>,
}

fn request_rows(rows: &[Requests]) -> Vec<Vec<String>> {
    let row = |row: &Requests| {
        vec![
            row.event.clone(),
            row.requests.to_string(),
            format!("{:.2}", row.first_ms),
            format!("{:.2}", row.median_ms),
            format!("{:.2}", row.p95_ms),
            row.cpu_ms.or(row.baseline_median_ms).map_or("-".to_owned(), |time| format!("{time:.2}")),
            format!("{:.1}", mb(row.peak_memory_bytes)),
        ]
    };
    rows.iter().map(row).collect()
}

impl Report {
    pub fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    pub fn skip(&mut self, what: String) {
        self.skipped.push(what);
    }

    /// What the functions asked of AWS and the harness does not know: the figures may be of something else then.
    pub fn note_unknown_calls(&mut self, world: &World) {
        for call in world.aws.unknown_calls() {
            self.fault(format!("the harness does not answer the AWS call {call}"));
        }
    }

    pub fn is_good(&self) -> bool {
        self.exceeded.is_empty() && self.faults.is_empty()
    }

    /// Compares the figures with their limits; call it once all are in.
    pub fn judge(&mut self) {
        for row in self.cold.iter().filter(|row| row.ratio > COLD_LIMIT) {
            self.exceeded.push(format!("{} starts in {:.2}x the empty function's time", row.function, row.ratio));
        }
        for row in self.crm.iter().filter(|row| row.p95_ms > CRM_LIMIT_MS) {
            self.exceeded.push(format!("{} takes {:.0} ms", row.event, row.p95_ms));
        }
        for row in self.import.iter().filter(|row| row.large && row.peak_memory_bytes > IMPORT_MEMORY_LIMIT) {
            self.exceeded.push(format!("the import worker held {:.0} MB", mb(row.peak_memory_bytes)));
        }
    }

    pub fn print(&self) {
        println!("{}", self.machine);
        if !self.cold.is_empty() {
            let heading = ["cold start", "starts", "median ms", "p95 ms", "noop ms", "ratio", "file MB", "memory MB", ""];
            print_table("Process start to first poll of the runtime API", &heading, &self.cold_rows());
        }
        if !self.requests.is_empty() {
            let heading = ["event", "requests", "first ms", "median ms", "p95 ms", "noop ms", "memory MB"];
            print_table("Function time of warm requests (in-process table on loopback)", &heading, &request_rows(&self.requests));
        }
        if !self.crm.is_empty() {
            let heading = ["list", "requests", "first ms", "median ms", "p95 ms", "cpu ms", "memory MB"];
            print_table("Function time of the CRM's lists (in-process table on loopback)", &heading, &request_rows(&self.crm));
        }
        if !self.import.is_empty() {
            let heading = ["import", "MB", "rows", "invocations", "seconds", "rows/s", "memory MB", ""];
            print_table("Import of a CSV, one worker", &heading, &self.import_rows());
        }
        for (title, lines) in [("Over its limit", &self.exceeded), ("Went wrong", &self.faults), ("Not measured", &self.skipped)]
        {
            if !lines.is_empty() {
                println!("\n{title}:");
                lines.iter().for_each(|line| println!("- {line}"));
            }
        }
    }

    pub fn write_json(&self, file: &Path) -> Result<()> {
        fs::write(file, serde_json::to_string_pretty(self)? + "\n").map_err(|error| format!("{}: {error}", file.display()).into())
    }

    fn cold_rows(&self) -> Vec<Vec<String>> {
        let row = |row: &Cold| {
            vec![
                row.function.clone(),
                row.starts.to_string(),
                format!("{:.2}", row.median_ms),
                format!("{:.2}", row.p95_ms),
                format!("{:.2}", row.baseline_median_ms),
                format!("{:.2}", row.ratio),
                format!("{:.2}", mb(row.file_bytes)),
                format!("{:.1}", mb(row.peak_memory_bytes)),
                flag(row.ratio > COLD_LIMIT),
            ]
        };
        self.cold.iter().map(row).collect()
    }

    fn import_rows(&self) -> Vec<Vec<String>> {
        let row = |row: &Import| {
            vec![
                row.file.clone(),
                format!("{:.1}", mb(row.file_bytes)),
                row.rows.to_string(),
                row.invocations.to_string(),
                format!("{:.1}", row.worker_seconds),
                format!("{:.0}", row.rows_per_second),
                format!("{:.1}", mb(row.peak_memory_bytes)),
                flag(row.large && row.peak_memory_bytes > IMPORT_MEMORY_LIMIT),
            ]
        };
        self.import.iter().map(row).collect()
    }
}

fn flag(over: bool) -> String {
    if over { "over".to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cold(ratio: f64) -> Cold {
        Cold {
            function: "leads".to_owned(),
            starts: 40,
            median_ms: ratio,
            p95_ms: ratio,
            baseline_median_ms: 1.0,
            ratio,
            file_bytes: 1,
            peak_memory_bytes: 1,
        }
    }

    #[test]
    fn only_what_is_over_its_limit_is_flagged() {
        let mut report = Report { cold: vec![cold(1.5), cold(1.51)], ..Report::default() };
        report.judge();
        assert_eq!(report.exceeded, ["leads starts in 1.51x the empty function's time"]);
        assert!(!report.is_good());
    }
}
