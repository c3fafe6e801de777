//! The points, their weights, and what they add up to.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

/// Every point there is for servers without access rules, tested or not.
const POINTS: &[(&str, u32)] = &[
    ("H-01", 3),
    ("H-02", 2),
    ("H-03", 2),
    ("H-04", 2),
    ("H-05", 1),
    ("H-06", 2),
    ("H-07", 2),
    ("H-08", 2),
    ("H-09", 3),
    ("H-10", 2),
    ("H-11", 2),
    ("H-12", 1),
    ("H-13", 2),
    ("H-14", 3),
    ("H-15", 2),
    ("H-16", 1),
    ("B-01", 3),
    ("B-02", 3),
    ("B-03", 3),
    ("B-04", 3),
    ("B-05", 3),
    ("B-06", 2),
    ("B-07", 3),
    ("B-08", 2),
    ("B-09", 3),
    ("B-10", 2),
    ("B-11", 2),
    ("B-12", 1),
    ("B-13", 2),
    ("B-14", 2),
    ("B-15", 2),
    ("K-01", 3),
    ("K-02", 3),
    ("K-03", 3),
    ("K-04", 3),
    ("K-05", 2),
    ("K-06", 3),
    ("K-07", 2),
    ("K-08", 3),
    ("K-09", 2),
    ("K-10", 2),
    ("K-11", 2),
    ("K-12", 1),
    ("K-13", 3),
    ("K-14", 3),
    ("K-15", 3),
    ("K-16", 3),
    ("K-17", 2),
    ("K-18", 2),
    ("K-19", 1),
    ("S-01", 3),
    ("S-02", 3),
    ("S-03", 3),
    ("S-04", 3),
    ("S-05", 3),
    ("S-06", 3),
    ("S-07", 3),
    ("S-08", 3),
    ("S-09", 2),
    ("S-10", 2),
    ("S-11", 2),
    ("A-01", 3),
    ("A-02", 3),
    ("A-03", 3),
    ("A-04", 3),
    ("A-05", 3),
    ("A-06", 2),
    ("A-07", 2),
    ("A-08", 3),
    ("A-09", 2),
    ("A-10", 2),
    ("A-11", 2),
    ("A-12", 3),
    ("A-13", 2),
    ("A-14", 3),
    ("A-15", 2),
    ("A-16", 3),
    ("A-17", 2),
    ("A-18", 2),
    ("A-19", 2),
    ("A-20", 3),
    ("A-21", 2),
    ("A-22", 1),
    ("A-23", 2),
    ("D-01", 3),
    ("D-02", 3),
    ("D-03", 3),
    ("D-04", 2),
    ("D-05", 2),
    ("D-06", 2),
    ("D-07", 2),
    ("D-08", 2),
    ("D-09", 1),
    ("O-01", 3),
    ("O-02", 2),
    ("O-03", 2),
    ("O-04", 2),
    ("O-06", 2),
    ("O-07", 2),
];

/// Points without a test, and why. They count as missed.
const NOT_TESTED: &[(&str, &str)] = &[];

static RUN: Mutex<BTreeMap<&'static str, bool>> = Mutex::new(BTreeMap::new());

/// One point under test. Counts as failed unless it is reached.
pub(crate) struct Point {
    id: &'static str,
}

impl Point {
    pub(crate) fn of(id: &'static str) -> Self {
        assert!(POINTS.iter().any(|(known, _)| *known == id), "{id} has no weight");
        assert!(NOT_TESTED.iter().all(|(other, _)| *other != id), "{id} is tested after all");
        Self { id }
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
        run.insert(self.id, !std::thread::panicking());
        if run.len() < POINTS.len() - NOT_TESTED.len() {
            return;
        }
        let all: u32 = POINTS.iter().map(|(_, weight)| weight).sum();
        let passed = POINTS.iter().filter(|(id, _)| run.get(id) == Some(&true));
        let reached: u32 = passed.map(|(_, weight)| weight).sum();
        let missed: Vec<_> =
            run.iter().filter(|(_, passed)| !**passed).map(|(id, _)| *id).collect();
        let not_tested: Vec<_> = NOT_TESTED.iter().map(|(id, _)| *id).collect();
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(
            std::io::stderr(),
            "\nscore: {reached} of {all} ({} points, missed: {missed:?}, not tested: {not_tested:?})",
            POINTS.len()
        );
    }
}
