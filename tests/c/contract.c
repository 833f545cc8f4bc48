/*
 * What the interface promises when it is used wrongly, from several threads, and when a run is stopped.
 *
 *   contract wrong DIR         wrong use: codes and texts
 *   contract threads N CALLS   N threads with a context each, CALLS runs each
 *   contract cancel            time until a run stops
 *   contract panic             the deliberate panic of a library with test hooks
 */
#define _POSIX_C_SOURCE 200809L
#include <shiftmap.h>
#include <shiftmap.h>

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures = 0;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

#define EXPECT(call, code, words)                                                                                      \
    do {                                                                                                               \
        int got = (call);                                                                                              \
        if (got != (code) || got != shiftmap_last_code(ctx) || strstr(shiftmap_last_error(ctx), words) == NULL) {      \
            fprintf(stderr, "%s:%d: %s gave %d, '%s'\n", __FILE__, __LINE__, #call, got, shiftmap_last_error(ctx));    \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

/* Rough texture, moved by whole pixels. */
static float *scene(size_t width, size_t height, size_t right)
{
    float *pixels = malloc(width * height * sizeof *pixels);
    size_t x, y;
    for (y = 0; y < height; y++) {
        for (x = 0; x < width; x++) {
            unsigned long h = (unsigned long)((x + 1000 - right) * 73856093u) ^ (unsigned long)(y * 19349663u);
            h = (h ^ (h >> 13)) * 1274126177u;
            pixels[y * width + x] = (float)((h >> 8) & 0xffff);
        }
    }
    return pixels;
}

static shiftmap_image image(const float *pixels, size_t width, size_t height)
{
    shiftmap_image out;
    memset(&out, 0, sizeof out);
    out.struct_size = sizeof out;
    out.data = pixels;
    out.pixel_type = SHIFTMAP_F32;
    out.width = width;
    out.height = height;
    return out;
}

static shiftmap_field empty(void)
{
    shiftmap_field field;
    memset(&field, 0, sizeof field);
    field.struct_size = sizeof field;
    return field;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

/* Of all threads of this process: does not count what other programs use. */
static double processor_seconds(void)
{
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static const char *const SMALL[] = {"WINDOW=16", "STEP=16", "THREADS=1", NULL};

static int reenter(double fraction, const char *message, void *userdata)
{
    shiftmap_context *ctx = userdata;
    (void)fraction;
    (void)message;
    CHECK(shiftmap_set_threads(ctx, 1) == SHIFTMAP_ERR_BUSY);
    return 1;
}

static int free_inside(double fraction, const char *message, void *userdata)
{
    shiftmap_context **ctx = userdata;
    (void)fraction;
    (void)message;
    if (*ctx != NULL)
        shiftmap_context_free(*ctx);
    *ctx = NULL;
    return 1;
}

static int stop(double fraction, const char *message, void *userdata)
{
    (void)fraction;
    (void)message;
    (void)userdata;
    return 0;
}

static int notes = 0;

static void count(int level, const char *message, void *userdata)
{
    (void)userdata;
    notes += level == SHIFTMAP_LOG_TEXT && message[0] != '\0';
}

static void wrong(const char *folder)
{
    static const char *const unknown[] = {"WINDW=16", NULL};
    static const char *const bad[] = {"WINDOW=3", NULL};
    static const char *const files[] = {"OVERWRITE=YES", NULL};
    static const char *const metres[] = {"SEARCH=40m", NULL};
    const size_t width = 64, height = 48;
    float *pre = scene(width, height, 0), *post = scene(width, height, 1);
    shiftmap_image a = image(pre, width, height), b = image(post, width, height);
    shiftmap_field field = empty();
    shiftmap_context *ctx = shiftmap_context_new(), *other;
    char path[4096], *text = (char *)"untouched";
    float own[12] = {0};
    size_t i;

    CHECK(shiftmap_displacement(NULL, "a", "b", "c", NULL, NULL, NULL) == SHIFTMAP_ERR_NULL);
    CHECK(strcmp(shiftmap_last_error(NULL), "the context is NULL") == 0);
    EXPECT(shiftmap_displacement(ctx, NULL, "b", "c", NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "pre is NULL");
    EXPECT(shiftmap_displacement(ctx, "a", "b\xff", "c", NULL, NULL, NULL), SHIFTMAP_ERR_UTF8, "post is not UTF-8");
    EXPECT(shiftmap_displacement(ctx, "/nope.tif", "b", "c", NULL, NULL, NULL), SHIFTMAP_ERR_OPEN, "/nope.tif");
    EXPECT(shiftmap_displacement(ctx, "a", "b", "c", unknown, NULL, NULL), SHIFTMAP_ERR_OPTION, "did you mean WINDOW");
    EXPECT(shiftmap_displacement_dataset(ctx, NULL, NULL, "c", NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "pre is NULL");
    EXPECT(shiftmap_displacement_dataset(ctx, own, own, "c", NULL, NULL, NULL), SHIFTMAP_ERR_GDAL, "not a GDALDatasetH");

    EXPECT(shiftmap_displacement_array(ctx, NULL, &b, SMALL, &field, NULL, NULL), SHIFTMAP_ERR_NULL, "pre is NULL");
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "field is NULL");
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, bad, &field, NULL, NULL), SHIFTMAP_ERR_OPTION, "WINDOW=3");
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, files, &field, NULL, NULL), SHIFTMAP_ERR_OPTION, "OVERWRITE");
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, metres, &field, NULL, NULL), SHIFTMAP_ERR_OPTION, "SEARCH=40m");
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, stop, NULL), SHIFTMAP_ERR_CANCELLED, "stopped");
    b.struct_size = 3;
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, NULL, NULL), SHIFTMAP_ERR_ARGUMENT, "struct_size");
    b = image(post, 0, height);
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, NULL, NULL), SHIFTMAP_ERR_ARGUMENT, "0 x 48");
    b = image(post, width, height);
    b.pixel_type = 99;
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, NULL, NULL), SHIFTMAP_ERR_ARGUMENT, "pixel_type 99");
    b = image(post, width, height);
    b.pixel_stride = 2;
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, NULL, NULL), SHIFTMAP_ERR_ARGUMENT, "pixel_stride");
    b = image(post, width, height);
    CHECK(field.east == NULL && field.width == 0);

    field.east = own;
    field.width = 2;
    field.height = 3;
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, NULL, NULL), SHIFTMAP_ERR_ARGUMENT, "4 x 3");
    EXPECT(shiftmap_field_shape(ctx, width, height, SMALL, &field), SHIFTMAP_OK, "");
    CHECK(field.width == 4 && field.height == 3 && field.first_x == 7.5 && field.step_y == 16.0);
    EXPECT(shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, reenter, ctx), SHIFTMAP_OK, "");
    for (i = 0; i < 12; i++)
        CHECK(isnan(own[i]) || fabs(own[i] - 1.0) < 0.1);
    CHECK(shiftmap_last_error(ctx)[0] == '\0');

    EXPECT(shiftmap_set_threads(ctx, -1), SHIFTMAP_ERR_ARGUMENT, "-1 threads");
    EXPECT(shiftmap_set_threads(ctx, 2), SHIFTMAP_OK, "");
    EXPECT(shiftmap_options(ctx, "nothing", &text), SHIFTMAP_ERR_OPTION, "displacement");
    EXPECT(shiftmap_options(ctx, "displacement", NULL), SHIFTMAP_ERR_NULL, "NULL");
    CHECK(strcmp(text, "untouched") == 0);
    EXPECT(shiftmap_options(ctx, "displacement", &text), SHIFTMAP_OK, "");
    CHECK(strstr(text, "<Option name=\"METHOD\" type=\"string-select\"") != NULL);
    shiftmap_free(text);
    EXPECT(shiftmap_options_json(ctx, "synth pair", &text), SHIFTMAP_OK, "");
    CHECK(strstr(text, "\"name\":\"SLIP\"") != NULL);
    shiftmap_free(text);
    EXPECT(shiftmap_commands(ctx, &text), SHIFTMAP_OK, "");
    CHECK(strstr(text, "\"synth pair\"") != NULL);
    shiftmap_free(text);
    EXPECT(shiftmap_check_options(ctx, "displacement", SMALL), SHIFTMAP_OK, "");
    EXPECT(shiftmap_check_options(ctx, "displacement", bad), SHIFTMAP_OK, "");
    EXPECT(shiftmap_check_options(ctx, "evaluate", unknown), SHIFTMAP_ERR_OPTION, "WINDW");

    EXPECT(shiftmap_set_log(ctx, count, NULL), SHIFTMAP_OK, "");
    EXPECT(shiftmap_info(ctx, &text), SHIFTMAP_OK, "");
    CHECK(strstr(text, "\"version\": \"" SHIFTMAP_VERSION "\"") != NULL);
    CHECK(notes > 2);
    shiftmap_free(text);
    snprintf(path, sizeof path, "%s/pair", folder);
    {
        const char *arguments[] = {NULL, NULL};
        static const char *const size[] = {"SIZE=128", "FIELD=uniform", "DX=0.5", NULL};
        arguments[0] = path;
        EXPECT(shiftmap_run(ctx, "synth pair", arguments, size, &text, NULL, NULL), SHIFTMAP_OK, "");
        CHECK(strstr(text, "largest_displacement_px") != NULL);
        shiftmap_free(text);
        EXPECT(shiftmap_synth(ctx, "pair", path, size, NULL, NULL), SHIFTMAP_ERR_EXISTS, "OVERWRITE=YES");
        {
            char files[2][4120];
            static const char *const coarse[] = {"STEP=32", NULL};
            snprintf(files[0], sizeof files[0], "%s/pre.tif", path);
            snprintf(files[1], sizeof files[1], "%s/sigma.tif", path);
            EXPECT(shiftmap_precision(ctx, files[0], files[0], files[1], coarse, NULL, NULL), SHIFTMAP_OK, "");
            snprintf(files[0], sizeof files[0], "%s/truth.tif", path);
            snprintf(files[1], sizeof files[1], "%s/strain.tif", path);
            EXPECT(shiftmap_strain(ctx, files[0], files[1], NULL, NULL, NULL), SHIFTMAP_OK, "");
            EXPECT(shiftmap_strain(ctx, files[0], files[1], NULL, NULL, NULL), SHIFTMAP_ERR_EXISTS, "OVERWRITE=YES");
            snprintf(files[1], sizeof files[1], "%s/filtered.tif", path);
            EXPECT(shiftmap_filter(ctx, files[0], files[1], NULL, NULL, NULL), SHIFTMAP_ERR_DATA, "OUTLIERS");
            {
                static const char *const plane[] = {"DETREND=plane", NULL};
                EXPECT(shiftmap_filter(ctx, files[0], files[1], plane, NULL, NULL), SHIFTMAP_OK, "");
                EXPECT(shiftmap_filter(ctx, files[0], files[1], plane, NULL, NULL), SHIFTMAP_ERR_EXISTS, "OVERWRITE=YES");
            }
            {
                static const char *const quick[] = {"MODEL=shift", "PASSES=1", "STEP=32", NULL};
                char post[4120];
                snprintf(post, sizeof post, "%s/post.tif", path);
                snprintf(files[0], sizeof files[0], "%s/pre.tif", path);
                snprintf(files[1], sizeof files[1], "%s/aligned.tif", path);
                EXPECT(shiftmap_coregister(ctx, files[0], post, files[1], quick, NULL, NULL), SHIFTMAP_OK, "");
                EXPECT(shiftmap_coregister(ctx, files[0], NULL, files[1], quick, NULL, NULL), SHIFTMAP_ERR_NULL, "post");
                snprintf(files[0], sizeof files[0], "%s/truth.tif", path);
            }
            {
                char made[2][4160], stack[4160];
                const char *maps[3] = {NULL, NULL, NULL};
                const char *measure[] = {NULL, NULL, "STEP=16", NULL};
                int i;
                snprintf(files[0], sizeof files[0], "%s/pre.tif", path);
                for (i = 0; i < 2; i++) {
                    snprintf(made[i], sizeof made[i], "MAP=%s/verified%d.tif", path, i);
                    measure[0] = made[i];
                    measure[1] = i ? "SEED=1" : "SEED=2";
                    EXPECT(shiftmap_verify(ctx, files[0], NULL, measure, &text, NULL, NULL), SHIFTMAP_OK, "");
                    CHECK(strstr(text, "\"expected_sigma\"") != NULL);
                    shiftmap_free(text);
                    maps[i] = made[i] + 4;
                }
                snprintf(stack, sizeof stack, "%s/stack.tif", path);
                EXPECT(shiftmap_stack(ctx, maps, stack, NULL, &text, NULL, NULL), SHIFTMAP_OK, "");
                CHECK(strstr(text, "\"sigma_factor\"") != NULL);
                shiftmap_free(text);
                EXPECT(shiftmap_stack(ctx, maps, NULL, NULL, NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "dst");
                EXPECT(shiftmap_stack(ctx, NULL, stack, NULL, NULL, NULL, NULL), SHIFTMAP_ERR_OPTION, "two maps");
                {
                    char word[4300], combined[4160];
                    const char *give[2] = {NULL, NULL};
                    snprintf(word, sizeof word, "OFFSETS=%s", maps[0]);
                    snprintf(combined, sizeof combined, "%s/combined.tif", path);
                    EXPECT(shiftmap_combine(ctx, combined, give, NULL, NULL, NULL), SHIFTMAP_ERR_DATA, "nothing to combine");
                    give[0] = word;
                    EXPECT(shiftmap_combine(ctx, combined, give, &text, NULL, NULL), SHIFTMAP_OK, "");
                    CHECK(strstr(text, "\"left_out\"") != NULL);
                    shiftmap_free(text);
                    EXPECT(shiftmap_combine(ctx, NULL, give, NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "dst");
                    give[0] = "LOS=nothing.tif";
                    EXPECT(shiftmap_combine(ctx, combined, give, NULL, NULL, NULL), SHIFTMAP_ERR_OPTION, "unit=FILE");
                }
                snprintf(files[0], sizeof files[0], "%s/truth.tif", path);
            }
            EXPECT(shiftmap_verify(ctx, NULL, NULL, NULL, NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "pre");
            EXPECT(shiftmap_profile(ctx, files[0], files[0], path, NULL, NULL, NULL), SHIFTMAP_ERR_OPEN, "truth.tif");
            EXPECT(shiftmap_profile(ctx, files[0], NULL, path, NULL, NULL, NULL), SHIFTMAP_ERR_NULL, "trace");
        }
        EXPECT(shiftmap_run(ctx, "synth pair", NULL, size, NULL, NULL, NULL), SHIFTMAP_ERR_OPTION, "needs also");
        EXPECT(shiftmap_run(ctx, "nonsense", NULL, NULL, NULL, NULL, NULL), SHIFTMAP_ERR_OPTION, "no such command");
    }

    other = shiftmap_context_new();
    field.east = own;
    CHECK(shiftmap_displacement_array(other, &a, &b, SMALL, &field, free_inside, &other) == SHIFTMAP_OK);
    CHECK(other == NULL);
    shiftmap_context_free(NULL);
    shiftmap_field_free(NULL);
    shiftmap_free(NULL);
    CHECK(strcmp(shiftmap_version(), SHIFTMAP_VERSION) == 0);
    CHECK(shiftmap_version_number()
          == SHIFTMAP_VERSION_MAJOR * 10000 + SHIFTMAP_VERSION_MINOR * 100 + SHIFTMAP_VERSION_PATCH);
    CHECK(strstr(shiftmap_build_info(), "GDAL") != NULL);
    shiftmap_context_free(ctx);
    free(pre);
    free(post);
}

struct job {
    const float *pre, *post;
    int calls, errors;
};

static void *thread(void *userdata)
{
    struct job *job = userdata;
    shiftmap_context *ctx = shiftmap_context_new();
    shiftmap_image a = image(job->pre, 64, 48), b = image(job->post, 64, 48);
    int i;
    for (i = 0; i < job->calls; i++) {
        shiftmap_field field = empty();
        int ok = shiftmap_displacement_array(ctx, &a, &b, SMALL, &field, NULL, NULL) == SHIFTMAP_OK;
        job->errors += !ok || fabs(field.east[5] - 1.0) > 0.1;
        shiftmap_field_free(&field);
        job->errors += shiftmap_check_options(ctx, "displacement", SMALL) != SHIFTMAP_OK;
        job->errors += shiftmap_displacement(ctx, "/nope", "b", "c", NULL, NULL, NULL) != SHIFTMAP_ERR_OPEN;
    }
    shiftmap_context_free(ctx);
    return NULL;
}

static void threads(int n, int calls)
{
    pthread_t handles[64];
    struct job jobs[64];
    float *pre = scene(64, 48, 0), *post = scene(64, 48, 1);
    double start = seconds();
    int i;
    for (i = 0; i < n; i++) {
        jobs[i].pre = pre;
        jobs[i].post = post;
        jobs[i].calls = calls;
        jobs[i].errors = 0;
        CHECK(pthread_create(&handles[i], NULL, thread, &jobs[i]) == 0);
    }
    for (i = 0; i < n; i++) {
        pthread_join(handles[i], NULL);
        CHECK(jobs[i].errors == 0);
    }
    printf("%d threads, %d calls each: %.2f s\n", n, calls, seconds() - start);
    free(pre);
    free(post);
}

struct watch {
    double stop_at;
    double asked;
    double used;
};

static int stop_later(double fraction, const char *message, void *userdata)
{
    struct watch *watch = userdata;
    (void)message;
    if (fraction < watch->stop_at)
        return 1;
    if (watch->asked == 0.0) {
        watch->asked = seconds();
        watch->used = processor_seconds();
    }
    return 0;
}

static void cancel(void)
{
    static const char *const large[] = {"WINDOW=64", "STEP=2", "SEARCH=16", NULL};
    static const double points[] = {0.0, 0.01, 0.1};
    const size_t side = 2048;
    float *pre = scene(side, side, 0), *post = scene(side, side, 1);
    shiftmap_image a = image(pre, side, side), b = image(post, side, side);
    shiftmap_context *ctx = shiftmap_context_new();
    size_t i;
    for (i = 0; i < 3; i++) {
        shiftmap_field field = empty();
        struct watch watch = {0.0, 0.0, 0.0};
        double waited, worked;
        watch.stop_at = points[i];
        EXPECT(shiftmap_displacement_array(ctx, &a, &b, large, &field, stop_later, &watch), SHIFTMAP_ERR_CANCELLED,
               "stopped on request");
        waited = seconds() - watch.asked;
        worked = processor_seconds() - watch.used;
        printf("stopped at %.2f: %.3f s, %.3f s of processor time\n", watch.stop_at, waited, worked);
        /* On a machine that is busy with other things the wall clock says little. */
        CHECK(waited < 0.5 || worked < 0.5);
        CHECK(field.east == NULL);
    }
    shiftmap_context_free(ctx);
    free(pre);
    free(post);
}

static void panic(void)
{
    int (*hook)(shiftmap_context *, int);
    shiftmap_context *ctx = shiftmap_context_new();
    int place;
    *(void **)&hook = dlsym(RTLD_DEFAULT, "shiftmap_test_panic");
    if (hook == NULL) {
        printf("skipped: the library was built without test hooks\n");
    } else {
        for (place = 0; place < 3; place++)
            EXPECT(hook(ctx, place), SHIFTMAP_ERR_PANIC, "a deliberate panic");
        EXPECT(shiftmap_set_threads(ctx, 1), SHIFTMAP_OK, "");
    }
    shiftmap_context_free(ctx);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "wrong") == 0 && argc > 2)
        wrong(argv[2]);
    else if (strcmp(what, "threads") == 0 && argc > 3)
        threads(atoi(argv[2]), atoi(argv[3]));
    else if (strcmp(what, "cancel") == 0)
        cancel();
    else if (strcmp(what, "panic") == 0)
        panic();
    else
        return 2;
    return failures == 0 ? 0 : 1;
}
