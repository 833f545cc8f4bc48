//! How slip varies over a fault: a fractal field, tapered at the rims, with a deficit near the surface.

use rand::RngExt;
use rand_pcg::Pcg64;
use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_PI_2, TAU};

use super::fft2::{Spectrum, good_length};
use super::random::{normal, white};
use super::spectrum::standardised;
use crate::grid::{Grid, Window};

/// What decides the slip distribution of an event; lengths in metres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlipSpec {
    /// Hurst exponent of the von Karman field.
    pub hurst: f64,
    /// Correlation lengths along strike and down dip.
    pub correlation: (f64, f64),
    /// Standard deviation of the slip over its mean, before the taper.
    pub variation: f64,
    /// `true`: slip = exp(variation f); `false`: slip = max(0, 1 + variation f).
    pub log_normal: bool,
    /// Missing share of the slip at the surface, and the depth at which nothing is missing.
    pub deficit: f64,
    pub deficit_depth: f64,
    /// Share of the length over which the slip falls to zero at the ends, and of the width at the bottom.
    pub end_taper: f64,
    pub bottom_taper: f64,
    /// Mean rake in degrees: 0 left lateral, 90 reverse, 180 right lateral (Aki and Richards).
    pub rake_deg: f64,
    /// Standard deviation of the rake over the fault in degrees.
    pub rake_scatter_deg: f64,
}

impl SlipSpec {
    /// Draws a distribution for a fault of the given size (metres).
    ///
    /// Correlation lengths: Mai and Beroza (2002), JGR 107, 2308, as a public generator uses them. Two thirds of the
    /// events have H about 0.75 (Mai and Beroza), a third 0.4, as the surface slip of Landers and Hector Mine
    /// (Milliner et al. 2016). Shallow slip deficit: Fialko et al. (2005), Xu et al. (2016).
    pub fn draw(length: f64, width: f64, rng: &mut Pcg64) -> SlipSpec {
        let hurst = match rng.random_bool(1.0 / 3.0) {
            true => 0.4,
            false => (0.75 + 0.1 * normal(rng)).clamp(0.5, 1.0),
        };
        let base = if rng.random_bool(0.5) { 0.0 } else { 180.0 };
        let mut rake_deg = base + 10.0 * normal(rng);
        if rng.random_bool(0.15) {
            let oblique: f64 = rng.random_range(10.0..30.0);
            rake_deg += if rng.random_bool(0.5) { oblique } else { -oblique };
        }
        SlipSpec {
            hurst,
            correlation: (2000.0 + length / 3.0, 1000.0 + width / 3.0),
            variation: 0.6,
            log_normal: rng.random_bool(0.5),
            deficit: rng.random_range(0.0..0.5),
            deficit_depth: rng.random_range(2000.0..5000.0),
            end_taper: 0.15,
            bottom_taper: 0.3,
            rake_deg,
            rake_scatter_deg: 10.0,
        }
    }

    /// Factor on the slip at `along` m from the start of a fault of `length` m, `down` m down its width.
    pub fn taper(&self, along: f64, down: f64, length: f64, width: f64) -> f64 {
        ends(along, length, self.end_taper) * self.bottom(down, width)
    }

    /// Factor towards the bottom: cos² over the last part of the width.
    fn bottom(&self, down: f64, width: f64) -> f64 {
        let start = width * (1.0 - self.bottom_taper);
        let t = ((down - start) / (width - start)).clamp(0.0, 1.0);
        let c = (FRAC_PI_2 * t).cos();
        if t >= 1.0 { 0.0 } else { c * c }
    }

    /// Factor near the surface, by depth in metres.
    pub fn shallow(&self, depth: f64) -> f64 {
        1.0 - self.deficit * (1.0 - depth / self.deficit_depth).max(0.0)
    }
}

/// Quarter sine over the share `taper` of the length at both ends.
pub fn ends(along: f64, length: f64, taper: f64) -> f64 {
    let distance = along.min(length - along).max(0.0);
    (FRAC_PI_2 * (distance / (taper * length)).min(1.0)).sin()
}

