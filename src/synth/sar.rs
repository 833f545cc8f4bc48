//! Radar amplitude images: speckle of a complex signal, displaced before detection.
//!
//! The amplitude of a complex image is not band limited, so displacing it by interpolation is wrong (correlation with
//! the true image down to 0.83 at half a pixel). Here the complex image is displaced and then detected, as the ground
//! and the radar do it.

use serde::{Deserialize, Serialize};

use super::fft2::{Spectrum, signed};
use super::inverse::Source;
use super::random::{Purpose, numbered, white};
use super::spectrum::standardised;
use super::warp::Warper;
use crate::grid::{Grid, Window};

/// Properties of a radar pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SarSpec {
    /// Number of independent looks averaged (in intensity).
    pub looks: usize,
    /// Coherence of the speckle of the two dates.
    pub coherence: f64,
    /// Occupied share of the sampled bandwidth, on both axes.
    pub bandwidth: f64,
    /// Hamming weight a of the band, a + (1 - a) cos: 1 is a rectangular band, processors use 0.54 to 0.85.
    pub hamming: f64,
    /// Contrast of the ground: standard deviation of the natural logarithm of the backscattered amplitude.
    pub contrast: f64,
}

impl Default for SarSpec {
    fn default() -> Self {
        SarSpec { looks: 1, coherence: 0.6, bandwidth: 0.8, hamming: 0.82, contrast: 0.26 }
    }
}

/// A pair of amplitude images of mean about 1. `scene` is periodic, standardised, with `margin` px around the pair;
/// the post image has the size of `sources`.
///
/// The post signal is `coherence` times the pre signal plus independent speckle, so that the intensities of
/// homogeneous ground correlate with coherence² (Bamler and Hartl 1998, Inverse Problems 14, R1).
pub fn amplitudes(
    spec: &SarSpec,
    scene: &Grid<f64>,
    margin: (usize, usize),
    sources: &Grid<Source>,
    seed: u64,
) -> (Grid<f64>, Grid<f64>) {
    let (width, height) = (sources.width, sources.height);
    let mut pre = Grid::filled(width, height, 0.0);
    let mut post = pre.clone();
    for look in 0..spec.looks.max(1) {
        for [first, second] in signals(spec, scene, margin, sources, seed, look) {
            add_squares(&mut pre, &first);
            add_squares(&mut post, &second);
        }
    }
    // Two parts of unit variance per look: mean intensity 2.
    let detect = |image: Grid<f64>| image.map(|v| (v / (2.0 * spec.looks.max(1) as f64)).sqrt());
    (detect(pre), detect(post))
}

/// Real and imaginary part of the pre and the post signal of one look, each part of unit variance; arguments as of
/// [`amplitudes`].
pub fn signals(
    spec: &SarSpec,
    scene: &Grid<f64>,
    margin: (usize, usize),
    sources: &Grid<Source>,
    seed: u64,
    look: usize,
) -> [[Grid<f64>; 2]; 2] {
    let frame = Window::new(margin.0 as i64, margin.1 as i64, sources.width, sources.height);
    let reflect = scene.map(|v| (spec.contrast * v).exp());
    // Real and imaginary part are independent, and displacing is linear: one at a time.
    [0, 1].map(|part| {
        let number = 2 * look as u64 + part;
        let first = echo(spec, &reflect, Purpose::Speckle, seed, number);
        let mut second = first.clone();
        if spec.coherence < 1.0 {
            let other = echo(spec, &reflect, Purpose::SpeckleChange, seed, number);
            let share = (1.0 - spec.coherence * spec.coherence).sqrt();
            second.data.iter_mut().zip(&other.data).for_each(|(v, o)| *v = spec.coherence * *v + share * o);
        }
        [first.crop(frame), Warper::periodic(&second, margin).warp(sources)]
    })
}

/// One part (real or imaginary) of the radar's image of the scene, within its bandwidth.
fn echo(spec: &SarSpec, reflect: &Grid<f64>, purpose: Purpose, seed: u64, number: u64) -> Grid<f64> {
    let mut speckle = white(reflect.width, reflect.height, &mut numbered(seed, purpose, number));
    speckle.data.iter_mut().zip(&reflect.data).for_each(|(v, r)| *v *= r);
    let mut spectrum = Spectrum::of(&speckle);
    let (width, height) = (spectrum.width, spectrum.height);
    let edge = 0.5 * spec.bandwidth;
    let h = spec.hamming;
    let taper = |f: f64| if f.abs() > edge { 0.0 } else { h + (1.0 - h) * (std::f64::consts::PI * f / edge).cos() };
    for kx in 0..=width / 2 {
        for ky in 0..height {
            let (fx, fy) = (kx as f64 / width as f64, signed(ky, height));
            spectrum.data[kx * height + ky] *= taper(fx) * taper(fy);
        }
    }
    standardised(spectrum.into_image())
}

fn add_squares(sum: &mut Grid<f64>, part: &Grid<f64>) {
    sum.data.iter_mut().zip(&part.data).for_each(|(s, v)| *s += v * v);
}
