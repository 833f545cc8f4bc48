//! Ensemble statistics against what is asked for.

use crate::common::SEED;
use shiftmap::grid::Grid;
use shiftmap::synth::insar::atmosphere::{exponential, turbulence};
use shiftmap::synth::insar::frame::Frame;
use shiftmap::synth::insar::interferogram::{LosNoise, ramp};
use shiftmap::synth::insar::series::ComponentNoise;
use shiftmap::synth::insar::spec::{InsarSpec, NoiseSpec};
use shiftmap::synth::insar::terrain::Terrain;
use shiftmap::synth::random::{Purpose, numbered};

const FRAME: Frame = Frame { width: 96, height: 64, pixel: 2000.0 };

#[test]
fn correlated_noise_has_its_covariance() {
    // 10 km are 5 pixels; lags along both axes and, of 5 pixels, along (3, 4).
    let lambda = 10e3;
    let lags = [(0, 0), (5, 0), (0, 5), (3, 4), (10, 0), (0, 10), (6, 8)];
    let (mut sums, mut counts) = ([0.0; 7], [0.0; 7]);
    for k in 0..500 {
        let field = exponential(&FRAME, lambda, &mut numbered(SEED, Purpose::Atmosphere, k));
        for (i, &(dx, dy)) in lags.iter().enumerate() {
            for y in 0..FRAME.height - dy {
                for x in 0..FRAME.width - dx {
                    sums[i] += field.get(x, y) * field.get(x + dx, y + dy);
                    counts[i] += 1.0;
                }
            }
        }
    }
    for (i, (dx, dy)) in lags.into_iter().enumerate() {
        let r = f64::hypot(dx as f64, dy as f64) * FRAME.pixel;
        let (got, wanted) = (sums[i] / counts[i], (-r / lambda).exp());
        println!("lag {dx} {dy}: {got:.4}, wanted {wanted:.4}");
        assert!((got - wanted).abs() < 0.05 * wanted, "lag {dx} {dy}: {got} instead of {wanted}");
    }
}

#[test]
fn long_correlation_does_not_wrap_around() {
    // 60 km in a frame of 192 km: opposite edges must not resemble each other more than their distance says.
    let (mut sum, n) = (0.0, 300);
    for k in 0..n {
        let field = exponential(&FRAME, 60e3, &mut numbered(SEED, Purpose::Atmosphere, 1000 + k));
        sum += (0..64).map(|y| field.get(0, y) * field.get(95, y)).sum::<f64>() / 64.0;
    }
    let wanted = (-190.0f64 / 60.0).exp();
    assert!((sum / n as f64 - wanted).abs() < 0.1, "{} instead of {wanted}", sum / n as f64);
}

#[test]
fn turbulence_has_its_slope() {
    // The structure function of k^(-8/3) in two dimensions grows as r^(2/3).
    let mut structure = [0.0; 2];
    for k in 0..200 {
        let field = turbulence(&FRAME, &mut numbered(SEED, Purpose::Atmosphere, k));
        for (s, lag) in structure.iter_mut().zip([4, 12]) {
            for y in 0..FRAME.height {
                *s += (0..FRAME.width - lag).map(|x| (field.get(x + lag, y) - field.get(x, y)).powi(2)).sum::<f64>()
                    / (FRAME.width - lag) as f64;
            }
        }
    }
    let exponent = (structure[1] / structure[0]).ln() / 3f64.ln();
    println!("exponent {exponent:.3}");
    assert!((exponent - 2.0 / 3.0).abs() < 0.1, "{exponent}");
}

/// A landscape of its own for each number.
fn land(k: u64) -> Terrain {
    let spec = InsarSpec { size: (FRAME.width, FRAME.height), ..Default::default() };
    Terrain::procedural(&spec, &FRAME, 37.0 * k as f64, SEED + k)
}

fn only(change: impl Fn(&mut NoiseSpec)) -> NoiseSpec {
    let mut spec = InsarSpec::default().noiseless().noise;
    change(&mut spec);
    spec
}

/// Slope of the values over the heights of the land.
fn slope(values: &Grid<f64>, terrain: &Terrain) -> f64 {
    let points = || (0..values.data.len()).filter(|&k| !terrain.water.data[k]);
    let n = points().count() as f64;
    let mean = |f: &dyn Fn(usize) -> f64| points().map(f).sum::<f64>() / n;
    let (h, v) = (|k: usize| f64::from(terrain.height.data[k]), |k: usize| values.data[k]);
    let (mh, mv) = (mean(&h), mean(&v));
    mean(&|k| (h(k) - mh) * (v(k) - mv)) / mean(&|k| (h(k) - mh).powi(2))
}

