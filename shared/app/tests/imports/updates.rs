//! `on_duplicate=update`, campaigns, and corrected rows.

use axle_app::outreach::imports::ImportOptions;
use axle_app::outreach::{campaigns, leads};
use axle_domain::CampaignId;

use crate::*;

async fn campaign(tenant: &Tenant) -> CampaignId {
    let spec = json!({"name": "Spring", "channels": ["email"]});
    let spec = serde_json::from_value(spec).unwrap();
    let answer =
        campaigns::create(tenant.app(), &tenant.ctx(), spec, |c| Answer::new(201, json!({"id": c.value.id}))).await.unwrap();
    answer.body["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_cell_leaves_the_field_and_rows_apply_in_order() {
    let tenant = Tenant::new().await;
    let first = "email,first_name,title,phone,Plan,Seats\nada@example.com,Ada,CTO,+14155550123,Free,3\n";
    tenant.import(first, SKIP).await;
    let made = tenant.leads().await.remove(0);
    tenant.world.clock.advance_secs(5);
    let second = "email,first_name,title,Plan\nADA@example.com,,CEO,\nada@example.com, ,Chair,Pro\nbob@example.com,Bob,,\n";
    let (view, _) = tenant.import(second, UPDATE).await;
    assert_eq!(ends(&view), [1, 2, 0, 0]);
    let leads = tenant.leads().await;
    let ada = json!({
        "email": "ada@example.com", "first_name": "Ada", "title": "Chair", "phone": "+14155550123", "company": {},
        "custom": {"Plan": "Pro", "Seats": "3"},
    });
    assert_eq!(json!(leads[0].profile), ada);
    assert_eq!((leads[0].id, &leads[0].identity, leads[0].created_at), (made.id, &made.identity, made.created_at));
    assert_eq!(leads[0].updated_at, Some(tenant.world.clock.now()));
    assert!(leads[0].q.contains("chair"));

    // The same again changes nothing, so the lead keeps its time.
    tenant.world.clock.advance_secs(5);
    let (view, _) = tenant.import("email,title\nada@example.com,Chair\n", UPDATE).await;
    assert_eq!(ends(&view), [0, 1, 0, 0]);
    assert_eq!(tenant.leads().await[0].updated_at, leads[0].updated_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_fields_do_not_grow_without_end() {
    let tenant = Tenant::new().await;
    let wide = |from: usize| {
        let names: Vec<String> = (from..from + 60).map(|n| format!("field {n}")).collect();
        let values = vec!["x"; 60].join(",");
        format!("email,{}\nada@example.com,{values}\n", names.join(","))
    };
    assert_eq!(ends(&tenant.import(&wide(0), UPDATE).await.0), [1, 0, 0, 0]);
    let (view, errors) = tenant.import(&wide(100), UPDATE).await;
    assert_eq!(ends(&view), [0, 0, 0, 1]);
    assert!(
        errors.lines().nth(1).unwrap().starts_with("2,\"with this row's values, the lead's custom fields must have at most 100"),
        "{errors}"
    );
    assert_eq!(tenant.leads().await[0].profile.custom.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_a_campaigns_import_is_in_the_campaign() {
    let tenant = Tenant::new().await;
    tenant.import("email\nold@example.com\n", SKIP).await;
    let id = campaign(&tenant).await;
    let csv = "email\nold@example.com\nnew@example.com\nNEW@example.com\nnot an address\n";
    let started = tenant.start(csv, ImportOptions { campaign_id: Some(id), ..SKIP }).await;
    let job = tenant.job(&started);
    tenant.work(&job).await;
    assert_eq!(ends(&tenant.view(&job).await), [1, 0, 2, 1]);
    let query = LeadQuery { campaign_id: Some(id), ..LeadQuery::default() };
    let page = axle_app::PageRequest { cursor: None, limit: 10 };
    assert_eq!(leads::list(tenant.app(), &tenant.ctx(), query, page).await.unwrap().items.len(), 2);
    let event = tenant.events().into_iter().find(|e| e["data"]["import_job_id"] == started["import_job_id"]).unwrap();
    assert_eq!(event["campaign_id"], json!(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_can_be_corrected_and_imported_again() {
    let tenant = Tenant::new().await;
    let csv = "Name,E-mail,Notes\r\nAda,ada(at)example.com,\"=1+1, \"\"x\"\"\r\nline\"\r\nBob,bob@example.com,\r\nCy,,\r\nDi,di@example.com,a,b\r\n";
    let (view, errors) = tenant.import(csv, SKIP).await;
    assert_eq!(ends(&view), [1, 0, 0, 3]);
    let expected = "import_row,import_error,Name,E-mail,Notes\r\n\
        2,E-mail: is not a valid e-mail address,Ada,ada(at)example.com,\"=1+1, \"\"x\"\"\r\nline\"\r\n\
        4,\"E-mail: a lead needs an e-mail address, a LinkedIn URL or a phone\",Cy,,\r\n\
        5,\"row has 4 cells, the header has 3\",Di,di@example.com,a,b\r\n";
    assert_eq!(errors, expected);

    let corrected = errors.replace("(at)", "@").replace("Cy,,", "Cy,cy@example.com,").replace("a,b", "\"a,b\"");
    let (view, errors) = tenant.import(&corrected, SKIP).await;
    assert_eq!((ends(&view), errors.as_str()), ([3, 0, 0, 0], "import_row,import_error,Name,E-mail,Notes\r\n"));
    let leads = tenant.leads().await;
    assert_eq!(json!(leads[0].profile.custom), json!({"Notes": "=1+1, \"x\"\r\nline"}));
    assert_eq!(leads.len(), 4);
}
