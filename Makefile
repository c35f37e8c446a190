# make run   set up what is missing, build, serve on embedded defaults with data in ./data
# make test  set up what is missing, then every check there is
# make fuzz  what the fuzz tests of `test` do, for long: FUZZ=100 is a hundred times as many inputs, from a new place each time
# make release, make deb, make sbom: the binary, the package and the bill of materials that are given away
# make bench compare floor, ordinary and Maru under the same load; writes docs/performance.md (an hour; BENCH=quick: a quarter of one)
# The parts of `test` can be run alone: fmt clippy doc unit web; `app` builds the web app alone

SHELL := /bin/bash
CARGO ?= cargo

# The parts of `test` build upon one another.
.NOTPARALLEL:

.PHONY: help run test setup setup-test app fmt clippy doc unit busy web sim mutants bench interop fuzz deny release deb sbom aarch64

help:
	@sed -n 's/^# //p' Makefile

# System packages (with apt, if they are missing) and RocksDB as a static library, compiled once into a user cache.
setup:
	@./storage/rocksdb/build.sh

# What the tests want beside that: PostgreSQL's programs and nginx, of which they start servers of their own, and Node.
setup-test: setup
	@./server/api/tests/setup.sh
	@./server/tests/setup.sh
	@./clients/web/setup.sh

run: setup
	@./clients/web/build.sh
	$(CARGO) build --profile quick --locked -p server --bin maru
	@exec $(CARGO) run --profile quick --locked --quiet -p server --bin maru -- serve --data ./data $(ARGS)

# MAKE_TEST_BUSY=1 make test: the tests run on a busy machine.
test: WORKSPACE_BUILT = 1
test: setup-test app fmt clippy deny doc $(if $(MAKE_TEST_BUSY),busy,unit) web aarch64
	@echo "make test: all checks passed"

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

# Unit, contract, golden, scenario, simulator, end-to-end and arrow tests.
# WORKSPACE_BUILT: all programs stand built before a test runs, so no test builds them again (with other features: all the libraries too).
unit:
	WORKSPACE_BUILT=1 $(CARGO) test --workspace --locked --no-fail-fast

# The same while every core is kept busy by something else: nothing may depend on who is scheduled when.
busy:
	@spins=(); for _ in $$(seq $$(nproc)); do (while :; do :; done) & spins+=($$!); done; \
	trap 'kill "$${spins[@]}" 2>/dev/null' EXIT; \
	$(MAKE) --no-print-directory unit

# The web app, for the binaries that are built next.
app:
	@./clients/web/build.sh --must

# The TypeScript SDK: types, unit tests, traces, vectors, and devices against the server that `unit` has built. Then the web app in
# Chromium, as that server serves it.
web: app
	@./clients/web/setup.sh
	$(if $(WORKSPACE_BUILT),,$(CARGO) build --locked -p server -p loadgen --bin maru --bin maru-load)
	@maru=$$(realpath -m "$${CARGO_TARGET_DIR:-target}")/debug/maru; \
	(cd clients/web/sdk && MARU=$$maru npm test --silent) && cd clients/web/app && MARU=$$maru npm test --silent

# QUIC against a third implementation: aioquic, installed into a virtual environment of its own. s2n-quic is in `test`.
interop:
	$(CARGO) build --locked -p server --bin maru
	@MARU=$${CARGO_TARGET_DIR:-target}/debug/maru ./clients/interop/run.sh

# A long run of the simulator: make sim SEEDS=0..100000
SEEDS ?= 0..20000
sim:
	$(CARGO) run --release --locked -p sim -- --seeds $(SEEDS)

# Deliberate faults in the core, the store and the edge, each of which a test must catch.
mutants:
	$(CARGO) test --locked -p sim --test mutants -- --ignored --nocapture

# docs/fuzz.md: targets, and what they found. A finding prints MARU_FUZZ_SEED, which runs that input first.
FUZZ ?= 50
MARU_FUZZ_SEED ?= $(shell date +%s%6N)
fuzz: setup
	MARU_FUZZ_TIMES=$(FUZZ) MARU_FUZZ_SEED=$(MARU_FUZZ_SEED) $(CARGO) test --locked -p protocol --test bytes mutations -- --nocapture
	MARU_FUZZ_TIMES=$(FUZZ) MARU_FUZZ_SEED=$(MARU_FUZZ_SEED) $(CARGO) test --locked -p edge -p api -p server --lib fuzz -- --nocapture
	MARU_FUZZ_TIMES=$(FUZZ) MARU_FUZZ_SEED=$(MARU_FUZZ_SEED) $(CARGO) test --locked -p api --test contract fuzz -- --nocapture

# Advisories, if cargo-deny is installed and its database is reachable; licences and sources are in `unit` too.
deny:
	@./deploy/deny.sh

# The code for another kind of processor, if its library and compiler are installed: rustup target add, apt install gcc-aarch64-linux-gnu.
aarch64:
	@./deploy/aarch64.sh

release:
	@./deploy/release.sh

OUT ?= $${CARGO_TARGET_DIR:-target}/package
deb:
	@./deploy/deb.sh $(OUT)

sbom:
	@./deploy/sbom.sh $(OUT)

# What docs/performance.md is made by. Wants two cores that nothing else uses. Microbenches are criterion's: cargo bench -p benches
BENCH ?= full
bench: setup
	@BENCH=$(BENCH) CARGO=$(CARGO) ./benches/run.sh
