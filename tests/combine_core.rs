//! The numbers behind `shiftmap combine`: against dense equations, and against a simulated earthquake.
mod common;

use common::SEED;
use nalgebra::{DMatrix, DVector};
use shiftmap::combine::*;
use shiftmap::field::GeoTransform;
use shiftmap::synth::okada::{Rectangle, surface};
use shiftmap::synth::random::{Purpose, normal, numbered};

const SIDE: usize = 128;
const PIXEL: f64 = 2000.0;

/// An earthquake on a megathrust seen by two tracks and stations.
struct Quake {
    scene: Scene,
    truth: [Vec<f64>; 3],
    /// Ramp and topographic coefficients of each track: a, b, c, K.
    errors: [[f64; 4]; 2],
}

#[derive(Clone, Copy)]
struct Setup {
    stations: usize,
    los_sigma: f64,
    gnss_sigma: f64,
    ramps: f64,
    topography: f64,
}

const USUAL: Setup = Setup { stations: 30, los_sigma: 0.01, gnss_sigma: 0.002, ramps: 0.02, topography: 0.01 };

fn fault(number: u64) -> Rectangle {
    let mut rng = numbered(SEED, Purpose::FaultShape, number);
    let mut vary = |middle: f64, by: f64| middle + by * normal(&mut rng).clamp(-2.0, 2.0);
    Rectangle {
        x: vary(128e3, 20e3),
        y: vary(-128e3, 20e3),
        top_depth: vary(15e3, 4e3).max(4e3),
        strike: vary(200.0, 5.0),
        dip: vary(18.0, 4.0),
        length: vary(60e3, 8e3),
        width: vary(35e3, 5e3),
        slip: [vary(0.3, 0.2), vary(2.5, 0.4), 0.0],
    }
}

fn quake(number: u64, setup: Setup) -> Quake {
    let transform = GeoTransform([0.0, PIXEL, 0.0, 0.0, 0.0, -PIXEL]);
    let frame = Frame { transform, width: SIDE, height: SIDE };
    let mut rng = numbered(SEED, Purpose::NoisePre, number);
    let mut uniform = {
        let mut rng = numbered(SEED, Purpose::Scene, number);
        move || 0.5 + 0.5 * libm::erf(normal(&mut rng) / 2f64.sqrt())
    };
    let at: Vec<[f64; 2]> = (0..setup.stations).map(|_| [2.4e5 * uniform() + 8e3, -2.4e5 * uniform() - 8e3]).collect();
    let pixels = (0..SIDE * SIDE).map(|i| frame.centre(i % SIDE, i / SIDE));
    let mut points: Vec<[f64; 2]> = pixels.map(|(x, y)| [x, y]).collect();
    points.extend(&at);
    let mut u = vec![[0.0; 3]; points.len()];
    surface(&[fault(number)], 0.25, &points, &mut u).unwrap();
    let n = SIDE * SIDE;
    let height = |p: &[f64; 2]| 800.0 + 600.0 * (p[0] / 17e3).sin() * (p[1] / 23e3).cos() + 300.0 * (p[0] / 5e3).cos();
    let mut scene = Scene::new(frame);
    scene.dem = Some(points[..n].iter().map(|p| height(p) as f32).collect());
    let mut errors = [[0.0; 4]; 2];
    for (t, heading) in [-12.0, -168.0].into_iter().enumerate() {
        let s = unit_vector(heading, 39.0, Side::Right);
        let r = [0, 1, 2].map(|_| setup.ramps * normal(&mut rng));
        errors[t] = [r[0], r[1], r[2], setup.topography * normal(&mut rng)];
        let values = (0..n).map(|i| {
            let (x, y) = frame.scaled((i % SIDE) as f64, (i / SIDE) as f64);
            let e = errors[t];
            let ramp = e[0] + e[1] * x + e[2] * y + e[3] * (height(&points[i]) - 800.0) / 1000.0;
            let los: f64 = (0..3).map(|c| s[c] * u[i][c]).sum();
            (los + ramp + setup.los_sigma * normal(&mut rng)) as f32
        });
        scene.observations.push(Observation {
            name: format!("track {t}"),
            kind: Kind::LineOfSight,
            values: values.collect(),
            direction: Direction::Constant(s),
            sigma: Sigma::Estimated,
            ramp: Ramp::Plane,
            topography: true,
        });
    }
    for (j, p) in at.iter().enumerate() {
        let sigma = [setup.gnss_sigma, setup.gnss_sigma, 2.5 * setup.gnss_sigma];
        let displacement = [0, 1, 2].map(|c| u[n + j][c] + sigma[c] * normal(&mut rng));
        scene.stations.push(Station {
            name: format!("S{j:03}"),
            x: p[0],
            y: p[1],
            height: height(p),
            displacement,
            sigma,
        });
    }
    let truth = [0, 1, 2].map(|c| u[..n].iter().map(|v| v[c]).collect());
    Quake { scene, truth, errors }
}

