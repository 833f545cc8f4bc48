//! Networks that compute something simple, so that every number of the map is known: axes, sign, bands, pieces, overlap,
//! averaging, gaps, first field, passes, windows, sigma.

use super::{bits, map, measure, model, options, params, rough, runtime};
use shiftmap::field::Status;
use shiftmap::grid::{Grid, Image, Window};
use shiftmap::net::NetOptions;
use shiftmap::net::card::Backward;
use std::sync::Arc;

const SIZE: (usize, usize) = (610, 300);

fn pair() -> (Image, Image) {
    (rough(SIZE, |_, _| (0.0, 0.0)), rough(SIZE, |_, _| (0.3, -0.2)))
}

#[test]
fn displacement_and_scale_are_the_networks() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    let found = map(&pre, &post, &params(&options("constant")));
    assert_eq!((found.width, found.height), SIZE);
    for m in &found.data {
        assert_eq!((m.status, m.shift.dx, m.shift.dy), (Status::Valid, 0.25, -0.5));
    }
    // Standard deviation √2 b, with the floor of 1/1000 px; at the image's border the windows are incomplete.
    let middle = found.get(300, 150);
    assert!((middle.covariance.xx.sqrt() - (2.0 * 0.05f64.powi(2) + 1e-6).sqrt()).abs() < 1e-6);
    assert!((middle.covariance.yy.sqrt() - (2.0 * 0.10f64.powi(2) + 1e-6).sqrt()).abs() < 1e-6);
    assert!(found.get(0, 0).covariance.xx > 3.0 * middle.covariance.xx);
}

/// Each value of the product is the arithmetic of the pixel it belongs to, whatever tile and piece it was in.
#[test]
fn values_stay_at_their_places() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    for tile in [None, Some(48), Some(512)] {
        let found = map(&pre, &post, &params(&NetOptions { tile, ..options("values") }));
        for y in 0..SIZE.1 {
            for x in 0..SIZE.0 {
                let (a, b) = (f64::from(pre.values.get(x, y)), f64::from(post.values.get(x, y)));
                let m = found.get(x, y);
                assert!((m.shift.dx - 0.01 * (b - a)).abs() < 1e-6 && (m.shift.dy - 0.001 * a).abs() < 1e-6, "{x} {y}");
            }
        }
    }
}

/// Between pixels the field is interpolated, and a step takes the value at the centre of its window.
#[test]
fn cells_have_the_value_at_their_centre() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    let p = shiftmap::pipeline::Params { window: (16, 16), step: (8, 4), ..params(&options("values")) };
    let found = map(&pre, &post, &p);
    let layout = shiftmap::layout::Layout::new(SIZE, p.window, p.step, None).unwrap();
    for (i, j) in [(1, 1), (40, 60), (70, 70)] {
        let c = layout.centre(i, j);
        let (x, y) = (c.dx.floor() as usize, c.dy.floor() as usize);
        assert_eq!((c.dx - x as f64, c.dy - y as f64), (0.5, 0.5));
        let four = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| f64::from(pre.values.get(x, y)));
        let mean = four.iter().sum::<f64>() / 4.0;
        assert!((found.get(i, j).shift.dy - 0.001 * mean).abs() < 1e-6);
    }
}

/// A network whose result is spoilt within 16 px of the border of its piece: with a halo of as much nothing of it is seen.
#[test]
fn borders_of_pieces_do_not_show() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    for average in [false, true] {
        let found = map(&pre, &post, &params(&NetOptions { average, ..options("border") }));
        let worst = found.data.iter().map(|m| m.shift.dx.abs()).fold(0.0, f64::max);
        // 0.01 for each of 33 x 33 px that is missing.
        assert!(worst < 1e-4, "{worst}");
    }
}

/// The four looks see a pixel at columns that differ by 8: the mean of (k mod 16)/16 and ((k + 8) mod 16)/16.
#[test]
fn averaging_takes_four_shifted_looks() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    let whole = NetOptions { tile: Some(640), average: true, ..options("places") };
    let found = map(&pre, &post, &params(&whole));
    let fractions = |v: f64| (v * 16.0).round();
    for x in 100..400 {
        let (m, next) = (found.get(x, 100), found.get(x + 1, 100));
        let (a, b) = (fractions(m.shift.dx), fractions(next.shift.dx));
        assert!((4.0..=11.0).contains(&a) && (m.shift.dx * 16.0 - a).abs() < 1e-4, "{}", m.shift.dx);
        assert!(b == a + 1.0 || (a, b) == (11.0, 4.0), "{a} {b}");
    }
    let rows = [found.get(200, 100), found.get(200, 101)].map(|m| fractions(m.shift.dy));
    assert!(rows[1] == rows[0] + 1.0 || rows == [11.0, 4.0], "{rows:?}");
    let once = map(&pre, &post, &params(&NetOptions { average: false, ..whole }));
    let range = once.data.iter().map(|m| fractions(m.shift.dx));
    assert_eq!(range.fold((99.0, -99.0), |(a, b): (f64, f64), v| (a.min(v), b.max(v))), (0.0, 15.0));
}

