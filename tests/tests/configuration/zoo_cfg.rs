//! The result of reading `zoo.cfg` files as they are written in the field.
//!
//! Each fixture is one of them, rewritten. Its first line says what it is; comment lines give its
//! directory (`data:`, replaced by a temporary one), the content of `myid`, and the name of the file
//! or of its dynamic file if it has one. docs/ZOO_CFG.md is printed from the results, so that a change
//! of them shows; `make fix` rewrites it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use coord_core::settings::{ReadSettings, Settings};

use crate::top;

const HEAD: &str = "\
# zoo.cfg

Printed by `tests/tests/configuration/zoo_cfg.rs` from `tests/fixtures/zoo-cfg`; `make fix` rewrites
this file.

`coord server --config FILE` reads a file whose name ends in `.cfg` or `.properties` as ZooKeeper
does: in the format of Java properties (`key=value`, `key: value`, `key value`, lines continued with a
backslash, `\\u0041`), with the file `myid` in its `dataDir` and the file named by
`dynamicConfigFile`. The encoding is UTF-8, or ISO 8859-1 as in Java. Every number may also be
hexadecimal (`0x9fffff`). Settings without a ZooKeeper key are written with the prefix `coord.`, for
example `coord.peers.secret_file`.

A key is applied, ignored silently because it changes nothing that clients can observe (ticks of the
quorum protocol, sizes and purging of ZooKeeper's own files, threads), or ignored with a warning on
startup. A file that would result in a different or less secure cluster than it describes is refused.

The sections below show the result for files as images, charts, operators and guides write them: the
settings that differ from the defaults, the warnings, or why the file is refused.

";

#[test]
fn what_becomes_of_each_file_is_what_the_page_says() {
    let mut page = HEAD.to_owned();
    for name in names() {
        let (title, outcome) = outcome(&name);
        let file = format!("../tests/fixtures/zoo-cfg/{name}.cfg");
        writeln!(page, "## {title}\n\n[{name}.cfg]({file})\n\n{outcome}").expect("text");
    }
    let page = page.trim_end().to_owned() + "\n";
    let path = top().join("docs/ZOO_CFG.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, page, "docs/ZOO_CFG.md is not current: run `make fix` and look at it");
}

/// Beside the page: what must never become something else, whatever the page says.
#[test]
fn no_file_becomes_silently_something_else() {
    let becomes = |name: &str| outcome(name).1;
    for (name, parts) in [
        ("04-image-any-address", &["`members.2` | `0.0.0.0:2888`"][..]),
        ("10-hbase-one-line", &["`zk_addr` | `0.0.0.0:2181`"]),
        ("11-observers-guide", &["`observers` | `[4]`", "`members.4` | `zoo4:2181`"]),
        ("12-peer-type-against-line", &["server.N wins"]),
        ("13-tls-only", &["`zk_addr` | `off`", "`zk_tls_addr` | `0.0.0.0:2281`"]),
        ("18-version-6-loopback", &["`zk_addr` | `[::1]:2181`"]),
        ("19-listen-on-all", &["`peer_addr` | `0.0.0.0:2888`"]),
        ("20-stored-by-java", &["`members.2` | `10.0.0.2:2888`", "`observers` | `[3]`"]),
        ("21-templated", &["`zk_four_letter_words` | `ruok, srvr, mntr`", "/srv/zoo/coord"]),
        ("22-hexadecimal", &["`limits.zk_frame_bytes_max` | `10485759`"]),
        ("25-several-addresses", &["several addresses"]),
    ] {
        let becomes = becomes(name);
        for part in parts {
            assert!(becomes.contains(part), "{name} without {part}:\n{becomes}");
        }
        assert!(!becomes.contains("Refused"), "{name}:\n{becomes}");
    }
    for (name, why) in [
        ("02-three-servers", "coord.peers.secret_file"),
        ("14-tls-java-store", "keytool"),
        ("23-groups", "group.1"),
        ("24-numbers-from-zero", "0 means no session"),
        ("27-sasl-between-members", "quorum.auth.enableSasl"),
        ("28-mistyped-directory", "datadir is set"),
        ("29-comment-behind-value", "2000 # milliseconds"),
    ] {
        let becomes = becomes(name);
        assert!(becomes.starts_with("Refused") && becomes.contains(why), "{name}:\n{becomes}");
    }
    assert!(names().len() >= 20);
}

/// A byte order mark is a part of the first key for Java, so `dataDir` would be missing.
#[test]
fn a_byte_order_mark_is_refused_and_other_line_ends_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("zoo.cfg");
    let text = format!("dataDir={}\r\nclientPort=2181\r\n", folder.path().display());
    fs::write(&path, format!("\u{feff}{text}")).expect("it is written");
    let refused = Settings::read(&path).expect_err("refused").chain();
    assert!(refused.contains("byte order mark"), "{refused}");
    fs::write(&path, &text).expect("it is written");
    let settings = Settings::read(&path).expect("it is read").settings;
    assert_eq!(settings.zk_addr.to_string(), "0.0.0.0:2181");
}

/// What somebody else's server stored is not read, and not passed over in silence.
#[test]
fn data_of_a_zookeeper_beside_a_first_start_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("zoo.cfg");
    fs::write(&path, format!("dataDir={}\nclientPort=1\n", folder.path().display()))
        .expect("it is written");
    fs::create_dir(folder.path().join("version-2")).expect("a folder");
    let told = |path| Settings::read(path).expect("it is read").warnings.join("\n");
    assert!(told(&path).contains("starts empty"), "{}", told(&path));
    fs::create_dir(folder.path().join("coord")).expect("a folder");
    assert_eq!(told(&path), "");
}

