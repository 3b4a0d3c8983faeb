/* resume.c: checkpoints of a plan. Everything is saved chain by chain, so that a checkpoint moves between
 * backends, lane counts and threads; the container with its checksums is io/checkpoint.h. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/checkpoint.h"

/* The sections, in memory of their own. */
typedef struct canonical {
    float *state;        /* [C][S] */
    uint64_t *first_bad; /* [C] */
    double *sums;        /* [C][record] */
    size_t state_bytes, bad_bytes, sums_bytes, products_bytes;
} canonical;

static nsamp_status allocate(const nsamp_plan *p, canonical *k, nsamp_error *err) {
    const size_t C = p->batch.chains;
    const nsamp_moments *m = p->batch.moments;
    k->state_bytes = C * p->model->state_len * sizeof *k->state;
    k->bad_bytes = C * sizeof *k->first_bad;
    k->sums_bytes = C * nsamp_moments_record_len(m) * sizeof *k->sums;
    k->products_bytes = m->products ? m->groups * m->dim * m->dim * sizeof *m->products : 0;
    k->state = malloc(k->state_bytes);
    k->first_bad = malloc(k->bad_bytes);
    k->sums = malloc(k->sums_bytes);
    if (k->state && k->first_bad && k->sums) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ENOMEM,
                      "%s: no memory for a checkpoint of %zu bytes; fewer run.chains need less",
                      p->checkpoint_path, k->state_bytes + k->bad_bytes + k->sums_bytes);
}

static void release(canonical *k) {
    free(k->state);
    free(k->first_bad);
    free(k->sums);
}

nsamp_status nsamp_plan_save(nsamp_plan *p, nsamp_error *err) {
    const nsamp_batch *b = &p->batch;
    const size_t S = p->model->state_len, L = b->lanes, record = nsamp_moments_record_len(b->moments);
    canonical k = {0};
    nsamp_status status = allocate(p, &k, err);
    if (!status) {
#pragma omp parallel for schedule(static)
        for (uint64_t c = 0; c < b->chains; c++) {
            for (size_t i = 0; i < S; i++)
                k.state[c * S + i] = b->state[((c / L) * S + i) * L + c % L];
            nsamp_moments_get(b->moments, c, k.sums + c * record);
        }
        memcpy(k.first_bad, b->first_bad, k.bad_bytes);
        const nsamp_output_frame *frame = p->out ? nsamp_output_frame_of(p->out) : &p->frame;
        const nsamp_section sections[] = {{"state", k.state, k.state_bytes},
                                          {"first_bad", k.first_bad, k.bad_bytes},
                                          {"sums", k.sums, k.sums_bytes},
                                          {"products", b->moments->products, k.products_bytes},
                                          {"every", &p->accumulate_every, sizeof p->accumulate_every},
                                          {"seconds", &p->seconds, sizeof p->seconds},
                                          {"run_id", p->run_id, NSAMP_RUN_ID},
                                          {"run_id_at", &frame->id_at, sizeof frame->id_at},
                                          {"draw_at", &frame->draw_at, sizeof frame->draw_at},
                                          {"chunks", frame->at, frame->chunks * sizeof *frame->at},
                                          {"frame", frame->data, frame->bytes}};
        status = nsamp_checkpoint_save(p->checkpoint_path, p->identity, p->step, sections,
                                       sizeof sections / sizeof *sections, err);
    }
    release(&k);
    return status;
}

/* Where the draws lie in the output and what it held beside them. */
static nsamp_status read_frame(nsamp_plan *p, nsamp_checkpoint *file, nsamp_error *err) {
    nsamp_output_frame *f = &p->frame;
    const size_t at = nsamp_checkpoint_bytes(file, "chunks");
    f->chunks = at / sizeof *f->at;
    f->bytes = nsamp_checkpoint_bytes(file, "frame");
    f->at = malloc(at + 1);
    f->data = malloc(f->bytes + 1);
    if (!f->at || !f->data)
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for the head of the draws (%zu bytes)",
                          p->checkpoint_path, at + f->bytes);
    nsamp_status status = nsamp_checkpoint_read(file, "chunks", f->at, at, err);
    if (!status) status = nsamp_checkpoint_read(file, "frame", f->data, f->bytes, err);
    if (!status) status = nsamp_checkpoint_read(file, "run_id_at", &f->id_at, sizeof f->id_at, err);
    if (!status) status = nsamp_checkpoint_read(file, "draw_at", &f->draw_at, sizeof f->draw_at, err);
    return status;
}