fn rmse(got: &[f32], truth: &[f64]) -> f64 {
    (got.iter().zip(truth).map(|(g, t)| (f64::from(*g) - t).powi(2)).sum::<f64>() / truth.len() as f64).sqrt()
}

/// Standard deviation of error / sigma, over the pixels with a value.
fn z(bands: &Bands, truth: &[Vec<f64>; 3], c: usize) -> f64 {
    let pairs = (0..truth[c].len()).filter(|&i| bands.displacement[c][i].is_finite());
    let z: Vec<f64> =
        pairs.map(|i| (f64::from(bands.displacement[c][i]) - truth[c][i]) / f64::from(bands.sigma[c][i])).collect();
    (z.iter().map(|v| v * v).sum::<f64>() / z.len() as f64).sqrt()
}

/// A pixel by the dense equations: observations, the prior as three more of them, and the covariance of the long-wavelength errors carried
/// through.
fn dense(q: &Quake, solution: &Solution, solver: &Solver, i: usize, factor: f64) -> (DVector<f64>, DMatrix<f64>) {
    let scene = &q.scene;
    let (column, row) = (i % SIDE, i / SIDE);
    let (mx, my) = scene.frame.centre(column, row);
    let prior = solution.kriging.as_ref().unwrap().at(mx, my);
    let nuisance = &solver.nuisance;
    let b = DVector::from_row_slice(&nuisance.values);
    let cb = DMatrix::from_row_slice(b.len(), b.len(), &nuisance.covariance);
    let (x, y) = scene.frame.scaled(column as f64, row as f64);
    let h = (f64::from(scene.dem.as_ref().unwrap()[i]) - nuisance.height) / 1000.0;
    let seen: Vec<usize> = (0..2).filter(|&k| scene.observations[k].values[i].is_finite()).collect();
    let m = seen.len();
    let mut a = DMatrix::zeros(m + 3, 3);
    let mut l = DVector::zeros(m + 3);
    let mut w = DMatrix::zeros(m + 3, m + 3);
    let mut design = DMatrix::zeros(m + 3, b.len());
    for (r, &k) in seen.iter().enumerate() {
        let s = scene.observations[k].direction_at(i).unwrap();
        (0..3).for_each(|c| a[(r, c)] = s[c]);
        for (p, v) in [1.0, x, y, h].into_iter().enumerate() {
            design[(r, 4 * k + p)] = v;
        }
        l[r] = f64::from(scene.observations[k].values[i]);
        w[(r, r)] = nuisance.sigma[k].powi(-2);
    }
    for c in 0..3 {
        a[(m + c, c)] = 1.0;
        l[m + c] = prior.mean[c];
        w[(m + c, m + c)] = 1.0 / (factor * prior.variance[c]);
    }
    let n = (a.transpose() * &w * &a).try_inverse().unwrap();
    let gain = &n * a.transpose() * &w;
    let u = &gain * (l - &design * b);
    let lever = &gain * design;
    let covariance = n + &lever * cb * lever.transpose();
    (u, covariance)
}

