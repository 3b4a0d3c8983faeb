# install.mk: make install and make uninstall. PREFIX is compiled in (where the data are), so what knows it is rebuilt when
# it changes.
## make install    PREFIX=/usr/local DESTDIR=   binary, library, header, man page, completion, data, example jobs
## make uninstall  the same variables; removes what install put there
BINDIR  := $(PREFIX)/bin
LIBDIR  := $(PREFIX)/lib
SHARE   := $(PREFIX)/share
MANDIR  := $(SHARE)/man/man1
COMPDIR := $(SHARE)/bash-completion/completions
SOVERSION := 0

$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(CURDIR)' | cmp -s - $@ || echo '$(PREFIX) $(CURDIR)' > $@
FORCE:
.PHONY: FORCE uninstall

$(BUILD)/src/host/io/datadir.o: $(BUILD)/prefix
$(BUILD)/src/host/io/datadir.o: ALL_CFLAGS += -DNSAMP_DATADIR='"$(SHARE)/nsamp"' -DNSAMP_SOURCE_DATADIR='"$(CURDIR)/data"'
$(BUILD)/nsamp.pc: $(BUILD)/prefix

all: $(BUILD)/nsamp.1 $(BUILD)/nsamp.bash
$(BUILD)/nsamp.1: $(BUILD)/nsamp
	$(Q)$(BUILD)/nsamp man > $@.part && mv $@.part $@
$(BUILD)/nsamp.bash: $(BUILD)/nsamp
	$(Q)$(BUILD)/nsamp completion > $@.part && mv $@.part $@

install: all
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(PREFIX)/include $(MANDIR) $(COMPDIR) $(SHARE)/nsamp/mnist $(SHARE)/nsamp/jobs)
	install -m 755 $(BUILD)/nsamp $(DESTDIR)$(BINDIR)/nsamp
	install -m 644 include/nsamp.h $(DESTDIR)$(PREFIX)/include/nsamp.h
	install -m 644 $(BUILD)/libnsamp.a $(DESTDIR)$(LIBDIR)/libnsamp.a
	install -m 755 $(BUILD)/libnsamp.so $(DESTDIR)$(LIBDIR)/libnsamp.so.$(SOVERSION)
	ln -sf libnsamp.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libnsamp.so
	install -m 644 $(BUILD)/nsamp.pc $(DESTDIR)$(LIBDIR)/pkgconfig/nsamp.pc
	install -m 644 $(BUILD)/nsamp.1 $(DESTDIR)$(MANDIR)/nsamp.1
	install -m 644 $(BUILD)/nsamp.bash $(DESTDIR)$(COMPDIR)/nsamp
	install -m 644 $(wildcard data/mnist/*) $(DESTDIR)$(SHARE)/nsamp/mnist
	install -m 755 $(wildcard jobs/slurm-*.sh) $(DESTDIR)$(SHARE)/nsamp/jobs
	$(if $(wildcard jobs/*.ini),install -m 644 $(wildcard jobs/*.ini jobs/*.txt) $(DESTDIR)$(SHARE)/nsamp/jobs)

uninstall:
	rm -f $(addprefix $(DESTDIR),$(BINDIR)/nsamp $(PREFIX)/include/nsamp.h $(LIBDIR)/libnsamp.a $(LIBDIR)/libnsamp.so \
	  $(LIBDIR)/libnsamp.so.$(SOVERSION) $(LIBDIR)/pkgconfig/nsamp.pc $(MANDIR)/nsamp.1 $(COMPDIR)/nsamp)
	rm -rf $(DESTDIR)$(SHARE)/nsamp
