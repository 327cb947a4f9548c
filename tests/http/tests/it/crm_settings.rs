//! Custom fields, marketing lists and batches over HTTP.

use serde_json::{Value, json};

use crate::support::{Crm, each};

#[tokio::test]
async fn custom_fields_are_defined_and_values_checked() {
    let crm = Crm::new().await;
    let tier = json!({"object": "company", "name": "tier", "type": "select", "options": ["gold", "silver"], "required": true});
    let field = crm.made("/custom-fields", tier.clone()).await;
    assert_eq!(crm.post("/custom-fields", tier).await.status, 409);
    assert_eq!(
        crm.post("/custom-fields", json!({"object": "company", "name": "x", "type": "select"})).await.pointers(),
        ["/options"]
    );
    crm.made("/custom-fields", json!({"object": "contact", "name": "tier", "type": "number"})).await;
    crm.made("/custom-fields", json!({"object": "company", "name": "since", "type": "date"})).await;
    assert_eq!(each(&crm.read("/custom-fields").await["customFields"], "name"), ["since", "tier", "tier"]);
    assert_eq!(crm.read("/custom-fields?object=contact").await["total"], 1);

    let company = |custom: Value| json!({"name": "Acme", "custom": custom});
    assert_eq!(crm.post("/companies", json!({"name": "Acme"})).await.pointers(), ["/custom/tier"]);
    let bad = crm.post("/companies", company(json!({"tier": "lead", "since": "2024-13-01", "free": [1]}))).await;
    let mut pointers = bad.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/custom/since", "/custom/tier"]);
    let made = crm.id("/companies", company(json!({"tier": "gold", "since": "2024-12-01", "free": [1], "gone": null}))).await;
    let path = format!("/companies/{made}");
    assert_eq!(crm.read(&path).await["custom"], json!({"tier": "gold", "since": "2024-12-01", "free": [1]}));
    assert_eq!(crm.patch(&path, json!({"custom": {"tier": null}})).await.pointers(), ["/custom/tier"]);
    assert_eq!(crm.patch(&path, json!({"custom": {"since": null, "tier": "silver"}})).await.status, 200);
    assert_eq!(crm.post("/contacts", json!({"lastName": "A", "custom": {"tier": "gold"}})).await.pointers(), ["/custom/tier"]);

    // Options change; what was saved stays, and is asked for again when the record's own fields change.
    let one = format!("/custom-fields/{}", field["id"].as_str().unwrap());
    let changed = crm.patch(&one, json!({"options": ["gold"]})).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["required"]), (200, &json!(true)), "{}", changed.text);
    assert_eq!(crm.patch(&path, json!({"industry": "Computing"})).await.status, 200);
    assert_eq!(crm.patch(&path, json!({"custom": {"x": 1}})).await.pointers(), ["/custom/tier"]);
    assert_eq!(crm.patch(&one, json!({"type": "text"})).await.status, 422);
    assert_eq!(crm.delete(&one).await.status, 204);
    assert_eq!(crm.get(&one).await.status, 404);
    assert_eq!(crm.post("/companies", json!({"name": "Acme"})).await.status, 201);
}

