//! Starts for large searches: whole-pixel displacements found coarse to fine.
//!
//! The prefiltered images are halved until the search is a few pixels wide; windows of 16 coarse pixels are matched
//! there over the whole search, and each finer level looks around what the coarser one found nearby. A window tries the
//! shifts of all coarse cells around it and takes the one that correlates best, so it need not follow the majority
//! beside a fault or a glacier's margin.

use std::sync::atomic::AtomicBool;

use super::search::{Peak, SearchArea, TileWindows, peaks};
use super::surface::Surfaces;
use super::surface_layer::Planes;
use crate::grid::Grid;

/// Search ranges up to this many pixels are looked through directly.
pub const DIRECT: usize = 12;
/// Side and step of the windows on the coarse levels, in their pixels.
const WINDOW: usize = 16;
const STEP: usize = 4;
/// Whole pixels that each level looks around what the coarser one found.
const AROUND: usize = 3;
/// Largest reduction.
const MOST: usize = 8;

/// Images for [`starts`] must begin and end at multiples of this many pixels relative to each other.
pub const GRAIN: usize = MOST;

/// One level: both images and the margin by which the post image reaches further.
struct Level {
    pre: (Grid<f32>, Grid<bool>),
    post: (Grid<f32>, Grid<bool>),
    margin: usize,
    factor: usize,
}

/// Shifts on a regular grid of coarse windows, in the level's pixels.
struct Field {
    cells: (usize, usize),
    shifts: Vec<(i32, i32)>,
    factor: usize,
}

/// What is looked for: the windows at full resolution and how far.
pub struct Wanted<'a> {
    pub windows: TileWindows,
    /// Pixels by which the pre image reaches beyond the windows on every side, a multiple of [`GRAIN`].
    pub context: usize,
    /// Expected shift of each window; empty when all are expected at zero.
    pub priors: &'a [(i32, i32)],
    /// Largest distance from the prior on each axis.
    pub search: (usize, usize),
}

/// The whole-pixel start of every window, to be refined within ±[`RANGE`]. `pre` covers the windows grown by the
/// context, `post` the same grown by `margin` (a multiple of [`GRAIN`]); both prefiltered, zero where invalid. Shifts
/// stay within `margin - GRAIN`. `None` when the images are too small for a coarser level.
pub fn starts(
    pre: (Grid<f32>, Grid<bool>),
    post: (Grid<f32>, Grid<bool>),
    margin: usize,
    wanted: &Wanted,
    stop: &AtomicBool,
) -> Option<Vec<(i32, i32)>> {
    let search = wanted.search.0.max(wanted.search.1);
    let mut levels = vec![Level { pre, post, margin, factor: 1 }];
    while let Some(last) = levels.last()
        && last.factor < MOST
        && search / last.factor > DIRECT / 2
        && last.pre.0.width.min(last.pre.0.height) / 2 >= WINDOW
    {
        levels.push(Level {
            pre: halve(&last.pre),
            post: halve(&last.post),
            margin: last.margin / 2,
            factor: last.factor * 2,
        });
    }
    let mut field: Option<Field> = None;
    for level in levels[1..].iter().rev() {
        let cells = |n: usize| (n - WINDOW) / STEP + 1;
        let windows = TileWindows {
            cells: (cells(level.pre.0.width), cells(level.pre.0.height)),
            window: (WINDOW, WINDOW),
            step: (STEP, STEP),
        };
        let centre = |cell: usize| {
            let (x, y) = windows.corner(cell);
            let full = |v: usize| (v as f64 + (WINDOW as f64 - 1.0) / 2.0 + 0.5) * level.factor as f64 - 0.5;
            (full(x), full(y))
        };
        let (found, range) = match &field {
            None => {
                let prior = |cell: usize| {
                    let p = wanted.prior_at(centre(cell));
                    let scaled = |v: i32| (v as f64 / level.factor as f64).round() as i32;
                    (scaled(p.0), scaled(p.1))
                };
                let sets = vec![(0..windows.len()).map(prior).collect()];
                let range = |s: usize| s.div_ceil(level.factor) + 1;
                let range = (range(wanted.search.0), range(wanted.search.1));
                (best(level, &windows, sets, range, stop), range)
            }
            Some(coarse) => {
                let sets = candidates(coarse, windows.len(), &centre, level.factor);
                (best(level, &windows, sets, (AROUND, AROUND), stop), (AROUND, AROUND))
            }
        };
        let shifts = clean(&found, windows.cells, range);
        field = Some(Field { cells: windows.cells, shifts, factor: level.factor });
    }
    let windows = &wanted.windows;
    let coarse = field?;
    let centre = |cell: usize| {
        let (x, y) = windows.corner(cell);
        let middle = |v: usize, w: usize| (v + wanted.context) as f64 + (w as f64 - 1.0) / 2.0;
        (middle(x, windows.window.0), middle(y, windows.window.1))
    };
    let sets = candidates(&coarse, windows.len(), &centre, 1);
    let full = levels.swap_remove(0);
    let full = Level { pre: crop(&full.pre, wanted.context), post: crop(&full.post, wanted.context), ..full };
    let found = best(&full, windows, sets, (AROUND, AROUND), stop);
    Some(clean(&found, windows.cells, (AROUND, AROUND)))
}

