//! From the raw pixels of a tile to what the methods work on: prefiltered images, gradients, spline coefficients.
//!
//! Everything is computed in the Fourier domain of the tile grown by [`PAD`] pixels, the outer half of which are
//! faded to zero. A tile is always prepared as a whole, so its numbers do not depend on region, thread or caller.

use super::fill::{ValidCounts, fill_invalid};
use super::interp::{Coefficients, Spline};
use super::prefilter::Kernel;
use super::tile_filter::{FilterWork, TileSpectrum};
use crate::field::PixelShift;
use crate::grid::{Grid, Image, Window};

/// Pixels needed around a tile for the filters.
pub const PAD: usize = 32;
/// Pixels around the search area that interpolation may touch.
pub const SPLINE_MARGIN: usize = 5;

/// The pre image of a tile.
#[derive(Debug, Clone)]
pub struct PreparedPre {
    /// Prefiltered values, zero where invalid.
    pub values: Grid<f32>,
    /// Their derivatives along x and y, per pixel.
    pub gradient: [Grid<f32>; 2],
    /// The derivatives convolved with the residual correlation, for the uncertainty.
    pub spread: [Grid<f32>; 2],
    pub valid: Grid<bool>,
    pub counts: ValidCounts,
    pub all_valid: bool,
}

/// The post image of a tile; it reaches `search` pixels further than the tile on every side.
#[derive(Debug, Clone)]
pub struct PreparedPost {
    pub search: usize,
    /// Prefiltered values on the pixel grid, zero where invalid.
    pub values: Grid<f32>,
    pub coefficients: Coefficients,
    pub valid: Grid<bool>,
    pub counts: ValidCounts,
    pub all_valid: bool,
}

impl PreparedPost {
    /// The invalid pixels of the rectangle of a `size` at `corner` of the pre image displaced by `d`, taken at the nearest pixel;
    /// `None` where there are none.
    pub fn invalid_in(&self, corner: (usize, usize), d: PixelShift, size: (usize, usize)) -> Option<Invalid<'_>> {
        let near = |c: usize, d: f64| c as i64 + self.search as i64 + d.round() as i64;
        let at = (near(corner.0, d.dx), near(corner.1, d.dy));
        (self.counts.count(at.0, at.1, size) < size.0 * size.1).then_some(Invalid { valid: &self.valid, at })
    }
}

/// Where a rectangle of the post image has invalid pixels.
pub struct Invalid<'a> {
    valid: &'a Grid<bool>,
    at: (i64, i64),
}

impl Invalid<'_> {
    /// Makes the values of row `y` of the rectangle zero that are invalid or outside the image.
    pub fn clear_row(&self, y: usize, out: &mut [f32]) {
        let y = self.at.1 + y as i64;
        let inside = |v: i64, n: usize| v >= 0 && v < n as i64;
        let row = inside(y, self.valid.height).then(|| self.valid.row(y as usize));
        for (x, v) in (self.at.0..).zip(out) {
            if !row.is_some_and(|row| inside(x, row.len()) && row[x as usize]) {
                *v = 0.0;
            }
        }
    }
}

/// What is made of a tile's images besides their values; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parts {
    Values,
    /// The post image's spline coefficients.
    Coefficients,
    /// The pre image's derivatives.
    Gradient,
    /// Those convolved with the residual correlation.
    Spread,
}

/// How a tile is prepared. What is not among the parts comes as empty grids.
#[derive(Clone, Copy)]
pub struct Recipe<'a> {
    pub prefilter: &'a Kernel,
    /// Residual correlation.
    pub residual: &'a Kernel,
    pub spline: Spline,
    /// What the image is multiplied by.
    pub unit: f32,
    pub parts: Parts,
}

/// Plans, filters and buffers of one thread.
#[derive(Default)]
pub struct Preparer {
    work: FilterWork,
}

