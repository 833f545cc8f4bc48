//! A pair of images with exactly known displacement.

use serde::{Deserialize, Serialize};

use super::event::{EventField, EventRecord};
use super::fault::FaultSpec;
use super::fft2::good_length;
use super::field::{Field, FieldSpec};
use super::inverse::{Source, sources};
use super::noise::{NoiseSpec, add_white, change_ground, observe};
use super::random::{Purpose, stream};
use super::sar::{SarSpec, amplitudes};
use super::spectrum::{SceneSpectrum, moments};
use super::texture::scene;
use super::trace::Distance;
use super::warp::Warper;
use crate::grid::{Grid, Image, Window};
use crate::progress::{Progress, Silent};
use crate::{Error, Result};

/// Everything that decides a pair; the same specification gives the same pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairSpec {
    pub width: usize,
    pub height: usize,
    pub seed: u64,
    pub field: FieldSpec,
    pub noise: NoiseSpec,
    /// Radar amplitude instead of an optical image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sar: Option<SarSpec>,
}

/// Named specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Fault, 1 % noise and nothing else.
    Low,
    /// Fault and a smooth field; 10 % noise, red temporal change everywhere, changed patches, gain and shading.
    Real,
    /// Fault seen by a one-look radar amplitude image of coherence 0.6.
    Sar,
}

impl PairSpec {
    /// A square pair of one of the named kinds.
    pub fn preset(preset: Preset, size: usize, seed: u64) -> PairSpec {
        let mut spec = PairSpec::plain(size, size, seed, FieldSpec::fault(FaultSpec::for_size(size, size)));
        match preset {
            Preset::Low => spec.noise.snr_db = Some(40.0),
            Preset::Real => {
                spec.field.smooth = 0.2;
                spec.noise = NoiseSpec {
                    snr_db: Some(20.0),
                    rho: 0.95,
                    change: 0.05,
                    gain: 1.1,
                    bias: 0.03,
                    shading: 0.05,
                    ..NoiseSpec::default()
                };
            }
            Preset::Sar => spec.sar = Some(SarSpec::default()),
        }
        spec
    }

    /// An optical pair without any noise.
    pub fn plain(width: usize, height: usize, seed: u64, field: FieldSpec) -> PairSpec {
        PairSpec { width, height, seed, field, noise: NoiseSpec::default(), sar: None }
    }

    /// Checks sizes and ranges.
    pub fn check(&self) -> Result<()> {
        if self.width.min(self.height) < 32 {
            let size = format!("{} x {}", self.width, self.height);
            return Err(Error::option("--size", size, "an image is at least 32 pixels wide and high"));
        }
        if let Some(fault) = &self.field.fault {
            fault.check()?;
        }
        if self.field.fault.is_some() && self.field.earthquake.is_some() {
            return Err(Error::option("--field", "fault", "a pair has a fault or an earthquake, not both"));
        }
        if let Some(quake) = &self.field.earthquake {
            if !(quake.pixel > 0.0 && quake.pixel.is_finite()) {
                return Err(Error::option("--pixel", quake.pixel, "a pixel size is above 0"));
            }
            if quake.largest.is_some_and(|v| !(0.0..=20.0).contains(&v)) {
                return Err(Error::option("--largest", format!("{:?}", quake.largest), "give 0 to 20 pixels"));
            }
        }
        if let Some(sar) = &self.sar {
            if !(0.0..=1.0).contains(&sar.coherence) {
                return Err(Error::option("--coherence", sar.coherence, "give a number from 0 to 1"));
            }
            if !(0.1..=1.0).contains(&sar.bandwidth) {
                return Err(Error::option("--bandwidth", sar.bandwidth, "give a number from 0.1 to 1"));
            }
            if sar.looks == 0 || sar.looks > 1000 {
                return Err(Error::option("--looks", sar.looks, "give a number from 1 to 1000"));
            }
        }
        self.noise.check()
    }
}

