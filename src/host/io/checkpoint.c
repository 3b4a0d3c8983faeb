/* checkpoint.c: see checkpoint.h, which describes the file. */
#include "checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "error.h"
#include "job/job.h"
#include "newfile.h"
#include "plainfile.h"

static const char MAGIC[8] = "NSAMPCKP";
enum { ORDER = 0x01020304, VERSION = 3, ALIGN = 64 };
static const char JOB[] = "job"; /* the section with the identity */
/* A path that goes on with other noise than it began with would be neither version's. */
_Static_assert(NSAMP_NOISE_VERSION == 2, "another version of the noise: another VERSION");

typedef struct header {
    char magic[8];
    uint32_t order, version;
    uint64_t zero, step, bytes;
    uint32_t count, crc;
} header;

typedef struct entry {
    char name[NSAMP_SECTION_NAME];
    uint64_t offset, bytes;
    uint32_t crc, zero;
} entry;

_Static_assert(sizeof(header) == 48 && sizeof(entry) == 64, "the layout on disk has no padding");

struct nsamp_checkpoint {
    FILE *file;
    char *path; /* the one that is open */
    header head;
    entry *table;
    char note[600];
    char buffer[1 << 16]; /* for data that is only verified */
};

static uint32_t crc_of(const void *data, size_t bytes) {
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, bytes);
}

static uint32_t head_crc(header head, const entry *table) {
    head.crc = 0;
    uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *)&head, sizeof head);
    return (uint32_t)crc32_z(crc, (const Bytef *)table, head.count * sizeof *table);
}

static uint64_t aligned(uint64_t offset) {
    return (offset + ALIGN - 1) / ALIGN * ALIGN;
}

/* path and ending, malloc'ed. */
static char *with_ending(const char *path, const char *ending) {
    const size_t size = strlen(path) + strlen(ending) + 1;
    char *name = malloc(size);
    if (name) snprintf(name, size, "%s%s", path, ending);
    return name;
}

/* ---- writing ---- */

static bool write_file(FILE *f, const header *head, const entry *table, const nsamp_section *sections) {
    static const char zeros[ALIGN];
    uint64_t at = sizeof *head + head->count * sizeof *table;
    bool good = fwrite(head, sizeof *head, 1, f) == 1;
    good = good && fwrite(table, sizeof *table, head->count, f) == head->count;
    for (uint32_t i = 0; good && i < head->count; i++) {
        const size_t gap = (size_t)(table[i].offset - at);
        good = fwrite(zeros, 1, gap, f) == gap;
        good = good &&
               (!sections[i].bytes || fwrite(sections[i].data, 1, sections[i].bytes, f) == sections[i].bytes);
        at = table[i].offset + table[i].bytes;
    }
    return good && !fflush(f) && !fsync(fileno(f));
}

/* The file at path, if any, becomes PATH.prev. */
static nsamp_status keep_previous(const char *path, nsamp_error *err) {
    char *prev = with_ending(path, ".prev");
    if (!prev) return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its name", path);
    nsamp_status status = NSAMP_OK;
    if (rename(path, prev) && errno != ENOENT)
        status = nsamp_fail(err, NSAMP_EIO, "%s: cannot be renamed to %s: %s", path, prev, strerror(errno));
    free(prev);
    return status;
}

/* The sections with the identity before them, malloc'ed. */
static nsamp_section *with_identity(const char *identity, const nsamp_section *sections, size_t count) {
    nsamp_section *all = malloc((count + 1) * sizeof *all);
    if (!all) return NULL;
    all[0] = (nsamp_section){JOB, identity, strlen(identity)};
    memcpy(all + 1, sections, count * sizeof *all);
    return all;
}

static nsamp_status save(const char *path, uint64_t step, const nsamp_section *sections, size_t count,
                         entry *table, nsamp_error *err) {
    header head = {.order = ORDER, .version = VERSION, .step = step, .count = (uint32_t)count};
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    head.bytes = sizeof head + count * sizeof *table;
    for (size_t i = 0; i < count; i++) {
        snprintf(table[i].name, sizeof table[i].name, "%s", sections[i].name);
        table[i].offset = aligned(head.bytes);
        table[i].bytes = sections[i].bytes;
        table[i].crc = sections[i].bytes ? crc_of(sections[i].data, sections[i].bytes) : crc_of("", 0);
        head.bytes = table[i].offset + table[i].bytes;
    }
    head.crc = head_crc(head, table);

    nsamp_newfile new = {0};
    nsamp_status status = nsamp_newfile_begin(path, true, &new, err);
    if (status) return status;
    FILE *f = fopen(new.temp, "wb");
    bool good = f && write_file(f, &head, table, sections);
    int why = errno;
    if (f && fclose(f) && good) {
        why = errno;
        good = false;
    }
    if (!good)
        status = nsamp_fail(err, NSAMP_EIO, "%s: the checkpoint cannot be written: %s", path, strerror(why));
    if (!status) status = keep_previous(path, err);
    if (!status) return nsamp_newfile_commit(&new, err);
    nsamp_newfile_abandon(&new);
    return status;
}

