//! The output grid: where each window lies, and how the grid is cut into tiles.
//!
//! Cell (i, j) covers `step` × `step` pixels of the pre image and **its centre is the centre of its window**. The
//! windows start at `first + (i, j) * step`, counted from the pre image's top-left pixel, so cells never move with the
//! region, the tile or the thread that computes them. When window and step differ in parity the grid starts half a
//! pixel inside the image; otherwise at its corner. Windows at the border reach outside; pixels there are invalid.

use crate::field::{GeoTransform, PixelShift};
use crate::grid::Window;
use crate::{Error, Result};

/// Smallest and largest window side in pixels.
pub const WINDOW_RANGE: std::ops::RangeInclusive<usize> = 5..=512;

/// Side of a tile in pre pixels that the tiling aims at unless a method wants another, fixed because every tile is computed as a
/// whole; and the largest, for steps so wide that the cells around a tile, which the outlier filter needs, would outnumber
/// its own.
pub const TILE_PIXELS: usize = 512;
const LARGEST_TILE: usize = 1024;

/// The geometry of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    /// Window width and height in pixels.
    pub window: (usize, usize),
    /// Step along columns and rows in pixels.
    pub step: (usize, usize),
    /// Cells of the whole image.
    pub cells: (usize, usize),
    /// Top-left pixel of the window of cell (0, 0).
    pub first: (i64, i64),
    /// The cells asked for.
    pub region: Window,
    /// Side of a tile in pre pixels, about.
    pub tile: usize,
}

impl Layout {
    /// The grid for an image of `size` pixels; `region` (pre pixels) keeps the cells whose centres lie in it.
    ///
    /// # Errors
    /// Window or step out of range, window larger than the image, region without a cell centre.
    pub fn new(
        size: (usize, usize),
        window: (usize, usize),
        step: (usize, usize),
        region: Option<Window>,
    ) -> Result<Layout> {
        check_window(window, size)?;
        for s in [step.0, step.1] {
            if s == 0 {
                return Err(Error::option("--step", s, "the step between windows is 1 pixel or more"));
            }
        }
        let (cells_x, first_x) = axis(size.0, window.0, step.0);
        let (cells_y, first_y) = axis(size.1, window.1, step.1);
        let mut layout = Layout {
            window,
            step,
            cells: (cells_x, cells_y),
            first: (first_x, first_y),
            region: Window::new(0, 0, cells_x, cells_y),
            tile: TILE_PIXELS,
        };
        if let Some(pixels) = region {
            layout.region = layout.cells_in(pixels).ok_or_else(|| {
                let value = format!("{} {} {} {}", pixels.x, pixels.y, pixels.width, pixels.height);
                let why = format!(
                    "holds no cell centre of the image ({} x {} pixels, step {}); give XOFF YOFF XSIZE YSIZE in pre pixels",
                    size.0, size.1, step.0
                );
                Error::option("--region", value, why)
            })?;
        }
        Ok(layout)
    }

    /// The region on a grid whose cells are `factor` times as long and wide: the corner of its first cell stays where
    /// it is, up to half a pre pixel, and the last column and row may reach beyond. For overviews.
    pub fn coarser(&self, factor: usize) -> Layout {
        let axis = |first: i64, step: usize, from: i64, cells: usize| {
            let corner = first + from * step as i64;
            (corner + ((factor - 1) * step / 2) as i64, cells.div_ceil(factor))
        };
        let (first_x, cells_x) = axis(self.first.0, self.step.0, self.region.x, self.region.width);
        let (first_y, cells_y) = axis(self.first.1, self.step.1, self.region.y, self.region.height);
        Layout {
            window: self.window,
            step: (self.step.0 * factor, self.step.1 * factor),
            cells: (cells_x, cells_y),
            first: (first_x, first_y),
            region: Window::new(0, 0, cells_x, cells_y),
            tile: self.tile,
        }
    }

    /// The same cells in tiles of about so many pre pixels a side.
    pub fn with_tile(self, tile: usize) -> Layout {
        Layout { tile, ..self }
    }

    /// The same cells with windows of another size.
    ///
    /// # Errors
    /// A window that cannot have the same centre because its side is odd where the other is even.
    pub fn with_window(&self, window: (usize, usize)) -> Result<Layout> {
        if window.0 % 2 != self.window.0 % 2 || window.1 % 2 != self.window.1 % 2 {
            let why = format!(
                "its centres are not those of {}x{}: take only even or only odd window sides",
                self.window.0, self.window.1
            );
            return Err(Error::option("--window", format!("{}x{}", window.0, window.1), why));
        }
        let moved = |first: i64, own: usize, other: usize| first + (own as i64 - other as i64) / 2;
        let first = (moved(self.first.0, self.window.0, window.0), moved(self.first.1, self.window.1, window.1));
        Ok(Layout { window, first, ..*self })
    }

