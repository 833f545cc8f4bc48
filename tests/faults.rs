//! Windows at a fault: errors within half a window of it, scored at the cell centres of a step-1 map.
//!
//! `cargo nextest run --release -E 'binary(faults)' --no-capture` prints the table.

mod common;

use common::{Folder, gdal, run, write_text};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, FieldSink, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::fault::FaultSpec;
use shiftmap::synth::field::FieldSpec;
use shiftmap::synth::pair::{PairSpec, SynthPair, make_pair};

/// Side of the images: the middle part of what the demo simulates at full size.
const SIDE: usize = 224;
const WINDOW: usize = 32;

/// The demo's fault with the given slip, white noise of 5 % of the image's standard deviation in both images.
fn fault(slip: f64) -> SynthPair {
    let middle = (SIDE as f64 - 1.0) / 2.0;
    pair(FaultSpec { centre: (middle, middle), slip, ..FaultSpec::for_size(1024, 1024) }, 11, 0.05)
}

/// Another strike and texture, and twice the noise.
fn other_fault(slip: f64) -> SynthPair {
    let middle = (SIDE as f64 - 1.0) / 2.0;
    pair(FaultSpec { centre: (middle, middle), slip, strike_deg: 100.0, ..FaultSpec::for_size(1024, 1024) }, 23, 0.1)
}

fn pair(fault: FaultSpec, seed: u64, noise: f64) -> SynthPair {
    scene(FieldSpec::fault(fault), seed, noise)
}

fn scene(field: FieldSpec, seed: u64, noise: f64) -> SynthPair {
    let mut spec = PairSpec::plain(SIDE, SIDE, seed, field);
    spec.noise.snr_db = Some(-20.0 * noise.log10());
    make_pair(&spec).unwrap()
}

struct Collect(Grid<Measurement>);

impl FieldSink for Collect {
    fn write(&mut self, cells: Window, m: &Grid<Measurement>) -> shiftmap::Result<()> {
        for y in 0..m.height {
            let to = (cells.y as usize + y) * self.0.width + cells.x as usize;
            self.0.data[to..to + m.width].copy_from_slice(m.row(y));
        }
        Ok(())
    }
}

fn measure(pair: &SynthPair, params: &Params, cut: bool) -> (Layout, Grid<Measurement>) {
    let image = |values: &Grid<f32>, valid: &Grid<bool>| {
        MemoryImage(shiftmap::grid::Image { values: values.clone(), valid: valid.clone() })
    };
    let (pre, post) = (image(&pair.pre, &pair.pre_valid), image(&pair.post, &pair.post_valid));
    let layout = Layout::new((SIDE, SIDE), params.window, params.step, None).unwrap();
    let mut found = Collect(Grid::filled(layout.cells.0, layout.cells.1, Measurement::failed(Status::NoData)));
    let cuts = if cut { pair.traces.clone() } else { Vec::new() };
    let pair = Pair { cuts: &cuts, ..Pair::new(&pre, &post, (0.0, 0.0)) };
    pipeline::run(&pair, &layout, params, 2, &mut found, &mut Silent).unwrap();
    (layout, found.0)
}

/// Mean absolute error of the two components, near the fault and away from it, and the share of cells with a value.
#[derive(Debug, Clone, Copy)]
struct Score {
    /// Within 5 px of the fault.
    close: f64,
    near: f64,
    far: f64,
    valid: f64,
    /// Root mean square of error over sigma, near the fault and away from it.
    z: f64,
    z_far: f64,
}

