//! Coherence of a pair as a function of spatial frequency, measured on the pair itself.
//!
//! Welch averages over Hann windows (Welch 1967), but of windows that are first aligned: each is displaced by its own
//! whole-pixel peak and its remaining phase plane is removed, so motion does not pass for change. Windows count equally,
//! whatever their contrast.

use rustfft::num_complex::{Complex32, Complex64};

use super::fft2::{ComplexFft2, FftCache};
use super::interp::Spline;
use super::phase::{PhasePlane, PhaseScratch};
use super::prefilter::{Kernel, information};
use super::radial::{Radial, RingSums};
use crate::grid::Grid;

const SPLINES: usize = Spline::ALL.len();

/// Power and coherence profiles of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Coherence {
    /// Magnitude coherence, 0..1.
    pub magnitude: Radial,
    /// Power spectra of pre and post, each window scaled to unit power.
    pub power: [Radial; 2],
    /// Mean agreement (-1..1) of the fine detail's phases with each of [`Spline::ALL`], over windows at fractional
    /// displacements; zeros where there was none.
    pub agreement: [f64; SPLINES],
    /// By how many standard errors each of the others is better than the first.
    pub evidence: [f64; SPLINES - 1],
    /// The agreement of all windows looked at with the phase of a plain shift.
    pub overall: f64,
    /// Windows that took part.
    pub windows: usize,
}

/// Sums over windows; several accumulators can be added in a fixed order.
#[derive(Debug, Clone)]
pub struct Accumulator {
    rings: RingSums,
    pre: Vec<f64>,
    post: Vec<f64>,
    cross: Vec<f64>,
    agreement: [f64; SPLINES],
    /// Sums over windows of the square of how much better each of the others is than the first.
    squares: [f64; SPLINES - 1],
    /// Windows in both.
    between: f64,
    weight: f64,
    /// The same of all windows looked at.
    overall: (f64, f64),
    pub windows: usize,
}

/// Works on windows of one size.
pub struct Estimator {
    n: usize,
    taper: Vec<f32>,
    rings: RingSums,
    whiten: Vec<f32>,
    plane: PhasePlane,
    packed: Vec<Complex32>,
    scratch: PhaseScratch,
    spline: Spline,
    /// The weights come from a first estimate.
    guided: bool,
    re: Vec<f32>,
    im: Vec<f32>,
}

impl Accumulator {
    pub fn new(n: usize) -> Self {
        let rings = RingSums::new(n);
        let zero = vec![0.0; rings.rings()];
        Accumulator {
            rings,
            pre: zero.clone(),
            post: zero.clone(),
            cross: zero,
            agreement: [0.0; SPLINES],
            squares: [0.0; SPLINES - 1],
            between: 0.0,
            weight: 0.0,
            overall: (0.0, 0.0),
            windows: 0,
        }
    }

    pub fn add(&mut self, other: &Accumulator) {
        let pairs = [(&mut self.pre, &other.pre), (&mut self.post, &other.post), (&mut self.cross, &other.cross)];
        for (to, from) in pairs {
            to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        }
        self.agreement.iter_mut().zip(&other.agreement).for_each(|(a, b)| *a += b);
        self.squares.iter_mut().zip(&other.squares).for_each(|(a, b)| *a += b);
        self.between += other.between;
        self.weight += other.weight;
        self.overall = (self.overall.0 + other.overall.0, self.overall.1 + other.overall.1);
        self.windows += other.windows;
    }

    /// The profiles, `None` with fewer than three windows.
    pub fn finish(&self) -> Option<Coherence> {
        if self.windows < 3 {
            return None;
        }
        let scale = 1.0 / self.windows as f64;
        let mean = |sums: &[f64]| self.rings.profile(&sums.iter().map(|v| v * scale).collect::<Vec<_>>());
        let (pre, post, cross) = (mean(&self.pre), mean(&self.post), mean(&self.cross));
        let agreement = self.agreement.map(|a| if self.weight > 0.0 { a / self.weight } else { 0.0 });
        let n = self.between;
        let evidence = std::array::from_fn(|k| {
            let better = self.agreement[k + 1] - self.agreement[0];
            // Of the sum over the windows.
            let variance = (self.squares[k] - better * better / n) * n / (n - 1.0);
            if n > 2.0 && variance > 0.0 { better / variance.sqrt() } else { 0.0 }
        });
        let raw: Vec<f32> = (0..cross.values.len())
            .map(|r| (cross.values[r] / (pre.values[r] * post.values[r]).sqrt().max(1e-30)).clamp(0.0, 1.0))
            .collect();
        Some(Coherence {
            magnitude: Radial { step: cross.step, values: smooth(&raw) },
            power: [pre, post],
            agreement,
            evidence,
            overall: if self.overall.1 > 0.0 { self.overall.0 / self.overall.1 } else { 0.0 },
            windows: self.windows,
        })
    }
}

