# Everything is reached by these names. `make run` tries the gateway, `make test` tests it, `make check` is what CI runs.
export GOTOOLCHAIN := local
GO        ?= go
TOOLS     := $(CURDIR)/.tools
LINT      := $(TOOLS)/golangci-lint-v2.15.0
GOFUMPT   := $(TOOLS)/gofumpt-v0.12.0
BIN       := bin/cardea
TESTFLAGS ?=

# Packages tested at once. More than there are cores: the tests of stores and limits mostly wait, for servers that restart and windows that end.
PACKAGES  ?= 4

.PHONY: run build test check fmt vet lint generate generated fuzz bench conformance profile deps bench-deps clean

# Build the gateway and start the demo: sample services and a gateway in front of them.
run: build
	$(BIN) demo

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(BIN) ./cmd/cardea

# Install what the tests need beyond Go, where it is missing, and run all tests.
test: deps
	$(GO) test -race -p $(PACKAGES) -timeout 20m $(TESTFLAGS) ./...
	@# What cannot be told with the race detector, such as allocations where it makes some of its own, is tested without it.
	$(GO) test -p $(PACKAGES) -timeout 10m $(TESTFLAGS) $$(grep -rlw --include='*_test.go' raceEnabled . | xargs -n1 dirname | sort -u)

# All that must hold before a change lands. The tests run each fuzz target's seeds and what was found before; make fuzz looks for more, by chance, and a gate
# must say the same of the same change each time.
check: fmt vet lint generated test

fmt: $(GOFUMPT)
	@out=$$($(GOFUMPT) -l .); if [ -n "$$out" ]; then echo "not formatted (run $(GOFUMPT) -w .):"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

lint: $(LINT)
	$(LINT) run ./...

# Make the generated files anew: comments of the configuration structs, JSON Schema, reference manual.
generate:
	$(GO) generate ./...

# Fail when a generated file is not what its sources say.
generated: generate
	$(GO) mod tidy -diff
	@git diff --exit-code --stat -- ':(glob)**/zz_*' docs/reference || (echo "generated files were not up to date; commit what make generate wrote"; exit 1)

# Run each fuzz target for a moment, from its committed corpus on; commit what it finds in testdata/fuzz, with the fix. A number of runs, not a time: at the end
# of a time the fuzzer can mistake its own deadline for a failure (https://go.dev/issue/75804).
FUZZTIME ?= 3000x
fuzz:
	@grep -rE --include='*_test.go' -o '^func Fuzz\w+' . | sort | while IFS=: read -r file f; do \
	  f=$${f#func }; echo "fuzz $${file%/*} $$f"; \
	  $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $${file%/*} </dev/null || exit 1; done

# Compare with nginx and HAProxy, side by side.
bench: build bench-deps
	$(GO) run ./bench/run $(BENCHFLAGS)

# Test the cache by the RFCs, and other caches beside it.
conformance: build bench-deps
	$(GO) run ./bench/conformance $(CONFORMANCEFLAGS)

# Take the profile anew that the compiler optimises the binary with.
profile: build bench-deps
	$(GO) run ./bench/run -cases get-1k,post-64k,policies -peers cardea -rounds 1 -time 12s -profile bin/profile
	$(GO) tool pprof -proto bin/profile/*.profile.pprof > cmd/cardea/default.pgo

deps:
	@./scripts/deps curl nginx openssl redis-server chromium

bench-deps:
	@./scripts/deps nginx haproxy varnishd squid traffic_server

$(LINT):
	@mkdir -p $(TOOLS)/lint && GOBIN=$(TOOLS)/lint $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 && mv $(TOOLS)/lint/golangci-lint $@

$(GOFUMPT):
	@mkdir -p $(TOOLS)/fumpt && GOBIN=$(TOOLS)/fumpt $(GO) install mvdan.cc/gofumpt@v0.12.0 && mv $(TOOLS)/fumpt/gofumpt $@

clean:
	rm -rf bin