#[test]
fn the_slope_over_height_is_the_topographic_factor() {
    let spec = only(|n| n.topography = 10e-6);
    let mut sum = 0.0;
    for k in 0..200 {
        let terrain = land(k);
        let (noise, values) = LosNoise::draw(&spec, &FRAME, &terrain, 0, k);
        let wanted = noise.epochs[1].topography - noise.epochs[0].topography;
        let got = slope(&values, &terrain);
        assert!((got / wanted - 1.0).abs() < 1e-9, "{got} instead of {wanted}");
        sum += wanted * wanted / 200.0;
    }
    // Two dates of 10 mm/km each.
    assert!((sum.sqrt() / 14.14e-6 - 1.0).abs() < 0.15, "{}", sum.sqrt());
    // With its variation and a correlated atmosphere on top the factor is still right on average.
    let spec = only(|n| (n.topography, n.topography_variation, n.sigma) = (10e-6, 0.3, (5e-3, 5e-3)));
    let (mut product, mut square) = (0.0, 0.0);
    for k in 0..1500 {
        let terrain = land(k % 40);
        let (noise, values) = LosNoise::draw(&spec, &FRAME, &terrain, 0, 5000 + k);
        let wanted = noise.epochs[1].topography - noise.epochs[0].topography;
        product += wanted * slope(&values, &terrain);
        square += wanted * wanted;
    }
    println!("recovered {:.4} of K", product / square);
    assert!((product / square - 1.0).abs() < 0.02, "{}", product / square);
}

#[test]
fn ramps_and_white_noise_have_their_deviations() {
    let corner = ramp(&FRAME, &[1.0, 2.0, 3.0, 4.0]);
    let (x, y) = (0.5 - 0.5 / 96.0, 0.5 - 0.5 / 64.0);
    assert!((corner.get(95, 0) - (1.0 + 2.0 * x + 3.0 * y + 4.0 * x * y)).abs() < 1e-12, "north is up");
    let terrain = land(0);
    let spec = only(|n| n.ramp = 10e-3);
    let mut sums = [0.0; 4];
    for k in 0..4000 {
        let rng = &mut numbered(SEED, Purpose::InsarNoise, k);
        let epoch = shiftmap::synth::insar::interferogram::Epoch::draw(&spec, rng);
        sums.iter_mut().zip(epoch.ramp).for_each(|(s, v)| *s += v * v / 4000.0);
    }
    for (s, wanted) in sums.into_iter().zip([10e-3, 10e-3, 10e-3, 5e-3]) {
        assert!((s.sqrt() / wanted - 1.0f64).abs() < 0.05, "{} instead of {wanted}", s.sqrt());
    }
    let (_, values) = LosNoise::draw(&only(|n| n.white = (2e-3, 2e-3)), &FRAME, &terrain, 1, SEED);
    let sd = (values.data.iter().map(|v| v * v).sum::<f64>() / values.data.len() as f64).sqrt();
    assert!((sd / 2e-3 - 1.0).abs() < 0.03, "{sd}");
}

#[test]
fn differences_of_gnss_series_have_their_variance() {
    let noise = ComponentNoise { white: 1.5e-3, walk: 6e-3, flicker: 0.0 };
    let series: Vec<Vec<f64>> = (0..1000).map(|k| noise.series(121, &mut numbered(SEED, Purpose::Series, k))).collect();
    for m in [1, 5, 20, 60] {
        let all = series.iter().flat_map(|s| (m..121).map(move |t| (s[t] - s[t - m]).powi(2)));
        let (sum, n) = all.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
        let wanted = 2.0 * noise.white.powi(2) + noise.walk.powi(2) * m as f64 / 365.25;
        println!("lag {m}: {:.4} of the variance", sum / n / wanted);
        assert!((sum / n / wanted - 1.0).abs() < 0.05, "lag {m}: {} instead of {wanted}", sum / n);
    }
}

#[test]
fn flicker_noise_has_a_slope_of_one() {
    let noise = ComponentNoise { white: 0.0, walk: 0.0, flicker: 4e-3 };
    let n = 512;
    let mut power = vec![0.0; 65];
    for k in 0..200 {
        let values = noise.series(2 * n, &mut numbered(SEED, Purpose::Series, k));
        // The second half has forgotten its beginning; a Hann window keeps the ends from leaking.
        let mean = values[n..].iter().sum::<f64>() / n as f64;
        let windowed: Vec<f64> = (0..n)
            .map(|t| (values[n + t] - mean) * (0.5 - 0.5 * (std::f64::consts::TAU * t as f64 / n as f64).cos()))
            .collect();
        for (f, p) in power.iter_mut().enumerate() {
            let angle = std::f64::consts::TAU * f as f64 / n as f64;
            let (c, s) = windowed.iter().enumerate().fold((0.0, 0.0), |(c, s), (t, v)| {
                let (sin, cos) = (angle * t as f64).sin_cos();
                (c + v * cos, s + v * sin)
            });
            *p += c * c + s * s;
        }
    }
    let points: Vec<(f64, f64)> = (4..=64).map(|f| ((f as f64).ln(), power[f].ln())).collect();
    let m = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / m, points.iter().map(|p| p.1).sum::<f64>() / m);
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>()
        / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
    println!("slope {slope:.3}");
    assert!((slope + 1.0).abs() < 0.08, "{slope}");
}
