//! Sub-pixel shift as the slope of a plane through the phase of a cross-spectrum.
//!
//! With pre f, post g(x) = f(x - d) and C = F·conj(G), the phase of C is ω·d. The robust fit minimises
//! Σ W·|Q - exp(jω·d)|², Q = C/|C|, by Newton's method; one more round multiplies the weights by ((1 + Re P)/2)^n,
//! P = Q·exp(-jω·d), so that frequencies off the plane count less (a robustness term in the manner of Leprince et al.
//! 2007, IEEE TGRS 45(6), section V). The weights W are the Fisher information of each frequency, not a mask on the
//! spectrum. Covariance ingredients are those of the M-estimator (Huber 1981, "Robust Statistics", section 6.3): the
//! curvature is the derivative of the influence function sin θ·((1 + cos θ)/2)^n.

use super::fft2::{omega, signed_index};

/// The bins of an nx × ny window that take part, in transposed half-spectrum order.
#[derive(Debug, Clone)]
pub struct PhasePlane {
    /// Angular frequency of each row kx.
    pub omega_x: Vec<f32>,
    /// Angular frequency along a row, zero in the padding.
    pub omega_y: Vec<f32>,
    /// Bins along ky.
    pub bins: usize,
    /// Length of a row in memory: `bins` rounded up to whole vectors.
    pub stride: usize,
    /// A-priori weight of each bin, rows of `stride`; zero in the padding, for the mean, the Nyquist lines and the doubled half of row kx = 0.
    pub weights: Vec<f32>,
    /// The frequencies are multiples of the first one: not where [`Self::follow`] replaced them.
    even: bool,
}

/// Result of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseFit {
    pub dx: f64,
    pub dy: f64,
    /// 1 - ΣWφ/(4ΣW): 1 is a perfect plane, 0.5 is noise.
    pub coherence: f64,
    /// Σ ω ωᵀ times the derivative of the influence function (xx, xy, yy).
    pub hessian: [f64; 3],
    /// Σ W² ω ωᵀ sin² of the residual phase (xx, xy, yy).
    pub meat: [f64; 3],
    pub converged: bool,
}

/// Exponent of the robust weight.
const EXPONENT: f64 = 4.0;
/// Most Newton steps in a row.
const ITERATIONS: usize = 12;
/// The step, in pixels, that ends a plain fit, which is refined, and a robust one. What a step leaves is of the third order: after
/// these about 1e-3 and 1e-6 pixels.
const COARSE: f64 = 0.1;
const FINE: f64 = 0.01;
/// Longest Newton step in pixels.
const STEP_LIMIT: f64 = 0.5;
/// Rows of bins that are summed in single precision.
const SINGLE_ROWS: usize = 16;

/// What a pass over the bins makes of the weights: takes them as they are, multiplies them by the robust term, or takes the
/// robust ones of the pass before. A plain pass sums up what a step needs, the others all that a fit reports.
const PLAIN: u8 = 0;
const REWEIGHT: u8 = 1;
const AGAIN: u8 = 2;
/// A plain pass at no displacement.
const ORIGIN: u8 = 3;

/// Sums over all bins, ω = (ω_x, ω_y) and P the phasor left at a displacement.
#[derive(Default)]
struct Sums {
    /// Σ W ω Im P.
    gradient: [f64; 2],
    /// Σ W ω ωᵀ Re P (xx, xy, yy).
    curvature: [f64; 3],
    /// Σ W² ω ωᵀ Im² P and Σ W ω ωᵀ.
    meat: [f64; 3],
    spread: [f64; 3],
    /// Σ W and Σ W Re P with the weights as given.
    agreement: [f64; 2],
}

impl Sums {
    /// The Newton step, held back; `None` where the curvature says nothing.
    fn step(&self) -> Option<(f64, f64)> {
        let ([gx, gy], [xx, xy, yy]) = (self.gradient, self.curvature);
        let det = xx * yy - xy * xy;
        if !(det > 0.0 && xx > 0.0) {
            return None;
        }
        let (sx, sy) = ((yy * gx - xy * gy) / det, (xx * gy - xy * gx) / det);
        let hold = (STEP_LIMIT / sx.hypot(sy)).min(1.0);
        Some((sx * hold, sy * hold))
    }
}

