//! Statistics of the simulated earthquakes: size, moment, roughness, slip, taper.
mod common;

use common::{SEED, reference};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use shiftmap::grid::Grid;
use shiftmap::synth::fault_model::{FaultGeometry, FaultModel};
use shiftmap::synth::mesh::MeshSize;
use shiftmap::synth::random::{Purpose, numbered, stream};
use shiftmap::synth::rupture::{RuptureSpec, Wishes};
use shiftmap::synth::scaling::{
    B10_LENGTH, B10_WIDTH, Leonard, Regression, ScalingLaw, WC94_AREA, WC94_AVERAGE_SLIP, WC94_LARGEST_SLIP,
    WC94_LENGTH, WC94_SURFACE_LENGTH, WC94_WIDTH, moment,
};
use shiftmap::synth::slip::{SlipField, SlipSpec, von_karman};
use shiftmap::synth::strand::{Roughness, Strand};
use shiftmap::synth::trace::self_affine;

#[test]
fn scaling_laws_give_the_reference_values() {
    let Some(table) = reference("scaling_laws.csv") else { return };
    let close = |name: &str, got: f64, want: f64| {
        assert!((got / want - 1.0).abs() < 1e-5, "{name}: {got}, not {want}");
    };
    let mut rows = 0;
    for line in table.lines().skip(1) {
        let v: Vec<f64> = line.split(',').map(|v| v.parse().unwrap()).collect();
        let m = v[0];
        close("moment", moment(m), v[1]);
        let laws: [(&str, Regression); 6] = [
            ("SRL", WC94_SURFACE_LENGTH),
            ("RLD", WC94_LENGTH),
            ("RW", WC94_WIDTH),
            ("RA", WC94_AREA),
            ("AD", WC94_AVERAGE_SLIP),
            ("MD", WC94_LARGEST_SLIP),
        ];
        for (k, (name, law)) in laws.iter().enumerate() {
            close(name, law.at(m), v[2 + k]);
        }
        close("B10 L", B10_LENGTH.at(m), v[8]);
        close("B10 W", B10_WIDTH.at(m), v[9]);
        let l10 = Leonard::default().size(moment(m));
        close("L10 L", l10.length / 1e3, v[10]);
        close("L10 W", l10.width / 1e3, v[11]);
        close("L10 D", l10.mean_slip, v[12]);
        rows += 1;
    }
    assert_eq!(rows, 8);
}

#[test]
fn lengths_follow_the_law_with_its_scatter() {
    let rng = &mut stream(SEED, Purpose::Magnitude);
    const N: usize = 8000;
    let points: Vec<(f64, f64)> = (0..N)
        .map(|k| {
            let m = 6.0 + 1.8 * (k as f64 + 0.5) / N as f64;
            (m, (ScalingLaw::WellsCoppersmith1994.draw_size(m, rng).length / 1e3).log10())
        })
        .collect();
    let (slope, _, residual) = line(&points);
    assert!((slope - 0.62).abs() < 0.01, "slope {slope}");
    assert!((residual - 0.15).abs() < 0.01, "scatter {residual}");
}

/// Slope, intercept and standard deviation of the residuals of a straight line.
fn line(points: &[(f64, f64)]) -> (f64, f64, f64) {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let sxy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = sxy / sxx;
    let residual = points.iter().map(|p| (p.1 - my - slope * (p.0 - mx)).powi(2)).sum::<f64>() / n;
    (slope, my - slope * mx, residual.sqrt())
}

/// Straight line removed, Hann window, 12 log-spaced bins of wave number from 4 / length to a quarter of the sampling rate.
fn hurst_of(profile: &[f64]) -> f64 {
    let n = profile.len();
    let points: Vec<(f64, f64)> = profile.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
    let (slope, start, _) = line(&points);
    let mut values: Vec<Complex<f64>> = points
        .iter()
        .map(|(x, v)| {
            let hann = 0.5 - 0.5 * (std::f64::consts::TAU * x / n as f64).cos();
            Complex::new((v - start - slope * x) * hann, 0.0)
        })
        .collect();
    FftPlanner::new().plan_fft_forward(n).process(&mut values);
    let (low, high) = (4f64.ln(), (0.25 * n as f64).ln());
    let mut bins = [(0.0, 0.0); 12];
    for (k, v) in values.iter().enumerate().take(n / 4).skip(4) {
        let bin = (((k as f64).ln() - low) / (high - low) * 12.0) as usize;
        bins[bin.min(11)].0 += v.norm_sqr();
        bins[bin.min(11)].1 += 1.0;
    }
    let filled = bins.iter().enumerate().filter(|(_, b)| b.1 > 0.0);
    let points: Vec<(f64, f64)> =
        filled.map(|(i, b)| (low + (i as f64 + 0.5) * (high - low) / 12.0, (b.0 / b.1).ln())).collect();
    (-line(&points).0 - 1.0) / 2.0
}

