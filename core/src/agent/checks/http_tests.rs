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

/// Answers 200 with the request as its body, but sends `/to?…` on to what follows.
async fn serve_requests() -> String {
    serve(|request| {
        let path = request.split(' ').nth(1).unwrap();
        match path.strip_prefix("/to?") {
            Some(location) => reply("302 Found", &format!("Location: {location}\r\n"), ""),
            None => reply("200 OK", "", request),
        }
    })
    .await
}

#[tokio::test]
async fn a_user_in_the_url_becomes_basic_authentication_unless_a_header_is_given() {
    let address = serve_requests().await;
    let with_user = |path: &str| CheckDefinition {
        http: format!("http://user:pass@{address}{path}"),
        ..Default::default()
    };
    let basic = "Authorization: Basic dXNlcjpwYXNz\r\n";
    let output = probe(with_user("/")).await.output;
    assert!(output.contains(basic) && output.contains(&format!("Host: {address}\r\n")), "{output}");
    // A path alone stays with the user; another URL has its own, or none.
    let output = probe(with_user("/to?/x")).await.output;
    assert!(output.contains("GET /x ") && output.contains(basic), "{output}");
    let output = probe(with_user(&format!("/to?http://{address}/x"))).await.output;
    assert!(!output.contains("Authorization"), "{output}");
    let output = probe(with_user(&format!("/to?http://a:b@{address}/x"))).await.output;
    assert!(output.contains("Authorization: Basic YTpi\r\n"), "{output}");
    let given = CheckDefinition {
        header: [("Authorization".to_owned(), vec!["Bearer t".to_owned()])].into(),
        ..with_user(&format!("/to?http://a:b@{address}/x"))
    };
    let output = probe(given).await.output;
    assert!(output.contains("Authorization: Bearer t\r\n"), "{output}");
    assert_eq!(output.matches("Authorization").count(), 1, "{output}");
}

#[tokio::test]
async fn a_url_written_by_hand_is_asked_escaped() {
    let address = serve_requests().await;
    for (written, sent) in [
        ("", "GET / "),
        ("?probe=1", "GET /?probe=1 "),
        ("/a b", "GET /a%20b "),
        ("/\u{fc}", "GET /%C3%BC "),
        ("/?q=a b", "GET /?q=a%20b "),
        ("/x#part", "GET /x "),
        ("/to?/a b", "GET /a%20b "),
    ] {
        let output = probe(check(&address, written)).await.output;
        assert!(output.contains(sent), "{written}: {output}");
    }
    let port = address.rsplit_once(':').unwrap().1;
    let found = probe(check(&format!(":{port}"), "/here")).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
}

#[tokio::test]
async fn a_request_without_a_body_says_so_where_one_is_expected() {
    let address = serve_requests().await;
    for (method, says) in
        [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false)]
    {
        let output = probe(CheckDefinition { method: method.to_owned(), ..check(&address, "/") })
            .await
            .output;
        assert_eq!(output.contains("Content-Length: 0\r\n"), says, "{method}: {output}");
    }
    let lying = CheckDefinition {
        method: "POST".to_owned(),
        header: [("content-length".to_owned(), vec!["7".to_owned()])].into(),
        ..check(&address, "/")
    };
    assert!(probe(lying).await.output.contains("Content-Length: 0\r\n"));
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_counts_as_far_as_it_came() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answered = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nso far";
            stream.write_all(answer).await.unwrap();
            held.push(stream);
        }
    });
    // The answer is there at once, but a busy machine may look at it late.
    let mut finding = Finding::critical("never asked");
    for seconds in [1, 5, 20] {
        let timeout_ns = seconds * 1_000_000_000;
        finding = probe(CheckDefinition { timeout_ns, ..check(&address, "/") }).await;
        if finding.status == CheckStatus::Passing {
            break;
        }
    }
    assert!(finding.output.ends_with("200 OK Output: so far"), "{}", finding.output);
    answered.abort();
}

#[tokio::test]
async fn what_cannot_be_asked_is_critical_and_says_why() {
    for (url, why) in [
        ("localhost:8080/health", "unsupported protocol scheme \"localhost\""),
        ("/health", "unsupported protocol scheme \"\""),
        ("http:///health", "http: no Host in request URL"),
    ] {
        let finding = probe(CheckDefinition { http: url.to_owned(), ..Default::default() }).await;
        assert_eq!(finding.status, CheckStatus::Critical);
        assert_eq!(finding.output, format!("Get {url:?}: {why}"));
    }
}

#[test]
fn secrets_stay_within_the_host_they_are_for() {
    assert!(is_within("h:1", "h:1") && is_within("a.h", "h") && is_within("H", "h"));
    assert!(!is_within("h:2", "h:1") && !is_within("ah", "h") && !is_within("h", "a.h"));
}
