# Everything the project does, by name. `make` alone prints this list with what each target is for.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# --- what can be set from outside -----------------------------------------------------------------------
PY_VERSIONS ?= 3.11 3.12 3.13 3.14 3.14t
PYTEST_ARGS ?= -q -n 4
SECONDS ?= 30
SEEDS ?= 16
CARGO_MIRI ?= cargo +nightly miri
# Taken once, so that a storm's two halves and its first line name one seed.
SAMPLE := $(or $(SEED),1)
SEED := $(or $(SEED),$(shell date +%s))

# --- the interpreters: looked for once, and only by a target that needs them ----------------------------
FOUND = $(eval FOUND := $(shell scripts/find_pythons.sh $(PY_VERSIONS)))$(FOUND)
# The first interpreter found builds the wheel and makes .venv; PYTHON=/path/to/python overrides.
PYTHON ?= $(word 2,$(FOUND))

VENV := .venv
PY := $(VENV)/bin/python
WHEEL := dist/.wheel
INSTALLED := $(VENV)/.installed
SOURCES := $(shell find crates/tarefa-cli crates/tarefa-engine crates/tarefa-python python \
    -name __pycache__ -prune -o -type f ! -name '*.so' -print 2>/dev/null) \
    Cargo.toml Cargo.lock pyproject.toml scripts/build_backend.py

# The extension is built by maturin and tested from Python, so cargo alone leaves it out.
RUST := --workspace --exclude tarefa-python
# The features of a build. A crash point does nothing until a test asks for it, so a build with them in
# it serves all tests; another selection of packages or features is another build of everything.
RUST_FEATURES := tarefa/tokio
WITH_POINTS := tarefa/tokio,tarefa/crash-points
# The same for every use of the interpreter by PyO3, so that nothing is built twice.
export PYO3_PYTHON = $(abspath $(PY))
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help
help: ## Print this list
	@echo 'tarefa: one interface for threads and processes'
	@echo
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Settings, as in `make test-python PY_VERSIONS=3.12 PYTEST_ARGS="-q -k lock"`:'
	@echo '  PYTHON        the interpreter that builds the wheel and makes .venv; the first found'
	@echo '  PY_VERSIONS   which versions to look for and test; $(PY_VERSIONS)'
	@echo '  PYTEST_ARGS   what pytest is given; $(PYTEST_ARGS)'
	@echo '  SEED SECONDS  of storm and kill-everywhere; the time of day, and $(SECONDS)'
	@echo '  SEEDS         orders of threads that Miri tries; $(SEEDS)'

# --- setting up -----------------------------------------------------------------------------------------
.PHONY: venv wheel
venv: $(INSTALLED) ## Make .venv inside the tree, with tarefa and all its tools in it
wheel: $(WHEEL) ## Build the one abi3 wheel, into dist/

$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then \
	    echo 'No CPython 3.11 or later with the venv module was found. Install one (Debian, Ubuntu:' >&2; \
	    echo 'python3.11 and python3.11-venv), or name it: make PYTHON=/path/to/python3.11' >&2; \
	    exit 1; \
	fi
	@command -v cargo >/dev/null || { echo 'cargo is not on PATH. Install Rust 1.85 or later first.' >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV) || "$(PYTHON)" -m virtualenv $(VENV)
	@touch $@

