//! The `frequency` method: a robust plane through the phase of the cross-spectrum of two windows that show the same ground.
//!
//! In the manner of Leprince et al. (2007, IEEE TGRS 45(6)): the post window is interpolated at the displacement found so far,
//! which removes the bias of windows that overlap only in part, both are tapered at their rim, and the phase of their
//! cross-spectrum is fitted with a plane. Frequencies are weighted by the amplitude of the window's own cross-spectrum
//! after the coherence prefilter (see [`super::prefilter`]), whose expectation is their Fisher information c²/(1-c²),
//! not by a mask on the spectrum.
//!
//! The first displacement is the peak of the normalised cross-correlation, whose sums overlapping windows share
//! ([`super::search`]). Where the phases do not confirm it, it is that of the phase correlation of a larger window under a Hann
//! taper, made better by a plain fit; beside a cut it is the peak of the window's own side. Windows above each other whose peaks are
//! close share interpolation and transforms of rows ([`strip`]).

pub mod fit;
pub mod runs;
pub mod strip;
pub mod together;

use strip::Strip;
use together::Together;

use super::chance::Chance;
use super::cross_spectrum::{Stage, correlated_samples, cut, fade};
use super::cut::Support;
use super::fft2::FftCache;
use super::lsm_cut::{self, Lean};
use super::phase::PhaseScratch;
use super::phase_slopes::Slopes;
use super::prefilter::information;
use super::prepare::{Parts, PreparedPre};
use super::scene::Scene;
use super::search::{Peak, integer_peaks};
use super::sums::{CellSums, Intervals};
use super::surface::NOTHING;
use super::{Method, Tile};
use crate::field::{Measurement, PixelShift, Status};
use crate::pipeline::{Params, Prefilter};

/// Share of the final window, at each end, over which it is faded.
const RIM: f64 = 0.25;
/// Interpolations at a better displacement, and the last correction that ends them, as a share of the window and pixels: what
/// windows that overlap only in part do to it is a small share of it, more in small windows.
const PASSES: usize = 4;
const NEAR: f64 = 1.0 / 400.0;
const NEAREST: f64 = 0.02;
const FARTHEST: f64 = 0.2;
/// The same where the texture is aliased: there a step is right only close by.
const ALIASED_PASSES: usize = 8;
const ALIASED_NEAR: f64 = 0.02;
/// Farthest the fit may move from the whole-pixel peak, pixels.
const CAPTURE: f64 = 1.5;

/// One thread's planes and buffers.
pub struct Frequency<'a> {
    params: &'a Params,
    min_variance: f64,
    scene: &'a Scene,
    chance: Chance,
    initial: Option<Stage>,
    last: Stage,
    strip: Strip,
    /// How phases change with the displacement where the texture is aliased.
    slopes: Option<Slopes>,
    /// How often, and until which correction, it is fitted again.
    limits: (usize, f64),
    /// Equivalent number of samples per independent one, from the rim taper.
    overlap: f64,
    ffts: FftCache,
    rows: Vec<f32>,
    scratch: PhaseScratch,
    /// Of the tile's windows that a line cuts.
    leans: Vec<Lean>,
}

impl<'a> Frequency<'a> {
    pub fn new(params: &'a Params, scene: &'a Scene) -> Self {
        let centred = scene.coherence.is_some() && scene.chosen == Prefilter::Coherence;
        let filtered = super::prefilter_choice::amplitude(&scene.prefilter, &mut FftCache::default());
        // After the coherence prefilter the amplitude of the cross-spectrum is its Fisher information already.
        let gain = |w: f64| match (&scene.coherence, scene.chosen) {
            (Some(_), Prefilter::Coherence) => 1.0,
            (Some(c), other) => {
                let m = c.magnitude.at(w);
                let passed = if other == Prefilter::None { 1.0 } else { filtered.at(w).powi(2).max(1e-4) };
                information(m) / (m * passed * (c.power[0].at(w) * c.power[1].at(w)).sqrt()).max(f32::MIN_POSITIVE)
            }
            (None, _) => coarse(w),
        };
        let along = |n: usize| correlated_samples(&fade(n, RIM * n as f64));
        let overlap = along(params.window.0) * along(params.window.1);
        let last = Stage::new(params.window, RIM, &gain, centred);
        Frequency {
            params,
            min_variance: scene.min_variance,
            scene,
            chance: Chance::new(params, scene),
            initial: None,
            slopes: scene.spline.allows_aliasing().then(|| Slopes::new(scene.spline, params.window, &last.plane)),
            last,
            strip: Strip::new(params.window, RIM),
            limits: if scene.spline.allows_aliasing() {
                (ALIASED_PASSES, ALIASED_NEAR)
            } else {
                (PASSES, near(params.window))
            },
            overlap,
            ffts: FftCache::default(),
            rows: Vec::new(),
            scratch: PhaseScratch::default(),
            leans: Vec::new(),
        }
    }

