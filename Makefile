# wirecache: `make run` tries it, `make test` proves it, `make help` lists the rest.
#
# Each folder of C files is one static library; who may include whom is checked by
# scripts/lint. SAN=1 builds the same tree under ASan and UBSan in build/asan,
# TSAN=1 under ThreadSanitizer in build/tsan, FUZZ=1 for libFuzzer in build/fuzz.

B := build
CC ?= gcc
OPT := -O3 -g -fno-omit-frame-pointer
ifeq ($(SAN),1)
B := build/asan
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
endif
ifeq ($(TSAN),1)
B := build/tsan
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
endif

ifeq ($(FUZZ),1)
B := build/fuzz
CC := clang
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
endif

# Haswell and newer, plus AES for the keyed hash; MARCH=native for one's own machine.
MARCH ?= x86-64-v3
WARN := -Wall -Wextra -Wmissing-prototypes -Wvla -Wshadow -Wpointer-arith -Wno-unused-parameter $(WERROR)
# Asked for when a rule needs it: pkg-config may not be installed before `make deps`.
DPDK_CFLAGS = $(filter-out -march=%,$(shell pkg-config --cflags libdpdk 2>/dev/null | sed 's/-I\//-isystem \//g'))
DPDK_LIBS = $(shell pkg-config --libs libdpdk 2>/dev/null) -lpcap
BASE_CFLAGS := -std=gnu11 $(OPT) -march=$(MARCH) -maes -D_GNU_SOURCE -DALLOW_EXPERIMENTAL_API -I. $(WARN) -MMD -MP

# No tag is needed: three numbers, and the commit where there is one.
RELEASE := 0.1.0
VERSION := $(RELEASE)$(shell git describe --always --dirty --exclude '*' 2>/dev/null | sed 's/^/-g/')

# folder -> library; a folder that needs DPDK is listed in DPDK_DIRS.
LIB_DIRS  := store dataplane/proto dataplane/net dataplane control control/ctl
DPDK_DIRS := dataplane/net dataplane control tests/sim tests/unit/net tests/unit/serve tests/bench tests/bench/hit tests/fuzz tests/load
lib = $(B)/lib$(subst /,_,$(1)).a
srcs = $(filter-out %/main.c,$(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(B)/obj/%.o,$(call srcs,$(1)))

# One short line a step; V=1 shows the commands.
ifneq ($(V),1)
Q := @
say = @printf '  %-4s %s\n' $(1) $(2)
endif

.DEFAULT_GOAL := all
.PHONY: all deps run test unit sim smoke lint format bench docs clean help libs
.SECONDARY:

all: $(B)/wirecached $(B)/wirectl $(B)/wireload ## build the binaries

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

define LIB_RULE
$(call lib,$(1)): $(call objs,$(1))
	@rm -f $$@
	$$(call say,AR,$$@)
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach d,$(LIB_DIRS),$(eval $(call LIB_RULE,$(d))))
libs: $(foreach d,$(LIB_DIRS),$(call lib,$(d)))

dir_cflags = $(if $(filter $(patsubst %/,%,$(dir $(1))),$(DPDK_DIRS)),$(DPDK_CFLAGS))
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(BASE_CFLAGS) $(call dir_cflags,$<) $(CFLAGS) -c $< -o $@

# The version is compiled again when it changes, not only when its file does.
VERSION_OBJS := $(B)/obj/control/version.o $(B)/obj/control/ctl/version.o
$(VERSION_OBJS): BASE_CFLAGS += -DWIRECACHE_VERSION='"$(VERSION)"'
$(VERSION_OBJS): $(B)/version
.PHONY: version-now
$(B)/version: version-now
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

# The status page is part of the program.
$(B)/obj/control/ctl/http.o: control/ctl/page.html

STORE_LIBS := $(call lib,store)
DATAPLANE_LIBS := $(call lib,dataplane) $(call lib,dataplane/net) $(call lib,dataplane/proto) $(STORE_LIBS)

$(B)/wirecached: $(B)/obj/control/main.o $(call lib,control) $(DATAPLANE_LIBS)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -Wl,--export-dynamic-symbol=munmap -o $@ $^ $(DPDK_LIBS) -linih -ljansson -lnuma -lcrypt -lpthread

$(B)/wirectl: $(B)/obj/control/ctl/main.o $(call lib,control/ctl)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ -ljansson -lmicrohttpd -lpcap

