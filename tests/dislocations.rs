//! Properties that the displacement of dislocations must have, whatever the formulas.
mod common;
mod oracle;

use common::{SEED, two_triangles};
use rand::RngExt;
use rand_pcg::Pcg64;
use shiftmap::synth::okada::{self, Rectangle};
use shiftmap::synth::random::{Purpose, stream};
use shiftmap::synth::tde::{Triangle, surface};

type Corners = [[f64; 3]; 3];

fn moved(triangles: &[Triangle], poisson: f64, obs: &[[f64; 2]]) -> Vec<[f64; 3]> {
    let mut out = vec![[f64::NAN; 3]; obs.len()];
    surface(triangles, poisson, obs, &mut out).unwrap();
    out
}

fn difference(a: &[[f64; 3]], b: &[[f64; 3]]) -> f64 {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).flat_map(|(a, b)| (0..3).map(|i| (a[i] - b[i]).abs()));
    worst.fold(0.0, |m, e| if e > m || e.is_nan() { e } else { m })
}

fn random_triangle(rng: &mut Pcg64, size: f64) -> Corners {
    [(); 3].map(|_| [rng.random_range(-size..size), rng.random_range(-size..size), -rng.random_range(0.0..size)])
}

fn random_points(rng: &mut Pcg64, size: f64, n: usize) -> Vec<[f64; 2]> {
    (0..n).map(|_| [rng.random_range(-size..size), rng.random_range(-size..size)]).collect()
}

/// Triangles of one of the awkward classes.
fn awkward(rng: &mut Pcg64, class: usize) -> Corners {
    let size = 10f64.powf(rng.random_range(1.0..5.0));
    let mut p = random_triangle(rng, size);
    match class {
        // Vertical, level, sliver, corner or edge on the surface, nearly vertical or exactly vertical edges, tiny.
        1 => p[2] = [p[0][0] + 0.3 * (p[1][0] - p[0][0]), p[0][1] + 0.3 * (p[1][1] - p[0][1]), p[2][2]],
        2 => (p[1][2], p[2][2]) = (p[0][2], p[0][2]),
        3 => p[2] = [0, 1, 2].map(|i| p[0][i] + 0.4 * (p[1][i] - p[0][i]) - 1e-7 * size * (i as f64 + 0.5)),
        4 => p[0][2] = 0.0,
        5 => (p[0][2], p[1][2]) = (0.0, 0.0),
        6 => {
            let tilt = size * 10f64.powf(rng.random_range(-15.0..-1.0));
            p[1] = [p[0][0] + tilt, p[0][1] - 0.7 * tilt, p[1][2]];
        }
        7 => (p[1][0], p[1][1]) = (p[0][0], p[0][1]),
        // All upright with the top on the surface, as the top row of a vertical fault.
        8 => {
            (p[0][2], p[1][2]) = (0.0, 0.0);
            p[2] = [0.5 * (p[0][0] + p[1][0]), 0.5 * (p[0][1] + p[1][1]), p[2][2]];
        }
        9 => (p[0][2], p[1][2]) = (-1e-9 * size, 0.0),
        _ => {}
    }
    p
}

/// Points where formulas break: above corners and edges, on the extensions of edges, on the corners themselves.
fn awkward_points(rng: &mut Pcg64, p: &Corners) -> Vec<[f64; 2]> {
    let mut obs: Vec<[f64; 2]> = p.iter().map(|v| [v[0], v[1]]).collect();
    for (i, j) in [(0, 1), (1, 2), (2, 0)] {
        let t = rng.random_range(-2.0..3.0);
        for t in [t, 0.5, -1.0, 2.0] {
            obs.push([p[i][0] + t * (p[j][0] - p[i][0]), p[i][1] + t * (p[j][1] - p[i][1])]);
        }
        // Where the edge's line meets the surface.
        if p[i][2] != p[j][2] {
            let t = p[i][2] / (p[i][2] - p[j][2]);
            obs.push([p[i][0] + t * (p[j][0] - p[i][0]), p[i][1] + t * (p[j][1] - p[i][1])]);
        }
    }
    let near = obs[rng.random_range(0..obs.len())];
    let step = 10f64.powf(rng.random_range(-12.0..2.0));
    obs.push([near[0] + step, near[1] - step]);
    obs.push([near[0], near[1] + step]);
    obs.push([rng.random_range(-1e7..1e7), rng.random_range(-1e7..1e7)]);
    obs.retain(|p| p[0].abs() < 1e14 && p[1].abs() < 1e14);
    obs
}

