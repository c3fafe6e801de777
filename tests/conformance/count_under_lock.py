"""Counts up under kazoo's lock: count_under_lock.py HOST:PORT ROUNDS."""

import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1], timeout=10.0)
client.start(timeout=20)
for _ in range(int(sys.argv[2])):
    with client.Lock("/lock", "counter"):
        # The lock may have been handed over on another member: see what it saw.
        client.sync("/counter")
        value, _ = client.get("/counter")
        client.set("/counter", str(int(value) + 1).encode())
client.stop()
client.close()
