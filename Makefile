# Every target sets up what it needs. On Debian that means installing packages
# with apt (as root, or through sudo); elsewhere each says what it leaves out.

GO       ?= go
TOOLS    := $(CURDIR)/.tools
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# ROOT is the publisher's root of trust, a file: who signs what may follow this
# version. Without it the programs take no releases, and say so.
ROOT     ?=
STAMP    := -X github.com/caretaker-school/caretaker/shared/release.version=$(VERSION)$(if $(ROOT), -X github.com/caretaker-school/caretaker/shared/release.root=$(shell base64 <'$(ROOT)' | tr -d '\n'))
BUILD    := CGO_ENABLED=0 $(GO) build -trimpath
# grpcnotrace leaves out a debugging page of gRPC and with it html/template,
# which would keep the linker from dropping dead code: 2 MiB of the agent.
# oneplatform leaves out how machines of other systems are judged, which is for
# recordings: 600 KiB.
AGENT    := $(BUILD) -tags grpcnotrace,oneplatform -ldflags '-s -w $(STAMP)'
COLLECT  := $(BUILD) -ldflags '-s -w $(STAMP)'
TARGETS  := linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64
FUZZTIME ?= 10s
# UNRACED are the rooms in which both sides run whole, every page is made for every
# role, or histories are drawn at random by the hundred. The race detector takes ten
# times as long there: `make nightly` has the time.
UNRACED  := /(collector/projection|collector/rulebook|collector/web|shared/e2e)$$

.PHONY: help
help: ## print this help
	@echo 'Caretaker. Targets:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: build
build: ## build bin/caretaker-agent and bin/caretaker-collector; needs Go alone
	@$(AGENT) -o bin/caretaker-agent ./agent
	@$(COLLECT) -o bin/caretaker-collector ./collector

.PHONY: run
run: build ## try it: a throw-away school on this machine, with its own laptop
	@shared/tools/run.sh .run

.PHONY: run-clean
run-clean: ## forget the throw-away school
	rm -rf .run

.PHONY: test
test: setup-test ## run every test, most with the race detector; half an hour
	$(GO) test -race -shuffle=on -timeout 60m $$($(GO) list ./... | grep -vE '$(UNRACED)')
	$(GO) test -shuffle=on -timeout 60m $$($(GO) list ./... | grep -E '$(UNRACED)')

.PHONY: beds
beds: build setup-beds $(TOOLS)/nfpm ## run the slow tests: real disks and sticks under QEMU, Windows under Wine
	CARETAKER_BEDS=1 $(GO) test -count=1 -timeout 60m -v ./shared/e2e/beds

.PHONY: nightly
nightly: build setup-test setup-beds $(TOOLS)/nfpm ## everything slow and complete: kills, resets, thorough tests, FUZZTIME (1m) each; hours
	@shared/tools/nightly.sh $(if $(filter file,$(origin FUZZTIME)),1m,$(FUZZTIME))

.PHONY: installers
installers: setup-installers $(TOOLS)/nfpm ## build the packages of both programs for Linux and the agent's for Windows and macOS, in dist/
	@for target in linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64; do \
		dir=dist/$${target%/*}-$${target#*/} && \
		echo "installers: programs for $$target" && \
		export GOOS=$${target%/*} GOARCH=$${target#*/} && \
		case $$GOOS in \
		linux) $(AGENT) -o $$dir/caretaker-agent ./agent && $(COLLECT) -o $$dir/caretaker-collector ./collector ;; \
		windows) $(AGENT) -o $$dir/caretaker-agent.exe ./agent && $(COLLECT) -o $$dir/caretaker-collector.exe ./collector ;; \
		darwin) $(AGENT) -o $$dir/caretaker-agent ./agent ;; \
		esac || exit 1; \
	done
	@PATH='$(TOOLS)':"$$PATH" installers/linux/build.sh dist '$(VERSION)'
	@installers/windows/build.sh dist '$(VERSION)'
	@installers/macos/build.sh dist '$(VERSION)'
	@cd dist && ls -l *.deb *.rpm *.msi *.pkg

.PHONY: container
container: setup-container ## build the collector's container for Linux, in dist/; needs podman, buildah or docker
	@for arch in amd64 arm64; do \
		export GOOS=linux GOARCH=$$arch && $(COLLECT) -o dist/linux-$$arch/caretaker-collector ./collector || exit 1; \
	done
	@installers/linux/container/build.sh dist '$(VERSION)'

.PHONY: check
check: setup-check ## format, vet and build for every system, lint, generated files current
	shared/tools/check.sh '$(TARGETS)'

.PHONY: bench
bench: build setup-bench ## measure speed and weight beside their limits, one table; BENCH=name: one part
	$(GO) run ./shared/tools/bench $(BENCH)

.PHONY: bench-go
bench-go: ## run the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

.PHONY: fuzz
fuzz: ## fuzz every parser, FUZZTIME (10s) each or FUZZTOTAL (1h) over all; FUZZ=name: some
	@FUZZTOTAL='$(FUZZTOTAL)' FUZZ='$(FUZZ)' shared/tools/fuzz.sh $(FUZZTIME)

.PHONY: proto
proto: $(TOOLS)/buf ## regenerate the code for the wire
	cd shared/wire && PATH='$(TOOLS)':"$$PATH" buf generate

.PHONY: generate
generate: proto assets ## regenerate everything that is committed and made by a program
	$(GO) generate ./...

.PHONY: assets
assets: ## rebuild the style sheet of the pages; needs Node
	shared/tools/assets.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist .tools

# What the targets above set up.

.PHONY: setup-test setup-beds setup-check setup-bench setup-installers setup-container
setup-test:
	@shared/tools/setup.sh test
setup-beds:
	@shared/tools/setup.sh beds
setup-installers:
	@shared/tools/setup.sh installers
setup-container:
	@shared/tools/setup.sh container
setup-bench:
	@shared/tools/setup.sh bench
setup-check: $(TOOLS)/buf $(TOOLS)/golangci-lint
	@shared/tools/setup.sh check

$(TOOLS)/buf: shared/tools/buf/go.mod
	@echo 'building buf, once; this takes some minutes'
	cd shared/tools/buf && $(GO) build -o '$(TOOLS)/' github.com/bufbuild/buf/cmd/buf google.golang.org/grpc/cmd/protoc-gen-go-grpc google.golang.org/protobuf/cmd/protoc-gen-go
	@touch $@

$(TOOLS)/nfpm: shared/tools/nfpm/go.mod
	@echo 'building nfpm, once'
	cd shared/tools/nfpm && $(GO) build -o '$(TOOLS)/' github.com/goreleaser/nfpm/v2/cmd/nfpm
	@touch $@

$(TOOLS)/golangci-lint: shared/tools/lint/go.mod
	@echo 'building golangci-lint, once; this takes some minutes'
	cd shared/tools/lint && $(GO) build -o '$(TOOLS)/' github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
