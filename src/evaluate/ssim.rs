//! Structural similarity of two fields.
//!
//! Reference: Wang et al. (2004), IEEE Trans. Image Processing 13, 600, equation 13: SSIM = (2 mx my + C1)(2 sxy + C2) /
//! ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)) with C1 = (0.01 L)^2, C2 = (0.03 L)^2, moments weighted by a Gaussian of 1.5
//! pixels in windows of 11 x 11, L the range of the truth. The mean is over windows that lie inside the field and have
//! values everywhere.

use serde::Serialize;

/// Mean structural similarity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanSsim {
    /// 1 for identical fields.
    pub mean: f64,
    /// Windows that count.
    pub windows: usize,
    /// Range L of the truth.
    pub range: f64,
}

const SIDE: usize = 11;
const SIGMA: f64 = 1.5;

/// Takes the rows of both fields from the top; NaN where there is no value.
pub struct SsimRows {
    weights: [f64; SIDE],
    constants: (f64, f64),
    range: f64,
    /// The last rows, filtered along the row: x, y, xx, yy, xy of every full window; NaN where a value is missing.
    ring: std::collections::VecDeque<Vec<[f64; 5]>>,
    sum: f64,
    windows: usize,
}

impl SsimRows {
    /// `range`: largest minus smallest value of the truth.
    pub fn new(range: f64) -> SsimRows {
        let bell = |k: usize| (-0.5 * ((k as f64 - (SIDE / 2) as f64) / SIGMA).powi(2)).exp();
        let total: f64 = (0..SIDE).map(bell).sum();
        SsimRows {
            weights: std::array::from_fn(|k| bell(k) / total),
            constants: ((0.01 * range).powi(2), (0.03 * range).powi(2)),
            range,
            ring: Default::default(),
            sum: 0.0,
            windows: 0,
        }
    }

    /// Adds the next row of the truth and of the estimate.
    pub fn push(&mut self, truth: &[f64], estimate: &[f64]) {
        let filtered = |at: usize| {
            let mut m = [0.0; 5];
            for ((w, x), y) in self.weights.iter().zip(&truth[at..]).zip(&estimate[at..]) {
                for (m, v) in m.iter_mut().zip([*x, *y, x * x, y * y, x * y]) {
                    *m += w * v;
                }
            }
            m
        };
        self.ring.push_back((0..(truth.len() + 1).saturating_sub(SIDE)).map(filtered).collect());
        if self.ring.len() < SIDE {
            return;
        }
        let (c1, c2) = self.constants;
        for at in 0..self.ring[0].len() {
            let mut m = [0.0; 5];
            for (w, row) in self.weights.iter().zip(&self.ring) {
                m.iter_mut().zip(row[at]).for_each(|(m, v)| *m += w * v);
            }
            let [mx, my, xx, yy, xy] = m;
            let (sx, sy, sxy) = (xx - mx * mx, yy - my * my, xy - mx * my);
            let value = (2.0 * mx * my + c1) * (2.0 * sxy + c2) / ((mx * mx + my * my + c1) * (sx + sy + c2));
            if value.is_finite() {
                self.sum += value;
                self.windows += 1;
            }
        }
        self.ring.pop_front();
    }

    /// The mean; `None` when no window is full.
    pub fn mean(&self) -> Option<MeanSsim> {
        (self.windows > 0).then(|| MeanSsim {
            mean: self.sum / self.windows as f64,
            windows: self.windows,
            range: self.range,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Vec<Vec<f64>> {
        text.lines().map(|l| l.split(',').map(|v| v.trim().parse().unwrap()).collect()).collect()
    }

    #[test]
    fn the_reference_value_is_met() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference");
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).ok();
        let (Some(truth), Some(estimate), Some(expected)) =
            (read("ssim_truth.csv"), read("ssim_estimate.csv"), read("ssim_expected.csv"))
        else {
            println!("skipped: no reference files");
            return;
        };
        let (truth, estimate) = (table(&truth), table(&estimate));
        let value = |key: &str| -> f64 {
            let line = expected.lines().find(|l| l.starts_with(key)).unwrap();
            line.split_once(',').unwrap().1.parse().unwrap()
        };
        let all = truth.iter().flatten();
        let range = all.clone().fold(f64::MIN, |m, v| m.max(*v)) - all.fold(f64::MAX, |m, v| m.min(*v));
        assert!((range - value("data_range_L")).abs() < 1e-9);
        let mut rows = SsimRows::new(range);
        truth.iter().zip(&estimate).for_each(|(t, e)| rows.push(t, e));
        let got = rows.mean().unwrap();
        let want = value("mssim_valid_windows");
        assert!((got.mean - want).abs() < 1e-9, "{} instead of {want}", got.mean);
    }

    #[test]
    fn identical_fields_are_one_and_gaps_take_their_windows() {
        let row = |j: usize| (0..15).map(|i| ((i * j) as f64).sin()).collect::<Vec<f64>>();
        let mut rows = SsimRows::new(2.0);
        for j in 0..14 {
            let mut gap = row(j);
            if j == 0 {
                gap[0] = f64::NAN;
            }
            rows.push(&row(j), &gap);
        }
        let got = rows.mean().unwrap();
        assert_eq!(got.windows, 5 * 4 - 1);
        assert!((got.mean - 1.0).abs() < 1e-12);
    }
}
