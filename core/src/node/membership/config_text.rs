//! The lines of `/zookeeper/config` as a table: parse, change, print.
//!
//! ```text
//! server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181
//! server.2=10.0.0.2:2888:3888:observer;10.0.0.2:2181
//! version=1a
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use coord_state::MemberId;

use crate::settings::ServerLine;

/// A change that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadChange;

/// Who takes part, as the text says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConfigText {
    pub(crate) servers: BTreeMap<MemberId, ServerLine>,
}

impl ConfigText {
    /// Reads the stored text. Lines that are none of ours are passed over: it
    /// was written by this module.
    pub(crate) fn read(text: &str) -> Self {
        let read = |line: &str| {
            let (member, rest) = line.strip_prefix("server.")?.split_once('=')?;
            Some((MemberId(member.parse().ok()?), rest.parse().ok()?))
        };
        Self { servers: text.lines().filter_map(read).collect() }
    }

    /// Reads a whole membership that somebody asks for, with commas or line ends
    /// between. A `version` is passed over, as ZooKeeper does; groups and weights
    /// are refused, since every vote weighs the same here.
    pub(crate) fn parse(text: &str) -> Result<Self, BadChange> {
        let mut config = Self::default();
        let lines = text.split([',', '\n']).map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once('=') {
                Some(("version", _)) => {}
                Some((key, value)) => config.join(key, value)?,
                None => return Err(BadChange),
            }
        }
        Ok(config)
    }

    /// Adds or replaces each of `joining`, `server.N=…` with commas between,
    /// after those of `leaving`, numbers with commas between, are gone.
    pub(crate) fn changed(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
    ) -> Result<Self, BadChange> {
        let listed = |list: Option<&str>| -> Vec<String> {
            let items = list.unwrap_or_default().split(',').map(str::trim);
            items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let mut next = self.clone();
        for member in listed(leaving) {
            next.servers.remove(&MemberId(member.parse().map_err(|_| BadChange)?));
        }
        for joiner in listed(joining) {
            let (key, value) = joiner.split_once('=').ok_or(BadChange)?;
            next.join(key.trim(), value.trim())?;
        }
        // Whoever joins this way says where its clients are.
        let newcomers = next.servers.iter().filter(|(id, line)| self.servers.get(id) != Some(line));
        match newcomers.into_iter().all(|(_, line)| line.client.is_some()) {
            true => Ok(next),
            false => Err(BadChange),
        }
    }

    /// As one line says; no two members are at the same place.
    fn join(&mut self, key: &str, value: &str) -> Result<(), BadChange> {
        let number = key.strip_prefix("server.").ok_or(BadChange)?;
        let member: u64 = number.parse().map_err(|_| BadChange)?;
        if !(1..=254).contains(&member) {
            return Err(BadChange);
        }
        let line: ServerLine = value.parse().map_err(|_| BadChange)?;
        let member = MemberId(member);
        let places = line.places();
        let mut others = self.servers.iter().filter(|(other, _)| **other != member);
        if others.any(|(_, other)| other.places().iter().any(|place| places.contains(place))) {
            return Err(BadChange);
        }
        self.servers.insert(member, line);
        Ok(())
    }

    /// A line per member, each with its end.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        for (member, line) in &self.servers {
            // Writing to text cannot fail.
            let _ = writeln!(text, "server.{member}={line}");
        }
        text
    }

    pub(crate) fn voters(&self) -> BTreeSet<MemberId> {
        let voters = self.servers.iter().filter(|(_, line)| !line.observer);
        voters.map(|(member, _)| *member).collect()
    }

    /// Where members reach each other.
    pub(super) fn peers(&self) -> BTreeMap<MemberId, String> {
        self.servers.iter().map(|(member, line)| (*member, line.peer())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "server.1=a:1:2:participant;a:3\nserver.2=b:1:2:participant;b:3\n";

    fn two() -> ConfigText {
        ConfigText::read(&format!("{TWO}version=1f"))
    }

    #[test]
    fn the_text_reads_back_as_it_was_written() {
        assert_eq!(two().lines(), TWO);
        assert_eq!(two().voters(), [MemberId(1), MemberId(2)].into());
        assert_eq!(two().peers()[&MemberId(2)], "b:1");
    }

    #[test]
    fn members_join_leave_and_are_replaced() {
        let changed = |joining, leaving| two().changed(joining, leaving).map(|next| next.lines());
        assert_eq!(
            changed(Some("server.3=c:1:2:observer;4"), Some("1")).unwrap(),
            "server.2=b:1:2:participant;b:3\nserver.3=c:1:2:observer;0.0.0.0:4\n"
        );
        assert_eq!(
            changed(Some("server.2=b:1:2:observer;b:3"), None).unwrap(),
            "server.1=a:1:2:participant;a:3\nserver.2=b:1:2:observer;b:3\n"
        );
        // Whoever is not there cannot leave, and nothing is a change, too.
        assert_eq!(changed(Some(""), Some("9")).unwrap(), TWO);
        assert_eq!(changed(None, None).unwrap(), TWO);
    }

    #[test]
    fn a_change_that_makes_no_sense_is_refused() {
        for joining in [
            "3=c:1:2;4",
            "server.3",
            "server.3=c:1:2",
            "server.x=c:1:2;4",
            "server.0=c:1:2;4",
            "server.255=c:1:2;4",
            "server.3=a:1:9;4",
            "server.3=c:2:1;b:3",
            "group.1=1:2",
        ] {
            assert_eq!(two().changed(Some(joining), None), Err(BadChange), "{joining}");
        }
        for leaving in ["x", "1;2", "server.1"] {
            assert_eq!(two().changed(None, Some(leaving)), Err(BadChange), "{leaving}");
        }
    }

    #[test]
    fn a_whole_membership_is_read_with_commas_or_lines() {
        let text = "server.1=a:1:2;3,server.2=b:1:2:observer;3\n#x\nversion=0\n";
        let config = ConfigText::parse(text).unwrap();
        assert_eq!(config.voters(), [MemberId(1)].into());
        assert_eq!(ConfigText::parse(&config.lines()), Ok(config));
        for text in ["group.1=1:2", "weight.1=2", "server.1=a:1:2;3,server.2=a:1:2;4", "x"] {
            assert_eq!(ConfigText::parse(text), Err(BadChange), "{text}");
        }
    }
}
