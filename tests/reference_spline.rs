//! B-spline interpolation against stored reference values and against exact Fourier shifts.
mod common;

use common::{SEED, reference};
use rustfft::num_complex::Complex;
use shiftmap::grid::Grid;
use shiftmap::synth::bspline::{Degree, Spline};
use shiftmap::synth::fft2::Spectrum;
use shiftmap::synth::random::{Purpose, stream, white};

#[test]
fn equals_the_reference_samples() {
    let (Some(image), Some(samples)) = (reference("bspline5_image.csv"), reference("bspline5_samples.csv")) else {
        return;
    };
    let numbers = |line: &str| -> Vec<f64> { line.split(',').map(|v| v.trim().parse().unwrap()).collect() };
    let rows: Vec<Vec<f64>> = image.lines().map(numbers).collect();
    let image = Grid::from_fn(rows[0].len(), rows.len(), |x, y| rows[y][x]);
    let cubic = Spline::new(&image, Degree::Cubic);
    let quintic = Spline::new(&image, Degree::Quintic);
    let mut lines = samples.lines();
    assert_eq!(lines.next().unwrap(), "row,col,order3_mirror,order5_mirror,order5_inside");
    let mut checked = 0;
    for line in lines {
        let v = numbers(line);
        let (got3, got5) = (cubic.at(v[1], v[0]), quintic.at(v[1], v[0]));
        assert!((got3 - v[2]).abs() < 1e-9, "cubic at row {} col {}: {got3}, not {}", v[0], v[1], v[2]);
        assert!((got5 - v[3]).abs() < 1e-9, "quintic at row {} col {}: {got5}, not {}", v[0], v[1], v[3]);
        checked += 1;
    }
    assert_eq!(checked, 60);
}

/// Relative rms error of a shift by half a pixel in x and y of an image with amplitude f^-1.2 up to `limit` times the
/// Nyquist frequency; the border, where the mirror image is not the periodic image, is left out.
fn half_pixel_error(limit: f64, degree: Degree) -> f64 {
    const N: usize = 256;
    let mut spectrum = Spectrum::of(&white(N, N, &mut stream(SEED, Purpose::Scene)));
    spectrum.filter(|fx, fy| {
        let f = fx.hypot(fy);
        if f > 0.0 && f < 0.5 * limit { f.powf(-1.2) } else { 0.0 }
    });
    let image = spectrum.clone().into_image();
    spectrum.multiply(|fx, fy| Complex::from_polar(1.0, std::f64::consts::PI * (fx + fy)));
    let exact = spectrum.into_image();
    let spline = Spline::new(&image, degree);
    let (mut error, mut power) = (0.0, 0.0);
    for y in 24..N - 24 {
        for x in 24..N - 24 {
            error += (spline.at(x as f64 + 0.5, y as f64 + 0.5) - exact.get(x, y)).powi(2);
            power += exact.get(x, y).powi(2);
        }
    }
    (error / power).sqrt()
}

#[test]
fn half_pixel_shifts_are_as_accurate_as_the_theory_says() {
    for (limit, most) in [(0.5, 2e-4), (0.25, 3e-6)] {
        let error = half_pixel_error(limit, Degree::Quintic);
        assert!(error < most && error > most / 30.0, "band limit {limit}: {error:.2e}");
    }
    // The lower degree is an order of magnitude worse, so the test above can tell them apart.
    assert!(half_pixel_error(0.5, Degree::Cubic) > 1e-3);
}
