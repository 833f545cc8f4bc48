//! The quality measures of Ampcor (ISCE2, `ampcor.F`; Rosen et al. 2004, ROI_PAC), from a window's correlation surface.

use super::search::SearchArea;
use super::surface::NOTHING;
use crate::field::Covariance;

/// Half side of the neighbourhood of the peak that the signal-to-noise ratio is measured against.
const NEIGHBOURHOOD: usize = 10;

/// Where the maximum of a surface is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At {
    /// Columns of the surface.
    pub columns: usize,
    pub x: usize,
    pub y: usize,
}

impl At {
    /// The place of whole-pixel displacement `shift` in the surface of a cell.
    pub fn of(search: &SearchArea, cell: usize, shift: (i32, i32)) -> At {
        let start = search.start(cell);
        let place = |s: i32, start: i32, range: usize| (s - start + range as i32) as usize;
        At {
            columns: 2 * search.range.0 + 1,
            x: place(shift.0, start.0, search.range.0),
            y: place(shift.1, start.1, search.range.1),
        }
    }
}

/// Squared correlation of the peak over the mean squared correlation of up to 21 × 21 places around it.
pub fn snr(surface: &[f32], at: At) -> f64 {
    let rows = surface.len() / at.columns;
    let (mut sum, mut n) = (0.0, 0.0);
    for y in at.y.saturating_sub(NEIGHBOURHOOD)..(at.y + NEIGHBOURHOOD + 1).min(rows) {
        for x in at.x.saturating_sub(NEIGHBOURHOOD)..(at.x + NEIGHBOURHOOD + 1).min(at.columns) {
            let v = surface[y * at.columns + x];
            if (x, y) != (at.x, at.y) && v > NOTHING {
                sum += (v as f64).powi(2);
                n += 1.0;
            }
        }
    }
    let peak = surface[at.y * at.columns + at.x] as f64;
    if sum > 0.0 { peak * peak * n / sum } else { 0.0 }
}

/// Covariance of the peak's position in squared pixels from the curvature of the whole-pixel surface and the number of
/// pixels. It is known not to be calibrated: it takes white noise for granted and the curvature of the noisy surface.
/// `None` on the surface's rim or without a maximum.
pub fn covariance(surface: &[f32], at: At, pixels: f64) -> Option<Covariance> {
    let rows = surface.len() / at.columns;
    if at.x == 0 || at.y == 0 || at.x + 1 >= at.columns || at.y + 1 >= rows {
        return None;
    }
    let v = |i: usize, j: usize| surface[(at.y + j - 1) * at.columns + at.x + i - 1] as f64;
    let peak = v(1, 1);
    let xx = -pixels * (v(2, 1) + v(0, 1) - 2.0 * peak);
    let yy = -pixels * (v(1, 2) + v(1, 0) - 2.0 * peak);
    let xy = pixels * (v(2, 2) + v(0, 0) - v(2, 0) - v(0, 2)) / 4.0;
    let (noise, det) = ((1.0 - peak).max(0.0), xx * yy - xy * xy);
    if det.is_nan() || det <= 0.0 || xx <= 0.0 {
        return None;
    }
    let (linear, square) = (2.0 * noise * det, 0.5 * pixels * noise * noise);
    let over = 1.0 / (det * det);
    Some(Covariance {
        xx: (linear * yy + square * (yy * yy + xy * xy)) * over,
        xy: -(linear + square * (xx + yy)) * xy * over,
        yy: (linear * xx + square * (xx * xx + xy * xy)) * over,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isotropic_peak_has_the_known_variance() {
        // Curvature κ per axis: 2(1-ρ)/(Nκ) + (1-ρ)²/(2Nκ²).
        let (peak, bend, n) = (0.8f64, 0.1, 1024.0);
        let surface: Vec<f32> = (0..25)
            .map(|k| {
                let (x, y) = ((k % 5) as f64 - 2.0, (k / 5) as f64 - 2.0);
                (peak - 0.5 * bend * (x * x + y * y)) as f32
            })
            .collect();
        let c = covariance(&surface, At { columns: 5, x: 2, y: 2 }, n).unwrap();
        let q = 1.0 - peak;
        let want = 2.0 * q / (n * bend) + 0.5 * q * q / (n * bend * bend);
        assert!((c.xx / want - 1.0).abs() < 1e-4 && (c.yy / want - 1.0).abs() < 1e-4 && c.xy.abs() < 1e-9);
    }

    #[test]
    fn snr_leaves_the_peak_out() {
        let mut surface = vec![0.1f32; 25];
        surface[12] = 0.9;
        assert!((snr(&surface, At { columns: 5, x: 2, y: 2 }) - 81.0).abs() < 1e-3);
        surface[0] = NOTHING;
        assert!((snr(&surface, At { columns: 5, x: 2, y: 2 }) - 81.0).abs() < 1e-3);
    }
}
