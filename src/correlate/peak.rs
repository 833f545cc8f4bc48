//! The maximum of the normalised cross-correlation as a function of a continuous displacement.
//!
//! Σ f(x)·g(x + d) is linear in g, so with g a spline it is the same spline through the correlations of f with the
//! spline's coefficients: 7 × 7 lags give the exact correlation with the interpolated image, its gradient and its
//! curvature everywhere between them, and nothing is quantised. The coefficients lie on the half-pixel grid (chips
//! oversampled twice: [`Spline::QuinticX2`], which keeps everything between the pixels). The norm of the post window comes from
//! its energies at half pixels.

use super::eight::{self, Eight, Lanes, Work, eight};
use super::half_pixel::{HalfPixels, nearest};
use super::interp::{Coefficients, Spline};
use super::lanes::vectors;
use super::lsm::{CAPTURE, Limits};
use super::prepare::{PreparedPost, PreparedPre};
use super::window_sums::WindowTerms;
use crate::field::{PixelShift, Status};
use pulp::f32x8;

pub(super) const LANES: usize = 16;
/// Lags along each axis: the support of a quintic spline around its nearest knot.
pub(super) const LAGS: usize = 7;
/// Most Newton steps and the step (pixels) that ends them.
const ITERATIONS: usize = 12;
const TOLERANCE: f64 = 1e-4;

/// One band of one window.
pub struct WindowCorrelation {
    window: (usize, usize),
    /// Window width rounded up to whole vectors.
    padded: usize,
    /// Weights 0 to 1 of the pixels; all 1 when `weighted` is false.
    weights: Vec<f32>,
    weighted: bool,
    /// Weight times (f - mean).
    f: Vec<f32>,
    terms: WindowTerms,
    lags: [f64; LAGS * LAGS],
    /// Knot (coefficient units, relative to the window's corner at no displacement) in the middle of `lags`.
    knot: (i64, i64),
    /// Half-pixel displacement in the middle of `norms`, and the norms around it.
    half: (i64, i64),
    norms: [f64; 9],
}

/// Value, gradient (x, y) and second derivatives (xx, xy, yy) of a function of the displacement.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Jet {
    pub value: f64,
    pub gradient: [f64; 2],
    pub second: [f64; 3],
}

impl Jet {
    fn add(&mut self, other: &Jet) {
        self.value += other.value;
        self.gradient.iter_mut().zip(other.gradient).for_each(|(a, b)| *a += b);
        self.second.iter_mut().zip(other.second).for_each(|(a, b)| *a += b);
    }
}

/// Number of pixels of a window that count (weights summed), and whether they have weights, which then are in `weights`, rows
/// of `padded`: 0 where either image is invalid at the whole-pixel displacement `shift`, else those of `cut`.
///
/// # Errors
/// [`Status::NoData`] where too few pixels are valid.
#[inline(always)]
pub(super) fn weigh(
    (pre, post): (&PreparedPre, &PreparedPost),
    corner: (usize, usize),
    shift: (i32, i32),
    cut: Option<&[f32]>,
    limits: &Limits,
    ((w, h), padded): ((usize, usize), usize),
    weights: &mut [f32],
) -> Result<(f64, bool), Status> {
    let total = (w * h) as f64;
    let at = |c: usize, s: i32| (c + post.search).wrapping_add_signed(s as isize);
    let (px, py) = (at(corner.0, shift.0), at(corner.1, shift.1));
    let masked = pre.counts.count(corner.0 as i64, corner.1 as i64, (w, h)) < w * h
        || post.counts.count(px as i64, py as i64, (w, h)) < w * h;
    let weighted = masked || cut.is_some();
    let mut count = total;
    if weighted {
        count = 0.0;
        for y in 0..h {
            let a = &pre.valid.row(corner.1 + y)[corner.0..corner.0 + w];
            let b = &post.valid.row(py + y)[px..px + w];
            for x in 0..w {
                let weight = cut.map_or(1.0, |c| c[y * w + x]);
                let weight = if a[x] & b[x] { weight } else { 0.0 };
                weights[y * padded + x] = weight;
                count += weight as f64;
            }
        }
    }
    match count < limits.min_valid * total && masked || count < 8.0 {
        true => Err(Status::NoData),
        false => Ok((count, weighted)),
    }
}

