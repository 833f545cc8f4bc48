//! The `regularized` method: dense matching with a smoothness cost, in the manner of MicMac and SGM.
//!
//! Correlations of small windows at whole pixels ([`cost`]) are aggregated along eight directions ([`aggregate`]); a
//! ladder of steps of 1/2 and 1/4 pixel ([`ladder`]) does the same around the labels found; then a continuous field is
//! fitted to the single pixels with springs that give way at jumps ([`refine`], [`solve`]), so nothing is quantised.
//! The field is solved at every pixel; `--step` samples it. What a tile sees of its neighbours (`HALO`) is several
//! times the distance over which pixels act on each other.
pub mod aggregate;
pub mod barrier;
pub mod cost;
pub mod data;
pub mod ladder;
pub mod level;
pub mod refine;
pub mod sigma;
pub mod solve;
pub mod speckle;

use super::dense::start::bilinear;
use super::dense::windows::box_sum;
use super::fill::ValidCounts;
use super::{Method, Tile};
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::grid::Grid;
use crate::pipeline::{Params, SMOOTHNESS};
use barrier::Barriers;
use data::Source;

/// Pixels around the cells' windows that a tile looks at: so many times the smoothness, and at least so many.
const HALO: f32 = 4.0;
const LEAST_HALO: usize = 48;
/// Regions of labels smaller than this many pixels are taken for wrong.
const SPECKLE: usize = 200;
/// Least standard deviation reported, pixels: what interpolation leaves.
const FLOOR: f32 = 1e-3;
/// A cell whose standard deviation is larger was not measured, pixels.
const LARGEST_SIGMA: f32 = 0.7;

pub struct Regularized {
    min_valid: f64,
    window: (usize, usize),
    smoothness: f32,
}

impl Regularized {
    pub fn new(params: &Params) -> Self {
        Regularized { min_valid: params.min_valid, window: params.window, smoothness: params.smoothness as f32 }
    }
}

impl Method for Regularized {
    fn halo(&self) -> usize {
        ((HALO * self.smoothness).ceil() as usize).max(LEAST_HALO)
    }

    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        let (w, h) = (tile.pre().values.width, tile.pre().values.height);
        let barriers = tile.cuts.map(|c| Barriers::new(c, w, h));
        let mut labels = ladder::labels(tile, self.window, barriers.as_ref());
        let closed = |a: (usize, usize), b: (usize, usize)| barriers.as_ref().is_some_and(|s| s.between(a, b));
        speckle::remove(&mut labels, w, SPECKLE, &closed);
        let quarter = |v: i32| v as f32 / cost::PHASES as f32;
        let start = [
            Grid::from_vec(w, h, labels.iter().map(|l| quarter(l.0)).collect()),
            Grid::from_vec(w, h, labels.iter().map(|l| quarter(l.1)).collect()),
        ];
        let mut sources: Vec<Source> = tile.bands.iter().map(Source::new).collect();
        let found = refine::refine(&mut sources, start, self.smoothness, barriers.as_ref(), || tile.stopped());
        if tile.stopped() {
            return vec![Measurement::failed(Status::NoData); tile.windows.len()];
        }
        let covariance = sigma::covariance(&found);
        self.measure(tile, &found, &sources, &covariance)
    }
}

/// A field found otherwise, for all pixels of the pre images, smoothed in the same way: with what `dense` finds nearly as good
/// as with the labels, for a fifth of the work. What it is worth when the run is stopped nobody knows.
pub fn smoothed(tile: &Tile, start: [Grid<f32>; 2]) -> [Grid<f32>; 2] {
    let (w, h) = (start[0].width, start[0].height);
    let barriers = tile.cuts.map(|c| Barriers::new(c, w, h));
    let mut sources: Vec<Source> = tile.bands.iter().map(Source::new).collect();
    refine::smooth(&mut sources, start, SMOOTHNESS as f32, barriers.as_ref(), || tile.stopped()).d
}

impl Regularized {
    fn measure(
        &self,
        tile: &Tile,
        found: &refine::Refined,
        sources: &[Source],
        covariance: &[Grid<f32>; 3],
    ) -> Vec<Measurement> {
        let both = found.data.both.map(|v| v > 0.5);
        let counts = ValidCounts::new(&both);
        let window = tile.windows.window;
        let least = (self.min_valid * (window.0 * window.1) as f64).max(1.0);
        let radius = (window.0.min(window.1) - 1) / 2;
        let texture = variance(&tile.bands[0].pre.values, &found.data.both, radius);
        let quality = sources[0].correlation(radius);
        let agreement = data::agreement(sources);
        let cell = |cell: usize| {
            let (x, y) = tile.corner(cell);
            let valid = counts.count(x as i64, y as i64, window) as f64;
            if valid < least {
                return Measurement::failed(Status::NoData);
            }
            let (cx, cy) = tile.centre(cell);
            let at = |g: &Grid<f32>| bilinear(g, cx, cy);
            if f64::from(at(&texture)) <= tile.bands[0].scene.min_variance {
                return Measurement::failed(Status::LowTexture);
            }
            let [xx, xy, yy] = covariance.each_ref().map(at);
            let worst = xx.max(yy);
            if !agreement.at(cx, cy) || worst.is_nan() || worst > LARGEST_SIGMA * LARGEST_SIGMA {
                return Measurement::failed(Status::NoConvergence);
            }
            let shift = PixelShift::new(f64::from(at(&found.d[0])), f64::from(at(&found.d[1])));
            let origin = tile.area.start(cell);
            let beyond = |d: f64, s: i32, range: usize| (d - f64::from(s)).abs() >= range as f64;
            if beyond(shift.dx, origin.0, tile.area.range.0) || beyond(shift.dy, origin.1, tile.area.range.1) {
                return Measurement::failed(Status::SearchEdge);
            }
            let quality = at(&quality).clamp(0.0, 1.0);
            let floor = FLOOR * FLOOR;
            let covariance = Covariance { xx: f64::from(xx + floor), xy: f64::from(xy), yy: f64::from(yy + floor) };
            let mut m = Measurement { shift, covariance, quality, status: Status::Valid };
            tile.check_search(cell, &mut m);
            m
        };
        (0..tile.windows.len()).map(cell).collect()
    }
}

/// Variance of the valid pixels in boxes.
fn variance(values: &Grid<f32>, weight: &Grid<f32>, radius: usize) -> Grid<f32> {
    let product = |a: &Grid<f32>, b: &Grid<f32>| Grid {
        width: a.width,
        height: a.height,
        data: a.data.iter().zip(&b.data).map(|(a, b)| a * b).collect(),
    };
    let masked = product(values, weight);
    let (n, sum, square) =
        (box_sum(weight, radius), box_sum(&masked, radius), box_sum(&product(&masked, &masked), radius));
    let one = |k: usize| {
        let n = n.data[k].max(1.0);
        (square.data[k] - sum.data[k] * sum.data[k] / n) / n
    };
    Grid { width: n.width, height: n.height, data: (0..n.data.len()).map(one).collect() }
}
