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
/// The step that ends what another pass will refine.
const COARSE: f64 = 5e-3;
/// Longest Newton step in pixels.
const STEP_LIMIT: f64 = 0.5;

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
        PhasePlane { omega_x, omega_y, bins: ny, stride, weights }
    }

    /// Fits the plane to the unit phasors (`re`, `im`) with `weights`, all in the order of [`Self::weights`], from zero,
    /// with `rounds` robust rounds. `scratch` is resized as needed.
    #[inline(always)]
    pub fn fit(&self, re: &[f32], im: &[f32], weights: &[f32], rounds: usize, scratch: &mut PhaseScratch) -> PhaseFit {
        let (dx, dy, converged) = self.iterate(re, im, weights, rounds, TOLERANCE, scratch);
        let mut s = self.sums::<3, 3>(re, im, dx, dy, scratch);
        if rounds > 0 {
            // d/dθ [sin θ·r^n] = r^n·((1 + n) cos θ - n), r = (1 + cos θ)/2.
            let n = EXPONENT as f64;
            for i in 0..3 {
                s[2 + i] = (1.0 + n) * s[2 + i] - n * s[8 + i];
            }
        }
        let (total, agree) = self.agreement(re, im, weights, dx, dy, scratch);
        let coherence = if total > 0.0 { 0.5 + 0.5 * agree / total } else { 0.0 };
        PhaseFit { dx, dy, coherence, hessian: [s[2], s[3], s[4]], meat: [s[5], s[6], s[7]], converged }
    }

    /// A plain fit from zero that is good enough to interpolate at and fit again: (dx, dy), `None` without convergence.
    #[inline(always)]
    pub fn locate(&self, re: &[f32], im: &[f32], weights: &[f32], scratch: &mut PhaseScratch) -> Option<(f64, f64)> {
        let (dx, dy, converged) = self.iterate(re, im, weights, 0, COARSE, scratch);
        converged.then_some((dx, dy))
    }

    #[inline(always)]
    fn iterate(
        &self,
        re: &[f32],
        im: &[f32],
        weights: &[f32],
        rounds: usize,
        tolerance: f64,
        scratch: &mut PhaseScratch,
    ) -> (f64, f64, bool) {
        let (mut dx, mut dy) = (0.0, 0.0);
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
                if length < if round < rounds { COARSE } else { tolerance } {
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
        (dx, dy, converged)
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
        let n = self.bins;
        scratch.cos.resize(self.stride, 0.0);
        scratch.sin.resize(self.stride, 0.0);
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

    /// Σ W·{ω_x Im P, ω_y Im P}, then (with `H` = 3) Σ W ω ωᵀ Re P, then (with `M` = 3) Σ W² ω ωᵀ Im² P
    /// and Σ W ω ωᵀ.
    #[inline(always)]
    fn sums<const H: usize, const M: usize>(
        &self,
        re: &[f32],
        im: &[f32],
        dx: f64,
        dy: f64,
        scratch: &mut PhaseScratch,
    ) -> [f64; 11] {
        self.phasors(dx, dy, scratch);
        let (cos, sin, omega_y) = (vectors(&scratch.cos), vectors(&scratch.sin), vectors(&self.omega_y));
        let mut sums = [0.0; 11];
        for (k, &wx) in self.omega_x.iter().enumerate() {
            let row = k * self.stride..(k + 1) * self.stride;
            let (re, im) = (vectors(&re[row.clone()]), vectors(&im[row.clone()]));
            let weight = vectors(&scratch.robust[row]);
            let (c, s) = scratch.row[k];
            let mut g = [[0.0f32; LANES]; 2];
            let mut h = [[0.0f32; LANES]; 3];
            let mut m = [[0.0f32; LANES]; 6];
            for j in 0..omega_y.len() {
                let (re, im, weight, wy) = (&re[j], &im[j], &weight[j], &omega_y[j]);
                let (cos, sin) = (&cos[j], &sin[j]);
                for l in 0..LANES {
                    let (er, ei) = (c * cos[l] - s * sin[l], c * sin[l] + s * cos[l]);
                    let pi = weight[l] * (re[l] * ei + im[l] * er);
                    g[0][l] += pi;
                    g[1][l] += wy[l] * pi;
                    if H > 0 {
                        let pr = weight[l] * (re[l] * er - im[l] * ei);
                        h[0][l] += pr;
                        h[1][l] += wy[l] * pr;
                        h[2][l] += wy[l] * wy[l] * pr;
                    }
                    if M > 0 {
                        let square = pi * pi;
                        m[0][l] += square;
                        m[1][l] += wy[l] * square;
                        m[2][l] += wy[l] * wy[l] * square;
                        m[3][l] += weight[l];
                        m[4][l] += weight[l] * wy[l];
                        m[5][l] += weight[l] * wy[l] * wy[l];
                    }
                }
            }
            let wx = wx as f64;
            sums[0] += wx * total(&g[0]);
            sums[1] += total(&g[1]);
            if H > 0 {
                sums[2] += wx * wx * total(&h[0]);
                sums[3] += wx * total(&h[1]);
                sums[4] += total(&h[2]);
            }
            if M > 0 {
                sums[5] += wx * wx * total(&m[0]);
                sums[6] += wx * total(&m[1]);
                sums[7] += total(&m[2]);
                sums[8] += wx * wx * total(&m[3]);
                sums[9] += wx * total(&m[4]);
                sums[10] += total(&m[5]);
            }
        }
        sums
    }

    /// W ← W₀ · ((1 + Re P)/2)^n.
    #[inline(always)]
    fn reweight(&self, re: &[f32], im: &[f32], weights: &[f32], dx: f64, dy: f64, scratch: &mut PhaseScratch) {
        self.phasors(dx, dy, scratch);
        let (cos, sin) = (vectors(&scratch.cos), vectors(&scratch.sin));
        for (k, &(c, s)) in scratch.row.iter().enumerate() {
            let row = k * self.stride..(k + 1) * self.stride;
            let (re, im) = (vectors(&re[row.clone()]), vectors(&im[row.clone()]));
            let base = vectors(&weights[row.clone()]);
            let out = scratch.robust[row].as_chunks_mut::<LANES>().0;
            for j in 0..cos.len() {
                let (re, im, base, out) = (&re[j], &im[j], &base[j], &mut out[j]);
                let (cos, sin) = (&cos[j], &sin[j]);
                for l in 0..LANES {
                    let (er, ei) = (c * cos[l] - s * sin[l], c * sin[l] + s * cos[l]);
                    let p = re[l] * er - im[l] * ei;
                    let keep = (0.5 + 0.5 * p).max(0.0);
                    let square = keep * keep;
                    out[l] = base[l] * square * square;
                }
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
        let (cos, sin) = (vectors(&scratch.cos), vectors(&scratch.sin));
        let mut acc = [[0.0f32; LANES]; 2];
        for (k, &(c, s)) in scratch.row.iter().enumerate() {
            let row = k * self.stride..(k + 1) * self.stride;
            let (re, im) = (vectors(&re[row.clone()]), vectors(&im[row.clone()]));
            let weight = vectors(&weights[row]);
            for j in 0..cos.len() {
                let (re, im, w, cos, sin) = (&re[j], &im[j], &weight[j], &cos[j], &sin[j]);
                for l in 0..LANES {
                    let (er, ei) = (c * cos[l] - s * sin[l], c * sin[l] + s * cos[l]);
                    acc[0][l] += w[l];
                    acc[1][l] += w[l] * (re[l] * er - im[l] * ei);
                }
            }
        }
        (total(&acc[0]), total(&acc[1]))
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

/// Sums run over this many lanes, whatever the machine's vectors: the order of additions is fixed.
pub const LANES: usize = 16;

#[inline(always)]
fn vectors(v: &[f32]) -> &[[f32; LANES]] {
    v.as_chunks::<LANES>().0
}

#[inline(always)]
fn total(lanes: &[f32; LANES]) -> f64 {
    lanes.iter().map(|&t| t as f64).sum()
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
        let fit = plane.fit(&re, &im, &plane.weights, 2, &mut PhaseScratch::default());
        assert!(fit.converged);
        assert!((fit.dx - dx).abs() < 0.01 && (fit.dy - dy).abs() < 0.01, "{fit:?}");
        assert!(fit.coherence > 0.8 && fit.coherence < 0.95);
    }
}
