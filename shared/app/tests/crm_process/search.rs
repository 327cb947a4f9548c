//! Searches through segments against searches of the index, whatever the stream does, and after a repair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::Answer;
use axle_app::crm::erase::{self, ErasureStatus};
use axle_app::crm::search::{self, Reindexed};
use axle_app::crm::{companies, contacts, merge};
use axle_domain::crm::{CompanySort, CompanyStatus, OwnerFilter, PageNumber};
use axle_domain::{CompanyId, ContactId, UserId};
use axle_store::Table;
use axle_store::crm::companies::CompanyQuery;
use axle_store::crm::contacts::ContactQuery;
use axle_store::crm::search::{Kind, Searching};
use axle_testkit::{FEW_ARE_MANY, TestTable, World};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::office::Office;
use crate::workload::Dice;

const NAMES: [&str; 6] = ["Acme", "Acme Corp", "ÜNIT", "straße", "Ünit Works", "Zeta"];

async fn office() -> Office {
    Office::of(World::searching(FEW_ARE_MANY).await)
}

async fn follow(office: &Office, changes: Vec<Value>) -> usize {
    let changes: Vec<_> = serde_json::from_value(Value::Array(changes)).unwrap();
    search::follow(office.app(), search::hear(&changes).unwrap()).await.unwrap()
}

/// Follows the stream until it has nothing to say any more.
async fn catch_up(office: &Office) {
    for _ in 0..200 {
        let changes = office.world.table.new_changes();
        if changes.is_empty() {
            return;
        }
        follow(office, changes).await;
    }
    panic!("the stream never ends");
}

async fn reindex(office: &Office) -> Reindexed {
    search::reindex(office.app(), office.entity, None, Instant::now() + Duration::from_secs(120)).await.unwrap()
}

/// The same table, read by way of the index alone.
fn plain(office: &Office) -> Table {
    let never = Searching { large: usize::MAX, ..FEW_ARE_MANY };
    Table::new(office.world.table.client(), TestTable::NAME).searching(never)
}

/// The same table in a function that has just started.
fn fresh(office: &Office) -> Table {
    Table::new(office.world.table.client(), TestTable::NAME).searching(FEW_ARE_MANY)
}

fn owner(n: u64) -> UserId {
    UserId::from_uuid(Uuid::from_u128(1 + u128::from(n)))
}

async fn new_company(office: &Office, input: Value) -> CompanyId {
    let (input, ctx) = (serde_json::from_value(input).unwrap(), office.ctx());
    let made = companies::create(office.app(), &ctx, input, |c| Answer::new(201, json!({"id": c.value.id}))).await;
    made.unwrap().body["id"].as_str().unwrap().parse().unwrap()
}

async fn new_contact(office: &Office, input: Value) -> ContactId {
    let (input, ctx) = (serde_json::from_value(input).unwrap(), office.ctx());
    let made = contacts::create(office.app(), &ctx, input, |c| Answer::new(201, json!({"id": c.value.id}))).await;
    made.unwrap().body["id"].as_str().unwrap().parse().unwrap()
}

/// What somebody's day does to records.
#[derive(Default)]
struct Day {
    companies: Vec<CompanyId>,
    contacts: Vec<ContactId>,
}

