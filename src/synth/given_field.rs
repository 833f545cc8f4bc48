//! The displacement field of given faults on an image's pixels, ready to displace the image.

use rayon::prelude::*;

use super::elastic::{PixelGrid, on_grid};
use super::event::{EventField, cut};
use super::faulted::PixelLine;
use super::given::GivenFaults;
use super::tde::Loops;
use super::triangle_file::surface_traces;
use crate::Result;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Rows that are computed at once.
const STRIPE: usize = 512;
/// Distance from the trace at which its two sides are compared, pixels.
const BESIDE: f64 = 1e-3;

/// The field of `faults` on the pixels of an image and `margin` more on each side, in pixels of that image (vertical
/// motion has no part in it: the image looks straight down). `grid`: the image without its margin, in the metres of the
/// faults' plane.
///
/// The jump along each surface break is that of the exact field: at every half pixel the motions of its two sides are
/// compared, so that crossing and touching faults are right as well.
///
/// # Errors
/// [`crate::Error::Data`] for unusable faults or an unusable grid; [`crate::Error::Option`] for Poisson's ratio.
pub fn event_field(faults: &GivenFaults, poisson: f64, grid: &PixelGrid, margin: usize) -> Result<EventField> {
    let loops = Loops::new(&faults.triangles, poisson)?;
    let m = margin as f64;
    let [east, north] = grid.map(-m, -m);
    let padded =
        PixelGrid { width: grid.width + 2 * margin, height: grid.height + 2 * margin, origin: (east, north), ..*grid };
    let mut pixels = Grid::filled(padded.width, padded.height, PixelShift::default());
    for first in (0..padded.height).step_by(STRIPE) {
        let [east, north] = padded.map(0.0, first as f64);
        let height = STRIPE.min(padded.height - first);
        let part = on_grid(&loops, &PixelGrid { height, origin: (east, north), ..padded })?;
        let target = &mut pixels.data[first * padded.width..(first + height) * padded.width];
        target.par_iter_mut().zip(&part.data).for_each(|(d, u)| *d = shift(&padded, u));
    }
    let mut lines = Vec::new();
    for trace in surface_traces(&faults.triangles) {
        lines.extend(line(&trace, &loops, &padded)?);
    }
    Ok(EventField { grid: pixels, lines, margin })
}

/// Motion in metres as pixels to the right and down.
fn shift(grid: &PixelGrid, u: &[f64; 3]) -> PixelShift {
    let (x, y) = solve(grid, u[0], u[1]);
    PixelShift::new(x, y)
}

/// The pixel steps that make up a step on the map.
fn solve(grid: &PixelGrid, east: f64, north: f64) -> (f64, f64) {
    let (c, r) = (grid.column, grid.row);
    let det = c.0 * r.1 - c.1 * r.0;
    ((east * r.1 - north * r.0) / det, (north * c.0 - east * c.1) / det)
}