#[test]
fn a_million_random_triangles_give_finite_numbers() {
    let rng = &mut stream(SEED, Purpose::Slip);
    let (mut done, mut points) = (0, 0);
    for i in 0..1_000_000 {
        let vertices = awkward(rng, i % 10);
        let obs = awkward_points(rng, &vertices);
        let slip = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
        let mut out = vec![[f64::NAN; 3]; obs.len()];
        match surface(&[Triangle { vertices, slip }], 0.25, &obs, &mut out) {
            Ok(()) => {
                for (o, p) in out.iter().zip(&obs) {
                    // Bounded, but for the logarithm at a corner on the surface.
                    assert!(o.iter().all(|v| v.abs() < 100.0), "{vertices:?} at {p:?}: {o:?}");
                }
                done += 1;
                points += obs.len();
            }
            // Three random corners can lie on a line.
            Err(e) => assert!(e.to_string().contains("no area"), "{e}"),
        }
    }
    assert!(done > 950_000 && points > 15_000_000, "{done} triangles, {points} points");
}

/// Okada (1985), Table 2: x, y, d, dip, L, W; strike, dip and tensile displacement; ν = 0.25.
type Row = ([f64; 6], [[f64; 3]; 3]);
const OKADA_TABLE_2: [Row; 3] = [
    (
        [2.0, 3.0, 4.0, 70.0, 3.0, 2.0],
        [[-8.689e-3, -4.298e-3, -2.747e-3], [-4.682e-3, -3.527e-2, -3.564e-2], [-2.660e-4, 1.056e-2, 3.214e-3]],
    ),
    ([0.0, 0.0, 4.0, 90.0, 3.0, 2.0], [[0.0, 5.253e-3, 0.0], [0.0, 0.0, 0.0], [1.223e-2, 0.0, -1.606e-2]]),
    ([0.0, 0.0, 4.0, -90.0, 3.0, 2.0], [[0.0, -1.303e-3, 0.0], [0.0, 0.0, 0.0], [3.507e-3, 0.0, -7.740e-3]]),
];

/// Equal to the digits that were printed.
fn printed(got: [f64; 3], expected: [f64; 3]) {
    for (got, expected) in got.into_iter().zip(expected) {
        let last = if expected == 0.0 { 2e-15 } else { 0.5001 * 10f64.powf(expected.abs().log10().floor() - 3.0) };
        assert!((got - expected).abs() <= last, "{got} is not {expected}");
    }
}

#[test]
fn the_published_okada_table_is_met_to_its_digits() {
    for ([x, y, depth, dip, length, width], expected) in OKADA_TABLE_2 {
        for (mode, expected) in expected.into_iter().enumerate() {
            let mut slip = [0.0; 3];
            slip[mode] = 1.0;
            // The oracle itself, in Okada's frame, where the last case goes up from the lower left corner.
            let (sin, cos) = if dip == 70.0 { f64::to_radians(dip).sin_cos() } else { (dip / 90.0, 0.0) };
            printed(oracle::Frame { sin, cos, depth, length, width, slip }.local(x, y, 0.25), expected);
            if dip < 0.0 {
                continue;
            }
            // The library: x along strike is north, y towards up dip is west.
            let f = Rectangle {
                x: -width * cos,
                y: length / 2.0,
                top_depth: depth - width * sin,
                strike: 0.0,
                dip,
                length,
                width,
                slip,
            };
            let mut out = [[0.0; 3]];
            okada::surface(&[f], 0.25, &[[-y, x]], &mut out).unwrap();
            let [east, north, up] = out[0];
            printed([north, -east, up], expected);
        }
    }
}