    /// Top-left pixel and size of the window of cell (i, j) of the whole grid.
    pub fn cell_window(&self, i: usize, j: usize) -> Window {
        let x = self.first.0 + (i * self.step.0) as i64;
        let y = self.first.1 + (j * self.step.1) as i64;
        Window::new(x, y, self.window.0, self.window.1)
    }

    /// Centre of the window of cell (i, j), in pixel-centre coordinates.
    pub fn centre(&self, i: usize, j: usize) -> PixelShift {
        let w = self.cell_window(i, j);
        PixelShift::new(w.x as f64 + (w.width as f64 - 1.0) / 2.0, w.y as f64 + (w.height as f64 - 1.0) / 2.0)
    }

    /// Geotransform of the output raster (the region's cells).
    pub fn geotransform(&self, pre: &GeoTransform) -> GeoTransform {
        let c = self.centre(self.region.x as usize, self.region.y as usize);
        let (sx, sy) = (self.step.0 as f64, self.step.1 as f64);
        pre.cells(c.dx + 0.5 - sx / 2.0, c.dy + 0.5 - sy / 2.0, sx, sy)
    }

    /// Cells of a full tile along columns and rows. Tiles are anchored at cell (0, 0), whatever the region.
    pub fn tile_cells(&self) -> (usize, usize) {
        let side = |step: usize| match self.tile / step {
            n if n >= 16 => n / 16 * 16,
            _ => (LARGEST_TILE / step).clamp(1, 16),
        };
        (side(self.step.0), side(self.step.1))
    }

    /// The tiles that touch the region, row by row; each is given whole (the caller crops to the region).
    pub fn tiles(&self) -> Vec<Window> {
        self.tiles_touching(self.region)
    }

    /// The tiles that touch a rectangle of cells of the whole grid.
    pub fn tiles_touching(&self, cells: Window) -> Vec<Window> {
        let (tw, th) = self.tile_cells();
        let r = cells;
        let mut tiles = Vec::new();
        for ty in r.y as usize / th..=(r.bottom() as usize - 1) / th {
            for tx in r.x as usize / tw..=(r.right() as usize - 1) / tw {
                let (x, y) = (tx * tw, ty * th);
                let (w, h) = (tw.min(self.cells.0 - x), th.min(self.cells.1 - y));
                tiles.push(Window::new(x as i64, y as i64, w, h));
            }
        }
        tiles
    }

    /// The same grid with every cell in the region.
    pub fn whole(&self) -> Layout {
        Layout { region: Window::new(0, 0, self.cells.0, self.cells.1), ..*self }
    }

    /// Pre pixels covered by the windows of the cells of `tile`.
    pub fn pixels(&self, tile: Window) -> Window {
        let a = self.cell_window(tile.x as usize, tile.y as usize);
        let b = self.cell_window(tile.right() as usize - 1, tile.bottom() as usize - 1);
        Window::new(a.x, a.y, (b.right() - a.x) as usize, (b.bottom() - a.y) as usize)
    }

    /// The cells whose centres lie in a rectangle of pre pixels.
    fn cells_in(&self, pixels: Window) -> Option<Window> {
        let axis = |from: i64, size: usize, first: i64, window: usize, step: usize, cells: usize| {
            // Twice the pixel coordinates, to stay in integers: centre2(i) = 2*first + window - 1 + 2*step*i.
            let centre2 = |i: i64| 2 * first + window as i64 - 1 + 2 * step as i64 * i;
            let inside = |i: &i64| (2 * from - 1..2 * (from + size as i64) - 1).contains(&centre2(*i));
            let near = (from - first - window as i64).div_euclid(step as i64).max(0);
            let start = (near..cells as i64).find(inside)?;
            let guess = start + (size / step) as i64;
            let end = ((guess - 2).max(start)..=(guess + 2).min(cells as i64 - 1)).rev().find(inside)?;
            Some((start, (end - start + 1) as usize))
        };
        let (x, w) = axis(pixels.x, pixels.width, self.first.0, self.window.0, self.step.0, self.cells.0)?;
        let (y, h) = axis(pixels.y, pixels.height, self.first.1, self.window.1, self.step.1, self.cells.1)?;
        Some(Window::new(x, y, w, h))
    }
}

/// Refuses windows that are out of range or larger than the image.
pub fn check_window(window: (usize, usize), size: (usize, usize)) -> Result<()> {
    for (w, s) in [(window.0, size.0), (window.1, size.1)] {
        if !WINDOW_RANGE.contains(&w) {
            return Err(Error::option(
                "--window",
                w,
                format!("a window is {} to {} pixels wide", WINDOW_RANGE.start(), WINDOW_RANGE.end()),
            ));
        }
        if w > s {
            let why = format!("larger than the image ({} x {} pixels); use a smaller window", size.0, size.1);
            return Err(Error::option("--window", w, why));
        }
    }
    Ok(())
}

