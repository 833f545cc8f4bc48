//! Images of every unfortunate kind: gaps and infinities anywhere, saturation, single lines, grids that no camera makes. Trials
//! are random, with fixed seeds.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use shiftmap::Error;
use shiftmap::field::{GeoTransform, Measurement, Status};
use shiftmap::grid::{Grid, Image, Window};
use shiftmap::job::Job;
use shiftmap::pipeline::{MethodName, Params};
use shiftmap::progress::Silent;
use shiftmap::raster::{Crs, GeoReference, PixelType, Units, read_all_bands, write_image};

const METHODS: [MethodName; 5] =
    [MethodName::Lsm, MethodName::Frequency, MethodName::Spatial, MethodName::Regularized, MethodName::Dense];

/// What holds of every measurement.
fn sound(m: &Measurement) {
    let c = m.covariance;
    if m.status == Status::Valid {
        assert!(m.shift.dx.is_finite() && m.shift.dy.is_finite() && m.quality.is_finite(), "{m:?}");
        assert!(c.xx > 0.0 && c.yy > 0.0 && c.xx.is_finite() && c.yy.is_finite(), "{m:?}");
        assert!(c.xy * c.xy <= c.xx * c.yy * 1.0001, "{m:?}");
    }
}

fn bits(m: &Measurement) -> (u64, u64, u64, Status) {
    (m.shift.dx.to_bits(), m.shift.dy.to_bits(), m.covariance.xx.to_bits(), m.status)
}

/// An image with NaN, infinities, huge numbers, saturated blocks, flat blocks and holes at random places.
fn spoilt(size: (usize, usize), shift: f64, random: &mut Pcg64) -> Image {
    let mut values = Grid::from_fn(size.0, size.1, |x, y| rough_at(x as f64 - shift, y as f64) as f32);
    for _ in 0..random.random_range(0..12) {
        let (w, h) = (random.random_range(1..=size.0), random.random_range(1..=size.1));
        let (x0, y0) = (random.random_range(0..size.0), random.random_range(0..size.1));
        let value = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 0.0, 65535.0, -1e30];
        let value = value[random.random_range(0..value.len())];
        let (w, h) = if random.random::<bool>() { (w.min(3), h.min(3)) } else { (w / 4 + 1, h / 4 + 1) };
        for y in y0..(y0 + h).min(size.1) {
            for x in x0..(x0 + w).min(size.0) {
                values.set(x, y, value);
            }
        }
    }
    Image::from_values(values)
}

#[test]
fn spoilt_pixels_anywhere() {
    let mut random = Pcg64::seed_from_u64(SEED);
    let (mut valid, mut refused) = (0, 0);
    for trial in 0..60 {
        let size = (random.random_range(5..220), random.random_range(5..120));
        let (pre, post) = (spoilt(size, 0.0, &mut random), spoilt(size, 0.4, &mut random));
        let window = (random.random_range(5..=48usize.min(size.0)), random.random_range(5..=48usize.min(size.1)));
        let step = (random.random_range(1..20), random.random_range(2..20));
        let method = METHODS[trial % METHODS.len()];
        let params = Params { method, window, step, min_valid: random.random(), ..Params::default() };
        let label = format!("trial {trial}: {size:?} {params:?}");
        let whole = match measured(&pre, &post, &params, None, 1) {
            Ok((_, whole)) => whole,
            Err(Error::Data(text) | Error::Option { why: text, .. }) => {
                assert!(!text.is_empty(), "{label}");
                refused += 1;
                continue;
            }
            Err(e) => panic!("{label}: {e}"),
        };
        whole.data.iter().for_each(sound);
        valid += whole.data.iter().filter(|m| m.status == Status::Valid).count();
        // Threads and regions change nothing, whatever is wrong with the images.
        let (_, again) = measured(&pre, &post, &params, None, 2).unwrap();
        assert!(whole.data.iter().map(bits).eq(again.data.iter().map(bits)), "{label}: threads");
        let part = Window::new(size.0 as i64 / 3, size.1 as i64 / 4, size.0 / 2 + 1, size.1 / 2 + 1);
        let Ok((layout, part)) = measured(&pre, &post, &params, Some(part), 2) else { continue };
        let r = layout.region;
        for y in 0..part.height {
            for x in 0..part.width {
                let there = whole.get(r.x as usize + x, r.y as usize + y);
                assert_eq!(bits(&part.get(x, y)), bits(&there), "{label}: region at {x}, {y}");
            }
        }
    }
    println!("{valid} valid cells, {refused} pairs refused");
    assert!(valid > 200 && refused < 30, "{valid} valid cells, {refused} pairs refused");
}

