//! Sub-pixel ground displacement between two images, with a standard deviation for every vector.
//!
//! # Conventions
//! * Image axes: x is the column (to the right), y the row (downwards); the centre of the top-left
//!   pixel is (0, 0). A feature at `x` in the pre image is found at `x + d(x)` in the post image,
//!   `pre(x) = post(x + d(x))`, and `d` is a function on the grid of the *pre* image
//!   ([`field::PixelShift`]).
//! * Products are east and north positive ([`field::GroundShift`]), in metres when the CRS is
//!   projected; in pixel units +1 is one pixel right, or one pixel *up*.
//! * The centre of an output cell is the centre of its window ([`layout`]).
//!
//! # Map of the crate
//! | where | what |
//! |---|---|
//! | [`field`], [`grid`] | shifts, units, geotransforms; arrays, windows, images with validity |
//! | [`raster`] | GDAL behind a wall: open, read, check, write |
//! | [`correlate`] | the matching methods, their prefilter and their uncertainty |
//! | [`net`] | networks: models, ONNX Runtime, their tiles |
//! | [`layout`], [`engine`], [`pipeline`] | output grid and tiles; one tile; the streaming run, the only place that starts threads |
//! | [`job`] | the main job from file names to the finished product |
//! | [`synth`], [`evaluate`] | pairs with known truth; error measures |
//! | [`filter`] | cleaning a displacement map |
//! | [`map`] | what is done on displacement maps: profiles, strain, arrows |
//! | [`coregister`] | aligning the post image on what the pair shows |
//! | [`distortion`] | what a sensor adds to a displacement field, and how it is found |
//! | [`stack`] | several maps brought together, time series |
//! | [`combine`] | east, north and up from several geometries and GNSS |
//! | [`verify`] | what to expect on the user's own images |
//! | [`render`] | pictures |
//! | [`cli`], [`options`] | the command line; its options as `KEY=VALUE` for every other door |
//! | [`capi`] | the C interface, `include/shiftmap.h` |
//! | [`gdal_driver`] | the GDAL driver `SHIFTMAP`: the product as a virtual raster |
//! | [`robust`], [`threads`] | median and its like; thread pools |
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

pub mod capi;
#[forbid(unsafe_code)]
pub mod cli;
#[forbid(unsafe_code)]
pub mod combine;
#[forbid(unsafe_code)]
pub mod coregister;
#[forbid(unsafe_code)]
pub mod correlate;
#[forbid(unsafe_code)]
pub mod distortion;
#[forbid(unsafe_code)]
pub mod engine;
pub mod error;
#[forbid(unsafe_code)]
pub mod evaluate;
#[forbid(unsafe_code)]
pub mod field;
#[forbid(unsafe_code)]
pub mod filter;
pub mod gdal_driver;
#[forbid(unsafe_code)]
pub mod grid;
#[forbid(unsafe_code)]
pub mod job;
#[forbid(unsafe_code)]
pub mod layout;
#[forbid(unsafe_code)]
pub mod map;
#[forbid(unsafe_code)]
pub mod net;
#[forbid(unsafe_code)]
pub mod options;
#[forbid(unsafe_code)]
pub mod pipeline;
#[forbid(unsafe_code)]
pub mod post;
#[forbid(unsafe_code)]
pub mod precision;
#[forbid(unsafe_code)]
pub mod progress;
#[forbid(unsafe_code)]
pub mod raster;
#[forbid(unsafe_code)]
pub mod render;
#[forbid(unsafe_code)]
pub mod robust;
#[forbid(unsafe_code)]
pub mod stack;
#[forbid(unsafe_code)]
pub mod synth;
#[forbid(unsafe_code)]
pub mod threads;
#[forbid(unsafe_code)]
mod turns;
#[forbid(unsafe_code)]
pub mod verify;

pub use error::{Error, Result};

/// Version of the library, from Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What [`turns`] is built of; its test puts a model checker's in their place.
mod sync {
    pub use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub use std::sync::{Condvar, Mutex, MutexGuard};
}

/// The examples of the README, compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
