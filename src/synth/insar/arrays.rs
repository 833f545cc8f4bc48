//! An event as arrays.

use super::scene::Scene;
use crate::grid::Grid;
use crate::synth::npy::{Array, Data};

/// Names and contents, in float32: what was measured, and the truth.
pub fn observations(scene: &Scene) -> Vec<(&'static str, Array)> {
    let (w, h) = (scene.frame.width, scene.frame.height);
    let layers = |grids: &[&Grid<f32>]| -> Array {
        let data = grids.iter().flat_map(|g| g.data.iter().copied()).collect();
        Array::new(&[grids.len(), h, w], Data::F32(data))
    };
    let (steps, sigmas, mask) = gridded(scene);
    let [ascending, descending] = &scene.units;
    vec![
        ("los", layers(&scene.los.each_ref())),
        ("unit", layers(&ascending.iter().chain(descending).collect::<Vec<_>>())),
        ("dem", Array::new(&[h, w], Data::F32(scene.terrain.height.data.clone()))),
        ("gnss", layers(&steps.each_ref())),
        ("gnss_sigma", layers(&sigmas.each_ref())),
        ("station", Array::new(&[h, w], Data::F32(mask.data))),
        ("truth", layers(&scene.truth.each_ref())),
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
pub fn describe() -> serde_json::Value {
    serde_json::json!({
        "los": "float32 [N, 2, H, W]: line-of-sight displacement, ascending and descending, m, towards the satellite; NaN: none",
        "unit": "float32 [N, 6, H, W]: unit vector to the satellite, east, north, up, ascending then descending",
        "dem": "float32 [N, H, W]: height, m",
        "gnss": "float32 [N, 3, H, W]: step at the stations' pixels, east, north, up, m; 0 elsewhere",
        "gnss_sigma": "float32 [N, 3, H, W]: its standard deviation, m; 0 elsewhere",
        "station": "float32 [N, H, W]: 1 where there is a station",
        "truth": "float32 [N, 3, H, W]: displacement east, north, up, m",
    })
}
