//! Their ways through campaigns, with the drafts and questions that came of them, and the steps of their traces.

use axle_domain::campaign::run::run_id;
use axle_domain::{CampaignRunId, LeadId, TraceId};
use axle_store::Record as _;
use axle_store::runs::RunRecord;
use axle_store::spans::SpanRecord;
use axle_store::traces::{Target, TraceQuery};

use super::records::committed;
use super::{Done, Work};
use crate::error::Result;
use crate::outreach::campaigns;

/// Traces that are listed at a time.
const PAGE: usize = 100;
/// Campaigns that are looked through at a time.
const CAMPAIGNS: usize = 50;
/// Items that one transaction removes.
const AT_ONCE: usize = 90;

impl Work<'_> {
    /// Every way of theirs ends and goes; so do the steps about them in the traces of these ways. A message that is on its way at this
    /// moment has to arrive first. A way follows from its campaign and lead, and outlives its trace; the position is the one in the list
    /// of campaigns.
    pub(super) async fn campaigns(&mut self) -> Result<Done> {
        let (entity, now, mut done) = (self.ctx.entity_id, self.ctx.now, Done::default());
        let (page, next) = self.table.campaigns(entity, None, self.erasure.after.as_deref(), CAMPAIGNS, now).await?;
        let ways = page.iter().flat_map(|campaign| self.person.leads().iter().map(|lead| run_id(campaign.value.id, *lead)));
        let keys: Vec<_> = ways.map(|way| RunRecord::key_of(entity, way)).collect();
        for way in self.table.get_many_now::<RunRecord>(&keys, now).await? {
            done.blocked |= !self.forget(way.value.id, &mut done).await?;
        }
        if next.is_some() {
            done.next = next;
            return Ok(done);
        }
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

    /// Ends a way, and removes it; false if something of it has to wait.
    async fn forget(&self, way: CampaignRunId, done: &mut Done) -> Result<bool> {
        let was_there = campaigns::forget(self.app, self.ctx.entity_id, way).await?;
        if was_there == Some(true) {
            done.note("campaignRuns");
        }
        Ok(was_there.is_some())
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
            if let Target::Run(run) = link.target
                && !self.forget(run, done).await?
            {
                return Ok(false);
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
