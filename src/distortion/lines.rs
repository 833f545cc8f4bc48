//! One value a scan line: jitter of the platform, stripes.
//!
//! The ground's own motion must not be taken for jitter. A running median along every block column (across the lines)
//! keeps what the ground does, a fault's step and the strain beside it, and loses what changes from line to line; what is
//! left of a line, taken together by a robust mean over all its blocks, is its jitter. Where a fault crosses a line only
//! the few blocks at the crossing disagree. Repeated, because the running median of a wave is not zero, and each time
//! without the waves longer than a given length (the first terms of a cosine series): those cannot be told from the
//! ground's motion, and strain without the fault's step, which the robust mean rejects, would pile up in them.
//!
//! Longer jitter, and what the cosine series takes at the first and last lines, can be had only where the ground does not
//! move: on the stable ground that is given, or else on blocks that lie within the noise of the surface. From line to line
//! more of them do. Lines without such ground keep their short waves and get the rest from their neighbours.

use super::table::{Block, LineTable};
use crate::robust;
use rayon::prelude::*;

/// A table's values, as rows of blocks; NaN where there is none.
#[derive(Debug, Clone)]
pub struct Field {
    pub lines: usize,
    pub blocks: usize,
    pub values: [Vec<f64>; 2],
    pub stable: Vec<bool>,
}

impl Field {
    /// The values less `remove`.
    pub fn of(table: &LineTable, remove: impl Fn(&Block) -> [f64; 2] + Sync) -> Field {
        let n = table.lines * table.blocks;
        let all: Vec<([f64; 2], bool)> = (0..n)
            .into_par_iter()
            .map(|i| match table.block(i / table.blocks, i % table.blocks) {
                Some(b) => {
                    let r = remove(&b);
                    ([b.values[0] - r[0], b.values[1] - r[1]], b.stable)
                }
                None => ([f64::NAN; 2], false),
            })
            .collect();
        Field {
            lines: table.lines,
            blocks: table.blocks,
            values: [0, 1].map(|k| all.iter().map(|a| a.0[k]).collect()),
            stable: all.iter().map(|a| a.1).collect(),
        }
    }

    /// Standard deviation of a value, by the differences between blocks `lag` apart on the same line.
    pub fn noise(&self, component: usize, lag: usize) -> f64 {
        let differences = (0..self.lines).flat_map(|line| {
            let row = self.line(component, line);
            (lag..self.blocks).map(move |i| row[i] - row[i - lag]).filter(|d| d.is_finite())
        });
        let differences: Vec<f64> = differences.collect();
        if differences.is_empty() { 0.0 } else { robust::scale(&differences, 0.0) / std::f64::consts::SQRT_2 }
    }

    /// One component of a line.
    pub fn line(&self, component: usize, line: usize) -> &[f64] {
        &self.values[component][line * self.blocks..(line + 1) * self.blocks]
    }
}

/// Rounds at most, and the change in standard errors at which the rounds end.
const ROUNDS: usize = 6;
const STILL: f64 = 0.05;
/// Ground that moves by less than so many standard deviations counts as still; how often it is looked for.
const STEADY: f64 = 3.0;
const LEVELS: usize = 8;

/// The jitter of each line. `longest` is the longest wave in lines; `known`: stable ground is given; `lag`: distance in blocks
/// at which windows do not overlap.
pub fn jitter(field: &Field, longest: f64, known: bool, lag: usize) -> [Vec<f64>; 2] {
    let mut jitter = [0, 1].map(|k| short_waves(field, k, longest));
    if known {
        let stable = &field.stable;
        for (k, values) in jitter.iter_mut().enumerate() {
            level(field, k, values, stable, (field.blocks / 20).max(3));
        }
        return jitter;
    }
    let least = (field.blocks / 10).max(5);
    let noise = [0, 1].map(|k| STEADY * field.noise(k, lag));
    for _ in 0..LEVELS {
        let still = |i: usize| {
            let near = |k: usize| (field.values[k][i] - jitter[k][i / field.blocks]).abs() < noise[k];
            near(0) && near(1)
        };
        let still: Vec<bool> = (0..field.lines * field.blocks).into_par_iter().map(still).collect();
        for (k, values) in jitter.iter_mut().enumerate() {
            level(field, k, values, &still, least);
        }
    }
    jitter
}

