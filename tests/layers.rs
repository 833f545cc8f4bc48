//! `spatial` on more than one layer: real and imaginary part of complex images, several pairs of the same motion.
//!
//! `cargo nextest run --release --test layers --no-capture` prints the tables.

mod common;

use common::{Collect, Folder, gdal, rough_at, run, write_pair, write_text};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, ComplexUse, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::raster::{PixelType, write_image};
use shiftmap::synth::inverse::Source;
use shiftmap::synth::sar::{SarSpec, signals};

const SIDE: usize = 256;
const MARGIN: usize = 16;

/// Real and imaginary part of a pre and a post signal of homogeneous ground, displaced by `d`.
fn slc(coherence: f64, d: (f64, f64), seed: u64) -> [[Grid<f64>; 2]; 2] {
    let spec = SarSpec { coherence, ..SarSpec::default() };
    let scene = Grid::filled(SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, 0.0);
    let sources = Grid::from_fn(SIDE, SIDE, |x, y| Source { x: x as f64 - d.0, y: y as f64 - d.1, covered: true });
    let [re, im] = signals(&spec, &scene, (MARGIN, MARGIN), &sources, seed, 0);
    let ([a, b], [c, e]) = (re, im);
    [[a, c], [b, e]]
}

/// Multiplies a signal by exp(j (x·fx + y·fy)), cycles a pixel, and a quadratic phase along y, cycles a pixel².
fn turned(signal: &[Grid<f64>; 2], rate: (f64, f64), quadratic: f64) -> [Grid<f64>; 2] {
    let mut out = signal.clone();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let t = y as f64;
            let phase = std::f64::consts::TAU * (rate.0 * x as f64 + rate.1 * t + 0.5 * quadratic * t * t);
            let (a, b) = (signal[0].get(x, y), signal[1].get(x, y));
            out[0].set(x, y, a * phase.cos() - b * phase.sin());
            out[1].set(x, y, a * phase.sin() + b * phase.cos());
        }
    }
    out
}

fn image(values: &Grid<f64>) -> MemoryImage {
    MemoryImage(Image::from_values(values.map(|v| v as f32)))
}

fn amplitude(signal: &[Grid<f64>; 2]) -> Grid<f64> {
    Grid::from_fn(SIDE, SIDE, |x, y| signal[0].get(x, y).hypot(signal[1].get(x, y)))
}

fn measured(
    bands: &[(MemoryImage, MemoryImage)],
    params: &Params,
    threads: usize,
    region: Option<Window>,
) -> Grid<Measurement> {
    let files = bands.iter().map(|(a, b)| (a as &dyn shiftmap::grid::ImageFile, b as &dyn shiftmap::grid::ImageFile));
    let pair = Pair { bands: files.collect(), ..Pair::new(&bands[0].0, &bands[0].1, (0.0, 0.0)) };
    let layout = Layout::new((SIDE, SIDE), params.window, params.step, region).unwrap();
    let mut found = Collect(Vec::new());
    pipeline::run(&pair, &layout, params, threads, &mut found, &mut Silent).unwrap();
    found.map(&layout)
}

fn params(window: usize, complex: ComplexUse) -> Params {
    let method = MethodName::Spatial;
    Params { method, complex, window: (window, window), step: (16, 16), reject_outliers: false, ..Params::default() }
}

/// The bands of `--complex coherence`.
fn complex_bands(pre: &[Grid<f64>; 2], post: &[Grid<f64>; 2]) -> Vec<(MemoryImage, MemoryImage)> {
    let mut bands = vec![(image(&amplitude(pre)), image(&amplitude(post)))];
    bands.extend((0..2).map(|k| (image(&pre[k]), image(&post[k]))));
    bands
}

/// RMSE of a component over values within a pixel, their mean square error over sigma², the share with a value and of outliers.
#[derive(Debug, Clone, Copy)]
struct Score {
    rmse: f64,
    z: f64,
    valid: f64,
    wrong: f64,
}

