/* png.h: images as a grid in a grey PNG file. Not here: figures with axes (gnuplot). */
#ifndef NSAMP_HOST_IO_PNG_H
#define NSAMP_HOST_IO_PNG_H

#include <stdbool.h>
#include "nsamp.h"

typedef struct nsamp_grid {
    size_t rows, columns; /* cells */
    size_t height, width; /* pixels of an image */
    size_t zoom;          /* screen pixels a pixel, 1 to 64 */
    size_t gap;           /* screen pixels between cells and around them, 0 to 64 */
    double white;         /* value that is drawn white, 0 is black; 0: each image by its own maximum */
    bool invert;          /* dark on light */
} nsamp_grid;

/* images [count][height][width], row by row; cells beyond count stay background, images beyond rows x columns
 * are left out. Values are clipped; what is not finite is drawn mid-grey. Temporary file, sync, rename;
 * overwrite: replace an existing file. NSAMP_EUSAGE for a path that cannot be or a picture wider or higher
 * than 32767; NSAMP_EIO. */
nsamp_status nsamp_png_write(const char *path, const nsamp_grid *grid, const float *images, size_t count,
                             bool overwrite, nsamp_error *err);

#endif
