//! The repository as text: its files, and Rust without comments and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One text file of the repository.
pub(crate) struct SourceFile {
    /// From the top of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One line of Rust that ends up in the product.
pub(crate) struct CodeLine<'a> {
    /// From 1.
    pub(crate) number: usize,
    /// Without its comment.
    pub(crate) code: &'a str,
    /// The line above, which may hold a remark about this one.
    pub(crate) above: &'a str,
}

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file under `folder` whose name ends with one of `endings`, in order.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let start = if folder.is_empty() { top() } else { top().join(folder) };
    walk(&start, &mut |path| {
        let path_text = path.strip_prefix(top()).expect("below the top").to_string_lossy();
        if !endings.iter().any(|ending| path_text.ends_with(ending)) {
            return;
        }
        // What is not text has no lines to complain about.
        if let Ok(text) = fs::read_to_string(path) {
            found.push(SourceFile { path: path_text.replace('\\', "/"), text });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            let built = ["target", "dist", "__pycache__", "coord-data"].contains(&name.as_str());
            if !built && (!name.starts_with('.') || name == ".ci") {
                walk(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

impl SourceFile {
    /// Whether the whole file is a test.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.starts_with("tests/")
    }

    /// The lines of Rust that are neither comment nor test.
    pub(crate) fn code(&self) -> Vec<CodeLine<'_>> {
        if self.is_test() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let mut above = "";
        let mut numbered = self.text.lines().enumerate();
        while let Some((index, line)) = numbered.next() {
            if line.trim() == "#[cfg(test)]" {
                skip_item(&mut numbered);
                continue;
            }
            lines.push(CodeLine { number: index + 1, code: without_comment(line), above });
            above = line;
        }
        lines
    }
}

/// Passes over the item that follows an attribute: up to its semicolon, or to
/// the end of its block.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let mut depth = 0usize;
    for (_, line) in lines {
        let code = without_comment(line);
        depth += code.matches('{').count();
        depth = depth.saturating_sub(code.matches('}').count());
        let ends = code.trim_end().ends_with([';', '}']);
        if depth == 0 && ends && !code.trim_start().starts_with("#[") {
            return;
        }
    }
}

fn without_comment(line: &str) -> &str {
    // A `//` after a colon is an address in a string.
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| at + from) {
        if at == 0 || line.as_bytes()[at - 1] != b':' {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}
