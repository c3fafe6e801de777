//! The client against servers that follow a script, and against a genuine one.

mod genuine;
mod peer;
mod scripted;
