//! The `dense` method: a displacement for every pixel from least squares in windows of 5 to 144 px at once.
//!
//! Both images are whitened in two ways ([`whiten`]); each window size gives a correction and its covariance
//! ([`candidates`]); they are fused from large to small, small windows acting only where they see something that the
//! larger ones smeared ([`fuse`]); edges are sharpened ([`edges`]); the post image is warped by the result and the next
//! pass begins ([`levels`]).
//! With `--cut` all of that is done once more for each side of the lines, with its own pixels alone ([`super::sides`]), and pixels
//! near a line take their side's.
//! `--window` and `--step` lay out the product's cells only: a cell holds the value at its centre, between pixels where
//! the window's side is even.
pub mod candidates;
pub mod edges;
pub mod fuse;
pub mod levels;
pub mod products;
pub mod start;
pub mod warp;
pub mod whiten;
pub mod windows;

pub use candidates::{Candidate, Candidates};

use super::agreement::Agreement;
use super::fill::ValidCounts;
use super::prepare::{Parts, PreparedPost, PreparedPre};
use super::sides::Sides;
use super::sums::SquareSums;
use super::{Method, Tile};
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::grid::Grid;
use crate::pipeline::Params;
use candidates::UNKNOWN;
use levels::{Iterated, Level, Levels};
use start::{Peaks, Place};

/// Pixels around the cells' windows that the largest windows look at.
const HALO: usize = 64;
/// Pixels that the largest windows reach from their centre.
const REACH: usize = 72;
/// Least standard deviation reported, pixels: what interpolation leaves.
const FLOOR: f32 = 1e-3;
/// Standard deviation, in corrections of the last pass, of what further passes would change and of what windows over bending
/// ground never see: with it error over sigma is about 1 beside cuts and in strain (`make bench-faults`), and where
/// nothing moves hardly different.
const STILL_TO_COME: f32 = 3.0;
/// Standard deviation at which the quality is 1/2, pixels.
const HALF_QUALITY: f64 = 0.25;
/// A cell whose standard deviation is larger was not measured, pixels.
const LARGEST_SIGMA: f32 = 0.7;

/// The candidates of a pair of prepared images about the displacement `d` (right and down in pixels, of the pre image's
/// size); `std` is the standard deviation of the texture.
pub fn candidates_of(pre: &PreparedPre, post: &PreparedPost, d: [&Grid<f32>; 2], std: f64) -> Candidates {
    Levels::new(vec![Level::from_images(pre, post, std)]).candidates(d, 0)
}

pub struct Dense {
    min_valid: f64,
}

impl Dense {
    pub fn new(params: &Params) -> Self {
        Dense { min_valid: params.min_valid }
    }
}

impl Method for Dense {
    fn parts(&self, _cut: bool) -> Parts {
        Parts::Coefficients
    }

    fn halo(&self) -> usize {
        HALO
    }

    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        measure(tile, self.min_valid)
    }
}

/// The displacement of every pixel of a tile.
struct Run {
    d: [Grid<f32>; 2],
    covariance: [Grid<f32>; 3],
    agreement: Agreement,
    /// Pixels that counted.
    valid: Grid<bool>,
}

impl Run {
    /// From all pixels, or those of a `mask` alone; `None` when the run is to end.
    fn new(tile: &Tile, peaks: &Peaks, mask: Option<&Grid<bool>>) -> Option<Run> {
        let mut d = peaks.field(mask);
        let mut levels = Levels::new(tile.bands.iter().map(Level::new).collect());
        levels.bands.iter_mut().for_each(|l| mask.iter().for_each(|m| l.keep(m)));
        let Iterated { mut covariance, last } = levels.iterate(&mut d, || tile.stopped())?;
        for (i, last) in last.iter().enumerate() {
            // xx for the correction right, yy for that down.
            let variance = covariance[2 * i].data.iter_mut().zip(&last.data);
            variance.for_each(|(v, last)| *v += (STILL_TO_COME * last).powi(2));
        }
        Some(Run { d, covariance, agreement: Level::agreement(&levels.bands), valid: levels.bands[0].both_valid() })
    }
}

