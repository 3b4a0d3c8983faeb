/* datadir.h: where the built-in data is. */
#ifndef NSAMP_HOST_IO_DATADIR_H
#define NSAMP_HOST_IO_DATADIR_H

/* The folder that holds mnist/: the environment's NSAMP_DATA; else data/ of the source tree that this was
 * built from, if it is still there; else where `make install` put the data, if it is there; else NULL. A
 * constant, or the environment's. */
const char *nsamp_data_dir(void);

#endif
