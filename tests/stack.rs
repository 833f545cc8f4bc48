//! `shiftmap stack`: maps of one event, and time series of a network of dates.
mod common;

use common::{Folder, SEED, run, write_text};
use nalgebra::{DMatrix, DVector};
use rand_pcg::Pcg64;
use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::map::DisplacementMap;
use shiftmap::progress::Silent;
use shiftmap::raster::{Band, Crs, DOMAIN, GeoReference, RasterFile, read_all_bands, write_bands};
use shiftmap::stack::dates::Day;
use shiftmap::stack::inputs::Extent;
use shiftmap::stack::{Dates, SigmaFrom, StackJob, Summary, run as make};
use shiftmap::synth::random::{Purpose, normal, numbered};

const CELL: f64 = 80.0;
const SIZE: (usize, usize) = (60, 50);

fn georef(x: f64, y: f64, cell: f64) -> GeoReference {
    let crs = Crs::from_definition("EPSG:32612").unwrap();
    GeoReference::new(GeoTransform([500_000.0 + x, cell, 0.0, 4_000_000.0 + y, 0.0, -cell]), Some(crs))
}

/// East, north and their sigma in metres.
struct Map {
    east: Grid<f32>,
    north: Grid<f32>,
    sigma: f32,
}

impl Map {
    fn write(&self, path: &str, place: &GeoReference, unit: &str, dates: Option<(&str, &str)>) {
        let sigma = Grid::filled(self.east.width, self.east.height, self.sigma);
        let quality = Grid::filled(self.east.width, self.east.height, 0.8);
        let status = self.east.map(|v| if v.is_nan() { 4.0 } else { 0.0 });
        let values = [&self.east, &self.north, &quality, &sigma, &sigma, &status];
        let names = ["East displacement", "North displacement", "Quality", "East sigma", "North sigma", "Status"];
        let bands: Vec<Band> =
            names.iter().zip(values).map(|(description, values)| Band { description, unit, values }).collect();
        let mut metadata = vec![(DOMAIN, "WINDOW", "32x32"), (DOMAIN, "STEP", "8x8")];
        if let Some((start, end)) = dates {
            metadata.extend([(DOMAIN, "PRE_DATE", start), (DOMAIN, "POST_DATE", end)]);
        }
        write_bands(path, &bands, Some(place), &metadata, true).unwrap();
    }
}

/// A fault and a gradient, metres.
fn event(i: usize, j: usize) -> [f64; 2] {
    let side = if i > 30 { 1.0 } else { -1.0 };
    [side * (2.0 - 0.01 * i as f64), 0.02 * j as f64 - 0.3]
}

fn noisy(truth: impl Fn(usize, usize) -> [f64; 2], sigma: f64, rng: &mut Pcg64) -> Map {
    let mut part = |c: usize| Grid::from_fn(SIZE.0, SIZE.1, |i, j| (truth(i, j)[c] + sigma * normal(rng)) as f32);
    Map { east: part(0), north: part(1), sigma: sigma as f32 }
}

fn band(file: &RasterFile, name: &str) -> Grid<f32> {
    let k = file.descriptions.iter().position(|d| d == name).unwrap_or_else(|| panic!("no band {name}"));
    let image = &file.bands[k];
    let values = image.values.data.iter().zip(&image.valid.data).map(|(v, ok)| if *ok { *v } else { f32::NAN });
    Grid::from_vec(image.values.width, image.values.height, values.collect())
}

fn stack(job: &StackJob) -> Summary {
    make(job, &mut |text| println!("{text}"), &mut Silent).unwrap()
}

/// RMSE over both components, and standard deviation of error over sigma, of bands against a truth.
fn score(
    out: &str,
    [east, north, east_sigma, north_sigma]: [&str; 4],
    truth: impl Fn(usize, usize) -> [f64; 2],
) -> (f64, f64) {
    let file = read_all_bands(out).unwrap();
    let (mut squares, mut z, mut n) = (0.0, 0.0, 0.0);
    for (c, (value, sigma)) in [(east, east_sigma), (north, north_sigma)].into_iter().enumerate() {
        let (value, sigma) = (band(&file, value), band(&file, sigma));
        for j in 0..value.height {
            for i in 0..value.width {
                let v = f64::from(value.get(i, j));
                if v.is_finite() {
                    let e = v - truth(i, j)[c];
                    squares += e * e;
                    z += (e / f64::from(sigma.get(i, j))).powi(2);
                    n += 1.0;
                }
            }
        }
    }
    assert!(n > 0.9 * 2.0 * (SIZE.0 * SIZE.1) as f64, "{n} values");
    ((squares / n).sqrt(), (z / n).sqrt())
}

