/* png.c: see png.h. */
#include "png.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "newfile.h"

static const size_t SIDE_MAX = 32767;

/* Largest finite value; 0 if none is positive. */
static double largest(const float *image, size_t pixels) {
    double top = 0;
    for (size_t i = 0; i < pixels; i++)
        if (isfinite(image[i]) && (double)image[i] > top) top = (double)image[i];
    return top;
}

static unsigned char shade(double value, double white, bool invert) {
    if (!isfinite(value)) return 128;
    const double t = white > 0 ? value / white : 0, clipped = t < 0 ? 0 : t > 1 ? 1 : t;
    return (unsigned char)lrint(255 * (invert ? 1 - clipped : clipped));
}

static void draw(const nsamp_grid *g, const float *image, unsigned char *corner, size_t stride) {
    const double white = g->white > 0 ? g->white : largest(image, g->height * g->width);
    for (size_t y = 0; y < g->height * g->zoom; y++)
        for (size_t x = 0; x < g->width * g->zoom; x++)
            corner[y * stride + x] =
                shade((double)image[y / g->zoom * g->width + x / g->zoom], white, g->invert);
}

/* Side of the picture in screen pixels; 0 when it is too large. */
static size_t side(size_t cells, size_t pixels, const nsamp_grid *g) {
    if (!cells || !pixels || cells > SIDE_MAX || pixels > SIDE_MAX || !g->zoom || g->zoom > 64 || g->gap > 64)
        return 0;
    const size_t n = cells * (pixels * g->zoom + g->gap) + g->gap;
    return n > SIDE_MAX ? 0 : n;
}

static nsamp_status write_png(const char *temp, const char *path, const unsigned char *canvas, size_t height,
                              size_t width, nsamp_error *err) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_GRAY};
    FILE *f = fopen(temp, "wb");
    errno = 0;
    bool good = f && png_image_write_to_stdio(&image, f, 0, canvas, (png_int_32)width, NULL);
    const int why = errno;
    if (f && fclose(f)) good = false;
    if (good) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EIO, "%s: cannot be written: %s", path, why ? strerror(why) : image.message);
}

nsamp_status nsamp_png_write(const char *path, const nsamp_grid *g, const float *images, size_t count,
                             bool overwrite, nsamp_error *err) {
    const size_t height = side(g->rows, g->height, g), width = side(g->columns, g->width, g);
    if (!height || !width)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "%s: a grid of %zu x %zu images of %zu x %zu, zoom %zu, gap %zu; valid: 1 to %zu pixels a side",
            path, g->rows, g->columns, g->height, g->width, g->zoom, g->gap, SIDE_MAX);
    nsamp_newfile new;
    nsamp_status status = nsamp_newfile_begin(path, overwrite, &new, err);
    if (status) return status;
    unsigned char *canvas = malloc(height * width);
    if (canvas) {
        memset(canvas, g->invert ? 255 : 0, height * width);
        for (size_t i = 0; i < count && i < g->rows * g->columns; i++) {
            const size_t y = g->gap + i / g->columns * (g->height * g->zoom + g->gap);
            const size_t x = g->gap + i % g->columns * (g->width * g->zoom + g->gap);
            draw(g, images + i * g->height * g->width, canvas + y * width + x, width);
        }
        status = write_png(new.temp, path, canvas, height, width, err);
    } else {
        status = nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory for a picture of %zu x %zu", path, height,
                            width);
    }
    free(canvas);
    if (!status) return nsamp_newfile_commit(&new, err);
    nsamp_newfile_abandon(&new);
    return status;
}
