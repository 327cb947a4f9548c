//! Tags and addresses: small collections of texts.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{AdditionalProperties, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

use crate::Faults;

/// Tags that a record can have.
pub const MAX_TAGS: usize = 50;
/// Characters of a tag, and of the name of an address's part.
pub const MAX_NAME: usize = 100;
/// Parts that an address can have.
const MAX_PARTS: usize = 20;

/// Trimmed, without blanks and repetitions, in the order given.
pub(super) fn parse_tags(tags: Vec<String>, faults: &mut Faults) -> Vec<String> {
    faults.count("/tags", tags.len(), MAX_TAGS);
    let mut kept: Vec<String> = Vec::new();
    for (i, tag) in tags.into_iter().enumerate() {
        let Some(tag) = faults.short(&format!("/tags/{i}"), Some(tag), MAX_NAME) else { continue };
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    kept
}

/// The schema of an address.
pub struct Address;

impl utoipa::PartialSchema for Address {
    fn schema() -> RefOr<Schema> {
        let text = |most: usize| ObjectBuilder::new().schema_type(Type::String).max_length(Some(most));
        ObjectBuilder::new()
            .description(Some("Texts by name, such as `street`, `city`, `region`, `postalCode`, `country`."))
            .property_names(Some(text(MAX_NAME).min_length(Some(1)).build()))
            .additional_properties(Some(AdditionalProperties::RefOr(text(super::TEXT_MAX).into())))
            .max_properties(Some(MAX_PARTS))
            .into()
    }
}

impl utoipa::ToSchema for Address {}

/// The parts of an address, without blank ones.
pub(super) fn parse_address(address: BTreeMap<String, String>, faults: &mut Faults) -> BTreeMap<String, String> {
    faults.count("/address", address.len(), MAX_PARTS);
    let mut kept = BTreeMap::new();
    for (name, value) in address {
        let pointer = format!("/address/{}", name.replace('~', "~0").replace('/', "~1"));
        faults.text(&pointer, &name, 1, MAX_NAME);
        if let Some(value) = faults.short(&pointer, Some(value), super::TEXT_MAX) {
            kept.insert(name, value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_trimmed_and_kept_once() {
        let mut faults = Faults::new();
        let tags = [" a ", "b", "a", ""].map(str::to_owned).to_vec();
        assert_eq!(parse_tags(tags, &mut faults), ["a", "b"]);
        assert!(faults.is_empty());
        parse_tags(vec!["x".repeat(101)], &mut faults);
        assert_eq!(faults.into_vec()[0].pointer, "/tags/0");
    }
}