impl Day {
    async fn step(&mut self, office: &Office, dice: &mut Dice) {
        office.world.clock.advance_millis(dice.roll(9_000) as i64);
        let (app, ctx) = (office.app(), office.ctx());
        let name = format!("{} {}", dice.pick(&NAMES).unwrap(), dice.roll(40));
        let status = dice.pick(&["prospect", "active", "inactive"]).unwrap();
        match dice.roll(14) {
            0..=3 => {
                let mut input = json!({"name": name, "status": status});
                if dice.roll(2) == 0 {
                    input["ownerUserId"] = json!(owner(dice.roll(3)));
                }
                self.companies.push(new_company(office, input).await);
            }
            4..=6 => {
                let mut input = json!({"lastName": name});
                if dice.roll(2) == 0 {
                    input["ownerUserId"] = json!(owner(dice.roll(3)));
                }
                self.contacts.push(new_contact(office, input).await);
            }
            7..=9 => {
                let Some(id) = dice.pick(&self.companies) else { return };
                let change = match dice.roll(4) {
                    0 => json!({"name": name}),
                    1 => json!({"status": status}),
                    2 => json!({"ownerUserId": owner(dice.roll(3))}),
                    _ => json!({"industry": name}),
                };
                companies::patch(app, &ctx, *id, &change, None).await.unwrap();
            }
            10 | 11 => {
                let Some(id) = dice.pick(&self.contacts) else { return };
                let change = match dice.roll(3) {
                    0 => json!({"lastName": name}),
                    1 => json!({"ownerUserId": null}),
                    _ => json!({"custom": {"note": name}}),
                };
                contacts::patch(app, &ctx, *id, &change, None).await.unwrap();
            }
            12 if self.companies.len() > 3 => {
                let loser = self.companies.swap_remove(dice.roll(self.companies.len() as u64) as usize);
                let merged = json!({"winnerId": dice.pick(&self.companies), "loserIds": [loser]});
                let merged = serde_json::from_value(merged).unwrap();
                merge::companies(app, &ctx, &merged, |_| Answer::new(200, json!({}))).await.unwrap();
            }
            13 if self.contacts.len() > 3 => {
                let gone = self.contacts.swap_remove(dice.roll(self.contacts.len() as u64) as usize);
                if dice.roll(2) == 0 {
                    let done = erase::erase(app, &ctx, gone, Instant::now() + Duration::from_secs(30)).await.unwrap();
                    assert_eq!(done.status, ErasureStatus::Completed);
                } else {
                    let merged = json!({"winnerId": dice.pick(&self.contacts), "loserIds": [gone]});
                    let merged = serde_json::from_value(merged).unwrap();
                    merge::contacts(app, &ctx, &merged, |_| Answer::new(200, json!({}))).await.unwrap();
                }
            }
            _ => {}
        }
    }
}

/// Filters of every kind, combined.
fn company_queries() -> Vec<CompanyQuery> {
    let texts = [None, Some("ünit"), Some("strasse"), Some("acme 1"), Some("7"), Some("nowhere")];
    let mut queries = Vec::new();
    for status in [None, Some(CompanyStatus::Active)] {
        for owner in [None, Some(OwnerFilter::Unassigned), Some(OwnerFilter::User(owner(1)))] {
            for n in [queries.len(), queries.len() + 3] {
                queries.push(CompanyQuery { status, owner, q: texts[n % texts.len()].map(str::to_owned) });
            }
        }
    }
    queries
}

async fn companies_of(
    table: &Table,
    office: &Office,
    query: &CompanyQuery,
    sort: CompanySort,
    page: PageNumber,
) -> (Vec<CompanyId>, u64) {
    let (found, total) = table.companies(office.entity, query, sort, page, office.app().now()).await.unwrap();
    (found.into_iter().map(|c| c.value.id).collect(), total)
}

async fn contacts_of(table: &Table, office: &Office, query: &ContactQuery, page: PageNumber) -> (Vec<ContactId>, u64) {
    let (found, total) = table.contacts(office.entity, query, page, office.app().now()).await.unwrap();
    (found.into_iter().map(|c| c.value.id).collect(), total)
}

