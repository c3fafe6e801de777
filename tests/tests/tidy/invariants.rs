//! The invariants of ARCHITECTURE.md and the code that keeps them name each other.
//!
//! Code names one in a comment or message as `invariant A6` (`invariants B6 and B7`),
//! in a comment in parentheses (`(A6)`, `(B6, B7)`), or to `require`, `require_all`
//! and `Violation::new` as `"A6"`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::no_complaints;
use crate::source::{files, top};

/// Invariants that no place in the code can name, and why not.
const NAMED_NOWHERE: &[(&str, &str)] = &[];

const CODE: &[&str] = &["core", "ffi-c", "python", "tests/faults", "tests/tests"];

#[test]
fn invariants_are_numbered_without_gaps() {
    let mut complaints = Vec::new();
    let mut expected = BTreeMap::new();
    for (line, id) in listed() {
        let (group, number) = id.split_at(1);
        let next = expected.entry(group.to_owned()).or_insert(1);
        if number != next.to_string() {
            complaints.push(format!(
                "ARCHITECTURE.md:{line}: {id} comes where {group}{next} is expected: code refers \
                 to invariants by number, so add new ones at the end of their group"
            ));
        }
        *next += 1;
    }
    assert_eq!(expected.len(), 4, "ARCHITECTURE.md lists the groups A to D");
    no_complaints(&complaints);
}

#[test]
fn code_names_only_invariants_that_are_listed() {
    let listed: BTreeSet<String> = listed().into_iter().map(|(_, id)| id).collect();
    let complaints: Vec<_> = named()
        .into_iter()
        .filter(|(id, _)| !listed.contains(id))
        .flat_map(|(id, places)| {
            places.into_iter().map(move |place| {
                format!("{place}: ARCHITECTURE.md lists no invariant {id}: add it, or mend this")
            })
        })
        .collect();
    no_complaints(&complaints);
}

#[test]
fn every_listed_invariant_is_named_where_it_is_kept() {
    let named = named();
    let mut complaints = Vec::new();
    for (line, id) in listed() {
        let excused = NAMED_NOWHERE.iter().any(|(excused, _)| *excused == id);
        match (named.contains_key(&id), excused) {
            (true, false) | (false, true) => {}
            (false, false) => complaints.push(format!(
                "ARCHITECTURE.md:{line}: no code names invariant {id}: name it in the check or test \
                 that keeps it, or say in NAMED_NOWHERE why nothing can"
            )),
            (true, true) => complaints.push(format!(
                "tests/tests/tidy/invariants.rs: {id} is named in code: take it out of NAMED_NOWHERE"
            )),
        }
    }
    no_complaints(&complaints);
}

/// The invariants of ARCHITECTURE.md in order, with their lines.
fn listed() -> Vec<(usize, String)> {
    let text = fs::read_to_string(top().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let entry = |line: &str| {
        let (id, _) = line.strip_prefix("- ")?.split_once(". ")?;
        is_id(id).then(|| id.to_owned())
    };
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| Some((index + 1, entry(line)?))).collect()
}

/// Every invariant that code names, and where.
fn named() -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in CODE.iter().flat_map(|folder| files(folder, &[".rs", ".py"])) {
        // This file names some that are none.
        if file.path.ends_with("tidy/invariants.rs") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            for id in named_in(line) {
                named.entry(id).or_default().push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    named
}

fn named_in(line: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in ["invariant ", "invariants ", "Invariant ", "Invariants "] {
        for (at, _) in line.match_indices(word) {
            found.extend(ids_at(&line[at + word.len()..]));
        }
    }
    let is_comment = line.trim_start().starts_with(['/', '#']);
    for (at, _) in line.match_indices('(') {
        let (ids, rest) = ids_and_rest(&line[at + 1..]);
        if is_comment && rest.starts_with(')') {
            found.extend(ids);
        }
    }
    for before in ["require(", "require_all(", "Violation::new(", "require(self, "] {
        for (at, _) in line.match_indices(before) {
            let argument = line[at + before.len()..].split('"').nth(1).unwrap_or_default();
            found.extend(is_id(argument).then(|| argument.to_owned()));
        }
    }
    // The first argument of such a call on a line of its own.
    let alone = line.trim().trim_end_matches(',').trim_matches('"');
    if is_id(alone) && line.trim() == format!("\"{alone}\",") {
        found.insert(alone.to_owned());
    }
    found
}

/// The ids that a text begins with: `A1`, `A1 and B2`, `A1, A2 and B3`.
fn ids_at(text: &str) -> Vec<String> {
    ids_and_rest(text).0
}

fn ids_and_rest(mut text: &str) -> (Vec<String>, &str) {
    let mut ids = Vec::new();
    loop {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        if !is_id(&text[..end]) {
            return (ids, text);
        }
        ids.push(text[..end].to_owned());
        text = &text[end..];
        let next = [", ", " and ", " or "].into_iter().find_map(|link| text.strip_prefix(link));
        match next {
            Some(next) => text = next,
            None => return (ids, text),
        }
    }
}

fn is_id(text: &str) -> bool {
    text.starts_with(['A', 'B', 'C', 'D'])
        && (2..=3).contains(&text.len())
        && text[1..].bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn invariants_are_found_in_every_form_in_which_code_names_them() {
    let found = |line: &str| Vec::from_iter(named_in(line));
    assert_eq!(found("    // Invariant C10: others get their turn."), ["C10"]);
    assert_eq!(found("/// See invariants B6, B7 and C13."), ["B6", "B7", "C13"]);
    assert_eq!(found("//! | it is not less than the last (B7) |"), ["B7"]);
    assert_eq!(found("//! each follows the one before (B6, B7)"), ["B6", "B7"]);
    assert_eq!(found("        require(\"A6\", is_known, || {"), ["A6"]);
    assert_eq!(found("return Err(Violation::new(\"A8\", format!(\"x\")));"), ["A8"]);
    assert_eq!(found("            \"A2\","), ["A2"]);
    assert_eq!(found("\"invariant A3 is violated: {}\","), ["A3"]);
    for line in ["let key = \"A1\";", "call(A1)", "invariants hold (C)", "// D1x is no id (D1x)"] {
        assert_eq!(found(line), [""; 0], "{line}");
    }
}
