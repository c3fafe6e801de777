"""`coord server` as a process: its signals, and readers that do not read."""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from support import LONG, eventually

PIPE_BYTES = 4096


def coord():
    """The command under test."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
    return os.environ.get("COORD_BIN") or str(target / "debug" / "coord")


def free_port():
    """A port nobody listens on now, for members whose ready line nobody reads."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def server(http="127.0.0.1:0", env=(), **streams):
    """A member in a folder of its own; killed at the end if it still runs."""
    with tempfile.TemporaryDirectory(prefix="command-") as folder:
        arguments = [
            coord(), "server", "--data-dir", f"{folder}/data",
            "--zk-addr", "off", "--http-addr", http, "--dns-addr", "off",
        ]  # fmt: skip
        environment = {**os.environ, **dict(env)}
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, env=environment, **streams)
        try:
            yield process
        finally:
            process.kill()
            process.wait(LONG)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


def serves(http):
    """Whether a leader answers there."""
    try:
        with urllib.request.urlopen(f"http://{http}/v1/status/leader", timeout=LONG) as answer:
            return len(answer.read()) > 2
    except OSError:
        return False


def put(http, key):
    """Whether a write was acknowledged."""
    request = urllib.request.Request(f"http://{http}/v1/kv/{key}", data=b"value", method="PUT")
    with urllib.request.urlopen(request, timeout=LONG) as answer:
        return answer.read() == b"true"


def small_pipe():
    """The two ends of a pipe that holds one page."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reader, writer


def waiting_bytes(reader):
    """How much of a pipe was written and not read."""
    import array
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(reader, termios.FIONREAD, count)
    return count[0]


class TheCommand(unittest.TestCase):
    def test_signals_that_are_no_wish_for_its_end_do_not_end_it(self):
        with server(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            http = process.stdout.readline().split("http=")[1].split()[0]
            for number, harmless in enumerate(
                [signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXFSZ]
            ):
                process.send_signal(harmless)
                self.assertTrue(put(http, f"after-{number}"), harmless)
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=LONG)
            self.assertEqual(process.returncode, 0, said)
            self.assertIn("SIGHUP", said)
            self.assertIn("stopping", said)

    def test_a_full_pipe_on_standard_error_holds_nobody_up(self):
        reader, writer = small_pipe()
        try:
            with server(stdout=subprocess.PIPE, stderr=writer, env={"COORD_LOG": "trace"}) as process:
                http = process.stdout.readline().decode().split("http=")[1].split()[0]
                eventually("the pipe is full", lambda: put(http, "k") and waiting_bytes(reader) > 2048)
                slowest = 0.0
                for number in range(200):
                    started = time.monotonic()
                    self.assertTrue(put(http, f"k{number}"))
                    slowest = max(slowest, time.monotonic() - started)
                self.assertLess(slowest, 5.0)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(LONG), 0)
        finally:
            os.close(reader)
            os.close(writer)

    def test_nobody_has_to_read_the_ready_line(self):
        reader, writer = small_pipe()
        os.write(writer, b"." * PIPE_BYTES)
        http = f"127.0.0.1:{free_port()}"
        try:
            with server(http, stdout=writer, stderr=subprocess.DEVNULL) as process:
                eventually("it serves", lambda: serves(http))
                self.assertTrue(put(http, "k"))
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(LONG), 0)
        finally:
            os.close(reader)
            os.close(writer)

    def test_closed_standard_streams_end_nobody(self):
        reader, writer = os.pipe()
        os.close(reader)
        http = f"127.0.0.1:{free_port()}"
        try:
            with server(http, stdout=writer, stderr=writer) as process:
                eventually("it serves", lambda: serves(http))
                process.send_signal(signal.SIGHUP)
                self.assertTrue(put(http, "k"))
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(LONG), 0)
        finally:
            os.close(writer)

    def test_why_it_ended_is_said_to_the_last_line(self):
        with server("127.0.0.1:nowhere", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            _, said = process.communicate(timeout=LONG)
            self.assertNotEqual(process.returncode, 0)
            self.assertIn(b"127.0.0.1:nowhere", said)


if __name__ == "__main__":
    unittest.main()
