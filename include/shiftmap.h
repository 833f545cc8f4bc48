/*
 * shiftmap: sub-pixel ground displacement between two images.
 *
 * The one call that most programs need:
 *
 *     shiftmap_context *ctx = shiftmap_context_new();
 *     const char *options[] = { "METHOD=lsm", "WINDOW=32", "STEP=8", NULL };
 *     if (shiftmap_displacement(ctx, "pre.tif", "post.tif", "map.tif", options, NULL, NULL) != SHIFTMAP_OK)
 *         fprintf(stderr, "%s\n", shiftmap_last_error(ctx));
 *     shiftmap_context_free(ctx);
 *
 * - Functions return SHIFTMAP_OK (0) or one of the SHIFTMAP_ERR_ codes; the context has the text. Outputs are written
 *   only on SHIFTMAP_OK. Nothing is printed, no signal handler is set, the process never ends in here.
 * - A context is used by one thread at a time (otherwise SHIFTMAP_ERR_BUSY); different contexts are independent.
 * - Texts are UTF-8 and NUL-terminated. What a function hands out is released as its description says.
 * - Options are strings "KEY=VALUE" in a list that NULL ends, the command line's options in capitals with underscores
 *   (--min-valid 0.5 is MIN_VALID=0.5); flags take YES or NO, several numbers are separated by blanks. An unknown
 *   option is an error that names it.
 * - Axes: x is the column, to the right; y is the row, downwards; the centre of the top-left pixel is (0, 0).
 *   Displacements of products are positive to the east and north, of arrays to the right and UP.
 * - GDAL's configuration options that are set for the calling thread only do not reach the library's threads.
 *
 * Made by cbindgen from src/capi/ (make header); do not edit.
 */


#ifndef SHIFTMAP_H
#define SHIFTMAP_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header; shiftmap_version() is the library's. */
#define SHIFTMAP_VERSION "0.1.0"


/** First number of the version of this header. */
#define SHIFTMAP_VERSION_MAJOR 0

/** Second number of the version of this header. */
#define SHIFTMAP_VERSION_MINOR 1

/** Third number of the version of this header. */
#define SHIFTMAP_VERSION_PATCH 0

/** Done. */
#define SHIFTMAP_OK 0

/** A pointer that must not be NULL is NULL. */
#define SHIFTMAP_ERR_NULL 100

/** A size, type or stride that cannot be. */
#define SHIFTMAP_ERR_ARGUMENT 101

/** A text is not UTF-8. */
#define SHIFTMAP_ERR_UTF8 102

/** The context is in use, by another thread or by the call whose callback this is; last_error is unchanged. */
#define SHIFTMAP_ERR_BUSY 103

/** An option that does not exist, or a value it cannot have. */
#define SHIFTMAP_ERR_OPTION 104

/** A dataset handle of another GDAL library than the one in use. */
#define SHIFTMAP_ERR_GDAL 105

/** An input cannot be opened. */
#define SHIFTMAP_ERR_OPEN 200

/** An input cannot be read, e.g. because it is truncated. */
#define SHIFTMAP_ERR_READ 201

/** The output cannot be written. */
#define SHIFTMAP_ERR_WRITE 202

/** The output is there already: OVERWRITE=YES replaces it. */
#define SHIFTMAP_ERR_EXISTS 203

/** The images do not fit each other; the text names the remedy. */
#define SHIFTMAP_ERR_GRID 204

/** The data cannot give a result, e.g. because all of it is nodata. */
#define SHIFTMAP_ERR_DATA 205

/** The progress function returned 0. */
#define SHIFTMAP_ERR_CANCELLED 300

/** A defect of shiftmap. */
#define SHIFTMAP_ERR_INTERNAL 900

/** A defect of shiftmap that stopped the function half-way; nothing was written, the context can be used again. */
#define SHIFTMAP_ERR_PANIC 901

/** Log level: a message for the user, e.g. about an assumption that was made. */
#define SHIFTMAP_LOG_NOTE 1

/** Log level: text that the command line prints as its result. */
#define SHIFTMAP_LOG_TEXT 2

/** Pixel type: uint8_t. */
#define SHIFTMAP_U8 1

/** Pixel type: int8_t. */
#define SHIFTMAP_I8 2

/** Pixel type: uint16_t. */
#define SHIFTMAP_U16 3

