//! Displacement between GNSS stations by kriging, with a standard deviation that grows with distance.
//!
//! Each component is a random field of covariance `C0·exp(-r/λ)` and known mean 0 (displacement dies out away from its
//! source); stations add their own variance. The predictor is the best linear unbiased one (simple kriging), with variance
//! `C0 - k'(C + D)⁻¹k`.
//!
//! C0 is then scaled so that stations that are left out are predicted as well as their standard deviation says.
//!
//! References: Cressie (1993), "Statistics for Spatial Data", section 3.2 (the predictor) and Mardia and Marshall (1984),
//! Biometrika 71:135 (maximum likelihood of C0 and λ).

use nalgebra::{DMatrix, DVector};

use super::scene::Station;

/// λ when it is not estimated, m.
pub const DEFAULT_LENGTH: f64 = 30_000.0;
/// Stations below which λ is not estimated.
const ENOUGH: usize = 8;
/// Stations that the estimates of C0 and λ are made from at most.
const LARGEST: usize = 100;
/// Pixels predicted at once.
pub const LANES: usize = 8;

/// One component's system.
#[derive(Debug, Clone)]
struct Component {
    /// Index into the stations.
    stations: Vec<usize>,
    variance: f64,
    /// Inverse of the lower Cholesky factor of C + D, row by row, lower triangle packed.
    inverse: Vec<f64>,
    /// (C + D)⁻¹ data
    weights: Vec<f64>,
}

impl Component {
    /// Mean square of the errors at stations that are left out, one at a time, in units of their standard deviation:
    /// `α²/(K⁻¹)ⱼⱼ` with `α = K⁻¹ data` (Dubrule 1983, Math. Geology 15:687).
    fn left_out(&self) -> f64 {
        let n = self.stations.len();
        let mut diagonal = vec![0.0; n];
        let mut rest = self.inverse.as_slice();
        for i in 0..n {
            let (row, after) = rest.split_at(i + 1);
            diagonal.iter_mut().zip(row).for_each(|(d, v)| *d += v * v);
            rest = after;
        }
        self.weights.iter().zip(&diagonal).map(|(a, d)| a * a / d).sum::<f64>() / n as f64
    }
}

/// A fitted predictor.
#[derive(Debug, Clone)]
pub struct Kriging {
    x: Vec<f64>,
    y: Vec<f64>,
    components: [Component; 3],
    /// λ, m.
    pub length: f64,
}

/// Value and variance of east, north and up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    pub mean: [f64; 3],
    pub variance: [f64; 3],
}

/// Buffers of one thread.
#[derive(Debug, Clone, Default)]
pub struct Work {
    kernel: Vec<[f64; LANES]>,
}

impl Kriging {
    /// Fits the covariance to the stations, with the given λ or an estimated one, and prepares the predictor. `None` when
    /// no station has a value.
    pub fn fit(stations: &[Station], length: Option<f64>) -> Option<Kriging> {
        let has = |s: &Station, c: usize| s.displacement[c].is_finite() && s.sigma[c].is_finite();
        let lists: [Vec<usize>; 3] =
            std::array::from_fn(|c| (0..stations.len()).filter(|&j| has(&stations[j], c)).collect());
        let measured: usize = lists.iter().map(Vec::len).sum();
        if measured == 0 {
            return None;
        }
        // What a component without enough stations of its own is taken to be like.
        let typical =
            lists.iter().enumerate().flat_map(|(c, l)| l.iter().map(move |&j| stations[j].displacement[c].powi(2)));
        let typical = typical.sum::<f64>() / measured as f64;
        let data = Data { stations, lists: &lists, typical };
        let length = length.unwrap_or_else(|| data.best_length());
        let variances: [f64; 3] = std::array::from_fn(|c| data.best_variance(c, length).0);
        let likely = Kriging::with(stations, length, variances);
        // Displacement is smoother than the model: what stations left out show of its errors counts.
        let honest = std::array::from_fn(|c| {
            let system = &likely.components[c];
            let factor = if system.stations.len() < ENOUGH { 1.0 } else { system.left_out().clamp(0.2, 5.0) };
            (variances[c] * factor).max(data.floor(c))
        });
        Some(Kriging::with(stations, length, honest))
    }

