//! Large motion: coarse to fine, priors, the automatic search range.

mod common;

use common::{Folder, rough_at, run, utm};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::raster::{Band, PixelType, write_bands, write_image};

const METHODS: [MethodName; 2] = [MethodName::Lsm, MethodName::Frequency];

/// The texture seen after a displacement `d` of the ground: post(x + d(x)) = pre(x).
fn moved(size: (usize, usize), d: impl Fn(f64, f64) -> (f64, f64)) -> Grid<f32> {
    Grid::from_fn(size.0, size.1, |x, y| {
        let (x, y) = (x as f64, y as f64);
        let (mut u, mut v) = (x, y);
        for _ in 0..40 {
            let (dx, dy) = d(u, v);
            (u, v) = (x - dx, y - dy);
        }
        rough_at(u, v) as f32
    })
}

fn memory(values: Grid<f32>) -> MemoryImage {
    MemoryImage(Image::from_values(values))
}

fn measure(pre: &MemoryImage, post: &MemoryImage, params: &Params) -> (Layout, Grid<Measurement>) {
    let size = (pre.0.width(), pre.0.height());
    let layout = Layout::new(size, params.window, params.step, None).unwrap();
    let mut found = common::Collect(Vec::new());
    pipeline::run(&Pair::new(pre, post, (0.0, 0.0)), &layout, params, 2, &mut found, &mut Silent).unwrap();
    (layout, found.map(&layout))
}

/// Share of cells, among those whose window stays inside the post image, that are valid and within `tolerance`; and the
/// number of valid cells that are wrong by more than a pixel.
fn score(
    layout: &Layout,
    field: &Grid<Measurement>,
    size: (usize, usize),
    d: impl Fn(f64, f64) -> (f64, f64),
    tolerance: f64,
) -> (f64, usize) {
    let (mut inside, mut good, mut wrong) = (0, 0, 0);
    for j in 0..field.height {
        for i in 0..field.width {
            let c = layout.centre(i, j);
            let t = d(c.dx, c.dy);
            let m = field.get(i, j);
            let e = (m.shift.dx - t.0).abs().max((m.shift.dy - t.1).abs());
            if m.status == Status::Valid && e > 1.0 {
                wrong += 1;
            }
            let room = |v: f64, n: usize| v > 40.0 && v < n as f64 - 40.0;
            if room(c.dx + t.0, size.0) && room(c.dy + t.1, size.1) && room(c.dx, size.0) && room(c.dy, size.1) {
                inside += 1;
                if m.status == Status::Valid && e < tolerance {
                    good += 1;
                }
            }
        }
    }
    (good as f64 / inside as f64, wrong)
}

#[test]
fn two_hundred_pixels_are_found_through_the_pyramid() {
    let size = (900, 700);
    let pre = memory(moved(size, |_, _| (0.0, 0.0)));
    let d = |_: f64, _: f64| (-187.3, 121.6);
    let post = memory(moved(size, d));
    for method in METHODS {
        let params = Params { method, search: (200.0, 200.0), step: (16, 16), ..Params::default() };
        let (layout, field) = measure(&pre, &post, &params);
        let (good, wrong) = score(&layout, &field, size, d, 0.05);
        println!("{method:?}: uniform {good:.3} right, {wrong} wrong");
        assert!(good > 0.99 && wrong == 0, "{method:?} {good} {wrong}");
    }
}

#[test]
fn a_fast_glacier_between_still_banks_is_followed() {
    let size = (1000, 700);
    // A stream 300 px wide that moves 150 px in its middle, beside ground that stands still.
    let d = |_: f64, y: f64| {
        let across = ((y - 350.0) / 150.0).clamp(-1.0, 1.0);
        (150.0 * (1.0 - across * across).powi(2), 0.0)
    };
    let pre = memory(moved(size, |_, _| (0.0, 0.0)));
    let post = memory(moved(size, d));
    let params = Params { search: (160.0, 20.0), step: (16, 16), window: (16, 16), ..Params::default() };
    let (layout, field) = measure(&pre, &post, &params);
    // Where the flow shears by more than a tenth of a pixel per pixel a window does not hold together.
    let gentle = |x: f64, y: f64| {
        let shear = (d(x, y + 8.0).0 - d(x, y - 8.0).0) / 16.0;
        if shear.abs() < 0.1 { d(x, y) } else { (f64::NAN, 0.0) }
    };
    let (good, wrong) = score(&layout, &field, size, gentle, 0.25);
    println!("glacier: {good:.3} within a quarter of a pixel, {wrong} wrong");
    assert!(good > 0.95 && wrong <= 5, "{good} {wrong}");
}

