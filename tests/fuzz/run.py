#!/usr/bin/env python3
"""Fuzzes the decoders with libFuzzer.

    run.py                        every target, a minute each
    run.py --seconds 600 dns_query
    run.py --keep                 reduce the corpus to the smallest set that reaches
                                  what the old one and this run reached

Coverage comes from compiler flags that the pinned toolchain supports, so no other
toolchain is needed; libFuzzer itself needs a C++ compiler. An input that breaks a
target is kept in the target directory's findings, and its path is printed.
"""

import argparse
import os
import pathlib
import re
import resource
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
INPUT_BYTES_MAX = 1024
KEPT_BYTES_MAX = 256
# A length that is believed before its bytes are there runs into one of these.
MEMORY_BYTES_MAX = 2 << 30
RESIDENT_MIB_MAX = 1024
# What libFuzzer wants to see of the program, and what must not pass unnoticed.
FLAGS = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
    "-Ccodegen-units=1",
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--target", default="target", help="where cargo builds")
    arguments.add_argument("--seconds", type=int, default=60, help="how long each target runs")
    arguments.add_argument("--keep", action="store_true", help="rewrite the kept corpus")
    arguments.add_argument("targets", nargs="*", help="only these, as in dns_query")
    chosen = arguments.parse_args()

    known = sorted(path.stem for path in CORPUS.glob("*.hex"))
    unknown = set(chosen.targets) - set(known)
    if unknown:
        sys.exit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    folder = pathlib.Path(chosen.target).resolve() / "fuzz"
    program = build(folder)
    lines, broken = [], False
    for name in chosen.targets or known:
        print(f"\n=== {name}", flush=True)
        found = folder / "found" / name
        unpack(CORPUS / f"{name}.hex", found)
        heard, status = fuzz(program, name, found, folder / "findings", chosen.seconds)
        broken = broken or status != 0
        if chosen.keep and status == 0:
            pack(program, name, found, folder / "smallest" / name)
        lines.append(f"fuzz: {name}: {summary(heard, status, found)}")
    print("\n" + "\n".join(lines))
    return 1 if broken else 0


def build(folder):
    """The libFuzzer program, instrumented; its path."""
    told = subprocess.run(["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    host = re.search(r"^host: (\S+)", told, re.M).group(1)
    # Named, although it is this machine: else build scripts would be instrumented too.
    command = ["cargo", "build", "--locked", "--release", "-p", "coord-fuzz"]
    command += ["--features", "libfuzzer", "--target", host, "--target-dir", str(folder)]
    environment = dict(os.environ, RUSTFLAGS=" ".join(FLAGS), CARGO_PROFILE_RELEASE_LTO="off")
    subprocess.run(command, check=True, env=environment, cwd=HERE.parent.parent)
    return folder / host / "release" / "coord-fuzz"


def unpack(corpus, folder):
    """The kept inputs as files, beside what earlier runs found."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(corpus.read_text().splitlines()):
        (folder / f"kept-{number:04}").write_bytes(bytes.fromhex(line))


def fuzz(program, name, found, findings, seconds):
    """Runs one target; what it said, and its status."""
    findings.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/{name}-"]
    return libfuzzer(program, name, [*options, "-print_final_stats=1", str(found)])


def libfuzzer(program, name, arguments):
    limits = [f"-rss_limit_mb={RESIDENT_MIB_MAX}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=10"]
    process = subprocess.Popen(
        [str(program), *limits, *arguments],
        env=dict(os.environ, COORD_FUZZ_TARGET=name),
        preexec_fn=bound_memory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    heard = []
    for line in process.stdout:
        heard.append(line)
        # One line per new input or word would drown what matters.
        if not re.match(r'#\d+\s+(NEW|REDUCE|RELOAD)|".*" # Uses', line):
            print(line, end="", flush=True)
    return "".join(heard), process.wait()


def bound_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def pack(program, name, found, smallest):
    """Keeps few and short inputs that reach what all of them reach, however often."""
    smallest.mkdir(parents=True, exist_ok=True)
    for old in smallest.iterdir():
        old.unlink()
    _, status = libfuzzer(program, name, ["-merge=1", "-use_counters=0", str(smallest), str(found)])
    if status:
        sys.exit(f"{name}: the corpus could not be minimised")
    inputs = [path.read_bytes() for path in smallest.iterdir()]
    # What only a long one reaches is found again; a repository keeps what it got for ever.
    inputs = sorted((i for i in inputs if len(i) <= KEPT_BYTES_MAX), key=lambda i: (len(i), i))
    (CORPUS / f"{name}.hex").write_text("".join(f"{one.hex()}\n" for one in inputs))


def summary(heard, status, found):
    ran = re.search(r"^stat::number_of_executed_units:\s*(\d+)", heard, re.M)
    count = int(ran.group(1)) if ran else 0
    size = sum(path.stat().st_size for path in found.iterdir())
    verdict = "BROKEN, see above" if status else "nothing broke"
    return f"{count} executions, {len(list(found.iterdir()))} inputs of {size} bytes, {verdict}"


if __name__ == "__main__":
    sys.exit(main())
