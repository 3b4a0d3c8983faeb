# report.mk: says what the build found, and what it leaves out and why.
pkg_version = $(shell pkg-config --modversion $(1) 2>/dev/null || echo 'MISSING: run mk/setup.sh')
CPU_BEST := $(shell grep -m1 '^flags' /proc/cpuinfo 2>/dev/null | grep -qw avx512vl && echo 'AVX-512' || (grep -m1 '^flags' /proc/cpuinfo 2>/dev/null | grep -qw avx2 && echo AVX2 || echo 'plain'))
DNNL_VERSION = $(shell echo | $(CC) -include oneapi/dnnl/dnnl_version.h -E -dM - 2>/dev/null | awk '/DNNL_VERSION_(MAJOR|MINOR|PATCH) / { v[$$2] = $$3 } END { print v["DNNL_VERSION_MAJOR"] "." v["DNNL_VERSION_MINOR"] "." v["DNNL_VERSION_PATCH"] }')

report:
	@echo "host compiler  $(CC) $(shell $(CC) -dumpversion)"
	@echo "CPU kernels    $(notdir $(KCC)) $(shell $(KCC) -dumpversion): $(if $(filter 1,$(X86)),base x86-64-v3 x86-64-v4,base); this machine runs $(CPU_BEST)"
	@echo "matrix unit    $(if $(filter 1,$(AMX)),AMX: built; $(if $(shell grep -m1 '^flags' /proc/cpuinfo 2>/dev/null | grep -w amx_bf16),this machine has it,this machine has none),left out: $(notdir $(KCC)) does not know it$(if $(filter 1,$(X86)),,, or this is not x86-64))"
	@echo "oneDNN         $(if $(filter 1,$(DNNL)),$(DNNL_VERSION),left out: no oneapi/dnnl/dnnl.h (libdnnl-dev); products go to BLAS)"
	@echo "BLAS           OpenBLAS $(call pkg_version,openblas), LAPACKE"
	@echo "netCDF         $(call pkg_version,netcdf)"
	@echo "JSON           jansson $(call pkg_version,jansson)"
	@echo "CUDA           $(if $(filter 1,$(CUDA)),$(NVCC) $(shell $(NVCC) --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p') for $(CUDA_TARGETS),left out: $(if $(NVCC),CUDA=0,no nvcc found); runs on the CPU)"
	@echo "MPI            left out: not part of this version"
