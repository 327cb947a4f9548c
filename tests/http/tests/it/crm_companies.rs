//! Companies over HTTP.

use serde_json::json;

use crate::support::{Crm, each};

#[tokio::test]
async fn a_company_is_created_read_and_changed() {
    let crm = Crm::new().await;
    let owner = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a11";
    let made = crm
        .post(
            "/companies",
            json!({"name": " Analytical Engines ", "domain": "https://WWW.Engines.example/about", "phone": "+44 20 7946 0123",
            "address": {"city": "London", "country": "GB"}, "ownerUserId": owner, "tags": ["key", "key"], "custom": {"n": 1}}),
        )
        .await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, Some("\"1\"")), "{}", made.text);
    let company = made.json();
    assert_eq!((company["name"].as_str(), company["domain"].as_str()), (Some("Analytical Engines"), Some("engines.example")));
    assert_eq!((company["status"].as_str(), company["phone"].as_str()), (Some("prospect"), Some("+442079460123")));
    assert_eq!((&company["tags"], &company["custom"], &company["mergedInto"]), (&json!(["key"]), &json!({"n": 1}), &json!(null)));

    let path = format!("/companies/{}", company["id"].as_str().unwrap());
    assert_eq!(crm.read(&path).await, company);
    let changed =
        crm.patch(&path, json!({"status": "active", "address": {"city": null, "street": "1 Mill Lane"}, "tags": null})).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, Some("\"2\"")), "{}", changed.text);
    let changed = changed.json();
    assert_eq!((&changed["address"], &changed["tags"]), (&json!({"country": "GB", "street": "1 Mill Lane"}), &json!([])));
    assert_eq!((changed["status"].as_str(), changed["ownerUserId"].as_str()), (Some("active"), Some(owner)));
    for field in ["name", "status"] {
        let refused = crm.patch(&path, json!({(field): null})).await;
        assert_eq!((refused.status.as_u16(), refused.pointers()), (422, vec![format!("/{field}")]));
    }
    assert_eq!(crm.patch(&path, json!({"domain": "a b", "phone": "1"})).await.pointers(), ["/domain", "/phone"]);

    let events = crm.api.get("/events?type=company.*").await.json();
    let told =
        json!({"name": "Analytical Engines", "domain": "engines.example", "company_id": events["events"][0]["subject"]["id"]});
    assert_eq!(events["events"][0]["data"], told);
}

#[tokio::test]
async fn faults_and_malformed_ids() {
    let crm = Crm::new().await;
    let bad = crm.post("/companies", json!({"nmae": "x", "domain": "a b", "phone": "1", "status": "gone"})).await;
    let mut pointers = bad.pointers();
    pointers.sort();
    assert_eq!(
        (bad.status.as_u16(), pointers),
        (422, ["/domain", "/name", "/nmae", "/phone", "/status"].map(str::to_owned).to_vec())
    );
    assert!(bad.json()["error"].is_string());
    assert_eq!(
        crm.post("/companies", json!({"name": "", "domain": "a b", "phone": "1"})).await.pointers(),
        ["/name", "/domain", "/phone"]
    );
    assert_eq!(crm.post("/companies", json!({"name": "x", "ownerUserId": "me"})).await.status, 400);
    assert_eq!(crm.read("/companies").await, json!({"companies": [], "page": 1, "pageSize": 25, "total": 0}));
}

