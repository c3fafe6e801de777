//! HTTP checks: 2xx passes, 429 warns, anything else is critical.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::url::Url;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName,
    HeaderValue, LOCATION, TRAILER, TRANSFER_ENCODING, USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use super::dial::{dial_at, driven};
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
    url: Url,
    /// As the definition has them.
    headers: HeaderMap,
    /// The host to name, if the definition names another than the URL.
    host: Option<HeaderValue>,
    body: Bytes,
    /// The host that the definition's secrets are for.
    first_host: String,
}

impl HttpProbe {
    /// # Errors
    /// What is wrong with the definition.
    pub(super) fn of(definition: &CheckDefinition, secure: Secure) -> Result<Self, String> {
        let text = definition.http.clone();
        let url = Url::parse(&text)?;
        let method = match definition.method.as_str() {
            "" => Method::GET,
            name => Method::from_bytes(name.as_bytes())
                .map_err(|_| format!("net/http: invalid method {name:?}"))?,
        };
        let mut headers = headers(definition)?;
        Ok(Self {
            request: Target {
                method,
                first_host: url.authority().to_owned(),
                url,
                host: headers.remove(HOST),
                headers,
                body: Bytes::from(definition.body.clone()),
            },
            url: text,
            follow: !definition.disable_redirects,
            secure,
            timeout: probe::timeout(definition),
            body_bytes_max: output::bytes_max(definition),
        })
    }

    pub(super) async fn run(&self) -> Finding {
        let mut begun = None;
        let asked = clock::timeout(self.timeout, self.ask(&mut begun)).await;
        match (begun, asked) {
            // The status is what decides. A body that breaks off, or does not end in
            // time, counts as far as it came.
            (Some(answer), _) => self.judge(&answer),
            (None, Some(Err(failure))) => self.failed(&failure),
            (None, _) => self.failed(
                "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            ),
        }
    }

    fn failed(&self, failure: &str) -> Finding {
        let (method, url) = (capitalised(&self.request.method), &self.url);
        Finding::critical(format!("{method} {url:?}: {failure}"))
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

    /// Asks, and where the answer leads elsewhere asks there. What is answered in the
    /// end is put into `begun` as it comes.
    async fn ask(&self, begun: &mut Option<Answer>) -> Result<(), String> {
        let mut target = self.request.clone();
        for _ in 0..=REDIRECTS_MAX {
            match self.ask_once(&target, begun).await? {
                None => return Ok(()),
                Some((status, location)) => target = target.moved(status, &location)?,
            }
        }
        Err(format!("stopped after {REDIRECTS_MAX} redirects"))
    }

    /// Where to ask next, if it is not here.
    async fn ask_once(
        &self,
        target: &Target,
        begun: &mut Option<Answer>,
    ) -> Result<Option<(StatusCode, String)>, String> {
        let secure = target.is_secure()?.then_some(&self.secure);
        let address = target.url.address(if secure.is_some() { 443 } else { 80 });
        let address = address.map_err(|problem| format!("dial tcp: {problem}"))?;
        let stream = dial_at(&address, secure).await?;
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
                return Ok(Some((status, location)));
            }
            let reason = reason(&response);
            let answer = begun.insert(Answer { status, reason, body: Vec::new() });
            read_head(response, &mut answer.body, self.body_bytes_max).await;
            Ok(None)
        };
        driven(connection, exchange).await
    }
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

/// Reads the beginning of a body.
async fn read_head(response: Response<Incoming>, head: &mut Vec<u8>, bytes_max: usize) {
    let mut body = response.into_body();
    while head.len() < bytes_max
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            head.extend_from_slice(&data[..data.len().min(bytes_max - head.len())]);
        }
    }
}

fn redirection(response: &Response<Incoming>) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

impl Target {
    fn is_secure(&self) -> Result<bool, String> {
        match &*self.url.scheme {
            "http" | "https" if self.url.host.is_empty() => {
                Err("http: no Host in request URL".to_owned())
            }
            "http" => Ok(false),
            "https" => Ok(true),
            other => Err(format!("unsupported protocol scheme {other:?}")),
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let target = self.url.request_target();
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.parse::<Uri>().map_err(|error| error.to_string())?;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(self.url.authority()).map_err(|e| e.to_string())?,
        };
        headers.insert(HOST, host);
        if let Some((name, password)) = &self.url.user
            && !headers.contains_key(AUTHORIZATION)
        {
            let secret = STANDARD.encode(format!("{name}:{password}"));
            let basic = HeaderValue::from_str(&format!("Basic {secret}"));
            headers.insert(AUTHORIZATION, basic.map_err(|error| error.to_string())?);
        }
        let may_have_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if may_have_body && self.body.is_empty() {
            // Some servers wait for a body until they are told that there is none.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    /// The request a redirection leads to.
    fn moved(mut self, status: StatusCode, location: &str) -> Result<Self, String> {
        if !matches!(status.as_u16(), 307 | 308) {
            self.body = Bytes::new();
            if self.method != Method::HEAD {
                self.method = Method::GET;
            }
        }
        let names_host = Url::parse(location).is_ok_and(|url| !url.scheme.is_empty());
        self.url = self.url.join(location).map_err(|problem| {
            format!("failed to parse Location header {location:?}: {problem}")
        })?;
        if names_host {
            self.host = None;
        }
        if !is_within(self.url.authority(), &self.first_host) {
            // These were meant for the first host only.
            for header in [AUTHORIZATION, WWW_AUTHENTICATE, COOKIE] {
                self.headers.remove(header);
            }
        }
        Ok(self)
    }
}

/// Whether a host is another one or below it.
fn is_within(host: &str, other: &str) -> bool {
    let (host, other) = (host.to_ascii_lowercase(), other.to_ascii_lowercase());
    host == other || host.strip_suffix(&other).is_some_and(|rest| rest.ends_with('.'))
}

/// What a request has because of its body and its connection, not by wish.
const OF_THE_REQUEST: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER];

fn headers(definition: &CheckDefinition) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in &definition.header {
        let name: HeaderName =
            name.parse().map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        if OF_THE_REQUEST.contains(&name) {
            continue;
        }
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
