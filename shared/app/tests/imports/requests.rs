//! What a request for an import is answered with.

use axle_app::outreach::imports::{ImportOptions, create_upload};
use axle_domain::{CampaignId, Fault, UploadId};

use crate::*;

impl Tenant {
    async fn refused(&self, source: Source, options: ImportOptions) -> Vec<String> {
        let Err(Error::Invalid(faults)) = self.request(source, options).await else { panic!("not refused as invalid") };
        faults.into_iter().map(|Fault { pointer, .. }| pointer).collect()
    }
}

fn inline(csv: &str, sent_as: SentAs) -> Source {
    Source::Inline { bytes: csv.to_owned().into(), sent_as }
}

fn mapping(pairs: &[(&str, &str)]) -> ImportOptions {
    let mapping = pairs.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect();
    ImportOptions { mapping: Some(mapping), ..SKIP }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_once_where_it_is() {
    let tenant = Tenant::new().await;
    let unknown = CampaignId::new_at(tenant.world.clock.now());
    let options = ImportOptions { campaign_id: Some(unknown), ..mapping(&[("E-mail", "emial"), ("Name", "nmae")]) };
    let faults = tenant.refused(inline("E-mail,Name\na@example.com,A\n", SentAs::Json), options).await;
    assert_eq!(faults, ["/campaign_id", "/mapping/E-mail", "/mapping/Name"]);

    let options = ImportOptions { campaign_id: Some(unknown), ..SKIP };
    assert_eq!(tenant.refused(inline("name\nAda\n", SentAs::Body), options).await, ["?campaign_id", ""]);
    assert_eq!(tenant.refused(inline("email\n", SentAs::Form), SKIP).await, ["/file"]);
    assert_eq!(
        tenant.refused(inline("email\na@example.com\n", SentAs::Json), mapping(&[("Mail", "email")])).await,
        ["/mapping/Mail"]
    );
    let latin1 = Source::Inline { bytes: b"email,name\na@example.com,Zo\xEB\n".to_vec().into(), sent_as: SentAs::Body };
    assert_eq!(tenant.refused(latin1, SKIP).await, [""]);
    assert!(tenant.world.objects.keys().is_empty() && tenant.world.table.new_records().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ones_own_uploads_that_were_sent() {
    let tenant = Tenant::new().await;
    let upload = create_upload(tenant.app(), &tenant.ctx()).await.unwrap();
    assert!(upload.url.contains(&upload.upload_id.to_string()));
    assert_eq!(upload.headers["content-type"], "text/csv");
    assert_eq!((upload.expires_at.since(tenant.world.clock.now()), upload.max_bytes), (3_600_000, 5 << 30));
    assert_eq!(tenant.refused(Source::Upload(upload.upload_id), SKIP).await, ["/upload_id"]);

    let other: UploadId = UploadId::new_at(tenant.world.clock.now());
    let key = format!("uploads/{}/{other}", EntityId::new_at(tenant.world.clock.now()));
    axle_app::ObjectStore::put(&tenant.world.objects, &key, "text/csv", "email\na@example.com\n".into()).await.unwrap();
    assert_eq!(tenant.refused(Source::Upload(other), mapping(&[("a", "b")])).await, ["/mapping/a", "/upload_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_handed_to_the_worker_with_its_record() {
    let tenant = Tenant::new().await;
    let started = tenant.start("email\na@example.com\n", SKIP).await;
    assert_eq!(started["status"], "queued");
    let records = tenant.world.table.new_records();
    assert_eq!(records.len(), 1);
    let image = &records[0]["dynamodb"]["NewImage"];
    assert_eq!(image["job"]["S"], "import");
    let job: ImportJob = serde_json::from_str(image["job_body"]["S"].as_str().unwrap()).unwrap();
    assert!(job.trace_id.is_some(), "the request's");
    assert_eq!(ImportJob { trace_id: None, ..job.clone() }, tenant.job(&started));

    let view = tenant.view(&job).await;
    let expected = json!({
        "import_job_id": job.import_job_id, "status": "queued", "row_count": 1, "processed": 0, "created": 0, "updated": 0,
        "skipped": 0, "failed": 0, "started_at": null, "finished_at": null, "rows_per_second": null,
    });
    assert_eq!(json!(view), expected);
    assert_eq!(tenant.errors(&job).await, "import_row,import_error,email\r\n");

    tenant.world.clock.advance_secs(2);
    tenant.work(&job).await;
    // The checkpoints are no new jobs.
    assert_eq!(tenant.world.table.new_records().len(), 1, "the event");
    let unknown = ImportJobId::new_at(tenant.world.clock.now());
    assert!(matches!(get(tenant.app(), &tenant.ctx(), unknown).await, Err(Error::NotFound("import"))));
    let stranger = Ctx { entity_id: EntityId::new_at(tenant.world.clock.now()), ..tenant.ctx() };
    assert!(matches!(get(tenant.app(), &stranger, job.import_job_id).await, Err(Error::NotFound("import"))));
    assert!(matches!(errors(tenant.app(), &stranger, job.import_job_id).await, Err(Error::NotFound("import"))));
}
