//! The provider `http`: an API that a tenant has described.

use std::time::Duration;

use axle_domain::enrich::{Findings, Mapping, Method, Subject, fill_template};
use serde_json::Value;

use super::USER_AGENT;
use crate::outbound::{self, BodyLimit, Client, Request};

/// Bytes of an answer; more is none that is meant for this.
const ANSWER_MAX: usize = 512 * 1024;

/// A call to be made.
#[derive(Clone)]
pub struct Api {
    pub url: String,
    pub method: Method,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// Hides what may hold secrets.
impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("method", &self.method).finish_non_exhaustive()
    }
}

fn percent(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn json_text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl Api {
    /// The call for a subject: its values percent-encoded in the URL, escaped in the body, without control characters in headers.
    ///
    /// # Errors
    /// The name of the first placeholder for which the subject has no value.
    pub fn of(
        url: &str,
        method: Method,
        headers: impl IntoIterator<Item = (String, String)>,
        body: Option<&Value>,
        subject: &Subject,
        secret: Option<&str>,
    ) -> Result<Self, String> {
        let get = |name: &str| if name == "secret" { secret.map(str::to_owned) } else { subject.get(name) };
        let clean = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
        let headers = headers.into_iter().map(|(name, value)| Ok((name, fill_template(&value, get, clean)?)));
        Ok(Self {
            url: fill_template(url, get, percent)?,
            method,
            headers: headers.collect::<Result<_, String>>()?,
            body: body.map(|body| fill_template(&body.to_string(), get, json_text)).transpose()?,
        })
    }
}

/// Asks an API and reads the mapped values of its answer. No such subject (404, or 204) is an answer without values.
///
/// # Errors
/// Why there is no answer, in words for the tenant, and whether the call reached the API, so that it may have cost something.
pub async fn ask(
    client: &Client,
    api: Api,
    mapping: &Mapping,
    confidence: u8,
    timeout: Duration,
) -> Result<Findings, (String, bool)> {
    let mut request = match api.method {
        Method::Get => Request::get(api.url),
        Method::Post => Request::post(api.url, api.body.unwrap_or_default()).header("content-type", "application/json"),
    };
    request = request.header("user-agent", USER_AGENT).header("accept", "application/json");
    for (name, value) in api.headers {
        request = request.header(name, value);
    }
    let request = request.timeout(timeout).limit(BodyLimit::Whole(ANSWER_MAX));
    let response = client.send(request).await.outcome.map_err(|e| {
        use outbound::Error::{Connect, Dns, Refused, Tls};
        let unsent = matches!(e, Refused(_) | Dns | Connect(_) | Tls(_));
        (e.to_string(), !unsent)
    })?;
    match response.status {
        204 | 404 => return Ok(Findings::default()),
        200..=299 => {}
        // Refusals are not charged for.
        401 | 403 => return Err((format!("the API refuses the secret (status {})", response.status), false)),
        429 => return Err(("the API asks to slow down (status 429)".to_owned(), false)),
        status => return Err((format!("the API answered with status {status}"), status < 500)),
    }
    let answer: Value = serde_json::from_slice(&response.body).map_err(|_| ("the API's answer is not JSON".to_owned(), true))?;
    Ok(mapping.read(&answer, confidence))
}