#[tokio::test]
async fn one_company_a_domain_however_it_changes_hands() {
    let crm = Crm::new().await;
    let a = crm.id("/companies", json!({"name": "A", "domain": "a.example"})).await;
    let twice = crm.post("/companies", json!({"name": "B", "domain": "http://www.A.example"})).await;
    assert_eq!(twice.status, 409);
    assert!(twice.json()["error"].as_str().unwrap().contains(&a), "{}", twice.text);
    let b = crm.id("/companies", json!({"name": "B", "domain": "b.example"})).await;
    let taken = crm.patch(&format!("/companies/{b}"), json!({"domain": "a.example"})).await;
    assert!(taken.status == 409 && taken.text.contains(&a), "{}", taken.text);
    // Given up, it is free; and what replaced it is taken.
    assert_eq!(crm.patch(&format!("/companies/{a}"), json!({"domain": "a2.example"})).await.status, 200);
    assert_eq!(crm.patch(&format!("/companies/{b}"), json!({"domain": "a.example"})).await.status, 200);
    assert_eq!(crm.post("/companies", json!({"name": "C", "domain": "a2.example"})).await.status, 409);
    assert_eq!(crm.post("/companies", json!({"name": "C", "domain": "b.example"})).await.status, 201);
    // Without a domain there is nothing to be the same.
    assert_eq!(crm.post("/companies", json!({"name": "D"})).await.status, 201);
    assert_eq!(crm.post("/companies", json!({"name": "D"})).await.status, 201);
    assert_eq!(crm.read("/companies").await["total"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_at_once_make_one_company_and_one_count() {
    let crm = Crm::new().await;
    let calls = (0..30).map(|n| crm.post("/companies", json!({"name": format!("c{n}"), "domain": "one.example"})));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 409).count(), 29);
    let list = crm.read("/companies").await;
    assert_eq!((list["total"].as_u64(), list["companies"].as_array().unwrap().len()), (Some(1), 1));
}

#[tokio::test]
async fn lists_filter_search_sort_and_page_with_right_totals() {
    let crm = Crm::new().await;
    let owner = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a11";
    for n in 0..30 {
        let name = match n % 3 {
            0 => format!("Ünlü Straße {n:02}"),
            1 => format!("acme {n:02}"),
            _ => format!("Zeta {n:02}"),
        };
        let status = if n % 10 == 0 { "active" } else { "prospect" };
        let mut body = json!({"name": name, "status": status, "domain": format!("d{n}.example")});
        if n % 2 == 0 {
            body["ownerUserId"] = json!(owner);
        }
        crm.made("/companies", body).await;
    }
    let page = async |query: &str| crm.read(&format!("/companies?{query}")).await;
    let total = async |query: &str| page(query).await["total"].as_u64().unwrap();
    // Any substring, any case, beyond ASCII; with other filters.
    for (query, expected) in [
        ("", 30),
        ("q=NL%C3%9C%20stra", 10),
        ("q=%C3%BCNL%C3%BC", 10),
        ("q=STRASSE", 10),
        ("q=cme%200", 3),
        ("q=nowhere", 0),
        ("q=.example", 0),
        ("status=active", 3),
        ("status=inactive", 0),
        ("status=active&q=acme", 1),
        (&format!("ownerUserId={owner}"), 15),
        ("ownerUserId=unassigned", 15),
        (&format!("ownerUserId={owner}&q=zeta&status=prospect"), 4),
    ] {
        assert_eq!(total(query).await, expected, "{query}");
    }
    // Every entry once over the pages, in each order, filtered or not.
    for (sort, filter) in
        [("name", ""), ("createdAt", ""), ("-createdAt", ""), ("name", "&q=e"), ("-createdAt", "&status=prospect")]
    {
        let mut names = Vec::new();
        for number in 1..=5 {
            let found = page(&format!("sort={sort}&pageSize=7&page={number}{filter}")).await;
            assert_eq!((found["page"].as_u64(), found["pageSize"].as_u64()), (Some(number), Some(7)));
            names.extend(each(&found["companies"], "name"));
        }
        let mut expected: Vec<String> = names.clone();
        match sort {
            "name" => expected.sort_by_key(|name| axle_domain::text::fold(name)),
            "createdAt" => expected.sort_by_key(|name| name[name.len() - 2..].to_owned()),
            _ => expected.sort_by_key(|name| std::cmp::Reverse(name[name.len() - 2..].to_owned())),
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!((distinct.len(), names.len() as u64), (names.len(), total(&filter.replace('&', "")).await), "{sort} {filter}");
        assert_eq!(names, expected, "{sort} {filter}");
    }
    assert_eq!(page("page=99").await["companies"], json!([]));
    assert_eq!(page("limit=5").await["companies"].as_array().unwrap().len(), 5);
    // A name that changes moves in its order, and is found by the new one only.
    let first = page("sort=name&pageSize=1").await["companies"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(crm.patch(&format!("/companies/{first}"), json!({"name": "ÿ last", "status": "inactive"})).await.status, 200);
    assert_eq!(each(&page("sort=name&page=30&pageSize=1").await["companies"], "id"), [first]);
    assert_eq!((total("q=%C3%BF").await, total("status=inactive").await, total("").await), (1, 1, 30));

    for (bad, status) in [
        ("page=0", 422),
        ("pageSize=101", 422),
        ("limit=x", 422),
        ("status=gone", 422),
        ("sort=domain", 422),
        ("ownerUserId=nobody", 400),
        // The operator made this key: there is no person behind it.
        ("ownerUserId=me", 400),
    ] {
        assert_eq!(crm.get(&format!("/companies?{bad}")).await.status, status, "{bad}");
    }
}

/// What the store's README promises for a page: without a search it does not grow with the number of companies.
#[tokio::test]
async fn an_unfiltered_page_reads_no_more_than_it_shows() {
    let crm = Crm::new().await;
    for n in 0..60 {
        crm.made("/companies", json!({"name": format!("Company {n}")})).await;
    }
    let read = async |path: &str| {
        crm.read("/companies?pageSize=1").await;
        crm.api.world.meter.take();
        crm.read(path).await;
        crm.api
            .world
            .meter
            .take()
            .iter()
            .filter(|s| s.operation == "Query" || s.operation == "BatchGetItem")
            .map(|s| s.units)
            .sum::<f64>()
    };
    let few = read("/companies?pageSize=5").await;
    assert!(few <= 12.0, "{few} units for a page of five");
}

#[tokio::test]
async fn a_repeated_creation_is_one() {
    let crm = Crm::new().await;
    let path = format!("/api/crm/companies?entityId={}", crm.api.me.entity_id);
    let once = || crm.api.post_with(&path, json!({"name": "x", "domain": "x.example"}), &[("idempotency-key", "k")]);
    let (first, again) = (once().await, once().await);
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(crm.read("/companies").await["total"], 1);
}