const PRODUCT: [&str; 4] = ["East displacement", "North displacement", "East sigma", "North sigma"];

#[test]
fn sigma_of_a_stack_is_right_though_the_maps_are_wrong_about_theirs_and_outliers_do_not_pull() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 1);
    // True noise in metres, and what the maps say about it.
    let noise = [0.5, 0.6, 0.8, 1.0, 1.5];
    let factor = [1.0, 2.0, 1.5, 0.7, 1.3];
    let mut maps: Vec<Map> = noise.iter().map(|s| noisy(event, *s, &mut rng)).collect();
    maps.iter_mut().zip(factor).for_each(|(m, f)| m.sigma /= f as f32);
    let paths: Vec<String> = (0..5).map(|k| folder.file(&format!("{k}.tif"))).collect();
    let place = georef(0.0, 0.0, CELL);
    let write = |maps: &[Map]| maps.iter().zip(&paths).for_each(|(m, p)| m.write(p, &place, "m", None));
    write(&maps);
    let clean = folder.file("clean.tif");
    let summary = stack(&StackJob::new(&paths, &clean));
    let found: Vec<f64> = summary.maps.iter().map(|m| m.correction.sigma_factor).collect();
    println!("factors {found:.3?} of {factor:?}");
    assert!(found.iter().zip(factor).all(|(a, b)| (a / b - 1.0).abs() < 0.2), "{found:?}");
    let (rmse, z) = score(&clean, PRODUCT, event);
    let best: f64 = noise.iter().map(|s| 1.0 / (s * s)).sum::<f64>();
    println!("clean: rmse {rmse:.4}, the best possible {:.4}, z {z:.3}", best.sqrt().recip());
    assert!((0.85..1.2).contains(&z) && rmse < 1.1 * best.sqrt().recip());

    // A patch of the best map, and cells everywhere in all maps, are far off.
    for j in 10..30 {
        for i in 5..25 {
            maps[0].east.set(i, j, 25.0);
        }
    }
    for k in 0..500 {
        let (map, cell) = (k % 5, (k * 7919) % (SIZE.0 * SIZE.1));
        maps[map].north.data[cell] -= 18.0;
    }
    maps[3].east.set(2, 2, f32::NAN);
    write(&maps);
    let robust = folder.file("robust.tif");
    stack(&StackJob::new(&paths, &robust));
    let (dirty, z) = score(&robust, PRODUCT, event);
    let plain = folder.file("plain.tif");
    stack(&StackJob { plain: true, ..StackJob::new(&paths, &plain) });
    let (pulled, _) = score(&plain, PRODUCT, event);
    println!("with outliers: rmse {dirty:.4}, z {z:.3}; without regard to them {pulled:.4}");
    assert!(dirty < 1.2 * rmse && pulled > 5.0 * rmse && (0.85..1.2).contains(&z));

    // The bands are a product's, and what else there is.
    let file = read_all_bands(&robust).unwrap();
    assert_eq!(file.descriptions[6..], ["Maps used", "Disagreement"]);
    let map = DisplacementMap::open(&robust).unwrap();
    assert!(map.has_sigma() && map.window == Some((32.0, 32.0)) && map.step == Some((8.0, 8.0)));
    let used = band(&file, "Maps used");
    assert_eq!((used.get(10, 12), used.get(2, 2)), (4.0, 4.0), "a patch of one map, a gap of another");
    let level = band(&file, "Disagreement").data.iter().map(|v| f64::from(*v)).sum::<f64>() / 3000.0;
    assert!((0.7..1.2).contains(&level), "{level}");
    assert!((band(&file, "Quality").get(1, 1) - 0.8).abs() < 1e-6);
}

