//! What a run learns from the pair before it matches: the prefilter, the interpolation grid, the residual correlation.
//!
//! The numbers come from patches at fixed places of the whole scene, so every tile, region and machine uses the same.

use super::coherence::{Accumulator, Coherence, Estimator, whitening_kernel};
use super::interp::Spline;
use super::lsm::{Limits, LsmWindow};
use super::lsm_affine::LsmAffine;
use super::prefilter::Kernel;
use super::prefilter_choice::{self, Sample};
use super::prepare::{PAD, Parts, PreparedPost, PreparedPre, Preparer, Recipe};
use super::pyramid::{self, Wanted};
use super::radial::Radial;
use super::residual::ResidualCorrelation;
use super::search::{Peak, SearchArea, TileWindows, integer_peaks};
use super::spline_choice::{self, Given};
use super::{Alignment, fill};
use crate::field::Status;
use crate::grid::{Grid, Image, ImageFile, Window};
use crate::pipeline::{MethodName, Pair, Params, Prefilter, Shape};
use crate::{Error, Result};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sides of the patches and how many are looked at along each axis.
const PATCH: usize = 256;
const PATCHES: usize = 4;
/// Side of the windows whose spectra are averaged.
const WELCH: usize = 64;
/// Largest lag, in pixels, over which the texture's own correlation is looked at.
const GRAIN_LAGS: usize = 6;
/// Side of the windows whose shared motion is looked for.
const SHARED: usize = 32;
/// Correlation of whitened windows below which a peak is not believed.
const BELIEVED: f32 = 0.08;

/// The scene's matching model.
#[derive(Debug, Clone)]
pub struct Scene {
    pub prefilter: Kernel,
    /// Which one it is; never `Auto`.
    pub chosen: Prefilter,
    pub residual: Kernel,
    /// The interpolator whose phase suits the texture.
    pub spline: Spline,
    /// Measured coherence, `None` when too few windows matched.
    pub coherence: Option<Coherence>,
    /// Variance below which a prefiltered window counts as textureless.
    pub min_variance: f64,
    /// Median variance of what differs between matched windows, after the prefilter: the noise of both images.
    pub noise: f64,
    /// Neighbouring pixels of the prefiltered image that count as one where two images have nothing in common.
    pub alike: f64,
    /// What pre and post image are multiplied by before anything else.
    pub units: (f32, f32),
    /// Findings for messages and metadata.
    pub facts: Vec<(String, String)>,
}

impl Scene {
    /// Minus the second derivative of the residual correlation at zero, along x and y: the mean square gradient of
    /// noise of unit variance.
    pub fn residual_curvature(&self) -> (f64, f64) {
        let mut ffts = super::fft2::FftCache::default();
        let n = 64;
        let power = self.residual.on_half_spectrum(n, n, &mut ffts);
        let (mut total, mut x, mut y) = (0.0, 0.0, 0.0);
        for (k, &p) in power.iter().enumerate() {
            let (kx, ky) = (k / n, k % n);
            // Columns 1 to n/2 - 1 stand for their mirror images too.
            let twice = if kx == 0 || 2 * kx == n { 1.0 } else { 2.0 };
            let p = twice * f64::from(p).max(0.0);
            total += p;
            x += p * self.spline.derivative(super::fft2::omega(kx, n)).powi(2);
            y += p * self.spline.derivative(super::fft2::omega(ky, n)).powi(2);
        }
        if total > 0.0 { (x / total, y / total) } else { (0.0, 0.0) }
    }
}

/// Raw pixels of one patch.
pub struct Patch {
    pre: Image,
    post: Image,
    /// Both with their gaps filled; `None` where one has no valid pixel.
    filled: Option<(Grid<f32>, Grid<f32>)>,
    size: (usize, usize),
}

impl Patch {
    /// The pre image with [`PAD`] pixels around the patch.
    pub fn pre(&self) -> &Image {
        &self.pre
    }
}

