# libcoord. `make help` lists the targets.
#
# The logic lives in Rust tests and in small scripts; a recipe here is a line
# or two. Nothing under `check` writes to a source file; `fix` does.

CARGO  ?= cargo
PYTHON ?= python3
CC     ?= cc
PREFIX ?= /usr/local
DESTDIR ?=
# Which build `demo`, `check` and `conformance` use; `make` and `bench` use release.
CARGO_TARGET_DIR ?= target

TARGET  := $(CARGO_TARGET_DIR)
PYTHONS := $(TARGET)/python
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOVERSION := 0
# What a shared library is called here.
SO := $(if $(filter Darwin,$(shell uname -s)),dylib,so)

export CC CARGO_TARGET_DIR
# Python must not leave compiled files between the sources.
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: all demo check conformance conformance-consul conformance-heavy bench bench-consul faults fuzz fix wheel \
        install python help clean has-cargo has-python has-cc has-cxx has-pip has-java has-go has-client-tools \
        has-browser
.DEFAULT_GOAL := all

all: has-cargo has-python has-cc ## Build the library, the command and the Python module; check the header
	$(CARGO) build --locked --release -p coord-ffi -p coord-python
	$(CARGO) build --locked --release -p coord-cli
	$(call stage_python,release)
	$(CC) -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c include/coord.h
	@echo "built: $(TARGET)/release/libcoord.$(SO), libcoord.a, coord; Python modules in $(PYTHONS)"

demo: has-cargo has-python has-cc ## Start a member inside a program and use it from Python and C
	$(CARGO) build --locked --workspace
	$(call stage_python,debug)
	PYTHONPATH=$(PYTHONS) $(PYTHON) examples/demo.py $(TARGET)/debug

check: has-cargo has-python has-cc ## Every test and every lint; rewrites nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --workspace --no-deps --lib --document-private-items
	$(CARGO) build --locked --workspace
	$(call stage_python,debug)
	PYTHONPATH=$(abspath $(PYTHONS)) $(CARGO) test --locked --workspace
	PYTHONPATH=$(abspath $(PYTHONS)) COORD_BIN=$(abspath $(TARGET)/debug/coord) \
		$(PYTHON) -m unittest discover -s tests/python

conformance: has-cargo has-python has-cc has-pip has-java has-client-tools has-browser ## Run genuine clients, ZooKeeper and Consul against this build
	$(CARGO) build --locked --workspace
	$(call stage_python,debug)
	$(PYTHON) tests/conformance/run.py --target $(TARGET) --build debug

conformance-consul: has-cargo has-python has-pip has-client-tools ## Run Debian's consul command on our members, and our tests on its server
	$(CARGO) build --locked -p coord-cli
	$(PYTHON) tests/conformance/run.py --target $(TARGET) --build debug --consul

# Separate from `conformance`: these take minutes, and need a recent Go (1.26 for Traefik).
conformance-heavy: has-cargo has-python has-go ## Slow suites: Go programs, and the Go clients' own tests
	$(CARGO) build --locked -p coord-cli
	$(PYTHON) tests/conformance/run.py --target $(TARGET) --build debug --heavy

bench: has-cargo has-python has-java ## Benchmark beside a genuine ZooKeeper; ARGS= are passed on
	$(CARGO) build --locked --release -p coord-cli
	$(CARGO) build --locked --release -p coord-bench
	$(PYTHON) tests/bench/compare.py --target $(TARGET) $(ARGS)

bench-consul: has-cargo has-python ## Benchmark Consul's protocols, beside the genuine Consul that CONSUL_PEER names
	$(CARGO) build --locked --release -p coord-cli
	$(CARGO) build --locked --release -p coord-bench
	$(PYTHON) tests/bench/consul.py --target $(TARGET) $(ARGS)

faults: has-cargo has-python ## Kill members under load, and other faults; ARGS="kills --rounds 60", see tests/faults
	$(CARGO) build --locked --release -p coord-cli
	$(PYTHON) tests/faults/run.py --target $(TARGET) $(or $(ARGS),kills)

fuzz: has-cargo has-python has-cxx ## Fuzz the decoders; ARGS="--seconds 600 dns_query"
	$(PYTHON) tests/fuzz/run.py --target $(TARGET) $(ARGS)