nsamp_status nsamp_checkpoint_save(const char *path, const char *identity, uint64_t step,
                                   const nsamp_section *sections, size_t count, nsamp_error *err) {
    if (count >= NSAMP_SECTIONS_MAX)
        return nsamp_fail(err, NSAMP_EINTERNAL, "%zu sections in a checkpoint, at most %d", count,
                          NSAMP_SECTIONS_MAX - 1);
    nsamp_section *all = with_identity(identity, sections, count);
    entry *table = calloc(count + 1, sizeof *table);
    const nsamp_status status =
        all && table ? save(path, step, all, count + 1, table, err)
                     : nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory for the head of a checkpoint", path);
    free(all);
    free(table);
    return status;
}

/* ---- reading ---- */

static void release(nsamp_checkpoint *c) {
    if (!c) return;
    if (c->file) fclose(c->file);
    free(c->path);
    free(c->table);
    free(c);
}

/* Reads the bytes of a section, to data or to nowhere (NULL), and compares the checksum. */
static nsamp_status read_section(nsamp_checkpoint *c, const entry *e, char *data, nsamp_error *err) {
    uLong crc = crc32_z(0, NULL, 0);
    if (fseeko(c->file, (off_t)e->offset, SEEK_SET))
        return nsamp_fail(err, NSAMP_EIO, "%s: %s", c->path, strerror(errno));
    for (uint64_t done = 0; done < e->bytes;) {
        const uint64_t left = e->bytes - done;
        const size_t piece = left < sizeof c->buffer ? (size_t)left : sizeof c->buffer;
        char *to = data ? data + done : c->buffer;
        if (fread(to, 1, piece, c->file) != piece)
            return nsamp_fail(err, NSAMP_EIO, "%s: the checkpoint is cut short in section %s", c->path,
                              e->name);
        crc = crc32_z(crc, (const Bytef *)to, piece);
        done += piece;
    }
    if ((uint32_t)crc != e->crc)
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: the checkpoint is damaged in section %s (checksum %08x, stored %08x)", c->path,
                          e->name, (unsigned)crc, (unsigned)e->crc);
    return NSAMP_OK;
}

static nsamp_status read_head(nsamp_checkpoint *c, nsamp_error *err) {
    header *h = &c->head;
    struct stat st;
    if (fstat(fileno(c->file), &st)) return nsamp_fail(err, NSAMP_EIO, "%s: %s", c->path, strerror(errno));
    if (fread(h, sizeof *h, 1, c->file) != 1)
        return nsamp_fail(err, NSAMP_EIO, "%s: %lld bytes are too few for a checkpoint", c->path,
                          (long long)st.st_size);
    if (memcmp(h->magic, MAGIC, sizeof MAGIC))
        return nsamp_fail(err, NSAMP_EIO, "%s: is not a checkpoint of nsamp", c->path);
    if (h->order != ORDER)
        return nsamp_fail(err, NSAMP_EIO, "%s: the checkpoint comes from a machine of the other byte order",
                          c->path);
    if (h->version == 1 || h->version == 2) /* whole, so not to be put aside as damaged */
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "%s: was written by an earlier nsamp (checkpoints of version %u, this one writes %d); "
            "finish it with that",
            c->path, (unsigned)h->version, VERSION);
    if (h->version != VERSION)
        return nsamp_fail(err, NSAMP_EIO, "%s: checkpoint version %u, this program reads %d", c->path,
                          (unsigned)h->version, VERSION);
    if (h->count > NSAMP_SECTIONS_MAX || h->bytes != (uint64_t)st.st_size ||
        h->bytes < sizeof *h + h->count * sizeof *c->table)
        return nsamp_fail(err, NSAMP_EIO, "%s: %lld bytes, but the checkpoint says %llu bytes in %u sections",
                          c->path, (long long)st.st_size, (unsigned long long)h->bytes, (unsigned)h->count);
    c->table = calloc(h->count + 1, sizeof *c->table);
    if (!c->table) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a checkpoint");
    if (fread(c->table, sizeof *c->table, h->count, c->file) != h->count || head_crc(*h, c->table) != h->crc)
        return nsamp_fail(err, NSAMP_EIO, "%s: the head of the checkpoint is damaged", c->path);
    for (uint32_t i = 0; i < h->count; i++) {
        entry *e = &c->table[i];
        if (e->offset > h->bytes || e->bytes > h->bytes - e->offset || !memchr(e->name, 0, sizeof e->name))
            return nsamp_fail(err, NSAMP_EIO, "%s: the table of the checkpoint is damaged", c->path);
    }
    return NSAMP_OK;
}

/* That the checkpoint is of the job with this identity. */
static nsamp_status compare_job(nsamp_checkpoint *c, const char *identity, nsamp_error *err) {
    const size_t bytes = nsamp_checkpoint_bytes(c, JOB);
    char *there = malloc(bytes + 1), difference[512];
    if (!there) return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its job (%zu bytes)", c->path, bytes);
    nsamp_status status = nsamp_checkpoint_read(c, JOB, there, bytes, err);
    there[status ? 0 : bytes] = 0;
    if (!status && strcmp(there, identity)) {
        nsamp_identity_difference(there, identity, difference, sizeof difference);
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: belongs to another job: %s", c->path, difference);
    }
    free(there);
    return status;
}

