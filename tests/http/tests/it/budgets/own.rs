//! Real things of the tenant's own for the paths and bodies of the budgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::agents::AgentMessage;
use axle_app::communications::send::{Limits, Outbox};
use axle_domain::WebhookId;
use axle_domain::event::{EventType, sample::sample};
use axle_domain::webhook::{SigningSecret, sign};
use axle_providers::mail::{Blame, SendError};
use axle_store::deliveries::DeliveryRecord;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::jobs_of;
use crate::coverage::{body_for, named, own_id, some_lead};
use crate::support::{Api, id};

/// One of each, the same wherever it is named.
const KEPT: [&str; 8] = ["companyId", "contactId", "leadId", "listId", "fieldId", "membershipId", "connectionId", "prospectId"];
/// Another one each time.
const FRESH: [&str; 3] = ["newCompany", "newContact", "newLead"];

pub struct Own<'a> {
    api: &'a Api,
    kept: BTreeMap<&'static str, String>,
    made: usize,
    /// What the next request is signed with.
    secret: Option<String>,
}

impl<'a> Own<'a> {
    pub fn new(api: &'a Api) -> Self {
        Self { api, kept: BTreeMap::new(), made: 0, secret: None }
    }

    /// The path of an operation with things of the tenant's own in it.
    pub async fn path(&mut self, operation: &str, path: &str) -> String {
        let path =
            if path.contains("{runId}") || path.contains("{jobId}") { self.in_run(path).await } else { self.fill(path).await };
        let path = path.replace("{provider}", "calcom");
        let (mark, own) = match operation {
            _ if path.starts_with("/slos/") => ("{name}", self.promised().await),
            _ if path.contains("{name}") => ("{name}", self.provider().await),
            _ if path.contains("{address}") => ("{address}", self.suppressed().await),
            "postInboundMail" | "reportMeeting" => ("{entity_id}", self.connected(operation).await),
            _ if path.contains("{ticket}") => ("{ticket}", self.ticket(path.split('/').rev().nth(1).unwrap()).await),
            "listTraces" | "getCosts" => {
                for _ in 0..20 {
                    self.sent(mail()).await;
                }
                return path;
            }
            _ if !path.contains("{id}") => return path,
            "replayDelivery" => ("{id}", self.deliveries(1).await.1),
            "listDeliveries" => ("{id}", self.deliveries(20).await.0.to_string()),
            "retryCommunication" => ("{id}", self.failed().await),
            "getCommunication" | "cancelCommunication" => ("{id}", id(&self.api.post("/communications", mail()).await)),
            _ => ("{id}", own_id(self.api, &path).await),
        };
        path.replace(mark, &own)
    }

    /// The path with a job, its run, and somebody in it about whom an action asks.
    async fn in_run(&self, path: &str) -> String {
        let api = self.api;
        let lead = id(&api.post("/leads", json!({"email": "own@example.com", "first_name": "Ada"})).await);
        let steps = json!([{"id": "tell", "action": "notify", "requires_approval": true, "params": {"message": "now"}}]);
        let agent = api.post("/v1/agents", json!({"name": "Own", "playbook": {"steps": steps}})).await.json();
        api.world.table.new_records();
        let agent = agent["agent"]["id"].as_str().unwrap().to_owned();
        let job = api.post(&format!("/v1/agents/{agent}/trigger"), json!({"contact_ids": [lead]})).await.json();
        let job = job["job_id"].as_str().unwrap().to_owned();
        work_off(api).await;
        let found = api.get(&format!("/v1/agents/jobs/{job}")).await.json();
        let run = found["job"]["run_ids"][0].as_str().unwrap();
        path.replace("{runId}", run).replace("{jobId}", &job).replace("{contactId}", &lead).replace("{actionIndex}", "0")
    }

