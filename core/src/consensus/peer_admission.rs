//! Limits peer connections that have not completed the handshake.
//!
//! Anyone can open one, so they have a small limit, separate from that of
//! members, and a short timeout. At the limit, the oldest connection of the
//! address that has most of them is closed: an address that opens many loses
//! its own, while a member at another address keeps its connection for the two
//! round trips that it needs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use crate::sync::{Mutex, MutexGuard};

/// Of all places, what one address may hold (D5).
const PER_ADDRESS_DIVISOR: usize = 4;

/// The places of such connections.
#[derive(Debug)]
pub(super) struct Admission {
    places_max: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// In the order in which they were taken.
    taken: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
}

/// A place of one connection; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    number: u64,
    /// Ends when somebody else gets the place.
    lost: oneshot::Receiver<()>,
}

impl Admission {
    pub(super) fn new(places_max: usize) -> Arc<Self> {
        Arc::new(Self { places_max: places_max.max(1), places: Mutex::default() })
    }

    /// Takes a place, somebody else's if need be.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let mut places = self.places();
        let per_address_max = (self.places_max / PER_ADDRESS_DIVISOR).max(1);
        if places.held_by(address) >= per_address_max {
            places.close_oldest_of(address);
        } else if places.taken.len() >= self.places_max
            && let Some(most) = places.who_holds_most()
        {
            places.close_oldest_of(most);
        }
        let (keep, lost) = oneshot::channel();
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, (address, keep));
        Place { admission: Arc::clone(self), number, lost }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn held_by(&self, address: IpAddr) -> usize {
        self.taken.values().filter(|(holder, _)| *holder == address).count()
    }

    fn who_holds_most(&self) -> Option<IpAddr> {
        let mut held = BTreeMap::<IpAddr, usize>::new();
        for (holder, _) in self.taken.values() {
            *held.entry(*holder).or_default() += 1;
        }
        held.into_iter().max_by_key(|(_, count)| *count).map(|(holder, _)| holder)
    }

    fn close_oldest_of(&mut self, address: IpAddr) {
        let oldest = self.taken.iter().find(|(_, (holder, _))| *holder == address);
        if let Some(number) = oldest.map(|(number, _)| *number) {
            // Dropping the sender tells whoever holds the place.
            self.taken.remove(&number);
        }
    }
}

impl Place {
    /// Waits until the place is somebody else's.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.places().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn at(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_lost(place: &mut Place) -> bool {
        place.lost().now_or_never().is_some()
    }

    #[test]
    fn an_address_that_takes_too_many_loses_its_own_oldest() {
        let admission = Admission::new(40);
        let mut member = admission.enter(at(1));
        let mut flood: Vec<Place> = (0..1000).map(|_| admission.enter(at(9))).collect();
        assert!(!is_lost(&mut member));
        let kept: Vec<bool> = flood.iter_mut().map(|place| !is_lost(place)).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 10);
        assert!(kept[990..].iter().all(|kept| *kept), "the newest");
    }

    #[test]
    fn many_addresses_take_no_place_of_one_that_holds_few() {
        let admission = Admission::new(40);
        let mut member = admission.enter(at(1));
        let mut flood: Vec<Place> =
            (0..50).flat_map(|_| (100..120).map(|last| admission.enter(at(last)))).collect();
        assert!(!is_lost(&mut member));
        assert_eq!(flood.iter_mut().map(is_lost).filter(|lost| !lost).count(), 39);
        // One that writes itself as of the other version is the same address.
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        let _others: Vec<Place> = (0..10).map(|_| admission.enter(mapped)).collect();
        assert!(is_lost(&mut member));
    }

    #[test]
    fn a_place_that_was_left_is_free() {
        let admission = Admission::new(4);
        for _ in 0..100 {
            let mut place = admission.enter(at(1));
            assert!(!is_lost(&mut place));
        }
        assert_eq!(admission.places().taken.len(), 0);
    }
}
