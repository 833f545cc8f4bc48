//! The method `net`: a network of the kind `insar_gnss` (`models/README.md`) on the whole scene.

use super::inputs::{CHANNELS, NetworkInputs, tracks};
use super::kriging::Kriging;
use super::scene::{Kind as MapKind, Scene};
use super::solve::{Bands, status};
use super::{Solution, network_inputs};
use crate::net::session::{Input, Network};
use crate::net::{Kind, Model, NetOptions};
use crate::{Error, Result};

/// The model that is taken when none is named, also with a file called the other way.
pub const DEFAULT: &str = "insar-gnss";
const OTHER: &str = "insar_gnss";
/// Side of a scene that is given whole; larger ones in tiles.
const LARGEST: usize = 1024;
/// Names of the inputs, in the order of [`CHANNELS`].
const INPUTS: [&str; 4] = ["insar", "dem", "gnss", "classical"];

/// A network that is ready to run.
pub struct Combiner {
    model: Model,
    options: NetOptions,
    gives_scale: bool,
}

impl Combiner {
    /// Finds the model, checks its card, inputs and outputs.
    ///
    /// # Errors
    /// No such model, a model of another kind, everything that can be wrong with it and with ONNX Runtime.
    pub fn load(options: &NetOptions) -> Result<Combiner> {
        let model = match options.model.as_deref() {
            Some(name) => Model::find(name)?,
            None => Model::find(DEFAULT).or_else(|e| Model::find(OTHER).map_err(|_| e))?,
        };
        if model.card.kind != Kind::InsarGnss {
            let why = "it measures displacement between two images; a model of the kind insar_gnss is needed";
            return Err(Error::option("--model", &model.card.name, why));
        }
        let gives_scale = Network::new(&model, options)?.gives_scale();
        Ok(Combiner { model, options: options.clone(), gives_scale })
    }

    /// What the product says about the model.
    pub fn facts(&self) -> Vec<(String, String)> {
        let card = &self.model.card;
        let fact = |k: &str, v: &str| (k.to_string(), v.to_string());
        vec![
            fact("MODEL", &card.name),
            fact("MODEL_VERSION", &card.version),
            fact("MODEL_SHA256", &self.model.sha256),
            fact("SIGMA_FROM", if self.gives_scale { "the network" } else { "not known" }),
        ]
    }

    /// The network's displacement in place of that of `bands`, where these have any.
    ///
    /// # Errors
    /// [`Error::Data`] when the network fails or gives what is no number.
    pub fn run(
        &self,
        scene: &Scene,
        bands: Bands,
        kriging: Option<&Kriging>,
        notes: &mut Vec<String>,
    ) -> Result<Bands> {
        let los = |k: &usize| scene.observations[*k].kind == MapKind::LineOfSight;
        let (ascending, descending) = tracks(scene);
        let unused = (0..scene.observations.len()).filter(|k| ascending != Some(*k) && descending != Some(*k));
        for k in unused {
            let name = &scene.observations[k].name;
            let what = if los(&k) { "a further line of sight" } else { "no line of sight" };
            notes.push(format!("{name}: the network knows of it through the least-squares solution only ({what})"));
        }
        if !self.gives_scale {
            notes.push("the network says nothing about its errors: the sigma bands are empty".into());
        }
        let solution = Solution { bands, corrections: Vec::new(), kriging: kriging.cloned(), notes: Vec::new() };
        let inputs = network_inputs(scene, &solution);
        let mut out = self.whole(&inputs, scene.frame.width, scene.rows)?;
        let n = scene.pixels();
        let mut bands = solution.bands;
        let root = 2f64.sqrt();
        for c in 0..3 {
            for i in 0..n {
                let some = bands.status[i] != status::NO_DATA;
                let pick = |v: f32, factor: f64| if some { (f64::from(v) * factor) as f32 } else { f32::NAN };
                bands.displacement[c][i] = pick(out.displacement[c * n + i], inputs.scale);
                bands.sigma[c][i] = match &mut out.log_scale {
                    // Standard deviation of a Laplace distribution.
                    Some(s) => pick(s[c * n + i].clamp(-9.21, 4.6).exp(), root * inputs.scale),
                    None => f32::NAN,
                };
            }
        }
        for s in bands.status.iter_mut().filter(|s| **s == status::PARTIAL) {
            *s = status::VALID;
        }
        bands.disagreement.fill(f32::NAN);
        Ok(bands)
    }

