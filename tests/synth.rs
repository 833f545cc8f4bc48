//! Pairs with known truth: sign, accuracy, character, reproducibility, files.
mod common;

use common::{Folder, SEED, gdal, gdalinfo, names};
use rustfft::num_complex::Complex;
use shiftmap::field::PixelShift;
use shiftmap::grid::{Grid, Image};
use shiftmap::progress::Silent;
use shiftmap::raster::{read_all_bands, read_lines};
use shiftmap::synth::fault::FaultSpec;
use shiftmap::synth::fft2::Spectrum;
use shiftmap::synth::field::{Field, FieldSpec};
use shiftmap::synth::inverse::sources;
use shiftmap::synth::pair::{PairSpec, Preset, SynthPair, make_pair, make_pair_from};
use shiftmap::synth::random::{Purpose, stream};
use shiftmap::synth::spectrum::SceneSpectrum;
use shiftmap::synth::texture::scene;
use shiftmap::synth::warp::Warper;

#[test]
fn one_pixel_right_is_one_column_right_and_one_pixel_down_is_one_row_down() {
    for (dx, dy) in [(1usize, 0usize), (0, 1)] {
        let spec = PairSpec::plain(96, 80, SEED, FieldSpec::uniform(dx as f64, dy as f64));
        let pair = make_pair(&spec).unwrap();
        for y in 0..79 {
            for x in 0..95 {
                let (a, b) = (pair.pre.get(x, y), pair.post.get(x + dx, y + dy));
                assert!((a - b).abs() < 0.01, "shift ({dx}, {dy}) at {x},{y}: {a} and {b}");
            }
        }
        assert!(pair.truth_dx.data.iter().all(|v| *v == dx as f32));
        assert!(pair.truth_dy.data.iter().all(|v| *v == dy as f32));
        assert!(pair.post_valid.data.iter().all(|v| *v), "the scene goes on beyond the frame");
    }
}

/// Plane waves up to 0.95 of the Nyquist frequency with the amplitudes of a sharp optical image.
struct Waves(Vec<[f64; 4]>);

impl Waves {
    fn new(number: usize) -> Waves {
        // Low-discrepancy frequencies: no generator, no luck.
        let part = |k: usize, step: f64| (k as f64 * step).fract();
        Waves(
            (1..=number)
                .map(|k| {
                    let f = 0.004 + 0.471 * part(k, 0.618_034);
                    let (sin, cos) = (std::f64::consts::TAU * part(k, 0.754_878)).sin_cos();
                    let transfer = (-2.0 * (std::f64::consts::PI * 0.53 * f).powi(2)).exp();
                    let w = std::f64::consts::TAU * f;
                    // Number density of frequencies grows with f in the plane: amplitude f^-1 sqrt(f).
                    [w * cos, w * sin, 40.0 * part(k, 0.569_840), transfer / f.sqrt()]
                })
                .collect(),
        )
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        self.0.iter().map(|w| w[3] * (w[0] * x + w[1] * y + w[2]).cos()).sum()
    }
}

#[test]
fn warping_a_sharp_image_costs_less_than_0_0003_px() {
    const N: usize = 300;
    let waves = Waves::new(300);
    let image = Grid::from_fn(N, N, |x, y| waves.at(x as f64, y as f64));
    let mut spec = FieldSpec::fault(FaultSpec::for_size(N, N));
    spec.uniform = (0.5, -0.4);
    let field = Field::new(&spec, N, N, SEED);
    let sources = sources(&field, N, N);
    let got = Warper::mirrored(&image).warp(&sources);
    let (mut error, mut slope, mut n) = (0.0, 0.0, 0.0);
    // The mirror image beyond the border is not the wave that goes on: stay clear of it.
    for y in 60..N - 60 {
        for x in 60..N - 60 {
            let s = sources.get(x, y);
            error += (got.get(x, y) - waves.at(s.x, s.y)).powi(2);
            let d = |dx: f64, dy: f64| (waves.at(s.x + dx, s.y + dy) - waves.at(s.x - dx, s.y - dy)) / 2e-4;
            slope += (d(1e-4, 0.0).powi(2) + d(0.0, 1e-4).powi(2)) / 2.0;
            n += 1.0;
        }
    }
    let equivalent = (error / slope).sqrt();
    println!("equivalent displacement error {equivalent:.6} px over {n} pixels");
    assert!(equivalent < 0.0003, "{equivalent}");
}

