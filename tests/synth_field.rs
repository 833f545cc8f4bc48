//! `shiftmap synth field`: given faults on the grid of an image.
mod common;

use common::{Folder, gdal, gdalinfo, reference, run, utm, write_text};
use shiftmap::grid::Grid;
use shiftmap::raster::{Crs, GeoReference, PixelType, RasterFile, read_all_bands, read_lines, write_image};
use shiftmap::synth::okada::{self, Rectangle};

const X: f64 = 500_000.0;
const Y: f64 = 4_000_000.0;

fn template(folder: &Folder, georef: &GeoReference) {
    let image = Grid::filled(200, 160, 7.0);
    write_image(&folder.file("scene.tif"), &image, PixelType::U16, None, Some(georef), true).unwrap();
}

fn lines(folder: &Folder, name: &str, epsg: u32, features: &[(&str, &[(f64, f64)])]) {
    let features: Vec<String> = features
        .iter()
        .map(|(properties, points)| {
            let points: Vec<String> = points.iter().map(|p| format!("[{:.9},{:.9}]", p.0, p.1)).collect();
            format!(
                r#"{{"type":"Feature","properties":{{{properties}}},"geometry":{{"type":"LineString","coordinates":[{}]}}}}"#,
                points.join(",")
            )
        })
        .collect();
    let crs = format!(r#""crs":{{"type":"name","properties":{{"name":"urn:ogc:def:crs:EPSG::{epsg}"}}}}"#);
    write_text(
        &folder.file(name),
        &format!(r#"{{"type":"FeatureCollection",{crs},"features":[{}]}}"#, features.join(",")),
    );
}

/// Largest difference from a rectangle's displacement at all pixels.
fn against(field: &RasterFile, fault: Rectangle) -> f64 {
    let (width, height) = (field.bands[0].width(), field.bands[0].height());
    let at = |k: usize| {
        let (x, y) = field.georef.transform.map((k % width) as f64 + 0.5, (k / width) as f64 + 0.5);
        [x, y]
    };
    let obs: Vec<[f64; 2]> = (0..width * height).map(at).collect();
    let mut exact = vec![[0.0; 3]; obs.len()];
    okada::surface(&[fault], 0.25, &obs, &mut exact).unwrap();
    let mut worst: f64 = 0.0;
    for (k, e) in exact.iter().enumerate() {
        for (i, band) in field.bands.iter().enumerate() {
            let got = f64::from(band.values.data[k]);
            assert!(got.is_finite() && band.valid.data[k]);
            worst = worst.max((got - e[i]).abs());
        }
    }
    worst
}

fn fault() -> Rectangle {
    Rectangle {
        x: X + 900.0,
        y: Y - 800.0,
        top_depth: 0.0,
        strike: 0.0,
        dip: 60.0,
        length: 800.0,
        width: 1000.0 / 60f64.to_radians().sin(),
        slip: [-2.0, 0.0, 0.0],
    }
}

#[test]
fn a_line_layer_becomes_a_displacement_raster() {
    let folder = Folder::new();
    template(&folder, &utm(X, Y));
    let line = [(X + 900.0, Y - 1200.0), (X + 900.0, Y - 400.0)];
    lines(&folder, "faults.geojson", 32612, &[(r#""Slip":2.0,"RAKE":180,"dip":60,"bottom":1000"#, &line)]);
    let (code, out, err) = run(&folder, &["synth", "field", "scene.tif", "out", "--faults", "faults.geojson"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("100 - done.\n"), "{out}");
    let mut names = common::names(&folder.path().join("out"));
    names.retain(|n| !n.ends_with(".aux.xml"));
    assert_eq!(names, ["field.png", "field.tif", "spec.json", "trace.gpkg"]);
    let field = read_all_bands(&folder.file("out/field.tif")).unwrap();
    assert_eq!(field.descriptions, ["East displacement", "North displacement", "Up displacement"]);
    assert_eq!(field.units, ["m", "m", "m"]);
    assert!(field.georef.transform == utm(X, Y).transform);
    let error = against(&field, fault());
    // Single precision and the tiles.
    assert!(error < 1e-5, "{error:.1e}");
    let trace = read_lines(&folder.file("out/trace.gpkg")).unwrap();
    assert!(trace.len() == 1 && (trace[0][1].1 - (Y - 400.0)).abs() < 1e-6);
    let text = std::fs::read_to_string(folder.file("out/spec.json")).unwrap();
    let spec: serde_json::Value = serde_json::from_str(&text).unwrap();
    let potency = 800.0 * fault().width * 2.0;
    assert!((spec["moment_nm"].as_f64().unwrap() / (33e9 * potency) - 1.0).abs() < 1e-9);
    assert_eq!(spec["lines"][0]["dip"], 60.0);
    let info = gdalinfo(&folder.file("out/field.tif"));
    assert_eq!(info["metadata"]["SHIFTMAP"]["KIND"], "elastic dislocations");
}

#[test]
fn lines_in_another_crs_are_brought_to_the_image() {
    let folder = Folder::new();
    template(&folder, &utm(X, Y));
    let line = [(X + 900.0, Y - 1200.0), (X + 900.0, Y - 400.0)];
    lines(&folder, "utm.geojson", 32612, &[(r#""slip":2"#, &line)]);
    gdal("ogr2ogr", &["-t_srs", "EPSG:4326", &folder.file("lonlat.gpkg"), &folder.file("utm.geojson")]);
    let options = ["--rake", "180", "--dip", "60", "--bottom", "1000", "--quiet", "--threads", "1"];
    let mut arguments = vec!["synth", "field", "scene.tif", "out", "--faults", "lonlat.gpkg"];
    arguments.extend(options);
    assert_eq!(run(&folder, &arguments), (0, String::new(), String::new()));
    let field = read_all_bands(&folder.file("out/field.tif")).unwrap();
    // The line is straight in both systems to a millimetre; beside it that hardly matters.
    let error = against(&field, fault());
    assert!(error < 2e-3, "{error:.1e}");
}

#[test]
fn a_table_of_triangles_gives_the_same_field_and_its_trace() {
    let folder = Folder::new();
    template(&folder, &utm(X, Y));
    let mut text = "x1,y1,z1,x2,y2,z2,x3,y3,z3,ss,ds\n".to_string();
    for t in common::two_triangles(&fault()) {
        let cells: Vec<String> = t.vertices.concat().iter().map(|v| format!("{v:.9}")).collect();
        text += &format!("{},{},{}\n", cells.join(","), t.slip[0], t.slip[1]);
    }
    write_text(&folder.file("model.csv"), &text);
    let arguments = ["synth", "field", "scene.tif", "out", "--faults", "model.csv", "--json"];
    let (code, out, err) = run(&folder, &arguments);
    assert_eq!((code, err.as_str()), (0, ""));
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["field"]["triangles"], 2);
    let field = read_all_bands(&folder.file("out/field.tif")).unwrap();
    let error = against(&field, fault());
    assert!(error < 1e-5, "{error:.1e}");
    let trace = read_lines(&folder.file("out/trace.gpkg")).unwrap();
    assert!(trace.len() == 1 && trace[0].len() == 2, "{trace:?}");
    // The same bytes with other threads.
    let first = std::fs::read(folder.file("out/field.tif")).unwrap();
    let again = ["synth", "field", "scene.tif", "out", "--faults", "model.csv", "--overwrite", "--threads", "3", "-q"];
    assert_eq!(run(&folder, &again).0, 0);
    assert!(first == std::fs::read(folder.file("out/field.tif")).unwrap());
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let folder = Folder::new();
    template(&folder, &utm(X, Y));
    let line = [(X + 900.0, Y - 1200.0), (X + 900.0, Y - 400.0)];
    lines(&folder, "faults.geojson", 32612, &[(r#""slip":2"#, &line)]);
    let field = |more: &[&str]| {
        let mut arguments = vec!["synth", "field", "scene.tif", "out", "--faults"];
        arguments.extend(more);
        let (code, _, err) = run(&folder, &arguments);
        assert_eq!(code, 1, "{err}");
        assert!(!folder.path().join("out").exists(), "something was left behind");
        err
    };
    assert!(field(&["faults.geojson"]).contains("no attribute rake"));
    assert!(field(&["faults.geojson", "--rake", "0"]).contains("--bottom"));
    assert!(field(&["faults.geojson", "--rake", "0", "--bottom", "500", "--dip", "0"]).contains("dip 0"));
    assert!(field(&["faults.geojson", "--rake", "0", "--bottom", "5", "--top", "9"]).contains("bottom"));
    assert!(field(&["missing.gpkg"]).contains("missing.gpkg"));
    write_text(&folder.file("bad.csv"), "x1,y1,z1,x2,y2,z2,x3,y3,z3,ss,ds\n0,0,5,1,0,-1,0,1,-1,1,0\n");
    assert!(field(&["bad.csv"]).contains("z = 5 lies above the surface"));
    write_text(&folder.file("bad.csv"), "x1,y1,z1,x2,y2,z2,x3,y3,z3,ss,ds\n0,0,-5,1,0,-1,0,1,-1,one,0\n");
    assert!(field(&["bad.csv"]).contains("row 1, column ss"));
    let wide = ["faults.geojson", "--rake", "0", "--bottom", "500", "--poisson", "0.7"];
    assert!(field(&wide).contains("0.7"));
    // Longitude and latitude have no metres.
    let crs = Crs::from_definition("EPSG:4326").unwrap();
    let transform = shiftmap::field::GeoTransform([-110.0, 1e-4, 0.0, 36.0, 0.0, -1e-4]);
    template(&folder, &GeoReference::new(transform, Some(crs)));
    assert!(field(&["faults.geojson", "--rake", "0", "--bottom", "500"]).contains("gdalwarp -t_srs"));
}

#[test]
fn reference_rectangles_as_lines() {
    let Some(text) = reference("okada_faults.csv") else { return };
    let folder = Folder::new();
    template(&folder, &utm(X, Y));
    for line in text.lines().skip(1).filter(|l| l.contains("surface_breaking_dipping") || l.contains("generic")) {
        let v: Vec<f64> = line.split(',').skip(2).map(|v| v.parse().unwrap()).collect();
        let (strike, dip, length, width) = (v[4], v[5], v[6], v[7]);
        let (sin, cos) = strike.to_radians().sin_cos();
        let (x, y) = (X + 1000.0, Y - 800.0);
        let ends = [-0.5, 0.5].map(|t| (x + t * length * sin, y + t * length * cos));
        let properties = format!(r#""slip":1.5,"rake":{},"dip":{dip},"top":{},"width":{width}"#, 30.0, v[3]);
        lines(&folder, "f.geojson", 32612, &[(&properties, &ends)]);
        let arguments = ["synth", "field", "scene.tif", "out", "--faults", "f.geojson", "--overwrite", "-q"];
        assert_eq!(run(&folder, &arguments), (0, String::new(), String::new()));
        let field = read_all_bands(&folder.file("out/field.tif")).unwrap();
        let slip = [1.5 * 30f64.to_radians().cos(), 1.5 * 30f64.to_radians().sin(), 0.0];
        let error = against(&field, Rectangle { x, y, top_depth: v[3], strike, dip, length, width, slip });
        assert!(error < 1e-5, "{line}: {error:.1e}");
    }
}

#[test]
fn given_faults_displace_an_image() {
    use shiftmap::synth::bspline::{Degree, Spline};
    let folder = Folder::new();
    let image = common::texture(200, 160);
    write_image(&folder.file("scene.tif"), &image, PixelType::U16, None, Some(&utm(X, Y)), true).unwrap();
    let line = [(X + 900.0, Y - 1200.0), (X + 900.0, Y - 400.0)];
    lines(&folder, "faults.geojson", 32612, &[(r#""slip":20.0"#, &line)]);
    let options = ["--fault-rake", "180", "--fault-dip", "60", "--fault-bottom", "1000"];
    let mut arguments = vec!["synth", "pair", "out", "--image", "scene.tif", "--faults", "faults.geojson", "--json"];
    arguments.extend(options);
    let (code, _, err) = run(&folder, &arguments);
    assert_eq!((code, err.as_str()), (0, ""));
    let truth = read_all_bands(&folder.file("out/truth.tif")).unwrap();
    assert_eq!(truth.units, ["m", "m"]);
    let fault = Rectangle { slip: [-20.0, 0.0, 0.0], ..fault() };
    let error = against(&truth, fault);
    assert!(error < 1e-4, "{error:.1e} m");
    let trace = read_lines(&folder.file("out/trace.gpkg")).unwrap();
    let ends = (trace[0][0], *trace[0].last().unwrap());
    let north = (ends.0.1.min(ends.1.1), ends.0.1.max(ends.1.1));
    assert!(trace.len() == 1 && (north.0 - (Y - 1200.0)).abs() < 1e-3 && (north.1 - (Y - 400.0)).abs() < 1e-3);
    let spec: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.file("out/spec.json")).unwrap()).unwrap();
    assert_eq!(spec["origin"]["faults"]["lines"][0]["rake"], 180.0);
    // The images say the same: up to 1 px of motion on each side of the fault, which lies at column 89.5.
    let read = |name: &str| read_all_bands(&folder.file(name)).unwrap().bands.swap_remove(0).values;
    let (pre, post) = (read("out/pre.tif"), Spline::new(&read("out/post.tif").map(f64::from), Degree::Quintic));
    let (mut moved, mut still, mut largest) = (0.0, 0.0, 0.0f64);
    for y in 30..130 {
        for x in (30..170usize).filter(|x| x.abs_diff(89) > 5) {
            let k = y * 200 + x;
            let dx = f64::from(truth.bands[0].values.data[k]) / 10.0;
            let dy = -f64::from(truth.bands[1].values.data[k]) / 10.0;
            largest = largest.max(dx.hypot(dy));
            let a = f64::from(pre.get(x, y));
            moved += (post.at(x as f64 + dx, y as f64 + dy) - a).powi(2);
            still += (post.at(x as f64, y as f64) - a).powi(2);
        }
    }
    assert!(largest > 0.5 && moved < 1e-2 * still, "{largest} px, {moved} of {still}");
    // A fault and a simulated field exclude each other, and what lines lack is named by its option.
    let refused = |more: &[&str]| {
        let mut arguments = vec!["synth", "pair", "bad", "--image", "scene.tif", "--faults", "faults.geojson"];
        arguments.extend(more);
        let (code, _, err) = run(&folder, &arguments);
        assert!(code != 0 && !folder.path().join("bad").exists());
        err
    };
    assert!(refused(&["--field", "fault"]).contains("--field"));
    assert!(refused(&["--fault-rake", "0"]).contains("--fault-bottom"));
    assert!(refused(&["--slip", "2"]).contains("--slip"));
}