/** Pixel type: int16_t. */
#define SHIFTMAP_I16 4

/** Pixel type: uint32_t. */
#define SHIFTMAP_U32 5

/** Pixel type: int32_t. */
#define SHIFTMAP_I32 6

/** Pixel type: float. */
#define SHIFTMAP_F32 7

/** Pixel type: double. */
#define SHIFTMAP_F64 8

/** Status plane: the cell has a value. */
#define SHIFTMAP_STATUS_VALID 0

/** Status plane: too few valid pixels in the window. */
#define SHIFTMAP_STATUS_NODATA 1

/** Status plane: nothing to match. */
#define SHIFTMAP_STATUS_LOW_TEXTURE 2

/** Status plane: the best match lies on the edge of the search. */
#define SHIFTMAP_STATUS_SEARCH_EDGE 3

/** Status plane: the windows do not match. */
#define SHIFTMAP_STATUS_NO_CONVERGENCE 4

/** Status plane: rejected by the outlier filter. */
#define SHIFTMAP_STATUS_OUTLIER 5

/** Status plane: forward and backward matching disagree. */
#define SHIFTMAP_STATUS_INCONSISTENT 6

/** Status plane: the match lies outside the search. */
#define SHIFTMAP_STATUS_OUTSIDE_SEARCH 7

/** Status plane of a filtered map: filled from its neighbours. */
#define SHIFTMAP_STATUS_FILLED 8

/** Status plane of a filtered map: removed by a threshold. */
#define SHIFTMAP_STATUS_THRESHOLD 9

/** Number of planes of shiftmap_features. */
#define SHIFTMAP_FEATURES 48

/**
 * Carries the last error, the log function and the number of threads. It is used by one thread at a time; different
 * contexts are independent of each other.
 */
typedef struct shiftmap_context shiftmap_context;

/**
 * Receives messages: level is SHIFTMAP_LOG_NOTE or SHIFTMAP_LOG_TEXT; ignore levels that you do not know. The same
 * rules as for the progress function hold.
 *
 * Since 0.1.0.
 */
typedef void (*shiftmap_log_fn)(int level, const char *message, void *userdata);

/**
 * Receives the fraction done (0 to 1; it starts again for commands of several steps) and what is being done, at
 * least ten times a second. Returns 0 to stop the run, anything else to go on; GDALTermProgress fits. Called only on
 * the thread that called the function, never after it returned. message is valid during the call. It must not
 * throw a C++ exception, and must not use the context.
 *
 * Since 0.1.0.
 */
typedef int (*shiftmap_progress_fn)(double fraction, const char *message, void *userdata);

/**
 * One band of an image in the caller's memory, which must stay unchanged during the call. Set the whole struct to
 * zero, then struct_size to sizeof(shiftmap_image), then what is needed: zero means "none" for the rest.
 *
 * x is the column, to the right; y is the row, downwards. NaN and infinite pixels are never valid.
 *
 * Since 0.1.0.
 */
typedef struct shiftmap_image {
  /** sizeof(shiftmap_image) */
  size_t struct_size;
  /** The first pixel of the first row. */
  const void *data;
  /** SHIFTMAP_U8, SHIFTMAP_U16, ... */
  int pixel_type;
  /** Whether nodata counts. */
  int has_nodata;
  /** Columns. */
  size_t width;
  /** Rows. */
  size_t height;
  /** Bytes from a pixel to its right neighbour; 0: pixels are packed. */
  ptrdiff_t pixel_stride;
  /** Bytes from a row to the next; negative for images stored bottom-up; 0: rows are packed. */
  ptrdiff_t row_stride;
  /** One byte a pixel, 0 where it is invalid; NULL: all pixels count. */
  const uint8_t *mask;
  /** Bytes from a row of the mask to the next; 0: rows are packed. */
  ptrdiff_t mask_row_stride;
  /** Pixels of this value are invalid, when has_nodata is not 0. */
  double nodata;
} shiftmap_image;

