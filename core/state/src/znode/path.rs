//! Path validation, as in ZooKeeper 3.9.

use crate::rejection::Rejection;

/// What ZooKeeper refuses to delete: the tree would not be one without them.
pub(super) const BUILT_IN: [&str; 4] = ["/", SYSTEM, "/zookeeper/quota", CONFIG];

/// Where the system keeps its books.
pub(super) const SYSTEM: &str = "/zookeeper";

/// Who takes part, kept by the leader.
pub(super) const CONFIG: &str = "/zookeeper/config";

/// The part of `path` before its last slash: the root's is empty.
///
/// This is all that is asked of a path before its parent is looked up, so that
/// a missing parent is told before a bad name.
///
/// # Errors
/// `BadArguments` if there is no slash, or a NUL.
pub(super) fn parent(path: &str) -> Result<&str, Rejection> {
    let slash = path.rfind('/').ok_or(Rejection::BadArguments("the path has no slash"))?;
    if path.contains('\0') {
        return Err(Rejection::BadArguments("the path contains a NUL"));
    }
    Ok(&path[..slash])
}

/// Whether a znode can be at `path`.
///
/// # Errors
/// `BadArguments`, saying which rule is broken.
pub(super) fn validate(path: &str) -> Result<(), Rejection> {
    let Some(below_root) = path.strip_prefix('/') else {
        return Err(Rejection::BadArguments("the path does not begin with a slash"));
    };
    if below_root.is_empty() {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(Rejection::BadArguments("the path ends with a slash"));
    }
    for name in below_root.split('/') {
        match name {
            "" => return Err(Rejection::BadArguments("the path has an empty component")),
            "." | ".." => return Err(Rejection::BadArguments("the path is relative")),
            _ => {}
        }
    }
    if path.chars().any(is_forbidden) {
        return Err(Rejection::BadArguments("the path contains an invalid character"));
    }
    Ok(())
}

/// Characters beyond U+FFFF are forbidden because ZooKeeper looks at UTF-16 surrogates.
fn is_forbidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{fff0}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths_are_accepted() {
        for path in ["/", "/a", "/a.b", "/...", "/..x", "/a/b c", "/ä/\u{20ac}", "/\u{ffef}"] {
            assert_eq!(validate(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn invalid_paths_are_refused() {
        for path in [
            "",
            "a",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/..",
            "/\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{1f600}",
        ] {
            assert!(validate(path).is_err(), "{path:?}");
        }
    }
}
