#!/usr/bin/env python3
"""Runs every conformance suite, each with the interpreter its client needs.

The last lines tell all: one line per suite and a total, each beginning with
"conformance:". A test that was skipped counts as failed: what is fetched here
is needed, not optional.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
# Suite, and the client whose environment it runs in.
SUITES = [
    ("test_bad_input", None),
    ("test_consul_command", None),
    ("test_consul_refusals", None),
    ("test_consul_mesh", None),
    ("test_kazoo", "kazoo"),
    ("test_reconfig", "kazoo"),
    ("test_secure", "kazoo-sasl"),
    ("test_py_consul", "py-consul"),
    ("test_python_consul", "python-consul"),
    ("test_go_consul", None),
    ("test_node_consul", None),
    ("test_page", None),
    ("test_page_graph", None),
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
    ("test_consul_template", None),
    ("test_go_api_suite", None),
]
# With --consul: its command on ours, and then these on the genuine one.
ON_CONSUL = [
    "test_consul_refusals", "test_consul_mesh", "test_py_consul", "test_python_consul", "test_go_consul",
    "test_node_consul", "test_dig", "test_dns_users", "test_traefik", "test_vault",
    "test_consul_template",
]
COMMAND = "test_consul_command"
# For one suite, with what it builds.
SECONDS_MAX = 1200
# Most suites wait more than they work, so two run side by side. All that fetch a
# genuine ZooKeeper are in one lane: it is unpacked once.
ZOOKEEPER_LANE = {
    "test_bad_input", "test_kazoo", "test_reconfig", "test_secure", "test_zookeeper_random", "test_members",
    "test_admin", "test_document", "test_zkcli", "test_zkcli_reconfig", "test_c_client", "test_zookeeper_clients",
}  # fmt: skip


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", default="target", help="where cargo builds")
    arguments.add_argument("--build", default="debug", help="debug or release")
    arguments.add_argument("--consul", action="store_true", help="fetch and use a genuine Consul")
    arguments.add_argument("--heavy", action="store_true", help="the suites that take minutes to build")
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
    suites = [each for each in suites if not chosen.suites or each[0] in chosen.suites]
    if chosen.consul:
        # In their order: the first is about ours, the others about the genuine one.
        lanes = [suites]
    else:
        lanes = [[each for each in suites if (each[0] in ZOOKEEPER_LANE) == own] for own in (True, False)]

    def run_lane(lane):
        results = []
        for suite, client in lane:
            environment = {**os.environ}
            if suite in ON_CONSUL and chosen.consul:
                environment["CONSUL_PEER"] = command
            python = client_python(client) if client else sys.executable
            started = time.monotonic()
            count, bad = run_suite(python, suite, environment)
            results.append((suite, count, bad, time.monotonic() - started))
        return results

    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as threads:
        results = [result for lane in threads.map(run_lane, lanes) for result in lane]
    lines = [f"conformance: {suite}: {count} tests, {bad} failed, {seconds:.1f} s" for suite, count, bad, seconds in results]
    ran, failed = sum(result[1] for result in results), sum(result[2] for result in results)
    print("\n" + "\n".join(lines))
    print(f"conformance: {ran} tests, {failed} failed: {'FAILED' if failed else 'OK'}")
    return 1 if failed else 0


def run_suite(python, suite, environment):
    """Runs one suite, its output shown as it comes; tests run and failed."""
    process = subprocess.Popen(
        [str(python), "-m", "unittest", "-v", suite],
        cwd=HERE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    killer = threading.Timer(SECONDS_MAX, process.kill)
    killer.start()
    heard = []
    try:
        print(f"\n=== {suite}", flush=True)
        for line in process.stdout:
            # With the name of its suite, for there may be another one beside it; but
            # not the last lines, which tell counts to whoever looks for them.
            total = re.match(r"Ran \d+ tests?|OK$|OK \(|FAILED|$", line)
            print(line if total else f"{suite}: {line}", end="", flush=True)
            heard.append(line)
        status = process.wait()
    except BaseException:
        process.kill()
        raise
    finally:
        killer.cancel()
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
