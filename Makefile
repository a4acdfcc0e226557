# Everything that is done here is a target; `make help` lists them.
# Needs Go (the version in go.mod). Tools come by `go run`, pinned here.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The race detector needs a C compiler.
CC   ?= cc
RACE := $(shell command -v $(CC) >/dev/null 2>&1 && echo -race)

.PHONY: help run demo test lint bench invoke build clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' $(MAKEFILE_LIST) | awk -F': ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: ## start the product with its demo, and stay up (ctrl-c ends it)
	go run ./functions/standalone --demo --log-format text --log-level error $(ARGS)

demo: ## play the demo once: 0 when all webhooks arrived as expected
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && \
	go run ./functions/standalone --demo-once --data "$$data" --log-format text --log-level error $(ARGS)

test: race-or-say ## run all tests
	go test $(RACE) ./...

.PHONY: race-or-say
race-or-say:
	@if [ -z "$(RACE)" ]; then \
		echo "no C compiler ($(CC)): the race detector is left out; install gcc or clang to have it"; \
		if [ -n "$$JOBHOOK_REQUIRE_ALL" ]; then exit 1; fi; \
	fi

lint: ## gofmt, go vet, staticcheck, import rules
	@unformatted=$$(gofmt -l functions shared $(wildcard infra)); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -count=1 ./functions/internal/layers # it asks go list, of which the cache knows nothing

bench: ## measure speed, CPU and memory; writes build/bench.json
	go run ./functions/bench $(ARGS)

invoke: ## run one handler on one fixture: make invoke FN=deliver EVENT=deliver-one
	@go run ./functions/invoke -fn "$(FN)" -event "$(EVENT)"

build: ## build the standalone binary into build/
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o build/standalone ./functions/standalone

clean: ## remove what was built
	rm -rf build
