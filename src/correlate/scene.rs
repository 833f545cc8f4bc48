//! What a run learns from the pair before it matches: the prefilter, the interpolation grid, the residual correlation.
//!
//! The numbers come from patches at fixed places of the whole scene, so every tile, region and machine uses the same.

use super::coherence::{Accumulator, Coherence, Estimator, whitening_kernel};
use super::lsm::{Limits, LsmWindow};
use super::prefilter::{Kernel, response};
use super::prepare::{PAD, PreparedPost, PreparedPre, Preparer, SPLINE_MARGIN};
use super::radial::Radial;
use super::residual::ResidualCorrelation;
use super::search::{TileWindows, integer_peaks};
use super::{Alignment, fill};
use crate::field::PixelShift;
use crate::grid::{Grid, Image, Window};
use crate::pipeline::{Pair, Params, Prefilter};
use crate::{Error, Result};
use rayon::prelude::*;

/// Sides of the patches and how many are looked at along each axis.
const PATCH: usize = 256;
const PATCHES: usize = 4;
/// Side of the windows whose spectra are averaged.
const WELCH: usize = 64;
/// Correlation of whitened windows below which a peak is not believed.
const BELIEVED: f32 = 0.08;

/// The scene's matching model.
#[derive(Debug, Clone)]
pub struct Scene {
    pub prefilter: Kernel,
    pub residual: Kernel,
    /// Spline coefficients per pixel and axis: 2 where the texture is sharp, 1 where it is aliased.
    pub factor: usize,
    /// Measured coherence, `None` when too few windows matched.
    pub coherence: Option<Coherence>,
    /// Variance below which a prefiltered window counts as textureless.
    pub min_variance: f64,
    /// Findings for messages and metadata.
    pub facts: Vec<(String, String)>,
}

/// Raw pixels of one patch.
struct Patch {
    pre: Image,
    post: Image,
    size: (usize, usize),
}

impl Patch {
    /// Filled values; `None` where nothing is valid.
    fn filled(&self) -> Option<(Grid<f32>, Grid<f32>)> {
        Some((fill::fill_invalid(&self.pre)?, fill::fill_invalid(&self.post)?))
    }
}

/// Looks at the pair. `alignment` carries the whole-pixel base offset and the search range.
pub fn analyse(pair: &Pair, params: &Params, alignment: &Alignment) -> Result<Scene> {
    let patches = read_patches(pair, alignment)?;
    let welch = patches.iter().map(|p| p.size.0.min(p.size.1)).min().unwrap_or(0).min(WELCH) / 2 * 2;
    let mut facts = Vec::new();
    let coherence = if welch >= 8 { measure_coherence(&patches, welch, alignment) } else { None };
    let mut ffts = super::fft2::FftCache::default();
    let flat = Radial { step: 1.0, values: vec![1.0, 1.0] };
    let prefilter = match (&coherence, params.prefilter) {
        (Some(c), Prefilter::Coherence) => {
            Kernel::from_radial(&response(&c.magnitude, &c.power[0], &c.power[1]), &mut ffts)
        }
        _ => Kernel::from_radial(&flat, &mut ffts),
    };
    match &coherence {
        Some(c) => {
            let mid = |w: f64| format!("{:.3}", c.magnitude.at(w * std::f64::consts::PI));
            facts.push(("COHERENCE_AT_0.1_0.25_0.5_NYQUIST".into(), [mid(0.1), mid(0.25), mid(0.5)].join(" ")));
            facts.push(("COHERENCE_WINDOWS".into(), c.windows.to_string()));
        }
        None => facts.push(("COHERENCE_WINDOWS".into(), "0 (no matching windows: images left unfiltered)".into())),
    }
    facts.push(("PREFILTER_REACH_PIXELS".into(), prefilter.reach.to_string()));
    let trial = try_interpolations(&patches, params, alignment, &prefilter);
    facts.push(("INTERPOLATION".into(), format!("quintic B-spline on the x{} grid", trial.factor)));
    if let Some((one, two)) = trial.scores {
        facts.push(("INTERPOLATION_SCORES_X1_X2".into(), format!("{one:.5} {two:.5}")));
    }
    Ok(Scene {
        residual: trial.residual.kernel(),
        factor: trial.factor,
        min_variance: 1e-6 * trial.variance,
        prefilter,
        coherence,
        facts,
    })
}