impl Preparer {
    /// Prepares the pre image; `image` is the tile grown by [`PAD`]. `None` when no pixel is valid.
    pub fn pre(&mut self, image: &Image, recipe: &Recipe) -> Option<PreparedPre> {
        let filled = fill_invalid(image)?;
        let work = &mut self.work;
        let inner = within(image, PAD);
        let (spectrum, clear) = TileSpectrum::new(image, &filled, (recipe.prefilter, recipe.unit), work);
        let Recipe { residual, spline, parts, .. } = *recipe;
        let nothing = || [Grid::filled(0, 0, 0.0), Grid::filled(0, 0, 0.0)];
        let (mut values, gradient) = match parts >= Parts::Gradient {
            true => spectrum.with_gradient(inner, spline, work),
            false => (spectrum.image(inner, work), nothing()),
        };
        let spread = if parts >= Parts::Spread { spectrum.spread(inner, spline, residual, work) } else { nothing() };
        spectrum.done(work);
        let valid = clear.crop(inner);
        let counts = ValidCounts::new(&valid);
        let all_valid = valid.all_true();
        blank(&mut values, &valid);
        Some(PreparedPre { values, gradient, spread, valid, counts, all_valid })
    }

    /// Prepares the post image; `image` is the tile grown by `search + SPLINE_MARGIN + PAD`.
    pub fn post(&mut self, image: &Image, search: usize, recipe: &Recipe) -> Option<PreparedPost> {
        let filled = fill_invalid(image)?;
        let work = &mut self.work;
        let inner = within(image, PAD + SPLINE_MARGIN);
        let (spectrum, clear) = TileSpectrum::new(image, &filled, (recipe.prefilter, recipe.unit), work);
        let mut values = spectrum.image(inner, work);
        let coefficients = match recipe.parts >= Parts::Coefficients {
            true => spectrum.coefficients(within(image, PAD), search + SPLINE_MARGIN, recipe.spline, work),
            false => Coefficients::zero(recipe.spline, search + SPLINE_MARGIN, 0, 0),
        };
        spectrum.done(work);
        let valid = clear.crop(inner);
        let counts = ValidCounts::new(&valid);
        let all_valid = valid.all_true();
        blank(&mut values, &valid);
        Some(PreparedPost { search, values, coefficients, valid, counts, all_valid })
    }

    /// The prefiltered image, times `unit`, without its outer [`PAD`] pixels, and where it is valid; zero elsewhere. `None` when no
    /// pixel is valid.
    pub fn values(&mut self, image: &Image, prefilter: &Kernel, unit: f32) -> Option<(Grid<f32>, Grid<bool>)> {
        let filled = fill_invalid(image)?;
        let inner = within(image, PAD);
        let (spectrum, clear) = TileSpectrum::new(image, &filled, (prefilter, unit), &mut self.work);
        let mut values = spectrum.image(inner, &mut self.work);
        spectrum.done(&mut self.work);
        let valid = clear.crop(inner);
        blank(&mut values, &valid);
        Some((values, valid))
    }

    /// Takes back the memory of images that are not needed any more.
    pub fn recycle(&mut self, pre: PreparedPre, post: PreparedPost) {
        let PreparedPre { values, gradient, spread, .. } = pre;
        let images = [values, post.values].into_iter().chain(gradient).chain(spread).map(|image| image.data);
        images.chain(post.coefficients.planes).for_each(|data| self.work.recycle(data));
    }
}

/// The image without its outer `margin` pixels.
fn within(image: &Image, margin: usize) -> Window {
    Window::new(margin as i64, margin as i64, image.width() - 2 * margin, image.height() - 2 * margin)
}

