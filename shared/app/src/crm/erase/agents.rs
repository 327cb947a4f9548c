//! What agents did for the person, and the steps of traces that tell of them.

use axle_domain::TraceId;
use axle_domain::crm::erasure::ERASED;
use axle_store::agent_runs::PersonRunRecord;
use axle_store::spans::SpanRecord;
use axle_store::traces::{TraceLink, TraceQuery};
use uuid::Uuid;

use super::records::clean_some;
use super::{Done, Work};
use crate::agents;
use crate::error::Result;

/// Ways through runs, and traces, that are read at a time.
const PAGE: usize = 20;
/// Writes of a transaction.
const AT_ONCE: usize = 90;

impl Work<'_> {
    /// Their ways through runs of agents, then the traces of their leads. The position is the lead's number and the place in its list.
    pub(super) async fn agents(&mut self) -> Result<Done> {
        let (entity, mut done) = (self.ctx.entity_id, Done::default());
        let leads: Vec<Uuid> = self.person.leads().iter().map(|lead| lead.uuid()).collect();
        let contacts = self.contact_ids().into_iter().map(axle_domain::ContactId::uuid);
        for id in contacts.chain(leads) {
            let ways = self.table.person_runs(entity, id, PAGE, self.ctx.now).await?;
            for way in &ways {
                agents::erase::forget_way(self.app, self.ctx, &self.person, way).await?;
                self.clean_trace(way.trace_id, &mut done).await?;
                let mut tx = self.table.tx();
                tx.remove("person's run", PersonRunRecord::key_of(entity, id, way.id));
                tx.commit().await?;
                done.note("agentRuns");
            }
            if !ways.is_empty() {
                done.next = self.erasure.after.clone().or(Some("0/".to_owned()));
                return Ok(done);
            }
        }
        self.traces(done).await
    }

    async fn traces(&self, mut done: Done) -> Result<Done> {
        let at = self.erasure.after.clone().unwrap_or_default();
        let (number, after) = at.split_once('/').unwrap_or(("0", ""));
        let number: usize = number.parse().unwrap_or(0);
        let Some(lead) = self.person.leads().iter().nth(number) else { return Ok(done) };
        let query = TraceQuery { lead_id: Some(*lead), campaign_id: None };
        let after = Some(after).filter(|after| !after.is_empty());
        let (positions, next) = self.table.trace_positions(self.ctx.entity_id, &query, after, PAGE).await?;
        for (_, trace) in positions {
            self.clean_trace(trace, &mut done).await?;
        }
        done.next = Some(next.map_or_else(|| format!("{}/", number + 1), |next| format!("{number}/{next}")));
        Ok(done)
    }

    /// The steps of a trace that are about them tell of nobody.
    async fn clean_trace(&self, trace: TraceId, done: &mut Done) -> Result<()> {
        let items = self.table.trace_items(self.ctx.entity_id, trace, true, self.ctx.now).await?;
        let spans: Vec<SpanRecord> = items.spans.into_iter().filter_map(|span| self.without_them(span)).collect();
        let theirs = |link: &TraceLink| link.lead_id.is_some_and(|lead| self.person.leads().contains(&lead));
        let links: Vec<TraceLink> =
            items.links.into_iter().filter(theirs).map(|link| TraceLink { lead_id: None, ..link }).collect();
        for some in spans.chunks(AT_ONCE) {
            let mut tx = self.table.tx();
            some.iter().for_each(|span| tx.span(span));
            tx.commit().await?;
        }
        for some in links.chunks(AT_ONCE) {
            let mut tx = self.table.tx();
            some.iter().for_each(|link| tx.replace_link(link));
            tx.commit().await?;
        }
        if !spans.is_empty() || !links.is_empty() {
            done.note("traces");
        }
        Ok(())
    }

    fn without_them(&self, record: SpanRecord) -> Option<SpanRecord> {
        let mut new = record.clone();
        if record.lead_id.is_some_and(|lead| self.person.leads().contains(&lead)) {
            (new.lead_id, new.begins_lead) = (None, false);
        }
        for (name, value) in record.span.attributes.iter() {
            if let Some(rest) = value.as_str().and_then(|text| self.person.redact(text, false)) {
                new.span.attributes.set(name, rest);
            }
        }
        let names_them = record.span.attributes.get("axle.contact_id").and_then(|id| id.as_str()?.parse().ok());
        if names_them.is_some_and(|id| self.person.is_linked(id) || self.person.leads().iter().any(|lead| lead.uuid() == id)) {
            new.span.attributes.set("axle.contact_id", ERASED);
        }
        clean_some(&self.person, &mut new.span.error);
        (new != record).then_some(new)
    }
}
