//! Outreach messages from templates: who it is about, what is offered, one question.

use axle_domain::campaign::Channel;
use axle_domain::prompt::{DraftTask, MAX_BODY, MAX_SUBJECT};
use serde_json::{Value, json};

use super::{cut, plain};

/// Longest text message.
const MAX_SMS: usize = 300;
/// Longest fact that is worth a sentence, in characters.
const MAX_FACT: usize = 180;

/// The phrases of a language. `{}` is filled in.
struct Phrases {
    greeting: &'static str,
    /// Where no first name is known.
    greeting_without: &'static str,
    /// What leads over from a fact.
    noticed: &'static str,
    as_title_at: &'static str,
    at_company: &'static str,
    in_industry: &'static str,
    plain_opening: &'static str,
    offer: &'static str,
    /// Where nothing is said about the offer.
    plain_offer: &'static str,
    question: &'static str,
    follow_up: &'static str,
    closing: &'static str,
    subject_company: &'static str,
    subject_name: &'static str,
    subject: &'static str,
    subject_follow_up: &'static str,
}

const ENGLISH: Phrases = Phrases {
    greeting: "Hi {},",
    greeting_without: "Hello,",
    noticed: "I read this about {}: {}",
    as_title_at: "As {} at {} you will know where time is lost.",
    at_company: "I have been looking at what {} does.",
    in_industry: "I work with companies in {}.",
    plain_opening: "I will keep this short.",
    offer: "What we offer: {}",
    plain_offer: "I think we could take some work off your team's hands.",
    question: "Would a 15-minute call next week be worth it to find out whether this fits?",
    follow_up: "I wrote to you recently and know how full an inbox gets, so here it is once more in short.",
    closing: "Best regards",
    subject_company: "An idea for {}",
    subject_name: "A question for you, {}",
    subject: "A short question",
    subject_follow_up: "Following up",
};

const GERMAN: Phrases = Phrases {
    greeting: "Guten Tag {},",
    greeting_without: "Guten Tag,",
    noticed: "über {} habe ich Folgendes gelesen: {}",
    as_title_at: "als {} bei {} wissen Sie, wo Zeit verloren geht.",
    at_company: "ich habe mir angesehen, was {} macht.",
    in_industry: "ich arbeite mit Unternehmen aus dem Bereich {}.",
    plain_opening: "ich fasse mich kurz.",
    offer: "Unser Angebot: {}",
    plain_offer: "Ich glaube, dass wir Ihrem Team Arbeit abnehmen können.",
    question: "Wären 15 Minuten in der nächsten Woche gut angelegt, um zu sehen, ob das passt?",
    follow_up: "vor Kurzem hatte ich Ihnen geschrieben; hier noch einmal das Wichtigste.",
    closing: "Freundliche Grüße",
    subject_company: "Eine Idee für {}",
    subject_name: "Eine Frage an Sie, {}",
    subject: "Eine kurze Frage",
    subject_follow_up: "Nachtrag",
};

const DUTCH: Phrases = Phrases {
    greeting: "Dag {},",
    greeting_without: "Goedendag,",
    noticed: "Over {} las ik het volgende: {}",
    as_title_at: "Als {} bij {} weet u waar tijd verloren gaat.",
    at_company: "Ik heb bekeken wat {} doet.",
    in_industry: "Ik werk met bedrijven in {}.",
    plain_opening: "Ik houd het kort.",
    offer: "Wat wij bieden: {}",
    plain_offer: "Ik denk dat wij uw team werk uit handen kunnen nemen.",
    question: "Is een gesprek van 15 minuten volgende week de moeite waard om te zien of het past?",
    follow_up: "Onlangs schreef ik u al; hier nog eens kort waar het om gaat.",
    closing: "Met vriendelijke groet",
    subject_company: "Een idee voor {}",
    subject_name: "Een vraag voor u, {}",
    subject: "Een korte vraag",
    subject_follow_up: "Nog even dit",
};

const FRENCH: Phrases = Phrases {
    greeting: "Bonjour {},",
    greeting_without: "Bonjour,",
    noticed: "J'ai lu ceci à propos de {} : {}",
    as_title_at: "En tant que {} chez {}, vous savez où l'on perd du temps.",
    at_company: "J'ai regardé ce que fait {}.",
    in_industry: "Je travaille avec des entreprises du secteur {}.",
    plain_opening: "Je serai bref.",
    offer: "Ce que nous proposons : {}",
    plain_offer: "Je pense que nous pourrions alléger le travail de votre équipe.",
    question: "Un échange de 15 minutes la semaine prochaine vaudrait-il la peine pour voir si cela convient ?",
    follow_up: "Je vous ai écrit récemment ; voici l'essentiel en bref.",
    closing: "Cordialement",
    subject_company: "Une idée pour {}",
    subject_name: "Une question pour vous, {}",
    subject: "Une brève question",
    subject_follow_up: "Suite à mon message",
};

