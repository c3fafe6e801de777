//! What the documents say is there, is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::no_complaints;
use crate::source::{SourceFile, files, top};

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    for file in files("", &[".md"]) {
        let folder = Path::new(&file.path).parent().unwrap_or_else(|| Path::new(""));
        for (number, target) in links(&file) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let text = if path.is_empty() {
                Some(file.text.clone())
            } else {
                let place = top().join(folder).join(path);
                if place.is_dir() {
                    continue;
                }
                fs::read_to_string(place).ok()
            };
            match text {
                None => complaints.push(format!(
                    "{}:{number}: links to {target}, which is not there: mend the link or write it",
                    file.path
                )),
                Some(text) if !anchor.is_empty() && !anchors(&text).contains(anchor) => complaints
                    .push(format!(
                        "{}:{number}: no heading of {target} reads like its anchor",
                        file.path
                    )),
                Some(_) => {}
            }
        }
    }
    no_complaints(&complaints);
}

/// Targets of `[text](target)` outside code, with their line.
fn links(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            if let Some(end) = line[at..].find(')') {
                found.push((index + 1, line[at + 2..at + end].to_owned()));
            }
        }
    }
    found
}

/// Headings as their anchors: lower case, spaces to dashes, punctuation away.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn commands_in_the_documents_are_in_the_makefile() {
    let makefile = fs::read_to_string(top().join("Makefile")).expect("a Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, rest)| !rest.starts_with('=') && !name.contains(['=', '?', '$']))
        .flat_map(|(name, _)| name.split_whitespace())
        .collect();
    let mut complaints = Vec::new();
    for file in files("", &[".md"]) {
        for (index, line) in file.text.lines().enumerate() {
            for wanted in make_commands(line) {
                if !targets.contains(wanted) {
                    complaints.push(format!(
                        "{}:{}: `make {wanted}` is not in the Makefile: mend the text or add it",
                        file.path,
                        index + 1
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
    for needed in ["demo", "check"] {
        let readme = fs::read_to_string(top().join("README.md")).expect("a README");
        let tells = readme.lines().any(|line| line.trim() == format!("make {needed}"));
        assert!(tells, "README.md: a newcomer needs the line `make {needed}` to paste");
    }
}

/// Targets of `make …` where it is a command: a line of its own, or in backticks.
fn make_commands(line: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    if let Some(rest) = line.trim().strip_prefix("make ") {
        // A command is one line of short words; prose that begins with "make" is not.
        if line.starts_with("make ") && !rest.ends_with(['.', ',', ':']) && rest.len() < 40 {
            commands.push(rest);
        }
    }
    commands
        .extend(line.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("make ")));
    commands
        .into_iter()
        .flat_map(str::split_whitespace)
        .take_while(|word| !word.starts_with('#'))
        .filter(|word| !word.contains('=') && word.chars().all(|c| c.is_ascii_lowercase()))
        .collect()
}

/// Papers whose tables name, in their last column, the tests that show a row.
const SHOWN_BY_TESTS: &[&str] = &["docs/COMPATIBILITY.md", "docs/GUARANTEES.md"];

#[test]
fn tests_named_in_the_tables_exist() {
    let known = tests_and_files();
    let mut complaints = Vec::new();
    for paper in SHOWN_BY_TESTS {
        for (number, name) in named_tests(paper) {
            if !known.contains(&name) {
                complaints.push(format!(
                    "{paper}:{number}: there is no test `{name}`: name the one that shows this \
                     row, or leave the column empty"
                ));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn every_promise_is_shown_by_a_test() {
    let named: BTreeSet<usize> =
        named_tests("docs/GUARANTEES.md").into_iter().map(|(number, _)| number).collect();
    let complaints: Vec<_> = rows("docs/GUARANTEES.md")
        .into_iter()
        .filter(|(number, _)| !named.contains(number))
        .map(|(number, _)| {
            format!(
                "docs/GUARANTEES.md:{number}: a promise without a test that would fail: write it"
            )
        })
        .collect();
    no_complaints(&complaints);
}

/// Names of all tests and other functions, and paths of all files that test.
fn tests_and_files() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for file in files("", &[".rs", ".py"]) {
        for line in file.text.lines() {
            let line = line.trim_start().trim_start_matches("async ");
            let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("def ")) else {
                continue;
            };
            known.extend(rest.split('(').next().map(str::to_owned));
        }
        known.insert(file.path);
    }
    for folder in ["core/state/testscripts", "tests"] {
        known.extend(files(folder, &[""]).into_iter().map(|file| file.path));
    }
    known
}

/// Rows of a paper's tables without their heads, with their line.
fn rows(paper: &str) -> Vec<(usize, String)> {
    let text = fs::read_to_string(top().join(paper)).expect("the tables");
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("|---"));
    (0..lines.len())
        .filter(|at| lines[*at].starts_with('|') && !is_rule(lines.get(*at)))
        .filter(|at| !is_rule(lines.get(at + 1)))
        .map(|at| (at + 1, lines[at].to_owned()))
        .collect()
}

/// What stands in code in the last column, with its line.
fn named_tests(paper: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (number, row) in rows(paper) {
        let last = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        named.extend(last.split('`').skip(1).step_by(2).map(|name| (number, name.to_owned())));
    }
    named
}

#[test]
fn decisions_are_numbered_and_listed() {
    let index = fs::read_to_string(top().join("docs/adr/README.md")).expect("a list of decisions");
    let mut complaints = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in files("docs/adr", &[".md"]) {
        let name = file.path.trim_start_matches("docs/adr/");
        if name == "README.md" {
            continue;
        }
        let number = name.split('-').next().unwrap_or_default().to_owned();
        if number.len() != 4 || !numbers.insert(number) {
            complaints.push(format!("{}: begin the name with the next free number", file.path));
        }
        if !index.contains(&format!("({name})")) {
            complaints.push(format!("{}: add it to docs/adr/README.md", file.path));
        }
        if file.text.lines().count() > 60 {
            complaints.push(format!("{}: longer than a screen: keep the decision", file.path));
        }
    }
    no_complaints(&complaints);
}
