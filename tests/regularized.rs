//! The `regularized` method: faults, no quantisation, no stripes, no seams, masks, flat ground, the rim of the search,
//! lines, bands, threads and regions, calibration.

mod common;

use common::{Collect, Folder, rough_at, run};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::fault::FaultSpec;
use shiftmap::synth::field::FieldSpec;
use shiftmap::synth::pair::{PairSpec, Preset, SynthPair, make_pair};

fn params() -> Params {
    Params { method: MethodName::Regularized, window: (9, 9), step: (1, 1), ..Params::default() }
}

fn images(p: &SynthPair) -> (Image, Image) {
    let image = |v: &Grid<f32>, ok: &Grid<bool>| Image { values: v.clone(), valid: ok.clone() };
    (image(&p.pre, &p.pre_valid), image(&p.post, &p.post_valid))
}

/// The map of the cells of `region`, or of all.
fn map(
    (pre, post): (&Image, &Image),
    params: &Params,
    cuts: &[Vec<(f64, f64)>],
    threads: usize,
    region: Option<Window>,
) -> Grid<Measurement> {
    let (pre, post) = (MemoryImage(pre.clone()), MemoryImage(post.clone()));
    let size = (pre.0.width(), pre.0.height());
    let layout = Layout::new(size, params.window, params.step, region).unwrap();
    let mut found = Collect(Vec::new());
    let pair = Pair { cuts, ..Pair::new(&pre, &post, (0.0, 0.0)) };
    pipeline::run(&pair, &layout, params, threads, &mut found, &mut Silent).unwrap();
    found.map(&layout)
}

fn all(p: &SynthPair, params: &Params, cuts: &[Vec<(f64, f64)>]) -> Grid<Measurement> {
    let (pre, post) = images(p);
    map((&pre, &post), params, cuts, 2, None)
}

/// What is wrong with a map of step 1.
#[derive(Debug, Clone, Copy, Default)]
struct Errors {
    bias: [f64; 2],
    mae: [f64; 2],
    /// Robust standard deviation of error over sigma.
    z: [f64; 2],
    valid: f64,
}

/// Over pixels 24 px inside that `take`.
fn errors(p: &SynthPair, m: &Grid<Measurement>, take: impl Fn(usize, usize) -> bool) -> Errors {
    let (mut e, mut n, mut cells) = (Errors::default(), 0.0, 0.0);
    let mut z = [Vec::new(), Vec::new()];
    for y in 24..m.height - 24 {
        for x in 24..m.width - 24 {
            if !take(x, y) {
                continue;
            }
            cells += 1.0;
            let v = m.get(x, y);
            if v.status != Status::Valid {
                continue;
            }
            n += 1.0;
            let d = [v.shift.dx - f64::from(p.truth_dx.get(x, y)), v.shift.dy - f64::from(p.truth_dy.get(x, y))];
            for (i, variance) in [v.covariance.xx, v.covariance.yy].into_iter().enumerate() {
                e.bias[i] += d[i];
                e.mae[i] += d[i].abs();
                z[i].push((d[i] / variance.sqrt()).abs());
            }
        }
    }
    for i in 0..2 {
        e.bias[i] /= n;
        e.mae[i] /= n;
        z[i].sort_by(f64::total_cmp);
        e.z[i] = 1.4826 * z[i][z[i].len() / 2];
    }
    e.valid = n / cells;
    e
}

fn worst(v: [f64; 2]) -> f64 {
    v[0].abs().max(v[1].abs())
}

