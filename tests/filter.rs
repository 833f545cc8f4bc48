//! `filter` on small maps with known contents.
mod common;

use common::{Folder, SEED, hashed_noise, run, utm};
use shiftmap::distortion::direction::Given;
use shiftmap::field::GeoTransform;
use shiftmap::filter::smooth::Nlm;
use shiftmap::filter::{Coherence, FilterJob, run as filter};
use shiftmap::grid::Grid;
use shiftmap::progress::Silent;
use shiftmap::raster::{BANDS, Band, DOMAIN, RasterFile, read_all_bands, write_bands};
use shiftmap::synth::random::{Purpose, normal, numbered};

/// Windows of 32 pixels of 10 m every 8 pixels.
const OVERLAP: usize = 4;

/// Writes the six bands of a product in metres; status 0 where east has a value, otherwise 4.
fn write_map(path: &str, east: &Grid<f32>, north: &Grid<f32>, sigma: f32, quality: &Grid<f32>) {
    let there =
        |v: f32| Grid::from_fn(east.width, east.height, |x, y| if east.get(x, y).is_finite() { v } else { f32::NAN });
    let sigma = there(sigma);
    let status = east.map(|v| if v.is_finite() { 0.0 } else { 4.0 });
    let values = [east, north, quality, &sigma, &sigma, &status];
    let units = ["m", "m", "", "m", "m", ""];
    let bands: Vec<Band> = (0..6).map(|i| Band { description: BANDS[i], unit: units[i], values: values[i] }).collect();
    let metadata =
        [(DOMAIN, "WINDOW", "32x32"), (DOMAIN, "STEP", "8x8"), (DOMAIN, "METHOD", "lsm"), (DOMAIN, "SEARCH_PX", "4x4")];
    let georef = utm(0.0, 0.0).with_transform(GeoTransform([500_000.0, 80.0, 0.0, 4_000_000.0, 0.0, -80.0]));
    write_bands(path, &bands, Some(&georef), &metadata, true).unwrap();
}

/// Errors of overlapping windows with the standard deviation `sigma`.
fn noise(size: (usize, usize), sigma: f64, seed: u64) -> Grid<f64> {
    let mut rng = numbered(SEED, Purpose::NoisePost, seed);
    let white: Grid<f64> = Grid::from_fn(size.0 + OVERLAP, size.1 + OVERLAP, |_, _| normal(&mut rng));
    Grid::from_fn(size.0, size.1, |x, y| {
        let sum: f64 = (0..OVERLAP).map(|j| white.row(y + j)[x..x + OVERLAP].iter().sum::<f64>()).sum();
        sigma * sum / OVERLAP as f64
    })
}

fn blank(size: (usize, usize)) -> Grid<f32> {
    Grid::filled(size.0, size.1, 0.9)
}

fn cleaned(job: &FilterJob) -> RasterFile {
    filter(job, &mut Silent).unwrap();
    read_all_bands(&job.out).unwrap()
}

fn value(file: &RasterFile, band: usize, x: usize, y: usize) -> f32 {
    if file.bands[band].valid.get(x, y) { file.bands[band].values.get(x, y) } else { f32::NAN }
}