/// Rows without data so dense that no window is whole, and ground without texture between them: nothing is made up there, and
/// where there is no whole block `regularized` does not claim to know anything.
#[test]
fn stripes_of_gaps_and_flat_ground() {
    for (method, apart) in METHODS.into_iter().flat_map(|m| [(m, 7), (m, 16)]) {
        let striped = |shift: f64| {
            let flat = |x: usize, y: usize| (60..120).contains(&x) && (40..100).contains(&y);
            let value =
                |x: usize, y: usize| if flat(x, y) { 3000.7 } else { rough_at(x as f64 - shift, y as f64) as f32 };
            let mut image = Image::from_values(Grid::from_fn(200, 160, value));
            for y in (0..160).step_by(apart) {
                image.valid.row_mut(y).fill(false);
                image.values.row_mut(y).fill(0.0);
            }
            image
        };
        let params = Params { method, window: (9, 9), step: (3, 3), ..Params::default() };
        let (_, found) = measured(&striped(0.0), &striped(0.4), &params, None, 1).unwrap();
        found.data.iter().for_each(sound);
        let sure = |m: &&Measurement| m.status == Status::Valid && m.covariance.xx < 0.005f64.powi(2);
        let wrong = found.data.iter().filter(sure).filter(|m| (m.shift.dx - 0.4).abs() > 0.05).count();
        assert!(wrong * 50 < found.data.len(), "{method:?} {apart}: {wrong} of {}", found.data.len());
    }
}

#[test]
fn every_pixel_of_a_window_may_be_the_bad_one() {
    let clean = |shift: f64| Grid::from_fn(40, 40, |x, y| rough_at(x as f64 - shift, y as f64) as f32);
    for method in [MethodName::Lsm, MethodName::Frequency, MethodName::Spatial] {
        let params = Params { method, window: (12, 12), step: (12, 12), ..Params::default() };
        for bad in [f32::NAN, f32::INFINITY] {
            for k in (0..1600).step_by(41) {
                let (mut a, mut b) = (clean(0.0), clean(0.3));
                a.data[k] = bad;
                b.data[1599 - k] = bad;
                let (_, map) = measured(&Image::from_values(a), &Image::from_values(b), &params, None, 1).unwrap();
                map.data.iter().for_each(sound);
            }
        }
    }
}

/// Share of the cells on saturated ground that have a value, and the median error elsewhere.
fn beside_saturated_ground(folder: &Folder, method: &str, more: &[&str]) -> (f64, f64) {
    let arguments = ["displacement", "pre.tif", "post.tif", "out.tif", "-q", "--overwrite", "--units", "px"];
    let arguments = [&arguments[..], &["--method", method, "--window", "33", "--step", "4"], more].concat();
    let (code, _, err) = run(folder, &arguments);
    assert_eq!(code, 0, "{method}: {err}");
    let map = read_all_bands(&folder.file("out.tif")).unwrap();
    let (east, status) = (&map.bands[0], &map.bands[5].values);
    let (mut errors, mut inside, mut all) = (Vec::new(), 0u32, 0u32);
    for j in 0..status.height {
        for i in 0..status.width {
            let (x, valid) = (4.0 * i as f64 + 2.0, status.get(i, j) == 0.0);
            if x > 190.0 && x < 230.0 {
                inside += u32::from(valid);
                all += 1;
            } else if x < 115.0 && valid {
                errors.push((f64::from(east.values.get(i, j)) - 0.4).abs());
            }
        }
    }
    errors.sort_by(f64::total_cmp);
    let middle = errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN);
    (f64::from(inside) / f64::from(all), middle)
}

