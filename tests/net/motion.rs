//! Real, if small, networks on moved texture: sign, sub-pixel motion, passes, large motion, windows, the front end, sigma on
//! stable ground.

use super::{map, measure, options, params, rough, runtime};
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image};
use shiftmap::net::NetOptions;
use shiftmap::pipeline::{MethodName, Params, SigmaScale};

fn errors(field: &Grid<Measurement>, margin: usize, truth: impl Fn(usize, usize) -> (f64, f64)) -> (f64, f64, usize) {
    let (mut sum, mut bias, mut n) = (0.0, 0.0, 0);
    for y in margin..field.height - margin {
        for x in margin..field.width - margin {
            let m = field.get(x, y);
            if m.status == Status::Valid {
                let (dx, dy) = truth(x, y);
                sum += (m.shift.dx - dx).abs() + (m.shift.dy - dy).abs();
                bias += m.shift.dx - dx;
                n += 1;
            }
        }
    }
    (sum / (2 * n.max(1)) as f64, bias / n.max(1) as f64, n)
}

fn constant(d: (f64, f64)) -> (Image, Image) {
    (rough((320, 280), |_, _| (0.0, 0.0)), rough((320, 280), move |_, _| d))
}

#[test]
fn a_feature_to_the_right_and_down_has_moved_right_and_down() {
    if !runtime() {
        return;
    }
    let (pre, post) = constant((0.4, 0.25));
    let once = errors(&map(&pre, &post, &params(&options("matcher"))), 40, |_, _| (0.4, 0.25));
    let thrice =
        errors(&map(&pre, &post, &params(&NetOptions { passes: Some(3), ..options("matcher") })), 40, |_, _| {
            (0.4, 0.25)
        });
    assert!(once.0 < 0.2 && thrice.0 < 0.02 && thrice.0 < 0.5 * once.0, "{once:?} {thrice:?}");
    assert_eq!(thrice.2, 240 * 200);
}

/// Beyond what the network knows the classical start field leads it, and further passes refine it: with a gradient.
#[test]
fn large_motion_starts_classically() {
    if !runtime() {
        return;
    }
    let truth = |x: f64, y: f64| (11.3 + 0.004 * x, -7.6 + 0.003 * y);
    // The post image is known at x + d(x): its texture there is the pre image's at x, by fixed-point inversion.
    let back = move |x: f64, y: f64| {
        let mut d = truth(x, y);
        for _ in 0..20 {
            d = truth(x - d.0, y - d.1);
        }
        d
    };
    let (pre, post) = (rough((320, 280), |_, _| (0.0, 0.0)), rough((320, 280), back));
    let p =
        |passes| Params { search: (16.0, 12.0), ..params(&NetOptions { passes: Some(passes), ..options("matcher") }) };
    let thrice = errors(&map(&pre, &post, &p(3)), 40, |x, y| truth(x as f64, y as f64));
    assert!(thrice.0 < 0.03 && thrice.2 > 40_000, "{thrice:?}");
    // A search that is looked through coarse to fine.
    let far = Params { search: (60.0, 60.0), ..p(3) };
    let far = errors(&map(&pre, &post, &far), 60, |x, y| truth(x as f64, y as f64));
    assert!(far.0 < 0.03 && far.2 > 25_000, "{far:?}");
}

#[test]
fn networks_for_windows_measure_too() {
    if !runtime() {
        return;
    }
    for (d, search) in [((0.35, -0.3), 1.0), ((5.35, -3.3), 8.0)] {
        let (pre, post) = constant(d);
        let p = |passes| {
            let p = params(&NetOptions { passes: Some(passes), ..options("window_matcher") });
            Params { window: (32, 32), step: (8, 8), search: (search, search), ..p }
        };
        let once = errors(&map(&pre, &post, &p(1)), 5, |_, _| d);
        let thrice = errors(&map(&pre, &post, &p(3)), 5, |_, _| d);
        assert!(once.0 < 0.2 && thrice.0 < 0.03 && thrice.0 < once.0, "{d:?}: {once:?} {thrice:?}");
    }
}

fn add_noise(image: &mut Image, share: f32) {
    let width = image.values.width;
    for (k, v) in image.values.data.iter_mut().enumerate() {
        *v += share * super::common::hashed_noise(k % width, k / width, 3) as f32;
    }
}

/// The front end's own displacement is the dense method's, so a network that only hands it on gives the dense method's map; its
/// sigma lacks what the dense method adds for its last correction.
#[test]
fn the_front_end_gives_what_dense_gives() {
    if !runtime() {
        return;
    }
    let (pre, mut post) = constant((0.37, -1.21));
    add_noise(&mut post, 0.1);
    let net = params(&options("features"));
    let dense = Params { method: MethodName::Dense, net: None, ..net.clone() };
    let (a, b) = (map(&pre, &post, &net), map(&pre, &post, &dense));
    let (mut worst, mut shares) = (0.0f64, 0.0);
    for y in 20..260 {
        for x in 20..300 {
            let (m, n) = (a.get(x, y), b.get(x, y));
            assert_eq!((m.status, n.status), (Status::Valid, Status::Valid));
            worst = worst.max((m.shift.dx - n.shift.dx).abs()).max((m.shift.dy - n.shift.dy).abs());
            let share = m.covariance.xx / n.covariance.xx;
            assert!(share < 1.05, "{x} {y}: {share}");
            shares += share;
        }
    }
    assert!(worst < 1e-4, "{worst}");
    let shares = shares / (240.0 * 280.0);
    assert!(shares > 0.6, "{shares}");
    let error = errors(&a, 20, |_, _| (0.37, -1.21));
    assert!(error.0 < 0.01, "{error:?}");
}