/// A von Karman random field of zero mean and unit standard deviation on `nx` × `nz` points, `dx` and `dz` apart:
/// power spectrum (1 + (ax kx)² + (az kz)²)^-(H + 1), wave numbers in radians.
///
/// Made on twice the size, of which a corner is kept, so that opposite rims do not match.
///
/// Reference: Mai and Beroza (2002), JGR 107, 2308, eq. 3; H = 1 decays like the k^-2 model of Herrero and Bernard (1994).
pub fn von_karman(
    (nx, nz): (usize, usize),
    (dx, dz): (f64, f64),
    (ax, az): (f64, f64),
    hurst: f64,
    rng: &mut Pcg64,
) -> Grid<f64> {
    let (wide, tall) = (good_length(2 * nx), good_length(2 * nz));
    let mut spectrum = Spectrum::of(&white(wide, tall, rng));
    spectrum.filter(|fx, fz| {
        let (kx, kz) = (TAU * fx / dx, TAU * fz / dz);
        (1.0 + (ax * kx).powi(2) + (az * kz).powi(2)).powf(-0.5 * (hurst + 1.0))
    });
    spectrum.data[0] = Complex::default();
    standardised(spectrum.into_image().crop(Window::new(0, 0, nx, nz)))
}

/// Slip and rake over the plane of a fault, before the moment fixes the amount.
#[derive(Debug, Clone)]
pub struct SlipField {
    spec: SlipSpec,
    length: f64,
    width: f64,
    /// Spacing of the two fields along strike and down dip.
    spacing: (f64, f64),
    shape: Grid<f64>,
    rake: Grid<f64>,
}

/// Slip varies linearly over this length, metres.
const SMOOTHEST: f64 = 250.0;

impl SlipField {
    /// Draws the fields; `rng` decides the slip, `rake_rng` the rake.
    pub fn new(spec: &SlipSpec, length: f64, width: f64, rng: &mut Pcg64, rake_rng: &mut Pcg64) -> SlipField {
        // Slip of neighbouring triangles must differ little, or every corner of the trace becomes a singularity.
        let finest = (spec.correlation.0.min(spec.correlation.1) / 20.0).max(SMOOTHEST);
        let points = |extent: f64, most: usize| ((extent / finest).ceil() as usize + 1).clamp(8, most);
        let (nx, nz) = (points(length, 1024), points(width, 256));
        let spacing = (length / (nx - 1) as f64, width / (nz - 1) as f64);
        let field = von_karman((nx, nz), spacing, spec.correlation, spec.hurst, rng);
        let shape = field.map(|f| match spec.log_normal {
            true => (spec.variation * f).exp(),
            false => (1.0 + spec.variation * f).max(0.0),
        });
        // Rake turns smoothly: a Gaussian-like spectrum of the same correlation lengths.
        let rake = von_karman((nx, nz), spacing, spec.correlation, 3.0, rake_rng);
        SlipField { spec: spec.clone(), length, width, spacing, shape, rake }
    }

    /// Relative slip at `along`, `down` (metres), `depth` below the surface: fractal shape, taper and deficit.
    pub fn slip(&self, along: f64, down: f64, depth: f64) -> f64 {
        let taper = self.spec.taper(along, down, self.length, self.width);
        taper * self.spec.shallow(depth) * self.sample(&self.shape, along, down)
    }

    /// Rake in degrees.
    pub fn rake(&self, along: f64, down: f64) -> f64 {
        self.spec.rake_deg + self.spec.rake_scatter_deg * self.sample(&self.rake, along, down)
    }

    fn sample(&self, grid: &Grid<f64>, along: f64, down: f64) -> f64 {
        bilinear(grid, along / self.spacing.0, down / self.spacing.1)
    }
}

/// Bilinear interpolation, constant beyond the rims.
pub fn bilinear(grid: &Grid<f64>, x: f64, y: f64) -> f64 {
    let cell = |v: f64, n: usize| {
        let v = v.clamp(0.0, (n - 1) as f64);
        let i = (v as usize).min(n.saturating_sub(2));
        (i, (i + 1).min(n - 1), v - i as f64)
    };
    let ((x0, x1, fx), (y0, y1, fy)) = (cell(x, grid.width), cell(y, grid.height));
    let row = |y: usize| grid.get(x0, y) * (1.0 - fx) + grid.get(x1, y) * fx;
    row(y0) * (1.0 - fy) + row(y1) * fy
}
