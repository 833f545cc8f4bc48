//! The dense method: accuracy at every pixel, calibration, gaps, and independence of threads and regions.

mod common;

use common::Collect;
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::field::FieldSpec;
use shiftmap::synth::pair::{PairSpec, Preset, SynthPair, make_pair};

/// A value at every pixel: windows of odd side are centred on pixels.
fn params() -> Params {
    Params { method: MethodName::Dense, window: (33, 33), step: (1, 1), ..Params::default() }
}

fn measure(pre: &Image, post: &Image, region: Option<Window>, threads: usize) -> Vec<(Window, Grid<Measurement>)> {
    let (pre, post) = (MemoryImage(pre.clone()), MemoryImage(post.clone()));
    let size = (pre.0.width(), pre.0.height());
    let layout = Layout::new(size, params().window, params().step, region).unwrap();
    let mut found = Collect(Vec::new());
    pipeline::run(&Pair::new(&pre, &post, (0.0, 0.0)), &layout, &params(), threads, &mut found, &mut Silent).unwrap();
    found.0
}

/// The map of a whole image.
fn map(pre: &Image, post: &Image) -> Grid<Measurement> {
    let mut out = Grid::filled(pre.width(), pre.height(), Measurement::failed(Status::NoData));
    for (at, part) in measure(pre, post, None, 2) {
        for y in 0..at.height {
            for x in 0..at.width {
                out.set(at.x as usize + x, at.y as usize + y, part.get(x, y));
            }
        }
    }
    out
}

fn images(p: &SynthPair) -> (Image, Image) {
    let image = |v: &Grid<f32>, ok: &Grid<bool>| Image { values: v.clone(), valid: ok.clone() };
    (image(&p.pre, &p.pre_valid), image(&p.post, &p.post_valid))
}

/// Mean error and mean absolute error of both components, z, over pixels 64 px inside that `take`.
fn errors(p: &SynthPair, m: &Grid<Measurement>, take: impl Fn(usize, usize) -> bool) -> ([f64; 2], [f64; 2], f64) {
    let (mut mean, mut mae, mut z, mut n) = ([0.0; 2], [0.0; 2], 0.0, 0.0);
    for y in 64..m.height - 64 {
        for x in 64..m.width - 64 {
            let v = m.get(x, y);
            if v.status != Status::Valid || !take(x, y) {
                continue;
            }
            let e = [v.shift.dx - f64::from(p.truth_dx.get(x, y)), v.shift.dy - f64::from(p.truth_dy.get(x, y))];
            (0..2).for_each(|i| mean[i] += e[i]);
            (0..2).for_each(|i| mae[i] += e[i].abs());
            z += 0.5 * (e[0] * e[0] / v.covariance.xx + e[1] * e[1] / v.covariance.yy);
            n += 1.0;
        }
    }
    (mean.map(|v| v / n), mae.map(|v| v / n), f64::sqrt(z / n))
}

#[test]
fn faults_are_sharp_and_the_far_field_is_precise() {
    let p = make_pair(&PairSpec::preset(Preset::Real, 640, 1)).unwrap();
    let (pre, post) = images(&p);
    let m = map(&pre, &post);
    let (_, near, _) = errors(&p, &m, |x, y| p.distance.get(x, y) <= 5.0);
    let (_, far, z) = errors(&p, &m, |x, y| p.distance.get(x, y) > 100.0);
    let (_, all, _) = errors(&p, &m, |_, _| true);
    println!("near {near:.4?} far {far:.4?} z {z:.2} all {all:.4?}");
    assert!(near[0] < 0.17 && near[1] < 0.235);
    assert!(far[0] < 0.013 && far[1] < 0.018);
    assert!(all[0] < 0.025 && all[1] < 0.033);
    assert!((0.7..1.4).contains(&z));
}

#[test]
fn uniform_shifts_have_no_bias() {
    for d in [0.25, 0.5] {
        let mut spec = PairSpec::plain(320, 320, 3, FieldSpec::uniform(d, -d));
        spec.noise.snr_db = Some(20.0);
        let p = make_pair(&spec).unwrap();
        let (pre, post) = images(&p);
        let (bias, ..) = errors(&p, &map(&pre, &post), |_, _| true);
        println!("shift {d}: bias {bias:.5?}");
        assert!(bias[0].abs() < 0.005 && bias[1].abs() < 0.005);
    }
}

#[test]
fn clouds_are_masked_without_bias() {
    let mut spec = PairSpec::plain(384, 384, 5, FieldSpec::uniform(0.4, 0.3));
    spec.noise.snr_db = Some(26.0);
    let p = make_pair(&spec).unwrap();
    let (mut pre, mut post) = images(&p);
    // Blocks of 48 px cover about 40 % of both images together; what lies under them is wild.
    for y in 0..384 {
        for x in 0..384 {
            let block = (x / 48) * 7 + (y / 48) * 11;
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
    let m = map(&pre, &post);
    let (bias, mae, _) = errors(&p, &m, |_, _| true);
    let lost = m.data.iter().filter(|v| v.status == Status::NoData).count();
    println!("bias {bias:.4?} mae {mae:.4?} without data {lost}");
    assert!(bias[0].abs() < 0.01 && bias[1].abs() < 0.01 && mae[0] < 0.03 && mae[1] < 0.03);
    assert!(lost > 10_000);
}

#[test]
fn a_flat_image_has_no_displacement() {
    let p = make_pair(&PairSpec::plain(512, 512, 7, FieldSpec::uniform(0.2, 0.0))).unwrap();
    let (mut pre, mut post) = images(&p);
    for y in 0..512 {
        for x in 0..300 {
            pre.values.set(x, y, 1000.0);
            post.values.set(x, y, 1000.0);
        }
    }
    let m = map(&pre, &post);
    for (x, y) in [(60, 256), (100, 100), (150, 300)] {
        assert_ne!(m.get(x, y).status, Status::Valid, "({x}, {y})");
    }
    assert_eq!(m.get(450, 256).status, Status::Valid);
}

#[test]
fn threads_and_regions_change_nothing() {
    let p = make_pair(&PairSpec::preset(Preset::Real, 560, 2)).unwrap();
    let (pre, post) = images(&p);
    let whole = measure(&pre, &post, None, 1);
    assert_eq!(measure(&pre, &post, None, 3), whole);
    let region = Window::new(500, 40, 30, 20);
    let at = |parts: &[(Window, Grid<Measurement>)], x: i64, y: i64| {
        let (w, g) = parts.iter().find(|(w, _)| x >= w.x && y >= w.y && x < w.right() && y < w.bottom()).unwrap();
        g.get((x - w.x) as usize, (y - w.y) as usize)
    };
    for (w, g) in measure(&pre, &post, Some(region), 1) {
        for y in 0..w.height {
            for x in 0..w.width {
                assert_eq!(g.get(x, y), at(&whole, w.x + x as i64, w.y + y as i64));
            }
        }
    }
}
