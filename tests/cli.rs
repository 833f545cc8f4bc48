//! `shiftmap displacement` and `info` as a user meets them.

mod common;

use common::*;
use shiftmap::field::GeoTransform;
use shiftmap::grid::{Grid, Image, Window};
use shiftmap::raster::{Crs, GeoReference, PixelType, RasterFile, read_all_bands, write_image, write_png};

/// The run must succeed; returns standard output and standard error.
fn displacement(folder: &Folder, arguments: &[&str]) -> (String, String) {
    let (code, out, err) = run(folder, &[&["displacement"], arguments].concat());
    assert_eq!(code, 0, "{arguments:?}: {err}");
    (out, err)
}

fn median(image: &Image) -> f32 {
    let mut values: Vec<f32> =
        image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok).map(|(v, _)| *v).collect();
    assert!(values.len() > 50, "{} values", values.len());
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

fn medians(file: &RasterFile) -> (f32, f32) {
    (median(&file.bands[0]), median(&file.bands[1]))
}

fn write(folder: &Folder, name: &str, c: [f64; 6], crs: &str, size: (usize, usize), at: impl Fn(f64, f64) -> f64) {
    let georef = GeoReference::new(GeoTransform(c), Some(Crs::from_definition(crs).unwrap()));
    let values = Grid::from_fn(size.0, size.1, |x, y| {
        let (e, n) = georef.transform.map(x as f64 + 0.5, y as f64 + 0.5);
        at(e, n) as f32
    });
    write_image(&folder.file(name), &values, PixelType::U16, None, Some(&georef), true).unwrap();
}

/// Texture fixed to the ground of UTM zone 12, with 10 m for one of its own pixels.
fn ground(e: f64, n: f64) -> f64 {
    rough_at((e - 500_000.0) / 10.0, (4_000_000.0 - n) / 10.0)
}

const GRID: [f64; 6] = [500_000.0, 10.0, 0.0, 4_000_000.0, 0.0, -10.0];

#[test]
fn the_product_says_what_it_is() {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    gdal(
        "gdal_translate",
        &["-q", "-mo", "TIFFTAG_DATETIME=2023:02:01 08:00:00", &folder.file("pre.tif"), &folder.file("dated.tif")],
    );
    let (out, err) = displacement(&folder, &["dated.tif", "post.tif", "out.tif", "--step", "8", "--window", "33x31"]);
    assert_eq!(out, "0...10...20...30...40...50...60...70...80...90...100 - done.\n");
    assert_eq!(err, "");
    assert_eq!(folder.names(), ["dated.tif", "out.tif", "post.tif", "pre.tif"]);

    let info = gdalinfo(&folder.file("out.tif"));
    assert!(info["coordinateSystem"]["wkt"].as_str().unwrap().contains("UTM zone 12N"));
    // Window (33, 31), step 8: the first window starts at (-12, -11), so its centre is pixel (4, 4), i.e. 45 m from the
    // corner, and the cell around it starts at 5 m.
    assert_eq!(info["geoTransform"], serde_json::json!([500005.0, 80.0, 0.0, 3999995.0, 0.0, -80.0]));
    let want = [
        ("East displacement", "m"),
        ("North displacement", "m"),
        ("Quality", ""),
        ("East sigma", "m"),
        ("North sigma", "m"),
        ("Status", ""),
    ];
    for (band, (name, unit)) in info["bands"].as_array().unwrap().iter().zip(want) {
        assert_eq!(band["description"], name);
        assert_eq!(band["unit"].as_str().unwrap_or(""), unit, "{name}");
        assert_eq!((band["type"].as_str(), band["noDataValue"].as_str()), (Some("Float32"), Some("NaN")));
    }
    assert_eq!(info["bands"][5]["metadata"][""]["STATUS_3"], "peak on the search edge");
    let meta = &info["metadata"]["SHIFTMAP"];
    for (key, value) in [
        ("VERSION", env!("CARGO_PKG_VERSION")),
        ("METHOD", "lsm"),
        ("WINDOW", "33x31"),
        ("STEP", "8x8"),
        ("SEARCH_PX", "4x4"),
        ("PREFILTER", "coherence"),
        ("MIN_VALID", "0.5"),
        ("PRE", "dated.tif"),
        ("POST", "post.tif"),
        ("PRE_DATE", "2023:02:01 08:00:00"),
        ("UNITS", "m"),
        ("SEED", "0"),
    ] {
        assert_eq!(meta[key], value, "{key}");
    }
    assert!(meta["COMMAND"].as_str().unwrap().starts_with("shiftmap displacement dated.tif post.tif OUT --method lsm"));
    assert!(meta["INTERPOLATION"].is_string(), "facts found by the run");

    // 0.4 px right and 0.3 px up at 10 m: 4 m east, 3 m north.
    let file = read_all_bands(&folder.file("out.tif")).unwrap();
    let (east, north) = medians(&file);
    assert!((east - 4.0).abs() < 0.1 && (north - 3.0).abs() < 0.1, "{east} {north}");
    for (i, &ok) in file.bands[0].valid.data.iter().enumerate() {
        let status = file.bands[5].values.data[i];
        assert!(file.bands[5].valid.data[i]);
        assert_eq!(ok, status == 0.0, "a value where the status is valid, and only there");
        assert_eq!(ok, file.bands[3].valid.data[i]);
    }
}

