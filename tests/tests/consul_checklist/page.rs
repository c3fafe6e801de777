//! The page in the browser, as far as a client without one sees it.

use crate::http_client::{Member, Reply, member, member_with, settings};
use crate::score::Point;

fn with_page() -> Member {
    let mut settings = settings();
    settings.ui.enabled = true;
    member_with(settings)
}

/// Whether it is the document, as it goes on the wire.
#[track_caller]
fn is_the_document(reply: &Reply) {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(reply.text().starts_with("<!doctype html>"), "{}", reply.text());
}

#[test]
fn the_root_leads_to_the_page_where_it_is_on() {
    let _point = Point::of("H-16");
    let member = with_page();
    for (path, to) in [("/", "/ui/"), ("/?x=1", "/ui/"), ("/ui", "/ui/"), ("/ui?x=1", "/ui/?x=1")] {
        let reply = member.get(path);
        assert_eq!(reply.status, 301, "{path}");
        assert_eq!(reply.header("Location"), Some(to), "{path}");
        assert_eq!(reply.text(), format!("<a href=\"{to}\">Moved Permanently</a>.\n\n"));
    }
    is_the_document(&member.get("/ui/"));
}

#[test]
fn without_the_page_its_paths_are_as_unknown_as_any() {
    let member = member();
    member.get("/").says(
        200,
        "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent \
         configuration and restart.",
    );
    let unknown = member.get("/nope");
    assert_eq!(unknown.status, 404);
    for path in ["/ui", "/ui/", "/ui/services", "/ui/assets/main.js"] {
        for method in ["GET", "POST", "OPTIONS"] {
            member.send(method, path, &[], b"").says(404, unknown.text());
        }
    }
}

#[test]
fn a_link_into_the_page_gives_the_page() {
    let member = with_page();
    for path in ["/ui/services", "/ui/services?name=a/../b", "/ui/keys?prefix=a//b/", "/ui/x/y"] {
        is_the_document(&member.get(path));
    }
    // A file that is missing is not the page: a browser would take it for a script.
    member.get("/ui/assets/nope.js").says(404, "The UI has no such file");
    member.get("/ui/assets/").says(404, "The UI has no such file");
    // Nothing but the page's own files is there.
    assert_eq!(member.get("/ui/assets/../../v1/nope").header("Location"), Some("/v1/nope"));
    member
        .get("/ui/assets/%2e%2e/mod.rs")
        .says(301, "<a href=\"/ui/mod.rs\">Moved Permanently</a>.\n\n");
}

#[test]
fn every_file_that_the_page_names_comes_with_its_type() {
    let member = with_page();
    let document = member.get("/ui/").ok();
    let mut names: Vec<String> = quoted_after(document.text(), "/ui/assets/");
    assert!(names.len() >= 3, "{names:?}");
    let mut seen = Vec::new();
    while let Some(name) = names.pop() {
        let file = member.get(&format!("/ui/assets/{name}")).ok();
        let kind = match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => panic!("{name} is of no known type"),
        };
        assert_eq!(file.header("Content-Type"), Some(kind), "{name}");
        seen.push(name);
        let further = quoted_after(file.text(), "from \"./").into_iter();
        names.extend(further.filter(|name| !seen.contains(name)));
        names.sort();
        names.dedup();
    }
    assert!(seen.contains(&"follow.js".to_owned()), "{seen:?}");
}

/// What stands between a mark and the quote after it.
fn quoted_after(text: &str, mark: &str) -> Vec<String> {
    let rest = text.split(mark).skip(1);
    rest.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_page_runs_no_script_but_its_own_and_is_framed_by_nobody() {
    let member = with_page();
    for path in ["/ui/", "/ui/nodes?name=x", "/ui/assets/main.js", "/ui/assets/icon.svg"] {
        let reply = member.get(path).ok();
        let policy = reply.header("Content-Security-Policy").unwrap();
        let rules: Vec<_> = policy.split("; ").collect();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(rules.contains(&rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"), "{path}");
    }
    // Answers of the API are what they were.
    assert_eq!(member.get("/v1/catalog/nodes").header("Content-Security-Policy"), None);
}

#[test]
fn a_browser_that_has_the_current_text_is_not_sent_it_again() {
    let member = with_page();
    for path in ["/ui/", "/ui/assets/style.css"] {
        let first = member.get(path).ok();
        assert_eq!(first.header("Cache-Control"), Some("no-cache"));
        let tag = first.header("Etag").unwrap().to_owned();
        let again = member.send("GET", path, &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("Etag"), Some(&*tag));
        let other = member.send("GET", path, &[("If-None-Match", "W/\"other\"")], b"");
        assert_eq!(other.status, 200);
    }
    let packed = member.send("GET", "/ui/", &[("Accept-Encoding", "gzip")], b"").ok();
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
}

#[test]
fn the_page_is_only_read() {
    let member = with_page();
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
        let reply = member.send(method, "/ui/services", &[], b"");
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("Allow"), Some("OPTIONS,GET"), "{method}");
    }
    member.send("OPTIONS", "/ui/", &[], b"").says(200, "");
}