/// Every query, in one order or another, on several pages, by way of segments and without.
async fn compare(office: &Office, what: &str) {
    let (plain, fresh, kept) = (plain(office), fresh(office), office.app().table().await);
    let (all, one) = (PageNumber { page: 1, size: 100 }, PageNumber { page: 2, size: 3 });
    let sorts = [CompanySort::Name, CompanySort::CreatedAt, CompanySort::NewestFirst];
    for (n, query) in company_queries().into_iter().enumerate() {
        let sort = sorts[n % 3];
        let wanted = companies_of(&plain, office, &query, sort, all).await;
        assert_eq!(companies_of(kept, office, &query, sort, all).await, wanted, "{what}: {query:?} {sort:?}");
        let part = (one.cut(wanted.0), wanted.1);
        assert_eq!(companies_of(kept, office, &query, sort, one).await, part, "{what}: {query:?} {sort:?} {one:?}");
        if n % 7 == 0 {
            assert_eq!(companies_of(&fresh, office, &query, sort, one).await, part, "{what}, afresh: {query:?} {sort:?}");
        }
        if query.status.is_none() {
            let query = ContactQuery { owner: query.owner, q: query.q };
            let wanted = contacts_of(&plain, office, &query, all).await;
            assert_eq!(contacts_of(kept, office, &query, all).await, wanted, "{what}: {query:?}");
            let part = (one.cut(wanted.0), wanted.1);
            assert_eq!(contacts_of(&fresh, office, &query, one).await, part, "{what}, afresh: {query:?}");
        }
    }
}

/// How many items of a type there are, and the highest version among them.
fn count(office: &Office, kind: &str) -> (usize, u64) {
    let items = office.world.table.items().into_iter().filter(|item| item["type"]["S"] == kind);
    let versions: Vec<u64> = items.map(|item| item["version"]["N"].as_str().unwrap().parse().unwrap()).collect();
    (versions.len(), versions.iter().copied().max().unwrap_or(0))
}

#[tokio::test]
async fn segments_say_what_the_index_says_whatever_the_stream_does() {
    let (office, mut dice, mut day) = (office().await, Dice(4), Day::default());
    let mut kept: Vec<Value> = Vec::new();
    for round in 0..3 {
        for _ in 0..50 {
            day.step(&office, &mut dice).await;
        }
        // Searches ask for segments, in the midst of it all.
        let query = CompanyQuery { q: Some("x".to_owned()), ..CompanyQuery::default() };
        companies_of(office.app().table().await, &office, &query, CompanySort::Name, PageNumber { page: 1, size: 5 }).await;
        let query = ContactQuery { q: Some("x".to_owned()), ..ContactQuery::default() };
        contacts_of(office.app().table().await, &office, &query, PageNumber { page: 1, size: 5 }).await;

        let mut changes = office.world.table.new_changes();
        // Some come again, much later, and all in any order, even of the same record.
        let again: Vec<Value> = (0..30).filter_map(|_| dice.pick(&kept).cloned()).collect();
        kept.extend(changes.iter().cloned());
        changes.extend(again);
        let twice = changes.iter().take(30).cloned().collect::<Vec<_>>();
        changes.extend(twice);
        dice.shuffle(&mut changes);
        while !changes.is_empty() {
            let size = changes.len().min(1 + dice.roll(25) as usize);
            follow(&office, changes.drain(..size).collect()).await;
        }
        catch_up(&office).await;
        compare(&office, &format!("round {round}")).await;
    }
    // It was worth comparing: there are segments of both kinds, and patches were folded in.
    let (segments, version) = count(&office, "crm_segment");
    assert!(segments >= 6 && version > 2, "{segments} segments, version {version}");
    assert_eq!(reindex(&office).await.records, 0, "there is nothing to repair");
    compare(&office, "after a repair").await;
    assert_eq!(count(&office, "crm_patch").0, 0, "a repair folds everything in");
}

/// A tenant with sealed segments of companies and contacts, some minutes old.
async fn sealed() -> (Office, Day, Dice) {
    let (office, mut dice, mut day) = (office().await, Dice(11), Day::default());
    for n in 0..30 {
        office.world.clock.advance_millis(10);
        day.companies.push(new_company(&office, json!({"name": format!("Acme {n}"), "status": "active"})).await);
        day.contacts.push(new_contact(&office, json!({"lastName": format!("Acme {n}")})).await);
    }
    office.world.clock.advance_secs(100);
    assert!(dice.roll(2) < 2);
    reindex(&office).await;
    office.world.table.new_changes();
    (office, day, dice)
}