/// Three-point binomial smoothing that leaves the ends alone.
fn smooth(v: &[f32]) -> Vec<f32> {
    let mut out = v.to_vec();
    for i in 2..v.len().saturating_sub(1) {
        out[i] = 0.25 * v[i - 1] + 0.5 * v[i] + 0.25 * v[i + 1];
    }
    out
}

impl Estimator {
    /// `known` guides the alignment: the information of each frequency, or `None` for a plain low-pass; with it goes the
    /// interpolator whose phases are taken out. The power of a window, by which it is scaled, is that of the window filtered with
    /// `whitener`.
    pub fn new(n: usize, known: Option<(&Coherence, Spline)>, whitener: &Radial) -> Self {
        let hann = |i: usize| {
            let s = (std::f64::consts::PI * (i as f64 + 0.5) / n as f64).sin();
            s * s
        };
        let taper = (0..n * n).map(|k| (hann(k % n) * hann(k / n)) as f32).collect();
        let plane = PhasePlane::new(n, n, |w| match known {
            Some((c, _)) => information(c.magnitude.at(w)),
            None if w < 0.5 * std::f64::consts::PI => 1.0,
            None => 0.0,
        });
        Estimator {
            n,
            taper,
            rings: RingSums::new(n),
            whiten: whitener.on_half_spectrum(n, n),
            plane,
            packed: vec![Complex32::ZERO; n * n],
            scratch: PhaseScratch::default(),
            guided: known.is_some(),
            spline: known.map_or(Spline::QuinticX2, |(_, spline)| spline),
            re: Vec::new(),
            im: Vec::new(),
        }
    }

    /// Adds the windows at `pre_at` of `pre` and `post_at` of `post` (top-left pixels; whole-pixel aligned).
    pub fn add(
        &mut self,
        pre: &Grid<f32>,
        pre_at: (usize, usize),
        post: &Grid<f32>,
        post_at: (usize, usize),
        ffts: &mut FftCache,
        into: &mut Accumulator,
    ) {
        let n = self.n;
        self.pack(pre, pre_at, post, post_at);
        let plan: &mut ComplexFft2 = ffts.complex(n, n);
        plan.forward(&mut self.packed);
        let half = (n / 2 + 1) * n;
        let stride = self.plane.stride;
        self.re.resize((n / 2 + 1) * stride, 0.0);
        self.im.resize((n / 2 + 1) * stride, 0.0);
        let (mut power_f, mut power_g) = (vec![0.0f32; half], vec![0.0f32; half]);
        let mut cross = vec![Complex32::ZERO; half];
        for kx in 0..=n / 2 {
            for ky in 0..n {
                let k = kx * n + ky;
                let (f, g) = unpack(&self.packed, n, kx, ky);
                power_f[k] = f.norm_sqr();
                power_g[k] = g.norm_sqr();
                let c = f * g.conj();
                cross[k] = c;
                // |c|, without a square that may be too large for a number.
                let magnitude = power_f[k].sqrt() * power_g[k].sqrt();
                let unit = if magnitude > 0.0 { c / magnitude } else { Complex32::ZERO };
                self.re[kx * stride + ky] = unit.re;
                self.im[kx * stride + ky] = unit.im;
            }
        }
        let total = |p: &[f32]| p.iter().zip(&self.whiten).map(|(p, w)| (p * w * w) as f64).sum::<f64>();
        let (pf, pg) = (total(&power_f), total(&power_g));
        if !(pf > 0.0 && pg > 0.0) {
            return;
        }
        let fit = self.plane.fit(&self.re, &self.im, &self.plane.weights, &mut self.scratch);
        if !fit.converged || fit.dx.abs() > 1.5 || fit.dy.abs() > 1.5 {
            return;
        }
        let both = (pf * pg).sqrt();
        let (wx, wy) = (&self.plane.omega_x, &self.plane.omega_y);
        self.rings.add(&mut into.pre, |k| power_f[k] as f64 / pf);
        self.rings.add(&mut into.post, |k| power_g[k] as f64 / pg);
        let phasors = |omega: &[f32], d: f64| -> Vec<Complex64> {
            omega.iter().map(|&w| Complex64::cis(self.spline.phase(w as f64, d))).collect()
        };
        let (px, py) = (phasors(wx, fit.dx), phasors(wy, fit.dy));
        self.rings.add(&mut into.cross, |k| {
            let p = px[k / n] * py[k % n];
            (cross[k].re as f64 * p.re + cross[k].im as f64 * p.im) / both
        });
        self.agreement((fit.dx, fit.dy), into);
        into.windows += 1;
    }

