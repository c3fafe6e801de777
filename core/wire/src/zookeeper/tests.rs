//! The codec against itself, against damage, and against captured bytes.

mod captured;
mod damage;
mod round_trip;