    /// Runs the network on the scene, whole or in tiles.
    fn whole(&self, inputs: &NetworkInputs, width: usize, height: usize) -> Result<Result3> {
        let card = &self.model.card;
        let mut network = Network::new(&self.model, &self.options)?;
        let n = width * height;
        let mut out =
            Result3 { displacement: vec![f32::NAN; 3 * n], log_scale: self.gives_scale.then(|| vec![f32::NAN; 3 * n]) };
        for (x0, x1) in tiles(width, card.halo) {
            for (y0, y1) in tiles(height, card.halo) {
                let grown = |a: usize, b: usize, side: usize| match (a, b) {
                    (0, b) if b == side => (0, side),
                    (a, b) => (a.saturating_sub(card.halo), (b + card.halo).min(side)),
                };
                let (gx, gy) = (grown(x0, x1, width), grown(y0, y1, height));
                let (w, h) = (gx.1 - gx.0, gy.1 - gy.0);
                let (pw, ph) = (w.next_multiple_of(card.multiple), h.next_multiple_of(card.multiple));
                let mut arrays = Vec::new();
                for (name, channels) in INPUTS.into_iter().zip(CHANNELS).filter(|(name, _)| network.takes(name)) {
                    let Some((all, _)) = inputs.by_name(name) else { continue };
                    let mut part = Vec::with_capacity(channels * pw * ph);
                    for plane in all.chunks_exact(n) {
                        for y in 0..ph {
                            let row = &plane[(gy.0 + mirrored(y, h)) * width..][..width];
                            part.extend((0..pw).map(|x| row[gx.0 + mirrored(x, w)]));
                        }
                    }
                    arrays.push((name, channels, part));
                }
                let given: Vec<Input> = arrays
                    .iter()
                    .map(|(name, channels, values)| Input { name, shape: vec![1, *channels, ph, pw], values })
                    .collect();
                let got = network.run(&given, &[1, 3, ph, pw])?;
                let finite = |v: &[f32]| v.iter().all(|v| v.is_finite());
                if !finite(&got.displacement) || !got.log_scale.as_deref().is_none_or(finite) {
                    return Err(Error::Data(format!(
                        "the network {} ({}) gave values that are no numbers (NaN or infinite): its weights are damaged; train or \
                         download it again",
                        card.title(),
                        self.model.path
                    )));
                }
                let copy = |from: &[f32], to: &mut [f32]| {
                    for c in 0..3 {
                        for y in y0..y1 {
                            let row = &from[c * pw * ph + (y - gy.0) * pw + x0 - gx.0..][..x1 - x0];
                            to[c * n + y * width + x0..][..x1 - x0].copy_from_slice(row);
                        }
                    }
                };
                copy(&got.displacement, &mut out.displacement);
                if let (Some(from), Some(to)) = (&got.log_scale, &mut out.log_scale) {
                    copy(from, to);
                }
            }
        }
        Ok(out)
    }
}

/// What the network gave, channel by channel.
struct Result3 {
    displacement: Vec<f32>,
    log_scale: Option<Vec<f32>>,
}

/// Parts of a side: all of it, or pieces that with their halo are no longer than [`LARGEST`].
fn tiles(side: usize, halo: usize) -> Vec<(usize, usize)> {
    if side <= LARGEST {
        return vec![(0, side)];
    }
    let step = LARGEST - 2 * halo;
    (0..side).step_by(step).map(|a| (a, (a + step).min(side))).collect()
}

/// Place of `i` in a row of `n` values that goes on mirrored at its end (the last value is not repeated).
fn mirrored(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let k = i % (2 * n - 2);
    if k < n { k } else { 2 * n - 2 - k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_side_once_and_mirrors_stay_inside() {
        for side in [5, 1024, 1025, 3000] {
            let parts = tiles(side, 40);
            assert_eq!(parts[0].0, 0);
            assert_eq!(parts.last().unwrap().1, side);
            assert!(parts.windows(2).all(|p| p[0].1 == p[1].0));
            assert!(parts.iter().all(|p| p.1 - p.0 + 80 <= LARGEST || side <= LARGEST));
        }
        assert_eq!((0..8).map(|i| mirrored(i, 3)).collect::<Vec<_>>(), [0, 1, 2, 1, 0, 1, 2, 1]);
    }
}
