//! Ramps and terms proportional to height, estimated for all observations together.
//!
//! At every sample (a station, or a pixel of a coarse lattice) the observations `l = A u + Q b + e` meet what is known of u:
//! a station's displacement, or the kriged one with its variance, or nothing. With u eliminated,
//! `l - A m ~ N(Q b, V)`, `V = A P A' + Σ`, and b follows by weighted least squares over all samples, with a weak prior and
//! Huber weights: pixels near the source, which kriging does not know, must not bend a ramp. With stations this is the classical fit of
//! ramps to the GNSS-predicted line of sight; without any it is the agreement of the maps among themselves.
//!
//! Standard deviations that are not given are found in the same loop, as those that make the misfits at the stations as
//! large as they are.
//!
//! Reference: Huber (1981), "Robust Statistics", section 7.8 (iterated weights).

use nalgebra::{DMatrix, DVector};

use super::WlsOptions;
use super::scene::{Kind, Observation, Ramp, Sigma};
use super::survey::Sample;

/// Standard deviation of a line-of-sight displacement and of an offset when nothing tells it, m.
const DEFAULT_SIGMA: [f64; 2] = [0.01, 0.1];
/// Stations that these defaults are worth where stations tell.
const DEFAULT_WEIGHT: f64 = 4.0;
/// Rounds of weights and standard deviations.
const ROUNDS: usize = 12;
/// Misfit in standard deviations beyond which a sample loses weight.
const HUBER: f64 = 2.0;

/// The terms of one observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub ramp: Ramp,
    pub topography: bool,
}

impl Terms {
    pub fn of(o: &Observation) -> Terms {
        Terms { ramp: o.ramp, topography: o.topography }
    }

    pub fn count(self) -> usize {
        let ramp = match self.ramp {
            Ramp::None => 0,
            Ramp::Constant => 1,
            Ramp::Plane => 3,
            Ramp::Bilinear => 4,
        };
        ramp + usize::from(self.topography)
    }

    /// The terms at (x, y) and a height in km above the reference height; `out` has [`Terms::count`] places.
    #[inline]
    pub fn fill(self, x: f64, y: f64, height: f64, out: &mut [f64]) {
        let ramp = [1.0, x, y, x * y];
        let n = self.count() - usize::from(self.topography);
        out[..n].copy_from_slice(&ramp[..n]);
        if self.topography {
            out[n] = height;
        }
    }

    /// Standard deviations before any data.
    fn prior(self, options: &WlsOptions) -> Vec<f64> {
        let r = options.ramp_sigma;
        let n = self.count() - usize::from(self.topography);
        let mut out = [r, r, r, 0.5 * r][..n].to_vec();
        if self.topography {
            out.push(options.topography_sigma);
        }
        out
    }
}

/// What was found for one observation.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Correction {
    pub name: String,
    /// Ramp coefficients (m; columns and rows from -1 to 1), then m per km of height if that was asked for.
    pub coefficients: Vec<f64>,
    pub sigma: Vec<f64>,
    /// Standard deviation of the observation where none was given, m.
    pub estimated_sigma: Option<f64>,
    /// Stations inside it.
    pub stations: usize,
}

/// All long-wavelength errors.
#[derive(Debug, Clone)]
pub struct Nuisance {
    pub terms: Vec<Terms>,
    /// First parameter of every observation.
    pub first: Vec<usize>,
    pub values: Vec<f64>,
    /// Covariance of the parameters, row by row.
    pub covariance: Vec<f64>,
    /// By observation; of use only where it was to be estimated.
    pub sigma: Vec<f64>,
    /// Height that topographic terms are zero at, m.
    pub height: f64,
    pub corrections: Vec<Correction>,
    pub notes: Vec<String>,
}

impl Nuisance {
    pub fn parameters(&self) -> usize {
        self.values.len()
    }
}

