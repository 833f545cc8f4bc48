//! Sets of samples: the same bytes again, resumed, split by place, exact, readable by NumPy.
mod common;

use common::{Folder, SEED, names, shiftmap};
use shiftmap::field::GeoTransform;
use shiftmap::grid::{Grid, Window};
use shiftmap::progress::Silent;
use shiftmap::raster::{Crs, GeoReference, PixelType, write_image};
use shiftmap::synth::bspline::{Degree, Spline};
use shiftmap::synth::change::ChangeLevel;
use shiftmap::synth::dataset::run::SetJob;
use shiftmap::synth::dataset::sample::{MARGIN, Origin, Sample, Workshop};
use shiftmap::synth::dataset::spec::{Content, Format, Pairing, SetSpec};
use shiftmap::synth::event::{Scene, make_event};
use shiftmap::synth::inverse::Displacement;
use shiftmap::synth::npy::{Data, read_npz};
use shiftmap::synth::random::{Purpose, numbered};
use shiftmap::synth::rupture::Wishes;
use shiftmap::synth::spectrum::SceneSpectrum;
use shiftmap::synth::texture::scene;
use shiftmap::synth::warp::Warper;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Images of three places; the first place has two dates, the second of which lies 0.4 pixels right and 0.7 up.
fn images(folder: &Folder) -> String {
    let root = folder.file("images");
    std::fs::create_dir(&root).unwrap();
    for place in 0..3 {
        let ground = scene(256, 224, SceneSpectrum::default(), &mut numbered(SEED, Purpose::Scene, place));
        let ground = ground.map(|v| 3000.0 + 500.0 * v);
        let crs = Crs::from_definition("EPSG:32611").unwrap();
        let corner = 500_000.0 + 50_000.0 * place as f64;
        let georef = GeoReference::new(GeoTransform([corner, 15.0, 0.0, 4e6, 0.0, -15.0]), Some(crs));
        let save = |name: &str, image: &Grid<f64>| {
            let image = image.map(|v| v as f32);
            let path = format!("{root}/{name}.tif");
            write_image(&path, &image, PixelType::U16, Some(0.0), Some(&georef), false).unwrap();
        };
        save(&format!("place{place}_20200101_b1"), &ground);
        if place == 0 {
            let warper = Warper::periodic(&ground, (0, 0));
            let later = Grid::from_fn(256, 224, |x, y| warper.at(x as f64 - 0.4, y as f64 + 0.7));
            save("place0_20210615_b1", &later);
        }
    }
    root
}

fn spec(count: usize, size: usize) -> SetSpec {
    SetSpec {
        content: Content::Pairs,
        count,
        size,
        classes: vec![0, 1, 2],
        seed: SEED,
        format: Format::Npz,
        shard: 4,
        pairing: Pairing::Pre,
        change: ChangeLevel::Strong,
        band_limit: Some(0.75),
        split: [0.6, 0.2, 0.2],
        band: 1,
        pixel: 15.0,
        radar: None,
    }
}

fn job(spec: SetSpec, out: &str, images: &str, threads: usize) -> SetJob {
    SetJob { spec, out: out.into(), images: Some(images.into()), fields: None, threads }
}

fn make(job: &SetJob) {
    job.run(&mut |_| {}, &mut Silent).unwrap();
}

/// Every file below a folder with its content.
fn content(folder: &str) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, out: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, out);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
                out.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(Path::new(folder), Path::new(folder), &mut out);
    out
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let folder = Folder::new();
    let root = images(&folder);
    for (k, change) in [
        SetSpec { pairing: Pairing::Mixed, ..spec(10, 96) },
        SetSpec { format: Format::Shards, ..spec(10, 96) },
        SetSpec { content: Content::Windows, ..spec(12, 16) },
        SetSpec { content: Content::Fields, ..spec(6, 96) },
    ]
    .into_iter()
    .enumerate()
    {
        let (a, b) = (folder.file(&format!("a{k}")), folder.file(&format!("b{k}")));
        make(&job(change.clone(), &a, &root, 1));
        make(&job(change.clone(), &b, &root, 3));
        let (a, b) = (content(&a), content(&b));
        assert!(a.len() > 5 && a.keys().eq(b.keys()));
        a.iter().for_each(|(name, bytes)| assert!(bytes == &b[name], "set {k}: {name} differs"));
        let other = folder.file(&format!("c{k}"));
        make(&job(SetSpec { seed: 1, ..change }, &other, &root, 2));
        let other = content(&other);
        assert!(a.iter().any(|(name, bytes)| name.ends_with("npz") && other.get(name).is_some_and(|o| o != bytes)));
    }
}

