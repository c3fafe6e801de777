//! Requests of a few bytes that ask for work or memory without end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http_client::{Api, LONG, Member, member, member_with, settings};

/// Cubic work over many tags.
const NESTED: &str =
    "any ServiceTags as a { any ServiceTags as b { any ServiceTags as c { c == x } } }";

fn query(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn filtered(path: &str, filter: &str) -> String {
    format!("{path}?filter={}", query(filter))
}

fn register_tagged(member: &Member, tags: usize) {
    let tags: Vec<String> = (0..tags).map(|tag| format!("tag-{tag}")).collect();
    let body = json!({"Name": "web", "Tags": tags});
    member.put("/v1/agent/service/register", body.to_string()).ok();
    member.put("/v1/kv/x", "1").ok();
}

/// Sends a request and leaves the answer to whoever wants it.
fn begin(api: &Api, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(api.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn a_filter_of_cubic_cost_is_refused_wherever_there_is_one() {
    let member = member();
    register_tagged(&member, 3000);
    let (of_service, of_check) =
        (NESTED.replace("ServiceTags", "Tags"), NESTED.replace("ServiceTags", "Service.Tags"));
    let node = member.json("/v1/agent/self")["Config"]["NodeName"].as_str().unwrap().to_owned();
    for (path, filter) in [
        ("/v1/catalog/services", NESTED),
        ("/v1/catalog/service/web", NESTED),
        ("/v1/internal/ui/services", NESTED),
        (&*format!("/v1/catalog/node/{node}"), &of_service),
        (&*format!("/v1/catalog/node-services/{node}"), &of_service),
        ("/v1/agent/services", &of_service),
        ("/v1/health/service/web", &of_check),
    ] {
        let reply = member.get(&filtered(path, filter));
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert!(reply.text().contains("limits.filter_steps_max"), "{}", reply.text());
    }
}

#[test]
fn a_costly_filter_holds_up_nobody_and_ends_when_its_client_leaves() {
    let mut settings = settings();
    // As good as without end.
    settings.limits.filter_steps_max = u64::MAX;
    let member = member_with(settings);
    register_tagged(&member, 3000);
    let endless = begin(&member, &filtered("/v1/catalog/service/web", NESTED));
    // One that needs a turn, too, for some thousand times a hundred steps.
    let squared = "any ServiceTags as a { any ServiceTags as b { b == x } }";
    let path = filtered("/v1/catalog/service/web", squared);
    let waiting = loop {
        let mut waiting = begin(&member, &path);
        waiting.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        // Answered means that it came before the endless one.
        if waiting.read(&mut [0; 1]).is_err() {
            break waiting;
        }
    };
    for round in 0..20 {
        member.put("/v1/kv/x", round.to_string()).says(200, "true");
        member.get("/v1/kv/x?consistent").ok();
        member.get("/v1/catalog/nodes").ok();
        assert_eq!(
            member.json(&filtered("/v1/catalog/service/web", "x in ServiceTags")),
            json!([])
        );
    }
    drop(endless);
    let mut answer = String::new();
    let mut waiting = waiting;
    waiting.set_read_timeout(Some(LONG)).unwrap();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn honest_filters_over_thousands_of_instances_are_answered_in_full() {
    let member = member();
    let mut number = 0;
    for _ in 0..24 {
        let operation = |number| {
            json!({"Service": {"Verb": "set", "Node": "ext", "Service": {
                "ID": format!("web-{number}"), "Service": "web", "Port": 8000 + number % 2,
                "Tags": ["v1", format!("zone-{}", number % 10)], "Meta": {"rack": "7"}}}})
        };
        if number == 0 {
            member.put("/v1/catalog/register", r#"{"Node":"ext","Address":"1.2.3.4"}"#).ok();
        }
        let operations: Vec<Value> = (number..number + 100).map(operation).collect();
        member.put("/v1/txn", Value::from(operations).to_string()).ok();
        number += 100;
    }
    let count = |path: &str| member.json(path).as_array().unwrap().len();
    assert_eq!(count("/v1/catalog/service/web"), 2400);
    assert_eq!(count("/v1/health/service/web"), 2400);
    assert_eq!(count("/v1/health/service/web?tag=zone-3&tag=V1"), 240);
    for (filter, expected) in [
        ("ServicePort == 8001 and `zone-3` in ServiceTags and ServiceMeta.rack == 7", 240),
        ("any ServiceTags as t { t matches `^zone-[0-4]$` } and not Node matches `^x`", 1200),
        ("ServiceID matches `^web-[0-9]{3}$` or ServiceID == `web-0`", 901),
    ] {
        assert_eq!(count(&filtered("/v1/catalog/service/web", filter)), expected, "{filter}");
    }
    let listed = member.get(&filtered("/v1/catalog/service/web", "ServicePort == 8001"));
    assert_eq!(listed.index(), member.get("/v1/catalog/service/web").index());
}

#[test]
fn a_template_that_would_become_huge_is_refused() {
    let member = member();
    let create = |service: &str, name: &str| {
        let query = json!({"Name": name, "Template": {"Type": "name_prefix_match"},
            "Service": {"Service": service}});
        member.send("POST", "/v1/query", &[], query.to_string().as_bytes())
    };
    let reply = create(&"${name.full}".repeat(500_000), "huge-");
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("the definition is longer than"), "{}", reply.text());
    create(&"${name.full}".repeat(5000), "large-").ok();
    member.get("/v1/query/large-a/execute").ok();
    for asked in ["a".repeat(200), "a".repeat(5000)] {
        for verb in ["execute", "explain"] {
            let reply = member.get(&format!("/v1/query/large-{asked}/{verb}"));
            assert_eq!(reply.status, 400, "{}", reply.text());
            assert!(reply.text().contains("longer than"), "{}", reply.text());
        }
    }
}

#[test]
fn a_check_keeps_no_more_output_than_the_agent_allows() {
    let member = member();
    let check = r#"{"Name":"c","TTL":"60s","OutputMaxSize":100000000}"#;
    member.put("/v1/agent/check/register", check).ok();
    let update = json!({"Status": "passing", "Output": "x".repeat(1 << 20)});
    member.put("/v1/agent/check/update/c", update.to_string()).ok();
    let output = member.json("/v1/agent/checks")["c"]["Output"].as_str().unwrap().to_owned();
    assert!(output.len() < 4200 && output.contains("captured 4096 of 1048576 bytes"), "{output}");
}

/// Small limits, so that little is too much.
fn with_little_room() -> Member {
    let mut settings = settings();
    settings.limits.http_body_bytes_max = 64 << 10;
    settings.limits.http_bytes_per_ip_max = 1 << 20;
    settings.limits.http_bytes_max = 1 << 20;
    member_with(settings)
}

#[test]
fn unfinished_bodies_are_kept_only_so_far_and_others_are_served() {
    let member = with_little_room();
    let body = vec![b'x'; 300 << 10];
    let mut unfinished: Vec<TcpStream> = (0..8)
        .map(|number| {
            let mut stream = TcpStream::connect(member.address).unwrap();
            let head = format!(
                "PUT /v1/kv/{number} HTTP/1.1\r\nHost: m\r\nContent-Length: 400000\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            // One that is closed meanwhile takes no more.
            let _ = stream.write_all(&body);
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let began = std::time::Instant::now();
    // Three of them fit.
    while unfinished.len() > 3 {
        assert!(began.elapsed() < LONG, "{} are left", unfinished.len());
        member.put("/v1/kv/small", "1").says(200, "true");
        unfinished.retain_mut(|stream| {
            let mut answer = [0; 12];
            match stream.read(&mut answer) {
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
                // Closed without a word, or told that it is too much.
                Ok(0) => false,
                Ok(_) => {
                    assert_eq!(&answer, b"HTTP/1.1 429");
                    false
                }
            }
        });
    }
    drop(unfinished);
    member.put("/v1/kv/large", vec![b'x'; 300 << 10]).says(200, "true");
}

#[test]
fn an_answer_that_is_longer_than_there_is_room_for_is_refused() {
    let member = with_little_room();
    for key in 0..4 {
        member.put(&format!("/v1/kv/tree/{key}"), vec![b'x'; 300 << 10]).says(200, "true");
    }
    let reply = member.get("/v1/kv/tree?recurse");
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("limits.http_bytes_per_ip_max"), "{}", reply.text());
    let trees = r#"[{"KV":{"Verb":"get-tree","Key":"tree"}}]"#;
    assert_eq!(member.put("/v1/txn", trees).status, 503);
    member.get("/v1/kv/tree/0").ok();
    assert_eq!(member.json("/v1/kv/tree?keys").as_array().unwrap().len(), 4);
}

#[test]
fn long_answers_that_nobody_takes_end_their_own_connections_and_others_are_served() {
    let mut settings = settings();
    settings.limits.http_bytes_per_ip_max = 12 << 20;
    let member = member_with(settings);
    for key in 0..8 {
        member.put(&format!("/v1/kv/tree/{key}"), vec![b'x'; 500 << 10]).says(200, "true");
    }
    // More than the system takes on its way to a client.
    let mut unread: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut stream = TcpStream::connect(member.address).unwrap();
            stream.write_all(b"GET /v1/kv/tree?recurse HTTP/1.1\r\nHost: m\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let began = std::time::Instant::now();
    let evictions = || {
        let reply = member.get("/v1/agent/metrics?format=prometheus");
        let metrics = reply.text();
        let line = metrics.lines().find(|line| line.starts_with("consul_coord_http_evictions "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    while evictions() < 1.0 {
        assert!(began.elapsed() < LONG);
        member.put("/v1/kv/small", "1").says(200, "true");
    }
    member.get("/v1/kv/tree/0").ok();
    // What was kept for a client that left is free for the next one.
    unread.clear();
    while member.get("/v1/kv/tree?recurse").status != 200 {
        assert!(began.elapsed() < LONG);
    }
}

#[test]
fn heads_and_waiting_requests_count_as_well() {
    let member = with_little_room();
    let long = "a".repeat(60_000);
    let mut waiting: Vec<TcpStream> = (0..20)
        .map(|number| {
            let mut stream = TcpStream::connect(member.address).unwrap();
            // Half of them is not even a request yet.
            let end = if number % 2 == 0 { "\r\n" } else { "" };
            let head =
                format!("GET /v1/kv/{long}?index=99999999&wait=60s HTTP/1.1\r\nHost: m\r\n{end}");
            let _ = stream.write_all(head.as_bytes());
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let began = std::time::Instant::now();
    while waiting.len() > 17 {
        assert!(began.elapsed() < LONG, "{} are left", waiting.len());
        member.put("/v1/kv/small", "1").says(200, "true");
        waiting.retain_mut(|stream| {
            let read = stream.read(&mut [0; 12]);
            read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        });
    }
    member.get("/v1/kv/small").ok();
}

#[test]
fn an_address_has_only_so_many_connections() {
    let mut settings = settings();
    settings.limits.http_connections_per_ip_max = 3;
    let member = member_with(settings);
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..3 {
        let mut stream = begin_open(&member);
        stream.read_exact(&mut [0; 12]).unwrap();
        streams.push(stream);
    }
    let refused = member.get("/v1/status/leader");
    assert_eq!(refused.status, 429);
    assert!(refused.text().contains("too many concurrent connections"), "{}", refused.text());
    streams.pop();
    let began = std::time::Instant::now();
    while member.get("/v1/status/leader").status == 429 {
        assert!(began.elapsed() < LONG);
    }
}

/// As [`begin`], but the connection stays.
fn begin_open(api: &Api) -> TcpStream {
    let mut stream = TcpStream::connect(api.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: member\r\n\r\n").unwrap();
    stream
}
