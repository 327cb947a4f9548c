//! The providers that are called by HTTP, against a server that answers as they are documented to.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use aws_sdk_sesv2::config::{BehaviorVersion, Credentials as AwsCredentials, Region};
use axle_domain::address::Phone;
use axle_domain::communication::Throttle;
use axle_domain::mail::{MessageId, OAuthCredentials, Secret};
use axle_domain::webhook::{DEFAULT_TOLERANCE, NetworkPolicy, SigningSecret, verify};
use axle_domain::{CommunicationId, SendingIdentityId, Time};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::super::outcome::{Blame, Provider, SendErrorKind};
use super::super::tests_support::{ENTITY, MESSAGE, email};
use super::*;

const TIMEOUT: Duration = Duration::from_secs(3);
const RECIPIENT: SendErrorKind = SendErrorKind::Permanent(Blame::Recipient);
const CONTENT: SendErrorKind = SendErrorKind::Permanent(Blame::Message);
const IDENTITY: SendErrorKind = SendErrorKind::Permanent(Blame::Identity);
const TRANSIENT: SendErrorKind = SendErrorKind::Transient { retry_after: None };
const RATE: SendErrorKind = SendErrorKind::Throttled(Throttle::Rate);
const DAY: SendErrorKind = SendErrorKind::Throttled(Throttle::Day);

const fn after(secs: u64) -> SendErrorKind {
    SendErrorKind::Transient { retry_after: Some(Duration::from_secs(secs)) }
}

macro_rules! client {
    ($sdk:ident, $uri:expr) => {{
        let uri = $uri;
        Lazy::new(move || {
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-west-1"))
                .credentials_provider(AwsCredentials::new("id", "secret", None, None, "test"))
                .endpoint_url(uri.clone());
            $sdk::Client::from_conf(config.build())
        })
    }};
}

fn mailers_at(uri: String) -> Mailers {
    let settings = MailSettings {
        ses_configuration_set: Some("axle".into()),
        google_token_url: format!("{uri}/token"),
        google_api_url: uri.clone(),
        microsoft_token_url: format!("{uri}/token"),
        microsoft_graph_url: format!("{uri}/"),
        smtp_roots: vec![],
    };
    let outbound = Arc::new(outbound::Client::new(NetworkPolicy::WITH_LOCAL));
    Mailers::new(settings, client!(aws_sdk_sesv2, uri.clone()), client!(aws_sdk_sns, uri), outbound)
}

fn mailers(server: &MockServer) -> Mailers {
    mailers_at(server.uri())
}

fn oauth() -> OAuthCredentials {
    OAuthCredentials { client_id: "cid".into(), client_secret: Secret::new("s&cret"), refresh_token: Secret::new("r1") }
}

fn account(credentials: Credentials) -> Account {
    Account { identity: Some(SendingIdentityId::new_at(Time::from_secs(1))), revision: 1, credentials }
}

async fn answering(at: &str, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(at)).respond_with(answer).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

const SES: &str = "/v2/email/outbound-emails";

fn ses_error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("x-amzn-errortype", code).set_body_json(json!({ "message": message }))
}

