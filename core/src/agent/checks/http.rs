//! HTTP checks: 2xx passes, 429 warns, anything else is critical.

use std::time::Duration;

use bytes::Bytes;
use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
    USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use super::dial::{dial, driven};
use super::probe::{self, Finding};
use super::secure::Secure;
use crate::agent::output;
use crate::clock;

const REDIRECTS_MAX: usize = 10;

#[derive(Debug)]
pub(super) struct HttpProbe {
    url: String,
    request: Target,
    follow: bool,
    /// For `https`.
    secure: Secure,
    timeout: Duration,
    body_bytes_max: usize,
}

/// One request; a redirect makes another of it.
#[derive(Debug, Clone)]
struct Target {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl HttpProbe {
    /// # Errors
    /// What is wrong with the definition.
    pub(super) fn of(definition: &CheckDefinition, secure: Secure) -> Result<Self, String> {
        let url = definition.http.clone();
        let uri = parse(&url)?;
        let method = match definition.method.as_str() {
            "" => Method::GET,
            name => Method::from_bytes(name.as_bytes())
                .map_err(|_| format!("net/http: invalid method {name:?}"))?,
        };
        Ok(Self {
            request: Target {
                method,
                uri,
                headers: headers(definition)?,
                body: Bytes::from(definition.body.clone()),
            },
            url,
            follow: !definition.disable_redirects,
            secure,
            timeout: probe::timeout(definition),
            body_bytes_max: output::bytes_max(definition),
        })
    }

    pub(super) async fn run(&self) -> Finding {
        let answered = clock::timeout(self.timeout, self.ask()).await.unwrap_or_else(|| {
            Err("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                .to_owned())
        });
        match answered {
            Ok(answer) => self.judge(&answer),
            Err(failure) => {
                let url = &self.url;
                Finding::critical(format!(
                    "{} {url:?}: {failure}",
                    capitalised(&self.request.method)
                ))
            }
        }
    }

    fn judge(&self, answer: &Answer) -> Finding {
        let status = match answer.status {
            code if code.is_success() => CheckStatus::Passing,
            StatusCode::TOO_MANY_REQUESTS => CheckStatus::Warning,
            _ => CheckStatus::Critical,
        };
        let (method, url) = (&self.request.method, &self.url);
        let Answer { status: code, reason, body } = answer;
        let body = String::from_utf8_lossy(body);
        let output = format!("HTTP {method} {url}: {} {reason} Output: {body}", code.as_u16());
        Finding { status, output }
    }

    async fn ask(&self) -> Result<Answer, String> {
        let mut target = self.request.clone();
        for _ in 0..=REDIRECTS_MAX {
            match self.ask_once(&target).await? {
                Asked::Answered(answer) => return Ok(answer),
                Asked::Moved(status, location) => target = target.moved(status, &location)?,
            }
        }
        Err(format!("stopped after {REDIRECTS_MAX} redirects"))
    }

    async fn ask_once(&self, target: &Target) -> Result<Asked, String> {
        let secure = target.is_secure().then_some(&self.secure);
        let stream = dial(&target.address(), secure).await?;
        // Names spelled as Consul spells them: a small server may know no other.
        let (mut sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let exchange = async {
            let response = sender.send_request(target.request()?).await.map_err(broken)?;
            let status = response.status();
            if self.follow
                && let Some(location) = redirection(&response)
            {
                return Ok(Asked::Moved(status, location));
            }
            let reason = reason(&response);
            let body = head(response, self.body_bytes_max).await;
            Ok(Asked::Answered(Answer { status, reason, body }))
        };
        driven(connection, exchange).await
    }
}

enum Asked {
    Answered(Answer),
    Moved(StatusCode, String),
}

struct Answer {
    status: StatusCode,
    /// As the server put it.
    reason: String,
    /// The beginning.
    body: Vec<u8>,
}

fn reason(response: &Response<Incoming>) -> String {
    match response.extensions().get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => response.status().canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// The beginning of a body. One that breaks off counts as far as it came: the
/// status is what decides.
async fn head(response: Response<Incoming>, bytes_max: usize) -> Vec<u8> {
    let mut body = response.into_body();
    let mut head = Vec::new();
    while head.len() < bytes_max
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            head.extend_from_slice(&data[..data.len().min(bytes_max - head.len())]);
        }
    }
    head
}

fn redirection(response: &Response<Incoming>) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    location.to_str().ok().map(str::to_owned)
}

impl Target {
    /// Where to connect.
    fn address(&self) -> String {
        let host = self.uri.host().unwrap_or_default();
        let usual = if self.is_secure() { 443 } else { 80 };
        format!("{host}:{}", self.uri.port_u16().unwrap_or(usual))
    }

    fn is_secure(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = path.parse().map_err(|error| format!("{error}"))?;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if !headers.contains_key(HOST) {
            let authority = self.uri.authority().map_or("", |authority| authority.as_str());
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let host = HeaderValue::from_str(host).map_err(|error| error.to_string())?;
            headers.insert(HOST, host);
        }
        Ok(request)
    }

    /// The request a redirection leads to.
    fn moved(mut self, status: StatusCode, location: &str) -> Result<Self, String> {
        let keeps_method = matches!(status.as_u16(), 307 | 308);
        if !keeps_method && self.method != Method::GET && self.method != Method::HEAD {
            self.method = Method::GET;
            self.body = Bytes::new();
        }
        let uri = parse(&resolve(&self.uri, location))?;
        if uri.authority() != self.uri.authority() {
            // These were meant for the first host only.
            for header in [HOST, AUTHORIZATION, COOKIE] {
                self.headers.remove(header);
            }
        }
        self.uri = uri;
        Ok(self)
    }
}

fn parse(url: &str) -> Result<Uri, String> {
    // A fragment is for the one who asks, and is not sent.
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let uri: Uri = url.parse().map_err(|error| format!("parse {url:?}: {error}"))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        scheme => Err(format!("unsupported protocol scheme {:?}", scheme.unwrap_or_default())),
    }
}

/// A `Location`, which may leave out what stays the same.
fn resolve(base: &Uri, location: &str) -> String {
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let scheme = base.scheme_str().unwrap_or("http");
    if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    }
}

fn headers(definition: &CheckDefinition) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in &definition.header {
        let name: HeaderName =
            name.parse().map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        for value in values {
            let value = HeaderValue::from_str(value).map_err(|_| {
                format!("net/http: invalid header field value for {:?}", name.as_str())
            })?;
            headers.append(name.clone(), value);
        }
    }
    let default = |headers: &mut HeaderMap, name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(&mut headers, USER_AGENT, "Consul Health Check");
    default(&mut headers, ACCEPT, "text/plain, text/*, */*");
    Ok(headers)
}

fn broken(error: hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() {
        return "EOF".to_owned();
    }
    error.to_string()
}

/// `GET` as Go's errors begin: `Get`.
fn capitalised(method: &Method) -> String {
    let name = method.as_str();
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{first}{}", rest.to_ascii_lowercase())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