fn random_rectangle(rng: &mut Pcg64, dip: f64, top_depth: f64) -> Rectangle {
    Rectangle {
        x: rng.random_range(-1e4..1e4),
        y: rng.random_range(-1e4..1e4),
        top_depth,
        strike: rng.random_range(0.0..360.0),
        dip,
        length: rng.random_range(1e3..4e4),
        width: rng.random_range(1e3..2e4),
        slip: [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)],
    }
}

#[test]
fn rectangles_and_two_triangles_equal_okadas_equations() {
    let rng = &mut stream(SEED, Purpose::Trace);
    for i in 0..400 {
        let dip = [90.0, 0.0, rng.random_range(1.0..89.0)][[0, 1, 2, 2, 2][i % 5]];
        let top = if i % 3 == 0 && dip > 0.0 { 0.0 } else { rng.random_range(10.0..1e4) };
        let f = random_rectangle(rng, dip, top);
        let obs = random_points(rng, 4e4, 40);
        let expected = oracle::okada1985(&f, 0.25, &obs);
        let mut got = vec![[f64::NAN; 3]; obs.len()];
        okada::surface(&[f], 0.25, &obs, &mut got).unwrap();
        // Okada's own terms lose digits as 1 / cos^2 of the dip.
        let cos = if dip == 90.0 { 1.0 } else { dip.to_radians().cos() };
        let bound = 1e-12f64.max(1e-14 / (cos * cos));
        let error = difference(&got, &expected);
        assert!(error < bound, "{f:?}: {error:.1e}");
        // Rounding turns the normal of a triangle by 1e-16 of its size over its height; all corners are the same.
        let error = difference(&moved(&two_triangles(&f), 0.25, &obs), &got);
        assert!(error < 1e-12, "{f:?}, two triangles: {error:.1e}");
    }
}

#[test]
fn nearly_vertical_rectangles_go_over_into_vertical_ones() {
    let rng = &mut stream(SEED, Purpose::Trace);
    for i in 0..100 {
        let f = random_rectangle(rng, 90.0, if i % 2 == 0 { 0.0 } else { 500.0 });
        let obs = random_points(rng, 4e4, 40);
        let run = |dip: f64| {
            let mut out = vec![[f64::NAN; 3]; obs.len()];
            okada::surface(&[Rectangle { dip, ..f }], 0.25, &obs, &mut out).unwrap();
            out
        };
        let vertical = run(90.0);
        let slope = difference(&run(90.0 - 1e-3), &vertical) / 1e-3;
        for tilt in [1e-4, 1e-5, 1e-6, 1e-8, 1e-10] {
            let change = difference(&run(90.0 - tilt), &vertical);
            assert!(change < 1.1 * slope * tilt + 1e-14, "{f:?}, tilt {tilt}: {change:.1e} of {slope}");
        }
    }
}

#[test]
fn cutting_a_triangle_in_four_changes_nothing() {
    let rng = &mut stream(SEED, Purpose::Trace);
    for i in 0..200 {
        let p = awkward(rng, [0, 1, 4, 5, 6, 7][i % 6]);
        let middle = |a: usize, b: usize| [0, 1, 2].map(|i| 0.5 * (p[a][i] + p[b][i]));
        let (m, n, o) = (middle(0, 1), middle(1, 2), middle(2, 0));
        let slip = [1.0, -0.5, 0.25];
        // The parts get their slip as a vector: rounding of their own normals is not what is tested.
        let whole = Triangle { vertices: p, slip };
        let parts = [[p[0], m, o], [m, p[1], n], [o, n, p[2]], [m, n, o]].map(|vertices| Triangle { vertices, slip });
        let obs = random_points(rng, 1e4, 50);
        let error = difference(&moved(&[whole], 0.25, &obs), &moved(&parts, 0.25, &obs));
        let longest = (0..3).map(|k| edge(&p, k)).fold(0.0, f64::max);
        let shortest = area(&p) / longest;
        assert!(error < 1e-12 * (1.0f64).max(1e-3 * longest / shortest), "{p:?}: {error:.1e}");
    }
}

