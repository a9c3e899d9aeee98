# make check is what CI runs. Tools are installed into ./bin.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

GO ?= go
BIN := $(CURDIR)/bin
export PATH := $(BIN):$(PATH)

# A linter built with an older Go does not read newer code, so Go's version is
# a part of the installed name.
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)-$(shell $(GO) env GOVERSION)
H2SPEC_VERSION := v2.2.1+incompatible
H2SPEC := $(BIN)/.h2spec-$(H2SPEC_VERSION)
GOTESTSUM_VERSION := v1.13.0
GOTESTSUM := $(BIN)/gotestsum-$(GOTESTSUM_VERSION)

FUZZTIME ?= 10s
COUNT ?= 6
BENCH ?= .
ROUNDS ?= 5
SCALE ?= 1
BENCHFLAGS ?=
FOR ?= 1h
SOAKFLAGS ?=

.PHONY: all build check fmt fmt-check lint tidy-check vet unit test race interop fuzz fuzz-short fuzz-nightly bench h2spec load soak bench-peers flame pgo test-tools bench-tools clean

all: build

build:
	$(GO) build -pgo=cmd/h2loop/h2loop.pgo -o $(BIN)/h2loop ./cmd/h2loop

check: fmt-check lint tidy-check test interop fuzz-short

fmt: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) fmt

fmt-check: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) fmt --diff

lint: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) run

tidy-check:
	$(GO) mod tidy -diff

vet:
	$(GO) vet ./...

test: vet unit race

# These tests run servers and their clients on whatever cores there are, and one that
# found the machine busy with something else fails. So up to three that fail are run again,
# by themselves, once, and are named at the end whatever came of it. A data race, a
# panic, and what a package has left behind are not: those fail at once.
GO_TEST = $(GOTESTSUM) --format standard-quiet --hide-summary skipped --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-abort-on-data-race --packages ./... --

unit: test-tools $(GOTESTSUM)
	timeout --kill-after=10 600 $(GO_TEST) -shuffle=on -timeout 8m

race: test-tools $(GOTESTSUM)
	timeout --kill-after=10 900 $(GO_TEST) -race -timeout 12m

# Modules of their own, because of what they need: what others have written for
# net/http, served by loop, and examples.
interop: $(GOLANGCI_LINT) $(GOTESTSUM)
	for module in loop/interop examples/chat examples/grpc; do
		cd $(CURDIR)/$$module
		$(GOLANGCI_LINT) run
		$(GO) mod tidy -diff
		timeout --kill-after=10 240 $(GO_TEST) -timeout 3m
	done

