//! Contacts and their places in companies over HTTP.

use serde_json::{Value, json};

use crate::support::{Crm, each};

#[tokio::test]
async fn a_contact_is_created_read_changed_and_not_deleted() {
    let crm = Crm::new().await;
    let contact = crm
        .made("/contacts", json!({"firstName": " Ada ", "email": "ADA@Engines.example", "phone": "+44 (20) 7946-0123", "linkedinUrl": "linkedin.com/in/Ada"}))
        .await;
    assert_eq!((contact["firstName"].as_str(), contact["email"].as_str()), (Some("Ada"), Some("ada@engines.example")));
    assert_eq!(contact["phone"], "+442079460123");
    assert_eq!(contact["linkedinUrl"], "https://www.linkedin.com/in/ada");
    let path = format!("/contacts/{}", contact["id"].as_str().unwrap());
    assert_eq!(crm.read(&path).await, contact);
    let changed = crm.patch(&path, json!({"lastName": "Lovelace", "phone": null})).await.json();
    assert_eq!((changed["lastName"].as_str(), &changed["phone"]), (Some("Lovelace"), &json!(null)));
    let nothing_left = crm.patch(&path, json!({"firstName": null, "lastName": null, "email": null})).await;
    assert_eq!(nothing_left.status, 422, "{}", nothing_left.text);

    let deleted = crm.delete(&path).await;
    assert_eq!((deleted.status.as_u16(), deleted.header("allow")), (405, Some("GET, PATCH")));
    assert!(deleted.json()["error"].as_str().unwrap().contains(&format!("{path}/erase")), "{}", deleted.text);
    assert_eq!(crm.get(&path).await.status, 200);

    let bad = crm.post("/contacts", json!({"title": "CTO"})).await;
    assert_eq!(bad.status, 422, "{}", bad.text);
    assert_eq!(crm.post("/contacts", json!({"email": "x", "phone": "1"})).await.pointers(), ["/email", "/phone"]);
    let events = crm.api.get("/events?type=contact.created").await.json();
    assert_eq!(
        (events["events"].as_array().unwrap().len(), &events["events"][0]["data"]["contact_id"]),
        (1, &events["events"][0]["subject"]["id"])
    );
}

