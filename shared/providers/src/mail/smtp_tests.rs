//! Against a small server that plays a script.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use axle_domain::mail::{Credentials as Access, Mailbox, Secret};
use axle_domain::webhook::NetworkPolicy;
use rstest::rstest;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

use super::super::outcome::SendErrorKind;
use super::super::tests_support::email;
use super::super::{Account, MailSettings, Mailers, Sender as _};
use super::*;
use crate::Lazy;

const SECOND: Duration = Duration::from_secs(1);

/// What the server answers in place of the usual, to the first line that begins so (`.` is the end of a message); an empty
/// answer hangs up, `-` says nothing at all.
type Script = Vec<(&'static str, &'static str)>;

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// Commands of all connections, content left out, and messages.
    lines: Mutex<Vec<String>>,
    messages: Mutex<Vec<String>>,
}

impl Seen {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    root: String,
}

impl Server {
    /// Scripts are for one connection each, in order; those after the last behave.
    async fn start(tls: SmtpTls, scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (root, key) = (certified.cert.pem(), PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap());
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut scripts = scripts.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, acceptor, script) = (Arc::clone(&shared), acceptor.clone(), scripts.next().unwrap_or_default());
                seen.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    match tls {
                        SmtpTls::Tls => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            talk(&mut BufStream::new(stream), &seen, script, true, false).await;
                        }
                        SmtpTls::None => drop(talk(&mut BufStream::new(stream), &seen, script, true, false).await),
                        SmtpTls::Starttls => {
                            let mut plain = BufStream::new(stream);
                            if talk(&mut plain, &seen, script.clone(), true, true).await {
                                let Ok(stream) = acceptor.accept(plain.into_inner()).await else { return };
                                talk(&mut BufStream::new(stream), &seen, script, false, false).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, root }
    }

    fn credentials(&self, tls: SmtpTls) -> SmtpCredentials {
        SmtpCredentials {
            host: "localhost".into(),
            port: self.address.port(),
            username: Some("anna".into()),
            password: Some(Secret::new("pa\"ss")),
            tls,
        }
    }

    fn mailers(&self) -> Mailers {
        mailers(outbound::Client::new(NetworkPolicy::WITH_LOCAL), vec![self.root.clone()])
    }

    async fn send(&self, mailers: &Mailers, tls: SmtpTls, message: &OutgoingEmail) -> Result<Accepted, SendError> {
        mailers.email(&account(self.credentials(tls)), message, 5 * SECOND).await
    }
}

fn account(server: SmtpCredentials) -> Account {
    Account { identity: None, revision: 1, credentials: Access::Smtp(server) }
}

fn mailers(guard: outbound::Client, smtp_roots: Vec<String>) -> Mailers {
    let ses = Lazy::new(|| unreachable!("SES is not asked"));
    let sns = Lazy::new(|| unreachable!("SNS is not asked"));
    Mailers::new(MailSettings { smtp_roots, ..MailSettings::default() }, ses, sns, Arc::new(guard))
}

/// Returns whether the client asked for TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    seen: &Seen,
    mut script: Script,
    greet: bool,
    starttls: bool,
) -> bool {
    let mut line = if greet { "CONNECT".to_owned() } else { String::new() };
    let mut content = String::new();
    let mut receiving = false;
    loop {
        if !line.is_empty() {
            if receiving && line != "." {
                content.push_str(line.strip_prefix('.').unwrap_or(&line));
                content.push_str("\r\n");
            } else {
                seen.lines.lock().unwrap().push(line.clone());
                let scripted = script.iter().position(|(begin, _)| line.starts_with(begin)).map(|at| script.remove(at).1);
                let usual = match line.split(' ').next().unwrap() {
                    "CONNECT" => "220 mail.test ESMTP",
                    "EHLO" if starttls => "250-mail.test\r\n250 STARTTLS",
                    "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH LOGIN PLAIN",
                    "AUTH" => "235 2.7.0 ok",
                    "DATA" => "354 go on",
                    "." => "250 2.0.0 Ok: queued as 4XyZ12",
                    "STARTTLS" => "220 2.0.0 go on",
                    "QUIT" => "221 2.0.0 bye",
                    _ => "250 2.0.0 ok",
                };
                let answer = scripted.unwrap_or(usual);
                match answer {
                    "" => return false,
                    "-" => std::future::pending().await,
                    _ => stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap(),
                }
                stream.flush().await.unwrap();
                if line == "." {
                    receiving = false;
                    seen.messages.lock().unwrap().push(std::mem::take(&mut content));
                }
                receiving |= line == "DATA" && answer.starts_with("354");
                if line == "STARTTLS" && answer.starts_with("220") {
                    return true;
                }
                if line == "QUIT" {
                    return false;
                }
            }
        } else if receiving {
            content.push_str("\r\n");
        }
        let mut next = String::new();
        match stream.read_line(&mut next).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => line = next.trim_end_matches(['\r', '\n']).to_owned(),
        }
    }
}