#[test]
fn shifting_the_procedural_scene_is_exact_to_0_0003_px() {
    const N: usize = 320;
    let image = scene(N, N, SceneSpectrum::default(), &mut stream(SEED, Purpose::Scene));
    let warper = Warper::periodic(&image, (0, 0));
    let (dx, dy) = (0.37, -0.23);
    let mut spectrum = Spectrum::of(&image);
    let tau = std::f64::consts::TAU;
    spectrum.multiply(|fx, fy| Complex::from_polar(1.0, -tau * (fx * dx + fy * dy)));
    let exact = spectrum.clone().into_image();
    spectrum.multiply(|fx, _| Complex::new(0.0, tau * fx));
    let slopes = spectrum.into_image();
    let (mut error, mut slope) = (0.0, 0.0);
    // The spline itself knows no period: stay clear of its border.
    for y in 16..N - 16 {
        for x in 16..N - 16 {
            error += (warper.at(x as f64 - dx, y as f64 - dy) - exact.get(x, y)).powi(2);
            slope += slopes.get(x, y).powi(2);
        }
    }
    let equivalent = (error / slope).sqrt();
    println!("equivalent displacement error {equivalent:.6} px");
    assert!(equivalent < 0.0003, "{equivalent}");
}

/// Equivalent displacement error of the post image sampled at x + d(x) against the pre image, away from the border and
/// the trace.
fn closure(field: FieldSpec, clear_of_trace: f32) -> f64 {
    let pair = make_pair(&PairSpec::plain(384, 384, SEED, field)).unwrap();
    let post = Warper::mirrored(&pair.post.map(f64::from));
    let (mut error, mut slope) = (0.0, 0.0);
    for y in 64..320 {
        for x in 64..320 {
            if pair.distance.get(x, y) < clear_of_trace {
                continue;
            }
            let (dx, dy) = (f64::from(pair.truth_dx.get(x, y)), f64::from(pair.truth_dy.get(x, y)));
            let seen = post.at(x as f64 + dx, y as f64 + dy);
            error += (seen - f64::from(pair.pre.get(x, y))).powi(2);
            slope += ((f64::from(pair.pre.get(x + 1, y)) - f64::from(pair.pre.get(x - 1, y))) / 2.0).powi(2);
        }
    }
    (error / slope).sqrt()
}

#[test]
fn the_post_image_at_x_plus_d_is_the_pre_image_at_x() {
    // What remains is the interpolation of the post image in this test: with a border in sight the last 5 % of the band
    // below the Nyquist frequency cannot be interpolated.
    let uniform = closure(FieldSpec::uniform(0.37, -1.21), 0.0);
    let smooth = closure(FieldSpec { smooth: 0.5, ..FieldSpec::default() }, 0.0);
    let fault = FieldSpec::fault(FaultSpec::for_size(384, 384));
    // A jump in the image rings around the trace when it is interpolated.
    let (near, far) = (closure(fault.clone(), 4.0), closure(fault, 60.0));
    println!("closure in px: uniform {uniform:.5}, smooth {smooth:.5}, 4 px from a fault {near:.5}, 60 px {far:.5}");
    assert!(uniform < 0.02 && smooth < 0.02 && far < 0.02 && near < 0.02);
}

#[test]
fn the_presets_have_the_character_of_real_pairs() {
    // Correlation of the two dates: low 0.996, real 0.857, radar 0.44.
    for (preset, want) in [(Preset::Low, 0.996), (Preset::Real, 0.857), (Preset::Sar, 0.44)] {
        for seed in [1, 2] {
            let pair = make_pair(&PairSpec::preset(preset, 1024, seed)).unwrap();
            let got = pair.correlation();
            println!("{preset:?} seed {seed}: correlation {got:.4}");
            assert!((got - want).abs() < 0.03, "{preset:?}, seed {seed}: {got}");
            let jump = largest_jump(&pair);
            assert!(jump > 1.2 && jump <= 1.6001 + 0.4, "{jump}");
        }
    }
}

/// Largest difference of the truth between neighbouring pixels.
fn largest_jump(pair: &SynthPair) -> f32 {
    let mut most = 0.0f32;
    for y in 0..pair.pre.height {
        for x in 1..pair.pre.width {
            let d = |g: &Grid<f32>| g.get(x, y) - g.get(x - 1, y);
            most = most.max(d(&pair.truth_dx).hypot(d(&pair.truth_dy)));
        }
    }
    most
}

