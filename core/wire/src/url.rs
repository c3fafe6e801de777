//! URLs as a user writes them, read as Go's `net/url` reads them.
//!
//! It is forgiving where a URL is written by hand: a blank or a letter outside of
//! ASCII in a path is sent escaped, a query may follow the host at once, and a
//! user with a password may stand before it. Whether the scheme is one that is
//! spoken, and whether there is a host, is for whoever asks.

use crate::address::HostPort;
use crate::percent;

/// A URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// In lower case, as `http`; empty if there is none.
    pub scheme: String,
    /// Name and password before the host, with no escapes left.
    pub user: Option<(String, String)>,
    /// As written, with its port if it has one and brackets if it needs them; empty if
    /// there is none.
    pub host: String,
    /// As written, with its escapes; empty or with a slash at its beginning.
    path: String,
    /// Behind the question mark, if there is one.
    query: Option<String>,
}

impl Url {
    /// Reads a URL. A fragment is for the one who asks, and is left out.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("parse {text:?}: {why}");
        let reference = Reference::parse(text).map_err(|why| wrong(&why))?;
        let (user, host) = reference.authority.unwrap_or_default();
        let Reference { path, query, scheme, .. } = reference;
        Ok(Self { scheme: scheme.unwrap_or_default(), user, host, path, query })
    }

    /// Where a reference found at this URL leads, as RFC 3986 says.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        let told = |why: String| format!("parse {reference:?}: {why}");
        let to = Reference::parse(reference).map_err(told)?;
        let mut joined = self.clone();
        let leaves_host = to.scheme.is_some() || to.authority.is_some();
        if let Some(scheme) = to.scheme {
            joined.scheme = scheme;
        }
        if leaves_host {
            (joined.user, joined.host) = to.authority.unwrap_or_default();
            joined.path = without_dots(&to.path);
        } else if to.path.is_empty() {
            if to.query.is_none() {
                return Ok(joined);
            }
        } else if to.path.starts_with('/') {
            joined.path = without_dots(&to.path);
        } else {
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            joined.path = without_dots(&format!("{folder}/{}", to.path));
        }
        joined.query = to.query;
        Ok(joined)
    }

    /// What stands in the first line of a request: path and query, with escapes
    /// wherever a byte may not stand there as it is.
    pub fn request_target(&self) -> String {
        let mut target = match &*self.path {
            "" => "/".to_owned(),
            path => escaped_path(path),
        };
        if let Some(query) = &self.query {
            target.push('?');
            percent::encode_into(&mut target, query.as_bytes(), |byte| {
                byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>')
            });
        }
        target
    }

    /// What goes into the `Host` header: the host without a port that is empty.
    pub fn authority(&self) -> &str {
        self.host.strip_suffix(':').unwrap_or(&self.host)
    }

    /// Where to connect. The scheme has a port of its own, which may be left out.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn address(&self, usual_port: u16) -> Result<HostPort, String> {
        let (host, port) = host_and_port(&self.host);
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match port {
            None | Some("") => usual_port,
            Some(port) => port.parse().map_err(|_| format!("address {port}: invalid port"))?,
        };
        Ok(HostPort { host: inner.to_owned(), port })
    }
}

/// A URL of which anything may be left out.
struct Reference {
    scheme: Option<String>,
    authority: Option<(Option<(String, String)>, String)>,
    path: String,
    query: Option<String>,
}

impl Reference {
    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        let (scheme, rest) = scheme(text)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) if scheme.is_some() || !rest.starts_with('/') => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(authority(&rest[..end])?), &rest[end..])
            }
            _ => (None, rest),
        };
        let first = path.split('/').next().unwrap_or_default();
        if scheme.is_none() && authority.is_none() && first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
        unescaped(path)?;
        Ok(Self { scheme, authority, path: path.to_owned(), query })
    }
}

/// The scheme in lower case, and what follows its colon.
fn scheme(text: &str) -> Result<(Option<String>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    match end {
        Some(0) if text.starts_with(':') => Err("missing protocol scheme".to_owned()),
        Some(end) if begins && text[end..].starts_with(':') => {
            Ok((Some(text[..end].to_ascii_lowercase()), &text[end + 1..]))
        }
        _ => Ok((None, text)),
    }
}

/// `[user[:password]@]host[:port]`.
fn authority(text: &str) -> Result<(Option<(String, String)>, String), String> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    if host.starts_with('[') && !host.contains(']') {
        return Err("missing ']' in host".to_owned());
    }
    let (name, port) = host_and_port(host);
    if let Some(port) = port
        && !port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(format!("invalid port {:?} after host", format!(":{port}")));
    }
    if let Some(bad) = name.chars().find(|c| c.is_ascii() && !may_be_in_host(*c)) {
        return Err(format!("invalid character {:?} in host name", bad.to_string()));
    }
    let user = match user {
        None => None,
        Some(user) if !user.chars().all(may_be_in_user) => {
            return Err("net/url: invalid userinfo".to_owned());
        }
        Some(user) => {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            Some((unescaped(name)?, unescaped(password)?))
        }
    };
    Ok((user, host.to_owned()))
}

/// The host with its brackets, and what stands behind its colon.
fn host_and_port(host: &str) -> (&str, Option<&str>) {
    let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host[end..].rfind(':') {
        Some(colon) => (&host[..end + colon], Some(&host[end + colon + 1..])),
        None => (host, None),
    }
}

