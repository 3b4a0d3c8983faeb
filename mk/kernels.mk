# kernels.mk: what the GPU's compiler made of the kernels, kept in bench/results/kernels-sm90.txt and held to the plan by
# tests/test_kernel_report.c. Needs nvcc; the counts of instructions also cuobjdump, which comes with the CUDA Toolkit, or which make check
# installs from PyPI (mk/cuobjdump.sh). CUOBJDUMP=... where it is not in the path.
CUOBJDUMP  ?= $(firstword $(call have_cmd,cuobjdump) $(wildcard $(CUDA_HOME)/bin/cuobjdump \
                $(BUILD)/cuda-tools/lib/python3*/site-packages/nvidia/cu13/bin/cuobjdump))
SASS_OBJ    = $(filter %/cuda_langevin_equi.cu.o %/cuda_mh_spiking.cu.o %/cuda_rsn_few.cu.o %/cuda_rsn_tensor.cu.o %/cuda_rsn_wgmma.cu.o,$(CU_OBJ))
HAVE_SM_90  = $(and $(CU_SRC),$(filter sm_90,$(CUDA_TARGETS)))

# A failing cuobjdump leaves no file.
$(BUILD)/sass.txt: $(SASS_OBJ) mk/sass.awk
	$(Q)for o in $(SASS_OBJ); do PATH=$$PATH:$(dir $(CUOBJDUMP)) $(CUOBJDUMP) -sass -arch $$(case $$o in *wgmma*) echo sm_90a ;; *) echo sm_90 ;; esac) $$o || exit 1; done >$@.all || { rm -f $@.all; exit 1; }
	$(Q)c++filt <$@.all | awk -f mk/sass.awk >$@ && rm $@.all

$(BUILD)/kernels-sm90.txt: $(BUILD)/kernels.txt $(if $(CUOBJDUMP),$(BUILD)/sass.txt) mk/occupancy.awk mk/occupancy.txt
	$(Q)$(NVCC) --version | sed -n 's/.*release .*, V/nvcc /p' >$@
	$(Q)awk -v arch=sm_90 -f mk/occupancy.awk mk/occupancy.txt $(BUILD)/kernels.txt >>$@
	$(Q)$(if $(CUOBJDUMP),cat $(BUILD)/sass.txt,echo 'kernel (sm_90): no cuobjdump here, instructions not counted') >>$@

## make kernels-report  writes bench/results/kernels-sm90.txt: registers, occupancy, instructions a step
.PHONY: kernels-report
kernels-report: $(BUILD)/kernels-sm90.txt
	@{ echo '# Kernels as compiled for sm_90, by make kernels-report. Counts in machine code, not measurements.'; cat $<; } >bench/results/kernels-sm90.txt

$(BUILD)/tests/test_kernel_report: tests/test_kernel_report.c $(if $(HAVE_SM_90),$(BUILD)/kernels-sm90.txt) $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -DREPORT='"$(if $(HAVE_SM_90),$(BUILD)/kernels-sm90.txt)"' -MMD -MP -o $@ $< -lcmocka

# Instructions of the CPU kernels, counted on this processor, which must have AVX-512; those of clang on Debian 12 are kept.
INSTRUCTIONS = bench/results/instructions-x86-64.txt
$(BUILD)/tests/test_instructions: tests/test_instructions.c $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -DTABLE='"$(INSTRUCTIONS)"' -DSANITIZED=$(if $(SAN),1,0) -MMD -MP -o $@ $< $(BUILD)/libnsamp.a -lcmocka $(LIBS) $(CUDA_LIBS)

## make instructions    writes bench/results/instructions-x86-64.txt: what the CPU kernels execute for a unit of work
.PHONY: instructions
instructions: $(BUILD)/tests/test_instructions
	$(BUILD)/tests/test_instructions --table >$(BUILD)/instructions.txt && cp $(BUILD)/instructions.txt $(INSTRUCTIONS)
