//! `coord server`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use coord_core::embedded::{Addresses, Server, ServerState, raise_open_files_limit};
use coord_core::settings::{ReadSettings, Settings};
use coord_core::{Error, ErrorKind};

use crate::outlet::complain;
use crate::signals;

/// A flag takes precedence over `--set`, and `--set` over the file.
#[derive(Args)]
pub(crate) struct ServerArguments {
    /// Configuration file: TOML, or a zoo.cfg if the name ends in .cfg or
    /// .properties.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory for log, snapshots and registrations [default:
    /// ./coord-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// This member's number, 1 to 254 [default: 1].
    #[arg(long, value_name = "N")]
    member_id: Option<u64>,
    /// All initial members: `1=HOST:PORT,2=HOST:PORT,…` [default: only this
    /// one].
    #[arg(long, value_name = "MEMBERS")]
    members: Option<String>,
    /// Listen address for other members, or `off`.
    #[arg(long, value_name = "ADDR")]
    peer_addr: Option<String>,
    /// Listen address for ZooKeeper clients, or `off` [default:
    /// 127.0.0.1:2181].
    #[arg(long, value_name = "ADDR")]
    zk_addr: Option<String>,
    /// Listen address for Consul's HTTP API, or `off` [default:
    /// 127.0.0.1:8500].
    #[arg(long, value_name = "ADDR")]
    http_addr: Option<String>,
    /// Listen address for DNS, or `off` [default: 127.0.0.1:8600].
    #[arg(long, value_name = "ADDR")]
    dns_addr: Option<String>,
    /// This member's node name in the catalog [default: the host name].
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Name of the datacenter [default: dc1].
    #[arg(long, value_name = "NAME")]
    datacenter: Option<String>,
    /// Any other setting by name, for example `session.tick_ms=500`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ServerArguments {
    fn settings(self) -> Result<Settings, Error> {
        let mut settings = match &self.config {
            None => Settings::default(),
            Some(path) => {
                let ReadSettings { settings, warnings } = Settings::read(path)?;
                for warning in warnings {
                    complain(&format!("coord: {}: {warning}", path.display()));
                }
                settings
            }
        };
        for assignment in &self.set {
            let (key, value) = assignment.split_once('=').ok_or_else(|| {
                Error::invalid(format!("--set {assignment}: expected --set KEY=VALUE"))
            })?;
            settings.set(key, value)?;
        }
        let given = [
            ("zk_addr", self.zk_addr),
            ("http_addr", self.http_addr),
            ("dns_addr", self.dns_addr),
            ("peer_addr", self.peer_addr),
            ("members", self.members),
        ];
        for (key, value) in given.into_iter().filter_map(|(key, text)| Some((key, text?))) {
            settings.set(key, &value)?;
        }
        settings.data_dir = self.data_dir.unwrap_or(settings.data_dir);
        settings.member_id = self.member_id.unwrap_or(settings.member_id);
        settings.node_name = self.node_name.or(settings.node_name);
        settings.datacenter = self.datacenter.unwrap_or(settings.datacenter);
        Ok(settings)
    }
}

/// Why a running member ended.
pub(crate) enum Ended {
    /// It was told to stop, or was removed from the cluster.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

pub(crate) fn run(arguments: ServerArguments) -> Result<Ended, Error> {
    // Before anything else, so that no signal is missed or kills the process.
    let stop = signals::handle()?;
    let log = crate::log::start();
    raise_open_files_limit();
    let settings = arguments.settings()?.validate()?;
    let mut server = Server::start(settings)?;
    server.feed_log(log)?;
    let served = serve(&server, &stop);
    let failed = server.wait_failed(Duration::ZERO);
    tracing::info!("stopping");
    server.stop();
    match failed {
        Ok(Some(why)) => Ok(Ended::Failed(why)),
        Ok(None) | Err(_) => served.map(|()| Ended::Stopped),
    }
}

/// Runs until the member is told to stop, leaves the cluster or fails.
fn serve(server: &Server, stop: &mpsc::Receiver<i32>) -> Result<(), Error> {
    let stopped_early = wait_ready(server, stop)?;
    if !stopped_early {
        announce(&server.addresses());
        // The sender lives in the signal thread, for as long as the process.
        while stop.recv_timeout(READY_LOOK).is_err()
            && !server.node()?.has_left()
            && server.status().state != ServerState::Failed
        {}
    }
    Ok(())
}

/// Waits until the member is ready. True if it was told to stop before that.
fn wait_ready(server: &Server, stop: &mpsc::Receiver<i32>) -> Result<bool, Error> {
    let mut waited = Duration::ZERO;
    loop {
        match server.wait_ready(READY_LOOK) {
            Ok(()) => return Ok(false),
            Err(error) if *error.kind() == ErrorKind::Unavailable => {}
            Err(error) => return Err(error),
        }
        if stop.try_recv().is_ok() {
            return Ok(true);
        }
        waited += READY_LOOK;
        if waited.as_millis().is_multiple_of(5000) {
            tracing::warn!(seconds = waited.as_secs(), "not ready yet: {}", server.obstacle()?);
        }
    }
}

const READY_LOOK: Duration = Duration::from_millis(250);

/// Prints the ready line on standard output, for programs. In a thread of its
/// own, so that a reader that does not read never blocks the member.
fn announce(addresses: &Addresses) {
    let text = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "off".to_owned(), |address| address.to_string())
    };
    // After the others, and only if enabled: programs parse this line.
    let tls: String = [("zk-tls", addresses.zk_tls), ("https", addresses.https)]
        .iter()
        .filter_map(|(name, address)| Some(format!(" {name}={}", (*address)?)))
        .collect();
    let line = format!(
        "coord ready zk={} http={} dns={} peer={}{tls}\n",
        text(addresses.zk),
        text(addresses.http),
        text(addresses.dns),
        text(addresses.peer)
    );
    let told = std::thread::Builder::new().name("coord-stdout".to_owned()).spawn(move || {
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
            tracing::warn!(%error, "cannot print the ready line: standard output is closed");
        }
    });
    if let Err(error) = told {
        tracing::warn!(%error, "cannot start a thread to print the ready line");
    }
}
