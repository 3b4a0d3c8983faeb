# report.mk: says what the build found, and what it leaves out and why.
report:
	@echo "host compiler   $(CC) $(shell $(CC) -dumpversion)"
	@echo "CPU kernels     $(KCC) $(shell $(KCC) -dumpversion): $(if $(filter 1,$(X86)),plain; x86-64-v3; x86-64-v4,plain)"