#[test]
fn a_stopped_run_goes_on_to_the_same_set() {
    let folder = Folder::new();
    let root = images(&folder);
    for (k, change) in
        [spec(24, 96), SetSpec { format: Format::Shards, shard: 1, ..spec(24, 96) }].into_iter().enumerate()
    {
        let (whole, broken) = (folder.file(&format!("whole{k}")), folder.file(&format!("broken{k}")));
        make(&job(change.clone(), &whole, &root, 2));
        let broken_job = job(change.clone(), &broken, &root, 1);
        let mut stops = 0;
        for limit in [0.2, 0.4, 0.6] {
            let mut progress = |fraction: f64, _: &str| fraction < limit;
            match broken_job.run(&mut |_| {}, &mut progress) {
                Err(shiftmap::Error::Cancelled) => stops += 1,
                other => panic!("{other:?}"),
            }
            assert!(!Path::new(&broken).join("card.json").exists());
            // What a killed run leaves behind: half a file.
            std::fs::write(Path::new(&broken).join("train/.unfinished-000000_0_sample.npz"), "half").unwrap();
        }
        assert_eq!(stops, 3);
        let summary = broken_job.run(&mut |_| {}, &mut Silent).unwrap();
        assert!(summary.kept > 0 && summary.kept < summary.files, "{summary:?}");
        assert_eq!(content(&whole), content(&broken));
        // Another set does not mix with this one.
        let wrong = job(SetSpec { seed: 5, ..change }, &broken, &root, 1);
        let message = wrong.run(&mut |_| {}, &mut Silent).unwrap_err().to_string();
        assert!(message.contains("another set"), "{message}");
    }
}

#[test]
fn a_killed_process_goes_on_to_the_same_set() {
    let folder = Folder::new();
    images(&folder);
    let arguments = |out: &'static str| {
        ["synth", "dataset", out, "--images", "images", "--count", "24", "--size", "128", "--seed", "9", "-q"]
    };
    assert!(shiftmap(&folder, &arguments("whole")).status().unwrap().success());
    let mut child = shiftmap(&folder, &arguments("killed")).spawn().unwrap();
    let done = |name: &str| {
        let count = |d: std::fs::ReadDir| {
            d.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "npz")).count()
        };
        std::fs::read_dir(folder.path().join(name).join("train")).map_or(0, count)
    };
    while done("killed") < 3 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(done("killed") < done("whole"), "the run was over before it was killed");
    assert!(shiftmap(&folder, &arguments("killed")).status().unwrap().success());
    assert_eq!(content(&folder.file("whole")), content(&folder.file("killed")));
}