impl PhasePlane {
    /// `weight(|ω|)` is asked for every usable bin.
    pub fn new(nx: usize, ny: usize, weight: impl Fn(f64) -> f32) -> Self {
        let omega_x: Vec<f32> = (0..=nx / 2).map(|k| omega(k, nx) as f32).collect();
        let stride = ny.next_multiple_of(LANES);
        let mut omega_y: Vec<f32> = (0..ny).map(|k| omega(k, ny) as f32).collect();
        omega_y.resize(stride, 0.0);
        let mut weights = Vec::with_capacity(omega_x.len() * stride);
        for kx in 0..=nx / 2 {
            for ky in 0..ny {
                let sy = signed_index(ky, ny);
                let nyquist = 2 * kx == nx || 2 * ky == ny;
                let redundant = kx == 0 && sy <= 0;
                let w = if nyquist || redundant { 0.0 } else { weight(omega(kx, nx).hypot(omega(ky, ny))) };
                weights.push(w);
            }
            weights.resize((kx + 1) * stride, 0.0);
        }
        PhasePlane { omega_x, omega_y, bins: ny, stride, weights, even: true }
    }

    /// Fits residual phases from now on that change with the displacement by `slopes` of each axis (rad per pixel, at the
    /// frequencies 0 to n/2), as those of aliased texture do, instead of by the frequencies themselves.
    pub fn follow(&mut self, slopes: [&[f32]; 2]) {
        let n = self.bins;
        self.omega_x.copy_from_slice(slopes[0]);
        for k in 0..n {
            self.omega_y[k] = if 2 * k < n { slopes[1][k] } else { -slopes[1][n - k] };
        }
        self.even = false;
    }

    /// Fits the plane to the unit phasors (`re`, `im`) with `weights`, all in the order of [`Self::weights`], from zero:
    /// plain, then with robust weights. `scratch` is resized as needed.
    #[inline(always)]
    pub fn fit(&self, re: &[f32], im: &[f32], weights: &[f32], scratch: &mut PhaseScratch) -> PhaseFit {
        let data = (re, im, weights);
        let (mut dx, mut dy) = (0.0, 0.0);
        let mut sums = Sums::default();
        let mut converged = false;
        if let Some(plain) = self.locate(re, im, weights, scratch) {
            (dx, dy) = plain;
            sums = self.pass::<REWEIGHT>(data, plain, scratch);
            for _ in 0..ITERATIONS {
                let Some((sx, sy)) = sums.step() else { break };
                (dx, dy) = (dx + sx, dy + sy);
                converged = sx * sx + sy * sy < FINE * FINE;
                if converged {
                    break;
                }
                sums = self.pass::<AGAIN>(data, (dx, dy), scratch);
            }
        }
        // d/dθ [sin θ·r^n] = r^n·((1 + n) cos θ - n), r = (1 + cos θ)/2.
        let hessian = std::array::from_fn(|i| (1.0 + EXPONENT) * sums.curvature[i] - EXPONENT * sums.spread[i]);
        let [total, agree] = sums.agreement;
        let coherence = if total > 0.0 { 0.5 + 0.5 * agree / total } else { 0.0 };
        PhaseFit { dx, dy, coherence, hessian, meat: sums.meat, converged }
    }

    /// A plain fit from zero that is good enough to interpolate at and fit again: (dx, dy), `None` without convergence.
    #[inline(always)]
    pub fn locate(&self, re: &[f32], im: &[f32], weights: &[f32], scratch: &mut PhaseScratch) -> Option<(f64, f64)> {
        let data = (re, im, weights);
        let (mut dx, mut dy) = (0.0, 0.0);
        let mut sums = self.pass::<ORIGIN>(data, (0.0, 0.0), scratch);
        for _ in 0..ITERATIONS {
            let (sx, sy) = sums.step()?;
            (dx, dy) = (dx + sx, dy + sy);
            if sx * sx + sy * sy < COARSE * COARSE {
                return Some((dx, dy));
            }
            sums = self.pass::<PLAIN>(data, (dx, dy), scratch);
        }
        None
    }