$(WHEEL): $(SOURCES) | $(VENV)/.made
	@mkdir -p dist
	@rm -f dist/*.whl
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@touch $@

$(INSTALLED): $(WHEEL)
	$(PY) -m pip install --quiet "$$(echo dist/*.whl)[test,dev,examples]"
	$(PY) -m pip install --quiet --no-deps --force-reinstall dist/*.whl
	@touch $@

# --- showing --------------------------------------------------------------------------------------------
# The tour is soon there on a machine that has built nothing: what is not optimised takes half the time,
# and the examples in Rust need most of it again. Who has an optimised build keeps it.
QUICK := $(VENV)/.quick
$(QUICK): $(SOURCES) | $(VENV)/.made
	@mkdir -p dist/quick
	@rm -f dist/quick/*.whl
	$(PY) -m pip wheel --quiet --no-deps --config-settings build-args='--profile quick' --wheel-dir dist/quick .
	$(PY) -m pip install --quiet dist/quick/*.whl
	$(PY) -m pip install --quiet --no-deps --force-reinstall dist/quick/*.whl
	@touch $@

.PHONY: run report
run: ## Set up, take the tour, then run the lesson's program in Python and in Rust
	@$(MAKE) --question $(INSTALLED) >/dev/null 2>&1 || { \
	    echo 'Building, not optimised, for what follows; `make venv` builds what users have.'; \
	    $(MAKE) --no-print-directory $(QUICK); \
	}
	@$(VENV)/bin/tarefa tour || { code=$$?; [ $$code -eq 1 ] || exit $$code; }
	@for kind in thread process; do for data in plain shared; do \
	    echo "== Python: minha_lista $$kind $$data"; \
	    $(PY) examples/collections/minha_lista.py $$kind $$data; \
	done; done
	@cargo build --quiet --profile quick -p tarefa --example minha_lista
	@for kind in thread process; do for data in plain shared; do \
	    echo "== Rust: minha_lista $$kind $$data"; \
	    cargo run --quiet --profile quick -p tarefa --example minha_lista -- $$kind $$data; \
	done; done

report: $(INSTALLED) ## The long report: one piece of work in a loop, on threads and on processes; some minutes
	@echo '== Python: stdlib_report'
	@$(PY) examples/task/stdlib_report.py
	@cargo build --quiet --release -p tarefa --example stdlib_report
	@echo '== Rust: stdlib_report'
	@cargo run --quiet --release -p tarefa --example stdlib_report

# --- testing --------------------------------------------------------------------------------------------
.PHONY: test test-rust test-crash test-rust-crash venvs faults kill-everywhere loom loom-mutants test-python test-docs test-scripts test-cpython
# The Rust part waits more than it computes, so the models run beside it, and the wheel is installed. The
# others have the machine to themselves.
TESTS_BESIDE := test-rust-crash loom
TESTS_ALONE := test-docs test-python
test: ## Test everything: Rust, the crash table, the models, pages, Python on every version found
	+$(MAKE) --no-print-directory -j2 --output-sync=target $(TESTS_BESIDE) venvs
	+$(MAKE) --no-print-directory $(TESTS_ALONE) RUST_FEATURES=$(WITH_POINTS)
# All of the table takes long: here one pass of each point is drawn in each scenario.
# The same sample each time, so that what fails is what was changed; SEED=n draws another.
test: export TAREFA_CRASH_SEED = $(SAMPLE)

test-rust: ## Only the Rust tests, with the examples of the documentation
	cargo test $(RUST) --features $(RUST_FEATURES)

test-crash: ## Only the crash table: a member is killed at every named crash point
	cargo test $(RUST) --features $(WITH_POINTS) --test 'crash*'

test-rust-crash: ## The Rust tests and the crash table, from one build with the crash points in it
	cargo test $(RUST) --features $(WITH_POINTS)

faults: ## Only the n-th call: each system call and each allocation of a member fails once
	TAREFA_CRASH_WHAT=calls TAREFA_CRASH_SECONDS=3600 cargo test -p tarefa-engine --test 'crash*' \
	    --features tarefa-engine/crash-points

# As users have it: what is optimised stores in another order. The crash table, the queues and the
# channels have SECONDS each.
kill-everywhere: ## Only kills at every instruction: make kill-everywhere SEED=7 SECONDS=300
	TAREFA_CRASH_WHAT=steps TAREFA_CRASH_SECONDS=$(SECONDS) TAREFA_CRASH_SEED=$(SEED) \
	    cargo test --release -p tarefa-engine --test 'crash*' --features tarefa-engine/crash-points

loom: ## Only the models: the engine's own functions in all interleavings
	RUSTFLAGS='--cfg loom' cargo test --target-dir target/loom -p tarefa-engine --profile loom --test loom

loom-mutants: ## Only wrong memory orders planted in the engine's code: a model must notice each
	RUSTFLAGS='--cfg loom' cargo test --target-dir target/loom -p tarefa-engine --profile loom --test loom \
	    each_wrong_order_is_noticed

# Installs the one wheel on every version found, each in a .venv of its own, and runs $(1) there, with
# "$${further[@]}" in it for $(3) on all but the first. What failed is told once more at the end, where it
# is found.
define on_each_python
main=$$($(PY) -c 'import sys, sysconfig; \
    print("%d.%d" % sys.version_info[:2] + "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED")))'); \
failed=; tested=' '; further=(); told=; logs=; trap 'rm -f $$logs' EXIT; \
set -- "$$main" - $(FOUND); \
while [ $$# -gt 0 ]; do \
    version=$$1 python=$$2; shift 2; \
    case "$$tested" in *" $$version "*) continue;; esac; \
    tested="$$tested$$version "; \
    venv=$(VENV)-$$version; \
    if [ "$$version" = "$$main" ]; then venv=$(VENV); \
    elif [ ! "$$venv/.installed" -nt $(WHEEL) ]; then \
        if [ ! -e "$$venv/.made" ]; then \
            "$$python" -m venv "$$venv" || "$$python" -m virtualenv "$$venv"; \
            touch "$$venv/.made"; \
        fi; \
        case $$version in \
        *t) echo "== building a wheel for $$version, which loads none that others share"; \
            wheels=dist/$$version; rm -rf "$$wheels"; \
            PYO3_PYTHON="$$PWD/$$venv/bin/python" CARGO_TARGET_DIR="$$PWD/target/$$version" \
                "$$venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$$wheels" .;; \
        *) wheels=dist;; \
        esac; \
        "$$venv/bin/python" -m pip install --quiet "$$(echo "$$wheels"/*.whl)[test]"; \
        "$$venv/bin/python" -m pip install --quiet --no-deps --force-reinstall "$$wheels"/*.whl; \
        touch "$$venv/.installed"; \
    fi; \
    echo "== Python $$version"; \
    log=$$(mktemp); logs="$$logs $$log"; \
    "$$venv/bin/python" $(1) 2>&1 | tee "$$log" || { \
        failed="$$failed $$version"; \
        told+="$$(grep -E '^(FAILED|ERROR|E  |[^ ]+:[0-9]+: [A-Z])' "$$log" | sed "s/^/$$version: /" || :)"$$'\n'; }; \
    further=($(3)); \
done; \
if [ -n "$$failed" ]; then echo "$${told}$(2) failed on:$$failed" >&2; exit 1; fi
endef

# What `make test-python` does first, which waits for the network.
venvs: $(INSTALLED)
	@$(call on_each_python,-c pass,The installation)

test-python: $(INSTALLED) ## Only the Python tests, one wheel on every version found
	cargo build --quiet $(RUST) --features $(RUST_FEATURES) --example visitor --example queues --example crowd
	@export TAREFA_RUST_EXAMPLES='$(abspath $(or $(CARGO_TARGET_DIR),target)/debug/examples)'; \
	$(call on_each_python,-m pytest "$${further[@]}" $(PYTEST_ARGS),Python tests,-m 'not once')

test-cpython: $(INSTALLED) ## Only the interpreter's own tests, on our classes, on every version found
	@$(call on_each_python,tests/cpython/run.py,The tests of CPython)

test-docs: | $(INSTALLED) ## Only the tests of the pages: links, both languages of the guide, tables, manifests
	$(PY) -m pytest -q tests/docs

test-scripts: $(INSTALLED) ## Only the tests of the checking scripts
	$(PY) -m pytest -q tests/scripts

# --- keeping the tree clean -----------------------------------------------------------------------------
.PHONY: check check-rust check-python check-tree fmt
check: check-tree check-rust check-python docs test-scripts test-docs ## Formats, lints, types, layers, crash points, lengths, pages and their links

check-rust: | $(VENV)/.made
	cargo fmt --all --check
	cargo clippy --quiet --workspace -- -D warnings
	cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check; \
	else echo 'cargo-deny is not installed: dependencies not checked'; fi

check-python: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy --strict python/tarefa
	$(PY) -m mypy.stubtest tarefa --mypy-config-file pyproject.toml --ignore-unused-allowlist \
	    $(addprefix --allowlist ,$(wildcard scripts/stubtest_allowlist.txt))

check-tree: | $(VENV)/.made
	$(PY) scripts/check_layers.py
	$(PY) scripts/check_crash_points.py
	$(PY) scripts/check_lengths.py
	$(PY) scripts/check_settings.py
	$(PY) scripts/check_numbers.py
	@if command -v typos >/dev/null; then typos; else echo 'typos is not installed: spelling not checked'; fi

fmt: $(INSTALLED) ## Format Rust and Python in place
	cargo fmt --all
	$(PY) -m ruff check --fix --exit-zero --quiet .
	$(PY) -m ruff format .

# --- measuring ------------------------------------------------------------------------------------------
.PHONY: bench bench-channels storm bench-compare
bench: $(INSTALLED) ## Each figure beside its peer, to the terminal, docs/figures.md, README.md and the history
	$(PY) -m pip install --quiet "$$(echo dist/*.whl)[bench]"
	$(PY) -m benches.run
	cargo bench $(RUST) --benches | tee dist/benches.txt
	$(MAKE) --no-print-directory bench-channels | tee -a dist/benches.txt
	$(PY) -m benches.run --rust dist/benches.txt

# Its peers are fetched by nobody else; FEATURES=iceoryx2 adds one that needs libclang.
bench-channels: ## Only Rust channels beside ipc-channel, crossbeam-channel and, if asked for, iceoryx2
	cargo run --release --manifest-path benches/rust/Cargo.toml --target-dir target \
	    --features '$(FEATURES)'

bench-compare: $(INSTALLED) ## This build beside another, whose interpreter is BASE: no row may be 1.05 x slower
	@[ -n "$(BASE)" ] || { echo 'make bench-compare BASE=/path/to/python, of an environment with the other build' >&2; exit 2; }
	$(PY) -m benches.compare "$(BASE)"

storm: $(INSTALLED) ## Kill members at random, end tasks in any state: make storm SEED=7 SECONDS=60
	@echo 'storm: SEED=$(SEED) SECONDS=$(SECONDS)'
	TAREFA_STORM_SEED=$(SEED) TAREFA_STORM_SECONDS=$(SECONDS) \
	    cargo test --release -p tarefa-engine -p tarefa --test 'storm*' -- --include-ignored --nocapture
	$(PY) tests/storm/storm.py --seed $(SEED) --seconds $(SECONDS)
	$(PY) tests/storm/ends.py --seed $(SEED) --seconds $(SECONDS)
	$(PY) tests/storm/log_queue.py --seed $(SEED)
	$(MAKE) kill-everywhere SEED=$(SEED) SECONDS=$(SECONDS)

# Miri runs one process: tests that start others are ignored there, and so are those that take it
# minutes. It cannot delay stores to memory that is used again, for words of another size; so only the
# tests of several threads have that.
.PHONY: miri
miri: ## Engine and crate under Miri, threads in SEEDS orders; wants a nightly toolchain that has it
	@$(CARGO_MIRI) --version >/dev/null 2>&1 || { echo 'Miri is not installed:' \
	    'rustup toolchain install nightly --component miri --component rust-src' >&2; exit 1; }
	export PROPTEST_CASES=8 MIRIFLAGS='-Zmiri-disable-isolation -Zmiri-disable-weak-memory-emulation'; \
	$(CARGO_MIRI) test -p tarefa-engine --lib --test miri_models --test property_dict --test property_journal \
	    --test property_references; \
	$(CARGO_MIRI) test -p tarefa --test array --test dict --test mutex
	MIRIFLAGS='-Zmiri-disable-isolation -Zmiri-preemption-rate=0.05 -Zmiri-many-seeds=0..$(SEEDS)' \
	    $(CARGO_MIRI) test -p tarefa-engine --test miri_threads -- --test-threads=1

# --- the rest -------------------------------------------------------------------------------------------
.PHONY: docs package clean
docs: ## The Rust documentation, into target/doc; a dead link in it is an error
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps $(RUST)

package: | $(VENV)/.made ## Pack the crates, look at what is in them, and run the documentation's programs as packed
	$(PY) scripts/check_packages.py

clean: ## Remove everything that was built or installed
	cargo clean
	rm -rf $(VENV) $(VENV)-* dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