    /// The predictor for a given covariance.
    pub fn with(stations: &[Station], length: f64, variances: [f64; 3]) -> Kriging {
        let components = std::array::from_fn(|c| {
            let list: Vec<usize> = (0..stations.len()).filter(|&j| stations[j].displacement[c].is_finite()).collect();
            let n = list.len();
            let matrix = DMatrix::from_fn(n, n, |a, b| {
                let (p, q) = (&stations[list[a]], &stations[list[b]]);
                let noise = if a == b { p.sigma[c].powi(2) } else { 0.0 };
                variances[c] * (-(p.x - q.x).hypot(p.y - q.y) / length).exp() + noise
            });
            let data = DVector::from_iterator(n, list.iter().map(|&j| stations[j].displacement[c]));
            // The matrix is positive definite by its noise; two stations at one place included.
            let factor = matrix.cholesky().map(|c| c.l()).unwrap_or_else(|| DMatrix::zeros(0, 0));
            let n = factor.nrows();
            let inverse = factor.solve_lower_triangular(&DMatrix::identity(n, n)).unwrap_or(factor);
            let half = &inverse * data.rows(0, n);
            let weights = inverse.transpose() * half;
            Component {
                stations: list[..n].to_vec(),
                variance: variances[c],
                inverse: (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|p| inverse[p]).collect(),
                weights: weights.iter().copied().collect(),
            }
        });
        let (x, y) = stations.iter().map(|s| (s.x, s.y)).unzip();
        Kriging { x, y, components, length }
    }

    /// C0 of east, north and up, m².
    pub fn variance(&self) -> [f64; 3] {
        self.components.each_ref().map(|c| c.variance)
    }

    /// Predicts at [`LANES`] places.
    pub fn predict(&self, x: &[f64; LANES], y: &[f64; LANES], work: &mut Work) -> [Prediction; LANES] {
        work.kernel.clear();
        work.kernel.extend(self.x.iter().zip(&self.y).map(|(sx, sy)| {
            let mut k = [0.0; LANES];
            for l in 0..LANES {
                let (dx, dy) = (x[l] - sx, y[l] - sy);
                k[l] = -(dx * dx + dy * dy).sqrt() / self.length;
            }
            k.map(f64::exp)
        }));
        let mut out = [Prediction { mean: [0.0; 3], variance: [0.0; 3] }; LANES];
        for (c, system) in self.components.iter().enumerate() {
            let (mut mean, mut explained) = ([0.0; LANES], [0.0; LANES]);
            let mut row = 0;
            for (i, &station) in system.stations.iter().enumerate() {
                let mut sum = [0.0; LANES];
                for (w, &j) in system.inverse[row..=row + i].iter().zip(&system.stations) {
                    let k = &work.kernel[j];
                    for l in 0..LANES {
                        sum[l] += w * k[l];
                    }
                }
                row += i + 1;
                let k = &work.kernel[station];
                for l in 0..LANES {
                    mean[l] += system.weights[i] * k[l];
                    explained[l] += sum[l] * sum[l];
                }
            }
            for l in 0..LANES {
                let c0 = system.variance;
                out[l].mean[c] = c0 * mean[l];
                // Rounding must not make it negative.
                out[l].variance[c] = (c0 - c0 * c0 * explained[l]).max(1e-9 * c0);
            }
        }
        out
    }

    /// Predicts at one place.
    pub fn at(&self, x: f64, y: f64) -> Prediction {
        self.predict(&[x; LANES], &[y; LANES], &mut Work::default())[0]
    }
}

/// What the covariance is fitted to.
struct Data<'a> {
    stations: &'a [Station],
    lists: &'a [Vec<usize>; 3],
    /// Mean square displacement of all components, m².
    typical: f64,
}