fix: has-cargo ## Format the sources and rewrite the generated documents
	$(CARGO) fmt --all
	UPDATE=1 $(CARGO) test --locked -p coord-tests --test configuration

wheel: has-cargo has-python has-pip ## Build a wheel with maturin, into dist/
	$(PYTHON) -m pip wheel --no-deps --wheel-dir dist ./python

python: has-cargo has-python ## Build only the Python modules, for PYTHONPATH=target/python
	$(CARGO) build --locked -p coord-python
	$(call stage_python,debug)

install: all ## Install library, header, pkg-config file and command under PREFIX
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin
	install -m 644 include/coord.h $(DESTDIR)$(PREFIX)/include/coord.h
	install -m 644 $(TARGET)/release/libcoord.a $(DESTDIR)$(PREFIX)/lib/libcoord.a
	install -m 755 $(TARGET)/release/libcoord.$(SO) $(DESTDIR)$(PREFIX)/lib/libcoord.$(SO).$(SOVERSION)
	ln -sf libcoord.$(SO).$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libcoord.$(SO)
	install -m 755 $(TARGET)/release/coord $(DESTDIR)$(PREFIX)/bin/coord
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
		'Name: libcoord' 'Description: Replicated coordination as a library' 'Version: $(VERSION)' \
		'Libs: -L$${libdir} -lcoord' 'Libs.private: -lpthread -ldl -lm' 'Cflags: -I$${includedir}' \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/libcoord.pc

clean: ## Remove everything that was built
	$(CARGO) clean
	rm -rf dist

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 28

# The Python modules without maturin: the sources next to the native module
# under the name Python looks for. See docs/adr/0010-python-is-built-by-cargo.md.
define stage_python
rm -rf $(PYTHONS) && mkdir -p $(PYTHONS)
cp -R python/zk python/consul python/libcoord $(PYTHONS)/
cp $(TARGET)/$(1)/libcoord_python.$(SO) $(PYTHONS)/libcoord/_native.abi3.so
endef

# If a tool is missing, say what it is for and how to install it, before anything else fails.
has-cargo:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: it builds everything here. Install Rust from https://rustup.rs and try again." >&2; exit 1; }

has-python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: the demo and the tests need Python 3.9 or newer. Install it (Debian: apt install python3), or name yours: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 9))' || { echo "$(PYTHON) is older than 3.9: name a newer one with make PYTHON=/path/to/python3" >&2; exit 1; }

has-cc:
	@command -v $(firstword $(CC)) >/dev/null || { echo "$(CC) is missing: the C examples and tests need a C compiler. Install one (Debian: apt install gcc libc6-dev), or name yours: make CC=clang" >&2; exit 1; }

has-cxx:
	@command -v c++ >/dev/null || { echo "c++ is missing: libFuzzer is built from its source. Install it (Debian: apt install g++)." >&2; exit 1; }

has-go:
	@command -v go >/dev/null || { echo "go is missing: Traefik and Vault are built from their modules. Install it (Debian: apt install golang-go)." >&2; exit 1; }

has-client-tools:
	@for tool in javac mvn go node npm; do command -v $$tool >/dev/null || { echo "$$tool is missing: the genuine clients are fetched and built by their own tools. Install them (Debian: apt install default-jdk-headless maven golang-go nodejs npm)." >&2; exit 1; }; done

has-browser:
	@for tool in chromium chromedriver; do command -v $$tool >/dev/null || { echo "$$tool is missing: the page at /ui/ is tested in a real browser. Install it (Debian: apt install chromium chromium-driver)." >&2; exit 1; }; done

has-pip: has-python
	@$(PYTHON) -c 'import ensurepip, venv, pip' 2>/dev/null || { echo "$(PYTHON) has no pip or venv, which the genuine clients and the wheel need. Install them (Debian: apt install python3-pip python3-venv)." >&2; exit 1; }

has-java:
	@command -v java >/dev/null || { echo "java is missing: the genuine ZooKeeper needs version 11 or newer. Install it (Debian: apt install default-jre-headless)." >&2; exit 1; }
