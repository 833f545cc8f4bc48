//! One pixel after the other: the observations and what the stations say there, by weighted least squares.
//!
//! `u = (A'WA + P⁻¹)⁻¹ (A'W (l - Q b) + P⁻¹ m)` with the directions A, weights W = 1/sigma², the kriged stations m with their
//! variance P, and the long-wavelength errors Q b that were found before. The covariance has their part:
//! `N + J C_b J'`, `N = (A'WA + P⁻¹)⁻¹`, `J = N A'W Q`.
//!
//! Kriging takes the field for equally rough everywhere; next to a fault it is rougher. Where the observations contradict
//! it its variance is `f P`, but only components that the observations see are let go: the estimate is the one of
//! `P' = P (1 + (f - 1) t²) 1.1 t / (t + 0.1)`, t the share of the variance of a displacement alike in all directions that the
//! observations take away. Two lines of sight hardly see north (t of a few per cent): with `f P` there, what kriging does not
//! know of up would go into north, all the more as P of up is small where no station stands above the fault. The covariance of
//! that estimate, with errors of variance `f P`, takes the place of N: `N' + N' P'⁻¹ (f P - P') P'⁻¹ N'`.
//!
//! References: Gudmundsson, Sigmundsson and Carstensen (2002), JGR 107(B10), 2250; Samsonov and Tiampo (2006), IEEE GRSL 3:98.
//! Covariance of an estimate with another gain than the best: Bucy and Joseph (1968), "Filtering for Stochastic Processes".

use super::kriging::{Kriging, LANES, Prediction, Work};
use super::nuisance::Nuisance;
use super::scene::{Frame, Scene};
use super::sistem::Sistem;

/// Why a pixel has, or has not, its components: band `Status`.
pub mod status {
    /// East, north and up, from observations.
    pub const VALID: u8 = 0;
    /// No observation and no station near.
    pub const NO_DATA: u8 = 1;
    /// A component is missing: nothing here tells it.
    pub const PARTIAL: u8 = 10;
    /// From stations alone.
    pub const STATIONS: u8 = 11;
    /// Code and meaning, for band metadata.
    pub const ALL: [(u8, &str); 4] = [
        (VALID, "valid"),
        (NO_DATA, "nodata"),
        (PARTIAL, "a component that nothing here tells is missing"),
        (STATIONS, "from stations alone"),
    ];
}

/// Share of the prior's standard deviation up to which a component that no station measures counts as observed.
const OBSERVED: f64 = 0.5;
/// Share of its variance that observations take away of a component which they hardly see.
const HARDLY: f64 = 0.1;
/// Share of the prior's variance from which kriging says nothing.
const NOTHING: f64 = 0.95;

/// What is known of the displacement at a pixel before its observations.
#[derive(Debug, Clone)]
pub enum Prior {
    Kriging(Box<Kriging>),
    Sistem(Sistem),
    /// Zero with this standard deviation, m: no station at all.
    Flat(f64),
}

/// Everything that pixels share.
#[derive(Debug, Clone)]
pub struct Solver {
    pub frame: Frame,
    pub prior: Prior,
    /// Components that a station measures.
    pub measured: [bool; 3],
    pub nuisance: Nuisance,
    /// Whether the kriged displacement loses weight where the observations contradict it.
    pub adaptive: bool,
}

/// Bands of a strip, row by row; NaN where there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Bands {
    /// East, north, up, m.
    pub displacement: [Vec<f32>; 3],
    pub sigma: [Vec<f32>; 3],
    /// Correlation of the errors of east-north, east-up, north-up.
    pub correlation: [Vec<f32>; 3],
    pub status: Vec<u8>,
    /// Observations used.
    pub used: Vec<u8>,
    /// Root of chi² per degree of freedom: 1 where everything agrees as its sigma says.
    pub disagreement: Vec<f32>,
    /// What the stations alone say and its standard deviation.
    pub stations: [Vec<f32>; 3],
    pub stations_sigma: [Vec<f32>; 3],
    /// The observations less their long-wavelength errors.
    pub corrected: Vec<Vec<f32>>,
}

