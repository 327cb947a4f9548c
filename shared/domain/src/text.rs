//! Text helpers that several contexts share.

/// `DraftMessage` for `draft_message`, `LeadScored` for `lead.scored`: the name of a schema or an operation for a word of ours.
pub fn pascal_case(word: &str) -> String {
    let parts = word.split(['.', '_']).flat_map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
    });
    parts.collect()
}

/// Folds text for caseless search: Unicode lower case with white space runs made one space.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        // Lower-casing the upper case folds pairs that lower case alone keeps apart (sharp s, final sigma, dotless forms).
        out.extend(word.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
    }
    out
}

/// Implements `ToSchema` for a type whose JSON form is a string.
macro_rules! string_schema {
    ($type:ty, $name:expr, $format:literal, $example:literal) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::Custom($format.into())))
                    .examples([serde_json::Value::from($example)])
                    .into()
            }
        }
        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}
pub(crate) use string_schema;

/// The schema of an entry of a list of short texts: 1 to `MAX` characters.
#[derive(Debug)]
pub struct Entry<const MAX: usize>;

impl<const MAX: usize> utoipa::PartialSchema for Entry<MAX> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
        text.min_length(Some(1)).max_length(Some(MAX)).into()
    }
}

impl<const MAX: usize> utoipa::ToSchema for Entry<MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("TextOf{MAX}").into()
    }
}

/// The schema of one of a list of names.
pub(crate) fn one_of<T: Into<serde_json::Value>>(
    names: impl IntoIterator<Item = T>,
    description: &str,
) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
    text.description(Some(description)).enum_values(Some(names)).into()
}

/// Implements the text form of an enum that has one word for each variant.
macro_rules! text_enum {
    ($type:ty, $($variant:ident = $text:literal),*) => {
        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $type {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("must be one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}
pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folds_case_beyond_ascii() {
        assert_eq!(fold("  ÅRE   Straße "), fold("åre STRASSE"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("Ünïted"), "ünïted");
    }
}