#[test]
fn noise_has_the_asked_strength() {
    let clean = make_pair(&PairSpec::plain(256, 256, 4, FieldSpec::default())).unwrap();
    let mut spec = PairSpec::plain(256, 256, 4, FieldSpec::default());
    spec.noise.snr_db = Some(20.0);
    let noisy = make_pair(&spec).unwrap();
    for (a, b) in [(&clean.pre, &noisy.pre), (&clean.post, &noisy.post)] {
        let std = |v: Vec<f64>| {
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt()
        };
        let noise = std(a.data.iter().zip(&b.data).map(|(p, q)| f64::from(p - q)).collect());
        let signal = std(a.data.iter().map(|v| f64::from(*v)).collect());
        assert!((noise / signal - 0.1).abs() < 0.002, "{}", noise / signal);
    }
    // The two dates do not share their noise.
    let product: f64 = (0..clean.pre.data.len())
        .map(|i| f64::from(noisy.pre.data[i] - clean.pre.data[i]) * f64::from(noisy.post.data[i] - clean.post.data[i]))
        .sum();
    assert!((product / 65_536.0 / 3600.0).abs() < 0.02);
}

#[test]
fn the_same_seed_gives_the_same_pixels_for_any_number_of_threads() {
    for preset in [Preset::Real, Preset::Sar] {
        let make = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| make_pair(&PairSpec::preset(preset, 160, seed)).unwrap())
        };
        let (a, b, other) = (make(1, 7), make(3, 7), make(2, 8));
        let bits = |g: &Grid<f32>| g.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a.pre), bits(&b.pre));
        assert_eq!(bits(&a.post), bits(&b.post));
        assert_eq!(bits(&a.truth_dx), bits(&b.truth_dx));
        assert_ne!(bits(&a.pre), bits(&other.pre));
        assert_ne!(a.traces, other.traces);
    }
}

#[test]
fn a_base_image_with_holes_gives_a_pair_with_holes_and_no_colour_from_them() {
    let texture = common::texture(200, 160);
    let mut image = Image::from_values(texture.clone());
    for y in 70..90 {
        for x in 100..130 {
            image.valid.set(x, y, false);
            image.values.set(x, y, 0.0);
        }
    }
    let spec = PairSpec::plain(200, 160, 1, FieldSpec::uniform(2.0, 1.0));
    let pair = make_pair_from(&spec, &image, &image, &mut Silent).unwrap();
    assert!(!pair.pre_valid.get(110, 80) && !pair.post_valid.get(112, 81));
    assert!(!pair.post_valid.get(0, 40) && !pair.post_valid.get(1, 40), "from outside the image");
    assert!(pair.post_valid.get(2, 40) && !pair.post_valid.get(40, 0) && pair.post_valid.get(40, 1));
    for y in 10..150 {
        for x in 10..190 {
            if pair.post_valid.get(x, y) {
                let error = pair.post.get(x, y) - texture.get(x - 2, y - 1);
                assert!(error.abs() < 1.0, "{x},{y}: {error}");
            }
        }
    }
}

fn shiftmap(arguments: &[&str]) -> assert_cmd::assert::Assert {
    assert_cmd::Command::cargo_bin("shiftmap").unwrap().args(arguments).assert()
}

#[test]
fn the_truth_raster_is_east_and_north_in_metres() {
    let folder = Folder::new();
    let out = folder.file("pair");
    shiftmap(&["synth", "pair", &out, "--size", "128x96", "--field", "uniform", "--dx", "1.5", "--dy", "0.25", "-q"])
        .success();
    let truth = read_all_bands(&format!("{out}/truth.tif")).unwrap();
    assert_eq!(truth.descriptions, ["East displacement", "North displacement"]);
    assert_eq!(truth.units, ["m", "m"]);
    // 10 m pixels: 1.5 px right is 15 m east, 0.25 px down is 2.5 m south.
    assert!(truth.bands[0].values.data.iter().all(|v| *v == 15.0));
    assert!(truth.bands[1].values.data.iter().all(|v| *v == -2.5));
    let info = gdalinfo(&format!("{out}/pre.tif"));
    assert_eq!(info["bands"][0]["type"], "UInt16");
    assert_eq!(info["size"], serde_json::json!([128, 96]));
    assert!(info["coordinateSystem"]["wkt"].as_str().unwrap().contains("UTM zone 11N"));
    assert_eq!(names(out.as_ref()), ["post.tif", "pre.tif", "spec.json", "truth.tif"]);
    // The images say the same: the feature moves 1.5 columns right.
    let (pre, post) = (read_all_bands(&format!("{out}/pre.tif")), read_all_bands(&format!("{out}/post.tif")));
    let (pre, post) = (pre.unwrap().bands.remove(0), post.unwrap().bands.remove(0));
    let warped = Warper::mirrored(&pre.values.map(f64::from));
    for (x, y) in [(60, 50), (70, 31), (33, 64)] {
        let want = warped.at(x as f64 - 1.5, y as f64 - 0.25);
        let error = f64::from(post.values.get(x, y)) - want;
        // A wrong sign makes an error of the order of the image's deviation, 600.
        assert!(error.abs() < 30.0, "{x},{y}: {error}");
    }
}

