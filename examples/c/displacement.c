/*
 * Displacement between two image files, with progress on the terminal; Ctrl-C stops it and leaves nothing behind.
 *
 *   cc -o displacement displacement.c $(pkg-config --cflags --libs shiftmap)
 *   ./displacement pre.tif post.tif map.tif WINDOW=64 STEP=16
 */
#include <shiftmap.h>

#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t interrupted = 0;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* GDALTermProgress would do as well. */
static int progress(double fraction, const char *message, void *userdata)
{
    (void)userdata;
    fprintf(stderr, "\r%3.0f %% %-24s", 100.0 * fraction, message);
    return !interrupted;
}

static void message(int level, const char *text, void *userdata)
{
    (void)level;
    (void)userdata;
    fprintf(stderr, "\r%s\n", text);
}

int main(int argc, char **argv)
{
    shiftmap_context *ctx;
    int code;

    if (argc < 4) {
        fprintf(stderr, "usage: displacement PRE POST DST [KEY=VALUE ...]\n");
        return 2;
    }
    ctx = shiftmap_context_new();
    if (ctx == NULL)
        return 1;
    signal(SIGINT, on_signal);
    shiftmap_set_log(ctx, message, NULL);
    /* argv ends with NULL, as a list of options does. */
    code = shiftmap_displacement(ctx, argv[1], argv[2], argv[3], (const char *const *)(argv + 4), progress, NULL);
    fprintf(stderr, "\n");
    if (code != SHIFTMAP_OK)
        fprintf(stderr, "error %d: %s\n", code, shiftmap_last_error(ctx));
    shiftmap_context_free(ctx);
    return code == SHIFTMAP_OK ? 0 : 1;
}
