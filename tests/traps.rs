//! Mistakes that other correlators make (notes on autoRIFT, COSI-Corr, Ampcor, MicMac), each as one test over every
//! classical method. Grids that differ in origin, rotation, pixel size or CRS are in `cli.rs` and `raster/georef.rs`.

mod common;

use common::{Folder, fine_at, gdal, hashed_noise, measured, run, utm};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{MethodName, Params};
use shiftmap::raster::{PixelType, read_all_bands, write_image};

const METHODS: [MethodName; 5] =
    [MethodName::Lsm, MethodName::Frequency, MethodName::Spatial, MethodName::Regularized, MethodName::Dense];

fn params(method: MethodName, window: (usize, usize), step: usize) -> Params {
    Params { method, window, step: (step, step), ..Params::default() }
}

/// The texture after a displacement `d` of the ground, with a little noise of its own: post(x + d(x)) = pre(x).
fn picture(size: (usize, usize), key: u64, d: impl Fn(f64, f64) -> (f64, f64)) -> Image {
    Image::from_values(Grid::from_fn(size.0, size.1, |i, j| {
        let (x, y) = (i as f64, j as f64);
        let (mut u, mut v) = (x, y);
        for _ in 0..20 {
            let (dx, dy) = d(u, v);
            (u, v) = (x - dx, y - dy);
        }
        (fine_at(u, v) + 2.0 * hashed_noise(i, j, key)) as f32
    }))
}

fn measure(
    pre: &Image,
    post: &Image,
    params: &Params,
    region: Option<Window>,
    threads: usize,
) -> (Layout, Grid<Measurement>) {
    measured(pre, post, params, region, threads).unwrap()
}

/// Cells with position and measurement.
fn cells(layout: &Layout, map: &Grid<Measurement>) -> impl Iterator<Item = ((f64, f64), Measurement)> {
    let (layout, map) = (*layout, map.clone());
    (0..map.width * map.height).map(move |k| {
        let (i, j) = (k % map.width, k / map.width);
        let c = layout.centre(layout.region.x as usize + i, layout.region.y as usize + j);
        ((c.dx, c.dy), map.get(i, j))
    })
}

#[test]
fn a_flat_chip_has_no_value() {
    let flat = |x: usize, y: usize| (60..200).contains(&x) && (40..160).contains(&y);
    let mut pair = [picture((280, 220), 1, |_, _| (0.0, 0.0)), picture((280, 220), 2, |_, _| (0.4, -0.3))];
    for image in &mut pair {
        for y in 0..220 {
            for x in 0..280 {
                if flat(x, y) {
                    image.values.set(x, y, 4000.0);
                }
            }
        }
    }
    for method in METHODS {
        let (layout, map) = measure(&pair[0], &pair[1], &params(method, (33, 33), 4), None, 2);
        // Filters carry the rim of the flat ground a little way in.
        let inside = |(x, y): (f64, f64)| x > 96.0 && x < 164.0 && y > 76.0 && y < 124.0;
        let flat: Vec<_> = cells(&layout, &map).filter(|(c, _)| inside(*c)).collect();
        assert!(flat.len() > 100);
        assert!(flat.iter().all(|(_, m)| m.status != Status::Valid), "{method:?}: a value on flat ground");
        let valid = cells(&layout, &map).filter(|(_, m)| m.status == Status::Valid).count();
        assert!(valid > map.data.len() / 3, "{method:?}: {valid} of {}", map.data.len());
    }
}

#[test]
fn what_lies_beyond_the_search_has_no_value() {
    for (noise, method) in METHODS.iter().flat_map(|m| [(0.0, *m), (150.0, *m)]) {
        let noisy = |mut image: Image, key: u64| {
            for y in 0..200 {
                for x in 0..200 {
                    let v = image.values.get(x, y) + (noise * hashed_noise(x, y, key)) as f32;
                    image.values.set(x, y, v);
                }
            }
            image
        };
        let pre = noisy(picture((200, 200), 1, |_, _| (0.0, 0.0)), 7);
        let post = noisy(picture((200, 200), 2, |_, _| (9.0, 0.0)), 8);
        let p = Params { search: (4.0, 4.0), ..params(method, (32, 32), 8) };
        let (layout, map) = measure(&pre, &post, &p, None, 2);
        let valid = cells(&layout, &map).filter(|(_, m)| m.status == Status::Valid).count();
        println!("{method:?}, noise {noise}: {valid} of {}", map.data.len());
        assert!(valid * 20 <= map.data.len(), "{method:?}: {valid} of {} cells have a value", map.data.len());
    }
}

