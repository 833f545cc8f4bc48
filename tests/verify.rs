//! `shiftmap verify`: what it predicts is what real stable ground shows.
mod common;

use common::{Folder, run, write_pair};
use shiftmap::job::Job;
use shiftmap::map::DisplacementMap;
use shiftmap::pipeline::MethodName;
use shiftmap::progress::Silent;
use shiftmap::raster::{Units, read_all_bands};
use shiftmap::verify::quake::Quake;
use shiftmap::verify::{Verification, VerifyJob};
use std::path::PathBuf;

fn job(pre: &str, post: Option<&str>, method: MethodName, band: usize) -> VerifyJob {
    let mut verify = VerifyJob::new(pre, post);
    verify.job = settings(pre, post.unwrap_or(pre), "", method, band);
    verify
}

fn settings(pre: &str, post: &str, out: &str, method: MethodName, band: usize) -> Job {
    let mut job = Job::new(pre, post, out);
    job.params.method = method;
    let window = if method == MethodName::Frequency { 64 } else { 32 };
    job.params.window = (window, window);
    (job.pre_options.band, job.post_options.band) = (band, band);
    (job.units, job.threads, job.write.overwrite) = (Units::Pixels, 2, true);
    job
}

fn verify(job: &VerifyJob) -> Verification {
    job.run(&mut |text| println!("{text}"), &mut Silent).unwrap()
}

/// NMAD and RMSE of east and north of a displacement map about a quadratic surface: least squares without the values farther
/// than 4 NMAD from it, again and again. Written for the test, apart from what `verify` does. Windows that reach beyond the image
/// are left out, as `verify` leaves them out.
fn scatter(path: &str, window: usize) -> [(f64, f64); 2] {
    let file = read_all_bands(path).unwrap();
    let (w, h) = (file.bands[0].width(), file.bands[0].height());
    let margin = window / 2 / 8 + 1;
    [0, 1].map(|c| {
        let mut points = Vec::new();
        for j in margin..h - margin {
            for i in margin..w - margin {
                if file.bands[c].valid.get(i, j) {
                    let (u, v) = (2.0 * i as f64 / w as f64 - 1.0, 2.0 * j as f64 / h as f64 - 1.0);
                    points.push(([1.0, u, v, u * u, u * v, v * v], f64::from(file.bands[c].values.get(i, j))));
                }
            }
        }
        let mut coefficients = [0.0; 6];
        let mut keep = f64::INFINITY;
        let residual = |c: &[f64; 6], p: &([f64; 6], f64)| p.1 - c.iter().zip(&p.0).map(|(a, b)| a * b).sum::<f64>();
        let middle = |mut v: Vec<f64>| {
            v.sort_by(f64::total_cmp);
            v[v.len() / 2]
        };
        let mut nmad = 0.0;
        for _ in 0..8 {
            let used: Vec<_> = points.iter().filter(|p| residual(&coefficients, p).abs() < keep).collect();
            let a = nalgebra::DMatrix::from_fn(used.len(), 6, |r, k| used[r].0[k]);
            let b = nalgebra::DVector::from_fn(used.len(), |r, _| used[r].1);
            let x = (a.transpose() * &a).lu().solve(&(a.transpose() * b)).unwrap();
            coefficients = std::array::from_fn(|k| x[k]);
            let all: Vec<f64> = points.iter().map(|p| residual(&coefficients, p)).collect();
            let level = middle(all.clone());
            nmad = 1.4826 * middle(all.iter().map(|v| (v - level).abs()).collect());
            keep = 4.0 * nmad;
        }
        let squares: f64 = points.iter().map(|p| residual(&coefficients, p).powi(2)).sum();
        (nmad, (squares / points.len() as f64).sqrt())
    })
}

