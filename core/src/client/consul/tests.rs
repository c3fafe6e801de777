//! The client against a server that answers from a script.

mod graph;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::registration::{GivenId, RegistrationRules};
use super::*;
use crate::ErrorKind;
use crate::sync::Mutex;

/// Request lines as they arrived, one entry per connection and request.
type Seen = Arc<Mutex<Vec<(usize, String)>>>;

/// Answers every request on every connection by its head and body.
async fn serve(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> (Client, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            tokio::spawn(async move {
                talk(stream, connection, &log, &*answer).await;
            });
        }
    });
    let settings = Settings { address, token: Some("t0".to_owned()), ..Settings::default() };
    (Client::new(settings).unwrap(), seen)
}

async fn talk(
    mut stream: TcpStream,
    connection: usize,
    log: &Mutex<Vec<(usize, String)>>,
    answer: &(dyn Fn(&str, &str) -> String + Send + Sync),
) {
    let mut received = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(received.drain(..end).collect()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        while received.len() < length {
            stream.read_buf(&mut received).await.unwrap();
        }
        let body = String::from_utf8(received.drain(..length).collect()).unwrap();
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        log.lock().unwrap().push((connection, line.clone()));
        let text = answer(&head, &body);
        if text.is_empty() {
            return;
        }
        stream.write_all(text.as_bytes()).await.unwrap();
    }
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn lines(seen: &Seen) -> Vec<String> {
    seen.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
}

#[tokio::test]
async fn a_key_is_read_with_its_index_over_one_kept_connection() {
    let (client, seen) = serve(|head, _| {
        assert!(head.contains("x-consul-token: t0") || head.contains("X-Consul-Token: t0"));
        let entry = json!([{"Key": "a b", "Value": "AP8=", "Flags": u64::MAX,
            "LockIndex": 1, "CreateIndex": 2, "ModifyIndex": 3, "Session": "s"}]);
        reply(200, "X-Consul-Index: 17\r\n", &entry.to_string())
    })
    .await;
    for _ in 0..2 {
        let answer = client.kv_get("a b", &ReadOptions::default()).await.unwrap();
        assert_eq!(answer.index, Some(17));
        let pair = answer.body.unwrap();
        assert_eq!(pair.value, Some(Bytes::from_static(&[0, 255])));
        assert_eq!((pair.flags, pair.modify_index), (u64::MAX, 3));
        assert_eq!(pair.session.as_deref(), Some("s"));
    }
    let seen = seen.lock().unwrap().clone();
    let line = "GET /v1/kv/a%20b".to_owned();
    assert_eq!(seen, [(0, line.clone()), (0, line)]);
}

#[tokio::test]
async fn a_user_in_the_address_is_sent_unless_a_request_says_it_itself() {
    let (client, _) = serve(|head, _| reply(200, "", &head.to_lowercase())).await;
    let address = format!("http://user:pass@{}", client.settings().address);
    let client = Client::new(Settings { address, ..Settings::default() }).unwrap();
    let request = || Request::new(Method::GET, "/v1/kv/a");
    let told = client.request(request()).await.unwrap().text();
    assert!(told.contains("authorization: basic dxnlcjpwyxnz\r\n"), "{told}");
    assert!(!told.contains('@'), "{told}");
    let own = request().header("Authorization", "Bearer t");
    let told = client.request(own).await.unwrap().text();
    assert!(told.contains("authorization: bearer t\r\n") && !told.contains("basic"), "{told}");
}

#[tokio::test]
async fn a_missing_key_is_none_but_keeps_the_index() {
    let (client, seen) = serve(|_, _| reply(404, "X-Consul-Index: 5\r\n", "")).await;
    let options = ReadOptions::waiting(4, Duration::from_secs(9));
    let answer = client.kv_get("a", &options).await.unwrap();
    assert_eq!(answer, Answer { index: Some(5), body: None });
    assert_eq!(client.kv_keys("p/", Some("/"), &options).await.unwrap().body, None);
    assert_eq!(
        lines(&seen),
        [
            "GET /v1/kv/a?index=4&wait=9000ms",
            "GET /v1/kv/p/?keys&separator=%2F&index=4&wait=9000ms"
        ]
    );
}

#[tokio::test]
async fn a_put_sends_its_conditions_and_gives_their_outcome() {
    let (client, seen) =
        serve(|_, body| reply(200, "", if body == "v" { "true" } else { "false" })).await;
    let put = KvPut { cas: Some(0), flags: Some(7), ..KvPut::default() };
    assert!(client.kv_put("k", "v", &put).await.unwrap());
    let put = KvPut { acquire: Some("s".to_owned()), ..KvPut::default() };
    assert!(!client.kv_put("k", "w", &put).await.unwrap());
    let delete = KvDelete { recurse: true, ..KvDelete::default() };
    assert!(!client.kv_delete("k", &delete).await.unwrap());
    assert_eq!(
        lines(&seen),
        ["PUT /v1/kv/k?flags=7&cas=0", "PUT /v1/kv/k?acquire=s", "DELETE /v1/kv/k?recurse"]
    );
}

#[tokio::test]
async fn a_refusal_keeps_status_and_text() {
    let (client, _) = serve(|_, _| reply(500, "", "invalid session \"s\"")).await;
    let error = client.kv_put("k", "v", &KvPut::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Rejected(_)), "{error:?}");
    let Some(ConsulFailure::Status { status, body }) = ConsulFailure::of(&error) else {
        panic!("{error:?}");
    };
    assert_eq!((*status, body.as_str()), (500, "invalid session \"s\""));
}

