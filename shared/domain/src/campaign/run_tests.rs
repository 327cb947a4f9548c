#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::RunState::*;
use super::*;
use crate::campaign::{SendingWindow, Weekday};

#[test]
fn what_is_over_stays_over_and_everything_can_come_to_an_end() {
    for state in RunState::ALL.iter().copied() {
        assert!(!state.may_become(state), "{state}");
        let ways = RunState::ALL.iter().filter(|next| state.may_become(**next)).count();
        assert_eq!(state.is_over() || state == Attached, ways == 0, "{state}");
        if !state.is_over() && state != Attached {
            assert!([Stopped, Failed, Cancelled].iter().all(|end| state.may_become(*end)), "{state}");
        }
        assert_eq!(state.as_str().parse(), Ok(state));
    }
}

#[rstest]
#[case(Sending, Sending, false)]
#[case(Sending, Paused, false)]
#[case(Completed, Waiting, false)]
#[case(Waiting, Sending, true)]
#[case(AwaitingApproval, Sending, true)]
#[case(Enriching, Sending, false)]
#[case(Paused, Sending, false)]
fn ways(#[case] from: RunState, #[case] to: RunState, #[case] good: bool) {
    assert_eq!(from.may_become(to), good);
}

#[test]
fn what_stops_whom() {
    let all = [StopOn::Reply, StopOn::Meeting, StopOn::Unsubscribe, StopOn::Bounce];
    assert!(StopCause::ALL.iter().all(|cause| cause.ends(&all)));
    let none: Vec<&str> = StopCause::ALL.iter().filter(|cause| !cause.ends(&[])).map(|cause| cause.as_str()).collect();
    assert_eq!(none, ["reply", "meeting", "bounce"], "a wish to be left alone is always heard");
}

fn variants(weights: &[f64]) -> Vec<Variant> {
    let variant = |(i, weight)| serde_json::from_value(json!({"name": format!("v{i}"), "weight": weight, "body": "x"})).unwrap();
    weights.iter().enumerate().map(variant).collect()
}

#[test]
fn variants_are_drawn_by_their_weights() {
    let campaign = CampaignId::from_uuid(Uuid::from_u128(7));
    let variants = variants(&[1.0, 3.0]);
    let first =
        (0..4_000_u128).filter(|n| pick(&variants, campaign, LeadId::from_uuid(Uuid::from_u128(*n))).unwrap().name == "v0");
    let first = first.count();
    assert!((850..1_150).contains(&first), "{first} of 4000 where 1000 are expected");
    assert!(pick(&[], campaign, LeadId::from_uuid(Uuid::from_u128(1))).is_none());
}

proptest! {
    #[test]
    fn a_lead_keeps_its_wording(campaign in any::<u128>(), lead in any::<u128>(), weights in prop::collection::vec(0.001_f64..100.0, 1..10)) {
        let (campaign, lead) = (CampaignId::from_uuid(Uuid::from_u128(campaign)), LeadId::from_uuid(Uuid::from_u128(lead)));
        let variants = variants(&weights);
        let drawn = pick(&variants, campaign, lead).map(|v| v.name.clone());
        prop_assert!(drawn.is_some());
        prop_assert_eq!(drawn, pick(&variants, campaign, lead).map(|v| v.name.clone()));
    }

    #[test]
    fn ids_are_the_steps_own(a in any::<u128>(), b in any::<u128>(), lead in any::<u128>(), step in 1_u32..20) {
        let campaign = |n| CampaignId::from_uuid(Uuid::from_u128(n));
        let lead = LeadId::from_uuid(Uuid::from_u128(lead));
        let (x, y) = (run_id(campaign(a), lead), run_id(campaign(b), lead));
        prop_assert_eq!(a == b, x == y);
        prop_assert_ne!(message_id(x, step), message_id(x, step + 1));
        prop_assert_eq!(run_trace(x).to_string(), x.uuid().as_simple().to_string());
    }

    #[test]
    fn due_times_are_inside_the_window_and_after_the_delay(hours in 0.0_f64..200.0, secs in 0_i64..2_000_000_000) {
        let step: SequenceStep = serde_json::from_value(json!({"step": 1, "channel": "email", "delay_hours": hours})).unwrap();
        let window = SendingWindow {
            timezone: "contact".to_owned(), days: vec![Weekday::Tue], from: "09:00".to_owned(), to: "10:00".to_owned(),
        };
        let due = due_after(&step, Time::from_secs(secs));
        prop_assert!((due.since(Time::from_secs(secs)) as f64 - hours * 3_600_000.0).abs() <= 1.0);
        let at = allowed(Some(&window), Some("Asia/Tokyo"), due);
        prop_assert!(at >= due);
        prop_assert_eq!(allowed(Some(&window), Some("Asia/Tokyo"), at), at);
        prop_assert_eq!(allowed(None, None, due), due);
    }

    /// A walk of any length never leaves what is over, and never sends without having waited or been approved first.
    #[test]
    fn walks(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let mut state = Enriching;
        for pick in picks {
            let ways: Vec<RunState> = RunState::ALL.iter().copied().filter(|next| state.may_become(*next)).collect();
            if ways.is_empty() {
                prop_assert!(state.is_over());
                break;
            }
            let next = *pick.get(&ways);
            if next == Sending {
                prop_assert!(matches!(state, Waiting | AwaitingApproval));
            }
            state = next;
        }
    }
}