#[test]
fn bad_cells_go_with_their_reason_and_holes_are_filled() {
    let folder = Folder::new();
    let size = (40, 30);
    let mut east = Grid::from_fn(size.0, size.1, |x, y| (0.1 * x as f64 + 0.01 * hashed_noise(x, y, 1)) as f32);
    let north = Grid::from_fn(size.0, size.1, |x, y| (-0.05 * y as f64 + 0.01 * hashed_noise(x, y, 2)) as f32);
    let mut quality = blank(size);
    quality.set(5, 5, 0.2);
    east.set(20, 10, 60.0);
    east.set(12, 20, 20.0);
    for (x, y) in [(30, 20), (31, 20), (30, 21)] {
        east.set(x, y, f32::NAN);
    }
    let (map, out, gone) = (folder.file("map.tif"), folder.file("out.tif"), folder.file("gone.tif"));
    write_map(&map, &east, &north, 0.05, &quality);
    let job = FilterJob {
        min_quality: Some(0.5),
        max_magnitude: Some(50.0),
        ndc: Some(Coherence { distance: None }),
        outliers: Some(4.0),
        removed: Some(gone.clone()),
        ..FilterJob::new(&map, &out)
    };
    let summary = filter(&job, &mut Silent).unwrap();
    let count = |name: &str| summary.steps.iter().find(|s| s.step == name).unwrap().cells;
    assert_eq!((count("quality"), count("magnitude"), count("ndc"), count("outliers")), (1, 1, 1, 0));
    assert_eq!((summary.before, summary.after), (1197, 1194));
    let file = read_all_bands(&out).unwrap();
    assert_eq!(file.descriptions, BANDS);
    for (x, y, status) in [(5, 5, 9.0), (20, 10, 9.0), (12, 20, 5.0), (30, 20, 4.0), (0, 0, 0.0)] {
        assert_eq!(value(&file, 5, x, y), status, "{x} {y}");
        assert_eq!(value(&file, 0, x, y).is_nan(), status != 0.0, "{x} {y}");
    }
    assert_eq!(value(&file, 0, 7, 7), east.get(7, 7));
    let removed = read_all_bands(&gone).unwrap();
    assert_eq!((value(&removed, 0, 20, 10), value(&removed, 2, 20, 10)), (60.0, 3.0));
    assert_eq!((value(&removed, 0, 7, 7), value(&removed, 2, 7, 7)), (0.0, 0.0));
    assert_eq!((value(&removed, 2, 12, 20), value(&removed, 2, 30, 20)), (4.0, 7.0));
    let info = common::gdalinfo(&out);
    assert_eq!(info["bands"][5]["metadata"][""]["STATUS_8"], "filled from its neighbours", "{info}");

    let again = folder.file("filled.tif");
    let filled = cleaned(&FilterJob { fill: Some(3), ..FilterJob::new(&out, &again) });
    for (x, y) in [(5, 5), (20, 10), (12, 20), (30, 20), (31, 20)] {
        assert_eq!(value(&filled, 5, x, y), 8.0, "{x} {y}");
        assert!((f64::from(value(&filled, 0, x, y)) - 0.1 * x as f64).abs() < 0.03, "{x} {y}");
        assert_eq!(value(&filled, 2, x, y), 0.0);
        assert!(value(&filled, 3, x, y) > 0.02, "{}", value(&filled, 3, x, y));
    }
    // A median test alone also finds the two.
    let job = FilterJob { outliers: Some(4.0), ..FilterJob::new(&map, &folder.file("median_test.tif")) };
    let tested = cleaned(&job);
    assert!(value(&tested, 0, 20, 10).is_nan() && value(&tested, 0, 12, 20).is_nan());
    assert_eq!(tested.bands[0].valid.data.iter().filter(|v| !**v).count(), 5);
}

#[test]
fn nothing_is_continued_beyond_the_edge() {
    let folder = Folder::new();
    let east = Grid::from_fn(40, 30, |x, _| if x < 20 { 1.0f32 } else { f32::NAN });
    let (map, out) = (folder.file("map.tif"), folder.file("out.tif"));
    write_map(&map, &east, &east, 0.05, &blank((40, 30)));
    let summary = filter(&FilterJob { fill: Some(5), ..FilterJob::new(&map, &out) }, &mut Silent).unwrap();
    assert_eq!(summary.before, summary.after);
}

/// Robust standard deviation of error over sigma, away from the border.
fn z(file: &RasterFile, truth: impl Fn(usize, usize) -> f64, wanted: Option<f32>) -> (f64, f64, usize) {
    let (mut z, mut errors) = (Vec::new(), Vec::new());
    for y in 12..file.bands[0].height() - 12 {
        for x in 12..file.bands[0].width() - 12 {
            let (v, s) = (value(file, 0, x, y), value(file, 3, x, y));
            if v.is_finite() && wanted.is_none_or(|w| value(file, 5, x, y) == w) {
                let error = f64::from(v) - truth(x, y);
                errors.push(error * error);
                z.push((error / f64::from(s)).abs());
            }
        }
    }
    z.sort_by(f64::total_cmp);
    (1.4826 * z[z.len() / 2], (errors.iter().sum::<f64>() / errors.len() as f64).sqrt(), z.len())
}

