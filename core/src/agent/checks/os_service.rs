//! Checks of operating system services: active passes, starting or reloading
//! warns.
//!
//! They run `systemctl` and use its state names. Without `systemctl` the check
//! is critical, with a message.

use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;

use super::probe::Finding;
use super::script::ScriptProbe;

const PROGRAM: &str = "systemctl";

#[derive(Debug)]
pub(super) struct OsServiceProbe {
    name: String,
    question: ScriptProbe,
}

impl OsServiceProbe {
    pub(super) fn of(definition: &CheckDefinition) -> Self {
        Self::asking(PROGRAM, definition)
    }

    fn asking(program: &str, definition: &CheckDefinition) -> Self {
        let name = definition.os_service.clone();
        // Behind `--` a name cannot be taken for an option.
        let args = [program, "is-active", "--", &name].map(str::to_owned).into();
        Self { name, question: ScriptProbe::of(&CheckDefinition { args, ..definition.clone() }) }
    }

    pub(super) async fn run(&self) -> Finding {
        let Finding { status, output } = self.question.run().await;
        let name = &self.name;
        let state = output.lines().next().unwrap_or_default().trim();
        match state {
            "active" => Finding::passing(format!("Service {name:?} is active")),
            "activating" | "reloading" | "refreshing" => {
                let output = format!("Service {name:?} is {state}");
                Finding { status: CheckStatus::Warning, output }
            }
            "inactive" | "deactivating" | "failed" | "maintenance" | "unknown" => {
                Finding::critical(format!("Service {name:?} is {state}"))
            }
            // Nothing the manager says about a service, so it is about itself.
            _ if status == CheckStatus::Critical || !output.is_empty() => Finding::critical(
                format!("Cannot determine the state of service {name:?}: {}", output.trim_end()),
            ),
            _ => Finding::critical(format!("Cannot determine the state of service {name:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    /// A service manager that knows four services.
    fn manager(folder: &Path) -> String {
        let program = folder.join("manager");
        let script = "#!/bin/sh\n\
            [ \"$1 $2\" = 'is-active --' ] || { echo \"bad call: $*\"; exit 9; }\n\
            case \"$3\" in up) echo active;; slow) echo activating; exit 3;;\n\
            down) echo failed; exit 3;; *) echo inactive; exit 4;; esac\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        program.to_str().unwrap().to_owned()
    }

    async fn state_of(program: &str, name: &str) -> Finding {
        let definition = CheckDefinition { os_service: name.to_owned(), ..Default::default() };
        OsServiceProbe::asking(program, &definition).run().await
    }

    #[tokio::test]
    async fn the_managers_word_decides() {
        let folder = tempfile::tempdir().unwrap();
        let program = manager(folder.path());
        let up = state_of(&program, "up").await;
        assert_eq!(up, Finding::passing("Service \"up\" is active"));
        assert_eq!(state_of(&program, "slow").await.status, CheckStatus::Warning);
        let down = state_of(&program, "down").await;
        assert_eq!(down, Finding::critical("Service \"down\" is failed"));
        let none = state_of(&program, "--help").await;
        assert_eq!(none, Finding::critical("Service \"--help\" is inactive"));
    }

    #[tokio::test]
    async fn without_a_manager_the_check_is_critical_and_says_so() {
        let finding = state_of("/nonexistent/systemctl", "up").await;
        assert_eq!(finding.status, CheckStatus::Critical);
        assert!(finding.output.contains("\"up\": No such file"), "{finding:?}");
    }
}