#[test]
fn errors_that_the_maps_share_are_in_sigma_when_they_are_told() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 2);
    let common: [Grid<f64>; 2] =
        [(); 2].map(|()| Grid::from_fn(SIZE.0, SIZE.1, |_, _| 0.5f64.sqrt() * normal(&mut rng)));
    let truth = |i: usize, j: usize| [0, 1].map(|c| event(i, j)[c] + common[c].get(i, j));
    let paths: Vec<String> = (0..4).map(|k| folder.file(&format!("{k}.tif"))).collect();
    for p in &paths {
        // Half of the variance is common; the maps state all of it.
        Map { sigma: 1.0, ..noisy(truth, 0.5f64.sqrt(), &mut rng) }.write(p, &georef(0.0, 0.0, CELL), "m", None);
    }
    for (sigma, low, high) in [(SigmaFrom::Stated, 0.85, 1.2), (SigmaFrom::Scatter, 0.85, 1.2)] {
        let out = folder.file("out.tif");
        let mut job = StackJob { correlation: 0.5, sigma, ..StackJob::new(&paths, &out) };
        job.write.overwrite = true;
        stack(&job);
        let (_, told) = score(&out, PRODUCT, event);
        stack(&StackJob { correlation: 0.0, ..job });
        let (_, untold) = score(&out, PRODUCT, event);
        println!("{sigma:?}: z {told:.3} with the correlation, {untold:.3} without");
        assert!((low..high).contains(&told) && untold > 1.4);
    }
}

#[test]
fn offsets_between_maps_and_on_stable_ground_are_taken_out() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 3);
    let offsets = [[3.0, -1.0], [-2.0, 0.5], [-1.0, 0.5], [0.0, 0.0]];
    let still = |i: usize, j: usize| if i < 15 { [0.0, 0.0] } else { event(i, j) };
    let paths: Vec<String> = (0..4).map(|k| folder.file(&format!("{k}.tif"))).collect();
    let place = georef(0.0, 0.0, CELL);
    for (p, o) in paths.iter().zip(offsets) {
        let moved = |i: usize, j: usize| [0, 1].map(|c| still(i, j)[c] + o[c]);
        noisy(moved, 0.3, &mut rng).write(p, &place, "m", None);
    }
    let out = folder.file("out.tif");
    let found = stack(&StackJob { align: true, ..StackJob::new(&paths, &out) });
    for (m, o) in found.maps.iter().zip(offsets) {
        let got = m.correction.offset;
        assert!((got[0] - o[0]).abs() < 0.05 && (got[1] - o[1]).abs() < 0.05, "{got:?} {o:?}");
    }
    let (rmse, z) = score(&out, PRODUCT, still);
    assert!(rmse < 0.17 && (0.85..1.2).contains(&z), "{rmse} {z}");
    // The datum is that of the stable ground now, whatever the offsets' mean.
    let rock = folder.file("rock.tif");
    let flag = Grid::from_fn(SIZE.0, SIZE.1, |i, _| f32::from(u8::from(i < 15)));
    write_bands(&rock, &[Band { description: "stable", unit: "", values: &flag }], Some(&place), &[], true).unwrap();
    let one = folder.file("stable.tif");
    let job = StackJob { stable: Some(rock), sigma: SigmaFrom::Stable, ..StackJob::new(&paths[..2], &one) };
    let found = stack(&job);
    assert!(found.maps.iter().all(|m| (m.correction.sigma_factor - 1.0).abs() < 0.1), "{:?}", found.maps);
    let (_, z) = score(&one, PRODUCT, still);
    assert!((0.85..1.2).contains(&z), "{z}");
}

