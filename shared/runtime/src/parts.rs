//! The application put together from AWS clients, none of which is built before its first use: TLS roots, credentials and
//! connections are most of what a cold start could cost.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use axle_app::{App, Config, Parts};
use axle_domain::Time;
use axle_domain::address::Email;
use axle_domain::mail::Mailbox;
use axle_domain::webhook::{NetworkPolicy, Schedule};
use axle_providers::Lazy;
use axle_providers::mail::{
    Accepted, Account, Blame, MailSettings, Mailers, OutgoingEmail, OutgoingPost, OutgoingSms, SendError, Sender, Verification,
};
use axle_providers::model::{
    BedrockAccess, ModelAnswer, ModelError, ModelErrorKind, ModelRequest, ModelRouter, ModelSettings, Models,
};
use axle_providers::objects::S3Objects;
use axle_providers::outbound;
use axle_providers::queue::{Queue, SqsQueue};
use axle_providers::secrets::Secrets;
use axle_providers::vault::Vault;
use axle_store::Table;
use tokio::sync::OnceCell;

use crate::config::{Env, MissingVariable};

static SDK: OnceCell<SdkConfig> = OnceCell::const_new();

/// One configuration for all clients, so that they share one connector. A call has 12 s in all and 5 s an attempt: well within
/// an HTTP function's 30 s, and long enough for a transaction that waits.
async fn sdk() -> SdkConfig {
    let load = || async {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(5))
            .operation_timeout(Duration::from_secs(12))
            .build();
        let loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
        loader.retry_config(RetryConfig::standard().with_max_attempts(4)).load().await
    };
    SDK.get_or_init(load).await.clone()
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A queue by its URL.
pub fn sqs_queue(url: String) -> Arc<dyn Queue> {
    Arc::new(SqsQueue::new(Lazy::later(|| async { aws_sdk_sqs::Client::new(&sdk().await) }), url))
}

/// An EventBridge client, built at its first use.
pub fn event_bridge() -> Lazy<aws_sdk_eventbridge::Client> {
    Lazy::later(|| async { aws_sdk_eventbridge::Client::new(&sdk().await) })
}

fn s3() -> Lazy<aws_sdk_s3::Client> {
    Lazy::later(|| async {
        let mut config = aws_sdk_s3::config::Builder::from(&sdk().await);
        // Streaming half a gigabyte takes longer than a call to the table.
        config = config.timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(1)).build());
        // An endpoint other than AWS's (a local stack) has no host name a bucket.
        if std::env::var_os("AWS_ENDPOINT_URL").is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some() {
            config = config.force_path_style(true);
        }
        aws_sdk_s3::Client::from_conf(config.build())
    })
}

/// Every way of sending messages. Only functions that send are given it: what it links costs each binary that has it megabytes and so
/// milliseconds at each cold start.
///
/// # Errors
/// [`MissingVariable`]
pub fn mailers(env: &Env) -> Result<Arc<dyn Sender>, MissingVariable> {
    let network = NetworkPolicy { allow_local: env.parsed_or("AXLE_ALLOW_LOCAL_NETWORK", false)? };
    let set = env.optional("AXLE_SES_CONFIGURATION_SET");
    let settings = MailSettings { ses_configuration_set: Some(set).filter(|set| !set.is_empty()), ..MailSettings::default() };
    let ses = Lazy::later(|| async { aws_sdk_sesv2::Client::new(&sdk().await) });
    let sns = Lazy::later(|| async { aws_sdk_sns::Client::new(&sdk().await) });
    Ok(Arc::new(Mailers::new(settings, ses, sns, Arc::new(outbound::Client::new(network)))))
}

/// For functions that send nothing.
pub(crate) struct NoSender;

fn no_sender() -> SendError {
    SendError::permanent(Blame::Identity, "this function sends no messages")
}

#[async_trait]
impl Sender for NoSender {
    async fn email(&self, _: &Account, _: &OutgoingEmail, _: Duration) -> Result<Accepted, SendError> {
        Err(no_sender())
    }
    async fn sms(&self, _: &OutgoingSms, _: Duration) -> Result<Accepted, SendError> {
        Err(no_sender())
    }
    async fn post(&self, _: &OutgoingPost, _: Duration) -> Result<Accepted, SendError> {
        Err(no_sender())
    }
    async fn verify(&self, _: &Account, _: &Email, _: Duration) -> Result<Verification, SendError> {
        Err(no_sender())
    }
}

