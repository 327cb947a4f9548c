//! What follows from the spans of a trace.

use std::collections::HashSet;

use super::{Span, SpanId, SpanStatus};
use crate::Time;

/// How a trace stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// An error if a step failed; else running while a step is; else ok.
    pub status: SpanStatus,
    /// When the first step began.
    pub started_at: Time,
    /// When the last step ended; none while one is running.
    pub ended_at: Option<Time>,
}

impl Summary {
    /// From the first step's beginning to the last one's end.
    pub fn duration_ms(&self) -> Option<u64> {
        self.ended_at.map(|end| end.since(self.started_at).max(0).unsigned_abs())
    }
}

/// What the steps say together; `None` if there are none.
pub fn summarise(spans: &[Span]) -> Option<Summary> {
    let started_at = spans.iter().map(|span| span.started_at).min()?;
    let has = |status| spans.iter().any(|span| span.status == status);
    let status = [SpanStatus::Error, SpanStatus::Running].into_iter().find(|status| has(*status)).unwrap_or(SpanStatus::Ok);
    let ended_at = if has(SpanStatus::Running) { None } else { spans.iter().filter_map(Span::ended_at).max() };
    Some(Summary { status, started_at, ended_at })
}

/// Puts steps in the order of their beginning, causes before what they cause, and takes away parents that are not among them.
pub fn order(spans: &mut [Span]) {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    for span in spans.iter_mut() {
        span.parent_id = span.parent_id.filter(|parent| known.contains(parent) && *parent != span.span_id);
    }
    spans.sort_by_key(|span| (span.started_at, span.parent_id.is_some(), span.span_id));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::TraceId;

    fn trace() -> TraceId {
        "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap()
    }

    fn at(ms: i64) -> Time {
        Time::from_millis(1_700_000_000_000 + ms)
    }

    fn any_span() -> impl Strategy<Value = Span> {
        (0_u32..20, 0_i64..10_000, 0_i64..5_000, 0_u8..3).prop_map(|(subject, start, length, end)| {
            let span = Span::new(trace(), "lead.score", subject, at(start));
            match end {
                0 => span,
                1 => span.done(at(start + length)),
                _ => span.failed(at(start + length), "no"),
            }
        })
    }

    proptest! {
        #[test]
        fn a_trace_spans_its_steps(spans in prop::collection::vec(any_span(), 1..20)) {
            let all = summarise(&spans).unwrap();
            for span in &spans {
                prop_assert!(all.started_at <= span.started_at);
                prop_assert!(all.ended_at.is_none_or(|end| span.ended_at().unwrap() <= end));
            }
            prop_assert_eq!(all.ended_at.is_none(), spans.iter().any(|s| s.status == SpanStatus::Running));
            prop_assert_eq!(all.status == SpanStatus::Ok, spans.iter().all(|s| s.status == SpanStatus::Ok));
            prop_assert_eq!(all.status == SpanStatus::Error, spans.iter().any(|s| s.status == SpanStatus::Error));
        }
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(summarise(&[]), None);
    }

    #[test]
    fn causes_come_first_and_what_is_not_there_is_no_parent() {
        let queue = Span::new(trace(), "message.queue", 1, at(5)).parent(SpanId::of(trace(), "gone", 1)).done(at(5));
        let send = Span::new(trace(), "message.send", 1, at(5)).parent(queue.span_id).done(at(9));
        let before = Span::new(trace(), "lead.score", 1, at(1)).done(at(2));
        let mut spans = vec![send.clone(), queue.clone(), before.clone()];
        order(&mut spans);
        let ids: Vec<SpanId> = spans.iter().map(|span| span.span_id).collect();
        assert_eq!(ids, [before.span_id, queue.span_id, send.span_id]);
        assert_eq!(spans.iter().map(|span| span.parent_id).collect::<Vec<_>>(), [None, None, Some(queue.span_id)]);
        let all = summarise(&spans).unwrap();
        assert_eq!((all.status, all.duration_ms()), (SpanStatus::Ok, Some(8)));
    }
}
