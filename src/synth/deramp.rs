//! Taking the Doppler centroid out of a complex radar image, so that it can be interpolated along the flight.
//!
//! In TOPS and ScanSAR bursts the beam is steered: the centre of the azimuth spectrum moves with the line and wraps around.
//! Interpolation assumes a spectrum around zero.

use rustfft::num_complex::Complex;

use crate::grid::Grid;

/// The image with its azimuth spectrum centred on zero, and the centroid that was taken out: cycles per line in the middle, and
/// its change per line.
///
/// The centroid comes from the phase of the correlation of neighbouring lines (Madsen 1989, IEEE TAES 25), fitted by a straight
/// line; the phase that is removed is its integral, a quadratic function of the line. Phases do not change amplitudes.
pub fn deramp(signal: &[Grid<f64>; 2]) -> ([Grid<f64>; 2], (f64, f64)) {
    let (width, height) = (signal[0].width, signal[0].height);
    let at = |x: usize, y: usize| Complex::new(signal[0].get(x, y), signal[1].get(x, y));
    let lines: Vec<Complex<f64>> =
        (0..height - 1).map(|y| (0..width).map(|x| at(x, y + 1) * at(x, y).conj()).sum()).collect();
    // Blocks of lines, so that noise does not turn the phase over.
    const BLOCK: usize = 16;
    let mut points: Vec<(f64, f64, f64)> = Vec::new();
    for (k, block) in lines.chunks(BLOCK).enumerate() {
        let sum: Complex<f64> = block.iter().sum();
        let mut cycles = sum.arg() / std::f64::consts::TAU;
        if let Some(last) = points.last() {
            cycles += (last.1 - cycles).round();
        }
        points.push(((k * BLOCK) as f64 + 0.5 * block.len() as f64, cycles, sum.norm()));
    }
    let middle = 0.5 * (height as f64 - 1.0);
    let weight: f64 = points.iter().map(|p| p.2).sum::<f64>().max(f64::MIN_POSITIVE);
    let mean = |f: &dyn Fn(&(f64, f64, f64)) -> f64| points.iter().map(|p| p.2 * f(p)).sum::<f64>() / weight;
    let (my, mc) = (mean(&|p| p.0), mean(&|p| p.1));
    let (sxy, sxx) = (mean(&|p| (p.0 - my) * (p.1 - mc)), mean(&|p| (p.0 - my).powi(2)));
    let rate = if sxx > 0.0 { sxy / sxx } else { 0.0 };
    let centroid = mc + rate * (middle - my);
    let mut out = signal.clone();
    for y in 0..height {
        let t = y as f64 - middle;
        let turn = Complex::from_polar(1.0, -std::f64::consts::TAU * (centroid * t + 0.5 * rate * t * t));
        for x in 0..width {
            let v = at(x, y) * turn;
            out[0].set(x, y, v.re);
            out[1].set(x, y, v.im);
        }
    }
    (out, (centroid, rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, stream, white};

    #[test]
    fn finds_a_steered_beam() {
        // Speckle with neighbouring lines correlated, times the phase of a moving centroid that wraps around.
        let rng = &mut stream(4, Purpose::Speckle);
        let raw = [white(96, 130, rng), white(96, 130, rng)];
        let smooth =
            raw.map(|g| Grid::from_fn(96, 128, |x, y| 0.5 * g.get(x, y) + g.get(x, y + 1) + 0.5 * g.get(x, y + 2)));
        let (centre, rate) = (0.31, 0.004);
        let mut steered = smooth.clone();
        for y in 0..128 {
            let t = y as f64 - 63.5;
            let (sin, cos) = (std::f64::consts::TAU * (centre * t + 0.5 * rate * t * t)).sin_cos();
            for x in 0..96 {
                let (a, b) = (smooth[0].get(x, y), smooth[1].get(x, y));
                steered[0].set(x, y, a * cos - b * sin);
                steered[1].set(x, y, a * sin + b * cos);
            }
        }
        let (back, found) = deramp(&steered);
        assert!((found.0 - centre).abs() < 0.01 && (found.1 - rate).abs() < 3e-4, "{found:?}");
        let amplitude = |g: &[Grid<f64>; 2], k: usize| g[0].data[k].hypot(g[1].data[k]);
        assert!((0..96 * 128).all(|k| (amplitude(&back, k) - amplitude(&smooth, k)).abs() < 1e-9));
    }
}
