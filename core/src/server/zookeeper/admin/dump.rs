//! The four-letter word `dump`: sessions by expiry time, their ephemerals, and
//! connections by the time at which they would be closed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::lines::{Lines, peer_text};
use crate::clock::utc;
use crate::server::zookeeper::server_context::ServerContext;

/// Only the leader knows when sessions end; others list them with their timeouts.
pub(super) fn dump(text: &mut Lines, shared: &ServerContext) {
    let tick_ms = u64::from(shared.node.settings().session.tick_ms);
    let wall_ms = shared.node.clock().wall_ms();
    let at = |left: Duration| {
        let ms = wall_ms.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        ms.div_ceil(tick_ms).saturating_mul(tick_ms)
    };
    text.line(format_args!("SessionTracker dump:"));
    match shared.node.session_time_left() {
        Some(sessions) => {
            let ends = sessions.into_iter().map(|(session, left)| (at(left), session));
            sets(text, "Session Sets", ends.collect());
        }
        None => global_sessions(text, shared),
    }
    ephemerals(text, shared);
    text.line(format_args!("Connections dump:"));
    let now = shared.node.clock().monotonic();
    let ends = shared.connections().into_iter().map(|client| {
        let heard = Duration::from_millis(client.stats.last_response_ms.load(Relaxed));
        let timeout = Duration::from_millis(client.stats.timeout_ms.load(Relaxed));
        let session = client.stats.session.load(Relaxed);
        let line = format!("ip: {} sessionId: 0x{session:x}", peer_text(&client));
        (at((heard + timeout).saturating_sub(now)), line)
    });
    sets(text, "Connections Sets", ends.collect());
}

fn sets(text: &mut Lines, name: &str, ends: Vec<(u64, impl Display)>) {
    let total = ends.len();
    let mut by_end: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for (end_ms, what) in ends {
        by_end.entry(end_ms).or_default().push(what);
    }
    text.line(format_args!("{name} ({})/({total}):", by_end.len()));
    for (end_ms, set) in by_end {
        text.line(format_args!("{} expire at {}:", set.len(), date(end_ms)));
        for what in set {
            text.line(format_args!("\t{what}"));
        }
    }
}

fn global_sessions(text: &mut Lines, shared: &ServerContext) {
    let sessions: Vec<_> = shared.node.read(|state| {
        state.sessions().iter().map(|(id, session)| (id, session.timeout_ms)).collect()
    });
    text.line(format_args!("Global Sessions({}):", sessions.len()));
    for (session, timeout_ms) in sessions {
        text.line(format_args!("{session}\t{timeout_ms}ms"));
    }
}

fn ephemerals(text: &mut Lines, shared: &ServerContext) {
    let owners: Vec<(_, Vec<_>)> = shared.node.read(|state| {
        state
            .sessions()
            .iter()
            .filter(|(_, session)| !session.ephemerals.is_empty())
            .map(|(id, session)| (id, session.ephemerals.iter().cloned().collect()))
            .collect()
    });
    text.line(format_args!("ephemeral nodes dump:"));
    text.line(format_args!("Sessions with Ephemerals ({}):", owners.len()));
    for (session, paths) in owners {
        text.line(format_args!("{session}:"));
        for path in paths {
            text.line(format_args!("\t{path}"));
        }
    }
}

/// As Java writes a date: `Thu Jan 01 00:00:00 UTC 1970`.
fn date(ms: u64) -> String {
    utc(ms).format("%a %b %d %H:%M:%S UTC %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_java_does() {
        for (seconds, written) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_400, "Tue Feb 29 00:00:00 UTC 2000"),
            (1_709_251_199, "Thu Feb 29 23:59:59 UTC 2024"),
            (1_767_225_600, "Thu Jan 01 00:00:00 UTC 2026"),
            (4_107_542_400, "Mon Mar 01 00:00:00 UTC 2100"),
        ] {
            assert_eq!(date(seconds * 1000), written);
        }
    }

    #[test]
    fn what_ends_together_stands_together() {
        let mut text = Lines::default();
        sets(&mut text, "Session Sets", vec![(2000, "0x1"), (0, "0x2"), (2000, "0x3")]);
        let expected = "Session Sets (2)/(3):\n\
            1 expire at Thu Jan 01 00:00:00 UTC 1970:\n\t0x2\n\
            2 expire at Thu Jan 01 00:00:02 UTC 1970:\n\t0x1\n\t0x3\n";
        assert_eq!(text.0, expected);
    }
}
