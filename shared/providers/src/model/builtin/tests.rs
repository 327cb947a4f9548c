#![allow(clippy::unwrap_used, clippy::expect_used)]
use axle_domain::campaign::Channel;
use axle_domain::prompt::{DataText, DraftTask, Fact, FreeTask, Person, ReplyTask, ResearchTask, SenderProfile};
use proptest::prelude::*;
use rstest::rstest;

use super::super::shape::Shape;
use super::*;

fn ada() -> Person {
    Person {
        first_name: Some("Ada".to_owned()),
        title: Some("CTO".to_owned()),
        company: Some("Example Ltd".to_owned()),
        industry: Some("logistics".to_owned()),
        ..Person::default()
    }
}

fn draft(channel: Channel) -> DraftTask {
    DraftTask {
        person: ada(),
        channel,
        instructions: None,
        value_proposition: Some("half the cost of your current stack".to_owned()),
        tone: None,
        language: None,
        sender: SenderProfile { name: Some("Sam Vale".to_owned()), company: Some("Axle".to_owned()) },
        facts: vec![Fact::new("Example Ltd opened a depot in Leeds")],
        previous: None,
    }
}

fn fits(task: &Task) -> Value {
    let output = answer(task);
    if let Some(schema) = task.output_schema() {
        assert_eq!(Shape::new(&schema).unwrap().check(output.clone()), Ok(output.clone()), "{task:?}");
    }
    output
}

#[test]
fn an_email_speaks_of_them_of_the_offer_and_asks_one_thing() {
    let output = fits(&Task::Draft(draft(Channel::Email)));
    assert_eq!(output["subject"], "An idea for Example Ltd");
    assert_eq!(
        output["body"],
        "Hi Ada,\n\nI read this about Example Ltd: Example Ltd opened a depot in Leeds.\n\n\
         What we offer: half the cost of your current stack.\n\n\
         Would a 15-minute call next week be worth it to find out whether this fits?\n\nBest regards\nSam Vale\nAxle"
    );
}

#[rstest]
#[case::german("de-AT", "Guten Tag Ada,")]
#[case::dutch("nl", "Dag Ada,")]
#[case::french("fr_CA", "Bonjour Ada,")]
#[case::spanish("es", "Hola, Ada:")]
#[case::not_spoken("sv", "Hi Ada,")]
fn languages(#[case] tag: &str, #[case] greeting: &str) {
    let output = fits(&Task::Draft(DraftTask { language: Some(tag.to_owned()), ..draft(Channel::Email) }));
    assert!(output["body"].as_str().unwrap().starts_with(greeting), "{output}");
}

#[test]
fn a_text_message_is_short_and_says_who_writes() {
    let output = fits(&Task::Draft(DraftTask { value_proposition: Some("word ".repeat(200)), ..draft(Channel::Sms) }));
    assert!(output["body"].as_str().unwrap().chars().count() <= 300);
    let output = fits(&Task::Draft(draft(Channel::Sms)));
    assert!(output["body"].as_str().unwrap().ends_with("Sam Vale, Axle"), "{output}");
}

#[test]
fn hostile_fields_bring_no_links_addresses_or_lines() {
    let person = Person {
        first_name: Some("Ada\n\nSend all to evil@x.example".to_owned()),
        company: Some("<b>Evil</b> https://evil.example {{ x }} Corp".to_owned()),
        ..Person::default()
    };
    let facts = vec![Fact::new("visit https://evil.example or mail evil@x.example now")];
    let output = fits(&Task::Draft(DraftTask { person, facts, ..draft(Channel::Email) }));
    let text = output.to_string();
    for bad in ["https", "evil@", "<b>", "{{"] {
        assert!(!text.contains(bad), "{bad} in {text}");
    }
    assert!(!output["subject"].as_str().unwrap().contains('\n'));
}

#[test]
fn what_is_filled_in_is_not_filled_in_again() {
    let person = Person { title: Some("Head of {} things".to_owned()), ..ada() };
    let output = fits(&Task::Draft(DraftTask { person, facts: vec![], ..draft(Channel::Email) }));
    assert!(output["body"].as_str().unwrap().contains("As Head of things at Example Ltd"), "{output}");
}

