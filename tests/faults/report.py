"""What all programs here share: directory, output, verdict."""

import os
import pathlib
import random
import shutil
import threading
import time

from member import target


class Run:
    """One run of a program: a seed, a folder for members and logs, a verdict.

    The folder goes when nothing was broken, and is named when something was.
    """

    def __init__(self, name, chosen):
        self.name = name
        self.only_promises = chosen.only_promises
        self.held_up = HeldUp()
        seed, keep = chosen.seed, chosen.keep
        self.seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.keep = keep
        self.broken = []
        stamp = time.strftime("%H%M%S")
        top = os.environ.get("FAULTS_FOLDER")
        self.folder = (pathlib.Path(top) if top else target() / "faults") / f"{name}-{stamp}-{os.getpid()}"
        self.folder.mkdir(parents=True)
        self.began = time.monotonic()
        self.say(f"{name}: seed {self.seed}, folder {self.folder}")

    def say(self, text=""):
        print(text, flush=True)

    def fail(self, text):
        """A promise was broken: said at once, and again at the end."""
        self.broken.append(text)
        self.say(f"BROKEN after {time.monotonic() - self.began:.0f} s: {text}")

    def too_long(self, took, limit, since, until):
        """Whether `took` seconds are more than this machine allows for."""
        return not self.only_promises and took > limit + self.held_up.total(since, until)

    def finish(self):
        """The exit status."""
        now = time.monotonic()
        seconds = now - self.began
        late = self.held_up.total(self.began, now)
        if late > 1:
            self.say(f"\nthis program waited {late:.1f} s for a processor: read all times as upper bounds")
        if not self.broken:
            if not self.keep:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.say(f"\n{self.name}: OK ({seconds:.0f} s)")
            return 0
        self.say(f"\n{self.name}: {len(self.broken)} broken ({seconds:.0f} s):")
        for text in self.broken[:40]:
            self.say(f"  {text}")
        self.say(f"logs and data are in {self.folder}")
        return 1


class HeldUp(threading.Thread):
    """How long this program itself had to wait for a processor.

    On a busy machine members wait as well: a limit of seconds is longer by that.
    """

    EVERY_S = 0.02

    def __init__(self):
        super().__init__(daemon=True)
        self.late = []  # (until when, for how long), from a tenth of a second on
        self.start()

    def run(self):
        while True:
            begun = time.monotonic()
            time.sleep(self.EVERY_S)
            now = time.monotonic()
            if now - begun > self.EVERY_S + 0.1:
                self.late.append((now, now - begun - self.EVERY_S))

    def total(self, since, until):
        return sum(late for moment, late in self.late if since <= moment <= until)


def table(head, rows):
    """Columns of text, as wide as they must be."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def seconds(value):
    return "-" if value is None else f"{value:.2f}"


def options(parser):
    """What every program can be told."""
    parser.add_argument("--seed", type=int, help="seed for all randomness; default: a new one, printed")
    parser.add_argument(
        "--only-promises", action="store_true", help="show times without judging them, for a busy machine"
    )
    parser.add_argument("--keep", action="store_true", help="keep the directory of a run that broke nothing")


