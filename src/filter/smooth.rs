//! Smoothing that knows gaps and how far each value is to be trusted. A cell without a value stays without.

use super::cells::Cells;
use super::overlap::Overlap;
use crate::map::DisplacementMap;
use crate::robust;
use rayon::prelude::*;

/// How non-local means is told to work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nlm {
    /// How much more than by noise patches may differ, in standard deviations.
    pub strength: f64,
    /// Side of the area searched for similar patches, in cells.
    pub search: usize,
    /// Side of a patch.
    pub patch: usize,
}

/// What the rows of a result are made of.
type Row = Vec<[f32; 4]>;

/// Replaces each value by the median of the values around it, weighted by their quality.
///
/// Sigma: that of the mean with the same weights times sqrt(π/2), what the median of normal errors costs; not above that of
/// the single value.
pub fn median(cells: &mut Cells, side: usize, overlap: &Overlap) {
    let half = side / 2;
    let rows: Vec<Row> = (0..cells.height())
        .into_par_iter()
        .map(|y| {
            let mut near: Vec<(f32, f64)> = Vec::with_capacity(side * side);
            let (mut terms, mut scratch) = (Vec::new(), Vec::new());
            (0..cells.width())
                .map(|x| {
                    let mut out = [f32::NAN; 4];
                    if !cells.values[0].get(x, y).is_finite() {
                        return out;
                    }
                    let (x0, x1) = (x.saturating_sub(half), (x + half + 1).min(cells.width()));
                    let (y0, y1) = (y.saturating_sub(half), (y + half + 1).min(cells.height()));
                    for k in 0..2 {
                        near.clear();
                        terms.clear();
                        let mut total = 0.0;
                        for j in y0..y1 {
                            for i in x0..x1 {
                                let v = cells.values[k].get(i, j);
                                let w = if v.is_finite() { trust(cells, i, j) } else { 0.0 };
                                let s = f64::from(cells.sigma[k].get(i, j));
                                terms.push(if w > 0.0 { w * s } else { 0.0 });
                                if w > 0.0 {
                                    near.push((v, w));
                                    total += w;
                                }
                            }
                        }
                        if near.is_empty() {
                            // Nothing around can be trusted: the cell keeps its value.
                            (out[k], out[2 + k]) = (cells.values[k].get(x, y), cells.sigma[k].get(x, y));
                            continue;
                        }
                        out[k] = weighted_median(&mut near, total);
                        terms.iter_mut().for_each(|t| *t /= total);
                        let mean = overlap.variance(&terms, x1 - x0, &mut scratch);
                        let sigma = (std::f64::consts::FRAC_PI_2 * mean).sqrt() as f32;
                        let own = cells.sigma[k].get(x, y);
                        out[2 + k] = if own.is_finite() { sigma.min(own) } else { f32::NAN };
                    }
                    out
                })
                .collect()
        })
        .collect();
    put(cells, &rows);
}

/// Quality as a weight; 1 for maps without.
fn trust(cells: &Cells, x: usize, y: usize) -> f64 {
    let q = cells.quality.get(x, y);
    if q.is_finite() { f64::from(q).max(0.0) } else { 1.0 }
}

/// The value below and above which lies half of the weight; half-way between two where it is exactly half.
fn weighted_median(values: &mut [(f32, f64)], total: f64) -> f32 {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut below = 0.0;
    for (i, (v, w)) in values.iter().enumerate() {
        below += w;
        if (below - 0.5 * total).abs() <= 1e-12 * total {
            return 0.5 * (v + values.get(i + 1).map_or(*v, |n| n.0));
        }
        if below > 0.5 * total {
            return *v;
        }
    }
    values.last().map_or(f32::NAN, |v| v.0)
}

