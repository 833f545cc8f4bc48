//! Radar pairs of a set: a single-look complex image displaced before detection.
//!
//! The amplitude of a complex image is not band limited; displaced by half a pixel it correlates with the true image by 0.83
//! only. The complex signal is band limited once the phase ramp of its beam steering is taken out ("deramped").

use rand::RngExt;
use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use super::bases::Base;
use super::sample::{MARGIN, Record, Sample, Workshop, assemble};
use super::spec::{RadarMode, RadarSet};
use crate::grid::{Grid, Window};
use crate::raster::{self, OpenOptions, RasterBand, read_complex};
use crate::synth::change::ChangeLevel;
use crate::synth::complex_fft;
use crate::synth::deramp::deramp;
use crate::synth::fft2::Spectrum;
use crate::synth::frame::RadarGeometry;
use crate::synth::inverse::Source;
use crate::synth::random::{Purpose, numbered, white};
use crate::synth::sensor::Jitter;
use crate::synth::spectrum::gaussian_field;
use crate::synth::upsample::double_mirrored;
use crate::synth::warp::Warper;
use crate::{Error, Result};

/// Everything about the signal of a radar sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RadarRecord {
    pub mode: RadarMode,
    pub geometry: RadarGeometry,
    /// Mean coherence of the speckle of the two dates, and the standard deviation of its map.
    pub coherence: f64,
    pub coherence_scatter: f64,
    /// Doppler centroid that was taken out: cycles per line in the middle, and its change per line.
    pub doppler: (f64, f64),
}

/// Real and imaginary part.
type Signal = [Grid<f64>; 2];

impl Workshop<'_> {
    /// Makes a radar sample from a complex base image.
    pub(super) fn radar_sample(
        &self,
        index: usize,
        seed: u64,
        base: &Base,
        radar: &RadarSet,
        rng: &mut rand_pcg::Pcg64,
    ) -> Result<Sample> {
        let spec = self.spec;
        let (split, class) = (spec.split_of(index), spec.class_of(index));
        let geometry = radar.geometries[rng.random_range(0..radar.geometries.len())];
        let coherence = rng.random_range(radar.coherence.0..=radar.coherence.1);
        let (corner, signal) = self.signal(base, rng)?;
        let amplitude = spec.draw_amplitude(class, rng);
        let motion = self.motion((spec.pixel, Some(geometry)), amplitude, &Jitter::default(), seed, rng)?;
        let (signal, doppler) = deramp(&signal);
        let map = coherence_map(signal[0].width, signal[0].height, coherence, seed);
        let second = second_date(&signal, &map, seed);
        let inner = Window::new(MARGIN as i64, MARGIN as i64, spec.size, spec.size);
        let displaced = |second: Signal| second.map(|part| Warper::mirrored(&part).warp(&motion.sources));
        let post = match radar.mode {
            RadarMode::Complex => detect(&displaced(second)),
            RadarMode::LowPassed => raster::detect::image(&displaced(second)),
            RadarMode::Oversampled => {
                let fine = detect(&second.map(|part| double_mirrored(&part)));
                let warper = Warper::mirrored(&fine);
                warper.warp(&motion.sources.map(|s| Source { x: 2.0 * s.x, y: 2.0 * s.y, ..s })).map(|v| v.max(0.0))
            }
            RadarMode::Amplitude => Warper::mirrored(&detect(&second)).warp(&motion.sources).map(|v| v.max(0.0)),
        }
        .crop(inner);
        let pre = match radar.mode {
            RadarMode::LowPassed => raster::detect::image(&signal),
            RadarMode::Complex | RadarMode::Oversampled | RadarMode::Amplitude => detect(&signal),
        }
        .crop(inner);
        let mean = map.data.iter().sum::<f64>() / map.data.len() as f64;
        let scatter = (map.data.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / map.data.len() as f64).sqrt();
        let record = Record {
            index,
            split,
            class,
            seed,
            place: base.place,
            pre: base.images[0].clone(),
            post: base.images[0].clone(),
            dates: (base.dates[0].clone(), base.dates[0].clone()),
            corner,
            origin: motion.origin.clone(),
            scale: motion.scale,
            constant_shift: motion.constant,
            coregistration: (0.0, 0.0),
            change: ChangeLevel::None.draw(rng, seed),
            largest: motion.largest,
            radar: Some(RadarRecord {
                mode: radar.mode,
                geometry,
                coherence: mean,
                coherence_scatter: scatter,
                doppler,
            }),
            stored: (1.0, 0.0),
            traces: Vec::new(),
        };
        let pre_valid = Grid::filled(spec.size, spec.size, true);
        let (w, h) = (motion.sources.width as f64 - 1.0, motion.sources.height as f64 - 1.0);
        let post_valid = motion.sources.map(|s| s.covered && s.x >= 0.0 && s.y >= 0.0 && s.x <= w && s.y <= h);
        let post_valid = post_valid.crop(inner);
        Ok(assemble(record, &motion, pre, post, (pre_valid, post_valid)))
    }

    /// A padded part of a complex image that lies inside it and is not empty.
    fn signal(&self, base: &Base, rng: &mut rand_pcg::Pcg64) -> Result<((i64, i64), Signal)> {
        let size = self.spec.size + 2 * MARGIN;
        if base.width.min(base.height) < size {
            let why = format!("{} has {} x {} pixels", base.images[0], base.width, base.height);
            return Err(Error::option(
                "--size",
                self.spec.size,
                format!("{why}: a radar sample needs {size} on each side"),
            ));
        }
        let path = self.folder.join(&base.images[0]);
        let options = OpenOptions { band: self.spec.band, ..Default::default() };
        let band = RasterBand::open(&path.to_string_lossy(), options)?;
        for _ in 0..40 {
            let x = rng.random_range(0..=(base.width - size) as i64);
            let y = rng.random_range(0..=(base.height - size) as i64);
            let parts = read_complex(&band, Window::new(x, y, size, size))?;
            let power = parts[0].data.iter().zip(&parts[1].data).filter(|(a, b)| **a != 0.0 || **b != 0.0).count();
            if power as f64 >= 0.95 * (size * size) as f64 {
                let corner = (x + MARGIN as i64, y + MARGIN as i64);
                return Ok((corner, parts.map(|p| p.map(f64::from))));
            }
        }
        Err(Error::Data(format!("{}: no part of {size} x {size} pixels without gaps", base.images[0])))
    }
}

