//! Complex images with their azimuth spectrum around zero, as interpolation needs it, and what a run knows of them.

use crate::Result;
use crate::correlate::Alignment;
use crate::correlate::fft2::FftCache;
use crate::correlate::interp::Spline;
use crate::correlate::prefilter::Kernel;
use crate::correlate::residual::ResidualCorrelation;
use crate::correlate::scene::{Sampling, Scene, read_patches, unit_of};
use crate::grid::{Grid, Image};
use crate::pipeline::{Pair, Prefilter};
use crate::synth::deramp::deramp;
use std::sync::atomic::AtomicBool;

/// Patches along each axis at most, the side of the windows in them and the largest lag of their autocorrelation.
const PATCHES: usize = 4;
const SIDE: usize = 64;
const LAGS: usize = 24;

/// Takes the Doppler centroid out of real and imaginary part. Only phases change; what is left of the difference between two
/// images is a fringe, which is taken out window by window.
pub fn to_baseband(re: &mut Image, im: &mut Image) {
    if re.height() < 2 {
        return;
    }
    let wide = |g: &Grid<f32>| g.map(f64::from);
    let ([a, b], _) = deramp(&[wide(&re.values), wide(&im.values)]);
    re.values = a.map(|v| v as f32);
    im.values = b.map(|v| v as f32);
}

/// The model of the complex pair whose real and imaginary parts are the bands `band` and `band + 1`: no filter, since speckle
/// that stayed the same is known over its whole band; noise has the spectrum of the speckle itself.
pub fn model(pair: &Pair, band: usize, alignment: &Alignment, stop: &AtomicBool) -> Result<Scene> {
    let patches = |band: usize| read_patches(pair.bands[band], alignment, Sampling { along: PATCHES, stop });
    let (re, im) = (patches(band)?, patches(band + 1)?);
    let (mut correlation, mut variance) = (ResidualCorrelation::new(LAGS, (SIDE, SIDE)), 0.0);
    let mut ffts = FftCache::default();
    for (re, im) in re.iter().zip(&im) {
        let (mut re, mut im) = (re.pre().clone(), im.pre().clone());
        to_baseband(&mut re, &mut im);
        for y in (0..re.height().saturating_sub(SIDE - 1)).step_by(SIDE) {
            for x in (0..re.width().saturating_sub(SIDE - 1)).step_by(SIDE) {
                for part in [&re.values, &im.values] {
                    let window: Vec<f32> =
                        (y..y + SIDE).flat_map(|y| part.row(y)[x..x + SIDE].iter().copied()).collect();
                    let power = window.iter().map(|v| f64::from(v * v)).sum::<f64>() / window.len() as f64;
                    correlation.add(&window, power, &mut ffts);
                    variance += power;
                }
            }
        }
    }
    let variance = variance / correlation.windows.max(1) as f64;
    let unit = unit_of(variance);
    let variance = variance * f64::from(unit).powi(2);
    let identity = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
    Ok(Scene {
        prefilter: identity,
        chosen: Prefilter::None,
        residual: correlation.kernel(&mut ffts),
        spline: Spline::QuinticX2,
        coherence: None,
        min_variance: 1e-6 * variance,
        noise: variance,
        alike: correlation.squares(&mut ffts),
        units: (unit, unit),
        facts: Vec::new(),
    })
}
