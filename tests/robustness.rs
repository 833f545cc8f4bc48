//! Textures, borders and units that break filters built on averages.

mod common;

use common::Collect;
use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::pair::{PairSpec, Preset, make_pair};

/// A sum of 39 plane waves: the spectrum is lines with nothing between them.
fn waves(x: f64, y: f64) -> f64 {
    let mut sum = 0.0;
    for k in 1..40u32 {
        let angle = f64::from(k) * 2.399_963;
        let frequency = 0.15 + 1.6 * f64::from(k * 17 % 40) / 40.0;
        sum += (frequency * (x * angle.cos() + y * angle.sin()) + f64::from(k * k)).sin();
    }
    3000.0 + 150.0 * sum
}

fn image(size: (usize, usize), d: (f64, f64)) -> MemoryImage {
    let at = |x: usize, y: usize| waves(x as f64 - d.0, y as f64 - d.1).round() as f32;
    MemoryImage(Image::from_values(Grid::from_fn(size.0, size.1, at)))
}

/// Largest and median error over the valid cells, and the share of valid cells.
fn errors(method: MethodName, d: (f64, f64), origin: (f64, f64)) -> (f64, f64, f64) {
    let size = (200, 160);
    let (pre, post) = (image(size, (0.0, 0.0)), image(size, (d.0 + origin.0, d.1 + origin.1)));
    let params = Params { method, ..Params::default() };
    let layout = Layout::new(size, params.window, params.step, None).unwrap();
    let mut found = Collect(Vec::new());
    let pair = Pair::new(&pre, &post, origin);
    let report = pipeline::run(&pair, &layout, &params, 2, &mut found, &mut Silent).unwrap();
    println!("{:?}", report);
    let mut all = Vec::new();
    let mut total = 0.0;
    for m in found.0.iter().flat_map(|(_, g)| &g.data) {
        total += 1.0;
        if m.status == Status::Valid {
            all.push((m.shift.dx - d.0).abs().max((m.shift.dy - d.1).abs()));
        }
    }
    all.sort_by(f64::total_cmp);
    (all[all.len() - 1], all[all.len() / 2], all.len() as f64 / total)
}

#[test]
fn identical_images_have_not_moved() {
    for method in [MethodName::Lsm, MethodName::Frequency] {
        let (worst, median, valid) = errors(method, (0.0, 0.0), (0.0, 0.0));
        println!("{method:?} worst {worst:.4} median {median:.5} valid {valid:.3}");
        assert!(worst < 0.01 && median < 1e-3 && valid > 0.75);
    }
}

#[test]
fn a_line_spectrum_is_matched_like_any_other() {
    for method in [MethodName::Lsm, MethodName::Frequency] {
        let (worst, median, valid) = errors(method, (0.3, -0.2), (0.0, 0.0));
        println!("{method:?} moved: worst {worst:.4} median {median:.5} valid {valid:.3}");
        assert!(worst < 0.1 && median < 0.01 && valid > 0.75);
        let (worst, median, valid) = errors(method, (0.2, 0.1), (3.0, -2.0));
        println!("{method:?} offset: worst {worst:.4} median {median:.5} valid {valid:.3}");
        assert!(worst < 0.1 && median < 0.01 && valid > 0.7);
    }
}

/// The map of a synthetic pair whose pixel values, pre and post, are multiplied by `units`.
fn map_in(method: MethodName, units: (f32, f32)) -> Vec<Measurement> {
    let size = 256;
    let pair = make_pair(&PairSpec::preset(Preset::Real, size, 3)).unwrap();
    let image = |values: &Grid<f32>, valid: &Grid<bool>, unit: f32| {
        MemoryImage(Image { values: values.map(|v| v * unit), valid: valid.clone() })
    };
    let (pre, post) = (image(&pair.pre, &pair.pre_valid, units.0), image(&pair.post, &pair.post_valid, units.1));
    let step = if matches!(method, MethodName::Dense | MethodName::Regularized) { 1 } else { 8 };
    let params = Params { method, step: (step, step), ..Params::default() };
    let layout = Layout::new((size, size), params.window, params.step, None).unwrap();
    let mut found = Collect(Vec::new());
    pipeline::run(&Pair::new(&pre, &post, (0.0, 0.0)), &layout, &params, 2, &mut found, &mut Silent).unwrap();
    found.0.into_iter().flat_map(|(_, g)| g.data).collect()
}

#[test]
fn the_unit_of_the_pixel_values_does_not_matter() {
    use MethodName::*;
    for method in [Lsm, Frequency, Spatial, Dense, Regularized] {
        let want = map_in(method, (1.0, 1.0));
        // Powers of two change no digit of a pixel.
        for exponents in [(33, 33), (-30, -30), (-13, 20)] {
            let found = map_in(method, (2f32.powi(exponents.0), 2f32.powi(exponents.1)));
            let same = |(a, b): &(&Measurement, &Measurement)| {
                a.status == b.status
                    && (a.status != Status::Valid || (a.shift, a.covariance) == (b.shift, b.covariance))
            };
            let differ = want.iter().zip(&found).filter(|pair| !same(pair)).count();
            assert_eq!(differ, 0, "{method:?} 2^{exponents:?}: {differ} of {} cells differ", want.len());
        }
    }
}

#[test]
fn what_cannot_be_squared_counts_as_missing() {
    let mut pixels = Grid::filled(4, 1, 1.0);
    pixels.data[1..].copy_from_slice(&[-3.402_823_5e38, f32::NAN, 9.97e36]);
    assert_eq!(Image::from_values(pixels).valid.data, [true, false, false, false]);
}
