"""One conversation with a ZooKeeper server, as lines that must not differ
between two servers: results, versions, errors, events, without times and ids."""

from kazoo.exceptions import KazooException
from kazoo.security import make_acl, make_digest_acl


def stat_line(stat):
    owned = "owned" if stat.ephemeralOwner else "free"
    changed = "unchanged" if stat.mzxid == stat.czxid else "changed"
    return (
        f"v{stat.version} c{stat.cversion} a{stat.aversion} {stat.dataLength} bytes "
        f"{stat.numChildren} children {owned} {changed}"
    )


def conversation(client):
    """Runs it on a connected kazoo client; returns the lines."""
    lines = []
    events = []

    def say(what, result):
        lines.append(f"{what}: {result}")

    def attempt(what, call):
        try:
            say(what, call())
        except KazooException as error:
            say(what, type(error).__name__)

    def watch(event):
        events.append(f"{event.type} {event.path}")

    def get(path):
        data, stat = client.get(path)
        return f"{data!r} {stat_line(stat)}"

    say("root", stat_line(client.exists("/")))
    say("system", sorted(client.get_children("/zookeeper")))
    attempt("create", lambda: client.create("/t", b"one"))
    attempt("create again", lambda: client.create("/t", b"two"))
    attempt("get", lambda: get("/t"))
    attempt("create below nothing", lambda: client.create("/none/below"))
    # kazoo itself refuses or mends the other odd paths.
    for path in ("/t/\u0001", "/t/\u007f", "/t/\ufff5"):
        attempt(f"create {path!r}", lambda path=path: client.create(path))
    attempt("set", lambda: stat_line(client.set("/t", b"three", version=0)))
    attempt("set with an old version", lambda: client.set("/t", b"four", version=0))
    attempt("set anything", lambda: stat_line(client.set("/t", b"", version=-1)))
    attempt("set nothing", lambda: client.set("/none", b""))
    for _ in range(3):
        attempt("sequence", lambda: client.create("/t/s-", sequence=True))
    attempt("plain child", lambda: client.create("/t/plain", b"p"))
    attempt("sequence after a plain child", lambda: client.create("/t/s-", sequence=True))
    attempt("delete a child", lambda: client.delete("/t/plain"))
    attempt("sequence after a delete", lambda: client.create("/t/s-", sequence=True))
    attempt("parent", lambda: get("/t"))
    attempt("children", lambda: sorted(client.get_children("/t")))
    attempt("delete with children", lambda: client.delete("/t"))
    attempt("delete with an old version", lambda: client.delete("/t/s-0000000000", version=5))
    attempt("delete nothing", lambda: client.delete("/t/none"))
    attempt("ephemeral", lambda: client.create("/t/e", b"", ephemeral=True))
    attempt("stat of an ephemeral", lambda: get("/t/e"))
    attempt("below an ephemeral", lambda: client.create("/t/e/x"))
    attempt("ephemeral sequence", lambda: client.create("/t/q-", ephemeral=True, sequence=True))
    attempt("create with stat", lambda: stat_line(client.create("/t/w", b"w", include_data=True)[1]))

    client.get("/t/w", watch=watch)
    client.get_children("/t", watch=watch)
    client.exists("/t/later", watch=watch)
    attempt("change", lambda: stat_line(client.set("/t/w", b"ww")))
    attempt("later", lambda: client.create("/t/later"))
    client.get("/t/later", watch=watch)
    client.get_children("/t/later", watch=watch)
    attempt("gone", lambda: client.delete("/t/later"))
    client.sync("/t")
    # kazoo hands events to another thread; one more round trip is behind them all.
    drained = client.handler.event_object()
    client.handler.callback_queue.put(drained.set)
    drained.wait(10)
    lines.extend(f"event: {event}" for event in events)

    good = client.transaction()
    good.create("/t/m", b"1")
    good.set_data("/t/m", b"2", 0)
    good.check("/t/m", 1)
    good.create("/t/m/below")
    good.delete("/t/m/below", 0)
    say("multi", [type(r).__name__ if not isinstance(r, (str, bool)) else r for r in good.commit()])
    attempt("after a multi", lambda: get("/t/m"))
    bad = client.transaction()
    bad.create("/t/n")
    bad.check("/t/m", 99)
    bad.delete("/t/m", -1)
    say("multi that fails", [type(result).__name__ for result in bad.commit()])
    attempt("after it", lambda: client.exists("/t/n"))

    anyone = make_acl("world", "anyone", read=True)
    attempt("acl", lambda: client.get_acls("/t/m")[0])
    attempt("set acl", lambda: stat_line(client.set_acls("/t/m", [anyone], version=0)))
    attempt("set acl with an old version", lambda: client.set_acls("/t/m", [anyone], version=0))
    attempt("write without the right", lambda: client.set("/t/m", b"3"))
    attempt("no acl", lambda: client.create("/t/a", acl=[make_acl("bogus", "x", all=True)]))
    secret = [make_digest_acl("bob", "pw", all=True)]
    attempt("somebody else's", lambda: client.create("/t/secret", b"s", acl=secret))
    attempt("read it", lambda: get("/t/secret"))
    # exists() without READ is answered before ZooKeeper 3.8.4 and refused since: not compared.
    attempt("become bob", lambda: client.add_auth("digest", "bob:pw"))
    attempt("read it as bob", lambda: get("/t/secret"))
    attempt("its acl", lambda: client.get_acls("/t/secret")[0])
    attempt("delete the tree", lambda: client.delete("/t", recursive=True))
    attempt("root at the end", lambda: stat_line(client.exists("/")))
    return lines
