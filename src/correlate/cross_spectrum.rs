//! Two tapered windows, their cross-spectrum and the peak of their phase correlation.

use rustfft::num_complex::Complex32;

use super::fft2::FftCache;
use super::frequency::strip::Strip;
use super::phase::{LANES, PhasePlane};
use crate::grid::Grid;

/// Buffers for windows of one size and taper.
pub struct Stage {
    pub size: (usize, usize),
    taper: Vec<f32>,
    pub plane: PhasePlane,
    pub pre: Vec<f32>,
    pub post: Vec<f32>,
    packed: Vec<Complex32>,
    pub re: Vec<f32>,
    pub im: Vec<f32>,
    pub weights: Vec<f32>,
    mirror: Vec<Complex32>,
    /// The windows come without a mean.
    pub centred: bool,
    spectrum: Vec<Complex32>,
    surface: Vec<f32>,
}

impl Stage {
    /// Faded over the share `rim` at both ends. `gain(|ω|)` makes Fisher information of the amplitude of the cross-spectrum.
    pub fn new(size: (usize, usize), rim: f64, gain: &dyn Fn(f64) -> f32, centred: bool) -> Self {
        let (x, y) = (fade(size.0, rim * size.0 as f64), fade(size.1, rim * size.1 as f64));
        let taper = y.iter().flat_map(|v| x.iter().map(move |u| u * v)).collect();
        let n = size.0 * size.1;
        Stage {
            size,
            taper,
            plane: PhasePlane::new(size.0, size.1, gain),
            pre: vec![0.0; n],
            post: vec![0.0; n],
            packed: vec![Complex32::ZERO; n],
            re: Vec::new(),
            im: Vec::new(),
            weights: Vec::new(),
            mirror: vec![Complex32::ZERO; size.1],
            centred,
            spectrum: Vec::new(),
            surface: vec![0.0; n],
        }
    }

    /// Cross-spectrum of the loaded windows: with `UNIT` as unit phasors and weights, else as it is with the gain as
    /// weights, which is the same to a plain fit and spares the root.
    #[inline(always)]
    pub fn phases<const UNIT: bool>(&mut self, ffts: &mut FftCache) {
        let (nx, ny) = self.size;
        self.load_packed();
        ffts.complex(nx, ny).forward(&mut self.packed);
        self.crosses::<UNIT>();
    }

    /// Cross-spectrum of a window of a strip, as unit phasors and weights.
    #[inline(always)]
    pub fn strip_phases(&mut self, strip: &mut Strip, from: usize, ffts: &mut FftCache) {
        let (nx, ny) = self.size;
        strip.window(from, ffts.complex(nx, ny));
        let stride = self.resize();
        let mut sum = [0.0f32; LANES];
        for kx in 0..nx.div_ceil(2) {
            let row = kx * stride..(kx + 1) * stride;
            let out = (&mut self.re[row.clone()], &mut self.im[row.clone()], &mut self.weights[row.clone()]);
            let given = &self.plane.weights[row];
            unit_crosses::<true>(strip.bins(kx), |f, g| (f, g), out, given, &mut sum);
        }
        // The Nyquist frequency has no weight.
        self.weights[nx.div_ceil(2) * stride..].fill(0.0);
        self.level(&sum);
    }

    /// Makes room for a cross-spectrum: the length of a row of it.
    #[inline(always)]
    fn resize(&mut self) -> usize {
        let stride = self.plane.stride;
        let half = (self.size.0 / 2 + 1) * stride;
        self.re.resize(half, 0.0);
        self.im.resize(half, 0.0);
        self.weights.resize(half, 0.0);
        stride
    }

