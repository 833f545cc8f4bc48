//! What the result says at stations that it does not know.

use serde::Serialize;

use super::kriging::Kriging;
use super::output::Layers;
use super::scene::{Scene, Station};
use super::solve::Solver;
use super::sources::Sources;
use super::survey::Survey;
use super::{WlsOptions, prepare};
use crate::Result;

/// A station, and the map at its pixel; NaN where one of them has nothing.
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

/// Pixel of a station, when it lies on the grid.
fn pixel(sources: &Sources, s: &Station) -> Option<(usize, usize)> {
    let frame = &sources.frame;
    let (c, r) = frame.transform.pixel(s.x, s.y)?;
    (c >= 0.0 && r >= 0.0 && c < frame.width as f64 && r < frame.height as f64).then_some((c as usize, r as usize))
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
        let Some((column, row)) = pixel(sources, s) else { continue };
        let (map, sigma) = match whole {
            Some(Some(layers)) => {
                let i = row * sources.frame.width + column;
                let at = |k: usize| f64::from(layers.0[k][i]);
                ([at(0), at(1), at(2)], [at(3), at(4), at(5)])
            }
            _ => at_pixel(solver, &sources.reader()?.read(row, 1)?, column),
        };
        out.push(LeftOut::new(s, map, sigma));
    }
    Ok(out)
}

/// Every station against the map that all others make: ramps, kriging and pixel anew each time.
pub(super) fn cross_validate(sources: &Sources, survey: &Survey, options: &WlsOptions) -> Result<Vec<LeftOut>> {
    let mut out = Vec::new();
    for (j, s) in sources.stations.iter().enumerate() {
        let Some((column, row)) = pixel(sources, s) else { continue };
        let mut outline = sources.outline();
        outline.stations.remove(j);
        let kriging = Kriging::fit(&outline.stations, options.length);
        let solver = prepare(&outline, &survey.without(j, kriging.clone()), kriging, options)?;
        let strip = sources.reader()?.read(row, 1)?;
        let (map, sigma) = at_pixel(&solver, &strip, column);
        out.push(LeftOut::new(s, map, sigma));
    }
    Ok(out)
}

/// Displacement and sigma of one pixel of a row.
fn at_pixel(solver: &Solver, row: &Scene, column: usize) -> ([f64; 3], [f64; 3]) {
    let bands = solver.solve(row);
    let at = |bands: &[Vec<f32>; 3]| bands.each_ref().map(|b| f64::from(b[column]));
    (at(&bands.displacement), at(&bands.sigma))
}

/// Root mean square of a list, leaving out what is not finite, and how many there are.
pub(super) fn rms(values: impl Iterator<Item = f64>) -> (f64, usize) {
    let (sum, n) = values.filter(|v| v.is_finite()).fold((0.0, 0), |(s, n), v| (s + v * v, n + 1));
    ((sum / n as f64).sqrt(), n)
}
