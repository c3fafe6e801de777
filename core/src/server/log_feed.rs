//! The log of the program, for clients that stream it over HTTP.
//!
//! ```text
//! the program's subscriber --publish--> LogFeed --lines--> listeners, each with a bound
//! ```
//!
//! The library installs no logger. A program that does can publish to a feed,
//! and pass it to the members whose API should stream it. Without listeners,
//! [`LogFeed::level`] is off and publishing only reads one number.

use std::fmt::Write as _;
use std::io;
use std::sync::PoisonError;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::sync::{Mutex, MutexGuard};

/// Lines on their way to one listener. What comes while it is full is dropped
/// and counted, and the next line that fits says how many.
const LINES_MAX: usize = 512;

/// Hands the lines of a log to whoever listens.
#[derive(Debug, Default)]
pub struct LogFeed {
    listeners: Mutex<Vec<Listener>>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// As RFC 3339 has it.
    pub timestamp: &'a str,
    /// How bad it is.
    pub level: Level,
    /// Who says so.
    pub module: &'a str,
    /// What is said, without its fields.
    pub message: &'a str,
    /// Names and values.
    pub fields: &'a [(&'static str, String)],
}

#[derive(Debug)]
struct Listener {
    level: Level,
    json: bool,
    lines: mpsc::Sender<io::Result<Bytes>>,
    dropped: u64,
}

impl LogFeed {
    /// The most detailed level that anybody listens to.
    pub fn level(&self) -> LevelFilter {
        let listeners = self.listeners();
        let levels = listeners.iter().map(|listener| LevelFilter::from(listener.level));
        levels.max().unwrap_or(LevelFilter::OFF)
    }

    /// Gives a line to those who listen to its level. Never waits.
    pub fn publish(&self, line: &LogLine<'_>) {
        for listener in self.listeners().iter_mut() {
            if line.level <= listener.level {
                listener.take(line);
            }
        }
    }

    /// Lines from now on. Ends with [`Self::unlisten`], or when dropped.
    pub(super) fn listen(&self, level: Level, json: bool) -> mpsc::Receiver<io::Result<Bytes>> {
        let (lines, receiver) = mpsc::channel(LINES_MAX);
        self.listeners().push(Listener { level, json, lines, dropped: 0 });
        // Subscribers asked for our level before: they are to ask again.
        tracing::callsite::rebuild_interest_cache();
        receiver
    }

    /// Forgets those who went.
    pub(super) fn unlisten(&self) {
        self.listeners().retain(|listener| !listener.lines.is_closed());
        tracing::callsite::rebuild_interest_cache();
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    fn take(&mut self, line: &LogLine<'_>) {
        if self.dropped > 0 {
            let message = format!(
                "dropped {} lines: this client did not read them fast enough",
                self.dropped
            );
            let notice = LogLine {
                level: Level::WARN,
                module: "monitor",
                message: &message,
                fields: &[],
                ..*line
            };
            if self.lines.try_send(Ok(self.text(&notice))).is_ok() {
                self.dropped = 0;
            }
        }
        if self.lines.try_send(Ok(self.text(line))).is_err() {
            self.dropped += 1;
        }
    }

    fn text(&self, line: &LogLine<'_>) -> Bytes {
        let mut text = if self.json { line.to_json() } else { line.to_text() };
        text.push('\n');
        text.into()
    }
}

impl LogLine<'_> {
    /// As Consul's agent logs: `2026-01-31T12:00:00.000Z [INFO]  agent: text: a=1`.
    fn to_text(&self) -> String {
        let (level, blanks) = match self.level {
            Level::ERROR => ("ERROR", " "),
            Level::WARN => ("WARN", "  "),
            Level::INFO => ("INFO", "  "),
            Level::DEBUG => ("DEBUG", " "),
            Level::TRACE => ("TRACE", " "),
        };
        let (timestamp, module, message) = (self.timestamp, self.module, self.message);
        let mut text = format!("{timestamp} [{level}]{blanks}{module}: {message}");
        for (number, (name, value)) in self.fields.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{name}={value}", if number == 0 { ": " } else { " " });
        }
        text
    }

    /// As Consul's agent logs with `log_json`.
    fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        let level = self.level.to_string().to_lowercase();
        for (name, value) in [
            ("@level", level.as_str()),
            ("@message", self.message),
            ("@module", self.module),
            ("@timestamp", self.timestamp),
        ] {
            object.insert(name.to_owned(), value.into());
        }
        for (name, value) in self.fields {
            object.insert((*name).to_owned(), value.as_str().into());
        }
        serde_json::Value::Object(object).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(feed: &LogFeed, level: Level, message: &str) {
        feed.publish(&LogLine {
            timestamp: "2026-01-31T12:00:00.000Z",
            level,
            module: "agent",
            message,
            fields: &[("node", "n".to_owned()), ("index", "7".to_owned())],
        });
    }

    fn text(lines: &mut mpsc::Receiver<io::Result<Bytes>>) -> String {
        String::from_utf8(lines.try_recv().unwrap().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_listener_gets_its_level_and_worse_in_its_form() {
        let feed = LogFeed::default();
        assert_eq!(feed.level(), LevelFilter::OFF);
        let mut plain = feed.listen(Level::WARN, false);
        let mut json = feed.listen(Level::DEBUG, true);
        assert_eq!(feed.level(), LevelFilter::DEBUG);
        say(&feed, Level::INFO, "well");
        say(&feed, Level::ERROR, "ill");
        assert_eq!(
            text(&mut plain),
            "2026-01-31T12:00:00.000Z [ERROR] agent: ill: node=n index=7\n"
        );
        assert!(text(&mut json).contains("\"@message\":\"well\""));
        drop(json);
        feed.unlisten();
        assert_eq!(feed.level(), LevelFilter::WARN);
    }

    #[test]
    fn a_slow_listener_is_told_how_much_it_missed() {
        let feed = LogFeed::default();
        let mut lines = feed.listen(Level::INFO, false);
        for _ in 0..LINES_MAX + 3 {
            say(&feed, Level::INFO, "x");
        }
        for _ in 0..2 {
            text(&mut lines);
        }
        say(&feed, Level::INFO, "last");
        for _ in 0..LINES_MAX - 2 {
            text(&mut lines);
        }
        assert!(text(&mut lines).contains("monitor: dropped 3 lines"));
        assert!(text(&mut lines).contains("last"));
    }
}