#[test]
fn traces_have_the_hurst_exponent() {
    for (points, bias, tolerance) in [(2048, -0.03, 0.05), (512, -0.05, 0.08)] {
        for hurst in [0.65, 0.8, 0.9] {
            let mean = (0..20)
                .map(|k| hurst_of(&self_affine(points, hurst, 1.0, &mut numbered(SEED, Purpose::Roughness, k))))
                .sum::<f64>()
                / 20.0;
            assert!((mean - (hurst + bias)).abs() < tolerance, "{points} points, H {hurst}: {mean}");
        }
    }
}

#[test]
fn a_strand_is_as_rough_as_asked() {
    let length = 40e3;
    for alpha in [1e-3, 1e-2] {
        let mut strand = Strand {
            origin: (0.0, 0.0),
            strike_deg: 30.0,
            length,
            width: 12e3,
            dip_deg: 80.0,
            dips_right: true,
            profile: vec![0.0; 2],
            relief: Grid::filled(2, 2, 0.0),
        };
        let rough = Roughness { rms: alpha * length, hurst: 0.8, relief: 0.2, spacing: 30.0 };
        strand.roughen(rough, &mut stream(SEED, Purpose::Roughness));
        let mean_square = strand.profile.iter().map(|v| v * v).sum::<f64>() / strand.profile.len() as f64;
        assert!((mean_square.sqrt() / length / alpha - 1.0).abs() < 1e-6);
        // The trace is the top of the surface, and the surface stays below the ground.
        let p = strand.point(1234.0, 0.0);
        assert!(p[2] == 0.0 && strand.point(1234.0, 9000.0)[2] < -8000.0);
    }
}

/// Spectral exponent along strike, averaged over the rows, as a Hurst exponent.
fn slip_hurst(field: &Grid<f64>, dx: f64, ax: f64) -> f64 {
    let n = field.width;
    let mut power = vec![0.0; n / 2];
    let plan = FftPlanner::new().plan_fft_forward(n);
    for y in 0..field.height {
        let row = field.row(y);
        let mean = row.iter().sum::<f64>() / n as f64;
        let mut values: Vec<Complex<f64>> = row
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let hann = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos();
                Complex::new((v - mean) * hann, 0.0)
            })
            .collect();
        plan.process(&mut values);
        power.iter_mut().zip(&values).for_each(|(p, v)| *p += v.norm_sqr());
    }
    let points: Vec<(f64, f64)> = (1..n / 4)
        .map(|k| (std::f64::consts::TAU * k as f64 / (n as f64 * dx), power[k]))
        .filter(|(k, _)| *k > 4.0 / ax)
        .map(|(k, p)| (k.ln(), p.ln()))
        .collect();
    (-line(&points).0 - 1.0) / 2.0
}

#[test]
fn slip_has_the_spectrum_of_its_hurst_exponent() {
    let (dx, dz, ax, az) = (250.0, 250.0, 12e3, 5e3);
    // Below H = 0.5 the rows miss what lies beyond the Nyquist frequency down dip: the estimate is 0.09 too high.
    for (hurst, bias) in [(0.4, 0.09), (0.5, 0.0), (0.75, 0.0), (1.0, 0.0)] {
        for clipped in [false, true] {
            let mut sum = 0.0;
            for k in 0..50 {
                let mut field = von_karman((256, 64), (dx, dz), (ax, az), hurst, &mut numbered(SEED, Purpose::Slip, k));
                if clipped {
                    field = field.map(|f| (1.0 + 0.6 * f).max(0.0));
                }
                sum += slip_hurst(&field, dx, ax) / 50.0;
            }
            assert!((sum - hurst - bias).abs() < 0.08, "H {hurst}, clipped {clipped}: {sum}");
        }
    }
}

