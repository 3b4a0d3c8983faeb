# cuda.mk: the .cu files, where nvcc is found.
CUDA_LIBS :=