/// Number of cells and first window position along one axis: every cell whose centre lies inside the image.
fn axis(size: usize, window: usize, step: usize) -> (usize, i64) {
    let first = (step as i64 - window as i64).div_euclid(2) + (step as i64 - window as i64).rem_euclid(2);
    let centre2 = 2 * first + window as i64 - 1;
    let cells = (2 * (size as i64 - 1) - centre2).div_euclid(2 * step as i64) + 1;
    if cells < 1 {
        // A step larger than the image: one window in its middle.
        return (1, (size as i64 - window as i64) / 2);
    }
    (cells as usize, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_of_a_cell_is_the_centre_of_its_window() {
        let pre = GeoTransform([1000.0, 10.0, 0.0, 5000.0, 0.0, -10.0]);
        for (window, step) in [((32, 32), (8, 8)), ((33, 33), (8, 8)), ((33, 20), (7, 3)), ((5, 512), (1, 64))] {
            let layout = Layout::new((700, 600), window, step, None).unwrap();
            let out = layout.geotransform(&pre);
            for (i, j) in [(0, 0), (3, 1), (layout.cells.0 - 1, layout.cells.1 - 1)] {
                let c = layout.centre(i, j);
                let centre_of_cell = out.map(i as f64 + 0.5, j as f64 + 0.5);
                let centre_of_window = pre.map(c.dx + 0.5, c.dy + 0.5);
                assert!((centre_of_cell.0 - centre_of_window.0).abs() < 1e-9);
                assert!((centre_of_cell.1 - centre_of_window.1).abs() < 1e-9);
                assert!(c.dx >= 0.0 && c.dx <= 699.0 && c.dy >= 0.0 && c.dy <= 599.0, "{c:?}");
            }
        }
    }

    #[test]
    fn equal_parity_covers_the_image_exactly() {
        let layout = Layout::new((1024, 512), (32, 32), (8, 8), None).unwrap();
        assert_eq!(layout.cells, (128, 64));
        assert_eq!(layout.geotransform(&GeoTransform::PIXELS).map(0.0, 0.0), (0.0, 0.0));
    }

    #[test]
    fn tiles_cover_every_cell_once() {
        for (window, step) in [((32, 32), (8, 8)), ((64, 64), (100, 3)), ((5, 5), (1, 1))] {
            let layout = Layout::new((1100, 900), window, step, None).unwrap();
            let layout = if step.0 == 1 { layout.with_tile(768) } else { layout };
            let mut seen = vec![0u8; layout.cells.0 * layout.cells.1];
            for t in layout.tiles() {
                for j in t.y..t.bottom() {
                    for i in t.x..t.right() {
                        seen[j as usize * layout.cells.0 + i as usize] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&n| n == 1));
        }
    }

    #[test]
    fn a_region_keeps_the_cells_with_centres_inside() {
        let layout = Layout::new((1024, 1024), (32, 32), (8, 8), Some(Window::new(100, 0, 50, 8))).unwrap();
        let want: Vec<i64> = (0..128)
            .filter(|&i| {
                let c = layout.centre(i as usize, 0).dx;
                (99.5..149.5).contains(&c)
            })
            .collect();
        assert_eq!((layout.region.x, layout.region.width), (want[0], want.len()));
        assert_eq!((layout.region.y, layout.region.height), (0, 1));
        assert!(Layout::new((64, 64), (32, 32), (8, 8), Some(Window::new(900, 0, 50, 8))).is_err());
    }

    #[test]
    fn a_coarser_grid_starts_at_the_same_corner() {
        let pre = GeoTransform([1000.0, 10.0, 0.0, 5000.0, 0.0, -10.0]);
        let region = Some(Window::new(100, 90, 500, 300));
        for (window, step, region) in [((32, 32), (8, 8), None), ((33, 20), (7, 4), region), ((9, 9), (1, 1), None)] {
            let layout = Layout::new((700, 600), window, step, region).unwrap();
            for factor in [2, 4, 8] {
                let coarse = layout.coarser(factor);
                assert_eq!(coarse.cells, (layout.region.width.div_ceil(factor), layout.region.height.div_ceil(factor)));
                let (a, b) = (layout.geotransform(&pre).0, coarse.geotransform(&pre).0);
                assert_eq!((b[1], b[5]), (a[1] * factor as f64, a[5] * factor as f64));
                let off = ((a[0] - b[0]).abs() / 10.0, (a[3] - b[3]).abs() / 10.0);
                assert!(off.0 <= 0.5 && off.1 <= 0.5, "{off:?}");
            }
        }
    }

    #[test]
    fn bad_sizes_are_refused_by_name() {
        let text = |r: Result<Layout>| r.unwrap_err().to_string();
        assert!(text(Layout::new((64, 64), (3, 3), (8, 8), None)).contains("--window 3"));
        assert!(text(Layout::new((64, 64), (32, 32), (0, 8), None)).contains("--step 0"));
        assert!(text(Layout::new((64, 20), (32, 32), (8, 8), None)).contains("64 x 20"));
    }
}
