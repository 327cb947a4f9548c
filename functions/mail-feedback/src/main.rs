//! The `mail-feedback` function: what Amazon SES tells of mail that was sent, and mail that came in, from SQS.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::communications::{self, FEEDBACK_ATTEMPTS, Noted};
use axle_domain::mail::{Feedback, FeedbackKind};
use axle_messaging::sqs::{self, MessageMeta};
use axle_runtime::Error;
use axle_telemetry::{Counts, metric};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::app, |app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let handle = async |body: Value, meta: MessageMeta| take(&app, &body, &meta).await;
        Ok(sqs::run(event, handle).await?)
    })
    .await
}

/// Takes one report. What is no report of SES, such as SNS's own greeting, says nothing that another attempt would understand.
async fn take(app: &App, body: &Value, meta: &MessageMeta) -> Result<Counts, String> {
    let report = match Feedback::parse(&body.to_string()) {
        Ok(report) => report,
        Err(e) => {
            tracing::warn!(message_id = meta.message_id, error = %e, "not a report of SES");
            return Ok(Counts::none());
        }
    };
    let kind = kind(&report.kind);
    let noted = match &report.kind {
        FeedbackKind::Receipt(_) => communications::receive_mail(app, &report).await,
        _ => communications::feedback(app, &report, meta.receive_count).await,
    };
    let noted = noted.map_err(|e| e.for_the_log())?;
    let (entity_id, communication_id) =
        (report.entity_id.map(tracing::field::display), report.communication_id.map(tracing::field::display));
    tracing::info!(entity_id, communication_id, kind, noted = name(noted), attempts_left = left(meta), "feedback");
    Ok(counts(&report.kind, noted))
}

fn left(meta: &MessageMeta) -> u32 {
    FEEDBACK_ATTEMPTS.saturating_sub(meta.receive_count)
}

const fn kind(kind: &FeedbackKind) -> &'static str {
    match kind {
        FeedbackKind::Bounce { hard: true, .. } => "bounce",
        FeedbackKind::Bounce { hard: false, .. } => "soft bounce",
        FeedbackKind::Complaint { .. } => "complaint",
        FeedbackKind::Delivery { .. } => "delivery",
        FeedbackKind::Rejected { .. } => "rejection",
        FeedbackKind::Receipt(_) => "receipt",
        FeedbackKind::Other(_) => "other",
    }
}

const fn name(noted: Noted) -> &'static str {
    match noted {
        Noted::Recorded => "recorded",
        Noted::Known => "known",
        Noted::Passed => "passed",
    }
}

/// Bounces and complaints are what a mail provider shuts an account for.
fn counts(kind: &FeedbackKind, noted: Noted) -> Counts {
    let fresh = u64::from(noted == Noted::Recorded);
    match kind {
        FeedbackKind::Bounce { hard: true, .. } => Counts::none().with_any(metric::MESSAGES_BOUNCED, fresh),
        FeedbackKind::Complaint { .. } => Counts::none().with_any(metric::MESSAGES_COMPLAINED, fresh),
        _ => Counts::none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_bounces_and_complaints_count_once() {
        let bounce = |hard| FeedbackKind::Bounce { hard, recipients: Vec::new(), feedback_id: String::new() };
        assert_eq!(counts(&bounce(true), Noted::Recorded), Counts::none().with(metric::MESSAGES_BOUNCED, 1));
        assert_eq!(counts(&bounce(false), Noted::Recorded), Counts::none());
        let complaint = FeedbackKind::Complaint { recipients: Vec::new(), complaint_type: None, feedback_id: String::new() };
        assert_eq!(counts(&complaint, Noted::Recorded), Counts::none().with(metric::MESSAGES_COMPLAINED, 1));
        assert_eq!(counts(&complaint, Noted::Known), Counts::none());
    }
}