/// Looks at one band of the pair. `alignment` carries the whole-pixel base offset and the search range.
pub fn analyse(pair: &Pair, band: usize, params: &Params, alignment: &Alignment, stop: &AtomicBool) -> Result<Scene> {
    let mut patches = read_patches(pair.bands[band], alignment, Sampling { along: PATCHES, stop })?;
    let units = to_units(&mut patches);
    let welch = welch_side(&patches);
    let mut facts = Vec::new();
    let given = Given::of(pair.bands[band], params);
    let coherence = if welch >= 8 { measure_coherence(&patches, welch, (alignment, given), stop) } else { None };
    let mut ffts = super::fft2::FftCache::default();
    match &coherence {
        Some(c) => {
            let mid = |w: f64| format!("{:.3}", c.magnitude.at(w * std::f64::consts::PI));
            facts.push(("COHERENCE_AT_0.1_0.25_0.5_NYQUIST".into(), [mid(0.1), mid(0.25), mid(0.5)].join(" ")));
            facts.push(("COHERENCE_WINDOWS".into(), c.windows.to_string()));
        }
        None => facts.push(("COHERENCE_WINDOWS".into(), "0 (no matching windows: images left unfiltered)".into())),
    }
    let spline = spline_choice::spline_for(coherence.as_ref(), given);
    facts.push(("INTERPOLATION".into(), spline.describe().into()));
    if let Some(given) = given {
        facts.push(("INTERPOLATION_GIVEN".into(), given.why.into()));
    }
    if let Some(c) = &coherence {
        let scores: Vec<String> = c.agreement.iter().map(|v| format!("{v:.4}")).collect();
        facts.push(("INTERPOLATION_SCORES".into(), scores.join(" ")));
        let errors: Vec<String> = c.evidence.iter().map(|v| format!("{v:.1}")).collect();
        facts.push(("INTERPOLATION_EVIDENCE".into(), errors.join(" ")));
    }
    let candidates: &[Prefilter] = match params.prefilter {
        // The phase plane weighs every frequency by its information, whatever the filter.
        Prefilter::Auto if params.method == MethodName::Frequency || coherence.is_none() => &[Prefilter::Coherence],
        Prefilter::Auto => &prefilter_choice::CANDIDATES,
        ref fixed => std::slice::from_ref(fixed),
    };
    let mut tries: Vec<(Prefilter, Kernel, Trial)> = Vec::new();
    for &candidate in candidates {
        let kernel = prefilter_choice::kernel(candidate, coherence.as_ref(), &mut ffts);
        let trial = match_patches(&patches, params, alignment, &kernel, spline, stop);
        tries.push((candidate, kernel, trial));
    }
    let mut chosen = candidates[0];
    if candidates.len() > 1 {
        let scatters: Vec<_> = tries.iter().map(|(p, _, t)| (*p, prefilter_choice::scatter(&t.samples))).collect();
        chosen = prefilter_choice::decide(&scatters);
        let value = |s: &Option<f64>| s.map_or("-".into(), |v| format!("{v:.4}"));
        let table: Vec<String> = scatters.iter().map(|(p, s)| format!("{} {}", p.name(), value(s))).collect();
        facts.push(("PREFILTER_SCATTER_PX".into(), table.join(", ")));
    }
    facts.push(("PREFILTER_CHOSEN".into(), chosen.name().into()));
    let (_, prefilter, trial) = tries.swap_remove(tries.iter().position(|t| t.0 == chosen).unwrap_or(0));
    facts.push(("PREFILTER_REACH_PIXELS".into(), prefilter.reach.to_string()));
    Ok(Scene {
        residual: trial.residual.kernel(&mut ffts),
        spline,
        min_variance: 1e-6 * trial.variance,
        noise: trial.noise,
        alike: trial.texture.squares(&mut ffts),
        prefilter,
        chosen,
        coherence,
        units,
        facts,
    })
}

