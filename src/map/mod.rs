//! What is done on displacement maps: profiles across faults, strain, arrows.
//!
//! [`DisplacementMap`] opens a product of `shiftmap displacement`, or any raster with east and north displacement, and
//! hands out pieces of it ([`MapReader`]), so that no command has to hold a map in memory. Values are in the map's own
//! unit, east and north positive, NaN where there is none.

pub mod profile;
pub mod reader;
pub mod strain;
pub mod vectors;

pub use reader::{DisplacementMap, MapBlock, MapReader, MapUnit};
