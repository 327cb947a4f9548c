//! Message templates: minijinja, strict. A template is checked when it is saved, so that no send fails on a spelling.

use minijinja::UndefinedBehavior;

use crate::template::{TemplateFault, Templates};

/// What a template can speak of. `custom` fields are the tenant's own, so any name goes there.
const VARIABLES: &[&str] = &[
    "lead.email",
    "lead.first_name",
    "lead.last_name",
    "lead.full_name",
    "lead.title",
    "lead.seniority",
    "lead.phone",
    "lead.linkedin_url",
    "lead.country",
    "lead.timezone",
    "lead.company.name",
    "lead.company.domain",
    "lead.company.website",
    "lead.company.industry",
    "lead.company.size",
    "lead.company.location",
    "sender.name",
    "sender.email",
    "campaign.name",
    "campaign.value_proposition",
    "unsubscribe_url",
];
const OPEN: &[&str] = &["lead.custom"];

/// Checks a template's syntax, filters and variables.
///
/// # Errors
/// The first fault, with its line.
pub fn check_template(source: &str) -> Result<(), TemplateFault> {
    let names = Templates::new(UndefinedBehavior::Strict, false).check(source)?;
    let Some(unknown) = names.iter().find(|name| !is_known(name)) else { return Ok(()) };
    let message = format!("unknown variable `{unknown}`; known are {}, lead.custom.<name>", VARIABLES.join(", "));
    Err(TemplateFault { line: line_of(source, unknown), message })
}

fn is_known(name: &str) -> bool {
    let dotted = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // A bare prefix of a known name (`lead` in `{% set l = lead %}`) is known too.
    let prefix_of_known = VARIABLES.iter().any(|v| v.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
    VARIABLES.contains(&name) || prefix_of_known || OPEN.iter().any(|prefix| dotted(prefix))
}

fn line_of(source: &str, name: &str) -> usize {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    source.lines().position(|line| line.contains(name) || line.contains(leaf)).map_or(1, |i| i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_templates() {
        for good in [
            "plain",
            "Hi {{ lead.first_name | default(\"there\") }}",
            "{{ lead.custom.plan }} {{ lead.company.name|upper }}",
            "{% if lead.title %}{{ lead.title }}{% else %}x{% endif %}",
            "{% for w in ['a','b'] %}{{ w }}{% endfor %}",
            "{{ unsubscribe_url }}",
        ] {
            assert_eq!(check_template(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn faults_name_their_line() {
        for (bad, line) in [
            ("a\n{{ lead.frist_name }}", 2),
            ("{{ first_name }}", 1),
            ("a\nb\n{{ open", 3),
            ("x\n{{ lead.email | shout }}", 2),
            ("{% if %}", 1),
            ("{{ system.secret }}", 1),
            ("a\n{% include 'other' %}", 2),
            ("a\n{% if lead.title %}\n{{ range(3) }}{% endif %}", 3),
            ("{{ lead.email\n * 3 }}", 1),
            ("{{ lead.company.revenue }}", 1),
        ] {
            assert_eq!(check_template(bad).map_err(|f| f.line), Err(line), "{bad}");
        }
    }
}
