# check.mk: the two commands of the README (demo, check), the tests, the linters.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
.PHONY: demo check check-slow test lint

# The program at the head of nsamp.h, as it stands there; tests/test_api.c runs it.
$(BUILD)/tests/api_example: include/nsamp.h $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	@sed -n '/^ \*     #include <nsamp.h>/,/^ \*     }$$/p' include/nsamp.h | sed 's/^ \*     //; s/^ \*$$//' > $@.c
	$(Q)$(CC) -std=c11 $(WARN) $(SANFLAGS) -fopenmp -Iinclude -o $@ $@.c $(BUILD)/libnsamp.a $(LIBS) $(CUDA_LIBS)
TEST_EXTRA += $(BUILD)/tests/api_example
$(BUILD)/tests/test_api: | $(BUILD)/tests/api_example

# The Slurm scripts of jobs/, run without Slurm.
$(BUILD)/tests/test_slurm: tests/slurm/run.sh $(BUILD)/nsamp $(wildcard jobs/slurm-*.sh)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec "%s" "%s"\n' '$(abspath tests/slurm/run.sh)' '$(abspath $(BUILD)/nsamp)' >$@
	@chmod +x $@
TEST_EXTRA += $(BUILD)/tests/test_slurm

# The script of make bench-scaling with runs of a few milliseconds.
$(BUILD)/tests/test_scaling: tests/scaling/run.sh bench/scaling.py $(BUILD)/nsamp
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec "%s" "%s"\n' '$(abspath tests/scaling/run.sh)' '$(abspath $(BUILD)/nsamp)' >$@
	@chmod +x $@
TEST_EXTRA += $(BUILD)/tests/test_scaling

# The tests of products on every kind of kernel that the processor has.
$(BUILD)/tests/test_products: tests/products/run.sh $(BUILD)/tests/test_matmul $(BUILD)/tests/test_matmul_blas
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec "%s" "%s" "%s"\n' '$(abspath tests/products/run.sh)' $(if $(filter 1,$(DNNL)),'$(abspath $(BUILD)/tests/test_matmul)',none) '$(abspath $(BUILD)/tests/test_matmul_blas)' >$@
	@chmod +x $@
TEST_EXTRA += $(BUILD)/tests/test_products

# Every call that fails, by a preloaded library: Linux with the GNU C library, and no sanitizer, which preloads its own.
ifeq (,$(SAN))
ifneq (,$(findstring linux-gnu,$(MACHINE)))
$(BUILD)/tests/libfaults.so: tests/faults/faults.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -Wall -Wextra -Werror -O2 -fPIC -shared -o $@ $< -ldl
$(BUILD)/tests/test_faults: tests/faults/run.sh $(BUILD)/tests/libfaults.so $(BUILD)/nsamp
	@printf '#!/bin/sh\nexec "%s" "%s" "%s"\n' '$(abspath tests/faults/run.sh)' '$(abspath $(BUILD)/nsamp)' '$(abspath $(BUILD)/tests/libfaults.so)' >$@
	@chmod +x $@
TEST_EXTRA += $(BUILD)/tests/test_faults
endif
endif

## make check      install what is missing, build, run all tests; the last line says how many passed
check:
	@mk/setup.sh
	@mk/cuobjdump.sh '$(NVCC)' '$(CUOBJDUMP)' '$(BUILD)'
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(MAKE) --no-print-directory -j$(JOBS) test

## make check-slow the same with the long statistical tests (about 1e9 draws)
check-slow:
	@NSAMP_SLOW=1 NSAMP_TEST_TIMEOUT=7200 $(MAKE) --no-print-directory check

## make test       build and run the tests, install nothing
test: $(TEST_BIN) $(TEST_EXTRA) $(BUILD)/nsamp
	@NSAMP_BIN=$(BUILD)/nsamp tests/run.sh $(sort $(TEST_BIN) $(filter $(BUILD)/tests/test_%,$(TEST_EXTRA)))

## make lint       clang-format and cppcheck (cppcheck does not know vector types: noise_row.h and blocks.h are left out)
LINT_SRC = $(shell git ls-files 'src/*.c' 'src/*.h' 'src/*.cu' 'src/*.cuh' 'include/*.h' 'tests/*.c' 'tests/*.h' 'tests/*.cc' 'bench/*.c' 'bench/*.h')
lint:
	@clang-format --dry-run -Werror $(LINT_SRC)
	@cppcheck -j$(JOBS) --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem --suppress=invalidPointerCast '--suppress=*:src/kernels/noise_row.h' '--suppress=*:src/kernels/blocks.h' -Iinclude -Isrc -Isrc/host $(filter %.c,$(LINT_SRC))

## make demo       install what is missing, train on real digits, sample 4,096 chains, show a grid
demo:
	@mk/setup.sh
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@jobs/demo.sh $(BUILD)/nsamp