#[tokio::test]
async fn a_rolled_back_transaction_is_an_outcome() {
    let errors = r#"{"Results":null,"Errors":[{"OpIndex":0,"What":"key \"x\" doesn't exist"}]}"#;
    let (client, _) = serve(move |_, _| reply(409, "", errors)).await;
    let outcome = client.txn(&json!([]), &WriteOptions::default()).await.unwrap();
    assert!(!outcome.committed);
    assert_eq!((outcome.results.len(), outcome.errors.len()), (0, 1));
}

#[tokio::test]
async fn a_broken_connection_repeats_a_read_and_leaves_a_write_in_doubt() {
    let requests = Mutex::new(0);
    let (client, seen) = serve(move |_, _| {
        let mut count = requests.lock().unwrap();
        *count += 1;
        // The second and the last connection break without a word.
        if *count == 2 || *count == 4 { String::new() } else { reply(200, "", "\"ok\"") }
    })
    .await;
    assert_eq!(client.status_leader().await.unwrap(), "ok");
    assert_eq!(client.status_leader().await.unwrap(), "ok");
    let error = client.kv_put("k", "v", &KvPut::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Indeterminate);
    assert_eq!(seen.lock().unwrap().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_late_answer_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        address: listener.local_addr().unwrap().to_string(),
        read_timeout: Duration::from_millis(20),
        ..Settings::default()
    };
    let client = Client::new(settings).unwrap();
    let error = client.status_leader().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert!(matches!(ConsulFailure::of(&error), Some(ConsulFailure::TimedOut(_))));
    let error = client.kv_put("k", "v", &KvPut::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Indeterminate);
}

#[tokio::test]
async fn closing_ends_calls_in_progress_and_refuses_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::new(Settings { address, ..Settings::default() }).unwrap();
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.status_leader().await }
    });
    listener.accept().await.unwrap();
    client.close();
    client.close();
    assert_eq!(calling.await.unwrap().unwrap_err().kind(), &ErrorKind::Closed);
    assert_eq!(client.status_leader().await.unwrap_err().kind(), &ErrorKind::Closed);
}

#[tokio::test]
async fn a_write_that_closing_ends_is_in_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::new(Settings { address, ..Settings::default() }).unwrap();
    let writing = tokio::spawn({
        let client = client.clone();
        async move { client.kv_put("k", "v", &KvPut::default()).await }
    });
    let _connection = listener.accept().await.unwrap();
    client.close();
    assert_eq!(writing.await.unwrap().unwrap_err().kind(), &ErrorKind::Indeterminate);
    let late = client.kv_put("k", "v", &KvPut::default()).await.unwrap_err();
    assert_eq!(late.kind(), &ErrorKind::Closed, "it was never sent");
}