impl Bands {
    fn new(n: usize, observations: usize) -> Bands {
        let three = || std::array::from_fn(|_| vec![f32::NAN; n]);
        Bands {
            displacement: three(),
            sigma: three(),
            correlation: three(),
            status: vec![status::NO_DATA; n],
            used: vec![0; n],
            disagreement: vec![f32::NAN; n],
            stations: three(),
            stations_sigma: three(),
            corrected: vec![vec![f32::NAN; n]; observations],
        }
    }
}

/// An observation at the pixel in hand.
#[derive(Debug, Clone, Copy)]
struct Part {
    observation: usize,
    direction: [f64; 3],
    value: f64,
    variance: f64,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
struct Buffers {
    kernel: Work,
    distances: Vec<f64>,
    parts: Vec<Part>,
    basis: Vec<f64>,
    /// 3 × parameters
    lever: Vec<[f64; 3]>,
}

impl Solver {
    /// Solves all pixels of a strip.
    pub fn solve(&self, strip: &Scene) -> Bands {
        let mut out = Bands::new(strip.pixels(), strip.observations.len());
        let mut buffers = Buffers { basis: vec![0.0; self.nuisance.parameters()], ..Default::default() };
        let width = strip.frame.width;
        for row in 0..strip.rows {
            for from in (0..width).step_by(LANES) {
                let priors = self.priors(from, strip.first_row + row, &mut buffers);
                for (l, prior) in priors.iter().enumerate().take(width - from) {
                    self.pixel(strip, from + l, row, prior, &mut buffers, &mut out);
                }
            }
        }
        out
    }

    fn priors(&self, column: usize, row: usize, buffers: &mut Buffers) -> [Prediction; LANES] {
        let at: [(f64, f64); LANES] = std::array::from_fn(|l| self.frame.centre(column + l, row));
        match &self.prior {
            Prior::Kriging(k) => k.predict(&at.map(|p| p.0), &at.map(|p| p.1), &mut buffers.kernel),
            Prior::Sistem(s) => at.map(|(x, y)| s.at(x, y, &mut buffers.distances)),
            Prior::Flat(sd) => [Prediction { mean: [0.0; 3], variance: [sd * sd; 3] }; LANES],
        }
    }

