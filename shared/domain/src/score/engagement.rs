//! Engagement: what the person, not a machine, did with our messages.

use serde_json::json;

use super::model::{Counted, Model};
use super::{Evidence, Inputs};
use crate::Time;

/// Opens, clicks and replies of people over a lead's messages, and when the first of each message was last seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Engaged {
    pub opens: u32,
    pub opened_at: Option<Time>,
    pub clicks: u32,
    pub clicked_at: Option<Time>,
    pub replies: u32,
    pub replied_at: Option<Time>,
}

pub(super) fn judge(model: &Model, inputs: &Inputs<'_>) -> Vec<Evidence> {
    let (weights, engaged) = (&model.engagement, inputs.engaged);
    let mut room = weights.max;
    let mut evidence = Vec::new();
    for (factor, Counted { points, at_most }, count, at) in [
        ("engagement.replies", weights.reply, engaged.replies, engaged.replied_at),
        ("engagement.clicks", weights.click, engaged.clicks, engaged.clicked_at),
        ("engagement.opens", weights.open, engaged.opens, engaged.opened_at),
    ] {
        let points = (points * count.min(at_most)).min(room);
        room -= points;
        if points > 0 {
            evidence.push(Evidence { factor: factor.to_owned(), points, value: json!(count), as_of: at });
        }
    }
    evidence
}