impl WindowCorrelation {
    pub fn new(window: (usize, usize)) -> Self {
        let padded = window.0.div_ceil(LANES) * LANES;
        let plane = || vec![0.0; padded * window.1];
        WindowCorrelation {
            window,
            padded,
            weights: plane(),
            weighted: false,
            f: plane(),
            terms: WindowTerms::default(),
            lags: [0.0; LAGS * LAGS],
            knot: (i64::MAX, i64::MAX),
            half: (i64::MAX, i64::MAX),
            norms: [0.0; 9],
        }
    }

    /// Loads the window at tile pixel `corner`; `shift` is the whole-pixel displacement whose common valid pixels
    /// count, `cut` further weights row by row.
    #[inline(always)]
    pub fn load(
        &mut self,
        (pre, post): (&PreparedPre, &PreparedPost),
        corner: (usize, usize),
        shift: (i32, i32),
        cut: Option<&[f32]>,
        limits: &Limits,
    ) -> Result<(), Status> {
        let padded = (self.window, self.padded);
        let (count, weighted) = weigh((pre, post), corner, shift, cut, limits, padded, &mut self.weights)?;
        (self.terms.count, self.weighted) = (count, weighted);
        self.load_values(pre, corner);
        if self.terms.flat(limits.min_variance) {
            return Err(Status::LowTexture);
        }
        self.knot = (i64::MAX, i64::MAX);
        self.half = (i64::MAX, i64::MAX);
        Ok(())
    }

    #[inline(always)]
    fn load_values(&mut self, pre: &PreparedPre, corner: (usize, usize)) {
        let ((w, h), wp) = (self.window, self.padded);
        let rows = |g: &'_ crate::grid::Grid<f32>, y: usize| -> std::ops::Range<usize> {
            let start = (corner.1 + y) * g.width + corner.0;
            start..start + w
        };
        let mean = |g: &crate::grid::Grid<f32>| {
            let mut sum = 0.0f64;
            for y in 0..h {
                let line = &g.data[rows(g, y)];
                sum += if self.weighted { dot(line, &self.weights[y * wp..y * wp + w]) } else { total(line) };
            }
            sum / self.terms.count
        };
        let (f0, gx0, gy0) = (mean(&pre.values), mean(&pre.gradient[0]), mean(&pre.gradient[1]));
        let (mut energy, mut gradient, mut spread) = (0.0, [0.0; 3], [0.0; 3]);
        let (mut gx, mut gy) = (vec![0.0f32; w], vec![0.0f32; w]);
        for y in 0..h {
            let range = rows(&pre.values, y);
            let out = &mut self.f[y * wp..y * wp + w];
            let weights = &self.weights[y * wp..y * wp + w];
            for (o, v) in out.iter_mut().zip(&pre.values.data[range.clone()]) {
                *o = v - f0 as f32;
            }
            for (o, v) in gx.iter_mut().zip(&pre.gradient[0].data[range.clone()]) {
                *o = v - gx0 as f32;
            }
            for (o, v) in gy.iter_mut().zip(&pre.gradient[1].data[range.clone()]) {
                *o = v - gy0 as f32;
            }
            if self.weighted {
                let plain: Vec<f32> = out.to_vec();
                for line in [&mut *out, &mut gx[..], &mut gy[..]] {
                    line.iter_mut().zip(weights).for_each(|(v, k)| *v *= k);
                }
                energy += dot(out, &plain);
            } else {
                energy += dot(out, out);
            }
            gradient[0] += dot(&gx, &gx);
            gradient[1] += dot(&gx, &gy);
            gradient[2] += dot(&gy, &gy);
            let (sx, sy) = (&pre.spread[0].data[range.clone()], &pre.spread[1].data[range]);
            spread[0] += dot(&gx, sx);
            spread[1] += dot(&gx, sy);
            spread[2] += dot(&gy, sy);
        }
        self.terms = WindowTerms { count: self.terms.count, mean: f0, energy, gradient, spread };
    }

    /// The normalised correlation around displacement `d`; `None` where the post window has no energy.
    #[inline(always)]
    pub fn at(
        &mut self,
        post: &PreparedPost,
        halves: &HalfPixels,
        corner: (usize, usize),
        d: PixelShift,
    ) -> Option<Jet> {
        let c = &post.coefficients;
        let factor = c.factor as f64;
        let (px, py) = (d.dx * factor, d.dy * factor);
        let knot = (px.round() as i64, py.round() as i64);
        if knot != self.knot {
            self.knot = knot;
            self.correlate(c, corner);
        }
        if away(d, self.half) {
            self.half = nearest(d);
            vectors(
                #[inline(always)]
                || self.norm(halves, corner),
            );
        }
        let product = spline(&self.lags, (px - knot.0 as f64, py - knot.1 as f64), factor);
        let norm = norm_at(&self.norms, d, self.half);
        (norm.value > 0.0 && self.terms.energy > 0.0).then(|| quotient(&product, &norm, self.terms.energy))
    }

    /// Σ f·c at the lags around the knot.
    fn correlate(&mut self, c: &Coefficients, corner: (usize, usize)) {
        let factor = c.factor as i64;
        let first = |corner: usize, knot: i64| (corner as i64 + c.margin as i64) * factor + knot - LAGS as i64 / 2;
        let first = (first(corner.0, self.knot.0), first(corner.1, self.knot.1));
        self.lags = eight(Correlate { f: &self.f, padded: self.padded, rows: self.window.1, c, first });
    }

    #[inline(always)]
    fn norm(&mut self, halves: &HalfPixels, corner: (usize, usize)) {
        for k in 0..9 {
            let half = (self.half.0 + k as i64 % 3 - 1, self.half.1 + k as i64 / 3 - 1);
            self.norms[k] = if self.weighted {
                halves.weighted(corner, self.window, half, (&self.weights, self.padded, self.terms.count))
            } else {
                halves.energy(corner, self.window, half)
            };
        }
    }

    /// Sums over the window's valid (weighted) pixels.
    pub fn terms(&self) -> &WindowTerms {
        &self.terms
    }
}

