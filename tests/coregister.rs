//! `coregister` and `filter` on a pair with a known fault and known sensor errors.
mod common;

use common::{Folder, run, utm};
use shiftmap::coregister::{CoregisterJob, run as coregister};
use shiftmap::distortion::direction::Given;
use shiftmap::filter::{FilterJob, run as filter};
use shiftmap::grid::Grid;
use shiftmap::job::Job;
use shiftmap::map::profile::{ProfileJob, run as profile};
use shiftmap::pipeline::Params;
use shiftmap::progress::Silent;
use shiftmap::raster::{
    Band, DOMAIN, GeoReference, Line, PixelType, RasterFile, read_all_bands, read_metadata, write_bands, write_image,
    write_lines,
};
use shiftmap::synth::fault::FaultSpec;
use shiftmap::synth::field::FieldSpec;
use shiftmap::synth::inverse::Source;
use shiftmap::synth::pair::{PairSpec, SynthPair, make_pair};
use shiftmap::synth::warp::Warper;

const SIZE: usize = 1024;
/// Column where the detectors meet.
const SEAM: f64 = 640.0;

/// Row jitter of 0.2 px RMS in each component: waves of 50 to 190 rows.
fn jitter(y: f64) -> [f64; 2] {
    let waves = [(53.0, 0.3, 1.1), (71.0, 1.9, 0.2), (97.0, 4.0, 2.5), (131.0, 5.2, 0.9), (187.0, 2.2, 3.7)];
    let sum = |k: usize| {
        let one = |w: &(f64, f64, f64)| (std::f64::consts::TAU * y / w.0 + if k == 0 { w.1 } else { w.2 }).sin();
        0.2 * (2.0f64 / 5.0).sqrt() * waves.iter().map(one).sum::<f64>()
    };
    [sum(0), sum(1)]
}

/// What the sensor adds at a pixel of the post image: shift, ramp, jitter, detector seam.
fn added(x: f64, y: f64) -> [f64; 2] {
    let (u, v) = (x / SIZE as f64, y / SIZE as f64);
    let j = jitter(y);
    let seam = if x >= SEAM { [0.3, -0.15] } else { [0.0, 0.0] };
    [2.3 + 0.6 * u - 0.4 * v + j[0] + seam[0], -1.4 - 0.3 * u + 0.5 * v + j[1] + seam[1]]
}

struct Scene {
    pair: SynthPair,
    georef: GeoReference,
}

impl Scene {
    /// Writes pre.tif, clean.tif (post without sensor errors), post.tif and trace.gpkg.
    fn write(folder: &Folder) -> Scene {
        // Half of the scene hardly moves.
        let fault = FaultSpec { slip: 1.0, half_length: 300.0, locking_depth: 92.0, ..FaultSpec::for_size(SIZE, SIZE) };
        let mut spec = PairSpec::plain(SIZE, SIZE, 11, FieldSpec::fault(fault));
        spec.noise.snr_db = Some(30.0);
        let pair = make_pair(&spec).unwrap();
        let georef = utm(500_000.0, 4_000_000.0);
        let seen = Warper::mirrored(&pair.post.map(f64::from)).warp(&Grid::from_fn(SIZE, SIZE, |x, y| {
            let a = added(x as f64, y as f64);
            Source { x: x as f64 - a[0], y: y as f64 - a[1], covered: true }
        }));
        let images = [("pre.tif", &pair.pre), ("clean.tif", &pair.post), ("post.tif", &seen.map(|v| v as f32))];
        for (name, values) in images {
            write_image(&folder.file(name), values, PixelType::U16, None, Some(&georef), true).unwrap();
        }
        let traces: Vec<Line> = pair
            .traces
            .iter()
            .map(|t| Line {
                points: t.iter().map(|(x, y)| georef.transform.map(x + 0.5, y + 0.5)).collect(),
                attributes: vec![],
            })
            .collect();
        write_lines(&folder.file("trace.gpkg"), "trace", &traces, georef.crs.as_ref(), true).unwrap();
        Scene { pair, georef }
    }