#[test]
fn saturated_ground() {
    let image = |shift: f64, key: u64| {
        let at = |x: usize, y: usize| match x > 150 {
            true => 65535.0,
            false => (fine_at(x as f64 - shift, y as f64) + 2.0 * hashed_noise(x, y, key)) as f32,
        };
        Grid::from_fn(260, 200, at)
    };
    let folder = Folder::new();
    for (name, values) in [("pre.tif", image(0.0, 1)), ("post.tif", image(0.4, 2))] {
        write_image(&folder.file(name), &values, PixelType::U16, None, Some(&utm(5e5, 4e6)), true).unwrap();
    }
    for method in ["lsm", "frequency", "spatial", "regularized", "dense"] {
        // As it is, the edge of the saturated ground, 200 times the texture, stands still and pulls everything around it: a
        // known limit, printed only.
        let (inside, middle) = beside_saturated_ground(&folder, method, &[]);
        println!("{method}: {:.1} % of the saturated cells have a value, error elsewhere {middle:.3}", 100.0 * inside);
        // Told what it is, it is left out and does no harm.
        let (inside, middle) = beside_saturated_ground(&folder, method, &["--nodata", "65535"]);
        println!("{method}: {:.1} % and {middle:.4} with --nodata 65535", 100.0 * inside);
        assert!(inside == 0.0 && middle < 0.03, "{method}: {inside}, {middle}");
    }
}

#[test]
fn single_lines_and_images_smaller_than_a_window() {
    let folder = Folder::new();
    for (w, h) in [(1, 1), (1, 300), (300, 1), (4, 300), (31, 31)] {
        for (name, d) in [("pre.tif", 0.0), ("post.tif", 0.4)] {
            let values = Grid::from_fn(w, h, |x, y| rough_at(x as f64 - d, y as f64) as f32);
            write_image(&folder.file(name), &values, PixelType::U16, None, Some(&utm(5e5, 4e6)), true).unwrap();
        }
        for command in ["displacement", "precision", "coregister"] {
            let (code, _, err) = run(&folder, &[command, "pre.tif", "post.tif", "out.tif", "-q"]);
            assert_eq!(code, 1, "{command} {w} x {h}");
            assert!(err.starts_with("ERROR: ") && err.lines().count() == 1, "{command} {w} x {h}: {err}");
            assert_eq!(folder.names(), ["post.tif", "pre.tif"], "{command} {w} x {h}");
        }
        // A window that fits is measured, however small the image.
        let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "out.tif", "-q", "--window", "5"]);
        match code {
            0 => std::fs::remove_file(folder.file("out.tif")).unwrap(),
            _ => assert!(err.starts_with("ERROR: ") && err.lines().count() == 1, "{w} x {h}: {err}"),
        }
    }
}