#[test]
fn slip_is_never_negative_and_ends_at_the_rims() {
    for k in 0..20 {
        let rng = &mut numbered(SEED, Purpose::Slip, k);
        let (length, width) = (50e3, 14e3);
        let spec = SlipSpec::draw(length, width, rng);
        let field = SlipField::new(&spec, length, width, rng, &mut numbered(SEED, Purpose::Rake, k));
        let mut largest: f64 = 0.0;
        for i in 0..=100 {
            for j in 0..=30 {
                let (along, down) = (length * f64::from(i) / 100.0, width * f64::from(j) / 30.0);
                let slip = field.slip(along, down, down);
                assert!(slip >= 0.0);
                largest = largest.max(slip);
            }
        }
        for t in [0.1, 0.35, 0.6, 0.9] {
            for (along, down) in [(t * length, width), (0.0, t * width), (length, t * width)] {
                assert!(field.slip(along, down, down) < 0.02 * largest);
            }
        }
        // The deficit at the surface.
        assert!((spec.shallow(0.0) - (1.0 - spec.deficit)).abs() < 1e-12 && spec.shallow(6e3) == 1.0);
    }
}

fn event(seed: u64) -> (RuptureSpec, FaultModel) {
    let spec = RuptureSpec::draw(seed, Wishes::default()).unwrap();
    let geometry = FaultGeometry::new(&spec, 60.0);
    let model = geometry.model(MeshSize { finest: 60.0, growth: 0.3 }, (0.0, 0.0), 4e3).unwrap();
    (spec, model)
}

#[test]
fn events_keep_their_moment_depth_and_rules() {
    let mut kinds = [0usize; 3];
    for seed in 0..60 {
        let (spec, model) = event(seed);
        assert!((model.moment() / moment(spec.magnitude) - 1.0).abs() < 1e-9, "moment of {seed}");
        for t in &model.triangles {
            assert!(t.vertices.iter().all(|v| v[2] <= 0.0 && v[2] >= -spec.seismogenic_depth - 1e-6));
            let normal_up = {
                let [a, b, c] = t.vertices;
                (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            };
            assert!(normal_up >= 0.0 && t.area > 0.0 && t.slip.iter().all(|v| v.is_finite()) && t.slip[2] == 0.0);
        }
        for trace in &model.traces {
            assert_eq!(trace.points.len(), trace.jump.len());
            assert_eq!((trace.jump[0], *trace.jump.last().unwrap()), ([0.0; 3], [0.0; 3]));
        }
        // Where the mesh is fine, and away from the tapered ends, neighbouring triangles at the surface differ little.
        for trace in &model.traces {
            let size = |j: &[f64; 3]| j.iter().map(|v| v * v).sum::<f64>().sqrt();
            let largest = trace.jump.iter().map(size).fold(0.0, f64::max);
            let (first, last) = (trace.points.len() / 5, trace.points.len() * 4 / 5);
            let step = trace.jump[first..last]
                .windows(2)
                .zip(trace.points[first..last].windows(2))
                .filter(|(_, p)| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1) < 80.0)
                .map(|(w, _)| (size(&w[1]) - size(&w[0])).abs())
                .fold(0.0, f64::max);
            assert!(step < 0.25 * largest, "event {seed}: slip changes by {step} of {largest} m");
        }
        kinds[0] += usize::from(model.traces.len() > 1);
        kinds[1] += usize::from(!spec.secondary.is_empty());
        kinds[2] += usize::from(spec.off_fault.is_some());
        assert!((0.0..50.0).contains(&model.largest_slip()), "largest slip {}", model.largest_slip());
    }
    assert!(kinds.iter().all(|&n| n > 5 && n < 55), "{kinds:?}");
}

#[test]
fn the_same_seed_gives_the_same_event_and_its_record_is_complete() {
    let (spec, model) = event(11);
    let text = serde_json::to_string(&spec).unwrap();
    let back: RuptureSpec = serde_json::from_str(&text).unwrap();
    let again = FaultGeometry::new(&back, 60.0).model(MeshSize { finest: 60.0, growth: 0.3 }, (0.0, 0.0), 4e3).unwrap();
    assert_eq!(spec, back);
    assert_eq!((model.triangles, model.traces), (again.triangles, again.traces));
}
