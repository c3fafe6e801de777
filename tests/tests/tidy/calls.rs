//! Calls with a place of their own, and what the state machine may not touch.

use crate::no_complaints;
use crate::source::{SourceFile, files};

/// A call that belongs in few places.
struct Ban {
    call: &'static str,
    /// Beginnings of the paths where it is at home.
    at_home: &'static [&'static str],
    instead: &'static str,
}

const PRODUCT: &[&str] = &["core", "ffi-c/src", "python/src"];

const BANS: &[Ban] = &[
    Ban {
        call: "Instant::now(",
        // A client in a foreign process has no node whose clock it could ask;
        // openraft measures with instants, and so does whoever compares with its.
        at_home: &["core/src/clock.rs", "core/src/client/", "core/src/consensus/", "core/cli/src/"],
        instead: "ask the Clock that was handed in, so that a test can hand in another",
    },
    Ban {
        call: "SystemTime::now(",
        at_home: &["core/src/clock.rs"],
        instead: "ask the Clock that was handed in, so that a test can hand in another",
    },
    Ban {
        call: "Utc::now(",
        at_home: &[],
        instead: "ask the Clock that was handed in, and print its time with clock::utc",
    },
    Ban {
        call: "unbounded_channel",
        at_home: &[],
        instead: "use a channel with a bound from settings::Limits and say what happens when full",
    },
    Ban {
        call: "mpsc::channel()",
        at_home: &[],
        instead: "use sync_channel with a bound and say what happens when full",
    },
    Ban {
        call: "process::exit",
        at_home: &["core/cli/src/"],
        instead: "return an error: the process belongs to the host",
    },
    Ban {
        call: "println!(",
        at_home: &["core/cli/src/"],
        instead: "return the text, or record it with tracing: standard output belongs to the host",
    },
    Ban {
        call: concat!("todo", "!("),
        at_home: &[],
        instead: "finish it, or refuse with an error that says it is not there yet",
    },
    Ban {
        call: concat!("unimplemented", "!("),
        at_home: &[],
        instead: "finish it, or refuse with an error that says it is not there yet",
    },
];

#[test]
fn calls_stay_where_they_are_at_home() {
    let mut complaints = Vec::new();
    for file in product_files() {
        for line in file.code() {
            for ban in BANS {
                let at_home = ban.at_home.iter().any(|home| file.path.starts_with(home));
                if line.code.contains(ban.call) && !at_home {
                    complaints.push(format!(
                        "{}:{}: `{}` here: {}",
                        file.path, line.number, ban.call, ban.instead
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
}

/// In unit tests those of `sync.rs` find two that are taken in two orders.
#[test]
fn locks_are_those_whose_order_is_checked() {
    let mut complaints = Vec::new();
    for file in files("core/src", &[".rs"]) {
        if file.path.starts_with("core/cli/src/") || file.path == "core/src/sync.rs" {
            continue;
        }
        let code: String = file.code().iter().map(|line| format!("{}\n", line.code)).collect();
        let paths = code.split("std::sync::").skip(1);
        // One name, or a list in braces.
        let imported = paths.map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default(),
        });
        for lock in ["Mutex", "RwLock", "Condvar"] {
            if imported.clone().any(|names| has_word(names, lock)) {
                complaints.push(format!(
                    "{}: take `{lock}` from `crate::sync`, so that the order of locks is checked",
                    file.path
                ));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [concat!("FIX", "ME"), concat!("SKEL", "ETON"), concat!("XX", "X")];
    let mut complaints = Vec::new();
    for file in files("", &[".rs", ".py", ".c", ".h", "Makefile", ".md"]) {
        for (index, line) in file.text.lines().enumerate() {
            for mark in marks {
                if line.contains(mark) {
                    complaints.push(format!(
                        "{}:{}: `{mark}` is a note to oneself: finish it, or write down in \
                         docs/COMPATIBILITY.md what is not there yet",
                        file.path,
                        index + 1
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
}

/// What would make two members differ, word by word.
const CHANCE: &[(&str, &str)] = &[
    ("std::", "the state machine is no_std: take it from alloc or core"),
    ("f32", "floats round differently across machines: use integers"),
    ("f64", "floats round differently across machines: use integers"),
    ("rand::", "randomness comes in with the command"),
    ("tracing::", "the state machine does not log: return an event"),
];

#[test]
fn the_state_machine_knows_neither_world_nor_chance() {
    let mut complaints = Vec::new();
    for file in files("core/state/src", &[".rs"]) {
        for line in file.code() {
            for (word, instead) in CHANCE {
                if has_word(line.code, word) {
                    complaints.push(format!("{}:{}: `{word}`: {instead}", file.path, line.number));
                }
            }
        }
    }
    let root = files("core/state/src", &["core/state/src/lib.rs"]);
    let head = &root.first().expect("core/state/src/lib.rs is there").text;
    if !head.contains("#![no_std]") {
        complaints.push("core/state/src/lib.rs: say #![no_std] at the top".to_owned());
    }
    no_complaints(&complaints);
}

/// A hash map's order differs between processes, so walking one must not
/// decide anything. A line that walks one says why that is so with a comment
/// `order-free: …` on it or above it.
#[test]
fn the_state_machine_walks_no_hash_map_in_its_own_order() {
    let walks = [".iter()", ".iter_mut()", ".keys()", ".values()", ".values_mut()", ".drain("];
    let mut complaints = Vec::new();
    for file in files("core/state/src", &[".rs"]) {
        let names = hash_map_names(&file);
        for line in file.code() {
            let remark = line.above.contains("order-free:")
                || file
                    .text
                    .lines()
                    .nth(line.number - 1)
                    .is_some_and(|l| l.contains("order-free:"));
            for name in &names {
                let walked = walks.iter().any(|walk| line.code.contains(&format!("{name}{walk}")))
                    || line.code.contains(&format!("in &self.{name} "));
                if walked && !remark {
                    complaints.push(format!(
                        "{}:{}: `{name}` is a hash map and its order is chance: sort, use a \
                         BTreeMap, or say `// order-free: why` on the line above",
                        file.path, line.number
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
}

/// Fields and variables of a hash-map type, by `name: HashMap<`.
fn hash_map_names(file: &SourceFile) -> Vec<String> {
    let mut names = Vec::new();
    for line in file.code() {
        for kind in ["HashMap<", "HashSet<"] {
            let Some((before, _)) = line.code.split_once(kind) else { continue };
            let before = before.trim_end_matches("hashbrown::").trim_end();
            let Some(before) = before.strip_suffix(':') else { continue };
            let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
            names.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    names
}

fn product_files() -> Vec<SourceFile> {
    PRODUCT.iter().flat_map(|folder| files(folder, &[".rs"])).collect()
}

/// Whether `word` stands in `code` and is not the end of a longer one.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !inside(before) && (word.ends_with(':') || !inside(after))
    })
}

/// Who reads an unsafe block has to see what it relies on without reading the
/// contract of the function around it.
#[test]
fn every_safety_comment_says_which_promise_it_relies_on() {
    let vague = ["promised by the caller.", "passed on.", "see above."];
    let mut complaints = Vec::new();
    for file in files("ffi-c/src", &[".rs"]) {
        for (index, line) in file.text.lines().enumerate() {
            let Some((_, says)) = line.split_once("// SAFETY: ") else { continue };
            if vague.contains(&says.trim()) {
                complaints.push(format!(
                    "{}:{}: `SAFETY: {says}`: say which promise: that a pointer is NULL or live, \
                     that a text is NUL-terminated, that a length is right",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    no_complaints(&complaints);
}