/// Waves up to `longest` lines.
fn short_waves(field: &Field, component: usize, longest: f64) -> Vec<f64> {
    let half = ((0.5 * longest).round() as usize).max(1);
    let mut jitter = vec![0.0; field.lines];
    for _ in 0..ROUNDS {
        let left = rest(field, component, half, &jitter);
        let found: Vec<Option<robust::Location>> = (0..field.lines)
            .into_par_iter()
            .map(|line| {
                let row = &left[line * field.blocks..(line + 1) * field.blocks];
                robust::location(&mut row.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>())
            })
            .collect();
        let mut errors: Vec<f64> = found.iter().flatten().map(|f| f.error).collect();
        let change = interpolated(&found.iter().map(|f| f.map_or(f64::NAN, |f| f.value)).collect::<Vec<_>>());
        let next: Vec<f64> = jitter.iter().zip(&change).map(|(j, c)| j + c).collect();
        let next = without_long_waves(&next, longest);
        let change: Vec<f64> = jitter.iter().zip(&next).map(|(j, n)| n - j).collect();
        jitter = next;
        let largest = change.iter().fold(0.0, |a: f64, c| a.max(c.abs()));
        if errors.is_empty() || largest <= STILL * robust::median(&mut errors) {
            break;
        }
    }
    jitter
}

/// The values less the terms of their cosine series (DCT-II) with waves longer than `longest` places.
fn without_long_waves(values: &[f64], longest: f64) -> Vec<f64> {
    let n = values.len() as f64;
    let mut out = values.to_vec();
    for k in 0..=(2.0 * n / longest).floor() as usize {
        let wave = |i: usize| (std::f64::consts::PI * k as f64 * (i as f64 + 0.5) / n).cos();
        let norm = if k == 0 { 1.0 / n } else { 2.0 / n };
        let amplitude = norm * values.iter().enumerate().map(|(i, v)| v * wave(i)).sum::<f64>();
        out.iter_mut().enumerate().for_each(|(i, v)| *v -= amplitude * wave(i));
    }
    out
}

/// Values without jitter, less their running median across the lines.
fn rest(field: &Field, component: usize, half: usize, jitter: &[f64]) -> Vec<f64> {
    let columns: Vec<Vec<f64>> = (0..field.blocks)
        .into_par_iter()
        .map(|block| {
            let value = |line: usize| field.line(component, line)[block] - jitter[line];
            let column: Vec<f64> = (0..field.lines).map(value).collect();
            let middle = running_median(&column, half);
            column.iter().zip(&middle).map(|(v, m)| v - m).collect()
        })
        .collect();
    let mut out = vec![f64::NAN; field.lines * field.blocks];
    for (block, column) in columns.iter().enumerate() {
        for (line, v) in column.iter().enumerate() {
            out[line * field.blocks + block] = *v;
        }
    }
    out
}

/// Median of the values within `half` places of each; gaps (NaN) do not count, and stay.
pub fn running_median(values: &[f64], half: usize) -> Vec<f64> {
    // The window's values in order.
    let mut window: Vec<f64> = Vec::with_capacity(2 * half + 1);
    let place = |window: &Vec<f64>, v: f64| window.partition_point(|w| w.total_cmp(&v).is_lt());
    let mut out = Vec::with_capacity(values.len());
    for i in 0..values.len() + half {
        if let Some(v) = values.get(i).filter(|v| v.is_finite()) {
            let at = place(&window, *v);
            window.insert(at, *v);
        }
        if let Some(v) = i.checked_sub(2 * half + 1).map(|k| values[k]).filter(|v| v.is_finite()) {
            let at = place(&window, v);
            window.remove(at);
        }
        let Some(centre) = i.checked_sub(half) else { continue };
        let n = window.len();
        out.push(match values[centre].is_finite() && n > 0 {
            true => 0.5 * (window[(n - 1) / 2] + window[n / 2]),
            false => f64::NAN,
        });
    }
    out
}