    /// Planes for initial windows that hold the displaced content: at least four times the search.
    fn prepare_initial(&mut self, range: (usize, usize)) {
        // An even size, for the real transform back.
        let enough = |w: usize, r: usize| w.max((4 * r).next_power_of_two()).next_multiple_of(2);
        let size = (enough(self.params.window.0, range.0), enough(self.params.window.1, range.1));
        if self.initial.as_ref().is_none_or(|stage| stage.size != size) {
            // The phase correlation has unit amplitudes, so it takes the information itself.
            let known = self.scene.coherence.as_ref();
            let info = |w: f64| known.map_or(coarse(w), |c| information(c.magnitude.at(w)));
            self.initial = Some(Stage::new(size, 0.5, &info, self.last.centred));
        }
    }

    #[inline(always)]
    fn window(
        &mut self,
        tile: &Tile,
        sums: &CellSums,
        cell: usize,
        peak: &Peak,
        fitted: Option<PixelShift>,
    ) -> Measurement {
        let (w, h) = self.params.window;
        let corner = tile.windows.corner(cell);
        let (x, y) = (cell % tile.windows.cells.0, cell / tile.windows.cells.0);
        if let Err(status) = check(tile.pre(), corner, sums.of(x, y), self.params, self.min_variance) {
            return Measurement::failed(status);
        }
        let size = (tile.pre().values.width, tile.pre().values.height);
        let support = tile.cuts.and_then(|c| c.support(corner, (w, h), size));
        let near = if support.is_none() { self.near_peak(tile, corner, peak, fitted) } else { None };
        let mut m = near.unwrap_or_else(|| self.any_peak(tile, cell, support.as_ref()));
        tile.check_search(cell, &mut m);
        m
    }

    /// From the peak of the normalised cross-correlation, which is nearer than a pixel where it is the right one, or where a first
    /// fit says; `None` when the fit does not confirm it.
    #[inline(always)]
    fn near_peak(
        &mut self,
        tile: &Tile,
        corner: (usize, usize),
        peak: &Peak,
        fitted: Option<PixelShift>,
    ) -> Option<Measurement> {
        let (w, h) = self.params.window;
        // A first fit may have been made with the windows around, of a peak that was believed there.
        if fitted.is_none() && !self.believable(tile, corner, peak) {
            return None;
        }
        cut(&tile.pre().values, (corner.0 as i64, corner.1 as i64), (w, h), &mut self.last.pre);
        let mut d = fitted.unwrap_or(peak.start());
        let passes = self.limits.0 - usize::from(fitted.is_some());
        let fit = self.approach(tile.post(), corner, &mut d, None, passes)?;
        Some(self.judge(&fit, d, peak.shift)).filter(|m| m.status == Status::Valid)
    }

    /// A peak inside the search that is higher than chance makes it, and enough valid pixels there.
    #[inline(always)]
    fn believable(&self, tile: &Tile, corner: (usize, usize), peak: &Peak) -> bool {
        let (w, h) = self.params.window;
        let pixels = tile.pre().counts.count(corner.0 as i64, corner.1 as i64, (w, h)) as f64;
        if peak.edge || peak.correlation <= NOTHING || f64::from(peak.correlation) < self.chance.least(pixels) {
            return false;
        }
        let at = |c: usize, s: i32| c as i64 + tile.post().search as i64 + i64::from(s);
        let at = (at(corner.0, peak.shift.0), at(corner.1, peak.shift.1));
        tile.post().counts.count(at.0, at.1, (w, h)) as f64 >= self.params.min_valid * (w * h) as f64
    }

    /// From the peak of the phase correlation of a larger window, or of one side of a line.
    #[inline(always)]
    fn any_peak(&mut self, tile: &Tile, cell: usize, support: Option<&Support>) -> Measurement {
        let (w, h) = self.params.window;
        let corner = tile.windows.corner(cell);
        let search = tile.post().search as i64;
        let Some(initial) = &mut self.initial else { return Measurement::failed(Status::NoData) };
        let peak = match support {
            // The peak of the whole initial window may be that of the other side.
            Some(own) => Some(lsm_cut::own_peak(tile, cell, own)).filter(|p| !p.edge).map(|p| p.shift),
            None => {
                let first = initial.size;
                let start = centred(corner, (w, h), first);
                cut(&tile.pre().values, start, first, &mut initial.pre);
                let from = tile.area.start(cell);
                let at = (start.0 + search + from.0 as i64, start.1 + search + from.1 as i64);
                cut(&tile.post().values, at, first, &mut initial.post);
                let peak = initial.peak(tile.area.range, &mut self.ffts);
                peak.map(|shift| (shift.0 + from.0, shift.1 + from.1))
            }
        };
        let Some(shift) = peak else { return Measurement::failed(Status::SearchEdge) };
        let corner = support.map_or(corner, |s| s.corner);
        let begin = (corner.0 as i64, corner.1 as i64);
        cut(&tile.pre().values, begin, (w, h), &mut self.last.pre);
        let at = (begin.0 + search + shift.0 as i64, begin.1 + search + shift.1 as i64);
        cut(&tile.post().values, at, (w, h), &mut self.last.post);
        let share = tile.post().counts.count(at.0, at.1, (w, h)) as f64 / (w * h) as f64;
        if share < self.params.min_valid {
            return Measurement::failed(Status::NoData);
        }
        if let Some(own) = support {
            self.leans.extend(lsm_cut::lean(tile, cell, own));
            fit::weigh(&mut self.last.pre, &own.weights);
            fit::weigh(&mut self.last.post, &own.weights);
        }
        let mut d = PixelShift::new(shift.0 as f64, shift.1 as f64);
        self.last.phases::<false>(&mut self.ffts);
        let last = &self.last;
        let first = last.plane.locate(&last.re, &last.im, &last.weights, &mut self.scratch);
        let Some((dx, dy)) = first.filter(|(dx, dy)| dx.abs() <= CAPTURE && dy.abs() <= CAPTURE) else {
            return Measurement::failed(Status::NoConvergence);
        };
        d.dx += dx;
        d.dy += dy;
        let fit = if self.slopes.is_some() {
            match self.approach(tile.post(), corner, &mut d, support, self.limits.0) {
                Some(fit) => fit,
                None => return Measurement::failed(Status::NoConvergence),
            }
        } else {
            let fit = self.fit_at(tile.post(), corner, d, support);
            d.dx += fit.dx;
            d.dy += fit.dy;
            fit
        };
        let mut m = self.judge(&fit, d, shift);
        if let Some(own) = support {
            // Fewer pixels carry the phases.
            let share = own.weights.iter().map(|&v| v as f64).sum::<f64>() / (w * h) as f64;
            m.covariance.xx /= share;
            m.covariance.xy /= share;
            m.covariance.yy /= share;
        }
        m
    }
}

