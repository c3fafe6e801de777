//! The client against servers that follow a script.