impl Data<'_> {
    /// λ of the largest likelihood of all components; [`DEFAULT_LENGTH`] with few stations.
    fn best_length(&self) -> f64 {
        let most = self.lists.iter().map(Vec::len).max().unwrap_or(0);
        if most < ENOUGH {
            return DEFAULT_LENGTH;
        }
        let (shortest, longest) = self.distances();
        if !(shortest > 0.0 && longest > shortest) {
            return DEFAULT_LENGTH;
        }
        const STEPS: i32 = 12;
        let ratio = (longest / shortest).powf(1.0 / f64::from(STEPS));
        let misfit = |length: f64| (0..3).map(|c| self.best_variance(c, length).1).sum::<f64>();
        let lengths = (0..=STEPS).map(|k| shortest * ratio.powi(k));
        let best = lengths.map(|l| (misfit(l), l)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(DEFAULT_LENGTH, |b| b.1)
    }

    /// Half the median distance of nearest neighbours, and the largest distance.
    fn distances(&self) -> (f64, f64) {
        let list = self.subset(self.lists.iter().max_by_key(|l| l.len()).map_or(&[][..], |l| l));
        let at = |j: usize| (self.stations[j].x, self.stations[j].y);
        let (mut nearest, mut longest) = (Vec::new(), 0.0f64);
        for &a in &list {
            let mut least = f64::INFINITY;
            for &b in &list {
                let d = (at(a).0 - at(b).0).hypot(at(a).1 - at(b).1);
                longest = longest.max(d);
                least = if a == b || d == 0.0 { least } else { least.min(d) };
            }
            nearest.push(least);
        }
        nearest.sort_by(f64::total_cmp);
        (0.5 * nearest.get(nearest.len() / 2).copied().unwrap_or(0.0), longest)
    }

    /// Every so many of a long list.
    fn subset(&self, list: &[usize]) -> Vec<usize> {
        list.iter().copied().step_by(list.len().div_ceil(LARGEST).max(1)).collect()
    }

    /// A signal below the noise cannot be excluded.
    fn floor(&self, c: usize) -> f64 {
        let list = &self.lists[c];
        let noise = list.iter().map(|&j| self.stations[j].sigma[c].powi(2)).sum::<f64>() / list.len().max(1) as f64;
        (0.25 * noise).max(1e-10)
    }

    /// C0 of the largest posterior density of a component and minus twice its logarithm. A weak prior (inverse gamma, two
    /// degrees of freedom about the mean square) keeps it sane with few stations.
    fn best_variance(&self, c: usize, length: f64) -> (f64, f64) {
        let list = self.subset(&self.lists[c]);
        let n = list.len();
        let at = |j: usize| &self.stations[j];
        let power = list.iter().map(|&j| at(j).displacement[c].powi(2)).sum::<f64>() / n.max(1) as f64;
        // What the weak prior is about: the component's own, or that of all where it has few stations.
        let typical = (n as f64 * power + 2.0 * self.typical) / (n as f64 + 2.0);
        let floor = self.floor(c);
        if n == 0 {
            return (typical.max(floor), 0.0);
        }
        let correlation = DMatrix::from_fn(n, n, |a, b| {
            let (p, q) = (at(list[a]), at(list[b]));
            (-(p.x - q.x).hypot(p.y - q.y) / length).exp()
        });
        let data = DVector::from_iterator(n, list.iter().map(|&j| at(j).displacement[c]));
        let misfit = |log: f64| {
            let c0 = log.exp();
            let mut matrix = &correlation * c0;
            for (a, &j) in list.iter().enumerate() {
                matrix[(a, a)] += at(j).sigma[c].powi(2);
            }
            let Some(factor) = matrix.cholesky() else {
                return f64::INFINITY;
            };
            let half = factor.l_dirty().solve_lower_triangular(&data).map_or(f64::INFINITY, |v| v.norm_squared());
            let determinant: f64 = (0..n).map(|i| 2.0 * factor.l_dirty()[(i, i)].ln()).sum();
            half + determinant + 2.0 * (log + typical.max(floor) / c0)
        };
        let top = (100.0 * power.max(typical)).max(4.0 * floor);
        golden(misfit, floor.ln(), top.ln(), 0.03)
    }
}