/// In ground that stretches evenly, a value at a wrong place is a wrong value: 0.5 px of place are 0.0125 px here.
#[test]
fn a_value_belongs_to_the_centre_of_its_window() {
    const STRETCH: f64 = 0.025;
    let d = |x: f64, y: f64| (STRETCH * (x - 120.0), STRETCH * (y - 110.0));
    let (pre, post) = (picture((240, 220), 1, |_, _| (0.0, 0.0)), picture((240, 220), 2, d));
    for method in METHODS {
        for (window, step) in [((32, 32), 4), ((33, 33), 3), ((32, 33), 7), ((31, 32), 2)] {
            let (layout, map) = measure(&pre, &post, &params(method, window, step), None, 2);
            let (mut sum, mut n) = ([0.0; 2], 0.0);
            for ((x, y), m) in cells(&layout, &map) {
                if m.status == Status::Valid && x > 40.0 && x < 200.0 && y > 40.0 && y < 180.0 {
                    let t = d(x, y);
                    sum[0] += (m.shift.dx - t.0) / STRETCH;
                    sum[1] += (m.shift.dy - t.1) / STRETCH;
                    n += 1.0;
                }
            }
            let off = [-sum[0] / n, -sum[1] / n];
            println!("{method:?} {window:?} step {step}: {:+.3} {:+.3} px, {n} cells", off[0], off[1]);
            assert!(n > 200.0, "{method:?}: {n} cells");
            // Regularized stays near its labels' quarters of a pixel by some thousandths in ground that stretches so much.
            let limit = if method == MethodName::Regularized { 0.35 } else { 0.15 };
            assert!(off[0].abs().max(off[1].abs()) < limit, "{method:?} {window:?}: places are off by {off:?} px");
        }
    }
}

/// 40 % of each image hidden by clouds, other ones in each, and behind the mask values that would pull any mean.
#[test]
fn hidden_pixels_do_not_count() {
    let truth = (0.37, -0.21);
    let mut pair = [picture((420, 400), 1, |_, _| (0.0, 0.0)), picture((420, 400), 2, |_, _| truth)];
    for (k, image) in pair.iter_mut().enumerate() {
        for y in 0..400 {
            for x in 0..420 {
                let block = (x / 37 * 7 + y / 31 * 13 + k * 5) % 10;
                if block < 4 {
                    image.valid.set(x, y, false);
                    image.values.set(x, y, if block < 2 { 65_535.0 } else { 0.0 });
                }
            }
        }
    }
    for method in METHODS {
        let p = Params { min_valid: 0.2, ..params(method, (48, 48), 6) };
        let (layout, map) = measure(&pair[0], &pair[1], &p, None, 2);
        let found: Vec<_> = cells(&layout, &map).map(|(_, m)| m).filter(|m| m.status == Status::Valid).collect();
        let mean = |f: fn(&Measurement) -> f64| found.iter().map(f).sum::<f64>() / found.len() as f64;
        let bias = [mean(|m| m.shift.dx) - truth.0, mean(|m| m.shift.dy) - truth.1];
        println!("{method:?}: bias {:+.4} {:+.4}, {} of {}", bias[0], bias[1], found.len(), map.data.len());
        assert!(found.len() * 4 > map.data.len(), "{method:?}: {} of {}", found.len(), map.data.len());
        assert!(bias[0].abs().max(bias[1].abs()) < 0.01, "{method:?}: {bias:?}");
    }
}

