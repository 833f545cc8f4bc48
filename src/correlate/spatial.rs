//! The `spatial` method: the maximum of the normalised cross-correlation of all windows of a tile.
//!
//! As Ampcor and the statistical correlator of COSI-Corr: a whole-pixel search, then the peak between the pixels; but
//! the peak is that of the correlation with the interpolated image ([`super::peak`]), so it is neither quantised nor
//! drawn to whole pixels. Pixels count where both images are valid. The surfaces of several bands are averaged before
//! the search (Li et al. 2021) and their continuous correlations are added.

use super::ampcor::{self, At};
use super::half_pixel::HalfPixels;
use super::lsm::Limits;
use super::peak::{self, Maximum, WindowCorrelation};
use super::scene::Scene;
use super::search::{Peak, peak};
use super::surface::{NOTHING, Surfaces};
use super::uncertainty::{RESAMPLING_FLOOR, congruence};
use super::{Method, Tile};
use crate::field::{Covariance, Measurement, Status};
use crate::pipeline::{Params, PeakQuality, PeakSigma};

/// Least share of the noise-free curvature that the curvature of the peak may have.
const LEAST_CURVATURE: f64 = 0.04;

pub struct Spatial {
    min_valid: f64,
    window: (usize, usize),
    quality: PeakQuality,
    sigma: PeakSigma,
    /// One for each band.
    work: Vec<WindowCorrelation>,
}

impl Spatial {
    pub fn new(params: &Params, scenes: &[Scene]) -> Self {
        Spatial {
            min_valid: params.min_valid,
            window: params.window,
            quality: params.peak_quality,
            sigma: params.peak_sigma,
            work: scenes.iter().map(|_| WindowCorrelation::new(params.window)).collect(),
        }
    }

    /// One cell from its correlation surface.
    #[inline(always)]
    fn cell(&mut self, tile: &Tile, halves: &[HalfPixels], cell: usize, surface: &[f32]) -> Measurement {
        let found = peak(surface, &tile.area, cell);
        match self.refine(tile, halves, cell, &found) {
            Ok((maximum, bands)) => self.measure(tile, cell, surface, &found, &maximum, bands),
            Err(status) => Measurement::failed(status),
        }
    }

    /// The continuous maximum and the number of bands it comes from.
    #[inline(always)]
    fn refine(
        &mut self,
        tile: &Tile,
        halves: &[HalfPixels],
        cell: usize,
        found: &Peak,
    ) -> Result<(Maximum, Vec<bool>), Status> {
        let corner = tile.windows.corner(cell);
        let cut = tile.cuts.and_then(|c| c.weights(corner, self.window));
        let mut used = vec![false; tile.bands.len()];
        let mut worst = Status::NoData;
        for (k, band) in tile.bands.iter().enumerate() {
            let pair = (&band.pre, &band.post);
            let limits = Limits { min_valid: self.min_valid, min_variance: band.scene.min_variance };
            match self.work[k].load(pair, corner, found.shift, cut.as_deref(), &limits) {
                Ok(()) => used[k] = true,
                Err(status) => worst = status,
            }
        }
        if !used.contains(&true) {
            return Err(worst);
        }
        if found.correlation <= NOTHING {
            return Err(Status::NoData);
        }
        if found.edge {
            return Err(Status::SearchEdge);
        }
        let work = &mut self.work;
        let maximum = peak::climb(found.start(), |d| {
            let bands = tile.bands.iter().zip(halves).zip(work.iter_mut()).zip(&used);
            peak::sum(bands.map(|(((b, h), w), u)| if *u { w.at(&b.post, h, corner, d) } else { None }))
        })?;
        Ok((maximum, used))
    }

