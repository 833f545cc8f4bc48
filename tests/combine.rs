//! `shiftmap combine`: from files to a map of east, north and up.
//!
//! There are no interferograms and no GNSS files among the real data beside this repository: everything here is simulated.
mod common;

use common::{Folder, SEED, run, write_text};
use rand_pcg::Pcg64;
use serde_json::Value;
use shiftmap::combine::{Side, along_track, unit_vector};
use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::raster::{Band, Crs, GeoReference, RasterFile, read_all_bands, write_bands};
use shiftmap::synth::okada::{Rectangle, surface};
use shiftmap::synth::random::{Purpose, normal, numbered};

const SIZE: (usize, usize) = (120, 100);
const PIXEL: f64 = 500.0;
/// North-west corner, UTM zone 33: across the central meridian.
const CORNER: (f64, f64) = (470_000.0, 4_700_000.0);
const ASCENDING: (f64, f64) = (-12.0, 39.0);
const DESCENDING: (f64, f64) = (-168.0, 36.0);

fn georef(pixel: f64) -> GeoReference {
    let crs = Crs::from_definition("EPSG:32633").unwrap();
    GeoReference::new(GeoTransform([CORNER.0, pixel, 0.0, CORNER.1, 0.0, -pixel]), Some(crs))
}

/// An oblique earthquake of about magnitude 6.5.
fn displacement(points: &[[f64; 2]]) -> Vec<[f64; 3]> {
    let fault = Rectangle {
        x: CORNER.0 + 30_000.0,
        y: CORNER.1 - 25_000.0,
        top_depth: 2_000.0,
        strike: 25.0,
        dip: 55.0,
        length: 22_000.0,
        width: 12_000.0,
        slip: [1.4, 1.1, 0.0],
    };
    let mut u = vec![[0.0; 3]; points.len()];
    surface(&[fault], 0.25, points, &mut u).unwrap();
    u
}

struct Quake {
    folder: Folder,
    /// East, north, up.
    truth: [Vec<f64>; 3],
    rng: Pcg64,
}

/// Error of every pixel with an approximate ramp (m at the edge) and noise.
#[derive(Clone, Copy)]
struct Error {
    sigma: f64,
    ramp: [f64; 3],
    topography: f64,
}

const CLEAN: Error = Error { sigma: 0.01, ramp: [0.0; 3], topography: 0.0 };

fn height(x: f64, y: f64) -> f64 {
    900.0 + 500.0 * (x / 6e3).sin() * (y / 7e3).cos() + 250.0 * (x / 1.7e3).cos()
}

impl Quake {
    fn new(number: u64) -> Quake {
        let pixels = (0..SIZE.0 * SIZE.1).map(|i| Quake::centre(i, PIXEL, SIZE.0));
        let u = displacement(&pixels.collect::<Vec<_>>());
        let truth = [0, 1, 2].map(|c| u.iter().map(|v| v[c]).collect());
        Quake { folder: Folder::new(), truth, rng: numbered(SEED, Purpose::NoisePre, number) }
    }

    fn centre(i: usize, pixel: f64, width: usize) -> [f64; 2] {
        [CORNER.0 + pixel * ((i % width) as f64 + 0.5), CORNER.1 - pixel * ((i / width) as f64 + 0.5)]
    }

    fn save(&self, name: &str, pixel: f64, bands: &[(&str, Grid<f32>)]) {
        let bands: Vec<Band> = bands.iter().map(|(d, v)| Band { description: d, unit: "m", values: v }).collect();
        write_bands(&self.folder.file(name), &bands, Some(&georef(pixel)), &[], true).unwrap();
    }

    /// A map along direction `s`.
    fn map(&mut self, name: &str, s: [f64; 3], error: Error) {
        let mut values = Grid::filled(SIZE.0, SIZE.1, 0f32);
        for i in 0..values.data.len() {
            let (x, y) = (i % SIZE.0, i / SIZE.0);
            let (u, v) = (2.0 * (x as f64 + 0.5) / SIZE.0 as f64 - 1.0, 2.0 * (y as f64 + 0.5) / SIZE.1 as f64 - 1.0);
            let [px, py] = Quake::centre(i, PIXEL, SIZE.0);
            let ramp = error.ramp[0] + error.ramp[1] * u + error.ramp[2] * v;
            let along: f64 = (0..3).map(|c| s[c] * self.truth[c][i]).sum();
            let topography = error.topography * (height(px, py) - 900.0) / 1000.0;
            values.data[i] = (along + ramp + topography + error.sigma * normal(&mut self.rng)) as f32;
        }
        self.save(name, PIXEL, &[("LOS displacement", values)]);
    }

