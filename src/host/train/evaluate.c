/* evaluate.c: how good the network is: the loss of held-out rows, and the distance to the target's own score.
 */
#include <math.h>
#include <stdlib.h>
#include "error.h"
#include "train/training.h"

double nsamp_train_held_out(nsamp_training *t) {
    const nsamp_source *s = t->source;
    const nsamp_level level = nsamp_level_of(t, t->at.level);
    double sum = 0;
    if (!s->held_out) return NAN;
    for (size_t first = 0; first < s->held_out; first += t->s.batch) {
        const size_t rows = s->held_out - first < t->s.batch ? s->held_out - first : t->s.batch;
        t->learner->ops->loss(t->learner, &level, rows, s->x_held_out + first * s->m,
                              t->eps_held_out + first * s->m, t->row_loss);
        for (size_t r = 0; r < rows; r++)
            sum += t->row_loss[r];
    }
    return sum / (double)s->held_out * s->scale * s->scale;
}

/* |grad log p - s|^2 of one row; s = (f - x) / gain. */
static double row_error(const nsamp_source *s, const float *x, const float *f, double gain, double *point,
                        double *score) {
    double sum = 0;
    for (size_t k = 0; k < s->m; k++)
        point[k] = x[k];
    s->target->ops->score(s->target, point, score);
    for (size_t k = 0; k < s->m; k++) {
        double d = score[k] - ((double)f[k] - point[k]) / gain;
        sum += d * d;
    }
    return sum;
}

nsamp_status nsamp_train_score_error(nsamp_training *t, double *error, nsamp_error *err) {
    const nsamp_source *s = t->source;
    *error = NAN;
    if (!s->target || !s->target->ops->score) return NSAMP_OK;
    const nsamp_level level = nsamp_level_of(t, t->s.levels - 1);
    const double gain = t->s.denoiser ? level.sigma * level.sigma : 1.0;
    double *point = malloc(2 * s->m * sizeof *point), sum = 0;
    if (!point) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the score error");
    for (size_t first = 0; first < s->held_out; first += t->s.batch) {
        const size_t rows = s->held_out - first < t->s.batch ? s->held_out - first : t->s.batch;
        const float *x = s->x_held_out + first * s->m;
        t->learner->ops->forward(t->learner, rows, x, t->x0);
        for (size_t r = 0; r < rows; r++)
            sum += row_error(s, x + r * s->m, t->x0 + r * s->m, gain, point, point + s->m);
    }
    free(point);
    *error = sum / (double)s->held_out;
    return NSAMP_OK;
}
