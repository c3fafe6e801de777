"""Changes a configuration of several znodes atomically, if nothing in it changed
meanwhile: read it with its hash, decide, write on condition of that hash.

    PYTHONPATH=target/python python3 examples/python/change_configuration.py [host:port]

Needs a libcoord server; a genuine ZooKeeper has no such hashes.
"""

import sys

from zk import ZK, exceptions

TOP = "/shop"


def read(zk):
    """The configuration and its hash. The hash is read first, so that the write
    fails if anything changed while the rest was read."""
    seen = zk.get_hash(TOP, recursive=True)
    return {name: zk.get(f"{TOP}/{name}")[0].decode() for name in zk.get_children(TOP)}, seen


def change(zk, decide):
    """Applies `decide` to the configuration, atomically."""
    while True:
        try:
            values, seen = read(zk)
        except exceptions.NoNodeError:
            continue  # deleted while we read
        wanted = decide(dict(values))
        transaction = zk.transaction()
        transaction.check_hash(TOP, seen, recursive=True)
        for name in sorted(values.keys() - wanted.keys()):
            transaction.delete(f"{TOP}/{name}")
        for name in sorted(wanted.keys() - values.keys()):
            transaction.create(f"{TOP}/{name}", wanted[name].encode())
        for name in sorted(wanted.keys() & values.keys()):
            transaction.set_data(f"{TOP}/{name}", wanted[name].encode())
        checked = transaction.commit()[0]
        if checked is True:
            return
        if not isinstance(checked, exceptions.BadVersionError):
            raise checked
        print("somebody else was faster: once more")


hosts = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
with ZK(hosts) as zk, ZK(hosts) as other:
    zk.ensure_path(TOP)
    change(zk, lambda values: {"host": "db1", "port": "5432"})
    meddling = [{"owner": "ann"}]

    def move(values):
        if meddling:  # between our read and our write
            more = meddling.pop()
            change(other, lambda now: {**now, **more})
        del values["port"]
        return {**values, "host": "db2", "socket": "/run/db2"}

    change(zk, move)
    print(sorted(read(zk)[0].items()))
    zk.delete(TOP, recursive=True)
