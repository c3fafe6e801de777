"""The interpreter's own life: Ctrl-C, and its end with everything running."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from support import blocking_queries, eventually, run_python


def threads_of(process):
    return len(os.listdir(f"/proc/{process}/task"))


EVERYTHING = """
import libcoord, consul, zk, sys, threading
server = libcoord.Server()
client = zk.ZK(server.zk)
client.create('/a', b'1', ephemeral=True)
client.get('/a', watch=print)
client.add_watch('/', print, recursive=True)
host, port = server.http.split(':')
other = consul.Consul(host, int(port))
index, _ = other.kv.get('key')
threading.Thread(target=lambda: other.kv.get('key', index=index), daemon=True).start()
"""

BLOCKED = """
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
import libcoord, consul, zk, sys
server = libcoord.Server()
host, port = server.http.split(':')
client = consul.Consul(host, int(port))
index, _ = client.kv.get('key')
print('waiting', server.http, flush=True)
try:
    client.kv.get('key', index=index)
except KeyboardInterrupt:
    print('interrupted', flush=True)
print(client.kv.put('key', 'still works'))
"""


FORKED = """
import libcoord, consul, zk, os, sys, threading
server = libcoord.Server()
cluster = libcoord.Cluster(1)
z = zk.ZK(server.zk)
z.create('/a', b'1', ephemeral=True)
z.get('/a', watch=print)
host, port = server.http.split(':')
c = consul.Consul(host, int(port))
c.kv.put('a', 'b')
"""

#: Everything that reaches for a thread or a socket.
CALLS = [
    "z.start()", "z.get('/a')", "z.get('/a', watch=print)", "z.set('/a', b'2')", "z.exists('/a')",
    "z.create('/b')", "z.delete('/a')", "z.get_children('/')", "z.get_acls('/')", "z.sync()",
    "z.ensure_path('/b')", "z.add_watch('/', print)", "z.add_auth('digest', 'a:b')",
    "z.get_hash('/a')", "z.transaction().commit()", "z.state", "z.connected", "z.client_id",
    "z.session_timeout", "z.close()", "z.stop()",
    "c.kv.get('a')", "c.kv.put('a', 'c')", "c.agent.self()", "c.agent.service.register('web')",
    "c.agent.service.register('web', '10.0.0.1:80')", "c.agent.service.deregister('web')",
    "c.session.create()", "c.status.leader()", "c.event.fire('e')", "c.close()",
    "server.status", "server.check()", "server.wait_failed(0)", "server.stop()", "server.close()",
    "cluster.leader", "cluster.stop_member(0)", "cluster.stop()",
]  # fmt: skip


def in_a_child(text):
    """A program that runs `text` in a forked child, then looks after its own."""
    child = "\n".join(f"    {line}" for line in text.splitlines())
    return (
        f"{FORKED}\npid = os.fork()\nif pid == 0:\n{child}\nelse:\n"
        "    print('ended', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)\n"
        "    print(z.get('/a')[0], z.state, c.kv.get('a')[1]['Value'], server.status.state, flush=True)\n"
    )


class AForkedChild(unittest.TestCase):
    parents = "b'1' connected b'b' serving\n"

    def test_every_call_is_refused_at_once(self):
        calls = "\n".join(
            f"try: print({call})\nexcept libcoord.ForkedError: refused += 1" for call in CALLS
        )
        done = run_python(in_a_child(f"refused = 0\n{calls}\nprint(refused, flush=True)\nos._exit(4)"))
        self.assertEqual((done.stdout, done.stderr), (f"{len(CALLS)}\nended 4\n{self.parents}", ""))

    def test_it_ends_however_it_ends(self):
        for end, status in (
            ("sys.exit(3)", 3),
            ("os._exit(5)", 5),
            ("pass", 0),
            ("raise SystemExit", 0),
            ("del z, c, server, cluster", 0),
            ("with z, c, server, cluster: sys.exit(6)", 6),
        ):
            # To its end, without what only the parent does.
            program = in_a_child(f"print('child', flush=True)\n{end}")
            done = run_python(program)
            self.assertEqual(done.stderr, "", end)
            self.assertEqual(done.stdout, f"child\nended {status}\n{self.parents}", end)

    def test_a_worker_of_multiprocessing_ends_and_may_have_clients_of_its_own(self):
        program = FORKED + (
            "import multiprocessing\n"
            "def work(queue):\n"
            "    try: z.get('/a')\n"
            "    except libcoord.ForkedError: queue.put('refused')\n"
            "    with zk.ZK(server.zk) as own, libcoord.Server() as another:\n"
            "        queue.put(own.get('/a')[0])\n"
            "        queue.put(another.status.state)\n"
            "context = multiprocessing.get_context('fork')\n"
            "queue = context.SimpleQueue()\n"
            "workers = [context.Process(target=work, args=(queue,)) for _ in range(2)]\n"
            "for worker in workers: worker.start()\n"
            "seen = sorted(str(queue.get()) for _ in range(6))\n"
            "for worker in workers: worker.join(30)\n"
            "print(seen, [worker.exitcode for worker in workers], z.get('/a')[0])\n"
        )
        done = run_python(program, flags=("-W", "ignore::DeprecationWarning"))
        told = ["b'1'"] * 2 + ["refused"] * 2 + ["serving"] * 2
        self.assertEqual((done.stdout, done.stderr), (f"{told} [0, 0] b'1'\n", ""))


#: Each says `waiting` once it is about to block for a minute.
STARTS = {
    "a member that waits for others": (
        "libcoord.Server(settings={'members': {1: '127.0.0.1:0', 2: '127.0.0.1:1', 3: '127.0.0.1:2'}})"
    ),
    "a session with no server": "zk.ZK('127.0.0.1:1').start(timeout=60)",
    "a call with no server": "zk.ZK(silent, request_timeout=60).get('/')",
    "a member that is watched": "libcoord.Server().wait_failed(60)",
    "a question that nobody answers": "consul.Consul('127.0.0.1', int(silent.split(':')[1])).kv.get('a')",
}

SILENT = """
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
import libcoord, consul, zk, socket
listener = socket.create_server(('127.0.0.1', 0))
silent = '127.0.0.1:%d' % listener.getsockname()[1]
try:
    print('waiting', flush=True)
    {call}