    /// How well the phases follow each interpolator's, each at the displacement that suits it best, for windows that
    /// lie between pixels. Phases only: an interpolator must not win by suppressing noise.
    fn agreement(&self, start: (f64, f64), into: &mut Accumulator) {
        let between = |v: f64| (v - v.round()).abs() > 0.2;
        // A third of the windows is plenty.
        if !self.guided || !into.windows.is_multiple_of(3) {
            return;
        }
        let weight = self.plane.weights.iter().map(|&w| w as f64).sum::<f64>();
        into.overall.0 += self.phase_sums(Spline::QuinticX2, start)[0];
        into.overall.1 += weight;
        if !(between(start.0) || between(start.1)) {
            return;
        }
        let mut agreement = [0.0; SPLINES];
        for (agreement, spline) in agreement.iter_mut().zip(Spline::ALL) {
            let mut d = start;
            for _ in 0..3 {
                let [_, gx, gy, xx, xy, yy] = self.phase_sums(spline, d);
                let det = xx * yy - xy * xy;
                if det <= 0.0 {
                    break;
                }
                let limit = |v: f64| v.clamp(-0.2, 0.2);
                d.0 += limit((yy * gx - xy * gy) / det);
                d.1 += limit((xx * gy - xy * gx) / det);
            }
            *agreement = self.phase_sums(spline, d)[0];
        }
        into.agreement.iter_mut().zip(agreement).for_each(|(sum, a)| *sum += a);
        into.squares.iter_mut().zip(&agreement[1..]).for_each(|(sum, a)| *sum += (a - agreement[0]).powi(2));
        into.between += 1.0;
        into.weight += weight;
    }

    /// Σ W cos r, Σ W sin r ∂θ (x, y) and Σ W cos r ∂θ∂θᵀ of the residual phases r against the interpolator's θ.
    fn phase_sums(&self, spline: Spline, d: (f64, f64)) -> [f64; 6] {
        const H: f64 = 1e-3;
        let along = |omega: &[f32], d: f64| -> Vec<(f64, f64, f64)> {
            let one = |&w: &f32| {
                let t = spline.phase(w as f64, d);
                let slope = (spline.phase(w as f64, d + H) - t).sin() / H;
                (t.cos(), t.sin(), slope)
            };
            omega.iter().map(one).collect()
        };
        let (x, y) = (along(&self.plane.omega_x, d.0), along(&self.plane.omega_y[..self.plane.bins], d.1));
        let mut sums = [0.0; 6];
        for (i, &(cx, sx, tx)) in x.iter().enumerate() {
            for (j, &(cy, sy, ty)) in y.iter().enumerate() {
                let k = i * self.plane.stride + j;
                let w = self.plane.weights[k] as f64;
                if w == 0.0 {
                    continue;
                }
                let (c, s) = (cx * cy - sx * sy, sx * cy + cx * sy);
                let (re, im) = (self.re[k] as f64, self.im[k] as f64);
                let (cos, sin) = (w * (re * c + im * s), w * (im * c - re * s));
                let terms = [cos, sin * tx, sin * ty, cos * tx * tx, cos * tx * ty, cos * ty * ty];
                sums.iter_mut().zip(terms).for_each(|(a, b)| *a += b);
            }
        }
        sums
    }