/// Brings the contrast of both images to about one and returns by what: pre and post may have any units, and squares of
/// squares of their pixels must be numbers in single precision. By powers of two, which change no digit.
pub fn to_units(patches: &mut [Patch]) -> (f32, f32) {
    let unit = |pick: fn(&Patch) -> &Image| {
        let mut sums = [0.0f64; 3];
        for image in patches.iter().map(pick) {
            for (&v, _) in image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok) {
                let v = f64::from(v);
                sums = [sums[0] + 1.0, sums[1] + v, sums[2] + v * v];
            }
        }
        let variance = (sums[2] - sums[1] * sums[1] / sums[0].max(1.0)) / sums[0].max(1.0);
        unit_of(variance)
    };
    let units = (unit(|p| &p.pre), unit(|p| &p.post));
    for p in patches {
        let scale = |image: &mut Grid<f32>, unit: f32| image.data.iter_mut().for_each(|v| *v *= unit);
        scale(&mut p.pre.values, units.0);
        scale(&mut p.post.values, units.1);
        if let Some((pre, post)) = &mut p.filled {
            scale(pre, units.0);
            scale(post, units.1);
        }
    }
    units
}

/// The power of two that brings a variance to about one.
pub fn unit_of(variance: f64) -> f32 {
    if variance > 0.0 { (-0.5 * variance.log2()).round().exp2() as f32 } else { 1.0 }
}

/// The response that changes nothing.
fn flat() -> Radial {
    Radial { step: 1.0, values: vec![1.0, 1.0] }
}

/// How the scene is sampled.
#[derive(Clone, Copy)]
pub struct Sampling<'a> {
    /// Patches along each axis at most.
    pub along: usize,
    pub stop: &'a AtomicBool,
}

/// Patches at the centres of a regular division of the common area.
pub fn read_patches(
    (pre_file, post_file): (&dyn ImageFile, &dyn ImageFile),
    alignment: &Alignment,
    sampling: Sampling,
) -> Result<Vec<Patch>> {
    let (pre_size, post_size) = (pre_file.size(), post_file.size());
    let whole = Window::new(0, 0, pre_size.0, pre_size.1);
    let other = Window::new(-alignment.base.0, -alignment.base.1, post_size.0, post_size.1);
    let common = whole.intersect(&other).ok_or_else(|| {
        Error::GridMismatch("the two images do not overlap: check that they show the same place".into())
    })?;
    let (w, h) = (PATCH.min(common.width), PATCH.min(common.height));
    let starts = |size: usize, patch: usize| -> Vec<usize> {
        let n = (size / patch).clamp(1, sampling.along);
        (0..n).map(|i| (((2 * i + 1) * size) / (2 * n)).saturating_sub(patch / 2).min(size - patch)).collect()
    };
    let mut places = Vec::new();
    for y in starts(common.height, h) {
        places.extend(starts(common.width, w).into_iter().map(|x| (common.x + x as i64, common.y + y as i64)));
    }
    let read = |readers: &mut Option<_>, &(x, y): &(i64, i64)| -> Result<Patch> {
        if sampling.stop.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let window = Window::new(x, y, w, h);
        let (pre, post) = alignment.windows(window);
        let (pre_reader, post_reader) = match readers {
            Some(readers) => readers,
            None => readers.insert((pre_file.open()?, post_file.open()?)),
        };
        let (pre, post) = (pre_reader.read(pre)?, post_reader.read(post)?);
        let filled = fill::fill_invalid(&pre).zip(fill::fill_invalid(&post));
        let filled = filled.map(|(pre, post)| (pre.into_owned(), post.into_owned()));
        Ok(Patch { pre, post, filled, size: (w, h) })
    };
    // Patches beside each other read blocks of the files in common, which a reader keeps.
    places.par_iter().map_init(|| None, read).collect()
}

