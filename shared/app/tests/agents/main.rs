//! Agents at work on the embedded table.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod approvals;
mod executions;
mod faults;
mod injections;
mod interrupted;
mod playbooks;
mod registry;
mod stage;

use stage::Stage;
