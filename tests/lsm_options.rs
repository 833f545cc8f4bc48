//! `lsm` with an affine shape, with several bands, and with a bilateral second pass.
//!
//! Textures are sums of plane waves, so they can be sampled exactly under any motion.

mod common;

use common::{Collect, SEED};
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use shiftmap::field::{Measurement, PixelShift, Status};
use shiftmap::grid::{Grid, Image, ImageFile, MemoryImage};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, Pair, Params, Shape};
use shiftmap::progress::Silent;

const N: usize = 320;

/// (ω_x, ω_y, amplitude, phase) of each wave.
struct Waves(Vec<[f64; 4]>);

impl Waves {
    /// Unit variance, wavelengths from 3 to 48 pixels.
    fn new(rng: &mut Pcg64) -> Waves {
        let count = 160;
        let amplitude = (2.0 / count as f64).sqrt();
        let wave = |rng: &mut Pcg64| {
            let wavelength = 3.0 * 16f64.powf(rng.random::<f64>());
            let (angle, phase) = (rng.random::<f64>() * std::f64::consts::TAU, rng.random::<f64>() * 6.3);
            let w = std::f64::consts::TAU / wavelength;
            [w * angle.cos(), w * angle.sin(), amplitude, phase]
        };
        Waves((0..count).map(|_| wave(rng)).collect())
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        self.0.iter().map(|[u, v, a, p]| a * (u * x + v * y + p).cos()).sum()
    }

    /// The texture seen where every pixel shows the ground at `from(x, y)`, with white noise.
    fn image(&self, noise: f64, rng: &mut Pcg64, from: impl Fn(f64, f64) -> (f64, f64)) -> Grid<f32> {
        Grid::from_fn(N, N, |x, y| {
            let (u, v) = from(x as f64, y as f64);
            let e: f64 = rng.sample(StandardNormal);
            (self.at(u, v) + noise * e) as f32
        })
    }
}

fn memory(values: Grid<f32>) -> MemoryImage {
    MemoryImage(Image::from_values(values))
}

/// Every cell's centre and measurement.
fn measure(bands: Vec<(&dyn ImageFile, &dyn ImageFile)>, params: &Params) -> Vec<(PixelShift, Measurement)> {
    let layout = Layout::new((N, N), params.window, params.step, None).unwrap();
    let mut found = Collect(Vec::new());
    let pair = Pair { bands, ..Pair::new(&*NOTHING, &*NOTHING, (0.0, 0.0)) };
    pipeline::run(&pair, &layout, params, 2, &mut found, &mut Silent).unwrap();
    let cell = |cells: &shiftmap::grid::Window, width: usize, k: usize| {
        layout.centre(cells.x as usize + k % width, cells.y as usize + k / width)
    };
    let mut all = Vec::new();
    for (cells, grid) in &found.0 {
        all.extend(grid.data.iter().enumerate().map(|(k, m)| (cell(cells, grid.width, k), *m)));
    }
    all
}

static NOTHING: std::sync::LazyLock<MemoryImage> = std::sync::LazyLock::new(|| memory(Grid::filled(8, 8, 0.0)));

/// RMSE per component, standard deviation of z, share of valid cells, over cells whose centre `take` accepts.
fn score(
    found: &[(PixelShift, Measurement)],
    truth: impl Fn(PixelShift) -> PixelShift,
    take: impl Fn(PixelShift) -> bool,
) -> (f64, f64, f64) {
    let (mut e2, mut z2, mut n, mut all) = (0.0, 0.0, 0.0, 0.0);
    for (c, m) in found.iter().filter(|(c, _)| take(*c)) {
        all += 1.0;
        if m.status != Status::Valid {
            continue;
        }
        let t = truth(*c);
        let (x, y) = (m.shift.dx - t.dx, m.shift.dy - t.dy);
        e2 += x * x + y * y;
        z2 += x * x / m.covariance.xx + y * y / m.covariance.yy;
        n += 2.0;
    }
    ((e2 / n).sqrt(), (z2 / n).sqrt(), n / 2.0 / all)
}

