//! The surface of one unbroken piece of a fault: a plane that dips, bends and is rough.

use rand_pcg::Pcg64;
use rustfft::num_complex::Complex;

use super::fft2::{Spectrum, good_length};
use super::random::white;
use super::slip::bilinear;
use super::spectrum::standardised;
use super::trace::self_affine;
use crate::grid::{Grid, Window};

/// A piece of a fault without steps. Map coordinates: metres east and north of the middle of the rupture, up positive.
///
/// Positions on it are (along, down): metres along strike from its start, and down the dip from the surface.
#[derive(Debug, Clone)]
pub struct Strand {
    /// East and north of the start of its straight reference line.
    pub origin: (f64, f64),
    /// Direction of the reference line, degrees clockwise from north.
    pub strike_deg: f64,
    pub length: f64,
    /// Extent down the dip.
    pub width: f64,
    pub dip_deg: f64,
    /// `true`: it dips to the right of its strike.
    pub dips_right: bool,
    /// Offset of the surface trace to the right of the reference line, at equal steps.
    pub profile: Vec<f64>,
    /// How far the surface at depth deviates from the trace moved down the dip; zero in the first row.
    pub relief: Grid<f64>,
}

/// How rough a strand is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roughness {
    /// Root mean square deviation of the trace from a straight line, metres.
    pub rms: f64,
    pub hurst: f64,
    /// Deviation of the surface at depth from that of its trace, as a share of `rms`.
    pub relief: f64,
    /// Spacing of the samples of the trace in metres.
    pub spacing: f64,
}

impl Strand {
    /// A straight strand made rough. The trace is self-affine with the given Hurst exponent; so is the surface.
    pub fn roughen(&mut self, rough: Roughness, rng: &mut Pcg64) {
        let n = self.profile.len().max((self.length / rough.spacing).ceil() as usize + 1);
        let fine: Vec<f64> = self_affine(n, rough.hurst, rough.rms, rng);
        let coarse = std::mem::take(&mut self.profile);
        let line = |i: usize| sample(&coarse, i as f64 / (n - 1) as f64);
        self.profile = fine.iter().enumerate().map(|(i, v)| v + line(i)).collect();
        self.relief = self_affine_surface(128, 64, (self.length / 127.0, self.width / 63.0), rough.hurst, rng)
            .map(|v| v * rough.relief * rough.rms);
        // The trace is the trace: the deviation starts below it.
        let first = self.relief.row(0).to_vec();
        for y in 0..self.relief.height {
            self.relief.row_mut(y).iter_mut().zip(&first).for_each(|(v, f)| *v -= f);
        }
    }

    /// Unit vectors along strike and to the right of it, (east, north).
    pub fn axes(&self) -> ((f64, f64), (f64, f64)) {
        let (sin, cos) = self.strike_deg.to_radians().sin_cos();
        ((sin, cos), (cos, -sin))
    }

    /// Unit vector down the dip of the reference plane, (east, north, up).
    pub fn down(&self) -> [f64; 3] {
        let (_, right) = self.axes();
        let (sin, cos) = self.dip_deg.to_radians().sin_cos();
        let side = if self.dips_right { cos } else { -cos };
        [side * right.0, side * right.1, -sin]
    }

    /// Map position of a point of the surface.
    pub fn point(&self, along: f64, down: f64) -> [f64; 3] {
        let (strike, right) = self.axes();
        let dip = self.down();
        let mut v = sample(&self.profile, along / self.length);
        if down > 0.0 {
            let (x, y) = (along / self.length * 127.0, down / self.width * 63.0);
            v += bilinear(&self.relief, x, y);
        }
        [
            self.origin.0 + along * strike.0 + v * right.0 + down * dip[0],
            self.origin.1 + along * strike.1 + v * right.1 + down * dip[1],
            // Never above the ground, whatever the rounding.
            (down * dip[2]).min(0.0),
        ]
    }

    /// The surface trace at its full detail, (east, north).
    pub fn trace(&self) -> Vec<(f64, f64)> {
        let n = self.profile.len();
        let at = |i: usize| self.point(self.length * i as f64 / (n - 1) as f64, 0.0);
        (0..n).map(|i| (at(i)[0], at(i)[1])).collect()
    }

    /// Position along strike and to the right of the reference line of a map point.
    pub fn local(&self, east: f64, north: f64) -> (f64, f64) {
        let (strike, right) = self.axes();
        let (e, n) = (east - self.origin.0, north - self.origin.1);
        (e * strike.0 + n * strike.1, e * right.0 + n * right.1)
    }
}

/// Linear interpolation at the share `t` (0 to 1) of a table.
pub(crate) fn sample(table: &[f64], t: f64) -> f64 {
    let last = table.len() - 1;
    let p = (t * last as f64).clamp(0.0, last as f64);
    let i = (p as usize).min(last - 1);
    table[i] + (p - i as f64) * (table[i + 1] - table[i])
}

/// A self-affine surface of zero mean and unit standard deviation: power spectrum |k|^-(2 + 2H).
///
/// Made on twice the size, of which a corner is kept, so that opposite rims do not match.
pub fn self_affine_surface(nx: usize, nz: usize, (dx, dz): (f64, f64), hurst: f64, rng: &mut Pcg64) -> Grid<f64> {
    let (wide, tall) = (good_length(2 * nx), good_length(2 * nz));
    let mut spectrum = Spectrum::of(&white(wide, tall, rng));
    spectrum.data[0] = Complex::default();
    spectrum.filter(|fx, fz| {
        let k = (fx / dx).hypot(fz / dz);
        if k > 0.0 { k.powf(-(1.0 + hurst)) } else { 0.0 }
    });
    standardised(spectrum.into_image().crop(Window::new(0, 0, nx, nz)))
}
