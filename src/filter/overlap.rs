//! Errors of cells whose matching windows overlap.

use crate::map::DisplacementMap;

/// Correlation of the errors of two cells: the share that their windows have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Window over step along columns and rows; 1 where the map does not say.
    pub cells: (f64, f64),
}

impl Overlap {
    pub fn of(map: &DisplacementMap) -> Overlap {
        let cells = map.window.zip(map.step).map_or((1.0, 1.0), |(w, s)| (w.0 / s.0, w.1 / s.1));
        Overlap { cells: (cells.0.max(1.0), cells.1.max(1.0)) }
    }

    fn kernel(span: f64) -> Vec<f64> {
        let reach = (span.ceil() as i64 - 1).max(0);
        (-reach..=reach).map(|lag| 1.0 - lag.abs() as f64 / span).collect()
    }

    /// Variance of the sum of errors of a `width` × `height` window: Σ a_j a_k ρ_jk, `terms` holding a = weight × standard
    /// deviation, row by row, 0 where there is no value. `scratch` is overwritten.
    pub fn variance(&self, terms: &[f64], width: usize, scratch: &mut Vec<f64>) -> f64 {
        let height = terms.len() / width.max(1);
        let (kx, ky) = (Self::kernel(self.cells.0), Self::kernel(self.cells.1));
        if kx.len() == 1 && ky.len() == 1 {
            return terms.iter().map(|t| t * t).sum();
        }
        // ρ is a product of the two axes.
        scratch.clear();
        scratch.resize(terms.len(), 0.0);
        let half = kx.len() / 2;
        for y in 0..height {
            for x in 0..width {
                let (from, to) = (x.saturating_sub(half), (x + half + 1).min(width));
                let row = &terms[y * width..(y + 1) * width];
                let sum: f64 = (from..to).map(|i| kx[i + half - x] * row[i]).sum();
                scratch[y * width + x] = sum;
            }
        }
        let half = ky.len() / 2;
        let mut total = 0.0;
        for y in 0..height {
            let (from, to) = (y.saturating_sub(half), (y + half + 1).min(height));
            for x in 0..width {
                let a = terms[y * width + x];
                if a != 0.0 {
                    total += a * (from..to).map(|j| ky[j + half - y] * scratch[j * width + x]).sum::<f64>();
                }
            }
        }
        total.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_is_the_double_sum() {
        let (width, height) = (7, 5);
        let terms: Vec<f64> = (0..35).map(|i| if i % 6 == 2 { 0.0 } else { 0.01 * ((i * 17) % 11) as f64 }).collect();
        for cells in [(1.0, 1.0), (4.0, 2.0), (2.5, 3.0)] {
            let rho = |lag: usize, span: f64| if lag == 0 { 1.0 } else { (1.0 - lag as f64 / span).max(0.0) };
            let mut want = 0.0;
            for a in 0..35usize {
                for b in 0..35usize {
                    let (dx, dy) = ((a % width).abs_diff(b % width), (a / width).abs_diff(b / width));
                    want += terms[a] * terms[b] * rho(dx, cells.0) * rho(dy, cells.1);
                }
            }
            let got = Overlap { cells }.variance(&terms, width, &mut Vec::new());
            assert!((got - want).abs() < 1e-12, "{cells:?}: {got} {want}");
        }
        let _ = height;
    }
}