    fn pixel(&self, strip: &Scene, column: usize, row: usize, prior: &Prediction, work: &mut Buffers, out: &mut Bands) {
        let i = row * strip.frame.width + column;
        let nuisance = &self.nuisance;
        let (x, y) = self.frame.scaled(column as f64, (strip.first_row + row) as f64);
        let height = strip.dem.as_ref().map_or(f64::NAN, |d| (f64::from(d[i]) - nuisance.height) / 1000.0);
        work.parts.clear();
        for (k, o) in strip.observations.iter().enumerate() {
            let value = f64::from(o.values[i]);
            if !value.is_finite() {
                continue;
            }
            let (Some(direction), Some(sigma)) = (o.direction_at(i), o.sigma_at(i, nuisance.sigma[k])) else {
                continue;
            };
            let own = nuisance.first[k]..nuisance.first[k] + nuisance.terms[k].count();
            nuisance.terms[k].fill(x, y, height, &mut work.basis[own.clone()]);
            let error: f64 = own.map(|p| nuisance.values[p] * work.basis[p]).sum();
            if error.is_finite() {
                let value = value - error;
                out.corrected[k][i] = value as f32;
                work.parts.push(Part { observation: k, direction, value, variance: sigma * sigma });
            }
        }
        let spread = if self.adaptive { contradiction(&work.parts, prior) } else { 1.0 };
        let variance = prior.variance.map(|v| v * spread);
        let stations = !matches!(self.prior, Prior::Flat(_));
        if stations {
            for c in 0..3 {
                out.stations[c][i] = prior.mean[c] as f32;
                out.stations_sigma[c][i] = prior.variance[c].sqrt() as f32;
            }
        }
        if work.parts.is_empty() && !self.near_stations(prior) {
            return;
        }
        let assumed = match self.adaptive && !work.parts.is_empty() {
            true => let_go(&work.parts, &prior.variance, spread),
            false => variance,
        };
        let (u, gain) = combine(&work.parts, &prior.mean, &assumed);
        let mut cov = with_error(&gain, &assumed, &variance);
        self.add_nuisance(&work.parts, &work.basis, &mut work.lever, &gain, &mut cov);
        let mut known = 0;
        for c in 0..3 {
            let v = cov[DIAGONAL[c]];
            let told = self.measured[c] || v <= OBSERVED * OBSERVED * variance[c];
            if told && v.is_finite() {
                out.displacement[c][i] = u[c] as f32;
                out.sigma[c][i] = v.sqrt() as f32;
                known += 1;
            }
        }
        for (k, (a, b)) in [(0, 1), (0, 2), (1, 2)].into_iter().enumerate() {
            if out.sigma[a][i].is_finite() && out.sigma[b][i].is_finite() {
                out.correlation[k][i] = (cov[OFF[k]] / (cov[DIAGONAL[a]] * cov[DIAGONAL[b]]).sqrt()) as f32;
            }
        }
        out.used[i] = work.parts.len().min(255) as u8;
        out.status[i] = match (known, work.parts.is_empty()) {
            (0, _) => status::NO_DATA,
            (3, false) => status::VALID,
            (_, true) => status::STATIONS,
            _ => status::PARTIAL,
        };
        // Three unknowns, and three values of the prior beside the observations; a flat prior is no datum.
        let free = if stations { work.parts.len() } else { work.parts.len().saturating_sub(3) };
        if free > 0 && known == 3 {
            let fit = |p: &Part| (p.value - dot(p.direction, u)).powi(2) / p.variance;
            let mut chi: f64 = work.parts.iter().map(fit).sum();
            if stations {
                chi += (0..3).map(|c| (u[c] - prior.mean[c]).powi(2) / variance[c]).sum::<f64>();
            }
            out.disagreement[i] = (chi / free as f64).sqrt() as f32;
        }
    }

    /// Whether kriging says more than its prior; where it does not, stations alone make no map.
    fn near_stations(&self, p: &Prediction) -> bool {
        match &self.prior {
            Prior::Kriging(k) => (0..3).any(|c| self.measured[c] && p.variance[c] < NOTHING * k.variance()[c]),
            Prior::Sistem(_) => true,
            Prior::Flat(_) => false,
        }
    }

    /// The part of the covariance that comes from the long-wavelength errors; `gain` is N.
    fn add_nuisance(
        &self,
        parts: &[Part],
        basis: &[f64],
        lever: &mut Vec<[f64; 3]>,
        gain: &[f64; 6],
        cov: &mut [f64; 6],
    ) {
        let count = self.nuisance.parameters();
        if count == 0 || parts.is_empty() {
            return;
        }
        lever.clear();
        lever.resize(count, [0.0; 3]);
        for part in parts {
            let k = part.observation;
            let g = times(gain, part.direction).map(|v| v / part.variance);
            for p in self.nuisance.first[k]..self.nuisance.first[k] + self.nuisance.terms[k].count() {
                lever[p] = g.map(|v| v * basis[p]);
            }
        }
        for p in 0..count {
            let mut row = [0.0; 3];
            for (c, j) in self.nuisance.covariance[p * count..(p + 1) * count].iter().zip(lever.iter()) {
                row.iter_mut().zip(j).for_each(|(r, v)| *r += c * v);
            }
            let j = lever[p];
            for (k, (a, b)) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)].into_iter().enumerate() {
                cov[k] += j[a] * row[b];
            }
        }
    }
}