#[test]
fn no_place_is_in_two_parts() {
    let folder = Folder::new();
    let root = images(&folder);
    let out = folder.file("set");
    make(&job(SetSpec { pairing: Pairing::Mixed, ..spec(30, 64) }, &out, &root, 2));
    let mut seen: BTreeMap<String, std::collections::BTreeSet<u64>> = BTreeMap::new();
    let mut dated = 0;
    for (name, bytes) in content(&out) {
        if name.ends_with("_sample.json") {
            let record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let part = name.split('/').next().unwrap().to_string();
            seen.entry(part).or_default().insert(record["place"].as_u64().unwrap());
            // The second date's offset was found and is taken out.
            if record["pre"] != record["post"] {
                dated += 1;
                let shift = &record["coregistration"];
                let (x, y) = (shift[0].as_f64().unwrap(), shift[1].as_f64().unwrap());
                assert!((x - 0.4).abs() < 0.01 && (y + 0.7).abs() < 0.01, "{shift}");
            }
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    let parts: Vec<_> = seen.values().collect();
    for i in 0..3 {
        for j in 0..i {
            assert!(parts[i].is_disjoint(parts[j]), "{seen:?}");
        }
    }
    assert!(dated > 0);
    // Two places cannot make three parts.
    std::fs::remove_file(Path::new(&root).join("place2_20200101_b1.tif")).unwrap();
    let message = job(spec(5, 64), &folder.file("x"), &root, 1).run(&mut |_| {}, &mut Silent).unwrap_err().to_string();
    assert!(message.contains("--split"), "{message}");
}

/// Samples without any change, as numbers.
fn exact_samples(count: usize, size: usize, classes: &[u8], pairing: Pairing, limit: f64) -> Vec<Sample> {
    let folder = Folder::new();
    let root = images(&folder);
    let spec = SetSpec {
        classes: classes.to_vec(),
        change: ChangeLevel::None,
        split: [1.0, 0.0, 0.0],
        pairing,
        band_limit: Some(limit),
        ..spec(count, size)
    };
    let out = folder.file("set");
    make(&job(SetSpec { count: 1, ..spec.clone() }, &out, &root, 1));
    let plan: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(&out).join("set.json")).unwrap()).unwrap();
    let bases: Vec<_> = serde_json::from_value(plan["bases"].clone()).unwrap();
    let places: [Vec<usize>; 3] = serde_json::from_value(plan["places"].clone()).unwrap();
    let shop = Workshop { spec: &spec, folder: Path::new(&root), bases: &bases, places: &places, library: None };
    (0..count).map(|i| shop.sample(i).unwrap()).collect()
}

/// Sums over pixels: squared error, squared slope along one axis, number.
#[derive(Default, Clone, Copy)]
struct Closure([f64; 3]);

impl Closure {
    fn add(&mut self, error: f64, pre: &Grid<f32>, x: usize, y: usize) {
        let g = |a: f32, b: f32| f64::from(a - b) / 2.0;
        let (u, v) = (g(pre.get(x + 1, y), pre.get(x - 1, y)), g(pre.get(x, y + 1), pre.get(x, y - 1)));
        self.0 = [self.0[0] + error * error, self.0[1] + 0.5 * (u * u + v * v), self.0[2] + 1.0];
    }

    /// As a displacement, in pixels.
    fn pixels(&self) -> f64 {
        (self.0[0] / self.0[1]).sqrt()
    }

    /// As a share of the image's standard deviation.
    fn relative(&self, spread: f64) -> f64 {
        (self.0[0] / self.0[2]).sqrt() / spread
    }
}

fn spread(image: &Grid<f32>) -> f64 {
    let v: Vec<f64> = image.data.iter().map(|v| f64::from(*v)).collect();
    shiftmap::synth::spectrum::moments(&v).1
}

/// As anyone sees it who has only the two images. Interpolating post across its jump mixes the two sides: a quintic spline
/// forgets the other side by a factor of 2.3 per pixel (its pole is 0.43), so that 4 to 8 px from the trace the interpolation
/// in this test is what is measured; the next test takes it away. Nothing beyond half the Nyquist frequency passes the
/// limit of 0.43: there the spline itself is good for 2e-4.
#[test]
fn pre_at_x_is_post_at_x_plus_d() {
    const EDGES: [f32; 6] = [4.0, 5.0, 6.0, 8.0, 16.0, 40.0];
    let mut near = 0;
    for pairing in [Pairing::Pre, Pairing::Dates] {
        let (mut bins, mut worst) = ([Closure::default(); 6], 0.0f64);
        for sample in exact_samples(16, 200, &[1, 2], pairing, 0.43) {
            let post = Spline::new(&sample.post.map(f64::from), Degree::Quintic);
            let (mut all, mut clear) = (Closure::default(), Closure::default());
            for y in 50..150 {
                for x in 50..150 {
                    let (dx, dy) = (f64::from(sample.dx.get(x, y)), f64::from(sample.dy.get(x, y)));
                    let (u, v) = (x as f64 + dx, y as f64 + dy);
                    let Some(bin) = EDGES.iter().rposition(|e| sample.distance.get(x, y).abs() >= *e) else {
                        near += 1;
                        continue;
                    };
                    let error = post.at(u, v) - f64::from(sample.pre.get(x, y));
                    bins[bin].add(error, &sample.pre, x, y);
                    all.add(error, &sample.pre, x, y);
                    if bin >= 3 {
                        clear.add(error, &sample.pre, x, y);
                    }
                    // The inverse field on the post grid.
                    if bin >= 3 && x % 7 == 0 && y % 5 == 0 {
                        let (p, q) = (u.round() as usize, v.round() as usize);
                        let back = (f64::from(sample.inverse_dx.get(p, q)) - dx)
                            .hypot(f64::from(sample.inverse_dy.get(p, q)) - dy);
                        assert!(back < 0.05, "inverse at {x},{y}: {back}");
                    }
                }
            }
            let part = if pairing == Pairing::Pre { clear } else { all };
            if part.0[2] > 0.0 {
                worst = worst.max(part.relative(spread(&sample.pre)));
            }
        }
        let pixels: Vec<String> = bins.iter().zip(EDGES).map(|(b, e)| format!("{e}: {:.1e}", b.pixels())).collect();
        println!("{pairing:?}: px from the trace: px of error {pixels:?}; relative, worst sample {worst:.1e}");
        if pairing == Pairing::Pre {
            assert!(worst < 3e-4, "relative error {worst}");
            // What is left of the other side dies out, and is not an error of the displacement.
            assert!(bins[0].pixels() < 8e-3 && bins[..3].windows(2).all(|b| b[1].pixels() < 0.5 * b[0].pixels()));
            assert!(bins[3..].iter().all(|b| b.pixels() < 3e-4), "{pixels:?}");
        } else {
            // The second date was stored in whole numbers and its offset measured to a few thousandths of a pixel.
            assert!(worst < 1.2e-2, "relative error {worst}");
        }
    }
    assert!(near > 1000, "some samples show a fault");
}

