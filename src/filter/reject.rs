//! Cells that are removed.

use super::cells::{Cells, Step};
use super::{Coherence, FilterJob};
use crate::field::Status;
use crate::map::DisplacementMap;
use crate::post::outlier;
use crate::{Error, Result};

/// Rounds of the test of coherence, and how far they reach together.
const ROUNDS: usize = 3;
pub const REACH: usize = ROUNDS * outlier::REACH;
/// Least share of the 5 × 5 neighbours that agree: 8 of 25 with the cell itself.
const SHARE: f64 = 7.0 / 24.0;

/// Removes cells by their own sigma, quality and length.
pub fn thresholds(cells: &mut Cells, job: &FilterJob) {
    if job.max_sigma.is_none() && job.min_quality.is_none() && job.max_magnitude.is_none() {
        return;
    }
    for y in 0..cells.height() {
        for x in 0..cells.width() {
            let v = cells.value(x, y);
            if !v[0].is_finite() {
                continue;
            }
            let sigma = cells.sigma[0].get(x, y).max(cells.sigma[1].get(x, y));
            let length = f64::from(v[0]).hypot(f64::from(v[1]));
            let quality = f64::from(cells.quality.get(x, y));
            // A cell without the number that is asked for does not pass.
            let over = |limit: Option<f64>, value: f64| limit.is_some_and(|l| value.is_nan() || value > l);
            let step = if over(job.max_sigma, sigma.into()) {
                Step::Sigma
            } else if job.min_quality.is_some_and(|l| quality.is_nan() || quality < l) {
                Step::Quality
            } else if over(job.max_magnitude, length) {
                Step::Magnitude
            } else {
                continue;
            };
            cells.remove(x, y, step, Status::Threshold);
        }
    }
}

/// Removes cells that too few of their neighbours agree with: normalised displacement coherence (NDC), in three rounds.
///
/// Reference: Lei, Gardner and Agram (2021), "Autonomous repeat image feature tracking (autoRIFT)", Remote Sensing 13, 749.
pub fn incoherent(cells: &mut Cells, distance: f64) {
    for _ in 0..ROUNDS {
        for (x, y) in outlier::incoherent(&cells.measurements(), (distance, distance), SHARE) {
            cells.remove(x, y, Step::Coherence, Status::Outlier);
        }
    }
}

/// Removes cells far from the medians of their neighbours (see [`outlier`]).
pub fn outliers(cells: &mut Cells, sigmas: f64, least: f64) {
    for (x, y) in outlier::off_median(&cells.measurements(), sigmas, least) {
        cells.remove(x, y, Step::Outlier, Status::Outlier);
    }
}

/// How far coherent neighbours may differ: a fifth of the search, unless given. `pixel` is a pixel in the map's unit.
pub(super) fn distance(ndc: Coherence, map: &DisplacementMap, pixel: f64) -> Result<f64> {
    if let Some(distance) = ndc.distance {
        return Ok(distance);
    }
    let search = map.find("SEARCH_PX").and_then(|s| {
        let (x, y) = s.split_once('x')?;
        Some(x.trim().parse::<f64>().ok()?.max(y.trim().parse().ok()?))
    });
    match search {
        Some(search) => Ok(0.2 * search * pixel),
        None => {
            let why = format!(
                "{} does not say how far was searched; give the largest difference between neighbours in {}, e.g. --ndc={}",
                map.path(),
                map.unit.name(),
                0.8 * pixel
            );
            Err(Error::option("--ndc", "", why))
        }
    }
}
