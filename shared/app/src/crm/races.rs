//! Waiting for others who write the same things.

use std::time::Duration;

/// Waits a random while before the next of several attempts, longer each time, up to some 80 ms.
pub(crate) async fn wait_for_others(attempt: u32) {
    let [byte]: [u8; 1] = axle_domain::id::entropy();
    let most = 5_u64 << attempt.min(4);
    tokio::time::sleep(Duration::from_millis(most * u64::from(byte) / 255)).await;
}
