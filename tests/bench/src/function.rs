//! One function process, driven through its own runtime API.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Result;
use crate::runtime_api::{Message, RuntimeApi};

/// How long a process may take to its first poll; Lambda allows 10 s.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a process needs to start: where its binary is and what its environment holds.
#[derive(Clone)]
pub struct Launch {
    pub name: String,
    pub binary: PathBuf,
    pub variables: Vec<(String, String)>,
    /// The function's output goes here; overwritten at each start.
    pub log: PathBuf,
    /// The function's timeout; becomes the deadline of its invocations.
    pub timeout: Duration,
}

/// A running function; killed when dropped.
pub struct Function {
    name: String,
    log: PathBuf,
    timeout: Duration,
    child: Child,
    api: RuntimeApi,
    /// From just before the process was spawned to its first poll of the runtime API.
    pub cold_start: Duration,
}

pub struct Answer {
    pub body: Bytes,
    /// From handing the invocation out to having its whole answer.
    pub time: Duration,
}

impl Function {
    /// Spawns the process and waits for its first poll.
    pub async fn start(launch: &Launch) -> Result<Self> {
        let api = RuntimeApi::start(&launch.name)?;
        if let Some(folder) = launch.log.parent() {
            fs::create_dir_all(folder)?;
        }
        let output = File::create(&launch.log)?;
        let mut command = Command::new(&launch.binary);
        command
            .env_clear()
            .envs(lambda_variables(&launch.name, &api.address()))
            .envs(launch.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let spawned = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", launch.binary.display()))?;
        let mut function = Self {
            name: launch.name.clone(),
            log: launch.log.clone(),
            timeout: launch.timeout,
            child,
            api,
            cold_start: Duration::ZERO,
        };
        match function.message(INIT_TIMEOUT).await? {
            Message::Ready { at } => function.cold_start = at - spawned,
            Message::InitFailed { body } | Message::Answered { body, .. } => {
                return Err(function.fault(&format!("failed to start: {}", excerpt(&body))));
            }
        }
        Ok(function)
    }

    /// Sends one event and waits for the answer. An invocation that ends in an error is an `Err`.
    pub async fn invoke(&mut self, event: impl Into<Bytes>) -> Result<Answer> {
        let expected = self.api.invoke(event.into(), self.timeout);
        match self.message(self.timeout).await? {
            Message::Answered { id, body, time, failed: false } if id == expected => Ok(Answer { body, time }),
            Message::Answered { body, .. } => Err(self.fault(&format!("answered with an error: {}", excerpt(&body)))),
            Message::Ready { .. } | Message::InitFailed { .. } => Err(self.fault("started again in mid-run")),
        }
    }

    /// The most memory that the process has held so far (`VmHWM`), in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        peak_of(&status).ok_or_else(|| self.fault("has no VmHWM in /proc"))
    }

    /// The processor time that the process has used so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_of(&stat).ok_or_else(|| self.fault("has no times in /proc"))
    }

    async fn message(&mut self, limit: Duration) -> Result<Message> {
        let deadline = Instant::now() + limit;
        loop {
            // A crashed process says nothing, so its exit has to be looked for.
            match tokio::time::timeout(Duration::from_millis(100), self.api.message()).await {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => return Err(self.fault("lost its runtime API")),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.fault(&format!("ended unasked ({status})")));
            }
            if Instant::now() > deadline {
                return Err(self.fault(&format!("gave no sign of life for {limit:?}")));
            }
        }
    }

    fn fault(&self, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
        format!("{} {what}{}", self.name, last_lines(&self.log)).into()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The variables that Lambda sets for a custom runtime, credentials included (they are not checked by anything here).
fn lambda_variables(name: &str, runtime_api: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_SESSION_TOKEN", "test".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ]
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// User and system time, in ticks of 10 ms (`USER_HZ` is 100 everywhere), after the name, which may have anything in it.
fn cpu_of(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned()
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    if lines.is_empty() {
        return String::new();
    }
    let tail: Vec<&str> = lines.into_iter().rev().collect();
    format!("\n  its last output:\n    {}", tail.join("\n    "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn reads_the_high_water_mark() {
        let status = "Name:\tbootstrap\nVmPeak:\t   90000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 4000 kB\n";
        assert_eq!(super::peak_of(status), Some(5120 * 1024));
        assert_eq!(super::peak_of("Name:\tx\n"), None);
    }

    #[test]
    fn reads_the_processor_time() {
        let stat = "4711 (a ) b) S 1 4711 4711 0 -1 4194560 100 0 0 0 25 7 0 0 20 0 3 0 1000 1 1 1";
        assert_eq!(super::cpu_of(stat), Some(std::time::Duration::from_millis(320)));
        assert_eq!(super::cpu_of("nothing"), None);
    }
}
