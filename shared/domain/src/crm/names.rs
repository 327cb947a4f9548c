//! Enums that are written as one word, in JSON, in queries and in index entries.

/// Declares such an enum; its text form is [`crate::text::text_enum`]'s.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        // Not renamed one by one: the schema's derive does not see a name that comes from a macro.
        #[serde(rename_all = "snake_case")]
        pub enum $type { $($(#[$vdoc])* $variant),* }

        crate::text::text_enum!($type, $($variant = $text),*);
    };
}
pub(crate) use words;