const SPANISH: Phrases = Phrases {
    greeting: "Hola, {}:",
    greeting_without: "Hola:",
    noticed: "He leído esto sobre {}: {}",
    as_title_at: "Como {} en {}, sabe dónde se pierde el tiempo.",
    at_company: "He estado viendo lo que hace {}.",
    in_industry: "Trabajo con empresas del sector {}.",
    plain_opening: "Seré breve.",
    offer: "Lo que ofrecemos: {}",
    plain_offer: "Creo que podríamos quitarle trabajo a su equipo.",
    question: "¿Valdría la pena hablar 15 minutos la próxima semana para ver si encaja?",
    follow_up: "Le escribí hace poco; aquí va lo esencial.",
    closing: "Un saludo",
    subject_company: "Una idea para {}",
    subject_name: "Una pregunta para usted, {}",
    subject: "Una pregunta breve",
    subject_follow_up: "Sobre mi mensaje anterior",
};

/// The primary language of a tag; English for those that are not spoken here.
fn phrases(tag: Option<&str>) -> &'static Phrases {
    let primary = tag.unwrap_or_default().split(['-', '_']).next().unwrap_or_default().to_lowercase();
    match primary.as_str() {
        "de" => &GERMAN,
        "nl" => &DUTCH,
        "fr" => &FRENCH,
        "es" => &SPANISH,
        _ => &ENGLISH,
    }
}

/// Fills the gaps of a phrase in one pass, so that what is filled in is never filled in itself.
fn fill(phrase: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let mut parts = phrase.split("{}");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(values.next().copied().unwrap_or_default());
        out.push_str(part);
    }
    out
}

pub(super) fn answer(task: &DraftTask) -> Value {
    let phrases = phrases(task.language.as_deref());
    let known = |value: &Option<String>| value.as_deref().map(plain).filter(|text| !text.is_empty()).map(|text| cut(&text, 80));
    let person = &task.person;
    let (first_name, company) = (known(&person.first_name), known(&person.company));

    let greeting = match &first_name {
        Some(name) => fill(phrases.greeting, &[name]),
        None => phrases.greeting_without.to_owned(),
    };
    let opening = if task.previous.is_some() { phrases.follow_up.to_owned() } else { opening(task, phrases, company.as_deref()) };
    // The tenant's own words: nothing is taken out of them.
    let offer = match task.value_proposition.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => sentence(&fill(phrases.offer, &[text])),
        None => phrases.plain_offer.to_owned(),
    };
    let name = task.sender.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let from = task.sender.company.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let signature: Vec<&str> = [name, from].into_iter().flatten().collect();

    if task.channel == Channel::Sms {
        let text = [greeting, offer, signature.join(", ")].into_iter().filter(|part| !part.is_empty());
        return json!({"body": cut(&text.collect::<Vec<_>>().join(" "), MAX_SMS)});
    }
    let mut body = [greeting, opening, offer, phrases.question.to_owned()].join("\n\n");
    if !signature.is_empty() {
        body.push_str(&format!("\n\n{}\n{}", phrases.closing, signature.join("\n")));
    }
    let body: String = body.chars().take(MAX_BODY).collect();
    if task.channel != Channel::Email {
        return json!({"body": body});
    }
    let subject = match (task.previous.is_some(), &company, &first_name) {
        (true, _, _) => phrases.subject_follow_up.to_owned(),
        (false, Some(company), _) => fill(phrases.subject_company, &[company]),
        (false, None, Some(name)) => fill(phrases.subject_name, &[name]),
        (false, None, None) => phrases.subject.to_owned(),
    };
    json!({"subject": cut(&subject, MAX_SUBJECT), "body": body})
}

/// One sentence about them that rests on what is known, the most particular first.
fn opening(task: &DraftTask, phrases: &Phrases, company: Option<&str>) -> String {
    let short = |text: &str| Some(plain(text)).filter(|text| !text.is_empty() && text.chars().count() <= MAX_FACT);
    let fact = task.facts.iter().find_map(|fact| short(&fact.text));
    let title = task.person.title.as_deref().and_then(short);
    let industry = task.person.industry.as_deref().and_then(short);
    let opening = match (company, fact, title, industry) {
        (Some(company), Some(fact), _, _) => fill(phrases.noticed, &[company, &fact]),
        (Some(company), None, Some(title), _) => fill(phrases.as_title_at, &[&title, company]),
        (Some(company), None, None, _) => fill(phrases.at_company, &[company]),
        (None, _, _, Some(industry)) => fill(phrases.in_industry, &[&industry]),
        _ => phrases.plain_opening.to_owned(),
    };
    sentence(&opening)
}

/// With an end.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}
