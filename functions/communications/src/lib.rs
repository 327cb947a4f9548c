//! Communication routes: messages and the outbox, sending identities, suppressions, inbound mail, meetings.

mod identities;
mod inbound;
mod meetings;
mod messages;
mod model;
mod public;
mod suppressions;

use std::sync::Arc;

use axle_app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(messages::create, messages::list))
        .routes(routes!(messages::outbox))
        .routes(routes!(identities::create, identities::list))
        .routes(routes!(identities::get, identities::patch, identities::delete))
        .routes(routes!(identities::verify))
        .routes(routes!(suppressions::create, suppressions::list))
        .routes(routes!(suppressions::delete))
        .routes(routes!(public::confirm_form, public::confirm))
        .routes(routes!(public::unsubscribe_form, public::unsubscribe))
        .routes(routes!(public::open))
        .routes(routes!(public::click))
        .routes(routes!(inbound::new_secret))
        .routes(routes!(inbound::post))
        .routes(routes!(inbound::show_post_secret, inbound::rotate_post_secret))
        .routes(routes!(meetings::create))
        .routes(routes!(meetings::set_hook))
        .routes(routes!(meetings::report))
        .routes(routes!(messages::get))
        .routes(routes!(messages::cancel))
        .routes(routes!(messages::retry))
}
