//! The `spatial` method: the maximum of the normalised cross-correlation of all windows of a tile.
//!
//! As Ampcor and the statistical correlator of COSI-Corr: a whole-pixel search, then the peak between the pixels; but
//! the peak is that of the correlation with the interpolated image ([`super::peak`]), so it is neither quantised nor
//! drawn to whole pixels. Pixels count where both images are valid. The surfaces of several bands are averaged before
//! the search (Li et al. 2021) and their continuous correlations are added.
//!
//! Windows whose pixels are all or nearly all valid take everything from sums shared by all windows of the tile: the whole-pixel
//! search ([`super::surface`]), the lags and the norms around the peak ([`super::lag_sums`]) and the terms of the covariance
//! ([`super::window_sums`]). The pixels that are missing are taken away from the window's own
//! ([`super::missing`]). Windows with large gaps or beside a cut are refined one by one ([`super::peak`]).
//!
//! Where the texture is aliased the peak between the pixels is found by least squares ([`super::spatial_aliased`]).

use super::ampcor::{self, At};
use super::chance::Chance;
use super::half_pixel::HalfPixels;
use super::lag_sums::{Around, Knots, LagsOfNone, LagsOfOne};
use super::lanes::vectors;
use super::lsm::Limits;
use super::missing::Missing;
use super::peak::{self, Maximum, WindowCorrelation};
use super::peak_shared::SharedCorrelation;
use super::scene::Scene;
use super::search::{Peak, integer_peaks, peak};
use super::spatial_aliased::Aliased;
use super::sums::Intervals;
use super::surface::{NOTHING, Surfaces};
use super::uncertainty::of_peak;
use super::window_sums::{RawSums, WindowTerms, raw_sums};
use super::{Method, Tile};
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::pipeline::{Params, PeakQuality, PeakSigma};

/// Missing pixels, as a share of a window, that are taken away from shared sums: 1 in so many. For more a window by itself is
/// faster, and rounding grows.
const FEW: usize = 4;

pub struct Spatial {
    min_valid: f64,
    pub(super) chance: Chance,
    window: (usize, usize),
    quality: PeakQuality,
    sigma: PeakSigma,
    /// One for each band.
    work: Vec<WindowCorrelation>,
    lags: Vec<(LagsOfOne, LagsOfNone)>,
    /// The cell's window in every band, in those whose texture counts.
    shared: Vec<Option<SharedCorrelation>>,
    used: Vec<bool>,
    own: Vec<WindowTerms>,
    missing: Missing,
    /// Refine every window by itself.
    alone: bool,
    /// In place of the above where the texture is aliased.
    aliased: Option<Aliased>,
}

/// What a tile's windows share.
struct Shared<'a> {
    halves: &'a [HalfPixels],
    /// Coefficients of the post image and its samples at the half pixels, of every band.
    knots: Vec<(Knots<'a>, Knots<'a>)>,
    /// Of every window in every band.
    sums: Vec<Vec<RawSums>>,
    intervals: (Intervals, Intervals),
}

impl<'a> Shared<'a> {
    fn new(tile: &'a Tile, halves: &'a [HalfPixels]) -> Self {
        let w = &tile.windows;
        let intervals =
            (Intervals::new(w.cells.0, w.window.0, w.step.0), Intervals::new(w.cells.1, w.window.1, w.step.1));
        Shared {
            halves,
            knots: tile.bands.iter().zip(halves).map(|(b, h)| (b.post.coefficients.knots(), h.knots())).collect(),
            sums: tile.bands.iter().map(|b| raw_sums(&b.pre, w, (&intervals.0, &intervals.1))).collect(),
            intervals,
        }
    }
}

