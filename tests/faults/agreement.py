"""Checks that members agree: digests at equal revisions, entries at equal indexes."""

from ensemble import four_letters
from member_log import MemberLog


class Agreement:
    """What members said so far; asked again and again over a run."""

    def __init__(self):
        self.digests = {}  # revision: digest, who said it first
        self.entries = {}  # index: (term, checksum), who had it first
        self.compared = 0
        self.told = set()

    def look(self, ensemble):
        """Compares all members as they are now; what contradicts, as text, each once."""
        found = [*self.look_at_digests(ensemble), *self.look_at_logs(ensemble)]
        new = [text for text in found if text not in self.told]
        self.told.update(new)
        return new

    def look_at_digests(self, ensemble):
        found = []
        for member in ensemble.members:
            for line in (four_letters(member.zk_address, "hash") or "").splitlines():
                words = line.split()
                if len(words) != 2:
                    continue
                revision, digest = words[0].rstrip(":"), words[1]
                known, who = self.digests.setdefault(revision, (digest, member.number))
                self.compared += who != member.number
                if known != digest:
                    found.append(
                        f"digest at revision {revision}: {known} on member {who}, {digest} on {member.number}"
                    )
                    break  # All that follow differ too.
        return found

    def look_at_logs(self, ensemble):
        found = []
        for member in ensemble.members:
            log = MemberLog(member.folder / "data").confirmed()
            for index in sorted(log):
                known, who = self.entries.setdefault(index, (log[index], member.number))
                if known != log[index]:
                    found.append(
                        f"log entry {index}: term {known[0]} on member {who}, term {log[index][0]} on "
                        f"{member.number}, and not the same"
                    )
                    break
        return found

    def terms(self):
        """How many leaders' terms wrote something that was committed."""
        return len({entry[0][0] for entry in self.entries.values()})
