//! Interferograms and GNSS series of simulated earthquakes, with the three-dimensional displacement known everywhere.
//!
//! An event is one [`scene::Scene`]: a fault ([`source`]) under a landscape ([`terrain`]), seen by an ascending and a
//! descending satellite ([`geometry`]) through two different atmospheres each ([`interferogram`], [`atmosphere`]), with places
//! where nothing is measured ([`cover`]), and by a network of GNSS stations ([`network`]) with daily positions ([`series`]).
//! [`files`] writes one event, [`set`] many of them as arrays for training.
//!
//! Displacement is in metres, east, north and up. Line-of-sight displacement is positive towards the satellite:
//! s · (E, N, U) with the unit vector s from the ground to the satellite.
pub mod arrays;
pub mod atmosphere;
pub mod cover;
pub mod files;
pub mod frame;
pub mod geometry;
pub mod ground;
pub mod interferogram;
pub mod network;
pub mod scene;
pub mod series;
pub mod set;
pub mod source;
pub mod spec;
pub mod terrain;
