//! An event as arrays.

use half::f16;
use serde::{Deserialize, Serialize};

use super::scene::{Scene, TRACKS};
use crate::combine::{self, CHANNELS, Direction, Kind, Observation, Ramp, Sigma, Solution, WlsOptions, network_inputs};
use crate::field::GeoTransform;
use crate::grid::Grid;
use crate::synth::npy::{Array, Data};
use crate::{Error, Result};

/// Which arrays are wanted; the truth is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// What was measured.
    pub observations: bool,
    /// Classical solutions.
    pub solutions: bool,
    /// Inputs of networks.
    pub inputs: bool,
}

/// Names and contents.
///
/// # Errors
/// An event of which nothing is known, such as one with neither a station nor a track.
pub fn arrays(scene: &Scene, contents: Contents) -> Result<Vec<(&'static str, Array)>> {
    let mut out = vec![("truth", layers(&scene.truth.each_ref()))];
    if contents.observations {
        out.extend(observations(scene));
    }
    if contents.solutions || contents.inputs {
        let measured = measured(scene);
        let solution = combine::wls(&measured, &WlsOptions::default())?;
        if contents.solutions {
            out.push(("classical", solved(scene, Some(&solution))));
            let other = match combine::sistem(&measured, &WlsOptions::default()) {
                Ok(other) => Some(other),
                // Three stations at least.
                Err(Error::Data(_)) => None,
                Err(e) => return Err(e),
            };
            out.push(("sistem", solved(scene, other.as_ref())));
        }
        if contents.inputs {
            let inputs = network_inputs(&measured, &solution);
            for (array, name) in INPUTS {
                let (values, channels) =
                    inputs.by_name(name).ok_or_else(|| Error::Internal(format!("no input {name}")))?;
                let data = values.iter().map(|v| f16::from_f32(*v)).collect();
                out.push((array, Array::new(&[channels, scene.frame.height, scene.frame.width], Data::F16(data))));
            }
            out.push(("scale", Array::new(&[], Data::F32(vec![inputs.scale as f32]))));
        }
    }
    Ok(out)
}

/// Arrays and the inputs of networks that they hold.
const INPUTS: [(&str, &str); 4] =
    [("input_insar", "insar"), ("input_dem", "dem"), ("input_gnss", "gnss"), ("input_classical", "classical")];

/// What was measured, for `combine`; its map coordinates are metres from the frame's middle.
pub fn measured(scene: &Scene) -> combine::Scene {
    let (w, h) = (scene.frame.width, scene.frame.height);
    let ([wide, tall], pixel) = (scene.frame.extent(), scene.frame.pixel);
    let transform = GeoTransform([-0.5 * wide, pixel, 0.0, 0.5 * tall, 0.0, -pixel]);
    let mut out = combine::Scene::new(combine::Frame { transform, width: w, height: h });
    for (k, los) in scene.los.iter().enumerate().filter(|(_, los)| los.data.iter().any(|v| v.is_finite())) {
        out.observations.push(Observation {
            name: TRACKS[k].into(),
            kind: Kind::LineOfSight,
            values: los.data.clone(),
            direction: Direction::PerPixel(scene.units[k].each_ref().map(|u| u.data.clone())),
            sigma: Sigma::Estimated,
            ramp: Ramp::default(),
            topography: true,
        });
    }
    out.stations = scene
        .stations
        .iter()
        .map(|s| combine::Station {
            name: s.name.clone(),
            x: s.place[0],
            y: s.place[1],
            height: s.height,
            displacement: s.step,
            // Without noise all stations count alike.
            sigma: s.sigma.map(|v| v.max(1e-6)),
        })
        .collect();
    out.dem = Some(scene.terrain.height.data.clone());
    out
}

/// Displacement and standard deviations; NaN without a solution.
fn solved(scene: &Scene, solution: Option<&Solution>) -> Array {
    let (w, h) = (scene.frame.width, scene.frame.height);
    let data = match solution {
        Some(s) => s.bands.displacement.iter().chain(&s.bands.sigma).flatten().copied().collect(),
        None => vec![f32::NAN; 6 * w * h],
    };
    Array::new(&[6, h, w], Data::F32(data))
}

fn layers(grids: &[&Grid<f32>]) -> Array {
    let (w, h) = (grids[0].width, grids[0].height);
    Array::new(&[grids.len(), h, w], Data::F32(grids.iter().flat_map(|g| g.data.iter().copied()).collect()))
}