/// Two images and the truth about them. All grids have the pre image's size.
#[derive(Debug, Clone)]
pub struct SynthPair {
    /// Image values (of the order of 1000, never quantised).
    pub pre: Grid<f32>,
    pub post: Grid<f32>,
    pub pre_valid: Grid<bool>,
    /// `false` where the source of the pixel is unknown: opened ground, outside the image.
    pub post_valid: Grid<bool>,
    /// Displacement in pixels on the pre grid, dx right and dy down; NaN where undefined.
    pub truth_dx: Grid<f32>,
    pub truth_dy: Grid<f32>,
    /// Fault traces, (column, row) of the pre image; empty without a fault.
    pub traces: Vec<Vec<(f64, f64)>>,
    /// How the earthquake came about, when there is one.
    pub event: Option<EventRecord>,
    /// Distance of each pixel to the trace in pixels; infinite without a fault.
    pub distance: Grid<f32>,
}

impl SynthPair {
    /// Correlation coefficient of the two images, over pixels valid in both.
    pub fn correlation(&self) -> f64 {
        let both = self.pre_valid.data.iter().zip(&self.post_valid.data).map(|(a, b)| *a && *b);
        let values: Vec<(f64, f64)> = (self.pre.data.iter().zip(&self.post.data).zip(both))
            .filter(|(_, ok)| *ok)
            .map(|((a, b), _)| (*a as f64, *b as f64))
            .collect();
        let (a, b): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
        let ((ma, sa), (mb, sb)) = (moments(&a), moments(&b));
        let product = a.iter().zip(&b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f64>() / a.len().max(1) as f64;
        product / (sa * sb)
    }
}

/// Pixels around the pair, so that nothing is ever taken from beyond the scene's border.
const MARGIN: usize = 48;
/// Mean of a procedural optical image, its standard deviation, and the mean of a radar amplitude image.
const OPTICAL_MEAN: f64 = 3000.0;
const OPTICAL_STD: f64 = 600.0;
const SAR_MEAN: f64 = 2000.0;

/// A pair of procedural images.
///
/// ```
/// use shiftmap::synth::{field::FieldSpec, pair::{PairSpec, make_pair}};
/// let pair = make_pair(&PairSpec::plain(64, 64, 1, FieldSpec::uniform(1.0, 0.0)))?;
/// // One pixel to the right: what was at column 30 is at column 31.
/// assert!((pair.post.get(31, 20) - pair.pre.get(30, 20)).abs() < 0.01);
/// # Ok::<(), shiftmap::Error>(())
/// ```
///
/// # Errors
/// A size or a noise parameter out of range.
pub fn make_pair(spec: &PairSpec) -> Result<SynthPair> {
    make_pair_with(spec, &mut Silent)
}

/// [`make_pair`] with progress, which can stop it.
///
/// # Errors
/// Those of [`make_pair`]; [`Error::Cancelled`].
pub fn make_pair_with(spec: &PairSpec, progress: &mut dyn Progress) -> Result<SynthPair> {
    spec.check()?;
    let mut done = stages(progress);
    done(0.0, "scene")?;
    let (width, height) = (spec.width, spec.height);
    let law = SceneSpectrum::default();
    let padded = |n: usize| good_length(n + 2 * MARGIN);
    let (pw, ph) = (padded(width), padded(height));
    let margin = ((pw - width) / 2, (ph - height) / 2);
    let frame = Window::new(margin.0 as i64, margin.1 as i64, width, height);
    let mut ground = scene(pw, ph, law, &mut stream(spec.seed, Purpose::Scene));
    // Standardise what will be seen.
    let (mean, std) = moments(&ground.crop(frame).data);
    ground.data.iter_mut().for_each(|v| *v = (*v - mean) / std);

    done(0.4, "inverse field")?;
    let field = Field::complete(&spec.field, width, height, spec.seed)?;
    let sources = sources(&field, width, height);
    done(0.6, "images")?;
    // The scene goes on beyond the frame, so only opened ground (and motion beyond the margin) is undefined.
    let reach = |v: f64, n: usize, m: usize| v > -(m as f64) && v < (n - 1 + m) as f64;
    let known = |s: Source| s.covered && reach(s.x, width, margin.0) && reach(s.y, height, margin.1);
    let post_valid = sources.map(known);
    let (pre, post) = match &spec.sar {
        Some(sar) => {
            let (a, b) = amplitudes(sar, &ground, margin, &sources, spec.seed);
            let (_, std) = moments(&a.data);
            let ground = b.map(|v| (v - 1.0) / std);
            (a.map(|v| v * SAR_MEAN), finish(ground, spec, law, SAR_MEAN, std * SAR_MEAN))
        }
        None => {
            let displaced = Warper::periodic(&ground, margin).warp(&sources);
            let pre = ground.crop(frame).map(|v| OPTICAL_MEAN + OPTICAL_STD * v);
            (pre, finish(displaced, spec, law, OPTICAL_MEAN, OPTICAL_STD))
        }
    };
    let pre_valid = Grid::filled(width, height, true);
    done(0.9, "truth")?;
    Ok(assemble(spec, &field, (pre, pre_valid), (post, post_valid)))
}

/// Reports the fraction done and turns a request to stop into an error.
fn stages(progress: &mut dyn Progress) -> impl FnMut(f64, &str) -> Result<()> {
    move |fraction, what| match progress.report(fraction, what) {
        true => Ok(()),
        false => Err(Error::Cancelled),
    }
}

/// A pair made of the user's image: `pre` as it is, and `base` (the pre image itself, or a second image of the same
/// place) displaced.
///
/// Pixels next to invalid ones, and pixels whose source lies outside the image, are invalid in the result.
///
/// # Errors
/// Images of different size, without valid pixels, or parameters out of range.
pub fn make_pair_from(spec: &PairSpec, pre: &Image, base: &Image, progress: &mut dyn Progress) -> Result<SynthPair> {
    let field = || Field::complete(&spec.field, pre.width(), pre.height(), spec.seed);
    displaced_pair(spec, pre, base, field, progress)
}

/// [`make_pair_from`] with the displacement of given faults (`faults`, margin [`super::field::MARGIN`]), to which the
/// shift, the ramp and the smooth part of the specification are added.
///
/// # Errors
/// Those of [`make_pair_from`]; a specification with another fault.
pub fn make_pair_of_faults(
    spec: &PairSpec,
    pre: &Image,
    base: &Image,
    faults: &EventField,
    progress: &mut dyn Progress,
) -> Result<SynthPair> {
    let (width, height) = (pre.width(), pre.height());
    let m = 2 * super::field::MARGIN;
    if spec.field.fault.is_some() || spec.field.earthquake.is_some() {
        return Err(Error::option(
            "--faults",
            "",
            "the displacement comes from given faults or from --field, not both",
        ));
    }
    if (faults.grid.width, faults.grid.height) != (width + m, height + m) {
        return Err(Error::Internal("the field of the faults does not fit the image".into()));
    }
    let field = || Ok(Field::new(&spec.field, width, height, spec.seed).with_faults(faults));
    displaced_pair(spec, pre, base, field, progress)
}

fn displaced_pair(
    spec: &PairSpec,
    pre: &Image,
    base: &Image,
    field: impl FnOnce() -> Result<Field>,
    progress: &mut dyn Progress,
) -> Result<SynthPair> {
    spec.check()?;
    let mut done = stages(progress);
    done(0.0, "inverse field")?;
    let (width, height) = (pre.width(), pre.height());
    if (width, height) != (spec.width, spec.height) || (base.width(), base.height()) != (width, height) {
        return Err(Error::Data(format!(
            "the two base images differ in size ({width} x {height} and {} x {}): cut them to the same area with gdal_translate -projwin",
            base.width(),
            base.height()
        )));
    }
    if spec.sar.is_some() {
        return Err(Error::Data("a radar pair is made from complex speckle: leave --image away".into()));
    }
    let (mean, std) = valid_moments(base)?;
    valid_moments(pre)?;
    let field = field()?;
    let sources = sources(&field, width, height);
    done(0.4, "images")?;
    let filled = |image: &Image, mean: f64| Grid {
        width,
        height,
        data: image
            .values
            .data
            .iter()
            .zip(&image.valid.data)
            .map(|(v, ok)| if *ok { *v as f64 } else { mean })
            .collect(),
    };
    let displaced = Warper::mirrored(&filled(base, mean)).warp(&sources).map(|v| (v - mean) / std);
    let post = finish(displaced, spec, SceneSpectrum::default(), mean, std);
    let clear = clear_of_gaps(&base.valid, SPLINE_REACH);
    let post_valid = sources.map(|s| {
        let inside = s.x >= 0.0 && s.y >= 0.0 && s.x <= (width - 1) as f64 && s.y <= (height - 1) as f64;
        s.covered && inside && clear.get(s.x.round() as usize, s.y.round() as usize)
    });
    done(0.9, "truth")?;
    let pre_values = filled(pre, mean);
    Ok(assemble(spec, &field, (pre_values, pre.valid.clone()), (post, post_valid)))
}

/// Change of the ground, illumination and noise of the post image.
fn finish(mut ground: Grid<f64>, spec: &PairSpec, law: SceneSpectrum, mean: f64, std: f64) -> Grid<f64> {
    change_ground(&mut ground, &spec.noise, law, spec.seed);
    observe(&ground, &spec.noise, mean, std, spec.seed)
}

/// Noise of the pre image, truth, trace and distances.
fn assemble(
    spec: &PairSpec,
    field: &Field,
    (mut pre, pre_valid): (Grid<f64>, Grid<bool>),
    (post, post_valid): (Grid<f64>, Grid<bool>),
) -> SynthPair {
    let (width, height) = (pre.width, pre.height);
    let (_, std) = moments(&pre.data);
    add_white(&mut pre, std * spec.noise.white_sigma(), Purpose::NoisePre, spec.seed);
    let truth = field.image(width, height);
    let traces = field.traces();
    let distance = match traces.is_empty() {
        true => Grid::filled(width, height, f32::INFINITY),
        false => Distance::new(&traces).image(width, height),
    };
    SynthPair {
        pre: pre.map(|v| v as f32),
        post: post.map(|v| v as f32),
        pre_valid,
        post_valid,
        truth_dx: truth.map(|d| d.dx as f32),
        truth_dy: truth.map(|d| d.dy as f32),
        traces,
        event: field.event().cloned(),
        distance,
    }
}

fn valid_moments(image: &Image) -> Result<(f64, f64)> {
    let values: Vec<f64> =
        image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok).map(|(v, _)| *v as f64).collect();
    let (mean, std) = moments(&values);
    match values.is_empty() || std == 0.0 {
        true => {
            Err(Error::Data("the base image has no valid pixel or only one value: choose another part or band".into()))
        }
        false => Ok((mean, std)),
    }
}

/// Pixels around a position that its interpolated value depends on.
pub(crate) const SPLINE_REACH: i64 = 4;

/// Pixels with no invalid pixel within `reach` of them along columns and rows.
pub(crate) fn clear_of_gaps(valid: &Grid<bool>, reach: i64) -> Grid<bool> {
    let dilate = |input: &Grid<bool>, dx: i64, dy: i64| {
        Grid::from_fn(input.width, input.height, |x, y| {
            (-reach..=reach).all(|k| {
                let (u, v) = (x as i64 + k * dx, y as i64 + k * dy);
                let inside = u >= 0 && v >= 0 && (u as usize) < input.width && (v as usize) < input.height;
                !inside || input.get(u as usize, v as usize)
            })
        })
    };
    if valid.data.iter().all(|v| *v) {
        return valid.clone();
    }
    dilate(&dilate(valid, 1, 0), 0, 1)
}
