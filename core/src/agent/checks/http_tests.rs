//! HTTP checks against a server that answers from a script.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::secure::{Connectors, Inside};
use super::*;

/// Answers each connection by its request; gives the address.
async fn serve(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            let text = answer(&String::from_utf8(request).unwrap());
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    address
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn probe_of(definition: &CheckDefinition) -> Result<HttpProbe, String> {
    let connectors = Connectors::trusting(None);
    HttpProbe::of(definition, Secure::of(definition, &connectors, Inside::Http1))
}

async fn probe(definition: CheckDefinition) -> Finding {
    probe_of(&definition).unwrap().run().await
}

fn check(address: &str, path: &str) -> CheckDefinition {
    CheckDefinition { http: format!("http://{address}{path}"), ..Default::default() }
}

#[tokio::test]
async fn the_status_code_decides() {
    let address = serve(|request| match request.split(' ').nth(1).unwrap() {
        "/ok" => reply("204 No Content", "", ""),
        "/busy" => reply("429 Too Many Requests", "", "later"),
        _ => reply("500 Internal Server Error", "", "broken"),
    })
    .await;
    let found = |status, output: &str| Finding { status, output: output.to_owned() };
    assert_eq!(
        probe(check(&address, "/ok")).await,
        found(
            CheckStatus::Passing,
            &format!("HTTP GET http://{address}/ok: 204 No Content Output: ")
        )
    );
    assert_eq!(
        probe(check(&address, "/busy")).await,
        found(
            CheckStatus::Warning,
            &format!("HTTP GET http://{address}/busy: 429 Too Many Requests Output: later")
        )
    );
    assert_eq!(
        probe(check(&address, "/bad?x=1")).await,
        found(
            CheckStatus::Critical,
            &format!("HTTP GET http://{address}/bad?x=1: 500 Internal Server Error Output: broken")
        )
    );
}

#[tokio::test]
async fn the_request_carries_the_usual_headers_unless_others_are_given() {
    let address = serve(|request| reply("200 OK", "", request)).await;
    let usual = probe(check(&address, "/")).await.output;
    for line in [
        "GET / HTTP/1.1\r\n",
        "User-Agent: Consul Health Check\r\n",
        "Accept: text/plain, text/*, */*\r\n",
        &format!("Host: {address}\r\n"),
    ] {
        assert!(usual.contains(line), "{line:?} in {usual}");
    }
    let given = [("User-Agent", "me"), ("Host", "example.test"), ("X-A", "1")]
        .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
    let other = CheckDefinition {
        method: "POST".to_owned(),
        header: given.into(),
        body: "hello".to_owned(),
        ..check(&address, "/")
    };
    let other = probe(other).await.output;
    for line in [
        "POST / HTTP/1.1\r\n",
        "User-Agent: me\r\n",
        "Host: example.test\r\n",
        "X-A: 1\r\n",
        "Content-Length: 5\r\n",
    ] {
        assert!(other.contains(line), "{line:?} in {other}");
    }
}

#[tokio::test]
async fn a_redirection_is_followed_unless_it_is_not_wanted() {
    let address = serve(|request| match request.split(' ').nth(1).unwrap() {
        "/old/x" => reply("302 Found", "Location: y\r\n", ""),
        "/old/y" => reply("200 OK", "", "there"),
        _ => reply("302 Found", "Location: /round\r\n", ""),
    })
    .await;
    let followed = probe(check(&address, "/old/x")).await;
    assert_eq!(followed.status, CheckStatus::Passing);
    assert!(followed.output.ends_with("200 OK Output: there"), "{}", followed.output);

    let stays = CheckDefinition { disable_redirects: true, ..check(&address, "/old/x") };
    assert_eq!(probe(stays).await.status, CheckStatus::Critical);

    let round = probe(check(&address, "/round")).await;
    assert!(round.output.ends_with("stopped after 10 redirects"), "{}", round.output);
}

#[tokio::test]
async fn only_the_head_of_a_body_is_kept() {
    let address = serve(|_| reply("200 OK", "", &"x".repeat(10_000))).await;
    let length = |finding: Finding| finding.output.split_once("Output: ").unwrap().1.len();
    assert_eq!(length(probe(check(&address, "/")).await), 4096);
    let little = CheckDefinition { output_max_size: 10, ..check(&address, "/") };
    assert_eq!(length(probe(little).await), 10);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_critical_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let finding = probe(check(&address.to_string(), "/h")).await;
    assert_eq!(finding.status, CheckStatus::Critical);
    assert_eq!(
        finding.output,
        format!("Get \"http://{address}/h\": dial tcp {address}: connect: connection refused")
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_runs_into_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let finding = probe(CheckDefinition { timeout_ns: 20_000_000, ..check(&address, "/") }).await;
    assert_eq!(finding.status, CheckStatus::Critical);
    assert!(finding.output.contains("context deadline exceeded"), "{}", finding.output);
}

#[test]
fn a_location_may_leave_out_what_stays_the_same() {
    let base: Uri = "http://h:1/a/b?q".parse().unwrap();
    for (location, url) in [
        ("http://o/x", "http://o/x"),
        ("//o/x", "http://o/x"),
        ("/x", "http://h:1/x"),
        ("x?y", "http://h:1/a/x?y"),
        ("?y", "http://h:1/a/b?y"),
    ] {
        assert_eq!(resolve(&base, location), url);
    }
}