    #[inline(always)]
    fn crosses<const UNIT: bool>(&mut self) {
        let (nx, ny) = self.size;
        let stride = self.resize();
        // The amplitude of this window's own cross-spectrum around its expectation.
        let mut sum = [0.0f32; LANES];
        for kx in 0..=nx / 2 {
            let z = &self.packed[kx * ny..(kx + 1) * ny];
            let mx = (nx - kx) % nx;
            let mirror = &self.packed[mx * ny..(mx + 1) * ny];
            // Bin -ky of the mirror row, in the order of ky.
            self.mirror[0] = mirror[0];
            for (m, v) in self.mirror[1..].iter_mut().zip(mirror[1..].iter().rev()) {
                *m = *v;
            }
            let row = kx * stride..(kx + 1) * stride;
            let out = (&mut self.re[row.clone()], &mut self.im[row.clone()], &mut self.weights[row.clone()]);
            let given = &self.plane.weights[row];
            unit_crosses::<UNIT>((z, &self.mirror), unpack, out, given, &mut sum);
        }
        if UNIT {
            self.level(&sum);
        }
    }

    /// Gives the weights, whose sum is that of `sum`, unit mean for f32's sake.
    #[inline(always)]
    fn level(&mut self, sum: &[f32; LANES]) {
        let (sum, count) = (sum.iter().sum::<f32>(), self.weights.len());
        let scale = if sum > 0.0 { count as f32 / sum } else { 0.0 };
        self.weights.iter_mut().for_each(|w| *w *= scale);
    }

    #[inline(always)]
    fn load_packed(&mut self) {
        // The prefilter has removed the mean already.
        let (mf, mg) = if self.centred { (0.0, 0.0) } else { (mean(&self.pre), mean(&self.post)) };
        for (((p, f), g), t) in self.packed.iter_mut().zip(&self.pre).zip(&self.post).zip(&self.taper) {
            *p = Complex32::new((f - mf) * t, (g - mg) * t);
        }
    }

    /// Whole-pixel shift at the maximum of the weighted phase correlation within ±range; `None` at its border.
    #[inline(always)]
    pub fn peak(&mut self, range: (usize, usize), ffts: &mut FftCache) -> Option<(i32, i32)> {
        self.phases::<true>(ffts);
        let (nx, ny) = self.size;
        self.spectrum.clear();
        for kx in 0..=nx / 2 {
            let row = kx * self.plane.stride..kx * self.plane.stride + ny;
            let bins = self.re[row.clone()].iter().zip(&self.im[row.clone()]).zip(&self.plane.weights[row]);
            self.spectrum.extend(bins.map(|((re, im), w)| Complex32::new(re * w, -im * w)));
        }
        ffts.real(nx, ny).inverse(&self.spectrum, &mut self.surface);
        let (rx, ry) = (range.0 as i32, range.1 as i32);
        let wrap = |v: i32, n: usize| v.rem_euclid(n as i32) as usize;
        let (mut best, mut at) = (f32::MIN, (0, 0));
        for sy in -ry..=ry {
            for sx in -rx..=rx {
                let v = self.surface[wrap(sy, ny) * nx + wrap(sx, nx)];
                if v > best {
                    (best, at) = (v, (sx, sy));
                }
            }
        }
        (at.0.abs() < rx && at.1.abs() < ry).then_some(at)
    }
}

/// [`unit_cross`] of a row of bins that `spectra` makes of those of `a` and `b`; its magnitude, or one, times the weights `given` are
/// the weights, which are added up.
#[inline(always)]
fn unit_crosses<const UNIT: bool>(
    (a, b): (&[Complex32], &[Complex32]),
    spectra: impl Fn(Complex32, Complex32) -> (Complex32, Complex32),
    (re, im, weight): (&mut [f32], &mut [f32], &mut [f32]),
    given: &[f32],
    sum: &mut [f32; LANES],
) {
    let (va, rest_a) = a.as_chunks::<LANES>();
    let (vb, rest_b) = b.as_chunks::<LANES>();
    let whole = va.len() * LANES;
    let (vr, vi) = (re.as_chunks_mut::<LANES>().0, im.as_chunks_mut::<LANES>().0);
    let (vw, vg) = (weight.as_chunks_mut::<LANES>().0, given.as_chunks::<LANES>().0);
    for j in 0..va.len() {
        let (a, b, re, im, w, given) = (&va[j], &vb[j], &mut vr[j], &mut vi[j], &mut vw[j], &vg[j]);
        for l in 0..LANES {
            (re[l], im[l], w[l]) = unit_cross::<UNIT>(spectra(a[l], b[l]));
            w[l] *= given[l];
            sum[l] += w[l];
        }
    }
    for (i, (a, b)) in rest_a.iter().zip(rest_b).enumerate() {
        let k = whole + i;
        (re[k], im[k], weight[k]) = unit_cross::<UNIT>(spectra(*a, *b));
        weight[k] *= given[k];
        sum[i] += weight[k];
    }
}

