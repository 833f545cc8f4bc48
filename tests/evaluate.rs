//! `shiftmap evaluate` on files: units, grids, bands, refusals.
mod common;

use common::{Folder, utm};
use shiftmap::evaluate::EvaluateJob;
use shiftmap::evaluate::compare::Place;
use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::raster::{Band, Crs, DOMAIN, GeoReference, Line, write_bands, write_lines};

/// Writes a two-band displacement raster.
fn field(path: &str, east: &Grid<f32>, north: &Grid<f32>, unit: &str, georef: Option<&GeoReference>) {
    let band = |description, values| Band { description, unit, values };
    let bands = [band("East displacement", east), band("North displacement", north)];
    write_bands(path, &bands, georef, &[], true).unwrap();
}

#[test]
fn metres_against_pixels_and_a_coarse_grid_against_a_fine_one() {
    let folder = Folder::new();
    let (truth, estimate) = (folder.file("truth.tif"), folder.file("estimate.tif"));
    // Truth: 64 × 64 pixels of 10 m, in metres, 5 m east and -2 m north everywhere.
    field(&truth, &Grid::filled(64, 64, 5.0), &Grid::filled(64, 64, -2.0), "m", Some(&utm(1000.0, 9000.0)));
    // Estimate: 8 × 8 cells of 80 m in pixels: 0.6 px east (0.1 too much), -0.2 px north (right), one cell missing.
    let mut east = Grid::filled(8, 8, 0.6);
    east.set(3, 3, f32::NAN);
    let cells = utm(0.0, 0.0).with_transform(GeoTransform([1000.0, 80.0, 0.0, 9000.0, 0.0, -80.0]));
    field(&estimate, &east, &Grid::filled(8, 8, -0.2), "px", Some(&cells));
    let got = EvaluateJob::new(&estimate, &truth).run().unwrap();
    assert_eq!((got.unit, got.pixel), ("px", (10.0, 10.0)));
    assert_eq!((got.result.positions, got.result.compared), (64, 63));
    assert!((got.result.errors.east.bias - 0.1).abs() < 1e-6 && got.result.errors.north.mae < 1e-6);
    assert!(got.result.calibration.is_none());
    let metres = EvaluateJob { metres: true, ..EvaluateJob::new(&estimate, &truth) }.run().unwrap();
    assert!((metres.result.errors.east.bias - 1.0).abs() < 1e-5);
    let pixels = EvaluateJob { place: Place::Pixels, ..EvaluateJob::new(&estimate, &truth) }.run().unwrap();
    // Between the outer cell centres (56 × 56 pixels) without the four quarters around the gap (16 × 16).
    assert_eq!((pixels.result.positions, pixels.result.compared), (4096, 56 * 56 - 256));
}

#[test]
fn sigma_bands_and_the_trace_are_found() {
    let folder = Folder::new();
    let (truth, estimate, trace) = (folder.file("t.tif"), folder.file("e.tif"), folder.file("trace.gpkg"));
    let georef = utm(0.0, 3000.0);
    let zero = Grid::filled(300, 300, 0.0);
    field(&truth, &zero, &zero, "m", Some(&georef));
    // Bands in an unusual order: they are found by name.
    let (east, sigma) = (Grid::filled(300, 300, 3.0), Grid::filled(300, 300, 2.0));
    let names = ["Quality", "North sigma", "East displacement", "North displacement", "East sigma"];
    let values = [&zero, &sigma, &east, &zero, &sigma];
    let bands: Vec<Band> =
        names.iter().zip(values).map(|(description, values)| Band { description, unit: "m", values }).collect();
    write_bands(&estimate, &bands, Some(&georef), &[], false).unwrap();
    let line = Line { points: vec![(0.0, 3000.0), (0.0, 0.0)], attributes: vec![] };
    write_lines(&trace, "trace", &[line], Some(&Crs::from_definition("EPSG:32612").unwrap()), false).unwrap();
    let job = EvaluateJob { trace: Some(trace), ..EvaluateJob::new(&estimate, &truth) };
    let got = job.run().unwrap().result;
    let z = got.calibration.unwrap();
    assert!((z.east.mean - 1.5).abs() < 1e-6 && z.east.within_95 == 1.0 && z.north.mean == 0.0);
    let n: Vec<usize> = got.by_distance.iter().map(|c| c.errors.as_ref().unwrap().east.n).collect();
    assert_eq!(n, [1500, 1500, 3000, 84_000], "a vertical trace along the left edge: 5, 5, 10 and 280 columns");
}