#[tokio::test]
async fn a_new_contact_joins_the_company_that_it_names() {
    let crm = Crm::new().await;
    let company = crm.id("/companies", json!({"name": "Acme"})).await;
    let contact = crm.made("/contacts", json!({"lastName": "A", "companyId": company})).await;
    assert_eq!(contact["companyId"], json!(company));
    let found = crm.read(&format!("/companies/{company}/contacts")).await;
    assert_eq!((found["total"].as_u64(), &found["contacts"][0]["id"]), (Some(1), &contact["id"]));
    assert_eq!(found["contacts"][0]["membership"]["isPrimary"], true);
    let event = &crm.api.get("/events?type=contact.created").await.json()["events"][0];
    assert_eq!(event["data"]["company_id"], json!(company));
    // Unknown ones are faults, listed with the others; malformed ones are more than that.
    let unknown = json!({"email": "nope", "companyId": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"});
    assert_eq!(crm.post("/contacts", unknown).await.status, 422);
    let unknown = crm.post("/contacts", json!({"lastName": "B", "companyId": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"})).await;
    assert_eq!(unknown.pointers(), ["/companyId"]);
    assert_eq!(crm.post("/contacts", json!({"lastName": "B", "companyId": "acme"})).await.status, 400);
    assert_eq!(crm.read("/contacts").await["total"], 1);
}

#[tokio::test]
async fn lists_search_filter_and_count() {
    let crm = Crm::new().await;
    let acme = crm.id("/companies", json!({"name": "Acme"})).await;
    for n in 0..12 {
        let mut body = json!({"firstName": format!("Zoë {n}"), "email": format!("p{n}@example.com"), "title": if n % 4 == 0 { "CTO" } else { "Sales" }});
        if n % 2 == 0 {
            body["companyId"] = json!(acme);
        }
        crm.made("/contacts", body).await;
    }
    let total = async |path: &str| crm.read(path).await["total"].as_u64().unwrap();
    for (path, expected) in [
        ("/contacts".to_owned(), 12),
        ("/contacts?q=ZO%C3%8B".to_owned(), 12),
        ("/contacts?q=P11@".to_owned(), 1),
        ("/contacts?q=cto".to_owned(), 3),
        ("/contacts?ownerUserId=unassigned".to_owned(), 12),
        (format!("/contacts?companyId={acme}"), 6),
        (format!("/contacts?companyId={acme}&q=cto"), 3),
        (format!("/companies/{acme}/contacts?q=p1"), 1),
        ("/contacts?companyId=01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77".to_owned(), 0),
    ] {
        assert_eq!(total(&path).await, expected, "{path}");
    }
    assert_eq!(crm.get("/contacts?companyId=acme").await.status, 400);
    let page = crm.read("/contacts?pageSize=5&page=3").await;
    assert_eq!(each(&page["contacts"], "email"), ["p1@example.com", "p0@example.com"]);
    let page = crm.read(&format!("/companies/{acme}/contacts?pageSize=4&page=2")).await;
    assert_eq!(each(&page["contacts"], "email"), ["p2@example.com", "p0@example.com"]);
}

/// Which of a contact's memberships are primary, by company.
async fn primaries(crm: &Crm, contact: &str) -> Vec<String> {
    let places = crm.read(&format!("/contacts/{contact}/company-memberships")).await;
    let places = places["memberships"].as_array().unwrap().clone();
    places.iter().filter(|p| p["isPrimary"] == true).map(|p| p["companyId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn places_in_companies() {
    let crm = Crm::new().await;
    let contact = crm.id("/contacts", json!({"lastName": "A"})).await;
    let mut companies = Vec::new();
    for n in 0..3 {
        companies.push(crm.id("/companies", json!({"name": format!("c{n}")})).await);
    }
    let path = format!("/contacts/{contact}/company-memberships");
    let join = |n: usize, more: Value| {
        let mut body = json!({"companyId": companies[n]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        crm.made(&path, body)
    };
    let first = join(0, json!({"role": "decision maker", "startedAt": "2024-03-01"})).await;
    assert_eq!((&first["isPrimary"], first["startedAt"].as_str()), (&json!(true), Some("2024-03-01T00:00:00.000Z")));
    assert_eq!(join(1, json!({})).await["isPrimary"], false);
    assert_eq!(primaries(&crm, &contact).await, [companies[0].clone()]);
    let third = join(2, json!({"isPrimary": true})).await;
    assert_eq!(primaries(&crm, &contact).await, [companies[2].clone()]);
    assert_eq!(crm.read(&format!("/contacts/{contact}")).await["companyId"], json!(companies[2]));

    let twice = crm.post(&path, json!({"companyId": companies[1]})).await;
    assert_eq!(twice.status, 409, "{}", twice.text);
    let bad = json!({"companyId": companies[1], "startedAt": "soon", "role": "x".repeat(301)});
    let mut pointers = crm.post(&path, bad).await.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/role", "/startedAt"]);
    assert_eq!(crm.post(&path, json!({"companyId": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"})).await.pointers(), ["/companyId"]);

    let one = format!("{path}/{}", first["id"].as_str().unwrap());
    let changed = crm.patch(&one, json!({"isPrimary": true, "role": null, "title": "Owner"})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = changed.json();
    assert_eq!(
        (&changed["role"], &changed["title"], &changed["startedAt"]),
        (&json!(null), &json!("Owner"), &first["startedAt"])
    );
    assert_eq!(primaries(&crm, &contact).await, [companies[0].clone()]);
    assert_eq!(crm.patch(&one, json!({"isPrimary": false})).await.status, 200);
    assert!(primaries(&crm, &contact).await.is_empty());
    assert_eq!(crm.patch(&one, json!({"companyId": companies[1]})).await.status, 422);

    assert_eq!(crm.delete(&format!("{path}/{}", third["id"].as_str().unwrap())).await.status, 204);
    assert_eq!(crm.delete(&format!("{path}/{}", third["id"].as_str().unwrap())).await.status, 404);
    assert_eq!(crm.read(&path).await["total"], 2);
    assert_eq!(crm.read(&format!("/companies/{}/contacts", companies[2])).await["total"], 0);
    // Out and in again.
    assert_eq!(join(2, json!({})).await["isPrimary"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twelve_at_once_leave_one_primary() {
    let crm = Crm::new().await;
    let contact = crm.id("/contacts", json!({"lastName": "A"})).await;
    let mut companies = Vec::new();
    for n in 0..6 {
        companies.push(crm.id("/companies", json!({"name": format!("c{n}")})).await);
    }
    let path = format!("/contacts/{contact}/company-memberships");
    let calls = companies.iter().chain(&companies).map(|c| crm.post(&path, json!({"companyId": c, "isPrimary": true})));
    let answers = futures_util::future::join_all(calls).await;
    let places = crm.read(&path).await;
    let made = answers.iter().filter(|a| a.status == 201).count();
    assert!(answers.iter().all(|a| a.status == 201 || a.status == 409));
    assert_eq!((places["total"].as_u64(), made), (Some(made as u64), made));
    assert!(made >= 1);
    assert_eq!(primaries(&crm, &contact).await.len(), 1);
}
