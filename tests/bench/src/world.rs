//! Everything around the functions: table, other AWS calls, where the binaries are, what their environment says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::aws::{self, Aws};
use crate::function::Launch;
use crate::table::{TABLE, Table};

pub const BASELINE: &str = "noop";

/// Timeouts as deployed: the import worker and the aggregator's repairs may run long, all others answer at once.
const WORKER_TIMEOUT: Duration = Duration::from_secs(300);
const TIMEOUT: Duration = Duration::from_secs(30);

pub struct World {
    pub table: Table,
    pub aws: Aws,
    dir: PathBuf,
    logs: PathBuf,
}

impl World {
    pub fn start(dir: &Path) -> Result<Self> {
        let logs = std::env::temp_dir().join(format!("axle-bench-{}", std::process::id()));
        let world = Self { table: Table::start()?, aws: Aws::start()?, dir: dir.to_owned(), logs };
        if !world.is_built(BASELINE) {
            let message = "has no noop/bootstrap: build the functions with `cargo lambda build --release` first";
            return Err(format!("{} {message}", dir.display()).into());
        }
        Ok(world)
    }

    pub fn is_built(&self, function: &str) -> bool {
        self.binary(function).is_file()
    }

    /// The names among `functions` that are not built, for a message; empty when all are there.
    pub fn missing<'a>(&self, functions: &[&'a str]) -> Vec<&'a str> {
        functions.iter().copied().filter(|function| !self.is_built(function)).collect()
    }

    pub fn launch(&self, function: &str) -> Launch {
        Launch {
            name: function.to_owned(),
            binary: self.binary(function),
            variables: self.variables(),
            log: self.logs.join(format!("{function}.log")),
            timeout: if ["import-worker", "crm-aggregator"].contains(&function) { WORKER_TIMEOUT } else { TIMEOUT },
        }
    }

    fn binary(&self, function: &str) -> PathBuf {
        self.dir.join(function).join("bootstrap")
    }

    /// One environment for all functions; each reads what it uses.
    fn variables(&self) -> Vec<(String, String)> {
        let aws = self.aws.url();
        let secret = |name: &str| format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{name}");
        let variables = [
            ("AWS_ENDPOINT_URL", aws.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.table.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.clone()),
            ("AWS_ENDPOINT_URL_S3", aws.clone()),
            ("AWS_ENDPOINT_URL_SQS", aws.clone()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", aws),
            ("AXLE_TABLE", TABLE.to_owned()),
            ("AXLE_BUS", aws::BUS.to_owned()),
            ("AXLE_BUCKET", aws::BUCKET.to_owned()),
            ("AXLE_IMPORT_QUEUE", self.aws.queue_url(aws::IMPORT_QUEUE)),
            ("AXLE_DELIVER_QUEUE", self.aws.queue_url(aws::DELIVER_QUEUE)),
            ("AXLE_OUTBOX_QUEUE", self.aws.queue_url(aws::OUTBOX_QUEUE)),
            ("AXLE_AGENTS_QUEUE", self.aws.queue_url(aws::AGENTS_QUEUE)),
            ("AXLE_CAMPAIGN_QUEUE", self.aws.queue_url(aws::CAMPAIGN_QUEUE)),
            ("AXLE_SENDER_ADDRESS", "axle@axle.example".to_owned()),
            ("AXLE_SENDER_NAME", "Axle".to_owned()),
            ("AXLE_KEY_SECRET", secret("keys")),
            ("AXLE_VAULT_SECRET", secret("vault")),
            ("AXLE_ALLOW_LOCAL_NETWORK", "false".to_owned()),
            ("AXLE_WEBHOOK_RETRY_SCALE", "1".to_owned()),
            ("AXLE_EVENT_RETENTION_DAYS", "90".to_owned()),
            ("AXLE_LOG", "info".to_owned()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What matters of the logs has been quoted in a fault already.
        let _ = std::fs::remove_dir_all(&self.logs);
    }
}

/// Every function of the product, by its folder, in alphabetical order; the baseline is not one.
pub fn functions() -> Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != BASELINE {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
