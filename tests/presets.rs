//! Errors on simulated pairs with the character of the published comparisons, in memory, default settings.
//!
//! Mean absolute error per component at cell centres, more than 100 px from the fault, 130 px border left out.

mod common;

use common::Collect;
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::field::FieldSpec;
use shiftmap::synth::pair::{PairSpec, Preset, SynthPair, make_pair};

/// MAE (dx, dy) of the cells whose distance to the fault lies in the range, and the share of valid ones.
struct Score {
    mae: (f64, f64),
    valid: f64,
    z: f64,
}

fn measure(pair: &SynthPair, method: MethodName, window: usize) -> (Layout, Vec<(Window, Grid<Measurement>)>) {
    let image = |v: &Grid<f32>, ok: &Grid<bool>| {
        let mut image = Image::from_values(v.clone());
        image.valid.data.iter_mut().zip(&ok.data).for_each(|(a, b)| *a &= b);
        MemoryImage(image)
    };
    let (pre, post) = (image(&pair.pre, &pair.pre_valid), image(&pair.post, &pair.post_valid));
    let params = Params { method, window: (window, window), ..Params::default() };
    let layout = Layout::new((pair.pre.width, pair.pre.height), params.window, params.step, None).unwrap();
    let mut found = Collect(Vec::new());
    let pair = Pair::new(&pre, &post, (0.0, 0.0));
    let report = pipeline::run(&pair, &layout, &params, 2, &mut found, &mut Silent).unwrap();
    if std::env::var_os("SHIFTMAP_TEST_FACTS").is_some() {
        println!("{:?}", report.facts);
    }
    (layout, found.0)
}

fn score(
    pair: &SynthPair,
    layout: &Layout,
    found: &[(Window, Grid<Measurement>)],
    range: std::ops::Range<f32>,
) -> Score {
    let (mut ex, mut ey, mut n, mut total, mut z) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (cells, grid) in found {
        for (k, m) in grid.data.iter().enumerate() {
            let (i, j) = (cells.x as usize + k % grid.width, cells.y as usize + k / grid.width);
            let c = layout.centre(i, j);
            let border = 130.0;
            let (w, h) = (pair.pre.width as f64, pair.pre.height as f64);
            if c.dx < border || c.dy < border || c.dx > w - 1.0 - border || c.dy > h - 1.0 - border {
                continue;
            }
            if !range.contains(&pair.distance.get(c.dx as usize, c.dy as usize)) {
                continue;
            }
            total += 1.0;
            if m.status != Status::Valid {
                continue;
            }
            let (tx, ty) = (bilinear(&pair.truth_dx, c.dx, c.dy), bilinear(&pair.truth_dy, c.dx, c.dy));
            ex += (m.shift.dx - tx).abs();
            ey += (m.shift.dy - ty).abs();
            z += (m.shift.dx - tx).powi(2) / m.covariance.xx + (m.shift.dy - ty).powi(2) / m.covariance.yy;
            n += 1.0;
        }
    }
    Score { mae: (ex / n, ey / n), valid: n / total, z: (z / (2.0 * n)).sqrt() }
}

fn bilinear(g: &Grid<f32>, x: f64, y: f64) -> f64 {
    let (x0, y0) = (x as usize, y as usize);
    let (u, v) = (x - x0 as f64, y - y0 as f64);
    let at = |i: usize, j: usize| g.get(i, j) as f64;
    (1.0 - v) * ((1.0 - u) * at(x0, y0) + u * at(x0 + 1, y0))
        + v * ((1.0 - u) * at(x0, y0 + 1) + u * at(x0 + 1, y0 + 1))
}

/// Worst far-field MAE over the seeds, and prints the table's rows.
fn far(preset: Preset, method: MethodName, window: usize) -> f64 {
    let seeds = if std::env::var_os("SHIFTMAP_TEST_QUICK").is_some() { 1..2 } else { 1..4u64 };
    let mut sum = 0.0;
    let n = seeds.end - seeds.start;
    for seed in seeds {
        let pair = make_pair(&PairSpec::preset(preset, 1024, seed)).unwrap();
        let (layout, found) = measure(&pair, method, window);
        let s = score(&pair, &layout, &found, 100.0..f32::INFINITY);
        let near = score(&pair, &layout, &found, 0.0..5.0);
        println!(
            "{preset:?} {method:?} {window} seed {seed}: far {:.4}/{:.4} valid {:.3} z {:.2}; <=5 px {:.3}/{:.3}",
            s.mae.0, s.mae.1, s.valid, s.z, near.mae.0, near.mae.1
        );
        sum += 0.5 * (s.mae.0 + s.mae.1);
    }
    sum / n as f64
}

#[test]
fn lsm_low() {
    assert!(far(Preset::Low, MethodName::Lsm, 33) <= 0.002);
}

#[test]
fn lsm_real_33() {
    assert!(far(Preset::Real, MethodName::Lsm, 33) <= 0.019);
}

#[test]
fn lsm_real_65() {
    assert!(far(Preset::Real, MethodName::Lsm, 65) <= 0.011);
}

#[test]
fn lsm_sar_65() {
    assert!(far(Preset::Sar, MethodName::Lsm, 65) <= 0.040);
}

#[test]
fn frequency_real_64() {
    assert!(far(Preset::Real, MethodName::Frequency, 64) <= 0.020);
}

#[test]
fn frequency_sar_64() {
    assert!(far(Preset::Sar, MethodName::Frequency, 64) <= 0.062);
}

#[test]
fn spatial_real_65() {
    assert!(far(Preset::Real, MethodName::Spatial, 65) <= 0.011);
}

#[test]
fn spatial_sar_65() {
    assert!(far(Preset::Sar, MethodName::Spatial, 65) <= 0.040);
}

/// Amplitude of the part of the error that has the period of a pixel, of both components; positive towards half pixels.
fn locking(method: MethodName) -> f64 {
    let field = FieldSpec { smooth: 1.0, ..FieldSpec::default() };
    let pair = make_pair(&PairSpec { field, ..PairSpec::preset(Preset::Sar, 768, 5) }).unwrap();
    let (layout, found) = measure(&pair, method, 64);
    let (mut cross, mut square) = (0.0, 0.0);
    for (cells, grid) in &found {
        for (k, m) in grid.data.iter().enumerate().filter(|(_, m)| m.status == Status::Valid) {
            let c = layout.centre(cells.x as usize + k % grid.width, cells.y as usize + k / grid.width);
            let truth = (bilinear(&pair.truth_dx, c.dx, c.dy), bilinear(&pair.truth_dy, c.dx, c.dy));
            for (found, truth) in [(m.shift.dx, truth.0), (m.shift.dy, truth.1)] {
                let wave = (std::f64::consts::TAU * truth).sin();
                cross += (found - truth).clamp(-0.3, 0.3) * wave;
                square += wave * wave;
            }
        }
    }
    println!("{method:?}: amplitude {:.4}", cross / square);
    cross / square
}

#[test]
fn aliased_radar_is_not_drawn_to_whole_pixels() {
    for method in [MethodName::Spatial, MethodName::Lsm, MethodName::Frequency] {
        assert!(locking(method).abs() <= 0.015);
    }
}