/// Enough valid pixels and some texture; `sums` are those of the window's values and of their squares.
fn check(
    pre: &PreparedPre,
    corner: (usize, usize),
    [sum, square]: [f64; 2],
    params: &Params,
    min_variance: f64,
) -> Result<(), Status> {
    let (w, h) = params.window;
    let n = pre.counts.count(corner.0 as i64, corner.1 as i64, (w, h)) as f64;
    if n < params.min_valid * (w * h) as f64 || n < 8.0 {
        return Err(Status::NoData);
    }
    // Invalid pixels are zero.
    if square / n - (sum / n).powi(2) <= min_variance {
        return Err(Status::LowTexture);
    }
    Ok(())
}

/// The last correction for a window of a size, pixels.
fn near((w, h): (usize, usize)) -> f64 {
    (NEAR * w.min(h) as f64).clamp(NEAREST, FARTHEST)
}

/// Where nothing is known of the pair, the coarser half of the frequencies is trusted.
fn coarse(w: f64) -> f32 {
    if w < std::f64::consts::FRAC_PI_2 { 1.0 } else { 0.0 }
}

/// Top-left pixel of a window of `size` with the centre (to half a pixel) of the window `inner` at `corner`.
fn centred(corner: (usize, usize), inner: (usize, usize), size: (usize, usize)) -> (i64, i64) {
    let at = |c: usize, n: usize, s: usize| c as i64 - (s as i64 - n as i64) / 2;
    (at(corner.0, inner.0, size.0), at(corner.1, inner.1, size.1))
}

impl Method for Frequency<'_> {
    fn parts(&self, cut: bool) -> Parts {
        // Windows that lean to one side of a line weigh their pixels by the gradient.
        if cut { Parts::Gradient } else { Parts::Coefficients }
    }

    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        self.prepare_initial(tile.area.range);
        let pair = [(tile.pre(), tile.post())];
        let peaks = integer_peaks(&pair, &tile.windows, &tile.area, tile.stop);
        let ((columns, rows), (w, h), (sx, sy)) = (tile.windows.cells, tile.windows.window, tile.windows.step);
        let sums = CellSums::new(&tile.pre().values, &Intervals::new(columns, w, sx), &Intervals::new(rows, h, sy));
        pulp::Arch::new().dispatch(AllWindows { method: self, tile, peaks: &peaks, sums: &sums })
    }
}

/// The loop over a tile's windows, compiled for the widest vectors of the machine (same sums on every one).
struct AllWindows<'t, 'm, 'a> {
    method: &'m mut Frequency<'a>,
    tile: &'t Tile<'t>,
    peaks: &'t [Peak],
    sums: &'t CellSums,
}

impl pulp::WithSimd for AllWindows<'_, '_, '_> {
    type Output = Vec<Measurement>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let cells = self.tile.windows.len();
        let mut found = Vec::with_capacity(cells);
        self.method.leans.clear();
        let together = self.method.strips(self.tile, self.sums, self.peaks);
        for (cell, known) in together.into_iter().enumerate() {
            if self.tile.stopped() {
                break;
            }
            let fitted = match known {
                Together::Found(done) => {
                    found.push(done);
                    continue;
                }
                Together::Near(d) => Some(d),
                Together::Nothing => None,
            };
            found.push(self.method.window(self.tile, self.sums, cell, &self.peaks[cell], fitted));
        }
        found.resize(cells, Measurement::failed(Status::NoData));
        let tile = self.tile;
        lsm_cut::level(tile, &mut found, &self.method.leans, &|a, b| lsm_cut::visible(tile, a, b));
        found
    }
}
