//! Build script of every function: links it at a fixed address.
//!
//! In a position-independent binary the loader writes some 44,000 addresses into 750 KB of tables before `main`, a quarter of a
//! cold start. Stack, heap and libraries stay at random addresses. A flag for the whole build would be simpler, but dependencies
//! that are also built as shared libraries refuse it.

// What a build script prints is how it speaks to cargo.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo::rerun-if-changed=../../infra/link.rs");
    println!("cargo::rustc-link-arg-bins=-no-pie");
}
