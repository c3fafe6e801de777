"""Attacks on the port between members, and on the process itself.

The attacker speaks the format described in the head of
`core/src/consensus/peer_frame.rs` and that of handshakes, without a secret. If
members authenticate each other, it gets no further than that.
"""

import atexit
import fcntl
import os
import signal
import socket
import struct
import subprocess
import time

import jute
from attack_zookeeper import close_all, connections
from member import coord, eventually, free_ports

CONTROL, FETCH = 2, 5
CALL_VOTE = 1


class Stranger:
    """Says that it is member `sender`, and proves nothing, or that with a wrong secret."""

    # The version, and what follows the numbers: nothing; a nonce and the claim
    # to have a secret, or none.
    HELLOS = ((2, b""), (3, b"\1" + b"n" * 32), (3, b"\0" + b"n" * 32))
    WELCOME, CHALLENGE = 0, 2

    def __init__(self, member, sender, purpose):
        host, port = member.peer_wanted.rsplit(":", 1)
        self.admitted, self.told = False, ""
        for version, rest in self.HELLOS:
            self.socket = socket.create_connection((host, int(port)), 3)
            self.socket.settimeout(5)
            try:
                self.send(b"coordper" + struct.pack("<HBQQ", version, purpose, sender, member.number) + rest)
                answer = self.frame()
                if answer[0] == self.CHALLENGE:
                    self.send(bytes(32))
                    answer = self.frame()
            except OSError as error:
                self.told = type(error).__name__
                continue
            if answer[0] == self.WELCOME:
                self.admitted = True
                return
            self.told = answer[1:].decode(errors="replace")

    def send(self, body):
        self.socket.sendall(struct.pack("<I", len(body)) + body)

    def frame(self):
        head = self.exactly(4)
        return self.exactly(struct.unpack("<I", head)[0])

    def exactly(self, count):
        out = b""
        while len(out) < count:
            chunk = self.socket.recv(min(count - len(out), 1 << 20))
            if not chunk:
                raise ConnectionError("closed")
            out += chunk
        return out


def as_stranger(member, sender, purpose, act):
    """What `act` says, or how the stranger was turned away."""
    try:
        stranger = Stranger(member, sender, purpose)
        if not stranger.admitted:
            return f"turned away: {stranger.told[:60]}", False
        return act(stranger)
    except (OSError, struct.error) as error:
        return f"turned away ({type(error).__name__})", False


def guarded(trial):
    return any(setting.startswith("peers.secret=") for setting in trial.leader.settings)


def forged_vote(trial):
    """Votes for the highest term there is, sent to every member"""
    said, admitted = [], []
    for member in trial.ensemble.members:
        sender = member.number % len(trial.ensemble.members) + 1

        def act(stranger):
            # A vote for the sender in the last term but one, and a log longer than all.
            term = (1 << 64) - 2
            body = struct.pack("<QQ?", term, sender, False) + b"\1" + struct.pack("<QQ", term, 1 << 40) + b"\1"
            stranger.send(struct.pack("<QB", 1, CALL_VOTE) + body)
            return f"answered {stranger.frame()[8:9].hex()}", True

        outcome, got_in = as_stranger(member, sender, CONTROL, act)
        said.append(outcome)
        admitted.append(got_in)
    time.sleep(5)
    # Does the cluster still elect?
    leader = trial.ensemble.leader()
    trial.excused.add(leader.number)
    leader.kill()
    leader.start()
    time.sleep(5)
    broken = ["a stranger's vote was heard"] if any(admitted) and guarded(trial) else []
    return "; ".join(sorted(set(said))), broken


def fetch_snapshot(trial):
    """A snapshot asked for by a stranger"""

    def act(stranger):
        stranger.send(struct.pack("<Q", 0))
        return f"a snapshot of {struct.unpack('<Q', stranger.frame()[:8])[0]} bytes was sent", True

    outcome, got_in = as_stranger(trial.follower, trial.leader.number, FETCH, act)
    return outcome, ["a stranger was sent a snapshot"] if got_in and guarded(trial) else []


def fetch_bogus(trial):
    """A snapshot that has an index of the far future, asked for, and an honest one meanwhile"""

    def hold(stranger):
        stranger.send(struct.pack("<Q", (1 << 63) - 1))
        time.sleep(1)

        def honest(other):
            other.send(struct.pack("<Q", 0))
            begun = time.monotonic()
            other.frame()
            return f"the honest one was sent after {time.monotonic() - begun:.1f} s", True

        outcome, got_in = as_stranger(trial.follower, trial.leader.number, FETCH, honest)
        return outcome, ("after" not in outcome or got_in is False)

    outcome, held = as_stranger(trial.follower, trial.leader.number, FETCH, hold)
    return outcome, ["one bogus request holds up those who ask for a snapshot"] if held else []


def idle_peers(trial):
    """1,100 idle connections on every member's port for members, and a member that restarts"""
    made = []
    for member in trial.ensemble.members:
        host, port = member.peer_wanted.rsplit(":", 1)
        made += connections((host, int(port)), 1100)
    time.sleep(1)
    victim = trial.follower
    trial.excused.add(victim.number)
    victim.kill()
    victim.start()
    begun = time.monotonic()
    try:
        eventually("it serves", lambda: serves(victim.zk_address), 15)
        said, broken = f"it serves again after {time.monotonic() - begun:.1f} s", []
    except AssertionError:
        said, broken = "it does not serve again", ["idle strangers keep a member from coming back"]
    close_all(made)
    return f"{len(made)} idle; {said}", broken


def serves(address):
    try:
        with jute.Connection(address, patience=2) as connection:
            return connection.session != 0 and connection.sync() == 0
    except OSError:
        return False


def sighup(trial):
    """SIGHUP to every member, ten times"""
    for _ in range(10):
        for member in trial.ensemble.members:
            if member.running():
                member.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
    dead = [member.number for member in trial.ensemble.members if not member.running()]
    return f"ended: {dead or 'none'}"


def stuck_stderr(trial):
    """Another member whose standard error is a full pipe that nobody reads, and much to say"""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        pass
    fcntl.fcntl(writing, fcntl.F_SETFL, 0)
    port, http_port = free_ports(2)
    address = ("127.0.0.1", port)
    process = subprocess.Popen(
        [
            str(coord()), "server", "--data-dir", str(trial.run.folder / "stuck"), "--zk-addr", f"127.0.0.1:{port}",
            "--http-addr", f"127.0.0.1:{http_port}", "--dns-addr", "off",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing,
    )  # fmt: skip
    # This thread may be given up before it is here again.
    atexit.register(process.kill)
    try:
        eventually("it serves", lambda: serves(address), 10)
        with jute.Connection(address, patience=5) as connection:
            number, until = 0, time.monotonic() + 8
            while number < 200 and time.monotonic() < until:
                number += 1
                # What is no request closes the connection, and may be worth a line.
                with socket.create_connection(address, 2) as noise:
                    noise.sendall(b"\xff\xff\xff\xff" * 4)
                connection.create(f"/n{number}")
        return "it serves", []
    except (AssertionError, OSError) as error:
        return f"it does not serve: {type(error).__name__}", ["a full pipe on standard error stops a member"]
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)


ATTACKS = {
    "forged-vote": forged_vote, "fetch": fetch_snapshot, "fetch-bogus": fetch_bogus, "idle-peers": idle_peers,
    "sighup": sighup, "stuck-stderr": stuck_stderr,
}  # fmt: skip