/* Opens one file and reads its head and table. *found: it is there. */
static nsamp_status open_head(const char *path, bool *found, nsamp_checkpoint **checkpoint,
                              nsamp_error *err) {
    *checkpoint = NULL;
    int fd;
    const nsamp_status opened = nsamp_open_own(path, &fd, err);
    *found = !opened || errno != ENOENT;
    if (opened) return *found ? opened : NSAMP_OK;
    nsamp_checkpoint *c = calloc(1, sizeof *c);
    if (c) {
        c->file = fdopen(fd, "rb");
        c->path = strdup(path);
    }
    if (!c || !c->file) close(fd);
    const nsamp_status status = c && c->file && c->path
                                    ? read_head(c, err)
                                    : nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory to read it", path);
    if (status)
        release(c);
    else
        *checkpoint = c;
    return status;
}

/* Opens and verifies one file. */
static nsamp_status open_one(const char *path, const char *identity, bool *found,
                             nsamp_checkpoint **checkpoint, nsamp_error *err) {
    nsamp_checkpoint *c;
    nsamp_status status = open_head(path, found, &c, err);
    if (!status && c) status = compare_job(c, identity, err);
    for (uint32_t i = 0; !status && c && i < c->head.count; i++)
        status = read_section(c, &c->table[i], NULL, err);
    *checkpoint = status ? NULL : c;
    if (status) release(c);
    return status;
}

/* A damaged file is put aside: as PATH it would become PATH.prev at the next save, in the place of the good
 * one. */
static void put_aside(const char *path) {
    char *aside = with_ending(path, ".damaged");
    if (aside) rename(path, aside);
    free(aside);
}

nsamp_status nsamp_checkpoint_open(const char *path, const char *identity, nsamp_checkpoint **checkpoint,
                                   nsamp_error *err) {
    bool found = false, prev_found = false;
    nsamp_error first = {0};
    nsamp_status status = open_one(path, identity, &found, checkpoint, &first);
    if (found && status != NSAMP_EIO) {
        if (status) nsamp_fail(err, status, "%s", first.text);
        return status;
    }
    char *prev = with_ending(path, ".prev");
    if (!prev) return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its name", path);
    status = open_one(prev, identity, &prev_found, checkpoint, err);
    if (*checkpoint) {
        snprintf((*checkpoint)->note, sizeof(*checkpoint)->note, "%.300s%s; going on from %.200s",
                 found ? first.text : path, found ? "" : ": is missing", prev);
        if (found) put_aside(path);
    }
    if (!*checkpoint && found)
        status = nsamp_fail(err, NSAMP_EIO, "%s%s", first.text,
                            prev_found ? "; so is the one before it (.prev)" : "");
    free(prev);
    return status;
}

void nsamp_checkpoint_look(const char *path, char *text, size_t size) {
    char *prev = with_ending(path, ".prev");
    const char *const names[] = {path, prev ? prev : path};
    *text = 0;
    for (int i = 0; i < 2 && !*text; i++) {
        nsamp_checkpoint *c = NULL;
        struct stat st;
        bool found = false;
        if (lstat(names[i], &st) && errno == ENOENT) continue;
        if (open_head(names[i], &found, &c, NULL))
            snprintf(text, size, "a checkpoint that cannot be read, %s,", names[i]);
        else if (c)
            snprintf(text, size, "the checkpoint %s of step %llu", names[i],
                     (unsigned long long)c->head.step);
        release(c);
    }
    free(prev);
}

static const entry *find(const nsamp_checkpoint *c, const char *name) {
    for (uint32_t i = 0; i < c->head.count; i++)
        if (!strcmp(c->table[i].name, name)) return &c->table[i];
    return NULL;
}

uint64_t nsamp_checkpoint_step(const nsamp_checkpoint *c) {
    return c->head.step;
}

const char *nsamp_checkpoint_note(const nsamp_checkpoint *c) {
    return c->note;
}

bool nsamp_checkpoint_has(const nsamp_checkpoint *c, const char *name) {
    return find(c, name) != NULL;
}

size_t nsamp_checkpoint_bytes(const nsamp_checkpoint *c, const char *name) {
    const entry *e = find(c, name);
    return e ? (size_t)e->bytes : 0;
}

nsamp_status nsamp_checkpoint_read(nsamp_checkpoint *c, const char *name, void *data, size_t bytes,
                                   nsamp_error *err) {
    const entry *e = find(c, name);
    if (!e || e->bytes != bytes)
        return nsamp_fail(err, NSAMP_EIO, "%s: section %s has %llu bytes, %zu are expected", c->path, name,
                          e ? (unsigned long long)e->bytes : 0ull, bytes);
    return read_section(c, e, data, err);
}

void nsamp_checkpoint_close(nsamp_checkpoint *c) {
    release(c);
}

void nsamp_checkpoint_remove(const char *path) {
    char *prev = with_ending(path, ".prev");
    unlink(path);
    if (prev) unlink(prev);
    nsamp_newfile_sweep(path);
    free(prev);
}
