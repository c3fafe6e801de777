//! The memory budget for the clients of one front end.
//!
//! The usage of a connection is the sum of its buffers: requests received but
//! not finished, unread replies, what it waits for. Each connection reports its
//! sum through its [`Share`]; the budget adds them up, per origin and in total.
//! While everything fits, a share only updates counters.
//!
//! Beyond the budget, the connection that uses most, of the origin that uses
//! most, is evicted. Its bytes no longer count from then on; it learns of it
//! from [`Share::evicted`] or its next [`Share::hold`] and closes. So a client
//! that uses little continues even if a client at the same address floods the
//! member.
//!
//! An origin is an IPv4 address, or the first 64 bits of an IPv6 address, since
//! the owner of one address of such a network usually has them all.
//!
//! Invariants:
//! 1. What is counted is the sum over the shares that are neither dropped nor
//!    evicted, except while one of them changes.
//! 2. Sums are rounded down to whole grains, so that a connection with small
//!    requests and replies never writes to shared counters.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use crate::sync::{Mutex, MutexGuard};

/// Bytes are counted in multiples of this.
const GRAIN: usize = 4 << 10;

/// The bytes of one front end.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    total_max: usize,
    per_origin_max: usize,
    /// Signed, like those of an origin: of two changes at once the smaller sum
    /// may be seen first.
    total: AtomicIsize,
    evictions: AtomicU64,
    next_share: AtomicU64,
    origins: Mutex<HashMap<IpAddr, Arc<Origin>>>,
}

/// The connections of one origin.
#[derive(Debug, Default)]
struct Origin {
    bytes: AtomicIsize,
    shares: Mutex<HashMap<u64, Arc<Kept>>>,
}

/// What one connection keeps.
#[derive(Debug, Default)]
struct Kept {
    bytes: AtomicIsize,
    evicted: AtomicBool,
    wake: Notify,
}

/// One connection's part of a budget, given back when it is dropped.
pub(crate) struct Share {
    budget: Arc<ByteBudget>,
    number: u64,
    address: IpAddr,
    origin: Arc<Origin>,
    kept: Arc<Kept>,
}

/// The connection has to close: it kept most when there was no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evicted;

impl ByteBudget {
    /// A budget of `total_max` bytes for all origins together and
    /// `per_origin_max` for each.
    pub(crate) fn new(total_max: usize, per_origin_max: usize) -> Arc<Self> {
        Arc::new(Self {
            total_max,
            per_origin_max,
            total: AtomicIsize::new(0),
            evictions: AtomicU64::new(0),
            next_share: AtomicU64::new(0),
            origins: Mutex::default(),
        })
    }

    /// A share for a connection from `address`, which keeps nothing yet.
    pub(crate) fn share(self: &Arc<Self>, address: IpAddr) -> Share {
        let address = origin_of(address);
        let number = self.next_share.fetch_add(1, Ordering::Relaxed);
        let kept = Arc::new(Kept::default());
        let mut origins = self.origins();
        let origin = Arc::clone(origins.entry(address).or_default());
        origin.shares().insert(number, Arc::clone(&kept));
        drop(origins);
        Share { budget: Arc::clone(self), number, address, origin, kept }
    }

    /// Bytes kept for all clients.
    pub(crate) fn used(&self) -> usize {
        read(&self.total)
    }

