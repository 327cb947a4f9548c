//! What a recipient's browser shows. The pages work without scripts, pictures or anything else from elsewhere.

use super::html::escape;

/// The smallest transparent GIF.
pub const OPEN_PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
/// Media type of [`OPEN_PIXEL`].
pub const OPEN_PIXEL_TYPE: &str = "image/gif";

/// Content-Security-Policy under which the pages work and nothing else does.
pub const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page behind an unsubscribe link. It changes nothing by being looked at, since scanners look at everything; its button
/// posts to the same address what a mail program's one-click button posts.
pub fn unsubscribe_page() -> String {
    let form = "<form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
                <button type=\"submit\">Unsubscribe</button></form>";
    page("Unsubscribe", "You will get no more of these messages at this address.", form)
}

/// The page after unsubscribing.
pub fn unsubscribed_page() -> String {
    page("You are unsubscribed", "You will get no more of these messages at this address.", "")
}

/// The page for a link that was not issued here or has been damaged.
pub fn broken_link_page() -> String {
    page("This link does not work", "It may have been cut off. Please use the link in the message as it is.", "")
}

/// Any other short page, such as after confirming an address. The texts are escaped.
pub fn message_page(title: &str, text: &str) -> String {
    page(title, text, "")
}

fn page(title: &str, text: &str, form: &str) -> String {
    let (title, text) = (escape(title), escape(text));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><meta name=\"referrer\" content=\"no-referrer\"><title>{title}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}}\
         button{{font:inherit;padding:.5em 1.5em;border:0;border-radius:.3em;background:#222;color:#fff;cursor:pointer}}\
         </style></head><body><h1>{title}</h1><p>{text}</p>{form}</body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::html::{Token, tokens};
    use super::*;

    #[test]
    fn the_button_posts_what_one_click_posts() {
        let page = unsubscribe_page();
        assert!(page.contains(r#"<form method="post">"#) && page.contains(r#"name="List-Unsubscribe" value="One-Click""#));
        let asks = |token| matches!(token, Token::Open(tag) if tag.attribute("src").is_some() || tag.is("a") || tag.is("script"));
        assert!(!tokens(&page).any(asks), "nothing is fetched");
    }

    #[test]
    fn texts_are_escaped() {
        assert!(message_page("<b>", "a & b").contains("<h1>&lt;b&gt;</h1><p>a &amp; b</p>"));
    }

    #[test]
    fn the_pixel_is_one_transparent_point() {
        assert_eq!((&OPEN_PIXEL[..6], &OPEN_PIXEL[6..10], OPEN_PIXEL.len()), (&b"GIF89a"[..], &[1, 0, 1, 0][..], 43));
    }
}
