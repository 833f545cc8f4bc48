//! Seams between detectors: steps at fixed places along the lines.
//!
//! At every place along the lines the medians on both sides are compared, line by line, and the differences of all lines are
//! taken together by a robust mean. A fault crosses a given place in a few lines only; strain makes a difference that
//! changes slowly along the lines and is removed by a running median. What stands out and is the same in all parts of the
//! scene is a seam. The windows of the matching turn its step into a ramp; the area under the ramp says where the seam is.
//!
//! A fault that runs along a column through the whole scene, with the same slip everywhere, cannot be told from a seam.

use super::direction::Direction;
use super::lines::{Field, running_median};
use super::model::Steps;
use super::table::LineTable;
use crate::robust;
use rayon::prelude::*;

/// Which seams there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Seams {
    /// Wherever a step stands out.
    Found,
    /// At these positions along the lines.
    At(Vec<f64>),
}

/// Standard deviations by which a step must stand out.
const CLEAR: f64 = 7.0;
/// Blocks compared on each side, beyond the guard.
const REACH: usize = 6;
/// A step below this share of the scatter of a single line is no seam worth removing.
const LEAST: f64 = 0.25;
/// Groups of neighbouring lines, how many of them at least must agree on a seam (a fault may cross it in the others), and on how
/// much of its step. With fewer, a steep fault is taken for a seam.
const GROUPS: usize = 8;
const AGREE: usize = 6;
const DIFFER: f64 = 0.35;