fn may_be_in_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c)
}

fn may_be_in_user(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)
}

/// Each `%XX` as the byte it stands for; what is no text then is replaced.
fn unescaped(text: &str) -> Result<String, String> {
    percent::decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// As written if every byte may stand in a path; otherwise escaped anew as a whole.
fn escaped_path(path: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte);
    if path.bytes().all(|byte| stays(byte) || b"!'()*[]%".contains(&byte)) {
        return path.to_owned();
    }
    let mut out = String::with_capacity(path.len() + 16);
    let bytes = percent::decode(path).unwrap_or_else(|_| path.as_bytes().to_vec());
    percent::encode_into(&mut out, &bytes, stays);
    out
}

/// A path without `.` and `..`, from the root.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = true;
    for part in path.split('/').skip(usize::from(path.starts_with('/'))) {
        ends_in_folder = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    let folder = if ends_in_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{folder}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn what_is_written_by_hand_is_sent_escaped() {
        for (text, target) in [
            ("http://h", "/"),
            ("http://h?probe=1", "/?probe=1"),
            ("http://h?", "/?"),
            ("http://h/a b", "/a%20b"),
            ("http://h/\u{fc}", "/%C3%BC"),
            ("http://h/\u{fc}%20x!", "/%C3%BC%20x%21"),
            ("http://h/a%2Fb!(c)", "/a%2Fb!(c)"),
            ("http://h/a?q=a b&c=\u{fc}#part", "/a?q=a%20b&c=%C3%BC"),
            ("http://h/a\"b", "/a%22b"),
        ] {
            assert_eq!(url(text).request_target(), target, "{text}");
        }
    }

    #[test]
    fn a_user_before_the_host_has_a_name_and_perhaps_a_password() {
        let user = |text: &str| url(text).user;
        let both = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(user("http://user:pass@h/"), both("user", "pass"));
        assert_eq!(user("http://user@h/"), both("user", ""));
        assert_eq!(user("http://a%40b:p%3Aq:r@h"), both("a@b", "p:q:r"));
        assert_eq!(user("http://a@b@h/"), both("a@b", ""));
        assert_eq!(user("http://@h/"), both("", ""));
        assert_eq!(user("http://h/a@b"), None);
    }

    #[test]
    fn a_host_has_a_port_or_that_of_its_scheme() {
        for (text, address, authority) in [
            ("http://h/", "h:80", "h"),
            ("http://h:81/", "h:81", "h:81"),
            ("http://h:/", "h:80", "h"),
            ("http://:8080/", ":8080", ":8080"),
            ("http://[::1]/", "[::1]:80", "[::1]"),
            ("http://[::1]:9/", "[::1]:9", "[::1]:9"),
            ("HTTP://u:p@h:1/", "h:1", "h:1"),
        ] {
            let url = url(text);
            assert_eq!(url.address(80).unwrap().to_string(), address, "{text}");
            assert_eq!((&*url.scheme, url.authority()), ("http", authority), "{text}");
        }
        assert_eq!(url("http://h:70000/").address(80), Err("address 70000: invalid port".into()));
    }

    #[test]
    fn what_is_no_url_is_told_in_gos_words() {
        for (text, why) in [
            ("127.0.0.1:80", "first path segment in URL cannot contain colon"),
            ("://h", "missing protocol scheme"),
            ("http://h/%zz", "invalid URL escape \"%zz\""),
            ("http://h:8o/", "invalid port \":8o\" after host"),
            ("http://a b/", "invalid character \" \" in host name"),
            ("http://[::1/", "missing ']' in host"),
            ("http://us er@h/", "net/url: invalid userinfo"),
            ("http://h/\n", "net/url: invalid control character in URL"),
        ] {
            assert_eq!(Url::parse(text), Err(format!("parse {text:?}: {why}")), "{text}");
        }
    }

    #[test]
    fn a_url_may_lack_its_host_or_its_scheme() {
        for (text, scheme, host) in [
            ("h/x", "", ""),
            ("localhost:80/x", "localhost", ""),
            ("//h/x", "", "h"),
            ("http:/x", "http", ""),
        ] {
            let url = url(text);
            assert_eq!((&*url.scheme, &*url.host), (scheme, host), "{text}");
        }
    }

    #[test]
    fn a_reference_may_leave_out_what_stays_the_same() {
        let base = url("http://u:p@h:1/a/b?q");
        for (reference, user, host, target) in [
            ("http://o/x", false, "o", "/x"),
            ("http://v@o/x", true, "o", "/x"),
            ("//o/x", false, "o", "/x"),
            ("/x", true, "h:1", "/x"),
            ("x?y", true, "h:1", "/a/x?y"),
            ("?y", true, "h:1", "/a/b?y"),
            ("", true, "h:1", "/a/b?q"),
            ("../x", true, "h:1", "/x"),
            ("./", true, "h:1", "/a/"),
            ("..", true, "h:1", "/"),
            ("../../../x/./y", true, "h:1", "/x/y"),
            ("\u{fc} x", true, "h:1", "/a/%C3%BC%20x"),
        ] {
            let to = base.join(reference).unwrap();
            assert_eq!(
                (to.user.is_some(), &*to.host, to.request_target()),
                (user, host, target.to_owned()),
                "{reference}"
            );
        }
        assert!(base.join("http://h:x/").is_err());
    }
}