    /// Phasors exp(-jω·d) along the two axes.
    #[inline(always)]
    fn phasors(&self, dx: f64, dy: f64, scratch: &mut PhaseScratch) {
        if !self.even {
            let unit = |w: &f32, d: f64| {
                let (s, c) = (f64::from(*w) * d).sin_cos();
                (c as f32, -s as f32)
            };
            scratch.row.clear();
            scratch.row.extend(self.omega_x.iter().map(|w| unit(w, dx)));
            scratch.cos.resize(self.stride, 0.0);
            scratch.sin.resize(self.stride, 0.0);
            for (k, w) in self.omega_y[..self.bins].iter().enumerate() {
                (scratch.cos[k], scratch.sin[k]) = unit(w, dy);
            }
            return;
        }
        let unit = |omega: &[f32], d: f64| {
            let (s, c) = (omega.get(1).map_or(0.0, |&w| f64::from(w).abs()) * d).sin_cos();
            (c, -s)
        };
        powers(unit(&self.omega_x, dx), self.omega_x.len(), &mut scratch.row);
        let n = self.bins;
        powers(unit(&self.omega_y, dy), n / 2 + 1, &mut scratch.column);
        scratch.cos.resize(self.stride, 0.0);
        scratch.sin.resize(self.stride, 0.0);
        let half = &scratch.column[..=n / 2];
        // Bins k and n - k are conjugates; of an even n, bin n/2 counts as negative and has no weight.
        let positive = n.div_ceil(2);
        for ((cos, sin), p) in scratch.cos[..positive].iter_mut().zip(&mut scratch.sin[..positive]).zip(half) {
            (*cos, *sin) = *p;
        }
        for (k, p) in half.iter().enumerate().skip(1) {
            (scratch.cos[n - k], scratch.sin[n - k]) = (p.0, -p.1);
        }
    }

    /// The sums at displacement `d` of unit phasors with weights; which weights and which sums says `KIND`.
    #[inline(always)]
    fn pass<const KIND: u8>(
        &self,
        (re, im, weights): (&[f32], &[f32], &[f32]),
        d: (f64, f64),
        scratch: &mut PhaseScratch,
    ) -> Sums {
        let plain = KIND == PLAIN || KIND == ORIGIN;
        if KIND == ORIGIN {
            scratch.row.resize(self.omega_x.len(), (1.0, 0.0));
            scratch.cos.resize(self.stride, 1.0);
            scratch.sin.resize(self.stride, 0.0);
        } else {
            self.phasors(d.0, d.1, scratch);
        }
        scratch.robust.resize(weights.len(), 0.0);
        let (cos, sin, omega_y) = (vectors(&scratch.cos), vectors(&scratch.sin), vectors(&self.omega_y));
        let mut out = [0.0f64; 13];
        let mut sums = [[0.0f32; LANES]; 13];
        for (k, &wx) in self.omega_x.iter().enumerate() {
            let row = k * self.stride..(k + 1) * self.stride;
            let (re, im) = (vectors(&re[row.clone()]), vectors(&im[row.clone()]));
            let given = vectors(&weights[row.clone()]);
            let robust = scratch.robust[row].as_chunks_mut::<LANES>().0;
            let (c, s) = scratch.row[k];
            for j in 0..omega_y.len() {
                let (re, im, given, wy) = (&re[j], &im[j], &given[j], &omega_y[j]);
                let (cos, sin, robust) = (&cos[j], &sin[j], &mut robust[j]);
                for l in 0..LANES {
                    let (er, ei) = (c * cos[l] - s * sin[l], c * sin[l] + s * cos[l]);
                    let turned = (re[l] * er - im[l] * ei, re[l] * ei + im[l] * er);
                    let (pr, pi) = if KIND == ORIGIN { (re[l], im[l]) } else { turned };
                    if KIND == REWEIGHT {
                        let keep = (0.5 + 0.5 * pr).max(0.0);
                        let square = keep * keep;
                        robust[l] = given[l] * square * square;
                    }
                    let weight = if plain { given[l] } else { robust[l] };
                    let wy = wy[l];
                    let (wi, outer) = (weight * pi, [wx * wx, wx * wy, wy * wy]);
                    sums[0][l] += wx * wi;
                    sums[1][l] += wy * wi;
                    for i in 0..3 {
                        sums[2 + i][l] += outer[i] * (weight * pr);
                        if !plain {
                            sums[5 + i][l] += outer[i] * (wi * wi);
                            sums[8 + i][l] += outer[i] * weight;
                        }
                    }
                    if !plain {
                        sums[11][l] += given[l];
                        sums[12][l] += given[l] * pr;
                    }
                }
            }
            if k % SINGLE_ROWS == SINGLE_ROWS - 1 || k + 1 == self.omega_x.len() {
                for (out, sums) in out.iter_mut().zip(&mut sums).take(if !plain { 13 } else { 5 }) {
                    *out += sums.iter().map(|&v| f64::from(v)).sum::<f64>();
                    *sums = [0.0; LANES];
                }
            }
        }
        let three = |k: usize| [out[k], out[k + 1], out[k + 2]];
        Sums {
            gradient: [out[0], out[1]],
            curvature: three(2),
            meat: three(5),
            spread: three(8),
            agreement: [out[11], out[12]],
        }
    }
}

