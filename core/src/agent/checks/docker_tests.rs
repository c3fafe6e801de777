//! Docker checks against an engine with one container, spoken to over a Unix
//! socket in the engine's own protocol.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

/// Serves on a socket in `folder` until dropped; gives the `docker_host`. The
/// command `exit N` ends with that code, any other with 0; it says `out` and
/// `err`, in one piece each, and both in several packets.
fn engine(folder: &Path) -> String {
    let path = folder.join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let mut code = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = receive(&mut stream).await;
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let mut line = head.split(' ');
            let answer = match (line.next().unwrap(), line.next().unwrap()) {
                ("POST", "/containers/web/exec") => {
                    let wish: serde_json::Value = serde_json::from_str(body).unwrap();
                    assert_eq!(wish["Tty"], false);
                    code = match wish["Cmd"].as_array().unwrap().as_slice() {
                        [exit, number] if exit == "exit" => {
                            number.as_str().unwrap().parse().unwrap()
                        }
                        _ => 0,
                    };
                    json_answer("201 Created", r#"{"Id":"e1"}"#)
                }
                ("POST", "/exec/e1/start") => {
                    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
                    stream.write_all(head.as_bytes()).await.unwrap();
                    for part in
                        [&b"\x01\0\0\0\0"[..], b"\0\0\x04out\n\x02\0\0\0\0\0\0\x04e", b"rr\n"]
                    {
                        stream.write_all(part).await.unwrap();
                        stream.flush().await.unwrap();
                    }
                    continue;
                }
                ("GET", "/exec/e1/json") => {
                    json_answer("200 OK", &format!(r#"{{"Running":false,"ExitCode":{code}}}"#))
                }
                _ => json_answer("404 Not Found", r#"{"message":"No such container: other"}"#),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("unix://{}", path.display())
}

async fn receive(stream: &mut UnixStream) -> String {
    let mut request = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return text.into_owned();
        }
    }
}

fn json_answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn check(container: &str, args: &[&str]) -> CheckDefinition {
    CheckDefinition {
        docker_container_id: container.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        ..CheckDefinition::default()
    }
}

async fn run(host: &str, definition: &CheckDefinition) -> Finding {
    DockerProbe::of(definition, host).unwrap().run().await
}

#[tokio::test]
async fn a_command_in_a_container_is_judged_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let host = engine(folder.path());
    let passing = run(&host, &check("web", &["true"])).await;
    assert_eq!(passing, Finding::passing("out\nerr\n"));
    assert_eq!(run(&host, &check("web", &["exit", "1"])).await.status, CheckStatus::Warning);
    assert_eq!(run(&host, &check("web", &["exit", "2"])).await.status, CheckStatus::Critical);
}

#[tokio::test]
async fn of_a_containers_output_the_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let host = engine(folder.path());
    let little = CheckDefinition { output_max_size: 5, ..check("web", &["true"]) };
    assert_eq!(run(&host, &little).await.output, "Captured 5 of 8 bytes\n...\n\nerr\n");
}

#[tokio::test]
async fn what_the_engine_refuses_is_critical_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let host = engine(folder.path());
    assert_eq!(
        run(&host, &check("other", &["true"])).await,
        Finding::critical("Docker answered 404: No such container: other")
    );
    let nowhere = format!("unix://{}/none", folder.path().display());
    let finding = run(&nowhere, &check("web", &["true"])).await;
    assert!(finding.output.starts_with("Unable to connect to Docker at"), "{finding:?}");
}

#[test]
fn what_cannot_be_a_container_or_a_host_is_refused() {
    let host = "unix:///var/run/docker.sock";
    assert!(DockerProbe::of(&check("a/../b", &["true"]), host).is_err());
    assert!(DockerProbe::of(&check("web", &[]), host).is_err());
    assert!(DockerProbe::of(&check("web", &["true"]), "npipe://x").is_err());
}