/// A surface break with its jump, in pixels of the grid; `None` where it stays clear of the image.
fn line(trace: &[(f64, f64)], loops: &Loops, grid: &PixelGrid) -> Result<Option<PixelLine>> {
    let corners: Vec<(f64, f64)> =
        trace.iter().map(|p| solve(grid, p.0 - grid.origin.0, p.1 - grid.origin.1)).collect();
    // Corners and the middles of pieces of a pixel between them; the direction of the piece.
    let mut points = Vec::new();
    let mut directions: Vec<Option<(f64, f64)>> = Vec::new();
    for pair in corners.windows(2) {
        let (p, q) = (pair[0], pair[1]);
        let length = (q.0 - p.0).hypot(q.1 - p.1);
        let pieces = length.ceil().max(1.0);
        points.push(p);
        directions.push(None);
        for k in 0..pieces as usize {
            let t = (k as f64 + 0.5) / pieces;
            points.push((p.0 + t * (q.0 - p.0), p.1 + t * (q.1 - p.1)));
            directions.push(Some(((q.0 - p.0) / length, (q.1 - p.1) / length)));
        }
    }
    points.extend(corners.last());
    directions.push(None);
    const CLEAR: f64 = 64.0;
    let (w, h) = (grid.width as f64, grid.height as f64);
    let inside = |p: &(f64, f64)| p.0 > -CLEAR && p.1 > -CLEAR && p.0 < w + CLEAR && p.1 < h + CLEAR;
    if points.len() < 2 || !points.iter().any(inside) {
        return Ok(None);
    }
    let mut jump = vec![[0.0; 2]; points.len()];
    let middles: Vec<usize> = (0..points.len()).filter(|&k| directions[k].is_some() && inside(&points[k])).collect();
    let sides = middles.iter().flat_map(|&k| {
        let (p, (ux, uy)) = (points[k], directions[k].unwrap_or_default());
        // Rows grow downwards: the right-hand side of (x, y) is (-y, x).
        [1.0, -1.0].map(|side: f64| grid.map(p.0 - side * BESIDE * uy, p.1 + side * BESIDE * ux))
    });
    let sides: Vec<[f64; 2]> = sides.collect();
    let mut motion = vec![[0.0; 3]; sides.len()];
    loops.surface(&sides, &mut motion)?;
    for (pair, &k) in motion.chunks(2).zip(&middles) {
        let (right, left) = (shift(grid, &pair[0]), shift(grid, &pair[1]));
        jump[k] = [right.dx - left.dx, right.dy - left.dy];
    }
    // A corner has the mean of its two sides; the ends have none.
    for k in 1..points.len() - 1 {
        if directions[k].is_none() {
            jump[k] = [0, 1].map(|c| 0.5 * (jump[k - 1][c] + jump[k + 1][c]));
        }
    }
    Ok(Some(cut(PixelLine { points, jump }, inside)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Line;
    use crate::synth::fault_line::FaultLine;
    use crate::synth::inverse::Displacement;

    fn faults(lines: Vec<FaultLine>) -> GivenFaults {
        let triangles = lines.iter().flat_map(|l| l.triangles(20.0)).collect();
        let traces = lines.iter().map(|l| Line { points: l.points.clone(), attributes: Vec::new() }).collect();
        GivenFaults { triangles, traces, lines }
    }

    #[test]
    fn the_jump_is_the_slip_and_each_side_goes_on_beyond_the_line() {
        // Right lateral, 20 m = 2 pixels, northwards through the image; and a bend.
        let points = vec![(13.0, -5000.0), (7.0, 100.0), (-300.0, 5000.0)];
        let fault =
            FaultLine { points, dip: 90.0, top: 0.0, width: 9e3, slip: 20.0, rake: 180.0, opening: 0.0, taper: 0.0 };
        // North up, and with rows that go north (a mirror image).
        for sign in [-1.0, 1.0] {
            let origin = (-500.0, -sign * 500.0);
            let grid = PixelGrid { width: 100, height: 100, origin, column: (10.0, 0.0), row: (0.0, sign * 10.0) };
            let field = event_field(&faults(vec![fault.clone()]), 0.25, &grid, 8).unwrap();
            assert_eq!(field.lines.len(), 1);
            let middle = field.lines[0].jump.len() / 2;
            let j = field.lines[0].jump[middle];
            assert!((j[0].hypot(j[1]) - 2.0).abs() < 1e-3, "{j:?}");
            // Right lateral: the far side moves to the right of whoever looks across; north on the west side.
            let faulted = field.faulted();
            let (west, east) = (faulted.at(55.0, 40.0), faulted.at(63.0, 40.0));
            assert!(sign * (west.dy - east.dy) > 1.7, "{west:?} {east:?}");
            // Beyond the line a side goes on as it was: no jump between the pixels beside the line.
            let near: Vec<f64> = (0..80).map(|k| 55.0 + 0.1 * f64::from(k)).collect();
            for right in [true, false] {
                let dy: Vec<f64> = near.iter().map(|&x| faulted.on_side(x, 40.0, right).dy).collect();
                assert!(dy.windows(2).all(|w| (w[1] - w[0]).abs() < 0.02), "{dy:?}");
            }
        }
    }

    #[test]
    fn buried_and_distant_faults_have_no_line() {
        let fault = |x: f64, top: f64| FaultLine {
            points: vec![(x, -3e3), (x, 3e3)],
            dip: 60.0,
            top,
            width: 5e3,
            slip: 2.0,
            rake: 90.0,
            opening: 0.0,
            taper: 0.0,
        };
        let grid = PixelGrid { width: 64, height: 64, origin: (-320.0, 320.0), column: (10.0, 0.0), row: (0.0, -10.0) };
        for fault in [fault(0.0, 500.0), fault(40e3, 0.0)] {
            let field = event_field(&faults(vec![fault]), 0.25, &grid, 0).unwrap();
            assert!(field.lines.is_empty() && field.largest() > 0.0);
        }
    }
}