fn score(pair: &SynthPair, layout: &Layout, found: &Grid<Measurement>) -> Score {
    let (mut near, mut far, mut valid, mut cells, mut z) = ((0.0, 0.0), (0.0, 0.0), 0.0, 0.0, 0.0);
    let (mut close, mut z_far) = ((0.0, 0.0), 0.0);
    let half = WINDOW as f64 / 2.0;
    for j in 0..found.height {
        for i in 0..found.width {
            let c = layout.centre(i, j);
            let inside = |v: f64| v > half && v < SIDE as f64 - 1.0 - half;
            if !(inside(c.dx) && inside(c.dy)) {
                continue;
            }
            // Windows of odd side have their centres on pixels, where the truth is known exactly.
            let (x, y) = (c.dx.round() as usize, c.dy.round() as usize);
            cells += 1.0;
            let m = found.get(i, j);
            if m.status != Status::Valid {
                continue;
            }
            valid += 1.0;
            let (ex, ey) = (m.shift.dx - pair.truth_dx.get(x, y) as f64, m.shift.dy - pair.truth_dy.get(x, y) as f64);
            let error = 0.5 * (ex.abs() + ey.abs());
            if pair.distance.get(x, y) < 5.0 {
                close = (close.0 + error, close.1 + 1.0);
            }
            if (pair.distance.get(x, y) as f64) < half {
                near = (near.0 + error, near.1 + 1.0);
                z += 0.5 * (ex * ex / m.covariance.xx + ey * ey / m.covariance.yy);
            } else {
                far = (far.0 + error, far.1 + 1.0);
                z_far += 0.5 * (ex * ex / m.covariance.xx + ey * ey / m.covariance.yy);
            }
        }
    }
    Score {
        close: close.0 / close.1,
        near: near.0 / near.1,
        far: far.0 / far.1,
        valid: valid / cells,
        z: (z / near.1).sqrt(),
        z_far: (z_far / far.1).sqrt(),
    }
}

/// Methods of the table.
const METHODS: [(&str, MethodName, bool, bool); 8] = [
    ("lsm", MethodName::Lsm, false, false),
    ("frequency", MethodName::Frequency, false, false),
    ("lsm --cut", MethodName::Lsm, true, false),
    ("frequency --cut", MethodName::Frequency, true, false),
    ("lsm --split", MethodName::Lsm, false, true),
    ("dense", MethodName::Dense, false, false),
    ("dense --cut", MethodName::Dense, true, false),
    ("regularized --cut", MethodName::Regularized, true, false),
];

fn scores(slip: f64, step: usize, wanted: &[usize]) -> Vec<Score> {
    scores_of(&fault(slip), &format!("slip {slip}"), step, wanted)
}

fn scores_of(pair: &SynthPair, what: &str, step: usize, wanted: &[usize]) -> Vec<Score> {
    let mut scores = Vec::new();
    for &i in wanted {
        let (name, method, cut, split) = METHODS[i];
        // Windows of odd side have their centres on pixels, where the truth is known exactly.
        let params = Params {
            method,
            window: (WINDOW + 1, WINDOW + 1),
            step: (step, step),
            search: (6.0, 6.0),
            split,
            ..Params::default()
        };
        let begin = std::time::Instant::now();
        let (layout, found) = measure(pair, &params, cut);
        let s = score(pair, &layout, &found);
        println!(
            "{what} {name:17} close {:.4}  near {:.4}  far {:.4}  valid {:.3}  z {:.2}  z far {:.2}  {:.1} s",
            s.close,
            s.near,
            s.far,
            s.valid,
            s.z,
            s.z_far,
            begin.elapsed().as_secs_f64()
        );
        scores.push(s);
    }
    scores
}

#[test]
fn windows_at_a_fault_keep_their_side() {
    for slip in [0.5, 1.0, 2.0, 4.0] {
        let s = scores(slip, 2, &[0, 1, 2, 4]);
        let (lsm, frequency, cut, split) = (s[0], s[1], s[2], s[3]);
        assert!(cut.near <= 0.02 && cut.valid > 0.999, "{cut:?}");
        calibrated("windows", METHODS[2].0, &cut);
        calibrated("windows", METHODS[4].0, &split);
        assert!(3.0 * split.near < lsm.near.min(frequency.near) && split.valid > 0.99, "{split:?}");
        assert!(split.far < 1.1 * lsm.far && cut.far < 1.1 * lsm.far);
    }
}

/// Sigma holds what the fault does to a window: the wrong side's probability, the bend of the ground, what smoothing takes.
fn calibrated(what: &str, name: &str, s: &Score) {
    assert!((0.75..1.6).contains(&s.z) && (0.75..1.4).contains(&s.z_far), "{what} {name}: {s:?}");
}

#[test]
fn sigma_holds_the_errors_at_another_fault() {
    for slip in [1.0, 4.0] {
        let what = format!("other fault, slip {slip}");
        let wanted = [2, 4, 7];
        for (i, s) in wanted.iter().zip(scores_of(&other_fault(slip), &what, 2, &wanted)) {
            calibrated(&what, METHODS[*i].0, &s);
        }
    }
}