/// Every model that agents can be given. The built-in one needs nothing; OpenAI's and Anthropic's keys are secrets that the deployment
/// names; Bedrock is called with the function's own role.
///
/// # Errors
/// [`MissingVariable`]
pub fn models(env: &Env) -> Result<Arc<dyn Models>, MissingVariable> {
    let network = NetworkPolicy { allow_local: env.parsed_or("AXLE_ALLOW_LOCAL_NETWORK", false)? };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let defaults = ModelSettings::default();
    let settings = ModelSettings {
        openai_url: given(env.optional("AXLE_OPENAI_URL")).unwrap_or(defaults.openai_url),
        openai_key_secret: given(env.optional("AXLE_OPENAI_KEY_SECRET")),
        anthropic_url: given(env.optional("AXLE_ANTHROPIC_URL")).unwrap_or(defaults.anthropic_url),
        anthropic_key_secret: given(env.optional("AXLE_ANTHROPIC_KEY_SECRET")),
        bedrock_url: given(env.optional("AXLE_BEDROCK_URL")),
        ..ModelSettings::default()
    };
    let secrets = Arc::new(Secrets::aws(Lazy::later(|| async { aws_sdk_secretsmanager::Client::new(&sdk().await) })));
    let bedrock = Lazy::later(|| async {
        let sdk = sdk().await;
        let (credentials, region) = (sdk.credentials_provider()?, sdk.region()?.to_string());
        Some(BedrockAccess { credentials, region })
    });
    Ok(Arc::new(ModelRouter::new(settings, secrets, bedrock, Arc::new(outbound::Client::new(network)))))
}

/// For functions that ask no models.
pub(crate) struct NoModels;

#[async_trait]
impl Models for NoModels {
    async fn complete(&self, _: &ModelRequest, _: Duration) -> Result<ModelAnswer, ModelError> {
        Err(ModelErrorKind::Unconfigured { provider: "axle", reason: "this function asks no models".to_owned() }.free())
    }
}

/// The deployment's own sender address, if it has one.
fn own_sender(env: &Env) -> Result<Option<Mailbox>, MissingVariable> {
    let text = env.optional("AXLE_SENDER_ADDRESS");
    if text.is_empty() {
        return Ok(None);
    }
    let address = Email::parse(&text).map_err(|_| MissingVariable("AXLE_SENDER_ADDRESS"))?;
    Ok(Some(Mailbox::new(address, Some(&env.optional("AXLE_SENDER_NAME")))))
}

/// The application as the environment describes it.
///
/// # Errors
/// [`MissingVariable`] for a variable that is there but not readable.
pub fn app(env: &Env, sender: Arc<dyn Sender>, models: Arc<dyn Models>) -> Result<Arc<App>, MissingVariable> {
    // Each function is given what it uses: the reference has no table, the relay no secret.
    let table = env.optional("AXLE_TABLE");
    let schedule = Schedule::scaled(env.parsed_or("AXLE_WEBHOOK_RETRY_SCALE", 1.0)?);
    let config = Config {
        key_secret: env.optional("AXLE_KEY_SECRET"),
        event_retention_days: env.parsed_or("AXLE_EVENT_RETENTION_DAYS", 90)?,
        network: NetworkPolicy { allow_local: env.parsed_or("AXLE_ALLOW_LOCAL_NETWORK", false)? },
        webhook_schedule: schedule.ok_or(MissingVariable("AXLE_WEBHOOK_RETRY_SCALE"))?,
        base_url: env.optional("AXLE_BASE_URL"),
        sender: own_sender(env)?,
        // Lambda's own variable.
        region: std::env::var("AWS_REGION").unwrap_or_default(),
        inbound_domain: env.optional("AXLE_INBOUND_DOMAIN"),
    };
    let secrets = Arc::new(Secrets::aws(Lazy::later(|| async { aws_sdk_secretsmanager::Client::new(&sdk().await) })));
    let network = config.network;
    Ok(App::new(Parts {
        config,
        clock: Arc::new(now),
        table: Lazy::later(move || {
            let name = table.clone();
            async move { Table::new(aws_sdk_dynamodb::Client::new(&sdk().await), name) }
        }),
        vault: Vault::new(Arc::clone(&secrets), env.optional("AXLE_VAULT_SECRET")),
        secrets,
        objects: Arc::new(S3Objects::new(s3(), env.optional("AXLE_BUCKET"))),
        deliver_queue: sqs_queue(env.optional("AXLE_DELIVER_QUEUE")),
        import_queue: sqs_queue(env.optional("AXLE_IMPORT_QUEUE")),
        outbox_queue: sqs_queue(env.optional("AXLE_OUTBOX_QUEUE")),
        agents_queue: sqs_queue(env.optional("AXLE_AGENTS_QUEUE")),
        campaign_queue: sqs_queue(env.optional("AXLE_CAMPAIGN_QUEUE")),
        sender,
        models,
        outbound: outbound::Client::new(network),
    }))
}
