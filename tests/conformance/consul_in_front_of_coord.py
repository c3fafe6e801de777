#!/usr/bin/env python3
"""Stands in for the `consul` command where a program starts an agent with a file of
settings, as the tests of Consul's client for Go do: a member of ours listens where that
file says. What is not here is told and ends it, as a setting does that Consul does not know.
"""

import json
import os
import sys

# What newer agents do is what the tests expect.
VERSION = "1.22.0"


def main():
    if sys.argv[1:2] == ["version"]:
        print(json.dumps({"Version": VERSION}))
        return
    with open(sys.argv[sys.argv.index("-config-file") + 1]) as file:
        asked = json.load(file)
    missing = []
    if asked.get("acl", {}).get("enabled"):
        missing.append("access rules")
    if asked.get("ca_file"):
        missing.append("certificates by these names")
    if (asked.get("addresses") or {}).get("http", "").startswith("unix:"):
        missing.append("HTTP on a Unix socket")
    if missing:
        sys.exit("not here: " + ", ".join(missing))
    ports = asked["ports"]
    os.makedirs(asked["data_dir"], exist_ok=True)
    # An agent finds its UUID there, and keeps it.
    with open(os.path.join(asked["data_dir"], "node-id"), "w") as file:
        file.write(asked["node_id"])
    arguments = [
        "server", "--member-id", "1", "--data-dir", asked["data_dir"], "--zk-addr", "127.0.0.1:0",
        "--http-addr", f"127.0.0.1:{ports['http']}", "--dns-addr", f"127.0.0.1:{ports['dns']}",
        "--set", "node_name=" + asked["node_name"], "--set", "agent.enable_script_checks=true",
    ]  # fmt: skip
    if "datacenter" in asked:
        arguments += ["--set", "datacenter=" + asked["datacenter"]]
    os.execv(os.environ["COORD_BIN"], ["coord", *arguments])


if __name__ == "__main__":
    main()