#[tokio::test]
async fn what_the_stream_never_said_is_repaired() {
    let (office, mut day, mut dice) = sealed().await;
    compare(&office, "sealed").await;
    for _ in 0..80 {
        day.step(&office, &mut dice).await;
    }
    // The changes are lost. What does not match any more is not shown all the same.
    office.world.table.new_changes();
    let everything = PageNumber { page: 1, size: 100 };
    for query in company_queries() {
        let (found, _) = office
            .app()
            .table()
            .await
            .companies(office.entity, &query, CompanySort::Name, everything, office.app().now())
            .await
            .unwrap();
        assert!(found.iter().all(|company| query.matches(&company.value)), "{query:?}");
    }
    let repaired = reindex(&office).await;
    assert!(repaired.records > 5, "{repaired:?}");
    compare(&office, "repaired").await;
    assert_eq!(reindex(&office).await.records, 0);
}

#[tokio::test]
async fn a_repair_of_segments_can_be_done_in_parts() {
    let (office, ..) = sealed().await;
    let mut from = None;
    let mut segments = 0;
    for _ in 0..100 {
        // Time for one step alone.
        let deadline = Instant::now() + Duration::from_millis(10_001);
        let done = search::reindex(office.app(), office.entity, from, deadline).await.unwrap();
        segments += done.segments;
        from = done.unfinished;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((from, segments), (None, count(&office, "crm_segment").0));
}

#[tokio::test]
async fn few_records_need_no_segments() {
    let office = Office::new().await;
    for n in 0..12 {
        new_company(&office, json!({"name": format!("Acme {n}")})).await;
    }
    office.world.clock.advance_secs(1_000);
    let query = CompanyQuery { q: Some("acme".to_owned()), ..CompanyQuery::default() };
    office.world.meter.take();
    let page = PageNumber { page: 1, size: 5 };
    let (found, total) = companies_of(office.app().table().await, &office, &query, CompanySort::Name, page).await;
    assert_eq!((found.len(), total), (5, 12));
    // Whether there are segments, eight shards, and the page.
    let (read, write) = office.world.meter.take_units();
    assert!(read <= 0.5 + 8.0 * 0.5 + 5.0 * 0.5 && write == 0.0, "{read} {write}");
    catch_up(&office).await;
    assert_eq!(reindex(&office).await, Reindexed::default());
    assert_eq!((count(&office, "crm_search").0, count(&office, "crm_segment").0), (0, 0));
}

#[tokio::test]
async fn what_is_new_is_found_at_once_and_what_is_changed_once_the_stream_is_followed() {
    let (office, day, _) = sealed().await;
    let new = new_company(&office, json!({"name": "Brand new", "status": "inactive"})).await;
    let everything = PageNumber { page: 1, size: 100 };
    let find = async |q: &str| {
        let query = CompanyQuery { q: Some(q.to_owned()), ..CompanyQuery::default() };
        companies_of(office.app().table().await, &office, &query, CompanySort::Name, everything).await
    };
    assert_eq!(find("brand").await, (vec![new], 1));
    let id = day.companies[7];
    companies::patch(office.app(), &office.ctx(), id, &json!({"name": "Quuxworth"}), None).await.unwrap();
    // Not under its old name any more, and not yet under the new one.
    assert_eq!(find("acme 7").await, (vec![], 0));
    assert_eq!(find("quux").await, (vec![], 0));
    catch_up(&office).await;
    assert_eq!((find("acme 7").await, find("quux").await), ((vec![], 0), (vec![id], 1)));
}

#[tokio::test]
async fn a_change_of_what_is_sealed_has_its_price() {
    let (office, day, _) = sealed().await;
    companies::patch(office.app(), &office.ctx(), day.companies[3], &json!({"name": "Quuxworth"}), None).await.unwrap();
    companies::patch(office.app(), &office.ctx(), day.companies[4], &json!({"industry": "x"}), None).await.unwrap();
    let changes = office.world.table.new_changes();
    assert_eq!(changes.len(), 2);
    office.world.meter.take();
    assert_eq!(follow(&office, changes).await, 1, "what no search goes by is no patch");
    // The state; whose segment it is, and how many patches it has. The patch, and the check of its record.
    let (read, write) = office.world.meter.take_units();
    assert!(read <= 3.0 && write <= 4.0, "{read} {write}");
}

#[tokio::test]
async fn an_erased_person_is_in_no_segment_and_no_patch() {
    let (office, day, _) = sealed().await;
    let traces = || office.world.table.texts().iter().filter(|text| text.to_lowercase().contains("quuxworth")).count();
    let (patched, folded, late) = (day.contacts[2], day.contacts[9], day.contacts[20]);
    for id in [folded, patched, late] {
        contacts::patch(office.app(), &office.ctx(), id, &json!({"lastName": "Quuxworth"}), None).await.unwrap();
        if id == folded {
            catch_up(&office).await;
            reindex(&office).await;
            assert!(office.world.table.texts().iter().any(|text| text.contains("crm_rows") && text.contains("quuxworth")));
        }
        if id == patched {
            follow(&office, office.world.table.new_changes()).await;
            assert!(office.world.table.texts().iter().any(|text| text.contains("crm_patch") && text.contains("quuxworth")));
        }
    }
    let said = office.world.table.new_changes();
    assert!(!said.is_empty() && traces() > 4);
    for id in [folded, patched, late] {
        let done = erase::erase(office.app(), &office.ctx(), id, Instant::now() + Duration::from_secs(30)).await.unwrap();
        assert_eq!(done.status, ErasureStatus::Completed);
        assert!(done.removed.contains_key("searches"), "{:?}", done.removed);
    }
    assert_eq!(traces(), 0);
    // What the stream says of them now is too late.
    follow(&office, said).await;
    catch_up(&office).await;
    assert_eq!(traces(), 0);
    compare(&office, "erased").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_at_the_same_moment() {
    let (office, mut day, mut dice) = sealed().await;
    let office = Arc::new(office);
    for _ in 0..60 {
        day.step(&office, &mut dice).await;
    }
    office.world.clock.advance_secs(100);
    let changes = office.world.table.new_changes();
    let erased = [day.contacts[0], day.contacts[1]];
    let mut work = tokio::task::JoinSet::new();
    for (n, some) in changes.chunks(9).enumerate() {
        let (office, some) = (Arc::clone(&office), some.to_vec());
        work.spawn(async move {
            let some: Vec<_> = serde_json::from_value(Value::Array(some)).unwrap();
            // A batch that fails is given again.
            for _ in 0..20 {
                if search::follow(office.app(), search::hear(&some).unwrap()).await.is_ok() {
                    break;
                }
            }
            if n % 3 == 0 {
                for kind in Kind::ALL {
                    let _ = office.app().table().await.seal_search(office.entity, kind, office.app().now()).await;
                }
            }
        });
    }
    for id in erased {
        let office = Arc::clone(&office);
        work.spawn(async move {
            for _ in 0..20 {
                let deadline = Instant::now() + Duration::from_secs(30);
                if erase::erase(office.app(), &office.ctx(), id, deadline).await.is_ok_and(|done| done.completed_at.is_some()) {
                    return;
                }
            }
            panic!("not erased");
        });
    }
    let repairing = Arc::clone(&office);
    work.spawn(async move {
        for _ in 0..20 {
            let deadline = Instant::now() + Duration::from_secs(60);
            if search::reindex(repairing.app(), repairing.entity, None, deadline).await.is_ok() {
                return;
            }
        }
        panic!("not repaired");
    });
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    catch_up(&office).await;
    compare(&office, "after all").await;
}
