//! From nothing to quarters of a pixel: aggregated labels on whole pixels, then in steps of 1/2 and 1/4 pixel.

use super::aggregate::Penalty;
use super::barrier::Barriers;
use super::cost::{self, PHASES, Phases};
use crate::correlate::Tile;
use crate::correlate::search::{SearchArea, TileWindows};

/// Whole-pixel costs are computed at every second pixel, or farther apart so that a tile has at most so many.
const APART: usize = 2;
const MOST: usize = 24 << 20;
/// Penalties of whole pixels and of the steps of the ladder.
const WHOLE: Penalty = Penalty { step: 300, most: 900 };
const FINER: Penalty = Penalty { step: 250, most: 750 };
/// Label step in quarters of a pixel, and labels on each side.
const RUNGS: [(i32, i32); 2] = [(2, 2), (1, 1)];

/// Displacement of every pixel of the pre images in quarters of a pixel.
pub fn labels(tile: &Tile, window: (usize, usize), barriers: Option<&Barriers>) -> Vec<(i32, i32)> {
    let mut base = whole_pixels(tile, window, barriers);
    let width = tile.pre().values.width;
    let phases: Vec<Phases> = tile.bands.iter().map(|b| Phases::new(&b.post)).collect();
    let radius = (window.0.min(window.1) - 1) / 2;
    for (step, around) in RUNGS {
        if tile.stopped() {
            break;
        }
        let volume = cost::ladder(tile.bands, &phases, &base, (step, around), radius);
        let closed = |a: (usize, usize), b: (usize, usize)| barriers.is_some_and(|s| s.between(a, b));
        let sum = volume.aggregate(FINER, barriers.is_some().then_some(&closed));
        base = volume.best(&sum).iter().map(|d| (d.0 * step, d.1 * step)).collect();
        if let Some(b) = barriers {
            b.carry(width, window, &mut base);
        }
    }
    base
}

/// The whole-pixel labels of windows spread over the tile, for every pixel that of the nearest window.
fn whole_pixels(tile: &Tile, window: (usize, usize), barriers: Option<&Barriers>) -> Vec<(i32, i32)> {
    let (w, h) = (tile.pre().values.width, tile.pre().values.height);
    let window = (window.0.min(w), window.1.min(h));
    let (nx, ny) = (2 * tile.area.range.0 + 1, 2 * tile.area.range.1 + 1);
    let fits = |q: &usize| nx * ny * (w / q + 1) * (h / q + 1) <= MOST;
    let apart = (APART..).find(fits).unwrap_or(APART);
    let cells = ((w - window.0) / apart + 1, (h - window.1) / apart + 1);
    let windows = TileWindows { cells, window, step: (apart, apart) };
    let half = ((window.0 - 1) / 2, (window.1 - 1) / 2);
    let pixel = |c: (usize, usize)| (c.0 * apart + half.0, c.1 * apart + half.1);
    let starts = tile.starts_of(&windows);
    let area = SearchArea { range: tile.area.range, starts: &starts };
    let volume = cost::whole(tile.bands, &windows, &area, tile.stop);
    let closed = |a: (usize, usize), b: (usize, usize)| barriers.is_some_and(|s| s.between(pixel(a), pixel(b)));
    let sum = volume.aggregate(WHOLE, barriers.is_some().then_some(&closed));
    let best = volume.best(&sum);
    let nearest = |at: usize, half: usize, n: usize| ((at + apart / 2).saturating_sub(half) / apart).min(n - 1);
    let mut base = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            let d = best[nearest(y, half.1, cells.1) * cells.0 + nearest(x, half.0, cells.0)];
            base.push((PHASES * d.0, PHASES * d.1));
        }
    }
    if let Some(b) = barriers {
        b.carry(w, (window.0 + 2 * apart, window.1 + 2 * apart), &mut base);
    }
    base
}
