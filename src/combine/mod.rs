//! East, north and up from several displacement maps and GNSS stations (`shiftmap combine`).
//!
//! | file | what |
//! |---|---|
//! | [`scene`] | observations, stations, heights on one grid; directions of radars |
//! | [`kriging`] | displacement between stations and its standard deviation |
//! | [`survey`], [`nuisance`] | ramps and topographic terms, found before the pixels |
//! | [`solve`] | one pixel: weighted least squares |
//! | [`mod@sistem`] | displacement and gradient from the stations around a pixel |
//! | [`inputs`] | what networks are given |
//! | [`series`] | the step of a daily series |
//! | [`spec`], [`sources`] | maps as the user names them; reading them on one grid |
//! | [`stations`] | stations from tables and `.tenv3` files |
//! | [`job`] | from files to the finished map |
//! | [`network`] | the method `net` |
//! | [`left_out`], [`report`], [`picture`] | what the map says at stations that it does not know; what was found |
//!
//! All displacements are metres; a line-of-sight displacement is positive toward the satellite. Up to
//! [`inputs`] everything is plain arrays.

pub mod inputs;
pub mod job;
pub mod kriging;
pub mod left_out;
pub mod network;
pub mod nuisance;
mod output;
pub mod picture;
pub mod report;
pub mod scene;
pub mod series;
pub mod sistem;
pub mod solve;
pub mod sources;
pub mod spec;
pub mod stations;
pub mod survey;

pub use inputs::{CHANNELS, NetworkInputs, network_inputs};
pub use kriging::Kriging;
pub use nuisance::Correction;
pub use scene::{
    COMPONENTS, Direction, Frame, Kind, Observation, Ramp, Scene, Side, Sigma, Station, along_track, unit_vector,
};
pub use solve::{Bands, Solver, status};

use crate::{Error, Result};
use sistem::Sistem;
use solve::Prior;
use survey::{Sample, Survey};

/// How the stations enter a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Kriged, then weighted least squares.
    #[default]
    Wls,
    /// Displacement and gradient from the stations around.
    Sistem,
}

/// Options of [`wls`] and [`sistem()`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WlsOptions {
    pub method: Method,
    /// λ of kriging, m; estimated by default.
    pub length: Option<f64>,
    /// What the coefficients of ramps may be, m (standard deviation at the edge of the grid).
    pub ramp_sigma: f64,
    /// What the topographic term may be, m per km.
    pub topography_sigma: f64,
    /// Standard deviation of the displacement where there is no station, m; twice the largest observations by default.
    pub prior_sigma: Option<f64>,
    /// Whether kriging loses weight where the observations contradict it.
    pub adaptive: bool,
}

impl Default for WlsOptions {
    fn default() -> Self {
        WlsOptions {
            method: Method::Wls,
            length: None,
            ramp_sigma: 0.05,
            topography_sigma: 0.03,
            prior_sigma: None,
            adaptive: true,
        }
    }
}

/// Solution of a whole scene held in memory.
#[derive(Debug, Clone)]
pub struct Solution {
    pub bands: Bands,
    /// By observation.
    pub corrections: Vec<Correction>,
    /// `None` without stations.
    pub kriging: Option<Kriging>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Weighted least squares with kriged stations; rows of the grid one after the other, on the calling thread.
///
/// # Errors
/// [`Error::Data`] for a scene that is not usable, or that cannot give any component: the text says what is missing.
pub fn wls(scene: &Scene, options: &WlsOptions) -> Result<Solution> {
    scene.check()?;
    let kriging = Kriging::fit(&scene.stations, options.length);
    let mut survey = Survey::new(scene.frame, &scene.stations, kriging.clone(), scene.observations.len());
    survey.add(scene);
    let solver = prepare(scene, &survey, kriging.clone(), options)?;
    let bands = solver.solve(scene);
    Ok(Solution { bands, corrections: solver.nuisance.corrections, kriging, notes: solver.nuisance.notes })
}

/// As [`wls`], with SISTEM in place of kriging (ramps are found in the same way).
///
/// # Errors
/// As [`wls`], and with fewer than three stations.
pub fn sistem(scene: &Scene, options: &WlsOptions) -> Result<Solution> {
    wls(scene, &WlsOptions { method: Method::Sistem, ..*options })
}

/// What pixels share, from the survey of a scene; of `scene` itself only what does not depend on rows is used.
///
/// # Errors
/// [`Error::Data`] when no component can follow.
pub fn prepare(scene: &Scene, survey: &Survey, kriging: Option<Kriging>, options: &WlsOptions) -> Result<Solver> {
    let observations = &scene.observations;
    let samples = survey.finish();
    if observations.is_empty() && kriging.is_none() {
        return Err(Error::Data(
            "nothing to combine: give observations (--los, --offsets, ...) or stations (--gnss)".into(),
        ));
    }
    if !observations.is_empty() && samples.is_empty() {
        return Err(Error::Data(
            "the observations have no value on the grid: they do not overlap it, or everything is masked".into(),
        ));
    }
    let nuisance = nuisance::estimate(observations, &samples, &survey.white_noise(), options);
    let measured = std::array::from_fn(|c| scene.stations.iter().any(|s| s.displacement[c].is_finite()));
    let prior = match (options.method, kriging) {
        (Method::Sistem, _) => Prior::Sistem(Sistem::new(&scene.stations)?),
        (Method::Wls, Some(k)) => Prior::Kriging(Box::new(k)),
        (Method::Wls, None) => Prior::Flat(options.prior_sigma.unwrap_or_else(|| largest(&samples))),
    };
    let adaptive = options.adaptive && matches!(prior, Prior::Kriging(_));
    Ok(Solver { frame: scene.frame, prior, measured, nuisance, adaptive })
}

/// Twice the 99 % quantile of the absolute observations, 1 cm at least.
fn largest(samples: &[Sample]) -> f64 {
    let mut values: Vec<f64> = samples.iter().flat_map(|s| s.seen.iter().flatten()).map(|s| s.value.abs()).collect();
    values.sort_by(f64::total_cmp);
    let k = (0.99 * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(k).map_or(1.0, |v| (2.0 * v).max(0.01))
}
