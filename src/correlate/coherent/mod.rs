//! `spatial --complex coherence`: the maximum of the coherence magnitude of single-look complex images.
//!
//! γ(d) = |Σ f*(x) g(x + d) exp(-j φ(x))| / √(Σ|f|² Σ|g|²), with φ the mean fringe of the window: the phase that orbits and
//! topography add is a plane over a window, and is taken out before the maximum is looked for. Speckle that stayed the same is
//! texture of the whole bandwidth, so that the peak is several times sharper than that of detected amplitudes, as long as the
//! surface has kept its coherence (Bamler & Eineder 2005, IEEE GRSL 2(2)).
//!
//! The bands of a tile are the amplitude, by which large motion is found, then real and imaginary part of each layer; several
//! layers are averaged as the bands of [`super::spatial`].

mod baseband;
mod surface;
mod window;

use super::ampcor::{self, At};
use super::half_pixel::HalfPixels;
use super::lsm::Limits;
use super::peak::{self, Maximum};
use super::scene::Scene;
use super::search::{Peak, peak};
use super::surface::NOTHING;
use super::uncertainty::of_peak;
use super::window_sums::WindowTerms;
use super::{Band, Method, Tile};
use crate::field::{Covariance, Measurement, Status};
use crate::pipeline::{Params, PeakQuality, PeakSigma};
pub use baseband::{model, to_baseband};
use surface::{CoherenceSurfaces, parts};
use window::ComplexWindow;

/// Bands before those of the first layer.
pub const FIRST: usize = 1;
/// Chance that a window of noise gets a value.
const CHANCE: f64 = 1e-3;

/// Real and imaginary part of one layer.
pub(super) type Layer<'a> = [&'a Band<'a>; 2];

pub struct Coherent {
    min_valid: f64,
    window: (usize, usize),
    quality: PeakQuality,
    sigma: PeakSigma,
    /// Pixels that carry the information of one, by layer.
    redundancy: Vec<f64>,
    work: Vec<ComplexWindow>,
    used: Vec<bool>,
}

impl Coherent {
    /// `scenes` are those of the bands.
    pub fn new(params: &Params, scenes: &[Scene]) -> Self {
        let layers = scenes[FIRST.min(scenes.len())..].chunks_exact(2);
        Coherent {
            min_valid: params.min_valid,
            window: params.window,
            quality: params.peak_quality,
            sigma: params.peak_sigma,
            redundancy: layers.clone().map(|s| s[0].alike).collect(),
            work: layers.map(|_| ComplexWindow::new(params.window)).collect(),
            used: Vec::new(),
        }
    }

    fn cell(
        &mut self,
        tile: &Tile,
        layers: &[Layer],
        halves: &[[HalfPixels; 2]],
        (cell, found): (usize, &Peak),
        surface: &[f32],
    ) -> Measurement {
        match self.refine(tile, layers, halves, cell, found) {
            Ok(maximum) => self.measure(tile, cell, surface, found, &maximum),
            Err(status) => Measurement::failed(status),
        }
    }

    fn refine(
        &mut self,
        tile: &Tile,
        layers: &[Layer],
        halves: &[[HalfPixels; 2]],
        cell: usize,
        found: &Peak,
    ) -> Result<Maximum, Status> {
        let corner = tile.windows.corner(cell);
        let cut = tile.cuts.and_then(|c| c.weights(corner, self.window));
        self.used.clear();
        let mut worst = Status::NoData;
        for (work, layer) in self.work.iter_mut().zip(layers) {
            let limits = Limits { min_valid: self.min_valid, min_variance: layer[0].scene.min_variance };
            let loaded = work.load(layer, corner, found.shift, cut.as_deref(), &limits);
            self.used.push(loaded.is_ok());
            if let Err(status) = loaded {
                worst = status;
            }
        }
        if !self.used.contains(&true) {
            return Err(worst);
        }
        if found.correlation <= NOTHING {
            return Err(Status::NoData);
        }
        if found.edge {
            return Err(Status::SearchEdge);
        }
        let (work, used) = (&mut self.work, &self.used);
        for (work, layer) in work.iter_mut().zip(layers).zip(used).filter(|w| *w.1).map(|w| w.0) {
            work.flatten(layer, corner, found.shift);
        }
        peak::climb(found.start(), |d| {
            let all = layers.iter().zip(halves).zip(work.iter_mut()).zip(used);
            peak::sum(all.map(|(((l, h), w), u)| if *u { w.at(l, h, corner, d) } else { None }))
        })
    }