fn measure(tile: &Tile, min_valid: f64) -> Vec<Measurement> {
    let peaks = Peaks::new(tile);
    let Some(whole) = Run::new(tile, &peaks, None) else {
        return vec![Measurement::failed(Status::NoData); tile.windows.len()];
    };
    let size = (whole.d[0].width, whole.d[0].height);
    let sides = tile.cuts.map(|c| Sides::new(c, size.0, size.1, REACH));
    let window = tile.windows.window;
    // The side whose windows measure a cell beside a line.
    let side = |(x, y): (f32, f32)| {
        let nearest = |v: f32, n: usize| (v.round() as usize).min(n - 1);
        sides.as_ref().and_then(|s| s.of(nearest(x, size.0), nearest(y, size.1)))
    };
    let mut wanted = vec![false; sides.as_ref().map_or(0, |s| s.count)];
    (0..tile.windows.len()).filter_map(|cell| side(tile.centre(cell))).for_each(|part| wanted[part - 1] = true);
    let own = |s: &Sides, part: usize| wanted[part - 1].then(|| Run::new(tile, &peaks, Some(&s.mask(part)))).flatten();
    let parts: Vec<Option<Run>> = sides.iter().flat_map(|s| (1..=s.count).map(|part| own(s, part))).collect();
    let counts = ValidCounts::new(&whole.valid);
    let texture = Texture::new(&tile.bands[0].pre.values);
    let least = (min_valid * (window.0 * window.1) as f64).max(1.0);
    let cell = |cell: usize| {
        let (x, y) = tile.corner(cell);
        if (counts.count(x as i64, y as i64, window) as f64) < least {
            return Measurement::failed(Status::NoData);
        }
        // Whitening would make texture of what rounding leaves of a flat window.
        if texture.variance(x, y, window) <= tile.bands[0].scene.min_variance {
            return Measurement::failed(Status::LowTexture);
        }
        let (cx, cy) = tile.centre(cell);
        let run = side((cx, cy)).and_then(|p| parts[p - 1].as_ref()).unwrap_or(&whole);
        let place = Place::new(size, cx, cy);
        let at = |g: &Grid<f32>| place.of(g);
        let [xx, xy, yy] = run.covariance.each_ref().map(at);
        if xx + yy >= UNKNOWN {
            return Measurement::failed(Status::LowTexture);
        }
        let worst = xx.max(yy);
        if !run.agreement.at(cx, cy) || worst.is_nan() || worst > LARGEST_SIGMA * LARGEST_SIGMA {
            return Measurement::failed(Status::NoConvergence);
        }
        let shift = PixelShift::new(f64::from(at(&run.d[0])), f64::from(at(&run.d[1])));
        let origin = tile.area.start(cell);
        let beyond = |d: f64, s: i32, range: usize| (d - f64::from(s)).abs() >= range as f64;
        if beyond(shift.dx, origin.0, tile.area.range.0) || beyond(shift.dy, origin.1, tile.area.range.1) {
            return Measurement::failed(Status::SearchEdge);
        }
        let floor = FLOOR * FLOOR;
        let covariance = Covariance { xx: f64::from(xx + floor), xy: f64::from(xy), yy: f64::from(yy + floor) };
        let variance = 0.5 * (covariance.xx + covariance.yy);
        let quality = (1.0 / (1.0 + variance / (HALF_QUALITY * HALF_QUALITY))) as f32;
        let mut m = Measurement { shift, covariance, quality, status: Status::Valid };
        tile.check_search(cell, &mut m);
        m
    };
    (0..tile.windows.len()).map(cell).collect()
}

/// Variances of windows from summed-area tables.
pub(crate) struct Texture(SquareSums);

impl Texture {
    pub(crate) fn new(values: &Grid<f32>) -> Self {
        Texture(SquareSums::new(values))
    }

    pub(crate) fn variance(&self, x: usize, y: usize, window: (usize, usize)) -> f64 {
        let n = (window.0 * window.1) as f64;
        let [sum, square] = self.0.of((x, y), window);
        square / n - (sum / n).powi(2)
    }
}