/// Σ f·c of one window at [`LAGS`]² lags from `first` on.
struct Correlate<'a> {
    /// Rows of `padded` values, whole vectors.
    f: &'a [f32],
    padded: usize,
    rows: usize,
    c: &'a Coefficients,
    first: (i64, i64),
}

impl Work for Correlate<'_> {
    type Output = [f64; LAGS * LAGS];

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) -> Self::Output {
        let Correlate { f, padded, rows, c, first } = self;
        let factor = c.factor as i64;
        let mut lags = [0.0; LAGS * LAGS];
        for (j, lags) in lags.chunks_exact_mut(LAGS).enumerate() {
            let mut sums = [simd.splat_f32s(0.0); LAGS];
            for y in 0..rows {
                let row = (first.1 + j as i64 + factor * y as i64) as usize * c.stride;
                let line: [&[f32]; LAGS] = std::array::from_fn(|i| {
                    let t = first.0 + i as i64;
                    let start = row + t.div_euclid(factor) as usize;
                    &c.planes[t.rem_euclid(factor) as usize][start..start + padded]
                });
                let f = &f[y * padded..(y + 1) * padded];
                for x in (0..padded).step_by(eight::LANES) {
                    let f = simd.load(f, x);
                    for i in 0..LAGS {
                        sums[i] = simd.add_product(sums[i], f, simd.load(line[i], x));
                    }
                }
            }
            for (lag, sum) in lags.iter_mut().zip(sums) {
                *lag = pulp::cast::<f32x8, Lanes>(sum).iter().map(|&v| v as f64).sum();
            }
        }
        lags
    }
}

/// The samples of the norm stay while they surround the place: others would make a small jump, and the climb a circle.
#[inline(always)]
pub(super) fn away(d: PixelShift, middle: (i64, i64)) -> bool {
    let far = |d: f64, m: i64| m == i64::MAX || (2.0 * d - m as f64).abs() > 0.9;
    far(d.dx, middle.0) || far(d.dy, middle.1)
}

#[inline(always)]
pub(super) fn norm_at(norms: &[f64; 9], d: PixelShift, middle: (i64, i64)) -> Jet {
    quadratic(norms, (2.0 * d.dx - middle.0 as f64, 2.0 * d.dy - middle.1 as f64))
}

/// The maximum of the mean correlation of all bands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Maximum {
    pub shift: PixelShift,
    /// Sum over the bands at the maximum.
    pub total: Jet,
}

