# The programs of the bench, and `make bench`: see bench/README.md.

BENCH_PROGRAMS := $(patsubst %,$(BUILD)/bench/%,bare echo flood latency offset flood.bpf.o)
# Debian has asm/types.h, which clang needs for BPF, in the multiarch directory.
BENCH_BPF_FLAGS = -O2 -g -target bpf -Wall -Wextra -I/usr/include/$(shell $(CC) -print-multiarch)
BENCH_FLAGS ?=

$(BUILD)/bench/%.bpf.o: bench/%.bpf.c bench/flood.h bench/histogram.h
	@mkdir -p $(@D)
	clang $(BENCH_BPF_FLAGS) -c -o $@ $<

$(BUILD)/bench/%: bench/%.c bench/flood.h bench/histogram.h
	@mkdir -p $(@D)
	$(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) $(OWN_CFLAGS) $(CFLAGS) $(OWN_LDFLAGS) $(LDFLAGS) -o $@ $< \
		$(BENCH_LIBRARIES)

$(BUILD)/bench/flood: BENCH_LIBRARIES = -lbpf
$(BUILD)/bench/offset: BENCH_LIBRARIES = $(BUILD)/obj/common.a
$(BUILD)/bench/offset: $(BUILD)/obj/common.a

bench-programs: $(BENCH_PROGRAMS)

# Checks the tools before building. Only the report goes to standard output.
bench:
	@$(PYTHON) bench/run.py --check-tools
	@$(MAKE) all bench-programs >&2
	@$(PYTHON) bench/run.py --build $(BUILD) $(BENCH_FLAGS)

.PHONY: bench bench-programs