#[test]
fn other_grids_are_interpolated_and_extents_are_as_asked() {
    let folder = Folder::new();
    let linear = |x: f64, y: f64| [0.001 * (x - 500_000.0) + 1.0, -0.002 * (y - 4_000_000.0)];
    let on = |place: &GeoReference, size: (usize, usize)| {
        let at = |i: usize, j: usize, c: usize| linear_at(place, i, j, linear)[c] as f32;
        Map {
            east: Grid::from_fn(size.0, size.1, |i, j| at(i, j, 0)),
            north: Grid::from_fn(size.0, size.1, |i, j| at(i, j, 1)),
            sigma: 0.5,
        }
    };
    let files = ["a.tif", "b.tif", "c.tif"].map(|f| folder.file(f));
    let places = [georef(0.0, 0.0, 80.0), georef(-200.0, 120.0, 80.0), georef(400.0, -400.0, 30.0)];
    for ((f, p), size) in files.iter().zip(&places).zip([(40, 30), (40, 30), (90, 70)]) {
        on(p, size).write(f, p, "m", None);
    }
    for (extent, size, corner) in [
        (Extent::First, (40, 30), (0.0, 0.0)),
        (Extent::Union, (43, 32), (-240.0, 160.0)),
        (Extent::Intersection, (34, 25), (400.0, -400.0)),
    ] {
        let out = folder.file("out.tif");
        let mut job = StackJob { extent, sigma: SigmaFrom::Stated, ..StackJob::new(&files, &out) };
        job.write.overwrite = true;
        let summary = stack(&job);
        let file = read_all_bands(&out).unwrap();
        let t = file.georef.transform.0;
        // The union reaches a cell beyond where a map meets half of it.
        assert!(
            summary.size.0.abs_diff(size.0) <= 1 && summary.size.1.abs_diff(size.1) <= 1,
            "{extent:?} {:?}",
            summary.size
        );
        assert!((t[0] - 500_000.0 - corner.0).abs() <= 80.0 && (t[3] - 4_000_000.0 - corner.1).abs() <= 80.0);
        let (east, north) = (band(&file, PRODUCT[0]), band(&file, PRODUCT[1]));
        let (mut most, mut n) = (0.0f64, 0);
        for j in 0..east.height {
            for i in 0..east.width {
                let want = linear_at(&file.georef, i, j, linear);
                let got = [f64::from(east.get(i, j)), f64::from(north.get(i, j))];
                if got[0].is_finite() {
                    n += 1;
                    // At a map's edge the tent is cut and leans inwards.
                    let edge = i < 4 || j < 4 || i + 4 > east.width || j + 4 > east.height;
                    most = most.max(if edge { 0.0 } else { (got[0] - want[0]).abs().max((got[1] - want[1]).abs()) });
                }
            }
        }
        println!("{extent:?}: {n} cells, largest error {most:.2e} m");
        assert!(n >= 30 * 20 && most < 0.08, "{most}");
    }
}

fn linear_at(place: &GeoReference, i: usize, j: usize, f: impl Fn(f64, f64) -> [f64; 2]) -> [f64; 2] {
    let (x, y) = place.transform.map(i as f64 + 0.5, j as f64 + 0.5);
    f(x, y)
}

const DATES: [&str; 6] = ["2019-07-01", "2019-09-15", "2019-12-20", "2020-03-01", "2020-07-07", "2020-12-31"];
const PAIRS: [(usize, usize); 12] =
    [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 2), (1, 3), (2, 4), (3, 5), (0, 3), (5, 1), (0, 5)];

/// Displacement at a date, metres: steady motion, a jump, and an annual part.
fn motion(day: usize, i: usize, j: usize) -> [f64; 2] {
    let t = Day::parse(DATES[day]).unwrap().years_since(Day::parse(DATES[0]).unwrap());
    let jump = if day >= 3 && i > 30 { 4.0 } else { 0.0 };
    [(3.0 + 0.05 * j as f64) * t + jump, -2.0 * t + 0.5 * (std::f64::consts::TAU * t).sin()]
}

/// Writes the maps of the network with noise of 0.3 to 0.7 m; their paths.
fn write_network(folder: &Folder, rng: &mut Pcg64) -> Vec<String> {
    let mut paths = Vec::new();
    for (k, (a, b)) in PAIRS.iter().enumerate() {
        let path = folder.file(&format!("pair{k}.tif"));
        let truth = |i: usize, j: usize| [0, 1].map(|c| motion(*b, i, j)[c] - motion(*a, i, j)[c]);
        let map = noisy(truth, 0.3 + 0.04 * k as f64, rng);
        map.write(&path, &georef(0.0, 0.0, CELL), "m", Some((DATES[*a], DATES[*b])));
        paths.push(path);
    }
    paths
}