fn score(found: &Grid<Measurement>, d: (f64, f64), window: usize) -> Score {
    let (mut e2, mut z2, mut n, mut wrong, mut cells) = (0.0, 0.0, 0.0, 0.0, 0.0);
    // Windows that keep clear of the rim, beyond which nothing is known of the post image.
    let rim = window / 2 / 16 + 1;
    for y in rim..found.height - rim {
        for x in rim..found.width - rim {
            cells += 1.0;
            let m = found.get(x, y);
            if m.status != Status::Valid {
                continue;
            }
            let (a, b) = (m.shift.dx - d.0, m.shift.dy - d.1);
            if a.abs().max(b.abs()) > 1.0 {
                wrong += 1.0;
                continue;
            }
            n += 2.0;
            e2 += a * a + b * b;
            z2 += a * a / m.covariance.xx + b * b / m.covariance.yy;
        }
    }
    Score { rmse: (e2 / n).sqrt(), z: (z2 / n).sqrt(), valid: (0.5 * n + wrong) / cells, wrong: wrong / cells }
}

#[test]
fn coherence_is_more_precise_than_amplitude_and_its_sigma_holds() {
    let d = (1.3, -0.6);
    for (coherence, window) in [(0.3, 64), (0.5, 32), (0.7, 32), (0.9, 32), (0.9, 16)] {
        let mut all = [Vec::new(), Vec::new()];
        for seed in 0..3 {
            let [pre, post] = slc(coherence, d, seed);
            let bands = complex_bands(&pre, &post);
            let c = measured(&bands, &params(window, ComplexUse::Coherence), 2, None);
            let a = measured(&bands[..1], &params(window, ComplexUse::Amplitude), 2, None);
            all[0].push(score(&c, d, window));
            all[1].push(score(&a, d, window));
        }
        let mean = |v: &[Score], pick: fn(&Score) -> f64| v.iter().map(pick).sum::<f64>() / v.len() as f64;
        let [c, a] = all.each_ref().map(|v| Score {
            rmse: mean(v, |s| s.rmse * s.rmse).sqrt(),
            z: mean(v, |s| s.z * s.z).sqrt(),
            valid: mean(v, |s| s.valid),
            wrong: mean(v, |s| s.wrong),
        });
        // Bamler & Eineder 2005 for independent samples: 0.8 of the band on both axes.
        let n = (window * window) as f64 * 0.64;
        let bound = (1.5 / n).sqrt() * (1.0 - coherence * coherence).sqrt() / (std::f64::consts::PI * coherence) / 0.8;
        println!("coherence {coherence} window {window}: bound {bound:.4} coherence {c:?} amplitude {a:?}");
        assert!(c.rmse < 0.7 * a.rmse && c.rmse < 1.6 * bound, "{c:?} {a:?} {bound}");
        assert!((0.8..1.25).contains(&c.z) && c.valid > 0.98 && c.wrong == 0.0, "{c:?}");
    }
}

#[test]
fn fringes_and_a_steered_beam_do_not_matter() {
    let d = (1.3, -0.6);
    let [pre, post] = slc(0.8, d, 5);
    let plain = score(&measured(&complex_bands(&pre, &post), &params(32, ComplexUse::Coherence), 2, None), d, 32);
    for (rate, quadratic) in [((0.02, -0.015), 0.0), ((0.0, 0.31), 0.0), ((0.01, 0.1), 0.004)] {
        // The beam turns both images, the baseline one of them.
        let (pre, post) = match quadratic == 0.0 && rate.1 < 0.1 {
            true => (pre.clone(), turned(&post, rate, 0.0)),
            false => (
                turned(&pre, (0.0, rate.1), quadratic),
                turned(&turned(&post, (0.0, rate.1), quadratic), (rate.0, 0.0), 0.0),
            ),
        };
        let s = score(&measured(&complex_bands(&pre, &post), &params(32, ComplexUse::Coherence), 2, None), d, 32);
        println!("fringe {rate:?} {quadratic}: {s:?}, without {plain:?}");
        assert!(s.rmse < 1.25 * plain.rmse && s.valid > 0.98 && s.wrong == 0.0, "{s:?}");
    }
}

#[test]
fn ground_without_coherence_has_no_values() {
    let [pre, _] = slc(0.0, (0.0, 0.0), 1);
    let [_, post] = slc(0.0, (0.0, 0.0), 2);
    for window in [16, 32, 64] {
        let found = measured(&complex_bands(&pre, &post), &params(window, ComplexUse::Coherence), 2, None);
        let valid = found.data.iter().filter(|m| m.status == Status::Valid).count();
        println!("window {window}: {valid} of {} cells of noise have a value", found.data.len());
        assert!(valid * 100 <= found.data.len());
    }
}

