//! What a message of the sequence says to one lead.

use minijinja::{UndefinedBehavior, Value};
use serde_json::json;

use super::{CampaignInput, SequenceStep, Variant};
use crate::lead::LeadProfile;
use crate::template::Templates;

/// Bytes of a part, as of a message that is queued by hand.
const PART_MAX: usize = 200_000;
/// Characters of a subject.
const SUBJECT_MAX: usize = 500;

/// Who sends, as templates know them.
#[derive(Clone, Debug, Default)]
pub struct SenderWords {
    pub name: Option<String>,
    pub email: Option<String>,
}

/// A message as one lead gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Words {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// Why a message could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {message}")]
pub struct UnwrittenFault {
    pub part: &'static str,
    pub message: String,
}

/// Writes a step's message. What a variant does not say the step says.
///
/// # Errors
/// A template that speaks of something that is not known of this lead, without a default.
pub fn write(
    spec: &CampaignInput,
    step: &SequenceStep,
    variant: Option<&Variant>,
    lead: &LeadProfile,
    sender: &SenderWords,
    unsubscribe_url: &str,
) -> Result<Words, UnwrittenFault> {
    let context = context(spec, lead, sender, unsubscribe_url);
    let own =
        |of_variant: Option<&Option<String>>, of_step: &Option<String>| of_variant.cloned().flatten().or_else(|| of_step.clone());
    let subject = own(variant.map(|v| &v.subject), &step.subject);
    let text = own(variant.map(|v| &v.body), &step.body);
    // The step's HTML is of the step's own text: a variant with another text has its own, or none.
    let of_text = variant.is_some_and(|variant| variant.body.is_some());
    let html = variant.and_then(|v| v.html.clone()).or_else(|| if of_text { None } else { step.html.clone() });
    let render = |part: &'static str, template: Option<String>, html: bool| {
        template.map(|template| render(&template, &context, html)).transpose().map_err(|message| UnwrittenFault { part, message })
    };
    let subject = render("subject", subject, false)?.map(|subject| one_line(&subject));
    Ok(Words {
        subject: subject.filter(|subject| !subject.is_empty()),
        text: render("body", text, false)?,
        html: render("html", html, true)?,
    })
}

/// A subject's text on one line: what a lead's fields bring must not add headers.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SUBJECT_MAX).collect()
}

fn render(template: &str, context: &Value, html: bool) -> Result<String, String> {
    Templates::new(UndefinedBehavior::SemiStrict, html).render(template, context, PART_MAX).map_err(|fault| fault.to_string())
}

fn context(spec: &CampaignInput, lead: &LeadProfile, sender: &SenderWords, unsubscribe_url: &str) -> Value {
    let company = &lead.company;
    let full_name = [lead.first_name.as_deref(), lead.last_name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let known = json!({
        "lead": {
            "email": lead.email, "first_name": lead.first_name, "last_name": lead.last_name,
            "full_name": Some(full_name).filter(|name| !name.is_empty()), "title": lead.title, "seniority": lead.seniority,
            "phone": lead.phone, "linkedin_url": lead.linkedin_url, "country": lead.country, "timezone": lead.timezone,
            "company": {"name": company.name, "domain": company.domain, "website": company.website,
                        "industry": company.industry, "size": company.size, "location": company.location},
            "custom": lead.custom,
        },
        "sender": {"name": sender.name, "email": sender.email},
        "campaign": {"name": spec.name, "value_proposition": spec.messaging.value_proposition},
        "unsubscribe_url": unsubscribe_url,
    });
    value(known)
}

/// JSON as templates know it. What is not known is undefined, so that its default stands in.
fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::UNDEFINED,
        serde_json::Value::Bool(flag) => Value::from(flag),
        serde_json::Value::Number(n) => n.as_i64().map_or_else(|| Value::from(n.as_f64().unwrap_or_default()), Value::from),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(entries) => entries.into_iter().map(value).collect(),
        serde_json::Value::Object(fields) => {
            Value::from_pairs(fields.into_iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name, value(v))))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::Faults;
    use crate::lead::LeadInput;

    fn lead(value: Value) -> LeadProfile {
        serde_json::from_value::<LeadInput>(value).unwrap().parse(&mut Faults::new())
    }

    fn written(step: Value, lead: &LeadProfile) -> Result<Words, UnwrittenFault> {
        let spec: CampaignInput = serde_json::from_value(
            json!({"name": "North", "channels": ["email"], "messaging": {"value_proposition": "Half", "sequence": [step]}}),
        )
        .unwrap();
        let step = &spec.messaging.sequence[0];
        let sender = SenderWords { name: Some("Eve".to_owned()), email: None };
        write(&spec, step, step.variants.first(), lead, &sender, "https://axle.example/u")
    }

    #[test]
    fn what_is_known_and_what_stands_in_for_the_rest() {
        let ada = lead(
            json!({"email": "ada@example.com", "first_name": "Ada", "company": {"name": "A & B"}, "custom": {"plan": "pro"}}),
        );
        let step = json!({"step": 1, "channel": "email", "subject": "Hi {{ lead.first_name }}",
            "body": "{{ lead.company.name }} {{ lead.title | default('there') }} {{ lead.custom.plan }} {% if lead.phone %}x{% endif %}{{ sender.name }} {{ unsubscribe_url }}",
            "html": "<p>{{ lead.company.name }}</p>"});
        let words = written(step, &ada).unwrap();
        assert_eq!(words.subject.as_deref(), Some("Hi Ada"));
        assert_eq!(words.text.as_deref(), Some("A & B there pro Eve https://axle.example/u"));
        assert_eq!(words.html.as_deref(), Some("<p>A &amp; B</p>"));
    }

    #[test]
    fn what_is_not_known_and_has_no_default_is_a_fault() {
        let nobody = lead(json!({"email": "x@example.com"}));
        let fault = written(json!({"step": 1, "channel": "email", "subject": "s", "body": "a\n{{ lead.first_name }}"}), &nobody);
        assert!(fault.as_ref().is_err_and(|f| f.to_string().starts_with("body: line 2")), "{fault:?}");
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(written(json!({"step": 1, "channel": "email", "subject": "s", "body": endless}), &nobody).is_err());
    }

    #[test]
    fn a_subject_is_one_line_whatever_a_lead_is_called() {
        let evil = lead(json!({"email": "x@example.com", "custom": {"name": "a\r\nBcc: b@example.com"}}));
        let words =
            written(json!({"step": 1, "channel": "email", "subject": "{{ lead.custom.name }}", "body": "b"}), &evil).unwrap();
        assert_eq!(words.subject.as_deref(), Some("a Bcc: b@example.com"));
    }

    #[test]
    fn a_variants_words_come_before_the_steps() {
        let step = json!({"step": 1, "channel": "email", "subject": "s", "body": "of the step", "html": "<p>of the step</p>",
            "variants": [{"name": "A", "weight": 1, "body": "of A"}]});
        let words = written(step, &lead(json!({"email": "x@example.com"}))).unwrap();
        assert_eq!((words.subject.as_deref(), words.text.as_deref(), words.html), (Some("s"), Some("of A"), None));
    }
}