#[tokio::test]
async fn ses_gets_the_raw_message_with_its_tags() {
    let server = answering(SES, ResponseTemplate::new(200).set_body_json(json!({ "MessageId": "0102019-abc-000000" }))).await;
    let accepted = mailers(&server).email(&Account::default_ses(), &email(), TIMEOUT).await.unwrap();
    assert_eq!((accepted.provider, accepted.provider_message_id.as_deref()), (Provider::Ses, Some("0102019-abc-000000")));
    let seen: MessageId = "0102019-abc-000000@eu-west-1.amazonses.com".parse().unwrap();
    assert_eq!(accepted.message_id, Some(seen));
    let body: Value = serde_json::from_slice(&requests(&server).await[0].body).unwrap();
    assert_eq!(body["FromEmailAddress"], "anna@sender.example");
    assert_eq!(body["Destination"], json!({ "ToAddresses": ["bob@example.com"] }));
    assert_eq!(body["ConfigurationSetName"], "axle");
    let tags = json!([{ "Name": "entity_id", "Value": ENTITY }, { "Name": "communication_id", "Value": MESSAGE }]);
    assert_eq!(body["EmailTags"], tags);
    let raw = STANDARD.decode(body["Content"]["Raw"]["Data"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(raw).unwrap().contains("Message-ID: <m1@sender.example>\r\n"));
}

#[rstest]
#[case(429, "TooManyRequestsException", "slow", RATE)]
#[case(429, "TooManyRequestsException", "Maximum sending rate exceeded.", RATE)]
#[case(400, "LimitExceededException", "Daily message quota exceeded.", DAY)]
#[case(400, "ThrottlingException", "Maximum sending rate exceeded.", RATE)]
#[case(400, "ThrottlingException", "Daily message quota exceeded.", DAY)]
#[case(400, "SendingPausedException", "paused", after(900))]
#[case(400, "AccountSuspendedException", "suspended", IDENTITY)]
#[case(400, "MailFromDomainNotVerifiedException", "no", IDENTITY)]
#[case(400, "MessageRejected", "Email address is not verified. The following identities failed the check", IDENTITY)]
#[case(400, "MessageRejected", "Email contains a virus", CONTENT)]
#[case(400, "BadRequestException", "Local address contains control or whitespace", CONTENT)]
#[case(404, "NotFoundException", "Configuration set <axle> does not exist.", IDENTITY)]
#[case(403, "AccessDeniedException", "not authorized to perform: ses:SendEmail", TRANSIENT)]
#[case(400, "ThrottlingException", "Rate exceeded", RATE)]
#[case(500, "InternalFailure", "oh", TRANSIENT)]
#[case(503, "ServiceUnavailable", "oh", TRANSIENT)]
#[tokio::test]
async fn errors_of_ses(#[case] status: u16, #[case] code: &str, #[case] message: &str, #[case] expected: SendErrorKind) {
    let server = answering(SES, ses_error(status, code, message)).await;
    let error = mailers(&server).email(&Account::default_ses(), &email(), TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, expected, "{error}");
    assert_eq!(requests(&server).await.len(), 1, "never tried twice");
}

#[tokio::test]
async fn no_answer_is_unknown_and_no_connection_is_not() {
    let server = answering(SES, ResponseTemplate::new(200).set_delay(TIMEOUT)).await;
    let error = mailers(&server).email(&Account::default_ses(), &email(), TIMEOUT / 10).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::OutcomeUnknown);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = mailers_at(format!("http://{nobody}")).email(&Account::default_ses(), &email(), TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, TRANSIENT, "{error}");
}

#[tokio::test]
async fn ses_verifies_by_domain_then_by_address_and_asks_the_owner_otherwise() {
    let from = email().from.address;
    let account = Account::default_ses();
    let identity = |verified: bool| ResponseTemplate::new(200).set_body_json(json!({ "VerifiedForSendingStatus": verified }));
    let missing = || ses_error(404, "NotFoundException", "no");

    let server = MockServer::start().await;
    Mock::given(path("/v2/email/identities/sender.example")).respond_with(identity(true)).mount(&server).await;
    assert_eq!(mailers(&server).verify(&account, &from, TIMEOUT).await, Ok(Verification::Verified));

    let server = MockServer::start().await;
    Mock::given(path("/v2/email/identities/sender.example")).respond_with(missing()).mount(&server).await;
    Mock::given(path("/v2/email/identities/anna%40sender.example")).respond_with(missing()).mount(&server).await;
    let created = Mock::given(method("POST")).and(path("/v2/email/identities"));
    created.and(body_string_contains("anna@sender.example")).respond_with(identity(false)).expect(1).mount(&server).await;
    let outcome = mailers(&server).verify(&account, &from, TIMEOUT).await;
    assert!(matches!(outcome, Ok(Verification::Pending { .. })), "{outcome:?}");
}

fn sms(text: &str) -> OutgoingSms {
    OutgoingSms { to: Phone::parse("+14155550123").unwrap(), text: text.into(), marketing: true }
}