    /// East and north as this program writes them, with sigma `sigma`.
    fn offsets(&mut self, name: &str, sigma: f64) {
        let mut noisy = |c: usize| {
            let values = self.truth[c].iter().map(|v| (v + sigma * normal(&mut self.rng)) as f32).collect();
            Grid::from_vec(SIZE.0, SIZE.1, values)
        };
        let (east, north) = (noisy(0), noisy(1));
        let s = Grid::filled(SIZE.0, SIZE.1, sigma as f32);
        let quality = Grid::filled(SIZE.0, SIZE.1, 1f32);
        self.save(
            name,
            PIXEL,
            &[
                ("East displacement", east),
                ("North displacement", north),
                ("Quality", quality),
                ("East sigma", s.clone()),
                ("North sigma", s),
            ],
        );
    }

    /// Usual files: two tracks and an offset map.
    fn usual(number: u64) -> Quake {
        let mut q = Quake::new(number);
        q.map("asc.tif", unit_vector(ASCENDING.0, ASCENDING.1, Side::Right), CLEAN);
        q.map("desc.tif", unit_vector(DESCENDING.0, DESCENDING.1, Side::Right), CLEAN);
        q.offsets("map.tif", 0.08);
        q
    }

    fn dem(&self) {
        let heights = Grid::from_fn(SIZE.0, SIZE.1, |x, y| {
            let [px, py] = Quake::centre(y * SIZE.0 + x, PIXEL, SIZE.0);
            height(px, py) as f32
        });
        self.save("dem.tif", PIXEL, &[("Height", heights)]);
    }

    /// Stations on a jittered lattice: name, position, measured displacement.
    fn stations(&mut self, n: usize, sigma: f64) -> Vec<(String, [f64; 2], [f64; 3])> {
        let at: Vec<[f64; 2]> = (0..n * n)
            .map(|k| {
                let cell = |k: usize, side: f64| side * (k as f64 + 0.5) / n as f64;
                let mut off = || 2_000.0 * normal(&mut self.rng).clamp(-1.5, 1.5);
                [CORNER.0 + cell(k % n, 60_000.0) + off(), CORNER.1 - cell(k / n, 50_000.0) + off()]
            })
            .collect();
        let u = displacement(&at);
        let noisy = |rng: &mut Pcg64, u: &[f64; 3]| u.map(|v| v + sigma * normal(rng));
        let stations =
            (0..n * n).map(|k| (format!("ST{k:02}"), at[k], noisy(&mut self.rng, &u[k]))).collect::<Vec<_>>();
        let mut text = String::from("station,x,y,height,east,north,up,sigma_east,sigma_north,sigma_up\n");
        for (name, [x, y], [e, n, u]) in &stations {
            let h = height(*x, *y);
            text += &format!("{name},{x:.1},{y:.1},{h:.1},{e:.6},{n:.6},{u:.6},{sigma},{sigma},{sigma}\n");
        }
        write_text(&self.folder.file("gnss.csv"), &text);
        stations
    }

    /// Runs `combine OUT ...` and returns the JSON summary.
    fn combine(&self, out: &str, arguments: &[&str]) -> Value {
        let all: Vec<&str> = ["combine", out, "--json", "--overwrite"].iter().chain(arguments).copied().collect();
        let (code, stdout, stderr) = run(&self.folder, &all);
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"))
    }

    fn refusal(&self, arguments: &[&str]) -> String {
        let all: Vec<&str> = ["combine", "refused.tif"].iter().chain(arguments).copied().collect();
        let (code, _, stderr) = run(&self.folder, &all);
        assert_ne!(code, 0, "{arguments:?}");
        assert!(!self.folder.path().join("refused.tif").exists());
        stderr
    }

    fn read(&self, name: &str) -> RasterFile {
        read_all_bands(&self.folder.file(name)).unwrap()
    }

    /// Root mean square of the errors and of the errors in sigma, of component `c`.
    fn errors(&self, map: &RasterFile, c: usize) -> (f64, f64) {
        let (d, s) = (&map.bands[c], &map.bands[3 + c]);
        let (mut error, mut z, mut n) = (0.0, 0.0, 0.0);
        for i in 0..self.truth[c].len() {
            if d.valid.data[i] {
                let e = f64::from(d.values.data[i]) - self.truth[c][i];
                error += e * e;
                z += (e / f64::from(s.values.data[i])).powi(2);
                n += 1.0;
            }
        }
        assert!(n > 0.0);
        ((error / n).sqrt(), (z / n).sqrt())
    }
}

const TWO: [&str; 4] = [
    "--los",
    "asc.tif,heading=-12,incidence=39,sigma=0.01,ramp=none",
    "--los",
    "desc.tif,heading=-168,incidence=36,sigma=0.01,ramp=none",
];

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    first.iter().chain(more).copied().collect()
}