/// The powers 0.. of a phasor, at least `n` of them, in blocks so that they do not all wait for each other.
#[inline(always)]
fn powers(unit: (f64, f64), n: usize, out: &mut Vec<(f32, f32)>) {
    const BLOCK: usize = 8;
    let times = |a: (f64, f64), b: (f64, f64)| (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0);
    let mut first = [(1.0, 0.0); BLOCK];
    for k in 1..BLOCK {
        first[k] = times(first[k - 1], unit);
    }
    let (mut block, step) = ((1.0, 0.0), times(first[BLOCK - 1], unit));
    out.clear();
    for _ in 0..n.div_ceil(BLOCK) {
        out.extend(first.map(|p| times(block, p)).map(|(re, im)| (re as f32, im as f32)));
        block = times(block, step);
    }
}

/// Buffers of [`PhasePlane::fit`], one per thread.
#[derive(Debug, Default)]
pub struct PhaseScratch {
    robust: Vec<f32>,
    row: Vec<(f32, f32)>,
    column: Vec<(f32, f32)>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Sums run over this many lanes, whatever the machine's vectors: the order of additions is fixed.
pub const LANES: usize = 16;

#[inline(always)]
fn vectors(v: &[f32]) -> &[[f32; LANES]] {
    v.as_chunks::<LANES>().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_plane_is_recovered_and_outliers_are_ignored() {
        let plane = PhasePlane::new(32, 24, |w| if w < 2.0 { 1.0 } else { 0.0 });
        let (dx, dy) = (0.31, -0.22);
        let mut re = Vec::new();
        let mut im = Vec::new();
        for (k, &wx) in plane.omega_x.iter().enumerate() {
            for (i, &wy) in plane.omega_y.iter().enumerate() {
                // The rows are padded; what stands there must not matter.
                let mut phase = wx as f64 * dx + wy as f64 * dy;
                if (k * 24 + i) % 7 == 0 {
                    phase += 2.5;
                }
                re.push(phase.cos() as f32);
                im.push(phase.sin() as f32);
            }
        }
        let fit = plane.fit(&re, &im, &plane.weights, &mut PhaseScratch::default());
        assert!(fit.converged);
        assert!((fit.dx - dx).abs() < 0.01 && (fit.dy - dy).abs() < 0.01, "{fit:?}");
        assert!(fit.coherence > 0.8 && fit.coherence < 0.95);
    }
}