/// Ground that has changed altogether has no displacement, however the best of many chance correlations looks.
#[test]
fn ground_with_nothing_in_common_has_no_value() {
    let pair = [picture((700, 300), 1, |_, _| (0.0, 0.0)), picture((700, 300), 2, |_, _| (0.4, 700.3))];
    // The right part is the same ground, from which the filter is derived.
    let mixed = Grid::from_fn(700, 300, |x, y| match x < 460 {
        true => pair[1].values.get(x, y),
        false => pair[0].values.get(x, y) + 30.0 * hashed_noise(x, y, 3) as f32,
    });
    for method in METHODS {
        for window in [16, 32, 64] {
            let (layout, map) =
                measure(&pair[0], &Image::from_values(mixed.clone()), &params(method, (window, window), 8), None, 2);
            let half = window as f64 / 2.0 + 16.0;
            let (mut values, mut n, mut good, mut kept) = (0, 0, 0, 0);
            let inside = |v: f64, n: f64| v > half && v < n - half;
            for ((x, _), m) in cells(&layout, &map).filter(|c| inside(c.0.0, 700.0) && inside(c.0.1, 300.0)) {
                let valid = usize::from(m.status == Status::Valid);
                if x < 460.0 - half {
                    (values, n) = (values + valid, n + 1);
                } else if x > 460.0 + half {
                    (kept, good) = (kept + valid, good + 1);
                }
            }
            println!(
                "{method:?} {window}: {values} of {n} cells without anything in common, {kept} of {good} others have a value"
            );
            // The other methods judge by measures of their own.
            let most = if matches!(method, MethodName::Lsm | MethodName::Spatial) { n / 200 } else { 3 * n / 100 };
            assert!(values <= most, "{method:?} {window}: {values} of {n}");
            assert!(kept * 100 >= 98 * good, "{method:?} {window}: {kept} of {good}");
        }
    }
}

/// Gaps filled at random, tiles and threads must leave no trace: the same bits twice, by one thread, and as a region.
#[test]
fn nothing_is_left_to_chance() {
    let mut pair = [picture((700, 90), 1, |_, _| (0.0, 0.0)), picture((700, 90), 2, |x, _| (0.3 + x / 1000.0, 0.2))];
    for y in 20..50 {
        for x in 480..530 {
            pair[0].valid.set(x, y, false);
        }
    }
    let bits = |m: &Measurement| (m.shift.dx.to_bits(), m.shift.dy.to_bits(), m.covariance.xx.to_bits(), m.status);
    for method in METHODS {
        let p = params(method, (32, 32), 4);
        let (_, first) = measure(&pair[0], &pair[1], &p, None, 2);
        let (_, second) = measure(&pair[0], &pair[1], &p, None, 1);
        assert!(first.data.iter().map(bits).eq(second.data.iter().map(bits)), "{method:?}: threads change bits");
        let region = Window::new(400, 8, 200, 60);
        let (layout, part) = measure(&pair[0], &pair[1], &p, Some(region), 2);
        let r = layout.region;
        for y in 0..part.height {
            for x in 0..part.width {
                let whole = first.get(r.x as usize + x, r.y as usize + y);
                assert_eq!(bits(&part.get(x, y)), bits(&whole), "{method:?}: a region differs at {x}, {y}");
            }
        }
    }
}

#[test]
fn windows_and_steps_of_every_size() {
    let truth = (0.37, -0.21);
    let (pre, post) = (picture((560, 530), 1, |_, _| (0.0, 0.0)), picture((560, 530), 2, |_, _| truth));
    let cut = |image: &Image, n: usize| Image::from_values(Grid::from_fn(n, n, |x, y| image.values.get(x, y)));
    let (small_pre, small_post) = (cut(&pre, 96), cut(&post, 96));
    for method in METHODS {
        for (window, step) in [((7, 7), 3), ((16, 48), 1), ((45, 20), 2), ((64, 64), 3), ((512, 512), 16)] {
            let large = window.0 > 100;
            // These two match pixels: the window is that of their noise estimate only.
            if large && matches!(method, MethodName::Dense | MethodName::Regularized) {
                continue;
            }
            let (a, b) = if large { (&pre, &post) } else { (&small_pre, &small_post) };
            let (layout, map) = measure(a, b, &params(method, window, step), None, 2);
            let size = if large { (560.0, 530.0) } else { (96.0, 96.0) };
            let whole = |c: f64, w: usize, n: f64| c - w as f64 / 2.0 > 1.0 && c + w as f64 / 2.0 < n - 2.0;
            let mut errors: Vec<f64> = cells(&layout, &map)
                .filter(|((x, y), m)| {
                    m.status == Status::Valid && whole(*x, window.0, size.0) && whole(*y, window.1, size.1)
                })
                .map(|(_, m)| (m.shift.dx - truth.0).abs().max((m.shift.dy - truth.1).abs()))
                .collect();
            assert!(
                errors.len() >= if large { 2 } else { 4 },
                "{method:?} {window:?} step {step}: {} values",
                errors.len()
            );
            errors.sort_by(f64::total_cmp);
            let middle = errors[errors.len() / 2];
            println!("{method:?} {window:?} step {step}: median error {middle:.4} of {}", errors.len());
            assert!(middle < if window.0 < 16 { 0.15 } else { 0.02 }, "{method:?} {window:?}: {middle}");
        }
    }
}

