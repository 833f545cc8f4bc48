//! The matching methods.
pub mod fft2;
pub mod fill;
pub mod interp;
pub mod phase;
pub mod prefilter;
pub mod prepare;
pub mod radial;
pub mod search;
