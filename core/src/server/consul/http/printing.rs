//! List responses: records are taken under the state's lock, and filtered and
//! printed outside of it.
//!
//! ```text
//! node.read: take records (shared, not copied) ---+
//!                                                 v
//!             on the spot, up to AT_ONCE_* steps and rows --> answer
//!                                                 | more than that
//!             wait for a turn, take them anew, on a thread of its own:
//!                 up to limits.filter_steps_max steps     --> answer, or 400
//! ```
//!
//! So lists and filters never delay the application of writes, expensive ones
//! do not delay other requests, and they stop when the client disconnects. A
//! request that waits for its turn holds no records, and the number of turns
//! for filters per address is limited: [`Turns`]. A turn ends when the response
//! is counted in its connection's memory: so a hundred clients that request
//! long responses and read none use no more than their budget and a few
//! responses being built.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use coord_wire::consul::filter::{Ended, Filter, Work};
use coord_wire::consul::json;
use hyper::StatusCode;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::call::Call;
use super::error_map::HttpError;
use super::kept::Kept;
use crate::server::consul::ConsulApi;
use crate::sync::Mutex;

/// What is done on the spot: about a millisecond.
const AT_ONCE_STEPS: u64 = 50_000;
const AT_ONCE_ROWS: u64 = 2000;
/// The same for answers whose length is known beforehand.
pub(crate) const BYTES_PRINTED_HERE_MAX: usize = 1 << 20;
/// Long lists that are printed at once; more wait.
const LISTS_MAX: usize = 4;
/// Costly filters of one address that wait for a turn or have it.
const TURNS_PER_ADDRESS_MAX: usize = 16;
/// The same of all addresses together.
const TURNS_MAX: usize = 1024;

impl ConsulApi {
    /// Prints what was taken. `again` takes it anew, with the index it is of.
    /// `print` need not be whole once its work has ended.
    pub(crate) async fn printed<T: Send + 'static>(
        &self,
        call: &Call,
        taken: T,
        again: impl FnOnce() -> (u64, T),
        print: impl Fn(&T, &Work) -> Vec<u8> + Send + 'static,
    ) -> Result<(Option<u64>, Vec<u8>), HttpError> {
        let work = Work::new(AT_ONCE_STEPS, AT_ONCE_ROWS);
        let bytes = print(&taken, &work);
        if work.ended().is_none() {
            return Ok((None, bytes));
        }
        drop((taken, bytes));
        let filtered = call.params.nonempty("filter").is_some();
        let steps_max = self.node.settings().limits.filter_steps_max;
        let wanted = Wanted::default();
        let work = Work::new(steps_max, u64::MAX).unless(Arc::clone(&wanted.0));
        let mut index = None;
        let take = || {
            let (later, taken) = again();
            index = Some(later);
            Ok(taken)
        };
        let print = move |taken| {
            let bytes = print(&taken, &work);
            work.ended().map_or(Ok(bytes), |ended| Err(too_costly(ended, steps_max)))
        };
        let bytes = self.printed_in_turn(call, filtered, take, print).await?;
        Ok((index, bytes))
    }

    /// Prints a long answer when it has its turn, on a thread of its own. `take`
    /// takes what is printed, and may reserve room for it ([`reserve`]).
    pub(crate) async fn printed_in_turn<T: Send + 'static>(
        &self,
        call: &Call,
        filtered: bool,
        take: impl FnOnce() -> Result<T, HttpError>,
        print: impl FnOnce(T) -> Result<Vec<u8>, HttpError> + Send + 'static,
    ) -> Result<Vec<u8>, HttpError> {
        let turn = self.turns.wait(call.address(), filtered);
        let turn = tokio::select! {
            turn = turn => turn?,
            () = self.stopped() => return Err(HttpError::internal("server is shutting down")),
        };
        let taken = take()?;
        let kept = Arc::clone(&call.kept);
        let printing = tokio::task::spawn_blocking(move || {
            let bytes = print(taken)?;
            reserve(&kept, bytes.len())?;
            drop(turn);
            Ok(bytes)
        });
        printing.await.unwrap_or_else(|error| Err(HttpError::internal(error.to_string())))
    }
}

/// Reserves room for an answer of about so many bytes, before it is made.
pub(crate) fn reserve(kept: &Kept, bytes: usize) -> Result<(), HttpError> {
    kept.reserve(bytes).map_err(|_| HttpError::answer_too_long())
}

/// What a list is made of: taken records that are printed as a row.
pub(crate) trait Row: Send + 'static {
    /// The row.
    type Printed<'a>: Serialize;

    /// The row, in `datacenter` unless it names another.
    fn printed<'a>(&'a self, datacenter: &'a str) -> Self::Printed<'a>;
}

