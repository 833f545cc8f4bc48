//! Accuracy against the Cramér-Rao bound and calibration of sigma, on band-limited texture with exact shifts.
//!
//! `cargo nextest run --release accuracy` ; the figures are printed with `--no-capture`.

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rustfft::num_complex::Complex32;
use shiftmap::correlate::fft2::{FftCache, omega};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, FieldSink, MethodName, Pair, Params, Prefilter, Taper};
use shiftmap::progress::Silent;

const SEED: u64 = 20_260;
const N: usize = 512;

/// Collects everything.
struct Collect(Vec<Measurement>);

impl FieldSink for Collect {
    fn write(&mut self, _: Window, m: &Grid<Measurement>) -> shiftmap::Result<()> {
        self.0.extend_from_slice(&m.data);
        Ok(())
    }
}

/// Unit-variance periodic texture as a transposed half spectrum: amplitude |ω|^-exponent times a Gaussian PSF.
fn texture(exponent: f64, psf: f64, rng: &mut rand_pcg::Pcg64, ffts: &mut FftCache) -> Vec<Complex32> {
    let plan = ffts.real(N, N);
    let white: Vec<f32> = (0..N * N).map(|_| rng.sample(StandardNormal)).collect();
    let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
    plan.forward(&white, &mut spectrum);
    let mut power = 0.0f64;
    for kx in 0..=N / 2 {
        for ky in 0..N {
            let w = omega(kx, N).hypot(omega(ky, N));
            let nyquist = 2 * kx == N || 2 * ky == N;
            let a = if w == 0.0 || nyquist { 0.0 } else { w.powf(-exponent) * (-0.5 * (w * psf).powi(2)).exp() };
            let v = &mut spectrum[kx * N + ky];
            *v *= a as f32;
            power += v.norm_sqr() as f64 * if kx == 0 { 1.0 } else { 2.0 };
        }
    }
    let scale = (N * N) as f64 / power.sqrt();
    spectrum.iter_mut().for_each(|v| *v *= scale as f32);
    spectrum
}

/// The texture sampled at x - d (features move by +d); `derivative` 0 = value, 1 = along x, 2 = along y.
fn sample(spectrum: &[Complex32], d: (f64, f64), derivative: usize, ffts: &mut FftCache) -> Grid<f32> {
    let mut s = spectrum.to_vec();
    for kx in 0..=N / 2 {
        for ky in 0..N {
            let (wx, wy) = (omega(kx, N), omega(ky, N));
            let phase = -(wx * d.0 + wy * d.1);
            let mut f = Complex32::new(phase.cos() as f32, phase.sin() as f32);
            if derivative > 0 {
                f *= Complex32::new(0.0, if derivative == 1 { wx } else { wy } as f32);
            }
            s[kx * N + ky] *= f / (N * N) as f32;
        }
    }
    let mut out = vec![0.0; N * N];
    ffts.real(N, N).inverse(&s, &mut out);
    Grid::from_vec(N, N, out)
}

/// One scenario's outcome over all windows and shifts.
#[derive(Debug)]
struct Score {
    rmse: f64,
    bound: f64,
    z_std: f64,
    locking: f64,
    failed: usize,
}

#[derive(Clone, Copy)]
struct Case {
    method: MethodName,
    window: usize,
    noise: f64,
    /// Exponent of the noise amplitude, 0 = white.
    red: f64,
    prefilter: Prefilter,
    taper: Taper,
}

/// White noise of 0.1, default options.
const PLAIN: Case =
    Case { method: MethodName::Lsm, window: 32, noise: 0.1, red: 0.0, prefilter: Prefilter::Auto, taper: Taper::Box };

