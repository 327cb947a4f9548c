//! Messages of the channel `webhook` are signed with a secret of the tenant's.

use axle_app::communications::{post_secret, renew_post_secret};
use axle_app::{Answer, Ctx, Error};
use axle_domain::webhook::{DEFAULT_TOLERANCE, SigningSecret, VerifyError, sign, verify};
use axle_domain::{EntityId, TraceId};
use axle_providers::mail::OutgoingPost;
use serde_json::json;

use crate::stage::Stage;

async fn posted(s: &Stage) -> OutgoingPost {
    s.queue(json!({"channel": "webhook", "to": "http://127.0.0.1:9/in", "text": "hi"})).await;
    s.settle().await;
    s.world.sent.posts().pop().unwrap()
}

fn verifies(post: &OutgoingPost, secret: &str) -> Result<(), VerifyError> {
    let (id, at) = (post.id.to_string(), post.at.secs());
    let signatures = sign(&post.secrets, &id, at, post.body.as_bytes());
    let secret = [SigningSecret::parse(secret).unwrap()];
    verify(&secret, &id, &at.to_string(), &signatures, post.body.as_bytes(), at, DEFAULT_TOLERANCE)
}

#[tokio::test]
async fn the_secret_that_is_shown_verifies_also_what_went_out_before() {
    let s = Stage::new().await;
    let before = posted(&s).await;
    let shown = post_secret(s.app(), &s.ctx()).await.unwrap();
    assert_eq!((before.secrets.len(), verifies(&before, &shown)), (1, Ok(())));
    assert_eq!(post_secret(s.app(), &s.ctx()).await.unwrap(), shown);
    let other = Ctx::system(EntityId::new_at(s.app().now()), "test", s.app().now(), TraceId::random());
    assert_ne!(post_secret(s.app(), &other).await.unwrap(), shown, "each tenant has its own");
}

#[tokio::test]
async fn another_secret_takes_over_after_the_overlap() {
    let s = Stage::new().await;
    let first = post_secret(s.app(), &s.ctx()).await.unwrap();
    let renew = async |overlap| {
        let ctx = s.ctx();
        let answer = renew_post_secret(s.app(), &ctx, overlap, |secret| Answer::new(200, json!({"secret": secret})));
        answer.await.map(|answer| answer.body["secret"].as_str().unwrap().to_owned())
    };
    let second = renew(3_600).await.unwrap();
    assert_ne!(first, second);
    let both = posted(&s).await;
    assert_eq!((verifies(&both, &first), verifies(&both, &second)), (Ok(()), Ok(())));
    s.world.clock.advance_secs(3_600);
    let after = posted(&s).await;
    assert_eq!((verifies(&after, &first), verifies(&after, &second)), (Err(VerifyError::NoMatch), Ok(())));
    let third = renew(0).await.unwrap();
    let last = posted(&s).await;
    assert_eq!((last.secrets.len(), verifies(&last, &third)), (1, Ok(())));
    assert!(matches!(renew(604_801).await, Err(Error::Invalid(_))));
}