#[test]
fn grids_that_no_camera_makes() {
    let folder = Folder::new();
    let transforms = [
        [0.0, 1e-12, 0.0, 0.0, 0.0, -1e-12],
        [1e15, 1e9, 0.0, -1e15, 0.0, -1e9],
        [5e5, 10.0, 0.0, 4e6, 0.0, 10.0],
        [5e5, -10.0, 0.0, 4e6, 0.0, -10.0],
        [5e5, 0.0, 10.0, 4e6, 10.0, 0.0],
        [5e5, 6.0, 8.0, 4e6, 8.0, -6.0],
        [5e5, 10.0, 10.0, 4e6, 10.0, 10.0],
        [5e5, 10.0, 0.0, 4e6, 0.0, 0.0],
        [f64::NAN, 10.0, 0.0, 4e6, 0.0, -10.0],
        [5e5, f64::INFINITY, 0.0, 4e6, 0.0, -10.0],
        [f64::MAX, f64::MAX, f64::MAX, f64::MAX, f64::MAX, f64::MAX],
        [5e5, 1e-30, 0.0, 4e6, 0.0, -1e-30],
        [5e5, 1000.0, 0.0, 4e6, 0.0, -0.001],
    ];
    let values = |d: f64| Grid::from_fn(90, 80, |x, y| rough_at(x as f64 - d, y as f64) as f32);
    let (pre, post) = (values(0.0), values(0.4));
    let (mut done, mut refused) = (0, 0);
    for transform in transforms {
        for crs in ["EPSG:32612", "EPSG:4326"] {
            let georef = GeoReference::new(GeoTransform(transform), Some(Crs::from_definition(crs).unwrap()));
            let write = |(name, values): (&str, &Grid<f32>)| {
                write_image(&folder.file(name), values, PixelType::F32, None, Some(&georef), true)
            };
            if let Err(e) = [("pre.tif", &pre), ("post.tif", &post)].into_iter().try_for_each(write) {
                assert!(matches!(e, Error::Write { .. }), "{e}");
                refused += 1;
                continue;
            }
            let mut job = Job::new(&folder.file("pre.tif"), &folder.file("post.tif"), &folder.file("out.tif"));
            job.write.overwrite = true;
            job.units = if crs == "EPSG:4326" { Units::Pixels } else { Units::Auto };
            match job.run(&mut |_| (), &mut Silent) {
                Ok(summary) => {
                    done += 1;
                    let map = read_all_bands(&folder.file("out.tif")).unwrap();
                    // In units of a pixel the displacement is what it is.
                    let scale = match summary.unit {
                        "px" => 1.0,
                        _ => transform[1].hypot(transform[4]),
                    };
                    let (east, north) = (&map.bands[0], &map.bands[1]);
                    let mut length: Vec<f64> = (0..east.values.data.len())
                        .filter(|&k| east.valid.data[k])
                        .map(|k| f64::from(east.values.data[k]).hypot(north.values.data[k].into()) / scale)
                        .collect();
                    length.sort_by(f64::total_cmp);
                    let middle = length.get(length.len() / 2).copied();
                    assert!(middle.is_some_and(|v| (v - 0.4).abs() < 0.02), "{transform:?} {crs}: {middle:?}");
                }
                Err(e) => {
                    refused += 1;
                    let text = e.to_string();
                    assert!(!text.contains("internal"), "{transform:?} {crs}: {text}");
                    println!("{transform:?} {crs}: {text}");
                }
            }
        }
    }
    println!("{done} measured, {refused} refused");
    assert!(done >= 12 && refused >= 4, "{done} measured, {refused} refused");
}

#[test]
fn a_mask_is_as_good_as_gaps() {
    let mut random = Pcg64::seed_from_u64(SEED + 1);
    for trial in 0..4 {
        let folder = Folder::new();
        let mut hidden = Grid::filled(160, 130, 0.0f32);
        for _ in 0..random.random_range(1..8) {
            let (x0, y0) = (random.random_range(0..160), random.random_range(0..130));
            let (w, h) = (random.random_range(1..50), random.random_range(1..50));
            for y in y0..(y0 + h).min(130) {
                for x in x0..(x0 + w).min(160) {
                    hidden.set(x, y, 1.0);
                }
            }
        }
        let georef = utm(5e5, 4e6);
        let write = |name: &str, values: &Grid<f32>| {
            write_image(&folder.file(name), values, PixelType::F32, None, Some(&georef), true).unwrap();
        };
        write("mask.tif", &hidden);
        for (name, d) in [("pre", 0.0), ("post", 0.4)] {
            let values = Grid::from_fn(160, 130, |x, y| rough_at(x as f64 - d, y as f64) as f32);
            write(&format!("{name}.tif"), &values);
            let at = |x, y| if hidden.get(x, y) == 0.0 { values.get(x, y) } else { f32::NAN };
            write(&format!("{name}_gaps.tif"), &Grid::from_fn(160, 130, at));
        }
        let method = ["lsm", "frequency", "spatial", "dense"][trial];
        let more = ["-q", "--method", method, "--window", "21", "--step", "5"];
        let one = [&["displacement", "pre.tif", "post.tif", "masked.tif", "--mask", "mask.tif"], &more[..]].concat();
        let two = [&["displacement", "pre_gaps.tif", "post_gaps.tif", "gaps.tif"], &more[..]].concat();
        for arguments in [one, two] {
            let (code, _, err) = run(&folder, &arguments);
            assert_eq!(code, 0, "{method}: {err}");
        }
        let bands = |name: &str| -> Vec<Vec<u32>> {
            let file = read_all_bands(&folder.file(name)).unwrap();
            file.bands.iter().map(|b| b.values.data.iter().map(|v| v.to_bits()).collect()).collect()
        };
        assert!(bands("masked.tif") == bands("gaps.tif"), "{method}: a mask is not the same as gaps");
    }
}
