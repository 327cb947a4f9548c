//! Message templates: minijinja, strict. A template is checked when it is saved, so that no send fails on a spelling.

use minijinja::{Environment, ErrorKind, UndefinedBehavior};

/// What is wrong with a template and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TemplateFault {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

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
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let template = env.template_from_str(source).map_err(|e| TemplateFault {
        line: e.line().unwrap_or(1),
        message: e.detail().map_or_else(|| e.kind().to_string(), str::to_owned),
    })?;
    let mut unknown: Vec<String> = template.undeclared_variables(true).into_iter().filter(|name| !is_known(name)).collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        let message = format!("unknown variable `{name}`; known are {}, lead.custom.<name>", VARIABLES.join(", "));
        return Err(TemplateFault { line: line_of(source, name), message });
    }
    check_names(&env, source)
}

/// Unknown filters and tests show only when they are evaluated, so the template is rendered once with every value there.
fn check_names(env: &Environment<'_>, source: &str) -> Result<(), TemplateFault> {
    let context = sample_context(&VARIABLES.iter().map(|v| v.split('.').collect()).collect::<Vec<_>>());
    // Values that are not there at sample time (custom fields) are undefined here; only names that can never be right count.
    let Err(e) = env.render_str(source, context) else { return Ok(()) };
    match e.kind() {
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownMethod
        // There are no other templates to include, import or extend.
        | ErrorKind::TemplateNotFound => {
            Err(TemplateFault {
                line: e.line().unwrap_or(1),
                message: e.detail().map_or_else(|| e.kind().to_string(), str::to_owned),
            })
        }
        _ => Ok(()),
    }
}

/// Every known variable with some text, as nested objects.
fn sample_context(paths: &[Vec<&str>]) -> minijinja::Value {
    let mut branches: std::collections::BTreeMap<&str, Vec<Vec<&str>>> = std::collections::BTreeMap::new();
    for path in paths {
        if let Some((head, rest)) = path.split_first() {
            branches.entry(head).or_default().push(rest.to_vec());
        }
    }
    if branches.is_empty() {
        return minijinja::Value::from("text");
    }
    let leaf = |rest: &[Vec<&str>]| rest.iter().all(Vec::is_empty);
    minijinja::Value::from_pairs(
        branches
            .into_iter()
            .map(|(name, rest)| (name, if leaf(&rest) { minijinja::Value::from("text") } else { sample_context(&rest) })),
    )
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
            ("{{ lead.company.revenue }}", 1),
        ] {
            assert_eq!(check_template(bad).map_err(|f| f.line), Err(line), "{bad}");
        }
    }
}