/// Patches at the centres of a regular division of the common area.
fn read_patches(pair: &Pair, alignment: &Alignment) -> Result<Vec<Patch>> {
    let (pre_size, post_size) = (pair.pre.size(), pair.post.size());
    let whole = Window::new(0, 0, pre_size.0, pre_size.1);
    let other = Window::new(-alignment.base.0, -alignment.base.1, post_size.0, post_size.1);
    let common = whole.intersect(&other).ok_or_else(|| {
        Error::GridMismatch("the two images do not overlap: check that they show the same place".into())
    })?;
    let (w, h) = (PATCH.min(common.width), PATCH.min(common.height));
    let starts = |size: usize, patch: usize| -> Vec<usize> {
        let n = (size / patch).clamp(1, PATCHES);
        (0..n).map(|i| (((2 * i + 1) * size) / (2 * n)).saturating_sub(patch / 2).min(size - patch)).collect()
    };
    let mut places = Vec::new();
    for y in starts(common.height, h) {
        places.extend(starts(common.width, w).into_iter().map(|x| (common.x + x as i64, common.y + y as i64)));
    }
    let read = |&(x, y): &(i64, i64)| -> Result<Patch> {
        let window = Window::new(x, y, w, h);
        let (pre, post) = alignment.windows(window);
        Ok(Patch { pre: pair.pre.open()?.read(pre)?, post: pair.post.open()?.read(post)?, size: (w, h) })
    };
    places.par_iter().map(read).collect()
}

/// Whitening from the power spectra, whole-pixel peaks, then aligned cross-spectra (twice, the second time with the
/// weights that the first found).
fn measure_coherence(patches: &[Patch], n: usize, alignment: &Alignment) -> Option<Coherence> {
    let sum = |parts: Vec<Accumulator>| {
        let mut total = Accumulator::new(n);
        parts.iter().for_each(|p| total.add(p));
        total
    };
    let power = sum(patches.par_iter().map(|p| power_of(p, n, alignment)).collect()).finish()?.power;
    let (radial, kernel) = whitening_kernel(&power, &mut super::fft2::FftCache::default());
    let aligned: Vec<_> = patches.par_iter().map(|p| whole_pixel_pairs(p, n, alignment, &kernel)).collect();
    let mut known: Option<Coherence> = None;
    for _ in 0..2 {
        let parts = patches.par_iter().zip(&aligned).map(|(patch, pairs)| {
            let mut acc = Accumulator::new(n);
            if let Some((pre, post)) = patch.filled() {
                let mut ffts = super::fft2::FftCache::default();
                let mut estimator = Estimator::new(n, known.as_ref());
                for &(a, b) in pairs {
                    estimator.add(&pre, a, &post, b, &radial, &mut ffts, &mut acc);
                }
            }
            acc
        });
        known = Some(sum(parts.collect()).finish()?);
    }
    known
}

/// Top-left corners of half-overlapping n × n windows inside a patch.
fn corners(size: (usize, usize), n: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = move |s: usize| (s - n) / (n / 2) + 1;
    (0..count(size.1)).flat_map(move |j| (0..count(size.0)).map(move |i| (i * (n / 2), j * (n / 2))))
}

/// Nearly all pixels of an n × n window are valid.
fn usable(image: &Image, at: (usize, usize), n: usize) -> bool {
    let bad = (at.1..at.1 + n).map(|y| image.valid.row(y)[at.0..at.0 + n].iter().filter(|&&v| !v).count());
    bad.sum::<usize>() * 20 <= n * n
}

