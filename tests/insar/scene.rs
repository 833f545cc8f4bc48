//! Events: the truth, what is measured of it, and the files.

use crate::common::{Folder, SEED, gdalinfo, run};
use crate::oracle::okada1985;
use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::raster::{Band, Crs, GeoReference, read_all_bands, write_bands};
use shiftmap::synth::insar::ground::Rasters;
use shiftmap::synth::insar::scene::Scene;
use shiftmap::synth::insar::spec::{InsarSpec, SlipKind, SourceKind};

fn make(spec: &InsarSpec, seed: u64) -> Scene {
    Scene::new(spec, Rasters::default().ground(spec, seed).unwrap(), seed).unwrap()
}

fn small() -> InsarSpec {
    InsarSpec { size: (64, 48), pixel: 4000.0, ..Default::default() }
}

#[test]
fn the_truth_is_okadas() {
    let mut spec = small();
    for (k, (kind, slip)) in [
        (SourceKind::Megathrust, SlipKind::Uniform),
        (SourceKind::Crustal, SlipKind::Uniform),
        (SourceKind::Crustal, SlipKind::Variable),
    ]
    .into_iter()
    .enumerate()
    {
        (spec.source.kind, spec.source.slip) = (kind, slip);
        let scene = make(&spec, SEED + k as u64);
        let source = &scene.record.source;
        assert_eq!(source.rectangles.len() > 1, slip == SlipKind::Variable);
        let moment = 10f64.powf(1.5 * source.magnitude + 9.1);
        assert!((source.moment() / moment - 1.0).abs() < 1e-9);
        let places: Vec<[f64; 2]> = (0..48)
            .flat_map(|y| (0..64).map(move |x| (x, y)))
            .map(|(x, y)| scene.frame.place(x as f64, y as f64))
            .collect();
        let mut wanted = vec![[0.0; 3]; places.len()];
        for r in &source.rectangles {
            for (w, u) in wanted.iter_mut().zip(okada1985(r, source.poisson, &places)) {
                (0..3).for_each(|c| w[c] += u[c]);
            }
        }
        let largest = wanted.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
        let slip = source.rectangles.iter().map(|r| r.slip[0].hypot(r.slip[1])).fold(0.0, f64::max);
        for (c, truth) in scene.truth.iter().enumerate() {
            for (t, w) in truth.data.iter().zip(&wanted) {
                assert!((f64::from(*t) - w[c]).abs() < 1e-5 * slip + 1e-6 * largest, "{t} instead of {}", w[c]);
            }
        }
        let stations: Vec<[f64; 2]> = scene.stations.iter().map(|s| s.place).collect();
        let mut wanted = vec![[0.0; 3]; stations.len()];
        for r in &source.rectangles {
            for (w, u) in wanted.iter_mut().zip(okada1985(r, source.poisson, &stations)) {
                (0..3).for_each(|c| w[c] += u[c]);
            }
        }
        for (s, w) in scene.stations.iter().zip(&wanted) {
            assert!((0..3).all(|c| (s.truth[c] - w[c]).abs() < 1e-9), "{:?} instead of {w:?}", s.truth);
        }
    }
}

#[test]
fn without_noise_everything_measured_is_the_truth() {
    let mut spec = small().noiseless();
    spec.source.slow = 0.5;
    for seed in 1..5 {
        let scene = make(&spec, seed);
        for (los, unit) in scene.los.iter().zip(&scene.units) {
            let mut seen = 0;
            for k in 0..los.data.len() {
                let wanted: f32 = (0..3).map(|c| unit[c].data[k] * scene.truth[c].data[k]).sum();
                let got = los.data[k];
                assert_eq!(got.is_nan(), scene.terrain.water.data[k]);
                assert!(got.is_nan() || (got - wanted).abs() <= 1e-6 * scene.record.largest_m as f32);
                seen += usize::from(got.is_finite());
                let length: f32 = (0..3).map(|c| unit[c].data[k].powi(2)).sum();
                assert!((length - 1.0).abs() < 1e-5 && unit[2].data[k] > 0.0);
            }
            assert!(seen > los.data.len() / 3);
        }
        // The ascending satellite stands in the west, the descending one in the east.
        assert!(scene.units[0][0].data.iter().all(|v| *v < 0.0) && scene.units[1][0].data.iter().all(|v| *v > 0.0));
        assert!((10..=80).contains(&scene.stations.len()));
        for s in &scene.stations {
            for c in 0..3 {
                assert!((s.step[c] - s.truth[c]).abs() < 1e-12 && s.sigma[c] == 0.0);
            }
        }
    }
}