#[test]
fn pixels_are_those_of_the_dense_equations() {
    let mut q = quake(1, USUAL);
    // Some pixels with one track, some with none.
    q.scene.observations[0].values[40 * SIDE..60 * SIDE].fill(f32::NAN);
    q.scene.observations[1].values[50 * SIDE..70 * SIDE].fill(f32::NAN);
    let options = WlsOptions { adaptive: false, ..Default::default() };
    let solution = wls(&q.scene, &options).unwrap();
    let kriging = Kriging::fit(&q.scene.stations, None).unwrap();
    let mut survey = survey::Survey::new(q.scene.frame, &q.scene.stations, Some(kriging.clone()), 2);
    survey.add(&q.scene);
    let solver = prepare(&q.scene, &survey, Some(kriging), &options).unwrap();
    let bands = &solution.bands;
    for i in (0..SIDE * SIDE).step_by(97) {
        let (u, covariance) = dense(&q, &solution, &solver, i, 1.0);
        for c in 0..3 {
            if bands.displacement[c][i].is_nan() {
                assert!(bands.used[i] == 0);
                continue;
            }
            let sigma = covariance[(c, c)].sqrt();
            assert!((f64::from(bands.displacement[c][i]) - u[c]).abs() < 2e-6 * (1.0 + u[c].abs()), "{i} {c}");
            assert!((f64::from(bands.sigma[c][i]) / sigma - 1.0).abs() < 1e-5, "{} {sigma}", bands.sigma[c][i]);
        }
        for (k, (a, b)) in [(0, 1), (0, 2), (1, 2)].into_iter().enumerate() {
            let want = covariance[(a, b)] / (covariance[(a, a)] * covariance[(b, b)]).sqrt();
            let got = bands.correlation[k][i];
            assert!(got.is_nan() || (f64::from(got) - want).abs() < 1e-5, "{got} {want}");
        }
    }
}

#[test]
fn ramps_are_those_of_all_unknowns_together() {
    // Displacement at every sample and all coefficients as unknowns of one dense system, without robust weights: with a
    // stated sigma of 5 cm no misfit is large.
    let mut q = quake(2, USUAL);
    q.scene.observations.iter_mut().for_each(|o| o.sigma = Sigma::Constant(0.05));
    let kriging = Kriging::with(&q.scene.stations, 30e3, [0.5, 0.5, 0.5]);
    let mut survey = survey::Survey::new(q.scene.frame, &q.scene.stations, Some(kriging.clone()), 2);
    survey.add(&q.scene);
    let samples = survey.finish();
    let options = WlsOptions::default();
    let solver = prepare(&q.scene, &survey, Some(kriging), &options).unwrap();
    let nuisance = &solver.nuisance;
    let size = 3 * samples.len() + 8;
    let (mut normal, mut right) = (DMatrix::<f64>::zeros(size, size), DVector::<f64>::zeros(size));
    let mut add = |row: &[(usize, f64)], value: f64, sigma: f64| {
        for (i, a) in row {
            right[*i] += a * value / (sigma * sigma);
            for (j, b) in row {
                normal[(*i, *j)] += a * b / (sigma * sigma);
            }
        }
    };
    for (j, s) in samples.iter().enumerate() {
        (0..3).for_each(|c| add(&[(3 * j + c, 1.0)], s.mean[c], s.variance[c].sqrt()));
        for (k, o) in s.seen.iter().enumerate() {
            let o = o.unwrap();
            let mut row: Vec<(usize, f64)> = (0..3).map(|c| (3 * j + c, o.direction[c])).collect();
            let h = (s.height - nuisance.height) / 1000.0;
            row.extend([1.0, s.x, s.y, h].into_iter().enumerate().map(|(p, v)| (3 * samples.len() + 4 * k + p, v)));
            add(&row, o.value, 0.05);
        }
    }
    for k in 0..8 {
        let sd = if k % 4 == 3 { options.topography_sigma } else { options.ramp_sigma };
        add(&[(3 * samples.len() + k, 1.0)], 0.0, sd);
    }
    let inverse = normal.try_inverse().unwrap();
    let x = &inverse * right;
    for k in 0..8 {
        let (i, sd) = (3 * samples.len() + k, nuisance.covariance[9 * k].sqrt());
        assert!((nuisance.values[k] - x[i]).abs() < 1e-8, "{k}: {} {}", nuisance.values[k], x[i]);
        assert!((sd / inverse[(i, i)].sqrt() - 1.0).abs() < 1e-6, "{k}");
    }
}

