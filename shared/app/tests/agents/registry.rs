//! The registry under races.

use axle_app::agents::{self, Slice};
use axle_app::{Answer, Error, PageRequest};
use axle_domain::agent::{AgentInput, AgentRole, built_in_id};
use serde_json::json;

use crate::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_built_in_agent_is_made_once_whoever_changes_it() {
    let stage = Stage::new().await;
    let id = built_in_id(stage.entity, AgentRole::Copywriter);
    let changes: Vec<_> = (0..12)
        .map(|n| {
            let (app, ctx) = (stage.app().clone(), stage.ctx());
            tokio::spawn(async move { agents::patch(&app, &ctx, id, &json!({"monitoring": {format!("n{n}"): n}}), None).await })
        })
        .collect();
    let mut good = 0;
    for change in changes {
        good += usize::from(change.await.unwrap().is_ok());
    }
    let agent = agents::get(stage.app(), &stage.ctx(), id).await.unwrap();
    assert_eq!((agent.version as usize, agent.value.spec.monitoring.unwrap().len()), (good, good));
    let all = agents::list(stage.app(), &stage.ctx(), None, None, Slice { offset: 0, limit: 100 }).await.unwrap();
    assert_eq!((all.total, all.items.len()), (7, 7));
    assert!(matches!(agents::delete(stage.app(), &stage.ctx(), id, None).await, Err(Error::Conflict(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slugs_are_unique_and_made_when_they_are_not_given() {
    let stage = Stage::new().await;
    let create = |slug: Option<&str>| {
        let spec = AgentInput { name: "Cold Outreach".to_owned(), slug: slug.map(str::to_owned), ..AgentInput::default() };
        let (app, ctx) = (stage.app().clone(), stage.ctx());
        tokio::spawn(async move { agents::create(&app, &ctx, spec, |agent| Answer::new(201, agent.value.slug.clone())).await })
    };
    let made: Vec<_> = (0..6).map(|_| create(None)).collect();
    let mut slugs = Vec::new();
    for made in made {
        slugs.push(made.await.unwrap().unwrap().body.to_string());
    }
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 6);
    assert!(matches!(create(Some("cold-outreach")).await.unwrap(), Err(Error::Conflict(_))));
    let page = PageRequest { cursor: None, limit: 10 };
    let first = agents::agents(stage.app(), &stage.ctx(), page).await.unwrap();
    let rest = agents::agents(stage.app(), &stage.ctx(), PageRequest { cursor: first.next_cursor, limit: 10 }).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next_cursor), (10, 3, None));
}
