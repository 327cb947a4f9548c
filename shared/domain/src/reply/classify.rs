//! Classification by rules: the same text always means the same, nothing leaves the function, nothing is charged.

use super::cues::{Found, Words, find};
use super::{Classification, ReplyClass};

/// As much of a reply as is read, in words: what matters comes first.
const MAX_WORDS: usize = 400;
const MAX_SUBJECT_WORDS: usize = 30;
/// Most pieces of evidence, and characters of one.
const MAX_EVIDENCE: usize = 5;
const MAX_QUOTE: usize = 120;
/// What a text without any cue is taken for, and how surely: somebody ought to read it.
const NO_CUE: f64 = 0.2;

/// What a reply means. `text` is what was written, without the message that it answers
/// ([`InboundMail::latest_text`](crate::mail::InboundMail::latest_text)).
///
/// Each class is as likely as the sum of its cues is heavy. Where two weigh the same, the one wins whose neglect does more harm: a
/// wish for no more mail before anything else.
pub fn classify(subject: &str, text: &str) -> Classification {
    let text = without_signature(text);
    let (subject, words) = (Words::of(subject, MAX_SUBJECT_WORDS), Words::of(text, MAX_WORDS));
    let mut found = find(&subject, &words);
    found.sort_by_key(|cue| cue.from);
    let mut scores = scores(&found);
    // A question that declines nothing asks for an answer.
    let declines = scores.iter().any(|(class, score)| *class != ReplyClass::Interested && *score > 0.0);
    if text.contains('?') && !declines {
        add(&mut scores, ReplyClass::Interested, 1.0);
    }
    let Some((class, best)) = scores.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a }).filter(|(_, s)| *s > 0.0)
    else {
        let class = if words.len() == 0 { ReplyClass::NotAPerson } else { ReplyClass::Interested };
        return Classification { class, confidence: NO_CUE, evidence: vec![] };
    };
    let rest: f64 = scores.iter().filter(|(other, _)| *other != class).map(|(_, score)| score).sum();
    // Many cues for one class and none for others: sure. One weak cue: hardly better than a guess.
    let confidence = best / (best + rest + 1.0);
    let quotes = found.iter().filter(|cue| cue.class == class && cue.to > cue.from).map(|cue| words.quote(cue.from, cue.to));
    let mut evidence: Vec<String> = Vec::new();
    for quote in quotes {
        let quote: String = quote.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_QUOTE).collect();
        if evidence.len() < MAX_EVIDENCE && !evidence.contains(&quote) {
            evidence.push(quote);
        }
    }
    Classification { class, confidence: (confidence * 100.0).round() / 100.0, evidence }
}

/// In the order in which ties are decided.
const ORDER: [ReplyClass; 7] = [
    ReplyClass::Unsubscribe,
    ReplyClass::NotAPerson,
    ReplyClass::OutOfOffice,
    ReplyClass::Referral,
    ReplyClass::NotNow,
    ReplyClass::Objection,
    ReplyClass::Interested,
];

type Scores = [(ReplyClass, f64); 7];

fn scores(found: &[Found]) -> Scores {
    let mut scores = ORDER.map(|class| (class, 0.0));
    for cue in found {
        add(&mut scores, cue.class, cue.weight);
    }
    scores
}

fn add(scores: &mut Scores, class: ReplyClass, weight: f64) {
    if let Some((_, score)) = scores.iter_mut().find(|(other, _)| *other == class) {
        *score += weight;
    }
}

/// The text up to its signature, the advertisement of the device, or the lawyers' paragraph.
fn without_signature(text: &str) -> &str {
    const ENDS: &[&str] = &[
        "sent from",
        "get outlook for",
        "von meinem",
        "gesendet von",
        "envoyé de",
        "envoyé depuis",
        "enviado desde",
        "verzonden vanaf",
        "verstuurd vanaf",
        "this e-mail and any",
        "this email and any",
        "this message and any",
        "diese e-mail enthält vertrauliche",
    ];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim().to_lowercase();
        let ends = trimmed == "--" || ENDS.iter().any(|end| trimmed.starts_with(end));
        if ends && !text[..at].trim().is_empty() {
            return &text[..at];
        }
        at += line.len();
    }
    text
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
