//! What a sensor and its processing add to a displacement field: misregistration, attitude jitter, detector edges.
//!
//! [`model::Distortion`] is the field itself: a shift, a plane or a quadratic surface, a profile across the scan lines (one
//! value a line) and steps at fixed places along the lines. [`table::LineTable`] holds a displacement field with one row for
//! each scan line and at most [`table::BLOCKS`] blocks along it, and [`fit::fit`] finds the distortion in it without taking
//! the ground's own motion for it.
//!
//! The same model serves `shiftmap coregister` (pre pixels, displacement right and down in pixels) and `shiftmap filter`
//! (cells of a map, east and north in the map's unit); nothing here knows which.

pub mod direction;
pub mod fit;
pub mod lines;
pub mod model;
pub mod steps;
pub mod surface;
pub mod table;

pub use direction::Direction;
pub use fit::{Found, Plan, Wanted, fit, fit_parts};
pub use model::{Distortion, Lines, Steps, Surface};
pub use table::LineTable;
