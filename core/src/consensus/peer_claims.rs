//! Checks what a peer claims against its authenticated identity.
//!
//! An authenticated member may speak only for itself: it cannot lead, be a
//! candidate or vote as another one. Messages that this software can never
//! produce are bugs or forgeries, and are refused.

use coord_state::MemberId;

use super::types::{LogId, Vote};

/// Elections that a member can have missed. One in a second would take more
/// than a century for so many; a term beyond ends elections for good.
const TERMS_MISSED_MAX: u64 = 1 << 32;

/// Whether `from` may say this as the leader or candidate that the vote names.
pub(super) fn check_vote(from: MemberId, vote: &Vote, own_term: u64) -> Result<(), String> {
    let (named, term) = (vote.leader_id.voted_for, vote.leader_id.term);
    if named != from.0 {
        return Err(format!("member {from} claims to be member {named}"));
    }
    if term > own_term.saturating_add(TERMS_MISSED_MAX) {
        return Err(format!(
            "member {from} is at term {term}, this member at {own_term}: that many elections are \
             impossible"
        ));
    }
    Ok(())
}

/// Whether a candidate can be one. Whom the configuration here does not name
/// may be named by a later one, which is only in a log that goes beyond the one
/// here: so Raft's rule is not to ask who a candidate is (Ongaro 2014, 4.1).
/// With a log that does not, it is none.
pub(super) fn check_candidate(
    from: MemberId,
    last_log: Option<LogId>,
    own_last_log: Option<LogId>,
    mut voters: impl Iterator<Item = u64>,
) -> Result<(), String> {
    let mut any = false;
    let named = voters.any(|voter| {
        any = true;
        voter == from.0
    });
    if !any || named || last_log > own_last_log {
        return Ok(());
    }
    Err(format!("member {from} has no vote and cannot be a candidate"))
}

#[cfg(test)]
mod tests {
    use super::super::types::vote;
    use super::*;
    use crate::storage::StoredVote;

    fn of(voted_for: u64, term: u64) -> Vote {
        vote(StoredVote { term, voted_for, committed: false })
    }

    #[test]
    fn a_member_speaks_for_itself_alone() {
        assert_eq!(check_vote(MemberId(2), &of(2, 7), 7), Ok(()));
        assert!(check_vote(MemberId(2), &of(3, 7), 7).unwrap_err().contains("to be member 3"));
    }

    #[test]
    fn a_term_that_no_cluster_reaches_is_refused() {
        for term in [0, 8, 7 + TERMS_MISSED_MAX] {
            assert_eq!(check_vote(MemberId(2), &of(2, term), 7), Ok(()));
        }
        for term in [8 + TERMS_MISSED_MAX, u64::MAX] {
            check_vote(MemberId(2), &of(2, term), 7).unwrap_err();
        }
        assert_eq!(check_vote(MemberId(2), &of(2, u64::MAX), u64::MAX), Ok(()));
    }

    #[test]
    fn who_has_no_vote_stands_only_by_a_log_that_goes_on() {
        let at = |term, index| Some(LogId::new_term_index(term, index));
        let stands =
            |from, last, own| check_candidate(MemberId(from), last, own, [1, 2, 3].into_iter());
        assert_eq!(stands(2, at(1, 1), at(3, 9)), Ok(()), "its log is openraft's to judge");
        stands(4, at(3, 9), at(3, 9)).unwrap_err();
        stands(4, at(2, 99), at(3, 9)).unwrap_err();
        stands(4, None, at(3, 9)).unwrap_err();
        assert_eq!(stands(4, at(3, 10), at(3, 9)), Ok(()), "it may have been added since");
        assert_eq!(stands(4, at(4, 1), at(3, 9)), Ok(()));
        let nobody = std::iter::empty();
        assert_eq!(check_candidate(MemberId(4), None, None, nobody), Ok(()), "no cluster yet");
    }
}
