//! The registrations of this agent, in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use coord_state::consul::{CheckStatus, NewCheck};
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::duration;

use super::maintenance;

/// A check of this agent and how it stands. Times are the clock's monotonic time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCheck {
    /// As registered, with its id and name filled in.
    pub definition: CheckDefinition,
    /// The verdict.
    pub status: CheckStatus,
    /// What was said last.
    pub output: String,
    /// When a TTL check becomes critical unless it is heard from.
    pub(super) deadline: Option<Duration>,
    /// Until when the catalog may show an older output.
    pub(super) output_due: Option<Duration>,
    /// Since when it is critical.
    pub(super) critical_since: Option<Duration>,
}

impl LocalCheck {
    /// A check that was registered `now`: critical, unless it says otherwise.
    pub(super) fn new(definition: CheckDefinition, now: Duration) -> Self {
        let status = CheckStatus::from_name(&definition.status).unwrap_or_default();
        let ttl = nanoseconds(definition.ttl_ns);
        Self {
            deadline: ttl.map(|ttl| now + ttl),
            output_due: None,
            critical_since: (status == CheckStatus::Critical).then_some(now),
            definition,
            status,
            output: String::new(),
        }
    }

    /// As health answers print it.
    pub fn kind(&self) -> &'static str {
        if maintenance::is_maintenance(&self.definition.id) {
            return "maintenance";
        }
        self.definition.kind()
    }

    /// As printed: a Go duration, or empty.
    pub fn interval(&self) -> String {
        printed(self.definition.interval_ns)
    }

    /// As printed: a Go duration, or empty.
    pub fn timeout(&self) -> String {
        printed(self.definition.timeout_ns)
    }

    /// As the catalog takes it.
    pub(super) fn to_catalog(&self) -> NewCheck {
        NewCheck {
            id: self.definition.id.as_str().into(),
            name: self.definition.name.as_str().into(),
            status: self.status,
            notes: self.definition.notes.as_str().into(),
            output: self.output.as_str().into(),
            service_id: self.definition.service_id.as_str().into(),
            kind: self.kind().into(),
            interval: self.interval().into(),
            timeout: self.timeout().into(),
            definition: Box::default(),
        }
    }

    /// Takes a new verdict. True if the verdict itself is another one.
    pub(super) fn judge(&mut self, status: CheckStatus, output: String, now: Duration) -> bool {
        let other = status != self.status;
        self.critical_since = match status {
            CheckStatus::Critical => self.critical_since.or(Some(now)),
            CheckStatus::Passing | CheckStatus::Warning => None,
        };
        self.status = status;
        self.output = output;
        other
    }
}

fn printed(nanoseconds: i64) -> String {
    if nanoseconds == 0 { String::new() } else { duration::format(nanoseconds) }
}

pub(super) fn nanoseconds(amount: i64) -> Option<Duration> {
    u64::try_from(amount).ok().filter(|amount| *amount > 0).map(Duration::from_nanos)
}

/// All services and checks of one agent.
#[derive(Debug, Default)]
pub struct Registrations {
    services: BTreeMap<String, ServiceDefinition>,
    checks: BTreeMap<String, LocalCheck>,
    /// Services that the catalog does not take for what they depend on, and why.
    refused: BTreeMap<String, String>,
}