/// Places of a symmetric 3×3 matrix kept as [ee, en, eu, nn, nu, uu].
const DIAGONAL: [usize; 3] = [0, 3, 5];
const OFF: [usize; 3] = [1, 2, 4];

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn times(m: &[f64; 6], v: [f64; 3]) -> [f64; 3] {
    [
        m[0] * v[0] + m[1] * v[1] + m[2] * v[2],
        m[1] * v[0] + m[3] * v[1] + m[4] * v[2],
        m[2] * v[0] + m[4] * v[1] + m[5] * v[2],
    ]
}

/// How much larger than stated the variance of the prior must be for the observations to agree with it; 1 while they do
/// within what chance, and an observation that is worse here than elsewhere, allow.
fn contradiction(parts: &[Part], prior: &Prediction) -> f64 {
    if parts.is_empty() {
        return 1.0;
    }
    let misfit = |p: &Part| {
        let known: f64 = (0..3).map(|c| p.direction[c].powi(2) * prior.variance[c]).sum();
        (p.value - dot(p.direction, prior.mean)).powi(2) / (known + p.variance)
    };
    let mean = parts.iter().map(misfit).sum::<f64>() / parts.len() as f64;
    (0.5 * (mean - 2.0)).max(1.0)
}

/// P': `variance` times `spread` where the observations tell a component, less than `variance` where they hardly do.
fn let_go(parts: &[Part], variance: &[f64; 3], spread: f64) -> [f64; 3] {
    let alike = spread * variance.iter().sum::<f64>() / 3.0;
    let (_, n) = combine(parts, &[0.0; 3], &[alike; 3]);
    std::array::from_fn(|c| {
        let told = (1.0 - n[DIAGONAL[c]] / alike).clamp(0.0, 1.0);
        let held = (1.0 + HARDLY) * told / (told + HARDLY);
        variance[c] * (1.0 + (spread - 1.0) * told * told) * held.max(1e-6)
    })
}

/// Covariance of the estimate with `n` = (A'WA + assumed⁻¹)⁻¹ when the prior's variance is `true_variance`.
fn with_error(n: &[f64; 6], assumed: &[f64; 3], true_variance: &[f64; 3]) -> [f64; 6] {
    let d: [f64; 3] = std::array::from_fn(|c| (true_variance[c] - assumed[c]) / (assumed[c] * assumed[c]));
    let row = [[n[0], n[1], n[2]], [n[1], n[3], n[4]], [n[2], n[4], n[5]]];
    let mut out = *n;
    for (k, (a, b)) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)].into_iter().enumerate() {
        out[k] += (0..3).map(|c| row[a][c] * d[c] * row[b][c]).sum::<f64>();
    }
    out
}

/// Estimate and covariance without the long-wavelength errors.
fn combine(parts: &[Part], mean: &[f64; 3], variance: &[f64; 3]) -> ([f64; 3], [f64; 6]) {
    let mut n = [1.0 / variance[0], 0.0, 0.0, 1.0 / variance[1], 0.0, 1.0 / variance[2]];
    let mut b = [mean[0] / variance[0], mean[1] / variance[1], mean[2] / variance[2]];
    for p in parts {
        let (s, w) = (p.direction, 1.0 / p.variance);
        n[0] += w * s[0] * s[0];
        n[1] += w * s[0] * s[1];
        n[2] += w * s[0] * s[2];
        n[3] += w * s[1] * s[1];
        n[4] += w * s[1] * s[2];
        n[5] += w * s[2] * s[2];
        for c in 0..3 {
            b[c] += w * s[c] * p.value;
        }
    }
    let cov = inverse(&n);
    (times(&cov, b), cov)
}

