//! Whole-pixel peaks found at half the resolution first.
//!
//! The correlation of images halved by means of 2 × 2 pixels needs a sixteenth of the work for the same windows and the same
//! search. Where its maximum stands clear of all others, only the pixels around it are looked at in full; every other window
//! is looked for in the whole search area. The peaks are those of the full search: the lead that is asked for is four
//! times the standard deviation of a correlation by chance, and the full images know better only by what they add.

use super::batch_sums::Part;
use super::lanes::vectors;
use super::prepare::{PreparedPost, PreparedPre};
use super::rectangles::rectangles;
use super::search::{Peak, SearchArea, TileWindows, peak, peaks};
use super::surface::{NOTHING, Surfaces};
use super::surface_layer::Planes;
use crate::grid::{Grid, Window};
use std::sync::atomic::AtomicBool;

/// Smallest search and window that are worth it.
const LEAST_RANGE: usize = 4;
const LEAST_WINDOW: usize = 24;
/// How far the full images are looked at around the coarse maximum.
const AROUND: usize = 2;
/// Lead of the coarse maximum over all values that are not its own slopes, in standard deviations of a correlation by
/// chance, and how far the slopes reach.
const LEAD: f32 = 4.0;
const SLOPE: usize = 2;

type Pairs<'p> = [(&'p PreparedPre, &'p PreparedPost)];

/// The peaks of all windows of a tile; `None` where the windows, the steps or the search are not suited, or where most
/// windows have no clear maximum.
pub fn quick_peaks(pairs: &Pairs, windows: &TileWindows, search: &SearchArea, stop: &AtomicBool) -> Option<Vec<Peak>> {
    let even = |(x, y): (usize, usize)| x.is_multiple_of(2) && y.is_multiple_of(2);
    let least = |(x, y): (usize, usize), n: usize| x.min(y) >= n;
    let suited = search.starts.is_empty()
        && least(search.range, LEAST_RANGE)
        && least(windows.window, LEAST_WINDOW)
        && even(windows.window)
        && even(windows.step);
    if !suited {
        return None;
    }
    let sure = coarse(pairs, windows, search, stop);
    if 2 * sure.iter().filter(|s| s.is_none()).count() > windows.len() {
        return None;
    }
    let starts = filled(&sure, windows.cells.0);
    let area = SearchArea { range: (AROUND, AROUND), starts: &starts };
    let mut found = peaks(Surfaces::new(pairs, windows, &area), windows, &area, stop);
    let within = |p: &Peak| {
        let inside = |s: i32, range: usize| (s.unsigned_abs() as usize) < range;
        !p.edge && p.correlation > NOTHING && inside(p.shift.0, search.range.0) && inside(p.shift.1, search.range.1)
    };
    let open: Vec<bool> = sure.iter().zip(&found).map(|(s, p)| s.is_none() || !within(p)).collect();
    for part in rectangles(&open, windows, (0, windows.cells.1)) {
        let own = in_full(pairs, windows, search, part, stop);
        let wide = part.columns.1 - part.columns.0;
        for (k, p) in own.into_iter().enumerate() {
            let cell = (part.rows.0 + k / wide) * windows.cells.0 + part.columns.0 + k % wide;
            if open[cell] {
                found[cell] = p;
            }
        }
    }
    Some(found)
}

/// The whole pixels nearest to the maxima at half the resolution; `None` where they do not stand clear.
fn coarse(pairs: &Pairs, windows: &TileWindows, search: &SearchArea, stop: &AtomicBool) -> Vec<Option<(i32, i32)>> {
    let half = |(x, y): (usize, usize)| (x / 2, y / 2);
    let margin = pairs.iter().map(|p| p.1.search).min().unwrap_or_default() / 2;
    let halved: Vec<_> = pairs
        .iter()
        .map(|(pre, post)| {
            let first = post.search - 2 * margin;
            (
                halve(&pre.values, &pre.valid, 0),
                halve(&post.values, &post.valid, first),
                pre.all_valid && post.all_valid,
            )
        })
        .collect();
    let planes = halved.iter().map(|(pre, post, all_valid)| Planes {
        pre: (&pre.0, &pre.1),
        post: (&post.0, &post.1),
        margin,
        all_valid: *all_valid,
        counts: None,
    });
    let full = windows;
    let windows = TileWindows { cells: windows.cells, window: half(windows.window), step: half(windows.step) };
    let range = (margin.min(search.range.0 / 2), margin.min(search.range.1 / 2));
    let area = SearchArea { range, starts: &[] };
    let mut surfaces = Surfaces::of_planes(planes.collect(), &windows, &area);
    // The full images must have the pixels that are looked at.
    let most = (2 * margin) as i32 - AROUND as i32;
    let mut out = Vec::with_capacity(windows.len());
    for first in (0..windows.cells.1).step_by(surfaces.group()) {
        let last = (first + surfaces.group()).min(windows.cells.1);
        surfaces.compute(first, last, stop);
        for cell in first * windows.cells.0..last * windows.cells.0 {
            let surface = surfaces.of(cell);
            let p = peak(surface, &area, cell);
            let to = |s: i32, offset: f32| ((2.0 * (s as f32 + offset)).round() as i32).clamp(-most, most);
            let start = (to(p.shift.0, p.offset.0), to(p.shift.1, p.offset.1));
            // Four pixels in one.
            let chance = || (4.0 / valid(pairs, full, cell, start)).sqrt();
            let clear = !p.edge && p.correlation - rival(surface, range, &p) >= LEAD * chance();
            out.push(clear.then_some(start));
        }
    }
    out
}

