//! The limit of TCP connections, and which one is closed at the limit.
//!
//! A client may keep its connection for further queries, but not at the cost of
//! others: at the limit, the longest idle connection of the address with the
//! most connections is closed. One address may only use a part of the limit,
//! and then replaces its own connections. A connection whose query is being
//! answered is never closed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use crate::sync::{Mutex, MutexGuard};

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    places_max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Grows with everything that happens here: numbers connections, and tells
    /// who has been idle longer.
    turn: u64,
    by_number: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    /// Since which turn, if it waits for a question.
    idle_since: Option<u64>,
    leaves: Arc<Notify>,
}

impl Places {
    pub(super) fn new(places_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { places_max, per_address_max, taken: Mutex::default() })
    }

    /// A place for a connection from `address`, if there is one or somebody
    /// idle gives way.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut taken = self.taken();
        let own = taken.of(address);
        if own >= self.per_address_max {
            taken.dismiss_longest_idle(|connection| connection.address == address)?;
        } else if taken.by_number.len() >= self.places_max {
            let most = taken.most_of_one_idle_address()?;
            if most < own {
                return None;
            }
            let of_most: Vec<IpAddr> = taken.addresses_with(most);
            taken.dismiss_longest_idle(|connection| of_most.contains(&connection.address))?;
        }
        let number = taken.next_turn();
        let leaves = Arc::new(Notify::new());
        let connection =
            Connection { address, idle_since: Some(number), leaves: Arc::clone(&leaves) };
        taken.by_number.insert(number, connection);
        drop(taken);
        Some(Place { places: Arc::clone(self), number, leaves })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn of(&self, address: IpAddr) -> usize {
        self.by_number.values().filter(|connection| connection.address == address).count()
    }

    fn counts(&self) -> BTreeMap<IpAddr, (usize, bool)> {
        let mut counts: BTreeMap<IpAddr, (usize, bool)> = BTreeMap::new();
        for connection in self.by_number.values() {
            let (count, any_idle) = counts.entry(connection.address).or_default();
            *count += 1;
            *any_idle |= connection.idle_since.is_some();
        }
        counts
    }

    /// How many the address has that has most, of those with an idle one.
    fn most_of_one_idle_address(&self) -> Option<usize> {
        let counts = self.counts().into_values();
        counts.filter(|(_, any_idle)| *any_idle).map(|(count, _)| count).max()
    }

    fn addresses_with(&self, count: usize) -> Vec<IpAddr> {
        let counts = self.counts().into_iter();
        counts.filter(|(_, (own, _))| *own == count).map(|(address, _)| address).collect()
    }

    /// `None` if none of them is idle.
    fn dismiss_longest_idle(&mut self, of: impl Fn(&Connection) -> bool) -> Option<()> {
        let idle = self.by_number.iter().filter(|(_, connection)| of(connection));
        let idle = idle.filter_map(|(number, found)| Some((found.idle_since?, *number)));
        let (_, number) = idle.min()?;
        let dismissed = self.by_number.remove(&number)?;
        dismissed.leaves.notify_one();
        Some(())
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    leaves: Arc<Notify>,
}

impl Place {
    /// Waits until somebody else needs the place.
    pub(super) async fn dismissed(&self) {
        self.leaves.notified().await;
    }

    /// A question is being answered, or the next one is waited for.
    pub(super) fn set_idle(&self, idle: bool) {
        let mut taken = self.places.taken();
        let turn = taken.next_turn();
        if let Some(own) = taken.by_number.get_mut(&self.number) {
            own.idle_since = idle.then_some(turn);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().by_number.remove(&self.number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn is_dismissed(place: &Place) -> bool {
        place.dismissed().now_or_never().is_some()
    }

    #[test]
    fn when_all_places_are_taken_the_longest_idle_one_of_the_greediest_leaves() {
        let places = Places::new(5, 4);
        let other = places.enter(address(1)).unwrap();
        let greedy: Vec<_> = (0..4).map(|_| places.enter(address(2)).unwrap()).collect();
        greedy[0].set_idle(false);
        greedy[0].set_idle(true);
        let newcomer = places.enter(address(3)).unwrap();
        let dismissed: Vec<bool> = greedy.iter().map(is_dismissed).collect();
        assert_eq!(dismissed, [false, true, false, false]);
        assert!(!is_dismissed(&other) && !is_dismissed(&newcomer));
    }

    #[test]
    fn an_address_makes_room_among_its_own() {
        let places = Places::new(100, 2);
        let other = places.enter(address(1)).unwrap();
        let first = places.enter(address(2)).unwrap();
        let second = places.enter("::ffff:192.0.2.2".parse().unwrap()).unwrap();
        let _third = places.enter(address(2)).unwrap();
        assert!(is_dismissed(&first) && !is_dismissed(&second) && !is_dismissed(&other));
    }

    #[test]
    fn nobody_leaves_while_a_question_is_being_answered() {
        let places = Places::new(2, 2);
        let (first, second) =
            (places.enter(address(1)).unwrap(), places.enter(address(2)).unwrap());
        first.set_idle(false);
        second.set_idle(false);
        assert!(places.enter(address(3)).is_none());
        second.set_idle(true);
        let third = places.enter(address(3)).unwrap();
        assert!(is_dismissed(&second) && !is_dismissed(&first));
        drop((first, third));
        assert_eq!(places.taken().by_number.len(), 0);
    }
}