/// Whitening from the power spectra, whole-pixel peaks, then aligned cross-spectra (twice, the second time with the
/// weights that the first found).
fn measure_coherence(
    patches: &[Patch],
    n: usize,
    (alignment, given): (&Alignment, Option<Given>),
    stop: &AtomicBool,
) -> Option<Coherence> {
    let (radial, kernel) = whitening(patches, alignment)?;
    let aligned: Vec<_> = patches.par_iter().map(|p| whole_pixel_pairs(p, n, alignment, &kernel, stop)).collect();
    let mut known: Option<Coherence> = None;
    for _ in 0..2 {
        let parts = patches.par_iter().zip(&aligned).map(|(patch, pairs)| {
            let mut acc = Accumulator::new(n);
            let filled = patch.filled.as_ref().filter(|_| !stop.load(Ordering::Relaxed));
            if let Some((pre, post)) = filled {
                let mut ffts = super::fft2::FftCache::default();
                let guide = known.as_ref().map(|c| (c, spline_choice::spline_for(Some(c), given)));
                let mut estimator = Estimator::new(n, guide, &radial);
                for &(a, b) in pairs {
                    estimator.add(pre, a, post, b, &mut ffts, &mut acc);
                }
            }
            acc
        });
        known = Some(sum(parts.collect(), n).finish()?);
    }
    known
}

/// The filter that flattens both images' power spectra; `None` with too little to see.
pub fn whitening(patches: &[Patch], alignment: &Alignment) -> Option<(Radial, Kernel)> {
    let n = welch_side(patches);
    if n < 8 {
        return None;
    }
    let power = sum(patches.par_iter().map(|p| power_of(p, n, alignment)).collect(), n).finish()?.power;
    Some(whitening_kernel(&power, &mut super::fft2::FftCache::default()))
}

/// Side of the windows whose spectra are averaged, even.
fn welch_side(patches: &[Patch]) -> usize {
    patches.iter().map(|p| p.size.0.min(p.size.1)).min().unwrap_or(0).min(WELCH) / 2 * 2
}

fn sum(parts: Vec<Accumulator>, n: usize) -> Accumulator {
    let mut total = Accumulator::new(n);
    parts.iter().for_each(|p| total.add(p));
    total
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
    let Some((pre, post)) = &patch.filled else { return acc };
    let mut ffts = super::fft2::FftCache::default();
    let mut estimator = Estimator::new(n, None, &flat());
    let reach = alignment.post_margin();
    for (x, y) in corners(patch.size, n) {
        let (a, b) = ((x + PAD, y + PAD), (x + reach, y + reach));
        if usable(&patch.pre, a, n) && usable(&patch.post, b, n) {
            estimator.add_power(pre, a, post, b, &mut ffts, &mut acc);
        }
    }
    acc
}

/// Whole-pixel peaks of a patch's windows: over the whole search, or coarse to fine when it is large.
fn peaks_of(
    patch: &Patch,
    (pre, post): (&PreparedPre, &PreparedPost),
    windows: &TileWindows,
    alignment: &Alignment,
    (preparer, kernel): (&mut Preparer, &Kernel),
    stop: &AtomicBool,
) -> Vec<Peak> {
    if alignment.coarse_to_fine()
        && let Some((a, b)) = preparer.values(&patch.pre, kernel, 1.0).zip(preparer.values(&patch.post, kernel, 1.0))
    {
        let wanted = Wanted { windows: *windows, context: 0, priors: &[], search: alignment.range };
        if let Some(starts) = pyramid::starts(a, b, alignment.post_margin() - PAD, &wanted, stop) {
            let area = SearchArea { range: (pyramid::RANGE, pyramid::RANGE), starts: &starts };
            return integer_peaks(&[(pre, post)], windows, &area, stop);
        }
    }
    let area = SearchArea { range: alignment.range, starts: &[] };
    integer_peaks(&[(pre, post)], windows, &area, stop)
}

