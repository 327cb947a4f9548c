//! Forgetting a person whom agents worked for.
//!
//! Their way through a run goes, with what was drafted, asked and decided on it; whoever is at it finds nothing to write to and stops. The
//! run's numbers and costs stay, and so do the others in it.

use axle_domain::Micros;
use axle_domain::agent::MAX_STEPS;
use axle_domain::crm::erasure::Person;
use axle_store::Versioned;
use axle_store::agent_runs::{BudgetChange, JobRecord, PersonRunRecord, RunContactRecord, Target};
use uuid::Uuid;

use super::RACES;
use super::runs::settle;
use super::work::forget_approvals;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Forgets a person's way through a run. The entry that leads to it stays, for what its caller has to do besides.
pub(crate) async fn forget_way(app: &App, ctx: &Ctx, person: &Person, way: &PersonRunRecord) -> Result<()> {
    let table = app.table().await;
    let key = RunContactRecord::key_of(ctx.entity_id, way.id);
    for _ in 0..RACES {
        let found = table.get::<RunContactRecord>(&key, ctx.now).await?;
        let Some(Versioned { value: contact, version }) = found else { return Ok(()) };
        forget_approvals(app, ctx, way.id, (0..MAX_STEPS).collect()).await?;
        strike(app, ctx, person, &contact).await?;
        let mut tx = table.tx();
        tx.forget_run_contact(&contact, version);
        if contact.reserved != Micros::ZERO {
            let freed = BudgetChange { held: Micros(-contact.reserved.0), ..BudgetChange::default() };
            tx.change_budget(ctx.entity_id, contact.job_id, freed);
        }
        if tx.try_commit().await? {
            return settle(app, ctx, contact.run_id).await;
        }
        // A worker was faster; its next write will not be.
    }
    Err(Error::Unavailable("a step of an agent changes all the time".to_owned()))
}

/// Takes them out of what the agent was told when it was called. Their place among its people stays: the parts of the others depend on it.
async fn strike(app: &App, ctx: &Ctx, person: &Person, contact: &RunContactRecord) -> Result<()> {
    let table = app.table().await;
    let key = JobRecord::key_of(ctx.entity_id, contact.job_id);
    for _ in 0..RACES {
        let Some(Versioned { value: mut job, version }) = table.get::<JobRecord>(&key, ctx.now).await? else { return Ok(()) };
        let mut changed = person.redact_json(&mut job.input, true);
        for target in job.targets.iter_mut().flatten().filter(|target| **target == contact.target) {
            *target = Target { id: Uuid::nil(), ..*target };
            changed = true;
        }
        if !changed {
            return Ok(());
        }
        let mut tx = table.tx();
        tx.replace("job", &job, version);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(Error::Unavailable("a job of an agent changes all the time".to_owned()))
}
