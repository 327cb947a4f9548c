//! The name of a tenant's space in the marketplace.

/// `name` as lower-case ASCII letters, digits and single hyphens, at most 48 characters; `space` when nothing is left.
pub fn slugify(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(48);
    let out = out.trim_end_matches('-');
    if out.is_empty() { "space".to_owned() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slugs() {
        for (name, slug) in [("Acme, Inc.", "acme-inc"), ("  ", "space"), ("ABC  Traders", "abc-traders"), ("日本", "space")] {
            assert_eq!(super::slugify(name), slug);
        }
    }
}