#[test]
fn complex_windows_with_gaps_and_any_thread_give_the_same() {
    let d = (0.4, 0.7);
    let [pre, post] = slc(0.8, d, 3);
    let mut bands = complex_bands(&pre, &post);
    for (_, b) in &mut bands {
        for y in 0..SIDE {
            for x in (0..SIDE).filter(|x| (x + y) % 40 < 8) {
                b.0.valid.set(x, y, false);
                b.0.values.set(x, y, 0.0);
            }
        }
    }
    let p = params(32, ComplexUse::Coherence);
    let whole = measured(&bands, &p, 1, None);
    let s = score(&whole, d, 32);
    println!("gaps: {s:?}");
    assert!(s.valid > 0.98 && s.wrong == 0.0 && s.rmse < 0.02 && (0.7..1.4).contains(&s.z), "{s:?}");
    assert_eq!(measured(&bands, &p, 3, None), whole);
    let part = measured(&bands, &p, 2, Some(Window::new(64, 32, 128, 160)));
    let layout = Layout::new((SIDE, SIDE), p.window, p.step, Some(Window::new(64, 32, 128, 160))).unwrap().region;
    for y in 0..layout.height {
        for x in 0..layout.width {
            assert_eq!(part.get(x, y), whole.get(layout.x as usize + x, layout.y as usize + y));
        }
    }
}

