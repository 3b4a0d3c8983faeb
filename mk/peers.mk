# peers.mk: nsamp beside other libraries (bench/peers, docs/performance.md). Never part of the tests: it installs 5 GB from PyPI.
.PHONY: bench-peers bench-peers-readme check-peers

# The row `normals`, compiled as the CPU kernels are, for this processor.
$(BUILD)/bench/normals: bench/peers/normals.c src/kernels/noise_row.h src/kernels/noise.h src/kernels/elementary.h
	@mkdir -p $(@D)
	$(Q)$(KCC) $(KFLAGS) $(DEFS) -march=native $(if $(filter 1,$(X86)),-mprefer-vector-width=512) -o $@ $< -lm -lpthread

## make bench-peers  the same work in NumPy, Numba, PyTorch, JAX, BlackJAX and NumPyro, in turn with nsamp (PEERS=--quick: short; --gpu: on a GPU only)
bench-peers: all $(BUILD)/bench/normals
	@mk/peers.sh $(BUILD) bench $(PEERS)

## make check-peers  every peer held to its law, nothing timed
check-peers: all $(BUILD)/bench/normals
	@mk/peers.sh $(BUILD) check $(PEERS)

## make bench-peers-readme  the README's table of peers from the newest numbers in bench/results/
bench-peers-readme:
	@python3 bench/peers/markdown.py "$$(ls bench/results/peers-20*.json | tail -1)"
