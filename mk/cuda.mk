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

# What needs instructions of one architecture alone is compiled for that one; the program looks at the device before it calls it.
$(BUILD)/src/kernels/cuda_rsn_wgmma.cu.o: CUDA_TARGETS = sm_90a

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
# What chooses a backend is compiled again so that it knows CUDA whether or not there is an nvcc.
CXX       := $(if $(filter default,$(origin CXX)),g++,$(CXX))
SHIM_CXX   = $(CXX) -std=c++17 -O2 -g -Wall -Wextra -Werror -Wno-unknown-pragmas -ffp-contract=off -fPIC -Itests -Itests/shim -Iinclude -Isrc -Isrc/host
SHIM_CU   := $(filter-out src/kernels/cuda_draws.cu,$(sort $(wildcard src/kernels/*.cu)))
SHIM_OBJ  := $(SHIM_CU:src/kernels/%.cu=%.o) $(patsubst tests/shim/%.cpp,%.o,$(filter-out tests/shim/test_%,$(wildcard tests/shim/*.cpp))) host/engine/plan.o host/train/choose.o host/bench/device.o
SHIM_TESTS := test_cuda_shim.c test_cuda_product.cpp test_cuda_fast.cpp test_cuda_train.c test_cuda_rsn.c test_cuda_rsn_small.cpp test_cuda_bench.c test_cuda_ceilings.cpp test_cuda_transfer.cpp
SHIM_SAN  := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SHIM_DEFS  = $(filter-out -DNSAMP_HAVE_CUDA,$(DEFS)) -DNSAMP_HAVE_CUDA

# $(1): folder of objects, $(2): sanitizer flags
define shim_objects
$(1)/%.o: src/kernels/%.cu
	@mkdir -p $$(@D)
	$$(Q)$$(SHIM_CXX) $(2) -x c++ -MMD -MP -c $$< -o $$@
$(1)/%.o: tests/shim/%.cpp
	@mkdir -p $$(@D)
	$$(Q)$$(SHIM_CXX) $(2) -MMD -MP -c $$< -o $$@
$(1)/test_%.o: tests/shim/test_%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(filter-out -Wmissing-prototypes $$(DEFS),$$(ALL_CFLAGS)) $$(SHIM_DEFS) $(2) -Itests -Itests/shim -MMD -MP -c $$< -o $$@
$(1)/host/%.o: src/host/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(filter-out $$(DEFS),$$(ALL_CFLAGS)) $$(SHIM_DEFS) $(2) -MMD -MP -c $$< -o $$@
.PRECIOUS: $(1)/%.o
endef
# $(1): folder of objects, $(2): sanitizer flags, $(3): test, $(4): end of the program's name
define shim_program
$(BUILD)/tests/$(3)$(4): $(1)/$(3).o $$(SHIM_OBJ:%=$(1)/%) $$(BUILD)/libnsamp.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(SANFLAGS) $(2) -fopenmp -o $$@ $$(filter %.o %.a,$$^) -lcmocka $$(LIBS) -lstdc++
TEST_EXTRA += $(BUILD)/tests/$(3)$(4)
endef
$(eval $(call shim_objects,$(BUILD)/shim,$$(SANFLAGS)))
$(eval $(call shim_objects,$(BUILD)/shim-san,$$(SHIM_SAN)))
$(foreach t,$(basename $(SHIM_TESTS)),$(eval $(call shim_program,$(BUILD)/shim,,$(t),)))
$(foreach t,$(basename $(SHIM_TESTS)),$(eval $(call shim_program,$(BUILD)/shim-san,$$(SHIM_SAN),$(t),_san)))

# Mutants: the same test program with one fault put into a kernel. tests/shim/test_shim_mutants.c holds that each fails.
MUTANT_barrier := cuda_langevin_equi s/^ *__syncthreads();//
MUTANT_parity  := cuda_langevin_equi s,parity \* THREADS,parity * 0,
MUTANT_turn    := cuda_langevin_equi s/v.1. = odd ? v.1. : a/v[1] = odd ? a : v[1]/
MUTANT_shuffle := cuda_langevin_equi s/(NSAMP_FULL_WARP, s, h, width)/(NSAMP_FULL_WARP, s, h | 1, width)/
MUTANT_tree    := cuda_langevin_equi s/2 \* stride/stride/;s/first + stride/first + N \/ 2 * stride/
MUTANT_step    := cuda_langevin_equi s/shared ? step - at : step, b)/shared ? step - at : step + 1, b)/
MUTANT_tail    := cuda_langevin_equi s/kept.0. = each == 2 ? words.w.2./kept[0] = each == 2 ? words.w[0]/
MUTANT_kept    := cuda_langevin_equi s/(at % 2 == 0 || n == 0)/(at % 2 == 0)/
MUTANT_swapped := cuda_langevin_equi s/each == 1 \&\& at % 2;/false;/
MUTANT_total   := cuda_moments s/total \* total/total/
MUTANT_square  := cuda_moments s/square_j \* N, ti/square_i * N, ti/
MUTANT_group   := cuda_moments s/first = blockIdx.y \* m.group_chains/first = blockIdx.y * L/
MUTANT_lane    := cuda_lane s/(uint32_t)(index \* L) + lane/(uint32_t)(index * L) + (lane ^ 1)/
MUTANT_draw    := cuda_train s/head.first + head.now/head.first/
MUTANT_named   := cuda_train s/head.named\[given\]/head.named[row]/
MUTANT_widen   := cuda_train s/t.widen\[row\]/t.widen[0]/
MUTANT_slope   := cuda_train s/row \* t.row_n + first + unit/row * t.row_n + 0 * first + unit/
MUTANT_bias    := cuda_train s/part ? t.m : t.m + 1/t.m/
MUTANT_clean   := cuda_train s/clean ? t.batch + row : row/row/
MUTANT_largest := cuda_train s/now > largest.v\[k\]/true/
MUTANT_finish  := cuda_train s/t.head->now++;//
MUTANT_chunk   := cuda_train_step s/t->g + (size_t)units \* t->row_m/t->g/
MUTANT_mh_pair   := cuda_mh_spiking s/words.w\[2\], words.w\[3\]/words.w[0], words.w[1]/
MUTANT_mh_stride := cuda_mh_spiking s/j \* t.stride/j * t.groups/
MUTANT_mh_last   := cuda_mh_spiking s/LEAK || q == Q - 1/LEAK/
MUTANT_mh_tree   := cuda_mh_spiking s/(sum\[0\] + sum\[2\]) + (sum\[1\] + sum\[3\])/((sum[0] + sum[1]) + sum[2]) + sum[3]/
MUTANT_mh_burn   := cuda_mh_spiking s/2 \* pair + 1 >= counted/2 * pair >= counted/
MUTANT_mh_wrap   := cuda_mh_spiking s/(step0, nsteps, 2)/(step0, nsteps, 4)/
MUTANT_mh_bad    := cuda_mh_spiking s/all - all == 0.0f/true/
MUTANT_clear     := cuda_moments s/m.low\[i\] = INFINITY/m.low[i] = 0/
# Of transfers, for test_cuda_transfer.
MUTANT_send_wait := cuda_transfer s/if (t->used\[k\]).*/;/
MUTANT_take_wait := cuda_transfer s/NSAMP_CUDA_TRY(err, cudaEventSynchronize(t->done\[(i - 1) % 2\]));//
# Of small rsn, for test_cuda_rsn_small.
MUTANT_few_pivot    := cuda_rsn_few s/(k + o) % M/o % M/
MUTANT_few_linear   := cuda_rsn_few s/NSAMP_RSN_HINGES \* (1 + k) + i/NSAMP_RSN_HINGES * (1 + i) + k/
MUTANT_few_far      := cuda_rsn_few s/bad\[c\] < n ? bad\[c\] : n/n/
MUTANT_tensor_swap  := cuda_rsn_tensor s/odd ? a : own\[0\]/odd ? own[0] : a/
MUTANT_tensor_bias  := cuda_rsn_tensor s/tile \* 8 + 2 \* t + 1\]/tile * 8 + 2 * t]/
MUTANT_tensor_chain := cuda_rsn_tensor s/g + t % 2 \* 8/g/
MUTANT_tensor_flag  := cuda_rsn_tensor s/h < 4; h/h < 2; h/
MUTANT_tensor_left  := cuda_rsn_tensor s/left\[c\]\[s . P::STEPS\]/left[0][s \/ P::STEPS]/
MUTANT_wgmma_order := cuda_rsn_wgmma s/const uint32_t k = output_of(column)/const uint32_t k = column/
MUTANT_wgmma_fence := cuda_rsn_wgmma s/^ *nsamp_wgmma_begin();//
MUTANT_wgmma_wait  := cuda_rsn_wgmma s/^ *nsamp_wgmma_wait(y);//
MUTANT_wgmma_add   := cuda_rsn_wgmma s/s > 0 || chunk > 0/s > 0/
MUTANT_wgmma_next  := cuda_rsn_wgmma s/^ *w1 += .*//
MUTANT_wgmma_chain := cuda_rsn_wgmma s/s.lane \/ 4 + 8 \* c, step0)/s.lane \/ 4, step0)/
MUTANT_wgmma_alone := cuda_rsn_wgmma s/float x\[M .*/&if (!s.mine) return;/
MUTANT_wgmma_deal  := cuda_rsn_wgmma s/NSAMP_WARPGROUP \* gridDim.x + blockIdx.x/NSAMP_WARPGROUP + blockIdx.x/
# Of rsn by products, for test_cuda_rsn.
MUTANT_rsn_step    := cuda_rsn_step s/b.reservoir ? step + 1 : step)/step + 1)/
MUTANT_rsn_next    := cuda_rsn_step s/b.reservoir ? step + 1 : step)/step)/
MUTANT_rsn_offset  := cuda_rsn_step s/place.step + offset/place.step + 0 * offset/
MUTANT_rsn_end     := cuda_rsn_step s/place->step += steps/place->step += steps > 0/
MUTANT_rsn_barrier := cuda_rsn_step s/^ *__syncthreads();//
MUTANT_rsn_relax   := cuda_rsn_step s/nsamp_fma(h, phi_of/nsamp_fma(-h, phi_of/
MUTANT_rsn_bad     := cuda_rsn_step s/0x1p27f/0x1p20f/
MUTANT_rsn_beta    := cuda_rsn_worker s/1.0f - b->h/1.0f/
MUTANT_rsn_tf32    := cuda_rsn_worker s/NSAMP_FP32 ? NSAMP_CUDA_FP32 : NSAMP_CUDA_TF32/NSAMP_FP32 ? NSAMP_CUDA_TF32 : NSAMP_CUDA_TF32/
MUTANT_rsn_block   := cuda_rsn_product s/step0, first \* L, tiles/step0, 0, tiles/
MUTANT_rsn_deal    := cuda_rsn_product s/first += q->cut.rows/first += 0 * q->cut.rows/
MUTANT_rsn_follow  := cuda_rsn_product s/CHECK(cudaStreamWaitEvent(q->worker.*/;/
MUTANT_rsn_join    := cuda_rsn_product s/CHECK(cudaStreamWaitEvent(v->stream.*/;/
MUTANTS        := square group barrier parity turn shuffle tree step tail kept swapped total lane draw named widen slope bias clean largest finish chunk \
                  mh_pair mh_stride mh_last mh_tree mh_burn mh_wrap mh_bad clear send_wait take_wait \
                  few_pivot few_linear few_far tensor_swap tensor_bias tensor_chain tensor_flag tensor_left \
                  wgmma_order wgmma_fence wgmma_wait wgmma_add wgmma_next wgmma_chain wgmma_alone wgmma_deal \
                  rsn_step rsn_next rsn_offset rsn_end rsn_barrier rsn_relax rsn_bad rsn_beta rsn_tf32 rsn_block rsn_deal rsn_follow rsn_join
MUTANT_BIN     := $(MUTANTS:%=$(BUILD)/shim/mutant_%)
mutant_file     = $(firstword $(MUTANT_$(1)))
mutant_test     = $(if $(filter few_% tensor_% wgmma_%,$(1)),test_cuda_rsn_small,$(if $(filter cuda_train%,$(mutant_file)),test_cuda_train,$(if $(filter rsn_%,$(1)),test_cuda_rsn,$(if $(filter cuda_transfer,$(mutant_file)),test_cuda_transfer,test_cuda_shim))))

define mutant_rules
$(BUILD)/shim/mutant_$(1): src/kernels/$(call mutant_file,$(1)).cu $(BUILD)/tests/$(call mutant_test,$(1))
	$$(Q)sed '$(wordlist 2,99,$(MUTANT_$(1)))' $$< >$$@.cu
	$$(Q)if cmp -s $$< $$@.cu; then echo "mutant $(1): $$< no longer holds the text that it changes"; exit 1; fi
	$$(Q)$$(SHIM_CXX) -O0 $$(SANFLAGS) -x c++ -c $$@.cu -o $$@.o
	$$(Q)$$(CC) $$(SANFLAGS) -fopenmp -o $$@ $(BUILD)/shim/$(call mutant_test,$(1)).o $$@.o \
	  $$(filter-out %/$(call mutant_file,$(1)).o,$$(SHIM_OBJ:%=$(BUILD)/shim/%)) $$(BUILD)/libnsamp.a -lcmocka $$(LIBS) -lstdc++
endef
$(foreach m,$(MUTANTS),$(eval $(call mutant_rules,$(m))))

$(BUILD)/tests/test_shim_mutants: tests/shim/test_shim_mutants.c $(MUTANT_BIN)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -DMUTANT_COUNT=$(words $(MUTANTS)) -DMUTANT_PATH='"$(BUILD)/shim/mutant_"' -MMD -MP -o $@ $< -lcmocka
TEST_EXTRA += $(BUILD)/tests/test_shim_mutants

# --- Thrust by its OpenMP backend --------------------------------------------------------------------------------
CCCL       := $(firstword $(wildcard $(CUDA_HOME)/include/cccl $(CUDA_HOME)/include))
THRUST_OMP := $(if $(wildcard $(CCCL)/thrust/sort.h),$(BUILD)/shim/cuda_draws_omp.o)
$(BUILD)/shim/cuda_draws_omp.o: src/kernels/cuda_draws.cu
	@mkdir -p $(@D)
	$(Q)$(SHIM_CXX:-Itests/shim=) $(SANFLAGS) -fopenmp -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_OMP -isystem $(CCCL) -isystem $(CUDA_HOME)/include -x c++ -MMD -MP -c $< -o $@
$(BUILD)/tests/test_draws_thrust: tests/thrust/test_draws_thrust.c $(THRUST_OMP) $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) $(if $(THRUST_OMP),-DNSAMP_HAVE_CCCL) -MMD -MP -o $@ $(filter %.c %.o %.a,$^) -lcmocka $(LIBS) $(CUDA_LIBS) -lstdc++
TEST_EXTRA += $(BUILD)/tests/test_draws_thrust

# --- on a real GPU -----------------------------------------------------------------------------------------------
## make check-gpu  laws, CPU bits and compute-sanitizer on a real GPU; the result is kept in bench/results/
## make bench-gpu  builds for the GPU that is here, checks, times every system; under 8 minutes, kept in bench/results/
.PHONY: check-gpu bench-gpu
check-gpu: $(BUILD)/nsamp
	@mk/gpu.sh check $(BUILD)/nsamp
bench-gpu:
	@mk/gpu.sh bench $(BUILD)-gpu/nsamp $(MAKE)