/// The same up to the trace itself: each side of post is continued beyond the trace by the same block's motion, so that
/// no interpolation meets the jump.
#[test]
fn each_side_of_post_is_exact_up_to_the_trace() {
    let mut bins = [Closure::default(); 4];
    for sample in exact_samples(16, 200, &[1, 2], Pairing::Pre, 0.43) {
        let record = &sample.record;
        let Origin::Event(_) = &record.origin else { panic!("{:?}", record.origin) };
        if record.traces.len() != 1 {
            continue;
        }
        let scene = Scene { width: 200, height: 200, margin: MARGIN, pixel: 15.0, radar: None, view: None };
        let (mut field, _) = make_event(&scene, Wishes::default(), record.seed).unwrap();
        field.scale(record.scale);
        field.shift(record.constant_shift.0, record.constant_shift.1);
        let field = field.faulted();
        let m = MARGIN as f64;
        let ground = Spline::new(&sample.pre.map(f64::from), Degree::Quintic);
        for right in [true, false] {
            let side = Grid::from_fn(200, 200, |x, y| {
                let (px, py) = (x as f64, y as f64);
                let source = (px - f64::from(sample.inverse_dx.get(x, y)), py - f64::from(sample.inverse_dy.get(x, y)));
                let across = field.across(source.0 + m, source.1 + m);
                if sample.post_valid.get(x, y) && across.is_none_or(|n| (n >= 0.0) == right) {
                    return f64::from(sample.post.get(x, y));
                }
                let (mut u, mut v) = (px, py);
                for _ in 0..60 {
                    let d = field.on_side(u + m, v + m, right);
                    (u, v) = (px - d.dx, py - d.dy);
                }
                ground.at(u, v)
            });
            let post = Spline::new(&side, Degree::Quintic);
            for y in 50..150 {
                for x in 50..150 {
                    let Some(n) = field.across(x as f64 + m, y as f64 + m) else { continue };
                    if (n >= 0.0) != right {
                        continue;
                    }
                    let (u, v) = (x as f64 + f64::from(sample.dx.get(x, y)), y as f64 + f64::from(sample.dy.get(x, y)));
                    let bin = (n.abs() as usize / 2).min(3);
                    bins[bin].add(post.at(u, v) - f64::from(sample.pre.get(x, y)), &sample.pre, x, y);
                }
            }
        }
    }
    let pixels: Vec<String> = bins.iter().map(|b| format!("{:.1e} ({})", b.pixels(), b.0[2])).collect();
    println!("px of error 0-2, 2-4, 4-6, more than 6 px from the trace (pixels): {pixels:?}");
    assert!(bins[0].0[2] > 1000.0);
    assert!(bins[2..].iter().all(|b| b.pixels() < 3e-4), "{pixels:?}");
}

