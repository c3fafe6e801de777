//! The rules of the house that no compiler knows. Every complaint names the
//! place and says what to do instead.

mod calls;
mod docs;
mod invariants;
mod layers;
mod shape;
mod source;

/// Fails with every complaint at once: fixing them one test run at a time is
/// nobody's pleasure.
#[track_caller]
fn no_complaints(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