#[test]
fn both_sides_of_a_fault_with_sixty_pixels_of_slip_are_found() {
    let size = (900, 800);
    let d = |x: f64, _: f64| if x < 450.0 { (0.0, -30.4) } else { (0.0, 30.3) };
    let pre = memory(moved(size, |_, _| (0.0, 0.0)));
    let post = memory(Grid::from_fn(size.0, size.1, |x, y| {
        let (dx, dy) = d(x as f64, y as f64);
        rough_at(x as f64 - dx, y as f64 - dy) as f32
    }));
    let params = Params { search: (64.0, 64.0), ..Params::default() };
    let (layout, field) = measure(&pre, &post, &params);
    let far = |x: f64, y: f64| if (x - 450.0).abs() < 16.0 { (f64::NAN, 0.0) } else { d(x, y) };
    let (good, _) = score(&layout, &field, size, far, 0.05);
    println!("fault: {good:.3} right");
    assert!(good > 0.985, "{good}");
}

/// Pre and post image with a constant displacement as files, and a prior near it in another CRS.
#[test]
fn a_prior_on_another_grid_and_crs_tells_where_to_look() {
    let folder = Folder::new();
    let size = (420, 400);
    let place = utm(500_000.0, 4_000_000.0);
    let image = |d: (f64, f64)| Grid::from_fn(size.0, size.1, |x, y| rough_at(x as f64 - d.0, y as f64 - d.1) as f32);
    write_image(&folder.file("pre.tif"), &image((0.0, 0.0)), PixelType::F32, None, Some(&place), true).unwrap();
    write_image(&folder.file("post.tif"), &image((52.3, -31.7)), PixelType::F32, None, Some(&place), true).unwrap();
    // 52 px right and 31 px up, 10 m pixels.
    let (east, north) = (Grid::filled(30, 30, 520.0f32), Grid::filled(30, 30, 310.0f32));
    let coarse = shiftmap::raster::GeoReference::new(
        shiftmap::field::GeoTransform([499_000.0, 250.0, 0.0, 4_001_000.0, 0.0, -250.0]),
        place.crs.clone(),
    );
    let bands = [
        Band { description: "East displacement", unit: "m", values: &east },
        Band { description: "North displacement", unit: "m", values: &north },
    ];
    write_bands(&folder.file("prior.tif"), &bands, Some(&coarse), &[], true).unwrap();
    common::gdal(
        "gdalwarp",
        &["-q", "-t_srs", "EPSG:32613", "-dstnodata", "nan", &folder.file("prior.tif"), &folder.file("other.tif")],
    );
    // What is no displacement, and not declared as such, is named.
    let filled = Grid::from_fn(30, 30, |x, _| if x % 8 == 5 { -327_670.0f32 } else { 520.0 });
    let bad = [
        Band { values: &filled, description: "East displacement", unit: "m" },
        Band { values: &north, description: "North displacement", unit: "m" },
    ];
    write_bands(&folder.file("bad.tif"), &bad, Some(&coarse), &[], true).unwrap();
    let (code, _, err) =
        run(&folder, &["displacement", "pre.tif", "post.tif", "bad_out.tif", "--prior", "bad.tif", "--search", "3"]);
    assert!(code != 0 && err.contains("--prior") && err.contains("gdal_edit.py -a_nodata"), "{err}");
    assert!(!std::path::Path::new(&folder.file("bad_out.tif")).exists());
    for prior in ["prior.tif", "other.tif"] {
        let arguments = [
            "displacement",
            "pre.tif",
            "post.tif",
            "out.tif",
            "--prior",
            prior,
            "--json",
            "--overwrite",
            "--search",
            "3",
        ];
        let (code, out, err) = run(&folder, &arguments);
        if prior == "other.tif" {
            // A displacement keeps its direction on the ground; the axes of the two zones are not parallel.
            println!("{out}{err}");
        }
        assert_eq!(code, 0, "{err}");
        let bands = shiftmap::raster::read_all_bands(&folder.file("out.tif")).unwrap();
        let mut east: Vec<f32> = bands.bands[0].values.data.iter().copied().filter(|v| *v != 0.0).collect();
        let mut north: Vec<f32> = bands.bands[1].values.data.iter().copied().filter(|v| *v != 0.0).collect();
        assert!(east.len() > 1200, "{prior}: {} valid", east.len());
        east.sort_by(f32::total_cmp);
        north.sort_by(f32::total_cmp);
        assert!((east[east.len() / 2] - 523.0).abs() < 0.2 && (north[north.len() / 2] - 317.0).abs() < 0.2);
    }
    // Without it nothing is found within 3 px.
    let (code, out, _) = run(&folder, &["displacement", "pre.tif", "post.tif", "no.tif", "--search", "3", "--json"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(json["status"]["valid"].as_u64().unwrap() < 10, "{json}");
}

#[test]
fn the_search_range_is_found_on_the_pair() {
    let folder = Folder::new();
    common::write_pair(&folder, (600, 600), 23.4, -6.2);
    let arguments = ["displacement", "pre.tif", "post.tif", "out.tif", "--search", "auto"];
    let (code, _, err) = run(&folder, &arguments);
    assert_eq!(code, 0, "{err}");
    println!("{err}");
    assert!(err.contains("search: 31x10 px (largest displacement 23 x 6 px"), "{err}");
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "capped.tif", "--search", "auto:24"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("limited to the cap of 24 px"), "{err}");
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "x.tif", "--search", "auto:0"]);
    assert!(code == 1 && err.contains("cap"), "{err}");
}

