# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
GO ?= go
export GOFLAGS ?= -buildvcs=false
COMMIT := $(shell c=$$(git rev-parse HEAD 2>/dev/null) && git diff --quiet HEAD 2>/dev/null && echo $$c || echo $${c:+$$c+changes})

.PHONY: demo test test-large build bench lint generate check-generated fuzz vet-platforms vuln deps-report clean

## demo: release this repository itself, from init to a refused tampered file
demo: bin/sello
	@scripts/demo

## test: all tests, real services included; RACE=1 adds the race detector
test:
	@scripts/deps test
	@scripts/test

## test-large: the tests that take minutes: a large published program, released and compared with go install
test-large:
	@scripts/deps test
	@scripts/test-large

## build: the sello command in bin/
build: bin/sello

.PHONY: bin/sello
bin/sello:
	@scripts/deps
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "-X main.commit=$(COMMIT)" -o bin/sello ./cmd/sello

## bench: the numbers that we hold ourselves to, as ratios in one run
bench: bin/sello
	@scripts/deps test
	@scripts/bench

## lint: formatting, vet, golangci-lint with the layering rule
lint:
	@test -z "$$(gofmt -l cmd internal verify scripts | tee /dev/stderr)"
	$$(scripts/tool golangci-lint) run ./...

## generate: schemas, definition reference, CLI reference
generate:
	$(GO) generate ./...

## check-generated: fails when a generated file is not what the code says
check-generated:
	@scripts/check-generated

## fuzz: every fuzz target for a short time (FUZZTIME, default 5s)
fuzz:
	@scripts/fuzz

## vet-platforms: what verifies must build everywhere
vet-platforms:
	GOOS=darwin $(GO) vet ./... && GOOS=windows $(GO) vet ./... && GOOS=linux GOARCH=arm64 $(GO) vet ./...

## vuln: known vulnerabilities in dependencies, where the database can be reached
vuln:
	@scripts/vuln

## deps-report: direct dependencies with the reason for each
deps-report:
	@scripts/deps-report

clean:
	rm -rf bin dist .sello