fn edge(p: &Corners, k: usize) -> f64 {
    (0..3).map(|i| (p[k][i] - p[(k + 1) % 3][i]).powi(2)).sum::<f64>().sqrt()
}

fn area(p: &Corners) -> f64 {
    let u = [0, 1, 2].map(|i| p[1][i] - p[0][i]);
    let v = [0, 1, 2].map(|i| p[2][i] - p[0][i]);
    let n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    n.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn moving_and_turning_the_map_moves_and_turns_the_field() {
    let rng = &mut stream(SEED, Purpose::Trace);
    for class in 0..200 {
        let p = awkward(rng, [0, 1, 4, 5, 6][class % 5]);
        let obs = random_points(rng, 2e4, 30);
        let (sin, cos) = rng.random_range(0.0f64..6.0).sin_cos();
        let turn = |x: f64, y: f64| [x * cos - y * sin + 1234.0, x * sin + y * cos - 777.0];
        let turned = p.map(|v| {
            let [x, y] = turn(v[0], v[1]);
            [x, y, v[2]]
        });
        let slip = [1.0, 0.5, -0.3];
        let here = moved(&[Triangle { vertices: p, slip }], 0.3, &obs);
        let there: Vec<[f64; 2]> = obs.iter().map(|o| turn(o[0], o[1])).collect();
        let there = moved(&[Triangle { vertices: turned, slip }], 0.3, &there);
        let back: Vec<[f64; 3]> =
            there.iter().map(|u| [u[0] * cos + u[1] * sin, u[1] * cos - u[0] * sin, u[2]]).collect();
        // Turning rounds the corners to about 1e-12 m.
        let height = area(&p) / (0..3).map(|k| edge(&p, k)).fold(0.0, f64::max);
        let error = difference(&here, &back);
        assert!(error < 1e-9 / height.min(1.0), "{p:?}: {error:.1e}");
    }
}

#[test]
fn the_field_is_linear_in_the_slip_and_knows_the_order_of_corners() {
    let rng = &mut stream(SEED, Purpose::Trace);
    for class in 0..100 {
        let p = awkward(rng, [0, 1, 4, 5, 6][class % 5]);
        let obs = random_points(rng, 2e4, 30);
        let one = |slip| moved(&[Triangle { vertices: p, slip }], 0.25, &obs);
        let (s, d, t) = (one([1.0, 0.0, 0.0]), one([0.0, 1.0, 0.0]), one([0.0, 0.0, 1.0]));
        let sum: Vec<[f64; 3]> =
            (0..obs.len()).map(|k| [0, 1, 2].map(|i| 2.0 * s[k][i] - 0.5 * d[k][i] + 3.0 * t[k][i])).collect();
        assert!(difference(&one([2.0, -0.5, 3.0]), &sum) < 1e-13);
        // Turned over, the same dip slip means the opposite where the normal has a vertical part.
        let reversed = |slip| moved(&[Triangle { vertices: [p[0], p[2], p[1]], slip }], 0.25, &obs);
        assert!(difference(&reversed([1.0, 0.0, 0.0]), &s) < 1e-14);
        assert!(difference(&reversed([0.0, 0.0, 1.0]), &t) < 1e-14);
        let minus: Vec<[f64; 3]> = d.iter().map(|u| u.map(|v| -v)).collect();
        assert!(difference(&reversed([0.0, 1.0, 0.0]), &minus) < 1e-14);
        // Starting from another corner is the same triangle.
        let started = moved(&[Triangle { vertices: [p[1], p[2], p[0]], slip: [1.0, 0.0, 0.0] }], 0.25, &obs);
        assert!(difference(&started, &s) < 1e-13);
    }
}

#[test]
fn the_jump_across_a_surface_break_is_the_slip() {
    // Vertical, strike north; the normal of this order points east.
    let vertical = [[0.0, 0.0, 0.0], [0.0, 2000.0, 0.0], [0.0, 1000.0, -2000.0]];
    let dipping = [[0.0, 0.0, 0.0], [0.0, 2000.0, 0.0], [900.0, 1000.0, -2000.0]];
    for vertices in [vertical, dipping] {
        for mode in 0..3 {
            let mut slip = [0.0; 3];
            slip[mode] = 1.0;
            let obs = [[1e-2, 1000.0], [-1e-2, 1000.0], [0.0, 1000.0]];
            let u = moved(&[Triangle { vertices, slip }], 0.25, &obs);
            let jump = [0, 1, 2].map(|i| u[0][i] - u[1][i]);
            let length = jump.iter().map(|v| v * v).sum::<f64>().sqrt();
            assert!((length - 1.0).abs() < 1e-4, "mode {mode}: {jump:?}");
            if mode == 0 {
                // Left-lateral: seen from the east side, the west side moves to the left, which is south.
                assert!(jump[1] > 0.999, "{jump:?}");
            }
            // On the trace itself: the mean.
            let mean = [0, 1, 2].map(|i| 0.5 * (u[0][i] + u[1][i]));
            assert!((0..3).all(|i| (u[2][i] - mean[i]).abs() < 1e-4), "{:?} {mean:?}", u[2]);
        }
    }
}

#[test]
fn threads_order_of_points_and_sharing_of_edges_do_not_matter() {
    let rng = &mut stream(SEED, Purpose::Trace);
    let triangles: Vec<Triangle> = (0..20)
        .map(|i| Triangle { vertices: awkward(rng, i % 10), slip: [1.0, 0.2 * i as f64, 0.0] })
        .filter(|t| surface(&[*t], 0.25, &[], &mut []).is_ok())
        .collect();
    let obs = random_points(rng, 1e5, 1000);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| moved(&triangles, 0.25, &obs))
    };
    let one = run(1);
    assert_eq!(one, run(3));
    let single: Vec<[f64; 3]> = obs.iter().map(|o| moved(&triangles, 0.25, &[*o])[0]).collect();
    assert_eq!(one, single);
    // One by one, no edge is shared.
    let mut sum = vec![[0.0; 3]; obs.len()];
    for t in &triangles {
        for (s, u) in sum.iter_mut().zip(moved(&[*t], 0.25, &obs)) {
            (0..3).for_each(|i| s[i] += u[i]);
        }
    }
    assert!(difference(&one, &sum) < 1e-13);
}