/// What was measured, in float32.
fn observations(scene: &Scene) -> Vec<(&'static str, Array)> {
    let (w, h) = (scene.frame.width, scene.frame.height);
    let (steps, sigmas, mask) = gridded(scene);
    let [ascending, descending] = &scene.units;
    vec![
        ("los", layers(&scene.los.each_ref())),
        ("unit", layers(&ascending.iter().chain(descending).collect::<Vec<_>>())),
        ("dem", Array::new(&[h, w], Data::F32(scene.terrain.height.data.clone()))),
        ("gnss", layers(&steps.each_ref())),
        ("gnss_sigma", layers(&sigmas.each_ref())),
        ("station", Array::new(&[h, w], Data::F32(mask.data))),
    ]
}

/// Steps, their standard deviations and 1 at the pixels with a station, 0 elsewhere; stations in one pixel are averaged with
/// the inverse of their variances.
pub fn gridded(scene: &Scene) -> ([Grid<f32>; 3], [Grid<f32>; 3], Grid<f32>) {
    let empty = || Grid::filled(scene.frame.width, scene.frame.height, 0.0);
    let (mut weighted, mut weights, mut mask) = ([(); 3].map(|()| empty()), [(); 3].map(|()| empty()), empty());
    for station in &scene.stations {
        let Some((x, y)) = scene.frame.cell(station.place) else { continue };
        mask.set(x, y, 1.0);
        for c in 0..3 {
            // Without noise all stations count alike.
            let weight = station.sigma[c].max(1e-9).powi(-2);
            weights[c].set(x, y, weights[c].get(x, y) + weight);
            weighted[c].set(x, y, weighted[c].get(x, y) + weight * station.step[c]);
        }
    }
    let mean = |c: usize| {
        let (sums, weights): (&Grid<f64>, &Grid<f64>) = (&weighted[c], &weights[c]);
        let value = |k: usize| if weights.data[k] > 0.0 { sums.data[k] / weights.data[k] } else { 0.0 };
        Grid::from_vec(sums.width, sums.height, (0..sums.data.len()).map(|k| value(k) as f32).collect())
    };
    let sigma = |c: usize| weights[c].map(|w: f64| if w > 0.0 { w.sqrt().recip() as f32 } else { 0.0 });
    ([0, 1, 2].map(mean), [0, 1, 2].map(sigma), mask.map(|v| v as f32))
}

/// What the arrays mean, for the card of a set.
pub fn describe(contents: Contents) -> serde_json::Value {
    let [insar, dem, gnss, classical] = CHANNELS;
    let input = |channels: usize, text: &str| format!("float16 [N, {channels}, H, W]: {text} (models/README.md)");
    let all = [
        (true, "truth", "float32 [N, 3, H, W]: displacement east, north, up, m".to_string()),
        (
            contents.observations,
            "los",
            "float32 [N, 2, H, W]: line-of-sight displacement, ascending and descending, m, towards the satellite; NaN: none"
                .into(),
        ),
        (
            contents.observations,
            "unit",
            "float32 [N, 6, H, W]: unit vector to the satellite, east, north, up, ascending then descending".into(),
        ),
        (contents.observations, "dem", "float32 [N, H, W]: height, m".into()),
        (
            contents.observations,
            "gnss",
            "float32 [N, 3, H, W]: step at the stations' pixels, east, north, up, m; 0 elsewhere".into(),
        ),
        (contents.observations, "gnss_sigma", "float32 [N, 3, H, W]: its standard deviation, m; 0 elsewhere".into()),
        (contents.observations, "station", "float32 [N, H, W]: 1 where there is a station".into()),
        (
            contents.solutions,
            "classical",
            "float32 [N, 6, H, W]: east, north, up by `combine --method wls`, and their sigma, m".into(),
        ),
        (contents.solutions, "sistem", "float32 [N, 6, H, W]: likewise by sistem; NaN with fewer than 3 stations".into()),
        (contents.inputs, "input_insar", input(insar, "lines of sight, masks, unit vectors")),
        (contents.inputs, "input_dem", input(dem, "height")),
        (contents.inputs, "input_gnss", input(gnss, "stations, and kriged")),
        (contents.inputs, "input_classical", input(classical, "wls, and the logarithm of its sigma")),
        (contents.inputs, "scale", "float32 [N]: metres that the inputs are divided by".into()),
    ];
    all.into_iter().filter(|a| a.0).map(|(_, name, text)| (name.to_string(), serde_json::Value::from(text))).collect()
}