    /// Status, quality and covariance of a maximum.
    fn measure(
        &self,
        tile: &Tile,
        cell: usize,
        surface: &[f32],
        found: &Peak,
        maximum: &Maximum,
        used: Vec<bool>,
    ) -> Measurement {
        let bands = used.iter().filter(|u| **u).count() as f64;
        let rho = maximum.total.value / bands;
        let work = || self.work.iter().zip(&used).filter(|p| *p.1).map(|p| p.0);
        let pixels = work().map(|w| w.count()).sum::<f64>();
        // Fewer than three standard deviations of chance correlation is no match.
        if rho < 3.0 / pixels.sqrt() {
            return Measurement::failed(Status::NoConvergence);
        }
        let at = At::of(&tile.area, cell, found.shift);
        let covariance = match self.sigma {
            PeakSigma::Calibrated => sandwich(maximum, rho, work()),
            PeakSigma::Ampcor => ampcor::covariance(surface, at, pixels),
        };
        let Some(covariance) = covariance else { return Measurement::failed(Status::NoConvergence) };
        let quality = match self.quality {
            PeakQuality::Correlation => rho.clamp(0.0, 1.0),
            PeakQuality::Snr => ampcor::snr(surface, at),
        };
        let mut m = Measurement { shift: maximum.shift, covariance, quality: quality as f32, status: Status::Valid };
        tile.check_search(cell, &mut m);
        m
    }
}

/// K⁻¹ M K⁻¹ with K the curvature of the peak and M the variance of its gradient, both summed over the bands: the
/// covariance of [`super::uncertainty`] for the maximum of the correlation. The curvature of the measured peak holds
/// the product of both images' gradients, in which independent noise cancels.
fn sandwich<'w>(maximum: &Maximum, rho: f64, bands: impl Iterator<Item = &'w WindowCorrelation>) -> Option<Covariance> {
    let (mut meat, mut plain) = ([0.0; 3], [0.0; 3]);
    for band in bands {
        let (m, p) = (band.meat(rho), band.plain_curvature());
        for k in 0..3 {
            meat[k] += m[k];
            plain[k] += p[k];
        }
    }
    let mut k = maximum.total.second.map(|v| -v);
    k[0] = k[0].max(LEAST_CURVATURE * plain[0]);
    k[2] = k[2].max(LEAST_CURVATURE * plain[2]);
    let limit = 0.98 * (k[0] * k[2]).sqrt();
    k[1] = k[1].clamp(-limit, limit);
    let det = k[0] * k[2] - k[1] * k[1];
    let inverse = [k[2] / det, -k[1] / det, k[0] / det];
    let [xx, xy, yy] = congruence(&inverse, &meat);
    let extra = RESAMPLING_FLOOR * RESAMPLING_FLOOR;
    let c = Covariance { xx: xx + extra, xy, yy: yy + extra };
    (c.xx.is_finite() && c.yy.is_finite() && c.xx > 0.0 && c.yy > 0.0).then_some(c)
}

impl Method for Spatial {
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        pulp::Arch::new().dispatch(WholeTile { method: self, tile })
    }
}

/// All windows, compiled for the widest vectors of the machine (same sums on every one).
struct WholeTile<'t, 'm> {
    method: &'m mut Spatial,
    tile: &'t Tile<'t>,
}

impl pulp::WithSimd for WholeTile<'_, '_> {
    type Output = Vec<Measurement>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let tile = self.tile;
        let halves: Vec<HalfPixels> = tile.bands.iter().map(|b| HalfPixels::new(&b.post)).collect();
        let pairs = tile.pairs();
        let mut surfaces = Surfaces::new(&pairs, &tile.windows, &tile.area);
        let mut out = Vec::with_capacity(tile.windows.len());
        let (columns, rows) = tile.windows.cells;
        for first in (0..rows).step_by(surfaces.group()) {
            let last = (first + surfaces.group()).min(rows);
            surfaces.compute(first, last, tile.stop);
            for cell in first * columns..last * columns {
                out.push(if tile.stopped() {
                    Measurement::failed(Status::NoData)
                } else {
                    self.method.cell(tile, &halves, cell, surfaces.of(cell))
                });
            }
        }
        out
    }
}
