//! The method `net`: networks from ONNX files, run by ONNX Runtime.
//!
//! `models/README.md` is the contract of a model file. The scene's values are normalised as a whole ([`normalise`]); a
//! tile is given to the network in overlapping pieces ([`cover`], [`field`]) or window by window ([`windows`]); what
//! comes out is judged as every other method's result ([`matcher`]).
//!
//! | file | what |
//! |---|---|
//! | [`card`], [`onnx_file`] | what a model says about itself; reading it without ONNX Runtime |
//! | [`models`], [`places`] | finding models and ONNX Runtime |
//! | `runtime`, `session` | loading ONNX Runtime; one network on one thread |
//! | [`guess`] | what took the images, where nobody says |
//! | [`normalise`], [`images`] | values, gaps and warped images |
//! | [`features`], [`evidence`] | the front ends: images and least-squares candidates as channels; what speaks for each |
pub mod card;
pub mod cover;
pub mod evidence;
pub mod features;
pub mod field;
pub mod guess;
pub mod images;
pub mod matcher;
pub mod models;
pub mod normalise;
pub mod onnx_file;
pub mod places;
#[cfg(feature = "onnx")]
pub mod runtime;
#[cfg(not(feature = "onnx"))]
#[path = "runtime_absent.rs"]
pub mod runtime;
#[cfg(feature = "onnx")]
pub mod session;
#[cfg(not(feature = "onnx"))]
#[path = "session_absent.rs"]
pub mod session;
pub mod windows;

pub use card::{Card, Kind, Sensor};
pub use models::Model;

use crate::pipeline::Pair;
use crate::{Error, Result};
use cover::Geometry;
use normalise::Scale;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// By how many pixels the four looks of `--net-average` differ.
pub const SHIFT: usize = 8;
/// Most passes.
pub const PASSES: usize = 10;

/// The models that `--method net` takes when none is named, by sensor; of the two for radar [`NetOptions::band_limited`] decides.
pub const DEFAULTS: [(Sensor, &str); 3] =
    [(Sensor::Optical, "flk"), (Sensor::Sar, ALIASED), (Sensor::Sar, BAND_LIMITED)];
/// For radar amplitudes taken at the samples, and for those of complex images as they are detected here.
const ALIASED: &str = "flk-sar";
const BAND_LIMITED: &str = "flk-slc";

/// What the user says about networks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetOptions {
    /// Name or file (`--model`); `None`: the default of the sensor.
    pub model: Option<String>,
    /// What the images were taken by (`--sensor`); `None`: to be told from the pre image ([`guess`]).
    pub sensor: Option<Sensor>,
    /// Whether nothing in the images lies beyond Nyquist: complex ones, or `--interpolation band-limited`; `None`: to be seen.
    pub band_limited: Option<bool>,
    /// Library of ONNX Runtime or a folder with it (`--onnxruntime`).
    pub onnxruntime: Option<String>,
    /// Where the network runs (`--device`).
    pub device: String,
    /// How often, each time with the post image warped by what is known (`--net-passes`); `None`: as
    /// often as the card says.
    pub passes: Option<usize>,
    /// The mean of four looks with shifted pieces (`--net-average`).
    pub average: bool,
    /// Side of a piece with its halo (`--net-tile`); `None`: the card's.
    pub tile: Option<usize>,
}

impl Default for NetOptions {
    fn default() -> Self {
        NetOptions {
            model: None,
            sensor: None,
            band_limited: None,
            onnxruntime: None,
            device: "cpu".into(),
            passes: None,
            average: false,
            tile: None,
        }
    }
}

