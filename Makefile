# Makefile: builds nsamp and says what it found. `make help` lists the targets.
#
#   make BUILD=dir   another build folder       make CC=... KCC=...  host and CPU-kernel compilers
#   make CUDA=0      leave the GPU out          make ARCH=90         compile kernels for one GPU architecture
#   make SAN=address,undefined   sanitizers     make V=1             show the commands

.DEFAULT_GOAL := all
BUILD  ?= build
PREFIX ?= /usr/local
CC     := $(if $(filter default,$(origin CC)),gcc,$(CC))
V      ?= 0
Q      := $(if $(filter 1,$(V)),,@)
SAN    ?=

# --- what is there -----------------------------------------------------------------------------------------------
have_cmd = $(shell command -v $(1) 2>/dev/null)
KCC    ?= $(if $(call have_cmd,clang),clang,$(CC))
NVCC   ?= $(firstword $(call have_cmd,nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA   ?= $(if $(NVCC),$(if $(wildcard src/kernels/*.cu),1,0),0)
# Versions of make differ on \# within a function.
hash   := \#
try_header = $(shell echo '$(hash)include <$(1)>' | $(CC) $(2) -E -x c - >/dev/null 2>&1 && echo 1 || echo 0)
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
X86    := $(if $(findstring x86_64,$(MACHINE)),1,0)
# The matrix unit of Intel's processors, where the compiler of the kernels knows it.
AMX_FLAGS := -march=x86-64-v4 -mavx512bf16 -mamx-tile -mamx-bf16
AMX_TEST  := '$(hash)include <immintrin.h>' 'void f(void *p) { _tile_loadconfig(p); _tile_dpbf16ps(0, 1, 2); }'
try_amx    = $(shell printf '%s\n' $(AMX_TEST) | $(1) $(AMX_FLAGS) -x c -c -o /dev/null - >/dev/null 2>&1 && echo 1 || echo 0)
AMX    := $(if $(filter 1,$(X86)),$(call try_amx,$(KCC)),0)
# oneDNN's layers keep the bits of a row in any company on AVX-512; what they do on other machines than x86-64 is not known.
DNNL   ?= $(if $(filter 1,$(X86)),$(call try_header,oneapi/dnnl/dnnl.h),0)

PKGS   := netcdf hdf5 inih libpng zlib jansson
pkg_cflags := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
pkg_libs   := $(shell pkg-config --libs $(PKGS) 2>/dev/null || echo -lnetcdf -lhdf5 -linih -lpng -lz -ljansson)

include mk/report.mk

# --- flags -------------------------------------------------------------------------------------------------------
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla $(if $(findstring clang,$(notdir $(CC))),-Wno-pass-failed)
OPT     ?= -O2
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -g)
DEFS    := -D_POSIX_C_SOURCE=200809L -DNSAMP_HAVE_DNNL=$(DNNL) $(if $(filter 1,$(CUDA)),-DNSAMP_HAVE_CUDA) $(if $(filter 1,$(X86)),-DNSAMP_X86_64) $(if $(filter 1,$(AMX)),-DNSAMP_HAVE_AMX)
CFLAGS  ?= -g
ALL_CFLAGS := -std=c11 $(WARN) $(OPT) $(CFLAGS) $(SANFLAGS) -fPIC -fopenmp -ffp-contract=off -Iinclude -Isrc -Isrc/host $(DEFS) $(pkg_cflags)
KFLAGS  := -std=c11 -Wall -Wextra -Werror -Wno-pass-failed -O3 -g -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math -fopenmp-simd -Iinclude -Isrc $(SANFLAGS)
ifeq (,$(findstring clang,$(notdir $(KCC))))
KFLAGS  := $(filter-out -Wno-pass-failed,$(KFLAGS))
endif
KFLAGS_base :=
KFLAGS_v3   := -march=x86-64-v3
KFLAGS_v4   := -march=x86-64-v4 -mprefer-vector-width=512
KFLAGS_amx  := $(KFLAGS_v4) $(AMX_FLAGS) -DNSAMP_AMX
ISAS    := base $(if $(filter 1,$(X86)),v3 v4)
# OpenBLAS and LAPACKE are opened when they are first needed (src/host/blas.c).
LIBS    := $(pkg_libs) $(if $(filter 1,$(DNNL)),-ldnnl) -lm -lpthread -ldl

# --- sources -----------------------------------------------------------------------------------------------------
HOST_SRC := $(sort $(shell find src/host -name '*.c' -not -path 'src/host/cli/*'))
CLI_SRC  := $(sort $(wildcard src/host/cli/*.c))
CU_SRC   := $(if $(filter 1,$(CUDA)),$(sort $(wildcard src/kernels/*.cu)))
KERN_SRC := cpu moments_cpu train_cpu layer_cpu doubles ceilings rsn_panels rsn_bf16 train_bf16 train_fp32 # compiled for each instruction set; these for the matrix unit too:
KERN_AMX := $(if $(filter 1,$(AMX)),ceilings rsn_bf16 train_bf16)
HOST_OBJ := $(HOST_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
KERN_OBJ := $(foreach source,$(KERN_SRC),$(ISAS:%=$(BUILD)/src/kernels/$(source)_%.o)) $(KERN_AMX:%=$(BUILD)/src/kernels/%_amx.o)
CU_OBJ   := $(CU_SRC:%.cu=$(BUILD)/%.cu.o)
LIB_OBJ  := $(HOST_OBJ) $(KERN_OBJ) $(CU_OBJ)
TEST_SRC := $(sort $(wildcard tests/test_*.c))
TEST_BIN := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)

include mk/cuda.mk

.PHONY: all help demo check test clean install report
all: report $(BUILD)/nsamp $(BUILD)/libnsamp.a $(BUILD)/libnsamp.so $(BUILD)/nsamp.pc

$(BUILD)/src/host/%.o: src/host/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

define kernel_rule
$(BUILD)/src/kernels/$(1)_%.o: src/kernels/$(1).c
	@mkdir -p $$(@D)
	$$(Q)$$(KCC) $$(KFLAGS) $$(KFLAGS_$$*) -DNSAMP_ISA=$$* -MMD -MP -c $$< -o $$@
endef
$(foreach source,$(KERN_SRC),$(eval $(call kernel_rule,$(source))))

$(BUILD)/libnsamp.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/libnsamp.so: $(LIB_OBJ)
	$(Q)$(CC) -shared $(SANFLAGS) -fopenmp -Wl,-soname,libnsamp.so.0 -o $@ $^ $(LIBS) $(CUDA_LIBS)

$(BUILD)/nsamp: $(CLI_OBJ) $(BUILD)/libnsamp.a
	$(Q)$(CC) $(SANFLAGS) -fopenmp -o $@ $^ $(LIBS) $(CUDA_LIBS)

$(BUILD)/nsamp.pc: Makefile
	@mkdir -p $(@D)
	@printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include\n\nName: nsamp\nDescription: batch sampler for neural circuits\nVersion: %s\nLibs: -L$${libdir} -lnsamp\nLibs.private: %s -fopenmp\nCflags: -I$${includedir}\n' \
	  '$(PREFIX)' "$$(sed -n 's/.*NSAMP_VERSION *"\(.*\)"/\1/p' include/nsamp.h)" '$(LIBS) $(CUDA_LIBS)' > $@

$(BUILD)/tests/%: tests/%.c $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Itests -MMD -MP -o $@ $< $(BUILD)/libnsamp.a -lcmocka $(LIBS) $(CUDA_LIBS)

include mk/python.mk
include mk/variants.mk
include mk/check.mk
include mk/install.mk
include mk/fuzz.mk
include mk/headers.mk
include mk/bench.mk
include mk/peers.mk
include mk/kernels.mk

clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^## //p' Makefile mk/*.mk
## make            build $(BUILD)/nsamp and libnsamp (static, shared, pkg-config)
## make clean      remove the build folder

# The dependency files are made with the objects; without this line make would try to link them from %.d.o.
%.d: ;
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