#[test]
fn steps_have_the_error_that_they_state_and_days_are_missing() {
    let spec = small();
    let (mut squares, mut n, mut missing, mut days) = (0.0, 0.0, 0.0, 0.0);
    for seed in 0..25 {
        for s in make(&spec, 100 + seed).stations {
            for c in 0..3 {
                squares += ((s.step[c] - s.truth[c]) / s.sigma[c]).powi(2);
                n += 1.0;
            }
            missing += s.series.iter().filter(|d| d[0].is_nan()).count() as f64;
            days += s.series.len() as f64;
        }
    }
    println!("error over sigma {:.3}, missing {:.4}", f64::sqrt(squares / n), missing / days);
    assert!((f64::sqrt(squares / n) - 1.0).abs() < 0.06, "{}", f64::sqrt(squares / n));
    assert!((missing / days - 0.03).abs() < 0.002, "{}", missing / days);
}

#[test]
fn masks_have_their_shares_and_stations_stand_on_land() {
    let mut spec = small();
    (spec.cover.water, spec.cover.decorrelated, spec.tracks.edge) = ((0.3, 0.3), (0.2, 0.2), 0.0);
    for seed in 0..5 {
        let scene = make(&spec, seed);
        let pixels = 64.0 * 48.0;
        let water = scene.terrain.water.data.iter().filter(|w| **w).count() as f64 / pixels;
        assert!((water - 0.3).abs() < 0.01, "{water}");
        for seen in scene.record.seen {
            assert!((seen - 0.7 * 0.8).abs() < 0.01, "{seen}");
        }
        assert!(scene.stations.iter().all(|s| scene.terrain.land(&scene.frame, s.place) && s.height > 0.0));
    }
}

#[test]
fn one_kind_of_noise_leaves_the_others_as_they_are() {
    let spec = small();
    let mut other = spec.clone();
    other.noise.white = (0.0, 0.0);
    other.series.flicker = Some(shiftmap::synth::insar::spec::FLICKER);
    let (a, b) = (make(&spec, 3), make(&other, 3));
    assert_eq!(a.truth, b.truth);
    assert_eq!(a.terrain, b.terrain);
    assert!(a.stations.iter().zip(&b.stations).all(|(a, b)| a.place == b.place && a.step != b.step));
    let difference = a.los[0].data.iter().zip(&b.los[0].data).filter(|p| p.0.is_finite()).map(|p| f64::from(p.0 - p.1));
    let (sum, n) = difference.fold((0.0, 0.0), |(s, n), v| (s + v * v, n + 1.0));
    assert!((1e-3..3e-3).contains(&f64::sqrt(sum / n)), "white noise alone: {}", f64::sqrt(sum / n));
}

#[test]
fn events_that_move_nothing_are_refused_in_words() {
    let folder = Folder::new();
    let arguments = ["synth", "insar", "out", "--magnitude", "4", "4.2", "--smallest", "100", "--size", "32"];
    let (code, _, error) = run(&folder, &arguments);
    assert!(code == 1 && error.contains("--magnitude") && error.contains("100 mm"), "{error}");
    let (_, _, error) = run(&folder, &["synth", "insar", "out", "--event-day", "10", "20"]);
    assert!(error.contains("--event-day 10 20") && error.contains("30 days before"), "{error}");
    assert!(folder.names().is_empty());
}

