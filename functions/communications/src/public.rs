//! What recipients reach by the links in their messages. The link itself is the credential.

use std::sync::Arc;

use axle_app::communications::{self, Visit};
use axle_app::{App, Error};
use axle_domain::mail::{
    OPEN_PIXEL, OPEN_PIXEL_TYPE, PAGE_POLICY, broken_link_page, is_prefetch_header, message_page, unsubscribe_page,
    unsubscribed_page,
};
use axle_http::{ApiError, Id};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

fn page(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, html).into_response()
}

/// The page for what became of it; a link that is not ours has a page too, because a person looks at it.
fn answer(outcome: Result<(), Error>, html: impl FnOnce() -> String) -> Result<Response, ApiError> {
    match outcome {
        Ok(()) => Ok(page(StatusCode::OK, html())),
        Err(Error::NotFound(_)) => Ok(page(StatusCode::NOT_FOUND, broken_link_page())),
        Err(e) => Err(e.into()),
    }
}

fn visit(method: &Method, headers: &HeaderMap) -> Visit {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let prefetch = headers.iter().any(|(name, value)| is_prefetch_header(name.as_str(), value.to_str().unwrap_or_default()));
    Visit { head: method == Method::HEAD, prefetch, user_agent }
}

/// Show the unsubscribe page
///
/// Changes nothing: scanners look at every link.
#[utoipa::path(get, path = "/communications/unsubscribe/{ticket}", tag = "Links in messages", operation_id = "showUnsubscribe", security(()),
    params(("ticket" = String, Path)),
    responses((status = 200, description = "A page with a button.", body = String, content_type = "text/html"),
        (status = 404, description = "Not a link of ours; a page that says so.", body = String, content_type = "text/html")))]
pub(crate) async fn unsubscribe_form(State(app): State<Arc<App>>, Id(ticket): Id<String>) -> Result<Response, ApiError> {
    answer(communications::check_unsubscribe(&app, &ticket).await, unsubscribe_page)
}

/// Unsubscribe
///
/// What the page's button and mail programs (RFC 8058) post. The address gets no more messages of this tenant; again changes nothing.
#[utoipa::path(post, path = "/communications/unsubscribe/{ticket}", tag = "Links in messages", operation_id = "unsubscribe", security(()),
    params(("ticket" = String, Path)),
    responses((status = 200, description = "A page that says so.", body = String, content_type = "text/html"),
        (status = 404, description = "Not a link of ours; a page that says so.", body = String, content_type = "text/html")))]
pub(crate) async fn unsubscribe(State(app): State<Arc<App>>, Id(ticket): Id<String>) -> Result<Response, ApiError> {
    answer(communications::unsubscribe(&app, &ticket).await, unsubscribed_page)
}

/// Note an opening
///
/// Always a picture, whatever the ticket.
#[utoipa::path(get, path = "/communications/open/{ticket}", tag = "Links in messages", operation_id = "trackOpen", security(()),
    params(("ticket" = String, Path)),
    responses((status = 200, description = "A transparent picture.", body = String, content_type = "image/gif")))]
pub(crate) async fn open(State(app): State<Arc<App>>, Id(ticket): Id<String>, method: Method, headers: HeaderMap) -> Response {
    match communications::opened(&app, &ticket, &visit(&method, &headers)).await {
        Ok(()) | Err(Error::NotFound(_)) => {}
        Err(e) => tracing::warn!(error = e.for_the_log(), "an opening was not counted"),
    }
    ([(header::CONTENT_TYPE, OPEN_PIXEL_TYPE)], OPEN_PIXEL).into_response()
}

/// Follow a link
///
/// Leads to the link that was in that message, and to nothing else.
#[utoipa::path(get, path = "/communications/click/{ticket}", tag = "Links in messages", operation_id = "trackClick", security(()),
    params(("ticket" = String, Path)),
    responses((status = 302, description = "On to the link's target.", headers(("Location" = String))),
        (status = 404, description = "Not a link of ours; a page that says so.", body = String, content_type = "text/html")))]
pub(crate) async fn click(
    State(app): State<Arc<App>>,
    Id(ticket): Id<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    match communications::clicked(&app, &ticket, &visit(&method, &headers)).await {
        Ok(target) => Ok((StatusCode::FOUND, [(header::LOCATION, target)]).into_response()),
        Err(Error::NotFound(_)) => Ok(page(StatusCode::NOT_FOUND, broken_link_page())),
        Err(e) => Err(e.into()),
    }
}

const CONFIRM: &str = "<form method=\"post\"><button type=\"submit\">Confirm</button></form></body>";

/// Show the confirmation of a sender address
#[utoipa::path(get, path = "/communications/identities/confirm/{ticket}", tag = "Links in messages", operation_id = "showConfirmIdentity",
    security(()), params(("ticket" = String, Path)),
    responses((status = 200, description = "A page with a button.", body = String, content_type = "text/html")))]
pub(crate) async fn confirm_form(_ticket: Id<String>) -> Response {
    let asked = message_page("Confirm your sender address", "Messages will be sent from the address at which you got this link.");
    page(StatusCode::OK, asked.replace("</body>", CONFIRM))
}

/// Confirm a sender address
#[utoipa::path(post, path = "/communications/identities/confirm/{ticket}", tag = "Links in messages", operation_id = "confirmIdentity",
    security(()), params(("ticket" = String, Path)),
    responses((status = 200, description = "A page that says so.", body = String, content_type = "text/html"),
        (status = 404, description = "Not a link of ours; a page that says so.", body = String, content_type = "text/html")))]
pub(crate) async fn confirm(State(app): State<Arc<App>>, Id(ticket): Id<String>) -> Result<Response, ApiError> {
    let done = || message_page("Your address is confirmed", "Messages can be sent from it now.");
    answer(communications::confirm_identity(&app, &ticket).await, done)
}