#[test]
fn pixel_coordinates_place_the_cells_of_images_without_a_crs() {
    let folder = Folder::new();
    let (truth, estimate) = (folder.file("t.tif"), folder.file("e.tif"));
    // East = column: the centre of window 33 at step 8 is what decides.
    let columns = Grid::from_fn(128, 96, |x, _| x as f32);
    field(&truth, &columns, &Grid::filled(128, 96, 0.0), "px", None);
    let layout = shiftmap::layout::Layout::new((128, 96), (33, 33), (8, 8), None).unwrap();
    let (w, h) = layout.cells;
    let east = Grid::from_fn(w, h, |i, _| layout.centre(i, 0).dx as f32);
    let north = Grid::filled(w, h, 0.0);
    let band = |description, values| Band { description, unit: "px", values };
    let bands = [band("East displacement", &east), band("North displacement", &north)];
    let metadata = [(DOMAIN, "STEP", "8x8"), (DOMAIN, "UNITS", "px")];
    let cells = GeoReference::none().with_transform(layout.geotransform(&GeoTransform::PIXELS));
    write_bands(&estimate, &bands, Some(&cells), &metadata, false).unwrap();
    let got = EvaluateJob::new(&estimate, &truth).run().unwrap();
    assert!(got.result.compared > 150 && got.result.errors.east.rmse < 1e-6, "{:?}", got.result.errors.east);
    assert_eq!(got.pixel, (1.0, 1.0));
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let folder = Folder::new();
    let zero = Grid::filled(32, 32, 0.0);
    let place = |name: &str, georef: Option<&GeoReference>, unit: &str| {
        let path = folder.file(name);
        field(&path, &zero, &zero, unit, georef);
        path
    };
    let truth = place("truth.tif", Some(&utm(0.0, 0.0)), "m");
    let far = place("far.tif", Some(&utm(90_000.0, 0.0)), "m");
    let other = GeoReference::new(utm(0.0, 0.0).transform, Some(Crs::from_definition("EPSG:32633").unwrap()));
    let zone = place("zone.tif", Some(&other), "m");
    let bare = place("bare.tif", None, "px");
    let feet = place("feet.tif", Some(&utm(0.0, 0.0)), "ft");
    let single = folder.file("single.tif");
    let band = Band { description: "East displacement", unit: "m", values: &zero };
    write_bands(&single, &[band], Some(&utm(0.0, 0.0)), &[], false).unwrap();
    for (estimate, want) in [
        (far.as_str(), "do not overlap"),
        (&zone, "EPSG:32633"),
        (&bare, "-a_srs EPSG:32612"),
        (&feet, "`ft`"),
        (&single, "two bands"),
        ("/nowhere.tif", "/nowhere.tif"),
    ] {
        let run = assert_cmd::Command::cargo_bin("shiftmap").unwrap().args(["evaluate", estimate, &truth]).assert();
        let text = String::from_utf8_lossy(&run.code(1).get_output().stderr).to_string();
        assert!(text.starts_with("ERROR: ") && text.contains(want), "{estimate}: {text}");
    }
    let degrees = folder.file("degrees.gpkg");
    let line = Line { points: vec![(-111.0, 38.0), (-110.9, 38.1)], attributes: vec![] };
    write_lines(&degrees, "trace", &[line], None, false).unwrap();
    let elsewhere = EvaluateJob { trace: Some(degrees), ..EvaluateJob::new(&truth, &truth) };
    assert!(elsewhere.run().unwrap_err().to_string().contains("ogr2ogr -t_srs"));
    let empty = place("empty.tif", Some(&utm(0.0, 0.0)), "m");
    field(&empty, &Grid::filled(32, 32, f32::NAN), &zero, "m", Some(&utm(0.0, 0.0)));
    let text = EvaluateJob::new(&empty, &truth).run().unwrap_err().to_string();
    assert!(text.contains("1024 positions"), "{text}");
    let text = EvaluateJob { metres: true, ..EvaluateJob::new(&bare, &bare) }.run().unwrap_err().to_string();
    assert!(text.contains("--units"), "{text}");
}

