# timeserver and timeclient.
#
#   make            build/timeserver and build/timeclient
#   make check      all tests; also check-unit, check-e2e, check-sanitizers, check-threads,
#                   check-valgrind, check-32, check-musl
#   make analyze    static analysis by gcc and clang
#   make torture    fault injection: every system call and allocation fails once
#   make mutants    breaks each promise in tests/mutants, and says which test noticed
#   make coverage   branch coverage of src/base and src/protocol
#   make lint       the rules of CONTRIBUTING.md; make format runs clang-format
#   make demo       start a daemon on port 5050 and query it
#   make bench, fuzz, install, uninstall, clean
#
# CFLAGS, CPPFLAGS, LDFLAGS, CC, PREFIX, DESTDIR and BUILD are for the user; flags that the programs
# need are in other variables. WERROR=1 makes warnings errors, STATIC_LIBS=0 links shared libraries,
# SANITIZE=address,undefined builds with sanitizers (into build-sanitize). OPENRC=1 also installs (and
# uninstalls) the script for OpenRC, /etc/init.d/timeserver.

VERSION := 0.1.0

MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
ifdef SANITIZE
BUILD ?= build-sanitize
else
BUILD ?= build
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wconversion -Wno-sign-conversion -Wundef -Wwrite-strings -Wpointer-arith -Wimplicit-fallthrough
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

comma := ,

# Options that not every compiler and machine supports.
accepted = $(shell echo 'int main(void){return 0;}' | $(CC) -Werror $(1) -x c $(if $(filter -Wl$(comma)%,$(1)),,-c) -o /dev/null - 2>&1 || echo no)
if_accepted = $(if $(call accepted,$(1)),,$(1))