/// Estimates all terms; `white` is the standard deviation of each observation's noise that neighbouring pixels do not share.
pub fn estimate(observations: &[Observation], samples: &[Sample], white: &[f64], options: &WlsOptions) -> Nuisance {
    let terms: Vec<Terms> = observations.iter().map(Terms::of).collect();
    let mut first = vec![0];
    terms.iter().for_each(|t| first.push(first.last().copied().unwrap_or(0) + t.count()));
    let count = first.pop().unwrap_or(0);
    let prior: Vec<f64> = terms.iter().flat_map(|t| t.prior(options)).collect();
    let heights: Vec<f64> = samples.iter().map(|s| s.height).filter(|h| h.is_finite()).collect();
    let height = heights.iter().sum::<f64>() / heights.len().max(1) as f64;
    let mut sigma: Vec<f64> = observations.iter().map(|o| DEFAULT_SIGMA[usize::from(o.kind == Kind::Offset)]).collect();
    let default = sigma.clone();
    let rows: Vec<Row> = samples.iter().filter_map(|s| Row::new(s, &terms, &first, height)).collect();
    let mut notes = Vec::new();

    let to_find: Vec<usize> = (0..observations.len()).filter(|&k| observations[k].sigma == Sigma::Estimated).collect();
    let (mut values, mut covariance) = (DVector::zeros(count), DMatrix::zeros(count, count));
    for round in 0..ROUNDS {
        let mut normal = DMatrix::from_diagonal(&DVector::from_iterator(count, prior.iter().map(|p| 1.0 / (p * p))));
        let mut right = DVector::zeros(count);
        for row in &rows {
            row.add(&values, &sigma, white, round > 0, &mut normal, &mut right);
        }
        if let Some(factor) = normal.cholesky() {
            values = factor.solve(&right);
            covariance = factor.inverse();
        }
        for &k in &to_find {
            if let Some(s) = misfit_sigma(&rows, k, white[k], default[k], terms[k].count(), &values) {
                sigma[k] = s;
            } else if round == 0 {
                notes.push(format!(
                    "{}: too few stations to find its standard deviation; {} m is assumed (give sigma=)",
                    observations[k].name, sigma[k]
                ));
            }
        }
        if count == 0 && to_find.is_empty() {
            break;
        }
    }
    let mut corrections = Vec::new();
    for (k, o) in observations.iter().enumerate() {
        let own = first[k]..first[k] + terms[k].count();
        let found: Vec<f64> = own.clone().map(|i| covariance[(i, i)].max(0.0).sqrt()).collect();
        let stations = rows.iter().filter(|r| r.station && r.of(k).is_some()).count();
        if own.clone().zip(&found).any(|(i, s)| *s > 0.5 * prior[i]) {
            notes.push(format!(
                "{}: nothing here tells all of its ramp and topographic terms ({stations} stations inside); what they \
                 may be, {} m and {} m/km, is in the sigma: add stations, or leave the terms out",
                o.name, options.ramp_sigma, options.topography_sigma
            ));
        }
        corrections.push(Correction {
            name: o.name.clone(),
            coefficients: own.map(|i| values[i]).collect(),
            sigma: found,
            estimated_sigma: to_find.contains(&k).then_some(sigma[k]),
            stations,
        });
    }
    Nuisance {
        terms,
        first,
        values: values.iter().copied().collect(),
        covariance: covariance.iter().copied().collect(),
        sigma,
        height,
        corrections,
        notes,
    }
}

/// A sample's observations, less what is known of the displacement.
struct Row {
    /// Observation, its misfit to the mean, direction, given sigma, first parameter.
    seen: Vec<Part>,
    variance: [f64; 3],
    station: bool,
}

struct Part {
    observation: usize,
    misfit: f64,
    direction: [f64; 3],
    sigma: Option<f64>,
    /// See [`Seen::white`](super::survey::Seen::white).
    white: f64,
    first: usize,
    terms: Vec<f64>,
}

impl Part {
    /// Variance of the value, from that of a pixel where it is not given: a mean of pixels has less white noise.
    fn variance(&self, pixel: f64, white: f64) -> f64 {
        match self.sigma {
            Some(s) => s * s,
            None => less_white(pixel * pixel, (1.0 - self.white) * white * white),
        }
    }

    fn residual(&self, values: &DVector<f64>) -> f64 {
        self.misfit - self.terms.iter().enumerate().map(|(i, t)| t * values[self.first + i]).sum::<f64>()
    }
}

