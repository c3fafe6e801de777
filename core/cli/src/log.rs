//! The log of the command: to standard error, and to clients that stream it
//! over HTTP.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use coord_core::server::{LogFeed, LogLine};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::outlet::standard_error;

/// Installs the logger. The feed is for the members that are started. Neither
/// ever waits for a reader.
pub(crate) fn start() -> Arc<LogFeed> {
    let filter = EnvFilter::try_from_env("COORD_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=error"));
    let stderr = standard_error().map(|outlet| {
        tracing_subscriber::fmt::layer().with_writer(outlet.clone()).with_filter(filter)
    });
    let feed = Arc::new(LogFeed::default());
    let followed = FeedLayer(Arc::clone(&feed)).with_filter(Followed(Arc::clone(&feed)));
    tracing_subscriber::registry().with(stderr).with(followed).init();
    feed
}

/// Lets through what somebody follows, and costs nothing while nobody does: the
/// feed has the answers asked for again whenever they change.
struct Followed(Arc<LogFeed>);

impl<S: Subscriber> Filter<S> for Followed {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= self.0.level()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.0.level() { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }
}

struct FeedLayer(Arc<LogFeed>);

impl<S: Subscriber> Layer<S> for FeedLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let mut timestamp = String::new();
        // A clock that cannot be printed leaves the line without a time.
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        let module = event.metadata().target().rsplit("::").next().unwrap_or_default();
        self.0.publish(&LogLine {
            timestamp: &timestamp,
            level: *event.metadata().level(),
            module,
            message: &said.message,
            fields: &said.fields,
        });
    }
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), text));
        }
    }
}
