//! JSON logs, one line per event worth having. CloudWatch adds the time.

use tracing_subscriber::EnvFilter;

/// Sets up logging as `AXLE_LOG` says (`info` by default). Calling it again changes nothing.
pub fn init() {
    let filter = EnvFilter::builder().parse_lossy(std::env::var("AXLE_LOG").unwrap_or_else(|_| "info".to_owned()));
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let _ = subscriber.without_time().with_target(false).with_env_filter(filter).try_init();
}
