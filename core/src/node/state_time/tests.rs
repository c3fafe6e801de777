//! The stopwatch itself, and a member that runs on it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use coord_state::consul::{
    ConsulCommand, ConsulReply, ConsulSessionId, KvOp, NewNode, NewSession, Registration,
    SessionBehavior,
};
use coord_state::znode::{Caller, CreateMode, MultiOp, ZnodeCommand, ZnodeOp};
use coord_state::{Command, Reply};
use tempfile::TempDir;

use super::*;
use crate::clock;
use crate::node::Node;
use crate::settings::Settings;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// What the wall clock shows at moment 0.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// A member that leads from moment 0 on, its wall clock right.
fn leading() -> Stopwatch {
    let mut stopwatch = Stopwatch::new(Duration::ZERO);
    assert_eq!(stopwatch.lead(Duration::ZERO, EPOCH), EPOCH);
    stopwatch
}

fn off(one: Duration, other: Duration) -> Duration {
    one.abs_diff(other)
}

#[test]
fn a_moment_of_wrong_wall_clock_moves_the_time_by_next_to_nothing() {
    for wrong in [EPOCH + HOUR, EPOCH - HOUR, Duration::ZERO, EPOCH * 3] {
        let mut stopwatch = leading();
        stopwatch.lead(SECOND * 60, EPOCH + SECOND * 60);
        stopwatch.lead(SECOND * 61, wrong);
        let right = EPOCH + SECOND * 62;
        assert!(off(stopwatch.lead(SECOND * 62, right), right) <= SECOND / 8);
        // And even that passes.
        let right = EPOCH + SECOND * 72;
        assert_eq!(stopwatch.lead(SECOND * 72, right), right);
    }
}

#[test]
fn with_a_wrong_wall_clock_time_runs_on_at_nearly_its_own_pace() {
    for wrong in [Duration::ZERO, EPOCH * 3] {
        let mut stopwatch = leading();
        for ms in (0..=15_000_u64).step_by(100) {
            stopwatch.lead(Duration::from_millis(ms), wrong);
        }
        let passed = stopwatch.time - EPOCH;
        assert!(passed >= SECOND * 14 && passed <= SECOND * 16, "{passed:?}");
    }
}

#[test]
fn a_clock_that_was_set_is_followed_in_the_end_and_never_backwards() {
    for set in [EPOCH + HOUR, EPOCH - HOUR] {
        let mut stopwatch = leading();
        let mut before = EPOCH;
        for second in 0..=16 * 3600 {
            let passed = SECOND * second;
            let time = stopwatch.lead(passed, set + passed);
            assert!(time >= before);
            before = time;
        }
        assert_eq!(before, set + HOUR * 16);
    }
}

#[test]
fn a_new_leader_goes_on_where_the_last_one_was_whatever_its_clock_says() {
    for wrong in [Duration::ZERO, EPOCH + HOUR] {
        let mut stopwatch = Stopwatch::new(Duration::ZERO);
        stopwatch.told(SECOND * 5, EPOCH);
        assert!(off(stopwatch.lead(SECOND * 7, wrong), EPOCH + SECOND * 2) <= SECOND / 8);
    }
}

#[test]
fn a_leader_that_is_corrected_is_followed_closely() {
    let mut stopwatch = Stopwatch::new(Duration::ZERO);
    for tenth in 0..6000 {
        let told = EPOCH + SECOND / 11 * tenth;
        stopwatch.told(SECOND / 10 * tenth, told);
        assert_eq!(stopwatch.time, told);
    }
}

#[test]
fn what_passed_while_nobody_ran_counts() {
    let mut stopwatch = Stopwatch::new(Duration::ZERO);
    stopwatch.applied(SECOND, EPOCH);
    assert_eq!(stopwatch.lead(SECOND * 2, EPOCH + HOUR), EPOCH + HOUR);
}

#[test]
fn a_state_that_is_ahead_of_the_wall_clock_does_not_make_time_stand_still() {
    // Started with a clock that is behind, applied before or after the first stamp.
    let mut stopwatch = Stopwatch::new(Duration::ZERO);
    stopwatch.lead(Duration::ZERO, EPOCH - HOUR);
    stopwatch.applied(SECOND, EPOCH);
    let later = stopwatch.lead(SECOND * 17, EPOCH - HOUR + SECOND * 17);
    assert!(later >= EPOCH + SECOND * 15, "{later:?}");
    // A leader that has not applied everything yet does not take it back.
    stopwatch.told(SECOND * 18, EPOCH - HOUR);
    assert!(stopwatch.time >= EPOCH);
}
/// A machine whose clocks a test sets.
#[derive(Debug)]
struct SetClock {
    wall_ms: AtomicU64,
    boot_ms: AtomicU64,
}

impl Clock for SetClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.boot_time()
    }

    fn boot_time(&self) -> Duration {
        Duration::from_millis(self.boot_ms.load(Ordering::SeqCst))
    }
}

impl SetClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { wall_ms: AtomicU64::new(ms(EPOCH)), boot_ms: AtomicU64::new(5) })
    }

    fn set_wall(&self, wall: Duration) {
        self.wall_ms.store(ms(wall), Ordering::SeqCst);
    }

    fn pass(&self, time: Duration) {
        self.wall_ms.fetch_add(ms(time), Ordering::SeqCst);
        self.boot_ms.fetch_add(ms(time), Ordering::SeqCst);
    }
}

/// A lone member on such a machine.
struct LoneMember {
    machine: Arc<SetClock>,
    node: Node,
}

