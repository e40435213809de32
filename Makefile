# make          builds ./postern
# make up       builds it and starts everything on this machine
# make test     every test that needs nothing but Go (with a C compiler: under the race detector)
# make e2e      the built program against the real clients (AWS CLI, boto3, SDKs)
# make bench    the figures of docs/measurements.md
# make lint     format, vet, staticcheck
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
E2E ?= $(sort $(dir $(addprefix ./,$(shell git grep -l '^//go:build e2e' -- '*_test.go'))))
export CGO_ENABLED ?= 0

.PHONY: postern up test e2e bench lint
postern:
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o postern ./cmd/postern

up: postern
	./postern up

test:
	@if command -v "$$($(GO) env CC)" >/dev/null; then \
	  set -x; CGO_ENABLED=1 $(GO) test -race ./...; \
	else \
	  echo "no C compiler here, so without the race detector"; $(GO) test ./...; \
	fi

e2e: postern
	$(GO) test -tags e2e -count=1 -timeout 15m $(E2E)

bench:
	$(GO) test -run '^$$' -bench . -benchmem -count 3 ./signed
	$(GO) test -run '^$$' -bench 'Request|Admit|Select' -benchmem -count 3 ./internal/edge/...
	bench/up 5

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt would change: $$out"; exit 1; }
	$(GO) vet -tags e2e ./...
	$(GO) tool staticcheck -tags e2e ./...
