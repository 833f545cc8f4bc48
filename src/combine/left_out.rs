//! What the result says at stations that it does not know.

use serde::Serialize;

use super::kriging::Kriging;
use super::output::Layers;
use super::scene::Station;
use super::solve::Solver;
use super::sources::Sources;
use super::survey::Survey;
use super::{WlsOptions, prepare};
use crate::Result;

/// A station, and the map there (between the centres of its pixels); NaN where one of them has nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    pub station: String,
    /// East, north, up, m.
    pub measured: [f64; 3],
    pub map: [f64; 3],
    /// Map minus station, m.
    pub difference: [f64; 3],
    /// Difference over the standard deviation of both.
    pub z: [f64; 3],
}

impl LeftOut {
    fn new(s: &Station, map: [f64; 3], sigma: [f64; 3]) -> LeftOut {
        let difference = [0, 1, 2].map(|c| map[c] - s.displacement[c]);
        let z = [0, 1, 2].map(|c| difference[c] / sigma[c].hypot(s.sigma[c]));
        LeftOut { station: s.name.clone(), measured: s.displacement, map, difference, z }
    }
}

/// The pixels around a station on the grid, with bilinear weights.
struct Around {
    /// First row, number of rows.
    rows: (usize, usize),
    /// Column, row from the first, weight.
    parts: Vec<(usize, usize, f64)>,
}

impl Around {
    /// `None` off the grid.
    fn of(sources: &Sources, s: &Station) -> Option<Around> {
        let frame = &sources.frame;
        let (c, r) = frame.transform.pixel(s.x, s.y)?;
        if !(c >= 0.0 && r >= 0.0 && c < frame.width as f64 && r < frame.height as f64) {
            return None;
        }
        let side = |v: f64, n: usize| {
            let v = (v - 0.5).clamp(0.0, (n - 1) as f64);
            let first = (v.floor() as usize).min(n.saturating_sub(2));
            (first, v - first as f64)
        };
        let ((x, u), (y, v)) = (side(c, frame.width), side(r, frame.height));
        let rows = 2.min(frame.height);
        let corners = [(0, 0, (1.0 - u) * (1.0 - v)), (1, 0, u * (1.0 - v)), (0, 1, (1.0 - u) * v), (1, 1, u * v)];
        let parts = corners.into_iter().filter(|p| p.2 > 0.0 && p.1 < rows && x + p.0 < frame.width);
        Some(Around { rows: (y, rows), parts: parts.map(|(i, j, w)| (x + i, j, w)).collect() })
    }

    /// Weighted mean of the pixels that have a value, NaN where these weigh less than half.
    fn mean(&self, at: impl Fn(usize, usize) -> f32) -> f64 {
        let found = self.parts.iter().map(|&(x, y, w)| (f64::from(at(x, y)), w)).filter(|p| p.0.is_finite());
        let (sum, weight) = found.fold((0.0, 0.0), |a, (v, w)| (a.0 + w * v, a.1 + w));
        if weight >= 0.5 { sum / weight } else { f64::NAN }
    }
}

/// The finished map at stations that took no part in it; `whole` is that of a network.
pub(super) fn compare(
    sources: &Sources,
    solver: &Solver,
    whole: Option<&Option<Layers>>,
    stations: &[Station],
) -> Result<Vec<LeftOut>> {
    let mut out = Vec::new();
    for s in stations {
        let Some(around) = Around::of(sources, s) else { continue };
        let (map, sigma) = match whole {
            Some(Some(layers)) => {
                let at = |k: usize| around.mean(|x, y| layers.0[k][(around.rows.0 + y) * sources.frame.width + x]);
                ([at(0), at(1), at(2)], [at(3), at(4), at(5)])
            }
            _ => at(solver, sources, &around)?,
        };
        out.push(LeftOut::new(s, map, sigma));
    }
    Ok(out)
}

/// Every station against the map that all others make: ramps, kriging and pixel anew each time.
pub(super) fn cross_validate(sources: &Sources, survey: &Survey, options: &WlsOptions) -> Result<Vec<LeftOut>> {
    let mut out = Vec::new();
    for (j, s) in sources.stations.iter().enumerate() {
        let Some(around) = Around::of(sources, s) else { continue };
        let mut outline = sources.outline();
        outline.stations.remove(j);
        let kriging = Kriging::fit(&outline.stations, options.length);
        let solver = prepare(&outline, &survey.without(j, kriging.clone()), kriging, options)?;
        let (map, sigma) = at(&solver, sources, &around)?;
        out.push(LeftOut::new(s, map, sigma));
    }
    Ok(out)
}

/// Displacement and sigma around a station.
fn at(solver: &Solver, sources: &Sources, around: &Around) -> Result<([f64; 3], [f64; 3])> {
    let strip = sources.reader()?.read(around.rows.0, around.rows.1)?;
    let bands = solver.solve(&strip);
    let width = sources.frame.width;
    let mean = |bands: &[Vec<f32>; 3]| bands.each_ref().map(|b| around.mean(|x, y| b[y * width + x]));
    Ok((mean(&bands.displacement), mean(&bands.sigma)))
}

/// Root mean square of a list, leaving out what is not finite, and how many there are.
pub(super) fn rms(values: impl Iterator<Item = f64>) -> (f64, usize) {
    let (sum, n) = values.filter(|v| v.is_finite()).fold((0.0, 0), |(s, n), v| (s + v * v, n + 1));
    ((sum / n as f64).sqrt(), n)
}
