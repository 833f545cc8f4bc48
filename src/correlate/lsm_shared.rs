//! The first pass of `lsm` from sums shared by all windows of a tile.
//!
//! The products of the basis images with the displaced post window are linear in the post image: with g a spline they are the
//! same spline through the products with its coefficients ([`super::lag_sums`]), and the products with the slopes of g
//! are the derivatives of that. Overlapping windows share all of these sums, so that an iteration costs a few
//! hundred operations instead of an interpolation of the whole window; that is done once, at the solution, for the
//! energy of the post window. The solutions are those of [`super::lsm`] but for rounding.

use super::interp::Coefficients;
use super::lag_sums::{Around, Lags, LagsOfThree, SIDE};
use super::lanes::vectors;
use super::lsm::{Limits, LsmWindow, PostSums, Solution, descend, moments};
use super::search::Peak;
use super::sums::Intervals;
use super::surface::NOTHING;
use super::window_sums::{RegressionTerms, regression_terms};
use super::{Band, Tile};
use crate::field::{PixelShift, Status};
use nalgebra::Matrix3;

/// The solutions of the windows with all their pixels in both images, from their peaks; `None` for the others, for those that a
/// line cuts (`cut`) and for those that leave the lags that are there. `work` lends its buffers.
pub fn solutions(
    tile: &Tile,
    peaks: &[Peak],
    limits: &Limits,
    work: &mut LsmWindow,
    cut: impl Fn(usize) -> bool,
) -> Vec<Option<Solution>> {
    let (band, windows) = (&tile.bands[0], &tile.windows);
    let c = &band.post.coefficients;
    let shares = |cell: usize| whole(tile, cell, &peaks[cell]) && !cut(cell);
    let wanted: Vec<Option<Around>> =
        (0..windows.len()).map(|cell| shares(cell).then(|| Around::spline(peaks[cell].start(), c.factor))).collect();
    if wanted.iter().flatten().next().is_none() {
        return vec![None; windows.len()];
    }
    let x = Intervals::new(windows.cells.0, windows.window.0, windows.step.0);
    let y = Intervals::new(windows.cells.1, windows.window.1, windows.step.1);
    let terms = regression_terms(&band.pre, windows, (&x, &y));
    let basis = [&band.pre.values, &band.pre.gradient[0], &band.pre.gradient[1]];
    let (mut lags, knots) = (LagsOfThree::default(), c.knots());
    let mut out = vec![None; windows.len()];
    let (columns, rows) = windows.cells;
    let group = LagsOfThree::group(columns, rows);
    for top in (0..rows).step_by(group) {
        if tile.stopped() {
            break;
        }
        let bottom = (top + group).min(rows);
        let cells = top * columns..bottom * columns;
        lags.compute((basis, &knots), (&x, &y), (columns, (top, bottom)), &wanted[cells.clone()]);
        for (row, cell) in cells.enumerate() {
            let Some(around) = wanted[cell] else { continue };
            out[cell] = vectors(
                #[inline(always)]
                || {
                    let t = &terms[cell];
                    let lags = lags.of(row, [t.terms.mean, t.means[0], t.means[1]]);
                    let corner = windows.corner(cell);
                    solve(&Shared { band, corner, t, lags, around }, peaks[cell].start(), limits, work)
                },
            );
        }
    }
    out
}

/// The window of a cell has all its pixels, where its peak is in the post image too.
fn whole(tile: &Tile, cell: usize, peak: &Peak) -> bool {
    let ((w, h), corner, shift) =
        (tile.windows.window, tile.windows.corner(cell), tile.area.nearest(cell, peak.start()));
    let (pre, post) = (&tile.bands[0].pre, &tile.bands[0].post);
    let at = |c: usize, s: i32| (c + post.search) as i64 + i64::from(s);
    !peak.edge
        && peak.correlation > NOTHING
        && w * h >= 8
        && pre.counts.count(corner.0 as i64, corner.1 as i64, (w, h)) == w * h
        && post.counts.count(at(corner.0, shift.0), at(corner.1, shift.1), (w, h)) == w * h
}

/// One window.
struct Shared<'a> {
    band: &'a Band<'a>,
    corner: (usize, usize),
    t: &'a RegressionTerms,
    lags: [Lags; 3],
    around: Around,
}

/// `None` where the solution leaves the lags.
#[inline(always)]
fn solve(shared: &Shared, start: PixelShift, limits: &Limits, work: &mut LsmWindow) -> Option<Solution> {
    let t = shared.t;
    let [xx, xy, yy] = t.terms.gradient;
    let [fx, fy] = t.mixed;
    if t.terms.flat(limits.min_variance) {
        return Some(Solution::failed(Status::LowTexture, 0));
    }
    let normal = Matrix3::new(t.terms.energy, fx, fy, fx, xx, xy, fy, xy, yy);
    let Some(inverse) = normal.try_inverse() else { return Some(Solution::failed(Status::LowTexture, 0)) };
    let c = &shared.band.post.coefficients;
    let mut left = false;
    let (found, iterations) = descend(start, &inverse, |d| {
        left = !shared.around.reaches(d);
        (!left).then(|| shared.products(c, d, [Order::Value, Order::Value]))
    });
    let Some(d) = found else {
        return (!left).then(|| Solution::failed(Status::NoConvergence, iterations));
    };
    if !shared.around.reaches(d) {
        return None;
    }
    let [f, _, _] = shared.products(c, d, [Order::Value, Order::Value]);
    let [_, xx, yx] = shared.products(c, d, [Order::Slope, Order::Value]);
    let [_, xy, yy] = shared.products(c, d, [Order::Value, Order::Slope]);
    let post = PostSums { energy: work.energy(c, shared.corner, d), product: f, slopes: [xx, xy, yx, yy] };
    let n = t.terms.count;
    let moments = moments(&post, (n, n), t.terms.energy, t.terms.gradient, t.terms.spread);
    Some(Solution::at(d, moments, iterations))
}

/// What is taken of the spline along an axis.
#[derive(Clone, Copy)]
enum Order {
    Value,
    Slope,
}

impl Shared<'_> {
    /// The products of f, f_x and f_y with the post window displaced by `d`, or with its slopes (per pixel).
    #[inline(always)]
    fn products(&self, c: &Coefficients, d: PixelShift, orders: [Order; 2]) -> [f64; 3] {
        let factor = c.factor as f64;
        let weights = |at: f64, order: Order| -> (usize, [f64; 6]) {
            let from = at.floor() as usize - 2;
            let x = |i: usize| at - (from + i) as f64;
            let weight = |i: usize| match order {
                Order::Value => c.spline.basis(x(i)),
                Order::Slope => c.spline.slope(x(i)) * factor,
            };
            (from, std::array::from_fn(weight))
        };
        let (x, y) = self.around.place(d, factor);
        let ((x0, x), (y0, y)) = (weights(x, orders[0]), weights(y, orders[1]));
        self.lags.each_ref().map(|lags| {
            let mut columns = [0.0; 6];
            for j in 0..6 {
                let row = &lags[(y0 + j) * SIDE + x0..(y0 + j) * SIDE + x0 + 6];
                for i in 0..6 {
                    columns[i] += y[j] * row[i];
                }
            }
            (0..6).map(|i| columns[i] * x[i]).sum()
        })
    }
}