/// Fixed pieces give the same bytes for any number of threads and any region.
#[test]
fn threads_and_regions_change_nothing() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    for name in ["matcher", "values"] {
        let p = params(&options(name));
        let run = |threads, region| measure(&[(pre.clone(), post.clone())], &p, threads, region).unwrap().0;
        let whole = run(1, None);
        assert_eq!(bits(&whole), bits(&run(3, None)), "{name}");
        let part = run(2, Some(Window::new(500, 40, 80, 60)));
        let same = Grid::from_fn(80, 60, |x, y| whole.get(x + 500, y + 40));
        assert_eq!(bits(&same), bits(&part), "{name}");
    }
}

/// The size of the pieces changes a real network's result by little: the tolerance that the documentation states.
#[test]
fn pieces_of_another_size_agree() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    let of = |tile| map(&pre, &post, &params(&NetOptions { tile: Some(tile), ..options("matcher") }));
    let (a, b) = (of(128), of(640));
    let worst = a.data.iter().zip(&b.data).map(|(p, q)| (p.shift.dx - q.shift.dx).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn several_bands_go_in_in_their_order() {
    if !runtime() {
        return;
    }
    let plain =
        |v: f64| Image::from_values(Grid::from_fn(200, 150, |x, y| (v + ((x * 7 + y * 13) % 5) as f64 * 0.05) as f32));
    // pre 0.1, 0.2, 0.3; post 0.4, 0.5, 0.7: dx = post 3 - pre 3, dy = post 1 - pre 1.
    let bands = [(plain(0.1), plain(0.4)), (plain(0.2), plain(0.5)), (plain(0.3), plain(0.7))];
    let found = measure(&bands, &params(&options("bands")), 2, None).unwrap().0;
    let m = found.get(100, 75);
    assert!((m.shift.dx - 0.4).abs() < 1e-5 && (m.shift.dy - 0.3).abs() < 1e-5, "{m:?}");
}

/// Gaps are filled for the network, counted for the cell, and widen sigma.
#[test]
fn gaps_are_nodata_and_widen_sigma() {
    if !runtime() {
        return;
    }
    let (mut pre, post) = pair();
    for y in 100..160 {
        for x in 200..280 {
            pre.valid.set(x, y, false);
            pre.values.set(x, y, 1e30);
        }
    }
    let found = map(&pre, &post, &params(&options("values")));
    assert_eq!(found.get(240, 130).status, Status::NoData);
    assert_eq!(found.get(100, 130).status, Status::Valid);
    // Centre 2 px outside: 3 of 9 columns are filled.
    let (edge, far) = (found.get(197, 130), found.get(100, 130));
    assert_eq!(edge.status, Status::Valid);
    let wanted = (1.0 / (1.0 - 2.0 / 9.0f64)).powi(2);
    assert!(
        (edge.covariance.xx / far.covariance.xx - wanted).abs() < 0.01,
        "{}",
        edge.covariance.xx / far.covariance.xx
    );
    assert!(found.data.iter().all(|m| m.status != Status::Valid || m.shift.dx.abs() < 0.1));
}

/// A network with `start` gets the field of the pass before, and the classical one first where motion is large.
#[test]
fn start_and_passes_add_up() {
    if !runtime() {
        return;
    }
    let (pre, post) = (rough((300, 260), |_, _| (0.0, 0.0)), rough((300, 260), |_, _| (6.0, -3.0)));
    let mut found = Vec::new();
    for passes in [1, 3] {
        let p = params(&NetOptions { passes: Some(passes), ..options("start") });
        let p = shiftmap::pipeline::Params { search: (8.0, 8.0), ..p };
        let m = map(&pre, &post, &p).get(150, 130);
        let n = passes as f64;
        // The first field is good to a few hundredths of a pixel.
        assert!((m.shift.dx - 6.0 - 0.125 * n).abs() < 0.02 && (m.shift.dy + 3.0 + 0.0625 * n).abs() < 0.02, "{m:?}");
        found.push(m);
    }
    // Each pass adds exactly what the network says.
    let (a, b) = (found[0].shift, found[1].shift);
    assert!((b.dx - a.dx - 0.25).abs() < 1e-6 && (b.dy - a.dy + 0.125).abs() < 1e-6, "{a:?} {b:?}");
    // Twice what the last of them changed is added to sigma.
    let more = (found[1].covariance.xx - found[0].covariance.xx, found[1].covariance.yy - found[0].covariance.yy);
    assert!((more.0 - 0.25f64.powi(2)).abs() < 1e-6 && (more.1 - 0.125f64.powi(2)).abs() < 1e-6, "{more:?}");
    // A search within what the network knows: it starts at zero.
    let p = shiftmap::pipeline::Params { search: (1.0, 1.0), ..params(&options("start")) };
    let still = map(&pre, &pre, &p).get(150, 130);
    assert_eq!((still.shift.dx, still.shift.dy), (0.125, -0.0625));
    // Networks without it: what is left is added to what the post image was warped by.
    for (search, from, tolerance) in [(2.0, (0.0, 0.0), 1e-5), (8.0, (6.0, -3.0), 0.02)] {
        let p = params(&NetOptions { passes: Some(3), ..options("constant") });
        let p = shiftmap::pipeline::Params { search: (search, search), ..p };
        let m = map(&pre, if search < 4.0 { &pre } else { &post }, &p).get(150, 130);
        let (dx, dy) = (m.shift.dx - from.0 - 0.75, m.shift.dy - from.1 + 1.5);
        assert!(dx.abs() < tolerance && dy.abs() < tolerance, "{m:?}");
    }
}

/// Without a stated scale sigma comes from looking backwards: a network that always says (0.25, -0.5) is off by that.
#[test]
fn networks_without_scale_get_sigma_from_looking_back() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    let (field, report) = measure(&[(pre.clone(), post.clone())], &params(&options("unscaled")), 2, None).unwrap();
    let m = field.get(300, 150);
    assert!((m.covariance.xx - (0.5 * 0.25f64.powi(2) + 1e-6)).abs() < 1e-6, "{m:?}");
    assert!((m.covariance.yy - (0.5 * 0.5f64.powi(2) + 1e-6)).abs() < 1e-6, "{m:?}");
    // The card says by how much that is too little.
    let mut levelled = params(&options("unscaled"));
    let card = &mut Arc::get_mut(levelled.net.as_mut().unwrap()).unwrap().model.card;
    card.sigma = Some(Backward { factor: 3.0, floor: 0.1 });
    let m = map(&pre, &post, &levelled).get(300, 150);
    assert!((m.covariance.xx - (4.5 * 0.25f64.powi(2) + 0.01 + 1e-6)).abs() < 1e-6, "{m:?}");
    let mut scaled = shiftmap::net::Model::read(&model("constant")).unwrap();
    scaled.card.sigma = Some(Backward { factor: 3.0, floor: 0.1 });
    let refused = shiftmap::net::session::Network::new(&scaled, &NetOptions::default()).err().unwrap().to_string();
    assert!(refused.contains("shiftmap.sigma"), "{refused}");
    let fact = |key: &str| report.facts.iter().find(|f| f.0 == key).map(|f| f.1.as_str());
    assert_eq!(fact("SIGMA_FROM"), Some("forward and backward"));
    assert_eq!((fact("MODEL"), fact("MODEL_VERSION")), (Some("unscaled"), Some("1.0")));
    assert_eq!(fact("MODEL_SHA256").map(str::len), Some(64));
}