#[test]
fn faults_are_sharper_and_the_rest_quieter_than_the_correlation_peak() {
    let p = make_pair(&PairSpec::preset(Preset::Real, 440, 3)).unwrap();
    let found = all(&p, &params(), &[]);
    let near = |x: usize, y: usize| p.distance.get(x, y) <= 5.0;
    let far = |x: usize, y: usize| p.distance.get(x, y) > 60.0;
    let (own_near, own_far, own) = (errors(&p, &found, near), errors(&p, &found, far), errors(&p, &found, |_, _| true));
    println!("regularized 9: near {own_near:.4?} far {own_far:.4?} all {own:.4?}");
    for window in [9, 17, 33] {
        let spatial = Params { method: MethodName::Spatial, window: (window, window), ..params() };
        let other = all(&p, &spatial, &[]);
        // Where both have a value: the peak refuses what chance may have made, which is most of all beside the fault.
        let both = |x: usize, y: usize| [&found, &other].iter().all(|m| m.get(x, y).status == Status::Valid);
        let both_near = |x: usize, y: usize| near(x, y) && both(x, y);
        let (own_near, own) = (errors(&p, &found, both_near), errors(&p, &found, both));
        let (o_near, o_far, o) = (errors(&p, &other, both_near), errors(&p, &other, far), errors(&p, &other, both));
        println!("spatial {window}: near {:.4?} far {:.4?} all {:.4?}", o_near.mae, o_far.mae, o.mae);
        for i in 0..2 {
            assert!(own.mae[i] < o.mae[i] && own_near.mae[i] < o_near.mae[i]);
        }
    }
    assert!(worst(own_far.mae) < 0.020 && worst(own_near.mae) < 0.14 && own.valid > 0.97);
    for z in own_far.z.into_iter().chain(own.z) {
        assert!((0.7..1.4).contains(&z), "{own_far:?} {own:?}");
    }

    // Fractional parts against those of the truth: nothing gathers at steps of the ladder.
    let share = |value: &dyn Fn(usize) -> f64| {
        let mut bins = [0.0; 40];
        let cells: Vec<usize> = (0..found.data.len()).filter(|&k| found.data[k].status == Status::Valid).collect();
        cells
            .iter()
            .for_each(|&k| bins[((value(k).rem_euclid(0.25)) * 160.0) as usize % 40] += 1.0 / cells.len() as f64);
        bins
    };
    let measured = share(&|k| found.data[k].shift.dx);
    let truth = share(&|k| f64::from(p.truth_dx.data[k]));
    let off = (0..40).map(|b| (measured[b] - truth[b]).abs()).fold(0.0, f64::max);
    println!("fractional parts modulo 1/4 px: largest difference of a bin of 1/40 {off:.4}");
    assert!(off < 0.02);

    // Stripes would make errors alike along the directions of the aggregation.
    let error = |k: usize| found.data[k].shift.dx - f64::from(p.truth_dx.data[k]);
    let alike = |dx: isize, dy: isize| {
        let (mut sum, mut square) = (0.0, 0.0);
        for y in 40..400isize {
            for x in 40..400isize {
                let (a, b) = ((y * 440 + x) as usize, ((y + dy) * 440 + x + dx) as usize);
                let far = p.distance.data[a].min(p.distance.data[b]) > 30.0;
                if far && found.data[a].status == Status::Valid && found.data[b].status == Status::Valid {
                    sum += error(a) * error(b);
                    square += error(a) * error(a);
                }
            }
        }
        sum / square
    };
    let (straight, slanted) =
        ([alike(20, 0), alike(0, 20), alike(14, 14), alike(14, -14)], [alike(18, 8), alike(8, -18)]);
    println!("correlation of errors 20 px apart: along paths {straight:.3?}, between {slanted:.3?}");
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    assert!((mean(&straight) - mean(&slanted)).abs() < 0.1);
}

#[test]
fn shifts_of_any_fraction_have_no_bias_and_are_not_quantised() {
    // A slope through all fractions: 1 px over 180.
    let at = |x: f64, y: f64| rough_at(x, y) as f32;
    let pre = Image::from_values(Grid::from_fn(300, 200, |x, y| at(x as f64, y as f64)));
    let slope = 1.0 / 180.0;
    // x' = x + slope x, so the ground at x' comes from x' / (1 + slope).
    let post = Image::from_values(Grid::from_fn(300, 200, |x, y| at(x as f64 / (1.0 + slope), y as f64 - 0.37)));
    let found = map((&pre, &post), &params(), &[], 2, None);
    let mut bias = [[0.0; 2]; 8];
    let mut count = [0.0; 8];
    for y in 30..170 {
        for x in 60..240 {
            let m = found.get(x, y);
            if m.status == Status::Valid {
                let truth = slope * x as f64;
                let bin = (truth * 8.0) as usize % 8;
                bias[bin][0] += m.shift.dx - truth;
                bias[bin][1] += m.shift.dy - 0.37;
                count[bin] += 1.0;
            }
        }
    }
    for bin in 0..8 {
        let mean = bias[bin].map(|b| b / count[bin]);
        println!("fraction {bin}/8: bias {mean:+.4?} of {}", count[bin]);
        assert!(count[bin] > 1000.0 && worst(mean) < 0.02);
    }
}

