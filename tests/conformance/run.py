#!/usr/bin/env python3
"""Runs every conformance suite, each with the interpreter its client needs.

The last lines tell all: one line per suite and a total, each beginning with
"conformance:". A test that was skipped counts as failed: what is fetched here
is needed, not optional.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# Suite, and the client whose environment it runs in.
SUITES = [
    ("test_bad_input", None),
    ("test_consul_command", None),
    ("test_consul_refusals", None),
    ("test_kazoo", "kazoo"),
    ("test_reconfig", "kazoo"),
    ("test_secure", "kazoo-sasl"),
    ("test_py_consul", "py-consul"),
    ("test_python_consul", "python-consul"),
    ("test_go_consul", None),
    ("test_node_consul", None),
    ("test_page", None),
    ("test_dig", None),
    ("test_dns_users", None),
    ("test_patroni", "patroni"),
    ("test_consul_members", "py-consul"),
    ("test_clickhouse", "chdb"),
    ("test_zookeeper_random", None),
    ("test_members", None),
    ("test_faults", None),
    ("test_admin", None),
    ("test_document", None),
    ("test_zkcli", None),
    ("test_zkcli_reconfig", None),
    ("test_c_client", None),
    ("test_curator", None),
    ("test_zookeeper_clients", None),
    ("test_kazoo_suite", "kazoo-suite"),
]
# With --heavy: what takes minutes to build, and a Go as new as theirs.
HEAVY = [
    ("test_go_zookeeper_suite", None),
    ("test_traefik", None),
    ("test_vault", None),
]
# With --consul: its command on ours, and then these on the genuine one.
ON_CONSUL = [
    "test_consul_refusals", "test_py_consul", "test_python_consul", "test_go_consul",
    "test_node_consul", "test_dig", "test_dns_users", "test_traefik", "test_vault",
]
COMMAND = "test_consul_command"
SECONDS_MAX = 600


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", default="target", help="where cargo builds")
    arguments.add_argument("--build", default="debug", help="debug or release")
    arguments.add_argument("--consul", action="store_true", help="fetch and use a genuine Consul")
    arguments.add_argument("--heavy", action="store_true", help="those that take minutes to build")
    arguments.add_argument("suites", nargs="*", help="only these, as in test_kazoo")
    chosen = arguments.parse_args()

    target = pathlib.Path(chosen.target).resolve()
    os.environ["CARGO_TARGET_DIR"] = str(target)
    os.environ["COORD_BIN"] = str(target / chosen.build / "coord")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # Ours must not stand in for a genuine client of the same name.
    os.environ.pop("PYTHONPATH", None)
    from debian import consul_command
    from peers import client_python

    suites = HEAVY if chosen.heavy else SUITES
    if chosen.consul:
        command = str(consul_command())
        order = [COMMAND, *ON_CONSUL]
        suites = sorted((each for each in SUITES + HEAVY if each[0] in order), key=lambda each: order.index(each[0]))
    unknown = set(chosen.suites) - {suite for suite, _ in suites}
    if unknown:
        sys.exit(f"no such suite: {', '.join(sorted(unknown))}")
    lines, ran, failed = [], 0, 0
    for suite, client in suites:
        if suite in ON_CONSUL and chosen.consul:
            os.environ["CONSUL_PEER"] = command
        if chosen.suites and suite not in chosen.suites:
            continue
        print(f"\n=== {suite}", flush=True)
        python = client_python(client) if client else sys.executable
        started = time.monotonic()
        count, bad = run_suite(python, suite)
        seconds = time.monotonic() - started
        ran, failed = ran + count, failed + bad
        lines.append(f"conformance: {suite}: {count} tests, {bad} failed, {seconds:.1f} s")
    print("\n" + "\n".join(lines))
    print(f"conformance: {ran} tests, {failed} failed: {'FAILED' if failed else 'OK'}")
    return 1 if failed else 0


def run_suite(python, suite):
    """Runs one suite, its output shown as it comes; tests run and failed."""
    process = subprocess.Popen(
        [str(python), "-m", "unittest", "-v", suite],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    heard = []
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            heard.append(line)
        status = process.wait(SECONDS_MAX)
    except BaseException:
        process.kill()
        raise
    text = "".join(heard)
    ran = re.search(r"^Ran (\d+) tests?", text, re.M)
    count = int(ran.group(1)) if ran else 0
    bad = sum(
        int(number)
        for number in re.findall(r"(?:failures|errors|skipped|unexpected successes)=(\d+)", text)
    )
    # A suite that ran nothing, or ended badly without saying so, failed too.
    if count == 0 or (status and not bad):
        bad += 1
    return count, bad


if __name__ == "__main__":
    sys.exit(main())