#[test]
fn a_network_gives_the_displacement_at_every_date() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 4);
    let paths = write_network(&folder, &mut rng);
    for (reference, zero) in [(None, 0), (Some(Day::parse(DATES[2]).unwrap()), 2)] {
        let out = folder.file("series.tif");
        let mut job = StackJob { dates: Dates::Auto, reference, ..StackJob::new(&paths, &out) };
        job.write.overwrite = true;
        let summary = stack(&job);
        assert_eq!(summary.dates.len(), 6);
        assert!(summary.closure.iter().all(|c| !c.broken) && summary.maps.iter().all(|m| m.used));
        for day in (0..6).filter(|d| *d != zero) {
            let since = |i: usize, j: usize| [0, 1].map(|c| motion(day, i, j)[c] - motion(zero, i, j)[c]);
            let names = PRODUCT.map(|n| format!("{n} {}", DATES[day]));
            let (rmse, z) = score(&out, names.each_ref().map(String::as_str), since);
            println!("{}: rmse {rmse:.3} m, z {z:.3}", DATES[day]);
            assert!((0.85..1.2).contains(&z) && rmse < 0.45, "{rmse} {z}");
        }
        let total = |i: usize, j: usize| [0, 1].map(|c| motion(5, i, j)[c] - motion(0, i, j)[c]);
        let (_, z) = score(&out, PRODUCT, total);
        assert!((0.85..1.2).contains(&z), "{z}");
        // The velocity is the slope through the true displacements.
        let t: Vec<f64> =
            DATES.iter().map(|d| Day::parse(d).unwrap().years_since(Day::parse(DATES[0]).unwrap())).collect();
        let mean = t.iter().sum::<f64>() / 6.0;
        let squares: f64 = t.iter().map(|t| (t - mean).powi(2)).sum();
        let slope = |i: usize, j: usize| {
            [0, 1].map(|c| (0..6).map(|d| (t[d] - mean) * motion(d, i, j)[c]).sum::<f64>() / squares)
        };
        let names = ["East velocity", "North velocity", "East velocity sigma", "North velocity sigma"];
        let (rmse, z) = score(&out, names, slope);
        println!("velocity: rmse {rmse:.3} m/yr, z {z:.3}");
        assert!((0.85..1.2).contains(&z));
    }
}

#[test]
fn a_network_is_solved_as_dense_normal_equations_solve_it() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 5);
    let paths = write_network(&folder, &mut rng);
    let out = folder.file("series.tif");
    let job = StackJob { dates: Dates::Auto, sigma: SigmaFrom::Stated, plain: true, ..StackJob::new(&paths, &out) };
    stack(&job);
    let result = read_all_bands(&out).unwrap();
    let inputs: Vec<RasterFile> = paths.iter().map(|p| read_all_bands(p).unwrap()).collect();
    // A x = v with weights 1/sigma², unknowns are dates 1 to 5.
    let a = DMatrix::from_fn(12, 5, |k, u| {
        let (s, e) = PAIRS[k];
        f64::from(u8::from(e == u + 1)) - f64::from(u8::from(s == u + 1))
    });
    for c in 0..2 {
        let values: Vec<Grid<f32>> = inputs.iter().map(|f| band(f, PRODUCT[c])).collect();
        let sigma: Vec<f64> = inputs.iter().map(|f| f64::from(band(f, PRODUCT[2 + c]).get(0, 0))).collect();
        let w = DMatrix::from_diagonal(&DVector::from_iterator(12, sigma.iter().map(|s| 1.0 / (s * s))));
        let inverse = (a.transpose() * &w * &a).try_inverse().unwrap();
        let disagreement = band(&result, "Disagreement");
        for (i, j) in [(0, 0), (17, 33), (59, 49)] {
            let v = DVector::from_iterator(12, values.iter().map(|g| f64::from(g.get(i, j))));
            let x = &inverse * a.transpose() * &w * v;
            for u in 0..5 {
                let at = |name: &str| f64::from(band(&result, &format!("{name} {}", DATES[u + 1])).get(i, j));
                assert!((at(PRODUCT[c]) - x[u]).abs() < 1e-5, "{} {}", at(PRODUCT[c]), x[u]);
                let ratio = at(PRODUCT[2 + c]) / inverse[(u, u)].sqrt();
                assert!((ratio - 1.0).abs() < 1e-5 || (disagreement.get(i, j) > 1.2 && ratio > 1.0), "{ratio}");
            }
        }
    }
}

