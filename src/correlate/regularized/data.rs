//! What every pixel says about its own displacement: linearised brightness constancy, weighted by its information.
//!
//! With both images normalised by their local mean and contrast, f the pre and g the warped post image, J the mean of
//! their gradients and e = g - f, pixel p says Jᵀ (d - d₀) = -e with variance s², the mean of e² in 31 × 31 pixels
//! around. Its information is w J Jᵀ / s², with a weight w that falls for outliers (Cauchy's, e.g. Huber 1981).

use crate::correlate::Band;
use crate::correlate::agreement::{Agreement, correlation};
use crate::correlate::dense::warp::{PhaseTable, warp};
use crate::correlate::dense::whiten::{combine, whiten};
use crate::correlate::dense::windows::box_sum;
use crate::grid::Grid;

/// Radius of the box of local mean and contrast, and of the residual's variance.
pub const RADIUS: usize = 15;
/// Scale of Cauchy's weight, standard deviations.
const CAUCHY: f32 = 2.4;
/// Least variance of a residual of normalised images.
const LEAST: f32 = 1e-6;

/// One band.
pub struct Source<'a> {
    band: &'a Band<'a>,
    table: PhaseTable,
    std: f64,
    image: Grid<f32>,
    weight: Grid<f32>,
    pre_weight: Grid<f32>,
}

/// Sums over the bands for every pixel.
#[derive(Clone)]
pub struct Data {
    /// Information xx, xy, yy.
    pub information: [Grid<f32>; 3],
    /// Information times displacement.
    pub right: [Grid<f32>; 2],
    /// Information from the products of the two images' gradients, in which their noise cancels, with the pixels'
    /// correlated noise accounted for: xx, xy, yy. Single pixels may be negative.
    pub net: [Grid<f32>; 3],
    /// Pixels that count in the first band.
    pub both: Grid<f32>,
}

impl<'a> Source<'a> {
    pub fn new(band: &'a Band<'a>) -> Self {
        let zero = band.pre.values.map(|_| 0.0);
        Source {
            band,
            table: PhaseTable::new(&band.post.coefficients),
            // Texture has low texture below a millionth of the usual variance.
            std: (1e6 * band.scene.min_variance).sqrt(),
            image: zero.clone(),
            weight: zero,
            pre_weight: band.pre.valid.map(|v| f32::from(u8::from(v))),
        }
    }
}

impl Source<'_> {
    /// Pixels that count in both images at the last displacement.
    fn both(&self) -> Grid<f32> {
        combine(&self.weight, &self.pre_weight, |a, b| a * b)
    }

    /// Zero-normalised correlation of the pre and the last warped post image in boxes.
    pub fn correlation(&self, radius: usize) -> Grid<f32> {
        correlation(&self.band.pre.values, &self.image, &self.both(), radius).0
    }
}

/// Where the images agree at the last displacement.
pub fn agreement(sources: &[Source]) -> Agreement {
    Agreement::new(sources.iter().map(|s| (&s.band.pre.values, &s.image, s.both())))
}

/// The data at the displacement `d`.
pub fn data(sources: &mut [Source], d: [&Grid<f32>; 2]) -> Data {
    let zero = d[0].map(|_| 0.0f32);
    let planes = || [0; 3].map(|_| zero.clone());
    let right = [zero.clone(), zero.clone()];
    let mut out = Data { information: planes(), right, net: planes(), both: zero.clone() };
    for (index, source) in sources.iter_mut().enumerate() {
        let (pre, post) = (&source.band.pre, &source.band.post);
        warp(post, &source.table, d, &mut source.image, &mut source.weight);
        let both = combine(&source.weight, &source.pre_weight, |a, b| a * b);
        let counts = box_sum(&both, RADIUS);
        let f = whiten(&pre.values, &both, &counts, 0, source.std);
        let g = whiten(&source.image, &both, &counts, 0, source.std);
        let whole = box_sum(&both, 2).map(|n| if n > 24.5 { 1.0 } else { 0.0 });
        let e = combine(&g, &f, |a, b| a - b);
        let power = box_sum(&combine(&combine(&e, &e, |a, b| a * b), &both, |a, b| a * b), RADIUS);
        let variance = combine(&power, &counts, |p, n| (p / n.max(1.0)).max(LEAST));
        let price = correlated(source.band);
        let difference = post.coefficients.spline.difference();
        add(&mut out, [&f, &g, &e], &whole, (&variance, &price), difference, d);
        if index == 0 {
            out.both = both;
        }
    }
    out
}

/// How much the correlation of neighbouring residuals raises the variance of sums of gradient times residual: the
/// ratio of Σ J (ρ∗J) to Σ J² around every pixel.
fn correlated(band: &Band) -> Grid<f32> {
    let pre = &band.pre;
    let square = |a: &[Grid<f32>; 2], b: &[Grid<f32>; 2]| {
        let sum = |k: usize| a[0].data[k] * b[0].data[k] + a[1].data[k] * b[1].data[k];
        let data = (0..a[0].data.len()).map(|k| if pre.valid.data[k] { sum(k) } else { 0.0 }).collect();
        box_sum(&Grid { width: a[0].width, height: a[0].height, data }, RADIUS)
    };
    let (plain, spread) = (square(&pre.gradient, &pre.gradient), square(&pre.gradient, &pre.spread));
    combine(&spread, &plain, |s, p| if p > 0.0 { (s / p).clamp(0.2, 10.0) } else { 1.0 })
}

fn add(
    out: &mut Data,
    [f, g, e]: [&Grid<f32>; 3],
    whole: &Grid<f32>,
    (variance, price): (&Grid<f32>, &Grid<f32>),
    [near, far]: [f32; 2],
    d: [&Grid<f32>; 2],
) {
    let (w, h) = (f.width, f.height);
    let s = w as isize;
    for y in 2..h.saturating_sub(2) {
        for x in 2..w.saturating_sub(2) {
            let k = y * w + x;
            if whole.data[k] == 0.0 {
                continue;
            }
            let slope = |v: &Grid<f32>, step: isize| {
                let at = |o: isize| v.data[k.wrapping_add_signed(o * step)];
                near * (at(1) - at(-1)) + far * (at(2) - at(-2))
            };
            let (fx, fy, gx, gy) = (slope(f, 1), slope(f, s), slope(g, 1), slope(g, s));
            let (jx, jy) = (0.5 * (fx + gx), 0.5 * (fy + gy));
            let v = variance.data[k];
            let weight = 1.0 / (1.0 + e.data[k] * e.data[k] / (CAUCHY * CAUCHY * v)) / v;
            let (xx, xy, yy) = (weight * jx * jx, weight * jx * jy, weight * jy * jy);
            let (dx, dy, b) = (d[0].data[k], d[1].data[k], weight * e.data[k]);
            out.information[0].data[k] += xx;
            out.information[1].data[k] += xy;
            out.information[2].data[k] += yy;
            out.right[0].data[k] += xx * dx + xy * dy - b * jx;
            out.right[1].data[k] += xy * dx + yy * dy - b * jy;
            let paid = weight / price.data[k];
            out.net[0].data[k] += paid * fx * gx;
            out.net[1].data[k] += 0.5 * paid * (fx * gy + fy * gx);
            out.net[2].data[k] += paid * fy * gy;
        }
    }
}