/**
 * Displacement of every cell: six planes with the meaning of the product's six bands, row by row. Set the whole
 * struct to zero and struct_size to sizeof(shiftmap_field).
 *
 * If all planes are NULL the library allocates them, and shiftmap_field_free releases them. Otherwise the planes that
 * are not NULL are the caller's: width and height must be those that shiftmap_field_shape gives and row_stride
 * cells (0: width) lie between the starts of two rows; planes that are NULL are not filled.
 *
 * Cell (i, j) stands for the window around pixel (first_x + i * step_x, first_y + j * step_y) of the pre image; the
 * centre of its top-left pixel is (0, 0). A feature there has moved by east pixels to the right and by north
 * pixels UP: north is positive towards smaller rows, as in the product's bands. Cells without a value are NaN in
 * all planes but status.
 *
 * Since 0.1.0.
 */
typedef struct shiftmap_field {
  /** sizeof(shiftmap_field) */
  size_t struct_size;
  /** Cells along a row. */
  size_t width;
  /** Rows of cells. */
  size_t height;
  /** Cells from the start of a row of a plane to the start of the next; 0: width. */
  size_t row_stride;
  /** Column of the centre of the first cell, in pre pixels. */
  double first_x;
  /** Row of the centre of the first cell, in pre pixels. */
  double first_y;
  /** Pre pixels from a cell to its right neighbour. */
  double step_x;
  /** Pre pixels from a cell to the one below. */
  double step_y;
  /** Displacement to the right, pixels. */
  float *east;
  /** Displacement upwards, pixels. */
  float *north;
  /** 0 to 1, how well the windows agree. */
  float *quality;
  /** Standard deviation of east, pixels. */
  float *east_sigma;
  /** Standard deviation of north, pixels. */
  float *north_sigma;
  /** SHIFTMAP_STATUS_VALID, ... as a number. */
  float *status;
  /** The library's: what shiftmap_field_free releases. */
  void *owned;
} shiftmap_field;