#[test]
fn a_broken_map_is_found_by_its_loops_and_left_out() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 6);
    let paths = write_network(&folder, &mut rng);
    for (broken, kind) in [(7, "shifted"), (0, "noise")] {
        let (a, b) = PAIRS[broken];
        let truth = |i: usize, j: usize| [0, 1].map(|c| motion(b, i, j)[c] - motion(a, i, j)[c]);
        let sound = std::fs::read(&paths[broken]).unwrap();
        let map = match kind {
            "shifted" => noisy(|i, j| truth(i, j).map(|v| v + 3.0), 0.4, &mut rng),
            _ => Map { sigma: 0.4, ..noisy(truth, 6.0, &mut rng) },
        };
        map.write(&paths[broken], &georef(0.0, 0.0, CELL), "m", Some((DATES[a], DATES[b])));
        let out = folder.file("series.tif");
        let mut job = StackJob { dates: Dates::Auto, ..StackJob::new(&paths, &out) };
        job.write.overwrite = true;
        let summary = stack(&job);
        let left: Vec<usize> = (0..12).filter(|k| !summary.maps[*k].used).collect();
        assert_eq!(left, [broken], "{kind}: {}", shiftmap::stack::report::table(&summary));
        assert!(summary.closure.iter().filter(|c| c.broken).all(|c| c.maps.contains(&broken)));
        let total = |i: usize, j: usize| [0, 1].map(|c| motion(5, i, j)[c] - motion(0, i, j)[c]);
        let (rmse, z) = score(&out, PRODUCT, total);
        println!("{kind}: rmse {rmse:.3}, z {z:.3}");
        assert!((0.85..1.2).contains(&z));
        // Kept, it is an outlier cell by cell and does not pull.
        let kept = stack(&StackJob { keep_broken: true, ..job });
        assert!(kept.maps.iter().all(|m| m.used));
        let (with, _) = score(&out, PRODUCT, total);
        assert!(with < 1.3 * rmse, "{with} {rmse}");
        std::fs::write(&paths[broken], sound).unwrap();
    }
}

#[test]
fn the_command_takes_tables_and_repeats_itself_byte_for_byte() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 7);
    let paths = write_network(&folder, &mut rng);
    let row = |k: usize| format!("pair{k}.tif,{},{}\n", DATES[PAIRS[k].0].replace('-', ""), DATES[PAIRS[k].1]);
    std::fs::create_dir(folder.path().join("below")).unwrap();
    for p in &paths {
        let name = p.rsplit('/').next().unwrap();
        std::fs::copy(p, folder.path().join("below").join(name)).unwrap();
    }
    let table = folder.file("below/pairs.csv");
    write_text(&table, &format!("map,start,end\n{}", (0..12).map(row).collect::<String>()));
    let mut bytes = Vec::new();
    for threads in ["1", "2"] {
        let out = format!("out{threads}.tif");
        let words =
            ["stack", &out, "--dates", "below/pairs.csv", "--threads", threads, "--report", &format!("r{threads}.md")];
        let (code, text, errors) = run(&folder, &words);
        assert_eq!(code, 0, "{errors}");
        assert!(text.contains("loops, 0 broken") && text.contains("zero on 2019-07-01"), "{text}");
        bytes.push(std::fs::read(folder.file(&out)).unwrap());
    }
    assert!(bytes[0] == bytes[1], "the result depends on the number of threads");
    assert!(std::fs::read_to_string(folder.file("r1.md")).unwrap().contains("sigma factor"));
    let (code, text, _) = run(&folder, &["stack", "out1.tif", "--dates", "below/pairs.csv", "--overwrite", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, json["maps"].as_array().unwrap().len(), json["maps"][10]["start"].as_str()),
        (0, 12, Some("2020-12-31"))
    );
}

