//! The inverse field: which ground point lies at a pixel of the post image.
//!
//! The ground point at x of the pre image is found at x + d(x) in the post image. To make the post image one needs,
//! for each of its pixels y, the x with x + d(x) = y, found by the fixed point x <- y - d(x). Across a fault d jumps
//! and the iteration has no fixed point there, so each side is inverted with its own smooth continuation and a
//! solution counts when it lies on the side it was made with.

use rayon::prelude::*;

use super::field::Field;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Where a pixel of the post image comes from, in pre coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Source {
    pub x: f64,
    pub y: f64,
    /// `false` where the ground opened: no point of the pre image went there.
    pub covered: bool,
}

/// Largest change of the last iteration, in pixels.
const TOLERANCE: f64 = 1e-11;
const MAX_ITERATIONS: usize = 100;

/// A displacement field that may jump across faults.
pub trait Displacement: Sync {
    /// Displacement at (x, y) of the pre image.
    fn at(&self, x: f64, y: f64) -> PixelShift;
    /// Distance to the fault near (x, y), positive on its right; `None` where none is near.
    fn across(&self, x: f64, y: f64) -> Option<f64>;
    /// Displacement of the block on the right (or left) of the fault near (x, y), continued smoothly beyond it.
    fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift;
    /// Largest jump across a fault.
    fn largest_jump(&self) -> f64;
}

impl Displacement for Field {
    fn at(&self, x: f64, y: f64) -> PixelShift {
        Field::at(self, x, y)
    }

    fn across(&self, x: f64, y: f64) -> Option<f64> {
        Field::across(self, x, y)
    }

    fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift {
        Field::on_side(self, x, y, right)
    }

    fn largest_jump(&self) -> f64 {
        Field::largest_jump(self)
    }
}

/// The source of post position (x, y).
pub fn source(field: &impl Displacement, x: f64, y: f64) -> Source {
    let Some(own) = field.across(x, y) else {
        return match solve(x, y, |u, v| field.at(u, v)) {
            Some((x, y)) => Source { x, y, covered: true },
            None => Source { x, y, covered: false },
        };
    };
    let own = own >= 0.0;
    let side = |right: bool| {
        let (u, v) = solve(x, y, |u, v| field.on_side(u, v, right))?;
        // Moved away from every fault: whichever side it was made with, that is where it is.
        let Some(n) = field.across(u, v) else { return Some((u, v, f64::INFINITY, right == own)) };
        Some((u, v, n, (n >= 0.0) == right))
    };
    let first = side(own);
    if let Some((u, v, n, true)) = first
        && n.abs() > 2.0 * field.largest_jump() + 1.0
    {
        // Too far from the fault for the other side to reach.
        return Source { x: u, y: v, covered: true };
    }
    match (first, side(!own)) {
        // Both sides claim the pixel: the one that moved farther over the trace lies on top.
        (Some((u, v, n, true)), Some((p, q, m, true))) => {
            let (x, y) = if n.abs() >= m.abs() { (u, v) } else { (p, q) };
            Source { x, y, covered: true }
        }
        (Some((u, v, _, true)), _) | (_, Some((u, v, _, true))) => Source { x: u, y: v, covered: true },
        // Neither does: a gap has opened, filled by the average so that the image has no hole.
        (Some((u, v, ..)), Some((p, q, ..))) => Source { x: (u + p) / 2.0, y: (v + q) / 2.0, covered: false },
        _ => Source { x, y, covered: false },
    }
}

/// The sources of all pixels of a post image.
pub fn sources(field: &impl Displacement, width: usize, height: usize) -> Grid<Source> {
    let mut data = vec![Source { x: 0.0, y: 0.0, covered: false }; width * height];
    data.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        for (x, s) in row.iter_mut().enumerate() {
            *s = source(field, x as f64, y as f64);
        }
    });
    Grid::from_vec(width, height, data)
}

fn solve(x: f64, y: f64, d: impl Fn(f64, f64) -> PixelShift) -> Option<(f64, f64)> {
    let (mut u, mut v) = (x, y);
    for _ in 0..MAX_ITERATIONS {
        let shift = d(u, v);
        let (p, q) = (x - shift.dx, y - shift.dy);
        let change = (p - u).abs().max((q - v).abs());
        (u, v) = (p, q);
        if change < TOLERANCE {
            return Some((u, v));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::fault::FaultSpec;
    use crate::synth::field::FieldSpec;

    #[test]
    fn sources_move_back_onto_their_pixel() {
        let mut spec = FieldSpec::fault(FaultSpec::for_size(512, 512));
        spec.smooth = 0.2;
        let field = Field::new(&spec, 512, 512, 9);
        let map = sources(&field, 512, 512);
        let mut gaps = 0;
        for y in 0..512 {
            for x in 0..512 {
                let s = map.get(x, y);
                if !s.covered {
                    gaps += 1;
                    continue;
                }
                let d = field.at(s.x, s.y);
                let error = (s.x + d.dx - x as f64).hypot(s.y + d.dy - y as f64);
                assert!(error < 1e-9, "pixel {x},{y}: {error}");
            }
        }
        // A rough trace with slip along its mean direction opens and closes a little.
        assert!(gaps < 512 * 512 / 1000, "{gaps} pixels not covered");
    }

    #[test]
    fn a_strong_ramp_is_inverted_too() {
        let field = Field::new(&FieldSpec::ramp([0.1, -0.05, 0.02, 0.2]), 100, 100, 0);
        let s = source(&field, 90.0, 5.0);
        let d = field.at(s.x, s.y);
        assert!((s.x + d.dx - 90.0).abs() < 1e-9 && (s.y + d.dy - 5.0).abs() < 1e-9);
    }
}
