/*
 * Stops a run half-way: the function returns SHIFTMAP_ERR_CANCELLED and no output is left behind.
 *
 *   cc -o cancel cancel.c $(pkg-config --cflags --libs shiftmap)
 *   ./cancel pre.tif post.tif map.tif
 */
#include <shiftmap.h>

#include <stdio.h>

struct watch {
    double stop_at;
    double reached;
};

static int progress(double fraction, const char *message, void *userdata)
{
    struct watch *watch = userdata;
    (void)message;
    watch->reached = fraction;
    return fraction < watch->stop_at;
}

int main(int argc, char **argv)
{
    struct watch watch = {0.3, 0.0};
    const char *options[] = {"STEP=4", NULL};
    shiftmap_context *ctx;
    int code;

    if (argc != 4) {
        fprintf(stderr, "usage: cancel PRE POST DST\n");
        return 2;
    }
    ctx = shiftmap_context_new();
    code = shiftmap_displacement(ctx, argv[1], argv[2], argv[3], options, progress, &watch);
    printf("stopped at %.0f %%: code %d, %s\n", 100.0 * watch.reached, code, shiftmap_last_error(ctx));
    shiftmap_context_free(ctx);
    return code == SHIFTMAP_ERR_CANCELLED ? 0 : 1;
}
