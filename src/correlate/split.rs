//! Windows across a jump that nobody has mapped (`--split`).
//!
//! A window is tried when the windows beside it disagree beyond their standard deviations. Two displacements, one from
//! each side, and the line that separates them with the smallest sum of squared residuals are refined in turn: the line
//! by a search over directions and distances, the displacements by least-squares matching of the pixels on each side.
//! The Bayesian information criterion (Schwarz 1978) decides against one displacement, constant or linear in the
//! window: smooth strain is no fault. The residual's correlation reduces the number of independent pixels.

use super::Tile;
use super::cut::{Support, centre};
use super::lanes;
use super::lsm::{Limits, LsmWindow};
use super::lsm_cut::{self, Lean};
use super::split_line::{self, WindowLine, best_line};
use crate::field::{Covariance, Measurement, PixelShift, Status};

/// A window is tried when opposite neighbours differ by so many standard deviations and pixels.
const SIGMAS: f64 = 4.0;
const LEAST: f64 = 0.1;
/// Least gain of the criterion for a window to be split (10 is "very strong", Kass & Raftery 1995), and least slip in
/// standard deviations.
const GAIN: f64 = 10.0;
const CLEAR: f64 = 3.0;
/// Smallest side that is matched, as a share of the window; a smaller one keeps its neighbours' displacement.
const SMALLEST: f64 = 0.12;
/// Variance of a place within a pixel.
const PIXEL: f64 = 1.0 / 12.0;
/// Rounds of line and displacements.
const ROUNDS: usize = 3;

/// A window with a jump.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    pub cell: usize,
    /// Relative to the window's centre.
    pub line: WindowLine,
    /// Displacement of the positive side minus that of the other.
    pub slip: PixelShift,
    pub covariance: Covariance,
    /// By how much two displacements explain the window better, in units of the information criterion.
    pub gain: f64,
}

/// A split window with both sides' measurements.
struct Found {
    split: Split,
    /// Of the positive side and of the other.
    sides: [Measurement; 2],
    /// Variance of the line's distance from the centre, by the window's own residuals.
    variance: f64,
}

/// Splits the windows that need it: each gets the displacement of the side its centre lies on. `others` carries the values
/// of windows that no line cuts to their centres, knowing those that one does.
pub fn split(
    tile: &Tile,
    work: &mut LsmWindow,
    limits: &Limits,
    solved: &mut [Measurement],
    others: impl Fn(&LsmWindow, &mut [Measurement], &[Lean]),
) -> Vec<Split> {
    let mut found: Vec<Found> = Vec::new();
    let independent = independent(tile);
    let mut planes = Planes::new(tile.windows.window);
    for cell in 0..solved.len() {
        if tile.stopped() {
            return Vec::new();
        }
        // Windows that a known line cuts have their sides already.
        if tile.cuts.is_some_and(|c| c.touches(tile.windows.corner(cell), tile.windows.window)) {
            continue;
        }
        if let Some((a, b)) = candidates(tile, solved, cell) {
            let plain = solved[cell];
            found.extend(window(tile, work, limits, &mut planes, cell, (a, b), &plain, independent));
        }
    }
    let mut index = vec![usize::MAX; solved.len()];
    found.iter().enumerate().for_each(|(i, f)| index[f.split.cell] = i);
    let decided: Vec<(bool, f64)> = found.iter().map(|f| side(tile, &found, &index, f)).collect();
    let positive: Vec<bool> = decided.iter().map(|d| d.0).collect();
    let mut leans = Vec::new();
    for (f, &(positive, wrong)) in found.iter().zip(&decided) {
        let corner = tile.windows.corner(f.split.cell);
        let mut m = f.sides[if positive { 0 } else { 1 }];
        // With that probability the value is off by the slip.
        let slip = &f.split.slip;
        m.covariance.xx += wrong * slip.dx * slip.dx;
        m.covariance.xy += wrong * slip.dx * slip.dy;
        m.covariance.yy += wrong * slip.dy * slip.dy;
        solved[f.split.cell] = m;
        tile.check_search(f.split.cell, &mut solved[f.split.cell]);
        let weights = f.split.line.weights(tile.windows.window, positive);
        leans.extend(lsm_cut::lean(tile, f.split.cell, &Support { corner, weights }));
    }
    others(work, solved, &leans);
    level(tile, solved, &found, &index, &positive, &leans);
    found.into_iter().map(|f| f.split).collect()
}

