//! Several who change the same deal or company at the same moment.

use std::sync::Arc;

use axle_domain::crm::CompanyStatus::{Active, Prospect};
use serde_json::{Value, json};

use crate::office::Office;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_at_the_same_moment_happen_one_after_the_other() {
    let office = Arc::new(Office::new().await);
    let id = office.deal_with(office.company("prospect").await).await;
    let stages = ["contacted", "qualified", "proposal", "negotiation", "won", "lost"];
    let moves = stages.map(|stage| {
        let office = Arc::clone(&office);
        tokio::spawn(async move { office.shift(id, stage).await })
    });
    for done in futures_util::future::join_all(moves).await {
        done.unwrap();
    }
    // Every move begins where another one ended: told as a path from `new` to where the deal is now.
    let mut steps: Vec<Value> =
        office.told().await.into_iter().filter(|(k, _)| k == "lead.stage_changed").map(|(_, d)| d).collect();
    assert_eq!(steps.len(), stages.len());
    let mut at = json!("new");
    while let Some(next) = steps.iter().position(|step| step["from"] == at) {
        at = steps.swap_remove(next)["to"].clone();
    }
    assert!(steps.is_empty(), "left over: {steps:?}");
    let deal = office.deal_now(id).await;
    assert_eq!(at, json!(deal.stage));
    let company = office.company_now(deal.company_id.unwrap()).await;
    assert_eq!(company.status == Active, deal.stage.as_str() == "won");
    // Only the task of the stage that it ended in is still to be done.
    let open = office.tasks().await.into_iter().filter(|task| task.status.is_open()).map(|task| task.id);
    assert_eq!(open.collect::<Vec<_>>(), deal.chore.into_iter().collect::<Vec<_>>());
    assert_eq!(office.timeline(id).await.iter().filter(|e| e.kind.as_str() == "stage").count(), stages.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_move_at_the_same_moment_happens_once() {
    let office = Arc::new(Office::new().await);
    let id = office.deal_with(office.company("prospect").await).await;
    let wins = (0..8).map(|_| {
        let office = Arc::clone(&office);
        tokio::spawn(async move { office.shift(id, "won").await })
    });
    for done in futures_util::future::join_all(wins).await {
        done.unwrap();
    }
    assert_eq!(office.told().await.iter().filter(|(kind, _)| kind == "lead.won").count(), 1);
    assert_eq!(office.tasks().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wins_at_the_same_moment_all_hold_the_company() {
    let office = Arc::new(Office::new().await);
    let company = office.company("prospect").await;
    let deals = futures_util::future::join_all((0..6).map(|_| office.deal_with(company))).await;
    for (stage, won) in [("won", 6), ("new", 0)] {
        let moves = deals.iter().map(|id| {
            let (office, id) = (Arc::clone(&office), *id);
            tokio::spawn(async move { office.shift(id, stage).await })
        });
        for done in futures_util::future::join_all(moves).await {
            done.unwrap();
        }
        let now = office.company_now(company).await;
        assert_eq!(now.hold.map_or(0, |hold| hold.won), won);
        assert_eq!(now.status, if won > 0 { Active } else { Prospect });
    }
}
