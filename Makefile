# Every target installs or builds what it needs; README.md says what the first run costs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
# How long each target is fuzzed.
FUZZ_SECONDS ?= 60
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/multisig-operator
# Images contain static binaries; the benchmarks measure the same.
STATIC := $(shell uname -m)-unknown-linux-gnu
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ := $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: help
help: ## shows this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: demo
demo: ## the main job, narrated, on three kind clusters (KEEP=1 leaves them running)
	cargo run -q -p demo -- $(if $(KEEP),--keep)

.PHONY: test
test: lint test-rust test-evac hostile test-lab ## what CI runs

.PHONY: lint
lint: fmt clippy deny

.PHONY: fmt
fmt:
	cargo fmt --all --check
	@test -z "$$(gofmt -l e2e/go-app e2e/servers)" || { echo 'gofmt would change these files:'; gofmt -l e2e/go-app e2e/servers; exit 1; }

.PHONY: clippy
clippy:
	cargo clippy --workspace --all-targets --locked -- -D warnings
	go -C e2e/go-app vet -mod=readonly ./...

.PHONY: deny
deny: $(CARGO_DENY)
	$(CARGO_DENY) --log-level warn check bans licenses sources
	@if timeout 120 $(CARGO_DENY) --log-level error fetch db >/dev/null 2>&1; \
	then $(CARGO_DENY) check advisories; \
	else echo 'deny: advisories not checked (their database cannot be reached)'; fi

$(CARGO_DENY):
	@echo 'tools: building cargo-deny (once, about 3 minutes)'
	CARGO_TARGET_DIR=$(CACHE)/tools/target cargo install -q --locked --version $(CARGO_DENY_VERSION) \
	  --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION) cargo-deny
	rm -rf $(CACHE)/tools/target

.PHONY: test-rust
test-rust: servers ## unit, property and integration tests on real servers
	cargo build --workspace --locked --exclude hostile
	cargo test --workspace --locked --no-fail-fast --exclude acceptance --exclude hostile
	cargo test --locked --no-fail-fast -p acceptance -- --test-threads=1

.PHONY: test-lab
test-lab: servers ## the main job on three kind clusters
	cargo run -q --locked -p lab -- up
	cargo run -q --locked -p lab -- check
	$(MAKE) demo

.PHONY: servers
servers: ## builds the missing test servers (once, about 20 minutes on 2 cores)
	e2e/servers/build

.PHONY: lab-up
lab-up: ## starts three kind clusters, two Vaults, NATS and an EVM node
	cargo run -q -p lab -- up

.PHONY: lab-down
lab-down: ## removes everything that lab-up and demo made
	cargo run -q -p lab -- down

.PHONY: bench
bench: export RUSTFLAGS := -C target-feature=+crt-static
bench: servers ## figures: time to Ready, signature round trip, memory, image sizes
	cargo build -q --locked --release --target $(STATIC) \
	  -p multisig -p multisig-paper -p multisig-operator -p signer-workload -p app
	cargo bench -q --locked --target $(STATIC) -p acceptance --bench figures

.PHONY: bench-sign
bench-sign: export RUSTFLAGS := -C target-feature=+crt-static
bench-sign: servers ## signatures per second beside Vault Transit and dirk, in turns: 50 minutes (BENCH_SECONDS=2 BENCH_ROUNDS=1 tries it)
	e2e/servers/build dirk
	cargo build -q --locked --release --target $(STATIC) \
	  -p multisig -p multisig-paper -p multisig-operator -p signer-workload -p app
	cargo bench -q --locked --target $(STATIC) -p acceptance --bench sign

.PHONY: bench-app
bench-app: export RUSTFLAGS := -C target-feature=+crt-static
bench-app: servers ## payments per second through App, with real signers, broker and node (BENCH_SCALE=0.01 tries it)
	cargo build -q --locked --release --target $(STATIC) \
	  -p multisig -p multisig-paper -p multisig-operator -p signer-workload -p app
	cargo bench -q --locked --target $(STATIC) -p acceptance --bench app

# Each takes some 4 kB where temporary files are, and a million some minutes; 10000000 may be added.
BENCH_WALLETS ?= 10000 1000000

.PHONY: bench-growth
bench-growth: export RUSTFLAGS := -C target-feature=+crt-static
bench-growth: export BENCH_WALLETS := $(BENCH_WALLETS)
bench-growth: servers ## Keeper with 10k and 1M wallets: bytes, start, signatures, log (BENCH_WALLETS)
	cargo bench -q --locked --target $(STATIC) -p acceptance --bench growth

# Kills in suite crash; `make verify` asks for more. The programs under attack are built separately, because built together
# they would contain the suite's fault points.
POINTS ?= 200

.PHONY: hostile
hostile: servers ## attacks with each domain's own credentials; a table and target/hostile/report.json (SUITES, POINTS)
	cargo build -q --locked -p signer-workload
	cargo build -q --locked -p hostile --bins
	cargo build -q --locked -p hostile --bins
	cargo run -q --locked -p hostile -- --points $(POINTS) $(SUITES)

# Wallets on the chain, and wallets without one.
WALLETS ?= 1000
SIM ?= 1000000
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Built together and run from there: `cargo run` would build what they share once more, with other features.
.PHONY: evac
evac: export RUSTFLAGS := -C target-feature=+crt-static
evac: servers ## the rescue under attack, and the sizes of a million wallets; target/evac/report.json (WALLETS, SIM)
	cargo build -q --locked --release --target $(STATIC) -p multisig -p multisig-paper -p signer-workload -p evac
	$(TARGET)/$(STATIC)/release/evac --wallets $(WALLETS) --sim $(SIM)

.PHONY: test-evac
test-evac: servers
	cargo build -q --workspace --locked --exclude hostile
	$(TARGET)/debug/evac --wallets 60 --sim 3000

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) $(FUZZ_TARGETS:%=fuzz-%) ## each target for FUZZ_SECONDS (60); a finding ends the run and is named

# Stable Rust has coverage but no sanitizers; we have no unsafe code, so they would find little. New inputs go to target/, so
# that the committed corpora stay as they are.
.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(CARGO_FUZZ)
	mkdir -p target/fuzz-corpus/$* fuzz/regressions/$*
	$(CARGO_FUZZ) run --sanitizer none --target-dir target/fuzz $* \
	  target/fuzz-corpus/$* fuzz/corpus/$* fuzz/regressions/$* -- \
	  -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1

$(CARGO_FUZZ):
	@echo 'tools: building cargo-fuzz (once, about 2 minutes)'
	CARGO_TARGET_DIR=$(CACHE)/tools/target cargo install -q --locked --version $(CARGO_FUZZ_VERSION) \
	  --root $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION) cargo-fuzz
	rm -rf $(CACHE)/tools/target

.PHONY: verify
verify: POINTS = 10000
verify: test evac bench bench-sign bench-app bench-growth fuzz ## everything, including what takes too long for CI

.PHONY: crds
crds: ## writes crds/ and their chart again from the types
	cargo run -q -p multisig-operator -- crd --dir crds
	cargo run -q -p multisig-operator -- crd --dir charts/multisig-operator-crds/templates