/// The largest value of a surface that is not on the slopes of its maximum.
fn rival(surface: &[f32], range: (usize, usize), p: &Peak) -> f32 {
    let nx = 2 * range.0 + 1;
    let at = |s: i32, range: usize| (s + range as i32) as usize;
    let (px, py) = (at(p.shift.0, range.0), at(p.shift.1, range.1));
    let largest = |values: &[f32]| values.iter().copied().fold(NOTHING, f32::max);
    let mut best = NOTHING;
    for (y, row) in surface.chunks_exact(nx).enumerate() {
        best = best.max(match y.abs_diff(py) <= SLOPE {
            true => largest(&row[..px.saturating_sub(SLOPE)]).max(largest(&row[(px + SLOPE + 1).min(nx)..])),
            false => largest(row),
        });
    }
    best
}

/// Pixels of a cell's window that are valid in both images at a shift, as far as their numbers in each tell; of the band
/// that has least.
fn valid(pairs: &Pairs, windows: &TileWindows, cell: usize, shift: (i32, i32)) -> f32 {
    let (w, h) = windows.window;
    let (x, y) = windows.corner(cell);
    let all = (w * h) as f32;
    let of = |(pre, post): &(&PreparedPre, &PreparedPost)| {
        if pre.all_valid && post.all_valid {
            return all;
        }
        let there = |corner: usize, s: i32| (corner + post.search) as i64 + i64::from(s);
        let pre = pre.counts.count(x as i64, y as i64, (w, h)) as f32;
        pre * post.counts.count(there(x, shift.0), there(y, shift.1), (w, h)) as f32 / all
    };
    pairs.iter().map(of).fold(f32::INFINITY, f32::min)
}

/// Starts for all cells: those without one get that of the cell before, so that they cost nothing.
fn filled(sure: &[Option<(i32, i32)>], columns: usize) -> Vec<(i32, i32)> {
    let mut out = Vec::with_capacity(sure.len());
    for row in sure.chunks(columns) {
        let mut last = row.iter().flatten().next().copied().unwrap_or_default();
        out.extend(row.iter().map(|s| {
            last = s.unwrap_or(last);
            last
        }));
    }
    out
}

/// The peaks of a rectangle of cells from the whole search area.
fn in_full(pairs: &Pairs, windows: &TileWindows, search: &SearchArea, part: Part, stop: &AtomicBool) -> Vec<Peak> {
    let cells = (part.columns.1 - part.columns.0, part.rows.1 - part.rows.0);
    let own = TileWindows { cells, ..*windows };
    let ((x, y), (w, h)) = windows.pixels_of(part);
    let pixels = Window::new(x as i64, y as i64, w, h);
    let cropped: Vec<_> = pairs
        .iter()
        .map(|(pre, post)| {
            let there = Window::new(pixels.x, pixels.y, w + 2 * post.search, h + 2 * post.search);
            (
                (pre.values.crop(pixels), pre.valid.crop(pixels)),
                (post.values.crop(there), post.valid.crop(there)),
                (post.search, pre.all_valid && post.all_valid),
            )
        })
        .collect();
    let planes = cropped.iter().map(|(pre, post, (margin, all_valid))| Planes {
        pre: (&pre.0, &pre.1),
        post: (&post.0, &post.1),
        margin: *margin,
        all_valid: *all_valid,
        counts: None,
    });
    peaks(Surfaces::of_planes(planes.collect(), &own, search), &own, search, stop)
}

/// Means of 2 × 2 pixels from pixel (first, first) on, valid where all four are.
fn halve(values: &Grid<f32>, valid: &Grid<bool>, first: usize) -> (Grid<f32>, Grid<bool>) {
    let (w, h) = ((values.width - first) / 2, (values.height - first) / 2);
    let mut out = (Grid::filled(w, h, 0.0), Grid::filled(w, h, false));
    for y in 0..h {
        let at = 2 * y + first;
        let pixels = [at, at + 1].map(|y| values.row(y)[first..first + 2 * w].as_chunks::<2>().0);
        let known = [at, at + 1].map(|y| valid.row(y)[first..first + 2 * w].as_chunks::<2>().0);
        vectors(|| means(pixels, known, out.0.row_mut(y), out.1.row_mut(y)));
    }
    out
}