#[rstest]
#[case(SmtpTls::Tls)]
#[case(SmtpTls::Starttls)]
#[case(SmtpTls::None)]
#[tokio::test]
async fn a_message_arrives_as_it_was_composed(#[case] tls: SmtpTls) {
    let server = Server::start(tls, vec![]).await;
    let message = OutgoingEmail { text: Some("Hello\n.\n..dots".into()), ..email() };
    let accepted = server.send(&server.mailers(), tls, &message).await.unwrap();
    let expected =
        Accepted { provider: Provider::Smtp, provider_message_id: Some("4XyZ12".into()), message_id: None, renewed: None };
    assert_eq!(accepted, expected);
    let arrived = server.seen.messages.lock().unwrap().concat();
    assert_eq!(arrived.trim_end(), String::from_utf8(super::super::compose(&message).unwrap()).unwrap().trim_end());
    let lines = server.seen.lines();
    let last: Vec<&str> = lines[lines.len() - 5..].iter().map(String::as_str).collect();
    // AUTH PLAIN is the base64 of "\0anna\0pa\"ss".
    let expected = ["AUTH PLAIN AGFubmEAcGEic3M=", "MAIL FROM:<anna@sender.example>", "RCPT TO:<bob@example.com>", "DATA", "."];
    assert_eq!(last, expected);
    assert!(lines.contains(&"EHLO sender.example".to_owned()));
}

#[tokio::test]
async fn connections_are_used_again_and_replaced_when_they_have_died() {
    let dies = vec![("RSET", ""), ("NOOP", ""), ("MAIL FROM:<third@sender.example>", "421 4.4.2 idle for too long")];
    let server = Server::start(SmtpTls::None, vec![dies]).await;
    let mailers = server.mailers();
    for (from, connections) in [("first", 1), ("second", 1), ("third", 2), ("fourth", 2)] {
        let from = Mailbox::new(format!("{from}@sender.example").try_into().unwrap(), None);
        server.send(&mailers, SmtpTls::None, &OutgoingEmail { from, ..email() }).await.unwrap();
        assert_eq!(server.seen.connections.load(Ordering::SeqCst), connections);
    }
    // Another revision of the credentials has to prove itself.
    let other = Account { revision: 2, ..account(server.credentials(SmtpTls::None)) };
    mailers.email(&other, &email(), 5 * SECOND).await.unwrap();
    assert_eq!((server.seen.connections.load(Ordering::SeqCst), server.seen.messages.lock().unwrap().len()), (3, 5));
}

const RECIPIENT: SendErrorKind = SendErrorKind::Permanent(Blame::Recipient);
const MESSAGE: SendErrorKind = SendErrorKind::Permanent(Blame::Message);
const IDENTITY: SendErrorKind = SendErrorKind::Permanent(Blame::Identity);
const TRANSIENT: SendErrorKind = SendErrorKind::Transient { retry_after: None };

#[rstest]
#[case("CONNECT", "554 5.7.1 go away", IDENTITY)]
#[case("CONNECT", "421 4.3.2 too busy", TRANSIENT)]
#[case("CONNECT", "", TRANSIENT)]
#[case("EHLO", "250 mail.test", IDENTITY)] // no AUTH on offer
#[case("AUTH", "535 5.7.8 wrong password", IDENTITY)]
#[case("AUTH", "454 4.7.0 try later", TRANSIENT)]
#[case("MAIL", "550 5.7.1 not yours to send from", IDENTITY)]
#[case("MAIL", "552 5.3.4 too big", MESSAGE)]
#[case("MAIL", "451 4.3.0 try later", TRANSIENT)]
#[case("RCPT", "550 5.1.1 no such user", RECIPIENT)]
#[case("RCPT", "556 5.1.10 takes no mail", RECIPIENT)]
#[case("RCPT", "550 5.2.1 disabled", RECIPIENT)]
#[case("RCPT", "550 no such user", RECIPIENT)]
#[case("RCPT", "550 5.7.1 blocked for spam", MESSAGE)]
#[case("RCPT", "452 4.2.2 mailbox full", TRANSIENT)]
#[case("RCPT", "", TRANSIENT)]
#[case("DATA", "554 5.5.1 no", MESSAGE)]
#[case("DATA", "", TRANSIENT)]
#[case(".", "554 5.7.1 spam", MESSAGE)]
#[case(".", "550 5.1.1 after all no such user", RECIPIENT)]
#[case(".", "451 4.7.1 greylisted", TRANSIENT)]
#[case(".", "", SendErrorKind::OutcomeUnknown)]
#[case(".", "what?", SendErrorKind::OutcomeUnknown)]
#[tokio::test]
async fn what_refusals_mean(#[case] at: &'static str, #[case] answer: &'static str, #[case] expected: SendErrorKind) {
    let server = Server::start(SmtpTls::None, vec![vec![(at, answer)]]).await;
    let error = server.send(&server.mailers(), SmtpTls::None, &email()).await.unwrap_err();
    assert_eq!(error.kind, expected, "{at} {answer}: {error}");
    let text = answer.get(4..).unwrap_or_default();
    assert!(answer.starts_with("250") || answer == "what?" || error.reason.contains(text), "{error}");
}