fn bands(folder: &Folder, pre: &str, post: &str, out: &str, method: &str, more: &[&str]) -> Vec<Vec<u32>> {
    let arguments =
        [&["displacement", pre, post, out, "--method", method, "--window", "32", "--step", "4", "-q"], more].concat();
    let (code, _, err) = run(folder, &arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    let file = read_all_bands(&folder.file(out)).unwrap();
    file.bands.iter().map(|b| b.values.data.iter().map(|v| v.to_bits()).collect()).collect()
}

/// The numbers count, not how a file stores them (autoRIFT stretches to bytes and loses what lies between), and every
/// way to say "no data" gives the same map.
#[test]
fn storage_and_the_kind_of_nodata_change_nothing() {
    let folder = Folder::new();
    let georef = utm(500_000.0, 4_000_000.0);
    let hidden = |x: usize, y: usize| (40..70).contains(&x) && (30..80).contains(&y);
    for (name, d) in [("pre", 0.0), ("post", 0.6)] {
        let image = picture((180, 140), 3, |_, _| (d, -d / 2.0));
        let with = |gap: f32| {
            Grid::from_fn(180, 140, |x, y| if hidden(x, y) { gap } else { image.values.get(x, y).round().max(1.0) })
        };
        let file = |kind: &str| folder.file(&format!("{name}-{kind}.tif"));
        write_image(&file("u16-0"), &with(0.0), PixelType::U16, Some(0.0), Some(&georef), true).unwrap();
        write_image(&file("u16-65535"), &with(65_535.0), PixelType::U16, Some(65_535.0), Some(&georef), true).unwrap();
        write_image(&file("nan"), &with(f32::NAN), PixelType::F32, None, Some(&georef), true).unwrap();
        write_image(&file("i16"), &with(-99.0), PixelType::I16, Some(-99.0), Some(&georef), true).unwrap();
    }
    for method in ["lsm", "frequency", "spatial", "regularized", "dense"] {
        let first = bands(&folder, "pre-u16-0.tif", "post-u16-0.tif", "out.tif", method, &["--overwrite"]);
        for kind in ["u16-65535", "nan", "i16"] {
            let (pre, post) = (format!("pre-{kind}.tif"), format!("post-{kind}.tif"));
            let other = bands(&folder, &pre, &post, "out.tif", method, &["--overwrite"]);
            assert!(first == other, "{method}: {kind} gives another map than UInt16 with 0");
        }
    }
}

/// A scene of 50 000 x 50 000 pixels, all but a corner of it empty: numbers of pixels beyond 32 bits.
#[test]
fn scenes_may_have_more_than_two_thousand_million_pixels() {
    let folder = Folder::new();
    let georef = utm(500_000.0, 4_000_000.0);
    for (name, d) in [("pre", 0.0), ("post", 0.6)] {
        let image = picture((200, 200), 3, |_, _| (d, -d / 2.0));
        write_image(&folder.file(&format!("{name}.tif")), &image.values, PixelType::F32, None, Some(&georef), true)
            .unwrap();
        let source = format!(
            r#"<VRTDataset rasterXSize="50000" rasterYSize="50000"><SRS>EPSG:32612</SRS>
            <GeoTransform>0, 10, 0, 4496000, 0, -10</GeoTransform><VRTRasterBand dataType="Float32" band="1">
            <NoDataValue>-1</NoDataValue><SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>
            <SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="200" ySize="200"/>
            <DstRect xOff="49700" yOff="49700" xSize="200" ySize="200"/></SimpleSource></VRTRasterBand></VRTDataset>"#
        );
        common::write_text(&folder.file(&format!("{name}.vrt")), &source);
    }
    let region = ["--region", "49700", "49700", "200", "200"];
    for method in ["lsm", "spatial"] {
        bands(&folder, "pre.vrt", "post.vrt", "out.tif", method, &[&region[..], &["--overwrite"]].concat());
        let file = read_all_bands(&folder.file("out.tif")).unwrap();
        let mut east: Vec<f32> = file.bands[0].values.data.iter().copied().filter(|v| v.is_finite()).collect();
        east.sort_by(f32::total_cmp);
        assert!(east.len() > 1000, "{method}: {} values", east.len());
        let middle = east[east.len() / 2];
        assert!((middle - 6.0).abs() < 0.2, "{method}: {middle} m");
        let info = gdal("gdalinfo", &[&folder.file("out.tif")]);
        assert!(info.contains("Origin = (497000"), "{info}");
    }
}