fn names() -> Vec<String> {
    let files = fs::read_dir(fixtures()).expect("the fixtures are there");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".cfg").map(str::to_owned)).collect();
    names.sort();
    names
}

fn fixtures() -> std::path::PathBuf {
    top().join("tests/fixtures/zoo-cfg")
}

/// What a file is, and what becomes of it.
fn outcome(name: &str) -> (String, String) {
    let text = fs::read_to_string(fixtures().join(format!("{name}.cfg"))).expect("a fixture");
    let said = |what: &str| {
        let line = text.lines().find_map(|line| line.split_once(what));
        line.map(|(_, value)| value.trim().to_owned())
    };
    let title = text.lines().next().expect("a line").trim_start_matches("# ");
    let root = tempfile::tempdir().expect("a folder");
    let data = said(" data: ").expect("where its data is");
    let here = |path: &str| format!("{}{path}", root.path().display());
    let mut text = text.replace(&data, &here(&data));
    // The same, where one of its letters is written as an escape.
    text = text.replace("/srv/zo\\u006f", &format!("{}/srv/zo\\u006f", root.path().display()));
    fs::create_dir_all(here(&data)).expect("a folder");
    if let Some(number) = said(" myid: ") {
        fs::write(Path::new(&here(&data)).join("myid"), number + "\n").expect("it is written");
    }
    if let Some(dynamic) = said(" dynamic: ") {
        if !dynamic.starts_with(&data) {
            text = text.replace(&dynamic, &here(&dynamic));
        }
        let at = here(&dynamic);
        fs::create_dir_all(Path::new(&at).parent().expect("a folder")).expect("a folder");
        let stored = fixtures().join(format!("{name}.dynamic"));
        fs::copy(stored, at).expect("it is written");
    }
    let path = root.path().join(said(" name: ").unwrap_or_else(|| "zoo.cfg".to_owned()));
    fs::write(&path, text).expect("it is written");
    let described = describe(Settings::read(&path));
    (title.to_owned(), described.replace(&root.path().display().to_string(), ""))
}

fn describe(read: Result<ReadSettings, coord_core::Error>) -> String {
    let ReadSettings { settings, warnings } = match read {
        Ok(read) => read,
        Err(error) => return format!("Refused: {}.\n", error.chain()),
    };
    if let Err(error) = settings.clone().validate() {
        return format!("Refused: {}.\n", error.chain());
    }
    let usual: BTreeMap<String, String> = Settings::default().named().into_iter().collect();
    let mut text = "| setting | value |\n|---|---|\n".to_owned();
    for (name, value) in settings.named() {
        if usual.get(&name) != Some(&value) {
            writeln!(text, "| `{name}` | `{value}` |").expect("text");
        }
    }
    if !warnings.is_empty() {
        text.push_str("\nWarnings on startup:\n\n");
        for warning in warnings {
            writeln!(text, "- {warning}").expect("text");
        }
    }
    text
}