#[tokio::test]
async fn marketing_lists_hold_each_company_once() {
    let crm = Crm::new().await;
    let list = crm.id("/marketing-lists", json!({"name": " Autumn fair "})).await;
    let mut companies = Vec::new();
    for n in 0..5 {
        let name = if n < 3 { format!("Münch {n}") } else { format!("Other {n}") };
        companies.push(crm.id("/companies", json!({"name": name})).await);
    }
    let add = async |more: Value| {
        let mut body = json!({"listId": list});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = crm.post("/prospecting/add-to-marketing-list", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    let unknown = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    assert_eq!(add(json!({})).await, json!({"added": 0, "alreadyPresent": 0, "notFound": []}));
    let named = add(json!({"companyIds": [companies[0], companies[4], companies[0], unknown]})).await;
    assert_eq!(named, json!({"added": 2, "alreadyPresent": 0, "notFound": [unknown]}));
    let found = add(json!({"filter": {"q": "MÜNCH", "status": "prospect"}})).await;
    assert_eq!(found, json!({"added": 2, "alreadyPresent": 1, "notFound": []}));
    assert_eq!(add(json!({"filter": {}})).await, json!({"added": 1, "alreadyPresent": 4, "notFound": []}));
    let path = format!("/marketing-lists/{list}");
    assert_eq!(crm.read(&path).await["companyCount"], 5);
    let page = crm.read(&format!("{path}/companies?pageSize=2&page=3")).await;
    assert_eq!((page["total"].as_u64(), each(&page["companies"], "id")), (Some(5), vec![companies[4].clone()]));

    let refused = async |body: Value| crm.post("/prospecting/add-to-marketing-list", body).await;
    assert_eq!(refused(json!({"listId": unknown})).await.pointers(), ["/listId"]);
    assert_eq!(refused(json!({"listId": "x"})).await.status, 400);
    assert_eq!(refused(json!({"listId": list, "companyIds": ["x"]})).await.status, 400);
    assert_eq!(refused(json!({"listId": list, "filter": {"ownerUserId": "x"}})).await.status, 400);

    let renamed = crm.patch(&path, json!({"name": "Spring fair", "description": "Hanover"})).await;
    assert_eq!((renamed.status.as_u16(), renamed.json()["companyCount"].as_u64()), (200, Some(5)));
    assert_eq!(crm.read("/marketing-lists?q=SPRING").await["total"], 1);
    assert_eq!(crm.read("/marketing-lists?q=autumn").await["total"], 0);
    assert_eq!(crm.delete(&path).await.status, 204);
    assert_eq!(crm.get(&format!("{path}/companies")).await.status, 404);
    assert_eq!(crm.read("/companies").await["total"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_counts_right_however_many_add_to_it() {
    let crm = Crm::new().await;
    let list = crm.id("/marketing-lists", json!({"name": "Fair"})).await;
    let mut companies = Vec::new();
    for n in 0..110 {
        companies.push(crm.id("/companies", json!({"name": format!("c{n}")})).await);
    }
    let calls = (0..4).map(|_| crm.post("/prospecting/add-to-marketing-list", json!({"listId": list, "companyIds": companies})));
    let answers = futures_util::future::join_all(calls).await;
    let added: u64 = answers.iter().map(|a| a.json()["added"].as_u64().expect(&a.text)).sum();
    let found = crm.read(&format!("/marketing-lists/{list}/companies?page=2&pageSize=100")).await;
    assert_eq!((added, found["total"].as_u64(), found["companies"].as_array().unwrap().len()), (110, Some(110), 10));
}

#[tokio::test]
async fn batches_answer_for_each_record() {
    let crm = Crm::new().await;
    let records =
        json!([{"name": "A", "domain": "a.example"}, {"name": "B", "domain": "a.example"}, {"nmae": "C"}, {"name": "D"}]);
    let answer = crm.post("/companies/batch", json!({"records": records})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = answer.json()["results"].clone();
    let statuses: Vec<u64> = results.as_array().unwrap().iter().map(|r| r["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 422, 201]);
    assert!(results[1]["error"].as_str().unwrap().contains(results[0]["id"].as_str().unwrap()));
    assert_eq!((&results[2]["index"], &results[2]["details"][0]["pointer"]), (&json!(2), &json!("/nmae")));
    assert_eq!(crm.read("/companies").await["total"], 2);

    let company = results[0]["id"].clone();
    let records = json!([{"lastName": "A", "companyId": company}, {"title": "nobody"}]);
    let results = crm.post("/contacts/batch", json!({"records": records})).await.json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(201), &json!(422)));
    assert_eq!(crm.read(&format!("/contacts?companyId={}", company.as_str().unwrap())).await["total"], 1);
    for bad in [json!({}), json!({"records": []}), json!({"records": vec![json!({"name": "x"}); 101]})] {
        assert_eq!(crm.post("/companies/batch", bad).await.pointers(), ["/records"]);
    }
}

#[tokio::test]
async fn exports_hold_every_record_and_run_no_formulas() {
    let crm = Crm::new().await;
    for n in 0..130 {
        crm.id("/companies", json!({"name": format!("=Company {n}, \"Ltd\""), "tags": ["a", "b"], "custom": {"n": n}})).await;
    }
    let stored = |answer: &Value| {
        let url = answer["url"].as_str().unwrap();
        let key =
            crm.api.world.objects.keys().into_iter().find(|key| url.contains(key.as_str())).expect("the link leads to an object");
        assert!(key.starts_with(&format!("exports/{}/", crm.api.me.entity_id)));
        String::from_utf8(crm.api.world.objects.get(&key).unwrap().1.to_vec()).unwrap()
    };
    let answer = crm.read("/export?type=companies&format=ndjson").await;
    let lines: Vec<Value> = stored(&answer).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((answer["rows"].as_u64(), lines.len()), (Some(130), 130));
    assert_eq!(lines[0], crm.read("/companies?pageSize=1").await["companies"][0]);

    let answer = crm.read("/export?type=companies&format=csv").await;
    let csv = stored(&answer);
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].starts_with("id,name,domain,"), "{}", rows[0]);
    assert_eq!((rows.len(), answer["bytes"].as_u64()), (131, Some(csv.len() as u64)));
    assert!(rows[1].contains(",\"'=Company 129, \"\"Ltd\"\"\",") && rows[1].contains("a; b"), "{}", rows[1]);

    assert_eq!(crm.read("/export?type=contacts&format=csv").await["rows"], 0);
    assert_eq!(crm.get("/export?format=xml").await.pointers(), ["?type", "?format"]);
}
