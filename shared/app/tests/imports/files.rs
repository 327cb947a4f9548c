//! Uploads, encodings, and files that are none.

use axle_app::ObjectStore as _;
use axle_app::outreach::imports::{ImportStatus, create_upload};
use axle_domain::UploadId;

use crate::*;

impl Tenant {
    /// Sends a file under a new upload's id, as its presigned PUT would.
    async fn upload(&self, bytes: impl Into<Vec<u8>>) -> UploadId {
        let upload = create_upload(self.app(), &self.ctx()).await.unwrap();
        self.replace(upload.upload_id, bytes).await;
        upload.upload_id
    }

    async fn replace(&self, id: UploadId, bytes: impl Into<Vec<u8>>) {
        let key = format!("uploads/{}/{id}", self.entity);
        self.world.objects.put(&key, "text/csv", bytes.into().into()).await.unwrap();
    }

    /// Imports an uploaded file.
    async fn import_upload(&self, bytes: impl Into<Vec<u8>>) -> ImportView {
        let id = self.upload(bytes).await;
        let started = self.request(Source::Upload(id), SKIP).await.unwrap();
        assert_eq!((started["status"].clone(), counted(&started)), (json!("validating"), json!([null, null, null, null])));
        let job = self.job(&started);
        assert_eq!(self.work(&job).await, WorkOutcome::Ended);
        self.view(&job).await
    }

    async fn first_names(&self) -> Vec<String> {
        self.leads().await.into_iter().filter_map(|lead| lead.profile.first_name).collect()
    }
}