    /// The true displacement at the cells of a map, with the map's metadata.
    fn write_truth(&self, like: &str, path: &str) {
        let file = read_all_bands(like).unwrap();
        let t = file.georef.transform;
        let at = |truth: &Grid<f32>, factor: f32| {
            let first = &file.bands[0];
            Grid::from_fn(first.width(), first.height(), |x, y| {
                let (mx, my) = t.map(x as f64 + 0.5, y as f64 + 0.5);
                let (c, r) = self.georef.transform.pixel(mx, my).unwrap();
                let inside = |v: f64| (v.round().max(0.0) as usize).min(SIZE - 1);
                factor * truth.get(inside(c - 0.5), inside(r - 0.5))
            })
        };
        let (east, north) = (at(&self.pair.truth_dx, 10.0), at(&self.pair.truth_dy, -10.0));
        let bands = [
            Band { description: "East displacement", unit: "m", values: &east },
            Band { description: "North displacement", unit: "m", values: &north },
        ];
        let metadata = read_metadata(like, DOMAIN).unwrap();
        let metadata: Vec<(&str, &str, &str)> =
            metadata.iter().map(|(k, v)| (DOMAIN, k.as_str(), v.as_str())).collect();
        write_bands(path, &bands, Some(&file.georef), &metadata, true).unwrap();
    }
}

/// Measures post against pre with windows of 32 pixels every 8, or flat ones, in which jitter changes less.
fn measure(folder: &Folder, post: &str, out: &str, flat: bool) {
    let window = if flat { (32, 8) } else { (32, 32) };
    let params = Params { reject_outliers: false, window, ..Params::default() };
    let job = Job { params, threads: 2, ..Job::new(&folder.file("pre.tif"), &folder.file(post), &folder.file(out)) };
    job.run(&mut |_| {}, &mut Silent).unwrap();
}

/// Root mean square of the difference of two maps in pixels, east and north, over the cells that both have.
fn difference(a: &RasterFile, b: &RasterFile) -> [f64; 2] {
    [0, 1].map(|k| {
        let both = a.bands[k].values.data.iter().zip(&b.bands[k].values.data);
        let valid = a.bands[k].valid.data.iter().zip(&b.bands[k].valid.data);
        let all: Vec<f64> =
            both.zip(valid).filter(|(_, (p, q))| **p && **q).map(|((p, q), _)| f64::from(p - q) / 10.0).collect();
        assert!(all.len() > 10_000, "{} cells", all.len());
        (all.iter().map(|e| e * e).sum::<f64>() / all.len() as f64).sqrt()
    })
}

/// Sum of the fault-parallel offsets of all stations.
fn slip(folder: &Folder, map: &str, out: &str) -> f64 {
    let job = ProfileJob {
        overwrite: true,
        ..ProfileJob::new(&folder.file(map), &folder.file("trace.gpkg"), &folder.file(out))
    };
    let found = profile(&job, &mut Silent).unwrap();
    found.stations.iter().filter_map(|s| s.parallel.map(|p| p.value)).sum()
}