#[tokio::test]
async fn text_messages_go_through_sns() {
    let answer = r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>s-1</MessageId></PublishResult></PublishResponse>"#;
    let server = answering("/", ResponseTemplate::new(200).set_body_raw(answer, "text/xml")).await;
    let accepted = mailers(&server).sms(&sms("Hi & bye"), TIMEOUT).await.unwrap();
    assert_eq!((accepted.provider, accepted.provider_message_id.as_deref()), (Provider::Sns, Some("s-1")));
    let body = String::from_utf8(requests(&server).await[0].body.clone()).unwrap();
    let form: std::collections::BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str);
    assert_eq!((field("PhoneNumber"), field("Message")), (Some("+14155550123"), Some("Hi & bye")));
    let attribute = ("MessageAttributes.entry.1.Name", "MessageAttributes.entry.1.Value.StringValue");
    assert_eq!((field(attribute.0), field(attribute.1)), (Some("AWS.SNS.SMS.SMSType"), Some("Promotional")));
}

#[rstest]
#[case(400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: +1 is not valid to publish to", RECIPIENT)]
#[case(400, "InvalidParameter", "Invalid parameter: Message too long", CONTENT)]
#[case(400, "Throttled", "Rate exceeded", RATE)]
#[case(403, "AuthorizationError", "not authorized", TRANSIENT)]
#[case(400, "OptedOut", "opted out", RECIPIENT)]
#[case(500, "InternalError", "oh", TRANSIENT)]
#[tokio::test]
async fn errors_of_sns(#[case] status: u16, #[case] code: &str, #[case] message: &str, #[case] expected: SendErrorKind) {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    let server = answering("/", ResponseTemplate::new(status).set_body_raw(body, "text/xml")).await;
    let error = mailers(&server).sms(&sms("Hi"), TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, expected, "{error}");
    assert_eq!(requests(&server).await.len(), 1, "never tried twice");
}

#[tokio::test]
async fn text_messages_have_a_length() {
    let mailers = mailers_at("http://127.0.0.1:1".into());
    for text in [String::new(), "x".repeat(super::super::MAX_SMS_BYTES + 1)] {
        assert_eq!(mailers.sms(&sms(&text), TIMEOUT).await.unwrap_err().kind, CONTENT);
    }
}

async fn token(server: &MockServer, answer: Value) {
    Mock::given(path("/token")).respond_with(ResponseTemplate::new(200).set_body_json(answer)).mount(server).await;
}

const GMAIL: &str = "/gmail/v1/users/me/messages/send";
const GRAPH: &str = "/v1.0/me/sendMail";