#[test]
fn sharpness_does_not_tell_the_sub_pixel_part() {
    let samples = exact_samples(40, 160, &[1, 2], Pairing::Pre, 0.75);
    // Image minus its neighbours' mean: the finest detail.
    let sharp = |image: &Grid<f64>, w: Window| {
        let mut sum = 0.0;
        for y in w.y as usize..w.bottom() as usize {
            for x in w.x as usize..w.right() as usize {
                let mean =
                    0.25 * (image.get(x - 1, y) + image.get(x + 1, y) + image.get(x, y - 1) + image.get(x, y + 1));
                sum += (image.get(x, y) - mean).powi(2);
            }
        }
        sum
    };
    let mut ours = Vec::new();
    let mut linear = Vec::new();
    for sample in &samples {
        let (pre, post) = (sample.pre.map(f64::from), sample.post.map(f64::from));
        // The same pair by linear interpolation, which gives itself away.
        let poor = Grid::from_fn(160, 160, |x, y| {
            let u = (x as f64 - f64::from(sample.inverse_dx.get(x, y))).clamp(0.0, 158.99);
            let v = (y as f64 - f64::from(sample.inverse_dy.get(x, y))).clamp(0.0, 158.99);
            let (i, j, f, g) = (u as usize, v as usize, u.fract(), v.fract());
            (pre.get(i, j) * (1.0 - f) + pre.get(i + 1, j) * f) * (1.0 - g)
                + (pre.get(i, j + 1) * (1.0 - f) + pre.get(i + 1, j + 1) * f) * g
        });
        for j in 0..8 {
            for i in 0..8 {
                let w = Window::new(16 + 16 * i, 16 + 16 * j, 16, 16);
                let (x, y) = ((w.x + 8) as usize, (w.y + 8) as usize);
                if sample.distance.get(x, y).abs() < 16.0 {
                    continue;
                }
                let (dx, dy) = (f64::from(sample.dx.get(x, y)), f64::from(sample.dy.get(x, y)));
                let part = (dx - dx.round()).abs() + (dy - dy.round()).abs();
                // The same ground in both images.
                let moved = w.shifted(dx.round() as i64, dy.round() as i64);
                let reference = sharp(&pre, w);
                ours.push((part, (sharp(&post, moved) / reference).ln()));
                linear.push((part, (sharp(&poor, moved) / reference).ln()));
            }
        }
    }
    let (r, poor) = (correlation(&ours), correlation(&linear));
    println!("{} windows: correlation {r:.4}, linear interpolation {poor:.4}", ours.len());
    assert!(r.abs() < 0.05, "sharpness follows the sub-pixel part: r = {r}");
    assert!(poor < -0.3, "the test would notice: r = {poor}");
}

fn correlation(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>();
    let xy = sum(&|p| (p.0 - mx) * (p.1 - my));
    xy / (sum(&|p| (p.0 - mx).powi(2)) * sum(&|p| (p.1 - my).powi(2))).sqrt()
}

