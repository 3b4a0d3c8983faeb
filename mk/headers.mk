# headers.mk: every header must compile alone, as C11, as C++17 and, where there is nvcc, as CUDA.
## make check-headers   compile every header alone as C11, C++17 and CUDA
HEADERS := $(sort $(shell find include src -name '*.h'))
# What only .cu files include, against the toolkit or the shim.
HEADERS_CUDA := $(filter src/kernels/cuda_%,$(HEADERS))
HEADERS_BOTH := $(filter-out $(HEADERS_CUDA),$(HEADERS))
HEADER_DIR   := $(BUILD)/headers
HEADER_FLAGS  = -Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-unused-function -fopenmp -Iinclude -Isrc -Isrc/host $(DEFS) $(pkg_cflags)

.PHONY: check-headers
check-headers: $(HEADERS_BOTH:%=$(HEADER_DIR)/%.c11) $(HEADERS:%=$(HEADER_DIR)/%.cpp17) $(if $(filter 1,$(CUDA)),$(HEADERS:%=$(HEADER_DIR)/%.cuda))
	@echo "$(words $(HEADERS)) headers compile alone as C11, C++17$(if $(filter 1,$(CUDA)), and CUDA,; CUDA left out: no nvcc)"

$(HEADER_DIR)/%.c11: %
	@mkdir -p $(@D)
	@$(CC) -std=c11 $(HEADER_FLAGS) -fsyntax-only -x c -include $< - </dev/null && touch $@
$(HEADER_DIR)/%.cpp17: %
	@mkdir -p $(@D)
	@$(CXX) -std=c++17 $(HEADER_FLAGS) $(if $(filter src/kernels/cuda_%,$<),-Itests/shim) -fsyntax-only -x c++ -include $< - </dev/null && touch $@
$(HEADER_DIR)/%.cuda: %
	@mkdir -p $(@D)
	@echo '#include "$(abspath $<)"' >$@.cu
	@$(NVCC) -std=c++17 -arch=sm_90 -cuda -Xcompiler -Wall,-Wextra,-Werror,-Wno-unused-function --Werror all-warnings -diag-suppress 177 -Iinclude -Isrc -Isrc/host $(DEFS) $(pkg_cflags) $@.cu -o $@.ii && touch $@