/// Climbs from `start` to the maximum of the sum of `at` over the bands, by Newton's method with steps held back where
/// the correlation is not concave.
#[inline(always)]
pub fn climb(start: PixelShift, mut at: impl FnMut(PixelShift) -> Option<Jet>) -> Result<Maximum, Status> {
    let mut d = start;
    let mut here = at(d).ok_or(Status::LowTexture)?;
    for _ in 0..ITERATIONS {
        let [gx, gy] = here.gradient;
        let [xx, xy, yy] = here.second;
        let det = xx * yy - xy * xy;
        let (mut sx, mut sy) = if det > 0.0 && xx < 0.0 {
            ((xy * gy - yy * gx) / det, (xy * gx - xx * gy) / det)
        } else {
            let length = gx.hypot(gy).max(f64::MIN_POSITIVE);
            (0.25 * gx / length, 0.25 * gy / length)
        };
        let length = sx.hypot(sy);
        if length > 0.5 {
            (sx, sy) = (sx * 0.5 / length, sy * 0.5 / length);
        }
        // Half the step until it does not go down.
        let mut next = None;
        for _ in 0..6 {
            let to = PixelShift::new(d.dx + sx, d.dy + sy);
            if (to.dx - start.dx).abs() <= CAPTURE && (to.dy - start.dy).abs() <= CAPTURE {
                let there = at(to).ok_or(Status::LowTexture)?;
                if there.value >= here.value - 1e-9 {
                    next = Some((to, there));
                    break;
                }
            }
            (sx, sy) = (0.5 * sx, 0.5 * sy);
        }
        let Some((to, there)) = next else {
            return if length < 0.02 { Ok(Maximum { shift: d, total: here }) } else { Err(Status::NoConvergence) };
        };
        (d, here) = (to, there);
        if length < TOLERANCE {
            return Ok(Maximum { shift: d, total: here });
        }
    }
    Err(Status::NoConvergence)
}

/// Sum of jets of several bands; `None` when none has a correlation.
pub fn sum(jets: impl Iterator<Item = Option<Jet>>) -> Option<Jet> {
    let mut total: Option<Jet> = None;
    for jet in jets.flatten() {
        total.get_or_insert_with(Jet::default).add(&jet);
    }
    total
}

/// The quintic spline through 7 × 7 lags at `at` (coefficient units from the middle); derivatives per pixel.
#[inline(always)]
pub(super) fn spline(lags: &[f64; LAGS * LAGS], at: (f64, f64), factor: f64) -> Jet {
    let first = -((LAGS / 2) as f64);
    let weights = (taps::<LAGS>(at.0, first), taps(at.1, first));
    separable(lags, LAGS, &weights, factor)
}

/// Weights of `N` lags for the value of the spline at `t` and its two derivatives; the first lag is at `first`.
#[inline(always)]
pub(super) fn taps<const N: usize>(t: f64, first: f64) -> [[f64; N]; 3] {
    let taps: [[f64; 3]; N] = std::array::from_fn(|i| basis(t - (first + i as f64)));
    std::array::from_fn(|k| std::array::from_fn(|i| taps[i][k]))
}

/// Weights along x and y applied to the first `N` × `N` of lags in rows of `pitch`; derivatives per pixel.
#[inline(always)]
pub(super) fn separable<const N: usize>(
    lags: &[f64],
    pitch: usize,
    (x, y): &([[f64; N]; 3], [[f64; N]; 3]),
    factor: f64,
) -> Jet {
    let mut along = [[0.0; N]; 3];
    for j in 0..N {
        let row = &lags[j * pitch..j * pitch + N];
        for k in 0..3 {
            along[k][j] = row.iter().zip(&x[k]).map(|(v, w)| v * w).sum();
        }
    }
    let value = |kx: usize, ky: usize| -> f64 { along[kx].iter().zip(&y[ky]).map(|(v, w)| v * w).sum() };
    let f2 = factor * factor;
    Jet {
        value: value(0, 0),
        gradient: [factor * value(1, 0), factor * value(0, 1)],
        second: [f2 * value(2, 0), f2 * value(1, 1), f2 * value(0, 2)],
    }
}

/// Value, first and second derivative of the quintic basis function at `x`.
#[inline(always)]
fn basis(x: f64) -> [f64; 3] {
    let cubic = |x: f64| Spline::Cubic.basis(x);
    [Spline::Quintic.basis(x), Spline::Quintic.slope(x), cubic(x + 1.0) - 2.0 * cubic(x) + cubic(x - 1.0)]
}

