//! What follows from a deal's stage.

use axle_app::crm::deals;
use axle_app::{Error, PageRequest};
use axle_domain::Due;
use axle_domain::crm::CompanyStatus::{Active, Inactive, Prospect};
use axle_domain::crm::stage::Stage;
use axle_domain::crm::task::{Related, TaskStatus};
use serde_json::json;

use crate::office::{Office, pointers};

#[tokio::test]
async fn a_win_is_followed_up_in_one_write() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    let id = office.deal_with(company).await;
    office.world.clock.advance_secs(60);
    let won = office.try_shift(id, json!({"stage": "won", "note": " By phone "})).await.unwrap();
    assert_eq!((won.version, won.value.stage, won.value.closed_at), (2, Stage::Won, Some(office.app().now())));
    assert_eq!(office.company_now(company).await.status, Active);

    let task = office.task().await;
    assert_eq!(
        (task.assignee_id, task.status, task.related.clone()),
        (Some(office.user), TaskStatus::Open, Some(Related::deal(id)))
    );
    assert_eq!(task.due_date.map(Due::day), Some(axle_domain::Date::of(office.app().now()).plus_days(7)));
    let told = office.told().await;
    assert_eq!(told.iter().map(|(kind, _)| kind.as_str()).filter(|k| k.starts_with("lead.")).count(), 2);
    assert!(told.contains(&("lead.stage_changed".to_owned(), json!({"from": "new", "to": "won", "crm_lead_id": id}))));
    assert!(told.contains(&("lead.won".to_owned(), json!({"value_minor": 1000, "currency": "USD", "crm_lead_id": id}))));
    assert!(told.iter().any(|(kind, data)| kind == "task.created" && data["title"] == json!(task.title)));
    let entries = office.timeline(id).await;
    assert_eq!(entries.len(), 2);
    let moved = entries.iter().find(|e| e.kind.as_str() == "stage").unwrap();
    assert_eq!(moved.data(), json!({"from": "new", "to": "won", "note": "By phone"}));
    let made = entries.iter().find(|e| e.kind.as_str() == "task").unwrap();
    assert_eq!(made.data()["taskId"], json!(task.id));
}

#[tokio::test]
async fn the_same_stage_again_changes_nothing() {
    let office = Office::new().await;
    let id = office.deal_with(office.company("prospect").await).await;
    office.shift(id, "won").await;
    let (told, tasks) = (office.told().await, office.tasks().await.len());
    office.world.clock.advance_secs(60);
    let again = office.try_shift(id, json!({"stage": "won", "note": "again"})).await.unwrap();
    assert_eq!(again.version, 2);
    assert_eq!((office.told().await, office.tasks().await.len(), office.timeline(id).await.len()), (told, tasks, 2));
}

#[tokio::test]
async fn losing_needs_a_reason_and_is_asked_about_again() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    let id = office.deal_with(company).await;
    assert_eq!(pointers(office.try_shift(id, json!({"stage": "lost"})).await), ["/lostReason"]);
    assert_eq!(pointers(office.patch(id, json!({"stage": "lost"})).await), ["/lostReason"]);
    assert_eq!(pointers(office.patch(id, json!({"lostReason": "price"})).await), ["/lostReason"]);
    let lost = office.shift(id, "lost").await;
    assert_eq!((lost.profile.lost_reason.as_deref(), lost.probability()), (Some("price"), 0));
    assert!(office.told().await.contains(&("lead.lost".to_owned(), json!({"reason": "price", "crm_lead_id": id}))));
    let again = office.task().await;
    assert_eq!(again.due_date.map(Due::time), Some(office.app().now().plus_days(90)));
    assert_eq!(again.next_reminder(), again.due_date.map(Due::time));
    assert_eq!(office.company_now(company).await.status, Prospect);

    // Taken up again: the reason goes, and nobody asks in 90 days.
    let open = office.shift(id, "qualified").await;
    assert_eq!((open.profile.lost_reason, open.closed_at, open.chore), (None, None, None));
    assert_eq!(office.task().await.status, TaskStatus::Cancelled);
    assert_eq!(office.task().await.next_reminder(), None);
}

#[tokio::test]
async fn what_the_first_win_took_the_last_gives_back() {
    let office = Office::new().await;
    for (before, is) in [("prospect", Prospect), ("inactive", Inactive), ("active", Active)] {
        let company = office.company(before).await;
        let [one, two] = [office.deal_with(company).await, office.deal_with(company).await];
        office.shift(one, "won").await;
        office.shift(two, "won").await;
        assert_eq!(office.company_now(company).await.hold.unwrap().won, 2);
        office.shift(one, "negotiation").await;
        assert_eq!(office.company_now(company).await.status, Active, "the other one still holds it");
        office.shift(two, "lost").await;
        let company = office.company_now(company).await;
        assert_eq!((company.status, company.hold), (is, None));
    }
    // The task of a win that is done stays done.
    assert!(office.tasks().await.iter().all(|task| task.status == TaskStatus::Cancelled || task.title.contains("lost")));
}