    /// The text with real things for the names of things.
    pub async fn fill(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for kind in KEPT {
            let mark = format!("{{{kind}}}");
            if text.contains(&mark) {
                text = text.replace(&mark, &self.kept(kind).await);
            }
        }
        while text.contains("{newProspect}") {
            text = text.replacen("{newProspect}", &some_lead(self.api).await, 1);
        }
        for kind in FRESH {
            let mark = format!("{{{kind}}}");
            while text.contains(&mark) {
                text = text.replacen(&mark, &self.make(kind).await, 1);
            }
        }
        text
    }

    /// An enrichment API.
    async fn provider(&self) -> String {
        let path = "/leads/enrichment-providers/own";
        let made = self.api.send("PUT", path, body_for("PUT", path)).await;
        assert_eq!(made.status, 200, "{}", made.text);
        "own".to_owned()
    }

    async fn kept(&mut self, kind: &'static str) -> String {
        if !self.kept.contains_key(kind) {
            let made = Box::pin(self.make(kind)).await;
            self.kept.insert(kind, made);
        }
        self.kept[kind].clone()
    }

    async fn make(&mut self, kind: &str) -> String {
        self.made += 1;
        let n = self.made;
        let (path, body) = match kind {
            "companyId" | "newCompany" => {
                ("/companies", json!({"name": format!("Own {n}"), "domain": format!("own{n}.example")}))
            }
            "contactId" | "newContact" => {
                let company = self.kept("companyId").await;
                let email = format!("own{n}@example.com");
                ("/contacts", json!({"firstName": "Ada", "lastName": "Own", "email": email, "companyId": company}))
            }
            "leadId" | "newLead" => {
                let (company, contact) = (self.kept("companyId").await, self.kept("contactId").await);
                let value = json!({"title": "Fifty seats", "companyId": company, "contactId": contact, "valueMinor": 100_000});
                ("/leads", value)
            }
            "connectionId" => ("/outbound-email-connections", json!({"channel": "ses", "from": "a@example.com"})),
            "listId" => ("/marketing-lists", json!({"name": "Fair"})),
            "fieldId" => ("/custom-fields", json!({"object": "lead", "name": "tier", "type": "text"})),
            "membershipId" => {
                let contact = self.kept("contactId").await;
                let path = named(&format!("/api/crm/contacts/{contact}/company-memberships"), self.api.me.entity_id);
                let places = self.api.get(&path).await.json();
                return places["memberships"][0]["id"].as_str().unwrap().to_owned();
            }
            "prospectId" => return id(&self.api.post("/leads", json!({"email": "ada@example.com", "first_name": "Ada"})).await),
            other => panic!("tell the test how to make a {other}"),
        };
        id(&self.api.post(&named(&format!("/api/crm{path}"), self.api.me.entity_id), body).await)
    }

    /// Lets another system report to the tenant, of a message to a lead; answers the tenant's id.
    async fn connected(&mut self, operation: &str) -> String {
        let lead = self.kept("prospectId").await;
        self.sent(json!({"channel": "email", "lead_id": lead, "subject": "Hello", "text": "How are you?"})).await;
        let secret = if operation == "reportMeeting" {
            let set = self.api.send("PUT", "/meetings/hooks/calcom", Some(json!({"secret": "a-long-random-text"}))).await;
            assert_eq!(set.status, 200, "{}", set.text);
            "a-long-random-text".to_owned()
        } else {
            let made = self.api.post("/communications/inbound/secret", json!({})).await.json();
            made["secret"].as_str().unwrap().to_owned()
        };
        self.secret = Some(secret);
        self.api.me.entity_id.to_string()
    }

