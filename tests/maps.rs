//! What is done on displacement maps: `profile`, `strain`, `vectors`.
mod common;

use common::{Folder, SEED, gdal, run, utm};
use rand_pcg::Pcg64;
use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::map::profile::{Profile, ProfileJob, Station, run as profile};
use shiftmap::map::strain::{StrainJob, run as strain};
use shiftmap::progress::Silent;
use shiftmap::raster::{Band, Crs, DOMAIN, Line, read_all_bands, write_bands, write_lines};
use shiftmap::synth::random::{Purpose, normal, numbered};
use shiftmap::synth::trace::self_affine;

/// Cells of 80 m: windows of 32 pixels of 10 m every 8 pixels.
const CELL: f64 = 80.0;
const OVERLAP: usize = 4;

/// A map of the given bands (east, north, sigma) in metres, window 32, step 8.
fn write_map(path: &str, east: &Grid<f32>, north: &Grid<f32>, sigma: Option<&Grid<f32>>) {
    let band = |description, values| Band { description, unit: "m", values };
    let mut bands = vec![band("East displacement", east), band("North displacement", north)];
    if let Some(s) = sigma {
        bands.extend([band("East sigma", s), band("North sigma", s)]);
    }
    let metadata =
        [(DOMAIN, "WINDOW", "32x32"), (DOMAIN, "STEP", "8x8"), (DOMAIN, "METHOD", "lsm"), (DOMAIN, "UNITS", "m")];
    let georef = utm(0.0, 0.0).with_transform(GeoTransform([500_000.0, CELL, 0.0, 4_000_000.0, 0.0, -CELL]));
    write_bands(path, &bands, Some(&georef), &metadata, true).unwrap();
}

/// Errors of overlapping windows: means of independent numbers over 4 × 4 cells, standard deviation `sigma`.
fn overlapping(size: (usize, usize), sigma: f64, rng: &mut Pcg64) -> Grid<f64> {
    let white: Grid<f64> = Grid::from_fn(size.0 + OVERLAP, size.1 + OVERLAP, |_, _| normal(rng));
    Grid::from_fn(size.0, size.1, |x, y| {
        let mut sum = 0.0;
        for j in 0..OVERLAP {
            sum += white.row(y + j)[x..x + OVERLAP].iter().sum::<f64>();
        }
        sigma * sum / OVERLAP as f64
    })
}

/// A map with a fault of constant slip vector along a rough trace that runs from west to east.
struct Simulated {
    slip: (f64, f64),
    sigma: f64,
    seed: u64,
    with_sigma: bool,
}

impl Simulated {
    /// Writes map and trace and measures the profile.
    fn measure(&self, folder: &Folder) -> Profile {
        let (width, height) = (150, 60);
        let length = width as f64 * CELL;
        let rough = self_affine(300, 0.8, 120.0, &mut numbered(SEED, Purpose::Trace, self.seed));
        let middle = 4_000_000.0 - 0.5 * height as f64 * CELL;
        let trace: Vec<(f64, f64)> = rough
            .iter()
            .enumerate()
            .map(|(i, r)| (500_000.0 + 200.0 + (length - 400.0) * i as f64 / 299.0, middle + r))
            .collect();
        let level = |x: f64| {
            let k = trace.partition_point(|p| p.0 < x).clamp(1, trace.len() - 1);
            let (p, q) = (trace[k - 1], trace[k]);
            p.1 + (x - p.0) / (q.0 - p.0) * (q.1 - p.1)
        };
        let mut rng = numbered(SEED, Purpose::NoisePost, self.seed);
        let noise = [(); 2].map(|()| overlapping((width, height), self.sigma, &mut rng));
        let field = |k: usize, slip: f64| {
            Grid::from_fn(width, height, |i, j| {
                let (x, y) = (500_000.0 + (i as f64 + 0.5) * CELL, 4_000_000.0 - (j as f64 + 0.5) * CELL);
                let d = level(x) - y;
                // South of a line to the east is its right; a window across the fault mixes the sides. A plane of
                // misregistration lies over everything.
                let side = (d / 160.0).clamp(-1.0, 1.0) * 0.5;
                let far = 1.0 - d.abs() / 20_000.0;
                let plane = 0.5 + 1e-5 * (x - 500_000.0) - 2e-5 * (y - middle);
                (slip * side * far + plane + noise[k].get(i, j)) as f32
            })
        };
        let (map, layer) = (folder.file("map.tif"), folder.file("trace.gpkg"));
        let sigma = Grid::filled(width, height, self.sigma as f32);
        write_map(&map, &field(0, self.slip.0), &field(1, self.slip.1), self.with_sigma.then_some(&sigma));
        // In longitude and latitude, in two pieces: it has to be brought to the map and joined.
        let crs = Crs::from_definition("EPSG:32612").unwrap();
        let line = |points: &[(f64, f64)]| Line { points: points.to_vec(), attributes: vec![] };
        write_lines(&layer, "trace", &[line(&trace[..150]), line(&trace[149..])], Some(&crs), true).unwrap();
        let degrees = folder.file("degrees.gpkg");
        gdal("ogr2ogr", &["-overwrite", "-t_srs", "EPSG:4326", &degrees, &layer]);
        let job = ProfileJob { overwrite: true, ..ProfileJob::new(&map, &degrees, &folder.file("out")) };
        profile(&job, &mut Silent).unwrap()
    }
}