#[test]
fn the_table_and_the_json_carry_the_numbers() {
    let folder = Folder::new();
    let (truth, estimate) = (folder.file("t.tif"), folder.file("e.tif"));
    let georef = utm(0.0, 0.0);
    field(&truth, &Grid::filled(40, 40, 0.0), &Grid::filled(40, 40, 0.0), "m", Some(&georef));
    field(&estimate, &Grid::filled(40, 40, 7.5), &Grid::filled(40, 40, -1.25), "m", Some(&georef));
    let run = |extra: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("shiftmap").unwrap();
        let out = command.args(["evaluate", &estimate, &truth]).args(extra).assert().success();
        String::from_utf8(out.get_output().stdout.clone()).unwrap()
    };
    let table = run(&[]);
    assert!(table.contains("1600 of 1600 cells") && table.contains("0.7500") && table.contains("-0.1250"), "{table}");
    assert!(table.contains("100.00%"), "0.75 px is an outlier: {table}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(json["errors"]["east"]["mae"], 0.75);
    assert_eq!(json["errors"]["north"]["bias"], -0.125);
    assert_eq!(json["outliers"], 1.0);
    assert_eq!(json["unit"], "px");
}

/// A step of 20 m across the middle column, smeared by `smear` pixels in the estimate.
fn stepped(folder: &Folder, name: &str, smear: f64, shift: f32) -> String {
    let path = folder.file(name);
    let east =
        Grid::from_fn(200, 200, |_, j| ((100.0 - (j as f64 + 0.5)) / smear).clamp(-0.5, 0.5) as f32 * 20.0 + shift);
    field(&path, &east, &Grid::filled(200, 200, 0.0), "m", Some(&utm(0.0, 2000.0)));
    path
}

