#![allow(clippy::unwrap_used)]
use std::time::{Duration, Instant};

use super::*;

fn rendered(source: &str) -> Result<String, TemplateFault> {
    let people = Value::from(vec![Value::from("Ada"), Value::from("Bob")]);
    let context = Value::from_pairs([("name", Value::from("ada l")), ("n", Value::from(3)), ("people", people)]);
    Templates::new(UndefinedBehavior::Strict, false).render(source, &context, 1_000)
}

#[test]
fn what_messages_need() {
    for (source, text) in [
        ("{{ name|title }} {{ name|upper|trim }} {{ name|capitalize }}", "Ada L ADA L Ada l"),
        ("{{ none_such|default('there') }}{{ name|replace('a', 'o')|length }}", "there5"),
        ("{{ people|join(', ') }} {{ people|first }} {{ people[:1]|length }}", "Ada, Bob Ada 1"),
        ("{% for p in people if p != 'Bob' %}{{ loop.index }}{{ p }}{% else %}-{% endfor %}", "1Ada"),
        ("{% for w in [name, 'x'] %}{{ w }};{% endfor %}{% set m = name|upper %}{{ m }}", "ada l;x;ADA L"),
        ("{% with a = n %}{% if a > 2 and a is odd %}{{ a + 1 }} {{ a|int * 2 }}{% elif a %}x{% endif %}{% endwith %}", "4 6"),
        ("{{ '<b>'|e }}", "&lt;b&gt;"),
    ] {
        assert_eq!(rendered(source).as_deref(), Ok(text), "{source}");
    }
}

/// None of them may take memory or time: each would take gigabytes.
#[test]
fn bombs() {
    let begun = Instant::now();
    let doubled = |first: &str, each: &str| format!("{first}{}{{{{ x }}}}", each.repeat(60));
    let bombs = [
        "{{ 'a'|indent(3000000000) }}".to_owned(),
        "{{ 'a' * 90000000 }}".to_owned(),
        "{{ [1] * 90000000 }}".to_owned(),
        "{{ (name * 90000000)|length }}".to_owned(),
        "{{ '%3000000000d'|format(1) }}".to_owned(),
        "{{ 'a'|center(3000000000) }}".to_owned(),
        "{{ range(99999)|join('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') }}".to_owned(),
        "{{ [1,2,3]|batch(3000000000, 'x') }}".to_owned(),
        "{{ lipsum() }}{{ dict(a=1) }}".to_owned(),
        doubled("{% set x = 'aaaaaaaa' %}", "{% set x = x ~ x %}"),
        doubled("{% set x = 'aaaaaaaa' %}", "{% set x = x + x %}"),
        doubled("{% set x = [1] %}", "{% set x = x + x %}"),
        doubled("{% set x = [1] %}", "{% set x = [x, x] %}"),
        doubled("{% set x = [1] %}", "{% set x = {'a': x, 'b': x} %}"),
        doubled("{% set x = 'aaaaaaaa' %}", "{% set x = x|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') %}"),
        doubled("{% set x = 'aaaaaaaa' %}", "{% set x = x|join(x) %}"),
        doubled("{% set x = '\\\\\\\\' %}", "{% set x = [x]|upper %}"),
        doubled("{% set x = 'aaaaaaaa' %}", "{% set x %}{{ x }}{{ x }}{% endset %}"),
        doubled("{% set x = '&&&&&&&&' %}", "{% set x = x|replace('&', '&&')|e %}"),
        doubled("{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{% set x = 'a' %}", "{% set x = m(x) %}"),
        doubled("{% set ns = namespace(x='a') %}{% set x = 1 %}", "{% set ns.x = ns.x ~ ns.x %}"),
        format!("{}{{{{ x }}}}", "{% for x in [[x, x]] %}".repeat(60) + &"{% endfor %}".repeat(60)),
        format!("{{% for x in people %}}{}{{% endfor %}}", "{% for y in people %}".repeat(30) + "x" + &"{% endfor %}".repeat(30)),
        "{% for x in people recursive %}{{ loop(people) }}{% endfor %}".to_owned(),
        "{% filter upper %}{% for x in people %}x{% endfor %}{% endfilter %}".to_owned(),
        format!("{{{{ {} }}}}", vec!["1"; 100_000].join("-")),
        format!("{{{{ name{} }}}}", "|upper".repeat(100_000)),
        format!("{{{{ name{} }}}}", ".a".repeat(100_000)),
        format!("{{% if n %}}{}{{% endif %}}", "{% elif n %}".repeat(100_000)),
        format!("{{{{ [{}] }}}}", vec!["name[:]"; 100_000].join(",")),
        "x".repeat(1_001),
    ];
    for bomb in bombs {
        assert!(rendered(&bomb).is_err(), "{}", &bomb[..bomb.len().min(100)]);
        let _ = Templates::new(UndefinedBehavior::Chainable, false).check_expression(&bomb);
    }
    for bomb in ["'a' * 90000000 == 'b'", "(people ~ people) == 'x'", "'a'|indent(3000000000)", "[1] * 90000000"] {
        let templates = Templates::new(UndefinedBehavior::Chainable, false);
        assert!(templates.check_expression(bomb).is_err() && templates.evaluate(bomb, &Value::UNDEFINED).is_err(), "{bomb}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn all_texts_of_one_piece_of_work_have_one_room() {
    let templates = Templates::new(UndefinedBehavior::Strict, false);
    let context = Value::from_pairs([("long", Value::from("x".repeat(300_000)))]);
    let each: Vec<bool> = (0..9).map(|_| templates.render("{{ long }}", &context, 400_000).is_ok()).collect();
    assert_eq!(each, [true, true, true, true, true, true, false, false, false]);
}
