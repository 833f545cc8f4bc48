//! Displacement of the ground at every pixel of an image, from triangular dislocations.
//!
//! A million pixels times thousands of elements would take minutes, and almost all of it would be spent on smooth parts.
//! The pixels are therefore divided into square tiles ([`tree`]), and the edge of an element is evaluated at the 8 × 8
//! Chebyshev nodes of the largest tile that it is far enough from; only in the smallest tiles, those at a trace, the near
//! elements are evaluated at the pixels themselves. No interpolation ever crosses a trace, each pixel lies on its side of
//! it by the exact solution, and the field equals the direct sum to a few millionths of the slip everywhere (tested):
//! far better than interpolation between the points of an unstructured mesh.
mod chebyshev;
mod tree;

use rayon::prelude::*;

use super::tde::Loops;
use crate::field::GeoTransform;
use crate::grid::Grid;
use crate::{Error, Result};
use tree::Tiles;

/// The pixel centres of an image in the map coordinates of the elements (metres).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelGrid {
    pub width: usize,
    pub height: usize,
    /// East and north of the centre of pixel (0, 0).
    pub origin: (f64, f64),
    /// Map step to the next column, and to the next row.
    pub column: (f64, f64),
    pub row: (f64, f64),
}

impl PixelGrid {
    /// From the image's geotransform, with `origin` as zero of the map coordinates: near zero they keep more digits.
    pub fn new(transform: &GeoTransform, width: usize, height: usize, origin: (f64, f64)) -> PixelGrid {
        let (x, y) = transform.map(0.5, 0.5);
        let c = &transform.0;
        let origin = (x - origin.0, y - origin.1);
        PixelGrid { width, height, origin, column: (c[1], c[4]), row: (c[2], c[5]) }
    }

    /// East and north of a pixel position (centre of the first pixel at (0, 0)).
    pub fn map(&self, x: f64, y: f64) -> [f64; 2] {
        [self.origin.0 + x * self.column.0 + y * self.row.0, self.origin.1 + x * self.column.1 + y * self.row.1]
    }

    fn check(&self) -> Result<()> {
        let area = self.column.0 * self.row.1 - self.column.1 * self.row.0;
        let corner = self.map(self.width as f64, self.height as f64);
        match area != 0.0 && area.is_finite() && corner.iter().all(|v| v.abs() < 1e14) {
            true => Ok(()),
            false => {
                Err(Error::Data("the image's geotransform is singular or not finite: give it one in metres".into()))
            }
        }
    }
}

/// Displacement (east, north, up; unit of the slip) at every pixel centre.
///
/// Parallel within the calling rayon pool, with the same result for any number of threads. Error against
/// [`Loops::surface`] at each pixel: a few millionths of the largest slip.
///
/// # Errors
/// A grid that cannot be used.
pub fn on_grid(loops: &Loops, grid: &PixelGrid) -> Result<Grid<[f64; 3]>> {
    grid.check()?;
    let tiles = Tiles::new(loops, grid);
    let blocks: Vec<_> = tiles.leaves.par_iter().map(|leaf| (leaf.tile, tiles.pixels(leaf))).collect();
    let mut out = Grid::filled(grid.width, grid.height, [0.0; 3]);
    for (tile, block) in blocks {
        let width = tile.inside(grid).0;
        for (y, row) in block.chunks(width).enumerate() {
            out.row_mut(tile.y + y)[tile.x..tile.x + width].copy_from_slice(row);
        }
    }
    Ok(out)
}