/// A complex GeoTIFF of a signal.
fn write_complex(folder: &Folder, name: &str, signal: &[Grid<f64>; 2]) {
    for (part, values) in ["re", "im"].iter().zip(signal) {
        write_image(&folder.file(&format!("{part}.tif")), &values.map(|v| v as f32), PixelType::F32, None, None, true)
            .unwrap();
    }
    let source = |part: &str| {
        format!(
            "<SimpleSource><SourceFilename relativeToVRT=\"1\">{part}.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        )
    };
    let vrt = format!(
        "<VRTDataset rasterXSize=\"{SIDE}\" rasterYSize=\"{SIDE}\"><VRTRasterBand dataType=\"CFloat32\" band=\"1\" \
         subClass=\"VRTDerivedRasterBand\"><PixelFunctionType>complex</PixelFunctionType>\
         <SourceTransferType>Float32</SourceTransferType>{}{}</VRTRasterBand></VRTDataset>",
        source("re"),
        source("im")
    );
    write_text(&folder.file("both.vrt"), &vrt);
    gdal("gdal_translate", &["-q", &folder.file("both.vrt"), &folder.file(name)]);
}

#[test]
fn complex_files_are_matched_and_real_ones_refused() {
    let folder = Folder::new();
    let d = (1.3, -0.6);
    let [pre, post] = slc(0.8, d, 7);
    write_complex(&folder, "a.tif", &pre);
    write_complex(&folder, "b.tif", &post);
    let command = [
        "displacement",
        "a.tif",
        "b.tif",
        "map.tif",
        "--method",
        "spatial",
        "--complex",
        "coherence",
        "--units",
        "px",
        "--step",
        "16",
    ];
    let (code, _, err) = run(&folder, &command);
    assert_eq!(code, 0, "{err}");
    let bands = shiftmap::raster::read_all_bands(&folder.file("map.tif")).unwrap().bands;
    let (mut worst, mut n) = (0.0f32, 0);
    let [east, north] = [0, 1].map(|k: usize| &bands[k].values.data);
    let status = &bands[5].values.data;
    for ((x, y), _) in east.iter().zip(north).zip(status).filter(|v| *v.1 == 0.0) {
        worst = worst.max((x - 1.3).abs()).max((y - 0.6).abs());
        n += 1;
    }
    println!("{n} cells, worst error {worst}");
    assert!(n > 150 && worst < 0.1);
    let metadata = common::gdalinfo(&folder.file("map.tif"))["metadata"]["SHIFTMAP"].clone();
    assert_eq!((metadata["COMPLEX"].as_str(), metadata["PREFILTER"].as_str()), (Some("coherence"), Some("none")));
    assert!(metadata["COMMAND"].as_str().unwrap().contains(" --complex coherence"));
    let refused = |words: &[&str], what: &str| {
        let (code, _, err) = run(&folder, words);
        assert!(code == 1 && err.contains(what), "{err}");
    };
    refused(
        &["displacement", "re.tif", "im.tif", "x.tif", "--method", "spatial", "--complex", "coherence"],
        "stores Float32 numbers",
    );
    refused(&["displacement", "a.tif", "b.tif", "x.tif", "--complex", "coherence"], "only --method spatial");
    let mut filtered = command.to_vec();
    filtered[3] = "x.tif";
    filtered.extend(["--prefilter", "highpass"]);
    refused(&filtered, "without a filter");
}

#[test]
fn amplitudes_of_complex_files_are_not_pulled_to_whole_pixels() {
    let folder = Folder::new();
    let d = (1.3, -0.25);
    let [pre, post] = slc(0.8, d, 11);
    let amplitudes = [&pre, &post].map(|s| amplitude(s).map(|v| v as f32));
    // Steered beams do not show in amplitudes.
    write_complex(&folder, "a.tif", &turned(&pre, (0.0, 0.31), 0.0));
    write_complex(&folder, "b.tif", &turned(&post, (0.0, -0.2), 0.004));
    for (name, values) in ["a-samples.tif", "b-samples.tif"].iter().zip(&amplitudes) {
        write_image(&folder.file(name), values, PixelType::F32, None, None, true).unwrap();
    }
    // Mean error and mean absolute error of both components, pixels.
    let errors = |pair: [&str; 2], method: &str, window: &str| {
        let words = ["displacement", pair[0], pair[1], "m.tif", "--method", method, "--window", window, "--step", "16"];
        let (code, _, err) = run(&folder, &[&words[..], &["--units", "px", "--overwrite", "-q"]].concat());
        assert_eq!(code, 0, "{err}");
        let bands = shiftmap::raster::read_all_bands(&folder.file("m.tif")).unwrap().bands;
        let of = |k: usize, truth: f64| {
            let valid = bands[k].values.data.iter().zip(&bands[5].values.data).filter(|v| *v.1 == 0.0);
            let e: Vec<f64> = valid.map(|v| f64::from(*v.0) - truth).collect();
            assert!(e.len() > 150, "{} values of {method}", e.len());
            let mean = |f: fn(&f64) -> f64| e.iter().map(f).sum::<f64>() / e.len() as f64;
            (mean(|v| *v).abs(), mean(|v| v.abs()))
        };
        let (east, north) = (of(0, d.0), of(1, -d.1));
        (east.0.max(north.0), 0.5 * (east.1 + north.1))
    };
    for (method, window) in
        [("frequency", "64"), ("spatial", "64"), ("lsm", "33"), ("dense", "33"), ("regularized", "33")]
    {
        let detected = errors(["a.tif", "b.tif"], method, window);
        let samples = errors(["a-samples.tif", "b-samples.tif"], method, window);
        println!(
            "{method} {window}: pull {:.4}, error {:.4}; at the samples {:.4}, {:.4}",
            detected.0, detected.1, samples.0, samples.1
        );
        assert!(detected.0 < 0.02 && detected.1 < 0.75 * samples.1, "{method}: {detected:?} {samples:?}");
    }
    // However the images are read, their amplitudes are the same.
    let map = |name: &str, more: &[&str]| {
        let words = ["displacement", "a.tif", "b.tif", name, "--method", "lsm", "--step", "8", "-q"];
        assert_eq!(run(&folder, &[&words[..], more].concat()).0, 0);
        shiftmap::raster::read_all_bands(&folder.file(name)).unwrap()
    };
    let whole = map("whole.tif", &["--threads", "1"]);
    let part = map("part.tif", &["--region", "70", "90", "120", "80"]);
    let (x, y) = part.georef.transform.map(0.5, 0.5);
    let (i, j) = whole.georef.transform.pixel(x, y).unwrap();
    let at = Window::new(i.floor() as i64, j.floor() as i64, part.bands[0].width(), part.bands[0].height());
    for (w, p) in whole.bands.iter().zip(&part.bands) {
        assert_eq!(w.values.crop(at), p.values);
    }
}

#[test]
fn the_interpolator_of_complex_files_is_known() {
    let folder = Folder::new();
    // With so little motion the phases of the pair say nothing about its texture, and its spectrum looks aliased.
    let [pre, post] = slc(0.6, (0.1, -0.05), 4);
    write_complex(&folder, "a.tif", &pre);
    write_complex(&folder, "b.tif", &post);
    for (name, signal) in [("a-samples.tif", &pre), ("b-samples.tif", &post)] {
        let values = amplitude(signal).map(|v| v as f32);
        write_image(&folder.file(name), &values, PixelType::F32, None, None, true).unwrap();
    }
    let metadata = |pair: [&str; 2], more: &[&str]| {
        let words = ["displacement", pair[0], pair[1], "m.tif", "--step", "16", "--overwrite"];
        let (code, out, err) = run(&folder, &[&words[..], more].concat());
        assert_eq!(code, 0, "{err}");
        (common::gdalinfo(&folder.file("m.tif"))["metadata"]["SHIFTMAP"].clone(), out + &err)
    };
    let starts = |value: &serde_json::Value, with: &str| value.as_str().is_some_and(|v| v.starts_with(with));
    let (complex, samples) = (["a.tif", "b.tif"], ["a-samples.tif", "b-samples.tif"]);
    for more in [&[][..], &["--resample"], &["--method", "frequency", "--window", "64"]] {
        let (found, _) = metadata(complex, more);
        assert!(starts(&found["INTERPOLATION"], "quintic B-spline on the x2 grid"), "{found}");
        assert_eq!(found["INTERPOLATION_GIVEN"], "complex images, detected without aliasing");
    }
    let (found, _) = metadata(samples, &[]);
    assert!(!starts(&found["INTERPOLATION"], "quintic") && found["INTERPOLATION_GIVEN"].is_null(), "{found}");
    // One of both is not enough.
    gdal("gdal_translate", &["-q", "-ot", "Float32", &folder.file("b.tif"), &folder.file("b-real.tif")]);
    let (found, _) = metadata(["a.tif", "b-real.tif"], &[]);
    assert!(found["INTERPOLATION_GIVEN"].is_null(), "{found}");
    for (name, words) in [
        ("band-limited", "quintic B-spline on the x2 grid"),
        ("quintic", "quintic B-spline on the pixel grid"),
        ("cubic", "cubic"),
        ("quadratic", "quadratic"),
        ("linear", "linear"),
    ] {
        for pair in [complex, samples] {
            let (found, _) = metadata(pair, &["--interpolation", name]);
            assert!(starts(&found["INTERPOLATION"], words), "{name}: {found}");
            assert_eq!(found["INTERPOLATION_GIVEN"], "by --interpolation");
            assert!(found["COMMAND"].as_str().unwrap().contains(&format!(" --interpolation {name}")));
        }
    }
    let words = ["displacement", "a.tif", "b.tif", "x.tif", "--method", "spatial", "--complex", "coherence"];
    let (code, _, err) = run(&folder, &[&words[..], &["--interpolation", "linear"]].concat());
    assert!(code == 1 && err.contains("--interpolation") && err.contains("band-limited"), "{err}");

    // An earthquake is simulated on copies of the images, of which the same is known.
    for (pair, wanted) in [(complex, Some("complex images, detected without aliasing")), (samples, None)] {
        let (code, _, err) =
            run(&folder, &["verify", pair[0], pair[1], "--step", "16", "--map", "v.tif", "--overwrite"]);
        assert_eq!(code, 0, "{err}");
        let found = common::gdalinfo(&folder.file("v.tif"))["metadata"]["SHIFTMAP"].clone();
        assert_eq!(found["INTERPOLATION_GIVEN"].as_str(), wanted, "{found}");
    }

    // And so is the network.
    if let Err(e) = shiftmap::net::runtime::load(None) {
        println!("network skipped: {e}");
        return;
    }
    let net = |pair, more: &[&str]| {
        let (found, said) = metadata(pair, &[&["--method", "net", "--window", "33"], more].concat());
        let model = found["MODEL"].as_str().unwrap().to_string();
        assert!(found["COMMAND"].as_str().unwrap().contains(&format!(" --model {model}")), "{found}");
        (model, said)
    };
    let (model, said) = net(complex, &[]);
    assert!(
        model == "flk-slc" && said.contains("the images are complex), so the network is flk-slc"),
        "{model}: {said}"
    );
    assert_eq!(net(samples, &[]).0, "flk-sar");
    assert_eq!(net(samples, &["--interpolation", "band-limited"]).0, "flk-slc");
    assert_eq!(net(complex, &["--interpolation", "linear", "--sensor", "sar"]).0, "flk-sar");
    assert_eq!(net(complex, &["--sensor", "optical"]).0, "flk");
}

/// Pre and post image of a pair with noise of its own.
fn noisy(d: (f64, f64), noise: f64, seed: u64) -> (MemoryImage, MemoryImage) {
    use shiftmap::synth::random::{Purpose, numbered, white};
    let make = |d: (f64, f64), purpose: Purpose| {
        let own = white(SIDE, SIDE, &mut numbered(seed, purpose, 0));
        image(&Grid::from_fn(SIDE, SIDE, |x, y| rough_at(x as f64 - d.0, y as f64 - d.1) + noise * own.get(x, y)))
    };
    (make((0.0, 0.0), Purpose::NoisePre), make(d, Purpose::NoisePost))
}

#[test]
fn pairs_together_are_as_precise_as_their_number_says() {
    let d = (0.7, -1.2);
    for (method, noise) in [(MethodName::Spatial, 700.0), (MethodName::Lsm, 400.0)] {
        let p = Params { method, ..params(32, ComplexUse::Amplitude) };
        let pairs: Vec<_> = (0..9).map(|seed| noisy(d, noise, seed)).collect();
        let single: Vec<_> = pairs.iter().map(|pair| measured(std::slice::from_ref(pair), &p, 2, None)).collect();
        let scores: Vec<Score> = single.iter().map(|f| score(f, d, 32)).collect();
        let one = (scores.iter().map(|s| s.rmse * s.rmse).sum::<f64>() / 9.0).sqrt();
        let failed = scores.iter().map(|s| 1.0 - s.valid + s.wrong).sum::<f64>() / 9.0;
        println!("{method:?} one pair: rmse {one:.4} failed {failed:.3} z {:.2}", scores[0].z);
        for n in [4, 9] {
            let s = score(&measured(&pairs[..n], &p, 2, None), d, 32);
            let expected = one / (n as f64).sqrt();
            println!("{method:?} {n} pairs: {s:?}, expected {expected:.4}");
            // What single pairs cannot measure at all is not in their error.
            assert!(s.rmse < 1.25 * expected && s.rmse > 0.6 * expected, "{s:?} {expected}");
            assert!(1.0 - s.valid + s.wrong < 0.5 * failed || failed < 0.005 && s.wrong == 0.0, "{s:?} {failed}");
            assert!((0.8..1.25).contains(&s.z), "{s:?}");
        }
    }
}

#[test]
fn files_of_further_pairs_lie_on_the_same_grids() {
    let folder = Folder::new();
    for name in ["a", "c"] {
        write_pair(&folder, (200, 160), 0.6, -0.4);
        for role in ["pre", "post"] {
            std::fs::rename(folder.file(&format!("{role}.tif")), folder.file(&format!("{role}, {name}.tif"))).unwrap();
        }
    }
    write_pair(&folder, (160, 160), 0.6, -0.4);
    let base = ["displacement", "pre, a.tif", "post, a.tif", "map.tif", "--method", "spatial", "--units", "px"];
    let with = |words: &[&str]| run(&folder, &[&base[..], words].concat());
    let (code, _, err) = with(&["--stack-pair", "\"pre, c.tif\",\"post, c.tif\""]);
    assert_eq!(code, 0, "{err}");
    let metadata = common::gdalinfo(&folder.file("map.tif"))["metadata"]["SHIFTMAP"].clone();
    assert_eq!(metadata["STACK_PAIR_2"], "\"pre, c.tif\",\"post, c.tif\"");
    assert!(metadata["COMMAND"].as_str().unwrap().contains("--stack-pair \"pre, c.tif\",\"post, c.tif\""));
    let refused = |words: &[&str], what: &str| {
        let (code, _, err) = with(words);
        assert!(code != 0 && err.contains(what), "{err}");
    };
    refused(&["--overwrite", "--stack-pair", "pre.tif,post.tif"], "has 160 x 160 pixels, not 200 x 160");
    refused(&["--overwrite", "--stack-pair", "pre.tif"], "is not two paths PRE,POST");
    refused(&["--overwrite", "--stack-pair", "none.tif,post.tif"], "none.tif");
    refused(&["--overwrite", "--stack-pair", "\"pre, a.tif\",\"post, a.tif\""], "the pair is there already");
    refused(&["--overwrite", "--stack-pair", "\"pre, c.tif\",\"post, c.tif\"", "--method", "frequency"], "");
    gdal("gdal_translate", &["-q", "-a_srs", "EPSG:32613", &folder.file("pre, c.tif"), &folder.file("zone.tif")]);
    refused(&["--overwrite", "--stack-pair", "zone.tif,\"post, c.tif\""], "coordinate reference systems differ");
    gdal(
        "gdal_translate",
        &[
            "-q",
            "-a_ullr",
            "500010",
            "4000000",
            "502010",
            "3998400",
            &folder.file("post, c.tif"),
            &folder.file("moved.tif"),
        ],
    );
    refused(&["--overwrite", "--stack-pair", "\"pre, c.tif\",moved.tif"], "columns and");
}
