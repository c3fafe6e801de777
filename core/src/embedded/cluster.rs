//! Several members in one process, for tests and experiments.

use std::net::SocketAddr;
use std::time::Duration;

use super::log::{LogTap, MemberLog};
use super::{Addresses, Parts, Server, in_temporary_directory};
use crate::error::Error;
use crate::settings::{ListenAddress, Settings};

/// Several members in one process, each with its own threads, ports and
/// directory.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
    /// The settings of each member, with its directory and ports filled in.
    settings: Vec<Settings>,
    log: Option<MemberLog>,
}

impl Cluster {
    /// Starts `size` members (1 to 7) in temporary directories, on free
    /// loopback ports, otherwise with these settings, and waits until all are
    /// ready.
    ///
    /// # Errors
    /// As [`Server::start`] and [`Server::wait_ready`].
    pub fn start(size: u64, settings: &Settings, limit: Duration) -> Result<Self, Error> {
        let started = Self::start_while(size, settings, limit, None, &mut || true)?;
        started.ok_or_else(|| Error::internal("the wait is never interrupted"))
    }

    /// Like [`Self::start`], with the log of all members redirected to `log`; once `go_on` returns
    /// false, it stops everything and returns `None`.
    ///
    /// # Errors
    /// As there.
    pub fn start_while(
        size: u64,
        settings: &Settings,
        limit: Duration,
        log: Option<&MemberLog>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Self>, Error> {
        if !(1..=7).contains(&size) {
            return Err(Error::invalid(format!("a cluster has 1 to 7 members, not {size}")));
        }
        // All peer ports must be known before the first member starts.
        let listeners: Vec<_> =
            (1..=size).map(|id| Ok((id, free_peer_listener()?))).collect::<Result<_, Error>>()?;
        let members = listeners.iter().map(|(id, (_, address))| (*id, address.to_string()));
        let settings = Settings { members: members.collect(), ..settings.clone() };
        let mut servers: Vec<Server> = Vec::new();
        let mut started_with = Vec::new();
        for (member_id, (listener, _)) in listeners {
            if !go_on() {
                return Ok(None);
            }
            let node_name = settings.node_name.as_deref().unwrap_or("member");
            let member = Settings {
                member_id,
                node_name: Some(format!("{node_name}-{member_id}")),
                zk_addr: free_port(&settings.zk_addr),
                zk_tls_addr: free_port(&settings.zk_tls_addr),
                https_addr: free_port(&settings.https_addr),
                http_addr: free_port(&settings.http_addr),
                dns_addr: free_port(&settings.dns_addr),
                ..settings.clone()
            };
            let (mut member, directory) = in_temporary_directory(member)?;
            let valid = member.clone().validate()?;
            let parts = Parts { log: LogTap::of(log), ..Parts::listening(listener) };
            let server = Server::start_inner(valid, parts, Some(directory))?;
            let Addresses { zk, http, dns, .. } = server.addresses();
            member.zk_addr = port_taken(zk);
            member.http_addr = port_taken(http);
            member.dns_addr = port_taken(dns);
            servers.push(server);
            started_with.push(member);
        }
        for server in &servers {
            if !server.wait_ready_while(limit, go_on)? {
                return Ok(None);
            }
        }
        Ok(Some(Self { servers, settings: started_with, log: log.cloned() }))
    }

    /// The members, ordered by number.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Stops one member, by position; the others continue while they are a
    /// majority.
    ///
    /// # Errors
    /// `Invalid` if there is no such member.
    pub fn stop_member(&mut self, position: usize) -> Result<(), Error> {
        let server = self
            .servers
            .get_mut(position)
            .ok_or_else(|| Error::invalid(format!("there is no member at position {position}")))?;
        server.stop();
        Ok(())
    }

    /// Changes one setting of a member, by position and dotted name, from its
    /// next start on. The others may differ meanwhile, for rolling changes of a
    /// running cluster.
    ///
    /// # Errors
    /// `Invalid` if there is no such member or setting, or the value is
    /// invalid.
    pub fn set(&mut self, position: usize, key: &str, value: &str) -> Result<(), Error> {
        self.settings
            .get_mut(position)
            .ok_or_else(|| Error::invalid(format!("there is no member at position {position}")))?
            .set(key, value)
    }

    /// Restarts a stopped member, with its data and ports, and waits until it
    /// is ready.
    ///
    /// # Errors
    /// `Invalid` if there is no such member, it is running, or another program
    /// took one of its ports; otherwise as [`Server::start`] and
    /// [`Server::wait_ready`].
    pub fn start_member(&mut self, position: usize, limit: Duration) -> Result<(), Error> {
        let (Some(server), Some(settings)) =
            (self.servers.get_mut(position), self.settings.get(position))
        else {
            return Err(Error::invalid(format!("there is no member at position {position}")));
        };
        if server.running.is_some() {
            return Err(Error::invalid(format!("the member at position {position} runs")));
        }
        let own = settings.members.get(&settings.member_id).cloned().unwrap_or_default();
        let listener = std::net::TcpListener::bind(own)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| {
                Error::invalid("the member's port was taken by another program").caused_by(error)
            })?;
        let settings = settings.clone().validate()?;
        let parts = Parts { log: LogTap::of(self.log.as_ref()), ..Parts::listening(listener) };
        let mut again = Server::start_inner(settings, parts, None)?;
        server.running = again.running.take();
        server.failure = again.failure.clone();
        server.wait_ready(limit)
    }

    /// Stops all members.
    pub fn stop(&mut self) {
        self.servers.iter_mut().for_each(Server::stop);
    }
}

fn free_peer_listener() -> Result<(std::net::TcpListener, SocketAddr), Error> {
    let failed = |error| Error::internal("cannot find a free loopback port").caused_by(error);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn port_taken(address: Option<SocketAddr>) -> ListenAddress {
    address.map_or(ListenAddress::Off, |address| ListenAddress::At {
        host: address.ip().to_string(),
        port: address.port(),
    })
}

fn free_port(address: &ListenAddress) -> ListenAddress {
    match address {
        ListenAddress::Off => ListenAddress::Off,
        ListenAddress::At { host, .. } => ListenAddress::At { host: host.clone(), port: 0 },
    }
}
