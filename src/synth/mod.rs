//! Image pairs with exactly known displacement.
//!
//! A scene (procedural, or the user's own image) is displaced by a known field: every pixel of the post image is
//! looked up at the ground point that moved there ([`inverse`]), between the pixels by a spline that is accurate to
//! 0.0003 px ([`warp`]). Then the post image gets what real pairs differ by: noise, change, illumination
//! ([`noise`]), or the speckle of a radar ([`sar`]). [`pair::make_pair`] does all of it.
pub mod band_limit;
pub mod bspline;
pub mod change;
mod complex_fft;
pub mod dataset;
pub mod deramp;
pub mod elastic;
mod elementary;
pub mod event;
pub mod fault;
pub mod fault_line;
pub mod fault_model;
pub mod faulted;
pub mod fft2;
pub mod field;
pub mod field_files;
pub mod files;
pub mod frame;
pub mod given;
pub mod given_field;
pub mod insar;
pub mod inverse;
pub mod jump;
pub mod mesh;
pub mod noise;
pub mod npy;
pub mod off_fault;
pub mod okada;
mod paint;
pub mod pair;
pub mod random;
pub mod rupture;
pub mod sar;
pub mod scaling;
pub mod sensor;
pub mod sky;
pub mod slip;
pub mod spectrum;
pub mod strand;
pub mod tde;
pub mod texture;
pub mod trace;
pub mod triangle_file;
pub mod upsample;
pub mod warp;
