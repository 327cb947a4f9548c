//! Merges over HTTP.

use serde_json::json;

use crate::support::{Crm, each};

#[tokio::test]
async fn companies_become_one_with_all_that_hung_on_them() {
    let crm = Crm::new().await;
    let a = crm.id("/companies", json!({"name": "Acme", "domain": "acme.example", "tags": ["x"]})).await;
    let b = crm
        .id(
            "/companies",
            json!({"name": "ACME Inc", "domain": "acme.test", "industry": "Tools", "tags": ["y"], "status": "active"}),
        )
        .await;
    let c = crm.id("/companies", json!({"name": "Acme Corp"})).await;
    let both = crm.id("/contacts", json!({"lastName": "Both", "companyId": a})).await;
    crm.made(&format!("/contacts/{both}/company-memberships"), json!({"companyId": b})).await;
    let only_b = crm.id("/contacts", json!({"lastName": "OnlyB", "companyId": b})).await;
    let list = crm.id("/marketing-lists", json!({"name": "Fair"})).await;
    crm.post("/prospecting/add-to-marketing-list", json!({"listId": list, "companyIds": [b]})).await;

    let merged = crm.post("/companies/merge", json!({"winnerId": a, "loserIds": [b]})).await;
    assert_eq!(merged.status, 200, "{}", merged.text);
    let winner = merged.json();
    assert_eq!((winner["id"].as_str(), winner["industry"].as_str()), (Some(a.as_str()), Some("Tools")));
    assert_eq!((&winner["tags"], winner["status"].as_str()), (&json!(["x", "y"]), Some("prospect")));
    let loser = crm.read(&format!("/companies/{b}")).await;
    assert_eq!((loser["mergedInto"].as_str(), loser["name"].as_str()), (Some(a.as_str()), Some("ACME Inc")));

    // Contacts of both, each once, asked for by either id.
    for id in [&a, &b] {
        let found = crm.read(&format!("/companies/{id}/contacts")).await;
        let mut names = each(&found["contacts"], "lastName");
        names.sort();
        assert_eq!((found["total"].as_u64(), names), (Some(2), vec!["Both".to_owned(), "OnlyB".to_owned()]), "{found}");
        assert!(
            each(&json!([found["contacts"][0]["membership"], found["contacts"][1]["membership"]]), "companyId")
                .iter()
                .all(|c| *c == a)
        );
    }
    for contact in [&both, &only_b] {
        let places = crm.read(&format!("/contacts/{contact}/company-memberships")).await;
        assert_eq!((places["total"].as_u64(), &places["memberships"][0]["companyId"]), (Some(1), &json!(a)));
        assert_eq!(places["memberships"][0]["isPrimary"], true);
    }
    let again = crm.post(&format!("/contacts/{only_b}/company-memberships"), json!({"companyId": a})).await;
    assert_eq!(again.status, 409, "{}", again.text);
    assert_eq!(each(&crm.read(&format!("/marketing-lists/{list}/companies")).await["companies"], "id"), [a.as_str()]);
    // Lists, counts and domains know one company.
    let listed = crm.read("/companies?sort=name").await;
    assert_eq!(
        (listed["total"].as_u64(), each(&listed["companies"], "name")),
        (Some(2), vec!["Acme".to_owned(), "Acme Corp".to_owned()])
    );
    assert_eq!(crm.read("/companies?status=active").await["total"], 0);
    assert_eq!(crm.read("/companies?q=inc").await["total"], 0);
    let taken = crm.post("/companies", json!({"name": "x", "domain": "acme.test"})).await;
    assert!(taken.status == 409 && taken.text.contains(&a), "{}", taken.text);
    assert_eq!(crm.patch(&format!("/companies/{b}"), json!({"name": "x"})).await.status, 409);
    assert_eq!(crm.patch(&format!("/companies/{a}"), json!({"domain": "acme.test"})).await.status, 200);

    // Repeated, it changes nothing; over two steps, everything leads to the last winner.
    let repeated = crm.post("/companies/merge", json!({"winnerId": a, "loserIds": [b]})).await;
    assert_eq!((repeated.status.as_u16(), &repeated.json()["name"]), (200, &json!("Acme")));
    assert_eq!(crm.post("/companies/merge", json!({"winnerId": c, "loserIds": [a]})).await.status, 200);
    assert_eq!(crm.read(&format!("/companies/{b}")).await["mergedInto"], json!(c));
    assert_eq!(crm.read(&format!("/companies/{b}/contacts")).await["total"], 2);
    assert_eq!(crm.read("/companies").await["total"], 1);
    assert_eq!(crm.post("/contacts", json!({"lastName": "New", "companyId": b})).await.json()["companyId"], json!(c));
}

