/* blas.c: the functions of OpenBLAS and LAPACKE that nsamp calls, opened when the first of them is called and not linked: half of the
 * commands need none of them, and loading OpenBLAS starts a thread for each core. Callers include cblas.h and lapacke.h as
 * ever; what they call is here, and passes the call on. Not an implementation of anything.
 *
 * Where the libraries are missing at run time the call ends the program with the line and the exit code of a dynamic loader,
 * which would have done so before main. */
#define _DEFAULT_SOURCE /* setenv */

#include <cblas.h>
#include <dlfcn.h>
#include <lapacke.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "threads.h"

#define HIDDEN __attribute__((visibility("hidden"))) /* libnsamp.so must not offer them to others */

/* F(result, name, parameters, arguments): functions with a value, and without. */
#define WITH_VALUE(F)                                                                                        \
    F(int, openblas_get_num_threads, (void), ())                                                             \
    F(char *, openblas_get_config, (void), ())                                                               \
    F(char *, openblas_get_corename, (void), ())                                                             \
    F(lapack_int, LAPACKE_dpotrf, (int order, char uplo, lapack_int n, double *a, lapack_int lda),           \
      (order, uplo, n, a, lda))                                                                              \
    F(lapack_int, LAPACKE_dposv,                                                                             \
      (int order, char uplo, lapack_int n, lapack_int columns, double *a, lapack_int lda, double *b,         \
       lapack_int ldb),                                                                                      \
      (order, uplo, n, columns, a, lda, b, ldb))                                                             \
    F(lapack_int, LAPACKE_dgesv,                                                                             \
      (int order, lapack_int n, lapack_int columns, double *a, lapack_int lda, lapack_int *pivots,           \
       double *b, lapack_int ldb),                                                                           \
      (order, n, columns, a, lda, pivots, b, ldb))                                                           \
    F(lapack_int, LAPACKE_dsyevd,                                                                            \
      (int order, char job, char uplo, lapack_int n, double *a, lapack_int lda, double *w),                  \
      (order, job, uplo, n, a, lda, w))

#define WITHOUT_VALUE(F)                                                                                     \
    F(void, openblas_set_num_threads, (int threads), (threads))                                              \
    F(void, cblas_sgemm,                                                                                     \
      (CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k,           \
       float alpha, const float *a, blasint lda, const float *b, blasint ldb, float beta, float *c,          \
       blasint ldc),                                                                                         \
      (order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))                                         \
    F(void, cblas_dgemm,                                                                                     \
      (CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k,           \
       double alpha, const double *a, blasint lda, const double *b, blasint ldb, double beta, double *c,     \
       blasint ldc),                                                                                         \
      (order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))                                         \
    F(void, cblas_dsymm,                                                                                     \
      (CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo, blasint m, blasint n, double alpha,              \
       const double *a, blasint lda, const double *b, blasint ldb, double beta, double *c, blasint ldc),     \
      (order, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc))                                        \
    F(void, cblas_dsyrk,                                                                                     \
      (CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE ta, blasint n, blasint k, double alpha,           \
       const double *a, blasint lda, double beta, double *c, blasint ldc),                                   \
      (order, uplo, ta, n, k, alpha, a, lda, beta, c, ldc))

/* A pointer to a function from a pointer to an object, as POSIX allows and C does not. */
#define ENTRY(result, name, parameters, arguments)                                                           \
    union {                                                                                                  \
        void *object;                                                                                        \
        result(*call) parameters;                                                                            \
    } name;
static struct {
    WITH_VALUE(ENTRY)
    WITHOUT_VALUE(ENTRY)
} library;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void give_up(const char *what) {
    const char *why = dlerror();
    fprintf(stderr, "nsamp: error while loading shared libraries: %s: %s\n", what, why ? why : "not found");
    exit(127);
}

/* Debian has BLAS and LAPACKE in a library each, others have all in OpenBLAS. */
static void *find(void *blas, void *lapacke, const char *name) {
    void *found = dlsym(blas, name);
    if (!found && lapacke) found = dlsym(lapacke, name);
    if (!found) give_up(name);
    return found;
}

static void open_library(void) {
    /* A thread of OpenBLAS spins for a while after its start, on a core that a thread of ours wants (bench/LOG.md). */
    (void)setenv("OPENBLAS_THREAD_TIMEOUT", "4", 0);
    /* Where it cannot start one for each core it ends the program with a signal. */
    const int cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (cores > 1 && nsamp_threads_try(cores - 1) < cores - 1) (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void *const blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!blas) give_up("libopenblas.so.0");
    void *const lapacke = dlopen("liblapacke.so.3", RTLD_NOW | RTLD_LOCAL);
#define FIND(result, name, parameters, arguments) library.name.object = find(blas, lapacke, #name);
    WITH_VALUE(FIND)
    WITHOUT_VALUE(FIND)
}

#define FORWARD_VALUE(result, name, parameters, arguments)                                                   \
    HIDDEN result name parameters {                                                                          \
        pthread_once(&once, open_library);                                                                   \
        return library.name.call arguments;                                                                  \
    }
#define FORWARD(result, name, parameters, arguments)                                                         \
    HIDDEN result name parameters {                                                                          \
        pthread_once(&once, open_library);                                                                   \
        library.name.call arguments;                                                                         \
    }
WITH_VALUE(FORWARD_VALUE)
WITHOUT_VALUE(FORWARD)
