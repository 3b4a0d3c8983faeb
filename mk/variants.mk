# variants.mk: the CPU kernels as gcc and clang make them, unoptimised and optimised, for every instruction set; linked
# into tests/test_kernel_bits.c and, the bf16 kernel of rsn, into tests/test_rsn_bf16.c, which hold them to one another's bits.
VARIANT_CC := $(foreach c,gcc clang,$(if $(call have_cmd,$(c)),$(c)))
VARIANTS   := $(foreach c,$(VARIANT_CC),$(foreach o,O0 O3,$(foreach i,$(ISAS),$(c)_$(o)_$(i))))
VARIANT_OBJ := $(VARIANTS:%=$(BUILD)/tests/variants/%.o)
part = $(word $(1),$(subst _, ,$(2)))

$(BUILD)/tests/variants/%.o: src/kernels/cpu.c
	@mkdir -p $(@D)
	$(Q)$(call part,1,$*) $(filter-out -O3 -Wno-pass-failed,$(KFLAGS)) $(if $(filter clang%,$*),-Wno-pass-failed) \
	  -$(call part,2,$*) $(KFLAGS_$(call part,3,$*)) -DNSAMP_ISA=$* -MMD -MP -c $< -o $@

$(BUILD)/tests/variants/variants.def: Makefile mk/variants.mk
	@mkdir -p $(@D)
	@printf '%s\n' $(foreach v,$(VARIANTS),'VARIANT($(v), "$(call part,3,$(v))")') > $@

$(BUILD)/tests/test_kernel_bits: tests/test_kernel_bits.c $(BUILD)/tests/variants/variants.def $(VARIANT_OBJ) $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Itests -I$(BUILD)/tests/variants -MMD -MP -o $@ $< $(VARIANT_OBJ) $(BUILD)/libnsamp.a -lcmocka $(LIBS) $(CUDA_LIBS)

BF16_VARIANTS := $(VARIANTS) $(if $(filter 1,$(AMX)),$(foreach c,$(VARIANT_CC),$(if $(filter 1,$(call try_amx,$(c))),$(foreach o,O0 O3,$(c)_$(o)_amx))))
BF16_OBJ      := $(BF16_VARIANTS:%=$(BUILD)/tests/variants/bf16_%.o)

$(BUILD)/tests/variants/bf16_%.o: src/kernels/rsn_bf16.c
	@mkdir -p $(@D)
	$(Q)$(call part,1,$*) $(filter-out -O3 -Wno-pass-failed,$(KFLAGS)) $(if $(filter clang%,$*),-Wno-pass-failed) \
	  -$(call part,2,$*) $(KFLAGS_$(call part,3,$*)) -DNSAMP_ISA=$* -MMD -MP -c $< -o $@

$(BUILD)/tests/variants/bf16.def: Makefile mk/variants.mk
	@mkdir -p $(@D)
	@printf '%s\n' $(foreach v,$(BF16_VARIANTS),'VARIANT($(v), "$(call part,3,$(v))")') > $@

$(BUILD)/tests/test_rsn_bf16: tests/test_rsn_bf16.c $(BUILD)/tests/variants/bf16.def $(BF16_OBJ) $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Itests -I$(BUILD)/tests/variants -MMD -MP -o $@ $< $(BF16_OBJ) $(BUILD)/libnsamp.a -lcmocka $(LIBS) $(CUDA_LIBS)