    /// Status, quality and covariance of a maximum.
    fn measure(&self, tile: &Tile, cell: usize, surface: &[f32], found: &Peak, maximum: &Maximum) -> Measurement {
        let own: Vec<(&WindowTerms, f64)> = self
            .work
            .iter()
            .zip(&self.redundancy)
            .zip(&self.used)
            .filter(|w| *w.1)
            .map(|((w, r), _)| (w.terms(), *r))
            .collect();
        let layers = own.len() as f64;
        let gamma = maximum.total.value / layers;
        // Independent complex samples of a layer.
        let samples = own.iter().map(|(t, r)| 0.5 * t.count / r).sum::<f64>() / layers;
        let tried = ((2 * tile.area.range.0 + 1) * (2 * tile.area.range.1 + 1)) as f64
            * (parts(self.window.0) * parts(self.window.1)) as f64;
        if gamma < chance(samples, layers, tried) {
            return Measurement::failed(Status::NoConvergence);
        }
        let at = At::of(&tile.area, cell, found.shift);
        let covariance = match self.sigma {
            PeakSigma::Calibrated => sandwich(maximum, gamma, samples, &own),
            PeakSigma::Ampcor => ampcor::covariance(surface, at, own.iter().map(|(t, _)| 0.5 * t.count).sum()),
        };
        let Some(covariance) = covariance else { return Measurement::failed(Status::NoConvergence) };
        let quality = match self.quality {
            PeakQuality::Correlation => gamma.clamp(0.0, 1.0),
            PeakQuality::Snr => ampcor::snr(surface, at),
        };
        let mut m = Measurement { shift: maximum.shift, covariance, quality: quality as f32, status: Status::Valid };
        tile.check_search(cell, &mut m);
        m
    }
}

/// The mean over `layers` of the coherence magnitude that noise of `samples` samples reaches with [`CHANCE`] at the best of
/// `tried` places. |γ| of noise has the Rayleigh distribution P(|γ| > t) = exp(-t² samples), mean √(π / 4 samples).
fn chance(samples: f64, layers: f64, tried: f64) -> f64 {
    let mean = (0.25 * std::f64::consts::PI).sqrt();
    (mean + ((tried / CHANCE).ln().sqrt() - mean) / layers.sqrt()) / samples.sqrt()
}

/// K⁻¹ M K⁻¹ as for amplitudes, K the curvature of the peak. The slope of |γ| at the true displacement is that of Re Σ f* ∂g;
/// for speckle of equal spectra in both images its variance is (1 - γ²)/2 of Σ |∂f|² |f|², with the correlation of
/// neighbouring pixels taken into account (which makes the bound of Bamler & Eineder 2005 for white spectra).
fn sandwich(maximum: &Maximum, gamma: f64, samples: f64, layers: &[(&WindowTerms, f64)]) -> Option<Covariance> {
    // Noise adds to the magnitude.
    let gamma2 = ((gamma * gamma - 1.0 / samples) / (1.0 - 1.0 / samples)).clamp(0.0, 1.0);
    let (mut meat, mut plain) = ([0.0; 3], [0.0; 3]);
    for (t, _) in layers {
        let floor = |k: usize| t.spread[k].max(0.05 * t.gradient[k]);
        let scale = (1.0 - gamma2) / ((t.count - 4.0).max(1.0) * t.energy);
        for (k, s) in [floor(0), t.spread[1], floor(2)].into_iter().enumerate() {
            meat[k] += s * scale;
            plain[k] += t.gradient[k] / t.energy;
        }
    }
    of_peak(maximum.total.second.map(|v| -v), &plain, &meat)
}

impl Method for Coherent {
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        let layers: Vec<Layer> =
            tile.bands[FIRST.min(tile.bands.len())..].chunks_exact(2).map(|b| [&b[0], &b[1]]).collect();
        let mut out = Vec::with_capacity(tile.windows.len());
        if !layers.is_empty() {
            let halves: Vec<_> = layers.iter().map(|l| l.map(|b| HalfPixels::new(&b.post))).collect();
            let mut surfaces = CoherenceSurfaces::new(&layers, &tile.windows, &tile.area);
            let (columns, rows) = tile.windows.cells;
            for first in (0..rows).step_by(surfaces.group()) {
                let last = (first + surfaces.group()).min(rows);
                surfaces.compute(first, last, tile.stop);
                if tile.stopped() {
                    break;
                }
                for cell in first * columns..last * columns {
                    let found = peak(surfaces.of(cell), &tile.area, cell);
                    out.push(self.cell(tile, &layers, &halves, (cell, &found), surfaces.of(cell)));
                }
            }
        }
        out.resize(tile.windows.len(), Measurement::failed(Status::NoData));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_layers_leave_less_to_chance() {
        let one = chance(600.0, 1.0, 121.0);
        assert!((one - ((121.0f64 / CHANCE).ln() / 600.0).sqrt()).abs() < 1e-12);
        let four = chance(600.0, 4.0, 121.0);
        assert!(four < one && four > (0.25 * std::f64::consts::PI / 600.0).sqrt());
    }
}