/// Strained ground without a fault is no reason for a large sigma.
#[test]
fn sigma_stays_where_the_ground_only_strains() {
    let field = FieldSpec { ramp: [0.004, 0.012, -0.01, 0.006], smooth: 0.3, ..FieldSpec::default() };
    let wanted = [4, 7];
    for (i, s) in wanted.iter().zip(scores_of(&scene(field, 31, 0.05), "strain", 4, &wanted)) {
        assert!((0.7..1.75).contains(&s.z_far) && s.valid > 0.99, "{}: {s:?}", METHODS[*i].0);
    }
}

/// The table of the README: `make bench-faults`.
#[test]
#[ignore = "the table of the README, some minutes"]
fn table_at_step_one() {
    let mut table = String::new();
    for slip in [0.5, 1.0, 2.0, 4.0] {
        let s = scores(slip, 1, &[0, 1, 2, 3, 4, 5, 6, 7]);
        let (lsm, frequency, cut, split, dense, dense_cut) = (s[0], s[1], s[2], s[4], s[5], s[6]);
        let cells: Vec<String> =
            [0, 1, 2, 3, 4, 5, 6, 7].iter().map(|&i: &usize| format!("{:.4}", s[i].near)).collect();
        table +=
            &format!("| {slip} px | {} | {:.4} | {:.4} | {:.4} |\n", cells.join(" | "), lsm.far, cut.far, split.far);
        for i in [2, 4, 6, 7] {
            calibrated(&format!("slip {slip}"), METHODS[i].0, &s[i]);
        }
        assert!(cut.near <= 0.02, "{slip}: {cut:?}");
        assert!(3.0 * split.near < lsm.near.min(frequency.near), "{slip}: {split:?} {lsm:?} {frequency:?}");
        assert!(split.far < 1.1 * lsm.far && cut.far < 1.1 * lsm.far, "{slip}");
        assert!(
            2.0 * dense_cut.close < dense.close && dense_cut.far < 1.05 * dense.far,
            "{slip}: {dense_cut:?} {dense:?}"
        );
    }
    let names: Vec<&str> = METHODS.iter().map(|m| m.0).collect();
    println!("| slip | {} | far: lsm | lsm --cut | lsm --split |\n{table}", names.join(" | "));
}

#[test]
fn dense_windows_keep_their_side_too() {
    for slip in [1.0, 4.0] {
        let s = scores(slip, 1, &[5, 6]);
        let (plain, cut) = (s[0], s[1]);
        calibrated(&format!("slip {slip}"), METHODS[6].0, &cut);
        assert!(2.0 * cut.close < plain.close && cut.near < plain.near && cut.valid > 0.999, "{cut:?} {plain:?}");
        assert!(cut.far < 1.05 * plain.far, "{cut:?} {plain:?}");
    }
}

/// A simulated pair on disk with its trace: `pair/pre.tif`, `pair/post.tif`, `pair/trace.gpkg`.
fn files() -> Folder {
    let folder = Folder::new();
    let arguments = ["synth", "pair", "pair", "--preset", "low", "--size", "256", "--seed", "5"];
    assert_eq!(run(&folder, &arguments).0, 0);
    folder
}

fn displacement(folder: &Folder, out: &str, more: &[&str]) -> (i32, String, String) {
    let mut arguments = vec!["displacement", "pair/pre.tif", "pair/post.tif", out, "--step", "4", "-q"];
    arguments.extend(more);
    run(folder, &arguments)
}

fn bands(folder: &Folder, name: &str) -> Vec<Vec<f32>> {
    let bands = shiftmap::raster::read_all_bands(&folder.file(name)).unwrap().bands;
    bands.into_iter().map(|b| b.values.data).collect()
}