impl Spatial {
    pub fn new(params: &Params, scenes: &[Scene]) -> Self {
        Spatial {
            min_valid: params.min_valid,
            chance: Chance::new(params, &scenes[0]),
            window: params.window,
            quality: params.peak_quality,
            sigma: params.peak_sigma,
            work: scenes.iter().map(|_| WindowCorrelation::new(params.window)).collect(),
            lags: scenes.iter().map(|_| Default::default()).collect(),
            shared: Vec::new(),
            used: Vec::new(),
            own: Vec::new(),
            missing: Missing::default(),
            alone: false,
            aliased: Aliased::new(params, scenes, false),
        }
    }

    /// The same with every window refined by itself: slow, and what the shared sums are compared with.
    pub fn window_by_window(params: &Params, scenes: &[Scene]) -> Self {
        Spatial { alone: true, aliased: Aliased::new(params, scenes, true), ..Spatial::new(params, scenes) }
    }

    /// The whole surfaces of a tile's windows, where Ampcor's measures want them.
    pub(super) fn surfaces<'t>(&self, tile: &'t Tile) -> Option<Surfaces<'t>> {
        let wanted = self.quality == PeakQuality::Snr || self.sigma == PeakSigma::Ampcor;
        wanted.then(|| Surfaces::new(&tile.pairs(), &tile.windows, &tile.area))
    }

    /// The cell's window can be refined from shared sums.
    fn shares(&self, tile: &Tile, cell: usize, found: &Peak) -> bool {
        let (corner, (w, h)) = (tile.windows.corner(cell), self.window);
        let clear = |band: &super::Band| {
            let at = |c: usize, s: i32| (c + band.post.search) as i64 + s as i64;
            let (px, py) = (at(corner.0, found.shift.0), at(corner.1, found.shift.1));
            let valid = band.pre.counts.count(corner.0 as i64, corner.1 as i64, (w, h))
                + band.post.counts.count(px, py, (w, h));
            2 * w * h - valid <= w * h / FEW
        };
        !self.alone
            && w * h >= 8
            && found.correlation > NOTHING
            && !found.edge
            && support(tile, cell).is_none()
            && tile.bands.iter().all(clear)
    }

    /// One cell from its correlation surface; `row` is its place in the group of rows whose lags are there.
    #[inline(always)]
    fn cell(
        &mut self,
        tile: &Tile,
        shared: &Shared,
        (cell, row): (usize, usize),
        (found, shares): (&Peak, bool),
        surface: &[f32],
    ) -> Measurement {
        let together = if shares { self.refine_shared(tile, shared, (cell, row), found) } else { None };
        let maximum = together.unwrap_or_else(|| self.refine(tile, shared.halves, cell, found));
        match maximum {
            Ok(maximum) => self.measure(tile, cell, surface, found, &maximum),
            Err(status) => Measurement::failed(status),
        }
    }

    /// The continuous maximum from shared sums; `None` when it lies beyond the lags that are there, or too many pixels are
    /// missing.
    #[inline(always)]
    fn refine_shared(
        &mut self,
        tile: &Tile,
        shared: &Shared,
        (cell, row): (usize, usize),
        found: &Peak,
    ) -> Option<Result<Maximum, Status>> {
        self.shared.clear();
        self.own.clear();
        let start = found.start();
        for (k, band) in tile.bands.iter().enumerate() {
            let (corner, mut sums) = (tile.windows.corner(cell), shared.sums[k][cell]);
            self.missing.find(band, corner, self.window, found.shift);
            let missing = &self.missing;
            let all = self.window.0 * self.window.1;
            let pixels = (all - missing.pixels()) as f64;
            if !missing.is_empty() && pixels < self.min_valid * all as f64 {
                return None;
            }
            sums.remove(&band.pre, missing);
            let terms = sums.terms(pixels).terms;
            if terms.flat(band.scene.min_variance) {
                self.shared.push(None);
                continue;
            }
            let (lags, energies) = &self.lags[k];
            let (c, samples) = &shared.knots[k];
            let factor = band.post.coefficients.factor;
            let (around, quadratic) = (Around::spline(start, factor), Around::quadratic(start, factor));
            let energies = energies.energies((row, &quadratic), samples, missing, pixels);
            let lags = lags.of_others((row, &around), (&band.pre.values, c), missing, terms.mean);
            let spline = (around, lags);
            let window = SharedCorrelation::new(terms, start, spline, (&quadratic, &energies), &shared.halves[k]);
            self.shared.push(Some(window));
            self.own.push(terms);
        }
        if self.own.is_empty() {
            return Some(Err(Status::LowTexture));
        }
        let windows = &self.shared;
        let mut beyond = false;
        let maximum = peak::climb(start, |d| {
            let bands = tile.bands.iter().zip(windows);
            peak::sum(bands.map(|(b, w)| {
                let w = w.as_ref()?;
                beyond |= !w.reaches(d);
                if beyond { None } else { w.at(&b.post.coefficients, d) }
            }))
        });
        (!beyond).then_some(maximum)
    }

    /// The continuous maximum of one window by itself.
    #[inline(always)]
    fn refine(&mut self, tile: &Tile, halves: &[HalfPixels], cell: usize, found: &Peak) -> Result<Maximum, Status> {
        let corner = tile.windows.corner(cell);
        let cut = support(tile, cell);
        self.used.clear();
        self.own.clear();
        let mut worst = Status::NoData;
        for (k, band) in tile.bands.iter().enumerate() {
            let pair = (&band.pre, &band.post);
            let limits = Limits { min_valid: self.min_valid, min_variance: band.scene.min_variance };
            let loaded = self.work[k].load(pair, corner, found.shift, cut.as_deref(), &limits);
            self.used.push(loaded.is_ok());
            match loaded {
                Ok(()) => self.own.push(*self.work[k].terms()),
                Err(status) => worst = status,
            }
        }
        if self.own.is_empty() {
            return Err(worst);
        }
        if found.correlation <= NOTHING {
            return Err(Status::NoData);
        }
        if found.edge {
            return Err(Status::SearchEdge);
        }
        let (work, used) = (&mut self.work, &self.used);
        peak::climb(found.start(), |d| {
            let bands = tile.bands.iter().zip(halves).zip(work.iter_mut()).zip(used);
            peak::sum(bands.map(|(((b, h), w), u)| if *u { w.at(&b.post, h, corner, d) } else { None }))
        })
    }

    /// Status, quality and covariance of a maximum.
    fn measure(&self, tile: &Tile, cell: usize, surface: &[f32], found: &Peak, maximum: &Maximum) -> Measurement {
        let rho = maximum.total.value / self.own.len() as f64;
        let pixels = self.own.iter().map(|w| w.count).sum::<f64>();
        if rho < self.chance.least(pixels) {
            return Measurement::failed(Status::NoConvergence);
        }
        let shift = maximum.shift;
        let covariance = || sandwich(maximum, rho, &self.own);
        let quality = rho.clamp(0.0, 1.0) as f32;
        self.stated(tile, cell, (found, surface, pixels), (shift, quality), covariance)
    }

    /// What is reported of a window of so many `pixels`: its own quality and covariance, or those of Ampcor, as asked for.
    pub(super) fn stated(
        &self,
        tile: &Tile,
        cell: usize,
        (found, surface, pixels): (&Peak, &[f32], f64),
        (shift, quality): (PixelShift, f32),
        covariance: impl Fn() -> Option<Covariance>,
    ) -> Measurement {
        let at = At::of(&tile.area, cell, found.shift);
        let covariance = match self.sigma {
            PeakSigma::Calibrated => covariance(),
            PeakSigma::Ampcor => ampcor::covariance(surface, at, pixels),
        };
        let Some(covariance) = covariance else { return Measurement::failed(Status::NoConvergence) };
        let quality = match self.quality {
            PeakQuality::Correlation => quality,
            PeakQuality::Snr => ampcor::snr(surface, at) as f32,
        };
        let mut m = Measurement { shift, covariance, quality, status: Status::Valid };
        tile.check_search(cell, &mut m);
        m
    }
}

