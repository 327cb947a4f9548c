//! Fences around text that nobody vouches for.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a fence's name: nobody guesses 96 bits.
const NAME_BYTES: usize = 12;

/// Delimiters that a text cannot forge.
///
/// Their name is derived from a secret key and the fenced texts, so whoever writes a text does not know it, and the same
/// prompt made again is the same to the byte. In the text itself whatever could pass for such a delimiter is defused all the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Fence {
    name: String,
}

impl Fence {
    /// A fence for these texts. `key` is a secret of the deployment, at least 16 random bytes.
    pub fn new<'a>(key: &[u8], texts: impl IntoIterator<Item = &'a str>) -> Self {
        // HMAC takes keys of any length; the error exists for other MACs.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else { unreachable!("HMAC takes any key") };
        mac.update(b"axle prompt fence");
        for text in texts {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        let mut name = String::with_capacity(2 * NAME_BYTES);
        for byte in mac.finalize().into_bytes().iter().take(NAME_BYTES) {
            let _ = write!(name, "{byte:02x}");
        }
        Self { name }
    }

    /// The word that both delimiters carry; the system text names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text between delimiters. `label` says what it is, and is ours: a constant of the program.
    pub fn wrap(&self, label: &'static str, text: &str) -> String {
        let name = &self.name;
        format!("<data-{name} kind=\"{label}\">\n{}\n</data-{name}>", defused(text, name))
    }
}

/// Does not show the name: with it, a text could close the fence.
impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fence(..)")
    }
}

/// The text without what is invisible, and with everything defused that looks like a delimiter of data.
fn defused(text: &str, name: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let visible = visible.replace(name, "[removed]");
    let mut out = String::with_capacity(visible.len());
    let mut rest = visible.as_str();
    while let Some(at) = rest.find(['<', '\u{ff1c}', '\u{2039}', '\u{fe64}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let bracket = from.chars().next().map_or(0, char::len_utf8);
        let after = from[bracket..].trim_start_matches(|c: char| c.is_whitespace() || c == '/' || c == '\u{2215}');
        let is_delimiter = after.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("data"));
        out.push_str(if is_delimiter { "&lt;" } else { &from[..bracket] });
        rest = &from[bracket..];
    }
    out.push_str(rest);
    out
}

/// What a person does not see but a model reads: controls, marks of direction, blanks without width, tags.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