#[test]
fn sistem_is_that_of_nine_unknowns() {
    let q = quake(3, USUAL);
    let options = WlsOptions { adaptive: false, ..Default::default() };
    let solution = sistem(&q.scene, &options).unwrap();
    let (scene, bands) = (&q.scene, &solution.bands);
    let factor = sistem::Sistem::new(&scene.stations).unwrap().factor();
    assert!(factor.iter().all(|f| *f >= 1.0), "{factor:?}");
    for i in (0..SIDE * SIDE).step_by(511) {
        let (x0, y0) = scene.frame.centre(i % SIDE, i / SIDE);
        let mut r: Vec<f64> = scene.stations.iter().map(|s| (s.x - x0).hypot(s.y - y0)).collect();
        r.sort_by(f64::total_cmp);
        let d0 = r[..6].iter().sum::<f64>() / 6.0;
        // u (3), then the gradient of east, north and up along x and y, per km.
        let (mut n, mut b) = (DMatrix::<f64>::zeros(9, 9), DVector::<f64>::zeros(9));
        let mut add = |row: [f64; 9], value: f64, sigma: f64| {
            let row = DVector::from_row_slice(&row) / sigma;
            b += &row * (value / sigma);
            n += &row * row.transpose();
        };
        for s in &scene.stations {
            let (dx, dy) = ((s.x - x0) / 1e3, (s.y - y0) / 1e3);
            for c in 0..3 {
                let mut row = [0.0; 9];
                (row[c], row[3 + 2 * c], row[4 + 2 * c]) = (1.0, dx, dy);
                add(row, s.displacement[c], factor[c].sqrt() * s.sigma[c] * ((1e3 * dx.hypot(dy)) / d0).exp());
            }
        }
        for (k, o) in scene.observations.iter().enumerate() {
            let s = o.direction_at(i).unwrap();
            let sigma = solution.corrections[k].estimated_sigma.unwrap();
            add([s[0], s[1], s[2], 0., 0., 0., 0., 0., 0.], f64::from(bands.corrected[k][i]), sigma);
        }
        let u = n.lu().solve(&b).unwrap();
        for c in 0..3 {
            let got = f64::from(bands.displacement[c][i]);
            assert!((got - u[c]).abs() < 1e-5, "{i} {c}: {got} {}", u[c]);
        }
    }
}

#[test]
fn ramps_and_sigma_are_found_again() {
    for number in 10..16 {
        let q = quake(number, USUAL);
        let solution = wls(&q.scene, &WlsOptions::default()).unwrap();
        for (k, found) in solution.corrections.iter().enumerate() {
            let s = found.estimated_sigma.unwrap();
            assert!((0.006..0.018).contains(&s), "event {number}, track {k}: sigma {s}");
            // Slopes and the topographic term; the constant also holds the reference height.
            for p in 1..4 {
                let error = (found.coefficients[p] - q.errors[k][p]) / found.sigma[p];
                assert!(error.abs() < 4.0, "event {number}, track {k}, {p}: {error} sigma");
            }
        }
    }
}

