//! How many consecutive results it takes to change a check's status.

use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;

/// Counts the results of one check.
#[derive(Debug)]
pub(super) struct Thresholds {
    success_before_passing: u64,
    failures_before_warning: u64,
    failures_before_critical: u64,
    successes: u64,
    failures: u64,
}

impl Thresholds {
    pub(super) fn of(definition: &CheckDefinition) -> Self {
        let count = |amount: i64| u64::try_from(amount).unwrap_or(0);
        let failures_before_critical = count(definition.failures_before_critical);
        let failures_before_warning = match count(definition.failures_before_warning) {
            0 => failures_before_critical,
            amount => amount,
        };
        Self {
            success_before_passing: count(definition.success_before_passing),
            failures_before_warning,
            failures_before_critical,
            successes: 0,
            failures: 0,
        }
    }

    /// Takes one result and gives the verdict; `None` leaves the old one.
    pub(super) fn take(&mut self, result: CheckStatus) -> Option<CheckStatus> {
        match result {
            CheckStatus::Passing | CheckStatus::Warning => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                (self.successes >= self.success_before_passing).then_some(result)
            }
            CheckStatus::Critical => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                if self.failures >= self.failures_before_critical {
                    Some(CheckStatus::Critical)
                } else {
                    (self.failures >= self.failures_before_warning).then_some(CheckStatus::Warning)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use CheckStatus::{Critical, Passing, Warning};

    use super::*;

    fn verdicts(definition: CheckDefinition, results: &[CheckStatus]) -> Vec<Option<CheckStatus>> {
        let mut thresholds = Thresholds::of(&definition);
        results.iter().map(|result| thresholds.take(*result)).collect()
    }

    #[test]
    fn without_thresholds_every_result_counts() {
        assert_eq!(
            verdicts(CheckDefinition::default(), &[Critical, Passing, Warning]),
            [Some(Critical), Some(Passing), Some(Warning)]
        );
    }

    #[test]
    fn successes_count_only_in_a_row() {
        let definition = CheckDefinition { success_before_passing: 2, ..Default::default() };
        assert_eq!(
            verdicts(definition, &[Passing, Critical, Passing, Warning]),
            [None, Some(Critical), None, Some(Warning)]
        );
    }

    #[test]
    fn failures_count_only_in_a_row_and_may_warn_before() {
        let definition = CheckDefinition { failures_before_critical: 2, ..Default::default() };
        assert_eq!(
            verdicts(definition, &[Critical, Passing, Critical, Critical]),
            [None, Some(Passing), None, Some(Critical)]
        );
        let definition = CheckDefinition {
            failures_before_warning: 1,
            failures_before_critical: 3,
            ..Default::default()
        };
        assert_eq!(
            verdicts(definition, &[Critical, Critical, Critical]),
            [Some(Warning), Some(Warning), Some(Critical)]
        );
    }
}
