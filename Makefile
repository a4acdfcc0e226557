# Everything that is done here is a target; `make help` lists them.
# Needs Go (the version in go.mod); synth, deploy and the tests of the stacks
# need Node. Tools come by `go run`, pinned here, and by .ci/tools.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The race detector needs a C compiler. It is left out of SQLite itself, which is
# C turned into Go and locks on its own, and of deflate, which shares nothing:
# watching each of their memory accesses doubled the time of all tests.
CC      ?= cc
UNRACED := -race=false -d=checkptr=0
RACE    := $(shell command -v $(CC) >/dev/null 2>&1 && echo "-race '-gcflags=modernc.org/...=$(UNRACED)' '-gcflags=compress/flate=$(UNRACED)'")

# The stage of the stacks, see cdk.json.
STAGE ?= dev

# The functions on AWS, and how they are built: small, and byte for byte the same each time.
LAMBDAS := dispatch deliver sweep export api
SHIPPED := -trimpath -buildvcs=false -ldflags '-s -w -buildid='
TAGS    := lambda.norpc
# Those that call receivers speak HTTP/2; AWS answers the others in HTTP/1.1, as it does all.
CALLERS := deliver api
LEAN    := $(TAGS),nethttpomithttp2

# How long each fuzz target runs.
FUZZTIME ?= 60s
export FUZZTIME

export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.PHONY: help run demo test lint fuzz audit bench soak cost invoke build synth deploy key tools clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' $(MAKEFILE_LIST) | sed 's/^\([a-z-]*\): /\1\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

# Not by `go run`, which calls ctrl-c an error.
run: ## start the product with its demo, and stay up (ctrl-c ends it)
	go build -o build/run ./functions/standalone
	@exec build/run --demo --log-format text --log-level error $(ARGS)

demo: ## play the demo once: 0 when all webhooks arrived as expected
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && \
	go run ./functions/standalone --demo-once --data "$$data" --log-format text --log-level error $(ARGS)

test: race-or-say tools ## run all tests
	go test $(RACE) ./shared/... ./... # those that take longest come first
	$(if $(RACE),go test ./infra,) # jsii does not go with the race detector

tools: ## install the servers that the tests of the AWS side run against
	@.ci/tools

.PHONY: race-or-say
race-or-say:
	@if [ -z $(if $(RACE),yes) ]; then \
		echo "no C compiler ($(CC)): the race detector is left out; install gcc or clang to have it"; \
		if [ -n "$$JOBHOOK_REQUIRE_ALL" ]; then exit 1; fi; \
	fi

lint: ## gofmt, go vet, staticcheck, import rules
	@unformatted=$$(gofmt -l functions shared $(wildcard infra)); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -count=1 ./functions/internal/layers # it asks go list, of which the cache knows nothing

fuzz: ## try every fuzz target for FUZZTIME (60s); FUZZ=name for some of them
	@.ci/fuzz

audit: ## look for known vulnerabilities (.ci/audit ends with 4 when their database cannot be reached)
	@.ci/audit

cost: tools ## count what a million webhooks cost on AWS; writes build/cost.json
	go run ./functions/cost $(ARGS)

bench: ## measure speed, CPU and memory; writes build/bench.json
	go run ./functions/bench $(ARGS)

soak: ## run the product for half an hour in a hostile world: ARGS="-duration 3m" for less; writes build/soak.json
	go run ./functions/soak $(ARGS)

invoke: ## run one handler on one fixture: make invoke FN=deliver EVENT=deliver-one
	@go run ./functions/invoke -fn "$(FN)" -event "$(EVENT)"

build: ## build the standalone binary and the functions into build/
	CGO_ENABLED=0 go build $(SHIPPED) -tags $(TAGS) -o build/standalone ./functions/standalone
	@for f in $(LAMBDAS); do \
		echo "build/lambda/$$f/bootstrap (linux/arm64)"; \
		case " $(CALLERS) " in *" $$f "*) tags=$(TAGS);; *) tags=$(LEAN);; esac; \
		CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build $(SHIPPED) -tags $$tags -o build/lambda/$$f/bootstrap ./functions/$$f || exit 1; \
	done

.PHONY: need-node
need-node:
	@command -v node >/dev/null || { echo "Node is missing: the CDK needs version 20 or newer (nodejs.org, or your system's packages)"; exit 1; }

synth: build need-node ## write the CloudFormation templates of a stage into cdk.out: make synth STAGE=dev
	CDK_OUTDIR=cdk.out go run ./infra -c stage=$(STAGE) $(ARGS)

deploy: build need-node ## deploy a stage to the AWS account of your credentials: make deploy STAGE=dev
	@test -d node_modules/aws-cdk || npm ci
	npx cdk deploy --all -c stage=$(STAGE) --outputs-file build/outputs-$(STAGE).json $(ARGS)

key: need-node ## make an operator's key for a deployed stage and print it: make key STAGE=dev
	@test -f build/outputs-$(STAGE).json || { echo "build/outputs-$(STAGE).json is missing: run make deploy STAGE=$(STAGE), or go run ./functions/key -table NAME" >&2; exit 1; }
	@go run ./functions/key -table "$$(node -p "require('./build/outputs-$(STAGE).json')['jobhook-$(STAGE)-data'].DeliveriesTable")" $(ARGS)

clean: ## remove what was built, but not the tools and the outputs of deployed stacks
	rm -rf cdk.out $(filter-out build/tools build/outputs-%.json,$(wildcard build/*))