/// Inverse of a symmetric positive definite 3×3 matrix, scaled to a unit diagonal first.
fn inverse(n: &[f64; 6]) -> [f64; 6] {
    let d = DIAGONAL.map(|k| 1.0 / n[k].sqrt());
    let (a, b, c) = (n[1] * d[0] * d[1], n[2] * d[0] * d[2], n[4] * d[1] * d[2]);
    let determinant = 1.0 - a * a - b * b - c * c + 2.0 * a * b * c;
    let r = 1.0 / determinant;
    [
        (1.0 - c * c) * r * d[0] * d[0],
        (b * c - a) * r * d[0] * d[1],
        (a * c - b) * r * d[0] * d[2],
        (1.0 - b * b) * r * d[1] * d[1],
        (a * b - c) * r * d[1] * d[2],
        (1.0 - a * a) * r * d[2] * d[2],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, DVector, Matrix3, Vector3};

    fn part(direction: [f64; 3], value: f64, sigma: f64) -> Part {
        Part { observation: 0, direction, value, variance: sigma * sigma }
    }

    const PRIOR: Prediction = Prediction { mean: [0.02, -0.01, 0.0], variance: [4e-4, 5e-4, 9e-4] };
    const ASCENDING: [f64; 3] = [-0.61, -0.13, 0.78];
    const DESCENDING: [f64; 3] = [0.61, -0.13, 0.78];

    #[test]
    fn covariance_is_that_of_the_gain() {
        let parts = [part(ASCENDING, 0.5, 0.01), part(DESCENDING, 0.3, 0.02)];
        let most = PRIOR.variance.map(|v| 40.0 * v);
        let free = let_go(&parts, &PRIOR.variance, 40.0);
        let (u, n) = combine(&parts, &PRIOR.mean, &free);
        // (I - K A) P (I - K A)' + K R K', K from the assumed variances.
        let a = DMatrix::from_fn(2, 3, |i, c| parts[i].direction[c]);
        let r = DMatrix::from_fn(2, 2, |i, j| if i == j { parts[i].variance } else { 0.0 });
        let p = |v: &[f64; 3]| Matrix3::from_diagonal(&Vector3::from_row_slice(v));
        let k = p(&free) * a.transpose() * (&a * p(&free) * a.transpose() + &r).try_inverse().unwrap();
        let rest = DMatrix::identity(3, 3) - &k * &a;
        let want = &rest * p(&most) * rest.transpose() + &k * r * k.transpose();
        let got = with_error(&n, &free, &most);
        for (i, (a, b)) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)].into_iter().enumerate() {
            assert!((got[i] - want[(a, b)]).abs() < 1e-12, "{i}: {} {}", got[i], want[(a, b)]);
        }
        let m = DVector::from_row_slice(&PRIOR.mean);
        let misfit = DVector::from_fn(2, |i, _| parts[i].value) - &a * &m;
        let estimate = m + k * misfit;
        assert!((0..3).all(|c| (u[c] - estimate[c]).abs() < 1e-12));
    }

    #[test]
    fn what_up_lacks_does_not_go_into_north() {
        // Up is 0.4 m where kriging says nothing; both tracks see it.
        let seen = |s: [f64; 3]| dot(s, [0.02, -0.01, 0.4]);
        let two = [part(ASCENDING, seen(ASCENDING), 0.01), part(DESCENDING, seen(DESCENDING), 0.01)];
        let solved = |parts: &[Part]| {
            let spread = contradiction(parts, &PRIOR);
            assert!(spread > 30.0, "{spread}");
            let (u, _) = combine(parts, &PRIOR.mean, &PRIOR.variance.map(|v| v * spread));
            let free = let_go(parts, &PRIOR.variance, spread);
            (u, combine(parts, &PRIOR.mean, &free).0)
        };
        let (before, after) = solved(&two);
        assert!((before[1] + 0.01).abs() > 0.02 && (after[1] + 0.01).abs() < 0.003, "{before:?} {after:?}");
        assert!((after[2] - 0.4).abs() < 0.02 && (after[0] - 0.02).abs() < 0.01, "{after:?}");
        // Who sees north may change it.
        let three = [two[0], two[1], part([0.0, 1.0, 0.0], 0.6, 0.05)];
        let (_, after) = solved(&three);
        assert!((after[1] - 0.6).abs() < 0.06, "{after:?}");
    }
}
