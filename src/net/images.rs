//! Normalised images of a tile: filled where nothing is known, and warped.

use crate::correlate::dense::warp::{PhaseTable, warp};
use crate::correlate::fill::fill_invalid;
use crate::correlate::interp::Spline;
use crate::correlate::prefilter::Kernel;
use crate::correlate::prepare::{PAD, Parts, PreparedPost, Preparer, Recipe, SPLINE_MARGIN};
use crate::grid::{Grid, Image, Window};

/// The normalised pixels of one band of a tile, as they were read.
#[derive(Debug, Clone)]
pub struct Pixels {
    /// The tile's rectangle grown by [`PAD`].
    pub pre: Image,
    /// The rectangle at the tile's base grown by the reach of the search, [`SPLINE_MARGIN`] and [`PAD`].
    pub post: Image,
}

/// One band ready for a network.
pub struct Source {
    /// Of the tile's size, filled.
    pub pre: Grid<f32>,
    pub pre_valid: Grid<bool>,
    post: Grid<f32>,
    pub post_valid: Grid<bool>,
    /// Pixels by which the post image reaches beyond the tile.
    margin: usize,
    prepared: Option<Prepared>,
}

/// Spline coefficients.
struct Prepared {
    post: PreparedPost,
    table: PhaseTable,
    /// What was taken off the values.
    mean: f32,
}

/// The kernel that changes nothing.
fn identity() -> Kernel {
    let mut weights = Grid::filled(3, 3, 0.0);
    weights.set(1, 1, 1.0);
    Kernel { weights, reach: 0 }
}

impl Source {
    /// `None` when one of the images has no valid pixel.
    pub fn new(pixels: &Pixels) -> Option<Source> {
        let (pre, post) = (fill_invalid(&pixels.pre)?, fill_invalid(&pixels.post)?);
        let inner = Window::new(PAD as i64, PAD as i64, pre.width - 2 * PAD, pre.height - 2 * PAD);
        let margin = (post.width - inner.width) / 2;
        Some(Source {
            pre: pre.crop(inner),
            pre_valid: pixels.pre.valid.crop(inner),
            post: post.into_owned(),
            post_valid: pixels.post.valid.clone(),
            margin,
            prepared: None,
        })
    }

    fn size(&self) -> (usize, usize) {
        (self.pre.width, self.pre.height)
    }

    /// How far whole-pixel shifts may go.
    pub fn reach(&self) -> usize {
        self.margin - SPLINE_MARGIN - PAD
    }

    /// The post image's window of `size` at (x, y) of the tile, moved by whole pixels.
    pub fn post_window(&self, (x, y): (i64, i64), size: (usize, usize)) -> Grid<f32> {
        let m = self.margin as i64;
        let limit = |v: i64, n: usize, all: usize| v.clamp(0, (all - n) as i64);
        let (x, y) = (limit(x + m, size.0, self.post.width), limit(y + m, size.1, self.post.height));
        self.post.crop(Window::new(x, y, size.0, size.1))
    }

    /// Pixels by which the post image reaches beyond the tile.
    pub fn margin(&self) -> usize {
        self.margin
    }

    /// post(x + d(x)): a copy where the shift is the same number of whole pixels everywhere, else by spline.
    pub fn warped(&mut self, d: [&Grid<f32>; 2], preparer: &mut Preparer) -> Option<Grid<f32>> {
        let first = (d[0].data[0], d[1].data[0]);
        let whole = |v: f32| v == v.round() && v.abs() <= self.reach() as f32;
        let same = |g: &Grid<f32>, v: f32| g.data.iter().all(|o| *o == v);
        if whole(first.0) && whole(first.1) && same(d[0], first.0) && same(d[1], first.1) {
            return Some(self.post_window((first.0 as i64, first.1 as i64), self.size()));
        }
        let prepared = self.spline(preparer)?;
        let zero = d[0].map(|_| 0.0f32);
        let (mut image, mut weight) = (zero.clone(), zero);
        warp(&prepared.post, &prepared.table, d, &mut image, &mut weight);
        image.data.iter_mut().for_each(|v| *v += prepared.mean);
        Some(image)
    }

    /// The post image's window of the tile's pixels from `corner` on, moved by one sub-pixel displacement.
    pub fn moved_window(
        &mut self,
        corner: (i64, i64),
        side: usize,
        d: (f64, f64),
        preparer: &mut Preparer,
    ) -> Option<Vec<f32>> {
        let prepared = self.spline(preparer)?;
        let c = &prepared.post.coefficients;
        let limit = prepared.post.search as f64;
        let (dx, dy) = (d.0.clamp(-limit, limit), d.1.clamp(-limit, limit));
        let (tx, ty) = (c.taps(corner.0, dx), c.taps(corner.1, dy));
        let mut rows = vec![0.0; c.rows(side) * side];
        c.along_x(&tx, ty.first, c.rows(side), side, &mut rows);
        let mut out = vec![0.0; side * side];
        for (y, line) in out.chunks_exact_mut(side).enumerate() {
            c.along_y(&ty.weights, &rows, y, side, line);
            line.iter_mut().for_each(|v| *v += prepared.mean);
        }
        Some(out)
    }

    fn spline(&mut self, preparer: &mut Preparer) -> Option<&Prepared> {
        if self.prepared.is_none() {
            // The preparer takes off the mean: done here, so that it can be put back.
            let mean = (self.post.data.iter().map(|v| f64::from(*v)).sum::<f64>() / self.post.data.len() as f64) as f32;
            let image = Image::from_values(self.post.map(|v| v - mean));
            let delta = identity();
            let (spline, parts) = (Spline::Quintic, Parts::Coefficients);
            let recipe = Recipe { prefilter: &delta, residual: &delta, spline, unit: 1.0, parts };
            let post = preparer.post(&image, self.reach(), &recipe)?;
            let table = PhaseTable::new(&post.coefficients);
            self.prepared = Some(Prepared { post, table, mean });
        }
        self.prepared.as_ref()
    }
}
