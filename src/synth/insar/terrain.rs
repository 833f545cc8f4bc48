//! A procedural landscape: ridges and valleys, and a coast.

use rand_pcg::Pcg64;

use super::frame::Frame;
use super::spec::{InsarSpec, draw};
use crate::grid::{Grid, Window};
use crate::synth::fft2::good_length;
use crate::synth::random::{Purpose, stream};
use crate::synth::spectrum::{gaussian_field, quantile};

/// Heights of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Terrain {
    /// Metres above the sea; 0 on it.
    pub height: Grid<f32>,
    pub water: Grid<bool>,
}

impl Terrain {
    /// A landscape that rises towards `inland_deg` (clockwise from north), with its share of water.
    pub fn procedural(spec: &InsarSpec, frame: &Frame, inland_deg: f64, seed: u64) -> Terrain {
        let rng = &mut stream(seed, Purpose::InsarTerrain);
        let sea = draw(spec.cover.water, rng);
        let relief = draw(spec.terrain.relief, rng);
        let slope = draw((0.5, 3.0), rng);
        // Massifs of a third of the frame, and finer relief on them.
        let massifs = fractal(frame, 1.0 / 96.0, 2.0, rng);
        let valleys = fractal(frame, 1.0 / 24.0, 1.9, rng);
        let (sin, cos) = inland_deg.to_radians().sin_cos();
        let [w, h] = frame.extent();
        let mut height = Grid::from_fn(frame.width, frame.height, |x, y| {
            let [east, north] = frame.place(x as f64, y as f64);
            // Valleys and ridges are the zero lines and crests of a smooth field.
            let folded = 1.0 - 2.0 * (valleys.get(x, y).abs() / 1.5).min(1.0);
            massifs.get(x, y) + 0.45 * folded + slope * (east * sin / w + north * cos / h)
        });
        // A little land is left for the stations in any case.
        let level = quantile(&height.data, sea);
        let top = quantile(&height.data, 0.99 + 0.01 * sea).max(level + 1e-9);
        let water = height.map(|v| sea > 0.0 && v <= level);
        for v in &mut height.data {
            let above = ((*v - level) / (top - level)).max(0.0);
            // Plains are wider than peaks.
            *v = relief * above.powf(1.4) + 2.0;
        }
        let height =
            Grid::from_fn(
                frame.width,
                frame.height,
                |x, y| if water.get(x, y) { 0.0 } else { height.get(x, y) as f32 },
            );
        Terrain { height, water }
    }

    /// Height at a place, between the pixel centres linearly.
    pub fn at(&self, frame: &Frame, place: [f64; 2]) -> f64 {
        let (x, y) = frame.pixel_of(place);
        let (x, y) = (x.clamp(0.0, (frame.width - 1) as f64), y.clamp(0.0, (frame.height - 1) as f64));
        let (i, j) = ((x as usize).min(frame.width - 2), (y as usize).min(frame.height - 2));
        let (u, v) = (x - i as f64, y - j as f64);
        let value = |i, j| f64::from(self.height.get(i, j));
        (1.0 - v) * ((1.0 - u) * value(i, j) + u * value(i + 1, j))
            + v * ((1.0 - u) * value(i, j + 1) + u * value(i + 1, j + 1))
    }

    /// Whether a place is on land.
    pub fn land(&self, frame: &Frame, place: [f64; 2]) -> bool {
        frame.cell(place).is_some_and(|(x, y)| !self.water.get(x, y))
    }
}

/// Amplitude f^-slope above the frequency `outer`, cycles per pixel.
pub(super) fn fractal(frame: &Frame, outer: f64, slope: f64, rng: &mut Pcg64) -> Grid<f64> {
    let (w, h) = (good_length(2 * frame.width), good_length(2 * frame.height));
    gaussian_field(w, h, rng, |f| f.max(outer).powf(-slope)).crop(Window::new(0, 0, frame.width, frame.height))
}