/// Prints the rows that a filter admits.
pub(crate) fn print_rows<T: Row>(
    call: &Call,
    datacenter: &str,
    filter: Filter,
) -> impl Fn(&Vec<T>, &Work) -> Vec<u8> + Send + use<T> + 'static {
    let (pretty, datacenter) = (call.pretty(), datacenter.to_owned());
    move |rows, work| {
        let rows = rows.iter().take_while(|_| work.row()).map(|taken| taken.printed(&datacenter));
        json::encode_rows(rows.filter(|row| filter.admits(row, work)), pretty)
    }
}

fn too_costly(ended: Ended, steps_max: u64) -> HttpError {
    match ended {
        Ended::Steps => HttpError::bad_request(format!(
            "The filter takes more than {steps_max} steps for this response \
             (limits.filter_steps_max): request fewer rows, nest fewer \"any\" and \"all\", or \
             use simpler regular expressions"
        )),
        Ended::Rows | Ended::Unwanted => HttpError::internal(ended.to_string()),
    }
}

/// Tells a thread that its answer is not waited for any more, once dropped.
#[derive(Default)]
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Who may print a long list or evaluate a costly filter now, and who waits.
#[derive(Debug)]
pub(crate) struct Turns {
    filters: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<Option<IpAddr>, usize>>>,
}

impl Turns {
    /// `processors` is how many threads can run at once; half of them, at
    /// least one, evaluate filters.
    pub(crate) fn new(processors: usize) -> Self {
        Self {
            filters: Arc::new(Semaphore::new((processors / 2).max(1))),
            lists: Arc::new(Semaphore::new(LISTS_MAX)),
            taken: Arc::default(),
        }
    }

    /// Waits for a turn.
    async fn wait(&self, address: Option<IpAddr>, filtered: bool) -> Result<Turn, HttpError> {
        let (place, turns) = match filtered {
            true => (Some(Place::take(Arc::clone(&self.taken), address)?), &self.filters),
            false => (None, &self.lists),
        };
        let permit = Arc::clone(turns).acquire_owned().await;
        let permit = permit.map_err(|_| HttpError::internal("server is shutting down"))?;
        Ok(Turn { _permit: permit, _place: place })
    }
}

/// The right to print, until it is dropped.
#[derive(Debug)]
struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Option<Place>,
}

/// One of the places of an address.
#[derive(Debug)]
struct Place {
    taken: Arc<Mutex<HashMap<Option<IpAddr>, usize>>>,
    address: Option<IpAddr>,
}

impl Place {
    fn take(
        taken: Arc<Mutex<HashMap<Option<IpAddr>, usize>>>,
        address: Option<IpAddr>,
    ) -> Result<Self, HttpError> {
        {
            let mut places = taken.lock().unwrap_or_else(PoisonError::into_inner);
            if places.values().sum::<usize>() >= TURNS_MAX {
                return Err(HttpError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many expensive filters are running: retry later",
                ));
            }
            let own = places.entry(address).or_default();
            if *own >= TURNS_PER_ADDRESS_MAX {
                return Err(HttpError::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    format!(
                        "{TURNS_PER_ADDRESS_MAX} expensive filters are running for this address: \
                         wait for one of them"
                    ),
                ));
            }
            *own += 1;
        }
        Ok(Self { taken, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = places.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                places.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn an_address_has_only_so_many_turns_and_others_have_theirs() {
        let turns = Turns::new(2);
        let places: Vec<_> = (0..TURNS_PER_ADDRESS_MAX)
            .map(|_| Place::take(Arc::clone(&turns.taken), address(1)).unwrap())
            .collect();
        let refused = turns.wait(address(1), true).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(turns.wait(address(2), true).await.unwrap());
        drop(places);
        drop(turns.wait(address(1), true).await.unwrap());
        assert!(turns.taken.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn costly_filters_wait_for_each_other_and_lists_do_not_wait_for_them() {
        let turns = Turns::new(2);
        let first = turns.wait(address(1), true).await.unwrap();
        let mut second = std::pin::pin!(turns.wait(address(2), true));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(turns.wait(address(3), false).await.unwrap());
        drop(first);
        second.await.unwrap();
    }

    #[test]
    fn who_waits_for_an_answer_tells_its_thread_by_leaving() {
        let wanted = Wanted::default();
        let work = Work::new(1, 1).unless(Arc::clone(&wanted.0));
        drop(wanted);
        assert!(!work.row());
        assert_eq!(work.ended(), Some(Ended::Unwanted));
    }
}