impl NetOptions {
    /// Names or files of the models that it may be, one unless something about the images is to be seen yet.
    pub fn models(&self) -> Vec<&str> {
        if let Some(model) = &self.model {
            return vec![model];
        }
        let other = self.band_limited.map(|yes| if yes { ALIASED } else { BAND_LIMITED });
        let fits = |d: &&(Sensor, &'static str)| self.sensor.is_none_or(|s| s == d.0) && Some(d.1) != other;
        DEFAULTS.iter().filter(fits).map(|d| d.1).collect()
    }

    /// The name or file of the model; where the sensor is not known, the one for cameras.
    pub fn model(&self) -> &str {
        self.models().first().copied().unwrap_or(DEFAULTS[0].1)
    }
}

/// A model and how it is used: checked, and known to run.
#[derive(Debug, Serialize)]
pub struct Net {
    pub model: Model,
    pub options: NetOptions,
    /// Its inputs are there.
    gives_scale: bool,
}

impl PartialEq for Net {
    fn eq(&self, other: &Self) -> bool {
        self.model.sha256 == other.model.sha256 && self.options == other.options
    }
}

impl Net {
    /// Finds the model, reads its card, loads ONNX Runtime and tries the network's inputs and outputs.
    ///
    /// # Errors
    /// Everything that can be wrong with the model, with ONNX Runtime and with the options.
    pub fn load(options: &NetOptions) -> Result<Arc<Net>> {
        if let Some(n) = options.passes.filter(|n| !(1..=PASSES).contains(n)) {
            return Err(Error::option("--net-passes", n, format!("give 1 to {PASSES} passes")));
        }
        let model = Model::find(options.model())?.for_images()?;
        let card = &model.card;
        if let Some(tile) = options.tile {
            let least = 2 * card.halo + card.multiple.max(8);
            let (why, fits) = match card.kind {
                Kind::Window => {
                    (format!("the model's windows are {0} x {0} px and cannot change", card.tile), tile == card.tile)
                }
                _ => (
                    format!(
                        "give a multiple of {} from {least} to 2048 px for this model (its halo is {} px)",
                        card.multiple, card.halo
                    ),
                    (least..=2048).contains(&tile) && tile.is_multiple_of(card.multiple),
                ),
            };
            if !fits {
                return Err(Error::option("--net-tile", tile, why));
            }
        }
        if options.average && card.kind == Kind::Window {
            let why = "a network for windows has no pieces to shift; leave it out";
            return Err(Error::option("--net-average", "given", why));
        }
        let gives_scale = session::Network::new(&model, options)?.gives_scale();
        Ok(Arc::new(Net { model, options: options.clone(), gives_scale }))
    }

    fn geometry(&self) -> Geometry {
        let card = &self.model.card;
        Geometry { tile: self.options.tile.unwrap_or(card.tile), halo: card.halo, multiple: card.multiple }
    }

    /// Refuses what is no number.
    fn check(&self, values: &[f32]) -> Result<()> {
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err(Error::Data(format!(
                "the network {} ({}) gave values that are no numbers (NaN or infinite): its weights are damaged; train or \
                 download it again, or choose another --model",
                self.model.card.title(),
                self.model.path
            ))),
        }
    }

    /// Refuses pairs with other bands than the network's.
    ///
    /// # Errors
    /// [`Error::Option`] that names both numbers.
    pub fn check_bands(&self, bands: usize) -> Result<()> {
        let wanted = self.model.card.bands;
        if bands == wanted {
            return Ok(());
        }
        let why = format!(
            "the network {} takes {wanted} band{}; give as many, e.g. --band {}",
            self.model.card.title(),
            if wanted == 1 { "" } else { "s" },
            (1..=wanted).map(|b| b.to_string()).collect::<Vec<_>>().join(",")
        );
        Err(Error::option("--band", format!("{bands} band{}", if bands == 1 { "" } else { "s" }), why))
    }

    /// The scales of pre and post image of every band.
    ///
    /// # Errors
    /// Those of [`Scale::of`].
    pub fn scales(&self, pair: &Pair, stop: &AtomicBool) -> Result<Vec<[Scale; 2]>> {
        let how = self.model.card.normalisation;
        let both = |(pre, post): &(&dyn crate::grid::ImageFile, &dyn crate::grid::ImageFile)| {
            Ok([Scale::of(*pre, how, stop)?, Scale::of(*post, how, stop)?])
        };
        pair.bands.iter().map(both).collect()
    }

    /// How often the network runs.
    pub fn passes(&self) -> usize {
        self.options.passes.unwrap_or(self.model.card.passes)
    }

    /// What the product says about the model.
    pub fn facts(&self) -> Vec<(String, String)> {
        let card = &self.model.card;
        let o = &self.options;
        let fact = |k: &str, v: String| (k.to_string(), v);
        let sigma = match (self.gives_scale, card.front_end) {
            (true, _) => "the network",
            (false, None) => "forward and backward",
            (false, Some(_)) => "not known",
        };
        vec![
            fact("MODEL", card.name.clone()),
            fact("MODEL_VERSION", card.version.clone()),
            fact("MODEL_SHA256", self.model.sha256.clone()),
            fact("MODEL_SENSOR", card.sensor.name().into()),
            fact("NET_PASSES", self.passes().to_string()),
            fact("NET_AVERAGE", if o.average { "YES" } else { "NO" }.into()),
            fact("NET_TILE", self.geometry().tile.to_string()),
            fact("NET_DEVICE", o.device.clone()),
            fact("SIGMA_FROM", sigma.into()),
        ]
    }
}
