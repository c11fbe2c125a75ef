# SPDX-License-Identifier: BSD-3-Clause
# Blindrelay. `make` lists what can be made.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
SHELL := /bin/bash
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
PREFIX ?= /usr
DESTDIR ?=
VERSION := 0.1.0
# The second number is the interface's as long as the first is 0.
libendpoint := libendpoint.so.$(VERSION)

# SANITIZE=1 builds everything with ASan and UBSan into its own folder.
ifdef SANITIZE
OUT := build/asan
MODE_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
OUT := build
MODE_FLAGS := -O3 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Werror
CFLAGS += -std=gnu17 $(WARNINGS) $(MODE_FLAGS) -fPIE -I. -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DPREFIX='"$(PREFIX)"'
LDFLAGS += $(MODE_FLAGS) -pie -Wl,-z,relro,-z,now

# What the dataplane is compiled for; MARCH=native is for this machine alone. AES: table/keyed_hash_aes.h.
DATAPLANE_CPU = -march=$(or $(MARCH),x86-64-v2) -maes

# What builds everything takes all cores, unless make was told a number (-j) itself. Known within recipes only.
jobs = $(if $(findstring --jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# Dependencies appear only after scripts/install has run, so they are asked for lazily and once.
pkg = $(eval $(1)_$(2) := $$(shell pkg-config --$(1) $(3)))$($(1)_$(2))
# Its own -march would come behind ours and win.
DPDK_CFLAGS = $(filter-out -march=%,$(subst -I/,-isystem /,$(call pkg,cflags,dpdk,libdpdk))) -DALLOW_EXPERIMENTAL_API
DPDK_LIBS = $(call pkg,libs,dpdk,libdpdk) -lrte_net_ring
BPF_LIBS = $(call pkg,libs,bpf,libbpf libxdp)
LIB_LIBS = $(BLAKE3_LIBS) $(MLKEM_LIBS) -lgnutls -linih -lsodium -lz
DATAPLANE_LIBS = $(DPDK_LIBS) $(BPF_LIBS) $(BLAKE3_LIBS) -linih -lsodium -lz -lseccomp -lcap-ng -lsystemd
CONTROLPLANE_LIBS = -luv -llmdb -lmnl -ljansson -lsystemd -lseccomp -lcap-ng $(LIB_LIBS)
RELAYCTL_LIBS = -ljansson $(LIB_LIBS)
RELAYCALL_LIBS = -luv -ljansson -lopus -lqrencode -lasound -lm $(LIB_LIBS)

# A packaged libblake3 rather than our own, where there is one (lib/crypto/blake3.h).
blake3 := $(shell pkg-config --exists libblake3 2>/dev/null && echo packaged || echo own)
ifeq ($(blake3),packaged)
BLAKE3_CFLAGS = -DPACKAGED_BLAKE3 $(call pkg,cflags,blake3,libblake3)
BLAKE3_LIBS = $(call pkg,libs,blake3,libblake3)
CFLAGS += $(BLAKE3_CFLAGS)
endif

# The same for ML-KEM, which OpenSSL has since 3.5 (lib/crypto/mlkem1024.h).
mlkem := $(shell pkg-config --exists 'libcrypto >= 3.5' 2>/dev/null && echo packaged || echo own)
ifeq ($(mlkem),packaged)
MLKEM_CFLAGS = -DPACKAGED_MLKEM $(call pkg,cflags,mlkem,libcrypto)
MLKEM_LIBS = $(call pkg,libs,mlkem,libcrypto)
CFLAGS += $(MLKEM_CFLAGS)
endif

lib_not := $(if $(filter own,$(blake3)),blake3_packaged,blake3) $(if $(filter own,$(mlkem)),mlkem1024_packaged,mlkem1024)
lib_c := $(filter-out $(lib_not:%=lib/crypto/%.c),$(wildcard lib/*/*.c))
dataplane_c := $(filter-out dataplane/main.c,$(wildcard dataplane/*.c dataplane/*/*.c)) $(filter-out %.bpf.c,$(wildcard ebpf/*.c))
relayctl_c := $(filter-out controlplane/relayctl/relayctl.c,$(wildcard controlplane/relayctl/*.c))
controlplane_c := $(filter-out controlplane/main.c controlplane/relayctl/%,$(wildcard controlplane/*.c controlplane/*/*.c))
endpoint_c := $(wildcard endpoint/*.c $(patsubst %,endpoint/%/*.c,session agent turn paths phone))
relaycall_c := $(filter-out endpoint/relaycall/relaycall.c,$(wildcard endpoint/relaycall/*.c endpoint/voice/*.c))
bpf_c := $(wildcard ebpf/*.bpf.c)
unit_c := $(wildcard tests/unit/test_*.c)
fuzz_c := $(wildcard tests/fuzz/fuzz_*.c)
secrets_c := $(wildcard tests/secrets/*.c)
calls_c := $(wildcard tests/sim/calls_*.c)
sim_c := $(filter-out $(calls_c),$(wildcard tests/sim/*.c))
# What both simulations have: the clock, chance, and the relay.
calls_c += $(patsubst %,tests/sim/%.c,account clock control dice frame map relay relay_memory relay_turn trace)
lab_c := $(filter-out tests/lab/wire_main.c,$(wildcard tests/lab/*.c)) tests/sim/dice.c
peers := $(patsubst tests/interop/%.c,$(OUT)/tests/%,$(wildcard tests/interop/*_peer.c))
perf_c := $(wildcard perf/*.c)

object = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
bpf_objects := $(patsubst %.bpf.c,build/obj/%.bpf.o,$(bpf_c))

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.PHONY: dependencies
dependencies: ## install the Debian packages this needs (root)
	@scripts/install

.PHONY: build
build: dependencies ## build the programs into build/bin/
	@$(MAKE) --no-print-directory $(jobs) programs

.PHONY: programs
programs: $(OUT)/bin/relay-dataplane $(OUT)/bin/relay-controlplane $(OUT)/bin/relayctl $(OUT)/bin/relaycall $(OUT)/lib/$(libendpoint)

.PHONY: run
run: build ## a relay in a lab network of its own with live traffic; IFACE=eth0 serves on a real interface; ONCE=1 ends by itself
	@$(if $(IFACE),,$(MAKE) --no-print-directory build/tests/wire)
	@IFACE='$(IFACE)' ONCE='$(ONCE)' scripts/run

.PHONY: lab
ifneq ($(filter help,$(A) $(B)),)
lab:
	@scripts/lab networks
else
lab: build ## a shell inside a running lab network; A=cone B=symmetric: of two hosts behind NATs (A=help), DELAY=25 ms, RELAYS=2
	$(if $(A)$(B),@$(MAKE) --no-print-directory $(OUT)/tests/wire)
	@A='$(A)' B='$(B)' DELAY='$(DELAY)' RELAYS='$(RELAYS)' scripts/lab shell
endif

.PHONY: test
test: dependencies ## install, build and run every test; T=name runs one with full output
	@$(MAKE) --no-print-directory $(jobs) programs test-programs fuzz-programs perf-programs
	@$(MAKE) --no-print-directory $(jobs) SANITIZE=1 programs test-programs
	@tests/run $(T)

.PHONY: unit
unit: test-programs ## only the unit tests; SANITIZE=1 under ASan and UBSan
	@tests/run --unit $(OUT)/tests $(T)

.PHONY: test-programs secrets-programs fuzz-programs perf-programs
test-programs: $(patsubst tests/unit/%.c,$(OUT)/tests/%,$(unit_c)) $(if $(SANITIZE),,$(OUT)/tests/sim $(OUT)/tests/sim-calls $(OUT)/tests/wire $(peers) secrets-programs)
secrets-programs: $(patsubst tests/secrets/%.c,build/secrets/%,$(secrets_c))
fuzz-programs: $(patsubst tests/fuzz/%.c,build/fuzz/%,$(fuzz_c))
perf-programs: $(patsubst perf/%.c,build/perf/%,$(perf_c))

.PHONY: fuzz
fuzz: dependencies ## fuzz one target for long: F=name, TIME=600 seconds
	@$(MAKE) --no-print-directory $(jobs) fuzz-programs
	@tests/fuzz/run '$(F)' '$(or $(TIME),600)'

.PHONY: sim
sim: dependencies ## simulate clients and a relay from a seed: SEED=n, CLIENTS=n, FOLLOW=client
	@$(MAKE) --no-print-directory $(OUT)/tests/sim
	@$(OUT)/tests/sim --seed '$(or $(SEED),1)' --clients '$(or $(CLIENTS),1000)' $(if $(FOLLOW),--follow '$(FOLLOW)')

.PHONY: sim-calls
sim-calls: dependencies ## simulate pairs of phones behind NATs from a seed: SEED=n, PAIRS=n, FOLLOW=user
	@$(MAKE) --no-print-directory $(OUT)/tests/sim-calls
	@$(OUT)/tests/sim-calls --seed '$(or $(SEED),1)' --pairs '$(or $(PAIRS),4)' $(if $(FOLLOW),--follow '$(FOLLOW)')

.PHONY: bench
bench: build ## run the benchmarks of perf/; B=name runs one
	@$(MAKE) --no-print-directory $(jobs) perf-programs $(OUT)/tests/wire
	@perf/run $(B)

.PHONY: matrix
matrix: build ## calls between all pairs of NATs: path and time of each, into perf/results/; SHORT=1: a subset, only printed
	@$(MAKE) --no-print-directory $(jobs) $(OUT)/tests/wire
	@$(if $(SHORT),RESULTS=build/results )SHORT='$(SHORT)' perf/run matrix

.PHONY: lint
lint: dependencies ## clang-format, clang-tidy, cppcheck, and the blindness check of dataplane/
	@scripts/lint

.PHONY: install
install: programs ## install programs, units, manuals and the sample configuration under DESTDIR
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install-files

.PHONY: clean
clean: ## remove build/
	rm -rf build

# ---- objects ----

$(OUT)/obj/dataplane/%.o $(OUT)/obj/ebpf/%.o: CFLAGS += $(DATAPLANE_CPU) $(DPDK_CFLAGS)
# ebpf/embed.c takes them in with .incbin, which no compiler lists as a dependency.
$(OUT)/obj/ebpf/embed.o: $(bpf_objects)

# Objects made with one BLAKE3 do not fit those made with the other: this file changes when a choice does.
.PHONY: always
$(sort $(OUT)/packaged build/packaged): always
	@mkdir -p $(@D)
	@echo $(blake3) $(mlkem) | cmp -s - $@ || echo $(blake3) $(mlkem) >$@

$(OUT)/obj/%.o: %.c $(OUT)/packaged
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

build/obj/ebpf/%.bpf.o: ebpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) -std=gnu17 -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I. -I/usr/include/$(shell uname -m)-linux-gnu -MMD -MP -c -o $@ $<

$(OUT)/lib.a: $(call object,$(lib_c))
$(OUT)/dataplane.a: $(call object,$(dataplane_c))
$(OUT)/controlplane.a: $(call object,$(controlplane_c))
$(OUT)/relayctl.a: $(call object,$(relayctl_c))
$(OUT)/endpoint.a: $(call object,$(endpoint_c))
$(OUT)/relaycall.a: $(call object,$(relaycall_c))
$(OUT)/lab.a: $(call object,$(lab_c))
$(OUT)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

# ---- programs ----

$(OUT)/bin/relay-dataplane: $(OUT)/obj/dataplane/main.o $(OUT)/dataplane.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(DATAPLANE_LIBS)

$(OUT)/bin/relay-controlplane: $(OUT)/obj/controlplane/main.o $(OUT)/controlplane.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS)

$(OUT)/bin/relayctl: $(OUT)/obj/controlplane/relayctl/relayctl.o $(OUT)/relayctl.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(RELAYCTL_LIBS)

$(OUT)/bin/relaycall: $(OUT)/obj/endpoint/relaycall/relaycall.o $(OUT)/relaycall.a $(OUT)/endpoint.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(RELAYCALL_LIBS)

# ---- libendpoint: what others link with; exports what its public headers declare ----

$(OUT)/pic/%.o: CFLAGS := $(filter-out -fPIE,$(CFLAGS)) -fPIC
$(OUT)/pic/%.o: %.c $(OUT)/packaged
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(OUT)/pic/lib.a: $(patsubst %.c,$(OUT)/pic/%.o,$(filter lib/crypto/% lib/net/% lib/wire/%,$(lib_c)))
$(OUT)/lib/$(libendpoint): $(patsubst %.c,$(OUT)/pic/%.o,$(endpoint_c)) $(OUT)/pic/lib.a endpoint/libendpoint.map
	@mkdir -p $(@D)
	$(CC) -shared $(MODE_FLAGS) -Wl,-z,relro,-z,now,--no-undefined,-soname,$(basename $(basename $(libendpoint))) \
		-Wl,--version-script=endpoint/libendpoint.map -o $@ $(filter %.o %.a,$^) -luv -lgnutls -lsodium -lz $(BLAKE3_LIBS) $(MLKEM_LIBS)

# ---- tests: a line "// wrap: symbol" in a test replaces that neighbour ----

wraps = $(shell grep '^//' $(1) | grep -oE 'wrap: \w+' | sed 's/wrap: /-Wl,--wrap=/')
archives := $(OUT)/lab.a $(OUT)/dataplane.a $(OUT)/controlplane.a $(OUT)/relayctl.a $(OUT)/relaycall.a $(OUT)/endpoint.a $(OUT)/lib.a

$(OUT)/obj/tests/%.o: CFLAGS += $(DATAPLANE_CPU) $(DPDK_CFLAGS)
$(OUT)/tests/%: $(OUT)/obj/tests/unit/%.o $(archives)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(call wraps,tests/unit/$*.c) -o $@ $< -Wl,--start-group $(archives) -Wl,--end-group \
		-Wl,--as-needed -lcmocka $(DPDK_LIBS) $(BPF_LIBS) $(CONTROLPLANE_LIBS) $(RELAYCTL_LIBS) $(RELAYCALL_LIBS)

$(OUT)/tests/sim: $(call object,$(sim_c)) $(archives)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(call wraps,$(sim_c)) -o $@ $(call object,$(sim_c)) -Wl,--start-group $(archives) -Wl,--end-group \
		-Wl,--as-needed $(DPDK_LIBS) $(BPF_LIBS) $(CONTROLPLANE_LIBS) $(RELAYCTL_LIBS) $(RELAYCALL_LIBS)

$(OUT)/tests/sim-calls: $(call object,$(calls_c)) $(archives)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(call wraps,$(calls_c)) -o $@ $(call object,$(calls_c)) -Wl,--start-group $(archives) -Wl,--end-group \
		-Wl,--as-needed $(DPDK_LIBS) $(BPF_LIBS) $(CONTROLPLANE_LIBS) $(RELAYCTL_LIBS) $(RELAYCALL_LIBS)

$(OUT)/tests/wire: $(OUT)/obj/tests/lab/wire_main.o $(OUT)/lab.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lsodium -lm

# Cores of libendpoint on real sockets, for tests with what others wrote.
$(peers): $(OUT)/tests/%: $(OUT)/obj/tests/interop/%.o $(OUT)/obj/tests/interop/io.o $(OUT)/endpoint.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -luv -ljansson $(LIB_LIBS) $(PEER_LIBS)
$(OUT)/obj/tests/interop/nice_peer.o: CFLAGS += $(subst -I/,-isystem /,$(call pkg,cflags,nice,nice))
$(OUT)/tests/nice_peer: PEER_LIBS = $(call pkg,libs,nice,nice)

# Run under valgrind, so only as they are shipped.
build/secrets/%: build/obj/tests/secrets/%.o build/endpoint.a build/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(call wraps,tests/secrets/$*.c) -o $@ $^ $(LIB_LIBS)

$(OUT)/obj/perf/%.o: CFLAGS += $(DATAPLANE_CPU) $(DPDK_CFLAGS)
generator_o := $(patsubst %.c,build/obj/%.o,$(wildcard perf/generator/*.c perf/world/*.c))
build/perf/%: build/obj/perf/%.o $(generator_o) build/dataplane.a build/lib.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(call wraps,perf/$*.c) -o $@ $< $(generator_o) -Wl,--start-group build/dataplane.a build/lib.a -Wl,--end-group -Wl,--as-needed $(DATAPLANE_LIBS) $(LIB_LIBS) -lm

# ---- fuzzing: own objects, clang, libFuzzer ----

FUZZ_FLAGS := $(BLAKE3_CFLAGS) $(MLKEM_CFLAGS) -std=gnu17 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -I. -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DPREFIX='"$(PREFIX)"'
fuzz_object = $(patsubst %.c,build/fuzz/obj/%.o,$(1))
build/fuzz/obj/dataplane/%.o build/fuzz/obj/ebpf/%.o build/fuzz/obj/tests/%.o: FUZZ_FLAGS += $(DATAPLANE_CPU) $(DPDK_CFLAGS)
build/fuzz/obj/ebpf/embed.o: $(bpf_objects)
build/fuzz/obj/%.o: %.c build/packaged
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

build/fuzz/all.a: $(call fuzz_object,$(lab_c) $(lib_c) $(dataplane_c) $(controlplane_c) $(relayctl_c) $(endpoint_c) $(relaycall_c))
	@rm -f $@
	ar rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/all.a
	$(CLANG) -fsanitize=fuzzer,address,undefined $(call wraps,tests/fuzz/fuzz_$*.c) -o $@ $< build/fuzz/all.a -Wl,--as-needed $(DPDK_LIBS) $(BPF_LIBS) $(CONTROLPLANE_LIBS) $(RELAYCTL_LIBS) $(RELAYCALL_LIBS)

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