/// What starts are good to: look this far around them.
pub const RANGE: usize = AROUND;

impl Wanted<'_> {
    /// The prior of the window nearest to a place (pixels of the pre image, context included).
    fn prior_at(&self, at: (f64, f64)) -> (i32, i32) {
        let w = &self.windows;
        let nearest = |at: f64, window: usize, step: usize, cells: usize| {
            let first = self.context as f64 + (window as f64 - 1.0) / 2.0;
            ((at - first) / step as f64).round().clamp(0.0, (cells - 1) as f64) as usize
        };
        let x = nearest(at.0, w.window.0, w.step.0, w.cells.0);
        let y = nearest(at.1, w.window.1, w.step.1, w.cells.1);
        self.priors.get(y * w.cells.0 + x).copied().unwrap_or_default()
    }
}

/// Sets of starts for `count` windows from a coarser field: the nearest cell's shift, then those of its neighbours,
/// each set only if some window has something new in it.
fn candidates(
    coarse: &Field,
    count: usize,
    centre: &dyn Fn(usize) -> (f64, f64),
    factor: usize,
) -> Vec<Vec<(i32, i32)>> {
    let scale = (coarse.factor / factor) as i32;
    let offsets = [(0i64, 0i64), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)];
    let mut sets: Vec<Vec<(i32, i32)>> = vec![Vec::with_capacity(count); offsets.len()];
    for window in 0..count {
        let at = centre(window);
        let cell = |v: f64, n: usize| {
            let first = (WINDOW as f64 - 1.0) / 2.0;
            let own = ((v + 0.5) / coarse.factor as f64 - 0.5 - first) / STEP as f64;
            own.round().clamp(0.0, (n - 1) as f64) as i64
        };
        let (cx, cy) = (cell(at.0, coarse.cells.0), cell(at.1, coarse.cells.1));
        for (set, (ox, oy)) in sets.iter_mut().zip(offsets) {
            let x = (cx + ox).clamp(0, coarse.cells.0 as i64 - 1) as usize;
            let y = (cy + oy).clamp(0, coarse.cells.1 as i64 - 1) as usize;
            let s = coarse.shifts[y * coarse.cells.0 + x];
            set.push((s.0 * scale, s.1 * scale));
        }
    }
    let mut kept: Vec<Vec<(i32, i32)>> = Vec::new();
    for set in sets {
        let near = |a: (i32, i32), b: (i32, i32)| (a.0 - b.0).abs() <= 2 && (a.1 - b.1).abs() <= 2;
        if kept.is_empty() || (0..count).any(|w| kept.iter().all(|k| !near(k[w], set[w]))) {
            kept.push(set);
        }
    }
    kept
}