/// What the front end says for and against corrections reaches the network: this one takes the mean of boxes of 9 px from it.
#[test]
fn evidence_is_an_input() {
    if !runtime() {
        return;
    }
    let (pre, mut post) = constant((0.37, -1.21));
    add_noise(&mut post, 0.4);
    let (plain, mean) =
        (map(&pre, &post, &params(&options("features"))), map(&pre, &post, &params(&options("evidence"))));
    let (mut worst, mut change) = (0.0f64, 0.0f64);
    for y in 20..260 {
        for x in 20..300 {
            let around = (y - 4..y + 5).flat_map(|j| (x - 4..x + 5).map(move |i| (i, j)));
            let sum = around.fold((0.0, 0.0), |sum, (i, j)| {
                let shift = plain.get(i, j).shift;
                (sum.0 + shift.dx, sum.1 + shift.dy)
            });
            let (own, found) = (plain.get(x, y).shift, mean.get(x, y).shift);
            worst = worst.max((found.dx - sum.0 / 81.0).abs()).max((found.dy - sum.1 / 81.0).abs());
            change = change.max((found.dx - own.dx).abs());
        }
    }
    assert!(worst < 1e-4 && change > 1e-3, "{worst} {change}");
}

/// The second front end smooths what `dense` finds as `regularized` smooths its labels, and so comes near to that.
#[test]
fn the_second_front_end_smooths_as_regularized() {
    if !runtime() {
        return;
    }
    let truth = |x: f64, y: f64| (0.37 + 0.3 * (x / 40.0).sin(), -1.21 + 0.3 * (y / 40.0).cos());
    let back = move |x: f64, y: f64| {
        let mut d = truth(x, y);
        for _ in 0..20 {
            d = truth(x - d.0, y - d.1);
        }
        d
    };
    let (pre, mut post) = (rough((320, 280), |_, _| (0.0, 0.0)), rough((320, 280), back));
    add_noise(&mut post, 0.4);
    let net = |name: &str| map(&pre, &post, &params(&options(name)));
    let regularized = Params { method: MethodName::Regularized, net: None, ..params(&options("features")) };
    let regularized = map(&pre, &post, &regularized);
    let of = |x: usize, y: usize| (regularized.get(x, y).shift.dx, regularized.get(x, y).shift.dy);
    let (plain, smoothed) = (errors(&net("features"), 20, of), errors(&net("smoothed"), 20, of));
    assert!(smoothed.0 < 0.3 * plain.0, "{plain:?} {smoothed:?}");
    let error = errors(&net("smoothed"), 20, |x, y| truth(x as f64, y as f64));
    assert!(error.0 < 0.04 && error.1.abs() < 0.005, "{error:?}");
}

/// Backwards the pair is exchanged, and a good network agrees with itself.
#[test]
fn the_check_backwards_works() {
    if !runtime() {
        return;
    }
    let (pre, post) = constant((0.4, 0.25));
    let p = Params { backward: Some(0.2), ..params(&NetOptions { passes: Some(2), ..options("matcher") }) };
    let found = map(&pre, &post, &p);
    let valid = |f: &Grid<Measurement>| {
        f.data.iter().filter(|m| m.status == Status::Valid).count() as f64 / f.data.len() as f64
    };
    assert!(valid(&found) > 0.9, "{}", valid(&found));
    // One that always says the same does not.
    let p = Params { backward: Some(0.2), ..params(&options("constant")) };
    assert!(valid(&map(&pre, &post, &p)) < 0.1);
}

/// Sigma is scaled by the scatter between neighbours as for every method.
#[test]
fn sigma_is_calibrated() {
    if !runtime() {
        return;
    }
    let (pre, post) = constant((0.4, 0.25));
    let noisy = Image::from_values(Grid::from_fn(320, 280, |x, y| {
        post.values.get(x, y) + 0.3 * super::common::hashed_noise(x, y, 5) as f32
    }));
    let p = Params {
        window: (16, 16),
        step: (8, 8),
        sigma_scale: SigmaScale::Neighbours,
        ..params(&NetOptions { passes: Some(3), ..options("matcher") })
    };
    let (field, report) = measure(&[(pre, noisy)], &p, 2, None).unwrap();
    assert!(report.facts.iter().any(|(k, _)| k == "SIGMA_FACTORS"), "{:?}", report.facts);
    assert!(field.data.iter().filter(|m| m.status == Status::Valid).all(|m| m.covariance.xx.is_finite()));
}