#[test]
fn sensor_errors_go_and_the_fault_stays() {
    let folder = Folder::new();
    let scene = Scene::write(&folder);
    let file = |name: &str| folder.file(name);
    measure(&folder, "clean.tif", "clean_map.tif", false);
    let clean = read_all_bands(&file("clean_map.tif")).unwrap();
    scene.write_truth(&file("clean_map.tif"), &file("truth_map.tif"));
    let truth = slip(&folder, "truth_map.tif", "p_truth");
    let slips = |name: &str| slip(&folder, name, "p") / truth - 1.0;
    eprintln!("slip: clean {:+.4}", slips("clean_map.tif"));

    // The images.
    let job = CoregisterJob {
        jitter: Some(Given::Rows),
        seams: Some(Given::Rows),
        threads: 2,
        ..CoregisterJob::new(&file("pre.tif"), &file("post.tif"), &file("aligned.tif"))
    };
    let summary = coregister(&job, &mut |m| eprintln!("{m}"), &mut Silent).unwrap();
    summary.model.lines().iter().for_each(|l| eprintln!("  {l}"));
    measure(&folder, "aligned.tif", "aligned_map.tif", false);
    let aligned = read_all_bands(&file("aligned_map.tif")).unwrap();
    let left = difference(&aligned, &clean);
    let off = slips("aligned_map.tif");
    eprintln!("coregister: {left:?} px, slip {off:+.4}");
    // The model against what was added.
    let model = &summary.model.model;
    let mut squares = [0.0; 2];
    for y in (0..SIZE).step_by(3) {
        for x in (0..SIZE).step_by(3) {
            let m = model.at(x as f64, y as f64);
            // The errors are those of the line and detector that saw the ground.
            let a = added(x as f64 + m[0], y as f64 + m[1]);
            (0..2).for_each(|k| squares[k] += (m[k] - a[k]).powi(2));
        }
    }
    let model_error = squares.map(|s| (s / (SIZE.div_ceil(3) as f64).powi(2)).sqrt());
    eprintln!("model: {model_error:?} px");

    // The map.
    measure(&folder, "clean.tif", "clean_flat.tif", true);
    measure(&folder, "post.tif", "raw_map.tif", true);
    let clean = read_all_bands(&file("clean_flat.tif")).unwrap();
    let raw = read_all_bands(&file("raw_map.tif")).unwrap();
    scene.write_truth(&file("clean_flat.tif"), &file("truth_map.tif"));
    let truth = slip(&folder, "truth_map.tif", "p_truth");
    let slips = |name: &str| slip(&folder, name, "p") / truth - 1.0;
    eprintln!(
        "raw: {:?} px, slip {:+.4}, clean slip {:+.4}",
        difference(&raw, &clean),
        slips("raw_map.tif"),
        slips("clean_flat.tif")
    );
    let job = FilterJob {
        outliers: Some(4.0),
        detrend: Some(3),
        destripe: Some(Given::Rows),
        seams: Some(Given::Rows),
        removed: Some(file("removed.tif")),
        threads: 2,
        ..FilterJob::new(&file("raw_map.tif"), &file("filtered.tif"))
    };
    let summary = filter(&job, &mut Silent).unwrap();
    summary.steps.iter().for_each(|s| eprintln!("  {}", s.text));
    let filtered = read_all_bands(&file("filtered.tif")).unwrap();
    let left_filter = difference(&filtered, &clean);
    let off_filter = slips("filtered.tif");
    eprintln!("filter: {left_filter:?} px, slip {off_filter:+.4}");

    // The same with the ground around the fault left out by hand.
    let around = {
        let (sin, cos) = 35f64.to_radians().sin_cos();
        let corner = |along: f64, right: f64| {
            let (x, y) = (512.0 + along * sin + right * cos, 512.0 - along * cos + right * sin);
            let (x, y) = scene.georef.transform.map(x, y);
            format!("{x} {y}")
        };
        let ring = [(-360.0, -220.0), (360.0, -220.0), (360.0, 220.0), (-360.0, 220.0), (-360.0, -220.0)];
        let ring: Vec<String> = ring.iter().map(|(a, r)| corner(*a, *r)).collect();
        common::write_text(&file("around.csv"), &format!("id,WKT\n1,\"POLYGON(({}))\"\n", ring.join(",")));
        file("around.csv")
    };
    let masked = FilterJob { moving: Some(around), removed: None, ..job.clone() };
    let masked = FilterJob { out: file("masked.tif"), ..masked };
    filter(&masked, &mut Silent).unwrap();
    let left_masked = difference(&read_all_bands(&file("masked.tif")).unwrap(), &clean);
    let off_masked = slips("masked.tif");
    eprintln!("filter --moving: {left_masked:?} px, slip {off_masked:+.4}");

    // The model of the images taken out of the raw map.
    let model_file = file("aligned.model.json");
    let job = FilterJob { subtract: Some(model_file), ..FilterJob::new(&file("raw_map.tif"), &file("subtracted.tif")) };
    filter(&job, &mut Silent).unwrap();
    let left_subtract = difference(&read_all_bands(&file("subtracted.tif")).unwrap(), &clean);
    eprintln!("subtract: {left_subtract:?} px, slip {:+.4}", slips("subtracted.tif"));

    if let Ok(keep) = std::env::var("SHIFTMAP_KEEP") {
        for name in common::names(folder.path()) {
            let _ = std::fs::copy(file(&name), format!("{keep}/{name}"));
        }
    }
    assert!(left.iter().all(|e| *e < 0.02), "after coregister: {left:?} px");
    assert!(model_error.iter().all(|e| *e < 0.02), "model: {model_error:?} px");
    assert!(off.abs() < 0.02, "slip after coregister: {off:+.4}");
    // Of a map more is left than of the images, 0.0205 px in north: jitter inside a window is mixed with its texture, which
    // no offset of a line takes out.
    for (name, left, off) in [("filter", left_filter, off_filter), ("filter --moving", left_masked, off_masked)] {
        assert!(left[0] < 0.02 && left[1] < 0.0215, "after {name}: {left:?} px");
        assert!(off.abs() < 0.02, "slip after {name}: {off:+.4}");
    }
    assert!(left_subtract.iter().all(|e| *e < 0.025), "after filter --subtract: {left_subtract:?} px");
}

