//! What a set of samples is: the options that decide every byte of it.

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::synth::change::ChangeLevel;
use crate::synth::frame::RadarGeometry;
use crate::synth::random::{Purpose, numbered};
use crate::{Error, Result};

/// What one item of a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Two images and the displacement between them.
    Pairs,
    /// Displacement fields without images, as 16-bit numbers.
    Fields,
    /// Small windows with one displacement, rigid or cut by a discontinuity.
    Windows,
}

/// Which image is displaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// The pre image itself ("pre / pre-warped").
    Pre,
    /// The image of another date ("pre / post-warped"); only bases with two dates are used.
    Dates,
    /// Of another date for half of the samples, where there is one.
    Mixed,
}

/// How radar images are displaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RadarMode {
    /// The complex signal is displaced, then detected at its samples, as most amplitude images are: they are aliased.
    Complex,
    /// The complex signal is displaced, then detected at half pixels and low-passed, as complex images are read here.
    LowPassed,
    /// The complex signal is sampled twice as finely, detected, then displaced.
    Oversampled,
    /// The amplitude on its own grid is displaced: wrong by theory, as in published sets.
    Amplitude,
}

/// Radar samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RadarSet {
    pub mode: RadarMode,
    /// Geometries; each sample draws one.
    pub geometries: Vec<RadarGeometry>,
    /// Lowest and highest mean coherence of the speckle of the two dates.
    pub coherence: (f64, f64),
}

/// File format of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One archive of arrays for each sample.
    Npz,
    /// One folder of GeoTIFF files for each sample.
    Tif,
    /// Archives of many samples stacked along the first axis.
    Shards,
}

/// Parts of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

/// Everything that decides a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetSpec {
    pub content: Content,
    pub count: usize,
    /// Side of the images, fields or windows in pixels.
    pub size: usize,
    /// Displacement classes, taken in turn.
    pub classes: Vec<u8>,
    pub seed: u64,
    pub format: Format,
    /// Samples in one shard.
    pub shard: usize,
    pub pairing: Pairing,
    pub change: ChangeLevel,
    /// Share of the Nyquist frequency to which images are limited before they are displaced; `None`: not at all.
    pub band_limit: Option<f64>,
    /// Shares of the samples for training, validation and testing.
    pub split: [f64; 3],
    /// Band number in the base images.
    pub band: usize,
    /// Pixel size of fields without images, metres.
    pub pixel: f64,
    pub radar: Option<RadarSet>,
}

/// Largest displacement of class 0, 1 and 2 in pixels: limits of a log-uniform draw.
pub const CLASSES: [(f64, f64); 3] = [(0.01, 0.1), (0.1, 1.0), (1.0, 5.0)];

