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
const EXPONENT: u32 = 4;
/// Robust rounds after the first plain one.
pub const ROUNDS: usize = 1;
/// Newton iterations per round and the step that ends them, in pixels.
const ITERATIONS: usize = 12;
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
        let mut hessian = [0.0; 3];
        for round in 0..=rounds {
            converged = false;
            for iteration in 0..ITERATIONS {
                let g = if iteration < 2 || iteration % 3 == 0 {
                    let sums = self.sums::<3, 0>(re, im, dx, dy, scratch);
                    hessian = [sums[2], sums[3], sums[4]];
                    [sums[0], sums[1]]
                } else {
                    // Near the solution the curvature changes little.
                    let sums = self.sums::<0, 0>(re, im, dx, dy, scratch);
                    [sums[0], sums[1]]
                };
                let h = hessian;
                let det = h[0] * h[2] - h[1] * h[1];
                if !(det > 0.0 && h[0] > 0.0) {
                    break;
                }
                let mut sx = (h[2] * g[0] - h[1] * g[1]) / det;
                let mut sy = (h[0] * g[1] - h[1] * g[0]) / det;
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
        let s = match rounds {
            0 => self.sums::<3, 3>(re, im, dx, dy, scratch),
            _ => self.influence(re, im, dx, dy, scratch),
        };
        let (total, agree) = self.agreement(re, im, weights, dx, dy, scratch);
        let coherence = if total > 0.0 { 0.5 + 0.5 * agree / total } else { 0.0 };
        PhaseFit { dx, dy, coherence, hessian: [s[2], s[3], s[4]], meat: [s[5], s[6], s[7]], converged }
    }

    /// As [`Self::sums`] with the curvature of the robust influence function.
    #[inline(always)]
    fn influence(&self, re: &[f32], im: &[f32], dx: f64, dy: f64, scratch: &mut PhaseScratch) -> [f64; 8] {
        let mut s = self.sums::<3, 3>(re, im, dx, dy, scratch);
        // d/dθ [sin θ·r^n] = r^n·((1 + n) cos θ - n), r = (1 + cos θ)/2.
        let n = EXPONENT as f64;
        let mut plain = [0.0; 3];
        let len = self.omega_y.len();
        for (k, &wx) in self.omega_x.iter().enumerate() {
            let mut acc = [[0.0f32; LANES]; 3];
            let weight = &scratch.robust[k * len..(k + 1) * len];
            lanes(
                len,
                #[inline(always)]
                |i, l| {
                    let w = weight[i];
                    let wy = self.omega_y[i];
                    acc[0][l] += w;
                    acc[1][l] += w * wy;
                    acc[2][l] += w * wy * wy;
                },
            );
            let [a, b, c] = acc.map(|v| v.iter().map(|&t| t as f64).sum::<f64>());
            let wx = wx as f64;
            plain[0] += wx * wx * a;
            plain[1] += wx * b;
            plain[2] += c;
        }
        for (h, p) in s[2..5].iter_mut().zip(plain) {
            *h = (1.0 + n) * *h - n * p;
        }
        s
    }

    /// Phasors exp(-jω·d) along the two axes, by the recurrence of a geometric series.
    #[inline(always)]
    fn phasors(&self, dx: f64, dy: f64, scratch: &mut PhaseScratch) {
        let series = |w: f64, d: f64| {
            let (s, c) = (w * d).sin_cos();
            (c, -s)
        };
        let times = |a: (f64, f64), b: (f64, f64)| (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0);
        scratch.row.clear();
        let unit = series(self.omega_x.get(1).map_or(0.0, |&w| (w as f64).abs()), dx);
        let mut p = (1.0, 0.0);
        for _ in 0..self.omega_x.len() {
            scratch.row.push((p.0 as f32, p.1 as f32));
            p = times(p, unit);
        }
        let n = self.omega_y.len();
        scratch.cos.resize(n, 0.0);
        scratch.sin.resize(n, 0.0);
        let unit = series(self.omega_y.get(1).map_or(0.0, |&w| (w as f64).abs()), dy);
        let mut p = (1.0, 0.0);
        for k in 0..=n / 2 {
            // Bins k and n - k are conjugates; of an even n, bin n/2 counts as negative and has no weight.
            scratch.cos[(n - k) % n] = p.0 as f32;
            scratch.sin[(n - k) % n] = -p.1 as f32;
            if 2 * k != n {
                scratch.cos[k] = p.0 as f32;
                scratch.sin[k] = p.1 as f32;
            }
            p = times(p, unit);
        }
    }

    /// Σ W·{ω_x Im P, ω_y Im P}, then (with `H` = 3) Σ W ω ωᵀ Re P, then (with `M` = 3) Σ W² ω ωᵀ Im² P.
    #[inline(always)]
    fn sums<const H: usize, const M: usize>(
        &self,
        re: &[f32],
        im: &[f32],
        dx: f64,
        dy: f64,
        scratch: &mut PhaseScratch,
    ) -> [f64; 8] {
        self.phasors(dx, dy, scratch);
        let n = self.omega_y.len();
        let mut total = [0.0; 8];
        for (k, &wx) in self.omega_x.iter().enumerate() {
            let row = k * n..(k + 1) * n;
            let (re, im, weight) = (&re[row.clone()], &im[row.clone()], &scratch.robust[row]);
            let (cos, sin, omega_y) = (&scratch.cos[..n], &scratch.sin[..n], &self.omega_y[..n]);
            let (c, s) = scratch.row[k];
            let mut g = [[0.0f32; LANES]; 2];
            let mut h = [[0.0f32; LANES]; 3];
            let mut m = [[0.0f32; LANES]; 3];
            lanes(
                n,
                #[inline(always)]
                |i, l| {
                    let (er, ei) = (c * cos[i] - s * sin[i], c * sin[i] + s * cos[i]);
                    let (w, wy) = (weight[i], omega_y[i]);
                    let pi = w * (re[i] * ei + im[i] * er);
                    g[0][l] += pi;
                    g[1][l] += wy * pi;
                    if H > 0 {
                        let pr = w * (re[i] * er - im[i] * ei);
                        h[0][l] += pr;
                        h[1][l] += wy * pr;
                        h[2][l] += wy * wy * pr;
                    }
                    if M > 0 {
                        let square = pi * pi;
                        m[0][l] += square;
                        m[1][l] += wy * square;
                        m[2][l] += wy * wy * square;
                    }
                },
            );
            let sum = |v: &[f32; LANES]| v.iter().map(|&t| t as f64).sum::<f64>();
            let wx = wx as f64;
            total[0] += wx * sum(&g[0]);
            total[1] += sum(&g[1]);
            if H > 0 {
                total[2] += wx * wx * sum(&h[0]);
                total[3] += wx * sum(&h[1]);
                total[4] += sum(&h[2]);
            }
            if M > 0 {
                total[5] += wx * wx * sum(&m[0]);
                total[6] += wx * sum(&m[1]);
                total[7] += sum(&m[2]);
            }
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
                let square = keep * keep;
                out[i] = base[i] * square * square;
            }
        }
    }

    /// Σ W and Σ W Re P with the given weights.
    #[inline(always)]
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
        let (cos, sin) = (&scratch.cos[..n], &scratch.sin[..n]);
        let mut acc = [[0.0f32; LANES]; 2];
        for k in 0..self.omega_x.len() {
            let (c, s) = scratch.row[k];
            let row = k * n..(k + 1) * n;
            let (re, im, w) = (&re[row.clone()], &im[row.clone()], &weights[row]);
            lanes(
                n,
                #[inline(always)]
                |i, l| {
                    let (er, ei) = (c * cos[i] - s * sin[i], c * sin[i] + s * cos[i]);
                    acc[0][l] += w[i];
                    acc[1][l] += w[i] * (re[i] * er - im[i] * ei);
                },
            );
        }
        let [total, agree] = acc.map(|v| v.iter().map(|&t| t as f64).sum::<f64>());
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

const LANES: usize = 16;

/// Calls `term(i, lane)` for i in 0..n, 16 neighbours at a time: the order of every sum is fixed, and vectors fit.
#[inline(always)]
fn lanes(n: usize, mut term: impl FnMut(usize, usize)) {
    let whole = n / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            term(first + l, l);
        }
    }
    for i in whole..n {
        term(i, i - whole);
    }
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
