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
    /// Angular frequency along a row.
    pub omega_y: Vec<f32>,
    /// A-priori weight of each bin; zero for the mean, the Nyquist lines and the doubled half of row kx = 0.
    pub weights: Vec<f32>,
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
const EXPONENT: i32 = 4;
/// Robust rounds after the first plain one.
pub const ROUNDS: usize = 1;
/// Newton iterations per round and the step that ends them, in pixels.
const ITERATIONS: usize = 8;
const TOLERANCE: f64 = 2e-4;
/// Longest Newton step in pixels.
const STEP_LIMIT: f64 = 0.5;

impl PhasePlane {
    /// `weight(|ω|)` is asked for every usable bin.
    pub fn new(nx: usize, ny: usize, weight: impl Fn(f64) -> f32) -> Self {
        let omega_x: Vec<f32> = (0..=nx / 2).map(|k| omega(k, nx) as f32).collect();
        let omega_y: Vec<f32> = (0..ny).map(|k| omega(k, ny) as f32).collect();
        let mut weights = Vec::with_capacity(omega_x.len() * ny);
        for kx in 0..=nx / 2 {
            for ky in 0..ny {
                let sy = signed_index(ky, ny);
                let nyquist = 2 * kx == nx || 2 * ky == ny;
                let redundant = kx == 0 && sy <= 0;
                let w = if nyquist || redundant { 0.0 } else { weight(omega(kx, nx).hypot(omega(ky, ny))) };
                weights.push(w);
            }
        }
        PhasePlane { omega_x, omega_y, weights }
    }

    /// Fits the plane to the unit phasors (`re`, `im`) with `weights`, all in the order of [`Self::weights`], starting at
    /// `start`, with `rounds` robust rounds. `scratch` is resized as needed.
    #[inline(always)]
    pub fn fit(
        &self,
        re: &[f32],
        im: &[f32],
        weights: &[f32],
        start: (f64, f64),
        rounds: usize,
        scratch: &mut PhaseScratch,
    ) -> PhaseFit {
        let (mut dx, mut dy) = start;
        scratch.robust.clear();
        scratch.robust.extend_from_slice(weights);
        let mut converged = false;
        for round in 0..=rounds {
            converged = false;
            for _ in 0..ITERATIONS {
                let s = self.sums(re, im, dx, dy, 0, scratch);
                let det = s.h[0] * s.h[2] - s.h[1] * s.h[1];
                if !(det > 0.0 && s.h[0] > 0.0) {
                    break;
                }
                let mut sx = (s.h[2] * s.g[0] - s.h[1] * s.g[1]) / det;
                let mut sy = (s.h[0] * s.g[1] - s.h[1] * s.g[0]) / det;
                let length = sx.hypot(sy);
                if length > STEP_LIMIT {
                    sx *= STEP_LIMIT / length;
                    sy *= STEP_LIMIT / length;
                }
                dx += sx;
                dy += sy;
                // Early rounds only have to come near: their weights are about to change.
                if length < if round < rounds { 20.0 * TOLERANCE } else { TOLERANCE } {
                    converged = true;
                    break;
                }
            }
            if !converged {
                break;
            }
            if round < rounds {
                self.reweight(re, im, weights, dx, dy, scratch);
            }
        }
        let s = self.sums(re, im, dx, dy, if rounds > 0 { EXPONENT } else { 0 }, scratch);
        let (total, agree) = self.agreement(re, im, weights, dx, dy, scratch);
        let coherence = if total > 0.0 { 0.5 + 0.5 * agree / total } else { 0.0 };
        PhaseFit { dx, dy, coherence, hessian: s.h, meat: s.m, converged }
    }

    /// Phasors exp(-jω·d) along the two axes.
    #[inline(always)]
    fn phasors(&self, dx: f64, dy: f64, scratch: &mut PhaseScratch) {
        scratch.row.clear();
        scratch.row.extend(self.omega_x.iter().map(|&w| {
            let (s, c) = (w as f64 * dx).sin_cos();
            (c as f32, -s as f32)
        }));
        scratch.cos.clear();
        scratch.sin.clear();
        for &w in &self.omega_y {
            let (s, c) = (w as f64 * dy).sin_cos();
            scratch.cos.push(c as f32);
            scratch.sin.push(-s as f32);
        }
    }

    #[inline(always)]
    fn sums(&self, re: &[f32], im: &[f32], dx: f64, dy: f64, exponent: i32, scratch: &mut PhaseScratch) -> Sums {
        self.phasors(dx, dy, scratch);
        let n = self.omega_y.len();
        let mut total = Sums::default();
        for (k, &wx) in self.omega_x.iter().enumerate() {
            let row = k * n..(k + 1) * n;
            let lanes = row_sums(
                &re[row.clone()],
                &im[row.clone()],
                &scratch.robust[row],
                &self.omega_y,
                &scratch.cos,
                &scratch.sin,
                scratch.row[k],
                exponent as f32,
            );
            let wx = wx as f64;
            let [im0, im1, re0, re1, re2, m0, m1, m2] = lanes;
            total.g[0] += wx * im0;
            total.g[1] += im1;
            total.h[0] += wx * wx * re0;
            total.h[1] += wx * re1;
            total.h[2] += re2;
            total.m[0] += wx * wx * m0;
            total.m[1] += wx * m1;
            total.m[2] += m2;
        }
        total
    }