/// A pair moved by (1.8, -0.6) pixels, with two bands of bytes and a hole of nodata in the post image.
fn write_bytes(folder: &Folder) {
    common::write_pair(folder, (300, 260), 1.8, -0.6);
    common::gdal(
        "gdal_translate",
        &["-q", "-ot", "Byte", "-scale", "2500", "5500", "1", "255", &folder.file("post.tif"), &folder.file("b.tif")],
    );
    common::gdal(
        "gdal_translate",
        &["-q", "-b", "1", "-b", "1", "-a_nodata", "0", &folder.file("b.tif"), &folder.file("two.tif")],
    );
    common::gdal(
        "gdal_rasterize",
        &["-q", "-b", "1", "-b", "2", "-burn", "0", "-l", "hole", &hole(folder), &folder.file("two.tif")],
    );
}

/// A square of 40 × 40 pixels from pixel (120, 100) on.
fn hole(folder: &Folder) -> String {
    let path = folder.file("hole.csv");
    let (x0, y0) = (501_200, 3_999_000);
    let (x1, y1) = (x0 + 400, y0 - 400);
    common::write_text(&path, &format!("id,WKT\n1,\"POLYGON(({x0} {y0},{x1} {y0},{x1} {y1},{x0} {y1},{x0} {y0}))\"\n"));
    path
}

