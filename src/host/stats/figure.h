/* figure.h: a figure drawn by gnuplot: house style, data, running gnuplot, the file in place whole or not at
 * all. Not here: what the figures show (plot_*.c). */
#ifndef NSAMP_HOST_STATS_FIGURE_H
#define NSAMP_HOST_STATS_FIGURE_H

#include <stdio.h>
#include "io/newfile.h"
#include "nsamp.h"

/* One palette for all figures, safe for the colour-blind [Okabe and Ito 2008]: what was sampled is blue, what
 * should have been is orange, whatever the figure. */
#define NSAMP_BLUE   "#0072B2"
#define NSAMP_ORANGE "#D55E00"
#define NSAMP_SKY    "#56B4E9"
#define NSAMP_GREEN  "#009E73"
#define NSAMP_PURPLE "#CC79A7"
#define NSAMP_PALE   "#C9E3F3"
/* White to blue, for densities. */
#define NSAMP_DENSITY "defined (0 '#FFFFFF', 0.15 '#DCEAF4', 0.4 '#7FB5D8', 0.7 '#0072B2', 1 '#053A5F')"

typedef struct nsamp_figure {
    FILE *script; /* gnuplot commands go here, with data blocks: "$name << EOD" ... "EOD" */
    char *path;   /* of the script, a temporary file */
    nsamp_newfile file;
} nsamp_figure;

/* Starts a figure of width x height (units of 100 screen pixels of the PNG; 1 inch of the PDF) at `out`,
 * which ends in .png, .svg or .pdf (NSAMP_EUSAGE otherwise), and writes the house style. A figure that exists
 * is replaced. */
nsamp_status nsamp_figure_begin(nsamp_figure *f, const char *out, double width, double height,
                                nsamp_error *err);
/* Runs gnuplot and puts the file in place. NSAMP_EIO: gnuplot is missing, or failed with ... f holds nothing
 * after. */
nsamp_status nsamp_figure_end(nsamp_figure *f, nsamp_error *err);
void nsamp_figure_abandon(nsamp_figure *f);

/* text as a gnuplot string in single quotes. */
void nsamp_figure_quote(FILE *script, const char *text);
/* Place of a panel as fractions of the page: axes from (left, bottom) to (right, top). Resets ranges and
 * labels. */
void nsamp_figure_panel(nsamp_figure *f, double left, double right, double bottom, double top);

#endif
