//! The graph of services, as a server tells it that answers from a script.

use super::*;

const INDEX: &str = "X-Consul-Index: 7\r\n";

fn told() -> String {
    json!({
        "Services": [],
        "Waves": [["cache", "db"], ["api"], ["web"]],
        "Missing": ["queue"],
    })
    .to_string()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn a_server_without_a_graph_is_told_in_words_whatever_is_asked() {
    let (client, _) = serve(|_, _| reply(404, "", "")).await;
    let options = ReadOptions::default();
    for error in [
        client.graph(&options).await.unwrap_err(),
        client.graph_of("web", &options).await.unwrap_err(),
        client.graph_drawn(None, GraphFormat::Dot, &options).await.unwrap_err(),
        client.wait_ready("web", None, None).await.unwrap_err(),
        client.start_order(None, &options).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        assert!(error.to_string().contains("has no service graph"), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_heard_of_is_none() {
    let (client, seen) = serve(|_, _| reply(404, INDEX, "no such service")).await;
    let options = ReadOptions::default();
    let answer = client.graph_of("web", &options).await.unwrap();
    assert_eq!(answer, Answer { index: Some(7), body: None });
    let drawn = client.graph_drawn(Some("web"), GraphFormat::Mermaid, &options);
    assert!(drawn.await.unwrap_err().to_string().contains("no such service"));
    assert_eq!(lines(&seen), ["GET /v1/coord/graph/web", "GET /v1/coord/graph/web?format=mermaid"]);
}

#[tokio::test]
async fn names_are_put_behind_all_that_they_need() {
    let (client, _) = serve(|_, _| reply(200, INDEX, &told())).await;
    let options = ReadOptions::default();
    let all = client.start_order(None, &options).await.unwrap();
    assert_eq!(all, ["cache", "db", "api", "web"]);
    let chosen = names(&["Web", "queue", "db", "Web"]);
    let some = client.start_order(Some(&chosen), &options).await.unwrap();
    assert_eq!(some, ["queue", "db", "Web"]);
    let unknown = names(&["web", "typo"]);
    let error = client.start_order(Some(&unknown), &options).await.unwrap_err();
    assert!(error.to_string().contains("\"typo\""), "{error}");
}

#[tokio::test]
async fn a_wait_goes_on_through_what_may_pass_once_it_was_answered() {
    let asked = Mutex::new(0);
    let (client, seen) = serve(move |_, _| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        match *asked {
            1 => reply(200, INDEX, &not_ready()),
            2 => reply(500, "", "No cluster leader"),
            3 => reply(404, INDEX, ""),
            _ => reply(200, INDEX, r#"{"Name": "web", "Ready": true}"#),
        }
    })
    .await;
    let waited = client.wait_ready("web", Some(Duration::from_secs(3_600)), Some("t")).await;
    assert_eq!(waited.unwrap(), Readiness::Ready);
    let lines = lines(&seen);
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.starts_with("GET /v1/coord/graph/web?")), "{lines:?}");
}

fn not_ready() -> String {
    json!({"Name": "web", "Ready": false, "Needs": [
        {"Name": "db", "Status": "critical", "Optional": false},
        {"Name": "api", "Status": "passing", "Optional": false},
        {"Name": "queue", "Status": "missing", "Optional": false},
        {"Name": "cache", "Status": "critical", "Optional": true},
    ]})
    .to_string()
}

#[tokio::test]
async fn a_wait_that_is_over_says_what_it_waited_for() {
    let (client, seen) = serve(|_, _| reply(200, INDEX, &not_ready())).await;
    let waited = client.wait_ready("web", Some(Duration::ZERO), None).await.unwrap();
    // Not `wait=0ms`, which is five minutes.
    assert_eq!(lines(&seen), ["GET /v1/coord/graph/web?ready&wait=1ms"]);
    let why = "\"web\" is not ready: db is critical, queue is not registered";
    assert_eq!(waited, Readiness::Waiting(why.to_owned()));
}

#[tokio::test]
async fn a_wait_that_was_never_answered_does_not_go_on() {
    let (client, seen) = serve(|_, _| reply(500, "", "No cluster leader")).await;
    let error = client.wait_ready("web", None, None).await.unwrap_err();
    assert_eq!((error.kind(), lines(&seen).len()), (&ErrorKind::Unavailable, 1));
    let nameless = client.wait_ready("", None, None).await.unwrap_err();
    assert_eq!(nameless.kind(), &ErrorKind::Invalid);
}
