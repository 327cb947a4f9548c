//! The words by which replies are told apart, and how they are found in a text.

use std::sync::LazyLock;

use super::ReplyClass;

/// A text's words in the form in which they are compared, and where each stands in it.
pub(super) struct Words<'a> {
    text: &'a str,
    words: Vec<(String, usize, usize)>,
}

impl<'a> Words<'a> {
    /// The first `max` words.
    pub(super) fn of(text: &'a str, max: usize) -> Self {
        let mut words: Vec<(String, usize, usize)> = Vec::new();
        let mut open = false;
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            match c {
                c if c.is_alphanumeric() => {
                    if !open {
                        if words.len() == max {
                            break;
                        }
                        words.push((String::new(), at, end));
                        open = true;
                    }
                    if let Some((word, _, last)) = words.last_mut() {
                        c.to_lowercase().for_each(|c| fold_accent(c, word));
                        *last = end;
                    }
                }
                // "don't" is one word, in any typography.
                '\'' | '\u{2019}' | '\u{2018}' | '`' | '\u{301}' => {}
                _ => open = false,
            }
        }
        Self { text, words }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The text between two words as it was written.
    pub(super) fn quote(&self, from: usize, to: usize) -> &'a str {
        let start = self.words.get(from).map_or(0, |(_, start, _)| *start);
        let end = to.checked_sub(1).and_then(|last| self.words.get(last)).map_or(start, |(_, _, end)| *end);
        self.text.get(start..end).unwrap_or_default()
    }

    fn get(&self, n: usize) -> Option<&str> {
        self.words.get(n).map(|(word, _, _)| word.as_str())
    }
}

/// Latin letters without their marks; people leave these out.
fn fold_accent(c: char, out: &mut String) {
    out.push(match c {
        'à'..='å' | 'ā' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        'ß' => return out.push_str("ss"),
        'æ' => return out.push_str("ae"),
        'œ' => return out.push_str("oe"),
        '\u{300}'..='\u{36f}' => return,
        other => other,
    });
}

/// One word of a cue.
#[derive(Debug)]
enum Part {
    Word(String),
    Prefix(String),
    Any,
    UpToThree,
}

/// Where a cue has to stand.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Text,
    WholeText,
    Subject,
}

/// Words that speak for a class.
#[derive(Debug)]
pub(super) struct Cue {
    pub(super) class: ReplyClass,
    pub(super) weight: f64,
    place: Place,
    parts: Vec<Part>,
}

/// A cue that was found: which words it covers.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) class: ReplyClass,
    pub(super) weight: f64,
    pub(super) from: usize,
    pub(super) to: usize,
}

static CUES: LazyLock<Vec<Cue>> = LazyLock::new(|| parse(include_str!("../../data/reply-cues.txt")));

/// Every line that can be read; a test reads them all.
fn parse(source: &str) -> Vec<Cue> {
    let mut class = None;
    let mut cues = Vec::new();
    for line in source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            class = name.parse().ok();
        } else if let (Some(class), Some((weight, words))) = (class, line.split_once(' '))
            && let Ok(weight) = weight.parse()
        {
            cues.push(cue(class, weight, words));
        }
    }
    cues
}

fn cue(class: ReplyClass, weight: f64, words: &str) -> Cue {
    let (place, words) = match words.split_at_checked(1) {
        Some(("=", rest)) => (Place::WholeText, rest),
        Some(("@", rest)) => (Place::Subject, rest),
        _ => (Place::Text, words),
    };
    let part = |word: &str| match word {
        "?" => Part::Any,
        "~" => Part::UpToThree,
        _ => match word.strip_suffix('*') {
            Some(prefix) => Part::Prefix(folded(prefix)),
            None => Part::Word(folded(word)),
        },
    };
    Cue { class, weight, place, parts: words.split_whitespace().map(part).collect() }
}

fn folded(word: &str) -> String {
    Words::of(word, 1).words.into_iter().map(|(word, _, _)| word).collect()
}

