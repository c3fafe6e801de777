"""ZooKeeper's own command line, unchanged, against members of ours: it must
say what it says to a genuine server."""

import re
import threading
import unittest

from member import Cluster, eventually
from peers import GenuineZookeeper
from programs import carries_on_without_the_leader, java_jars
from zkcli import CommandLine, comparable

# Commands by what they are about, each on what the ones before it left.
CREATE = """
create /p data
create /p data
create -s /p/s- x
create -e /p/e x
create -e -s /p/es- x
create -c /c
create -c -s /c
create -t 100000 /t ttl
create -s -t 100000 /t- ttl
create -e -t 100000 /both x
create /none/below x
create /p/e/below x
create wrong x
"""
READ_AND_WRITE = """
get /p
get -s /p
set /p new
set -v 7 /p new
set -s /p newer
stat /p
stat /none
ls /p
ls -s /p
ls -R /
ls /none
get /none
set /none x
delete /none
delete -v 3 /p/s-0000000000
delete -v 0 /p/s-0000000000
delete /p
getAllChildrenNumber /
getAllChildrenNumber /p
getAllChildrenNumber /none
getEphemerals
getEphemerals /p/es
getEphemerals /none
sync /
whoami
"""
WATCHES = """
get -w /p
set /p z
set /p z
ls -w /p
create /p/kid
create /p/kid2
stat -w /p/kid
delete /p/kid
ls -w /none
addWatch -m PERSISTENT /p
addWatch -m PERSISTENT_RECURSIVE /c
addWatch /not-yet
create /c/x
create /c/x/y
set /c/x/y q
set /p q
create /not-yet
create /not-yet/below
delete /c/x/y
delete /c/x
removewatches /p
removewatches /c
removewatches /none
set /p without
"""
QUOTAS = """
create /q 1
create /q/1
listquota /q
setquota -n 3 /q
listquota /q
setquota -b 100 /q
setquota -N 4 /q
setquota -B 20 /q
listquota /q
setquota -n 3 /q/1
create /q/2
create /q/3
create /q/4
set /q 0123456789012345678901234567890
set /q/1 0123456789
listquota /q
delquota -N /q
create /q/5
delquota -B /q
set /q 0123456789012345678901234567890
delquota -n /q
listquota /q
delquota /q
listquota /q
ls -R /zookeeper
"""
ACCESS = """
getAcl /p
addauth digest bob:secret
whoami
create /acl x auth::cdrwa
getAcl /acl
getAcl -s /acl
setAcl /acl world:anyone:r
getAcl /acl
set /acl y
setAcl /acl world:anyone:cdrwa
create /digest x digest:ann:VCbyVqL/GJoiHbFb2y1aJpeNJNk=:cdrwa
get /digest
set /digest y
getAcl /digest
delete /digest
setAcl -v 9 /p world:anyone:r
setAcl /p nonsense:x:r
setAcl -R /q world:anyone:r
getAcl /q/1
"""
DELETE = """
deleteall /p
deleteall /none
ls /
"""


class CommandLineTests(unittest.TestCase):
    """One conversation with each server: starting Java takes longer than talking."""

    @classmethod
    def setUpClass(cls):
        parts = [CREATE, READ_AND_WRITE, WATCHES, QUOTAS, ACCESS, DELETE]
        with GenuineZookeeper(jars=java_jars(), lines=["enforceQuota=true"]) as genuine:
            cls.wanted, cls.wanted_events = converse(genuine.hosts, parts)
        with Cluster() as cluster:
            cls.heard, cls.events = converse(cluster.hosts, parts)

    def check(self, part, *told):
        """The same lines for this part; all of `told` among them."""
        self.maxDiff = None
        self.assertEqual(self.wanted[part], self.heard[part])
        for text in told:
            self.assertIn(text, self.heard[part])

    def test_it_creates_in_every_mode(self):
        self.check(CREATE, "Created /p/s-0000000000", "Created /p/es-0000000002", "Created /t")

    def test_it_reads_writes_lists_and_deletes(self):
        self.check(READ_AND_WRITE, "version No is not valid : /p", "Node not empty: /p", "ip: 127.0.0.1")

    def test_its_watches_fire_as_often_and_in_the_same_order(self):
        self.check(WATCHES)
        self.assertEqual(self.wanted_events, self.events)
        kinds = [re.search(r" type:(\w+) path:", event).group(1) for event in self.events]
        self.assertEqual(5, kinds.count("NodeCreated"))
        self.assertEqual(2, kinds.count("PersistentWatchRemoved"))

    def test_quotas_are_soft_or_hard_and_counted(self):
        self.check(QUOTAS, "Quota has exceeded : /q/4", "quota for /q does not exist.")

    def test_access_lists_keep_others_out(self):
        self.check(ACCESS, "Insufficient permission : /acl")

    def test_it_deletes_a_subtree(self):
        self.check(DELETE, "Node does not exist: /none")

    def test_three_members_tell_it_their_configuration(self):
        with Cluster(3) as cluster, CommandLine(cluster.hosts) as say:
            # The leader writes it once it leads.
            lines = eventually("the configuration is there", lambda: say("config"))
        for member in cluster.members:
            peer = member.peer.rsplit(":", 1)[1]
            pattern = rf"server\.{member.number}=127\.0\.0\.1:{peer}:.*:participant"
            self.assertTrue([line for line in lines if re.match(pattern, line)], lines)
        self.assertTrue([line for line in lines if re.match(r"version=[0-9a-f]+$", line)], lines)

    def test_it_carries_on_when_the_leader_is_killed(self):
        carries_on_without_the_leader(WritingCommandLine)


def converse(hosts, parts):
    """What each part says, and all events, comparable between servers."""
    with CommandLine(hosts) as say:
        say("create /first")
        zxid = next(line for line in say("stat /first") if line.startswith("cZxid"))
        first = int(zxid.split()[-1], 16)
        say("delete /first")
        heard = {}
        for part in parts:
            heard[part] = []
            for command in part.strip().split("\n"):
                lines = comparable(say(command), first)
                # A set to ZooKeeper too, told in any order.
                heard[part] += [f"> {command}", *(sorted(lines) if command == "whoami" else lines)]
        # Events come in order, but may be printed later than the reply behind them.
        say("addWatch /end")
        say("create /end")
        eventually("the last event is told", lambda: any("path:/end" in e for e in say.events))
        return heard, comparable(say.events, first)


class WritingCommandLine:
    """The command line as a program that writes until it is stopped."""

    def __init__(self, hosts, folder):
        self.say = CommandLine(hosts)
        self.process = self.say.process
        self.folder = folder
        self.acknowledged, self.other = [], []
        self.done = threading.Event()
        self.writer = threading.Thread(target=self.write, daemon=True)
        self.writer.start()

    def write(self):
        # An ephemeral is there as long as the session it was made in.
        self.say(f"create {self.folder}")
        self.say(f"create -e {self.folder}-mine")
        number = 0
        while not self.done.is_set():
            path = f"{self.folder}/{number:06}"
            for line in self.say(f"create {path}"):
                created = line == f"Created {path}"
                (self.acknowledged if created else self.other).append(path if created else f"{line}\n")
            number += 1
        if self.say(f"getEphemerals {self.folder}-mine") == [f"[{self.folder}-mine]"]:
            self.other.append("session same\n")

    def stop(self):
        self.done.set()
        self.writer.join(60)
        self.say.close()


if __name__ == "__main__":
    unittest.main()
