//! Every kept input once more. What it is for is said in the library's head.

use std::path::Path;

use coord_fuzz::{TARGETS, inputs};

#[test]
fn no_kept_input_breaks_a_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in TARGETS {
        let file = folder.join(format!("{}.hex", target.name));
        let text = std::fs::read_to_string(&file).expect("every target has a corpus");
        let inputs = inputs(&text).expect("a corpus is lines of hex");
        assert!(inputs.len() > 10, "{} keeps next to nothing", target.name);
        for input in inputs {
            // Cut short as well: most damage is an early end.
            (target.check)(&input[..input.len() / 2]);
            (target.check)(&input);
        }
    }
}

#[test]
fn every_corpus_has_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        assert!(coord_fuzz::target(&name).is_some(), "{}: no such target", path.display());
    }
}
