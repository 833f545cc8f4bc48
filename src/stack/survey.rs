//! A look at sample cells before anything is written: offsets between the maps, how large their errors really are, whether
//! loops close.

use serde::Serialize;

use super::inputs::{Sampler, Strip, Target};
use super::network::{Loop, Network};
use super::solve::{REJECTED, Solver, Value};
use crate::grid::PointFile;
use crate::map::DisplacementMap;
use crate::progress::Progress;
use crate::{Error, Result};

/// Sampled cells, at most.
const CELLS: usize = 20_000;
/// Sampled rows, at most.
const ROWS: usize = 250;

/// Values of the maps at sample cells.
pub struct Survey {
    /// For each cell the values of the maps that have one; sigma as stated, or 1.
    pub cells: Vec<Vec<Value>>,
    /// Whether each cell is on stable ground.
    pub stable: Vec<bool>,
}

/// What is done to a map before it is stacked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correction {
    /// Subtracted from east and north.
    pub offset: [f64; 2],
    /// Factor on sigma.
    pub sigma_factor: f64,
}

impl Default for Correction {
    fn default() -> Self {
        Correction { offset: [0.0; 2], sigma_factor: 1.0 }
    }
}

/// The value of cell `k` of a strip, NaN and senseless sigma left out.
pub fn value_at(strip: &Strip, k: usize, map: usize, with_sigma: bool, correction: &Correction) -> Option<Value> {
    let value = [strip.east[k], strip.north[k]].map(f64::from);
    let sigma = match with_sigma {
        true => [strip.sigma[0][k], strip.sigma[1][k]].map(f64::from),
        false => [1.0, 1.0],
    };
    let good = value.iter().all(|v| v.is_finite()) && sigma.iter().all(|s| *s > 0.0 && s.is_finite());
    let (o, f) = (correction.offset, correction.sigma_factor);
    good.then(|| Value { map, value: [value[0] - o[0], value[1] - o[1]], sigma: sigma.map(|s| s * f) })
}

impl Survey {
    /// Reads evenly spaced rows and columns.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Cancelled`].
    pub fn take(
        maps: &[DisplacementMap],
        target: &Target,
        stable: Option<&dyn PointFile>,
        progress: &mut dyn Progress,
    ) -> Result<Survey> {
        let mut samplers = maps.iter().map(|m| Sampler::new(m, target)).collect::<Result<Vec<_>>>()?;
        let mut places = stable.map(PointFile::open).transpose()?;
        let (w, h) = target.size;
        let step = h.div_ceil(ROWS).max(1);
        let rows = h.div_ceil(step);
        let columns = w.div_ceil((w * rows).div_ceil(CELLS).max(1)).max(1);
        let mut survey = Survey { cells: Vec::new(), stable: Vec::new() };
        let with_sigma = maps.iter().all(DisplacementMap::has_sigma);
        for (n, y) in (step / 2..h).step_by(step).enumerate() {
            if !progress.report(0.2 * n as f64 / rows as f64, "looking at the maps") {
                return Err(Error::Cancelled);
            }
            let strips = samplers.iter_mut().map(|s| s.read(y, w, 1)).collect::<Result<Vec<_>>>()?;
            let xs: Vec<usize> = (0..columns).map(|i| (2 * i + 1) * w / (2 * columns)).collect();
            let points: Vec<(f64, f64)> = xs.iter().map(|x| (*x as f64, y as f64)).collect();
            let on = match &mut places {
                Some(places) => places.sample(&points)?.iter().map(|p| p.is_some_and(|p| p.0 != 0.0)).collect(),
                None => vec![false; xs.len()],
            };
            for (x, on) in xs.into_iter().zip(on) {
                let at = |(map, strip): (usize, &Strip)| value_at(strip, x, map, with_sigma, &Correction::default());
                let values: Vec<Value> = strips.iter().enumerate().filter_map(at).collect();
                if !values.is_empty() {
                    survey.cells.push(values);
                    survey.stable.push(on);
                }
            }
        }
        if survey.cells.is_empty() {
            return Err(Error::Data("none of the maps has a value where they were looked at".into()));
        }
        Ok(survey)
    }

    /// Takes offsets and factors into account.
    pub fn apply(&mut self, corrections: &[Correction]) {
        for v in self.cells.iter_mut().flatten() {
            let c = &corrections[v.map];
            (0..2).for_each(|k| {
                v.value[k] -= c.offset[k];
                v.sigma[k] *= c.sigma_factor;
            });
        }
    }

    /// Median of every map on stable ground.
    ///
    /// # Errors
    /// [`Error::Option`] for a map with fewer than 20 cells there.
    pub fn stable_offsets(&self, maps: &[DisplacementMap], places: &str) -> Result<Vec<[f64; 2]>> {
        let of = |map: usize| {
            let list: Vec<[f64; 2]> = self.on_stable(map).map(|v| v.value).collect();
            if list.len() < 20 {
                let why =
                    format!("only {} sampled cells of {} lie there; give larger places", list.len(), maps[map].path());
                return Err(Error::option("--stable", places, why));
            }
            Ok([0, 1].map(|c| median(list.iter().map(|v| v[c]).collect())))
        };
        (0..maps.len()).map(of).collect()
    }