/// Carries the values of split windows to their centres with the slope of their own side.
fn level(tile: &Tile, solved: &mut [Measurement], found: &[Found], index: &[usize], positive: &[bool], leans: &[Lean]) {
    let middle = |c: usize| centre(tile.windows.corner(c), tile.windows.window);
    let half = 0.5 * tile.windows.window.0.max(tile.windows.window.1) as f64;
    let same_side = |cell: usize, other: usize| {
        let (here, there) = (middle(cell), middle(other));
        let i = index[cell];
        let distance = found[i].split.line.distance(there.0 - here.0, there.1 - here.1);
        let signed = if positive[i] { distance } else { -distance };
        // Whole windows that reach across are no witnesses.
        signed > 0.0 && (index[other] != usize::MAX || signed > half)
    };
    lsm_cut::level(tile, solved, leans, &same_side);
}

/// Whether the centre of a window lies on its line's positive side, by the lines of all split windows around it, and the
/// probability that this is wrong: each line is uncertain, together they draw a smooth trace.
///
/// The trace's distance is taken to be Gaussian. Its variance has three parts: that of the line in the window's own
/// residuals; the scatter of the lines around at this place, which holds what straight lines do not follow of a rough
/// or bent trace; and that of a pixel's uniform extent, 1/12, as no pixel tells where in it the line passes. They are not
/// averaged down: overlapping windows see the same pixels and the same bend.
fn side(tile: &Tile, found: &[Found], index: &[usize], own: &Found) -> (bool, f64) {
    let windows = &tile.windows;
    let reach = |w: usize, s: usize| (w / 4 / s).max(1) as i64;
    let (rx, ry) = (reach(windows.window.0, windows.step.0), reach(windows.window.1, windows.step.1));
    let (cx, cy) = ((own.split.cell % windows.cells.0) as i64, (own.split.cell / windows.cells.0) as i64);
    let here = centre(windows.corner(own.split.cell), windows.window);
    let (mut all, mut first, mut second) = (0.0, 0.0, 0.0);
    for y in (cy - ry).max(0)..(cy + ry + 1).min(windows.cells.1 as i64) {
        for x in (cx - rx).max(0)..(cx + rx + 1).min(windows.cells.0 as i64) {
            let Some(f) = found.get(index[y as usize * windows.cells.0 + x as usize]) else { continue };
            let there = centre(windows.corner(f.split.cell), windows.window);
            let alike = f.split.slip.dx * own.split.slip.dx + f.split.slip.dy * own.split.slip.dy;
            let distance = f.split.line.distance(here.0 - there.0, here.1 - there.1);
            // A line in the middle of its window is known best.
            let far = f.split.line.rho.abs() / (0.5 * windows.window.0.min(windows.window.1) as f64);
            let (d, w) = (distance.clamp(-4.0, 4.0) * alike.signum(), (1.0 - far).max(0.05));
            (all, first, second) = (all + w, first + w * d, second + w * d * d);
        }
    }
    let mean = first / all;
    let variance = own.variance + (second / all - mean * mean).max(0.0) + PIXEL;
    // A Gaussian's tail beyond the mean.
    (mean > 0.0, 0.5 * libm::erfc(mean.abs() / (2.0 * variance).sqrt()))
}

/// How many of a window's pixels are independent, as a share.
fn independent(tile: &Tile) -> f64 {
    let kernel = &tile.bands[0].scene.residual.weights;
    let squares: f64 = kernel.data.iter().map(|&v| (v as f64).powi(2)).sum();
    1.0 / squares.max(1.0)
}

/// Displacements beside a window, one window away, along the direction in which they differ most.
fn candidates(tile: &Tile, solved: &[Measurement], cell: usize) -> Option<(PixelShift, PixelShift)> {
    let windows = &tile.windows;
    if matches!(solved[cell].status, Status::NoData | Status::LowTexture) {
        return None;
    }
    let (nx, ny) = (windows.cells.0 as i64, windows.cells.1 as i64);
    let (cx, cy) = (cell as i64 % nx, cell as i64 / nx);
    let cells = |pixels: f64, step: usize| (pixels / step as f64).round() as i64;
    let mut best: Option<(f64, PixelShift, PixelShift)> = None;
    for (u, v) in [(1.0, 0.0), (0.7, 0.7), (0.0, 1.0), (-0.7, 0.7)] {
        let i = cells(u * windows.window.0 as f64, windows.step.0);
        let j = cells(v * windows.window.1 as f64, windows.step.1);
        let at = |x: i64, y: i64| {
            let inside = x >= 0 && y >= 0 && x < nx && y < ny;
            inside.then(|| &solved[(y * nx + x) as usize]).filter(|m| m.status == Status::Valid)
        };
        let (Some(p), Some(q)) = (at(cx + i, cy + j), at(cx - i, cy - j)) else { continue };
        let (dx, dy) = (p.shift.dx - q.shift.dx, p.shift.dy - q.shift.dy);
        let variance = p.covariance.xx + p.covariance.yy + q.covariance.xx + q.covariance.yy;
        let length = dx.hypot(dy);
        if length > LEAST && length * length > SIGMAS * SIGMAS * variance && best.is_none_or(|b| length > b.0) {
            best = Some((length, p.shift, q.shift));
        }
    }
    best.map(|(_, p, q)| (p, q))
}

