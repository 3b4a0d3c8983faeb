# cuda.mk: the .cu files: for the GPU where nvcc is found, and always as host C++ against tests/shim for the tests.
#
# Code for sm_80 (Ampere, Ada) and sm_90 (Hopper); PTX of compute_90, which any later GPU can translate, and of the newest
# architecture that this nvcc knows. ARCH=90 makes code for one alone. The runtime is linked statically and opens the driver
# at its first call, so the program starts where there is none.
CUDA_HOME   := $(if $(NVCC),$(abspath $(dir $(shell readlink -f $(NVCC)))..))
CUDA_LIBDIR := $(firstword $(wildcard $(CUDA_HOME)/lib64 $(CUDA_HOME)/targets/*/lib /usr/lib/$(MACHINE)))
CUDA_LIBS   := $(if $(CU_SRC),-L$(CUDA_LIBDIR) -lcudart_static -ldl -lrt -lpthread -lstdc++)
CUDA_NEWEST := $(if $(CU_SRC),$(lastword $(sort $(subst compute_,,$(shell $(NVCC) --list-gpu-arch 2>/dev/null | sed 's/compute_\(..\)$$/compute_0\1/')))))
CUDA_TARGETS = $(if $(ARCH),sm_$(ARCH),sm_80 sm_90 compute_90 compute_$(CUDA_NEWEST))
CUDA_GENCODE = $(foreach t,$(CUDA_TARGETS),-gencode arch=compute_$(lastword $(subst _, ,$(t))),code=$(t))
NVCCFLAGS    = -std=c++17 -O3 --fmad=false $(CUDA_GENCODE) -t 2 -Iinclude -Isrc -Isrc/host \
               -Xcompiler -Wall,-Wextra,-Werror,-fPIC --Werror all-warnings -Xptxas -v

# ptxas tells registers and spills of each kernel; kept beside the object. A kernel that spills is an error.
$(BUILD)/src/kernels/%.cu.o: src/kernels/%.cu mk/registers.awk
	@mkdir -p $(@D)
	$(Q)$(NVCC) $(NVCCFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@ >$@.ptxas 2>&1 || { cat $@.ptxas; rm -f $@; exit 1; }
	@c++filt <$@.ptxas | awk -v check=1 -f mk/registers.awk || { rm -f $@; exit 1; }

ifneq (,$(CU_SRC))
all: $(BUILD)/kernels.txt
endif
$(BUILD)/kernels.txt: $(CU_OBJ)
	@cat $(CU_OBJ:=.ptxas) | c++filt | awk -f mk/registers.awk >$@
	@cat $@

# --- the shim ----------------------------------------------------------------------------------------------------
# plan.c is compiled again so that it knows the CUDA backend whether or not there is an nvcc.
CXX       := $(if $(filter default,$(origin CXX)),g++,$(CXX))
SHIM_CXX   = $(CXX) -std=c++17 -O2 -g -Wall -Wextra -Werror -Wno-unknown-pragmas -ffp-contract=off -fPIC -Itests/shim -Iinclude -Isrc -Isrc/host
SHIM_CU   := $(sort $(wildcard src/kernels/*.cu))
SHIM_OBJ  := $(SHIM_CU:src/kernels/%.cu=%.o) shim.o plan.o
SHIM_SAN  := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SHIM_DEFS  = $(filter-out -DNSAMP_HAVE_CUDA,$(DEFS)) -DNSAMP_HAVE_CUDA

# $(1): folder of objects, $(2): sanitizer flags, $(3): test program
define shim_rules
$(1)/%.o: src/kernels/%.cu
	@mkdir -p $$(@D)
	$$(Q)$$(SHIM_CXX) $(2) -x c++ -MMD -MP -c $$< -o $$@
$(1)/shim.o: tests/shim/shim.cpp
	@mkdir -p $$(@D)
	$$(Q)$$(SHIM_CXX) $(2) -MMD -MP -c $$< -o $$@
$(1)/plan.o: src/host/engine/plan.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(filter-out $$(DEFS),$$(ALL_CFLAGS)) $$(SHIM_DEFS) $(2) -MMD -MP -c $$< -o $$@
$(BUILD)/tests/$(3): tests/shim/test_cuda_shim.c $$(SHIM_OBJ:%=$(1)/%) $$(BUILD)/libnsamp.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(filter-out -Wmissing-prototypes $$(DEFS),$$(ALL_CFLAGS)) $$(SHIM_DEFS) $(2) -Itests -Itests/shim -MMD -MP -o $$@ $$< $$(filter %.o %.a,$$^) -lcmocka $$(LIBS) -lstdc++
TEST_EXTRA += $(BUILD)/tests/$(3)
endef
$(eval $(call shim_rules,$(BUILD)/shim,$$(SANFLAGS),test_cuda_shim))
$(eval $(call shim_rules,$(BUILD)/shim-san,$$(SHIM_SAN),test_cuda_shim_san))
