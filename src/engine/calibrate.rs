//! Calibration of sigma on ground that has not moved (`--stable`).
//!
//! What a window cannot know of its own error (parallax, attitude of the sensor, illumination of relief) shows in the
//! scatter of ground that has not moved. A few tiles are measured as the run will measure them, and the robust standard
//! deviation of value over sigma becomes a factor on all standard deviations. On given stable ground the values are
//! compared with their median there, so a constant misregistration does not count; without stable ground, neighbouring
//! windows that share no pixel are compared, which sees only errors that change over such a distance.

use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Engine;
use crate::field::{Measurement, Status};
use crate::grid::{Grid, Window};
use crate::pipeline::{Pair, SigmaScale};
use crate::robust::{MAD, median};
use crate::{Error, Result};

/// How many tiles are measured at most.
const TILES: usize = 16;
/// Fewer cells cannot tell a standard deviation.
const LEAST: usize = 30;

/// A value (or difference of values) and its variance, along x and y.
type Sample = [(f64, f64); 2];

pub fn sigma(engine: &mut Engine, pair: &Pair, stop: &AtomicBool) -> Result<()> {
    let tiles = engine.layout.whole().tiles();
    let count = tiles.len().min(TILES);
    let chosen: Vec<Window> = (0..count).map(|i| tiles[(2 * i + 1) * tiles.len() / (2 * count)]).collect();
    let look = |tile: &Window| -> Result<Vec<Sample>> {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let field = engine.worker(pair)?.tile(*tile, stop)?;
        match (engine.params.sigma_scale, pair.stable) {
            (SigmaScale::Stable, Some(_)) => stable(engine, pair, *tile, &field),
            _ => Ok(differences(engine, &field)),
        }
    };
    let parts: Vec<Vec<Sample>> = chosen.par_iter().map(look).collect::<Result<_>>()?;
    let mut samples: Vec<Sample> = parts.into_iter().flatten().collect();
    // A network may state no sigma.
    samples.retain(|s| s.iter().all(|(value, variance)| value.is_finite() && *variance > 0.0));
    if samples.len() < LEAST {
        return Err(too_few(engine, pair, samples.len()));
    }
    let centred = engine.params.sigma_scale == SigmaScale::Stable;
    let mut factors = [1.0; 2];
    let mut middles = [0.0; 2];
    for axis in 0..2 {
        if centred {
            middles[axis] = median(&mut samples.iter().map(|s| s[axis].0).collect::<Vec<_>>());
        }
        let z = samples.iter().map(|s| ((s[axis].0 - middles[axis]) / s[axis].1.sqrt()).abs());
        factors[axis] = MAD * median(&mut z.collect::<Vec<_>>());
    }
    engine.sigma_scale = (factors[0], factors[1]);
    let mut add = |key: &str, value: String| engine.findings.push((key.into(), value));
    add("SIGMA_FACTORS", format!("{:.3} {:.3}", factors[0], factors[1]));
    add("SIGMA_FACTORS_FROM", samples.len().to_string());
    if centred {
        add("STABLE_MEDIAN_PX", format!("{:.4} {:.4}", middles[0], middles[1]));
    }
    Ok(())
}

/// Valid cells on stable ground.
fn stable(engine: &Engine, pair: &Pair, tile: Window, field: &Grid<Measurement>) -> Result<Vec<Sample>> {
    let Some(ground) = pair.stable else { return Ok(Vec::new()) };
    let mut centres = Vec::with_capacity(field.data.len());
    for j in tile.y..tile.bottom() {
        centres.extend((tile.x..tile.right()).map(|i| {
            let c = engine.layout.centre(i as usize, j as usize);
            (c.dx, c.dy)
        }));
    }
    let known = ground.open()?.sample(&centres)?;
    let valid = |(m, s): (&Measurement, &Option<(f64, f64)>)| {
        let on = m.status == Status::Valid && s.is_some_and(|v| v.0 != 0.0);
        on.then_some([(m.shift.dx, m.covariance.xx), (m.shift.dy, m.covariance.yy)])
    };
    Ok(field.data.iter().zip(&known).filter_map(valid).collect())
}

/// Differences between neighbours along x and y whose windows have no pixel in common.
fn differences(engine: &Engine, field: &Grid<Measurement>) -> Vec<Sample> {
    let (window, step) = (engine.layout.window, engine.layout.step);
    let apart = (window.0.div_ceil(step.0), window.1.div_ceil(step.1));
    let mut samples = Vec::new();
    for y in 0..field.height {
        for x in 0..field.width {
            for (i, j) in [(x + apart.0, y), (x, y + apart.1)] {
                if i >= field.width || j >= field.height {
                    continue;
                }
                let (a, b) = (field.get(x, y), field.get(i, j));
                if a.status == Status::Valid && b.status == Status::Valid {
                    samples.push([
                        (a.shift.dx - b.shift.dx, a.covariance.xx + b.covariance.xx),
                        (a.shift.dy - b.shift.dy, a.covariance.yy + b.covariance.yy),
                    ]);
                }
            }
        }
    }
    samples
}

fn too_few(engine: &Engine, pair: &Pair, found: usize) -> Error {
    match (engine.params.sigma_scale, pair.stable) {
        (SigmaScale::Stable, Some(ground)) => Error::Data(format!(
            "{} has only {found} measured cells in the tiles that were looked at, {LEAST} are needed to calibrate sigma; \
             give a larger stable area or --stable auto",
            ground.name()
        )),
        _ => Error::Data(format!(
            "only {found} pairs of neighbouring windows were measured, {LEAST} are needed to calibrate sigma; leave \
             --stable out"
        )),
    }
}
