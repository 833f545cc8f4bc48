//! SISTEM: displacement and its gradient at every pixel from the stations around it, without interpolating them first.
//!
//! At x0 the unknowns are the displacement u (3) and its horizontal gradient H (3×2): a station at x says
//! `u + H (x - x0)`, an observation `s·u`. A station at distance r weighs `1/(sigma exp(r/d0))²`, d0 the mean distance of
//! the nearest six. The vertical gradient is left out: stations hardly differ in height compared with their distances.
//!
//! The stations' equations do not mix components. Eliminating the gradient leaves, for each component, one value with one variance; what
//! the observations add is then the same 3×3 system as that of [`super::solve`]. The result is that of all nine unknowns
//! together.
//!
//! Unlike in the paper the stations' variances are multiplied by what leaving each of them out shows: displacement is not
//! linear between stations, and the formal variance does not know.
//!
//! Reference: Guglielmino, Nunnari, Puglisi and Spata (2011), IEEE TGRS 49:1815.

use super::kriging::Prediction;
use super::scene::Station;
use crate::{Error, Result};

/// Stations that the scale of the weights is taken from.
const NEAREST: usize = 6;

/// The stations, ready to be asked.
#[derive(Debug, Clone)]
pub struct Sistem {
    stations: Vec<Station>,
    /// Of the stations' variances, by component.
    factor: [f64; 3],
}

impl Sistem {
    /// # Errors
    /// [`Error::Data`] when a component has fewer than three stations, or all on one line: no gradient follows from them.
    pub fn new(stations: &[Station]) -> Result<Sistem> {
        for (c, name) in super::COMPONENTS.iter().enumerate() {
            let own: Vec<&Station> = stations.iter().filter(|s| s.displacement[c].is_finite()).collect();
            if own.len() < 3 || on_a_line(&own) {
                return Err(Error::Data(format!(
                    "sistem needs three stations, not on one line, in every component; {} have {name}{}: use --method wls",
                    own.len(),
                    if own.len() >= 3 { ", on one line" } else { "" },
                )));
            }
        }
        let mut sistem = Sistem { stations: stations.to_vec(), factor: [1.0; 3] };
        sistem.factor = sistem.left_out();
        Ok(sistem)
    }

    /// What the variances of the stations are multiplied by: east, north, up.
    pub fn factor(&self) -> [f64; 3] {
        self.factor
    }

    /// Mean square error at stations that are left out, in units of the variances; 1 at least.
    fn left_out(&self) -> [f64; 3] {
        let (mut sum, mut count) = ([0.0; 3], [0.0; 3]);
        for (j, s) in self.stations.iter().enumerate() {
            let mut others = self.clone();
            others.stations.remove(j);
            let p = others.at(s.x, s.y, &mut Vec::new());
            for c in 0..3 {
                let z = (p.mean[c] - s.displacement[c]).powi(2) / (p.variance[c] + s.sigma[c].powi(2));
                if z.is_finite() && p.variance[c] > 0.0 {
                    sum[c] += z;
                    count[c] += 1.0;
                }
            }
        }
        [0, 1, 2].map(|c| if count[c] > 0.0 { (sum[c] / count[c]).max(1.0) } else { 1.0 })
    }

    /// Displacement at (x, y) from the stations alone, with its variance.
    pub fn at(&self, x: f64, y: f64, distances: &mut Vec<f64>) -> Prediction {
        let distance = |s: &Station| (s.x - x).hypot(s.y - y);
        distances.clear();
        distances.extend(self.stations.iter().map(distance));
        let k = NEAREST.min(distances.len());
        if k == 0 {
            return Prediction { mean: [f64::NAN; 3], variance: [f64::NAN; 3] };
        }
        distances.select_nth_unstable_by(k - 1, f64::total_cmp);
        let mut nearest = distances[..k].to_vec();
        // The order of what selection leaves is not part of its contract; that of a sum is.
        nearest.sort_by(f64::total_cmp);
        let d0 = (nearest.iter().sum::<f64>() / k as f64).max(1e-6);
        let mut out = Prediction { mean: [f64::NAN; 3], variance: [f64::NAN; 3] };
        for c in 0..3 {
            // Normal equations of value and gradient; distances in units of d0 keep them well scaled.
            let (mut n, mut b) = ([0.0; 6], [0.0; 3]);
            for s in self.stations.iter().filter(|s| s.displacement[c].is_finite()) {
                let (dx, dy) = ((s.x - x) / d0, (s.y - y) / d0);
                let w = (-2.0 * dx.hypot(dy)).exp() / s.sigma[c].powi(2);
                let terms = [1.0, dx, dx, dy, dx * dy, dy * dy];
                n[0] += w;
                n[1] += w * dx;
                n[2] += w * dy;
                n[3] += w * terms[2] * dx;
                n[4] += w * terms[4];
                n[5] += w * terms[5];
                let u = w * s.displacement[c];
                b[0] += u;
                b[1] += u * dx;
                b[2] += u * dy;
            }
            // Schur complement of the gradient block.
            let determinant = n[3] * n[5] - n[4] * n[4];
            let (gx, gy) = ((n[5] * n[1] - n[4] * n[2]) / determinant, (n[3] * n[2] - n[4] * n[1]) / determinant);
            let information = n[0] - gx * n[1] - gy * n[2];
            out.mean[c] = (b[0] - gx * b[1] - gy * b[2]) / information;
            out.variance[c] = self.factor[c] / information;
        }
        out
    }
}

/// Whether all stations lie on one line, to a thousandth of its length.
fn on_a_line(stations: &[&Station]) -> bool {
    let n = stations.len() as f64;
    let (mx, my) = stations.iter().fold((0.0, 0.0), |m, s| (m.0 + s.x / n, m.1 + s.y / n));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for s in stations {
        let (dx, dy) = (s.x - mx, s.y - my);
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    let trace = xx + yy;
    let least = 0.5 * (trace - ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt());
    least <= 1e-6 * trace
}
