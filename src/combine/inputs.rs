//! What networks of the kind `insar_gnss` are given: one function for training data and for use, so that they cannot differ.

use super::Solution;
use super::scene::{Direction, Kind, Scene, Station};

/// Channels of the four inputs.
pub const CHANNELS: [usize; 4] = [10, 1, 8, 6];
/// The scale's lower limit, m.
const LEAST_SCALE: f64 = 1e-3;
/// ln(sigma / scale) where there is no classical solution at least.
const VAGUE: f32 = 3.0;

/// The inputs of one scene, channel by channel, each row by row; everything finite.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkInputs {
    /// Line of sight ascending, descending (/ scale, 0 where missing), their masks, unit vector (e, n, u) of each (0 where
    /// missing).
    pub insar: Vec<f32>,
    /// (h - min)/(max - min); 0 without heights.
    pub dem: Vec<f32>,
    /// East, north, up at the pixel of a station / scale, station mask, kriged east, north, up / scale, kriged sd / prior
    /// sd (mean of the components; 1 without stations).
    pub gnss: Vec<f32>,
    /// East, north, up of `wls` / scale, ln(sigma / scale).
    pub classical: Vec<f32>,
    /// Metres that displacements are divided by.
    pub scale: f64,
}

impl NetworkInputs {
    /// By their names in a model.
    pub fn by_name(&self, name: &str) -> Option<(&[f32], usize)> {
        match name {
            "insar" => Some((&self.insar, CHANNELS[0])),
            "dem" => Some((&self.dem, CHANNELS[1])),
            "gnss" => Some((&self.gnss, CHANNELS[2])),
            "classical" => Some((&self.classical, CHANNELS[3])),
            _ => None,
        }
    }
}

/// The lines of sight that a network takes: (ascending, descending) as indices of the observations. Ascending is the one seen from
/// the west (its unit vector points west); of several on one side the first.
pub fn tracks(scene: &Scene) -> (Option<usize>, Option<usize>) {
    let (mut ascending, mut descending) = (None, None);
    for (k, o) in scene.observations.iter().enumerate() {
        if o.kind != Kind::LineOfSight {
            continue;
        }
        let east = match &o.direction {
            Direction::Constant(s) => s[0],
            Direction::PerPixel(s) => s[0].iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).sum(),
        };
        let slot = if east < 0.0 { &mut ascending } else { &mut descending };
        *slot = slot.or(Some(k));
    }
    (ascending, descending)
}

/// Makes the inputs of a whole scene from it and its `wls` solution.
pub fn network_inputs(scene: &Scene, solution: &Solution) -> NetworkInputs {
    let n = scene.pixels();
    let bands = &solution.bands;
    let scale = scale(&bands.displacement);
    let divide = |v: f32| if v.is_finite() { (f64::from(v) / scale) as f32 } else { 0.0 };

    let (ascending, descending) = tracks(scene);
    let mut insar = vec![0f32; CHANNELS[0] * n];
    for (t, track) in [ascending, descending].into_iter().enumerate() {
        let Some(k) = track else { continue };
        for i in 0..n {
            let v = bands.corrected[k][i];
            let Some(s) = scene.observations[k].direction_at(i).filter(|_| v.is_finite()) else { continue };
            insar[t * n + i] = divide(v);
            insar[(2 + t) * n + i] = 1.0;
            (0..3).for_each(|c| insar[(4 + 3 * t + c) * n + i] = s[c] as f32);
        }
    }

    let mut gnss = vec![0f32; CHANNELS[2] * n];
    for (i, value) in station_pixels(scene) {
        (0..3).for_each(|c| gnss[c * n + i] = divide(value[c] as f32));
        gnss[3 * n + i] = 1.0;
    }
    gnss[7 * n..].fill(1.0);
    if let Some(k) = &solution.kriging {
        let sd = k.variance().map(f64::sqrt);
        for i in 0..n {
            (0..3).for_each(|c| gnss[(4 + c) * n + i] = divide(bands.stations[c][i]));
            let share = (0..3).map(|c| f64::from(bands.stations_sigma[c][i]) / sd[c]).sum::<f64>() / 3.0;
            gnss[7 * n + i] = share as f32;
        }
    }

    let mut classical = vec![0f32; CHANNELS[3] * n];
    for c in 0..3 {
        let log = |v: f32| ((f64::from(v) / scale).ln()) as f32;
        let sigma = &bands.sigma[c];
        let vague = sigma.iter().copied().filter(|v| v.is_finite()).fold(f32::MIN, f32::max);
        let vague = if vague > 0.0 { log(vague).max(VAGUE) } else { VAGUE };
        for i in 0..n {
            classical[c * n + i] = divide(bands.displacement[c][i]);
            classical[(3 + c) * n + i] = if sigma[i].is_finite() { log(sigma[i]) } else { vague };
        }
    }
    NetworkInputs { insar, dem: heights(scene), gnss, classical, scale }
}

/// Displacement of the stations by the pixel that they stand in, in pixel order; of two in a pixel the mean weighted by
/// 1/sigma². A component that no station of the pixel has is NaN.
fn station_pixels(scene: &Scene) -> Vec<(usize, [f64; 3])> {
    let inside = |s: &Station| {
        let (c, r) = scene.frame.transform.pixel(s.x, s.y)?;
        let r = r - scene.first_row as f64;
        (c >= 0.0 && r >= 0.0 && c < scene.frame.width as f64 && r < scene.rows as f64)
            .then(|| r as usize * scene.frame.width + c as usize)
    };
    let mut sums: std::collections::BTreeMap<usize, [(f64, f64); 3]> = Default::default();
    for s in &scene.stations {
        let Some(i) = inside(s) else { continue };
        let sum = sums.entry(i).or_default();
        for c in 0..3 {
            if s.displacement[c].is_finite() {
                let w = s.sigma[c].powi(-2);
                sum[c] = (sum[c].0 + w * s.displacement[c], sum[c].1 + w);
            }
        }
    }
    sums.into_iter().map(|(i, s)| (i, s.map(|(v, w)| v / w))).collect()
}

/// The 99 % quantile of the absolute displacement, or 1 mm.
fn scale(displacement: &[Vec<f32>; 3]) -> f64 {
    let mut values: Vec<f32> = displacement.iter().flatten().map(|v| v.abs()).filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        return LEAST_SCALE;
    }
    let k = (0.99 * (values.len() - 1) as f64).round() as usize;
    let (_, q, _) = values.select_nth_unstable_by(k, f32::total_cmp);
    f64::from(*q).max(LEAST_SCALE)
}

fn heights(scene: &Scene) -> Vec<f32> {
    let none = vec![0f32; scene.pixels()];
    let Some(dem) = &scene.dem else { return none };
    let finite = dem.iter().copied().filter(|h| h.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |m, h| (m.0.min(h), m.1.max(h)));
    if high <= low {
        return none;
    }
    dem.iter().map(|h| if h.is_finite() { (h - low) / (high - low) } else { 0.0 }).collect()
}
