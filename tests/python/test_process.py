"""The interpreter's own life: Ctrl-C, and its end with everything running."""

import signal
import subprocess
import sys
import time
import unittest

from support import blocking_queries, eventually, run_python

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


if __name__ == "__main__":
    unittest.main()
