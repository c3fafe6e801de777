//! The `coord` command: the library's public API behind a command line.
//!
//! Standard output is for programs: `coord server` prints exactly one line
//! there, when it is ready. Everything else goes to standard error. The member
//! never blocks on either, even if nothing reads them.

mod log;
mod outlet;
mod server;
mod signals;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Returns memory to the operating system after clients disconnect. Only for
/// the command: a program that links the library chooses its own allocator. See
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
    /// Run one member until SIGTERM or SIGINT. Other signals, such as SIGHUP,
    /// are ignored.
    ///
    /// Exit status: 0 stopped by a signal; 1 could not start, see the message; 3 failed while
    /// running, for example because of disk errors: see the message, then restart it.
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

/// Writes panics to the log: the standard hook would block on standard error.
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
