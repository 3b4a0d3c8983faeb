# install.mk: make install and make uninstall. PREFIX is compiled in (where the data are), so a new PREFIX rebuilds what
# knows it.
SHARE := $(PREFIX)/share

$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(CURDIR)' | cmp -s - $@ || echo '$(PREFIX) $(CURDIR)' > $@
FORCE:
.PHONY: FORCE

$(BUILD)/src/host/io/datadir.o: $(BUILD)/prefix
$(BUILD)/src/host/io/datadir.o: ALL_CFLAGS += -DNSAMP_DATADIR='"$(SHARE)/nsamp"' -DNSAMP_SOURCE_DATADIR='"$(CURDIR)/data"'
$(BUILD)/nsamp.pc: $(BUILD)/prefix
