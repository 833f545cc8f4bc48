//! Seams between detectors: steps at fixed places along the lines.
//!
//! At every place along the lines the medians on both sides are compared, line by line, and the differences of all lines are
//! taken together by a robust mean. A fault crosses a given place in a few lines only; strain makes a difference that
//! changes slowly along the lines and is removed by a running median. What stands out is a seam. The windows of the
//! matching turn its step into a ramp; the area under the ramp says where the seam is.

use super::direction::Direction;
use super::lines::{Field, running_median};
use super::model::Steps;
use super::robust;
use super::table::LineTable;
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
const REACH: usize = 8;

/// Steps in `field`. `guard` is the distance from a seam up to which matching windows see both sides.
pub fn find(table: &LineTable, field: &Field, seams: &Seams, guard: f64) -> Option<Steps> {
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
        levels
    });
    Some(Steps { direction: table.direction, edges: places.iter().map(|p| p.0).collect(), levels })
}

/// The step at each boundary between blocks.
struct Profile {
    guard: usize,
    reach: usize,
    /// Less what strain makes; NaN where it cannot be had.
    steps: [Vec<f64>; 2],
}

impl Profile {
    fn new(field: &Field, guard: usize, reach: usize) -> Profile {
        let steps = [0, 1].map(|k| {
            let raw: Vec<f64> =
                (0..field.blocks).into_par_iter().map(|c| step(field, k, c, guard, reach)).collect();
            let slow = running_median(&raw, 2 * (2 * guard + reach));
            raw.iter().zip(&slow).map(|(r, s)| r - s).collect()
        });
        Profile { guard, reach, steps }
    }

    /// Where steps stand out, the largest first, none in the reach of a larger one.
    fn peaks(&self) -> Vec<usize> {
        let spread = [0, 1].map(|k| {
            let known: Vec<f64> = self.steps[k].iter().copied().filter(|v| v.is_finite()).collect();
            robust::scale(&known, 0.0).max(1e-9)
        });
        let size = |c: usize| (self.steps[0][c] / spread[0]).hypot(self.steps[1][c] / spread[1]);
        let n = self.steps[0].len();
        let mut order: Vec<usize> = (0..n).filter(|c| size(*c) > CLEAR).collect();
        order.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
        let mut found: Vec<usize> = Vec::new();
        for c in order {
            if found.iter().all(|f| f.abs_diff(c) > 2 * self.guard + self.reach) {
                found.push(c);
            }
        }
        found
    }
}

/// Robust mean over the lines of the difference between the two sides of the boundary before block `c`; on stable ground
/// where there is enough of it.
fn step(field: &Field, component: usize, c: usize, guard: usize, reach: usize) -> f64 {
    if c < guard + reach || c + guard + reach > field.blocks {
        return f64::NAN;
    }
    let side = |line: usize, range: std::ops::Range<usize>, stable: bool| {
        let from = line * field.blocks;
        let usable = |s: &usize| field.values[component][from + s].is_finite() && (!stable || field.stable[from + s]);
        let mut values: Vec<f64> = range.filter(usable).map(|s| field.values[component][from + s]).collect();
        (2 * values.len() >= reach).then(|| robust::median(&mut values))
    };
    let differences = |stable: bool| -> Vec<f64> {
        let difference = |line: usize| {
            let left = side(line, c - guard - reach..c - guard, stable)?;
            Some(side(line, c + guard..c + guard + reach, stable)? - left)
        };
        (0..field.lines).filter_map(difference).collect()
    };
    let mut values = differences(true);
    if values.len() < (field.lines / 10).max(5) {
        values = differences(false);
    }
    robust::location(&mut values).map_or(f64::NAN, |f| f.value)
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

    fn table(step: f64) -> LineTable {
        let (width, height) = (128, 60);
        let mut table = LineTable::new(Direction::ROWS, (4.0, 4.0), (8.0, 8.0), (width, height));
        for j in 0..height {
            for i in 0..width {
                let (x, y) = (4.0 + 8.0 * i as f64, 4.0 + 8.0 * j as f64);
                // A seam at x = 610 seen by windows of 64 px, and a fault that crosses.
                let seam = ((x - 610.0 + 32.0) / 64.0).clamp(0.0, 1.0);
                let n = x - 300.0 - 0.5 * y;
                let fault = 0.5 * n.signum() * (-n.abs() / 300.0).exp();
                let noise = 0.02 * (((i * 7919 + j * 613) % 997) as f64 / 498.0 - 1.0);
                table.add(x, y, [step * seam + fault + noise, -0.5 * step * seam + noise], true);
            }
        }
        table
    }

    #[test]
    fn a_seam_is_found_where_it_is_and_a_fault_is_none() {
        let table = table(0.3);
        let field = Field::of(&table, |_| [0.0; 2]);
        let steps = find(&table, &field, &Seams::Found, 32.0).unwrap();
        assert_eq!(steps.edges.len(), 1, "{steps:?}");
        assert!((steps.edges[0] - 610.0).abs() < 3.0, "{steps:?}");
        assert!((steps.levels[0][1] - 0.3).abs() < 0.01 && (steps.levels[1][1] + 0.15).abs() < 0.01, "{steps:?}");
        let given = find(&table, &field, &Seams::At(vec![610.0]), 32.0).unwrap();
        assert_eq!(given.edges, [610.0]);
        assert!((given.levels[0][1] - 0.3).abs() < 0.01, "{given:?}");
    }

    #[test]
    fn without_a_seam_there_is_none() {
        let table = table(0.0);
        assert_eq!(find(&table, &Field::of(&table, |_| [0.0; 2]), &Seams::Found, 32.0), None);
    }
}
