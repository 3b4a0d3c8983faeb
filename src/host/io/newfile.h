/* newfile.h: a file that appears under its final name whole, or not at all: written under a temporary name in
 * the same folder, synced, renamed, the folder synced. Not here: what is in the file. */
#ifndef NSAMP_HOST_IO_NEWFILE_H
#define NSAMP_HOST_IO_NEWFILE_H

#include <stdbool.h>
#include <sys/types.h>
#include "job/job.h"

typedef struct nsamp_newfile {
    char *path, *temp; /* owned; NULL when nothing is under way */
    bool overwrite;
    bool keep;  /* the temporary file outlives a failure; set by the caller */
    bool quick; /* not synced: for files that nobody needs after a crash; set by the caller */
    dev_t device;
    ino_t inode; /* of the temporary file: what is given its name is what was begun */
} nsamp_newfile;

/* Can path be written? Writes nothing. NSAMP_EUSAGE: an existing path without overwrite, a folder, a link or anything
 * else that is not a plain file, a missing folder. NSAMP_EIO: no permission, or the system's reason. err =
 * "PATH: what is wrong". */
nsamp_status nsamp_newfile_check(const char *path, bool overwrite, nsamp_error *err);

/* The same for the file that a key names, overwrite being another key: err = "ORIGIN: section.key = PATH: what is
 * wrong", with the key that would allow it. */
nsamp_status nsamp_newfile_check_key(const nsamp_job *job, nsamp_key file, nsamp_key overwrite,
                                     nsamp_error *err);

/* Checks as above, sweeps (below) and creates the empty temporary file f->temp, with the permissions of an existing path. On
 * failure f holds nothing. */
nsamp_status nsamp_newfile_begin(const char *path, bool overwrite, nsamp_newfile *f, nsamp_error *err);
/* The same with a temporary file that later processes find again: f->temp = path and suffix. old: it is there, and is left as
 * it is (whether it is there is for the caller to see); otherwise it is created empty, whatever was there. */
nsamp_status nsamp_newfile_begin_as(const char *path, const char *suffix, bool overwrite, bool old,
                                    nsamp_newfile *f, nsamp_error *err);
/* Sets space for `bytes` bytes aside on the disk, for f->temp as a whole, whose size stays. For libraries
 * that do not take a full disk well: they are not started where this fails (NSAMP_EIO). Where the file system
 * cannot set space aside, looks at what is free. What is not used is given back by commit. */
nsamp_status nsamp_newfile_reserve(const nsamp_newfile *f, uint64_t bytes, nsamp_error *err);
/* Makes sure that f->temp is still the file that was begun. Where somebody removed its name, it is made again: with what the
 * descriptor fd can still read of it, or empty (fd -1); *again says so. NSAMP_EIO: another file has the name, or there is
 * no room. */
nsamp_status nsamp_newfile_mend(nsamp_newfile *f, int fd, bool *again, nsamp_error *err);
/* f->temp, complete and closed by the caller, becomes f->path: fsync, rename, fsync of the folder. Without
 * overwrite a path that somebody else made meanwhile is kept (NSAMP_EUSAGE); a temporary file that is no longer the one
 * that was begun is not touched (NSAMP_EIO). On failure the temporary file is removed unless f->keep. f holds nothing after.
 * NSAMP_OK once f->path is the whole file: where its folder cannot be synced after that, err says so (nsamp_note). */
nsamp_status nsamp_newfile_commit(nsamp_newfile *f, nsamp_error *err);
/* Removes the temporary file unless f->keep. f holds nothing after; an f that holds nothing is allowed. */
void nsamp_newfile_abandon(nsamp_newfile *f);

/* Removes the temporary files for path that killed processes of this machine left behind. */
void nsamp_newfile_sweep(const char *path);

/* Syncs the folder of path, so that a rename in it lasts. Systems that cannot sync folders are forgiven. */
nsamp_status nsamp_sync_folder(const char *path, nsamp_error *err);

#endif