    /// W ← W₀ · ((1 + Re P)/2)^6.
    #[inline(always)]
    fn reweight(&self, re: &[f32], im: &[f32], weights: &[f32], dx: f64, dy: f64, scratch: &mut PhaseScratch) {
        self.phasors(dx, dy, scratch);
        let n = self.omega_y.len();
        for k in 0..self.omega_x.len() {
            let (c, s) = scratch.row[k];
            let row = k * n..(k + 1) * n;
            let (re, im) = (&re[row.clone()], &im[row.clone()]);
            let (base, out) = (&weights[row.clone()], &mut scratch.robust[row]);
            let (cos, sin) = (&scratch.cos[..n], &scratch.sin[..n]);
            for i in 0..n {
                let (er, ei) = (c * cos[i] - s * sin[i], c * sin[i] + s * cos[i]);
                let p = re[i] * er - im[i] * ei;
                let keep = (0.5 + 0.5 * p).max(0.0);
                out[i] = base[i] * keep.powi(EXPONENT);
            }
        }
    }

    /// Σ W and Σ W Re P with the robust weights.
    fn agreement(
        &self,
        re: &[f32],
        im: &[f32],
        weights: &[f32],
        dx: f64,
        dy: f64,
        scratch: &mut PhaseScratch,
    ) -> (f64, f64) {
        self.phasors(dx, dy, scratch);
        let n = self.omega_y.len();
        let (mut total, mut agree) = (0.0, 0.0);
        for k in 0..self.omega_x.len() {
            let (c, s) = scratch.row[k];
            let (mut t, mut a) = (0.0f32, 0.0f32);
            for i in 0..n {
                let j = k * n + i;
                let (er, ei) = (c * scratch.cos[i] - s * scratch.sin[i], c * scratch.sin[i] + s * scratch.cos[i]);
                t += weights[j];
                a += weights[j] * (re[j] * er - im[j] * ei);
            }
            total += t as f64;
            agree += a as f64;
        }
        (total, agree)
    }
}

/// Buffers of [`PhasePlane::fit`], one per thread.
#[derive(Debug, Default)]
pub struct PhaseScratch {
    robust: Vec<f32>,
    row: Vec<(f32, f32)>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    g: [f64; 2],
    h: [f64; 3],
    m: [f64; 3],
}

const LANES: usize = 16;

/// Over one row: Σ W·{Im P, ω_y Im P, Re P, ω_y Re P, ω_y² Re P} and Σ W² Im²P·{1, ω_y, ω_y²}.
#[inline(always)]
fn row_sums(
    re: &[f32],
    im: &[f32],
    weight: &[f32],
    omega_y: &[f32],
    cos: &[f32],
    sin: &[f32],
    (c, s): (f32, f32),
    exponent: f32,
) -> [f64; 8] {
    let mut acc = [[0.0f32; LANES]; 8];
    let n = re.len();
    let mut term = |i: usize, l: usize| {
        let (er, ei) = (c * cos[i] - s * sin[i], c * sin[i] + s * cos[i]);
        let w = weight[i];
        // Derivative of the influence function sin θ·((1 + cos θ)/2)^n at fixed a-priori weight.
        let pr = w * ((1.0 + exponent) * (re[i] * er - im[i] * ei) - exponent);
        let pi = w * (re[i] * ei + im[i] * er);
        let wy = omega_y[i];
        let m = pi * pi;
        acc[0][l] += pi;
        acc[1][l] += wy * pi;
        acc[2][l] += pr;
        acc[3][l] += wy * pr;
        acc[4][l] += wy * wy * pr;
        acc[5][l] += m;
        acc[6][l] += wy * m;
        acc[7][l] += wy * wy * m;
    };
    let whole = n / LANES * LANES;
    for i0 in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            term(i0 + l, l);
        }
    }
    for i in whole..n {
        term(i, i - whole);
    }
    acc.map(|lanes| lanes.iter().map(|&v| v as f64).sum())
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
                let mut phase = wx as f64 * dx + wy as f64 * dy;
                if (k * 24 + i) % 7 == 0 {
                    phase += 2.5;
                }
                re.push(phase.cos() as f32);
                im.push(phase.sin() as f32);
            }
        }
        let fit = plane.fit(&re, &im, &plane.weights, (0.0, 0.0), 2, &mut PhaseScratch::default());
        assert!(fit.converged);
        assert!((fit.dx - dx).abs() < 0.01 && (fit.dy - dy).abs() < 0.01, "{fit:?}");
        assert!(fit.coherence > 0.8 && fit.coherence < 0.95);
    }
}