fn inside(margin: f64) -> impl Fn(PixelShift) -> bool {
    move |c| c.dx > margin && c.dy > margin && c.dx < N as f64 - margin && c.dy < N as f64 - margin
}

#[test]
fn rotation_and_shear_are_followed_by_the_affine_shape() {
    let mut rng = Pcg64::seed_from_u64(SEED);
    let waves = Waves::new(&mut rng);
    let middle = (N as f64 - 1.0) / 2.0;
    let (s, c) = 3f64.to_radians().sin_cos();
    let rotation = [c - 1.0, -s, s, c - 1.0];
    let shear = [0.0, 0.05, 0.0, 0.0];
    for (name, a) in [("rotation 3 degrees", rotation), ("shear 0.05", shear)] {
        // Displacement u(x) = A (x - middle); post shows at x + u(x) what pre shows at x.
        let det = (1.0 + a[0]) * (1.0 + a[3]) - a[1] * a[2];
        let back = |x: f64, y: f64| {
            let (u, v) = (x - middle, y - middle);
            (middle + ((1.0 + a[3]) * u - a[1] * v) / det, middle + (-a[2] * u + (1.0 + a[0]) * v) / det)
        };
        let truth = |p: PixelShift| {
            let (u, v) = (p.dx - middle, p.dy - middle);
            PixelShift::new(a[0] * u + a[1] * v + 0.0, a[2] * u + a[3] * v)
        };
        for noise in [0.02, 0.1] {
            let pre = memory(waves.image(noise, &mut rng, |x, y| (x, y)));
            let post = memory(waves.image(noise, &mut rng, back));
            let still = memory(waves.image(noise, &mut rng, |x, y| (x - 0.3, y + 0.2)));
            let params = |shape| Params { shape, step: (16, 16), search: (12.0, 12.0), ..Params::default() };
            let of = |p: &Params| score(&measure(vec![(&pre, &post)], p), truth, inside(40.0));
            let (affine, translation) = (of(&params(Shape::Affine)), of(&params(Shape::Translation)));
            let floor = score(
                &measure(vec![(&pre, &still)], &params(Shape::Translation)),
                |_| PixelShift::new(0.3, -0.2),
                inside(40.0),
            );
            println!(
                "{name} noise {noise}: affine {:.4} px z {:.2} valid {:.2}; translation {:.4} z {:.2} valid {:.2}; no deformation {:.4}",
                affine.0, affine.1, affine.2, translation.0, translation.1, translation.2, floor.0
            );
            // Sigma errs on the safe side here.
            assert!(affine.0 < 1.5 * floor.0 + 0.002 && affine.2 > 0.98 && affine.1 < 1.3);
            assert!(translation.0 > 2.0 * affine.0);
        }
    }
}

