//! `make bench`: measures the built functions on this machine, without AWS.
//!
//! The harness plays the Lambda runtime API to the very binaries that are deployed, with an embedded DynamoDB as their
//! table and a small fake of the other AWS calls they make. Times are what the function takes; network time to real AWS
//! services comes on top. Every comparison with the empty function (`noop`) is paired: one start or request of each, in
//! turn, so that whatever else the machine does weighs on both alike.

// A program for the terminal.
#![allow(clippy::print_stdout)]

mod args;
mod aws;
mod cold;
mod crm;
mod csv_file;
mod events;
mod function;
mod import;
mod machine;
mod net;
mod pipeline;
mod report;
mod requests;
mod runtime_api;
mod stats;
mod table;
mod world;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use args::Part;
use machine::Machine;
use pipeline::Tenant;
use report::Report;
use world::World;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit status 1 means that a limit was exceeded or a function misbehaved; the figures are printed all the same.
#[tokio::main]
async fn main() -> ExitCode {
    match bench().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

async fn bench() -> Result<bool> {
    let Some(args) = args::parse(std::env::args().skip(1))? else {
        println!("{}", args::USAGE);
        return Ok(true);
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut report = Report { measured_at: since.as_secs(), machine: Machine::inspect().await, ..Report::default() };
    // A world each: the embedded table gets slower with every record that its stream keeps, and no part is to pay for another.
    if args.parts.contains(&Part::Cold) {
        eprintln!("measuring cold starts ...");
        let world = World::start(&args.dir)?;
        cold::run(&world, &args, &mut report).await?;
        report.note_unknown_calls(&world);
    }
    if args.parts.contains(&Part::Requests) {
        eprintln!("measuring requests ...");
        let mut world = World::start(&args.dir)?;
        if let Some(tenant) = tenant_of(&world, "requests", &mut report).await {
            requests::run(&mut world, &tenant, &args, &mut report).await?;
        }
        report.note_unknown_calls(&world);
    }
    if args.parts.contains(&Part::Import) {
        for file in import::files(&args) {
            let mut world = World::start(&args.dir)?;
            if let Some(tenant) = tenant_of(&world, "import", &mut report).await {
                import::run(&mut world, &tenant, file, &mut report).await;
            }
            report.note_unknown_calls(&world);
        }
    }
    if args.parts.contains(&Part::Crm) {
        let world = World::start(&args.dir)?;
        if let Some(tenant) = tenant_of(&world, "crm", &mut report).await {
            crm::run(&world, &tenant, &args, &mut report).await?;
        }
        report.note_unknown_calls(&world);
    }
    report.judge();
    report.print();
    if let Some(file) = &args.json {
        report.write_json(file)?;
    }
    Ok(report.is_good())
}

/// The tenant with an API key that a part needs, and so the function that makes one; without it the report says why not.
async fn tenant_of(world: &World, part: &str, report: &mut Report) -> Option<Tenant> {
    if !world.is_built("identity") {
        report.skip(format!("{part}: identity, which makes the API key, is not built"));
        return None;
    }
    Tenant::create(world).await.map_err(|error| report.fault(error.to_string())).ok()
}