#[test]
fn samples_from_a_library_are_exact_too() {
    let folder = Folder::new();
    let root = images(&folder);
    let library = folder.file("fields");
    let fields = SetSpec { content: Content::Fields, split: [1.0, 0.0, 0.0], ..spec(6, 224) };
    make(&SetJob { images: None, ..job(fields, &library, &root, 2) });
    let arrays = read_npz(&Path::new(&library).join("train/shard-00000.npz")).unwrap();
    assert_eq!(arrays[0].1.shape, [4, 2, 224, 224]);
    let Data::F16(numbers) = &arrays[0].1.data else { panic!("{:?}", arrays[0].0) };
    let largest = numbers.iter().map(|v| v.to_f64().abs()).fold(0.0, f64::max);
    assert!((0.7..=1.0).contains(&largest), "{largest}");

    let out = folder.file("pairs");
    let pairs = SetSpec { change: ChangeLevel::None, split: [1.0, 0.0, 0.0], ..spec(9, 128) };
    make(&SetJob { fields: Some(library.clone()), ..job(pairs.clone(), &out, &root, 2) });
    let mut symmetries = std::collections::BTreeSet::new();
    let mut checked = 0;
    for (name, bytes) in content(&out) {
        if name.ends_with("_sample.json") {
            let record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            symmetries.insert(record["origin"]["library"]["symmetry"].as_u64().unwrap());
        }
        if name.ends_with(".npz") {
            let arrays = read_npz(&Path::new(&out).join(&name)).unwrap();
            let get = |name: &str| match &arrays.iter().find(|a| a.0 == name).unwrap().1.data {
                Data::F32(v) => Grid::from_vec(128, 128, v.clone()),
                Data::U16(v) => Grid::from_vec(128, 128, v.iter().map(|&v| f32::from(v)).collect()),
                Data::F16(v) => Grid::from_vec(128, 128, v.iter().map(|v| v.to_f32()).collect()),
                other => panic!("{other:?}"),
            };
            // A gap, stored as 0, would ring through the interpolation of the whole image.
            if get("post").data.contains(&0.0) {
                continue;
            }
            checked += 1;
            let post = Warper::mirrored(&get("post").map(f64::from));
            let (pre, dx, dy, distance) = (get("pre"), get("dx"), get("dy"), get("distance"));
            let (mut sum, mut count, mut power) = (0.0, 0.0, 0.0);
            for y in 44..84 {
                for x in (44..84).filter(|&x| distance.get(x, y).abs() > 8.0) {
                    let (u, v) = (x as f64 + f64::from(dx.get(x, y)), y as f64 + f64::from(dy.get(x, y)));
                    sum += (post.at(u, v) - f64::from(pre.get(x, y))).powi(2);
                    power += (f64::from(pre.get(x, y)) - f64::from(pre.get(64, 64))).powi(2);
                    count += 1.0;
                }
            }
            assert!(count == 0.0 || (sum / power).sqrt() < 4e-3, "{name}: {}", (sum / power).sqrt());
        }
    }
    assert!(symmetries.len() > 2 && checked > 1, "{checked} without gaps, symmetries {symmetries:?}");
    let message = SetJob { fields: Some(library), ..job(SetSpec { size: 200, ..pairs }, &folder.file("y"), &root, 1) }
        .run(&mut |_| {}, &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(message.contains("--size 160"), "{message}");
}

#[test]
fn numpy_reads_every_file() {
    let folder = Folder::new();
    let root = images(&folder);
    let python = Command::new("python3").args(["-c", "import numpy"]).output();
    if !python.is_ok_and(|o| o.status.success()) {
        println!("skipped: python3 with numpy is not there");
        return;
    }
    for (out, spec, want) in [
        ("pairs", spec(5, 96), "pre uint16 (96, 96) dx float32 (96, 96) distance float16 (96, 96)"),
        ("shards", SetSpec { format: Format::Shards, split: [1.0, 0.0, 0.0], ..spec(5, 96) }, "pre uint16 (4, 96, 96)"),
        (
            "windows",
            SetSpec { content: Content::Windows, split: [1.0, 0.0, 0.0], shard: 8, ..spec(8, 32) },
            "pre float32 (8, 32, 32) post float32 (8, 32, 32) shift float32 (8, 2) discontinuous uint8 (8,)",
        ),
        (
            "fields",
            SetSpec { content: Content::Fields, split: [1.0, 0.0, 0.0], ..spec(4, 96) },
            "field float16 (4, 2, 96, 96) distance float16 (4, 96, 96)",
        ),
    ] {
        make(&job(spec, &folder.file(out), &root, 2));
        let script = "import numpy, glob, sys\n\
            for f in sorted(glob.glob(sys.argv[1] + '/*/*.npz')):\n\
            \x20   print(*[f'{k} {v.dtype} {v.shape}' for k, v in numpy.load(f).items()])";
        let output = Command::new("python3").args(["-c", script, &folder.file(out)]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let first = text.lines().next().unwrap();
        for part in want.split(" d").map(|p| p.trim()) {
            assert!(first.contains(part.trim_start_matches("d")), "{out}: {part:?} in {first:?}");
        }
    }
}

#[test]
fn folders_of_images_open_in_gdal() {
    let folder = Folder::new();
    let root = images(&folder);
    let out = folder.file("set");
    make(&job(SetSpec { format: Format::Tif, ..spec(6, 96) }, &out, &root, 2));
    let sample = Path::new(&out).join("train");
    let sample = sample.join(&names(&sample)[0]);
    let info = common::gdalinfo(sample.join("truth.tif").to_str().unwrap());
    assert_eq!(info["size"], serde_json::json!([96, 96]));
    assert_eq!(info["bands"][0]["unit"], "m");
    assert_eq!(info["bands"][1]["description"], "North displacement");
    assert!(sample.join("pre.tif").exists() && sample.join("post.tif").exists() && sample.join("sample.json").exists());
}

/// A complex radar image as a file: speckle in a band of 0.8 of the sampled one, its azimuth spectrum off centre.
fn complex_image(path: &str, side: usize) {
    use shiftmap::synth::fft2::Spectrum;
    let part = |k: u64| {
        let noise = shiftmap::synth::random::white(side, side, &mut numbered(SEED, Purpose::Speckle, k));
        let mut spectrum = Spectrum::of(&noise);
        spectrum.filter(|fx, fy| if fx.abs() < 0.4 && fy.abs() < 0.3 { 1.0 } else { 0.0 });
        spectrum.into_image().map(|v| 200.0 * v)
    };
    let (re, im) = (part(0), part(1));
    let mut bytes = Vec::new();
    for y in 0..side {
        let (sin, cos) = (std::f64::consts::TAU * 0.2 * y as f64).sin_cos();
        for x in 0..side {
            let (a, b) = (re.get(x, y), im.get(x, y));
            for v in [a * cos - b * sin, a * sin + b * cos] {
                bytes.extend((v.round() as i16).to_le_bytes());
            }
        }
    }
    let raw = path.replace(".vrt", ".raw");
    std::fs::write(&raw, bytes).unwrap();
    let name = Path::new(&raw).file_name().unwrap().to_str().unwrap().to_string();
    let vrt = format!(
        "<VRTDataset rasterXSize=\"{side}\" rasterYSize=\"{side}\"><VRTRasterBand dataType=\"CInt16\" band=\"1\" \
         subClass=\"VRTRawRasterBand\"><SourceFilename relativetoVRT=\"1\">{name}</SourceFilename><ImageOffset>0</ImageOffset>\
         <PixelOffset>4</PixelOffset><LineOffset>{}</LineOffset><ByteOrder>LSB</ByteOrder></VRTRasterBand></VRTDataset>",
        4 * side
    );
    std::fs::write(path, vrt).unwrap();
}

#[test]
fn radar_pairs_have_their_coherence_and_their_motion() {
    use shiftmap::synth::dataset::spec::{RadarMode, RadarSet};
    use shiftmap::synth::frame::RadarGeometry;
    let folder = Folder::new();
    let root = folder.file("slc");
    std::fs::create_dir(&root).unwrap();
    complex_image(&format!("{root}/a.vrt"), 300);
    let set = |mode, coherence| SetSpec {
        classes: vec![1],
        change: ChangeLevel::None,
        split: [1.0, 0.0, 0.0],
        radar: Some(RadarSet {
            mode,
            geometries: vec![RadarGeometry::sentinel1(true)],
            coherence: (coherence, coherence),
        }),
        ..spec(3, 128)
    };
    let samples = |mode, coherence| -> Vec<Sample> {
        let spec = set(mode, coherence);
        let out = folder.file(&format!("set{mode:?}{coherence}"));
        make(&job(SetSpec { count: 1, ..spec.clone() }, &out, &root, 1));
        let plan: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(Path::new(&out).join("set.json")).unwrap()).unwrap();
        let bases: Vec<_> = serde_json::from_value(plan["bases"].clone()).unwrap();
        let places: [Vec<usize>; 3] = serde_json::from_value(plan["places"].clone()).unwrap();
        let shop = Workshop { spec: &spec, folder: Path::new(&root), bases: &bases, places: &places, library: None };
        (0..3).map(|i| shop.sample(i).unwrap()).collect()
    };
    // Correlation of a power of the amplitudes, the post image looked up at the displaced position.
    let agreement = |sample: &Sample, power: i32| {
        let post = Warper::mirrored(&sample.post.map(f64::from));
        let mut points = Vec::new();
        for y in 44..84 {
            for x in 44..84 {
                let (dx, dy) = (f64::from(sample.dx.get(x, y)), f64::from(sample.dy.get(x, y)));
                let a = f64::from(sample.pre.get(x, y)).powi(power);
                points.push((a, post.at(x as f64 + dx, y as f64 + dy).powi(power)));
            }
        }
        correlation(&points)
    };
    let mean_of =
        |samples: &[Sample], power| samples.iter().map(|s| agreement(s, power)).sum::<f64>() / samples.len() as f64;
    let mean = |samples: &[Sample]| mean_of(samples, 2);
    // The same signal displaced in three ways: sampled twice as finely the amplitude can be displaced, as it is it cannot.
    let [complex, oversampled, amplitude] =
        [RadarMode::Complex, RadarMode::Oversampled, RadarMode::Amplitude].map(|mode| samples(mode, 1.0));
    let likeness = |other: &[Sample]| {
        let pairs = complex.iter().zip(other).flat_map(|(a, b)| a.post.data.iter().zip(&b.post.data));
        correlation(&pairs.map(|(a, b)| (f64::from(*a), f64::from(*b))).collect::<Vec<_>>())
    };
    let (fine, coarse) = (likeness(&oversampled), likeness(&amplitude));
    println!("likeness to the displaced signal: oversampled {fine:.4}, amplitude {coarse:.4}");
    assert!(fine > 0.99 && coarse < fine - 0.005);
    let full = mean(&complex);
    assert!(full > 0.8, "coherence near 1: {full}");
    // What is not aliased can be looked up between its pixels. What is left is coherence: 0.98 at most, less in half of the area.
    let [smooth, sharp] = [samples(RadarMode::LowPassed, 1.0), complex.clone()].map(|s| mean_of(&s, 1));
    println!("agreement of the amplitudes of both dates: low-passed {smooth:.4}, at the samples {sharp:.4}");
    assert!(smooth > 0.9 && smooth > sharp + 0.04);
    let half = mean(&samples(RadarMode::Complex, 0.6));
    assert!((half - 0.36).abs() < 0.15, "coherence 0.6: {half}");
    let sample = &samples(RadarMode::Complex, 0.6)[0];
    let radar = sample.record.radar.as_ref().unwrap();
    assert!((radar.doppler.0 - 0.2).abs() < 0.03, "{:?}", radar.doppler);
    assert!(sample.record.largest <= 1.0 + 0.43);
}

#[test]
fn real_differences_are_recorded_and_visible() {
    let folder = Folder::new();
    let root = images(&folder);
    let out = folder.file("set");
    let spec = SetSpec { pairing: Pairing::Mixed, split: [1.0, 0.0, 0.0], ..spec(60, 96) };
    make(&job(spec.clone(), &out, &root, 2));
    let (mut seen, mut clouded) = (BTreeMap::<&str, usize>::new(), 0);
    for (name, bytes) in content(&out) {
        if !name.ends_with("_sample.json") {
            continue;
        }
        let record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for key in ["clouds", "stripes", "blur", "reversed", "mix", "jitter"] {
            *seen.entry(key).or_default() += usize::from(record["change"][key].as_f64().unwrap() > 0.0);
        }
        let clouds = record["change"]["clouds"].as_f64().unwrap();
        let arrays = read_npz(&Path::new(&out).join(name.replace(".json", ".npz"))).unwrap();
        let Data::U8(valid) = &arrays.iter().find(|a| a.0 == "valid").unwrap().1.data else { panic!() };
        let hidden = valid.iter().filter(|v| **v & 4 != 0).count() as f64 / valid.len() as f64;
        // The opaque part of the clouds.
        assert!(hidden <= clouds + 0.01 && (clouds < 0.05 || hidden > 0.2 * clouds), "{hidden} of {clouds}");
        clouded += usize::from(hidden > 0.0);
    }
    assert!(clouded > 2 && seen.values().all(|&n| n > 2), "{clouded} {seen:?}");
    let card: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(&out).join("card.json")).unwrap()).unwrap();
    assert!(card["change"].as_str().unwrap().contains("clouds"));
    let info = common::gdalinfo(&format!("{out}/overview.png"));
    assert!(info["size"][0].as_u64().unwrap() > 1500 && info["bands"].as_array().unwrap().len() == 3);
}