#[test]
fn bad_triangles_are_named() {
    let good = Triangle { vertices: [[0.0, 0.0, -1.0], [1.0, 0.0, -1.0], [0.0, 1.0, -2.0]], slip: [1.0, 0.0, 0.0] };
    let with = |k: usize, v: [f64; 3]| {
        let mut bad = good;
        bad.vertices[k] = v;
        surface(&[good, bad], 0.25, &[[0.0, 0.0]], &mut [[0.0; 3]]).unwrap_err().to_string()
    };
    assert!(with(1, [1.0, 0.0, 0.5]).contains("triangle 2, corner 2: z = 0.5"));
    assert!(with(2, [f64::NAN, 0.0, -1.0]).contains("corner 3"));
    assert!(with(2, [2.0, 0.0, -1.0]).contains("no area"));
    let message =
        |poisson, obs: &[[f64; 2]], out: &mut [[f64; 3]]| surface(&[good], poisson, obs, out).unwrap_err().to_string();
    assert!(message(0.7, &[], &mut []).contains("0.7"));
    assert!(message(f64::NAN, &[], &mut []).contains("NaN"));
    assert!(message(0.25, &[[0.0, f64::INFINITY]], &mut [[0.0; 3]]).contains("inf"));
    assert!(message(0.25, &[[0.0, 0.0]], &mut []).contains("room for 0"));
}