/// What a reply's subject and text hold, without what stands inside a longer cue. Cues in the subject cover no words.
pub(super) fn find(subject: &Words<'_>, text: &Words<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for cue in CUES.iter() {
        let hit = |from: usize, to: usize| Found { class: cue.class, weight: cue.weight, from, to };
        match cue.place {
            // At the front, behind what answering puts there.
            Place::Subject => {
                let start = (0..subject.len()).find(|n| !subject.get(*n).is_some_and(is_reply_mark)).unwrap_or_default();
                if (start..subject.len().min(start + 2)).any(|at| reach(&cue.parts, subject, at).is_some()) {
                    found.push(hit(0, 0));
                }
            }
            Place::WholeText => {
                if reach(&cue.parts, text, 0).is_some_and(|end| end == text.len()) {
                    found.push(hit(0, text.len()));
                }
            }
            Place::Text => {
                // Said twice is not meant more.
                if let Some((from, to)) = (0..text.len()).find_map(|at| Some((at, reach(&cue.parts, text, at)?))) {
                    found.push(hit(from, to));
                }
            }
        }
    }
    let all = found.clone();
    let inside = |a: &Found, b: &Found| b.from <= a.from && a.to <= b.to && (b.to - b.from > a.to - a.from) && a.to > a.from;
    found.retain(|one| !all.iter().any(|other| inside(one, other)));
    found
}

fn is_reply_mark(word: &str) -> bool {
    ["re", "aw", "antw", "fw", "fwd", "wg", "tr", "rv", "sv"].contains(&word)
}

/// Where the parts end if they begin at `at`.
fn reach(parts: &[Part], words: &Words<'_>, at: usize) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else { return Some(at) };
    match part {
        Part::UpToThree => (0..=3).find_map(|skip| reach(rest, words, at + skip)),
        Part::Any => words.get(at).and_then(|_| reach(rest, words, at + 1)),
        Part::Prefix(prefix) => words.get(at).filter(|word| word.starts_with(prefix)).and_then(|_| reach(rest, words, at + 1)),
        Part::Word(word) => words.get(at).filter(|said| is_same(word, said)).and_then(|_| reach(rest, words, at + 1)),
    }
}

/// The same word, give or take one typing error in a long one: a letter too many, missing, wrong, or two swapped.
fn is_same(word: &str, said: &str) -> bool {
    if word == said {
        return true;
    }
    let (a, b) = (word.as_bytes(), said.as_bytes());
    if a.len() < 7 || a.len().abs_diff(b.len()) > 1 || a[0] != b[0] {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match a.len().cmp(&b.len()) {
        std::cmp::Ordering::Less => a == &b[1..],
        std::cmp::Ordering::Greater => &a[1..] == b,
        std::cmp::Ordering::Equal => a[1..] == b[1..] || (a.len() > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use rstest::rstest;

    use super::*;

    #[test]
    fn every_line_of_the_file_is_read_once() {
        let source = include_str!("../../data/reply-cues.txt");
        let lines: Vec<&str> = source.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', '['])).collect();
        assert_eq!(CUES.len(), lines.len());
        for class in ReplyClass::ALL {
            assert!(CUES.iter().filter(|cue| cue.class == *class).count() >= 20, "{class}");
        }
        let mut seen = HashSet::new();
        for cue in CUES.iter() {
            assert!(seen.insert(format!("{:?} {:?}", cue.place, cue.parts)), "twice: {cue:?}");
            assert!((1.0..=8.0).contains(&cue.weight));
            assert!(matches!(cue.parts.first(), Some(Part::Word(_) | Part::Prefix(_) | Part::Any)), "{cue:?}");
            let says_something = cue.parts.iter().any(|part| matches!(part, Part::Word(w) | Part::Prefix(w) if w.len() > 1));
            assert!(says_something, "{cue:?}");
        }
    }

    #[rstest]
    #[case("interested", "intersted", true)]
    #[case("interested", "interestde", true)]
    #[case("interested", "interesteed", true)]
    #[case("interested", "interesled", true)]
    #[case("interested", "intresed", false)]
    #[case("interested", "uninterested", false)]
    #[case("remove", "remote", false)]
    #[case("delivered", "zelivered", false)]
    fn typing_errors(#[case] word: &str, #[case] said: &str, #[case] same: bool) {
        assert_eq!(is_same(word, said), same);
    }

    #[test]
    fn words_keep_their_place() {
        let words = Words::of("Don’t  wait — déjà vu, Straße!", 10);
        let plain: Vec<&str> = (0..words.len()).map(|n| words.get(n).unwrap()).collect();
        assert_eq!(plain, ["dont", "wait", "deja", "vu", "strasse"]);
        assert_eq!(words.quote(0, 3), "Don’t  wait — déjà");
        assert_eq!(words.quote(4, 5), "Straße");
        assert_eq!(Words::of("a b c", 2).len(), 2);
    }
}