#[test]
fn messages_go_where_they_belong() {
    let folder = Folder::new();
    write_pair(&folder, (160, 120), 0.0, 0.0);
    let (out, err) = displacement(&folder, &["pre.tif", "post.tif", "a.tif", "--quiet"]);
    assert_eq!((out.as_str(), err.as_str()), ("", ""));
    let (out, err) =
        displacement(&folder, &["pre.tif", "post.tif", "b.tif", "--json", "--window", "32", "--step", "10x8"]);
    assert_eq!(err, "");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["grid"]["width"], 16);
    assert_eq!(json["grid"]["height"], 15);
    assert_eq!(json["cells"], 240);
    assert_eq!(json["first_window"], serde_json::json!({"x": -11, "y": -12, "width": 32, "height": 32}));
    assert_eq!(json["unit"], "m");
    let total: u64 = json["status"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(total, 240);
    assert!(json["status"]["valid"].as_u64().unwrap() > 100);
    let written = gdalinfo(&folder.file("b.tif"));
    assert_eq!(written["geoTransform"], json["grid"]["geotransform"]);
    assert_eq!(written["size"], serde_json::json!([16, 15]));
}

#[test]
fn images_of_other_origins_show_no_motion() {
    let folder = Folder::new();
    write(&folder, "pre.tif", GRID, "EPSG:32612", (200, 160), ground);
    let shifted = [GRID[0] - 37.5, 10.0, 0.0, GRID[3] + 23.0, 0.0, -10.0];
    write(&folder, "post.tif", shifted, "EPSG:32612", (210, 170), ground);
    let (out, _) = displacement(&folder, &["pre.tif", "post.tif", "out.tif", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!((json["post_origin"][0].as_f64().unwrap() - 3.75).abs() < 1e-9);
    assert!((json["post_origin"][1].as_f64().unwrap() - 2.3).abs() < 1e-9);
    let (east, north) = medians(&read_all_bands(&folder.file("out.tif")).unwrap());
    assert!(east.abs() < 0.1 && north.abs() < 0.1, "{east} {north}");
}

#[test]
fn rotated_grids_give_east_and_north() {
    let folder = Folder::new();
    let grid = [500_000.0, 8.0, 6.0, 4_000_000.0, 6.0, -8.0];
    write(&folder, "pre.tif", grid, "EPSG:32612", (180, 160), ground);
    // The ground moves 5 m east and 2 m south.
    write(&folder, "post.tif", grid, "EPSG:32612", (180, 160), |e, n| ground(e - 5.0, n + 2.0));
    displacement(&folder, &["pre.tif", "post.tif", "out.tif", "-q"]);
    let file = read_all_bands(&folder.file("out.tif")).unwrap();
    let (east, north) = medians(&file);
    assert!((east - 5.0).abs() < 0.1 && (north + 2.0).abs() < 0.1, "{east} {north}");
    assert_eq!(file.georef.transform.0[1..3], [64.0, 48.0]);
}

#[test]
fn resampled_images_show_no_motion() {
    let folder = Folder::new();
    write(&folder, "pre.tif", GRID, "EPSG:32612", (200, 160), ground);
    write(&folder, "fine.tif", [499_800.0, 7.0, 0.0, 4_000_300.0, 0.0, -7.0], "EPSG:32612", (350, 300), ground);
    displacement(&folder, &["pre.tif", "fine.tif", "out.tif", "--resample", "-q"]);
    let (east, north) = medians(&read_all_bands(&folder.file("out.tif")).unwrap());
    assert!(east.abs() < 0.1 && north.abs() < 0.1, "{east} {north}");
    assert_eq!(gdalinfo(&folder.file("out.tif"))["metadata"]["SHIFTMAP"]["RESAMPLED"], "YES");
}

#[test]
fn images_without_georeference_are_measured_in_pixels() {
    let folder = Folder::new();
    for (name, d) in [("a.png", 0.0), ("b.png", 0.5)] {
        let rgb: Vec<u8> = (0..3 * 160 * 120usize)
            .map(|i| {
                ((rough_at((i / 3 % 160) as f64 - d, (i / 480) as f64 + d) - 2000.0) / 16.0).clamp(1.0, 255.0) as u8
            })
            .collect();
        write_png(&folder.file(name), 160, 120, &rgb, false).unwrap();
    }
    let (_, err) = displacement(&folder, &["a.png", "b.png", "out.tif"]);
    assert!(err.contains("a.png") && err.contains("pixels"), "{err}");
    let file = read_all_bands(&folder.file("out.tif")).unwrap();
    assert_eq!(file.units[0], "px");
    // Half a pixel right and half a pixel up.
    let (right, up) = medians(&file);
    assert!((right - 0.5).abs() < 0.03 && (up - 0.5).abs() < 0.03, "{right} {up}");
    // The same with --units px on georeferenced images.
    write_pair(&folder, (160, 120), 0.4, -0.3);
    displacement(&folder, &["pre.tif", "post.tif", "px.tif", "--units", "px", "-q"]);
    let file = read_all_bands(&folder.file("px.tif")).unwrap();
    let (right, up) = medians(&file);
    assert!((right - 0.4).abs() < 0.01 && (up - 0.3).abs() < 0.01, "{right} {up}");
    assert_eq!(file.units[3], "px");
}

#[test]
fn nodata_in_is_nodata_out() {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.0, 0.0);
    let mut post = read_all_bands(&folder.file("post.tif")).unwrap();
    (0..160).for_each(|y| (0..80).for_each(|x| post.bands[0].values.set(x, y, 0.0)));
    write_image(&folder.file("post.tif"), &post.bands[0].values, PixelType::U16, None, Some(&post.georef), true)
        .unwrap();
    let (_, err) = displacement(&folder, &["pre.tif", "post.tif", "out.tif"]);
    assert!(err.contains("post.tif: a corner is all 0") && err.contains("--nodata none"), "{err}");
    let file = read_all_bands(&folder.file("out.tif")).unwrap();
    assert_eq!(file.bands[5].values.get(2, 10), 1.0);
    assert!(!file.bands[0].valid.get(2, 10) && file.bands[0].valid.get(18, 10));
    assert_eq!(gdalinfo(&folder.file("out.tif"))["metadata"]["SHIFTMAP"]["POST_NODATA"], "0 (undeclared border)");
    let (_, err) = displacement(&folder, &["pre.tif", "post.tif", "kept.tif", "--nodata", "none"]);
    assert_eq!(err, "");
    assert_ne!(read_all_bands(&folder.file("kept.tif")).unwrap().bands[5].values.get(2, 10), 1.0);
}

#[test]
fn a_region_is_the_same_part_of_the_whole() {
    let folder = Folder::new();
    write_pair(&folder, (300, 220), 0.4, -0.3);
    displacement(&folder, &["pre.tif", "post.tif", "whole.tif", "-q"]);
    displacement(&folder, &["pre.tif", "post.tif", "part.tif", "-q", "--region", "60", "40", "100", "90"]);
    let whole = read_all_bands(&folder.file("whole.tif")).unwrap();
    let part = read_all_bands(&folder.file("part.tif")).unwrap();
    let (x, y) = part.georef.transform.map(0.5, 0.5);
    let (i, j) = whole.georef.transform.pixel(x, y).unwrap();
    let at = Window::new(i.floor() as i64, j.floor() as i64, part.bands[0].width(), part.bands[0].height());
    for (w, p) in whole.bands.iter().zip(&part.bands) {
        assert_eq!(w.values.crop(at), p.values);
        assert_eq!(w.valid.crop(at), p.valid);
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let folder = Folder::new();
    write_pair(&folder, (700, 600), 0.4, -0.3);
    let bytes = |name: &str, more: &[&str]| {
        displacement(&folder, &[&["pre.tif", "post.tif", name, "-q", "--method", "frequency"], more].concat());
        std::fs::read(folder.file(name)).unwrap()
    };
    let one = bytes("one.tif", &["--threads", "1"]);
    assert!(one == bytes("two.tif", &["--threads", "2"]), "thread count");
    assert!(one == bytes("five.tif", &["--threads", "5", "--config", "GDAL_CACHEMAX", "1"]), "threads and cache");
    assert!(bytes("a.nc", &["--step", "32"]) == bytes("b.nc", &["--step", "32", "--threads", "2"]), "netCDF");
}

#[test]
fn formats_and_creation_options_in_gdals_forms() {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    let base = |name: &str, more: &[&str]| {
        displacement(&folder, &[&["pre.tif", "post.tif", name, "-q"], more].concat());
        folder.file(name)
    };
    let plain = read_all_bands(&base("plain.tif", &[])).unwrap();
    let cog = base("cog.tif", &["-of", "COG", "-co", "COMPRESS=ZSTD", "-b", "1"]);
    let info = gdalinfo(&cog);
    assert_eq!(info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG");
    assert_eq!(info["metadata"]["IMAGE_STRUCTURE"]["COMPRESSION"], "ZSTD");
    assert_eq!(info["metadata"][""]["SHIFTMAP_METHOD"], "lsm");
    assert!(info["metadata"][""]["SHIFTMAP_INTERPOLATION"].is_string());
    assert_eq!(info["bands"][4]["description"], "North sigma");
    assert_eq!(info["bands"][4]["unit"], "m");
    let level = base("level.tif", &["--co", "COMPRESS=DEFLATE", "--co", "ZLEVEL=9", "--format", "GTiff"]);
    assert_eq!(gdalinfo(&level)["metadata"]["SHIFTMAP"]["METHOD"], "lsm");
    let strips = base("strips.tif", &["-co", "TILED=NO"]);
    assert_eq!(gdalinfo(&strips)["bands"][0]["block"][0], 25);
    let erdas = base("erdas.img", &[]);
    for path in [&cog, &level, &strips, &erdas] {
        let copy = read_all_bands(path).unwrap();
        assert_eq!(copy.georef.transform, plain.georef.transform);
        for (a, b) in plain.bands.iter().zip(&copy.bands) {
            assert_eq!(a, b, "{path}");
        }
    }
    // QGIS draws arrows from variables with these long names.
    let netcdf = base("arrows.nc", &[]);
    let info = gdal("gdalinfo", &[&netcdf]);
    assert!(info.contains("east_displacement"), "{info}");
    let name = info.lines().find_map(|l| l.split_once("SUBDATASET_1_NAME=")).unwrap().1;
    let variable = gdal("gdalinfo", &[name]);
    assert!(variable.contains("u-component of displacement") && variable.contains("units=m"), "{variable}");
    assert!(variable.contains("UTM zone 12N"));
}

#[test]
fn open_options_and_configuration_reach_gdal() {
    let folder = Folder::new();
    write_pair(&folder, (400, 320), 0.8, -0.6);
    for name in ["pre.tif", "post.tif"] {
        gdal("gdaladdo", &["-q", "-r", "average", &folder.file(name), "2"]);
    }
    displacement(&folder, &["pre.tif", "post.tif", "half.tif", "-oo", "OVERVIEW_LEVEL=0", "-q", "--step", "10"]);
    assert_eq!(gdalinfo(&folder.file("half.tif"))["size"], serde_json::json!([20, 16]));
    let (code, out, _) = run(&folder, &["info", "--json", "--config", "GDAL_CACHEMAX", "77"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["gdal_cache_mb"].as_str()), (0, Some("77")));
}

#[test]
fn help_teaches() {
    let folder = Folder::new();
    let (code, out, _) = run(&folder, &["displacement", "--help"]);
    assert_eq!(code, 0);
    for part in ["EXAMPLES", "east and", "positive", "Cells without a value are NaN", "--search 300m", "--overwrite"] {
        assert!(out.contains(part), "{part}");
    }
    let (code, out, _) = run(&folder, &["--help"]);
    assert!(code == 0 && out.contains("displacement") && out.contains("info"));
    let (code, out, _) = run(&folder, &["--version"]);
    assert_eq!((code, out), (0, format!("shiftmap {}\n", env!("CARGO_PKG_VERSION"))));
    let (code, out, _) = run(&folder, &["info"]);
    assert!(code == 0 && out.contains("GDAL 3.") && out.contains("cores:"), "{out}");
}