#[test]
fn pairs_with_nothing_in_common_have_no_search_range() {
    let folder = Folder::new();
    let place = utm(500_000.0, 4_000_000.0);
    let image = |far: f64| Grid::from_fn(300, 300, |x, y| rough_at(x as f64 + far, y as f64 - 7.0 * far) as f32);
    for (name, far) in [("pre.tif", 0.0), ("post.tif", 5000.0)] {
        write_image(&folder.file(name), &image(far), PixelType::F32, None, Some(&place), true).unwrap();
    }
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "out.tif", "--search", "auto"]);
    assert!(code == 1 && err.contains("no search range can be derived"), "{err}");
    assert!(!folder.names().contains(&"out.tif".to_string()));
}

#[test]
fn small_windows_where_they_suffice_larger_ones_fill() {
    // Weak, noisy texture in the right half.
    let size = (512, 256);
    let noise = |x: usize, y: usize, k: f64| 90.0 * (rough_at(x as f64 * 7.7 + k, y as f64 * 9.3 - k) - 4000.0) / 250.0;
    let image = |d: f64, k: f64| {
        memory(Grid::from_fn(size.0, size.1, |x, y| {
            let contrast = if x < 256 { 1.0 } else { 0.45 };
            (contrast * rough_at(x as f64 - d, y as f64) + noise(x, y, k)) as f32
        }))
    };
    let (pre, post) = (image(0.0, 1000.0), image(0.4, -5000.0));
    let valid = |params: &Params| {
        let (_, field) = measure(&pre, &post, params);
        let good = |m: &&Measurement| m.status == Status::Valid;
        let error: f64 = field.data.iter().filter(good).map(|m| (m.shift.dx - 0.4).abs()).sum();
        let count = field.data.iter().filter(good).count();
        (count as f64 / field.data.len() as f64, error / count as f64)
    };
    let small = valid(&Params { window: (16, 16), ..Params::default() });
    let both = valid(&Params { window: (16, 16), larger_windows: vec![(32, 32), (64, 64)], ..Params::default() });
    println!("small {small:?}, filled {both:?}");
    assert!(both.0 > small.0 + 0.02 && both.0 > 0.99, "{small:?} {both:?}");
}