/// The best peak of every window over all sets of starts.
fn best(
    level: &Level,
    windows: &TileWindows,
    sets: Vec<Vec<(i32, i32)>>,
    range: (usize, usize),
    stop: &AtomicBool,
) -> Vec<Peak> {
    let limit = |r: usize| (level.margin as i32 - r as i32).max(0);
    let planes = Planes {
        pre: (&level.pre.0, &level.pre.1),
        post: (&level.post.0, &level.post.1),
        margin: level.margin,
        all_valid: level.pre.1.all_true() && level.post.1.all_true(),
        counts: None,
    };
    let mut best: Vec<Peak> = Vec::new();
    for mut starts in sets {
        for s in &mut starts {
            *s = (s.0.clamp(-limit(range.0), limit(range.0)), s.1.clamp(-limit(range.1), limit(range.1)));
        }
        let area = SearchArea { range, starts: &starts };
        let found = peaks(Surfaces::of_planes(vec![planes], windows, &area), windows, &area, stop);
        if best.is_empty() {
            best = found;
        } else {
            for (b, f) in best.iter_mut().zip(found) {
                if f.correlation > b.correlation {
                    *b = f;
                }
            }
        }
    }
    best
}

/// The shifts of the peaks; those that may be chance, or stand alone, are replaced by the median of their neighbours.
fn clean(found: &[Peak], cells: (usize, usize), range: (usize, usize)) -> Vec<(i32, i32)> {
    // The largest of n chance correlations of N pixels is about sqrt(2 ln n / N).
    let tried = ((2 * range.0 + 1) * (2 * range.1 + 1)) as f32;
    let chance = ((2.0 * tried.ln()).sqrt() + 1.0) / WINDOW as f32;
    let strong = |p: &Peak| p.correlation > chance && !p.edge;
    let alike = |a: (i32, i32), b: (i32, i32)| (a.0 - b.0).abs() <= 2 && (a.1 - b.1).abs() <= 2;
    let around = |cell: usize, reach: usize| {
        let (x, y) = (cell % cells.0, cell / cells.0);
        let columns = x.saturating_sub(reach)..(x + reach + 1).min(cells.0);
        let rows = y.saturating_sub(reach)..(y + reach + 1).min(cells.1);
        rows.flat_map(move |j| columns.clone().map(move |i| j * cells.0 + i)).filter(move |&c| c != cell)
    };
    let known: Vec<Option<(i32, i32)>> = (0..found.len())
        .map(|c| {
            let company = || around(c, 1).filter(|&n| strong(&found[n]) && alike(found[n].shift, found[c].shift));
            (strong(&found[c]) && company().count() >= 2).then_some(found[c].shift)
        })
        .collect();
    let mut filled = known.clone();
    // Gaps close from their rims inwards.
    while filled.iter().any(Option::is_none) && filled.iter().any(Option::is_some) {
        let before = filled.clone();
        for c in (0..filled.len()).filter(|&c| before[c].is_none()) {
            let near: Vec<_> = around(c, 1).filter_map(|n| before[n]).collect();
            if !near.is_empty() {
                filled[c] = Some((middle(near.iter().map(|s| s.0)), middle(near.iter().map(|s| s.1))));
            }
        }
    }
    filled.iter().zip(found).map(|(s, p)| s.unwrap_or(p.shift)).collect()
}

fn middle(values: impl Iterator<Item = i32>) -> i32 {
    let mut v: Vec<i32> = values.collect();
    v.sort_unstable();
    v[v.len() / 2]
}

/// Means of 2 × 2 pixels, valid when at least half of them are.
fn halve((values, valid): &(Grid<f32>, Grid<bool>)) -> (Grid<f32>, Grid<bool>) {
    let (w, h) = (values.width / 2, values.height / 2);
    let mut out = (Grid::filled(w, h, 0.0), Grid::filled(w, h, false));
    for y in 0..h {
        for x in 0..w {
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| (2 * x + i, 2 * y + j));
            let n = four.iter().filter(|p| valid.get(p.0, p.1)).count();
            if n >= 2 {
                // Invalid pixels are zero.
                let sum: f32 = four.iter().map(|p| values.get(p.0, p.1)).sum();
                out.0.set(x, y, sum / n as f32);
                out.1.set(x, y, true);
            }
        }
    }
    out
}

fn crop((values, valid): &(Grid<f32>, Grid<bool>), by: usize) -> (Grid<f32>, Grid<bool>) {
    let inner = crate::grid::Window::new(by as i64, by as i64, values.width - 2 * by, values.height - 2 * by);
    (values.crop(inner), valid.crop(inner))
}