    /// Scatter of every map on stable ground over its sigma.
    pub fn stable_factors(&self, maps: usize) -> Vec<f64> {
        let of = |map: usize| {
            let z: Vec<f64> =
                self.on_stable(map).flat_map(|v| [0, 1].map(|c| (v.value[c] / v.sigma[c]).abs())).collect();
            1.4826 * median(z)
        };
        (0..maps).map(of).map(|f| if f > 0.0 { f } else { 1.0 }).collect()
    }

    fn on_stable(&self, map: usize) -> impl Iterator<Item = &Value> {
        let cells = self.cells.iter().zip(&self.stable).filter(|(_, on)| **on);
        cells.flat_map(|(c, _)| c).filter(move |v| v.map == map)
    }

    /// Median difference of every map of one event from what all say together; their mean is zero, weighted as the maps are.
    pub fn consensus_offsets(&mut self, net: &Network) -> Vec<[f64; 2]> {
        let maps = net.pairs.len();
        let mut total = vec![[0.0; 2]; maps];
        for _ in 0..10 {
            let mut found: Vec<[Vec<f64>; 2]> = vec![Default::default(); maps];
            let mut solver = Solver::default();
            for values in self.cells.iter().filter(|v| v.len() > 1) {
                // Without weights from residuals: an offset is no outlier.
                let Some(s) = solver.solve(net, values, 0.0, values.len() > 4) else { continue };
                for (v, r) in values.iter().zip(&s.residuals) {
                    (0..2).for_each(|c| found[v.map][c].push(r[c] * v.sigma[c]));
                }
            }
            let mut step: Vec<[f64; 2]> = found.into_iter().map(|f| f.map(median)).collect();
            for c in 0..2 {
                let mean = step.iter().map(|s| s[c]).sum::<f64>() / maps as f64;
                step.iter_mut().for_each(|s| s[c] -= mean);
            }
            for v in self.cells.iter_mut().flatten() {
                (0..2).for_each(|c| v.value[c] -= step[v.map][c]);
            }
            total.iter_mut().zip(&step).for_each(|(t, s)| (0..2).for_each(|c| t[c] += s[c]));
            let moved = step.iter().flatten().fold(0.0f64, |m, s| m.max(s.abs()));
            let size = total.iter().flatten().fold(0.0f64, |m, s| m.max(s.abs()));
            if moved <= 1e-3 * size.max(1e-12) {
                break;
            }
        }
        total
    }