/// Whole-pixel displacements of a patch's windows that at least two of their neighbours share.
pub fn shared_shifts(patch: &Patch, alignment: &Alignment, kernel: &Kernel, stop: &AtomicBool) -> Vec<(f64, f64)> {
    let mut preparer = Preparer::default();
    let delta = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
    let recipe =
        Recipe { prefilter: kernel, residual: &delta, spline: Spline::Quintic, unit: 1.0, parts: Parts::Values };
    let (pre, post) = (preparer.pre(&patch.pre, &recipe), preparer.post(&patch.post, alignment.search, &recipe));
    let (Some(pre), Some(post)) = (pre, post) else { return Vec::new() };
    let side = (patch.size.0.min(patch.size.1)).min(SHARED);
    let cells = |s: usize| (s - side) / (side / 2) + 1;
    let windows = TileWindows {
        cells: (cells(patch.size.0), cells(patch.size.1)),
        window: (side, side),
        step: (side / 2, side / 2),
    };
    let peaks = peaks_of(patch, (&pre, &post), &windows, alignment, (&mut preparer, kernel), stop);
    // Chance correlations of N pixels have a standard deviation of 1/sqrt(N); the largest of many reaches about five.
    let believed = |p: &Peak| !p.edge && p.correlation > 6.0 / side as f32;
    let alike = |a: &Peak, b: &Peak| (a.shift.0 - b.shift.0).abs() <= 1 && (a.shift.1 - b.shift.1).abs() <= 1;
    let (nx, ny) = windows.cells;
    let mut shared = Vec::new();
    for (c, p) in peaks.iter().enumerate().filter(|(_, p)| believed(p)) {
        let (x, y) = (c % nx, c / nx);
        let around = (y.saturating_sub(1)..(y + 2).min(ny))
            .flat_map(|j| (x.saturating_sub(1)..(x + 2).min(nx)).map(move |i| j * nx + i));
        // The window itself is one of them.
        if around.filter(|&n| believed(&peaks[n]) && alike(p, &peaks[n])).count() >= 3 {
            shared.push((p.shift.0 as f64, p.shift.1 as f64));
        }
    }
    shared
}