impl SetSpec {
    /// Checks ranges and combinations.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn check(&self) -> Result<()> {
        let fail = |name: &str, value: String, why: &str| Err(Error::option(name, value, why));
        if self.count == 0 || self.count > 10_000_000 {
            return fail("--count", self.count.to_string(), "give a number from 1 to 10 million");
        }
        let sides = if self.content == Content::Windows { 8..=128 } else { 64..=4096 };
        if !sides.contains(&self.size) {
            let why = format!("give {} to {} pixels", sides.start(), sides.end());
            return fail("--size", self.size.to_string(), &why);
        }
        if self.classes.is_empty() || self.classes.iter().any(|&c| usize::from(c) >= CLASSES.len()) {
            return fail("--classes", format!("{:?}", self.classes), "give some of 0, 1, 2, e.g. 0,1,2");
        }
        if !(1..=4096).contains(&self.shard) {
            return fail("--shard", self.shard.to_string(), "give 1 to 4096 samples for a shard");
        }
        check_split(&self.split)?;
        if self.band_limit.is_some_and(|b| !(0.3..=1.0).contains(&b)) {
            return fail("--band-limit", format!("{:?}", self.band_limit), "give a share of Nyquist from 0.3 to 1");
        }
        if !(self.pixel > 0.0 && self.pixel.is_finite()) {
            return fail("--pixel", self.pixel.to_string(), "a pixel size is above 0");
        }
        if self.format == Format::Tif && self.content != Content::Pairs {
            return fail("--format", "tif".into(), "only pairs are written as images; use shards");
        }
        Ok(())
    }

    /// The part of the set that sample `index` belongs to: any run of consecutive samples is divided evenly.
    pub fn split_of(&self, index: usize) -> Split {
        part_of(&self.split, index)
    }

    /// Class of sample `index`.
    pub fn class_of(&self, index: usize) -> u8 {
        self.classes[index % self.classes.len()]
    }

    /// Random numbers of sample `index`.
    pub fn stream(&self, index: usize) -> Pcg64 {
        numbered(self.seed, Purpose::Sample, index as u64)
    }

    /// Largest displacement of a sample, drawn for its class.
    pub fn draw_amplitude(&self, class: u8, rng: &mut Pcg64) -> f64 {
        let (low, high) = CLASSES[usize::from(class)];
        // Speckle decides radar displacements of a pixel at most.
        let high: f64 = if self.radar.is_some() { high.min(1.0) } else { high };
        let low = low.min(0.1 * high);
        low * (high / low).powf(rng.random_range(0.0..1.0))
    }
}

/// Checks the shares of train, validation and test.
///
/// # Errors
/// [`Error::Option`].
pub(crate) fn check_split(shares: &[f64; 3]) -> Result<()> {
    let sum: f64 = shares.iter().sum();
    match shares.iter().all(|s| (0.0..=1.0).contains(s)) && (sum - 1.0).abs() <= 1e-6 {
        true => Ok(()),
        false => {
            let why = "give three shares that add up to 1, e.g. 0.8,0.1,0.1";
            Err(Error::option("--split", format!("{shares:?}"), why))
        }
    }
}

/// The part of a set with these shares that sample `index` belongs to.
pub(crate) fn part_of(shares: &[f64; 3], index: usize) -> Split {
    // Golden ratio sequence (Weyl): every stretch of it fills the unit interval evenly.
    let t = ((index as f64 + 0.5) * 0.618_033_988_749_894_9).fract();
    match t {
        t if t < shares[0] => Split::Train,
        t if t < shares[0] + shares[1] => Split::Validation,
        // Rounding of the shares must not open a part that was not asked for.
        _ if shares[2] > 0.0 => Split::Test,
        _ if shares[1] > 0.0 => Split::Validation,
        _ => Split::Train,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SetSpec {
        SetSpec {
            content: Content::Pairs,
            count: 100,
            size: 128,
            classes: vec![0, 1, 2],
            seed: 1,
            format: Format::Npz,
            shard: 64,
            pairing: Pairing::Pre,
            change: ChangeLevel::None,
            band_limit: Some(0.75),
            split: [0.8, 0.1, 0.1],
            band: 1,
            pixel: 10.0,
            radar: None,
        }
    }

    #[test]
    fn the_split_has_the_asked_shares() {
        let spec = spec();
        let mut count = [0; 3];
        (0..1000).for_each(|i| count[spec.split_of(i) as usize] += 1);
        assert!((795..805).contains(&count[0]) && (95..105).contains(&count[1]), "{count:?}");
        let spec = SetSpec { split: [1.0, 0.0, 0.0], ..spec };
        assert!((0..1000).all(|i| spec.split_of(i) == Split::Train));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(spec().check().is_ok());
        for bad in [
            SetSpec { count: 0, ..spec() },
            SetSpec { size: 3, ..spec() },
            SetSpec { classes: vec![3], ..spec() },
            SetSpec { split: [0.5, 0.1, 0.1], ..spec() },
            SetSpec { content: Content::Fields, format: Format::Tif, ..spec() },
        ] {
            assert!(bad.check().is_err());
        }
    }
}
