# bench.mk: measurements. Never part of the tests.
.PHONY: bench

## make bench      throughput and share of this machine's ceilings; the table is kept in bench/results/
bench: all
	@mkdir -p bench/results
	@$(BUILD)/nsamp bench | tee bench/results/cpu-$$(date +%Y-%m-%d).txt