#[rstest]
#[case("RCPT", TRANSIENT)]
#[case(".", SendErrorKind::OutcomeUnknown)]
#[tokio::test]
async fn silence_is_unknown_only_after_the_content_was_handed_over(#[case] at: &'static str, #[case] expected: SendErrorKind) {
    let server = Server::start(SmtpTls::None, vec![vec![(at, "-")]]).await;
    let account = account(server.credentials(SmtpTls::None));
    let error = server.mailers().email(&account, &email(), SECOND).await.unwrap_err();
    assert_eq!(error.kind, expected);
}

#[tokio::test]
async fn without_starttls_nothing_goes_out() {
    let server = Server::start(SmtpTls::None, vec![]).await;
    let error = server.send(&server.mailers(), SmtpTls::Starttls, &email()).await.unwrap_err();
    assert_eq!((error.kind, error.reason.as_str()), (IDENTITY, "the SMTP server offers no STARTTLS"));
    assert!(!server.seen.lines().iter().any(|line| line.starts_with("AUTH")), "no password in the clear");
}

#[rstest]
#[case(SmtpTls::Tls)]
#[case(SmtpTls::Starttls)]
#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_believed(#[case] tls: SmtpTls) {
    let server = Server::start(tls, vec![]).await;
    let mailers = mailers(outbound::Client::new(NetworkPolicy::WITH_LOCAL), vec![]);
    let error = server.send(&mailers, tls, &email()).await.unwrap_err();
    assert_eq!(error.kind, TRANSIENT, "{error}");
    assert!(!server.seen.lines().iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")));
}

#[tokio::test]
async fn verifying_signs_in_and_sends_nothing() {
    let server = Server::start(SmtpTls::None, vec![vec![], vec![("AUTH", "535 5.7.8 wrong")]]).await;
    let (mailers, account, from) = (server.mailers(), account(server.credentials(SmtpTls::None)), email().from.address);
    assert_eq!(mailers.verify(&account, &from, SECOND).await, Ok(super::super::Verification::Verified));
    assert_eq!(mailers.verify(&account, &from, SECOND).await.unwrap_err().kind, IDENTITY);
    assert!(!server.seen.lines().iter().any(|line| line.starts_with("MAIL")));
}

struct Fixed(Vec<IpAddr>);

#[async_trait]
impl outbound::Resolver for Fixed {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

#[rstest]
#[case("smtp.example.com", &["10.0.0.7"])]
#[case("smtp.example.com", &["169.254.169.254"])]
#[case("smtp.example.com", &["93.184.216.34", "127.0.0.1"])]
#[case("127.0.0.1", &[])]
#[case("localhost", &["127.0.0.1"])]
#[case("::1", &[])]
#[case("10.1.2.3", &[])]
#[case("2130706433", &[])]
#[tokio::test]
async fn hosts_inside_are_not_connected_to(#[case] host: &str, #[case] addresses: &[&str]) {
    let server = Server::start(SmtpTls::Tls, vec![]).await;
    let resolver = Arc::new(Fixed(addresses.iter().map(|ip| ip.parse().unwrap()).collect()));
    let guard = outbound::Client::with_resolver(NetworkPolicy::PUBLIC_ONLY, resolver);
    let credentials = SmtpCredentials { host: host.to_owned(), ..server.credentials(SmtpTls::Tls) };
    let error = mailers(guard, vec![]).email(&account(credentials), &email(), 5 * SECOND).await.unwrap_err();
    assert_eq!(error.kind, IDENTITY, "{error}");
    assert!(error.reason.starts_with("SMTP server refused: "), "{error}");
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_goes_out_in_the_clear_where_local_targets_are_not_allowed() {
    let server = Server::start(SmtpTls::None, vec![]).await;
    let mailers = mailers(outbound::Client::new(NetworkPolicy::PUBLIC_ONLY), vec![]);
    let error = server.send(&mailers, SmtpTls::None, &email()).await.unwrap_err();
    assert_eq!((error.kind, server.seen.connections.load(Ordering::SeqCst)), (IDENTITY, 0));
}

#[test]
fn enhanced_codes() {
    for (said, expected) in
        [("5.1.1 no", Some((1, 1))), ("4.2.2", Some((2, 2))), ("no 5.1.1", None), ("5.x.1", None), ("2.0.0 ok", None), ("", None)]
    {
        assert_eq!(enhanced(said), expected, "{said}");
    }
}
