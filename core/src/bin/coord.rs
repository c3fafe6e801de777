//! The `coord` command: the library's public API behind a command line.
//!
//! Standard output is for programs: `coord server` prints exactly one line
//! there, when it serves. Everything else goes to standard error.

#[path = "coord/log.rs"]
mod log;
#[path = "coord/server.rs"]
mod server;

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
    /// Run one member until it is told to stop (SIGTERM, SIGINT).
    Server(server::ServerArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Server(arguments) => server::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            server::complain(&format!("coord: {}", error.chain()));
            ExitCode::FAILURE
        }
    }
}
