# bench.mk: measurements. Never part of the tests.
.PHONY: bench

BENCH_OUT ?= bench/results/cpu-$(shell date +%Y-%m-%d)
## make bench      throughput and share of this machine's ceilings: numbers, table, roofline in bench/results/ (BENCH_ARGS= BENCH_OUT=)
bench: all
	@mkdir -p $(dir $(BENCH_OUT))
	@$(BUILD)/nsamp bench $(BENCH_ARGS) -o $(BENCH_OUT).json
	@$(BUILD)/nsamp bench --read $(BENCH_OUT).json >$(BENCH_OUT).txt
	@$(BUILD)/nsamp plot $(BENCH_OUT).json -o $(BENCH_OUT).png

## make bench-readme  the README's table from the numbers of BENCH_OUT
.PHONY: bench-readme
bench-readme: $(BUILD)/nsamp
	@$(BUILD)/nsamp bench --read $(BENCH_OUT).json --markdown

.PHONY: bench-scaling

## make bench-scaling  time and memory against threads, instruction sets, chains and steps; recording; start-up (9 minutes)
bench-scaling: all
	@mkdir -p bench/results
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python3 bench/scaling.py --nsamp $(BUILD)/nsamp --out bench/results/scaling-$$(date +%Y-%m-%d).txt

.PHONY: bench-neighbours

## make bench-neighbours  one thread and two beside 0, 2 and 8 busy processes: training and sampling (half an hour; NEIGHBOURS='--against OLD')
bench-neighbours: all
	@mkdir -p bench/results
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python3 bench/neighbours.py --nsamp $(BUILD)/nsamp $(NEIGHBOURS) --out bench/results/neighbours-$$(date +%Y-%m-%d).txt