#[test]
fn a_layer_cuts_in_any_coordinate_system_and_bad_layers_are_refused() {
    let folder = files();
    assert_eq!(displacement(&folder, "plain.tif", &[]).0, 0);
    assert_eq!(displacement(&folder, "cut.tif", &["--cut", "pair/trace.gpkg"]).0, 0);
    let (plain, cut) = (bands(&folder, "plain.tif"), bands(&folder, "cut.tif"));
    let (same, other): (Vec<_>, Vec<_>) = plain[0].iter().zip(&cut[0]).partition(|(a, b)| a == b);
    assert!(same.len() > 300 && other.len() > 50, "{} same, {} other", same.len(), other.len());

    let (trace, degrees) = (folder.file("pair/trace.gpkg"), folder.file("degrees.gpkg"));
    gdal("ogr2ogr", &["-t_srs", "EPSG:4326", &degrees, &trace]);
    assert_eq!(displacement(&folder, "degrees.tif", &["--cut", "degrees.gpkg"]).0, 0);
    // The last digits of a coordinate may decide about a pixel, no more.
    let degrees = bands(&folder, "degrees.tif");
    let off = cut[0].iter().zip(&degrees[0]).filter(|(a, b)| !((*a - *b).abs() < 1e-2 || (a.is_nan() && b.is_nan())));
    let off: Vec<_> = off.collect();
    assert!(off.len() < 20 && off.iter().all(|(a, b)| (*a - *b).abs() < 1.0), "{off:?}");

    write_text(&folder.file("points.geojson"), r#"{"type":"Point","coordinates":[0,0]}"#);
    write_text(&folder.file("empty.geojson"), r#"{"type":"FeatureCollection","features":[]}"#);
    let line = r#"{"type":"LineString","coordinates":[[0,0],[1,1]]}"#;
    write_text(&folder.file("away.geojson"), line);
    for (layer, message) in [
        ("none.gpkg", "none.gpkg"),
        ("points.geojson", "none of its 1 features is a line"),
        ("empty.geojson", "empty"),
        ("pair/trace.gpkg:nothing", "no layer `nothing`"),
    ] {
        let (code, _, error) = displacement(&folder, "x.tif", &["--cut", layer]);
        assert!(code == 1 && error.contains(message), "{layer}: {error}");
    }
    assert!(!folder.path().join("x.tif").exists());
    let arguments =
        ["displacement", "pair/pre.tif", "pair/post.tif", "away.tif", "--step", "4", "--cut", "away.geojson"];
    let (code, _, error) = run(&folder, &arguments);
    assert!(code == 0 && error.contains("nothing is cut"), "{error}");
    assert_eq!(bands(&folder, "away.tif")[0].len(), plain[0].len());
}

#[test]
fn split_windows_come_with_their_faults_whatever_the_threads() {
    let folder = files();
    for (out, threads) in [("one.tif", "1"), ("two.tif", "2")] {
        let (code, _, error) = displacement(&folder, out, &["--split", "--threads", threads]);
        assert_eq!(code, 0, "{error}");
    }
    let bytes = |name: &str| std::fs::read(folder.file(name)).unwrap();
    assert!(bytes("one.tif") == bytes("two.tif") && bytes("one_faults.gpkg") == bytes("two_faults.gpkg"));
    let lines = shiftmap::raster::read_lines(&folder.file("one_faults.gpkg")).unwrap();
    let trace = shiftmap::raster::read_lines(&folder.file("pair/trace.gpkg")).unwrap();
    let distance = shiftmap::synth::trace::Distance::new(&trace);
    let mut off: Vec<f64> =
        lines.iter().map(|l| distance.at(0.5 * (l[0].0 + l[1].0), 0.5 * (l[0].1 + l[1].1))).collect();
    off.sort_by(f64::total_cmp);
    println!("{} pieces, median {} m off the trace", off.len(), off[off.len() / 2]);
    // Pixels of 10 m.
    assert!(off.len() > 10 && off[off.len() / 2] < 10.0);
    // Right-lateral: the right side comes towards who looks along the strike.
    let text = gdal("ogrinfo", &["-al", "-q", &folder.file("one_faults.gpkg")]);
    assert!(text.contains("slip_east (Real)") && text.contains("bic_gain (Real)"), "{text}");
    // Away from the fault values only go to the centres of their windows: hundredths of a pixel of 10 m.
    assert_eq!(displacement(&folder, "plain.tif", &[]).0, 0);
    let (plain, split) = (bands(&folder, "plain.tif"), bands(&folder, "one.tif"));
    assert!(plain[0].iter().zip(&split[0]).filter(|(a, b)| (*a - *b).abs() < 0.2).count() > plain[0].len() / 2);

    let (code, _, error) = displacement(&folder, "x.tif", &["--split", "--method", "frequency"]);
    assert!(code == 1 && error.contains("lsm only"), "{error}");
    assert_eq!(displacement(&folder, "one.tif", &["--split", "--overwrite"]).0, 0);
    assert_eq!(displacement(&folder, "new.tif", &["--split", "--split-lines", "one_faults.gpkg"]).0, 1);
}