fn run(case: Case) -> Score {
    let mut ffts = FftCache::default();
    let mut rng = rand_pcg::Pcg64::seed_from_u64(SEED);
    let (mut se, mut bound, mut n, mut z, mut failed) = (0.0, 0.0, 0.0, Vec::new(), 0);
    let mut bias = Vec::new();
    for k in 0..8 {
        let clean = texture(1.1, 0.5, &mut rng, &mut ffts);
        let d = (k as f64 / 8.0, ((3 * k) % 8) as f64 / 8.0 - 0.5);
        let noisy = |at: (f64, f64), rng: &mut rand_pcg::Pcg64, ffts: &mut FftCache| {
            let noise = texture(case.red, 0.0, rng, ffts);
            let noise = sample(&noise, (0.0, 0.0), 0, ffts);
            let mut image = sample(&clean, at, 0, ffts);
            image.data.iter_mut().zip(&noise.data).for_each(|(v, e)| *v += case.noise as f32 * e);
            MemoryImage(Image::from_values(image))
        };
        let pre = noisy((0.0, 0.0), &mut rng, &mut ffts);
        let post = noisy(d, &mut rng, &mut ffts);
        let w = case.window;
        let params = Params {
            method: case.method,
            window: (w, w),
            step: (w, w),
            prefilter: case.prefilter,
            taper: case.taper,
            ..Params::default()
        };
        let layout = Layout::new((N, N), params.window, params.step, None).unwrap();
        let mut found = Collect(Vec::new());
        let pair = Pair::new(&pre, &post, (0.0, 0.0));
        let facts = pipeline::run(&pair, &layout, &params, 2, &mut found, &mut Silent).unwrap().facts;
        if std::env::var_os("SHIFTMAP_TEST_FACTS").is_some() {
            println!("{facts:?}");
        }
        let (gx, gy) = (sample(&clean, (0.0, 0.0), 1, &mut ffts), sample(&clean, (0.0, 0.0), 2, &mut ffts));
        let (mut mean, mut m) = (0.0, 0.0);
        for (cell, got) in found.0.iter().enumerate() {
            let (i, j) = (cell % layout.cells.0, cell / layout.cells.0);
            // Border windows see the image end; the bound does not know it.
            if i == 0 || j == 0 || i + 1 == layout.cells.0 || j + 1 == layout.cells.1 {
                continue;
            }
            if got.status != Status::Valid {
                failed += 1;
                continue;
            }
            let (ex, ey) = (got.shift.dx - d.0, got.shift.dy - d.1);
            se += ex * ex + ey * ey;
            n += 2.0;
            z.push(ex / got.covariance.xx.sqrt());
            z.push(ey / got.covariance.yy.sqrt());
            mean += ex;
            m += 1.0;
            bound += crb(&gx, &gy, layout.cell_window(i, j), case.noise);
        }
        bias.push((d.0, mean / m));
    }
    // Least-squares amplitude of sin(2πd) in the bias over the eight phases.
    let locking = bias.iter().map(|(d, b)| b * (std::f64::consts::TAU * d).sin()).sum::<f64>() / 4.0;
    let z_std = (z.iter().map(|v| v * v).sum::<f64>() / z.len() as f64).sqrt();
    Score { rmse: (se / n).sqrt(), bound: (bound / n).sqrt(), z_std, locking, failed }
}

/// Trace of (s1² + s2²)·G⁻¹ with G the structure tensor of the clean window, means removed.
fn crb(gx: &Grid<f32>, gy: &Grid<f32>, w: Window, noise: f64) -> f64 {
    let (gx, gy) = (gx.crop(w), gy.crop(w));
    let n = gx.data.len() as f64;
    let mean = |g: &Grid<f32>| g.data.iter().map(|&v| v as f64).sum::<f64>() / n;
    let (mx, my) = (mean(&gx), mean(&gy));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in gx.data.iter().zip(&gy.data) {
        let (a, b) = (*a as f64 - mx, *b as f64 - my);
        xx += a * a;
        xy += a * b;
        yy += b * b;
    }
    2.0 * noise * noise * (xx + yy) / (xx * yy - xy * xy)
}

fn report(name: &str, s: &Score) {
    println!(
        "{name}: rmse {:.4} bound {:.4} ratio {:.2} z {:.2} locking {:+.4} failed {}",
        s.rmse,
        s.bound,
        s.rmse / s.bound,
        s.z_std,
        s.locking,
        s.failed
    );
}

const LSM: MethodName = MethodName::Lsm;
const FREQUENCY: MethodName = MethodName::Frequency;
const SPATIAL: MethodName = MethodName::Spatial;

#[test]
fn lsm_comes_near_the_cramer_rao_bound_in_white_noise() {
    let s = run(Case { method: LSM, ..PLAIN });
    report("lsm 32 white 0.1", &s);
    assert!(s.rmse <= 1.25 * s.bound && s.failed == 0);
    assert!((0.9..=1.2).contains(&s.z_std));
    assert!(s.locking.abs() < 0.005);
}

