//! Windows in ground that strains: carries their values to their centres.
//!
//! A window of a translation measures the ground where its texture is, not at its centre: in a displacement with the
//! derivatives g it is off by X·∂d/∂x + Y·∂d/∂y ([`super::lsm_cut`]), a pixel or two times g for windows of natural
//! texture. Where g is more than a fraction of a standard deviation per pixel that error is larger than the noise's and
//! no residual shows it. The windows a quarter of the window's side around tell g; where they lie on no plane (at a
//! jump nobody knows of) or tell nothing but noise, the value stays. Runs that know of no fault leave their windows as they
//! are: next to one that nobody told of the slope around is the fault's.

use super::Tile;
use super::cut::Support;
use super::lsm_cut::{self, Slope};
use super::lsm_window::LsmWindow;
use crate::field::{Measurement, Status};

/// The windows that tell the derivatives are this share of the side away.
const SHARE: usize = 4;
/// What a lean is about at most, as a share of the side, and the share of the standard deviation that its error must
/// reach there.
const FARTHEST: f64 = 0.06;
const NOTICED: f64 = 0.25;

/// How many cells away, along one axis, the windows lie that tell the derivatives.
pub fn reach(window: usize, step: usize) -> usize {
    ((window + SHARE * step / 2) / (SHARE * step)).max(1)
}

/// Levels the windows of a tile except those that a line cuts, which neither tell anything.
pub fn level(tile: &Tile, work: &LsmWindow, field: &mut [Measurement], cut: &dyn Fn(usize) -> bool) {
    let window = tile.windows.window;
    let mut levelled = Vec::new();
    let mut weights = Vec::new();
    for cell in 0..field.len() {
        let Some(slope) = (!cut(cell)).then(|| slope(tile, field, cut, cell)).flatten() else { continue };
        if weights.is_empty() {
            weights = (0..window.0 * window.1).map(|k| work.nominal(k, None)).collect();
        }
        let support = Support { corner: tile.windows.corner(cell), weights: std::mem::take(&mut weights) };
        if let Some(lean) = lsm_cut::lean(tile, cell, &support) {
            let mut m = field[cell];
            lean.carry(&mut m, &slope);
            levelled.push((cell, m));
        }
        weights = support.weights;
    }
    lsm_cut::replace(tile, field, levelled);
}

/// From the four windows around a cell; `None` where it does not matter.
fn slope(tile: &Tile, field: &[Measurement], cut: &dyn Fn(usize) -> bool, cell: usize) -> Option<Slope> {
    let m = &field[cell];
    let windows = &tile.windows;
    let ((nx, ny), (w, h)) = (windows.cells, windows.window);
    let (rx, ry) = (reach(w, windows.step.0), reach(h, windows.step.1));
    let (x, y) = (cell % nx, cell / nx);
    if m.status != Status::Valid {
        return None;
    }
    // Beside a border or a line one side has to do.
    let usable = |c: usize| !cut(c) && field[c].status == Status::Valid && lsm_cut::visible(tile, cell, c);
    let end = |inside: bool, c: usize| Some(c).filter(|&c| inside && usable(c)).unwrap_or(cell);
    let ends = [
        (end(x >= rx, cell.wrapping_sub(rx)), end(x + rx < nx, cell + rx), rx * windows.step.0),
        (end(y >= ry, cell.wrapping_sub(ry * nx)), end(y + ry < ny, cell + ry * nx), ry * windows.step.1),
    ];
    let (mut slopes, mut apart, mut squares, mut bends) = ([(0.0, 0.0); 2], [0.0; 2], 0.0, 0.0);
    for (i, &(a, b, away)) in ends.iter().enumerate() {
        let sides = usize::from(a != cell) + usize::from(b != cell);
        if sides == 0 {
            return None;
        }
        let (p, q) = (field[a].shift, field[b].shift);
        let rise = (q.dx - p.dx, q.dy - p.dy);
        apart[i] = (sides * away) as f64;
        slopes[i] = (rise.0 / apart[i], rise.1 / apart[i]);
        if sides == 2 {
            squares += rise.0 * rise.0 + rise.1 * rise.1;
            bends += (p.dx + q.dx - 2.0 * m.shift.dx).powi(2) + (p.dy + q.dy - 2.0 * m.shift.dy).powi(2);
        }
    }
    let variance = 0.5 * (m.covariance.xx + m.covariance.yy);
    let steep = slopes.iter().map(|s| s.0 * s.0 + s.1 * s.1).sum::<f64>().sqrt();
    if FARTHEST * w.min(h) as f64 * steep < NOTICED * variance.sqrt() || bends > squares {
        return None;
    }
    // Windows that overlap share that much of their errors.
    let noise = |i: usize, side: usize| 2.0 * variance * (apart[i] / side as f64).min(1.0) / apart[i].powi(2);
    Some(Slope {
        along_x: slopes[0],
        along_y: slopes[1],
        covariance: [noise(0, w), 0.0, noise(1, h)],
        bend: (0.0, 0.0),
    })
}