/// Coherence of the two dates: smooth, around its mean, within 0.02 to 0.98.
fn coherence_map(width: usize, height: usize, mean: f64, seed: u64) -> Grid<f64> {
    let rng = &mut numbered(seed, Purpose::Patches, 7);
    let cut = 6.0 / width.max(height) as f64;
    let field = gaussian_field(width, height, rng, |f| (-(f / cut).powi(2)).exp());
    field.map(|v| (mean + 0.12 * v).clamp(0.02, 0.98))
}

/// The signal of the second date: coherence γ with the first, the rest independent speckle of the same local power and the same
/// band: z2 = γ z1 + sqrt(1 - γ²) w (Bamler and Hartl 1998).
fn second_date(signal: &Signal, coherence: &Grid<f64>, seed: u64) -> Signal {
    let (width, height) = (signal[0].width, signal[0].height);
    // Local power, averaged over about 10 × 10 pixels.
    let power = Grid::from_fn(width, height, |x, y| signal[0].get(x, y).powi(2) + signal[1].get(x, y).powi(2));
    let mut spectrum = Spectrum::of(&power);
    spectrum.filter(|fx, fy| (-(fx.hypot(fy) * 12.0).powi(2)).exp());
    let local = spectrum.into_image().map(|v| v.max(0.0).sqrt());
    // The band of the signal itself: the mean power of the rows' and of the columns' spectra.
    let profile = band_profile(signal);
    let mut out = signal.clone();
    let complex = |parts: [Grid<f64>; 2]| -> Grid<Complex<f64>> {
        let data = parts[0].data.iter().zip(&parts[1].data).map(|(a, b)| Complex::new(*a, *b)).collect();
        Grid::from_vec(width, height, data)
    };
    let speckle = [0, 1].map(|part| {
        let mut noise = white(width, height, &mut numbered(seed, Purpose::SpeckleChange, part));
        noise.data.iter_mut().zip(&local.data).for_each(|(v, l)| *v *= l);
        noise
    });
    let mut speckle = complex(speckle);
    complex_fft::filter(&mut speckle, |kx, ky| profile.0[kx] * profile.1[ky]);
    // The filter takes power away: bring the mean back.
    let mean = |g: &Grid<Complex<f64>>| g.data.iter().map(|v| v.norm_sqr()).sum::<f64>();
    let factor = (power.data.iter().sum::<f64>() / mean(&speckle).max(f64::MIN_POSITIVE)).sqrt();
    for (k, w) in speckle.data.iter().enumerate() {
        let g = coherence.data[k];
        let share = (1.0 - g * g).sqrt() * factor;
        out[0].data[k] = g * signal[0].data[k] + share * w.re;
        out[1].data[k] = g * signal[1].data[k] + share * w.im;
    }
    out
}

/// Amplitude of the band along columns and rows, 1 at most.
fn band_profile(signal: &Signal) -> (Vec<f64>, Vec<f64>) {
    let (width, height) = (signal[0].width, signal[0].height);
    let data = signal[0].data.iter().zip(&signal[1].data).map(|(a, b)| Complex::new(*a, *b)).collect();
    let spectrum = complex_fft::forward(&Grid::from_vec(width, height, data));
    let (mut columns, mut rows) = (vec![0.0; width], vec![0.0; height]);
    for (k, v) in spectrum.data.iter().enumerate() {
        columns[k % width] += v.norm_sqr();
        rows[k / width] += v.norm_sqr();
    }
    (smooth_profile(&columns), smooth_profile(&rows))
}

/// Square root of a periodic power profile, smoothed over a twentieth of its length.
fn smooth_profile(power: &[f64]) -> Vec<f64> {
    let n = power.len() as i64;
    let reach = (n / 40).max(1);
    let mean = |k: i64| (-reach..=reach).map(|d| power[(k + d).rem_euclid(n) as usize]).sum::<f64>();
    let values: Vec<f64> = (0..n).map(|k| mean(k).max(0.0).sqrt()).collect();
    let largest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    values.iter().map(|v| v / largest).collect()
}

/// Amplitudes at the samples.
fn detect(signal: &Signal) -> Grid<f64> {
    let data = signal[0].data.iter().zip(&signal[1].data).map(|(a, b)| a.hypot(*b)).collect();
    Grid::from_vec(signal[0].width, signal[0].height, data)
}