#[tokio::test]
async fn gmail_gets_base64url_and_the_token_is_kept() {
    let server = answering(GMAIL, ResponseTemplate::new(200).set_body_json(json!({ "id": "g1", "threadId": "t1" }))).await;
    token(&server, json!({ "access_token": "at1", "expires_in": 3599, "token_type": "Bearer" })).await;
    let (mailers, account) = (mailers(&server), account(Credentials::Gmail(oauth())));
    for _ in 0..2 {
        let accepted = mailers.email(&account, &email(), TIMEOUT).await.unwrap();
        assert_eq!((accepted.provider_message_id.as_deref(), accepted.renewed), (Some("g1"), None));
    }
    let seen = requests(&server).await;
    assert_eq!(seen.iter().map(|request| request.url.path()).collect::<Vec<_>>(), ["/token", GMAIL, GMAIL]);
    let form = String::from_utf8(seen[0].body.clone()).unwrap();
    assert_eq!(form, "grant_type=refresh_token&client_id=cid&client_secret=s%26cret&refresh_token=r1");
    assert_eq!(seen[1].headers["authorization"], "Bearer at1");
    let body: Value = serde_json::from_slice(&seen[1].body).unwrap();
    let raw = URL_SAFE.decode(body["raw"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(raw).unwrap().contains("To: bob@example.com\r\n"));
    // Another revision of the credentials is another grant.
    mailers.email(&Account { revision: 2, ..account }, &email(), TIMEOUT).await.unwrap();
    assert_eq!(requests(&server).await.iter().filter(|request| request.url.path() == "/token").count(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_once() {
    for (path_of, credentials) in [(GMAIL, Credentials::Gmail(oauth())), (GRAPH, Credentials::Outlook(oauth()))] {
        let server = answering(path_of, ResponseTemplate::new(401)).await;
        token(&server, json!({ "access_token": "at1", "expires_in": 3599 })).await;
        let error = mailers(&server).email(&account(credentials), &email(), TIMEOUT).await.unwrap_err();
        assert_eq!(error.kind, IDENTITY);
        let paths: Vec<String> = requests(&server).await.iter().map(|request| request.url.path().to_owned()).collect();
        assert_eq!(paths, ["/token", path_of, "/token", path_of]);
    }
}

#[rstest]
#[case(400, "invalidArgument", "Invalid To header", RECIPIENT)]
#[case(400, "invalidArgument", "'raw' RFC822 payload message string is malformed", CONTENT)]
#[case(400, "failedPrecondition", "Mail service not enabled", IDENTITY)]
#[case(403, "insufficientPermissions", "Request had insufficient authentication scopes.", IDENTITY)]
#[case(403, "userRateLimitExceeded", "User Rate Limit Exceeded", after(7))]
#[case(403, "dailyLimitExceeded", "Daily Limit Exceeded", after(7))]
#[case(429, "rateLimitExceeded", "Too many concurrent requests for user", after(7))]
#[case(413, "uploadTooLarge", "too large", CONTENT)]
#[case(500, "backendError", "Backend Error", after(7))]
#[case(503, "backendError", "Backend Error", after(7))]
#[case(504, "", "timeout", SendErrorKind::OutcomeUnknown)]
#[tokio::test]
async fn errors_of_gmail(#[case] status: u16, #[case] reason: &str, #[case] message: &str, #[case] expected: SendErrorKind) {
    let body = json!({ "error": { "code": status, "message": message, "errors": [{ "domain": "global", "reason": reason, "message": message }] } });
    let server = answering(GMAIL, ResponseTemplate::new(status).insert_header("retry-after", "7").set_body_json(body)).await;
    token(&server, json!({ "access_token": "at1" })).await;
    let error = mailers(&server).email(&account(Credentials::Gmail(oauth())), &email(), TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, expected, "{error}");
    assert!(error.reason.contains(message), "{error}");
}

#[tokio::test]
async fn microsoft_gets_base64_mime_and_a_new_refresh_token_is_handed_on() {
    let server = MockServer::start().await;
    let send = Mock::given(method("POST")).and(path(GRAPH)).and(header("content-type", "text/plain"));
    send.and(header("authorization", "Bearer at1")).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    token(&server, json!({ "access_token": "at1", "expires_in": 3599, "refresh_token": "r2" })).await;
    let accepted = mailers(&server).email(&account(Credentials::Outlook(oauth())), &email(), TIMEOUT).await.unwrap();
    let renewed = Credentials::Outlook(OAuthCredentials { refresh_token: Secret::new("r2"), ..oauth() });
    assert_eq!((accepted.provider, accepted.provider_message_id, accepted.renewed), (Provider::Outlook, None, Some(renewed)));
    let seen = requests(&server).await;
    let form = String::from_utf8(seen[0].body.clone()).unwrap();
    assert!(form.ends_with("&scope=https%3A%2F%2Fgraph.microsoft.com%2FMail.Send+offline_access"), "{form}");
    let raw = STANDARD.decode(&seen[1].body).unwrap();
    assert!(String::from_utf8(raw).unwrap().contains("Subject: Hi\r\n"));
}

#[rstest]
#[case(400, "ErrorInvalidRecipients", RECIPIENT)]
#[case(400, "ErrorMimeContentInvalid", CONTENT)]
#[case(403, "ErrorAccessDenied", IDENTITY)]
#[case(403, "ErrorSendAsDenied", IDENTITY)]
#[case(404, "MailboxNotEnabledForRESTAPI", IDENTITY)]
#[case(413, "RequestEntityTooLarge", CONTENT)]
#[case(429, "ApplicationThrottled", after(7))]
#[case(403, "ErrorExceededMessageLimit", after(7))]
#[case(503, "ErrorServerBusy", after(7))]
#[case(504, "gatewayTimeout", SendErrorKind::OutcomeUnknown)]
#[tokio::test]
async fn errors_of_microsoft(#[case] status: u16, #[case] code: &str, #[case] expected: SendErrorKind) {
    let body = json!({ "error": { "code": code, "message": "said" } });
    let server = answering(GRAPH, ResponseTemplate::new(status).insert_header("retry-after", "7").set_body_json(body)).await;
    token(&server, json!({ "access_token": "at1" })).await;
    let error = mailers(&server).email(&account(Credentials::Outlook(oauth())), &email(), TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, expected, "{error}");
}

#[rstest]
#[case(400, json!({ "error": "invalid_grant", "error_description": "Token has been expired or revoked." }), IDENTITY)]
#[case(401, json!({ "error": "invalid_client" }), IDENTITY)]
#[case(400, json!({ "error": "temporarily_unavailable" }), TRANSIENT)]
#[case(429, json!({}), TRANSIENT)]
#[case(503, json!("no JSON object"), TRANSIENT)]
#[case(200, json!({ "oh": 1 }), TRANSIENT)]
#[tokio::test]
async fn tokens_that_are_not_granted(#[case] status: u16, #[case] body: Value, #[case] expected: SendErrorKind) {
    let server = answering("/token", ResponseTemplate::new(status).set_body_json(body)).await;
    let mailers = mailers(&server);
    for credentials in [Credentials::Gmail(oauth()), Credentials::Outlook(oauth())] {
        let account = account(credentials);
        let error = mailers.email(&account, &email(), TIMEOUT).await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert!(!error.reason.contains("s&cret") && !error.reason.contains("r1"), "{error}");
        assert_eq!(mailers.verify(&account, &email().from.address, TIMEOUT).await.unwrap_err().kind, expected);
    }
}

#[tokio::test]
async fn a_grant_verifies_an_account() {
    let server = MockServer::start().await;
    token(&server, json!({ "access_token": "at1" })).await;
    for credentials in [Credentials::Gmail(oauth()), Credentials::Outlook(oauth())] {
        let outcome = mailers(&server).verify(&account(credentials), &email().from.address, TIMEOUT).await;
        assert_eq!(outcome, Ok(Verification::Verified));
    }
}

fn to_url(url: String) -> OutgoingPost {
    OutgoingPost {
        url,
        id: MESSAGE.parse::<CommunicationId>().unwrap(),
        at: Time::from_secs(1_764_000_000),
        body: r#"{"text":"Hi"}"#.into(),
        secrets: vec![SigningSecret::generate([7; 32])],
    }
}

#[tokio::test]
async fn posts_are_signed_standard_webhooks() {
    let server = answering("/in", ResponseTemplate::new(204)).await;
    let message = to_url(format!("{}/in", server.uri()));
    let accepted = mailers(&server).post(&message, TIMEOUT).await.unwrap();
    assert_eq!(accepted.provider, Provider::Webhook);
    let request = &requests(&server).await[0];
    let head = |name: &str| request.headers[name].to_str().unwrap();
    let (id, at, signature) = (head("webhook-id"), head("webhook-timestamp"), head("webhook-signature"));
    assert_eq!((id, at, head("content-type")), (MESSAGE, "1764000000", "application/json"));
    let secrets = message.secrets;
    assert_eq!(verify(&secrets, id, at, signature, &request.body, 1_764_000_000, DEFAULT_TOLERANCE), Ok(()));
}

#[rstest]
#[case(302, CONTENT)]
#[case(400, CONTENT)]
#[case(404, RECIPIENT)]
#[case(410, RECIPIENT)]
#[case(429, after(7))]
#[case(500, after(7))]
#[tokio::test]
async fn answers_to_posts(#[case] status: u16, #[case] expected: SendErrorKind) {
    let server = answering("/in", ResponseTemplate::new(status).insert_header("retry-after", "7")).await;
    let error = mailers(&server).post(&to_url(format!("{}/in", server.uri())), TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, expected);
}

#[tokio::test]
async fn posts_that_find_nobody() {
    let mailers = mailers_at("http://127.0.0.1:1".into());
    for (url, expected) in
        [("https://10.0.0.1/in", RECIPIENT), ("ftp://x.example/", RECIPIENT), ("http://127.0.0.1:1/in", TRANSIENT)]
    {
        assert_eq!(mailers.post(&to_url(url.into()), TIMEOUT).await.unwrap_err().kind, expected, "{url}");
    }
}