#[test]
fn windows_are_cut_around_their_cells() {
    if !runtime() {
        return;
    }
    let (pre, post) = pair();
    let p = shiftmap::pipeline::Params { window: (32, 32), step: (24, 24), ..params(&options("window_values")) };
    let found = map(&pre, &post, &p);
    let layout = shiftmap::layout::Layout::new(SIZE, p.window, p.step, None).unwrap();
    let (mut whole, mut all) = (0, 0);
    for j in 0..layout.cells.1 {
        for i in 0..layout.cells.0 {
            all += 1;
            let w = layout.cell_window(i, j);
            if w.x < 0 || w.y < 0 || w.right() > SIZE.0 as i64 || w.bottom() > SIZE.1 as i64 {
                continue;
            }
            whole += 1;
            let mean = |g: &Grid<f32>| g.crop(w).data.iter().map(|v| f64::from(*v)).sum::<f64>() / 1024.0;
            let last = f64::from(pre.values.get(w.right() as usize - 1, w.bottom() as usize - 1));
            let m = found.get(i, j);
            assert!((m.shift.dx - 0.01 * (mean(&post.values) - mean(&pre.values))).abs() < 1e-6, "{i} {j}");
            assert!((m.shift.dy - 0.001 * last).abs() < 1e-6, "{i} {j}");
            assert!((m.covariance.xx - (2.0 * (-8.0f64).exp() + 1e-6)).abs() < 1e-7);
        }
    }
    assert!(whole > all / 2, "{whole} {all}");
}

#[test]
fn the_models_are_those_of_the_script() {
    for name in ["constant", "values", "border", "places", "start", "bands", "features", "matcher", "window_matcher"] {
        assert!(shiftmap::net::Model::read(&model(name)).is_ok(), "{name}");
    }
}