#[test]
fn masks_do_not_bias_and_what_is_masked_has_no_value() {
    let mut spec = PairSpec::plain(320, 320, 5, FieldSpec::uniform(0.4, 0.3));
    spec.noise.snr_db = Some(26.0);
    let p = make_pair(&spec).unwrap();
    let (mut pre, mut post) = images(&p);
    for y in 0..320 {
        for x in 0..320 {
            let block = (x / 40) * 7 + (y / 40) * 11;
            if block % 5 == 0 {
                pre.valid.set(x, y, false);
                pre.values.set(x, y, 60_000.0);
            }
            if block % 5 == 2 {
                post.valid.set(x, y, false);
                post.values.set(x, y, 0.0);
            }
        }
    }
    let found = map((&pre, &post), &params(), &[], 2, None);
    let e = errors(&p, &found, |_, _| true);
    let lost = found.data.iter().filter(|m| m.status == Status::NoData).count();
    println!("{e:.4?} without data {lost}");
    assert!(worst(e.bias) < 0.01 && worst(e.mae) < 0.02 && (20_000..60_000).contains(&lost));
    // A gap's middle is further from data than a window.
    assert_ne!(found.get(20, 20).status, Status::Valid);
}

#[test]
fn flat_ground_changed_ground_and_the_rim_of_the_search_have_no_value() {
    let at = |x: f64, y: f64| rough_at(x, y) as f32;
    let (mut pre, mut post) = (Grid::from_fn(400, 200, |x, y| at(x as f64, y as f64)), Grid::filled(400, 200, 0.0f32));
    for y in 0..200 {
        for x in 0..400 {
            let (u, v) = (x as f64, y as f64);
            post.set(x, y, if x < 200 { at(u - 0.5, v) } else { at(u - 7.0, v) });
            if x < 100 {
                pre.set(x, y, 777.0);
                post.set(x, y, 777.0);
            }
        }
    }
    let found = map((&Image::from_values(pre), &Image::from_values(post)), &params(), &[], 1, None);
    let count = |x0: usize, x1: usize| {
        let cells = (10..190).flat_map(|y| (x0..x1).map(move |x| (x, y)));
        cells.filter(|&(x, y)| found.get(x, y).status == Status::Valid).count()
    };
    // Constant windows, the texture between, displacements beyond the search of 4 px.
    println!("flat {} textured {} beyond {}", count(5, 60), count(120, 180), count(240, 390));
    // Up to the reach of the prefilter.
    assert_eq!(count(5, 60), 0);
    assert!(count(120, 180) > 10_000 && count(240, 390) < 300);
}

#[test]
fn threads_and_regions_change_nothing_and_tiles_leave_no_seams() {
    let p = make_pair(&PairSpec::preset(Preset::Real, 560, 2)).unwrap();
    let (pre, post) = images(&p);
    let whole = map((&pre, &post), &params(), &[], 1, None);
    assert_eq!(map((&pre, &post), &params(), &[], 3, None), whole);
    let part = map((&pre, &post), &params(), &[], 1, Some(Window::new(500, 40, 30, 20)));
    for y in 0..20 {
        for x in 0..30 {
            assert_eq!(part.get(x, y), whole.get(500 + x, 40 + y));
        }
    }
    // Tiles meet between columns (and rows) 511 and 512.
    let step = |k: usize, along: &dyn Fn(usize, usize) -> (usize, usize)| {
        let (mut sum, mut n) = (0.0, 0.0);
        for j in 30..530 {
            let (a, b) = (along(k, j), along(k + 1, j));
            let (m, q) = (whole.get(a.0, a.1), whole.get(b.0, b.1));
            if m.status == Status::Valid && q.status == Status::Valid {
                sum += (m.shift.dx - q.shift.dx).abs() + (m.shift.dy - q.shift.dy).abs();
                n += 1.0;
            }
        }
        sum / n
    };
    for along in [&(|k, j| (k, j)) as &dyn Fn(usize, usize) -> (usize, usize), &|k, j| (j, k)] {
        let seam = step(511, along);
        let mut others: Vec<f64> = (490..534).filter(|k| *k != 511).map(|k| step(k, along)).collect();
        others.sort_by(f64::total_cmp);
        println!("step at the seam {seam:.5}, elsewhere {:.5} to {:.5}", others[0], others[others.len() - 1]);
        assert!(seam < 1.5 * others[others.len() - 1]);
    }
    // The same ground with the borders of tiles elsewhere.
    let shifted = |g: &Image| {
        let inner = Window::new(100, 100, 460, 460);
        Image { values: g.values.crop(inner), valid: g.valid.crop(inner) }
    };
    let other = map((&shifted(&pre), &shifted(&post)), &params(), &[], 2, None);
    let mut off: Vec<f64> = Vec::new();
    for y in 80..380 {
        for x in 80..380 {
            let (m, q) = (whole.get(x + 100, y + 100), other.get(x, y));
            if m.status == Status::Valid && q.status == Status::Valid {
                off.push((m.shift.dx - q.shift.dx).abs().max((m.shift.dy - q.shift.dy).abs()));
            }
        }
    }
    off.sort_by(f64::total_cmp);
    println!("another tiling: median difference {:.5}, 99 % {:.5} px", off[off.len() / 2], off[off.len() * 99 / 100]);
    assert!(off[off.len() / 2] < 0.005);
}