/// Corner pairs (pre, post) of windows that match to a whole pixel, in the patch's own arrays.
fn whole_pixel_pairs(
    patch: &Patch,
    n: usize,
    alignment: &Alignment,
    kernel: &Kernel,
    stop: &AtomicBool,
) -> Vec<((usize, usize), (usize, usize))> {
    let mut preparer = Preparer::default();
    let delta = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
    let recipe =
        Recipe { prefilter: kernel, residual: &delta, spline: Spline::Quintic, unit: 1.0, parts: Parts::Values };
    let (pre, post) = (preparer.pre(&patch.pre, &recipe), preparer.post(&patch.post, alignment.search, &recipe));
    let (Some(pre), Some(post)) = (pre, post) else { return Vec::new() };
    let cells = |s: usize| (s - n) / (n / 2) + 1;
    let windows =
        TileWindows { cells: (cells(patch.size.0), cells(patch.size.1)), window: (n, n), step: (n / 2, n / 2) };
    let peaks = peaks_of(patch, (&pre, &post), &windows, alignment, (&mut preparer, kernel), stop);
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

/// What matching sample windows found.
struct Trial {
    residual: ResidualCorrelation,
    texture: ResidualCorrelation,
    variance: f64,
    noise: f64,
    samples: Vec<Sample>,
}

/// Matches sample windows of every patch: the correlation of what is left, and the usual variance of a window.
fn match_patches(
    patches: &[Patch],
    params: &Params,
    alignment: &Alignment,
    prefilter: &Kernel,
    spline: Spline,
    stop: &AtomicBool,
) -> Trial {
    let smallest = patches.iter().map(|p| p.size.0.min(p.size.1)).min().unwrap_or(16);
    let side = |w: usize| w.clamp(16, 64).min(smallest);
    let window = (side(params.window.0), side(params.window.1));
    let lags = (window.0.min(window.1) / 4).clamp(1, 12);
    let parts: Vec<Tried> = patches
        .par_iter()
        .map(|p| match_patch(p, window, lags, params, alignment, (prefilter, spline), stop))
        .collect();
    let mut residual = ResidualCorrelation::new(lags, window);
    let mut texture = ResidualCorrelation::new(lags.min(GRAIN_LAGS), window);
    let (mut variances, mut noise) = (Vec::new(), Vec::new());
    let mut samples = Vec::new();
    for part in parts {
        samples.push(part.sample);
        residual.merge(&part.residual);
        texture.merge(&part.texture);
        variances.extend_from_slice(&part.variances);
        noise.extend_from_slice(&part.noise);
    }
    // Where no window was whole enough to be looked at: values were brought to a contrast of about one.
    let n = variances.len() as f64;
    let variance = if variances.is_empty() { 1.0 } else { variances.iter().sum::<f64>() / n };
    noise.sort_by(f64::total_cmp);
    Trial { residual, texture, variance, noise: noise.get(noise.len() / 2).copied().unwrap_or(2.0 * variance), samples }
}

/// What matching sample windows of one patch found.
struct Tried {
    residual: ResidualCorrelation,
    texture: ResidualCorrelation,
    /// Variance of each window, and of each matched window's residual.
    variances: Vec<f64>,
    noise: Vec<f64>,
    sample: Sample,
}

fn match_patch(
    patch: &Patch,
    window: (usize, usize),
    lags: usize,
    params: &Params,
    alignment: &Alignment,
    (prefilter, spline): (&Kernel, Spline),
    stop: &AtomicBool,
) -> Tried {
    let sample = Sample { columns: patch.size.0 / window.0, shifts: Vec::new() };
    let texture = ResidualCorrelation::new(lags.min(GRAIN_LAGS), window);
    let mut tried = Tried {
        residual: ResidualCorrelation::new(lags, window),
        texture,
        variances: Vec::new(),
        noise: Vec::new(),
        sample,
    };
    let (mut preparer, mut ffts) = (Preparer::default(), super::fft2::FftCache::default());
    let delta = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
    // The residual's correlation is what is looked for here.
    let recipe = Recipe { prefilter, residual: &delta, spline, unit: 1.0, parts: Parts::Spread };
    let (pre, post) = (preparer.pre(&patch.pre, &recipe), preparer.post(&patch.post, alignment.search, &recipe));
    let (Some(pre), Some(post)) = (pre, post) else { return tried };
    let windows = TileWindows { cells: (patch.size.0 / window.0, patch.size.1 / window.1), window, step: window };
    let limits = Limits { min_valid: params.min_valid.max(0.9), min_variance: 0.0 };
    let mut work = LsmWindow::new(window);
    // What translations leave of ground that deforms is no noise.
    let mut affine = (params.shape == Shape::Affine).then(|| LsmAffine::new(window));
    let peaks = peaks_of(patch, (&pre, &post), &windows, alignment, (&mut preparer, prefilter), stop);
    for (c, peak) in peaks.iter().enumerate() {
        let corner = windows.corner(c);
        if work.load(&pre, &post, corner, peak.shift, None, &limits).is_err() {
            tried.sample.shifts.push(None);
            continue;
        }
        tried.variances.push(work.variance());
        let own = pre.values.crop(Window::new(corner.0 as i64, corner.1 as i64, window.0, window.1));
        let mean = own.data.iter().sum::<f32>() / own.data.len() as f32;
        let own: Vec<f32> = own.data.iter().map(|v| v - mean).collect();
        tried.texture.add(&own, work.variance(), &mut ffts);
        let failed = Some((f64::INFINITY, f64::INFINITY));
        if peak.edge || peak.correlation < BELIEVED {
            tried.sample.shifts.push(failed);
            continue;
        }
        let mut solution = work.solve(&post, corner, peak.start());
        let mut left = None;
        if let Some(affine) = &mut affine {
            let m = solution.measurement;
            let start = if m.status == Status::Valid { m.shift } else { peak.start() };
            let deformed = affine.solve(&work, (&pre, &post), corner, start, None, &limits);
            left = affine.residual();
            solution = if left.is_some() { deformed } else { solution };
        }
        if solution.correlation > 0.0 {
            let (r, variance) = left.unwrap_or_else(|| work.residual(&post, corner, solution.measurement.shift));
            tried.residual.add(&r, variance, &mut ffts);
            tried.noise.push(variance);
            let d = solution.measurement.shift;
            tried.sample.shifts.push(Some((d.dx, d.dy)));
        } else {
            tried.sample.shifts.push(failed);
        }
    }
    tried
}