#[test]
fn the_aligned_image_keeps_type_bands_and_nodata() {
    let folder = Folder::new();
    write_bytes(&folder);
    let (code, said, errors) =
        run(&folder, &["coregister", "pre.tif", "two.tif", "aligned.tif", "--model", "shift", "--threads", "2"]);
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("shift in the middle: 1.8"), "{said}");
    let info = common::gdalinfo(&folder.file("aligned.tif"));
    assert_eq!(info["size"], serde_json::json!([300, 260]));
    assert_eq!(info["bands"].as_array().unwrap().len(), 2, "{info}");
    assert_eq!(
        (&info["bands"][1]["type"], &info["bands"][1]["noDataValue"]),
        (&"Byte".into(), &serde_json::json!(0.0))
    );
    let model = info["metadata"][DOMAIN]["COREGISTRATION"].as_str().unwrap();
    let stored = std::fs::read_to_string(folder.file("aligned.model.json")).unwrap();
    assert_eq!(model, stored.trim_end());
    let file = read_all_bands(&folder.file("aligned.tif")).unwrap();
    assert_eq!(file.bands[0].values, file.bands[1].values);
    // The hole moved back by the shift, and the border without a source are nodata; nothing else is.
    let valid = &file.bands[0].valid;
    assert!(!valid.get(120 + 10, 100 + 10) && !valid.get(119, 101) && !valid.get(299, 50) && !valid.get(50, 0));
    assert!(valid.get(116, 120) && valid.get(162, 120) && valid.get(297, 50) && valid.get(50, 2));

    // The same by the stored model, and the same again with one thread.
    let (code, _, errors) =
        run(&folder, &["coregister", "pre.tif", "two.tif", "again.tif", "--use", "aligned.model.json"]);
    assert_eq!(code, 0, "{errors}");
    let again = read_all_bands(&folder.file("again.tif")).unwrap();
    assert_eq!(again.bands[0].values, file.bands[0].values);
    let single = ["coregister", "pre.tif", "two.tif", "single.tif", "--model", "shift", "--threads", "1"];
    assert_eq!(run(&folder, &single).0, 0);
    assert_eq!(std::fs::read(folder.file("single.tif")).unwrap(), std::fs::read(folder.file("aligned.tif")).unwrap());
    // The model only.
    let (code, _, errors) = run(&folder, &["coregister", "pre.tif", "two.tif", "only.json", "--model", "shift"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(std::fs::read_to_string(folder.file("only.json")).unwrap(), stored);
}

#[test]
fn bad_input_is_refused_by_name() {
    let folder = Folder::new();
    write_bytes(&folder);
    common::gdal("gdal_translate", &["-q", "-ot", "Float64", &folder.file("post.tif"), &folder.file("wide.tif")]);
    common::gdal(
        "gdal_translate",
        &["-q", "-srcwin", "0", "0", "200", "200", &folder.file("pre.tif"), &folder.file("part.tif")],
    );
    common::write_text(&folder.file("other.json"), "{\"a\": 1}");
    assert_eq!(run(&folder, &["coregister", "pre.tif", "post.tif", "model.json", "--model", "shift"]).0, 0);
    let cases: &[(&[&str], &str)] = &[
        (&["pre.tif", "wide.tif", "out.tif"], "Float64"),
        (&["pre.tif", "post.tif", "out.tif", "--passes", "0"], "--passes 0"),
        (&["pre.tif", "post.tif", "out.tif", "--longest", "50"], "add --jitter"),
        (&["pre.tif", "post.tif", "out.tif", "--ccd-edges", "50"], "add --ccd"),
        (&["pre.tif", "post.tif", "out.tif", "--jitter", "up"], "rows, columns, or their azimuth"),
        (&["pre.tif", "post.tif", "out.tif", "--use", "other.json"], "not a model of `shiftmap coregister`"),
        (&["part.tif", "post.tif", "out.tif", "--use", "model.json"], "belongs to pre.tif with 300 x 260 pixels"),
        (&["pre.tif", "post.tif", "out.tif", "--stable", "nowhere.tif"], "nowhere.tif"),
        (&["pre.tif", "post.tif", "pre.tif", "--overwrite"], "one of the inputs"),
        (&["pre.tif", "post.tif", "model.json"], "--overwrite"),
        (&["pre.tif", "post.tif", "model.json", "--model-out", "b.json", "--overwrite"], "leave it away"),
    ];
    for (arguments, wanted) in cases {
        let all: Vec<&str> = ["coregister"].iter().chain(*arguments).copied().collect();
        let (code, _, said) = run(&folder, &all);
        assert!(code != 0 && said.contains(wanted), "{arguments:?}: {said}");
        assert!(!folder.names().iter().any(|n| n.starts_with("out.") || n.starts_with(".out")), "{arguments:?}");
    }
    let (code, text, _) = run(&folder, &["coregister", "--help"]);
    assert!(code == 0 && text.contains("EXAMPLES") && text.contains("--jitter rows"), "{text}");
}

#[test]
fn a_real_misregistration_goes() {
    let shared = std::env::var_os("SHIFTMAP_SHARED")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), std::path::PathBuf::from);
    let image = |date: &str| {
        let name = format!("data/misregistered-pairs/sentinel2a_brandenburg_{date}_band-unknown.tif");
        shared.join(name).to_string_lossy().into_owned()
    };
    let (pre, post) = (image("20160529"), image("20160608"));
    if !std::path::Path::new(&pre).exists() {
        println!("skipped: {pre} is not there");
        return;
    }
    let folder = Folder::new();
    let job = CoregisterJob { threads: 2, ..CoregisterJob::new(&pre, &post, &folder.file("aligned.tif")) };
    let summary = coregister(&job, &mut |m| eprintln!("{m}"), &mut Silent).unwrap();
    summary.model.lines().iter().for_each(|l| eprintln!("  {l}"));
    let medians = |post: &str, out: &str| {
        let job = Job { threads: 2, ..Job::new(&pre, post, &folder.file(out)) };
        job.run(&mut |_| {}, &mut Silent).unwrap();
        let file = read_all_bands(&folder.file(out)).unwrap();
        [0, 1].map(|k| {
            let band = &file.bands[k];
            let both = band.values.data.iter().zip(&band.valid.data);
            let mut all: Vec<f32> = both.filter(|(_, ok)| **ok).map(|(v, _)| v / 10.0).collect();
            all.sort_by(f32::total_cmp);
            all[all.len() / 2]
        })
    };
    let (before, after) = (medians(&post, "before.tif"), medians(&folder.file("aligned.tif"), "after.tif"));
    eprintln!("median east, north before {before:?} px, after {after:?} px");
    assert!((before[0] + 0.6).abs() < 0.05 && (before[1] + 1.8).abs() < 0.05, "{before:?}");
    assert!(after.iter().all(|v| v.abs() < 0.02), "{after:?}");
}
