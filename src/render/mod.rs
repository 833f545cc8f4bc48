//! Pictures of images and displacement maps, drawn without any graphics library.
//!
//! Displacements use a diverging scale on which 0 is white, standard deviations a light-to-dark one, and pixels without
//! a value are grey. The scale bar carries the limits; what exceeds them has the limit's colour.
pub mod canvas;
pub mod chart;
pub mod colour;
pub mod font;
pub mod panel;

pub use canvas::Canvas;
pub use chart::{Chart, Series};
pub use colour::Scale;
pub use panel::{Panel, figure};
