//! `wchs`, `wchc` and `wchp`: lists of watches. As in ZooKeeper, pure child
//! watches are not included.
//!
//! There can be millions, on paths of any length. They are read a few at a
//! time, so that writes and new watches are not delayed, and streamed at the
//! speed of the client.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::lines::Lines;
use crate::node::ConnectionId;
use crate::server::zookeeper::server_context::ServerContext;

/// How many.
pub(crate) fn count(text: &mut Lines, shared: &ServerContext) {
    let watches = shared.node.znode_watches().data_summary();
    let (connections, paths) = (watches.connections, watches.paths);
    text.line(format_args!("{connections} connections watching {paths} paths"));
    text.line(format_args!("Total watches:{}", watches.watches));
    text.line(format_args!(""));
}

/// Takes the text piece by piece; an error ends it.
pub(crate) trait Taker {
    /// Returns once there is room for more.
    async fn take(&mut self, text: &str) -> io::Result<()>;
}

/// The paths of every session.
pub(crate) async fn by_session(shared: &ServerContext, taker: &mut impl Taker) -> io::Result<()> {
    // One at a time: of millions, pointers alone take much.
    let _turn = shared.watch_listing.lock().await;
    let mut paths_of: BTreeMap<i64, Vec<Arc<str>>> = BTreeMap::new();
    let mut pieces = Pieces::new(shared);
    while let Some(piece) = pieces.next() {
        for (path, sessions) in piece {
            for session in sessions {
                paths_of.entry(session).or_default().push(Arc::clone(&path));
            }
        }
        tokio::task::yield_now().await;
    }
    for (session, mut paths) in paths_of {
        if paths.len() <= SORTED_MAX {
            paths.sort_unstable();
        }
        taker.take(&format!("0x{session:x}\n")).await?;
        for some in paths.chunks(LINES_AT_ONCE) {
            let mut text = Lines::default();
            for path in some {
                text.line(format_args!("\t{path}"));
            }
            taker.take(&text.0).await?;
        }
    }
    taker.take("\n").await
}

/// The sessions of every path.
pub(crate) async fn by_path(shared: &ServerContext, taker: &mut impl Taker) -> io::Result<()> {
    let mut pieces = Pieces::new(shared);
    while let Some(mut piece) = pieces.next() {
        piece.sort_unstable();
        for some in piece.chunks(LINES_AT_ONCE) {
            let mut text = Lines::default();
            for (path, sessions) in some {
                text.line(format_args!("{path}"));
                for session in sessions {
                    text.line(format_args!("\t0x{session:x}"));
                }
            }
            taker.take(&text.0).await?;
        }
    }
    taker.take("\n").await
}

/// A few lines can have a few megabytes.
const LINES_AT_ONCE: usize = 16;
/// Longer lists come as they are: sorting would hold others up.
const SORTED_MAX: usize = 10_000;
/// Text that a page shows at most.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Paths and sessions for a page, in order, and whether there are more than a
/// page shows.
pub(super) fn some(shared: &ServerContext) -> (BTreeMap<Arc<str>, Vec<i64>>, bool) {
    let mut found = BTreeMap::new();
    let mut bytes = 0;
    let mut pieces = Pieces::new(shared);
    while let Some(piece) = pieces.next() {
        for (path, sessions) in piece {
            // As the longer of the two pages shows it.
            bytes += sessions.len() * (path.len() + 24) + path.len();
            if bytes > PAGE_BYTES_MAX {
                return (found, true);
            }
            found.insert(path, sessions);
        }
    }
    (found, false)
}

/// Paths, and the sessions that watch them.
type Watches = Vec<(Arc<str>, Vec<i64>)>;

/// The data table, piece by piece, with sessions instead of connections.
struct Pieces<'a> {
    shared: &'a ServerContext,
    sessions: HashMap<ConnectionId, i64>,
    place: Option<usize>,
}

impl<'a> Pieces<'a> {
    fn new(shared: &'a ServerContext) -> Self {
        let connections = shared.connections().into_iter();
        let sessions = connections.map(|client| (client.id, client.stats.session.load(Relaxed)));
        Self { shared, sessions: sessions.collect(), place: Some(0) }
    }

    fn next(&mut self) -> Option<Watches> {
        let (found, place) = self.shared.node.znode_watches().data_watches(self.place?);
        self.place = place;
        let session = |connection: ConnectionId| self.sessions.get(&connection).copied();
        let known = |connections: Vec<_>| {
            let mut sessions: Vec<i64> = connections.into_iter().filter_map(session).collect();
            sessions.sort_unstable();
            sessions.dedup();
            sessions
        };
        Some(found.into_iter().map(|(path, connections)| (path, known(connections))).collect())
    }
}