/// Buffers of one window.
struct Planes {
    window: (usize, usize),
    rows: Vec<f32>,
    residual: [Vec<f32>; 3],
    valid: Vec<bool>,
}

impl Planes {
    fn new(window: (usize, usize)) -> Self {
        let plane = || vec![0.0; window.0 * window.1];
        Planes {
            window,
            rows: Vec::new(),
            residual: [plane(), plane(), plane()],
            valid: vec![true; window.0 * window.1],
        }
    }

    /// Residual number `which`: f - γ·g(x + d), means removed, zero where invalid; its sum of squares.
    fn compute(&mut self, tile: &Tile, corner: (usize, usize), d: PixelShift, which: usize) -> f64 {
        lanes::vectors(
            #[inline(always)]
            || self.compute_inlined(tile, corner, d, which),
        )
    }

    #[inline(always)]
    fn compute_inlined(&mut self, tile: &Tile, corner: (usize, usize), d: PixelShift, which: usize) -> f64 {
        let (pre, post) = (tile.pre(), tile.post());
        let (w, h) = self.window;
        let c = &post.coefficients;
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let rows = c.rows(h);
        self.rows.resize(rows * w, 0.0);
        c.along_x(&tx, ty.first, rows, w, &mut self.rows);
        let out = &mut self.residual[which];
        let (mut n, mut f, mut ff, mut g, mut gg) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for y in 0..h {
            c.along_y(&ty.weights, &self.rows, y, w, &mut out[y * w..(y + 1) * w]);
            let values = &pre.values.row(corner.1 + y)[corner.0..corner.0 + w];
            for x in (0..w).filter(|x| self.valid[y * w + x]) {
                let (a, b) = (values[x] as f64, out[y * w + x] as f64);
                (n, f, ff, g, gg) = (n + 1.0, f + a, ff + a * a, g + b, gg + b * b);
            }
        }
        let gain = ((ff - f * f / n) / (gg - g * g / n).max(f64::MIN_POSITIVE)).max(0.0).sqrt();
        let shift = f / n - gain * g / n;
        let mut sum = 0.0;
        for y in 0..h {
            let values = &pre.values.row(corner.1 + y)[corner.0..corner.0 + w];
            for x in 0..w {
                let k = y * w + x;
                let r = if self.valid[k] { values[x] as f64 - shift - gain * out[k] as f64 } else { 0.0 };
                out[k] = r as f32;
                sum += r * r;
            }
        }
        sum
    }
}