/// Replaces each value by a mean over the cells whose surroundings look like its own.
///
/// Two patches are compared by the mean square of their differences in standard deviations, over the cells that both have and
/// both components: 1 when they differ by noise only. The weight is exp(-max(d² - 1, 0) / strength²) times quality over
/// variance. Sigma is the propagated one with the weights as they are.
///
/// Reference: Buades, Coll and Morel (2005), "A review of image denoising algorithms, with a new one", Multiscale Modeling and
/// Simulation 4; the noise-normalised distance after Deledalle, Denis and Tupin (2009), IEEE Trans. Image Processing 18.
pub fn non_local_means(cells: &mut Cells, nlm: &Nlm, noise: [f64; 2], overlap: &Overlap) {
    let (width, height) = (cells.width(), cells.height());
    // Variances, and their inverse times the quality.
    let variance = [0, 1].map(|k| {
        let least = (1e-3 * noise[k]).max(1e-12);
        cells.sigma[k].map(|s| {
            let s = if s.is_finite() { f64::from(s) } else { noise[k] };
            s.max(least).powi(2)
        })
    });
    let (half, reach) = ((nlm.patch / 2) as i64, (nlm.search / 2) as i64);
    let side = nlm.search;
    let there = |x: i64, y: i64| {
        x >= 0
            && y >= 0
            && x < width as i64
            && y < height as i64
            && cells.values[0].get(x as usize, y as usize).is_finite()
    };
    let rows: Vec<Row> = (0..height as i64)
        .into_par_iter()
        .map(|y| {
            let mut weights = vec![0.0; side * side];
            let (mut terms, mut scratch) = (vec![0.0; side * side], Vec::new());
            (0..width as i64)
                .map(|x| {
                    let mut out = [f32::NAN; 4];
                    if !there(x, y) {
                        return out;
                    }
                    for (n, weight) in weights.iter_mut().enumerate() {
                        let (dx, dy) = ((n % side) as i64 - reach, (n / side) as i64 - reach);
                        *weight = 0.0;
                        if !there(x + dx, y + dy) {
                            continue;
                        }
                        let (mut sum, mut count) = (0.0, 0.0);
                        for v in -half..=half {
                            for u in -half..=half {
                                let (ax, ay, bx, by) = (x + u, y + v, x + dx + u, y + dy + v);
                                if !(there(ax, ay) && there(bx, by)) {
                                    continue;
                                }
                                let (ax, ay, bx, by) = (ax as usize, ay as usize, bx as usize, by as usize);
                                for k in 0..2 {
                                    let d = f64::from(cells.values[k].get(ax, ay) - cells.values[k].get(bx, by));
                                    sum += d * d / (variance[k].get(ax, ay) + variance[k].get(bx, by));
                                    count += 1.0;
                                }
                            }
                        }
                        *weight = (-(sum / count - 1.0).max(0.0) / (nlm.strength * nlm.strength)).exp();
                    }
                    for k in 0..2 {
                        let (mut sum, mut total) = (0.0, 0.0);
                        for (n, weight) in weights.iter().enumerate() {
                            terms[n] = 0.0;
                            if *weight <= 0.0 {
                                continue;
                            }
                            let (i, j) = (x + (n % side) as i64 - reach, y + (n / side) as i64 - reach);
                            let (i, j) = (i as usize, j as usize);
                            let var = variance[k].get(i, j);
                            // The cell itself is never without weight.
                            let own = (i as i64, j as i64) == (x, y);
                            let w = weight * trust(cells, i, j).max(if own { 1e-6 } else { 0.0 }) / var;
                            sum += w * f64::from(cells.values[k].get(i, j));
                            total += w;
                            terms[n] = w * var.sqrt();
                        }
                        out[k] = (sum / total) as f32;
                        if cells.sigma[k].get(x as usize, y as usize).is_finite() {
                            terms.iter_mut().for_each(|t| *t /= total);
                            out[2 + k] = overlap.variance(&terms, side, &mut scratch).sqrt() as f32;
                        }
                    }
                    out
                })
                .collect()
        })
        .collect();
    put(cells, &rows);
}

fn put(cells: &mut Cells, rows: &[Row]) {
    for (y, row) in rows.iter().enumerate() {
        for (x, v) in row.iter().enumerate() {
            for k in 0..2 {
                cells.values[k].set(x, y, v[k]);
                cells.sigma[k].set(x, y, v[2 + k]);
            }
        }
    }
}

/// Differences between cells whose windows just do not overlap, for the noise of maps without sigma.
pub(super) struct Differences {
    lag: usize,
    /// Every so many cells.
    stride: usize,
    count: usize,
    values: [Vec<f64>; 2],
}

impl Differences {
    pub(super) fn new(map: &DisplacementMap) -> Differences {
        let (width, height) = map.size();
        let lag = (Overlap::of(map).cells.0.ceil() as usize).min(width.saturating_sub(1)).max(1);
        Differences { lag, stride: (width * height).div_ceil(1 << 18), count: 0, values: [Vec::new(), Vec::new()] }
    }

    pub(super) fn add(&mut self, cells: &Cells) {
        for y in 0..cells.height() {
            for x in self.lag..cells.width() {
                self.count += 1;
                if !self.count.is_multiple_of(self.stride) {
                    continue;
                }
                let (a, b) = (cells.value(x - self.lag, y), cells.value(x, y));
                if a[0].is_finite() && b[0].is_finite() {
                    (0..2).for_each(|k| self.values[k].push(f64::from(b[k]) - f64::from(a[k])));
                }
            }
        }
    }

    /// Standard deviation of a single value, signal of short wavelength included.
    pub(super) fn noise(self) -> [f64; 2] {
        self.values.map(|v| robust::scale(&v, 0.0) / std::f64::consts::SQRT_2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weighted_median() {
        let of = |values: &[(f32, f64)]| {
            let total = values.iter().map(|v| v.1).sum();
            weighted_median(&mut values.to_vec(), total)
        };
        assert_eq!(of(&[(3.0, 1.0), (1.0, 1.0), (2.0, 1.0)]), 2.0);
        assert_eq!(of(&[(1.0, 1.0), (2.0, 1.0)]), 1.5);
        assert_eq!(of(&[(1.0, 1.0), (2.0, 5.0), (9.0, 1.0)]), 2.0);
        assert_eq!(of(&[(1.0, 0.2), (2.0, 0.2), (9.0, 1.0)]), 9.0);
    }
}