impl Registrations {
    /// Why the catalog does not take a service, if it does not.
    pub fn refusal(&self, id: &str) -> Option<&str> {
        self.refused.get(id).map(String::as_str)
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Notes that the catalog does not take a service. True if that is news.
    pub(super) fn note_refusal(&mut self, id: &str, why: String) -> bool {
        let is_here = self.services.contains_key(id);
        let is_news = self.refused.get(id) != Some(&why);
        if is_here && is_news {
            self.refused.insert(id.to_owned(), why);
        }
        is_here && is_news
    }

    /// Keeps only the refusals of services that are being offered again.
    pub(super) fn keep_refusals(&mut self, of: impl Fn(&str) -> bool) {
        self.refused.retain(|id, _| of(id));
    }

    pub(super) fn note_acceptance(&mut self, id: &str) {
        self.refused.remove(id);
    }

    /// All services by id.
    pub fn services(&self) -> impl Iterator<Item = &ServiceDefinition> {
        self.services.values()
    }

    /// One service.
    pub fn service(&self, id: &str) -> Option<&ServiceDefinition> {
        self.services.get(id)
    }

    /// All checks by id.
    pub fn checks(&self) -> impl Iterator<Item = &LocalCheck> {
        self.checks.values()
    }

    /// One check.
    pub fn check(&self, id: &str) -> Option<&LocalCheck> {
        self.checks.get(id)
    }

    /// The checks that decide about one service: the node's, then its own.
    pub fn checks_of_service(&self, service_id: &str) -> impl Iterator<Item = &LocalCheck> {
        let of = move |id: String| {
            self.checks.values().filter(move |check| check.definition.service_id == id)
        };
        of(String::new()).chain(of(service_id.to_owned()))
    }

    pub(super) fn service_mut(&mut self, id: &str) -> Option<&mut ServiceDefinition> {
        self.services.get_mut(id)
    }

    pub(super) fn check_mut(&mut self, id: &str) -> Option<&mut LocalCheck> {
        self.checks.get_mut(id)
    }

    pub(super) fn checks_mut(&mut self) -> impl Iterator<Item = &mut LocalCheck> {
        self.checks.values_mut()
    }

    /// Puts a check as it is.
    pub(super) fn set_check(&mut self, check: LocalCheck) {
        self.checks.insert(check.definition.id.clone(), check);
    }

    pub(super) fn put_service(&mut self, service: ServiceDefinition) {
        self.refused.remove(&service.id);
        self.services.insert(service.id.clone(), service);
    }

    /// Adds or replaces a check. The same definition again keeps its verdict.
    pub(super) fn put_check(&mut self, check: LocalCheck, now: Duration) {
        let id = check.definition.id.clone();
        match self.checks.get_mut(&id) {
            Some(old)
                if check.definition.status.is_empty()
                    && same_probe(&old.definition, &check.definition) =>
            {
                old.definition = check.definition;
                old.deadline = nanoseconds(old.definition.ttl_ns).map(|ttl| now + ttl);
            }
            _ => {
                self.checks.insert(id, check);
            }
        }
    }

    pub(super) fn restore_state(
        &mut self,
        id: &str,
        status: CheckStatus,
        output: String,
        until: Duration,
        now: Duration,
    ) {
        if let Some(check) = self.checks.get_mut(id)
            && let Some(whole_ttl) = check.deadline
        {
            check.judge(status, output, now);
            // The wall clock may have been set back since.
            check.deadline = Some(until.min(whole_ttl));
        }
    }

    pub(super) fn remove_check(&mut self, id: &str) -> Option<LocalCheck> {
        self.checks.remove(id)
    }

    /// Removes a service and its checks; the ids of these.
    pub(super) fn remove_service(&mut self, id: &str) -> Option<Vec<String>> {
        self.services.remove(id)?;
        self.refused.remove(id);
        let checks: Vec<String> = self.own_checks(id).collect();
        for check in &checks {
            self.checks.remove(check);
        }
        Some(checks)
    }

    /// The ids of a service's own checks.
    pub(super) fn own_checks(&self, service_id: &str) -> impl Iterator<Item = String> {
        self.checks
            .values()
            .filter(move |check| check.definition.service_id == service_id)
            .map(|check| check.definition.id.clone())
    }
}

/// Whether both say the same, but for the status to begin with.
pub(super) fn same_probe(old: &CheckDefinition, new: &CheckDefinition) -> bool {
    if old.status == new.status {
        return old == new;
    }
    let plain = |definition: &CheckDefinition| CheckDefinition {
        status: String::new(),
        ..definition.clone()
    };
    plain(old) == plain(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const LATER: Duration = Duration::from_secs(105);

    fn check(id: &str, service_id: &str) -> LocalCheck {
        let definition = CheckDefinition {
            id: id.into(),
            service_id: service_id.into(),
            ttl_ns: 10_000_000_000,
            ..CheckDefinition::default()
        };
        LocalCheck::new(definition, NOW)
    }

    #[test]
    fn a_new_check_is_critical_and_has_its_whole_ttl() {
        let check = check("c", "");
        assert_eq!(check.status, CheckStatus::Critical);
        assert_eq!(check.deadline, Some(NOW + Duration::from_secs(10)));
    }

    #[test]
    fn the_same_check_again_keeps_its_verdict_and_another_starts_over() {
        let mut local = Registrations::default();
        local.put_check(check("c", ""), NOW);
        local.check_mut("c").unwrap().judge(CheckStatus::Passing, "ok".into(), NOW);
        local.put_check(check("c", ""), LATER);
        assert_eq!(local.check("c").unwrap().status, CheckStatus::Passing);
        assert_eq!(local.check("c").unwrap().deadline, Some(LATER + Duration::from_secs(10)));

        let mut other = check("c", "");
        other.definition.ttl_ns = 1;
        local.put_check(other, LATER);
        assert_eq!(local.check("c").unwrap().status, CheckStatus::Critical);
    }

    #[test]
    fn a_service_takes_its_checks_along_and_leaves_the_nodes() {
        let mut local = Registrations::default();
        local.put_service(ServiceDefinition { id: "s".into(), ..ServiceDefinition::default() });
        for (id, service_id) in [("mine", "s"), ("node", ""), ("other", "t")] {
            local.put_check(check(id, service_id), NOW);
        }
        let deciding: Vec<_> =
            local.checks_of_service("s").map(|check| check.definition.id.clone()).collect();
        assert_eq!(deciding, ["node", "mine"]);
        assert_eq!(local.remove_service("s"), Some(vec!["mine".to_owned()]));
        assert_eq!(local.remove_service("s"), None);
        assert_eq!(local.checks().count(), 2);
    }

    #[test]
    fn critical_since_is_the_beginning_of_the_latest_critical_time() {
        let mut check = check("c", "");
        check.judge(CheckStatus::Critical, String::new(), LATER);
        assert_eq!(check.critical_since, Some(NOW));
        check.judge(CheckStatus::Warning, String::new(), LATER);
        assert_eq!(check.critical_since, None);
        check.judge(CheckStatus::Critical, String::new(), LATER);
        assert_eq!(check.critical_since, Some(LATER));
    }
}
