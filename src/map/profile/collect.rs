//! The cells of the swaths, read strip by strip.

use super::Lengths;
use super::straddle::straddling;
use super::trace::Swath;
use crate::map::reader::DisplacementMap;
use crate::{Error, Result};

/// A cell in a swath.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Distance from the trace, positive on the right.
    pub d: f64,
    /// Position along strike, from the swath's middle.
    pub a: f64,
    /// Displacement parallel (along the trace's direction) and normal (to its right).
    pub values: [f64; 2],
    /// Their standard deviations; 1 for maps without.
    pub sigmas: [f64; 2],
    pub cell: (i64, i64),
    /// Not to be used in the fits.
    pub excluded: bool,
}

/// Rows read at once.
const ROWS: usize = 128;

/// The cells of every swath.
pub fn collect(
    map: &DisplacementMap,
    swaths: &[Swath],
    lines: &[Vec<(f64, f64)>],
    lengths: &Lengths,
    exclude: Option<f64>,
    progress: &mut dyn FnMut(f64) -> bool,
) -> Result<Vec<Vec<Cell>>> {
    let plane = map.plane();
    let grid = plane.transform(&map.georef.transform);
    let pixel = |p: (f64, f64)| {
        grid.pixel(p.0, p.1).ok_or_else(|| Error::GridMismatch(format!("{} has a singular geotransform", map.path())))
    };
    let mut segments = Vec::new();
    for line in lines {
        let places = line.iter().map(|p| pixel(plane.apply(*p))).collect::<Result<Vec<_>>>()?;
        segments.extend(places.windows(2).map(|p| [p[0].0, p[0].1, p[1].0, p[1].1]));
    }
    let half = map.half_window_cells();
    let boxes = swaths.iter().map(|s| bounds(s, lengths, &pixel)).collect::<Result<Vec<_>>>()?;
    let mut reader = map.reader()?;
    let mut found: Vec<Vec<Cell>> = vec![Vec::new(); swaths.len()];
    let height = map.size().1 as f64;
    for strip in map.strips(ROWS) {
        if !progress(strip.y as f64 / height) {
            return Err(Error::Cancelled);
        }
        let touched = |b: &[f64; 4]| {
            b[1] < strip.bottom() as f64 && b[3] > strip.y as f64 && b[2] > 0.0 && b[0] < strip.right() as f64
        };
        if !boxes.iter().any(touched) {
            continue;
        }
        let block = reader.read(strip)?;
        let marks = match exclude {
            None => straddling(strip, &segments, half),
            Some(_) => crate::grid::Grid::filled(strip.width, strip.height, false),
        };
        for ((swath, b), cells) in swaths.iter().zip(&boxes).zip(&mut found).filter(|((_, b), _)| touched(b)) {
            let rows = b[1].floor().max(strip.y as f64) as i64..b[3].ceil().min(strip.bottom() as f64) as i64;
            let columns = b[0].floor().max(0.0) as usize..b[2].ceil().clamp(0.0, strip.width as f64) as usize;
            let (t, n) = (swath.tangent, swath.normal());
            for row in rows {
                let j = (row - strip.y) as usize;
                for column in columns.clone() {
                    let (e, v) = (f64::from(block.east.get(column, j)), f64::from(block.north.get(column, j)));
                    if e.is_nan() {
                        continue;
                    }
                    let place = grid.map(column as f64 + 0.5, row as f64 + 0.5);
                    let Some((a, d)) = swath.distance(place, lengths.length) else { continue };
                    let sigmas = match &block.sigma {
                        None => [1.0, 1.0],
                        Some((se, sn)) => {
                            let (se, sn) = (f64::from(se.get(column, j)), f64::from(sn.get(column, j)));
                            [(t.0 * se).hypot(t.1 * sn), (n.0 * se).hypot(n.1 * sn)]
                        }
                    };
                    // A value without a sigma cannot be weighed.
                    if !(sigmas[0] > 0.0 && sigmas[1] > 0.0 && sigmas[0].is_finite() && sigmas[1].is_finite()) {
                        continue;
                    }
                    cells.push(Cell {
                        d,
                        a,
                        values: [t.0 * e + t.1 * v, n.0 * e + n.1 * v],
                        sigmas,
                        cell: (column as i64, row),
                        excluded: exclude.map_or(marks.get(column, j), |x| d.abs() < x) || d == 0.0,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// Columns and rows that a swath can reach: x0, y0, x1, y1.
fn bounds(swath: &Swath, lengths: &Lengths, pixel: &dyn Fn((f64, f64)) -> Result<(f64, f64)>) -> Result<[f64; 4]> {
    let reach = lengths.length + swath.bend();
    let mut b = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for (a, d) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
        let (x, y) = pixel(swath.global(a * swath.half_width, d * reach))?;
        b = [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)];
    }
    Ok(b)
}
