//! Where an interferogram shows nothing: water, ground without coherence, beyond the swath.

use rand::RngExt;

use super::frame::Frame;
use super::geometry::Track;
use super::spec::{InsarSpec, draw};
use super::terrain::{Terrain, fractal};
use crate::grid::Grid;
use crate::synth::random::{Purpose, normal, numbered, stream, white};
use crate::synth::spectrum::quantile;

/// What both tracks see of the ground: 0 coherent to 1 not.
pub struct Vegetation {
    ground: Grid<f64>,
}

impl Vegetation {
    pub fn new(frame: &Frame, seed: u64) -> Vegetation {
        Vegetation { ground: fractal(frame, 1.0 / 40.0, 1.4, &mut stream(seed, Purpose::Cover)) }
    }

    /// Pixels of track `number` with a value.
    ///
    /// Patches without coherence are mostly the same for both tracks; their edges are ragged and single pixels are missing
    /// around them. A swath ends at a line along the direction of flight, at least a third of the frame away from the middle.
    pub fn seen(
        &self,
        spec: &InsarSpec,
        frame: &Frame,
        terrain: &Terrain,
        track: &Track,
        number: u64,
        seed: u64,
    ) -> Grid<bool> {
        let rng = &mut numbered(seed, Purpose::Cover, 1 + number);
        let share = draw(spec.cover.decorrelated, rng);
        let own = fractal(frame, 1.0 / 40.0, 1.4, rng);
        let speckle = white(frame.width, frame.height, rng);
        let mut lost = Grid::from_fn(frame.width, frame.height, |x, y| {
            self.ground.get(x, y) + 0.5 * own.get(x, y) + 0.25 * speckle.get(x, y)
        });
        let land: Vec<f64> = lost.data.iter().zip(&terrain.water.data).filter(|p| !*p.1).map(|p| *p.0).collect();
        let level = if land.is_empty() || share == 0.0 { f64::INFINITY } else { quantile(&land, 1.0 - share) };
        let edge = rng.random_bool(spec.tracks.edge);
        let [w, h] = frame.extent();
        let (side, at) = (if rng.random_bool(0.5) { 1.0 } else { -1.0 }, w.min(h) * rng.random_range(0.17..0.5));
        for (k, v) in lost.data.iter_mut().enumerate() {
            let place = frame.place((k % frame.width) as f64, (k / frame.width) as f64);
            if terrain.water.data[k] || (edge && side * track.range(place) > at) {
                *v = f64::INFINITY;
            }
        }
        // Without a threshold only water and edges are lost.
        lost.map(|v| if level.is_finite() { v < level } else { v.is_finite() })
    }
}

/// White noise of a grid, from its own stream.
pub(super) fn grain(frame: &Frame, sigma: f64, seed: u64, number: u64) -> Grid<f64> {
    let rng = &mut numbered(seed, Purpose::InsarNoise, 100 + number);
    Grid::from_fn(frame.width, frame.height, |_, _| sigma * normal(rng))
}