#[tokio::test]
async fn who_is_not_reached_is_named() {
    // Bound, so that nobody else listens there either.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = socket.local_addr().unwrap().to_string();
    let client = Client::new(Settings { address: free.clone(), ..Settings::default() }).unwrap();
    let error = client.status_leader().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    let told = error.to_string();
    assert!(told.contains(&free) && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn the_first_example_leaves_nothing_behind() {
    let (client, seen) = serve(|head, body| {
        if head.starts_with("PUT /v1/agent/service/register ") {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                body,
                json!({"Name": "test", "ID": "test", "Address": "127.0.0.1", "Port": 8500})
            );
        }
        reply(200, "", "")
    })
    .await;
    let rules = RegistrationRules::new(false);
    let service = ServiceDefinition::named("test");
    let id = GivenId::Positional("127.0.0.1:8500");
    let made = client.register_service(&rules, &service, id, None).await.unwrap();
    assert!(made.is_recognised());
    assert!(client.deregister_service(&rules, "test", None).await.unwrap());
    assert_eq!(
        lines(&seen),
        ["PUT /v1/agent/service/register", "PUT /v1/agent/service/deregister/test"]
    );
}

#[tokio::test]
async fn a_name_is_deregistered_if_it_is_unambiguous() {
    let (client, _) = serve(|head, _| {
        if head.starts_with("GET /v1/agent/services ") {
            let services = json!({"1": {"Service": "one"}, "2": {"Service": "two"},
                "3": {"Service": "two"}});
            reply(200, "", &services.to_string())
        } else if head.starts_with("PUT /v1/agent/service/deregister/1 ") {
            reply(200, "", "")
        } else {
            reply(404, "", "Unknown service ID")
        }
    })
    .await;
    let rules = RegistrationRules::new(false);
    assert!(client.deregister_service(&rules, "one", None).await.unwrap());
    let error = client.deregister_service(&rules, "two", None).await.unwrap_err();
    assert!(error.to_string().ends_with("2, 3"), "{error}");
    assert!(!client.deregister_service(&rules, "none", None).await.unwrap());
    let strict = RegistrationRules::new(true);
    assert!(!client.deregister_service(&strict, "one", None).await.unwrap());
}

#[test]
fn the_blocking_client_works_and_closes_twice() {
    let server =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (client, _) = server.block_on(serve(|_, _| reply(200, "", "\"l:1\"")));
    let client = blocking::Client::new(client.settings().clone()).unwrap();
    assert_eq!(client.status_leader().unwrap(), "l:1");
    client.close().unwrap();
    client.close().unwrap();
    assert_eq!(client.status_leader().unwrap_err().kind(), &ErrorKind::Closed);
}

/// Against an agent at `COORD_TEST_CONSUL` (`host:port`), ours or a genuine one.
#[tokio::test]
async fn a_genuine_agent_is_understood() {
    let Ok(address) = std::env::var("COORD_TEST_CONSUL") else {
        eprintln!("skipped: COORD_TEST_CONSUL is not set");
        return;
    };
    let client = Client::new(Settings { address, ..Settings::default() }).unwrap();
    let (read, write) = (ReadOptions::default(), WriteOptions::default());
    let key = format!("coord-test/{}", std::process::id());
    assert!(!client.status_leader().await.unwrap().is_empty());
    assert!(client.kv_put(&key, "v", &KvPut::default()).await.unwrap());
    let answer = client.kv_get(&key, &read).await.unwrap();
    let pair = answer.body.unwrap();
    assert_eq!(pair.value.as_deref(), Some(&b"v"[..]));
    let stale = KvPut { cas: Some(pair.modify_index + 1), ..KvPut::default() };
    assert!(!client.kv_put(&key, "w", &stale).await.unwrap());

    let index = answer.index.unwrap();
    let plain = KvPut::default();
    let waiting = ReadOptions::waiting(index, Duration::from_secs(10));
    let (changed, put) =
        tokio::join!(client.kv_get(&key, &waiting), client.kv_put(&key, "w", &plain));
    assert!(put.unwrap());
    assert!(changed.unwrap().index.unwrap() > index);

    let session = SessionDefinition { ttl: Some("10s".to_owned()), ..SessionDefinition::default() };
    let id = client.session_create(&session, &write).await.unwrap();
    let lock = KvPut { acquire: Some(id.clone()), ..KvPut::default() };
    assert!(client.kv_put(&key, "held", &lock).await.unwrap());
    assert!(client.session_renew(&id, &write).await.unwrap().is_some());
    assert!(client.session_destroy(&id, &write).await.unwrap());
    assert_eq!(client.session_renew(&id, &write).await.unwrap(), None);
    assert!(client.kv_delete(&key, &KvDelete::default()).await.unwrap());
    assert_eq!(client.kv_get(&key, &read).await.unwrap().body, None);

    let rules = RegistrationRules::new(false);
    let service = ServiceDefinition::named("coord-test");
    let id = GivenId::Positional("127.0.0.1:8500");
    client.register_service(&rules, &service, id, None).await.unwrap();
    assert!(client.deregister_service(&rules, "coord-test", None).await.unwrap());
    let services = client.agent_services(None).await.unwrap();
    assert!(services.get("coord-test").is_none(), "{services}");
}