/// Minimum of a function with one valley between `low` and `high`: (argument as `exp`, value).
fn golden(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64, tolerance: f64) -> (f64, f64) {
    let share = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = (high - share * (high - low), low + share * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > tolerance {
        if fa < fb {
            (high, b, fb) = (b, a, fa);
            a = high - share * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + share * (high - low);
            fb = f(b);
        }
    }
    if fa < fb { (a.exp(), fa) } else { (b.exp(), fb) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand::SeedableRng;

    fn station(x: f64, y: f64, displacement: [f64; 3], sigma: f64) -> Station {
        Station { name: "S".into(), x, y, height: 0.0, displacement, sigma: [sigma; 3] }
    }

    fn network(n: usize) -> Vec<Station> {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(5);
        let mut at = || rng.random_range(0.0..200e3);
        (0..n).map(|i| station(at(), at(), [0.01 * i as f64, 0.02, -0.03 + at() * 1e-7], 0.002)).collect()
    }

    #[test]
    fn prediction_is_that_of_the_dense_equations() {
        let mut stations = network(17);
        stations[3].displacement[2] = f64::NAN;
        let (length, c0) = (25e3, [0.01, 0.04, 0.0009]);
        let kriging = Kriging::with(&stations, length, c0);
        for (x, y) in [(10e3, 20e3), (150e3, 90e3), (stations[4].x, stations[4].y), (900e3, 0.0)] {
            let got = kriging.at(x, y);
            for c in 0..3 {
                let used: Vec<&Station> = stations.iter().filter(|s| s.displacement[c].is_finite()).collect();
                let n = used.len();
                let cov = |ax: f64, ay: f64, bx: f64, by: f64| {
                    c0[c] * (-((ax - bx).powi(2) + (ay - by).powi(2)).sqrt() / length).exp()
                };
                let k = DMatrix::from_fn(n, n, |a, b| {
                    cov(used[a].x, used[a].y, used[b].x, used[b].y) + if a == b { 4e-6 } else { 0.0 }
                });
                let v = DVector::from_fn(n, |a, _| cov(used[a].x, used[a].y, x, y));
                let d = DVector::from_fn(n, |a, _| used[a].displacement[c]);
                let inverse = k.try_inverse().unwrap();
                let mean = (v.transpose() * &inverse * d)[0];
                let variance = c0[c] - (v.transpose() * &inverse * &v)[0];
                assert!((got.mean[c] - mean).abs() < 1e-12, "{} {mean}", got.mean[c]);
                assert!((got.variance[c] - variance).abs() < 1e-10 * c0[c], "{} {variance}", got.variance[c]);
            }
        }
    }

    #[test]
    fn covariance_is_recovered_from_many_stations() {
        // A field of 30 mm with λ = 40 km at 100 stations, several realisations.
        let (mut lengths, mut sds) = (vec![], vec![]);
        for seed in 0..8 {
            let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
            let mut stations: Vec<Station> = (0..100)
                .map(|_| station(rng.random_range(0.0..400e3), rng.random_range(0.0..400e3), [0.0; 3], 0.001))
                .collect();
            let n = stations.len();
            let k = DMatrix::from_fn(n, n, |a, b| {
                let (p, q) = (&stations[a], &stations[b]);
                9e-4 * (-(p.x - q.x).hypot(p.y - q.y) / 40e3).exp() + if a == b { 1e-6 } else { 0.0 }
            });
            let l = k.cholesky().unwrap().l();
            for c in 0..3 {
                let white =
                    DVector::from_fn(n, |_, _| rand_distr::Distribution::sample(&rand_distr::StandardNormal, &mut rng));
                let field: DVector<f64> = &l * white;
                stations.iter_mut().zip(field.iter()).for_each(|(s, v)| s.displacement[c] = *v);
            }
            let fitted = Kriging::fit(&stations, None).unwrap();
            lengths.push(fitted.length.ln());
            sds.extend(fitted.variance().map(|v| 0.5 * v.ln()));
        }
        let mean = |v: &[f64]| (v.iter().sum::<f64>() / v.len() as f64).exp();
        assert!((mean(&lengths) / 40e3 - 1.0).abs() < 0.2, "{}", mean(&lengths));
        assert!((mean(&sds) / 0.03 - 1.0).abs() < 0.1, "{}", mean(&sds));
    }

    #[test]
    fn at_a_station_its_value_and_far_away_the_prior() {
        let one = vec![station(0.0, 0.0, [0.5, -0.2, 0.1], 0.001)];
        let kriging = Kriging::fit(&one, None).unwrap();
        let (near, far) = (kriging.at(0.0, 0.0), kriging.at(900e3, 0.0));
        for c in 0..3 {
            let sd = kriging.variance()[c].sqrt();
            assert!((near.mean[c] - one[0].displacement[c]).abs() < 1e-4);
            assert!((near.variance[c].sqrt() - 0.001).abs() < 1e-5);
            assert!(far.mean[c].abs() < 1e-6 && (far.variance[c].sqrt() / sd - 1.0).abs() < 1e-6);
        }
        assert!(Kriging::fit(&[], None).is_none());
    }
}
