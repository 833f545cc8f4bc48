//! A look at sample cells before anything is written: offsets between the maps, how large their errors really are, whether
//! loops close.

use serde::Serialize;

use super::inputs::{Sampler, Strip, Target};
use super::network::{Loop, Network};
use super::solve::{REJECTED, Solver, Value};
use crate::grid::PointFile;
use crate::map::DisplacementMap;
use crate::progress::Progress;
use crate::robust::{self, MAD};
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
            MAD * median(z)
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

    /// Factor on the sigma of every map, so that residuals are as large as they should be, with medians. `keep`: maps that take
    /// part; `None` where nothing checks any map.
    ///
    /// Maps of one event: iterated almost unbiased estimation of variance components (Horn, Horn and Duncan 1975, J. Am. Stat.
    /// Assoc. 70), map by map. In a network few loops check a map, and the maps of a loop share what it leaves open: there
    /// all maps have one factor, and a map gets one of its own only where its residuals ask for it clearly, the worst first.
    pub fn scatter_factors(&self, net: &Network, rho: f64, keep: &[bool]) -> Vec<Option<f64>> {
        let maps = net.pairs.len();
        let mut factors = vec![1.0; maps];
        let first = self.ratios(net, rho, keep, &factors);
        let known: Vec<bool> = first.iter().map(Option::is_some).collect();
        if !known.contains(&true) {
            return vec![None; maps];
        }
        let single = net.dated || keep.iter().filter(|k| **k).count() == 2;
        let rounds = if net.dated { 6 + 2 * maps } else { 12 };
        for round in 0..rounds {
            let ratios = self.ratios(net, rho, keep, &factors);
            let found: Vec<f64> = ratios.iter().flatten().copied().collect();
            if found.is_empty() {
                break;
            }
            let mut change = 0.0f64;
            if single && (round < 6 || !net.dated) {
                // One factor for all; for two maps of an event too: they share their residual.
                let common = median(found);
                factors.iter_mut().for_each(|f| *f *= common);
                change = common.ln().abs();
                if net.dated && change < 0.02 {
                    // On to single maps.
                    change = 1.0;
                }
            } else if single {
                let worst = (0..maps)
                    .filter_map(|m| Some((m, ratios[m]?)))
                    .max_by(|a, b| a.1.ln().abs().total_cmp(&b.1.ln().abs()));
                if let Some((map, ratio)) = worst.filter(|w| w.1.ln().abs() > CLEAR.ln()) {
                    factors[map] *= ratio;
                    change = 1.0;
                }
            } else {
                for (f, r) in factors.iter_mut().zip(&ratios) {
                    let r = r.unwrap_or(1.0);
                    *f *= r;
                    change = change.max(r.ln().abs());
                }
            }
            if change < 0.01 {
                break;
            }
        }
        let middle = median((0..maps).filter(|m| known[*m]).map(|m| factors[m]).collect());
        (0..maps).map(|m| Some(if known[m] { factors[m] } else { middle })).collect()
    }

    /// Size of each map's residuals over what it should be; `None` for maps that no other checks.
    fn ratios(&self, net: &Network, rho: f64, keep: &[bool], factors: &[f64]) -> Vec<Option<f64>> {
        let maps = net.pairs.len();
        let step = self.cells.len().div_ceil(if net.dated { 1000 } else { 4000 }).max(1);
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
        let one = |list: Vec<f64>| (list.len() >= 50).then(|| (MAD * median(list)).clamp(0.2, 5.0));
        ratios.into_iter().map(one).collect()
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
            MAD * median(v.iter().map(|x| (x - m).abs()).collect())
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
/// A map of a network gets a factor of its own where its residuals are larger or smaller than they should be by this.
const CLEAR: f64 = 1.25;
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
/// than any other; and a map that no sound loop vouches for, where all others of its broken loop have one.
pub fn culprits(maps: usize, loops: &[Closure]) -> Vec<usize> {
    let mut broken: Vec<&Closure> = loops.iter().filter(|l| l.broken).collect();
    let sound = |m: usize| loops.iter().filter(|l| !l.broken && l.cells > 0 && l.maps.contains(&m)).count();
    let mut found = Vec::new();
    loop {
        let count = |m: usize| broken.iter().filter(|l| l.maps.contains(&m)).count();
        let mut list: Vec<(usize, usize, usize)> = (0..maps).map(|m| (count(m), usize::MAX - sound(m), m)).collect();
        list.sort_by(|a, b| b.cmp(a));
        let most = match list[..] {
            [(n, w, m), (second, v, _), ..] if n >= 2 && (n, w) > (second, v) => Some(m),
            _ => None,
        };
        let alone = |m: &usize| {
            let others = broken.iter().filter(|l| l.maps.contains(m)).flat_map(|l| &l.maps).filter(|o| *o != m);
            count(*m) > 0 && sound(*m) == 0 && others.clone().all(|o| sound(*o) > 0)
        };
        let Some(map) = most.or_else(|| (0..maps).find(alone)) else { break };
        found.push(map);
        broken.retain(|l| !l.maps.contains(&map));
    }
    found.sort_unstable();
    found
}

/// Median; NaN of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    robust::median(&mut values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_name_the_map_that_breaks_them_or_none() {
        let l = |maps: &[usize], broken: bool| Closure {
            days: Vec::new(),
            maps: maps.to_vec(),
            cells: 100,
            median: [0.0; 2],
            nmad: [0.0; 2],
            open: 0.0,
            broken,
        };
        // In two broken loops.
        assert_eq!(culprits(5, &[l(&[0, 1, 2], true), l(&[0, 3, 4], true), l(&[1, 2, 4], false)]), [0]);
        // In the only loop, which others share with sound loops.
        assert_eq!(culprits(5, &[l(&[0, 1, 2], true), l(&[1, 3, 4], false), l(&[2, 3, 4], false)]), [0]);
        // Any of the three could be it.
        assert!(culprits(3, &[l(&[0, 1, 2], true)]).is_empty());
        // Two of them, apart.
        let loops =
            [l(&[0, 1, 2], true), l(&[0, 1, 3], true), l(&[4, 5, 2], true), l(&[4, 5, 3], false), l(&[1, 3, 2], false)];
        assert_eq!(culprits(6, &loops), [0]);
    }
}