/// Zero where invalid.
pub(super) fn blank(values: &mut Grid<f32>, valid: &Grid<bool>) {
    for (v, &ok) in values.data.iter_mut().zip(&valid.data) {
        *v = if ok { *v } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Kernel {
        let mut weights = Grid::filled(3, 3, 0.0);
        weights.set(1, 1, 1.0);
        Kernel { weights, reach: 0 }
    }

    /// A sum of plane waves below 0.8 of Nyquist: value and derivatives are known anywhere.
    fn waves(x: f64, y: f64) -> (f64, f64, f64) {
        let (mut v, mut vx, mut vy) = (0.0, 0.0, 0.0);
        for k in 0..12 {
            let (wx, wy) = (2.4 * ((k * 37 % 12) as f64 / 12.0), 2.4 * ((k * 17 % 12) as f64 / 12.0 - 0.5));
            let p = wx * x + wy * y + k as f64;
            v += p.cos();
            vx -= wx * p.sin();
            vy -= wy * p.sin();
        }
        (v, vx, vy)
    }

    #[test]
    fn gradients_and_interpolation_are_exact_on_band_limited_images() {
        let mut p = Preparer::default();
        let (w, h) = (90, 70);
        let at = |m: usize| {
            Image::from_values(Grid::from_fn(w + 2 * m, h + 2 * m, |x, y| {
                waves(x as f64 - m as f64, y as f64 - m as f64).0 as f32 + 100.0
            }))
        };
        let delta = identity();
        let recipe =
            Recipe { prefilter: &delta, residual: &delta, spline: Spline::QuinticX2, unit: 1.0, parts: Parts::Spread };
        let pre = p.pre(&at(PAD), &recipe).unwrap();
        let search = 3;
        let post = p.post(&at(PAD + SPLINE_MARGIN + search), search, &recipe).unwrap();
        let (dx, dy) = (0.37, -1.21);
        let (x0, y0, n) = (20usize, 15usize, 16usize);
        let c = &post.coefficients;
        let (tx, ty) = (c.taps(x0 as i64, dx), c.taps(y0 as i64, dy));
        let mut rows = vec![0.0; c.rows(n) * n];
        c.along_x(&tx, ty.first, c.rows(n), n, &mut rows);
        let mut line = vec![0.0; n];
        let mut worst = 0.0f64;
        // The mean of the padded image is removed; compare differences to one reference pixel.
        let offset = post.values.get(40 + search, 40 + search) as f64 - waves(40.0, 40.0).0;
        for y in 0..n {
            c.along_y(&ty.weights, &rows, y, n, &mut line);
            for x in 0..n {
                let truth = waves((x0 + x) as f64 + dx, (y0 + y) as f64 + dy).0;
                worst = worst.max((line[x] as f64 - truth - offset).abs());
            }
        }
        assert!(worst < 0.003, "interpolation error {worst}");
        for (x, y) in [(0, 0), (30, 30), (89, 69)] {
            let (_, vx, vy) = waves(x as f64, y as f64);
            assert!((pre.gradient[0].get(x, y) as f64 - vx).abs() < 0.05);
            assert!((pre.gradient[1].get(x, y) as f64 - vy).abs() < 0.05);
        }
    }

    #[test]
    fn bands_keep_their_own_filters() {
        let mut p = Preparer::default();
        let image = Image::from_values(Grid::from_fn(90, 90, |x, y| waves(x as f64, y as f64).0 as f32));
        let twice = Kernel { weights: identity().weights.map(|v| 2.0 * v), reach: 0 };
        let one = p.values(&image, &identity(), 1.0).unwrap().0;
        let two = p.values(&image, &twice, 1.0).unwrap().0;
        assert!(one.data.iter().zip(&two.data).all(|(a, b)| (2.0 * a - b).abs() < 1e-4));
        assert_eq!(p.values(&image, &identity(), 1.0).unwrap().0, one);
    }

    #[test]
    fn search_area_values_align_with_the_tile() {
        let mut p = Preparer::default();
        let search = 4;
        let m = PAD + SPLINE_MARGIN + search;
        let image = Image::from_values(Grid::from_fn(50 + 2 * m, 40 + 2 * m, |x, y| {
            waves(x as f64 - m as f64, y as f64 - m as f64).0 as f32
        }));
        for spline in Spline::ALL {
            let delta = identity();
            let recipe = Recipe { prefilter: &delta, residual: &delta, spline, unit: 1.0, parts: Parts::Coefficients };
            let post = p.post(&image, search, &recipe).unwrap();
            assert_eq!((post.values.width, post.values.height), (50 + 2 * search, 40 + 2 * search));
            let offset = post.values.get(20, 20) as f64 - waves(16.0, 16.0).0;
            assert!((post.values.get(30, 10) as f64 - waves(26.0, 6.0).0 - offset).abs() < 0.01);
        }
    }
}
