//! Monitoring and administration: four-letter words, the AdminServer's commands and the
//! Prometheus page. Read-only, except for the commands that reset counters.

mod dump;
pub(super) mod four_letter;
mod lines;
pub(super) mod pages;
mod state_pages;
pub(super) mod watch_words;
pub(super) mod whitelist;