#[test]
fn the_fault_comes_with_its_trace_and_its_record() {
    let folder = Folder::new();
    let (a, b) = (folder.file("a"), folder.file("b"));
    for out in [&a, &b] {
        shiftmap(&["synth", "pair", out, "--size", "256", "--preset", "real", "--seed", "5", "-q"]).success();
    }
    assert_eq!(names(a.as_ref()), ["post.tif", "pre.tif", "spec.json", "trace.gpkg", "truth.tif"]);
    for name in ["pre.tif", "post.tif", "truth.tif", "spec.json"] {
        let bytes = |out: &str| std::fs::read(format!("{out}/{name}")).unwrap();
        assert!(bytes(&a) == bytes(&b), "{name} differs between two runs with the same seed");
    }
    let record: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{a}/spec.json")).unwrap()).unwrap();
    let spec: PairSpec = serde_json::from_value(record["pair"].clone()).unwrap();
    assert_eq!(spec, PairSpec::preset(Preset::Real, 256, 5), "the record gives the pair again");
    // The trace in map coordinates is where the field jumps.
    let lines = read_lines(&format!("{a}/trace.gpkg")).unwrap();
    let field = Field::new(&spec.field, 256, 256, 5);
    let (mx, my) = lines[0][lines[0].len() / 2];
    let (col, row) = ((mx - 500_000.0) / 10.0 - 0.5, (4_000_000.0 - my) / 10.0 - 0.5);
    let (near, far): (PixelShift, PixelShift) = (field.at(col - 1.0, row - 1.0), field.at(col + 1.0, row + 1.0));
    assert!((near.dx - far.dx).hypot(near.dy - far.dy) > 0.5);
    assert!(gdal("ogrinfo", &["-so", "-al", &format!("{a}/trace.gpkg")]).contains("UTM zone 11N"));
}

#[test]
fn a_user_image_keeps_its_place_and_unusable_wishes_are_named() {
    let folder = Folder::new();
    let image = folder.file("scene.tif");
    let georef = common::utm(400_000.0, 4_100_000.0);
    let values = common::texture(150, 120);
    shiftmap::raster::write_image(&image, &values, shiftmap::raster::PixelType::U16, None, Some(&georef), false)
        .unwrap();
    let out = folder.file("mine");
    let region = ["--region", "10", "20", "128", "96"];
    let mut arguments = vec!["synth", "pair", &out, "--image", &image, "--slip", "1", "-q"];
    arguments.extend(region);
    shiftmap(&arguments).success();
    let info = gdalinfo(&format!("{out}/post.tif"));
    assert_eq!(info["geoTransform"], serde_json::json!([400_100.0, 10.0, 0.0, 4_099_800.0, 0.0, -10.0]));
    let again = shiftmap(&arguments).code(1);
    assert!(String::from_utf8_lossy(&again.get_output().stderr).contains("--overwrite"));
    arguments.push("--overwrite");
    shiftmap(&arguments).success();

    let bad = folder.file("bad");
    for (extra, want) in [
        (vec!["--slip", "500"], "--slip 500"),
        (vec!["--rho", "1.5"], "--rho 1.5"),
        (vec!["--size", "8"], "--size 8 x 8"),
        (vec!["--field", "uniform"], "--dx"),
        (vec!["--field", "uniform", "--dx", "1", "--slip", "2"], "--field fault"),
        (vec!["--image", "/nowhere.tif"], "/nowhere.tif"),
        (vec!["--image", &image, "--preset", "sar"], "radar"),
    ] {
        let mut arguments = vec!["synth", "pair", &bad, "-q"];
        arguments.extend(extra);
        let run = shiftmap(&arguments).code(1);
        let text = String::from_utf8_lossy(&run.get_output().stderr).to_string();
        assert!(text.starts_with("ERROR: ") && text.contains(want), "{arguments:?}: {text}");
    }
    assert_eq!(folder.names(), ["mine", "scene.tif"], "nothing half made is left behind");
}
