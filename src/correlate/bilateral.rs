//! Pixels that moved like the centre of their window (`--bilateral`).
//!
//! A window across a sudden change of motion measures a mixture. From the first pass, each pixel k of such a window gets
//! the weight exp(-|u(k) - u(0)|² / 2t²), t three standard deviations (Tomasi & Manduchi 1998, "Bilateral filtering"),
//! and the window is matched again. u is not the first pass itself, which is a ramp as wide as the window: each cell
//! takes the value of that window, among those shifted by up to half a window so that they still hold it, which
//! correlates best (Kuwahara et al. 1976), so that a step stays a step.

use super::lsm::Solution;
use super::search::TileWindows;
use crate::field::{PixelShift, Status};

/// Standard deviations that make the width of the weight, and those from which a window counts as mixed.
const WIDTH: f64 = 3.0;
const MIXED: f64 = 7.0;

/// The first pass with edges restored.
pub struct Motion<'a> {
    windows: &'a TileWindows,
    /// Displacement and its standard deviation; `None` without a value around.
    cells: Vec<Option<(PixelShift, f64)>>,
}

impl<'a> Motion<'a> {
    pub fn new(windows: &'a TileWindows, first: &[Solution]) -> Self {
        let (nx, ny) = windows.cells;
        let reach = |n: usize, step: usize| (n / 2) / step;
        let (rx, ry) = (reach(windows.window.0, windows.step.0), reach(windows.window.1, windows.step.1));
        let best = |cell: usize| {
            let (x, y) = ((cell % nx) as i64, (cell / nx) as i64);
            let mut best: Option<&Solution> = None;
            for j in [0, -1, 1] {
                for i in [0, -1, 1] {
                    let (u, v) = (x + i * rx as i64, y + j * ry as i64);
                    if u < 0 || v < 0 || u >= nx as i64 || v >= ny as i64 {
                        continue;
                    }
                    let s = &first[v as usize * nx + u as usize];
                    if s.measurement.status == Status::Valid && best.is_none_or(|b| s.correlation > b.correlation) {
                        best = Some(s);
                    }
                }
            }
            best.map(|s| {
                let c = s.measurement.covariance;
                (s.measurement.shift, (0.5 * (c.xx + c.yy)).sqrt())
            })
        };
        Motion { windows, cells: (0..nx * ny).map(best).collect() }
    }

    /// Displacement of a cell that has weights.
    pub fn at(&self, cell: usize) -> PixelShift {
        self.cells[cell].map_or(PixelShift::default(), |(d, _)| d)
    }

    /// Weights of the pixels of a cell's window; `None` where all moved alike, as far as can be told.
    pub fn weights(&self, cell: usize) -> Option<Vec<f32>> {
        let (here, sigma) = self.cells[cell]?;
        let (nx, ny) = self.windows.cells;
        let ((w, h), (sx, sy)) = (self.windows.window, self.windows.step);
        let at = |k: usize, n: usize, step: usize, index: usize, count: usize| {
            let offset = (k as f64 - (n as f64 - 1.0) / 2.0) / step as f64;
            (index as f64 + offset).round().clamp(0.0, count as f64 - 1.0) as usize
        };
        let columns: Vec<usize> = (0..w).map(|i| at(i, w, sx, cell % nx, nx)).collect();
        let rows: Vec<usize> = (0..h).map(|j| at(j, h, sy, cell / nx, ny)).collect();
        let mut farthest = 0.0f64;
        let mut out = Vec::with_capacity(w * h);
        for &j in &rows {
            for &i in &columns {
                let far = self.cells[j * nx + i].map_or(0.0, |(there, other)| {
                    let apart = (there.dx - here.dx).hypot(there.dy - here.dy);
                    apart / (0.5 * (sigma * sigma + other * other)).sqrt()
                });
                farthest = farthest.max(far);
                out.push((-0.5 * (far / WIDTH).powi(2)).exp() as f32);
            }
        }
        (farthest > MIXED).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Covariance, Measurement};

    /// 9 × 3 cells every 8 px, windows of 32 px: motion 0 left of cell 4, 1 px from there on; mixed windows ramp.
    #[test]
    fn windows_beside_a_step_keep_to_their_side_and_others_stay_whole() {
        let windows = TileWindows { cells: (17, 3), window: (32, 32), step: (8, 8) };
        let first: Vec<Solution> = (0..51)
            .map(|c| {
                let t = (c % 17) as f64 - 8.0;
                let dx = (0.5 + t / 4.0).clamp(0.0, 1.0);
                let covariance = Covariance { xx: 4e-4, xy: 0.0, yy: 4e-4 };
                let shift = PixelShift::new(dx, 0.0);
                let measurement = Measurement { shift, covariance, quality: 0.9, status: Status::Valid };
                Solution { measurement, correlation: 0.9 - 0.4 * dx * (1.0 - dx), iterations: 3 }
            })
            .collect();
        let motion = Motion::new(&windows, &first);
        assert!(motion.weights(17 + 2).is_none() && motion.weights(17 + 14).is_none());
        let beside = motion.weights(17 + 7).unwrap();
        let (left, right) = (beside[16 * 32 + 4], beside[16 * 32 + 31]);
        assert!(left > 0.95 && right < 0.01, "{left} {right}");
    }
}
