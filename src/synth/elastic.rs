//! Motion of the ground at every pixel of an image, from the dislocations of a fault model.

use super::fault_model::FaultModel;
use super::frame::Frame;
use super::tde::{Loops, Triangle};
use crate::Result;
use crate::grid::Grid;

/// Poisson's ratio of the crust.
pub const POISSON: f64 = 0.25;

/// East, north and up in metres at the pixel centres.
///
/// # Errors
/// [`crate::Error::Internal`] for a triangle that cannot be evaluated.
pub fn ground_motion(model: &FaultModel, frame: &Frame) -> Result<Grid<[f64; 3]>> {
    let triangles: Vec<Triangle> =
        model.triangles.iter().map(|t| Triangle { vertices: t.vertices, slip: t.slip }).collect();
    let loops = Loops::new(&triangles, POISSON)?;
    let places: Vec<[f64; 2]> = (0..frame.width * frame.height)
        .map(|k| {
            let (e, n) = frame.map((k % frame.width) as f64, (k / frame.width) as f64);
            [e, n]
        })
        .collect();
    let mut motion = vec![[0.0; 3]; places.len()];
    loops.surface(&places, &mut motion)?;
    Ok(Grid::from_vec(frame.width, frame.height, motion))
}