#[inline(always)]
fn means(values: [&[[f32; 2]]; 2], known: [&[[bool; 2]]; 2], means: &mut [f32], valid: &mut [bool]) {
    let known = known[0].iter().zip(known[1]);
    let values = values[0].iter().zip(values[1]);
    for (((mean, valid), (a, b)), (p, q)) in means.iter_mut().zip(valid).zip(values).zip(known) {
        *valid = p[0] & p[1] & q[0] & q[1];
        let share = if *valid { 0.25 } else { 0.0 };
        *mean = share * ((a[0] + a[1]) + (b[0] + b[1]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fill::ValidCounts;
    use super::super::interp::{Coefficients, Spline};
    use super::super::prepare::blank;
    use super::*;

    /// Smooth noise, moved by (3, -2) pixels left of a fault and (-4, 5) right of it, with new noise and in the top left corner
    /// nothing in common; with `gaps`, pixels of both are invalid.
    fn pair(side: usize, search: usize, gaps: bool) -> (PreparedPre, PreparedPost) {
        let mut state = 9u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let wide = side + 2 * search;
        let rough = Grid::from_fn(wide + 2, wide + 2, |_, _| noise());
        let mean = |x: usize, y: usize| (0..9).map(|k| rough.get(x + k % 3, y + k / 3)).sum::<f32>() / 9.0;
        let mut post = Grid::from_fn(wide, wide, mean);
        let mut pre = Grid::from_fn(side, side, |x, y| {
            let (dx, dy) = if x < side / 2 { (3, -2) } else { (-4, 5) };
            let at = |v: usize, d: i64| ((v + search) as i64 + d) as usize;
            if x + y < side / 3 { 0.3 * noise() } else { post.get(at(x, dx), at(y, dy)) + 0.2 * noise() }
        });
        let hole = |x: usize, y: usize| !gaps || (x / 9 + y / 7) % 11 != 3 && !(x > side / 2 && y > side / 2 && x < y);
        let (ok, ok_post) = (Grid::from_fn(side, side, hole), Grid::from_fn(wide, wide, |x, y| hole(x + 4, y)));
        blank(&mut pre, &ok);
        blank(&mut post, &ok_post);
        let zero = Grid::filled(side, side, 0.0);
        let pre = PreparedPre {
            values: pre,
            gradient: [zero.clone(), zero.clone()],
            spread: [zero.clone(), zero],
            counts: ValidCounts::new(&ok),
            valid: ok,
            all_valid: !gaps,
        };
        let coefficients = Coefficients::zero(Spline::Cubic, search, 16, 16);
        let counts = ValidCounts::new(&ok_post);
        (pre, PreparedPost { search, values: post, coefficients, counts, valid: ok_post, all_valid: !gaps })
    }

    #[test]
    fn peaks_are_those_of_the_full_search() {
        let stop = AtomicBool::new(false);
        for (search, range, gaps) in
            [(11, (11, 11), false), (11, (11, 8), true), (10, (9, 10), false), (15, (14, 14), true)]
        {
            let (pre, post) = pair(240, search, gaps);
            let pairs = [(&pre, &post)];
            let windows = TileWindows { cells: (27, 26), window: (32, 36), step: (8, 6) };
            let area = SearchArea { range, starts: &[] };
            let quick = quick_peaks(&pairs, &windows, &area, &stop).expect("suited");
            let full = peaks(Surfaces::new(&pairs, &windows, &area), &windows, &area, &stop);
            let sure = coarse(&pairs, &windows, &area, &stop).iter().flatten().count();
            assert!(sure > windows.len() / 2 && sure < windows.len(), "{sure} of {}", windows.len());
            for (cell, (q, f)) in quick.iter().zip(&full).enumerate() {
                assert_eq!((q.shift, q.edge), (f.shift, f.edge), "{range:?} {gaps} cell {cell}");
                assert!((q.correlation - f.correlation).abs() < 1e-5, "{q:?} {f:?}");
                assert!((q.offset.0 - f.offset.0).abs() + (q.offset.1 - f.offset.1).abs() < 1e-4, "{q:?} {f:?}");
            }
        }
    }

    #[test]
    fn unsuited_or_unlike_images_are_left_to_the_full_search() {
        let stop = AtomicBool::new(false);
        let (pre, post) = pair(120, 11, false);
        let windows = TileWindows { cells: (5, 5), window: (32, 32), step: (8, 8) };
        let area = SearchArea { range: (11, 11), starts: &[] };
        for odd in [TileWindows { step: (7, 8), ..windows }, TileWindows { window: (33, 32), ..windows }] {
            assert!(quick_peaks(&[(&pre, &post)], &odd, &area, &stop).is_none());
        }
        let mut other = pre.clone();
        other.values.data.reverse();
        assert!(quick_peaks(&[(&other, &post)], &windows, &area, &stop).is_none());
    }
}
