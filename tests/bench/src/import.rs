//! A whole import through the functions that serve it: upload, job, relay, worker, until the job says it is done.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::args::Args;
use crate::aws::{Object, key_of};
use crate::csv_file::CsvFile;
use crate::events::Request;
use crate::function::Function;
use crate::pipeline::{Tenant, call, deliver, import_events, relay};
use crate::report::{Import, Report};
use crate::stats::mb;
use crate::world::World;

const NEEDED: [&str; 3] = ["leads", "event-relay", "import-worker"];

/// What is imported: plain rows for the speed, and a large file for the worker's memory.
pub struct File {
    csv: CsvFile,
    large: bool,
}

pub fn files(args: &Args) -> [File; 2] {
    let plain = File { csv: CsvFile::with_rows("rows", args.rows), large: false };
    [plain, File { csv: CsvFile::with_bytes("large", args.large_bytes), large: true }]
}

pub async fn run(world: &mut World, tenant: &Tenant, file: File, report: &mut Report) {
    let missing = world.missing(&NEEDED);
    if !missing.is_empty() {
        report.skip(format!("import: {} not built", missing.join(", ")));
        return;
    }
    eprintln!("importing {} rows, {:.0} MB ...", file.csv.rows(), mb(file.csv.len()));
    match import(world, tenant, file).await {
        Ok(row) => report.import.push(row),
        Err(error) => report.fault(format!("import: {error}")),
    }
}

async fn import(world: &mut World, tenant: &Tenant, File { csv: file, large }: File) -> Result<Import> {
    let mut leads = Function::start(&world.launch("leads")).await?;
    let mut relayer = Function::start(&world.launch("event-relay")).await?;
    let mut worker = Function::start(&world.launch("import-worker")).await?;

    let (rows, file_bytes) = (file.rows(), file.len());
    let job = begin(world, tenant, &mut leads, file).await?;
    relay(world, &mut relayer).await?;
    // All that follows comes by the queue: a worker hands the rest of a file on itself.
    world.table.pause_stream()?;
    let (mut worker_time, mut invocations) = (Duration::ZERO, 0);
    let status = loop {
        let batch = import_events(world);
        let idle = batch.is_empty();
        for event in &batch {
            worker_time += deliver(&mut worker, event).await?;
            invocations += 1;
        }
        let path = format!("/leads/import/{job}");
        let status = call(&mut leads, tenant.event(&Request::get(&path, "")), 200).await?.body;
        if status["status"] == "completed" || status["status"] == "failed" {
            break status;
        }
        if idle {
            return Err(format!("no message is waiting and the job is not done: {status}").into());
        }
    };
    world.table.resume_stream()?;
    check(&status, rows)?;
    let worker_seconds = worker_time.as_secs_f64();
    Ok(Import {
        file: if large { "large file".to_owned() } else { "plain rows".to_owned() },
        file_bytes,
        rows,
        invocations,
        worker_seconds,
        rows_per_second: rows as f64 / worker_seconds,
        peak_memory_bytes: worker.peak_memory()?,
        large,
    })
}

/// Puts the file where a presigned upload would, starts the import of it and returns the job's id.
async fn begin(world: &World, tenant: &Tenant, leads: &mut Function, file: CsvFile) -> Result<String> {
    let request = Request::post_json("/leads/import/uploads", &json!({}));
    let upload = call(leads, tenant.event(&request), 201).await?.body;
    let url = upload["url"].as_str().ok_or_else(|| format!("an upload without url: {upload}"))?;
    world.aws.put_object(key_of(path_of(url)), Object::Csv(file));

    let request = Request::post_json("/leads/import", &json!({"upload_id": upload["upload_id"]}));
    let job = call(leads, tenant.event(&request), 202).await?.body;
    Ok(job["import_job_id"].as_str().ok_or_else(|| format!("an import without job: {job}"))?.to_owned())
}

/// The path of an absolute URL, without query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |slash| &rest[slash..]);
    path.split('?').next().unwrap_or(path)
}

/// Every row is a new lead, so any other outcome means that the figures are of something else.
fn check(status: &Value, rows: u64) -> Result<()> {
    if status["status"] == "completed" && status["created"] == rows {
        return Ok(());
    }
    Err(format!("not every one of {rows} rows became a lead: {status}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_read_from_the_presigned_url() {
        let url = "http://127.0.0.1:4000/axle-bench/uploads/e/u?X-Amz-Signature=abc/def";
        assert_eq!(key_of(path_of(url)), "uploads/e/u");
    }

    #[test]
    fn a_job_that_lost_rows_is_a_fault() {
        assert!(check(&json!({"status": "completed", "created": 3}), 3).is_ok());
        assert!(check(&json!({"status": "completed", "created": 2}), 3).is_err());
        assert!(check(&json!({"status": "failed", "created": 3}), 3).is_err());
    }
}
