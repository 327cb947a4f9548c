//! CRM routes. The gate has checked `entityId` before any of them runs.

mod activities;
mod activities_model;
mod bulk;
mod companies;
mod companies_model;
mod contacts;
mod contacts_model;
mod custom_fields;
mod deals;
mod deals_model;
mod export;
mod marketing_lists;
mod memberships;
mod outbound;
mod outbound_model;

use std::sync::Arc;

use axle_app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(companies::create, companies::list))
        .routes(routes!(companies::get, companies::patch))
        // deals
        .routes(routes!(deals::create, deals::list))
        .routes(routes!(deals::get, deals::patch, deals::delete))
        .routes(routes!(deals::shift))
        .routes(routes!(deals::timeline))
        .routes(routes!(deals::batch))
        .routes(routes!(bulk::create_companies))
        .routes(routes!(bulk::merge_companies))
        .routes(routes!(contacts::create, contacts::list))
        .routes(routes!(contacts::get, contacts::patch, contacts::delete))
        .routes(routes!(contacts::erase))
        .routes(routes!(contacts::of_company))
        .routes(routes!(bulk::create_contacts))
        .routes(routes!(bulk::merge_contacts))
        .routes(routes!(memberships::create, memberships::list))
        .routes(routes!(memberships::patch, memberships::delete))
        .routes(routes!(custom_fields::create, custom_fields::list))
        .routes(routes!(custom_fields::get, custom_fields::patch, custom_fields::delete))
        .routes(routes!(marketing_lists::create, marketing_lists::list))
        .routes(routes!(marketing_lists::get, marketing_lists::patch, marketing_lists::delete))
        .routes(routes!(marketing_lists::companies))
        .routes(routes!(marketing_lists::add))
        .routes(routes!(export::export))
        .routes(routes!(outbound::send))
        .routes(routes!(outbound::create, outbound::list))
        .routes(routes!(outbound::get, outbound::patch, outbound::delete))
        .merge(activities::routes())
}