impl Row {
    fn new(s: &Sample, terms: &[Terms], first: &[usize], height: f64) -> Option<Row> {
        let mut seen = Vec::new();
        for (k, o) in s.seen.iter().enumerate() {
            let Some(o) = o else { continue };
            let mut basis = vec![0.0; terms[k].count()];
            terms[k].fill(s.x, s.y, (s.height - height) / 1000.0, &mut basis);
            if basis.iter().all(|b| b.is_finite()) {
                let predicted: f64 = (0..3).map(|c| o.direction[c] * s.mean[c]).sum();
                seen.push(Part {
                    observation: k,
                    misfit: o.value - predicted,
                    direction: o.direction,
                    sigma: o.sigma,
                    white: o.white,
                    first: first[k],
                    terms: basis,
                });
            }
        }
        (!seen.is_empty()).then_some(Row { seen, variance: s.variance, station: s.station })
    }

    fn of(&self, observation: usize) -> Option<&Part> {
        self.seen.iter().find(|p| p.observation == observation)
    }

    /// Adds to the normal equations; `robust` weighs by the misfit to `values`.
    fn add(
        &self,
        values: &DVector<f64>,
        sigma: &[f64],
        white: &[f64],
        robust: bool,
        normal: &mut DMatrix<f64>,
        right: &mut DVector<f64>,
    ) {
        let n = self.seen.len();
        let v = DMatrix::from_fn(n, n, |i, j| {
            let (a, b) = (&self.seen[i], &self.seen[j]);
            let known: f64 = (0..3).map(|c| a.direction[c] * self.variance[c] * b.direction[c]).sum();
            known + if i == j { a.variance(sigma[a.observation], white[a.observation]) } else { 0.0 }
        });
        let Some(inverse) = v.cholesky().map(|f| f.inverse()) else {
            return;
        };
        let mut weight = 1.0;
        if robust {
            let r = DVector::from_iterator(n, self.seen.iter().map(|p| p.residual(values)));
            let m = ((r.transpose() * &inverse * &r)[0].max(0.0) / n as f64).sqrt();
            weight = if m > HUBER { HUBER / m } else { 1.0 };
        }
        for (i, a) in self.seen.iter().enumerate() {
            for (j, b) in self.seen.iter().enumerate() {
                let w = weight * inverse[(i, j)];
                for (p, s) in a.terms.iter().enumerate() {
                    right[a.first + p] += w * s * b.misfit;
                    for (q, t) in b.terms.iter().enumerate() {
                        normal[(a.first + p, b.first + q)] += w * s * t;
                    }
                }
            }
        }
    }
}

/// A variance without the white noise that a mean of pixels does not have.
fn less_white(variance: f64, less: f64) -> f64 {
    (variance - less).max(0.1 * variance)
}

/// The standard deviation of observation `k` with which the mean square of its misfits at the stations, each in units of
/// its own standard deviation, is what the number of parameters leaves; few stations are kept near the default as by
/// [`DEFAULT_WEIGHT`] more that show it. `None` with too few.
fn misfit_sigma(
    rows: &[Row],
    k: usize,
    white: f64,
    default: f64,
    parameters: usize,
    values: &DVector<f64>,
) -> Option<f64> {
    let pairs: Vec<(f64, f64, f64)> = rows
        .iter()
        .filter(|r| r.station)
        .filter_map(|r| {
            let part = r.of(k)?;
            let known: f64 = (0..3).map(|c| part.direction[c].powi(2) * r.variance[c]).sum();
            Some((part.residual(values).powi(2), known, (1.0 - part.white) * white * white))
        })
        .filter(|p| p.1 < 1.0)
        .collect();
    let free = pairs.len().checked_sub(parameters).filter(|f| *f >= 3)? as f64;
    // Outliers count as HUBER² + 2 at most; the expectation of that for normal errors is 0.974.
    let excess = |variance: f64| {
        let square = |&(r, known, less): &(f64, f64, f64)| r / (known + less_white(variance, less));
        pairs.iter().map(|p| square(p).min(HUBER * HUBER + 2.0)).sum::<f64>() - 0.974 * free
            + DEFAULT_WEIGHT * (default * default / variance - 1.0)
    };
    let (mut low, mut high) = (1e-4f64.ln(), 10f64.ln());
    if excess((2.0 * low).exp()) <= 0.0 {
        return Some(low.exp());
    }
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if excess((2.0 * middle).exp()) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some((0.5 * (low + high)).exp())
}