    /// Factor on the sigma of every map, so that residuals are as large as they should be: iterated almost unbiased estimation of
    /// variance components (Horn, Horn and Duncan 1975, J. Am. Stat. Assoc. 70), with medians. Maps that no other checks
    /// get the median of the others. `keep`: maps that take part.
    pub fn scatter_factors(&self, net: &Network, rho: f64, keep: &[bool]) -> Vec<Option<f64>> {
        let maps = net.pairs.len();
        let mut factors = vec![1.0; maps];
        let mut known = vec![false; maps];
        let step = self.cells.len().div_ceil(4000).max(1);
        for _ in 0..12 {
            let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); maps];
            let mut solver = Solver::default();
            for cell in self.cells.iter().step_by(step) {
                let values: Vec<Value> = (cell.iter().filter(|v| keep[v.map]))
                    .map(|v| Value { sigma: v.sigma.map(|s| s * factors[v.map]), ..*v })
                    .collect();
                let Some(s) = solver.solve(net, &values, rho, true) else { continue };
                for c in 0..2 {
                    for (k, e) in s.expected(net, &values, c, rho).into_iter().enumerate() {
                        // Nothing checks a value whose residual can only be zero.
                        if e > 0.05 && s.residuals[k][c].is_finite() {
                            ratios[values[k].map].push(s.residuals[k][c].abs() / e.sqrt());
                        }
                    }
                }
            }
            let mut change = 0.0f64;
            for (map, list) in ratios.into_iter().enumerate() {
                known[map] = list.len() >= 50;
                if known[map] {
                    let ratio = (1.4826 * median(list)).clamp(0.2, 5.0);
                    factors[map] *= ratio;
                    change = change.max((ratio - 1.0).abs());
                }
            }
            // Two maps of an event share their residual: what each contributes cannot be told.
            if !net.dated && keep.iter().filter(|k| **k).count() == 2 {
                let both = factors.iter().zip(keep).filter(|(_, k)| **k).map(|(f, _)| f.ln()).sum::<f64>() / 2.0;
                factors.fill(both.exp());
            }
            if change < 0.01 {
                break;
            }
        }
        let found: Vec<f64> = (0..maps).filter(|m| known[*m]).map(|m| factors[m]).collect();
        if found.is_empty() {
            return vec![None; maps];
        }
        let middle = median(found);
        (0..maps).map(|m| Some(if known[m] { factors[m] } else { middle })).collect()
    }

    /// How well loops close, and which maps break them.
    pub fn closure(&self, net: &Network, factor: f64, rho: f64) -> Vec<Closure> {
        net.loops().into_iter().map(|l| self.close(net, l, factor, rho)).collect()
    }

    fn close(&self, net: &Network, l: Loop, factor: f64, rho: f64) -> Closure {
        let mut sums: [Vec<f64>; 2] = Default::default();
        let mut lengths = Vec::new();
        for cell in &self.cells {
            let parts: Vec<(&Value, f64)> =
                l.maps.iter().filter_map(|(m, s)| Some((cell.iter().find(|v| v.map == *m)?, *s))).collect();
            if parts.len() < l.maps.len() {
                continue;
            }
            let mut length = 0.0;
            for c in 0..2 {
                let sum: f64 = parts.iter().map(|(v, s)| s * v.value[c]).sum();
                let mut variance = 0.0;
                for (v, s) in &parts {
                    for (w, t) in &parts {
                        variance += s * t * v.sigma[c] * w.sigma[c] * net.correlation(v.map, w.map, rho);
                    }
                }
                // Where all errors are of images, loops close exactly; single errors remain.
                let alone: f64 = parts.iter().map(|(v, _)| v.sigma[c].powi(2)).sum();
                length += sum * sum / (variance.max(0.05 * alone) * factor * factor);
                sums[c].push(sum);
            }
            lengths.push(length);
        }
        let beyond = lengths.iter().filter(|l| **l > OPEN).count() as f64 / lengths.len().max(1) as f64;
        let nmad = |v: &Vec<f64>| {
            let m = median(v.clone());
            1.4826 * median(v.iter().map(|x| (x - m).abs()).collect())
        };
        Closure {
            days: l.days.iter().map(|d| net.days[*d]).collect(),
            maps: l.maps.iter().map(|m| m.0).collect(),
            cells: lengths.len(),
            median: [median(sums[0].clone()), median(sums[1].clone())],
            nmad: [nmad(&sums[0]), nmad(&sums[1])],
            open: beyond,
            broken: lengths.len() >= 20 && beyond > BROKEN,
        }
    }

    /// Share of the cells in which each map is rejected as an outlier.
    pub fn rejected(&self, net: &Network, rho: f64, keep: &[bool]) -> Vec<f64> {
        let maps = net.pairs.len();
        let (mut bad, mut all) = (vec![0usize; maps], vec![0usize; maps]);
        let mut solver = Solver::default();
        for cell in &self.cells {
            let values: Vec<Value> = cell.iter().filter(|v| keep[v.map]).copied().collect();
            if values.len() < 3 {
                continue;
            }
            if let Some(s) = solver.solve(net, &values, rho, true) {
                for (v, w) in values.iter().zip(&s.kept) {
                    all[v.map] += 1;
                    bad[v.map] += usize::from(*w < REJECTED);
                }
            }
        }
        (0..maps).map(|m| bad[m] as f64 / all[m].max(1) as f64).collect()
    }
}

/// Squared length of a closure over its variance, in both components together, that one in 370 exceeds when all is right.
const OPEN: f64 = 11.83;
/// Share of open cells above which a loop is broken.
const BROKEN: f64 = 0.25;

/// A loop of maps: its displacements should add up to zero.
#[derive(Debug, Clone, Serialize)]
pub struct Closure {
    pub days: Vec<super::dates::Day>,
    /// Places in the list of maps.
    pub maps: Vec<usize>,
    pub cells: usize,
    /// East and north.
    pub median: [f64; 2],
    pub nmad: [f64; 2],
    /// Share of the cells whose closure is beyond three standard deviations.
    pub open: f64,
    pub broken: bool,
}

/// Maps that explain the broken loops: again and again the one in the most of them, as long as it is in two at least and in more
/// than any other.
pub fn culprits(maps: usize, loops: &[Closure]) -> Vec<usize> {
    let mut broken: Vec<&Closure> = loops.iter().filter(|l| l.broken).collect();
    let mut found = Vec::new();
    loop {
        let count = |m: usize| broken.iter().filter(|l| l.maps.contains(&m)).count();
        let whole = |m: usize| loops.iter().filter(|l| !l.broken && l.maps.contains(&m)).count();
        let mut list: Vec<(usize, usize, usize)> = (0..maps).map(|m| (count(m), usize::MAX - whole(m), m)).collect();
        list.sort_by(|a, b| b.cmp(a));
        match list[..] {
            [(n, w, m), (second, v, _), ..] if n >= 2 && (n, w) > (second, v) => {
                found.push(m);
                broken.retain(|l| !l.maps.contains(&m));
            }
            _ => break,
        }
    }
    found.sort_unstable();
    found
}

/// Median, of the lower middle; NaN of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