    /// The headers of a signed report.
    pub fn signature(&self, body: Option<&Value>) -> Vec<(&'static str, String)> {
        let (Some(secret), Some(body)) = (&self.secret, body) else { return Vec::new() };
        let (body, at) = (body.to_string(), self.api.world.clock.now().secs());
        let Ok(signing) = SigningSecret::parse(secret) else {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(body.as_bytes());
            let hex = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            return vec![("x-cal-signature-256", hex)];
        };
        let signature = sign(&[signing], "m1", at, body.as_bytes());
        vec![("webhook-id", "m1".to_owned()), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)]
    }

    /// A service level; answers its name.
    async fn promised(&self) -> String {
        let made = self.api.send("PUT", "/slos/delivery", body_for("PUT", "/slos/{name}")).await;
        assert_eq!(made.status, 201, "{}", made.text);
        "delivery".to_owned()
    }

    async fn suppressed(&self) -> String {
        let made = self.api.post("/communications/suppressions", json!({"address": "grace@example.com"})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        "grace@example.com".to_owned()
    }

    /// Queues a message and makes an attempt to send it; answers its id.
    async fn sent(&self, message: Value) -> String {
        self.api.world.table.new_records();
        let id = id(&self.api.post("/communications", message).await);
        for job in self.api.world.table.new_records().iter().flat_map(jobs_of) {
            let outbox = Outbox::new(Arc::clone(&self.api.world.app), Limits::default());
            outbox.send(&serde_json::from_value(job).unwrap()).await.unwrap();
        }
        id
    }

    async fn failed(&self) -> String {
        self.api.world.sent.fail_next(SendError::permanent(Blame::Message, "no"));
        self.sent(mail()).await
    }

    /// The ticket of a link: from a message with every kind of them, or from what an address is asked to confirm.
    async fn ticket(&self, kind: &str) -> String {
        if kind == "confirm" {
            let identity =
                id(&self.api.post("/communications/identities", json!({"kind": "ses", "from": "ada@example.com"})).await);
            self.api.post(&format!("/communications/identities/{identity}/verify"), json!({})).await;
        } else {
            let mut message = mail();
            message["category"] = json!("marketing");
            message["html"] = json!("<a href=\"https://one.example/?x=1\">1</a>");
            message["track"] = json!({"opens": true, "clicks": true});
            self.sent(message).await;
        }
        // Nobody reads a message in the second in which it is sent.
        self.api.world.clock.advance_secs(60);
        let email = self.api.world.sent.emails().pop().unwrap();
        let text = format!("{}{}", email.html.unwrap_or_default(), email.text.unwrap_or_default());
        let rest = text.split(&format!("/{kind}/")).nth(1).unwrap_or_else(|| panic!("no {kind} in {text}"));
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    }

    /// Deliveries of an endpoint, as the dispatcher makes them; answers the endpoint's id and the last one's.
    async fn deliveries(&self, count: usize) -> (WebhookId, String) {
        let api = self.api;
        let webhook: WebhookId = id(&api.post("/webhooks", json!({"url": "http://127.0.0.1:9/hook"})).await).parse().unwrap();
        let (table, now) = (api.world.app.table().await, api.world.app.now());
        let mut last = String::new();
        for _ in 0..count {
            let event = sample(EventType::LeadCreated, api.me.entity_id, now);
            let mut tx = table.tx();
            tx.emit(&event, 90);
            tx.commit().await.unwrap();
            let delivery = DeliveryRecord::new(&event, webhook, now);
            table.put_new(&delivery).await.unwrap();
            last = delivery.id.to_string();
        }
        (webhook, last)
    }
}

/// Does what the runner is asked for, until it is asked for nothing.
pub async fn work_off(api: &Api) {
    loop {
        let messages: Vec<AgentMessage> =
            api.world.table.new_records().iter().flat_map(jobs_of).filter_map(|job| serde_json::from_value(job).ok()).collect();
        if messages.is_empty() {
            return;
        }
        for message in messages {
            let deadline = Instant::now() + Duration::from_secs(60);
            axle_app::agents::work::work(&api.world.app, &message, deadline).await.unwrap();
        }
    }
}

fn mail() -> Value {
    json!({"channel": "email", "to": "ada@example.com", "subject": "Hello", "text": "How are you?"})
}