    /// Adds only the power spectra of two windows at the same place.
    pub fn add_power(
        &mut self,
        pre: &Grid<f32>,
        pre_at: (usize, usize),
        post: &Grid<f32>,
        post_at: (usize, usize),
        ffts: &mut FftCache,
        into: &mut Accumulator,
    ) {
        let n = self.n;
        self.pack(pre, pre_at, post, post_at);
        ffts.complex(n, n).forward(&mut self.packed);
        let (mut f2, mut g2) = (Vec::with_capacity(n * n), Vec::with_capacity(n * n));
        for kx in 0..=n / 2 {
            for ky in 0..n {
                let (f, g) = unpack(&self.packed, n, kx, ky);
                f2.push(f.norm_sqr());
                g2.push(g.norm_sqr());
            }
        }
        let total = |v: &[f32]| v.iter().map(|&p| p as f64).sum::<f64>();
        let (pf, pg) = (total(&f2), total(&g2));
        if pf > 0.0 && pg > 0.0 {
            self.rings.add(&mut into.pre, |k| f2[k] as f64 / pf);
            self.rings.add(&mut into.post, |k| g2[k] as f64 / pg);
            into.windows += 1;
        }
    }

    /// Tapered, mean-free windows as real and imaginary part.
    fn pack(&mut self, pre: &Grid<f32>, pre_at: (usize, usize), post: &Grid<f32>, post_at: (usize, usize)) {
        let n = self.n;
        let mean = |g: &Grid<f32>, at: (usize, usize)| {
            let rows = (at.1..at.1 + n).map(|y| g.row(y)[at.0..at.0 + n].iter().map(|&v| v as f64).sum::<f64>());
            (rows.sum::<f64>() / (n * n) as f64) as f32
        };
        let (mf, mg) = (mean(pre, pre_at), mean(post, post_at));
        for y in 0..n {
            let f = &pre.row(pre_at.1 + y)[pre_at.0..pre_at.0 + n];
            let g = &post.row(post_at.1 + y)[post_at.0..post_at.0 + n];
            for x in 0..n {
                let t = self.taper[y * n + x];
                self.packed[y * n + x] = Complex32::new((f[x] - mf) * t, (g[x] - mg) * t);
            }
        }
    }
}

/// Transforms of the two real images packed as real and imaginary part, at bin (kx, ky) of the transposed spectrum.
#[inline(always)]
pub fn unpack(packed: &[Complex32], n: usize, kx: usize, ky: usize) -> (Complex32, Complex32) {
    let z = packed[kx * n + ky];
    let m = packed[(n - kx) % n * n + (n - ky) % n].conj();
    let (s, d) = (z + m, z - m);
    (s * 0.5, Complex32::new(d.im, -d.re) * 0.5)
}

/// A first whitening filter from the power spectra alone, rolled off by a Gaussian of 0.5 px.
pub fn whitener(power: &[Radial; 2]) -> Radial {
    let step = power[0].step;
    let top = power[0].values.iter().cloned().fold(0.0f32, f32::max).max(f32::MIN_POSITIVE);
    let mut values: Vec<f32> = power[0]
        .values
        .iter()
        .zip(&power[1].values)
        .enumerate()
        .map(|(r, (f, g))| {
            let w = r as f64 * step;
            let roll = (-0.5 * (0.5 * w) * (0.5 * w)).exp() as f32;
            roll / (f * g).sqrt().max(1e-6 * top).sqrt()
        })
        .collect();
    if !values.is_empty() {
        values[0] = 0.0;
    }
    Radial { step, values }
}

/// The whitener as a kernel.
pub fn whitening_kernel(power: &[Radial; 2], ffts: &mut FftCache) -> (Radial, Kernel) {
    let w = whitener(power);
    let k = Kernel::from_radial(&w, ffts).reaching(&power[0], ffts);
    (w, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_two_real_images_unpacks_to_their_transforms() {
        let n = 8;
        let f: Vec<f32> = (0..64).map(|i| ((i * 37) % 17) as f32).collect();
        let g: Vec<f32> = (0..64).map(|i| ((i * 53) % 23) as f32).collect();
        let mut ffts = FftCache::default();
        let mut z: Vec<Complex32> = f.iter().zip(&g).map(|(&a, &b)| Complex32::new(a, b)).collect();
        ffts.complex(n, n).forward(&mut z);
        for (image, second) in [(&f, false), (&g, true)] {
            let mut alone: Vec<Complex32> = image.iter().map(|&v| Complex32::new(v, 0.0)).collect();
            ffts.complex(n, n).forward(&mut alone);
            for kx in 0..=n / 2 {
                for ky in 0..n {
                    let (a, b) = unpack(&z, n, kx, ky);
                    let got = if second { b } else { a };
                    assert!((got - alone[kx * n + ky]).norm() < 1e-3);
                }
            }
        }
    }
}
