//! Cold starts: process start to first poll of the runtime API, each start paired with one of the empty function.

use std::fs;

use crate::Result;
use crate::args::Args;
use crate::function::{Function, Launch};
use crate::report::{Cold, Report};
use crate::stats::Samples;
use crate::world::{BASELINE, World, functions};

pub async fn run(world: &World, args: &Args, report: &mut Report) -> Result<()> {
    let mut names = functions()?;
    if !args.only.is_empty() {
        if let Some(unknown) = args.only.iter().find(|name| !names.contains(name) && *name != BASELINE) {
            return Err(format!("there is no function {unknown}").into());
        }
        names.retain(|name| args.only.contains(name));
    }
    // The baseline against itself comes first: how far its ratio is from 1 is the noise of this machine.
    names.insert(0, BASELINE.to_owned());
    for name in names {
        if !world.is_built(&name) {
            report.skip(format!("cold start of {name}: not built"));
            continue;
        }
        match compare(world, &name, args.starts).await {
            Ok(row) => report.cold.push(row),
            Err(error) => report.fault(format!("cold start: {error}")),
        }
    }
    Ok(())
}

async fn compare(world: &World, name: &str, starts: usize) -> Result<Cold> {
    let (function, baseline) = (world.launch(name), world.launch(BASELINE));
    // Not counted: reads both files into the page cache.
    Function::start(&baseline).await?;
    Function::start(&function).await?;

    let (mut times, mut baseline_times, mut peak_memory) = (Samples::default(), Samples::default(), 0);
    for round in 0..starts {
        // Who goes first alternates, so that neither always finds the machine as the other left it.
        if round % 2 == 0 {
            start_once(&baseline, &mut baseline_times).await?;
        }
        peak_memory = peak_memory.max(start_once(&function, &mut times).await?);
        if round % 2 == 1 {
            start_once(&baseline, &mut baseline_times).await?;
        }
    }
    Ok(Cold {
        function: name.to_owned(),
        starts: times.count(),
        median_ms: times.median_ms(),
        p95_ms: times.p95_ms(),
        baseline_median_ms: baseline_times.median_ms(),
        ratio: times.median_ms() / baseline_times.median_ms(),
        file_bytes: fs::metadata(&function.binary)?.len(),
        peak_memory_bytes: peak_memory,
    })
}

/// Returns the memory that the process held at its first poll.
async fn start_once(launch: &Launch, times: &mut Samples) -> Result<u64> {
    let function = Function::start(launch).await?;
    times.push(function.cold_start);
    function.peak_memory()
}