/// 2F and 2G from bin z of the transform of f + jg and its mirror bin m: 2F = z + m*, 2jG = z - m*.
#[inline(always)]
pub fn unpack(z: Complex32, m: Complex32) -> (Complex32, Complex32) {
    (Complex32::new(z.re + m.re, z.im - m.im), Complex32::new(z.im + m.im, m.re - z.re))
}

/// F·conj(G) as unit phasor and magnitude, or as it is and one.
#[inline(always)]
fn unit_cross<const UNIT: bool>((f, g): (Complex32, Complex32)) -> (f32, f32, f32) {
    let (re, im) = (f.re * g.re + f.im * g.im, f.im * g.re - f.re * g.im);
    if !UNIT {
        return (re, im, 1.0);
    }
    let power = re * re + im * im;
    let magnitude = power.sqrt();
    // A vanishing bin has no phase; its weight is zero anyway.
    let scale = 1.0 / magnitude.max(f32::MIN_POSITIVE);
    (re * scale, im * scale, magnitude)
}

#[inline(always)]
fn mean(v: &[f32]) -> f32 {
    let mut sum = [0.0f32; LANES];
    let (vectors, rest) = v.as_chunks::<LANES>();
    for v in vectors {
        for l in 0..LANES {
            sum[l] += v[l];
        }
    }
    (sum.iter().sum::<f32>() + rest.iter().sum::<f32>()) / v.len() as f32
}

/// Raised-cosine fade over `width` samples at both ends of `n` (n / 2: a Hann window).
pub fn fade(n: usize, width: f64) -> Vec<f32> {
    (0..n)
        .map(|i| {
            let edge = (i.min(n - 1 - i) as f64 + 0.5) / width;
            if edge >= 1.0 { 1.0 } else { (0.5 - 0.5 * (std::f64::consts::PI * edge).cos()) as f32 }
        })
        .collect()
}

/// n·Σt⁴/(Σt²)²: how many samples of a tapered window carry the information of one.
pub fn correlated_samples(t: &[f32]) -> f64 {
    let sum = |p: i32| t.iter().map(|&v| (v as f64).powi(p)).sum::<f64>();
    t.len() as f64 * sum(4) / sum(2).powi(2)
}

/// Copies a window, zero where it reaches outside.
#[inline(always)]
pub fn cut(values: &Grid<f32>, at: (i64, i64), (w, h): (usize, usize), out: &mut [f32]) {
    let (width, height) = (values.width as i64, values.height as i64);
    let x0 = at.0.clamp(0, width);
    let x1 = (at.0 + w as i64).clamp(x0, width);
    for j in 0..h {
        let out = &mut out[j * w..(j + 1) * w];
        let y = at.1 + j as i64;
        if y < 0 || y >= height || x1 <= x0 {
            out.fill(0.0);
            continue;
        }
        let (a, b) = ((x0 - at.0) as usize, (x1 - at.0) as usize);
        out[..a].fill(0.0);
        out[b..].fill(0.0);
        out[a..b].copy_from_slice(&values.row(y as usize)[x0 as usize..x1 as usize]);
    }
}
