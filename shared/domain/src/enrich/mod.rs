//! What can be learned of a lead's company from outside, always with the place that says so.
//!
//! Providers hand over [`Findings`]; [`merge`] makes one [`Enrichment`] of them, field by field. Everything here is pure: pages come in
//! as bytes that somebody else has fetched.

mod charset;
mod fact;
mod findings;
mod html;
mod jobs;
mod merged;
mod news;
mod page;
mod provider;
mod robots;
mod technology;

pub use charset::decode_page;
pub use fact::{Fact, Field};
pub use findings::{Findings, Funding, Migration, Posting, Technology};
pub use html::{Link, Markup, read_markup};
pub use jobs::{Board, board_of};
pub use merged::{EnrichedCompany, EnrichedPerson, Enrichment, Found, IntentSignals, Source, Unavailable, fill, merge, signals};
pub use news::funding_in;
pub use page::{PageKind, company_facts, pages_worth_a_look, postings_of, same_site};
pub use provider::{Mapping, Method, ProviderInput, ProviderName, Subject, fill_template};
pub use robots::{ROBOTS_MAX, Robots};
pub use technology::{migrations, technologies_of};

/// The name of the provider that reads the company's own site.
pub const WEBSITE: &str = "website";

/// Whether a domain is reserved for documentation and tests (RFC 2606, RFC 6761) and so nobody's.
pub fn is_reserved(domain: &str) -> bool {
    let host = domain.split(':').next().unwrap_or_default();
    let second = host.rsplitn(3, '.').take(2).collect::<Vec<_>>();
    matches!(second.first(), Some(&("example" | "test" | "invalid" | "localhost")))
        || matches!(second[..], ["com" | "net" | "org", "example"])
}

/// Domains at which people have mailboxes of their own: the address says nothing of where they work.
pub fn is_mail_provider(domain: &str) -> bool {
    const NAMES: &[&str] = &[
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "aol.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "t-online.de",
        "mail.com",
        "mail.ru",
        "yandex.ru",
        "yandex.com",
        "proton.me",
        "protonmail.com",
        "pm.me",
        "zoho.com",
        "fastmail.com",
        "qq.com",
        "163.com",
        "126.com",
        "orange.fr",
        "free.fr",
        "wanadoo.fr",
        "laposte.net",
        "libero.it",
        "comcast.net",
        "verizon.net",
        "hotmail.co.uk",
        "yahoo.co.uk",
        "yahoo.fr",
        "yahoo.de",
        "btinternet.com",
        "hey.com",
        "tutanota.com",
        "rediffmail.com",
    ];
    NAMES.contains(&domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_domains() {
        for domain in ["example.com", "www.example.org", "acme.example", "a.test", "x.invalid", "localhost:80"] {
            assert!(is_reserved(domain), "{domain}");
        }
        for domain in ["acme.com", "example.de", "test.com", "notexample.com", "example.com.br"] {
            assert!(!is_reserved(domain), "{domain}");
        }
        assert!(is_mail_provider("gmail.com") && !is_mail_provider("acme.com"));
    }
}