/// Offsets minus truth over sigma of all stations, and the ratio of the sums of measured and true parallel offsets.
fn scores(profile: &Profile, slip: (f64, f64), z: &mut Vec<f64>) -> (f64, f64) {
    let (mut measured, mut truth) = (0.0, 0.0);
    for s in &profile.stations {
        let (sin, cos) = s.strike.to_radians().sin_cos();
        // Along strike and to its right.
        let (parallel, normal) = (slip.0 * sin + slip.1 * cos, slip.0 * cos - slip.1 * sin);
        let (p, n) = (s.parallel.unwrap(), s.normal.unwrap());
        z.extend([(p.value - parallel) / p.sigma, (n.value - normal) / n.sigma]);
        measured += p.value;
        truth += parallel;
    }
    (measured, truth)
}

fn rms(z: &[f64]) -> f64 {
    (z.iter().map(|v| v * v).sum::<f64>() / z.len() as f64).sqrt()
}

#[test]
fn offsets_of_simulated_faults_are_unbiased_and_their_sigma_is_right() {
    let folder = Folder::new();
    let mut z = Vec::new();
    // Slip of 0.3 to 3 pixels of 10 m, error of a window 0.05 pixels.
    for (seed, slip) in [(1, 3.0), (2, -5.0), (3, 10.0), (4, -20.0), (5, 30.0), (6, 3.0)] {
        let slip = (slip, 0.3 * slip);
        let got = Simulated { slip, sigma: 0.5, seed, with_sigma: true }.measure(&folder);
        assert!(got.stations.len() > 12 && got.stations.iter().all(|s| s.strand == 0), "the pieces are joined");
        let (measured, truth) = scores(&got, slip, &mut z);
        let mean = got.mean_parallel.unwrap();
        let allowed = 0.03f64.max(3.0 * mean.sigma / mean.value.abs());
        assert!((measured / truth - 1.0).abs() < allowed, "slip {slip:?}: {measured} instead of {truth}");
        assert!((0.8..1.25).contains(&got.scatter.0), "scatter over sigma {:?}", got.scatter);
    }
    println!("{} offsets, rms of z {:.3}", z.len(), rms(&z));
    assert!((0.8..1.25).contains(&rms(&z)), "rms of z {}", rms(&z));
}

#[test]
fn maps_without_sigma_get_it_from_the_scatter() {
    let folder = Folder::new();
    let mut z = Vec::new();
    for seed in 11..15 {
        let got = Simulated { slip: (10.0, 0.0), sigma: 0.5, seed, with_sigma: false }.measure(&folder);
        assert!((0.4..0.6).contains(&got.scatter.0), "scatter {:?}", got.scatter);
        scores(&got, (10.0, 0.0), &mut z);
    }
    assert!((0.8..1.25).contains(&rms(&z)), "rms of z {}", rms(&z));
}

#[test]
fn the_sharp_fault_is_no_wider_than_the_window_and_the_files_are_there() {
    let folder = Folder::new();
    let got = Simulated { slip: (20.0, 0.0), sigma: 0.2, seed: 21, with_sigma: true }.measure(&folder);
    let rise = got.rise.unwrap();
    // The ramp of 320 m rises from 10 to 90 % over 256 m; an error function sees a little less.
    assert!((190.0..290.0).contains(&rise.width) && rise.centre.abs() < 40.0, "{rise:?}");
    let out = std::path::Path::new(&folder.file("out")).to_path_buf();
    let want = ["offsets.csv", "profile.gpkg", "profile.json", "report.html", "slip.png", "slip.svg", "stack.csv"];
    let names = common::names(&out);
    assert!(want.iter().all(|n| names.contains(&n.to_string())), "{names:?}");
    let csv = std::fs::read_to_string(out.join("offsets.csv")).unwrap();
    assert_eq!(csv.lines().count(), got.stations.len() + 1);
    let layer = gdal("ogrinfo", &["-so", "-al", out.join("profile.gpkg").to_str().unwrap()]);
    assert!(layer.contains("Layer name: offsets") && layer.contains("Layer name: swaths"), "{layer}");
    assert_eq!(layer.matches(&format!("Feature Count: {}", got.stations.len())).count(), 2);
    // The same bytes again.
    let first: Vec<Vec<u8>> = names.iter().map(|n| std::fs::read(out.join(n)).unwrap()).collect();
    Simulated { slip: (20.0, 0.0), sigma: 0.2, seed: 21, with_sigma: true }.measure(&folder);
    for (name, bytes) in names.iter().zip(first) {
        assert!(std::fs::read(out.join(name)).unwrap() == bytes, "{name} differs");
    }
}