/// Raises or lowers the jitter of each line to what the blocks that are `still` show, where there are `least` of them; of
/// other lines as much as of their neighbours.
fn level(field: &Field, component: usize, jitter: &mut [f64], still: &[bool], least: usize) {
    let offset = |line: usize| {
        let row = field.line(component, line);
        let still = &still[line * field.blocks..(line + 1) * field.blocks];
        let mut values: Vec<f64> =
            row.iter().zip(still).filter(|(v, s)| **s && v.is_finite()).map(|(v, _)| v - jitter[line]).collect();
        let found = if values.len() >= least { robust::location(&mut values) } else { None };
        found.map_or(f64::NAN, |f| f.value)
    };
    let offsets: Vec<f64> = (0..field.lines).into_par_iter().map(offset).collect();
    jitter.iter_mut().zip(interpolated(&offsets)).for_each(|(j, o)| *j += o);
}

/// Gaps (NaN) filled on a straight line between their neighbours, at the ends with the next value; zeros where there is none
/// at all.
pub fn interpolated(values: &[f64]) -> Vec<f64> {
    let known: Vec<usize> = (0..values.len()).filter(|i| values[*i].is_finite()).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return vec![0.0; values.len()] };
    let value = |i: usize| {
        let k = known.partition_point(|p| *p < i);
        match (known.get(k), k.checked_sub(1).map(|k| known[k])) {
            (Some(&next), _) if next == i => values[i],
            (Some(&next), Some(before)) => {
                let f = (i - before) as f64 / (next - before) as f64;
                (1.0 - f) * values[before] + f * values[next]
            }
            (Some(_), None) => values[*first],
            (None, _) => values[*last],
        }
    };
    (0..values.len()).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition.
    fn slow(values: &[f64], half: usize) -> Vec<f64> {
        let middle = |i: usize| {
            let near = &values[i.saturating_sub(half)..(i + half + 1).min(values.len())];
            let mut near: Vec<f64> = near.iter().copied().filter(|v| v.is_finite()).collect();
            if values[i].is_finite() { robust::median(&mut near) } else { f64::NAN }
        };
        (0..values.len()).map(middle).collect()
    }

    #[test]
    fn the_running_median_is_that_of_its_definition() {
        for (n, half) in [(50, 3), (20, 30), (7, 0), (1, 2), (64, 31)] {
            let value = |i: usize| if i % 11 == 5 { f64::NAN } else { ((i * 37) % 23) as f64 - 0.1 * i as f64 };
            let values: Vec<f64> = (0..n).map(value).collect();
            let (got, want) = (running_median(&values, half), slow(&values, half));
            assert_eq!(got.len(), n);
            for (g, w) in got.iter().zip(&want) {
                assert!(g == w || (g.is_nan() && w.is_nan()), "{n} {half}: {g} {w}");
            }
        }
    }

    #[test]
    fn gaps_are_filled_on_lines() {
        let nan = f64::NAN;
        assert_eq!(interpolated(&[nan, 1.0, nan, nan, 4.0, nan]), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(interpolated(&[nan, nan]), [0.0, 0.0]);
    }

    #[test]
    fn jitter_is_found_beside_a_fault_and_the_fault_is_left() {
        let (lines, blocks) = (200, 100);
        let wave = |t: usize| 0.2 * (t as f64 * 0.41).sin() + 0.1 * (t as f64 * 0.17).cos();
        let ground = |s: usize, t: usize| {
            let n = s as f64 - 50.0 - 0.3 * (t as f64 - 100.0);
            0.5 * n.signum() * (-n.abs() / 60.0).exp()
        };
        let values = |k: f64| {
            let noise = |i: usize| 0.02 * (((i * 7919 + 13) % 997) as f64 / 498.0 - 1.0);
            (0..lines * blocks).map(|i| k * wave(i / blocks) + ground(i % blocks, i / blocks) + noise(i)).collect()
        };
        let field = Field { lines, blocks, values: [values(1.0), values(-0.5)], stable: vec![true; lines * blocks] };
        let found = jitter(&field, 60.0, false, 1);
        for (k, factor) in [(0, 1.0), (1, -0.5)] {
            let error: Vec<f64> = (0..lines).map(|t| found[k][t] - factor * wave(t)).collect();
            let mean = error.iter().sum::<f64>() / lines as f64;
            let rms = (error.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / lines as f64).sqrt();
            // Of which 0.0099 px are long waves in the truth itself.
            assert!(rms < 0.011, "component {k}: {rms}");
        }
    }
}
