//! What the figures were taken on: they mean little without it.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// Above this share of busy processors a process may wait for its turn for longer than an empty one takes to start, which
/// blurs every ratio.
const BUSY: f64 = 0.2;

/// How long the processors are watched before anything is measured.
const WATCHED: Duration = Duration::from_millis(500);

#[derive(Default, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    /// Share of processor time, from 0 to 1, that other programs took just before the first measurement.
    pub busy_before: f64,
}

impl Machine {
    pub async fn inspect() -> Self {
        let before = processor_time();
        tokio::time::sleep(WATCHED).await;
        let after = processor_time();
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            busy_before: before.zip(after).map_or(0.0, |(before, after)| busy_share(before, after)),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, kernel, busy_before } = self;
        write!(f, "{cpu}, {cores} cores, Linux {kernel}")?;
        if *busy_before > BUSY {
            let percent = busy_before * 100.0;
            write!(f, "\nOther programs took {percent:.0} % of it: do not trust these figures, measure again.")?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct ProcessorTime {
    idle: u64,
    total: u64,
}

fn processor_time() -> Option<ProcessorTime> {
    parse(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)), in clock ticks.
fn parse(stat: &str) -> Option<ProcessorTime> {
    let ticks: Vec<u64> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8).map_while(|ticks| ticks.parse().ok()).collect();
    Some(ProcessorTime { idle: ticks.get(3)? + ticks.get(4)?, total: ticks.iter().sum() })
}

fn busy_share(before: ProcessorTime, after: ProcessorTime) -> f64 {
    let total = after.total.saturating_sub(before.total);
    let idle = after.idle.saturating_sub(before.idle);
    if total == 0 {
        return 0.0;
    }
    1.0 - idle as f64 / total as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn busy_is_what_is_neither_idle_nor_waiting() {
        let before = parse("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2\n").unwrap();
        let after = parse("cpu  120 0 110 750 120 0 0 0 0 0\n").unwrap();
        assert!((busy_share(before, after) - 0.3).abs() < 1e-9);
        assert_eq!(busy_share(before, before), 0.0);
        assert!(parse("intr 1 2\n").is_none());
    }
}