/// The quadratic through 3 × 3 samples half a pixel apart at `t` (half pixels); derivatives per pixel.
#[inline(always)]
fn quadratic(v: &[f64; 9], t: (f64, f64)) -> Jet {
    let weights = |t: f64| {
        [
            [0.5 * t * (t - 1.0), 1.0 - t * t, 0.5 * t * (t + 1.0)],
            [2.0 * (t - 0.5), -4.0 * t, 2.0 * (t + 0.5)],
            [4.0, -8.0, 4.0],
        ]
    };
    let (x, y) = (weights(t.0), weights(t.1));
    let value = |kx: usize, ky: usize| -> f64 { (0..9).map(|k| v[k] * x[kx][k % 3] * y[ky][k / 3]).sum() };
    Jet { value: value(0, 0), gradient: [value(1, 0), value(0, 1)], second: [value(2, 0), value(1, 1), value(0, 2)] }
}

/// product / sqrt(energy · norm).
#[inline(always)]
pub(super) fn quotient(p: &Jet, n: &Jet, energy: f64) -> Jet {
    let s = 1.0 / (energy * n.value).sqrt();
    let l = n.gradient.map(|g| g / n.value);
    let m = n.second.map(|v| v / n.value);
    let second = |k: usize, a: usize, b: usize| {
        let (cross, norm) = (p.gradient[a] * l[b] + p.gradient[b] * l[a], 0.75 * l[a] * l[b] - 0.5 * m[k]);
        (p.second[k] - 0.5 * cross + p.value * norm) * s
    };
    Jet {
        value: p.value * s,
        gradient: [(p.gradient[0] - 0.5 * p.value * l[0]) * s, (p.gradient[1] - 0.5 * p.value * l[1]) * s],
        second: [second(0, 0, 0), second(1, 0, 1), second(2, 1, 1)],
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f32; LANES];
    let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (ca.remainder(), cb.remainder());
    for (a, b) in ca.zip(cb) {
        for l in 0..LANES {
            sums[l] += a[l] * b[l];
        }
    }
    let rest: f32 = ra.iter().zip(rb).map(|(a, b)| a * b).sum();
    sums.iter().map(|&v| v as f64).sum::<f64>() + rest as f64
}

#[inline(always)]
fn total(a: &[f32]) -> f64 {
    let mut sums = [0.0f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for a in chunks {
        for l in 0..LANES {
            sums[l] += a[l];
        }
    }
    sums.iter().map(|&v| v as f64).sum::<f64>() + rest as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Second differences of `f` confirm the analytic derivatives.
    fn check(f: impl Fn(f64, f64) -> Jet, x: f64, y: f64, tolerance: f64) {
        let h = 1e-4;
        let j = f(x, y);
        let v = |dx: f64, dy: f64| f(x + dx * h, y + dy * h).value;
        let gradient = [(v(1.0, 0.0) - v(-1.0, 0.0)) / (2.0 * h), (v(0.0, 1.0) - v(0.0, -1.0)) / (2.0 * h)];
        let second = [
            (v(1.0, 0.0) + v(-1.0, 0.0) - 2.0 * v(0.0, 0.0)) / (h * h),
            (v(1.0, 1.0) + v(-1.0, -1.0) - v(1.0, -1.0) - v(-1.0, 1.0)) / (4.0 * h * h),
            (v(0.0, 1.0) + v(0.0, -1.0) - 2.0 * v(0.0, 0.0)) / (h * h),
        ];
        for k in 0..2 {
            assert!((gradient[k] - j.gradient[k]).abs() < tolerance, "{gradient:?} {j:?}");
        }
        for k in 0..3 {
            assert!((second[k] - j.second[k]).abs() < tolerance, "{second:?} {j:?}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_value() {
        let mut state = 5u32;
        let mut random = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f64 / (1 << 24) as f64
        };
        let lags: [f64; LAGS * LAGS] = std::array::from_fn(|_| random());
        let norms: [f64; 9] = std::array::from_fn(|_| 3.0 + random());
        let product = |x: f64, y: f64| spline(&lags, (2.0 * x, 2.0 * y), 2.0);
        let norm = |x: f64, y: f64| quadratic(&norms, (2.0 * x, 2.0 * y));
        for (x, y) in [(0.11, -0.07), (-0.2, 0.17)] {
            check(product, x, y, 1e-4);
            check(norm, x, y, 1e-4);
            check(|x, y| quotient(&product(x, y), &norm(x, y), 2.0), x, y, 1e-4);
        }
    }
}