#[test]
fn bands_add_their_information_and_shared_noise_adds_none() {
    let mut rng = Pcg64::seed_from_u64(SEED + 1);
    let (a, b) = (Waves::new(&mut rng), Waves::new(&mut rng));
    let d = PixelShift::new(0.4, -0.3);
    let moved = |x: f64, y: f64| (x - d.dx, y - d.dy);
    let noise = 0.3;
    let first = [a.image(noise, &mut rng, |x, y| (x, y)), a.image(noise, &mut rng, moved)].map(memory);
    let second = [b.image(2.0 * noise, &mut rng, |x, y| (x, y)), b.image(2.0 * noise, &mut rng, moved)].map(memory);
    // Noise of the third: half that of the first, half its own (as variances).
    let mix = |k: usize, rng: &mut Pcg64| {
        let clean = if k == 0 { a.image(0.0, rng, |x, y| (x, y)) } else { a.image(0.0, rng, moved) };
        let other = &first[k].0.values;
        let half = 0.5f64.sqrt();
        memory(Grid::from_fn(N, N, |x, y| {
            let e: f64 = rng.sample(StandardNormal);
            let shared = (other.get(x, y) - clean.get(x, y)) as f64;
            (clean.get(x, y) as f64 + half * shared + half * noise * e) as f32
        }))
    };
    let third = [mix(0, &mut rng), mix(1, &mut rng)];
    let params = Params { step: (16, 16), ..Params::default() };
    let pair = |p: &[MemoryImage; 2]| -> (MemoryImage, MemoryImage) {
        (memory(p[0].0.values.clone()), memory(p[1].0.values.clone()))
    };
    let run = |which: &[&[MemoryImage; 2]]| {
        let owned: Vec<_> = which.iter().map(|p| pair(p)).collect();
        let bands = owned.iter().map(|(f, g)| (f as &dyn ImageFile, g as &dyn ImageFile)).collect();
        measure(bands, &params)
    };
    let sigma = |f: &[(PixelShift, Measurement)]| {
        let v: Vec<f64> = f.iter().filter(|(_, m)| m.status == Status::Valid).map(|(_, m)| m.covariance.xx).collect();
        (v.iter().sum::<f64>() / v.len() as f64).sqrt()
    };
    let one = run(&[&first]);
    let twice = run(&[&first, &first]);
    for ((_, m), (_, n)) in one.iter().zip(&twice) {
        assert_eq!(m.status, n.status);
        assert!((m.shift.dx - n.shift.dx).abs() < 2e-3 && (m.shift.dy - n.shift.dy).abs() < 2e-3);
        if m.status == Status::Valid {
            assert!((n.covariance.xx / m.covariance.xx - 1.0).abs() < 0.1, "{} {}", n.covariance.xx, m.covariance.xx);
        }
    }
    for (name, found, gain) in [
        ("one", &one, 1.0),
        ("same twice", &twice, 1.0),
        ("independent", &run(&[&first, &second]), 0.97),
        ("half shared", &run(&[&first, &third]), 0.95),
        ("three", &run(&[&first, &second, &third]), 0.95),
    ] {
        let (rmse, z, valid) = score(found, |_| d, inside(24.0));
        println!("{name}: rmse {rmse:.4} sigma {:.4} z {z:.2} valid {valid:.3}", sigma(found));
        assert!((0.8..1.25).contains(&z) && valid == 1.0, "{name}");
        assert!(sigma(found) < 1.001 * gain * sigma(&one));
    }
}

#[test]
fn the_bilateral_pass_sharpens_a_fault_and_leaves_the_rest() {
    let mut rng = Pcg64::seed_from_u64(SEED + 2);
    let waves = Waves::new(&mut rng);
    let fault = 159.5;
    for slip in [1.0, 2.0] {
        // Each side moves by half the slip along the fault.
        let half = |x: f64| if x < fault { -slip / 2.0 } else { slip / 2.0 };
        let pre = memory(waves.image(0.05, &mut rng, |x, y| (x, y)));
        let post = memory(waves.image(0.05, &mut rng, |x, y| (x, y - half(x))));
        let run = |bilateral| measure(vec![(&pre, &post)], &Params { bilateral, step: (4, 4), ..Params::default() });
        let (plain, sharp) = (run(false), run(true));
        let truth = |c: PixelShift| PixelShift::new(0.0, half(c.dx));
        let near = |c: PixelShift| inside(24.0)(c) && (c.dx - fault).abs() < 16.0;
        let (a, b) = (score(&plain, truth, near), score(&sharp, truth, near));
        println!("slip {slip}: RMSE within half a window {:.3} -> {:.3} px, valid {:.2} -> {:.2}", a.0, b.0, a.2, b.2);
        assert!(b.0 < 0.8 * a.0);
        for ((c, m), (_, n)) in plain.iter().zip(&sharp) {
            let apart = (m.shift.dx - n.shift.dx).abs().max((m.shift.dy - n.shift.dy).abs());
            let alike = m.status == n.status && (m.status != Status::Valid || apart < 0.01);
            assert!((c.dx - fault).abs() < 40.0 || alike, "changed at {c:?}");
        }
    }
}
