//! The `coord` command: the library's public API behind a command line.
//!
//! Standard output is for programs: `coord server` prints exactly one line
//! there, when it serves. Everything else goes to standard error. Nobody has to
//! read either for the member to go on.

#[path = "coord/log.rs"]
mod log;
#[path = "coord/outlet.rs"]
mod outlet;
#[path = "coord/server.rs"]
mod server;
#[path = "coord/signals.rs"]
mod signals;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Gives what clients took back to the system once they are gone. For the
/// command alone: a program that links the library chooses its own. See
/// docs/adr/0026-the-command-brings-its-allocator.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A coordination service: ZooKeeper and Consul in one small server.
#[derive(Parser)]
#[command(name = "coord", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one member until it is told to stop (SIGTERM, SIGINT). Other signals
    /// that programs are sent on purpose do no harm.
    ///
    /// Exit status: 0 stopped as told; 1 not started, see the message; 3 failed while it ran,
    /// as with a disk that returns errors: look at the message, then start it again.
    Server(server::ServerArguments),
}

/// The exit status of a member that failed while it ran.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let _flush = outlet::FlushAtEnd;
    tell_panics();
    let outcome = match arguments.command {
        Command::Server(arguments) => server::run(arguments),
    };
    match outcome {
        Ok(server::Ended::Stopped) => ExitCode::SUCCESS,
        Ok(server::Ended::Failed(why)) => {
            outlet::complain(&format!("coord: this member failed: {why}"));
            ExitCode::from(FAILED)
        }
        Err(error) => {
            outlet::complain(&format!("coord: {}", error.chain()));
            ExitCode::FAILURE
        }
    }
}

/// Writes panics where the log goes: the standard hook waits for whoever reads
/// standard error.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        outlet::complain(&format!("coord: thread '{name}' {panic}"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            outlet::complain(&backtrace.to_string());
        }
    }));
}
