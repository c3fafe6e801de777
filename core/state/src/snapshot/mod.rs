//! The stored form of the whole state.
