//! Their ways through campaigns, with the drafts and questions that came of them, and the steps of their traces.

use axle_domain::{LeadId, TraceId};
use axle_store::Record;
use axle_store::spans::SpanRecord;
use axle_store::traces::{Target, TraceQuery};

use super::records::committed;
use super::{Done, Work};
use crate::error::Result;
use crate::outreach::campaigns;

/// Traces that are listed at a time.
const PAGE: usize = 100;
/// Items that one transaction removes.
const AT_ONCE: usize = 90;

impl Work<'_> {
    /// Every way of theirs ends and goes; so do the steps about them in the traces of these ways. A message that is on its way at this moment has to arrive
    /// first.
    pub(super) async fn campaigns(&mut self) -> Result<Done> {
        let mut done = Done::default();
        for lead in self.person.leads().clone() {
            let query = TraceQuery { campaign_id: None, lead_id: Some(lead) };
            let mut after = None;
            loop {
                let (positions, next) = self.table.trace_positions(self.ctx.entity_id, &query, after.as_deref(), PAGE).await?;
                for (_, trace) in positions {
                    done.blocked |= !self.trace(lead, trace, &mut done).await?;
                }
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(done)
    }

    /// What is about a lead in the trace of a campaign; false if something of it has to wait.
    async fn trace(&self, lead: LeadId, id: TraceId, done: &mut Done) -> Result<bool> {
        let entity = self.ctx.entity_id;
        let items = self.table.trace_items(entity, id, true, self.ctx.now).await?;
        let links: Vec<_> = items.links.into_iter().filter(|link| link.lead_id == Some(lead)).collect();
        if !links.iter().any(|link| matches!(link.target, Target::Run(_))) {
            return Ok(true);
        }
        let spans = items.spans.into_iter().filter(|record| record.lead_id == Some(lead));
        let mut keys: Vec<_> = spans.map(|record| SpanRecord::key_of(entity, id, record.span.span_id)).collect();
        for link in links {
            if let Target::Run(run) = link.target {
                match campaigns::forget(self.app, entity, run).await? {
                    Some(true) => done.note("campaignRuns"),
                    Some(false) => {}
                    None => return Ok(false),
                }
            }
            keys.push(link.key());
        }
        for some in keys.chunks(AT_ONCE) {
            let mut tx = self.table.tx();
            some.iter().for_each(|key| tx.remove("step of a trace", key.clone()));
            committed(tx.commit().await)?;
            some.iter().for_each(|_| done.note("traceSteps"));
        }
        Ok(true)
    }
}