fn power_of(patch: &Patch, n: usize, alignment: &Alignment) -> Accumulator {
    let mut acc = Accumulator::new(n);
    let Some((pre, post)) = patch.filled() else { return acc };
    let mut ffts = super::fft2::FftCache::default();
    let mut estimator = Estimator::new(n, None);
    let reach = alignment.post_margin();
    for (x, y) in corners(patch.size, n) {
        let (a, b) = ((x + PAD, y + PAD), (x + reach, y + reach));
        if usable(&patch.pre, a, n) && usable(&patch.post, b, n) {
            estimator.add_power(&pre, a, &post, b, &mut ffts, &mut acc);
        }
    }
    acc
}

/// Corner pairs (pre, post) of windows that match to a whole pixel, in the patch's own arrays.
fn whole_pixel_pairs(
    patch: &Patch,
    n: usize,
    alignment: &Alignment,
    kernel: &Kernel,
) -> Vec<((usize, usize), (usize, usize))> {
    let mut preparer = Preparer::default();
    let delta = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
    let pre = preparer.pre(&patch.pre, kernel, &delta);
    let post = preparer.post(&patch.post, kernel, alignment.search, 1);
    let (Some(pre), Some(post)) = (pre, post) else { return Vec::new() };
    let cells = |s: usize| (s - n) / (n / 2) + 1;
    let windows =
        TileWindows { cells: (cells(patch.size.0), cells(patch.size.1)), window: (n, n), step: (n / 2, n / 2) };
    let peaks = integer_peaks(&pre, &post, &windows, alignment.range);
    let reach = alignment.post_margin();
    let mut pairs = Vec::new();
    for (c, peak) in peaks.iter().enumerate() {
        let (x, y) = windows.corner(c);
        let a = (x + PAD, y + PAD);
        let b = (
            (x + reach).wrapping_add_signed(peak.shift.0 as isize),
            (y + reach).wrapping_add_signed(peak.shift.1 as isize),
        );
        let believed = !peak.edge && peak.correlation > BELIEVED;
        if believed && usable(&patch.pre, a, n) && usable(&patch.post, b, n) {
            pairs.push((a, b));
        }
    }
    pairs
}

/// Outcome of matching the patches with both interpolation grids.
struct Trial {
    factor: usize,
    scores: Option<(f64, f64)>,
    residual: ResidualCorrelation,
    variance: f64,
}

/// Per patch and factor: the correlation of every matched window by index, residual correlation, variances.
struct TrialPart {
    scores: [Vec<Option<f64>>; 2],
    residual: [ResidualCorrelation; 2],
    variance: (f64, f64),
}

/// Matches sample windows on both grids; the grid on which windows at fractional displacements correlate better wins.
fn try_interpolations(patches: &[Patch], params: &Params, alignment: &Alignment, prefilter: &Kernel) -> Trial {
    let side = |w: usize, s: usize| w.clamp(16, 64).min(s);
    let radius = |w: usize| (w / 4).clamp(1, 12);
    let smallest = patches.iter().map(|p| p.size.0.min(p.size.1)).min().unwrap_or(16);
    let window = (side(params.window.0, smallest), side(params.window.1, smallest));
    let lags = radius(window.0.min(window.1));
    let parts: Vec<TrialPart> =
        patches.par_iter().map(|p| try_patch(p, window, lags, params, alignment, prefilter)).collect();
    let mut residual = [ResidualCorrelation::new(lags), ResidualCorrelation::new(lags)];
    let (mut sums, mut n) = ((0.0, 0.0), 0usize);
    let mut variance = (0.0, 0.0);
    for part in &parts {
        for (r, p) in residual.iter_mut().zip(&part.residual) {
            r.merge(p);
        }
        variance = (variance.0 + part.variance.0, variance.1 + part.variance.1);
        for (a, b) in part.scores[0].iter().zip(&part.scores[1]) {
            if let (Some(a), Some(b)) = (a, b) {
                sums = (sums.0 + a, sums.1 + b);
                n += 1;
            }
        }
    }
    let scores = (n >= 3).then(|| (sums.0 / n as f64, sums.1 / n as f64));
    let factor = match scores {
        Some((one, two)) if one > two => 1,
        _ => 2,
    };
    let [one, two] = residual;
    Trial {
        factor,
        scores,
        residual: if factor == 1 { one } else { two },
        variance: if variance.1 > 0.0 { variance.0 / variance.1 } else { 0.0 },
    }
}

