//! Texts and conditions of playbooks, with bounded work. Values of people are text to them, never a part of a template.

use minijinja::{UndefinedBehavior, Value as Template};
use serde_json::Value;

use crate::template::{TemplateFault, Templates};

/// Bytes that one text may come to.
const MAX_RENDERED: usize = 100_000;

/// What a condition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Met,
    NotMet,
}

fn template_value(value: &Value) -> Template {
    match value {
        Value::Null => Template::from(()),
        Value::Bool(flag) => Template::from(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Template::from(whole),
            None => Template::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Template::from(text.as_str()),
        Value::Array(items) => Template::from(items.iter().map(template_value).collect::<Vec<_>>()),
        Value::Object(fields) => Template::from_pairs(fields.iter().map(|(name, value)| (name.clone(), template_value(value)))),
    }
}

/// Where every variable has to be known.
fn strict() -> Templates {
    Templates::new(UndefinedBehavior::Strict, false)
}

/// Where what is not known is not true.
fn lenient() -> Templates {
    Templates::new(UndefinedBehavior::Chainable, false)
}

/// Whether a text is a template. One without a brace is itself.
pub fn check_text(text: &str) -> Result<(), TemplateFault> {
    if !text.contains('{') {
        return Ok(());
    }
    strict().check(text).map(drop)
}

/// Whether a text is an expression.
pub fn check_condition(text: &str) -> Result<(), TemplateFault> {
    lenient().check_expression(text)
}

impl Condition {
    /// Judges an expression. What is not known is not true, so a condition about it is not met.
    ///
    /// # Errors
    /// It cannot be judged, such as a number that is compared with a text.
    pub fn judge(text: &str, context: &Value) -> Result<Self, TemplateFault> {
        let value = lenient().evaluate(text, &template_value(context))?;
        Ok(if value.is_true() { Self::Met } else { Self::NotMet })
    }
}

/// Every text in `value` with its places filled. `raw` names fields of the top that are left as they are.
///
/// # Errors
/// A variable that is not known, or too much work.
pub fn render_value(value: &Value, context: &Value, raw: &[&str]) -> Result<Value, TemplateFault> {
    let templates = strict();
    let context = template_value(context);
    match value {
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| {
                let value = if raw.contains(&name.as_str()) { value.clone() } else { render(&templates, value, &context)? };
                Ok((name.clone(), value))
            });
            each.collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
        other => render(&templates, other, &context),
    }
}

fn render(templates: &Templates, value: &Value, context: &Template) -> Result<Value, TemplateFault> {
    Ok(match value {
        Value::String(text) if text.contains('{') => Value::String(templates.render(text, context, MAX_RENDERED)?),
        Value::Array(items) => items.iter().map(|item| render(templates, item, context)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| Ok((name.clone(), render(templates, value, context)?)));
            Value::Object(each.collect::<Result<_, TemplateFault>>()?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions() {
        let context = json!({"lead": {"score": 72, "tier": "hot", "tags": ["a"]}, "steps": {"q": {"good": true}}});
        for (text, met) in [
            ("lead.score >= 60", true),
            ("lead.score >= 60 and lead.tier in ['hot', 'warm']", true),
            ("lead.tier != 'hot'", false),
            ("steps.q.good", true),
            ("steps.none.good", false),
            ("not steps.none.good", true),
            ("'a' in lead.tags", true),
        ] {
            assert_eq!(Condition::judge(text, &context).unwrap() == Condition::Met, met, "{text}");
        }
        assert!(check_condition("lead.score >=").is_err() && check_condition("lead.score > 1").is_ok());
    }

    #[test]
    fn texts_are_filled_and_values_stay_text() {
        let context = json!({"contact": {"name": "{{ agent.secret }}"}, "agent": {"secret": "s"}});
        let params = json!({"title": "Call {{ contact.name }}", "n": 1, "list": ["{{ contact.name }}"], "schema": "{{ x }}"});
        let filled = render_value(&params, &context, &["schema"]).unwrap();
        assert_eq!(
            filled,
            json!({"title": "Call {{ agent.secret }}", "n": 1, "list": ["{{ agent.secret }}"], "schema": "{{ x }}"})
        );
        assert!(render_value(&json!("{{ contact.nme }}"), &context, &[]).is_err());
        assert!(render_value(&json!("{% for i in range(100000) %}x{% endfor %}"), &context, &[]).is_err());
        assert!(check_text("{{ a").is_err() && check_text("{ plain }").is_ok() && check_text("{{ a.b | default('x') }}").is_ok());
    }
}
