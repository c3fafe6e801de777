//! Script checks: exit code 0 passes, 1 warns, any other is critical.
//!
//! A script runs in its own process group, and the whole group is killed on
//! timeout or when the check is removed. It has no input; output of the script
//! and its children is read until all of them closed it. After a timeout, the
//! output so far is reported with it, because it shows how far the script got.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::duration;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::probe::Finding;
use super::tail::Tail;
use crate::agent::output;
use crate::agent::registrations::nanoseconds;
use crate::clock;

const TIMEOUT: Duration = Duration::from_secs(30);
/// A process that closed its output usually ends at once.
const EXIT_POLL: Duration = Duration::from_millis(1);
const EXIT_POLL_MAX: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct ScriptProbe {
    args: Vec<String>,
    timeout: Duration,
    output_bytes_max: usize,
}

impl ScriptProbe {
    pub(super) fn of(definition: &CheckDefinition) -> Self {
        Self {
            args: definition.args.clone(),
            timeout: nanoseconds(definition.timeout_ns).unwrap_or(TIMEOUT),
            output_bytes_max: output::bytes_max(definition),
        }
    }

    pub(super) async fn run(&self) -> Finding {
        let mut tail = Tail::new(self.output_bytes_max);
        match clock::timeout(self.timeout, self.execute(&mut tail)).await {
            Some(Ok(exit)) => {
                let status = match exit.code() {
                    Some(0) => CheckStatus::Passing,
                    Some(1) => CheckStatus::Warning,
                    _ => CheckStatus::Critical,
                };
                Finding { status, output: tail.into_text() }
            }
            Some(Err(error)) => Finding::critical(error.to_string()),
            None => {
                let limit = i64::try_from(self.timeout.as_nanos()).unwrap_or(i64::MAX);
                let timed_out = format!("Timed out ({}) running check", duration::format(limit));
                Finding::critical(tail.behind(timed_out))
            }
        }
    }

    async fn execute(&self, tail: &mut Tail) -> io::Result<ExitStatus> {
        let args = self.args.clone();
        // Starting a process waits for the program to be loaded.
        let started = spawn_blocking(move || Group::start(&args)).await;
        let (mut group, output) = started.map_err(io::Error::other)??;
        let mut output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))?;
        let mut chunk = vec![0; 4096];
        loop {
            match output.read(&mut chunk).await? {
                0 => break,
                length => tail.push(&chunk[..length]),
            }
        }
        group.exit().await
    }
}

/// A running script with all its children. Dropping it kills them.
struct Group {
    /// Until it was waited for: so long its number is nobody else's.
    leader: Option<Child>,
}

impl Group {
    fn start(args: &[String]) -> io::Result<(Self, PipeReader)> {
        let Some((program, arguments)) = args.split_first() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no program to run: Args is empty",
            ));
        };
        let (reader, writer) = io::pipe()?;
        // The command holds the writing ends: it must be gone before reading,
        // or there is no end.
        let leader = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        Ok((Self { leader: Some(leader) }, reader))
    }

    async fn exit(&mut self) -> io::Result<ExitStatus> {
        let mut poll = EXIT_POLL;
        loop {
            let Some(leader) = &mut self.leader else {
                return Err(io::Error::other("the script's exit status was already collected"));
            };
            if let Some(exit) = leader.try_wait()? {
                self.leader = None;
                return Ok(exit);
            }
            clock::sleep(poll).await;
            poll = (poll * 2).min(EXIT_POLL_MAX);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut leader) = self.leader.take() else { return };
        if let Err(error) = kill_process_group(Pid::from_child(&leader), Signal::KILL) {
            tracing::debug!(%error, "cannot kill the processes of a check script");
        }
        let mut reap = move || leader.wait();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(reap)),
            Err(_) => drop(reap()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shell(script: &str) -> CheckDefinition {
        let args = ["/bin/sh", "-c", script].map(str::to_owned).into();
        CheckDefinition { args, ..Default::default() }
    }

    async fn run(definition: CheckDefinition) -> (CheckStatus, String) {
        let Finding { status, output } = ScriptProbe::of(&definition).run().await;
        (status, output)
    }

    #[tokio::test]
    async fn the_exit_code_decides_and_both_outputs_are_kept() {
        assert_eq!(
            run(shell("echo out; echo err >&2")).await,
            (CheckStatus::Passing, "out\nerr\n".to_owned())
        );
        assert_eq!(run(shell("exit 1")).await.0, CheckStatus::Warning);
        assert_eq!(run(shell("exit 2")).await.0, CheckStatus::Critical);
        assert_eq!(run(shell("kill -TERM $$")).await.0, CheckStatus::Critical);
    }

    #[tokio::test]
    async fn of_much_output_the_end_is_kept() {
        let little = CheckDefinition { output_max_size: 4, ..shell("printf abcdef") };
        assert_eq!(run(little).await.1, "Captured 4 of 6 bytes\n...\ncdef");
    }

    /// What a script says that is not done in time, for which a busy machine may need
    /// longer than the first time to begin with.
    async fn run_too_short(script: &str, output_max_size: i64) -> String {
        let mut output = String::new();
        for seconds in [1, 5, 20] {
            let timeout_ns = seconds * 1_000_000_000;
            output = run(CheckDefinition { timeout_ns, output_max_size, ..shell(script) }).await.1;
            if let Some((_, rest)) = output.split_once("running check\n\n") {
                return rest.to_owned();
            }
        }
        output
    }

    #[tokio::test]
    async fn what_a_script_wrote_before_its_time_was_up_is_told() {
        let output = run_too_short("echo reached step 3; sleep 600", 0).await;
        assert_eq!(output, "reached step 3\n");
        let output = run_too_short("printf abcdef; sleep 600", 4).await;
        assert_eq!(output, "Captured 4 of 6 bytes\n...\ncdef");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_critical() {
        let args = vec!["/nonexistent/program".to_owned()];
        let (status, output) = run(CheckDefinition { args, ..Default::default() }).await;
        assert_eq!(status, CheckStatus::Critical);
        assert!(output.contains("No such file"), "{output}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        let script = format!("sleep 600 & echo $$ $! > {}; wait", file.display());
        let slow = CheckDefinition { timeout_ns: 1_000_000_000, ..shell(&script) };
        assert_eq!(
            run(slow).await,
            (CheckStatus::Critical, "Timed out (1s) running check".to_owned())
        );
        for process in fs::read_to_string(file).unwrap().split_whitespace() {
            let status = format!("/proc/{process}/stat");
            // Gone, or dead and about to be reaped.
            let dead = || match fs::read_to_string(&status) {
                Ok(stat) => stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']),
                Err(_) => true,
            };
            let ended = async {
                while !dead() {
                    tokio::task::yield_now().await;
                }
            };
            assert!(clock::timeout(Duration::from_secs(10), ended).await.is_some(), "{process}");
        }
    }
}