static nsamp_status read_all(nsamp_plan *p, nsamp_checkpoint *file, canonical *k, nsamp_error *err) {
    nsamp_status status = nsamp_checkpoint_read(file, "state", k->state, k->state_bytes, err);
    if (!status) status = nsamp_checkpoint_read(file, "first_bad", k->first_bad, k->bad_bytes, err);
    if (!status) status = nsamp_checkpoint_read(file, "sums", k->sums, k->sums_bytes, err);
    if (!status && k->products_bytes)
        status = nsamp_checkpoint_read(file, "products", p->batch.moments->products, k->products_bytes, err);
    if (!status) status = nsamp_checkpoint_read(file, "seconds", &p->seconds, sizeof p->seconds, err);
    if (!status)
        status = nsamp_checkpoint_read(file, "every", &p->accumulate_every, sizeof p->accumulate_every, err);
    if (!status) status = nsamp_checkpoint_read(file, "run_id", p->run_id, NSAMP_RUN_ID, err);
    if (!status && p->records) status = read_frame(p, file, err);
    if (!status && !(p->seconds >= 0))
        status = nsamp_fail(err, NSAMP_EIO, "%s: took %g seconds", p->checkpoint_path, p->seconds);
    if (!status && (!p->accumulate_every || p->accumulate_every > p->steps))
        status = nsamp_fail(err, NSAMP_EIO, "%s: accumulates every %llu steps of %llu", p->checkpoint_path,
                            (unsigned long long)p->accumulate_every, (unsigned long long)p->steps);
    return status;
}

/* Puts what was read into the batch. Lanes beyond the last chain repeat it; they are ignored. */
static void distribute(nsamp_plan *p, const canonical *k) {
    nsamp_batch *b = &p->batch;
    const size_t S = p->model->state_len, L = b->lanes, record = nsamp_moments_record_len(b->moments);
#pragma omp parallel for schedule(static)
    for (uint64_t lane = 0; lane < b->tiles * L; lane++) {
        const uint64_t c = lane < b->chains ? lane : b->chains - 1;
        for (size_t i = 0; i < S; i++)
            b->state[((lane / L) * S + i) * L + lane % L] = k->state[c * S + i];
        if (lane < b->chains) nsamp_moments_put(b->moments, c, k->sums + c * record);
    }
    memcpy(b->first_bad, k->first_bad, k->bad_bytes);
}

nsamp_status nsamp_plan_restore(nsamp_plan *p, bool *found, char *note, size_t size, nsamp_error *err) {
    *found = false;
    *note = 0;
    nsamp_checkpoint *file = NULL;
    nsamp_status status = nsamp_checkpoint_open(p->checkpoint_path, p->identity, &file, err);
    if (status || !file) return status;
    canonical k = {0};
    status = allocate(p, &k, err);
    if (!status) status = read_all(p, file, &k, err);
    const uint64_t step = nsamp_checkpoint_step(file);
    if (!status && step > p->steps)
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: holds step %llu, beyond run.steps = %llu",
                            p->checkpoint_path, (unsigned long long)step, (unsigned long long)p->steps);
    if (!status) status = nsamp_plan_check_restored(p, step, k.state, k.first_bad, k.sums, err);
    if (!status) {
        nsamp_moments_set_interval(p->batch.moments, p->accumulate_every, p->steps);
        distribute(p, &k);
        p->step = step;
        nsamp_moments_set_step(p->batch.moments, step);
        const char *why = nsamp_checkpoint_note(file);
        snprintf(note, size, "%s%sgoes on from step %llu of %llu (%s)", why, *why ? "; " : "",
                 (unsigned long long)step, (unsigned long long)p->steps, p->checkpoint_path);
        *found = true;
    }
    release(&k);
    nsamp_checkpoint_close(file);
    return status;
}

void nsamp_plan_forget(nsamp_plan *p) {
    nsamp_checkpoint_remove(p->checkpoint_path);
}