#[test]
fn sigma_stays_right_when_values_are_smoothed_and_filled() {
    let folder = Folder::new();
    let size = (220, 200);
    let truth = |x: usize, y: usize| 0.002 * x as f64 - 0.001 * y as f64;
    let errors = noise(size, 0.5, 1);
    let holed = |x: usize, y: usize| x % 17 < 3 && y % 13 < 3;
    let east =
        Grid::from_fn(
            size.0,
            size.1,
            |x, y| {
                if holed(x, y) { f32::NAN } else { (truth(x, y) + errors.get(x, y)) as f32 }
            },
        );
    let map = folder.file("map.tif");
    write_map(&map, &east, &east, 0.5, &blank(size));
    let median = cleaned(&FilterJob { median: Some(5), ..FilterJob::new(&map, &folder.file("median.tif")) });
    let nlm = Nlm { strength: 1.0, search: 11, patch: 5 };
    let means = cleaned(&FilterJob { nlm: Some(nlm), ..FilterJob::new(&map, &folder.file("nlm.tif")) });
    let filled = cleaned(&FilterJob { fill: Some(4), ..FilterJob::new(&map, &folder.file("fill.tif")) });
    let before = z(&read_all_bands(&map).unwrap(), truth, None);
    for (name, (z, rms, n)) in [
        ("before", before),
        ("median", z(&median, truth, None)),
        ("nlm", z(&means, truth, None)),
        ("filled", z(&filled, truth, Some(8.0))),
    ] {
        eprintln!("{name}: z {z:.3}, rms {rms:.3}, {n} cells");
        assert!(n > 1000, "{name}: {n} cells");
        // The error of a median is taken as that of independent normal errors, which is the upper end.
        assert!((0.7..1.25).contains(&z), "{name}: z {z:.3}");
        assert!(rms < 0.55, "{name}: {rms}");
    }
    assert!(z(&means, truth, None).1 < 0.75 * before.1);
}

#[test]
fn non_local_means_keeps_a_fault_that_a_mean_would_smear() {
    let folder = Folder::new();
    let size = (80, 60);
    let truth = |x: usize, _: usize| if x < 40 { -5.0 } else { 5.0 };
    let errors = noise(size, 0.5, 2);
    let east = Grid::from_fn(size.0, size.1, |x, y| (truth(x, y) + errors.get(x, y)) as f32);
    let map = folder.file("map.tif");
    write_map(&map, &east, &east, 0.5, &blank(size));
    for (name, job) in [
        (
            "nlm",
            FilterJob {
                nlm: Some(Nlm { strength: 1.0, search: 11, patch: 5 }),
                ..FilterJob::new(&map, &folder.file("a.tif"))
            },
        ),
        ("median", FilterJob { median: Some(5), ..FilterJob::new(&map, &folder.file("b.tif")) }),
    ] {
        let file = cleaned(&job);
        for y in 5..55 {
            for x in [38, 39, 40, 41] {
                let error = f64::from(value(&file, 0, x, y)) - truth(x, y);
                assert!(error.abs() < 2.5, "{name} at {x} {y}: {error}");
            }
        }
    }
}

#[test]
fn stripes_of_any_azimuth_and_a_ramp_go() {
    let folder = Folder::new();
    let size = (240, 300);
    // Lines along azimuth 103 degrees, as those of a descending satellite.
    let (sin, cos) = 103f64.to_radians().sin_cos();
    let (ux, uy) = (sin, -cos);
    let stripe = |x: usize, y: usize| {
        let across = ux * y as f64 - uy * x as f64;
        2.0 * (0.45 * across).sin() + 1.0 * (0.21 * across + 1.0).sin()
    };
    let ramp = |x: usize, y: usize| 3.0 + 0.02 * x as f64 - 0.03 * y as f64;
    // A patch of 12 % of the map has moved.
    let moved = |x: usize, y: usize| if (60..140).contains(&x) && (90..200).contains(&y) { 10.0 } else { 0.0 };
    let errors = noise(size, 0.3, 3);
    let east =
        Grid::from_fn(size.0, size.1, |x, y| (stripe(x, y) + ramp(x, y) + moved(x, y) + errors.get(x, y)) as f32);
    let map = folder.file("map.tif");
    write_map(&map, &east, &east, 0.3, &blank(size));
    let job = FilterJob {
        detrend: Some(3),
        destripe: Some(Given::Azimuth(103.0)),
        ..FilterJob::new(&map, &folder.file("out.tif"))
    };
    let file = cleaned(&job);
    let mut squares = 0.0;
    for y in 0..size.1 {
        for x in 0..size.0 {
            squares += (f64::from(value(&file, 0, x, y)) - moved(x, y) - errors.get(x, y)).powi(2);
        }
    }
    let left = (squares / (size.0 * size.1) as f64).sqrt();
    eprintln!("left: {left:.4} of 1.58 m of stripes");
    assert!(left < 0.2, "{left}");
}

