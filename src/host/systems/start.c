/* start.c: starting points, from noise of NSAMP_PURPOSE_START. */
#include "systems/start.h"

#include <stdio.h>
#include <string.h>

void nsamp_start_describe(nsamp_model *m, int kind, double scale) {
    char *const law = m->start_law;
    const size_t size = sizeof m->start_law;
    if (kind == NSAMP_START_ZERO)
        snprintf(law, size, "zero");
    else if (kind == NSAMP_START_NORMAL)
        snprintf(law, size, "normal, standard deviation %g", scale);
    else if (kind == NSAMP_START_UNIFORM)
        snprintf(law, size, "uniform from %g to %g", -scale, scale);
    else
        snprintf(law, size, "target: an exact draw for each chain");
}

nsamp_status nsamp_start_choose(const nsamp_job *job, nsamp_model *m, nsamp_error *err) {
    const char *start = nsamp_job_text(job, NSAMP_KEY_run_start);
    const bool draws = m->target && m->target->ops->draw;
    m->start_scale = nsamp_job_real(job, NSAMP_KEY_run_start_scale);
    if (!strcmp(start, "target") && !draws)
        return nsamp_job_fail(job, NSAMP_KEY_run_start, err,
                              "no exact draws here; valid: zero, normal, uniform");
    m->start_kind = !strcmp(start, "zero")      ? NSAMP_START_ZERO
                    : !strcmp(start, "normal")  ? NSAMP_START_NORMAL
                    : !strcmp(start, "uniform") ? NSAMP_START_UNIFORM
                    : !strcmp(start, "target")  ? NSAMP_START_TARGET
                    : draws                     ? NSAMP_START_TARGET
                                                : NSAMP_START_NORMAL;
    nsamp_start_describe(m, m->start_kind, m->start_scale);
    return NSAMP_OK;
}

void nsamp_start_point(const nsamp_model *m, nsamp_noise_key key, uint32_t chain, double *x) {
    if (m->start_kind == NSAMP_START_TARGET) {
        m->target->ops->draw(m->target, key, NSAMP_PURPOSE_START, chain, x);
        return;
    }
    for (size_t d = 0; d < m->dim; d += 4) {
        float v[4] = {0};
        if (m->start_kind == NSAMP_START_NORMAL) {
            nsamp_normals4(key, NSAMP_PURPOSE_START, chain, 0, (uint32_t)(d / 4), v);
        } else if (m->start_kind == NSAMP_START_UNIFORM) {
            const nsamp_words w = nsamp_draw_words(key, NSAMP_PURPOSE_START, chain, 0, (uint32_t)(d / 4));
            for (int k = 0; k < 4; k++)
                v[k] = 2.0f * nsamp_uniform(w.w[k]) - 1.0f;
        }
        for (size_t k = 0; k < 4 && d + k < m->dim; k++)
            x[d + k] = m->start_scale * (double)v[k];
    }
}