/// Steps in `field`. `guard` is the distance from a seam up to which matching windows see both sides, `width` that of
/// [`Steps`].
pub fn find(table: &LineTable, field: &Field, seams: &Seams, guard: f64, width: f64) -> Option<Steps> {
    let guard = ((guard / table.length).ceil() as usize).max(1);
    let reach = REACH.min(table.blocks.saturating_sub(2 * guard) / 2);
    if reach < 2 {
        return None;
    }
    let profile = Profile::new(field, guard, reach);
    let mut places: Vec<(f64, usize)> = match seams {
        Seams::Found => {
            let places = profile.peaks();
            places.into_iter().map(|c| (position(table, field, &profile, c), c)).collect()
        }
        Seams::At(edges) => {
            let nearest = |e: &f64| ((e - table.start) / table.length).round().max(0.0) as usize;
            edges.iter().map(|e| (*e, nearest(e).clamp(guard + 1, table.blocks - guard - 1))).collect()
        }
    };
    places.retain(|(_, c)| profile.steps[0][*c].is_finite() && profile.steps[1][*c].is_finite());
    if places.is_empty() {
        return None;
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let levels = [0, 1].map(|k| {
        let mut level = 0.0;
        let mut levels = vec![0.0];
        for (_, c) in &places {
            level += profile.steps[k][*c];
            levels.push(level);
        }
        // The mean over the lines belongs to the surface.
        let end = table.start + table.blocks as f64 * table.length;
        let bounds: Vec<f64> = [table.start].into_iter().chain(places.iter().map(|p| p.0)).chain([end]).collect();
        let widths = bounds.windows(2).map(|b| (b[1] - b[0]).max(0.0));
        let mean = levels.iter().zip(widths).map(|(l, w)| l * w).sum::<f64>() / (end - table.start);
        levels.iter_mut().for_each(|l| *l -= mean);
        levels
    });
    Some(Steps { direction: table.direction, edges: places.iter().map(|p| p.0).collect(), levels, width })
}

/// The step at each boundary between blocks.
struct Profile {
    guard: usize,
    reach: usize,
    /// Less what strain makes; NaN where it cannot be had.
    steps: [Vec<f64>; 2],
    /// The same for each group of lines.
    groups: [Vec<[f64; GROUPS]>; 2],
    /// Scatter of a single line.
    scatter: [Vec<f64>; 2],
}

impl Profile {
    fn new(field: &Field, guard: usize, reach: usize) -> Profile {
        let (mut steps, mut groups, mut scatter) =
            ([const { Vec::new() }; 2], [const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for k in 0..2 {
            let raw: Vec<Step> = (0..field.blocks).into_par_iter().map(|c| step(field, k, c, guard, reach)).collect();
            let slow = running_median(&raw.iter().map(|r| r.all).collect::<Vec<_>>(), 2 * (2 * guard + reach));
            steps[k] = raw.iter().zip(&slow).map(|(r, s)| r.all - s).collect();
            // The ground strains differently in each.
            let each: [Vec<f64>; GROUPS] = std::array::from_fn(|g| {
                let own: Vec<f64> = raw.iter().map(|r| r.groups[g]).collect();
                own.iter().zip(running_median(&own, 2 * (2 * guard + reach))).map(|(v, s)| v - s).collect()
            });
            groups[k] = (0..field.blocks).map(|c| std::array::from_fn(|g| each[g][c])).collect();
            scatter[k] = raw.iter().map(|r| r.scatter).collect();
        }
        Profile { guard, reach, steps, groups, scatter }
    }

    /// Where steps stand out, the largest first, none in the reach of a larger one.
    fn peaks(&self) -> Vec<usize> {
        let spread = [0, 1].map(|k| {
            let known: Vec<f64> = self.steps[k].iter().copied().filter(|v| v.is_finite()).collect();
            robust::scale(&known, 0.0).max(1e-9)
        });
        let size = |c: usize| (self.steps[0][c] / spread[0]).hypot(self.steps[1][c] / spread[1]);
        let large = |c: usize| (0..2).any(|k| self.steps[k][c].abs() > LEAST * self.scatter[k][c]);
        let n = self.steps[0].len();
        let mut order: Vec<usize> = (0..n).filter(|c| size(*c) > CLEAR && large(*c)).collect();
        order.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
        let mut found: Vec<usize> = Vec::new();
        for c in order {
            if found.iter().all(|f| f.abs_diff(c) > 2 * self.guard + self.reach) {
                found.push(c);
            }
        }
        // Judged after the neighbours are cleared: the flank of a fault is no seam because its middle is none.
        found.retain(|c| self.agreed(*c));
        found
    }

    /// Whether most groups of lines have the step.
    fn agreed(&self, c: usize) -> bool {
        let step = [self.steps[0][c], self.steps[1][c]];
        let size = step[0].hypot(step[1]);
        let agrees = |g: &usize| {
            let off = [0, 1].map(|k| self.groups[k][c][*g] - step[k]);
            off[0].hypot(off[1]) <= DIFFER * size
        };
        let known = (0..GROUPS).filter(|g| self.groups[0][c][*g].is_finite() && self.groups[1][c][*g].is_finite());
        let known: Vec<usize> = known.collect();
        known.len() >= 2 && known.iter().filter(|g| agrees(g)).count() * GROUPS >= AGREE * known.len()
    }
}

/// The difference between the two sides of a boundary.
struct Step {
    all: f64,
    groups: [f64; GROUPS],
    scatter: f64,
}

/// Robust mean over the lines of the difference between the two sides of the boundary before block `c`; on stable ground
/// where there is enough of it.
fn step(field: &Field, component: usize, c: usize, guard: usize, reach: usize) -> Step {
    let none = Step { all: f64::NAN, groups: [f64::NAN; GROUPS], scatter: f64::NAN };
    if c < guard + reach || c + guard + reach > field.blocks {
        return none;
    }
    let side = |line: usize, range: std::ops::Range<usize>, stable: bool| {
        let from = line * field.blocks;
        let usable = |s: &usize| field.values[component][from + s].is_finite() && (!stable || field.stable[from + s]);
        let mut values: Vec<f64> = range.filter(usable).map(|s| field.values[component][from + s]).collect();
        (2 * values.len() >= reach).then(|| robust::median(&mut values))
    };
    let differences = |stable: bool| -> Vec<(usize, f64)> {
        let difference = |line: usize| {
            let left = side(line, c - guard - reach..c - guard, stable)?;
            Some((line, side(line, c + guard..c + guard + reach, stable)? - left))
        };
        (0..field.lines).filter_map(difference).collect()
    };
    let mut values = differences(true);
    if values.len() < (field.lines / 10).max(5) {
        values = differences(false);
    }
    let mean = |from: usize, to: usize| {
        let part = values.iter().filter(|(line, _)| (from..to).contains(line));
        robust::location(&mut part.map(|(_, v)| *v).collect::<Vec<_>>())
    };
    let Some(all) = mean(0, field.lines) else { return none };
    let bound = |g: usize| g * field.lines / GROUPS;
    Step {
        all: all.value,
        groups: std::array::from_fn(|g| mean(bound(g), bound(g + 1)).map_or(f64::NAN, |f| f.value)),
        scatter: all.error * (values.len() as f64).sqrt(),
    }
}

/// The seam near the boundary before block `c`, from the area beside the ramp.
fn position(table: &LineTable, field: &Field, profile: &Profile, c: usize) -> f64 {
    let (guard, reach) = (profile.guard, profile.reach);
    let jump = [profile.steps[0][c], profile.steps[1][c]];
    let square = jump[0] * jump[0] + jump[1] * jump[1];
    let mut edge = table.start + (c - guard) as f64 * table.length;
    for s in c - guard..c + guard {
        let height = [0, 1].map(|k| {
            let above = |line: usize| {
                let row = field.line(k, line);
                let mut left: Vec<f64> =
                    row[c - guard - reach..c - guard].iter().copied().filter(|v| v.is_finite()).collect();
                (row[s].is_finite() && 2 * left.len() >= reach).then(|| row[s] - robust::median(&mut left))
            };
            robust::location(&mut (0..field.lines).filter_map(above).collect::<Vec<_>>()).map_or(0.0, |f| f.value)
        });
        let done = (height[0] * jump[0] + height[1] * jump[1]) / square;
        edge += (1.0 - done.clamp(0.0, 1.0)) * table.length;
    }
    edge
}

/// Seams at given positions of the x axis (rows) or y axis (columns) as positions along `direction`.
pub fn along(direction: Direction, edges: &[f64]) -> Vec<f64> {
    let mut edges: Vec<f64> = match direction {
        Direction::COLUMNS => edges.iter().map(|e| direction.split(0.0, *e).0).collect(),
        _ => edges.iter().map(|e| direction.split(*e, 0.0).0).collect(),
    };
    edges.sort_by(f64::total_cmp);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, normal, stream};

    fn table(step: f64) -> LineTable {
        let (width, height) = (128, 128);
        let mut rng = stream(7, Purpose::NoisePost);
        let mut table = LineTable::new(Direction::ROWS, (4.0, 4.0), (8.0, 8.0), (width, height));
        for j in 0..height {
            for i in 0..width {
                let (x, y) = (4.0 + 8.0 * i as f64, 4.0 + 8.0 * j as f64);
                // A seam at x = 610 seen by windows of 64 px, and a fault that crosses.
                let seam = ((x - 610.0 + 32.0) / 64.0).clamp(0.0, 1.0);
                let n = x - 100.0 - 0.25 * y;
                let fault = 0.5 * n.signum() * (-n.abs() / 100.0).exp();
                let noise = 0.012 * normal(&mut rng);
                table.add(x, y, [step * seam + fault + noise, -0.5 * step * seam + noise], true);
            }
        }
        table
    }

    fn jump(steps: &Steps, k: usize) -> f64 {
        steps.levels[k][1] - steps.levels[k][0]
    }

    #[test]
    fn a_seam_is_found_where_it_is_and_a_fault_is_none() {
        let table = table(0.3);
        let field = Field::of(&table, |_| [0.0; 2]);
        let steps = find(&table, &field, &Seams::Found, 32.0, 0.0).unwrap();
        assert_eq!(steps.edges.len(), 1, "{steps:?}");
        assert!((steps.edges[0] - 610.0).abs() < 3.0, "{steps:?}");
        // The fault's strain, which is not the same on both sides of the seam, costs 4 % of the step east.
        assert!((jump(&steps, 0) - 0.3).abs() < 0.015 && (jump(&steps, 1) + 0.15).abs() < 0.01, "{steps:?}");
        let given = find(&table, &field, &Seams::At(vec![610.0]), 32.0, 0.0).unwrap();
        assert_eq!(given.edges, [610.0]);
        assert!((jump(&given, 0) - 0.3).abs() < 0.015, "{given:?}");
    }

    #[test]
    fn without_a_seam_there_is_none() {
        let table = table(0.0);
        assert_eq!(find(&table, &Field::of(&table, |_| [0.0; 2]), &Seams::Found, 32.0, 0.0), None);
    }
}
