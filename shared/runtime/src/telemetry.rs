//! JSON logs, one line per event worth having. CloudWatch adds the time.

use tracing_subscriber::filter::LevelFilter;

/// Sets up logging at the level that `AXLE_LOG` names (`info` by default). Calling it again changes nothing.
pub fn init() {
    let level = std::env::var("AXLE_LOG").ok().and_then(|name| name.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let _ = subscriber.without_time().with_target(false).with_max_level(level).try_init();
}