impl LoneMember {
    async fn start(machine: &Arc<SetClock>, directory: &TempDir) -> Self {
        let mut settings =
            Settings { data_dir: directory.path().to_owned(), ..Settings::default() };
        settings.session.sweep_interval_ms = 20;
        let settings = settings.validate().unwrap();
        let node = Node::builder(settings).clock(Arc::clone(machine) as _).start().await.unwrap();
        node.wait_ready().await.unwrap();
        Self { machine: Arc::clone(machine), node }
    }

    async fn done(&self, command: Command) -> Reply {
        self.node.propose(&command).await.unwrap().result.unwrap()
    }

    async fn session(&self, id: u128, lock_delay: Duration) -> ConsulSessionId {
        let id = ConsulSessionId(id);
        let session = NewSession {
            id,
            name: "".into(),
            node: "n".into(),
            lock_delay_ns: i64::try_from(lock_delay.as_nanos()).unwrap(),
            behavior: SessionBehavior::Release,
            ttl: "".into(),
            ttl_ms: 0,
            node_checks: vec![],
            service_checks: None,
        };
        let node = NewNode { name: "n".into(), address: "127.0.0.1".into(), ..NewNode::default() };
        let registration =
            Registration { node, skip_node_update: false, services: vec![], checks: vec![] };
        self.done(Command::Consul(ConsulCommand::Register(Box::new(registration)))).await;
        self.done(Command::Consul(ConsulCommand::CreateSession(Box::new(session)))).await;
        id
    }

    async fn end(&self, session: ConsulSessionId) {
        self.done(Command::Consul(ConsulCommand::DestroySession { session })).await;
    }

    async fn acquires(&self, session: ConsulSessionId) -> bool {
        let (key, value) = (Bytes::from_static(b"lock"), Bytes::new());
        let acquire = ConsulCommand::Kv(KvOp::Acquire { key, value, flags: 0, session });
        self.done(Command::Consul(acquire)).await == Reply::Consul(ConsulReply::Bool(true))
    }

    async fn create_with_ttl(&self, path: &str, ttl: Duration) {
        let mode = CreateMode::Ttl { sequential: false, ttl_ms: ms(ttl) };
        let op = MultiOp::Create { path: path.into(), data: None, acl: Some(open()), mode };
        let caller = Caller { session: None, identities: [].into() };
        self.done(Command::Znode(ZnodeCommand { caller, op: ZnodeOp::Single(op) })).await;
    }

    /// When it was set last, if it is there.
    fn mtime(&self, path: &str) -> Option<Duration> {
        let mtime = self.node.read(|state| state.znodes().znode(path).map(|one| one.stat().mtime));
        mtime.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap()))
    }

    /// Waits for a sweep to find it outlived.
    async fn gone(&self, path: &str) {
        let swept = async {
            while self.mtime(path).is_some() {
                clock::sleep(Duration::from_millis(5)).await;
            }
        };
        clock::timeout(SECOND * 30, swept).await.expect("it is swept away");
    }

    /// Has something appended, and a sweep pass by, while the clock shows this.
    async fn glance(&self, wall: Duration) {
        self.machine.set_wall(wall);
        self.create_with_ttl("/glance", Duration::from_millis(1)).await;
        self.machine.pass(Duration::from_millis(3));
        self.gone("/glance").await;
    }
}

fn open() -> Vec<coord_state::znode::Ace> {
    let identity = coord_state::znode::Identity { scheme: "world".into(), id: "anyone".into() };
    vec![coord_state::znode::Ace { perms: 31, identity }]
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_and_times_to_live_last_as_long_whatever_the_wall_clock_shows() {
    for wrong in [EPOCH + HOUR, EPOCH - HOUR] {
        let (machine, directory) = (SetClock::new(), TempDir::new().unwrap());
        let member = LoneMember::start(&machine, &directory).await;
        member.glance(wrong).await;
        machine.set_wall(EPOCH);
        let holder = member.session(1, SECOND * 2).await;
        let next = member.session(2, Duration::ZERO).await;
        assert!(member.acquires(holder).await);
        member.end(holder).await;
        member.create_with_ttl("/t", SECOND * 2).await;
        assert!(off(member.mtime("/t").unwrap(), EPOCH) < SECOND / 2);

        machine.pass(SECOND);
        member.glance(wrong).await;
        machine.set_wall(EPOCH + SECOND);
        assert!(!member.acquires(next).await, "the delay is not over");
        assert!(member.mtime("/t").is_some(), "nor is the znode's time");
        machine.pass(SECOND + SECOND / 4);
        assert!(member.acquires(next).await);
        member.gone("/t").await;
        member.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passed_while_nobody_ran_counts_and_nothing_wrong_is_kept() {
    let (machine, directory) = (SetClock::new(), TempDir::new().unwrap());
    let member = LoneMember::start(&machine, &directory).await;
    member.glance(EPOCH + HOUR).await;
    machine.set_wall(EPOCH);
    let holder = member.session(1, SECOND * 60).await;
    assert!(member.acquires(holder).await);
    member.end(holder).await;
    member.create_with_ttl("/a", HOUR).await;
    member.node.stop().await;

    // Another boot of the machine, a minute later.
    let machine = SetClock::new();
    machine.pass(SECOND * 61);
    let member = LoneMember::start(&machine, &directory).await;
    let next = member.session(2, Duration::ZERO).await;
    assert!(member.acquires(next).await);
    member.create_with_ttl("/b", HOUR).await;
    assert!(off(member.mtime("/b").unwrap(), EPOCH + SECOND * 61) < SECOND);
    member.node.stop().await;
}