#[tokio::test]
async fn what_somebody_said_of_the_company_since_the_win_stays() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    let id = office.deal_with(company).await;
    office.shift(id, "won").await;
    office.set_status(company, "inactive").await;
    office.shift(id, "new").await;
    assert_eq!(office.company_now(company).await.status, Inactive);
}

#[tokio::test]
async fn a_patch_of_the_stage_or_the_company_is_followed_up_too() {
    let office = Office::new().await;
    let [old, new] = [office.company("prospect").await, office.company("inactive").await];
    let id = office.deal_with(old).await;
    let won = office.patch(id, json!({"stage": "won", "probability": null})).await.unwrap();
    assert_eq!((won.stage, office.company_now(old).await.status), (Stage::Won, Active));
    // Both companies change in one transaction.
    office.patch(id, json!({"companyId": new})).await.unwrap();
    assert_eq!((office.company_now(old).await.status, office.company_now(new).await.status), (Prospect, Active));
    office.patch(id, json!({"companyId": null})).await.unwrap();
    assert_eq!(office.company_now(new).await.status, Inactive);
    assert_eq!(office.told().await.iter().filter(|(kind, _)| kind == "lead.won").count(), 1, "it was won once");
    // A title is no move.
    let entries = office.timeline(id).await.len();
    office.patch(id, json!({"title": "Sixty seats"})).await.unwrap();
    assert_eq!(office.timeline(id).await.len(), entries);
}

#[tokio::test]
async fn a_probability_belongs_to_the_stage_it_was_given_in() {
    let office = Office::new().await;
    let id = office.deal(json!({"title": "x", "stage": "proposal", "probability": 5})).await;
    assert_eq!(office.deal_now(id).await.probability(), 5);
    assert_eq!(office.shift(id, "negotiation").await.probability(), 80);
    let said = office.patch(id, json!({"stage": "qualified", "probability": 33})).await.unwrap();
    assert_eq!(said.probability(), 33);
    assert_eq!(office.patch(id, json!({"probability": null})).await.unwrap().probability(), 40);
}

#[tokio::test]
async fn deals_can_begin_as_won_and_can_be_deleted() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    let id = office.deal(json!({"title": "x", "companyId": company, "stage": "won"})).await;
    assert_eq!(office.company_now(company).await.status, Active);
    let kinds: Vec<String> = office.told().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.iter().filter(|k| *k == "lead.won").count(), 1);
    assert!(!kinds.contains(&"lead.stage_changed".to_owned()), "it did not move");

    office.note(json!({"type": "call", "subject": "Thanks", "leadId": id})).await;
    assert_eq!(office.timeline(id).await.len(), 2);
    deals::delete(office.app(), &office.ctx(), id, None).await.unwrap();
    assert_eq!(office.company_now(company).await.status, Prospect);
    assert_eq!(office.task().await.status, TaskStatus::Cancelled);
    let page = PageRequest { cursor: None, limit: 10 };
    let gone = axle_app::crm::activities::timeline(office.app(), &office.ctx(), id, page).await;
    assert!(matches!(gone, Err(Error::NotFound(_))));
    assert!(office.app().table().await.timeline(office.entity, id, None, 10).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_change_based_on_an_old_version_is_refused() {
    let office = Office::new().await;
    let id = office.deal(json!({"title": "x"})).await;
    office.shift(id, "contacted").await;
    let (app, ctx) = (office.app(), office.ctx());
    let late = deals::patch(app, &ctx, id, &json!({"title": "y"}), Some(1)).await;
    assert!(matches!(late, Err(Error::PreconditionFailed(_))));
    assert!(matches!(deals::delete(app, &ctx, id, Some(1)).await, Err(Error::PreconditionFailed(_))));
    deals::patch(app, &ctx, id, &json!({"title": "y"}), Some(2)).await.unwrap();
}

#[tokio::test]
async fn references_must_exist() {
    let office = Office::new().await;
    let nothing = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    let refused = office.try_deal(json!({"title": " ", "companyId": nothing, "contactId": nothing, "currency": "ABC"})).await;
    assert_eq!(pointers(refused), ["/title", "/currency", "/companyId", "/contactId"]);
    let id = office.deal(json!({"title": "x"})).await;
    assert_eq!(pointers(office.patch(id, json!({"companyId": nothing})).await), ["/companyId"]);
}
