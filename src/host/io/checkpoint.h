/* checkpoint.h: named sections of bytes in a file that survives a kill at any moment. What the sections hold
 * is up to the caller (the engine: state, accumulators; the trainer: weights, Adam moments, batch counter).
 *
 * The file, in the machine's byte order (another order is refused):
 *   header   char magic[8] "NSAMPCKP"; uint32 order 0x01020304; uint32 version 3, another for each layout of this
 *            file and each version of the noise (docs/noise.md); uint64 0, step, bytes of the file; uint32 count;
 *            uint32 crc32 of header and table, this field taken as 0
 *   table    count times: char name[40] (zero-padded); uint64 offset, bytes; uint32 crc32 of the data; uint32 0
 *   data     each section at a multiple of 64 bytes, zeros between; the first is "job", the identity of the job
 *            (job.h), with which the job that goes on must agree
 *
 * A new checkpoint is written beside the old one and synced; then the old one becomes PATH.prev and the new
 * one PATH. So at every moment PATH or PATH.prev is whole, and a PATH that a disk damaged later still has
 * PATH.prev behind it. */
#ifndef NSAMP_HOST_IO_CHECKPOINT_H
#define NSAMP_HOST_IO_CHECKPOINT_H

#include <stdbool.h>
#include "nsamp.h"

enum { NSAMP_SECTION_NAME = 40, NSAMP_SECTIONS_MAX = 1024 };

typedef struct nsamp_section {
    const char *name; /* shorter than NSAMP_SECTION_NAME, unique */
    const void *data;
    size_t bytes; /* may be 0 */
} nsamp_section;

/* identity: of the job; step: how far it got. NSAMP_EIO (disk full, no folder...): the previous checkpoint is
 * still there. */
nsamp_status nsamp_checkpoint_save(const char *path, const char *identity, uint64_t step,
                                   const nsamp_section *sections, size_t count, nsamp_error *err);

typedef struct nsamp_checkpoint nsamp_checkpoint;

/* Opens PATH, or PATH.prev where PATH is missing or damaged (a damaged PATH is renamed to PATH.damaged), and
 * verifies every checksum. No checkpoint at all: NSAMP_OK with *checkpoint NULL. Both damaged: NSAMP_EIO.
 * Another identity: NSAMP_EUSAGE, which names a key that differs. */
nsamp_status nsamp_checkpoint_open(const char *path, const char *identity, nsamp_checkpoint **checkpoint,
                                   nsamp_error *err);
/* For a run that is to begin anew: what is there, in words ("the checkpoint out.nc.ckpt of step 1200") -> text; empty where there
 * is no PATH and no PATH.prev. Changes nothing. */
void nsamp_checkpoint_look(const char *path, char *text, size_t size);
uint64_t nsamp_checkpoint_step(const nsamp_checkpoint *checkpoint);
/* Empty, or one line that says why PATH.prev was taken; owned by checkpoint. To be shown to the user. */
const char *nsamp_checkpoint_note(const nsamp_checkpoint *checkpoint);
bool nsamp_checkpoint_has(const nsamp_checkpoint *checkpoint, const char *name);
/* Bytes of a section; 0 where there is none. */
size_t nsamp_checkpoint_bytes(const nsamp_checkpoint *checkpoint, const char *name);
/* Reads section name into data [bytes], verified. NSAMP_EIO when it is missing or has another size. */
nsamp_status nsamp_checkpoint_read(nsamp_checkpoint *checkpoint, const char *name, void *data, size_t bytes,
                                   nsamp_error *err);
void nsamp_checkpoint_close(nsamp_checkpoint *checkpoint);
/* Removes PATH and PATH.prev, of a job that is done. */
void nsamp_checkpoint_remove(const char *path);

#endif
