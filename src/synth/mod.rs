//! Image pairs with exactly known displacement.
//!
//! A scene (procedural, or the user's own image) is displaced by a known field: every pixel of the post image is
//! looked up at the ground point that moved there ([`inverse`]), between the pixels by a spline that is accurate to
//! 0.0003 px ([`warp`]). Then the post image gets what real pairs differ by: noise, change, illumination
//! ([`noise`]), or the speckle of a radar ([`sar`]). [`pair::make_pair`] does all of it.
pub mod bspline;
pub mod elastic;
mod elementary;
pub mod fault;
pub mod fft2;
pub mod field;
pub mod files;
pub mod inverse;
pub mod noise;
pub mod okada;
mod paint;
pub mod pair;
pub mod random;
pub mod sar;
pub mod spectrum;
pub mod tde;
pub mod texture;
pub mod trace;
pub mod upsample;
pub mod warp;