#[test]
fn lsm_at_low_noise_is_good_to_five_thousandths() {
    let s = run(Case { method: LSM, noise: 0.02, ..PLAIN });
    report("lsm 32 white 0.02", &s);
    assert!(s.rmse <= 0.005 && s.locking.abs() < 0.005 && s.failed == 0);
}

#[test]
fn lsm_sigma_is_calibrated_for_other_windows_and_noise() {
    for (window, noise, red, limit) in
        [(64, 0.1, 0.0, 1.2), (64, 0.3, 0.0, 1.2), (32, 0.3, 0.0, 1.2), (32, 0.3, 1.1, 1.35), (64, 0.3, 1.1, 1.35)]
    {
        let s = run(Case { method: LSM, window, noise, red, ..PLAIN });
        report(&format!("lsm {window} noise {noise} red {red}"), &s);
        assert!((0.9..=limit).contains(&s.z_std));
    }
}

#[test]
fn frequency_stays_within_its_bound_and_calibration() {
    for (window, noise, red, ratio, limit) in [
        (32, 0.1, 0.0, 2.2, 1.2),
        (64, 0.1, 0.0, f64::INFINITY, 1.2),
        (32, 0.3, 1.1, f64::INFINITY, 1.35),
        (64, 0.3, 1.1, f64::INFINITY, 1.35),
    ] {
        let s = run(Case { method: FREQUENCY, window, noise, red, ..PLAIN });
        report(&format!("frequency {window} noise {noise} red {red}"), &s);
        assert!(s.rmse <= ratio * s.bound && (0.9..=limit).contains(&s.z_std));
    }
}

#[test]
fn tapered_windows_are_less_precise_and_know_it() {
    for taper in [Taper::Hann, Taper::Gaussian] {
        for (noise, red, limit) in [(0.1, 0.0, 1.2), (0.3, 1.1, 1.35)] {
            let s = run(Case { taper, noise, red, ..PLAIN });
            report(&format!("lsm 32 {taper:?} noise {noise} red {red}"), &s);
            assert!((0.85..=limit).contains(&s.z_std));
            assert!(s.rmse < 2.0 * run(Case { noise, red, ..PLAIN }).rmse);
        }
    }
}

#[test]
fn spatial_does_not_lock_to_pixels() {
    for window in [32, 64] {
        let s = run(Case { method: SPATIAL, window, noise: 0.02, ..PLAIN });
        report(&format!("spatial {window} white 0.02"), &s);
        assert!(s.rmse <= 0.005 && s.locking.abs() < 0.005 && s.failed == 0);
    }
}

#[test]
fn the_automatic_prefilter_is_as_good_as_the_best_fixed_one_in_every_noise() {
    let fixed = [Prefilter::Coherence, Prefilter::None, Prefilter::Highpass, Prefilter::Gaussian];
    println!("| noise | auto | coherence | none | highpass | gaussian |\n|---|---|---|---|---|---|");
    for (noise, red) in [(0.1, 0.0), (0.3, 0.0), (0.6, 0.0), (0.3, 1.1), (0.6, 1.1), (0.5, 1.6)] {
        let rmse = |prefilter| run(Case { noise, red, prefilter, ..PLAIN }).rmse;
        let auto = rmse(Prefilter::Auto);
        let all = fixed.map(rmse);
        let cells: Vec<String> = all.iter().map(|v| format!("{v:.4}")).collect();
        println!("| 1/f^{red} {noise} | {auto:.4} | {} |", cells.join(" | "));
        let best = all.iter().cloned().fold(f64::INFINITY, f64::min);
        assert!(auto <= 1.1 * best, "1/f^{red} {noise}: {auto} against {best}");
    }
}

#[test]
fn spatial_stays_near_its_bound_and_calibrated() {
    for (window, noise, red, ratio) in [
        (32, 0.1, 0.0, 1.25),
        (64, 0.1, 0.0, 1.25),
        (64, 0.3, 0.0, 1.4),
        (32, 0.3, 0.0, 1.4),
        (32, 0.3, 1.1, f64::INFINITY),
        (64, 0.3, 1.1, f64::INFINITY),
    ] {
        let s = run(Case { method: SPATIAL, window, noise, red, ..PLAIN });
        report(&format!("spatial {window} noise {noise} red {red}"), &s);
        assert!(s.rmse <= ratio * s.bound && s.failed == 0);
        assert!((0.9..=1.2).contains(&s.z_std));
    }
}