#[test]
fn better_than_either_alone_and_sigma_is_honest() {
    let (mut ratio, mut calibration) = ([0.0; 3], [0.0; 3]);
    for number in 20..26 {
        let q = quake(number, USUAL);
        let both = wls(&q.scene, &WlsOptions::default()).unwrap();
        let mut gnss = q.scene.clone();
        gnss.observations.clear();
        let gnss = wls(&gnss, &WlsOptions::default()).unwrap();
        for c in 0..3 {
            let alone = rmse(&gnss.bands.stations[c], &q.truth[c]);
            ratio[c] += rmse(&both.bands.displacement[c], &q.truth[c]) / alone / 6.0;
            calibration[c] += z(&both.bands, &q.truth, c) / 6.0;
        }
    }
    println!("RMSE relative to stations alone {ratio:?}, z {calibration:?}");
    assert!(ratio[0] < 0.7 && ratio[1] < 1.02 && ratio[2] < 0.7, "{ratio:?}");
    // North rests on the stations alone, and displacement between them is smoother than the covariance model: its sigma
    // is on the safe side.
    assert!((0.75..1.2).contains(&calibration[0]) && (0.75..1.2).contains(&calibration[2]), "{calibration:?}");
    assert!((0.4..1.2).contains(&calibration[1]), "{calibration:?}");
}

#[test]
fn fast_enough_for_training_data() {
    let q = quake(30, USUAL);
    let best = |f: &dyn Fn()| {
        (0..5)
            .map(|_| {
                let t = std::time::Instant::now();
                f();
                t.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min)
    };
    let s = best(&|| {
        wls(&q.scene, &WlsOptions::default()).unwrap();
    });
    let solution = wls(&q.scene, &WlsOptions::default()).unwrap();
    let i = best(&|| {
        network_inputs(&q.scene, &solution);
    });
    let t = best(&|| {
        sistem(&q.scene, &WlsOptions::default()).unwrap();
    });
    println!("wls {s:.4} s, inputs {i:.4} s, sistem {t:.4} s");
    assert!(s < 0.5, "{s} s");
}

#[test]
fn inputs_follow_their_contract() {
    let mut q = quake(40, USUAL);
    q.scene.observations[1].values[..SIDE * 20].fill(f32::NAN);
    let solution = wls(&q.scene, &WlsOptions::default()).unwrap();
    let inputs = network_inputs(&q.scene, &solution);
    let n = SIDE * SIDE;
    for (name, channels) in [("insar", 10), ("dem", 1), ("gnss", 8), ("classical", 6)] {
        let (values, c) = inputs.by_name(name).unwrap();
        assert!(c == channels && values.len() == c * n && values.iter().all(|v| v.is_finite()), "{name}");
    }
    let k = 77 * SIDE + 30;
    let close = |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 1e-5, "{a} {b}");
    close(inputs.insar[k], f64::from(solution.bands.corrected[0][k]) / inputs.scale);
    close(inputs.insar[4 * n + k], unit_vector(-12.0, 39.0, Side::Right)[0]);
    close(inputs.insar[7 * n + k], unit_vector(-168.0, 39.0, Side::Right)[0]);
    // The masked track: value, mask and direction are 0.
    assert_eq!([1, 3, 7, 8, 9].map(|c| inputs.insar[c * n + 5 * SIDE]), [0.0; 5]);
    assert!(inputs.dem.iter().all(|v| (0.0..=1.0).contains(v)) && inputs.dem.contains(&1.0));
    close(inputs.classical[2 * n + k], f64::from(solution.bands.displacement[2][k]) / inputs.scale);
    close(inputs.classical[5 * n + k], (f64::from(solution.bands.sigma[2][k]) / inputs.scale).ln());
    let s = &q.scene.stations[0];
    let at = (-s.y / PIXEL) as usize * SIDE + (s.x / PIXEL) as usize;
    close(inputs.gnss[3 * n + at], 1.0);
    close(inputs.gnss[at], s.displacement[0] / inputs.scale);
    // Without anything but one track and one station, still finite; what is missing is zero.
    q.scene.observations.truncate(1);
    q.scene.stations.truncate(1);
    q.scene.dem = None;
    q.scene.observations[0].topography = false;
    let inputs = network_inputs(&q.scene, &wls(&q.scene, &WlsOptions::default()).unwrap());
    assert!(inputs.insar[n..2 * n].iter().chain(&inputs.dem).all(|v| *v == 0.0));
    assert!(
        ["insar", "gnss", "classical"].iter().all(|name| inputs.by_name(name).unwrap().0.iter().all(|v| v.is_finite()))
    );
}
