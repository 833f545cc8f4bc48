//! Whole-pixel starts: correlation peaks of 32 px windows every 16 px, their medians, and what lies between.

use crate::correlate::Tile;
use crate::correlate::search::{SearchArea, TileWindows, integer_peaks};
use crate::grid::Grid;

const WINDOW: usize = 32;
const STEP: usize = 16;
/// Share of a window's pixels on a side with which its peak is that side's.
const OWN: f64 = 0.8;
/// Correlation below which a peak is not believed.
const BELIEVED: f32 = 0.15;

/// A displacement field for the pre images of the tile, good to about a pixel.
pub fn field(tile: &Tile) -> [Grid<f32>; 2] {
    Peaks::new(tile).field(None)
}

/// The peaks of a tile.
pub struct Peaks {
    windows: TileWindows,
    size: (usize, usize),
    /// Believed displacements, and where the others were looked for.
    found: Vec<Option<(f32, f32)>>,
    starts: Vec<(i32, i32)>,
}

impl Peaks {
    pub fn new(tile: &Tile) -> Peaks {
        let pre = tile.pre();
        let (w, h) = (pre.values.width, pre.values.height);
        let across = |n: usize| n.saturating_sub(WINDOW) / STEP + 1;
        let window = (WINDOW.min(w), WINDOW.min(h));
        let windows = TileWindows { cells: (across(w), across(h)), window, step: (STEP, STEP) };
        let starts = tile.starts_of(&windows);
        let area = SearchArea { range: tile.area.range, starts: &starts };
        let peaks = integer_peaks(&tile.pairs(), &windows, &area, tile.stop);
        let found: Vec<Option<(f32, f32)>> = (peaks.iter())
            .map(|p| {
                let s = p.start();
                (p.correlation > BELIEVED && !p.edge).then_some((s.dx as f32, s.dy as f32))
            })
            .collect();
        Peaks { windows, size: (w, h), found, starts }
    }

    /// The field of medians of 5 × 5 peaks; with a `mask` only those of windows that mostly lie in it.
    pub fn field(&self, mask: Option<&Grid<bool>>) -> [Grid<f32>; 2] {
        let (nx, ny) = self.windows.cells;
        let (w, h) = self.windows.window;
        let kept: Vec<Option<(f32, f32)>> = match mask {
            None => self.found.clone(),
            Some(mask) => {
                let own = |k: usize| {
                    let (x, y) = self.windows.corner(k);
                    let inside = (y..y + h).map(|y| mask.row(y)[x..x + w].iter().filter(|&&m| m).count());
                    inside.sum::<usize>() as f64 >= OWN * (w * h) as f64
                };
                self.found.iter().enumerate().map(|(k, f)| f.filter(|_| own(k))).collect()
            }
        };
        let near = |i: usize, j: usize, reach: usize| -> Vec<(f32, f32)> {
            let rows = j.saturating_sub(reach)..(j + reach + 1).min(ny);
            let columns = |y: usize| y * nx + i.saturating_sub(reach)..y * nx + (i + reach + 1).min(nx);
            rows.flat_map(|y| kept[columns(y)].iter().flatten().copied()).collect()
        };
        // A side may begin farther away than the windows that are looked at else.
        let reaches: &[usize] = if mask.is_some() { &[2, 4, 8, 64] } else { &[2] };
        let median = |i: usize, j: usize| -> (f32, f32) {
            let near = reaches.iter().map(|&r| near(i, j, r)).find(|n| !n.is_empty()).unwrap_or_default();
            let middle = |pick: fn(&(f32, f32)) -> f32| {
                let mut v: Vec<f32> = near.iter().map(pick).collect();
                v.sort_by(f32::total_cmp);
                v.get(v.len() / 2).copied()
            };
            let start = self.starts.get(j * nx + i).copied().unwrap_or_default();
            (middle(|v| v.0).unwrap_or(start.0 as f32), middle(|v| v.1).unwrap_or(start.1 as f32))
        };
        let sparse = Grid::from_fn(nx, ny, median);
        [sparse.map(|v| v.0), sparse.map(|v| v.1)].map(|s| spread(&s, self.windows.window, self.size.0, self.size.1))
    }
}

/// The field between the centres of windows every [`STEP`] pixels, its own border's beyond them.
fn spread(s: &Grid<f32>, window: (usize, usize), w: usize, h: usize) -> Grid<f32> {
    let place = |x: usize, side: usize, n: usize| {
        let at = ((x as f32 - (side as f32 - 1.0) / 2.0) / STEP as f32).clamp(0.0, (n - 1) as f32);
        (at as usize, (at as usize + 1).min(n - 1), at - at.floor())
    };
    let columns: Vec<_> = (0..w).map(|x| place(x, window.0, s.width)).collect();
    let mut out = Grid::filled(w, h, 0.0f32);
    for y in 0..h {
        let (j, j1, v) = place(y, window.1, s.height);
        let line: Vec<f32> = s.row(j).iter().zip(s.row(j1)).map(|(a, b)| a * (1.0 - v) + b * v).collect();
        for (o, &(i, i1, u)) in out.row_mut(y).iter_mut().zip(&columns) {
            *o = line[i] * (1.0 - u) + line[i1] * u;
        }
    }
    out
}

/// The value of `g` at (x, y), its own border's beyond it.
pub fn bilinear(g: &Grid<f32>, x: f32, y: f32) -> f32 {
    Place::new((g.width, g.height), x, y).of(g)
}

/// A place between four pixels of grids of one size.
pub struct Place {
    /// Top left, top right, bottom left, bottom right.
    at: [usize; 4],
    u: f32,
    v: f32,
}

impl Place {
    pub fn new((width, height): (usize, usize), x: f32, y: f32) -> Place {
        let (x, y) = (x.clamp(0.0, (width - 1) as f32), y.clamp(0.0, (height - 1) as f32));
        let (i, j) = (x as usize, y as usize);
        let (i1, j1) = ((i + 1).min(width - 1), (j + 1).min(height - 1));
        let at = [j * width + i, j * width + i1, j1 * width + i, j1 * width + i1];
        Place { at, u: x - i as f32, v: y - j as f32 }
    }

    /// The value of `g` there.
    #[inline]
    pub fn of(&self, g: &Grid<f32>) -> f32 {
        let [a, b, c, d] = self.at.map(|k| g.data[k]);
        let (u, v) = (self.u, self.v);
        (a * (1.0 - u) + b * u) * (1.0 - v) + (c * (1.0 - u) + d * u) * v
    }
}