/// Tries to split one window.
#[allow(clippy::too_many_arguments)]
fn window(
    tile: &Tile,
    work: &mut LsmWindow,
    limits: &Limits,
    planes: &mut Planes,
    cell: usize,
    (mut a, mut b): (PixelShift, PixelShift),
    plain: &Measurement,
    independent: f64,
) -> Option<Found> {
    let (w, h) = tile.windows.window;
    let corner = tile.windows.corner(cell);
    validity(tile, corner, tile.area.nearest(cell, a), planes);
    let pixels = planes.valid.iter().filter(|v| **v).count() as f64;
    if pixels < limits.min_valid * (w * h) as f64 {
        return None;
    }
    let mut line: Option<WindowLine> = None;
    let mut spread = 0.0;
    let mut sides = [Measurement::failed(Status::NoConvergence); 2];
    let mut remaining = f64::INFINITY;
    for round in 0..ROUNDS {
        planes.compute(tile, corner, a, 0);
        let other = planes.compute(tile, corner, b, 1);
        let [ra, rb, difference] = &mut planes.residual;
        for ((d, a), b) in difference.iter_mut().zip(ra.iter()).zip(rb.iter()) {
            *d = a * a - b * b;
        }
        let (found, sum) = best_line(difference, (w, h), line);
        line = Some(found);
        remaining = other + sum;
        if round + 1 == ROUNDS {
            let variance = (remaining / pixels).max(f64::MIN_POSITIVE);
            spread = split_line::variance(difference, (w, h), found, independent / variance);
            break;
        }
        let mut solve = |positive: bool, start: PixelShift| -> Option<Measurement> {
            let weights = found.weights((w, h), positive);
            let share = weights.iter().map(|&v| v as f64).sum::<f64>() / (w * h) as f64;
            if share < SMALLEST {
                return None;
            }
            let shift = tile.area.nearest(cell, start);
            let limits = work.limits_on(limits, &weights);
            work.load(tile.pre(), tile.post(), corner, shift, Some(&weights), &limits).ok()?;
            let m = work.solve(tile.post(), corner, start).measurement;
            (m.status == Status::Valid).then_some(m)
        };
        for (k, d) in [&mut a, &mut b].into_iter().enumerate() {
            if let Some(m) = solve(k == 0, *d) {
                *d = m.shift;
                sides[k] = m;
            } else {
                sides[k].status = Status::NoConvergence;
            }
        }
    }
    let line = line?;
    // The centre's side must be measured; the other may be too small for that.
    let own = if line.distance(0.0, 0.0) > 0.0 { 0 } else { 1 };
    if sides[own].status != Status::Valid {
        return None;
    }
    let n = (pixels * independent).max(8.0);
    let constant = match plain.status {
        Status::Valid => planes.compute(tile, corner, plain.shift, 2),
        _ => f64::INFINITY,
    };
    let either = planes.compute(tile, corner, a, 0).min(planes.compute(tile, corner, b, 1));
    let linear = if constant.is_finite() { linear_residual(tile, corner, planes) } else { f64::INFINITY };
    let gain = |residual: f64, more: f64| n * (residual / remaining.max(f64::MIN_POSITIVE)).ln() - more * n.ln();
    let gain = gain(constant.min(either), 4.0).min(gain(linear, 0.0));
    let slip = PixelShift::new(a.dx - b.dx, a.dy - b.dy);
    let known = |m: &Measurement| if m.status == Status::Valid { m.covariance } else { sides[own].covariance };
    let (p, q) = (known(&sides[0]), known(&sides[1]));
    let covariance = Covariance { xx: p.xx + q.xx, xy: p.xy + q.xy, yy: p.yy + q.yy };
    let clear = slip.dx.hypot(slip.dy) > CLEAR * (covariance.xx + covariance.yy).sqrt();
    if !(gain > GAIN && clear) {
        return None;
    }
    // A side too small to be matched cannot hold the centre by its own line; the lines around may still say so.
    for (k, d) in [a, b].into_iter().enumerate() {
        if sides[k].status != Status::Valid {
            sides[k] = Measurement { shift: d, ..sides[own] };
        }
    }
    Some(Found { split: Split { cell, line, slip, covariance, gain }, sides, variance: spread })
}

/// Which pixels of the window are valid in both images.
fn validity(tile: &Tile, corner: (usize, usize), shift: (i32, i32), planes: &mut Planes) {
    let (w, h) = planes.window;
    let (pre, post) = (tile.pre(), tile.post());
    let px = (corner.0 + post.search).wrapping_add_signed(shift.0 as isize);
    let py = (corner.1 + post.search).wrapping_add_signed(shift.1 as isize);
    for y in 0..h {
        let a = &pre.valid.row(corner.1 + y)[corner.0..corner.0 + w];
        let b = &post.valid.row(py + y)[px..px + w];
        planes.valid[y * w..(y + 1) * w].iter_mut().zip(a.iter().zip(b)).for_each(|(v, (a, b))| *v = a & b);
    }
}

/// What a displacement that varies linearly in the window leaves of residual number 2, to first order.
fn linear_residual(tile: &Tile, corner: (usize, usize), planes: &Planes) -> f64 {
    let (w, h) = planes.window;
    let pre = tile.pre();
    let mut normal = nalgebra::SMatrix::<f64, 8, 8>::zeros();
    let mut right = nalgebra::SVector::<f64, 8>::zeros();
    let mut total = 0.0;
    for y in 0..h {
        for x in 0..w {
            let k = y * w + x;
            if !planes.valid[k] {
                continue;
            }
            let (i, j) = (corner.0 + x, corner.1 + y);
            let (u, v) = (2.0 * x as f64 / w as f64 - 1.0, 2.0 * y as f64 / h as f64 - 1.0);
            let (gx, gy) = (pre.gradient[0].get(i, j) as f64, pre.gradient[1].get(i, j) as f64);
            let row = nalgebra::SVector::<f64, 8>::from([
                1.0,
                pre.values.get(i, j) as f64,
                gx,
                gy,
                gx * u,
                gx * v,
                gy * u,
                gy * v,
            ]);
            let r = planes.residual[2][k] as f64;
            normal += row * row.transpose();
            right += row * r;
            total += r * r;
        }
    }
    match normal.cholesky() {
        Some(c) => (total - right.dot(&c.solve(&right))).max(0.0),
        None => total,
    }
}
