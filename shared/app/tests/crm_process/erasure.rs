//! Erasures that are interrupted, or asked for twice at the same moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::crm::erase::{self, ErasureStatus};
use axle_app::crm::{contacts, merge};
use axle_app::{Answer, Error};
use axle_domain::ContactId;
use axle_providers::objects::ObjectStore as _;
use serde_json::{Value, json};

use crate::office::Office;

async fn contact(office: &Office, input: Value) -> ContactId {
    let (input, ctx) = (serde_json::from_value(input).unwrap(), office.ctx());
    let answer = contacts::create(office.app(), &ctx, input, |c| Answer::new(201, json!({"id": c.value.id})));
    answer.await.unwrap().body["id"].as_str().unwrap().parse().unwrap()
}

/// Items that name somebody called Quuxworth.
fn traces(office: &Office) -> usize {
    office.world.table.items().iter().filter(|item| item.to_string().to_lowercase().contains("quuxworth")).count()
}

#[tokio::test]
async fn it_goes_on_where_it_stopped() {
    let office = Office::new().await;
    let id = contact(&office, json!({"lastName": "Quuxworth", "email": "q@quuxworth.example"})).await;
    let deal = office.deal(json!({"title": "Quuxworth", "contactId": id})).await;
    office.note(json!({"type": "note", "subject": "Quuxworth", "contactId": id, "leadId": deal})).await;
    let started = erase::erase(office.app(), &office.ctx(), id, Instant::now()).await.unwrap();
    assert_eq!((started.status, started.completed_at, started.signature), (ErasureStatus::Running, None, None));
    // No reader finds them any more, and the record of what to look for cannot be read.
    assert!(matches!(contacts::get(office.app(), &office.ctx(), id).await, Err(Error::NotFound(_))));
    let erasure = office.world.table.items().into_iter().find(|item| item["type"]["S"] == "erasure").unwrap();
    assert!(!erasure.to_string().to_lowercase().contains("quuxworth"));
    assert!(traces(&office) > 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    let done = erase::erase(office.app(), &office.ctx(), id, deadline).await.unwrap();
    assert_eq!((done.status, traces(&office)), (ErasureStatus::Completed, 0));
    let deal = office.deal_now(deal).await;
    assert_eq!((deal.contact_id, deal.profile.title.as_str()), (None, "[erased]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twice_at_the_same_moment_is_once() {
    let office = Arc::new(Office::new().await);
    let id = contact(&office, json!({"lastName": "Quuxworth", "email": "q@quuxworth.example"})).await;
    let twin = contact(&office, json!({"lastName": "Quuxworth", "phone": "+442079460999"})).await;
    let merged = serde_json::from_value(json!({"winnerId": id, "loserIds": [twin]})).unwrap();
    merge::contacts(office.app(), &office.ctx(), &merged, |_| Answer::new(200, json!({}))).await.unwrap();
    for n in 0..5 {
        office.deal(json!({"title": format!("Quuxworth {n}"), "contactId": id})).await;
    }
    let erasures = [id, twin, id, twin].map(|id| {
        let office = Arc::clone(&office);
        tokio::spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(30);
            erase::erase(office.app(), &office.ctx(), id, deadline).await.unwrap()
        })
    });
    let receipts: Vec<_> = futures_util::future::join_all(erasures).await.into_iter().map(|done| done.unwrap()).collect();
    assert_eq!(traces(&office), 0);
    assert!(receipts.iter().all(|receipt| receipt.status == ErasureStatus::Completed && receipt.contact_id == id));
    assert!(receipts.iter().all(|receipt| receipt.signature == receipts[0].signature));
}

#[tokio::test]
async fn a_large_file_is_looked_through_in_parts() {
    let office = Office::new().await;
    let id = contact(&office, json!({"lastName": "Quuxworth", "email": "q@quuxworth.example"})).await;
    let key = format!("uploads/{}/large", office.entity);
    let rows = "email,name\n".to_owned() + &"ada@example.com,Ada\n".repeat(60_000) + "q@quuxworth.example,Q\n";
    office.world.objects.put(&key, "text/csv", rows.into_bytes().into()).await.unwrap();
    let mut parts = 0;
    loop {
        let deadline = Instant::now() + Duration::from_millis(100);
        let receipt = erase::erase(office.app(), &office.ctx(), id, deadline).await.unwrap();
        if receipt.status == ErasureStatus::Completed {
            break;
        }
        let erasure = office.world.table.items().into_iter().find(|item| item["type"]["S"] == "erasure").unwrap();
        parts += usize::from(erasure["after"]["S"].as_str().is_some_and(|at| at.contains('+') && at.ends_with(&key)));
    }
    assert!(parts > 0, "it did not wait for the whole file");
    assert!(office.world.objects.head(&key).await.unwrap().is_none(), "they are at its end");
}