# Each Fuzz function of each package for FUZZTIME; one that fails does not keep the
# others from their turn. A number of inputs (20000x), and not a time, is what does
# not fail now and then for its end. What is found lies in testdata/fuzz.
fuzz:
	failed=()
	while read -r pkg target; do
		echo "== $$pkg $$target"
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg </dev/null || failed+=("$$pkg $$target")
	done < <($(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/ { targets[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, targets[i]; n = 0 }')
	if (($${#failed[@]})); then
		printf 'FAILED: %s\n' "$${failed[@]}" >&2
		exit 1
	fi

# fuzz-short is a part of check, fuzz-nightly is for a night.
fuzz-short: FUZZTIME = 1000x
fuzz-nightly: FUZZTIME = 30m
fuzz-short fuzz-nightly: fuzz

# Go benchmarks, for benchstat: make bench BENCH=Receive COUNT=10 > new.txt
bench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

# The whole of h2spec, strictly, over cleartext and over TLS.
h2spec: build $(H2SPEC)
	port=$$((20000 + RANDOM % 10000))
	$(BIN)/h2loop --bench --log-level error --listen 127.0.0.1:$$port --listen-cleartext 127.0.0.1:$$((port + 1)) &
	pid=$$!
	trap 'kill $$pid 2>/dev/null || true; wait' EXIT
	for i in {1..50}; do
		sleep 0.1
		kill -0 $$pid
		(: <>/dev/tcp/127.0.0.1/$$((port + 1))) 2>/dev/null && break
	done
	timeout 300 $(BIN)/h2spec --strict -h 127.0.0.1 -p $$((port + 1)) -P /bench/hello </dev/null
	timeout 300 $(BIN)/h2spec --strict -h 127.0.0.1 -p $$port -P /bench/hello -t -k </dev/null

# h2loop alone under load, briefly.
load: test-tools
	$(GO) run ./bench -servers h2loop -rounds 1 -scale 0.25 -out "$$(mktemp -d)"

# h2loop under mixed load for long: leaks, wrong answers; writes docs/soak/.
# make soak FOR=10m
soak:
	$(GO) run ./bench/soak -for $(FOR) $(SOAKFLAGS)

# h2loop beside those of the other servers that are here (make bench-tools gets
# them all); writes bench/results/. Of the loads or the servers alone:
# make bench-peers BENCHFLAGS='-workloads ^hello -servers h2loop,nginx'
bench-peers:
	$(GO) run ./bench -rounds $(ROUNDS) -scale $(SCALE) $(BENCHFLAGS)

# Where the CPU time goes under two of the loads: writes docs/flame/. Needs perf,
# and to be allowed to look into the kernel.
flame:
	$(GO) run ./bench -servers h2loop -workloads '^(hello-h2c-c100-m10|10m-tls-c10-m1-w30)$$' -flame docs/flame -scale $(SCALE)

# What the compiler is told of where h2loop spends its time: writes cmd/h2loop/h2loop.pgo,
# from most of the loads. It need not be new: functions that it does not know are built
# as without it. The name is not default.pgo, so that tests need not wait for it.
pgo:
	$(GO) run ./bench -servers h2loop -workloads '^(hello-(h2c-c1(|00|000)-m|tls|h1)|varied|64k|10m-tls-c10-m1-w30|upload|post|connect)' -pgo cmd/h2loop/h2loop.pgo -scale 0.25

$(GOLANGCI_LINT):
	mkdir -p $(BIN)
	dir=$$(mktemp -d)
	trap 'rm -rf "$$dir"' EXIT
	GOBIN="$$dir" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv "$$dir/golangci-lint" $@

$(GOTESTSUM):
	mkdir -p $(BIN)
	dir=$$(mktemp -d)
	trap 'rm -rf "$$dir"' EXIT
	GOBIN="$$dir" $(GO) install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
	mv "$$dir/gotestsum" $@

$(H2SPEC):
	mkdir -p $(BIN)
	GOBIN=$(BIN) $(GO) install github.com/summerwind/h2spec/cmd/h2spec@$(H2SPEC_VERSION)
	touch $@

# $(call need,packages,commands) installs what is missing if it may. With CI
# set, what is still missing is an error; else the tests that need it skip.
define need
	missing() { for c in $(2); do command -v $$c >/dev/null || echo $$c; done; }
	if [[ -n "$$(missing)" && $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then
		echo "installing: $(1)"
		export DEBIAN_FRONTEND=noninteractive
		apt-get -qq -o Acquire::Retries=3 update || true
		apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 install --no-install-recommends $(1) </dev/null >/dev/null || true
	fi
	if [[ -n "$$(missing)" ]]; then
		echo "missing:" $$(missing) "(Debian packages: $(1))" >&2
		[[ -z "$${CI:-}" ]]
	fi
endef

# gcc is for the race detector.
test-tools: $(H2SPEC)
	@$(call need,curl nghttp2-client wrk gcc libc6-dev util-linux,curl nghttp h2load wrk gcc taskset)

# The servers that Debian starts once they are installed are idle, and can be
# stopped. wrk2 is not in Debian: without it h2load makes its loads.
BENCH_PACKAGES := nghttp2-client wrk util-linux nghttp2-server h2o nginx-light lighttpd lighttpd-mod-openssl haproxy caddy
bench-tools:
	@$(call need,$(BENCH_PACKAGES),h2load wrk taskset nghttpd h2o nginx lighttpd haproxy caddy)

clean:
	rm -rf $(BIN)
