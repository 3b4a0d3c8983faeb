/* figure.c: the style of the figures and the run of gnuplot. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "stats/figure.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

extern char **environ;

void nsamp_figure_quote(FILE *script, const char *text) {
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', script);
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, script);
    }
    fputc('\'', script);
}

/* gnuplot's terminal for the kind of file that `out` names; false: none. */
static bool terminal(FILE *script, const char *out, double width, double height) {
    const char *dot = strrchr(out, '.');
    if (dot && !strcasecmp(dot, ".png"))
        fprintf(script, "set terminal pngcairo noenhanced size %.0f,%.0f font 'Sans,17' linewidth 1.6\n",
                200 * width, 200 * height);
    else if (dot && !strcasecmp(dot, ".svg"))
        fprintf(script, "set terminal svg noenhanced size %.0f,%.0f font 'Sans,12' background 'white'\n",
                100 * width, 100 * height);
    else if (dot && !strcasecmp(dot, ".pdf"))
        fprintf(script, "set terminal pdfcairo noenhanced size %.2fin,%.2fin font 'Sans,9'\n", width, height);
    else
        return false;
    return true;
}

static void house_style(FILE *script) {
    fputs("set encoding utf8\n"
          "set border 3 linecolor '#444444'\n"
          "set tics out nomirror scale 0.6 textcolor '#222222'\n"
          "set key noautotitle top right reverse Left samplen 2 textcolor '#222222'\n"
          "set style fill solid 1 noborder\n"
          "set palette " NSAMP_DENSITY "\n"
          "unset colorbox\n",
          script);
}

static nsamp_status open_script(nsamp_figure *f, nsamp_error *err) {
    const char *tmp = getenv("TMPDIR");
    const char *named = tmp && *tmp ? tmp : "/tmp";
    char *folder = realpath(
        named, NULL); /* begins with "/": gnuplot takes "<name" for a command, "-name" for an option */
    if (!folder)
        return nsamp_fail(err, NSAMP_EIO, "%s: no temporary file for gnuplot: %s", named, strerror(errno));
    const size_t size = strlen(folder) + sizeof "/nsamp-plot-XXXXXX";
    f->path = malloc(size);
    if (f->path) snprintf(f->path, size, "%s/nsamp-plot-XXXXXX", folder);
    free(folder);
    if (!f->path) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a figure");
    const int fd = mkstemp(f->path);
    if (fd >= 0) f->script = fdopen(fd, "w");
    if (f->script) return NSAMP_OK;
    const int why = errno;
    if (fd >= 0) {
        close(fd);
        unlink(f->path);
    }
    nsamp_fail(err, NSAMP_EIO, "%s: no temporary file for gnuplot: %s", named, strerror(why));
    free(f->path);
    f->path = NULL;
    return NSAMP_EIO;
}

nsamp_status nsamp_figure_begin(nsamp_figure *f, const char *out, double width, double height,
                                nsamp_error *err) {
    memset(f, 0, sizeof *f);
    nsamp_status status = open_script(f, err);
    if (status) return status;
    if (!terminal(f->script, out, width, height))
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: a figure is a .png, .svg or .pdf file", out);
    if (!status) status = nsamp_newfile_begin(out, true, &f->file, err);
    if (status) {
        nsamp_figure_abandon(f);
        return status;
    }
    house_style(f->script);
    return NSAMP_OK;
}

void nsamp_figure_panel(nsamp_figure *f, double left, double right, double bottom, double top) {
    fprintf(f->script,
            "unset title; unset xlabel; unset ylabel; unset logscale; unset label; unset arrow\n"
            "set autoscale; set xtics auto; set ytics auto; set format '%%h'\n"
            "set lmargin at screen %.4f; set rmargin at screen %.4f; set bmargin at screen %.4f; set tmargin "
            "at screen %.4f\n",
            left, right, bottom, top);
}

/* Runs gnuplot on the script, with the picture's file as its output: gnuplot would take "|name" for a
 * command and expand "~". The first line that it says against the script -> said. Returns its exit status,
 * 127 where it cannot be started. */
