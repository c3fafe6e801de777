//! The web UI at `/ui/`: its files, and how they are served.
//!
//! The UI is the content of `page/`, embedded in the library without a build
//! step. It only talks to this member, over the public API. The same document
//! is at every path below `/ui/`, so that deep links work; its files are below
//! `/ui/assets/`, where a missing one is 404.
//!
//! Names, keys and check output are untrusted. The UI displays them as text
//! only, and the content security policy here is the second line of defence: no
//! script runs except the UI's own, nothing is loaded from elsewhere, and
//! framing is forbidden.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use sha2::{Digest as _, Sha256};

use super::ConsulApi;
use super::http::answer::Answer;
use super::http::call::Call;
use super::http::error_map::HttpError;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The document, which names the others.
const DOCUMENT: (&str, &str) = (HTML, include_str!("page/index.html"));

/// What is below `/ui/assets/`: name, type, text.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", STYLE, include_str!("page/style.css")),
    ("icon.svg", PICTURE, include_str!("page/icon.svg")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("ask.js", SCRIPT, include_str!("page/ask.js")),
    ("follow.js", SCRIPT, include_str!("page/follow.js")),
    ("screen.js", SCRIPT, include_str!("page/screen.js")),
    ("services.js", SCRIPT, include_str!("page/services.js")),
    ("nodes.js", SCRIPT, include_str!("page/nodes.js")),
    ("graph.js", SCRIPT, include_str!("page/graph.js")),
    ("dependencies.js", SCRIPT, include_str!("page/dependencies.js")),
    ("picture.js", SCRIPT, include_str!("page/picture.js")),
    ("layout.js", SCRIPT, include_str!("page/layout.js")),
    // Somebody else's, as it was published, with its licence.
    ("dagre.esm.js", SCRIPT, include_str!("page/dagre.esm.js")),
    ("dagre.esm.js.LEGAL.txt", PLAIN, include_str!("page/dagre.esm.js.LEGAL.txt")),
    ("keys.js", SCRIPT, include_str!("page/keys.js")),
    ("value.js", SCRIPT, include_str!("page/value.js")),
    ("sessions.js", SCRIPT, include_str!("page/sessions.js")),
    ("members.js", SCRIPT, include_str!("page/members.js")),
];

/// The page, ready to be handed out.
#[derive(Debug)]
pub(super) struct Page {
    document: File,
    assets: Vec<(&'static str, File)>,
}

#[derive(Debug)]
struct File {
    content_type: &'static str,
    text: &'static str,
    /// A browser that has this text already is not sent it again.
    tag: HeaderValue,
}

impl Page {
    pub(super) fn new() -> Self {
        let assets = ASSETS.iter();
        Self {
            document: File::new(DOCUMENT.0, DOCUMENT.1),
            assets: assets.map(|(name, kind, text)| (*name, File::new(kind, text))).collect(),
        }
    }

    /// What is at a path below `/ui/`.
    fn file(&self, path: &[u8]) -> Option<&File> {
        match path.strip_prefix(b"assets/") {
            None => Some(&self.document),
            Some(asset) => {
                let mut assets = self.assets.iter();
                assets.find(|(name, _)| name.as_bytes() == asset).map(|(_, file)| file)
            }
        }
    }
}

impl File {
    fn new(content_type: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        // Weak, for it may come compressed.
        let mut tag = "W/\"".to_owned();
        for byte in &digest[..12] {
            tag.push_str(&format!("{byte:02x}"));
        }
        tag.push('"');
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { content_type, text, tag }
    }

    fn answer(&self, known: Option<&HeaderValue>) -> Answer {
        let answer = if known == Some(&self.tag) {
            Answer::empty().with_status(StatusCode::NOT_MODIFIED)
        } else {
            Answer::of_type(self.content_type, Bytes::from_static(self.text.as_bytes()))
        };
        answer.with_header(ETAG, self.tag.clone())
    }
}

/// Goes with every answer below `/ui/`. Browsers ask each time whether they
/// have the current text: a page of an older version must not speak to a newer
/// member.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-cache"),
];

impl ConsulApi {
    /// The page, or one of its files.
    pub(super) fn ui(&self, call: &Call) -> Result<Answer, HttpError> {
        let file = self.page.as_ref().and_then(|page| page.file(&call.tail));
        let file = file.ok_or_else(|| HttpError::not_found("The UI has no such file"))?;
        let answer = file.answer(call.headers.get(IF_NONE_MATCH));
        Ok(HEADERS.into_iter().fold(answer, |answer, (name, value)| {
            answer.with_header(name, HeaderValue::from_static(value))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_no_file_that_it_does_not_carry() {
        let page = Page::new();
        let mut named = 0;
        let texts = ASSETS.iter().map(|(_, _, text)| *text).chain([DOCUMENT.1]);
        for text in texts {
            // Of a module that is a sibling, of the document a path.
            for mark in ["from \"./", "\"/ui/assets/"] {
                for (at, _) in text.match_indices(mark) {
                    let rest = &text[at + mark.len()..];
                    let name = rest.split('"').next().unwrap();
                    assert!(page.file(format!("assets/{name}").as_bytes()).is_some(), "{name}");
                    named += 1;
                }
            }
        }
        assert!(named > ASSETS.len(), "the marks find nothing: {named}");
    }

    #[test]
    fn nothing_in_the_page_makes_elements_from_text_or_asks_elsewhere() {
        let banned = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
            "style=",
            "onclick",
            "onload",
            "<script>",
            "<style>",
            "http://",
            "https://",
        ];
        for (name, _, text) in ASSETS.iter().chain([&("index.html", DOCUMENT.0, DOCUMENT.1)]) {
            for word in banned {
                // The namespace of a picture is a name, not an address that anybody asks.
                let text = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(word), "{name} contains {word}");
            }
        }
    }
}
