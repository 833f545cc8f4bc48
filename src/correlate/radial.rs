//! Functions of spatial frequency that depend on its magnitude only.

use super::fft2::omega;

/// A radial profile sampled at |ω| = 0, `step`, 2·`step`, ... radians per pixel, linear in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Radial {
    pub step: f64,
    pub values: Vec<f32>,
}

impl Radial {
    /// Value at angular frequency magnitude `w`; constant beyond the last sample.
    #[inline]
    pub fn at(&self, w: f64) -> f32 {
        let t = w / self.step;
        let i = t as usize;
        match self.values.get(i + 1) {
            Some(&next) => {
                let f = (t - i as f64) as f32;
                self.values[i] * (1.0 - f) + next * f
            }
            None => self.values.last().copied().unwrap_or(0.0),
        }
    }

    pub fn map(&self, f: impl Fn(f32) -> f32) -> Radial {
        Radial { step: self.step, values: self.values.iter().map(|&v| f(v)).collect() }
    }

    /// Sampled on the transposed half spectrum of a `width` × `height` real transform.
    pub fn on_half_spectrum(&self, width: usize, height: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity((width / 2 + 1) * height);
        for kx in 0..=width / 2 {
            let wx = omega(kx, width);
            out.extend((0..height).map(|ky| self.at(wx.hypot(omega(ky, height)))));
        }
        out
    }
}

/// Sums of a quantity over rings of the half spectrum, one ring a fundamental frequency of an n × n window wide.
#[derive(Debug, Clone)]
pub struct RingSums {
    n: usize,
    ring: Vec<u16>,
    counts: Vec<f64>,
}

impl RingSums {
    /// Rings of an `n` × `n` window in the transposed half-spectrum layout (or the full one of a complex transform).
    pub fn new(n: usize) -> Self {
        let rings = (n as f64 / 2.0 * std::f64::consts::SQRT_2).round() as usize + 1;
        let mut counts = vec![0.0; rings];
        let mut ring = Vec::with_capacity((n / 2 + 1) * n);
        let unit = std::f64::consts::TAU / n as f64;
        for kx in 0..=n / 2 {
            for ky in 0..n {
                let r = (omega(kx, n).hypot(omega(ky, n)) / unit).round() as usize;
                ring.push(r as u16);
                counts[r] += 1.0;
            }
        }
        RingSums { n, ring, counts }
    }

    pub fn rings(&self) -> usize {
        self.counts.len()
    }

    /// Adds `value(k)` for every bin k of the half spectrum to its ring.
    #[inline]
    pub fn add(&self, sums: &mut [f64], mut value: impl FnMut(usize) -> f64) {
        for (k, &r) in self.ring.iter().enumerate() {
            sums[r as usize] += value(k);
        }
    }

    /// The ring means as a profile.
    pub fn profile(&self, sums: &[f64]) -> Radial {
        let values = sums.iter().zip(&self.counts).map(|(s, n)| if *n > 0.0 { (s / n) as f32 } else { 0.0 });
        Radial { step: std::f64::consts::TAU / self.n as f64, values: values.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_profile_recovers_the_function() {
        let rings = RingSums::new(32);
        let mut sums = vec![0.0; rings.rings()];
        let unit = std::f64::consts::TAU / 32.0;
        rings.add(&mut sums, |k| {
            let (kx, ky) = (k / 32, k % 32);
            omega(kx, 32).hypot(omega(ky, 32))
        });
        let p = rings.profile(&sums);
        for r in 3..16 {
            assert!((p.at(r as f64 * unit) as f64 - r as f64 * unit).abs() < 0.06 * r as f64 * unit);
        }
        assert_eq!(p.at(100.0), *p.values.last().unwrap());
    }
}