fn try_patch(
    patch: &Patch,
    window: (usize, usize),
    lags: usize,
    params: &Params,
    alignment: &Alignment,
    prefilter: &Kernel,
) -> TrialPart {
    let empty = || ResidualCorrelation::new(lags);
    let mut part = TrialPart { scores: [Vec::new(), Vec::new()], residual: [empty(), empty()], variance: (0.0, 0.0) };
    let mut preparer = Preparer::default();
    let delta = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
    let Some(pre) = preparer.pre(&patch.pre, prefilter, &delta) else { return part };
    let cells = (patch.size.0 / window.0, patch.size.1 / window.1);
    let windows = TileWindows { cells, window, step: window };
    for factor in [1, 2] {
        let Some(post) = preparer.post(&patch.post, prefilter, alignment.search, factor) else { return part };
        let k = factor - 1;
        trial_windows(&pre, &post, &windows, params, alignment, &mut part.scores[k], &mut part.residual[k]);
    }
    for c in 0..windows.len() {
        let (x, y) = windows.corner(c);
        let mut v = (0.0, 0.0, 0.0);
        for j in y..y + window.1 {
            for i in x..x + window.0 {
                if pre.valid.get(i, j) {
                    let p = pre.values.get(i, j) as f64;
                    v = (v.0 + 1.0, v.1 + p, v.2 + p * p);
                }
            }
        }
        if v.0 > 0.0 {
            part.variance.0 += v.2 / v.0 - (v.1 / v.0).powi(2);
            part.variance.1 += 1.0;
        }
    }
    part
}

/// Solves every window; `scores` gets its correlation when its displacement is clearly between pixels.
fn trial_windows(
    pre: &PreparedPre,
    post: &PreparedPost,
    windows: &TileWindows,
    params: &Params,
    alignment: &Alignment,
    scores: &mut Vec<Option<f64>>,
    residual: &mut ResidualCorrelation,
) {
    let limits = Limits { min_valid: params.min_valid.max(0.9), min_variance: 0.0 };
    let mut work = LsmWindow::new(windows.window);
    let between = |v: f64| (v - v.round()).abs() > 0.25;
    for (c, peak) in integer_peaks(pre, post, windows, alignment.range).iter().enumerate() {
        scores.push(None);
        let corner = windows.corner(c);
        if peak.edge || peak.correlation < BELIEVED || work.load(pre, post, corner, peak.shift, &limits).is_err() {
            continue;
        }
        let start =
            PixelShift::new(peak.shift.0 as f64 + peak.offset.0 as f64, peak.shift.1 as f64 + peak.offset.1 as f64);
        let solution = work.solve(post, corner, start);
        if solution.correlation <= 0.0 {
            continue;
        }
        let d = solution.measurement.shift;
        if between(d.dx) || between(d.dy) {
            if let Some(last) = scores.last_mut() {
                *last = Some(solution.correlation);
            }
        }
        let (r, variance) = work.residual(post, corner, d);
        residual.add(&r, windows.window.0, variance);
    }
}

/// Pixels that a patch or tile needs around itself in the post image.
pub fn post_margin(search: usize) -> usize {
    search + SPLINE_MARGIN + PAD
}