fn utf16(text: &str, bom: bool) -> Vec<u8> {
    bom.then_some(0xFEFF).into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn encodings_and_delimiters() {
    let text = "E-Mail\tVorname\r\nzoe@example.com\tZoë\r\njose@example.com\tJosé\r\n";
    let semicolons = text.replace('\t', ";");
    for bytes in
        [text.into(), format!("\u{feff}{semicolons}").into(), latin1(&semicolons), utf16(text, true), utf16(&semicolons, false)]
    {
        let tenant = Tenant::new().await;
        let view = tenant.import_upload(bytes.clone()).await;
        assert_eq!((ends(&view), view.row_count), ([2, 0, 0, 0], Some(2)));
        assert_eq!(tenant.first_names().await, ["José", "Zoë"]);

        let tenant = Tenant::new().await;
        let source = Source::Inline { bytes: bytes.into(), sent_as: SentAs::Form };
        let job = tenant.job(&tenant.request(source, SKIP).await.unwrap());
        tenant.work(&job).await;
        assert_eq!(tenant.first_names().await, ["José", "Zoë"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latin1_far_down_in_an_upload_is_recognised() {
    let tenant = Tenant::new().await;
    let padding = "x".repeat(1_000);
    let plain: String = (0..100).map(|n| format!("p{n}@example.com,,{padding}\n")).collect();
    let bytes = latin1(&format!("email,first_name,note\n{plain}zoe@example.com,Zoë,\n"));
    let view = tenant.import_upload(bytes).await;
    assert_eq!(ends(&view), [101, 0, 0, 0]);
    assert_eq!(tenant.first_names().await, ["Zoë"]);

    // A file that is mostly UTF-8 stays so; the broken row is refused.
    let tenant = Tenant::new().await;
    let mut bytes = format!("email,first_name,note\n{plain}").into_bytes();
    for n in 0..5 {
        bytes.extend(format!("z{n}@example.com,Zoë,\n").bytes());
    }
    bytes.extend(latin1("jose@example.com,José,\n"));
    let view = tenant.import_upload(bytes).await;
    assert_eq!(ends(&view), [105, 0, 0, 1]);
    assert_eq!(tenant.first_names().await, ["Zoë"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_imported_fails_without_a_lead() {
    let tenant = Tenant::new().await;
    for (bytes, reason) in [
        (b"PK\x03\x04workbook".to_vec(), "not a CSV"),
        (b"name,company\nAda,Acme\n".to_vec(), "no column is an e-mail address"),
        (b"email,name\n , \n,,\n".to_vec(), "no rows"),
        (b"\n\n\n".to_vec(), "empty"),
    ] {
        let view = tenant.import_upload(bytes).await;
        assert_eq!((view.status, view.processed), (ImportStatus::Failed, 0));
        assert!(view.error.as_deref().unwrap().contains(reason), "{:?}", view.error);
        assert!(view.finished_at.is_some());
    }
    assert!(tenant.leads().await.is_empty() && tenant.events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_imported_as_it_was_when_the_import_started() {
    let tenant = Tenant::new().await;
    let id = tenant.upload("email\na@example.com\n").await;
    let job = tenant.job(&tenant.request(Source::Upload(id), SKIP).await.unwrap());
    tenant.replace(id, "email\nb@example.com\n").await;
    tenant.work(&job).await;
    let view = tenant.view(&job).await;
    assert_eq!(view.status, ImportStatus::Failed);
    assert!(view.error.unwrap().contains("replaced"));
    assert!(tenant.leads().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_looked_for_again_before_the_import_fails() {
    let tenant = Tenant::new().await;
    let id = tenant.upload("email\na@example.com\n").await;
    let job = tenant.job(&tenant.request(Source::Upload(id), SKIP).await.unwrap());
    let clock = tenant.world.clock.clone();
    let without_it = tenant.another_app(Arc::new(move || clock.now()), MemoryObjects::default());
    assert!(matches!(work(&without_it, job.clone(), in_time()).await.outcome, Err(Error::Unavailable(_))));
    tenant.world.clock.advance_secs(2 * 3600);
    assert_eq!(work(&without_it, job.clone(), in_time()).await.outcome.unwrap(), WorkOutcome::Ended);
    assert_eq!(tenant.view(&job).await.status, ImportStatus::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_validation_goes_on_where_it_stopped() {
    let tenant = Tenant::new().await;
    // Blank rows are looked at, so they take time, but they are no rows.
    let csv = format!("email\na@example.com\n{}b@example.com\n", "  \n".repeat(25_000));
    let id = tenant.upload(csv).await;
    let job = tenant.job(&tenant.request(Source::Upload(id), SKIP).await.unwrap());
    let mut statuses = Vec::new();
    while work(tenant.app(), job.clone(), Instant::now()).await.outcome.unwrap() == WorkOutcome::Continued {
        statuses.push(tenant.view(&job).await.status);
    }
    assert_eq!(statuses, [ImportStatus::Validating, ImportStatus::Validating]);
    let view = tenant.view(&job).await;
    assert_eq!((ends(&view), view.row_count), ([2, 0, 0, 0], Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refused_rows_are_one_csv() {
    let tenant = Tenant::new().await;
    // 35 chunks with refused rows: more than are kept as single pieces.
    let csv: String = (0..17_500).map(|n| format!("bad {n}\n")).fold("email\n".to_owned(), |csv, row| csv + &row);
    let (view, errors) = tenant.import(&csv, SKIP).await;
    assert_eq!(ends(&view), [0, 0, 0, 17_500]);
    let rows: Vec<&str> = errors.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!((rows.len(), rows[0], rows[17_499]), (17_500, "bad 0", "bad 17499"));
    assert!(rows.windows(2).all(|two| two[0] != two[1]));

    // Too large for an answer: to be downloaded.
    let padding = "x".repeat(2_000);
    let csv: String = (0..2_500).map(|n| format!("bad {n},{padding}\n")).fold("email,note\n".to_owned(), |csv, row| csv + &row);
    let id = tenant.upload(csv).await;
    let job = tenant.job(&tenant.request(Source::Upload(id), SKIP).await.unwrap());
    tenant.work(&job).await;
    let key = format!("imports/{}/{}/errors.csv", tenant.entity, job.import_job_id);
    let ErrorsCsv::Redirect(url) = errors_of(&tenant, &job).await else { panic!("answered directly") };
    assert!(url.contains(&key), "{url}");
    let (_, body) = tenant.world.objects.get(&key).unwrap();
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 2_501);
}

async fn errors_of(tenant: &Tenant, job: &ImportJob) -> ErrorsCsv {
    errors(tenant.app(), &tenant.ctx(), job.import_job_id).await.unwrap()
}
