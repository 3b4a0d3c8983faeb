# variants.mk: the CPU kernels as gcc and clang make them, unoptimised and optimised, for every instruction set; linked
# into tests/test_kernel_bits.c and, the kernels of a source of their own, into the tests named below, which hold them to one another's
# bits.
VARIANT_CC := $(foreach c,gcc clang,$(if $(call have_cmd,$(c)),$(c)))
builds_for  = $(foreach o,O0 O3,$(foreach i,$(2),$(1)_$(o)_$(i)))
VARIANTS   := $(foreach c,$(VARIANT_CC),$(call builds_for,$(c),$(ISAS)))
AMX_VARIANTS := $(if $(filter 1,$(AMX)),$(foreach c,$(VARIANT_CC),$(if $(filter 1,$(call try_amx,$(c))),$(call builds_for,$(c),amx))))
part = $(word $(1),$(subst _, ,$(2)))

# variant_rules SOURCE,TEST,BUILDS: src/kernels/SOURCE.c in every build, their list as SOURCE.def, and the test that includes it.
define variant_rules
$(BUILD)/tests/variants/$(1)_%.o: src/kernels/$(1).c
	@mkdir -p $$(@D)
	$$(Q)$$(call part,1,$$*) $$(filter-out -O3 -Wno-pass-failed,$$(KFLAGS)) $$(if $$(filter clang%,$$*),-Wno-pass-failed) \
	  -$$(call part,2,$$*) $$(KFLAGS_$$(call part,3,$$*)) -DNSAMP_ISA=$$* -MMD -MP -c $$< -o $$@

$(BUILD)/tests/variants/$(1).def: Makefile mk/variants.mk
	@mkdir -p $$(@D)
	@printf '%s\n' $(foreach v,$(3),'VARIANT($(v), "$(call part,3,$(v))")') > $$@

$(BUILD)/tests/$(2): tests/$(2).c $(BUILD)/tests/variants/$(1).def $(3:%=$(BUILD)/tests/variants/$(1)_%.o) $(BUILD)/libnsamp.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(filter-out -Wmissing-prototypes,$$(ALL_CFLAGS)) -Itests -I$(BUILD)/tests/variants -MMD -MP -o $$@ $$< $(3:%=$(BUILD)/tests/variants/$(1)_%.o) $(BUILD)/libnsamp.a -lcmocka $$(LIBS) $$(CUDA_LIBS)
endef
$(eval $(call variant_rules,cpu,test_kernel_bits,$(VARIANTS)))
$(eval $(call variant_rules,rsn_panels,test_rsn_panels,$(VARIANTS)))
$(eval $(call variant_rules,rsn_bf16,test_rsn_bf16_bits,$(VARIANTS) $(AMX_VARIANTS)))
$(eval $(call variant_rules,train_fp32,test_train_fp32,$(VARIANTS)))
$(eval $(call variant_rules,train_bf16,test_train_bf16,$(VARIANTS) $(AMX_VARIANTS)))
$(eval $(call variant_rules,doubles,test_eigen,$(VARIANTS)))