    /// Connections that had to close for it, since the start.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn fits(&self, origin: &Origin) -> bool {
        self.used() <= self.total_max && origin.used() <= self.per_origin_max
    }

    /// Evicts until everything fits again.
    fn make_room(&self, grown: &Origin) {
        let origins = self.origins();
        while grown.used() > self.per_origin_max && self.evict_from(grown) {}
        while self.used() > self.total_max {
            let largest = origins.values().max_by_key(|origin| origin.used());
            if !largest.is_some_and(|origin| self.evict_from(origin)) {
                break;
            }
        }
    }

    /// Evicts the connection there that keeps most. False if none keeps anything.
    fn evict_from(&self, origin: &Origin) -> bool {
        let shares = origin.shares();
        let live = shares.values().filter(|kept| !kept.evicted.load(Ordering::Acquire));
        let Some(largest) = live.max_by_key(|kept| read(&kept.bytes)) else { return false };
        if read(&largest.bytes) == 0 {
            return false;
        }
        // Counted no longer, whatever its owner tells from now on.
        largest.evicted.store(true, Ordering::Release);
        self.recount(origin, largest, 0);
        self.evictions.fetch_add(1, Ordering::Relaxed);
        largest.wake.notify_one();
        true
    }

    /// Whoever changes a sum adds exactly what the change made of it, so that
    /// changes at once add up, whichever comes first.
    fn recount(&self, origin: &Origin, kept: &Kept, bytes: usize) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        let grown = bytes - kept.bytes.swap(bytes, Ordering::AcqRel);
        origin.bytes.fetch_add(grown, Ordering::AcqRel);
        self.total.fetch_add(grown, Ordering::AcqRel);
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Origin>>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    fn used(&self) -> usize {
        read(&self.bytes)
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<u64, Arc<Kept>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Tells that the connection keeps `bytes` now, whatever it kept before. If
    /// that is too much, room is made: by whoever keeps most, which may be
    /// this one.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Evicted> {
        let bytes = bytes - bytes % GRAIN;
        let before = read(&self.kept.bytes);
        if self.is_evicted() {
            return Err(Evicted);
        }
        if bytes == before {
            return Ok(());
        }
        self.budget.recount(&self.origin, &self.kept, bytes);
        if bytes > before && !self.budget.fits(&self.origin) {
            self.budget.make_room(&self.origin);
        }
        self.unless_evicted_meanwhile()
    }

    /// What was told while another connection evicted this one counts no more.
    fn unless_evicted_meanwhile(&self) -> Result<(), Evicted> {
        if self.is_evicted() {
            self.budget.recount(&self.origin, &self.kept, 0);
            return Err(Evicted);
        }
        Ok(())
    }

    /// Whether so much is kept that nothing should be taken in which can wait
    /// where it is.
    pub(crate) fn is_pressed(&self) -> bool {
        let ByteBudget { total_max, per_origin_max, .. } = *self.budget;
        self.budget.used() > total_max / 4 * 3 || self.origin.used() > per_origin_max / 4 * 3
    }

    /// Returns once the connection has to close. Cancel safe.
    pub(crate) async fn evicted(&self) {
        while !self.is_evicted() {
            self.kept.wake.notified().await;
        }
    }

    fn is_evicted(&self) -> bool {
        self.kept.evicted.load(Ordering::Acquire)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut origins = self.budget.origins();
        let mut shares = self.origin.shares();
        shares.remove(&self.number);
        if shares.is_empty() {
            origins.remove(&self.address);
        }
        self.budget.recount(&self.origin, &self.kept, 0);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Share")
            .field("address", &self.address)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

fn read(sum: &AtomicIsize) -> usize {
    usize::try_from(sum.load(Ordering::Acquire)).unwrap_or(0)
}

/// What shares a limit with `address`.
fn origin_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

    fn grains(count: usize) -> usize {
        count * GRAIN
    }

    #[test]
    fn what_is_kept_counts_until_it_is_given_back() {
        let budget = ByteBudget::new(grains(100), grains(100));
        let (one, other) = (budget.share(HERE), budget.share(THERE));
        one.hold(grains(3)).unwrap();
        other.hold(grains(4) + 17).unwrap();
        assert_eq!(budget.used(), grains(7));
        one.hold(grains(1)).unwrap();
        assert_eq!(budget.used(), grains(5));
        drop(other);
        assert_eq!(budget.used(), grains(1));
        drop(one);
        assert_eq!((budget.used(), budget.evictions()), (0, 0));
        assert!(budget.origins().is_empty());
    }

    #[test]
    fn an_address_that_keeps_too_much_loses_its_largest_connection_and_no_other() {
        let budget = ByteBudget::new(grains(1000), grains(100));
        let small = budget.share(HERE);
        let large = budget.share(HERE);
        let elsewhere = budget.share(THERE);
        elsewhere.hold(grains(99)).unwrap();
        large.hold(grains(90)).unwrap();
        small.hold(grains(11)).unwrap();
        assert!(large.is_evicted());
        assert_eq!(budget.used(), grains(99 + 11));
        // Whatever it keeps until it is closed does not count.
        assert_eq!(large.hold(grains(95)), Err(Evicted));
        assert_eq!(budget.used(), grains(99 + 11));
        drop(large);
        assert_eq!(budget.used(), grains(99 + 11));
        assert_eq!((small.hold(grains(12)), elsewhere.hold(grains(100))), (Ok(()), Ok(())));
    }

    #[test]
    fn a_connection_that_alone_keeps_too_much_is_the_one_to_go() {
        let budget = ByteBudget::new(grains(1000), grains(100));
        let small = budget.share(HERE);
        small.hold(grains(50)).unwrap();
        let large = budget.share(HERE);
        assert_eq!(large.hold(grains(101)), Err(Evicted));
        assert_eq!(small.hold(grains(50)), Ok(()));
    }

    #[test]
    fn when_all_together_keep_too_much_the_address_that_keeps_most_loses_a_connection() {
        let budget = ByteBudget::new(grains(150), grains(100));
        let many: Vec<Share> = (0..9).map(|_| budget.share(HERE)).collect();
        for share in &many {
            share.hold(grains(10)).unwrap();
        }
        let one = budget.share(THERE);
        // Larger than any of the others, but its address keeps less.
        one.hold(grains(61)).unwrap();
        assert_eq!(many.iter().filter(|share| share.is_evicted()).count(), 1);
        assert_eq!(budget.used(), grains(80 + 61));
    }

    #[test]
    fn who_keeps_three_quarters_is_pressed_until_some_is_given_back() {
        let budget = ByteBudget::new(grains(1000), grains(100));
        let (one, other) = (budget.share(HERE), budget.share(HERE));
        one.hold(grains(76)).unwrap();
        assert!(other.is_pressed());
        one.hold(grains(75)).unwrap();
        assert!(!other.is_pressed());
    }

    #[tokio::test]
    async fn who_is_evicted_is_woken() {
        let budget = ByteBudget::new(grains(1000), grains(100));
        let large = budget.share(HERE);
        large.hold(grains(90)).unwrap();
        let waiting = tokio::spawn(async move { large.evicted().await });
        tokio::task::yield_now().await;
        budget.share(HERE).hold(grains(20)).unwrap();
        waiting.await.unwrap();
    }

    #[test]
    fn shares_that_change_at_once_add_up() {
        let budget = ByteBudget::new(grains(64), grains(64));
        let largest = budget.share(HERE);
        largest.hold(grains(64)).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let budget = &budget;
                scope.spawn(move || {
                    for round in 0..2000 {
                        let share = budget.share(HERE);
                        let _ = share.hold(grains(1 + (round * 7 + thread) % 40));
                        let _ = share.hold(grains(round % 30));
                    }
                });
            }
        });
        assert!(largest.is_evicted());
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_origin() {
        let origin = |text: &str| origin_of(text.parse().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.7"), THERE);
    }
}