#[test]
fn threads_and_strips_do_not_change_the_bytes() {
    let folder = Folder::new();
    let size = (70, 300);
    let errors = noise(size, 0.5, 4);
    let field = |height: usize| {
        Grid::from_fn(size.0, height, |x, y| match (x * 7 + y * 3) % 41 {
            0 => f32::NAN,
            1 => 30.0,
            _ => errors.get(x, y) as f32,
        })
    };
    let (map, part) = (folder.file("map.tif"), folder.file("part.tif"));
    write_map(&map, &field(300), &field(300), 0.5, &blank(size));
    write_map(&part, &field(200), &field(200), 0.5, &blank((70, 200)));
    let job = |map: &str, out: &str, threads: usize| FilterJob {
        ndc: Some(Coherence { distance: None }),
        outliers: Some(4.0),
        median: Some(3),
        nlm: Some(Nlm { strength: 1.0, search: 7, patch: 3 }),
        fill: Some(3),
        threads,
        ..FilterJob::new(map, &folder.file(out))
    };
    let one = cleaned(&job(&map, "one.tif", 1));
    cleaned(&job(&map, "two.tif", 2));
    assert_eq!(std::fs::read(folder.file("one.tif")).unwrap(), std::fs::read(folder.file("two.tif")).unwrap());
    let short = cleaned(&job(&part, "short.tif", 2));
    for band in 0..6 {
        for y in 0..180 {
            for x in 0..70 {
                let (a, b) = (value(&one, band, x, y), value(&short, band, x, y));
                assert!(a == b || (a.is_nan() && b.is_nan()), "band {band} at {x} {y}: {a} {b}");
            }
        }
    }
    // With a fit, too.
    let fit = |out: &str, threads| FilterJob {
        detrend: Some(3),
        destripe: Some(Given::Rows),
        seams: Some(Given::Columns),
        threads,
        ..FilterJob::new(&map, &folder.file(out))
    };
    cleaned(&fit("fit1.tif", 1));
    cleaned(&fit("fit2.tif", 2));
    assert_eq!(std::fs::read(folder.file("fit1.tif")).unwrap(), std::fs::read(folder.file("fit2.tif")).unwrap());
}

#[test]
fn bad_input_is_refused_by_name() {
    let folder = Folder::new();
    let size = (40, 30);
    let east = Grid::from_fn(size.0, size.1, |x, y| (1 + x + y) as f32);
    let (map, out) = (folder.file("map.tif"), folder.file("out.tif"));
    write_map(&map, &east, &east, 0.05, &blank(size));
    let cases: &[(&[&str], &str)] = &[
        (&[], "no step is asked for"),
        (&["--median", "4"], "--median 4: give an odd number"),
        (&["--median", "33"], "40 x 30 cells"),
        (&["--max-sigma", "-1"], "--max-sigma -1"),
        (&["--max-sigma=-1"], "--max-sigma -1"),
        (&["--longest", "20", "--median", "3"], "add --destripe"),
        (&["--ccd-edges", "20", "--median", "3"], "add --ccd"),
        (&["--stable", "x.gpkg", "--median", "3"], "add one of them"),
        (&["--destripe", "across"], "rows, columns, or their azimuth"),
        (&["--fill", "0"], "--fill 0"),
        (&["--subtract", "map.tif"], "give the .json file"),
        (&["--max-magnitude", "0.001"], "nothing is left"),
        (&["--outliers", "--removed", "out.tif"], "choose another"),
    ];
    for (options, wanted) in cases {
        let all: Vec<&str> = ["filter", "map.tif", "out.tif"].iter().chain(*options).copied().collect();
        let (code, _, said) = run(&folder, &all);
        if options == &["--max-sigma", "-1"] {
            assert_eq!(code, 2, "{said}");
            continue;
        }
        assert!(code != 0 && said.contains(wanted), "{options:?}: {said}");
        assert!(!std::path::Path::new(&out).exists(), "{options:?}");
    }
    let (code, _, said) = run(&folder, &["filter", "map.tif", "map.tif", "--median", "3", "--overwrite"]);
    assert!(code == 1 && said.contains("one of the inputs"), "{said}");
    let (code, text, _) = run(&folder, &["filter", "--help"]);
    assert!(code == 0 && text.contains("EXAMPLES") && text.contains("--destripe rows"), "{text}");
    let (code, text, said) =
        run(&folder, &["filter", "map.tif", "out.tif", "--outliers", "--detrend", "plane", "--json"]);
    assert_eq!(code, 0, "{said}");
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["before"], 1200);
    assert_eq!(summary["steps"][1]["step"], "trend");
}
