//! JSON logs, one line per event worth having, and metrics within them. CloudWatch adds the time.

use axle_telemetry::About;
use tracing_subscriber::filter::LevelFilter;

/// Sets up logging at the level that `AXLE_LOG` names (`info` by default); lines with metrics are written at every level. Calling it
/// again changes nothing.
pub fn init() {
    let level = std::env::var("AXLE_LOG").ok().and_then(|name| name.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let _ = subscriber.without_time().with_target(false).with_max_level(level).try_init();
    // Elsewhere than in Lambda nobody makes metrics of the lines.
    if let Ok(name) = std::env::var("AWS_LAMBDA_FUNCTION_NAME") {
        axle_telemetry::init(About::of(&name, &std::env::var("AXLE_STACK").unwrap_or_else(|_| "none".to_owned())));
    }
}
