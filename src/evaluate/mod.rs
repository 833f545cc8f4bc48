//! How good is an estimated displacement field? Error measures against a known truth.
//!
//! [`EvaluateJob`] compares two raster files on any grids of the same CRS; [`compare`] does it for fields in memory.
//! Errors are estimate minus truth, east and north positive.
pub mod compare;
mod files;
pub mod report;
pub mod sample;
pub mod section;
pub mod ssim;
pub mod stats;
pub mod written;

pub use files::{EvaluateJob, FileEvaluation, is_combined};
