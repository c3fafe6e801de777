//! The membership keys of a `zoo.cfg`, and the file `myid`.

use std::collections::BTreeMap;
use std::path::Path;

use super::address::is_any_host;
use super::zoo_cfg::{any_address, without_brackets};
use super::zoo_cfg_numbers::number;
use super::{ListenAddress, ServerLine, Settings};
use crate::error::Error;

/// Valid member numbers.
const MEMBERS: std::ops::RangeInclusive<u64> = 1..=254;

/// The membership keys.
#[derive(Debug, Default)]
pub(super) struct MemberKeys {
    lines: BTreeMap<u64, ServerLine>,
    /// `peerType`.
    observer: Option<bool>,
    /// `quorumListenOnAllIPs`.
    listens_everywhere: bool,
    /// `standaloneEnabled=false`: a member alone can be joined.
    never_standalone: bool,
}

impl MemberKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Applies the key if it is one of these.
    pub(super) fn take(&mut self, key: &str, value: &str) -> Result<bool, Error> {
        match key {
            "peerType" => {
                self.observer = Some(match value.to_ascii_lowercase().as_str() {
                    "observer" => true,
                    "participant" => false,
                    _ => {
                        let message = format!("{key}: '{value}' is not observer or participant");
                        return Err(Error::invalid(message));
                    }
                });
            }
            "quorumListenOnAllIPs" => {
                self.listens_everywhere = value.eq_ignore_ascii_case("true");
            }
            // Also a setting of its own, so it is not taken away.
            "standaloneEnabled" => {
                self.never_standalone = value.eq_ignore_ascii_case("false");
                return Ok(false);
            }
            _ => match key.split_once('.') {
                Some(("server", member)) => {
                    let member = number(key, member)?;
                    let line = value.parse().map_err(|error| {
                        Error::invalid(format!("cannot parse server.{member}")).caused_by(error)
                    })?;
                    self.lines.insert(member, line);
                }
                Some(("weight", _)) if value == "1" => {}
                Some(("group" | "weight", _)) => {
                    return Err(Error::invalid(format!(
                        "{key} is not supported: every member except observers has one vote"
                    )));
                }
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Says who takes part and where others reach this member; where clients do, as its own line
    /// has it.
    pub(super) fn finish(
        self,
        directory: &Path,
        settings: &mut Settings,
        warnings: &mut Vec<String>,
    ) -> Result<Option<ListenAddress>, Error> {
        let standalone = self.lines.len() == 1 && !self.never_standalone;
        match (myid(directory)?, self.lines.keys().next()) {
            (Some(member), _) if !standalone => settings.member_id = member,
            (None, Some(_)) if !standalone => {
                return Err(Error::invalid(format!(
                    "cannot read {}, which must contain this member's number among the server.N",
                    directory.join("myid").display()
                )));
            }
            // As in ZooKeeper the one line counts, whatever is in the file.
            (_, Some(only)) if MEMBERS.contains(only) => settings.member_id = *only,
            (_, Some(only)) => warnings.push(format!(
                "a member cannot have the number {only}: this single member has the number {}",
                settings.member_id
            )),
            (_, None) => {}
        }
        let own = match standalone {
            true => self.lines.values().next(),
            false => self.lines.get(&settings.member_id),
        };
        let client = own.and_then(|own| own.client.as_deref()).map(str::parse).transpose()?;
        if standalone {
            warnings.extend(self.observer_alone());
            return Ok(client);
        }
        for (member, line) in &self.lines {
            if line.addresses.len() > 1 {
                warnings.push(format!(
                    "server.{member} has several addresses: using the first, {}",
                    line.peer()
                ));
            }
            settings.members.insert(*member, line.peer());
            if line.observer {
                settings.observers.insert(*member);
            }
        }
        if let (Some(observer), Some(own)) = (self.observer, own)
            && observer != own.observer
        {
            // ZooKeeper decides so, too: the others see only the line.
            warnings.push(format!(
                "peerType and server.{} disagree on whether this member votes: server.N wins",
                settings.member_id
            ));
        }
        if settings.peer_addr.is_none() {
            settings.peer_addr = self.listening(settings);
        }
        Ok(client)
    }

    fn observer_alone(&self) -> Option<String> {
        let observer = self.observer == Some(true) || self.lines.values().any(|line| line.observer);
        observer
            .then(|| "a single observer has no leader to follow: this member is a voter".to_owned())
    }

    /// Where this member listens for others, if not at its own line's address.
    fn listening(&self, settings: &Settings) -> Option<ListenAddress> {
        let own = self.lines.get(&settings.member_id)?.addresses.first()?;
        let port = own.peer_port;
        let others = self.lines.iter().filter(|(member, _)| **member != settings.member_id);
        let mut others = others.flat_map(|(_, line)| &line.addresses).peekable();
        if is_any_host(&own.host) && others.peek().is_some() {
            // All on this machine: then nobody elsewhere has to be kept out.
            let hosts: Vec<&str> = others.map(|address| address.host.as_str()).collect();
            let on_loopback = |host: &&str| super::peers::is_on_loopback(&format!("{host}:0"));
            let first = hosts.first().copied()?;
            return hosts
                .iter()
                .all(on_loopback)
                .then(|| ListenAddress::At { host: without_brackets(first), port });
        }
        self.listens_everywhere.then(|| ListenAddress::At { host: any_address(settings), port })
    }
}

/// The number of this member; none if there is no such file.
fn myid(directory: &Path) -> Result<Option<u64>, Error> {
    let path = directory.join("myid");
    match std::fs::read_to_string(&path) {
        Ok(text) => number("myid", text.lines().next().unwrap_or_default().trim()).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::invalid(format!("cannot read {}", path.display())).caused_by(error))
        }
    }
}