/// A pair with noise, change and a rough fault, measured with `lsm`, against the jump of the truth itself.
#[test]
fn offsets_of_a_measured_pair_are_those_of_its_truth() {
    let folder = Folder::new();
    let ok = |arguments: &[&str]| {
        let (code, _, error) = run(&folder, arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
    };
    let (mut z, mut sums) = (Vec::new(), (0.0, 0.0));
    for seed in ["3", "5"] {
        ok(&["synth", "pair", "q", "--preset", "real", "--seed", seed, "--size", "768", "-q", "--overwrite"]);
        ok(&["displacement", "q/pre.tif", "q/post.tif", "q/map.tif", "-q", "--overwrite", "--threads", "2"]);
        let file = |name: &str| folder.file(&format!("q/{name}"));
        let job = |map: &str| ProfileJob { overwrite: true, ..ProfileJob::new(map, &file("trace.gpkg"), &file("out")) };
        let measured = profile(&job(&file("map.tif")), &mut Silent).unwrap();
        let (length, exclude) = (Some(60.0), Some(10.0));
        let (width, spacing) = (Some(measured.width), Some(measured.spacing));
        let near = ProfileJob { length, width, spacing, exclude, degree: 1, ..job(&file("truth.tif")) };
        let truth = profile(&near, &mut Silent).unwrap();
        assert_eq!(measured.stations.len(), truth.stations.len());
        for (m, t) in measured.stations.iter().zip(&truth.stations) {
            for pick in [(|s: &Station| s.parallel) as fn(&Station) -> _, |s| s.normal] {
                let (m, t) = (pick(m).unwrap(), pick(t).unwrap());
                z.push((m.value - t.value) / m.sigma);
            }
            sums.0 += m.parallel.unwrap().value;
            sums.1 += t.parallel.unwrap().value;
        }
        println!("degree {}, scatter over sigma {:?}, rise {:?}", measured.degree, measured.scatter, measured.rise);
    }
    println!("{} offsets, rms of z {:.3}, sum {:.4} of the truth's", z.len(), rms(&z), sums.0 / sums.1);
    assert!((0.7..1.4).contains(&rms(&z)), "rms of z {}", rms(&z));
    assert!((sums.0 / sums.1 - 1.0).abs() < 0.03, "{sums:?}");
}

#[test]
fn what_profile_cannot_use_is_refused_with_a_remedy() {
    let folder = Folder::new();
    let flat = Grid::filled(40, 40, 1.0);
    let map = folder.file("map.tif");
    write_map(&map, &flat, &flat, None);
    let crs = Crs::from_definition("EPSG:32612").unwrap();
    let layer = |name: &str, points: Vec<(f64, f64)>| {
        let path = folder.file(name);
        write_lines(&path, "t", &[Line { points, attributes: vec![] }], Some(&crs), true).unwrap();
        path
    };
    let on = layer("on.gpkg", vec![(500_100.0, 3_998_400.0), (503_000.0, 3_998_400.0)]);
    let far = layer("far.gpkg", vec![(600_000.0, 3_998_400.0), (603_000.0, 3_998_400.0)]);
    let out = folder.file("out");
    for (arguments, want) in [
        (vec!["profile", &map, &far, &out], "does the trace lie on the map"),
        (vec!["profile", &map, &on, &out, "--length", "-1"], "--length"),
        (vec!["profile", &map, &on, &out, "--width", "10"], "a cell of the map is 80 m"),
        (vec!["profile", &map, &on, &out, "--degree", "3"], "1 for lines"),
        (vec!["profile", &map, &on, &out, "--length", "250"], "raise --length"),
        (vec!["profile", &map, &map, &out], "vector layer"),
        (vec!["strain", &map, &out, "--window", "4"], "odd number"),
        (vec!["strain", &map, &out, "--window", "41"], "40 x 40"),
        (vec!["vectors", &map, &out, "--every", "0"], "--every"),
    ] {
        let (code, _, error) = run(&folder, &arguments);
        assert!(code != 0 && error.contains(want), "{arguments:?}: {error}");
    }
    assert_eq!(folder.names(), ["far.gpkg", "map.tif", "on.gpkg"], "nothing is left behind");
}

#[test]
fn strain_of_a_linear_field_is_exact_and_gaps_do_not_matter() {
    let folder = Folder::new();
    let (map, out) = (folder.file("map.tif"), folder.file("strain.tif"));
    // dE/dx = 3e-4, dE/dy = -1e-4, dN/dx = 2e-4, dN/dy = 5e-4; y runs north, against the rows.
    let place = |i: usize, j: usize| ((i as f64 + 0.5) * CELL, -(j as f64 + 0.5) * CELL);
    let mut east = Grid::from_fn(60, 40, |i, j| (3e-4 * place(i, j).0 - 1e-4 * place(i, j).1) as f32);
    let north = Grid::from_fn(60, 40, |i, j| (2e-4 * place(i, j).0 + 5e-4 * place(i, j).1) as f32);
    for (x, y) in [(10, 10), (11, 10), (30, 20)] {
        east.set(x, y, f32::NAN);
    }
    write_map(&map, &east, &north, Some(&Grid::filled(60, 40, 0.1)));
    let got = strain(&StrainJob { window: 7, ..StrainJob::new(&map, &out) }, &mut Silent).unwrap();
    assert_eq!((got.window_length, got.unit), ((560.0, 560.0), "m"));
    let bands = read_all_bands(&out).unwrap().bands;
    let shear = (2e-4f64).hypot(1e-4);
    let want = [8e-4, shear, 1.5e-4, 3e-4, -1e-4, 2e-4, 5e-4];
    for (band, want) in bands.iter().zip(want) {
        for (v, _) in band.values.data.iter().zip(&bands[10].values.data).filter(|(_, s)| **s == 0.0) {
            assert!((f64::from(*v) - want).abs() < 2e-7, "{v} instead of {want}");
        }
    }
    assert_eq!(bands[10].values.get(0, 0), 1.0, "a corner has 16 of 49 cells");
    assert_eq!(bands[10].values.get(10, 10), 0.0, "a gap is bridged");
}

#[test]
fn strain_sigma_is_right_for_overlapping_windows() {
    let folder = Folder::new();
    let (map, out) = (folder.file("map.tif"), folder.file("strain.tif"));
    let mut rng = numbered(SEED, Purpose::NoisePre, 77);
    let noise = [(); 2].map(|()| overlapping((200, 200), 0.3, &mut rng).map(|v| v as f32));
    for with_sigma in [true, false] {
        let sigma = Grid::filled(200, 200, 0.3);
        write_map(&map, &noise[0], &noise[1], with_sigma.then_some(&sigma));
        let mut job = StrainJob { window: 9, ..StrainJob::new(&map, &out) };
        job.write.overwrite = true;
        strain(&job, &mut Silent).unwrap();
        let bands = read_all_bands(&out).unwrap().bands;
        for (value, sigma) in [(0, 7), (2, 9)] {
            let z: Vec<f64> = (bands[value].values.data.iter().zip(&bands[sigma].values.data))
                .zip(&bands[10].values.data)
                .filter(|(_, s)| **s == 0.0)
                .map(|((v, s), _)| f64::from(*v) / f64::from(*s))
                .collect();
            let limits = if with_sigma { 0.9..1.1 } else { 0.85..1.5 };
            assert!(limits.contains(&rms(&z)), "band {value}, sigma bands {with_sigma}: rms of z {}", rms(&z));
        }
    }
}

#[test]
fn arrows_point_where_the_ground_went() {
    let folder = Folder::new();
    let (map, out) = (folder.file("map.tif"), folder.file("arrows.gpkg"));
    let mut east = Grid::filled(16, 12, 3.0);
    east.set(2, 2, f32::NAN);
    write_map(&map, &east, &Grid::filled(16, 12, -4.0), Some(&Grid::filled(16, 12, 0.1)));
    let (code, text, error) = run(&folder, &["vectors", &map, &out, "--scale", "10"]);
    assert!(code == 0 && text.contains("11 arrows"), "{text} {error}");
    let lines = gdal("ogrinfo", &["-al", &out]);
    // From the centre of cell (6, 2): 30 m east and 40 m south.
    assert!(lines.contains("LINESTRING (500520 3999800,500550 3999760)"), "{lines}");
    assert!(lines.contains("azimuth (Real) = 143.13") && lines.contains("length (Real) = 5"), "{lines}");
    let (code, _, error) = run(&folder, &["vectors", &map, &folder.file("b.gpkg"), "--min-snr", "100"]);
    assert!(code == 1 && error.contains("--min-snr"), "{error}");
}