/// The error that `verify` foretells away from its fault, beside the scatter of a plain `displacement` of the same pair
/// with the same settings about a smooth misregistration: the truth is zero there.
#[test]
fn the_error_of_a_real_stable_pair_is_foretold_within_a_quarter() {
    let shared = std::env::var_os("SHIFTMAP_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let data = shared.join("data/stable-pairs");
    let pairs = [
        ("landsat5_nanjing_20000503_b1-5-7.tif", "landsat5_nanjing_20020712_b1-5-7.tif", 5),
        ("landsat8_corumba-fires_20190809_b4.tif", "landsat8_corumba-fires_20190825_b4.tif", 1),
        ("landsat8_corumba-fires_20190809_b6.tif", "landsat8_corumba-fires_20190825_b6.tif", 1),
    ];
    if !data.join(pairs[0].0).exists() {
        println!("skipped: no {}", data.display());
        return;
    }
    let folder = Folder::new();
    let mut worst = 0.0f64;
    for (pre, post, band) in pairs {
        let [pre, post] = [pre, post].map(|n| data.join(n).display().to_string());
        for method in [MethodName::Lsm, MethodName::Frequency] {
            let out = folder.file("plain.tif");
            let plain = settings(&pre, &post, &out, method, band);
            plain.run(&mut |_| {}, &mut Silent).unwrap();
            let real = scatter(&out, plain.params.window.0);
            let found = verify(&job(&pre, Some(&post), method, band));
            let away = found.away.unwrap();
            let foretold = [away.errors.east, away.errors.north].map(|e| (e.nmad, e.rmse));
            for (axis, (real, foretold)) in ["east", "north"].iter().zip(real.iter().zip(&foretold)) {
                println!(
                    "{} {method:?} {axis}: NMAD {:.4} foretold, {:.4} real; RMSE {:.4} foretold, {:.4} real",
                    pre.rsplit('/').next().unwrap(),
                    foretold.0,
                    real.0,
                    foretold.1,
                    real.1
                );
                for (f, r) in [(foretold.0, real.0), (foretold.1, real.1)] {
                    worst = worst.max((f / r - 1.0).abs());
                }
            }
        }
    }
    println!("largest departure {:.1} %", 100.0 * worst);
    assert!(worst < 0.25);
}

/// A procedural image with 5 % noise. Told how much it is, `verify` foretells the error of a second date; its own estimate takes
/// the finest texture for noise and is on the safe side.
#[test]
fn one_image_foretells_the_error_of_noise_alone() {
    let folder = Folder::new();
    let synth = [
        "synth", "pair", "dates", "--size", "512", "--field", "uniform", "--dx", "0.3", "--dy", "0.2", "--snr", "26",
        "--units", "px", "-q",
    ];
    assert_eq!(run(&folder, &synth).0, 0);
    let [pre, post, out] = ["dates/pre.tif", "dates/post.tif", "plain.tif"].map(|n| folder.file(n));
    settings(&pre, &post, &out, MethodName::Lsm, 1).run(&mut |_| {}, &mut Silent).unwrap();
    let real = scatter(&out, 32);
    let found = verify(&job(&pre, None, MethodName::Lsm, 1));
    let noise = found.noise.as_ref().unwrap()[0];
    let away = found.away.as_ref().unwrap();
    println!("noise {noise:.4} instead of 0.05; NMAD {:.4} foretold, {:.4} real", away.errors.east.nmad, real[0].0);
    assert!((0.045..0.1).contains(&noise), "{noise}");
    // A strong strain is an error of its own at such low noise: little slip leaves the noise alone.
    let quake = Quake { slip: Some(0.1), ..Quake::default() };
    let told = verify(&VerifyJob { snr_db: Some(26.0), quake, ..job(&pre, None, MethodName::Lsm, 1) });
    let told = told.away.unwrap().errors;
    println!(
        "with the noise told NMAD {:.4} / {:.4} foretold, {:.4} / {:.4} real",
        told.east.nmad, told.north.nmad, real[0].0, real[1].0
    );
    for ((f, safe), r) in
        [(told.east.nmad, away.errors.east.nmad), (told.north.nmad, away.errors.north.nmad)].iter().zip(real)
    {
        assert!((f / r.0 - 1.0).abs() < 0.25 && *safe > 0.9 * r.0 && *safe < 2.5 * r.0, "{f} {safe} {}", r.0);
    }
    // Less noise, less error; and a fault with cut windows is better near it.
    let quiet = verify(&VerifyJob { snr_db: Some(46.0), ..job(&pre, None, MethodName::Lsm, 1) });
    assert!(quiet.away.unwrap().errors.east.nmad < 0.3 * away.errors.east.nmad);
    let cut = verify(&VerifyJob { cut_trace: true, ..job(&pre, None, MethodName::Lsm, 1) });
    let near = |v: &Verification| v.result.by_distance[0].errors.as_ref().unwrap().north.mae;
    assert!(near(&cut) < 0.5 * near(&found), "{} {}", near(&cut), near(&found));
}

#[test]
fn misregistration_and_other_origins_are_no_error() {
    let folder = Folder::new();
    write_pair(&folder, (300, 260), 1.7, -0.6);
    let [pre, post] = ["pre.tif", "post.tif"].map(|n| folder.file(n));
    let plain = verify(&job(&pre, Some(&post), MethodName::Lsm, 1));
    let shift = plain.as_is.as_ref().unwrap().misregistration;
    assert!((shift.0 - 1.7).abs() < 0.01 && (shift.1 - 0.6).abs() < 0.01, "{shift:?}");
    let away = plain.away.unwrap();
    // The texture is aliased: what its interpolation adds depends on the place between the pixels.
    assert!(away.errors.east.rmse < 0.02 && away.errors.north.rmse < 0.02, "{:?}", away.errors);
    // The later image on another origin, half a pixel off the grid: known from its georeference.
    let moved = folder.file("moved.tif");
    let corner = ["500085", "4000045", "503085", "3997445"];
    common::gdal("gdal_translate", &[&["-q", "-a_ullr"][..], &corner, &[&post, &moved]].concat());
    let mut wide = job(&pre, Some(&moved), MethodName::Lsm, 1);
    wide.job.search = shiftmap::job::Search::Pixels(14.0, 14.0);
    let other = verify(&wide);
    let shift = other.as_is.as_ref().unwrap().misregistration;
    assert!((shift.0 - 10.2).abs() < 0.02 && (shift.1 - 5.1).abs() < 0.02, "{shift:?}");
    assert!(other.away.unwrap().errors.east.rmse < 0.02);
}

#[test]
fn files_agree_with_the_table_and_a_part_is_a_part_of_the_whole() {
    let folder = Folder::new();
    write_pair(&folder, (420, 360), 0.3, 0.2);
    let words = [
        "verify",
        "pre.tif",
        "post.tif",
        "--map",
        "map.tif",
        "--truth",
        "truth.tif",
        "--trace",
        "trace.gpkg",
        "--report",
        "r.md",
        "--report",
        "r.png",
        "--report",
        "r.json",
        "--part",
        "256",
        "--json",
    ];
    let (code, text, errors) = run(&folder, &words);
    assert_eq!(code, 0, "{errors}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((json["part"]["how"].as_str(), json["part"]["width"].as_u64()), (Some("chosen"), Some(256)));
    assert_eq!((json["part"]["x"].as_i64().unwrap() % 8, json["part"]["y"].as_i64().unwrap() % 8), (0, 0));
    assert!(std::fs::read_to_string(folder.file("r.md")).unwrap().contains("(right sigma)"));
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.file("r.json")).unwrap()).unwrap();
    assert_eq!(written, json);
    assert!(std::fs::metadata(folder.file("r.png")).unwrap().len() > 20_000);
    // `evaluate` says the same of the files; it takes all cells, the table those whose windows lie in the part.
    let words = ["evaluate", "map.tif", "truth.tif", "--trace", "trace.gpkg", "--json"];
    let (code, text, errors) = run(&folder, &words);
    assert_eq!(code, 0, "{errors}");
    let other: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mae = |v: &serde_json::Value| v["errors"]["east"]["mae"].as_f64().unwrap();
    assert!((mae(&other) / mae(&json) - 1.0).abs() < 0.05, "{} {}", mae(&other), mae(&json));
    let map = DisplacementMap::open(&folder.file("map.tif")).unwrap();
    let command = map.find("COMMAND").unwrap();
    assert!(command.starts_with("shiftmap verify pre.tif post.tif --method lsm"), "{command}");
    // The same numbers again, with any number of threads.
    let bytes = std::fs::read(folder.file("map.tif")).unwrap();
    for threads in ["1", "2"] {
        let words =
            ["verify", "pre.tif", "post.tif", "--map", "map.tif", "--part", "256", "--overwrite", "--threads", threads];
        assert_eq!(run(&folder, &words).0, 0);
        assert!(std::fs::read(folder.file("map.tif")).unwrap() == bytes, "{threads} threads");
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let folder = Folder::new();
    write_pair(&folder, (200, 180), 0.0, 0.0);
    for (words, code, text) in [
        (vec!["pre.tif", "nothing.tif"], 1, "nothing.tif"),
        (vec!["pre.tif", "--part", "16"], 1, "64 pixels"),
        (vec!["pre.tif", "--slip", "50"], 1, "--locking-depth"),
        (vec!["pre.tif", "post.tif", "--snr", "20"], 2, "cannot be used with"),
        (vec!["pre.tif", "--snr", "900"], 1, "decibels"),
        (vec!["pre.tif", "--distances", "9,3"], 1, "ascending"),
        (vec!["pre.tif", "--report", "r.txt"], 1, ".png"),
        (vec!["pre.tif", "--map", "pre.tif", "--overwrite"], 1, "one of the inputs"),
        (vec!["pre.tif", "--truth", "post.tif"], 1, "exists"),
        (vec!["pre.tif", "--region", "500", "500", "100", "100"], 1, "--region"),
        (vec!["pre.tif", "--window", "400"], 1, "--window"),
    ] {
        let (got, _, errors) = run(&folder, &[vec!["verify"], words.clone()].concat());
        assert!(got == code && errors.contains(text), "{words:?}: {got} {errors}");
    }
    // An earthquake of a magnitude, in an elastic half-space.
    let mut quake = job(&folder.file("pre.tif"), None, MethodName::Lsm, 1);
    quake.quake = Quake { magnitude: Some(7.0), slip: Some(2.0), ..Quake::default() };
    let found = verify(&quake);
    assert!((found.largest_displacement - 2.0).abs() < 0.5, "{}", found.largest_displacement);
}