# The load generator: a library beside its main.c, so that its unit tests link it; its DPDK backend is the appliance's
# ports and network stack from the other end.
$(eval $(call LIB_RULE,tests/load))
LOAD_LIBS := $(call lib,tests/load)
LOAD_LD = $(DPDK_LIBS) -linih -ljansson -lnuma -lcrypt -lpthread -lm
$(B)/wireload: $(B)/obj/tests/load/main.o $(LOAD_LIBS) $(DATAPLANE_LIBS)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(LOAD_LD)

# Unit tests: tests/unit/<area>/test_*.c, each a program that speaks TAP (cmocka). What it links:
UNIT_LIBS_store := $(STORE_LIBS)
UNIT_LIBS_proto := $(call lib,dataplane/proto)
UNIT_LIBS_net   := $(call lib,dataplane/net)
UNIT_LIBS_serve := $(DATAPLANE_LIBS)
UNIT_LIBS_control := $(call lib,control) $(call lib,control/ctl)
UNIT_LD_store := -lnuma
UNIT_LD_net = $(DPDK_LIBS)
UNIT_LD_serve = $(DPDK_LIBS) -lnuma -ljansson -lcrypt
UNIT_LD_control := -linih -ljansson -lmicrohttpd -lpcap
UNIT_LIBS_load := $(LOAD_LIBS) $(DATAPLANE_LIBS)
UNIT_LD_load = $(LOAD_LD)
UNIT_LIBS_linear := $(call lib,tests/linear) $(STORE_LIBS)
UNIT_LD_linear := -lnuma
define UNIT_RULE
$(B)/unit/$(1)/%: $(B)/obj/tests/unit/$(1)/%.o $(UNIT_LIBS_$(1))
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(OPT) -o $$@ $$^ $$(UNIT_LD_$(1)) -lcmocka -lpthread -lm
endef
# This one makes the store's allocations fail.
$(B)/unit/store/test_failures: UNIT_LD_store += $(addprefix -Wl$(comma)--wrap=,mmap munmap malloc calloc realloc aligned_alloc free)
comma := ,
# This one's time is virtual.
$(B)/unit/store/test_waits: UNIT_LD_store += -Wl,--wrap=sched_yield,--wrap=nanosleep,--wrap=clock_gettime
# Here who spins lets a chosen thread go on.
$(B)/unit/linear/test_interrupted: UNIT_LD_linear += -Wl,--wrap=sched_yield,--wrap=index_grow
# These make memory read-only, the linker's tables too: everything is bound before.
$(B)/unit/store/test_sharing: UNIT_LD_store += -Wl,-z,now
$(B)/unit/serve/test_sharing: UNIT_LD_serve += -Wl,-z,now
UNIT_AREAS := store proto net serve control load linear
$(foreach a,$(UNIT_AREAS),$(eval $(call UNIT_RULE,$(a))))
UNIT_TESTS = $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/*/test_*.c))

unit: $(UNIT_TESTS) ## build and run the unit tests (SAN=1 and TSAN=1 too)
	scripts/run-tests $(UNIT_TESTS)

.PHONY: test-restart
KILLS ?= 1000
test-restart: $(B)/unit/store/test_restart_kill ## kill stores at KILLS=n random moments of their start and stop
	scripts/run-tests --verbose "$< $(KILLS) $(SEED)"

# The checker of linearisability, for its unit tests.
$(eval $(call LIB_RULE,tests/linear))

# Race tests: every tests/race/*.c is a program of threads, run as it is and under TSan, which wants the address layout that
# setarch -R gives.
RACE_TESTS = $(patsubst tests/%.c,$(B)/%,$(wildcard tests/race/*.c))
race_tests_tsan = $(foreach t,$(RACE_TESTS),"setarch -R $(t:$(B)/%=$(B)/tsan/%)$(1)")
$(B)/race/%: $(B)/obj/tests/race/%.o $(call lib,tests/linear) $(call lib,dataplane/proto) $(STORE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ -lnuma -lcmocka -lpthread -lm

.PHONY: test-linear
test-linear: ## SECONDS=n and SEED=s: random operations of threads, recorded and checked for linearisability, then under TSan
	@$(SUBMAKE) $(B)/race/store_linear
	@$(SUBMAKE) TSAN=1 B=$(B)/tsan $(B)/tsan/race/store_linear
	scripts/run-tests --verbose --timeout $$((4 * $(SECONDS) + 600)) "$(B)/race/store_linear $(SECONDS) $(SEED)" \
		"setarch -R $(B)/tsan/race/store_linear $(SECONDS) $(SEED)"

.PHONY: test-model
OPERATIONS ?= 1000000
test-model: $(B)/unit/store/test_model ## OPERATIONS=n and SEED=s in virtual time, answered as a plain map would
	WIRECACHE_SEED=$(SEED) scripts/run-tests --verbose "$< $(OPERATIONS)"

.PHONY: stress-store
READS ?= 150000000
stress-store: ## READS=n of values with checksums beside writers, eviction and changes of the memory limit
	@$(SUBMAKE) $(B)/race/store_values
	scripts/run-tests --verbose --timeout 36000 "$(B)/race/store_values $(READS) $(SEED)"

# Fuzz targets: every tests/fuzz/fuzz_<target>.c is an entry; FUZZ=1 links it with libFuzzer, else it replays files.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS = $(FUZZ_TARGETS:%=$(B)/fuzz/%)
FUZZ_MAIN = $(if $(filter 1,$(FUZZ)),,$(B)/obj/tests/fuzz/replay.o)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/fuzz_%.o $(FUZZ_MAIN) $(DATAPLANE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(if $(FUZZ_MAIN),,-fsanitize=fuzzer) -o $@ $^ $(DPDK_LIBS) -lnuma -ljansson -lcrypt -lcmocka -lpthread

.PHONY: unit-programs race-programs fuzz-programs
unit-programs: $(UNIT_TESTS)
race-programs: $(RACE_TESTS)
fuzz-programs: $(FUZZ_PROGRAMS)

# ---- outside: install, run, prove ------------------------------------------------------------------------------------
# The packages come first and `make` may have come before them, so what needs them runs in a make of its own.

DEPS ?= build run test bench lint
JOBS := $(shell nproc)
SIM_PROGRAM := $(if $(wildcard tests/sim/*.c),$(B)/sim)
SMOKE_TESTS := $(wildcard tests/smoke/test_*.py)
SCRIPT_TESTS := tests/load/test_scripts.py
SUBMAKE = $(MAKE) --no-print-directory -j$(JOBS)
need_root = @[ "$$(id -u)" = 0 ] || { echo "make $@ makes network interfaces and needs root: sudo make $@" >&2; exit 1; }

deps: ## install the Debian packages (DEPS="build run" for fewer)
	scripts/deps $(DEPS)

run: ## try it: install, build, run on a TAP interface of this machine
	$(need_root)
	@scripts/deps build run
	@$(SUBMAKE) all
	@scripts/run-tap --dir $(B)

# One run-tests at the end, so that its closing line counts everything. The long programs come first.
test: ## prove it: build, unit tests (plain and sanitized), race tests, simulation, smoke tests
	$(need_root)
	@scripts/deps build run test
	@$(SUBMAKE) all unit-programs race-programs $(SIM_PROGRAM)
	@$(SUBMAKE) unit-programs fuzz-programs SAN=1 B=$(B)/asan
	@$(SUBMAKE) race-programs TSAN=1 B=$(B)/tsan
	@SMOKE_BUILD=$(abspath $(B)) scripts/run-tests --jobs $(JOBS) \
		$(if $(SIM_PROGRAM),"$(SIM_PROGRAM) --cases $(CASES) --seed $(SEED)") $(SMOKE_TESTS) $(SCRIPT_TESTS) \
		$(CLIENT_TESTS:%="% --small") "$(DIFFERENTIAL_TEST) --cases 5000 --seed $(SEED)" \
		$(foreach t,$(FUZZ_TARGETS),"$(B)/asan/fuzz/$(t) $(wildcard tests/fuzz/corpus/$(t) tests/fuzz/regressions/$(t))") \
		$(RACE_TESTS) $(call race_tests_tsan) \
		$(UNIT_TESTS:$(B)/%=$(B)/asan/%) $(UNIT_TESTS)

smoke: $(B)/wirecached $(B)/wirectl ## real clients against an appliance in a network namespace
	$(need_root)
	SMOKE_BUILD=$(abspath $(B)) scripts/run-tests $(SMOKE_TESTS)

# ---- fuzzing ----
.PHONY: fuzz
SECONDS ?= 600
fuzz: ## SECONDS=n for each target of tests/fuzz, ONLY=target for one, KEEP=1 updates the corpus in the tree
	@scripts/deps build lint fuzz
	@$(SUBMAKE) fuzz-programs FUZZ=1 B=$(B)/fuzz
	@scripts/fuzz --programs $(B)/fuzz/fuzz --seconds $(SECONDS) $(if $(filter 1,$(KEEP)),--keep) $(ONLY)

# ---- other people's clients, and memcached as the judge ----
.PHONY: test-clients test-differential
CLIENT_TESTS := tests/clients/test_matrix.py tests/clients/test_sasl.py
CLIENT_RESULTS = $(B)/clients/results.json

test-clients: ## every client library of the matrix; writes docs/PROTOCOL.md's table
	$(need_root)
	@scripts/deps build run test clients
	@command -v npm >/dev/null || scripts/deps npm
	@$(SUBMAKE) all
	@tests/clients/install-npm $(abspath $(B))
	@rm -f $(CLIENT_RESULTS)
	@SMOKE_BUILD=$(abspath $(B)) scripts/run-tests $(foreach t,$(CLIENT_TESTS),"env SMOKE_TARGET=memcached $(t)") \
		$(foreach t,$(CLIENT_TESTS),"env CLIENTS_RESULTS=$(abspath $(CLIENT_RESULTS)) $(t)")
	@tests/clients/publish.py $(CLIENT_RESULTS) docs/PROTOCOL.md

DIFFERENTIAL_TEST := tests/differential/test_differential.py
test-differential: ## CASES=n commands of each grammar, SEED=s, to memcached and to us: the same replies
	$(need_root)
	@scripts/deps build run test
	@$(SUBMAKE) all
	@SMOKE_BUILD=$(abspath $(B)) scripts/run-tests --verbose --timeout 7200 \
		"$(DIFFERENTIAL_TEST) --cases $(CASES) --seed $(SEED)"

$(B)/bench/link_ceiling: $(B)/obj/tests/bench/link_ceiling.o $(B)/obj/tests/load/popularity.o $(B)/obj/tests/load/thread.o $(B)/obj/tests/load/value.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(DPDK_LIBS) -lm

$(B)/bench/bridge: $(B)/obj/tests/bench/bridge.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^

.PHONY: bench-tcp
bench-tcp: ## goodput beside the kernel's CUBIC through an impairing bridge, into docs/TCP.md; ROUNDS=n ONLY="5 % loss"
	$(need_root)
	@scripts/deps build test bench
	@$(SUBMAKE) all $(B)/bench/bridge
	@scripts/bench-tcp --build $(B) --docs docs/TCP.md --only "$(ONLY)" $(if $(ROUNDS),--rounds $(ROUNDS))

$(B)/bench/serve_cost: $(B)/obj/tests/bench/serve_cost.o $(DATAPLANE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(DPDK_LIBS) -lnuma -lcrypt -lpthread

$(B)/bench/tcp_cost: $(B)/obj/tests/bench/tcp_cost.o $(DATAPLANE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(DPDK_LIBS) -lnuma -lcrypt -lpthread

$(B)/bench/restart_cost: $(B)/obj/tests/bench/restart_cost.o $(STORE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ -lnuma -lpthread

.PHONY: bench-restart
bench-restart: $(B)/bench/restart_cost ## what stopping and starting a store warm costs
	@for mib in 64 1024 4096; do for value in 2 100 1000; do $< $$mib $$value; done; done

# ---- hit ratios: traces through the appliance, memcached and simulators ----
HIT_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/bench/hit/*.c))
$(B)/bench/hit_replay: $(HIT_OBJS) $(DATAPLANE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(DPDK_LIBS) -lnuma -lcrypt -lpthread

$(B)/bench/memcached_clock.so: tests/bench/preload/memcached_clock.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(filter-out -MMD -MP,$(BASE_CFLAGS)) -fPIC -shared -o $@ $< -ldl

.PHONY: bench-hit
TRACES ?=
MB ?= 64 128
bench-hit: ## miss ratios of traces, beside memcached and simulators, into docs/STORE.md; TRACES="a.csv.zst" MB="64 128" ROWS=n
	@scripts/deps build test bench
	@$(SUBMAKE) $(B)/bench/hit_replay $(B)/bench/memcached_clock.so
	@scripts/bench-hit --build $(B) --docs docs/STORE.md --mb "$(MB)" $(if $(ROWS),--rows $(ROWS)) $(TRACES)

.PHONY: bench-memory
bench-memory: ## items kept in so much memory, beside memcached, into docs/STORE.md
	@scripts/deps build test bench
	@$(SUBMAKE) $(B)/bench/hit_replay $(B)/bench/memcached_clock.so
	@scripts/bench-memory --build $(B) --docs docs/STORE.md

$(B)/bench/store_bench: $(B)/obj/tests/bench/store_bench.o $(STORE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ -lnuma -lpthread -lm

.PHONY: bench-store
bench-store: ## speed of the store alone, into docs/STORE.md
	@scripts/deps build bench
	@$(SUBMAKE) $(B)/bench/store_bench
	@scripts/bench-store --build $(B) --docs docs/STORE.md

$(B)/bench/index_growth: $(B)/obj/tests/bench/index_growth.o $(STORE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ -lnuma -lpthread -lm

.PHONY: bench-index
bench-index: $(B)/bench/index_growth ## bytes an item of the index while a store grows, and lines a lookup reads
	@$< 1024 10000000

.PHONY: bench-cost
bench-cost: ## instructions a request, by callgrind, into tables of docs/PERFORMANCE.md
	@scripts/deps build bench
	@$(SUBMAKE) $(B)/bench/serve_cost $(B)/bench/tcp_cost
	@scripts/bench-cost --build $(B) --docs docs/PERFORMANCE.md

$(B)/bench/latency_cost: $(B)/obj/tests/bench/latency_cost.o $(DATAPLANE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(DPDK_LIBS) -lnuma -lcrypt -lpthread

.PHONY: bench-latency
bench-latency: ## instructions that latency histograms take of a request, into docs/STATISTICS.md
	@scripts/deps build bench
	@$(SUBMAKE) $(B)/bench/latency_cost
	@scripts/bench-latency --build $(B) --docs docs/STATISTICS.md

.PHONY: bench-wireload
bench-wireload: ## wireload against memaslap on the same memcached; writes docs/WIRELOAD.md's table
	@scripts/deps build test bench
	@$(SUBMAKE) $(B)/wireload
	@scripts/bench-wireload --build $(B) --docs docs/WIRELOAD.md

.PHONY: bench-control
bench-control: ## request rate and p99 while the control thread is flooded or stopped, into docs/CONTROL.md
	$(need_root)
	@scripts/deps build run test
	@$(SUBMAKE) all
	@scripts/bench-control --build $(B) --docs docs/CONTROL.md

.PHONY: bench-floods
bench-floods: ## what SYN floods, clients that never read and half lines do to others, into docs/TCP.md
	$(need_root)
	@scripts/deps build run test
	@$(SUBMAKE) all
	@scripts/bench-floods --build $(B) --docs docs/TCP.md

# Only a whole run is worth writing down.
ROUNDS ?= 3
bench: ## measure beside peers and write docs/PERFORMANCE.md's table; ONLY=id,id for some cases, ROUNDS=n
	$(need_root)
	@scripts/deps build run bench
	@$(SUBMAKE) all $(B)/bench/link_ceiling $(B)/bench/store_bench
	@scripts/bench --build $(B) --rounds $(ROUNDS) $(if $(ONLY),--only $(ONLY),--docs docs/PERFORMANCE.md)

.PHONY: bench-scaling
bench-scaling: ## two workers against one, fed inside the process; writes a table of docs/PERFORMANCE.md
	$(need_root)
	@scripts/deps build run
	@$(SUBMAKE) all
	@scripts/bench-scaling --build $(B) --docs docs/PERFORMANCE.md

# The browser is large, so this is not part of `make test`.
.PHONY: test-page
test-page: ## the status page in headless Chromium, top in tmux, promtool on exposition and alerts; PICTURES=1: of the docs
	$(need_root)
	@scripts/deps build run test page
	@$(SUBMAKE) all
	@PAGE_PICTURES=$(if $(filter 1,$(PICTURES)),$(abspath docs/pictures)) SMOKE_BUILD=$(abspath $(B)) scripts/run-tests --verbose \
		tests/page/test_page.py tests/smoke/test_statistics.py

.PHONY: stress-memif
stress-memif: $(B)/wirecached $(B)/wirectl $(B)/wireload ## memif peers that come and go under load
	$(need_root)
	SMOKE_BUILD=$(abspath $(B)) scripts/run-tests --verbose tests/smoke/stress_memif.py

lint: ## check who includes whom, formatting, warnings of two compilers, scripts, spelling
	@scripts/deps build test lint
	@scripts/lint

format: ## lay out the C sources as .clang-format says
	git ls-files '*.c' '*.h' | xargs clang-format -i

SIM_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/*.c))
$(B)/sim: $(SIM_OBJS) $(call lib,dataplane/net)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -o $@ $^ $(DPDK_LIBS) -lm

CASES ?= 100000
SEED ?= 1
sim: $(B)/sim ## run the TCP simulation: CASES=n SEED=s
	$(B)/sim --cases $(CASES) --seed $(SEED) --jobs $(JOBS)

.PHONY: tcp-scale
tcp-scale: $(B)/unit/net/test_tcp_scale ## a million TCP connections on one stack, and a million that come and go
	scripts/run-tests --verbose "$(B)/unit/net/test_tcp_scale 1000000"

clean: ## remove everything built
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