#[tokio::test]
async fn contacts_become_one_with_their_places() {
    let crm = Crm::new().await;
    let acme = crm.id("/companies", json!({"name": "Acme"})).await;
    let zeta = crm.id("/companies", json!({"name": "Zeta"})).await;
    let a = crm.id("/contacts", json!({"lastName": "Lovelace", "companyId": acme})).await;
    let b = crm.id("/contacts", json!({"firstName": "Ada", "email": "ada@example.com", "companyId": zeta})).await;
    crm.made(&format!("/contacts/{b}/company-memberships"), json!({"companyId": acme})).await;
    let merged = crm.post("/contacts/merge", json!({"winnerId": a, "loserIds": [b]})).await;
    assert_eq!(merged.status, 200, "{}", merged.text);
    let winner = merged.json();
    assert_eq!((winner["firstName"].as_str(), winner["lastName"].as_str()), (Some("Ada"), Some("Lovelace")));
    assert_eq!((winner["email"].as_str(), winner["companyId"].as_str()), (Some("ada@example.com"), Some(acme.as_str())));
    assert_eq!(crm.read(&format!("/contacts/{b}")).await["mergedInto"], json!(a));
    for id in [&a, &b] {
        assert_eq!(crm.read(&format!("/contacts/{id}/company-memberships")).await["total"], 2);
    }
    assert_eq!(crm.read(&format!("/companies/{acme}/contacts")).await["total"], 1);
    assert_eq!(each(&crm.read(&format!("/companies/{zeta}/contacts")).await["contacts"], "id"), [a.as_str()]);
    let listed = crm.read("/contacts").await;
    assert_eq!((listed["total"].as_u64(), each(&listed["contacts"], "id")), (Some(1), vec![a.clone()]));
    assert_eq!(crm.read("/contacts?q=ADA@").await["total"], 1);
    assert_eq!(crm.patch(&format!("/contacts/{b}"), json!({"lastName": "x"})).await.status, 409);
    assert_eq!(crm.post(&format!("/contacts/{b}/company-memberships"), json!({"companyId": acme})).await.status, 409);
}

#[tokio::test]
async fn what_cannot_be_merged() {
    let crm = Crm::new().await;
    let a = crm.id("/companies", json!({"name": "A"})).await;
    let b = crm.id("/companies", json!({"name": "B"})).await;
    let c = crm.id("/companies", json!({"name": "C"})).await;
    let unknown = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    let merge =
        async |winner: &str, losers: &[&str]| crm.post("/companies/merge", json!({"winnerId": winner, "loserIds": losers})).await;
    assert_eq!(merge(&a, &[&a]).await.pointers(), ["/loserIds/0"]);
    assert_eq!(merge(&a, &[&b, &b]).await.pointers(), ["/loserIds/1"]);
    assert_eq!(merge(unknown, &[&b, unknown]).await.pointers(), ["/loserIds/1"]);
    assert_eq!(merge(unknown, &[&b]).await.pointers(), ["/winnerId"]);
    assert_eq!(merge(&a, &[]).await.pointers(), ["/loserIds"]);
    assert_eq!(merge("x", &[&b]).await.status, 400);
    assert_eq!(merge(&a, &[&b]).await.status, 200);
    assert_eq!(merge(&b, &[&c]).await.pointers(), ["/winnerId"]);
    assert_eq!(merge(&c, &[&b]).await.status, 409);
    assert_eq!(crm.read("/companies").await["total"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn merged_both_ways_at_once_one_of_them_stays() {
    let crm = Crm::new().await;
    for _ in 0..5 {
        let a = crm.id("/companies", json!({"name": "A"})).await;
        let b = crm.id("/companies", json!({"name": "B"})).await;
        let (one, other) = tokio::join!(
            crm.post("/companies/merge", json!({"winnerId": a, "loserIds": [b]})),
            crm.post("/companies/merge", json!({"winnerId": b, "loserIds": [a]})),
        );
        assert_eq!(
            [one.status.as_u16(), other.status.as_u16()].iter().filter(|s| **s == 200).count(),
            1,
            "{} {}",
            one.text,
            other.text
        );
        let merged = [crm.read(&format!("/companies/{a}")).await, crm.read(&format!("/companies/{b}")).await];
        assert_eq!(merged.iter().filter(|c| c["mergedInto"].is_string()).count(), 1);
    }
    assert_eq!(crm.read("/companies").await["total"], 5);
}