#[test]
fn what_does_not_belong_together_is_refused_in_words() {
    let folder = Folder::new();
    let mut rng = numbered(SEED, Purpose::Sample, 8);
    let map = noisy(event, 0.5, &mut rng);
    let place = georef(0.0, 0.0, CELL);
    map.write(&folder.file("a.tif"), &place, "m", Some((DATES[0], DATES[1])));
    map.write(&folder.file("b.tif"), &place, "m", Some((DATES[2], DATES[3])));
    map.write(&folder.file("c.tif"), &place, "m", None);
    map.write(&folder.file("px.tif"), &place, "px", None);
    let other = Crs::from_definition("EPSG:32613").unwrap();
    map.write(&folder.file("zone.tif"), &GeoReference::new(place.transform, Some(other)), "m", None);
    map.write(&folder.file("far.tif"), &georef(1e6, 0.0, CELL), "m", None);
    let bare = [
        Band { description: "e", unit: "m", values: &map.east },
        Band { description: "n", unit: "m", values: &map.north },
    ];
    write_bands(&folder.file("bare.tif"), &bare, Some(&place), &[], true).unwrap();
    write_text(&folder.file("t.csv"), "map,start,end\na.tif,2020-01-01,2020-02-31\nb.tif,2020-01-01,2020-02-01\n");
    write_text(&folder.file("names.csv"), "file,from,to\na.tif,2020-01-01,2020-02-01\n");
    for (words, text) in [
        (vec!["a.tif", "o.tif"], "two maps"),
        (vec!["a.tif", "a.tif", "o.tif"], "twice"),
        (vec!["a.tif", "b.tif", "a.tif", "--overwrite"], "one of the inputs"),
        (vec!["a.tif", "zone.tif", "o.tif"], "EPSG:32613"),
        (vec!["a.tif", "px.tif", "o.tif"], "--units"),
        (vec!["a.tif", "bare.tif", "o.tif"], "no sigma"),
        (vec!["a.tif", "far.tif", "o.tif", "--extent", "intersection"], "no cell in common"),
        (vec!["a.tif", "b.tif", "o.tif", "--dates", "auto"], "no chain of maps connects"),
        (vec!["a.tif", "c.tif", "o.tif", "--dates", "auto"], "does not say the date"),
        (vec!["a.tif", "b.tif", "o.tif", "--dates", "t.csv"], "2020-02-31"),
        (vec!["a.tif", "b.tif", "o.tif", "--dates", "names.csv"], "map, start and end"),
        (vec!["a.tif", "b.tif", "o.tif", "--correlation", "0.99"], "0.95"),
        (vec!["a.tif", "b.tif", "o.tif", "--sigma", "stable"], "--stable"),
        (vec!["a.tif", "b.tif", "o.tif", "--reference", "2020-01-01"], "--dates"),
        (vec!["a.tif", "b.tif", "o.tif", "--report", "x.txt"], ".md or .json"),
        (vec!["a.tif", "b.tif", "o.tif", "--least", "3"], "no cell has a value"),
        (vec!["a.tif", "b.tif", "c.tif"], "exists"),
    ] {
        let (code, _, errors) = run(&folder, &[vec!["stack"], words.clone()].concat());
        assert!(code == 1 && errors.contains(text), "{words:?}: {code} {errors}");
        assert!(!folder.path().join("o.tif").exists(), "{words:?}");
    }
    // Maps without sigma get it from how much they differ.
    for k in 0..3 {
        let map = noisy(event, 0.5, &mut rng);
        let bands = [
            Band { description: "e", unit: "m", values: &map.east },
            Band { description: "n", unit: "m", values: &map.north },
        ];
        write_bands(&folder.file(&format!("bare{k}.tif")), &bands, Some(&place), &[], true).unwrap();
    }
    let (code, _, errors) = run(&folder, &["stack", "bare0.tif", "bare1.tif", "bare2.tif", "o.tif"]);
    assert!(code == 0 && errors.contains("no sigma"), "{errors}");
    let (_, z) = score(&folder.file("o.tif"), PRODUCT, event);
    assert!((0.85..1.2).contains(&z), "{z}");
}