#[test]
fn an_event_is_a_folder_of_files_that_agree() {
    let folder = Folder::new();
    let arguments = ["synth", "insar", "event", "--seed", "5", "--size", "64x48", "--json"];
    let (code, out, error) = run(&folder, &arguments);
    assert_eq!(code, 0, "{error}");
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    let info = gdalinfo(&folder.file("event/los-ascending.tif"));
    assert_eq!(info["bands"][0]["noDataValue"], "NaN");
    assert_eq!(info["bands"][0]["unit"], "m");
    let truth = read_all_bands(&folder.file("event/truth.tif")).unwrap();
    assert_eq!(truth.descriptions, ["East displacement", "North displacement", "Up displacement"]);
    assert_eq!((truth.bands[0].width(), truth.bands[0].height()), (64, 48));
    assert_eq!(read_all_bands(&folder.file("event/unit-descending.tif")).unwrap().bands.len(), 3);
    let text = std::fs::read_to_string(folder.file("event/gnss.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("station,x,y,height,east,north,up,sigma_east,sigma_north,sigma_up"));
    let transform = truth.georef.transform;
    let mut worst = 0f64;
    for line in lines.clone() {
        let v: Vec<f64> = line.split(',').skip(1).map(|v| v.parse().unwrap()).collect();
        let (column, row) = transform.pixel(v[0], v[1]).unwrap();
        let k = row as usize * 64 + column as usize;
        for c in 0..3 {
            worst = worst.max((f64::from(truth.bands[c].values.data[k]) - v[3 + c]).abs() / v[6 + c]);
        }
    }
    // The truth changes within a pixel of 2 km; a wrong place or sign would be tens of sigmas.
    assert!(worst < 8.0, "{worst}");
    let event: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.file("event/event.json")).unwrap()).unwrap();
    assert_eq!(event["event"]["stations"].as_u64(), Some(lines.count() as u64));
    assert_eq!(event["event"], summary["event"]);
    let series = std::fs::read_to_string(folder.file("event/gnss-series.csv")).unwrap();
    let stations = event["event"]["stations"].as_f64().unwrap();
    let share = 1.0 - (series.lines().count() - 1) as f64 / (121.0 * stations);
    assert!((0.01..0.06).contains(&share), "{share} of the days are missing");
    let (code, _, error) = run(&folder, &arguments);
    assert!(code == 1 && error.contains("--overwrite"), "{error}");
}

fn band(values: &Grid<f32>) -> Band<'_> {
    Band { description: "", unit: "", values }
}

#[test]
fn own_heights_and_lines_of_sight_are_used() {
    let folder = Folder::new();
    let crs = Crs::from_definition("EPSG:32633").unwrap();
    let georef = GeoReference::new(GeoTransform([4e5, 500.0, 0.0, 5e6, 0.0, -500.0]), Some(crs));
    let heights = Grid::from_fn(200, 160, |x, y| if x < 20 { f32::NAN } else { 2.0 * x as f32 + y as f32 });
    write_bands(&folder.file("dem.tif"), &[band(&heights)], Some(&georef), &[], false).unwrap();
    for (name, east) in [("asc.tif", -0.6), ("desc.tif", 0.6)] {
        let unit = [east, -0.1, f32::sqrt(1.0 - 0.36 - 0.01)].map(|v| Grid::filled(200, 160, v));
        write_bands(&folder.file(name), &unit.each_ref().map(band), Some(&georef), &[], false).unwrap();
    }
    let arguments = [
        "synth", "insar", "mine", "--dem", "dem.tif", "--unit", "asc.tif", "desc.tif", "--size", "32", "--pixel",
        "1500", "-q", "--source", "crustal", "--seed", "2",
    ];
    let (code, _, error) = run(&folder, &arguments);
    assert_eq!(code, 0, "{error}");
    let dem = read_all_bands(&folder.file("mine/dem.tif")).unwrap();
    assert_eq!(dem.georef.crs.as_ref().unwrap().label, "EPSG:32633");
    let unit = read_all_bands(&folder.file("mine/unit-descending.tif")).unwrap();
    assert!(unit.bands[0].values.data.iter().all(|v| (v - 0.6).abs() < 1e-5));
    // A plane stays one: the heights are those of the place.
    let (x, y) = dem.georef.transform.map(26.5, 10.5);
    let (column, row) = georef.transform.pixel(x, y).unwrap();
    let wanted = 2.0 * (column - 0.5) + row - 0.5;
    assert!((f64::from(dem.bands[0].values.get(26, 10)) - wanted).abs() < 1.0);
    let (code, _, error) =
        run(&folder, &[&arguments[..8], &["--size", "64", "--pixel", "2000", "-q", "--overwrite"]].concat());
    assert!(code == 1 && error.contains("38 pixels"), "{error}");
}
