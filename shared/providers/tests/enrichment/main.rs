//! Enrichment against sites on loopback: a corpus of pages as companies have them, and sites that mean no good.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod apis;
mod corpus;
mod hostile;
mod site;