#[test]
fn several_estimates_stand_side_by_side_with_sharpness_similarity_and_stable_ground() {
    let folder = Folder::new();
    let truth = stepped(&folder, "truth.tif", 1e-6, 0.0);
    let (sharp, blurred) = (stepped(&folder, "sharp.tif", 10.0, 0.0), stepped(&folder, "blurred.tif", 30.0, 1.0));
    let trace = folder.file("trace.gpkg");
    let line = Line { points: vec![(0.0, 1000.0), (2000.0, 1000.0)], attributes: vec![] };
    write_lines(&trace, "trace", &[line], Some(&Crs::from_definition("EPSG:32612").unwrap()), false).unwrap();
    // In another coordinate system: it is brought to the rasters.
    let degrees = folder.file("degrees.gpkg");
    common::gdal("ogr2ogr", &["-t_srs", "EPSG:4326", &degrees, &trace]);
    let stable = folder.file("stable.tif");
    let flags = Grid::from_fn(200, 200, |_, j| if j < 50 { 1.0 } else { 0.0 });
    write_bands(
        &stable,
        &[Band { description: "stable", unit: "", values: &flags }],
        Some(&utm(0.0, 2000.0)),
        &[],
        false,
    )
    .unwrap();
    let (md, json, png) = (folder.file("r.md"), folder.file("r.json"), folder.file("r.png"));
    let common_part = ["--trace", &degrees, "--distances", "10,40", "--stable", &stable];
    let arguments = [&["evaluate", &sharp, &blurred, &truth][..], &common_part].concat();
    let reports = ["--report", &md, "--report", &json, "--report", &png, "--json"];
    let (code, out, error) = common::run(&folder, &[&arguments[..], &reports].concat());
    assert_eq!(code, 0, "{error}");
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(list, serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(&json).unwrap()).unwrap());
    // A ramp of n pixels rises from 10 to 90 % over 0.8 n, seen by an error function as some 0.74 n.
    for (k, n) in [(0, 10.0), (1, 30.0)] {
        let e = &list[k];
        let rise = e["sharpness"]["estimate_rise"].as_f64().unwrap();
        assert!((0.6 * n..0.9 * n).contains(&rise), "{n}: {rise}");
        assert!(e["sharpness"]["truth_rise"].as_f64().unwrap() < 1.5);
        assert_eq!(e["by_distance"].as_array().unwrap().len(), 3);
        assert_eq!(e["by_distance"][1]["label"], "10-40 px");
        assert!((e["stable"]["values"]["east"]["median"].as_f64().unwrap() - 1.0 - 0.1 * k as f64).abs() < 1e-5);
        assert_eq!(e["stable"]["values"]["east"]["n"], 50 * 200);
    }
    // Polygons around the same ground say the same, in any coordinate system.
    let rock = "{\"type\":\"Feature\",\"properties\":{},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":\
                [[[-50,1500],[2050,1500],[2050,2050],[-50,2050],[-50,1500]]]}}";
    common::write_text(&folder.file("rock.geojson"), rock);
    let rock = folder.file("rock.gpkg");
    let systems = ["-a_srs", "EPSG:32612", &folder.file("rock-utm.gpkg"), &folder.file("rock.geojson")];
    common::gdal("ogr2ogr", &systems);
    common::gdal("ogr2ogr", &["-t_srs", "EPSG:4326", &rock, &folder.file("rock-utm.gpkg")]);
    let (code, out, error) = common::run(&folder, &["evaluate", &sharp, &truth, "--stable", &rock, "--json"]);
    assert_eq!(code, 0, "{error}");
    let inside: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(inside["stable"], list[0]["stable"]);
    let similar = |k: usize| list[k]["ssim"]["east"]["mean"].as_f64().unwrap();
    assert!(similar(0) > similar(1) && similar(0) < 1.0, "{} {}", similar(0), similar(1));
    let table = std::fs::read_to_string(&md).unwrap();
    assert!(table.contains("| sharp") || table.contains("sharp.tif"), "{table}");
    assert!(table.contains("10-90 % rise") && table.contains("MAE > 40 px"), "{table}");
    assert!(std::fs::metadata(&png).unwrap().len() > 2000);
    // Existing reports are not replaced unasked; other names and limits are refused.
    for (extra, want) in [
        (["--report", md.as_str()], "--overwrite"),
        (["--report", "x.docx"], ".md, .json or .png"),
        (["--distances", "9,5"], "ascending order"),
        (["--section-length", "2"], "--section-length"),
    ] {
        let (code, _, error) =
            common::run(&folder, &[&["evaluate", &sharp, &truth, "--trace", &degrees][..], &extra].concat());
        assert!(code == 1 && error.contains(want), "{extra:?}: {error}");
    }
    let (code, _, error) = common::run(&folder, &["evaluate", &sharp]);
    assert_eq!(code, 2, "{error}");
}