#[test]
fn lines_keep_both_sides_apart() {
    let middle = 111.5;
    for slip in [1.0, 4.0] {
        let fault = FaultSpec { centre: (middle, middle), slip, ..FaultSpec::for_size(1024, 1024) };
        let mut spec = PairSpec::plain(224, 224, 11, FieldSpec::fault(fault));
        spec.noise.snr_db = Some(-20.0 * 0.05f64.log10());
        let p = make_pair(&spec).unwrap();
        let params = Params { search: (6.0, 6.0), ..params() };
        let near = |x: usize, y: usize| p.distance.get(x, y) <= 5.0;
        let free = errors(&p, &all(&p, &params, &[]), near);
        let cut = errors(&p, &all(&p, &params, &p.traces), near);
        println!("slip {slip}: within 5 px {free:.4?}, with the line {cut:.4?}");
        assert!(2.0 * worst(cut.mae) < worst(free.mae) && cut.valid > 0.95);
    }
}

#[test]
fn windows_of_any_shape_and_step_measure_the_same_field() {
    let d = (-0.7, 1.2);
    let image = |d: (f64, f64)| {
        Image::from_values(Grid::from_fn(240, 160, |x, y| rough_at(x as f64 - d.0, y as f64 - d.1) as f32))
    };
    let (pre, post) = (image((0.0, 0.0)), image(d));
    for (window, step) in [((5, 7), (3, 2)), ((12, 8), (8, 5)), ((33, 21), (16, 16)), ((64, 64), (32, 32))] {
        let p = Params { window, step, ..params() };
        let found = map((&pre, &post), &p, &[], 2, None);
        let mut e: Vec<f64> = (found.data.iter().filter(|m| m.status == Status::Valid))
            .map(|m| (m.shift.dx - d.0).abs().max((m.shift.dy - d.1).abs()))
            .collect();
        e.sort_by(f64::total_cmp);
        println!("{window:?} {step:?}: median {:.4} of {} of {}", e[e.len() / 2], e.len(), found.data.len());
        assert!(e.len() * 3 > found.data.len() * 2 && e[e.len() / 2] < 0.01);
    }
}

#[test]
fn large_motion_is_found_and_options_are_heard() {
    let folder = Folder::new();
    common::write_pair(&folder, (320, 260), 21.3, -17.6);
    let command = |out: &str, more: &[&str]| {
        let first = ["displacement", "pre.tif", "post.tif", out, "--method", "regularized", "--units", "px", "-q"];
        run(&folder, &[&first[..], more].concat())
    };
    let (code, _, error) = command("far.tif", &["--search", "30", "--step", "4", "--backward", "--stable", "auto"]);
    assert_eq!(code, 0, "{error}");
    let bands = shiftmap::raster::read_all_bands(&folder.file("far.tif")).unwrap().bands;
    let mut east: Vec<f32> = bands[0].values.data.iter().copied().filter(|v| v.is_finite()).collect();
    let mut north: Vec<f32> = bands[1].values.data.iter().copied().filter(|v| v.is_finite()).collect();
    east.sort_by(f32::total_cmp);
    north.sort_by(f32::total_cmp);
    let (e, n) = (east[east.len() / 2], north[north.len() / 2]);
    println!("{e} {n} of {}", east.len());
    assert!((e - 21.3).abs() < 0.01 && (n - 17.6).abs() < 0.01 && east.len() > 3000);

    let metadata = common::gdalinfo(&folder.file("far.tif"));
    assert_eq!(metadata["metadata"]["SHIFTMAP"]["SMOOTHNESS"], "16");
    for (more, words) in [
        (vec!["--smoothness", "0"], "--smoothness"),
        (vec!["--smoothness", "1e9"], "--smoothness"),
        (vec!["--shape", "affine"], "lsm"),
        (vec!["--taper", "hann"], "lsm"),
        (vec!["--bilateral"], "lsm"),
    ] {
        let (code, _, error) = command("x.tif", &more);
        assert!(code == 1 && error.contains(words), "{more:?}: {error}");
    }
    let lsm = ["displacement", "pre.tif", "post.tif", "y.tif", "--smoothness", "8"];
    let (code, _, error) = run(&folder, &lsm);
    assert!(code == 1 && error.contains("regularized"), "{error}");
}
