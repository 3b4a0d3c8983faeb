# python.mk: nsamp's files read by the real ArviZ and xarray (tests/python), as one more program of the tests.
.PHONY: check-python

$(BUILD)/tests/write_files: tests/python/write_files.c $(BUILD)/libnsamp.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Itests -MMD -MP -o $@ $< $(BUILD)/libnsamp.a $(LIBS) $(CUDA_LIBS)

$(BUILD)/tests/test_python: $(BUILD)/tests/write_files tests/python/run.sh
	@printf '#!/bin/sh\nexec "%s" "%s"\n' '$(abspath tests/python/run.sh)' '$(abspath $(BUILD)/tests/write_files)' > $@
	@chmod +x $@
TEST_EXTRA += $(BUILD)/tests/test_python

## make check-python  read the output with ArviZ and xarray from PyPI
check-python: $(BUILD)/tests/test_python
	@tests/run.sh $<
