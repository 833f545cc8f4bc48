//! Profiles stacked along strike, in bins of the distance from the fault.

use serde::Serialize;

use super::Lengths;
use super::collect::Cell;
use super::fit::{median, nmad};
use super::rise::{Rise, rise};
use crate::map::reader::DisplacementMap;

/// One bin: distance of its middle, number of cells, and the two components.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    pub distance: f64,
    pub n: usize,
    /// Share of its cells whose window contains the trace.
    pub excluded: f64,
    pub parallel_median: f64,
    pub parallel_mean: f64,
    /// 1.4826 × the median distance from the median.
    pub parallel_nmad: f64,
    pub normal_median: f64,
    pub normal_mean: f64,
    pub normal_nmad: f64,
}

/// Bins one cell wide; each swath's cells come with the levels (parallel, normal) to be taken off.
pub fn bins(parts: &[(&[Cell], f64, f64)], lengths: &Lengths) -> Vec<Bin> {
    let half = (lengths.length / lengths.cell).ceil() as i64;
    let mut lists: Vec<(Vec<f64>, Vec<f64>, usize)> = vec![Default::default(); (2 * half) as usize];
    for (cells, parallel, normal) in parts {
        for c in *cells {
            let k = ((c.d / lengths.cell).floor() as i64).clamp(-half, half - 1) + half;
            let list = &mut lists[k as usize];
            list.0.push(c.values[0] - parallel);
            list.1.push(c.values[1] - normal);
            list.2 += usize::from(c.excluded);
        }
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let bin = |(k, (p, n, excluded)): (usize, (Vec<f64>, Vec<f64>, usize))| {
        Some(Bin {
            distance: (k as f64 - half as f64 + 0.5) * lengths.cell,
            n: p.len(),
            excluded: excluded as f64 / p.len() as f64,
            parallel_median: median(p.clone())?,
            parallel_mean: mean(&p),
            parallel_nmad: nmad(&p),
            normal_median: median(n.clone())?,
            normal_mean: mean(&n),
            normal_nmad: nmad(&n),
        })
    };
    lists.into_iter().enumerate().filter_map(bin).collect()
}

/// Width of the step in a component: 0 parallel, 1 normal.
pub fn width(
    bins: &[Bin],
    component: usize,
    lengths: &Lengths,
    exclude: Option<f64>,
    map: &DisplacementMap,
) -> Option<Rise> {
    let value = |b: &Bin| if component == 0 { b.parallel_median } else { b.normal_median };
    let points: Vec<(f64, f64, f64)> = bins.iter().map(|b| (b.distance, value(b), b.n as f64)).collect();
    // The windows' corners reach farthest: the core is what any window can smear.
    let half = map.half_window_cells();
    let smeared = half.0.hypot(half.1) * lengths.cell;
    let core = exclude.unwrap_or(smeared).max(2.0 * lengths.cell);
    rise(&points, core, (lengths.window / lengths.cell).max(1.0))
}
