//! The three forms of an import request, read into one.

use std::collections::BTreeMap;

use axle_app::outreach::imports::{ImportOptions, ImportRequest, OnDuplicate, SentAs, Source};
use axle_app::{Error, input};
use axle_domain::{CampaignId, Faults, UploadId};
use axle_http::{ApiError, QueryReader, RawBody};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// An import as JSON: `csv` or `upload_id`, not both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonBody {
    /// The file's text.
    #[serde(default)]
    pub csv: Option<String>,
    /// A file that was uploaded before.
    #[serde(default)]
    pub upload_id: Option<UploadId>,
    /// Whether rows of the same person are one lead; otherwise every row is a lead of its own.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub dedupe: bool,
    /// What to do with a row whose lead is there already.
    #[serde(default)]
    pub on_duplicate: OnDuplicate,
    /// Column name to field name, `custom.<name>` or `ignore`, where the loose matching does not do.
    #[serde(default)]
    #[schema(example = json!({"Mail (work)": "email"}))]
    pub mapping: Option<BTreeMap<String, String>>,
    /// The campaign that the leads are attached to.
    #[serde(default)]
    pub campaign_id: Option<CampaignId>,
}

/// An import as a form.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct FormBody {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    dedupe: Option<bool>,
    on_duplicate: Option<OnDuplicate>,
    campaign_id: Option<CampaignId>,
    /// A JSON object of column name to field name.
    mapping: Option<String>,
}

const fn yes() -> bool {
    true
}

/// Reads any of the three forms.
pub(crate) async fn read(query: QueryReader, body: RawBody) -> Result<ImportRequest, ApiError> {
    let content_type = body.content_type().to_owned();
    match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" | "application/csv" | "text/plain" => read_csv(query, body.bytes),
        "multipart/form-data" => {
            query.finish()?;
            Ok(read_form(&content_type, body.bytes).await?)
        }
        "application/json" => {
            query.finish()?;
            read_json(body.json()?)
        }
        _ => Err(Error::UnsupportedMediaType("send text/csv, multipart/form-data or application/json".to_owned()).into()),
    }
}

fn read_csv(mut query: QueryReader, bytes: Bytes) -> Result<ImportRequest, ApiError> {
    let options = ImportOptions {
        dedupe: query.flag("dedupe").unwrap_or(true),
        on_duplicate: query.parsed("on_duplicate").unwrap_or_default(),
        campaign_id: query.parsed("campaign_id"),
        mapping: None,
    };
    query.finish()?;
    Ok(ImportRequest { source: Source::Inline { bytes, sent_as: SentAs::Body }, options })
}

fn read_json(value: Value) -> Result<ImportRequest, ApiError> {
    let JsonBody { csv, upload_id, dedupe, on_duplicate, mapping, campaign_id } = input::read::<JsonBody>(value)?;
    let source = match (csv, upload_id) {
        (Some(csv), None) => Source::Inline { bytes: csv.into(), sent_as: SentAs::Json },
        (None, Some(id)) => Source::Upload(id),
        (Some(_), Some(_)) => return Err(Error::invalid("/upload_id", "cannot go with csv: send one of the two").into()),
        (None, None) => return Err(Error::invalid("/csv", "is required, or else upload_id").into()),
    };
    Ok(ImportRequest { source, options: ImportOptions { dedupe, on_duplicate, campaign_id, mapping } })
}

/// Reads the parts of a form into what the JSON form would have said, so that both have the same rules.
async fn read_form(content_type: &str, bytes: Bytes) -> Result<ImportRequest, Error> {
    let malformed = |e: multer::Error| Error::Malformed(format!("the form cannot be read: {e}"));
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let mut form = multer::Multipart::new(futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]), boundary);
    let (mut file, mut fields, mut faults) = (None, serde_json::Map::new(), Faults::new());
    while let Some(part) = form.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            file = Some(part.bytes().await.map_err(malformed)?);
            continue;
        }
        let text = part.text().await.map_err(malformed)?;
        match name.as_str() {
            "mapping" => match serde_json::from_str::<Value>(&text) {
                Ok(mapping) => drop(fields.insert(name, mapping)),
                Err(_) => faults.add("/mapping", "must be a JSON object"),
            },
            "dedupe" => drop(fields.insert(name, text.parse::<bool>().map_or(Value::String(text), Value::Bool))),
            _ => drop(fields.insert(name, Value::String(text))),
        }
    }
    let Some(bytes) = file else {
        faults.add("/file", "is required");
        return Err(Error::Invalid(faults.into_vec()));
    };
    faults.check().map_err(Error::Invalid)?;
    for hidden in ["csv", "upload_id"] {
        if fields.contains_key(hidden) {
            return Err(Error::invalid(format!("/{hidden}"), "is not a field of this form"));
        }
    }
    fields.insert("csv".to_owned(), json!(""));
    let request = read_json(Value::Object(fields)).map_err(|e| e.0)?;
    Ok(ImportRequest { source: Source::Inline { bytes, sent_as: SentAs::Form }, ..request })
}

impl axle_domain::Input for JsonBody {}