#ifdef __cplusplus
extern "C" {
#endif

/** A new context, to be released with shiftmap_context_free; NULL when there is no memory. Since 0.1.0. */
struct shiftmap_context *shiftmap_context_new(void);

/**
 * Releases a context; NULL is allowed. Inside a callback of the context's own call it is released when that call
 * ends. Since 0.1.0.
 */
void shiftmap_context_free(struct shiftmap_context *ctx);

/**
 * The text of the last call's error in English, one line, UTF-8; empty after SHIFTMAP_OK. It is the context's, and valid until
 * its next call. Since 0.1.0.
 */
const char *shiftmap_last_error(const struct shiftmap_context *ctx);

/** The code that the last call returned. Since 0.1.0. */
int shiftmap_last_code(const struct shiftmap_context *ctx);

/**
 * Sets the function that receives messages of all later calls, NULL for none; nothing is ever printed.
 * Since 0.1.0.
 */
int shiftmap_set_log(struct shiftmap_context *ctx, shiftmap_log_fn log, void *userdata);

/**
 * Sets how many worker threads later calls use, 0 (the default) for one for each core; the option THREADS goes before. Results do
 * not depend on it. Since 0.1.0.
 */
int shiftmap_set_threads(struct shiftmap_context *ctx,
                         int threads);

/** Releases a text that a function handed out; NULL is allowed. Since 0.1.0. */
void shiftmap_free(char *text);

/**
 * Measures the displacement between two images and writes the product dst: bands East displacement, North
 * displacement, Quality, East sigma, North sigma, Status; metres when the CRS is projected, east and north positive,
 * NaN where there is no value. The file gets its name when it is complete; nothing is left behind otherwise.
 *
 * pre, post, dst: anything GDAL opens or writes, UTF-8. options: NULL, or "KEY=VALUE" strings ended by
 * NULL, the command line's options in capitals (shiftmap displacement --help, shiftmap_options). progress may be
 * NULL; userdata is handed to it.
 *
 * METHOD=net runs the network MODEL= names; ONNXRUNTIME= is the library of ONNX Runtime or its folder, where it
 * is not found by itself. A process can use one ONNX Runtime.
 *
 * Returns SHIFTMAP_OK or a code; shiftmap_last_error has the text. Since 0.1.0.
 */
int shiftmap_displacement(struct shiftmap_context *ctx,
                          const char *pre,
                          const char *post,
                          const char *dst,
                          const char *const *options,
                          shiftmap_progress_fn progress,
                          void *userdata);

/**
 * shiftmap_displacement for two open GDAL datasets (GDALDatasetH), of the same GDAL library that shiftmap uses: others
 * are refused with SHIFTMAP_ERR_GDAL. The datasets stay the caller's, are used on the calling thread only and must
 * not be used elsewhere during the call. A dataset that its name does not reopen, such as those of the MEM driver, is
 * copied in memory first, so file names are the better way where there are files.
 *
 * Since 0.1.0.
 */
int shiftmap_displacement_dataset(struct shiftmap_context *ctx,
                                  void *pre,
                                  void *post,
                                  const char *dst,
                                  const char *const *options,
                                  shiftmap_progress_fn progress,
                                  void *userdata);

/**
 * Displacement between two arrays, in pixels: see shiftmap_image and shiftmap_field. Pixel (0, 0) of both images shows
 * the same ground when nothing moved. The options are those of shiftmap_displacement without bands, resampling and
 * output files. NODATA=auto, the default, means the image's own nodata.
 *
 * field is changed only when the function returns SHIFTMAP_OK. Since 0.1.0.
 */
int shiftmap_displacement_array(struct shiftmap_context *ctx,
                                const struct shiftmap_image *pre,
                                const struct shiftmap_image *post,
                                const char *const *options,
                                struct shiftmap_field *field,
                                shiftmap_progress_fn progress,
                                void *userdata);

/**
 * What shiftmap_displacement_array will give for an image of width x height pixels: sets width, height,
 * first_x, first_y, step_x and step_y of field, so that the caller can allocate its planes.
 *
 * Since 0.1.0.
 */
int shiftmap_field_shape(struct shiftmap_context *ctx,
                         size_t width,
                         size_t height,
                         const char *const *options,
                         struct shiftmap_field *field);

/**
 * Releases the planes that the library allocated and sets them to NULL; the caller's own planes are left alone. NULL is
 * allowed. Since 0.1.0.
 */
void shiftmap_field_free(struct shiftmap_field *field);

/**
 * Makes test data with exactly known displacement in the folder dst: shiftmap synth WHAT --help; what is "pair",
 * "dataset" or "insar". Commands with more arguments, such as "synth field", are for shiftmap_run. Options and callbacks as
 * for shiftmap_displacement. Since 0.1.0.
 */
int shiftmap_synth(struct shiftmap_context *ctx,
                   const char *what,
                   const char *dst,
                   const char *const *options,
                   shiftmap_progress_fn progress,
                   void *userdata);

/**
 * What precision a pair can give, before any matching: writes the raster dst with the bands East sigma, North sigma
 * and Status, shiftmap precision --help. Options and callbacks as for shiftmap_displacement. Since 0.1.0.
 */
int shiftmap_precision(struct shiftmap_context *ctx,
                       const char *pre,
                       const char *post,
                       const char *dst,
                       const char *const *options,
                       shiftmap_progress_fn progress,
                       void *userdata);

/**
 * Offsets across a fault, shiftmap profile --help: map is a displacement map, trace a layer of lines; writes
 * tables, layers, graphs and a report into the folder dst. Options and callbacks as for shiftmap_displacement.
 * Since 0.1.0.
 */
int shiftmap_profile(struct shiftmap_context *ctx,
                     const char *map,
                     const char *trace,
                     const char *dst,
                     const char *const *options,
                     shiftmap_progress_fn progress,
                     void *userdata);

/**
 * Strain and rotation of the displacement map map, with standard deviations, as the raster dst,
 * shiftmap strain --help. Options and callbacks as for shiftmap_displacement. Since 0.1.0.
 */
int shiftmap_strain(struct shiftmap_context *ctx,
                    const char *map,
                    const char *dst,
                    const char *const *options,
                    shiftmap_progress_fn progress,
                    void *userdata);

/**
 * Aligns the image post with pre on ground that has not moved and writes it to dst, with the model beside it; or the
 * model only, when dst ends in ".json": shiftmap coregister --help. Options and callbacks as for shiftmap_displacement.
 * Since 0.1.0.
 */
int shiftmap_coregister(struct shiftmap_context *ctx,
                        const char *pre,
                        const char *post,
                        const char *dst,
                        const char *const *options,
                        shiftmap_progress_fn progress,
                        void *userdata);

/**
 * Cleans the displacement map map and writes it to dst: outliers, ramps, stripes, noise, holes,
 * shiftmap filter --help. Options and callbacks as for shiftmap_displacement. Since 0.1.0.
 */
int shiftmap_filter(struct shiftmap_context *ctx,
                    const char *map,
                    const char *dst,
                    const char *const *options,
                    shiftmap_progress_fn progress,
                    void *userdata);

/**
 * Errors of a displacement map against a known truth, shiftmap evaluate --help. *json receives the result as JSON,
 * to be released with shiftmap_free; it is set only on SHIFTMAP_OK. Since 0.1.0.
 */
int shiftmap_evaluate(struct shiftmap_context *ctx,
                      const char *estimate,
                      const char *truth,
                      const char *const *options,
                      char **json,
                      shiftmap_progress_fn progress,
                      void *userdata);

/**
 * What error and what sigma to expect on the user's own images, with a known earthquake simulated on them,
 * shiftmap verify --help. post may be NULL: then pre is displaced itself. *json receives the result as JSON, to be
 * released with shiftmap_free; it is set only on SHIFTMAP_OK. Since 0.1.0.
 */
int shiftmap_verify(struct shiftmap_context *ctx,
                    const char *pre,
                    const char *post,
                    const char *const *options,
                    char **json,
                    shiftmap_progress_fn progress,
                    void *userdata);

/**
 * Several displacement maps brought together as the raster dst: of one event, or of a network of dates,
 * shiftmap stack --help. maps is ended by NULL; it may be NULL with DATES=TABLE, whose table lists the maps. *json
 * receives what was found as JSON, to be released with shiftmap_free; json may be NULL. Since 0.1.0.
 */
int shiftmap_stack(struct shiftmap_context *ctx,
                   const char *const *maps,
                   const char *dst,
                   const char *const *options,
                   char **json,
                   shiftmap_progress_fn progress,
                   void *userdata);

/**
 * East, north and up from interferograms, offset maps and GNSS stations as the raster dst: shiftmap combine --help.
 * The maps and stations are options, which may be repeated: LOS=los.tif,unit=unit.tif, OFFSETS=map.tif,
 * GNSS=gnss.csv. *json receives what was found as JSON, to be released with shiftmap_free; json may be
 * NULL. Since 0.1.0.
 */
int shiftmap_combine(struct shiftmap_context *ctx,
                     const char *dst,
                     const char *const *options,
                     char **json,
                     shiftmap_progress_fn progress,
                     void *userdata);

/**
 * Simulates an earthquake, measures it with several methods and draws the result into the folder dst: shiftmap demo
 * --help. Since 0.1.0.
 */
int shiftmap_demo(struct shiftmap_context *ctx,
                  const char *dst,
                  const char *const *options,
                  shiftmap_progress_fn progress,
                  void *userdata);

/**
 * Versions of shiftmap and of the libraries it uses, and where they were found, as JSON, to be released with
 * shiftmap_free. Since 0.1.0.
 */
int shiftmap_info(struct shiftmap_context *ctx, char **json);

/**
 * Runs any command of the command line: command is its name ("displacement", "synth pair"), arguments are its
 * arguments without options, ended by NULL (or NULL for none), options are "KEY=VALUE" strings ended by NULL. *json receives
 * what --json would print, to be released with shiftmap_free; json may be NULL.
 *
 * Commands that are new in a later version of the library can be reached with it. Since 0.1.0.
 */
int shiftmap_run(struct shiftmap_context *ctx,
                 const char *command,
                 const char *const *arguments,
                 const char *const *options,
                 char **json,
                 shiftmap_progress_fn progress,
                 void *userdata);

/**
 * Displacement of the surface of an elastic half-space by rectangular faults with uniform slip (Okada 1985), summed
 * over the faults.
 *
 * faults: 7 numbers each: east and north of the middle of the TOP edge, depth of the top edge (at least 0), strike
 * (degrees clockwise from north; the fault dips to the right of it), dip (degrees from the horizontal, 0 to 90),
 * length along strike, width down dip; metres. slip: 3 numbers each: strike slip (positive: left-lateral), dip slip
 * (positive: reverse), opening. poisson: Poisson's ratio, e.g. 0.25. obs_xy: 2 numbers each: east and north of the points,
 * metres. out_enu: 3 numbers each: east, north, up, in the unit of the slip; written only on SHIFTMAP_OK.
 *
 * Arrays of no elements may be NULL. A fault that cannot be is SHIFTMAP_ERR_DATA. Since 0.1.0.
 */
int shiftmap_okada_surface(struct shiftmap_context *ctx,
                           size_t n_faults,
                           const double *faults,
                           const double *slip,
                           double poisson,
                           size_t n_obs,
                           const double *obs_xy,
                           double *out_enu);

/**
 * Displacement of the surface of an elastic half-space by triangular elements with uniform slip (after Nikkhoo and
 * Walter 2015), summed over the triangles.
 *
 * vertices: 9 numbers each: east, north, up (at most 0) of three corners, metres. With n = (P2 - P1) x (P3 - P1),
 * strike is e_z x n and the dip vector n x strike; order the corners so that n points up. slip: 3 numbers each:
 * along strike (positive: left-lateral), along the dip vector (positive: reverse where n points up), opening. The
 * rest is as for shiftmap_okada_surface. Since 0.1.0.
 */
int shiftmap_tde_surface(struct shiftmap_context *ctx,
                         size_t n_triangles,
                         const double *vertices,
                         const double *slip,
                         double poisson,
                         size_t n_obs,
                         const double *obs_xy,
                         double *out_enu);

/**
 * The input channels of networks with the front ends "dense-1" and "dense-2", for making training data: the
 * displacement of the method dense (for "dense-2" smoothed as regularized smooths), every window size's correction to
 * it with its standard deviation, and both images, normalised. The whole pair is one tile; the call works on one thread.
 *
 * start: NULL, or two planes of width x height (displacement right, down; pixels) that the features are to be
 * about instead of what is found. options: FRONT_END=dense-1 (the default) or dense-2, and those of
 * shiftmap_displacement_array that describe images and search (up to 32 pixels). out: SHIFTMAP_FEATURES planes of
 * width x height, row by row; out_count says how many numbers it holds. Written only on SHIFTMAP_OK.
 *
 * Plane 0 and 1: pre image and post image warped by the displacement, normalised in boxes of 31 px; 2 and 3: in boxes
 * of 5 px; 4 and 5: the displacement right and DOWN, pixels; 6 and 7: logarithm of its standard deviations; 8: 1 where
 * both images are valid; 9 to 11: correction right and down by 9 px windows alone, logarithm of its standard
 * deviation; then three planes of that kind for windows of 5, 9, 18, 36, 72, 144 px, each for the normalisation in
 * boxes of 31 px and of 5 px. Since 0.1.0.
 */
int shiftmap_features(struct shiftmap_context *ctx,
                      const struct shiftmap_image *pre,
                      const struct shiftmap_image *post,
                      const float *start,
                      const char *const *options,
                      float *out,
                      size_t out_count);

/**
 * The options of a command ("displacement", "synth pair", ...) in the form of GDAL's option lists:
 * <OptionList><Option name="METHOD" type="string-select" description="..." default="lsm"><Value>lsm</Value>....
 * *xml is to be released with shiftmap_free. Since 0.1.0.
 */
int shiftmap_options(struct shiftmap_context *ctx,
                     const char *command,
                     char **xml);

/**
 * The same list as JSON: an array of objects with name, type (boolean, int, float, choice, string), default, choices
 * (value, help), values (how many), value_names, repeat, group, help. Since 0.1.0.
 */
int shiftmap_options_json(struct shiftmap_context *ctx,
                          const char *command,
                          char **json);

/** The names of all commands, as a JSON array of objects with name and help. Since 0.1.0. */
int shiftmap_commands(struct shiftmap_context *ctx, char **json);

/**
 * Checks options without running anything: SHIFTMAP_OK, or SHIFTMAP_ERR_OPTION and the text names the first one that
 * is wrong. What depends on the images is not checked. Since 0.1.0.
 */
int shiftmap_check_options(struct shiftmap_context *ctx,
                           const char *command,
                           const char *const *options);

/**
 * The version of the library in use, e.g. "0.1.0"; never to be released. Compare with SHIFTMAP_VERSION, the header's.
 * Since 0.1.0.
 */
const char *shiftmap_version(void);

/** The same as a number: major * 10000 + minor * 100 + patch. Since 0.1.0. */
int shiftmap_version_number(void);

/** How the library was built and which GDAL it runs with, one line; never to be released. Since 0.1.0. */
const char *shiftmap_build_info(void);

#ifdef __cplusplus
}
#endif

#endif /* SHIFTMAP_H */