#[test]
fn two_tracks_and_optical_maps_give_three_components_with_honest_sigma() {
    let q = Quake::usual(1);
    let summary = q.combine("out.tif", &with(&TWO, &["--offsets", "map.tif"]));
    let map = q.read("out.tif");
    assert_eq!(
        map.descriptions,
        [
            "East displacement",
            "North displacement",
            "Up displacement",
            "East sigma",
            "North sigma",
            "Up sigma",
            "Status",
            "Maps used",
            "Disagreement"
        ]
    );
    let limits = [0.012, 0.09, 0.02];
    for c in 0..3 {
        let (error, z) = q.errors(&map, c);
        println!("component {c}: rmse {:.1} mm, z {z:.3}", 1e3 * error);
        assert!(error < limits[c], "{c}: {error}");
        assert!((0.85..1.2).contains(&z), "{c}: z {z}");
    }
    assert_eq!(summary["valid"][2], SIZE.0 * SIZE.1);
    // One redundant map: the disagreement says that everything fits.
    let d: Vec<f64> = map.bands[8].values.data.iter().map(|v| f64::from(*v).powi(2)).collect();
    let mean = d.iter().sum::<f64>() / d.len() as f64;
    assert!((0.9..1.1).contains(&mean), "{mean}");
    // Every other command takes it for a displacement map.
    let (code, _, stderr) = run(&q.folder, &["strain", "out.tif", "strain.tif", "-q"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn ramps_topography_and_sigma_come_from_stations() {
    let mut z = [0.0; 3];
    for number in 2..5 {
        let mut q = Quake::new(number);
        let asc = Error { sigma: 0.012, ramp: [0.03, -0.02, 0.015], topography: 0.02 };
        let desc = Error { sigma: 0.008, ramp: [-0.02, 0.01, 0.02], topography: -0.015 };
        q.map("asc.tif", unit_vector(ASCENDING.0, ASCENDING.1, Side::Right), asc);
        q.map("desc.tif", unit_vector(DESCENDING.0, DESCENDING.1, Side::Right), desc);
        q.offsets("map.tif", 0.08);
        q.dem();
        q.stations(5, 0.002);
        let arguments = [
            "--los",
            "asc.tif,heading=-12,incidence=39",
            "--los",
            "desc.tif,heading=-168,incidence=36",
            "--offsets",
            "map.tif",
            "--gnss",
            "gnss.csv",
            "--dem",
            "dem.tif",
        ];
        let summary = q.combine("out.tif", &arguments);
        for (k, truth) in [asc, desc].into_iter().enumerate() {
            let found = &summary["maps"][k];
            let sigma = found["estimated_sigma"].as_f64().unwrap();
            assert!((sigma / truth.sigma - 1.0).abs() < 0.45, "{sigma} {}", truth.sigma);
            for (p, want) in truth.ramp.iter().skip(1).chain([&truth.topography]).enumerate() {
                let (got, s) = (&found["coefficients"][p + 1], &found["sigma"][p + 1]);
                let error = (got.as_f64().unwrap() - want) / s.as_f64().unwrap();
                assert!(error.abs() < 3.5, "event {number}, track {k}, term {p}: {error} sigma");
            }
        }
        let map = q.read("out.tif");
        (0..3).for_each(|c| z[c] += q.errors(&map, c).1 / 3.0);
        // Stations know of the ramps: without them the maps are off by centimetres.
        let up = q.errors(&map, 2).0;
        q.combine("plain.tif", &with(&TWO, &["--offsets", "map.tif"]));
        let plain = q.errors(&q.read("plain.tif"), 2).0;
        assert!(up < 0.6 * plain, "{up} {plain}");
    }
    println!("z {z:?}");
    assert!(z.iter().all(|z| (0.8..1.25).contains(z)), "{z:?}");
}

#[test]
fn what_heading_and_incidence_mean() {
    let mut q = Quake::usual(6);
    // The same directions as rasters, in one file and in three.
    let s = unit_vector(ASCENDING.0, ASCENDING.1, Side::Right);
    assert!(s[0] < -0.6 && s[2] > 0.77, "{s:?}");
    let names = ["e.tif", "n.tif", "u.tif"];
    let full = |v: f64| Grid::filled(SIZE.0, SIZE.1, v as f32);
    q.save("unit.tif", PIXEL, &[("East", full(s[0])), ("North", full(s[1])), ("Up", full(s[2]))]);
    (0..3).for_each(|c| q.save(names[c], PIXEL, &[("Unit", full(s[c]))]));
    q.save("inc.tif", PIXEL, &[("Incidence", full(ASCENDING.1))]);
    let forms = [
        "heading=-12,incidence=39",
        "unit=unit.tif",
        "east=e.tif,north=n.tif,up=u.tif",
        "heading=348,incidence=inc.tif",
        // Looking left while flying the other way is the same line, seen from the same side.
        "heading=168,incidence=39,look=left",
    ];
    let mut results = Vec::new();
    for form in forms {
        let los = format!("asc.tif,{form},sigma=0.01,ramp=none");
        q.combine("out.tif", &["--los", &los, TWO[2], TWO[3], "--offsets", "map.tif"]);
        results.push(q.read("out.tif"));
    }
    for (form, r) in forms.iter().zip(&results).skip(1) {
        for band in 0..6 {
            let pairs = r.bands[band].values.data.iter().zip(&results[0].bands[band].values.data);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-5, "{form}, band {band}: {worst}");
        }
    }
    // Azimuth offsets count along the flight, range offsets away from the satellite; scale=-1 turns a sign.
    q.map("azimuth.tif", along_track(ASCENDING.0), Error { sigma: 0.03, ..CLEAN });
    q.map("range.tif", s.map(|v| -v), Error { sigma: 0.03, ..CLEAN });
    q.map("toward.tif", s, Error { sigma: 0.03, ..CLEAN });
    q.combine(
        "offsets.tif",
        &[
            TWO[2],
            TWO[3],
            "--azimuth-offset",
            "azimuth.tif,heading=-12,sigma=0.03",
            "--range-offset",
            "range.tif,heading=-12,incidence=39,sigma=0.03",
            "--range-offset",
            "toward.tif,heading=-12,incidence=39,sigma=0.03,scale=-1",
        ],
    );
    let map = q.read("offsets.tif");
    for c in 0..3 {
        let (error, z) = q.errors(&map, c);
        assert!(error < 0.05 && (0.85..1.2).contains(&z), "{c}: {error} m, z {z}");
    }
}

#[test]
fn other_grids_and_systems_are_brought_together() {
    let q = Quake::usual(7);
    let (e, n) = (CORNER.0, CORNER.1);
    // The descending track finer, in another UTM zone; the first part of it is missing.
    let folder = q.folder.path().to_str().unwrap().to_string();
    let file = |name: &str| format!("{folder}/{name}");
    common::gdal(
        "gdalwarp",
        &["-q", "-t_srs", "EPSG:32632", "-tr", "250", "250", "-r", "cubic", &file("desc.tif"), &file("other.tif")],
    );
    let window = [
        "-q",
        "-projwin",
        &(e + 20_000.0).to_string(),
        &n.to_string(),
        &(e + 60_000.0).to_string(),
        &(n - 50_000.0).to_string(),
    ];
    common::gdal("gdal_translate", &with(&window, &[&file("asc.tif"), &file("part.tif")]));
    let both = |asc: &str, desc: &str, out: &str, more: &[&str]| {
        let los = [
            format!("{asc},heading=-12,incidence=39,sigma=0.01,ramp=none"),
            format!("{desc},heading=-168,incidence=36,sigma=0.01,ramp=none"),
        ];
        q.combine(out, &with(&["--los", &los[0], "--los", &los[1], "--offsets", "map.tif"], more))
    };
    both("asc.tif", "desc.tif", "same.tif", &[]);
    both("part.tif", "other.tif", "mixed.tif", &["--like", "map.tif"]);
    let (same, mixed) = (q.read("same.tif"), q.read("mixed.tif"));
    assert_eq!(mixed.georef.transform, same.georef.transform);
    for c in 0..3 {
        let error = q.errors(&mixed, c).0;
        assert!(error < 0.1, "{c}: {error}");
    }
    let at = |file: &RasterFile, band: usize, x: usize, y: usize| file.bands[band].values.get(x, y);
    // Left of the ascending track one map less, and a larger sigma of up.
    assert_eq!((at(&mixed, 7, 10, 50), at(&mixed, 7, 80, 50)), (3.0, 4.0));
    assert!(at(&mixed, 5, 10, 50) > 1.5 * at(&mixed, 5, 80, 50));
    // A coarser grid in another system.
    let summary = both("asc.tif", "desc.tif", "same.tif", &[]);
    assert_eq!(summary["size"][0], 120);
    let los = with(&TWO, &["--gnss", "gnss.csv", "--resolution", "1000", "--crs", "EPSG:32632"]);
    write_text(
        &q.folder.file("gnss.csv"),
        "station,longitude,latitude,east,north,up,sigma_east,sigma_north,sigma_up\nA,15.0,42.3,0,0,0,0.001,0.001,0.001\n",
    );
    let summary = q.combine("coarse.tif", &los);
    let notes = summary["notes"].to_string();
    assert!(notes.contains("true north"), "{notes}");
    let coarse = q.read("coarse.tif");
    assert_eq!(coarse.georef.transform.0[1], 1000.0);
    assert!(coarse.georef.crs.unwrap().label.contains("32632"));
    // Offsets are vectors: another system is refused, with a way out.
    let text = q.refusal(&with(&TWO, &["--offsets", "map.tif", "--crs", "EPSG:32632", "--resolution", "500"]));
    assert!(text.contains("--like map.tif") && text.contains("EPSG:32633"), "{text}");
}

#[test]
fn true_north_is_turned_to_the_grids() {
    // Far from the central meridian the two differ by degrees; stations tell true north.
    let q = Quake::new(8);
    let crs = Crs::from_definition("EPSG:32632").unwrap();
    let transform = GeoTransform([990_000.0, 1000.0, 0.0, 4_800_000.0, 0.0, -1000.0]);
    let georef = GeoReference::new(transform, Some(crs));
    let zero = Grid::filled(20, 20, 0f32);
    let band = Band { description: "LOS", unit: "m", values: &zero };
    write_bands(&q.folder.file("zero.tif"), &[band], Some(&georef), &[], true).unwrap();
    let table =
        "station,x,y,east,north,up,sigma_east,sigma_north,sigma_up\nA,1000000,4790000,0,1,0,0.001,0.001,0.001\n";
    write_text(&q.folder.file("one.csv"), table);
    let summary = q.combine("out.tif", &["--like", "zero.tif", "--gnss", "one.csv", "--north", "true"]);
    let convergence = summary["convergence"].as_f64().unwrap();
    // (longitude - 9°) sin(latitude), about 6.1° sin 43°.
    assert!((4.0..4.5).contains(&convergence), "{convergence}");
    let map = q.read("out.tif");
    let (east, north) = (map.bands[0].values.get(10, 10), map.bands[1].values.get(10, 10));
    let angle = f64::from(-east).atan2(f64::from(north)).to_degrees();
    assert!((angle - convergence).abs() < 0.05, "{angle} {convergence}");
}

#[test]
fn stations_left_out_are_compared_with() {
    let mut q = Quake::usual(9);
    q.stations(5, 0.002);
    let all = with(&TWO, &["--gnss", "gnss.csv"]);
    let summary = q.combine("out.tif", &with(&all, &["--leave-out", "ST07,ST12"]));
    let out = summary["left_out"].as_array().unwrap();
    assert_eq!((out.len(), summary["stations"]["used"].as_u64()), (2, Some(23)));
    for l in out {
        for c in [0, 2] {
            // The maps see east and up well wherever a station stands, as well as half a pixel of gradient allows.
            let (d, z) = (l["difference"][c].as_f64().unwrap(), l["z"][c].as_f64().unwrap());
            assert!(d.abs() < 0.05 && z.abs() < 6.0, "{l}");
        }
    }
    let summary = q.combine("out.tif", &with(&all, &["--cross-validate"]));
    let out = summary["left_out"].as_array().unwrap();
    assert_eq!(out.len(), 25);
    let rms = |c: usize| (out.iter().map(|l| l["difference"][c].as_f64().unwrap().powi(2)).sum::<f64>() / 25.0).sqrt();
    let amplitude =
        |c: usize| (out.iter().map(|l| l["measured"][c].as_f64().unwrap().powi(2)).sum::<f64>() / 25.0).sqrt();
    assert!(rms(0) < 0.4 * amplitude(0) && rms(2) < 0.4 * amplitude(2), "{} {}", rms(0), rms(2));
    let text = q.refusal(&with(&all, &["--leave-out", "NONE"]));
    assert!(text.contains("NONE") && text.contains("ST00"), "{text}");
    // SISTEM on the same files, and the table for people.
    q.combine("sistem.tif", &with(&all, &["--method", "sistem", "--report", "report.md", "--report", "report.png"]));
    let (east, up) = (q.errors(&q.read("sistem.tif"), 0).0, q.errors(&q.read("sistem.tif"), 2).0);
    assert!(east < 0.03 && up < 0.03, "{east} {up}");
    let report = std::fs::read_to_string(q.folder.file("report.md")).unwrap();
    assert!(common::gdal("gdalinfo", &[&q.folder.file("report.png")]).contains("Size is"));
    assert!(report.contains("asc.tif") && report.contains("25 stations"), "{report}");
}

#[test]
fn daily_series_become_steps() {
    let mut q = Quake::usual(10);
    let step = [0.050, -0.030, 0.012];
    // Numbered days in a table, places in another.
    let mut text = String::from("station,day,east,north,up\n");
    let mut tenv3 = String::from(
        "site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m) ____n0(m) _north(m) u0(m) ____up(m) _ant(m) sig_e(m) sig_n(m) \
         sig_u(m) __corr_en __corr_eu __corr_nu _latitude(deg) _longitude(deg) __height(m)\n",
    );
    for day in 0..121 {
        if day % 13 == 5 {
            continue;
        }
        let p = step.map(|s| if day >= 61 { s } else { 0.0 } + 0.001 * normal(&mut q.rng));
        text += &format!("AAAA,{day},{:.6},{:.6},{:.6}\n", p[0], p[1], p[2]);
        // 2019-05-07 is MJD 58610; the event is day 61, 2019-07-07.
        tenv3 += &format!(
            "BBBB 19MAY07 2019.3 {} 2052 2 -15.0 120 {:.6} 4600 {:.6} 100 {:.6} 0.0 0.001 0.001 0.003 0 0 0 42.30 -344.9 512.0\n",
            58_610 + day,
            p[0],
            p[1],
            p[2]
        );
    }
    write_text(&q.folder.file("series.csv"), &text);
    write_text(&q.folder.file("places.csv"), "station,x,y,height\nAAAA,500000,4675000,300\n");
    std::fs::create_dir(q.folder.path().join("ngl")).unwrap();
    write_text(&q.folder.file("ngl/BBBB.tenv3"), &tenv3);
    let out = |arguments: &[&str]| {
        q.combine("out.tif", &with(&["--like", "asc.tif"], arguments));
        q.read("out.tif")
    };
    for (arguments, at) in [
        (&["--gnss", "series.csv", "--gnss", "places.csv", "--event", "61"][..], (500_000.0, 4_675_000.0)),
        // Longitude 15.1, latitude 42.3 in UTM 33.
        (&["--gnss", "ngl", "--event", "2019-07-07"][..], (508_243.0, 4_683_091.0)),
    ] {
        let map = out(arguments);
        let (x, y) = (((at.0 - CORNER.0) / PIXEL) as usize, ((CORNER.1 - at.1) / PIXEL) as usize);
        for c in 0..3 {
            let got = f64::from(map.bands[c].values.get(x, y));
            let sigma = f64::from(map.bands[3 + c].values.get(x, y));
            assert!((got - step[c]).abs() < 0.1 * step[c].abs() + 0.002, "{arguments:?} {c}: {got}");
            assert!(sigma < 0.02, "{sigma}");
        }
        // From stations alone.
        assert_eq!(map.bands[6].values.get(x, y), 11.0);
    }
    let series = |more: &[&str]| q.refusal(&with(&["--like", "asc.tif", "--gnss", "series.csv"], more));
    assert!(series(&["--gnss", "places.csv"]).contains("--event"));
    assert!(series(&["--event", "61"]).contains("AAAA has a series and no position"));
    let text = series(&["--gnss", "places.csv", "--event", "500"]);
    assert!(text.contains("day 500") && text.contains("from day 0 to 120"), "{text}");
    assert!(series(&["--gnss", "places.csv", "--event", "2019-07-07"]).contains("numbers, not dates"));
    assert!(series(&["--gnss", "places.csv", "--event", "soon"]).contains("soon"));
}

#[test]
fn degenerate_input_is_answered_in_words() {
    let mut q = Quake::usual(11);
    q.stations(1, 0.001);
    std::fs::rename(q.folder.file("gnss.csv"), q.folder.file("single.csv")).unwrap();
    let says = |arguments: &[&str], parts: &[&str]| {
        let text = q.refusal(arguments);
        for part in parts {
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
        assert_eq!(text.trim().lines().count(), 1, "{text}");
    };
    says(&[], &["nothing to combine", "--los", "--gnss"]);
    says(&TWO[..2], &["one map (asc.tif)", "(-0.62, -0.13, 0.78)", "--gnss"]);
    let twin = "asc.tif,heading=-12.5,incidence=39,sigma=0.01,ramp=none";
    says(&[TWO[0], TWO[1], "--los", twin], &["nearly one direction", "another direction"]);
    says(&["--los", "asc.tif"], &["unit=FILE", "heading=DEGREES"]);
    says(&["--los", "none.tif,heading=1,incidence=30"], &["none.tif", "no such file"]);
    // Bad unit vectors: lengths, and too few bands.
    let long = Grid::filled(SIZE.0, SIZE.1, 0.9f32);
    q.save("long.tif", PIXEL, &[("E", long.clone()), ("N", long.clone()), ("U", long.clone())]);
    q.save("short.tif", PIXEL, &[("E", long)]);
    says(&["--los", "asc.tif,unit=long.tif"], &["length 1.5588", "east, north, up"]);
    says(&["--los", "asc.tif,unit=short.tif"], &["short.tif has 1 band", "three"]);
    // Radians are no metres.
    let phase = Grid::filled(SIZE.0, SIZE.1, 3f32);
    let band = Band { description: "phase", unit: "rad", values: &phase };
    write_bands(&q.folder.file("phase.tif"), &[band], Some(&georef(PIXEL)), &[], true).unwrap();
    says(&["--los", "phase.tif,heading=1,incidence=30"], &["`rad`", "scale="]);
    // No overlap: elsewhere, and masks that leave nothing in common.
    let far = GeoReference::new(GeoTransform([900_000.0, 500.0, 0.0, 3_000_000.0, 0.0, -500.0]), georef(1.0).crs);
    let zero = Grid::filled(20, 20, 1f32);
    write_bands(
        &q.folder.file("far.tif"),
        &[Band { description: "LOS", unit: "m", values: &zero }],
        Some(&far),
        &[],
        true,
    )
    .unwrap();
    says(&[TWO[0], TWO[1], "--los", "far.tif,heading=-168,incidence=36"], &["far.tif does not overlap", "--like"]);
    let half = |left: bool| Grid::from_fn(SIZE.0, SIZE.1, |x, _| if (x < 60) == left { 0.1 } else { f32::NAN });
    q.save("left.tif", PIXEL, &[("LOS", half(true))]);
    q.save("right.tif", PIXEL, &[("LOS", half(false))]);
    says(
        &["--los", "left.tif,heading=-12,incidence=39", "--los", "right.tif,heading=-168,incidence=36"],
        &["no pixel is seen by more than 1 of the 2 maps", "do not overlap"],
    );
    q.save("empty.tif", PIXEL, &[("LOS", Grid::filled(SIZE.0, SIZE.1, f32::NAN))]);
    says(&["--los", "empty.tif,heading=-12,incidence=39"], &["no value on the grid", "masked"]);
    // Stations.
    let table = |text: &str| write_text(&q.folder.file("bad.csv"), text);
    let bad = |parts: &[&str]| says(&with(&TWO, &["--gnss", "bad.csv"]), parts);
    table("station,x,y,east,north,up,sigma_east,sigma_north,sigma_up\nA,500000,4675000,oops,0,0,0.1,0.1,0.1\n");
    bad(&["bad.csv: row 1, column east: `oops` is not a number"]);
    table("station,x,y,east,north,up,sigma_east,sigma_north,sigma_up\nA,500000,4675000,0.1,0,0,-0.1,0.1,0.1\n");
    bad(&["station A", "sigma_east -0.1"]);
    table("station,east,north,up\nA,0,0,0\n");
    bad(&["no column x and y, or longitude and latitude", "it has station, east, north, up"]);
    table("site_code,x,y\nA,0,0\n");
    bad(&["no column station"]);
    table("station,longitude,latitude,east,north,up,sigma_east,sigma_north,sigma_up\nA,15,142,0,0,0,0.1,0.1,0.1\n");
    bad(&["latitude 142"]);
    says(&with(&TWO, &["--gnss", "nothing.csv"]), &["nothing.csv"]);
    says(&["--gnss", "bad.csv"], &["--like"]);
    // SISTEM without a gradient.
    says(&with(&TWO, &["--gnss", "single.csv", "--method", "sistem"]), &["three stations", "--method wls"]);
    says(&with(&TWO, &["--method", "sistem"]), &["three stations"]);
    // A raster without a projected system.
    let folder = q.folder.path().to_str().unwrap().to_string();
    let file = |name: &str| format!("{folder}/{name}");
    common::gdal("gdalwarp", &["-q", "-t_srs", "EPSG:4326", &file("asc.tif"), &file("geo.tif")]);
    says(&["--los", "geo.tif,heading=-12,incidence=39", TWO[2], TWO[3]], &["not in metres", "--crs", "--resolution"]);
}

#[test]
fn what_cannot_be_known_is_left_empty_and_said() {
    let q = Quake::usual(12);
    let summary = q.combine("out.tif", &TWO);
    let map = q.read("out.tif");
    // Two near-polar tracks: east and up, not north.
    assert_eq!(summary["valid"][1], 0);
    assert!(summary["notes"].to_string().contains("north: nothing here tells it"), "{}", summary["notes"]);
    assert!(map.bands[1].valid.data.iter().all(|v| !v));
    assert!(map.bands[6].values.data.iter().all(|s| *s == 10.0));
    // Up carries what an unknown north may do to it, and does not pretend more.
    let (error, z) = q.errors(&map, 2);
    assert!(error < 0.2 && z < 1.2, "{error} {z}");
    let (error, z) = q.errors(&map, 0);
    assert!(error < 0.1 && z < 1.2, "{error} {z}");
    // One track and one station: all components, with honest sigma.
    let [e, n, u] = displacement(&[[485_500.0, 4_690_500.0]])[0];
    let head = "station,x,y,east,north,up,sigma_east,sigma_north,sigma_up";
    let text = format!("{head}\nA,485500,4690500,{e:.5},{n:.5},{u:.5},0.002,0.002,0.004\n");
    write_text(&q.folder.file("one.csv"), &text);
    q.combine("one.tif", &with(&TWO[..2], &["--gnss", "one.csv"]));
    let map = q.read("one.tif");
    let sigma = |x: usize, y: usize| map.bands[4].values.get(x, y);
    assert!(map.bands[1].valid.data.iter().all(|v| *v));
    assert!(sigma(115, 95) > 2.0 * sigma(31, 19), "{} {}", sigma(115, 95), sigma(31, 19));
}

#[test]
fn masks_and_threads() {
    let mut q = Quake::usual(13);
    q.stations(4, 0.002);
    let mask = Grid::from_fn(SIZE.0, SIZE.1, |x, _| if x < 30 { 1f32 } else { 0.0 });
    q.save("mask.tif", PIXEL, &[("Mask", mask)]);
    let all = with(&TWO, &["--gnss", "gnss.csv", "--mask", "mask.tif"]);
    q.combine("one.tif", &with(&all, &["--threads", "1"]));
    q.combine("two.tif", &with(&all, &["--threads", "2"]));
    let bytes = |name: &str| std::fs::read(q.folder.file(name)).unwrap();
    assert!(bytes("one.tif") == bytes("two.tif"));
    let map = q.read("one.tif");
    assert_eq!((map.bands[7].values.get(10, 50), map.bands[7].values.get(50, 50)), (0.0, 2.0));
    assert_eq!(map.bands[6].values.get(10, 50), 11.0);
    // A name that is taken stays as it is.
    let (code, _, stderr) = run(&q.folder, &with(&["combine", "one.tif"], &all));
    assert!(code == 1 && stderr.contains("--overwrite"), "{stderr}");
}

/// The program's complaint when there is no ONNX Runtime here.
fn no_runtime() -> bool {
    let found = shiftmap::net::runtime::load(None);
    if let Err(e) = &found {
        println!("skipped: {e}");
    }
    found.is_err()
}

#[test]
fn a_network_gets_its_inputs_and_gives_three_components() {
    let mut q = Quake::usual(14);
    q.stations(4, 0.002);
    q.dem();
    let model = |name: &str| format!("{}/tests/models/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
    let all = with(&TWO, &["--gnss", "gnss.csv", "--dem", "dem.tif"]);
    let net = |name: &str| model(name);
    let (combined, kriged, narrow, pair) = (net("combined"), net("kriged"), net("narrow"), net("constant"));
    assert!(q.refusal(&with(&all, &["--method", "net", "--model", &pair])).contains("kind insar_gnss"));
    assert!(q.refusal(&with(&all[4..], &["--method", "net", "--offsets", "map.tif"])).contains("--los"));
    if no_runtime() {
        return;
    }
    q.combine("wls.tif", &all);
    q.combine("net.tif", &with(&all, &["--method", "net", "--model", &combined]));
    let (wls, made, asc, dem) = (q.read("wls.tif"), q.read("net.tif"), q.read("asc.tif"), q.read("dem.tif"));
    let scale = {
        // The 99 % quantile of the absolute displacement.
        let mut all: Vec<f32> = (0..3).flat_map(|c| wls.bands[c].values.data.iter().map(|v| v.abs())).collect();
        all.sort_by(f32::total_cmp);
        all[(0.99 * (all.len() - 1) as f64).round() as usize]
    };
    let heights = &dem.bands[0].values.data;
    let (low, high) = heights.iter().fold((f32::MAX, f32::MIN), |m, v| (m.0.min(*v), m.1.max(*v)));
    for i in (0..SIZE.0 * SIZE.1).step_by(37) {
        let at = |file: &RasterFile, band: usize| file.bands[band].values.data[i];
        // The topographic term is taken off the line of sight; without any it is below a millimetre or two.
        assert!((at(&made, 0) - at(&asc, 0)).abs() < 0.02, "{i}: {} {}", at(&made, 0), at(&asc, 0));
        assert!((at(&made, 1) - at(&wls, 1)).abs() < 1e-4);
        assert!((at(&made, 2) - scale * (heights[i] - low) / (high - low)).abs() < 1e-4);
        (3..6).for_each(|b| assert!((at(&made, b) / at(&wls, b) - 1.0).abs() < 1e-4, "{i} {b}"));
    }
    let summary = q.combine("kriged.tif", &with(&all, &["--method", "net", "--model", &kriged, "--leave-out", "ST05"]));
    assert!(summary["notes"].to_string().contains("sigma bands are empty"));
    assert_eq!(summary["left_out"].as_array().unwrap().len(), 1);
    assert!(q.read("kriged.tif").bands[3].valid.data.iter().all(|v| !v));
    let text = q.refusal(&with(&all, &["--method", "net", "--model", &narrow]));
    assert!(text.contains("`insar` has 9 channels instead of 10"), "{text}");
}

#[test]
fn simulated_events_go_through() {
    // Atmosphere, ramps, water, networks of stations: the files of `synth insar`.
    let q = Quake::new(15);
    let mut sums = [[0.0; 3]; 3];
    for seed in ["2", "7", "9"] {
        let (code, _, stderr) = run(&q.folder, &["synth", "insar", seed, "--seed", seed, "--size", "96", "-q"]);
        assert_eq!(code, 0, "{stderr}");
        let los = |t: &str| format!("{seed}/los-{t}.tif,unit={seed}/unit-{t}.tif");
        let (asc, desc) = (los("ascending"), los("descending"));
        let (gnss, dem) = (format!("{seed}/gnss.csv"), format!("{seed}/dem.tif"));
        let all = ["--los", &asc, "--los", &desc, "--gnss", &gnss, "--dem", &dem];
        let truth = q.read(&format!("{seed}/truth.tif"));
        q.combine("wls.tif", &all);
        q.combine("sistem.tif", &with(&all, &["--method", "sistem"]));
        q.combine("gnss.tif", &["--like", &dem, "--gnss", &gnss]);
        for (k, name) in ["wls.tif", "sistem.tif", "gnss.tif"].into_iter().enumerate() {
            let map = q.read(name);
            for c in 0..3 {
                let (d, t) = (&map.bands[c], &truth.bands[c]);
                let both = (0..d.values.data.len()).filter(|&i| d.valid.data[i] && t.valid.data[i]);
                let e: Vec<f64> = both.map(|i| f64::from(d.values.data[i] - t.values.data[i]).powi(2)).collect();
                sums[k][c] += 1e3 * (e.iter().sum::<f64>() / e.len() as f64).sqrt() / 3.0;
            }
        }
    }
    let [wls, sistem, gnss] = sums;
    println!("mean rmse, mm: wls {wls:.1?}, sistem {sistem:.1?}, stations alone {gnss:.1?}");
    assert!(wls[0] < 0.95 * gnss[0] && wls[1] < 1.01 * gnss[1] && wls[2] < 0.85 * gnss[2], "{wls:?} {gnss:?}");
    assert!((0..3).all(|c| wls[c] < sistem[c]), "{wls:?} {sistem:?}");
}
