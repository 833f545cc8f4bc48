/*
 * Displacement between two arrays in memory: a texture, and the same texture moved by 0.4 pixels to the right and 0.3
 * pixels up. First with planes that the library allocates, then with the caller's own.
 *
 *   cc -o arrays arrays.c $(pkg-config --cflags --libs shiftmap) -lm
 */
#include <shiftmap.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 192, HEIGHT = 160, WAVES = 400 };

/* A sum of many waves, known at every position. */
static double texture(double x, double y)
{
    uint32_t random = 12345;
    double sum = 0.0;
    int i;
    for (i = 0; i < WAVES; i++) {
        double u[3];
        int k;
        for (k = 0; k < 3; k++) {
            random = random * 1664525u + 1013904223u;
            u[k] = random / 4294967296.0;
        }
        sum += cos(1.2 * (u[0] - 0.5) * x + 1.2 * (u[1] - 0.5) * y + 6.2831853 * u[2]);
    }
    return 2000.0 + 25.0 * sum;
}

static shiftmap_image image(const uint16_t *pixels)
{
    shiftmap_image out = {0};
    out.struct_size = sizeof out;
    out.data = pixels;
    out.pixel_type = SHIFTMAP_U16;
    out.width = WIDTH;
    out.height = HEIGHT;
    return out;
}

static void report(const char *title, const shiftmap_field *field)
{
    double east = 0.0, north = 0.0;
    size_t i, valid = 0, cells = field->width * field->height;
    for (i = 0; i < cells; i++) {
        if (!isnan(field->east[i])) {
            east += field->east[i];
            north += field->north[i];
            valid++;
        }
    }
    printf("%s: %lu x %lu cells, first centre (%g, %g), step (%g, %g), %lu valid, mean %+.3f right %+.3f up\n", title,
           (unsigned long)field->width, (unsigned long)field->height, field->first_x, field->first_y, field->step_x,
           field->step_y, (unsigned long)valid, east / (double)valid, north / (double)valid);
}

int main(void)
{
    static uint16_t pre[WIDTH * HEIGHT], post[WIDTH * HEIGHT];
    const char *options[] = {"WINDOW=32", "STEP=16", NULL};
    shiftmap_context *ctx = shiftmap_context_new();
    shiftmap_image before = image(pre), after = image(post);
    shiftmap_field field = {0};
    float *own;
    int code, x, y;

    for (y = 0; y < HEIGHT; y++) {
        for (x = 0; x < WIDTH; x++) {
            pre[y * WIDTH + x] = (uint16_t)texture(x, y);
            /* A feature at x is found at x + d; rows run downwards, so 0.3 up is -0.3. */
            post[y * WIDTH + x] = (uint16_t)texture(x - 0.4, y + 0.3);
        }
    }

    field.struct_size = sizeof field;
    code = shiftmap_displacement_array(ctx, &before, &after, options, &field, NULL, NULL);
    if (code == SHIFTMAP_OK)
        report("library's planes", &field);
    shiftmap_field_free(&field);

    /* Only what is wanted: two planes of our own. */
    if (code == SHIFTMAP_OK)
        code = shiftmap_field_shape(ctx, WIDTH, HEIGHT, options, &field);
    own = malloc(2 * field.width * field.height * sizeof *own);
    if (code == SHIFTMAP_OK && own != NULL) {
        field.east = own;
        field.north = own + field.width * field.height;
        code = shiftmap_displacement_array(ctx, &before, &after, options, &field, NULL, NULL);
        if (code == SHIFTMAP_OK)
            report("own planes", &field);
    }
    if (code != SHIFTMAP_OK)
        fprintf(stderr, "error %d: %s\n", code, shiftmap_last_error(ctx));
    free(own);
    shiftmap_context_free(ctx);
    return code == SHIFTMAP_OK ? 0 : 1;
}