static int run_gnuplot(const char *script, int picture, char *said, size_t size) {
    int channel[2], ended = 0;
    pid_t child;
    posix_spawn_file_actions_t actions;
    char *const arguments[] = {"gnuplot", "-d", (char *)script, NULL}; /* -d: no ~/.gnuplot */
    *said = 0;
    if (pipe(channel)) return 127;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, picture, 1);
    posix_spawn_file_actions_adddup2(&actions, channel[1], 2);
    posix_spawn_file_actions_addclose(&actions, channel[0]);
    const int rc = posix_spawnp(&child, "gnuplot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(channel[1]);
    if (!rc) {
        FILE *in = fdopen(channel[0], "r");
        char line[512];
        while (in && fgets(line, sizeof line, in)) {
            const char *error = strstr(line, "line ");
            if (!*said && error && strchr(error, ':')) snprintf(said, size, "%s", error);
        }
        if (in)
            fclose(in);
        else
            close(channel[0]);
        while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
        }
    } else {
        close(channel[0]);
    }
    said[strcspn(said, "\n")] = 0;
    return rc ? 127 : WIFEXITED(ended) ? WEXITSTATUS(ended) : 126;
}

/* Whether the file ends as a whole PNG, SVG or PDF does: gnuplot ends well on a disk that is full. */
static bool is_whole(const char *temp, const char *out) {
    char end[16] = "";
    const char *dot = strrchr(out, '.'), *mark = !strcasecmp(dot, ".png")   ? "IEND\xae\x42\x60\x82"
                                                 : !strcasecmp(dot, ".svg") ? "</svg>"
                                                                            : "%%EOF";
    FILE *f = fopen(temp, "rb");
    if (!f) return false;
    size_t n = fseek(f, -(long)(sizeof end - 1), SEEK_END) ? 0 : fread(end, 1, sizeof end - 1, f);
    fclose(f);
    while (n && (end[n - 1] == '\n' || end[n - 1] == '\r'))
        n--;
    const size_t length = strlen(mark);
    return n >= length && !memcmp(end + n - length, mark, length);
}

nsamp_status nsamp_figure_end(nsamp_figure *f, nsamp_error *err) {
    fputs("unset output\n", f->script);
    const bool written = !ferror(f->script) && !fflush(f->script);
    char said[256];
    nsamp_status status = NSAMP_OK;
    if (!written) {
        status = nsamp_fail(err, NSAMP_EIO, "%s: the script for gnuplot cannot be written: %s", f->path,
                            strerror(errno));
    } else {
        const int picture = open(f->file.temp, O_WRONLY | O_TRUNC | O_CLOEXEC),
                  code = picture < 0 ? 126 : run_gnuplot(f->path, picture, said, sizeof said);
        const bool closed = picture >= 0 && !close(picture);
        if (!closed)
            status = nsamp_fail(err, NSAMP_EIO, "%s: cannot be written: %s", f->file.path, strerror(errno));
        else if (code == 127)
            status =
                nsamp_fail(err, NSAMP_EIO, "gnuplot is not installed: figures need it (package gnuplot-nox)");
        else if (code)
            status = nsamp_fail(err, NSAMP_EIO, "%s: gnuplot failed (%d): %s", f->file.path, code,
                                *said ? said : "no message");
        else if (!is_whole(f->file.temp, f->file.path))
            status = nsamp_fail(err, NSAMP_EIO, "%s: gnuplot did not write all of it: is the disk full?",
                                f->file.path);
        else
            status = nsamp_newfile_commit(&f->file, err);
    }
    nsamp_figure_abandon(f);
    return status;
}

void nsamp_figure_abandon(nsamp_figure *f) {
    if (f->script) fclose(f->script);
    if (f->path) unlink(f->path);
    free(f->path);
    nsamp_newfile_abandon(&f->file);
    memset(f, 0, sizeof *f);
}
