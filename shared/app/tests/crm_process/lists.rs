//! Lists: filters, order, exact totals, and what they cost.

use axle_app::PageRequest;
use axle_app::crm::{activities, deals};
use axle_domain::crm::{OwnerFilter, PageNumber};
use serde_json::json;

use crate::office::{ALL, Office};

#[tokio::test]
async fn deals_by_every_filter() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    for n in 0..12 {
        office.world.clock.advance_millis(2);
        let mut deal = json!({"title": format!("Ünit {n}"), "stage": if n % 3 == 0 { "proposal" } else { "new" }});
        if n % 2 == 0 {
            deal["companyId"] = json!(company);
        }
        if n % 4 == 0 {
            deal["ownerUserId"] = json!(office.user);
        }
        office.deal(deal).await;
    }
    let titles = async |query: deals::Wanted, page: PageNumber| {
        let found = deals::list(office.app(), &office.ctx(), query.clone(), page).await.unwrap();
        (found.items.into_iter().map(|d| d.value.profile.title.replace("Ünit ", "")).collect::<Vec<_>>().join(" "), found.total)
    };
    let all = deals::Wanted::default();
    let proposal = Some(axle_domain::crm::stage::Stage::Proposal);
    let mine = Some(OwnerFilter::User(office.user));
    for (query, wanted) in [
        (all.clone(), "11 10 9 8 7 6 5 4 3 2 1 0"),
        (deals::Wanted { stage: proposal, ..all.clone() }, "9 6 3 0"),
        (deals::Wanted { company_id: Some(company), ..all.clone() }, "10 8 6 4 2 0"),
        (deals::Wanted { company_id: Some(company), stage: proposal, ..all.clone() }, "6 0"),
        (deals::Wanted { owner: mine, ..all.clone() }, "8 4 0"),
        (deals::Wanted { owner: Some(OwnerFilter::Unassigned), stage: proposal, ..all.clone() }, "9 6 3"),
        (deals::Wanted { q: Some("ünit 1".to_owned()), ..all.clone() }, "11 10 1"),
    ] {
        let count = wanted.split(' ').count() as u64;
        assert_eq!(titles(query.clone(), ALL).await, (wanted.to_owned(), count), "{query:?}");
    }
    assert_eq!(titles(all.clone(), PageNumber { page: 2, size: 5 }).await, ("6 5 4 3 2".to_owned(), 12));
    assert_eq!(titles(deals::Wanted { owner: mine, ..all }, PageNumber { page: 2, size: 2 }).await, ("0".to_owned(), 3));
}

#[tokio::test]
async fn totals_follow_what_is_moved_and_deleted() {
    let office = Office::new().await;
    let [a, b] = [office.deal(json!({"title": "a"})).await, office.deal(json!({"title": "b"})).await];
    office.shift(a, "proposal").await;
    let total = async |stage: Option<&str>| {
        let query = deals::Wanted { stage: stage.map(|s| s.parse().unwrap()), ..deals::Wanted::default() };
        deals::list(office.app(), &office.ctx(), query.clone(), ALL).await.unwrap().total
    };
    assert_eq!((total(None).await, total(Some("new")).await, total(Some("proposal")).await), (2, 1, 1));
    deals::delete(office.app(), &office.ctx(), b, None).await.unwrap();
    assert_eq!((total(None).await, total(Some("new")).await, total(Some("proposal")).await), (1, 0, 1));
}

#[tokio::test]
async fn activities_by_every_filter() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    let deal = office.deal_with(company).await;
    let start = office.app().now().plus_days(-10);
    for n in 0..10 {
        let mut input =
            json!({"type": if n % 2 == 0 { "call" } else { "note" }, "subject": n.to_string(), "occurredAt": start.plus_days(n)});
        match n % 3 {
            0 => input["leadId"] = json!(deal),
            1 => input["companyId"] = json!(company),
            _ => {}
        }
        office.note(input).await;
    }
    let all = activities::Wanted::default();
    let call = Some(axle_domain::crm::activity::ActivityType::Call);
    let (from, to) = (Some(start.plus_days(2)), Some(start.plus_days(7)));
    for (query, wanted) in [
        (all.clone(), "9 8 7 6 5 4 3 2 1 0"),
        (activities::Wanted { kind: call, ..all.clone() }, "8 6 4 2 0"),
        (activities::Wanted { from, to, ..all.clone() }, "6 5 4 3 2"),
        (activities::Wanted { deal_id: Some(deal), ..all.clone() }, "9 6 3 0"),
        (activities::Wanted { deal_id: Some(deal), kind: call, from, ..all.clone() }, "6"),
        (activities::Wanted { deal_id: Some(deal), company_id: Some(company), to, ..all.clone() }, "6 3 0"),
        (activities::Wanted { company_id: Some(company), ..all.clone() }, "9 7 6 4 3 1 0"),
        (activities::Wanted { company_id: Some(company), kind: call, from, to, ..all.clone() }, "6 4"),
    ] {
        let found = activities::list(office.app(), &office.ctx(), query.clone(), ALL).await.unwrap();
        let subjects: Vec<_> = found.items.iter().map(|a| a.value.profile.subject.as_str()).collect();
        assert_eq!((subjects.join(" ").as_str(), found.total), (wanted, wanted.split(' ').count() as u64), "{query:?}");
    }
}

#[tokio::test]
async fn a_timeline_is_stable_while_it_is_written() {
    let office = Office::new().await;
    let deal = office.deal(json!({"title": "x"})).await;
    for n in 0..25 {
        office.world.clock.advance_millis(3);
        office.note(json!({"type": "note", "subject": n.to_string(), "leadId": deal})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest { cursor: cursor.take(), limit: 10 };
        let page = activities::timeline(office.app(), &office.ctx(), deal, page).await.unwrap();
        seen.extend(page.items.into_iter().map(|e| e.title));
        office.world.clock.advance_millis(3);
        office.note(json!({"type": "note", "subject": "late", "leadId": deal})).await;
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (0..25).rev().map(|n| n.to_string()).collect::<Vec<_>>());
    let other = office.deal(json!({"title": "y"})).await;
    let page = PageRequest { cursor: None, limit: 10 };
    assert!(activities::timeline(office.app(), &office.ctx(), other, page).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_move_and_a_new_deal_have_their_price() {
    let office = Office::new().await;
    let company = office.company("prospect").await;
    office.world.meter.take();
    let id = office.deal_with(company).await;
    let (read, write) = office.world.meter.take_units();
    // Read: the company, and the custom fields' definitions. Written: the deal, its two index entries, and its count.
    assert!(read <= 2.0 && write <= 8.0, "{read} {write}");
    office.shift(id, "contacted").await;
    let (read, write) = office.world.meter.take_units();
    // The deal and both entries, its count, the event and the timeline. Read besides: whether its company was merged.
    assert!(read <= 1.5 && write <= 14.0, "{read} {write}");
    office.shift(id, "won").await;
    let (read, write) = office.world.meter.take_units();
    assert!(read <= 2.5 && write <= 36.0, "{read} {write}");
}
