/* resume_check.c: whether a run can have reached what a checkpoint holds. Its sums say that the bytes are
 * those that were written, not who wrote them. Where the draws lie is checked as they are put back
 * (io/output.c). */
#include "plan.h"

#include <math.h>

#include "error.h"

/* Numbers of a chain's record (stats/moments.h): the sums are finite, the extremes numbers. */
static bool good_record(const nsamp_moments *m, const double *record) {
    const size_t sums = 4 * m->rows, length = nsamp_moments_record_len(m);
    for (size_t i = 0; i < length; i++)
        if (i < sums ? !isfinite(record[i]) : isnan(record[i])) return false;
    return true;
}

static bool good_state(const float *state, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(state[i])) return false;
    return true;
}

nsamp_status nsamp_plan_check_restored(const nsamp_plan *p, uint64_t step, const float *state,
                                       const uint64_t *first_bad, const double *sums, nsamp_error *err) {
    const size_t S = p->model->state_len, record = nsamp_moments_record_len(p->batch.moments);
    const char *wrong = isfinite(p->seconds) && p->seconds >= 0 ? NULL : "seconds";
    uint64_t chain = 0;
    for (uint64_t c = 0; c < p->batch.chains && !wrong; c++) {
        chain = c;
        if (first_bad[c] != UINT64_MAX && first_bad[c] >= step) wrong = "first_bad";
        if (wrong || first_bad[c] != UINT64_MAX) continue; /* of a chain that diverged anything is possible */
        if (!good_state(state + c * S, S)) wrong = "state";
        if (!wrong && !good_record(p->batch.moments, sums + c * record)) wrong = "sums";
    }
    if (!wrong) return NSAMP_OK;
    return nsamp_fail(
        err, NSAMP_EIO,
        "%s: its %s (chain %llu) is none that this run can have reached; start without run.resume",
        p->checkpoint_path, wrong, (unsigned long long)chain);
}