except KeyboardInterrupt:
    print('interrupted', flush=True)
"""


class TheInterpreter(unittest.TestCase):
    def test_it_ends_at_once_with_everything_still_running(self):
        for end in ("", "raise SystemExit(3)", "raise ValueError('a fault')", "del server"):
            for _ in range(5):
                started = time.monotonic()
                done = run_python(EVERYTHING + end)
                expected = 3 if "SystemExit" in end else 1 if "ValueError" in end else 0
                self.assertEqual(done.returncode, expected, (end, done.stderr))
                self.assertNotIn("Fatal", done.stderr)
                self.assertNotIn("panicked", done.stderr)
                self.assertLess(time.monotonic() - started, 20)

    def test_ctrl_c_interrupts_a_waiting_call(self):
        command = [sys.executable, "-c", BLOCKED]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            said, address = child.stdout.readline().split()
            self.assertEqual(said, "waiting")
            eventually("the call waits", lambda: blocking_queries(address))
            child.send_signal(signal.SIGINT)
            rest, _ = child.communicate(timeout=20)
        self.assertEqual(rest, "interrupted\nTrue\n")
        self.assertEqual(child.returncode, 0)

    def test_ctrl_c_ends_whatever_waits_and_leaves_nothing_behind(self):
        for what, call in STARTS.items():
            with self.subTest(what), tempfile.TemporaryDirectory() as folder:
                program = SILENT.replace("{call}", call)
                environment = dict(os.environ, TMPDIR=folder)
                with subprocess.Popen(
                    [sys.executable, "-c", program],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=environment,
                ) as child:
                    self.assertEqual(child.stdout.readline(), "waiting\n")
                    eventually(f"{what} blocks", lambda: threads_of(child.pid) > 1)
                    child.send_signal(signal.SIGINT)
                    rest, complaints = child.communicate(timeout=40)
                self.assertEqual((rest, complaints), ("interrupted\n", ""), what)
                self.assertEqual(child.returncode, 0, what)
                self.assertEqual(os.listdir(folder), [], what)


if __name__ == "__main__":
    unittest.main()
