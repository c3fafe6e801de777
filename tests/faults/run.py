#!/usr/bin/env python3
"""Fault tests with real members: kills, partitions, full disks, attacks.

    run.py [--target DIR] [--build debug|release] [--folder DIR] PROGRAM [OPTION...]

Each program prints a table and exits with 0 if no promise was broken. README.md
describes the programs, and `PROGRAM --help` their options.
"""

import argparse
import importlib
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ("kills", "failover", "partitions", "disk", "attacks")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", default="target", help="where cargo builds")
    parser.add_argument("--build", default="release", help="debug or release")
    parser.add_argument("--folder", help="where members keep their data; default: faults in the target")
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("options", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    target = pathlib.Path(chosen.target).resolve()
    os.environ["CARGO_TARGET_DIR"] = str(target)
    # COORD_BIN names another command, such as an older one to compare with.
    os.environ.setdefault("COORD_BIN", str(target / chosen.build / "coord"))
    if chosen.folder:
        os.environ["FAULTS_FOLDER"] = str(pathlib.Path(chosen.folder).resolve())
    sys.path[:0] = [str(HERE), str(HERE.parent / "conformance")]
    # Told to stop, it stops its members and takes its networks down first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.argv = [chosen.program, *chosen.options]
    return importlib.import_module(chosen.program).main()


if __name__ == "__main__":
    sys.exit(main())
