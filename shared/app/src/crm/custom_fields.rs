//! Definitions of custom fields.

use axle_domain::crm::{CustomFieldInput, CustomFieldSettings, CustomObject, CustomRules, MAX_FIELDS};
use axle_domain::{CustomFieldId, Faults, Input};
use axle_store::crm::custom_fields::CustomFieldRecord;
use axle_store::{CommitError, Record, Versioned};
use serde_json::Value;

use super::shared::{RACES, patched};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};

/// What records of a kind are checked against.
pub(crate) async fn rules(app: &App, ctx: &Ctx, object: CustomObject) -> Result<CustomRules> {
    let defined = app.table().await.custom_fields(ctx.entity_id, Some(object)).await?;
    Ok(CustomRules::new(defined.into_iter().map(|field| field.value.definition)))
}

/// Defines a field.
///
/// # Errors
/// [`Error::Conflict`] if the object has a field of this name, or [`MAX_FIELDS`] of them.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: CustomFieldInput,
    answer: impl FnOnce(&Versioned<CustomFieldRecord>) -> Result<Answer>,
) -> Result<Answer> {
    check(&input)?;
    let table = app.table().await;
    if table.custom_fields(ctx.entity_id, Some(input.object)).await?.len() >= MAX_FIELDS {
        return Err(Error::Conflict(format!("a {} can have {MAX_FIELDS} custom fields at most", input.object)));
    }
    let record = CustomFieldRecord { entity_id: ctx.entity_id, definition: input, created_at: ctx.now, updated_at: ctx.now };
    let field = Versioned { value: record, version: 1 };
    let answer = answer(&field)?;
    let mut tx = table.tx();
    tx.create("custom field", &field.value);
    ctx.keep(&mut tx, &answer);
    match tx.commit().await {
        Ok(()) => Ok(answer),
        Err(CommitError::Condition { label: "custom field", .. }) => {
            let CustomFieldInput { object, name, .. } = &field.value.definition;
            Err(Error::Conflict(format!("the custom field {} has this name for {object} already: {name}", field.value.id())))
        }
        Err(e) => Err(e.into()),
    }
}

fn check(definition: &CustomFieldInput) -> Result<()> {
    let mut faults = Faults::new();
    definition.note_faults(&mut faults);
    faults.check().map_err(Error::Invalid)
}

/// All definitions, or those of one kind of record.
pub async fn list(app: &App, ctx: &Ctx, object: Option<CustomObject>) -> Result<Vec<Versioned<CustomFieldRecord>>> {
    Ok(app.table().await.custom_fields(ctx.entity_id, object).await?)
}

pub async fn get(app: &App, ctx: &Ctx, id: CustomFieldId) -> Result<Versioned<CustomFieldRecord>> {
    let all = list(app, ctx, None).await?;
    all.into_iter().find(|field| field.value.id() == id).ok_or(Error::NotFound("custom field"))
}

/// Changes options and whether it is required, by a merge patch (RFC 7396).
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    id: CustomFieldId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<CustomFieldRecord>> {
    for _ in 0..RACES {
        let Versioned { value: mut field, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let CustomFieldInput { options, required, .. } = field.definition.clone();
        let CustomFieldSettings { options, required } = patched(&CustomFieldSettings { options, required }, change, &[])?;
        field.definition = CustomFieldInput { options, required, ..field.definition };
        check(&field.definition)?;
        field.updated_at = ctx.now;
        let mut tx = app.table().await.tx();
        tx.replace("custom field", &field, version);
        if tx.try_commit().await? {
            return Ok(Versioned { value: field, version: version + 1 });
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

/// Deletes a definition. Values stay where they are, free of it.
pub async fn delete(app: &App, ctx: &Ctx, id: CustomFieldId, if_match: Option<u64>) -> Result<()> {
    for _ in 0..RACES {
        let Versioned { value: field, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let mut tx = app.table().await.tx();
        tx.delete("custom field", field.key(), version);
        if tx.try_commit().await? {
            return Ok(());
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}