/// The weights of a window that a line cuts.
pub fn support(tile: &Tile, cell: usize) -> Option<Vec<f32>> {
    tile.cuts?.weights(tile.windows.corner(cell), tile.windows.window)
}

/// K⁻¹ M K⁻¹ with K the curvature of the peak and M the variance of its gradient, both summed over the bands: the
/// covariance of [`super::uncertainty`] for the maximum of the correlation. The curvature of the measured peak holds
/// the product of both images' gradients, in which independent noise cancels.
fn sandwich(maximum: &Maximum, rho: f64, bands: &[WindowTerms]) -> Option<Covariance> {
    let (mut meat, mut plain) = ([0.0; 3], [0.0; 3]);
    for band in bands {
        let (m, p) = (band.meat(rho), band.plain_curvature());
        for k in 0..3 {
            meat[k] += m[k];
            plain[k] += p[k];
        }
    }
    of_peak(maximum.total.second.map(|v| -v), &plain, &meat)
}

impl Method for Spatial {
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        if let Some(mut aliased) = self.aliased.take() {
            let out = self.match_aliased(tile, &mut aliased);
            self.aliased = Some(aliased);
            return out;
        }
        let halves: Vec<_> = tile.bands.iter().map(|b| HalfPixels::new(&b.post)).collect();
        let shared = Shared::new(tile, &halves);
        let (columns, rows) = tile.windows.cells;
        let mut surfaces = self.surfaces(tile);
        let (all, group) = match &surfaces {
            Some(s) => (Vec::new(), s.group()),
            None => {
                let peaks = integer_peaks(&tile.pairs(), &tile.windows, &tile.area, tile.stop);
                (peaks, LagsOfOne::group(columns, rows))
            }
        };
        let mut out = Vec::with_capacity(tile.windows.len());
        let (mut peaks, mut shares) = (Vec::new(), Vec::new());
        for first in (0..rows).step_by(group) {
            let last = (first + group).min(rows);
            let cells = first * columns..last * columns;
            peaks.clear();
            match &mut surfaces {
                Some(s) => {
                    s.compute(first, last, tile.stop);
                    peaks.extend(cells.clone().map(|c| peak(s.of(c), &tile.area, c)));
                }
                None => peaks.extend_from_slice(&all[cells.clone()]),
            }
            if tile.stopped() {
                break;
            }
            shares.clear();
            shares.extend(cells.clone().zip(&peaks).map(|(cell, p)| self.shares(tile, cell, p)));
            for (k, band) in tile.bands.iter().enumerate() {
                let c = &band.post.coefficients;
                let around = |of: fn(PixelShift, usize) -> Around| {
                    let of = |(shares, p): (&bool, &Peak)| shares.then(|| of(p.start(), c.factor));
                    shares.iter().zip(&peaks).map(of).collect::<Vec<_>>()
                };
                let (spline, quadratic) = (around(Around::spline), around(Around::quadratic));
                let (x, y) = &shared.intervals;
                let rows = (columns, (first, last));
                let ((lags, energies), knots) = (&mut self.lags[k], &shared.knots[k]);
                lags.compute(([&band.pre.values], &knots.0), (x, y), rows, &spline);
                energies.compute(([], &knots.1), (x, y), rows, &quadratic);
            }
            for (row, cell) in cells.enumerate() {
                let at = (&peaks[row], shares[row]);
                let surface = surfaces.as_ref().map_or(&[][..], |s| s.of(cell));
                out.push(vectors(
                    #[inline(always)]
                    || self.cell(tile, &shared, (cell, row), at, surface),
                ));
            }
        }
        out.resize(tile.windows.len(), Measurement::failed(Status::NoData));
        out
    }
}