#[test]
fn maps_of_combine_are_judged_in_metres_with_up() {
    let folder = Folder::new();
    let (truth, estimate) = (folder.file("t.tif"), folder.file("e.tif"));
    let georef = utm(0.0, 0.0).with_transform(GeoTransform([0.0, 2000.0, 0.0, 80_000.0, 0.0, -2000.0]));
    let plane = |k: f32| Grid::from_fn(40, 40, move |x, y| 0.001 * (x as f32 + k * y as f32));
    let plus = |g: &Grid<f32>, v: f32| g.map(|a| a + v);
    let level = |v: f32| Grid::filled(40, 40, v);
    let write = |path: &str, bands: &[(&str, Grid<f32>)], metadata: &[(&str, &str, &str)]| {
        let bands: Vec<Band> =
            bands.iter().map(|(description, values)| Band { description, unit: "m", values }).collect();
        write_bands(path, &bands, Some(&georef), metadata, true).unwrap();
    };
    let [east, north, up] = [0.5, 1.0, 2.0].map(plane);
    let names = ["East displacement", "North displacement", "Up displacement", "East sigma", "North sigma", "Up sigma"];
    let mut lifted = plus(&up, 0.003);
    lifted.set(5, 6, f32::NAN);
    let bands = [plus(&east, 0.0004), plus(&north, -0.06), lifted, level(0.001), level(0.06), level(0.002)];
    let estimated: Vec<(&str, Grid<f32>)> = names.into_iter().zip(bands).collect();
    let combine = [(DOMAIN, "COMMAND", "shiftmap combine")];
    write(&estimate, &estimated, &combine);
    write(&truth, &names.into_iter().zip([east, north, up]).collect::<Vec<_>>(), &[]);
    let run = |extra: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("shiftmap").unwrap();
        let out = command.args(["evaluate", &estimate, &truth]).args(extra).assert().success();
        String::from_utf8(out.get_output().stdout.clone()).unwrap()
    };
    let table = run(&[]);
    let row = |name: &str| table.lines().find(|l| l.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert!(table.contains("errors in m, pixel 2000 x 2000 m") && table.contains(">0.05 m"), "{table}");
    assert_eq!(row("East")[1..4], ["1600", "0.00040", "0.00040"], "{table}");
    assert_eq!(row("North")[1..5], ["1600", "0.06000", "0.06000", "-0.06000"], "{table}");
    assert_eq!((row("North").last(), row("East").last()), (Some(&"100.00%"), Some(&"0.00%")), "{table}");
    assert_eq!(row("Up")[1..5], ["1599", "0.00300", "0.00300", "+0.00300"], "{table}");
    assert!(table.contains("east / north / up: "), "{table}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!((json["unit"].as_str(), json["outlier_m"].as_f64()), (Some("m"), Some(0.05)));
    assert!((json["errors"]["up"]["bias"].as_f64().unwrap() - 0.003).abs() < 1e-6, "{json}");
    assert!((json["calibration"]["up"]["mean"].as_f64().unwrap() - 1.5).abs() < 1e-3, "{json}");
    assert!(json["ssim"]["up"]["mean"].as_f64().unwrap() < 1.0, "{json}");
    // Pixels on request; up is no number of pixels.
    let json: serde_json::Value = serde_json::from_str(&run(&["--json", "--units", "px", "--outlier", "0.5"])).unwrap();
    assert!((json["errors"]["north"]["bias"].as_f64().unwrap() + 3e-5).abs() < 1e-9, "{json}");
    assert!(json["errors"]["up"].is_null() && json["outlier_px"] == 0.5 && json["outliers"] == 0.0, "{json}");
    // Set side by side with another map: one unit for both, up where it is known.
    let other = folder.file("other.tif");
    write(&other, &estimated[..2], &[]);
    let mut command = assert_cmd::Command::cargo_bin("shiftmap").unwrap();
    let out = command.args(["evaluate", &other, &estimate, &truth]).assert().success();
    let table = String::from_utf8(out.get_output().stdout.clone()).unwrap();
    let row = table.lines().find(|l| l.starts_with("| MAE")).unwrap().split('|').map(str::trim).collect::<Vec<_>>();
    assert_eq!(
        row[1..4],
        ["MAE (m, east / north / up)", "0.00040 / 0.06000", "0.00040 / 0.06000 / 0.00300"],
        "{table}"
    );
}