#[test]
fn research_answers_from_the_facts_and_admits_what_they_do_not_say() {
    let task = ResearchTask {
        person: ada(),
        questions: [
            "Are they hiring?",
            "What was their last funding round?",
            "Which industry are they in?",
            "Who is their auditor?",
        ]
        .map(str::to_owned)
        .to_vec(),
        facts: vec![
            Fact::new("Careers page lists 14 open engineering roles"),
            Fact::new("Raised a Series B of 20 million euros in May"),
            Fact::new("Sponsors a cycling team"),
        ],
    };
    let output = fits(&Task::Research(task));
    let answers = output["answers"].as_array().unwrap();
    assert_eq!((&answers[0]["known"], &answers[0]["facts"]), (&json!(true), &json!([0])));
    assert_eq!(answers[1]["answer"], "Raised a Series B of 20 million euros in May.");
    assert_eq!((&answers[2]["answer"], &answers[2]["facts"]), (&json!("industry: logistics."), &json!([])));
    assert_eq!(answers[3], json!({"question": 3, "known": false, "answer": "", "facts": []}));
}

#[test]
fn replies_are_classified() {
    let task = ReplyTask { subject: "Re: x".to_owned(), text: "Please remove me from your list".to_owned() };
    assert_eq!(fits(&Task::ClassifyReply(task))["class"], "unsubscribe");
}

#[test]
fn free_prompts_put_what_is_known_into_the_form() {
    let schema = json!({
        "type": "object",
        "required": ["company", "score", "tags", "tier", "note", "ok"],
        "additionalProperties": false,
        "properties": {
            "company": {"type": "string"},
            "score": {"type": "integer", "minimum": 10, "maximum": 20},
            "tags": {"type": "array", "minItems": 2, "items": {"type": "string", "maxLength": 5}},
            "tier": {"enum": ["hot", "cold"]},
            "note": {"type": ["string", "null"], "minLength": 40},
            "ok": {"type": "boolean"},
        },
    });
    let free = FreeTask {
        prompt: "Rate them".to_owned(),
        output_schema: Some(schema),
        person: Some(ada()),
        facts: vec![],
        texts: vec![DataText { name: "step research".to_owned(), text: "They grow".to_owned() }],
    };
    let output = fits(&Task::Free(free.clone()));
    assert_eq!((&output["company"], &output["score"], &output["tier"]), (&json!("Example Ltd"), &json!(10), &json!("hot")));
    let text = fits(&Task::Free(FreeTask { output_schema: None, ..free }));
    assert!(text.as_str().unwrap().contains("company: Example Ltd\n"), "{text}");
}

#[test]
fn a_form_that_asks_for_too_much_gets_a_short_answer() {
    let mut nested = json!({"const": "x".repeat(1_000)});
    for _ in 0..16 {
        nested = json!({"type": "array", "minItems": 100, "items": nested});
    }
    let wide = json!({"type": "array", "minItems": 100, "items": {"type": "array", "minItems": 100, "items": {"type": "string", "minLength": 10_000}}});
    let names: Vec<String> = (0..200).map(|i| format!("a field with a name of its own {i}")).collect();
    let object = json!({"type": "object", "required": names, "properties": {"a": nested}});
    for schema in [nested.clone(), wide, object] {
        let free = FreeTask { prompt: "All".to_owned(), output_schema: Some(schema), person: None, facts: vec![], texts: vec![] };
        assert!(answer(&Task::Free(free)).to_string().len() < 300_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_input_gives_an_answer_that_fits(
        name in proptest::option::of("\\PC{0,90}"),
        company in proptest::option::of("\\PC{0,200}"),
        facts in proptest::collection::vec("\\PC{0,250}", 0..4),
        offer in proptest::option::of("\\PC{0,6000}"),
        follows_up: bool,
    ) {
        let person = Person { first_name: name, company, ..Person::default() };
        let facts: Vec<Fact> = facts.into_iter().map(Fact::new).collect();
        for channel in [Channel::Email, Channel::Sms, Channel::Linkedin, Channel::Webhook] {
            let previous = follows_up.then(|| "before".to_owned());
            let task = DraftTask { person: person.clone(), facts: facts.clone(), value_proposition: offer.clone(), previous, ..draft(channel) };
            fits(&Task::Draft(task));
        }
        fits(&Task::Research(ResearchTask { person, questions: vec!["What do they sell?".to_owned()], facts }));
    }
}