ifdef SANITIZE
HARDENING := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK_HARDENING := -fsanitize=$(SANITIZE)
else
# _FORTIFY_SOURCE needs the optimizer; without it glibc warns.
HARDENING := $(if $(filter -O1 -O2 -O3 -Os -Ofast -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) \
	-fstack-protector-strong
ifneq ($(MAKECMDGOALS),clean)
HARDENING += $(call if_accepted,-fstack-clash-protection) $(call if_accepted,-fcf-protection)
endif
LINK_HARDENING := -Wl,-z,relro,-z,now
# A smaller table of relocations, which musl and glibc before 2.36 cannot read.
has_glibc_2.36 = $(shell printf '\043include <features.h>\n\043if !__GLIBC_PREREQ(2, 36)\n\043error\n\043endif\n' | \
	$(CC) -E - >/dev/null 2>&1 && echo yes)
LINK_HARDENING += $(if $(has_glibc_2.36),$(call if_accepted,-Wl$(comma)--fatal-warnings$(comma)-z$(comma)pack-relative-relocs))
endif

# The program's name in messages.
PROGRAM := timeserver
OWN_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -Isrc \
	-DPROGRAM_NAME='"$(PROGRAM)"' -DPROGRAM_VERSION='"$(VERSION)"'
OWN_CFLAGS := -std=gnu17 -pthread -fPIE $(WARNINGS) $(HARDENING)
OWN_LDFLAGS := -pie $(LINK_HARDENING)

# pkg-config runs once, and only if something is compiled.
JANSSON_CFLAGS = $(eval JANSSON_CFLAGS := $(shell $(PKG_CONFIG) --cflags jansson))$(JANSSON_CFLAGS)
JANSSON_LIBS = $(shell $(PKG_CONFIG) --libs jansson)
CMOCKA_LIBS = $(shell $(PKG_CONFIG) --libs cmocka)

# Linked statically by default: shared libraries cost memory in the daemon, which never calls libevent.
# STATIC_LIBS=0 links the shared libraries.
STATIC_LIBS ?= 1
archive = $(shell $(PKG_CONFIG) --variable=libdir $(1))/lib$(2).a
ifeq ($(STATIC_LIBS),1)
LIBEVENT_LIBS = $(call archive,libevent_extra,event_extra) $(call archive,libevent_core,event_core)
SERVER_JANSSON_LIBS = $(call archive,jansson,jansson)
else
LIBEVENT_LIBS = $(shell $(PKG_CONFIG) --libs libevent_extra libevent_core)
SERVER_JANSSON_LIBS = $(JANSSON_LIBS)
endif

DEPENDENCIES = CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' STATIC_LIBS='$(STATIC_LIBS)' tools/install-dependencies

# Knowledge points one way: base <- clock <- protocol <- stats <- {server, web}, protocol <- client.
sources_of = $(sort $(foreach room,$(1),$(wildcard src/$(room)/*.c src/$(room)/*/*.c)))
objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources_of,$(1)))
COMMON_OBJECTS := $(call objects_of,base clock protocol)
PAGE_OBJECTS := $(patsubst src/web/page/%.html,$(BUILD)/obj/page/%.o,$(wildcard src/web/page/*.html))
SERVER_OBJECTS := $(call objects_of,stats server web) $(BUILD)/obj/src/main.o $(PAGE_OBJECTS)
CLIENT_OBJECTS := $(call objects_of,client)
PROGRAMS := $(BUILD)/timeserver $(BUILD)/timeclient
MANUALS := man/timeclient.1 man/timeserver-control.5 man/timeserver-http.5 man/timeserver.conf.5 man/timeserver.8
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
REPLAYS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)-fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

all: $(PROGRAMS)

# Names missing packages before the compiler does. Not a prerequisite that makes anything older.
check-build-dependencies:
	@$(DEPENDENCIES) --list build
check-unit-dependencies:
	@$(DEPENDENCIES) --list unit

$(BUILD)/timeserver: $(COMMON_OBJECTS) $(SERVER_OBJECTS)
$(BUILD)/timeclient: $(COMMON_OBJECTS) $(CLIENT_OBJECTS)
$(BUILD)/timeserver: LIBRARIES = $(LIBEVENT_LIBS) $(SERVER_JANSSON_LIBS)
$(BUILD)/timeclient: LIBRARIES = $(JANSSON_LIBS)
$(PROGRAMS):
	$(LINK)

# One line a file; V=1 shows the commands.
ifeq ($(V),1)
say = $(2)
else
say = @printf '%-8s%s\n' '$(1)' '$(3)' && $(2)
endif

LINK = $(call say,link,$(LINK_COMMAND),$@)
COMPILE = $(call say,compile,$(COMPILE_COMMAND),$<)
LINK_COMMAND = $(CC) $(OWN_CFLAGS) $(CFLAGS) $(OWN_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBRARIES) $(LDLIBS)
COMPILE_COMMAND = $(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) $(OWN_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The Makefile is a prerequisite: a changed version or flag reaches every object.
$(BUILD)/obj/%.o: %.c Makefile | check-build-dependencies
	@mkdir -p $(@D)
	$(COMPILE)

$(BUILD)/obj/src/client/%.o $(BUILD)/obj/src/stats/%.o $(BUILD)/obj/src/server/%.o \
	$(BUILD)/obj/src/web/%.o: OWN_CPPFLAGS += $(JANSSON_CFLAGS)
$(BUILD)/obj/src/client/%.o: PROGRAM := timeclient

# The pages are built into the program.
$(PAGE_OBJECTS:.o=.c): $(BUILD)/obj/page/%.c: $(wildcard src/web/page/*) tools/embed-page
	@mkdir -p $(@D)
	@tools/embed-page src/web/page $* >$@
$(PAGE_OBJECTS): %.o: %.c Makefile | check-build-dependencies
	$(COMPILE)

# The unit tests are linked with everything but main.c. Some functions of the two programs have the same
# name, so each program is an archive; test_client_* is linked with the client's first.
ARCHIVES := $(BUILD)/obj/server.a $(BUILD)/obj/client.a $(BUILD)/obj/common.a
$(BUILD)/obj/server.a: $(filter-out %/main.o,$(SERVER_OBJECTS))
$(BUILD)/obj/client.a: $(filter-out %/main.o,$(CLIENT_OBJECTS))
$(BUILD)/obj/common.a: $(COMMON_OBJECTS)
$(ARCHIVES):
	@rm -f $@ && $(AR) rcsP $@ $^

$(BUILD)/tests/unit/test_client_%: $(BUILD)/obj/tests/unit/test_client_%.o $(BUILD)/obj/client.a $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)
$(BUILD)/tests/unit/%: LIBRARIES = $(LIBEVENT_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)

$(BUILD)/tests/fuzz/fuzz_client_%: $(BUILD)/obj/tests/fuzz/fuzz_client_%.o $(BUILD)/obj/tests/fuzz/replay.o \
		$(BUILD)/obj/client.a $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)
$(BUILD)/tests/fuzz/%: LIBRARIES = $(LIBEVENT_LIBS) $(JANSSON_LIBS)

unit-tests: $(UNIT_TESTS)
$(UNIT_TESTS:$(BUILD)/%=$(BUILD)/obj/%.o): | check-unit-dependencies

# As root this installs the packages that the tests need, otherwise it lists them. Peers (other servers)
# are unpacked, not installed; a test without its peer is skipped with a reason.
PEERS ?= build/peers
check:
	@$(DEPENDENCIES) check
	@test $(PEERS)/complete -nt bench/fetch-peers || bench/fetch-peers $(PEERS) || echo "The peers cannot be downloaded: their tests are skipped."
	@$(MAKE) check-unit
	@$(MAKE) check-e2e

# The unit tests, and the fuzzers over their corpora.
check-unit: unit-tests $(REPLAYS)
	@tools/run-unit-tests $(UNIT_TESTS)
	@tools/replay-corpora $(REPLAYS)

E2E_TESTS ?= tests/e2e
check-e2e: all
	BUILD_DIR=$(BUILD) $(PYTHON) -m pytest -q -n 12 --dist loadgroup -p no:cacheprovider $(PYTEST_FLAGS) $(E2E_TESTS)

# The tests with 32-bit programs, which have a 64-bit time_t.
LIBRARIES_32 = $(CURDIR)/$(BUILD)/i386
check-32:
	@$(DEPENDENCIES) check 32
	@test -d $(LIBRARIES_32)/usr || tools/fetch-32 $(LIBRARIES_32)
	@$(MAKE) check-unit check-e2e BUILD=$(BUILD)-32 CC="gcc -m32" CPPFLAGS=-Wno-psabi STATIC_LIBS=0 \
		LDFLAGS=-Wl,-rpath,$(LIBRARIES_32)/usr/lib/i386-linux-gnu \
		PKG_CONFIG="env PKG_CONFIG_LIBDIR=$(LIBRARIES_32)/usr/lib/i386-linux-gnu/pkgconfig \
			PKG_CONFIG_SYSROOT_DIR=$(LIBRARIES_32) pkg-config"

# The tests with musl in place of glibc, without two that compare texts and time formats of glibc.
LIBRARIES_MUSL = $(CURDIR)/$(BUILD)/musl
MUSL_UNIT_TESTS = $(filter-out %_client_format %_client_resolve,$(UNIT_TESTS))
MUSL_E2E_TESTS := $(addprefix tests/e2e/test_,ntp.py old_kernels.py sandbox.py stamps.py workers.py)
MUSL_OPTIONS = BUILD=$(BUILD)-musl CC="musl-gcc -isystem $(LIBRARIES_MUSL)/include" STATIC_LIBS=1 \
	PKG_CONFIG="env PKG_CONFIG_LIBDIR=$(LIBRARIES_MUSL)/lib/pkgconfig pkg-config"
check-musl:
	@tools/install-dependencies check musl
	@test -e $(LIBRARIES_MUSL)/lib/libevent_core.a || tools/fetch-musl $(LIBRARIES_MUSL)
	@$(MAKE) all unit-tests $(MUSL_OPTIONS)
	@$(MAKE) check-unit check-e2e $(MUSL_OPTIONS) E2E_TESTS="$(MUSL_E2E_TESTS)" \
		UNIT_TESTS="$(patsubst $(BUILD)/%,$(BUILD)-musl/%,$(MUSL_UNIT_TESTS))"

# Every system call and allocation fails once: of a start, and of a running daemon.
torture:
	@$(DEPENDENCIES) check
	@TIMESERVER_FAULTS=all $(MAKE) check-e2e E2E_TESTS=tests/e2e/test_faults.py PYTEST_FLAGS=-rP

# The tests with instrumented programs; the end-to-end tests check the reports.
check-sanitizers:
	@$(MAKE) check SANITIZE=address,undefined BUILD=$(BUILD)-sanitize

check-threads:
	@$(MAKE) check SANITIZE=thread BUILD=$(BUILD)-threads

# Branch coverage of src/base and src/protocol, at least 95 %.
COVERAGE_TESTS := $(addprefix tests/e2e/test_,syslog.py systemd.py overload.py udp.py)
coverage:
	@$(DEPENDENCIES) check coverage
	@rm -rf $(BUILD)-coverage
	@$(MAKE) check-unit check-e2e BUILD=$(BUILD)-coverage E2E_TESTS="$(COVERAGE_TESTS)" \
		CPPFLAGS=-DINSTRUMENTED CFLAGS="-O0 -g --coverage" LDFLAGS="--coverage -Wl,-u,__gcov_dump"
	@tools/coverage $(BUILD)-coverage

# Breaks each promise in a copy of the tree: at least one of its tests has to fail. MUTANTS=WORD selects
# those with a word in their file, promise, function or tests; JOBS run at the same time.
MUTANTS ?=
JOBS ?= $(shell nproc)
mutants:
	@$(DEPENDENCIES) check
	@$(MAKE) all unit-tests
	@$(PYTHON) tools/mutants --jobs $(JOBS) --build $(BUILD) '$(MUTANTS)'

VALGRIND := valgrind -q --error-exitcode=99 --vgdb=no --leak-check=full \
	--suppressions=$(CURDIR)/tests/valgrind.supp
check-valgrind:
	@$(DEPENDENCIES) check valgrind
	@$(MAKE) all
	@tools/check-descriptors $(BUILD)
	@UNIT_TEST_WRAPPER="$(VALGRIND)" TIMESERVER_WRAPPER="$(VALGRIND)" $(MAKE) check-unit check-e2e

# Static analysis by both compilers. gcc 12 reports a false leak for memory stored through a pointer;
# clang and the sanitizers find leaks better.
analyze:
	@$(DEPENDENCIES) build clang
	@$(MAKE) all BUILD=$(BUILD)-analyze CC=gcc WERROR=1 CFLAGS="-O2 -fanalyzer -Wno-analyzer-malloc-leak"
	@echo $(wildcard src/*.c src/*/*.c src/*/*/*.c) | xargs -n 4 -P "$$(nproc)" clang --analyze --analyzer-output text \
		-Xclang -analyzer-werror -std=gnu17 $(OWN_CPPFLAGS)
	@echo "analyze: nothing found"

lint:
	@$(DEPENDENCIES) lint
	@tools/lint

format:
	clang-format -i $$(find src tests bench -name '*.[ch]')

demo:
	@$(DEPENDENCIES) demo
	@$(MAKE) all
	@tools/demo $(BUILD)

# Each fuzzer runs from its corpus for SECONDS and leaves its findings beside its program. As with the
# unit tests, fuzz_client_* is linked with the client, any other with the server.
SECONDS ?= 60
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
fuzz_sources = $(filter-out %/main.c,$(call sources_of,base clock protocol $(1)))
HEADERS := $(wildcard src/*/*.h src/*/*/*.h)
FUZZ_LINK = $(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) -std=gnu17 $(FUZZ_FLAGS) -o $@ $(filter %.c,$^) $(LIBRARIES)
fuzz:
	@$(DEPENDENCIES) fuzz
	@$(MAKE) CC=clang fuzzers
	@tools/run-fuzzers $(SECONDS) $(FUZZERS)

fuzzers: $(FUZZERS)
$(BUILD)-fuzz/fuzz_client_%: tests/fuzz/fuzz_client_%.c $(call fuzz_sources,client) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(call say,link,$(FUZZ_LINK),$@)
$(BUILD)-fuzz/%: tests/fuzz/%.c $(call fuzz_sources,stats server web) $(PAGE_OBJECTS:.o=.c) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(call say,link,$(FUZZ_LINK),$@)
$(BUILD)-fuzz/fuzz_client_%: LIBRARIES = $(JANSSON_LIBS)
$(BUILD)-fuzz/fuzz_client_%: PROGRAM := timeclient
$(BUILD)-fuzz/%: LIBRARIES = $(LIBEVENT_LIBS) $(JANSSON_LIBS)

-include bench/bench.mk

SBINDIR = $(DESTDIR)$(PREFIX)/sbin
BINDIR = $(DESTDIR)$(PREFIX)/bin
MANDIR = $(DESTDIR)$(PREFIX)/share/man
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/timeserver
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
BASHDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
# fish looks below /usr/local only if XDG_DATA_DIRS tells it to.
FISHDIR = $(DESTDIR)$(if $(filter /usr/local,$(PREFIX)),/etc/fish/completions,$(PREFIX)/share/fish/vendor_completions.d)
INITDIR = $(DESTDIR)/etc/init.d
SYSUSERSDIR = $(DESTDIR)$(PREFIX)/lib/sysusers.d

INSTALLED = $(SBINDIR)/timeserver $(BINDIR)/timeclient \
	$(foreach manual,$(MANUALS),$(MANDIR)/man$(patsubst .%,%,$(suffix $(manual)))/$(notdir $(manual))) \
	$(UNITDIR)/timeserver.service $(UNITDIR)/timeserver-activated.service $(UNITDIR)/timeserver.socket \
	$(SYSUSERSDIR)/timeserver.conf \
	$(foreach name,timeserver timeclient,$(BASHDIR)/$(name) $(ZSHDIR)/_$(name) $(FISHDIR)/$(name).fish) \
	$(addprefix $(DOCDIR)/,timeserver.conf grafana-dashboard.json prometheus-alerts.yml README.md README.zh-CN.md NEWS.md LICENSE)
ifeq ($(OPENRC),1)
INSTALLED += $(INITDIR)/timeserver
endif

install: all
	install -D -m 755 $(BUILD)/timeserver $(SBINDIR)/timeserver
	install -D -m 755 $(BUILD)/timeclient $(BINDIR)/timeclient
	for manual in $(MANUALS); do \
		install -D -m 644 "$$manual" "$(MANDIR)/man$${manual##*.}/$${manual##*/}" || exit; \
	done
	for name in timeserver timeclient; do \
		install -D -m 644 "dist/completion/$$name.bash" "$(BASHDIR)/$$name" && \
		install -D -m 644 "dist/completion/_$$name" "$(ZSHDIR)/_$$name" && \
		install -D -m 644 "dist/completion/$$name.fish" "$(FISHDIR)/$$name.fish" || exit; \
	done
	install -d $(UNITDIR) $(DOCDIR)
	for unit in timeserver timeserver-activated; do \
		sed 's|@PREFIX@|$(PREFIX)|' "dist/$$unit.service" >"$(UNITDIR)/$$unit.service" && \
		chmod 644 "$(UNITDIR)/$$unit.service" || exit; \
	done
	install -m 644 dist/timeserver.socket $(UNITDIR)
	install -D -m 644 dist/timeserver.sysusers $(SYSUSERSDIR)/timeserver.conf
	install -m 644 dist/timeserver.conf dist/grafana-dashboard.json dist/prometheus-alerts.yml \
		README.md README.zh-CN.md NEWS.md LICENSE $(DOCDIR)
ifeq ($(OPENRC),1)
	install -d $(INITDIR)
	sed 's|@PREFIX@|$(PREFIX)|' dist/timeserver.openrc >$(INITDIR)/timeserver
	chmod 755 $(INITDIR)/timeserver
endif
	@test -n '$(DESTDIR)' || tools/next-steps '$(PREFIX)'

uninstall:
	rm -f $(INSTALLED)
	if [ -d $(DOCDIR) ]; then rmdir --ignore-fail-on-non-empty $(DOCDIR); fi

clean:
	rm -rf build build-*

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all check-build-dependencies check-unit-dependencies unit-tests check check-unit check-e2e check-sanitizers check-threads check-valgrind \
	check-32 check-musl coverage torture mutants analyze lint format demo fuzz fuzzers bench install uninstall clean

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
