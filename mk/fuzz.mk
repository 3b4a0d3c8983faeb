# fuzz.mk: libFuzzer programs, one for each tests/fuzz/fuzz_*.c, with AddressSanitizer and UBSan; needs clang. Seeds, where there
# are any, are in tests/fuzz/seeds_NAME/; words, where a rule below makes them, in FUZZ_BUILD/NAME.dict.
## make fuzz       build and run every tests/fuzz/fuzz_*.c for FUZZ_RUNS=1000000 inputs (clang)
FUZZ_RUNS  ?= 1000000
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_MAKE   = $(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) CC=clang KCC=clang CUDA=0
FUZZ_SAN   := address,undefined

.PHONY: fuzz $(FUZZ_NAMES:%=fuzz-%) fuzz-library
fuzz: $(FUZZ_NAMES:%=fuzz-%)

fuzz-library:
	+$(Q)$(FUZZ_MAKE) SAN=fuzzer-no-link,$(FUZZ_SAN) $(FUZZ_BUILD)/libnsamp.a

$(FUZZ_BUILD)/fuzz_%: tests/fuzz/fuzz_%.c fuzz-library
	+$(Q)$(FUZZ_MAKE) SAN=fuzzer,$(FUZZ_SAN) FUZZ_OUT=$@ FUZZ_IN=$< fuzz-link

# In the inner make, whose flags are those of the fuzzers.
.PHONY: fuzz-link
fuzz-link:
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -o $(FUZZ_OUT) $(FUZZ_IN) $(BUILD)/libnsamp.a $(LIBS)

$(FUZZ_BUILD)/job.dict: src/host/job/options.def
	@mkdir -p $(@D)
	$(Q)sed -n 's/^NSAMP_OPTION(\([a-z_]*\), \([a-z_0-9]*\), .*/"\1.\2="\n"\2"\n"[\1]"/p' $< | sort -u > $@
fuzz-job: $(FUZZ_BUILD)/job.dict

# New inputs go to the first folder; a finding is written to the build folder and ends the run.
$(FUZZ_NAMES:%=fuzz-%): fuzz-%: $(FUZZ_BUILD)/fuzz_%
	@mkdir -p $(FUZZ_BUILD)/corpus_$*
	$(FUZZ_BUILD)/fuzz_$* -runs=$(FUZZ_RUNS) -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	  -verbosity=0 -artifact_prefix=$(FUZZ_BUILD)/$*- $(patsubst %,-dict=%,$(filter %.dict,$^)) \
	  $(FUZZ_BUILD)/corpus_$* $(wildcard tests/fuzz/seeds_$*)
