//! Forgetting a lead's way through a campaign, because the person is erased. What was sent, spent and counted stays, as numbers.

use axle_domain::campaign::run::StopCause;
use axle_domain::{CampaignRunId, EntityId};
use axle_store::runs::{DraftRecord, RunRecord};

use super::hear::stop;
use super::run::Turn;
use super::{approval, control};
use crate::context::App;
use crate::error::{Error, Result};

/// Attempts against others who change the same run.
const RACES: usize = 16;

/// Ends a run and removes it with its draft and the questions about it; answers whether it was there. `None`: a message of it is on its
/// way, or somebody is at work for it, at this moment.
pub(crate) async fn forget(app: &App, entity: EntityId, id: CampaignRunId) -> Result<Option<bool>> {
    let table = app.table().await;
    for _ in 0..RACES {
        let Some(turn) = Turn::read(app, entity, id).await? else { return Ok(Some(false)) };
        if !turn.run.state.is_over() {
            stop(app, entity, id, StopCause::LeadDeleted).await?;
            match Turn::read(app, entity, id).await? {
                Some(turn) if !turn.run.state.is_over() => return Ok(None),
                _ => continue,
            }
        }
        if turn.run.claim.is_some() {
            return Ok(None);
        }
        control::complete_if_done(app, entity, turn.campaign.id).await?;
        let mut tx = table.tx();
        tx.delete("run", RunRecord::key_of(entity, id), turn.version);
        tx.remove("draft", DraftRecord::key_of(entity, id));
        for step in 1..=turn.run.step {
            if let Some(asked) = table.approval(entity, approval::question(&turn.run, step), app.now()).await? {
                tx.forget_approval(&asked.value, asked.version);
            }
        }
        if tx.try_commit().await? {
            return Ok(Some(true));
        }
    }
    Err(Error::Unavailable("a run keeps changing".to_owned()))
}
