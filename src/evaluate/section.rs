//! Profiles of the truth and of an estimate across the trace, and how sharp the step is in each.

use serde::Serialize;

use super::compare::FieldRaster;
use super::sample::Sampled;
use crate::map::profile::rise::{Rise, rise};
use crate::map::profile::trace::{Strand, join};

/// Where cross-sections are made, in pixels of the pre image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SectionPlan {
    /// How many, equally spaced along all of the trace.
    pub count: usize,
    /// How far they reach to each side; `None`: 64 pixels, or more where the estimate's window is large.
    pub reach: Option<f64>,
    /// Width along strike over which each is averaged.
    pub width: f64,
}

impl Default for SectionPlan {
    fn default() -> Self {
        SectionPlan { count: 8, reach: None, width: 32.0 }
    }
}

/// One cross-section: mean component along strike at every distance, in the unit of the evaluation, NaN as null.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// Map coordinates of the middle, degrees clockwise from up.
    pub x: f64,
    pub y: f64,
    pub strike: f64,
    /// Distances from the trace in pixels, positive on the right.
    pub distance: Vec<f64>,
    pub truth: Vec<f64>,
    pub estimate: Vec<f64>,
    /// Step and its 10 to 90 % rise, in pixels; none where no step stands out.
    pub truth_rise: Option<Rise>,
    pub estimate_rise: Option<Rise>,
}

/// Sharpness over all sections.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sharpness {
    /// Sections with a step in both.
    pub sections: usize,
    /// Median 10 to 90 % rise distance in pixels.
    pub truth_rise: f64,
    pub estimate_rise: f64,
}

/// Makes the sections; `pixel` is the pre image's in map units, `core` the distance in pixels within which the estimate's
/// windows smear the step.
pub fn sections(
    estimate: &FieldRaster,
    truth: &FieldRaster,
    trace: &[Vec<(f64, f64)>],
    pixel: (f64, f64),
    plan: &SectionPlan,
    core: f64,
) -> Vec<Section> {
    let scaled: Vec<Vec<(f64, f64)>> =
        trace.iter().map(|l| l.iter().map(|p| (p.0 / pixel.0, p.1 / pixel.1)).collect()).collect();
    let strands = join(scaled, 0.01);
    let total: f64 = strands.iter().map(Strand::length).sum();
    if plan.count == 0 || total <= 0.0 {
        return Vec::new();
    }
    let spacing = total / plan.count as f64;
    let swaths = strands.iter().enumerate().filter(|(_, s)| s.length() >= spacing.min(plan.width));
    let swaths: Vec<_> = swaths.flat_map(|(k, s)| s.swaths(spacing, plan.width, k)).collect();
    let fields = [truth, estimate].map(|f| {
        (Sampled { values: &f.east, transform: f.transform }, Sampled { values: &f.north, transform: f.transform })
    });
    let half = plan.reach.unwrap_or_else(|| (1.5 * core + 16.0).max(64.0)).floor() as i64;
    let one = |swath: &crate::map::profile::trace::Swath| {
        // Half pixels: no sample lies on the trace.
        let distance: Vec<f64> = (-half..half).map(|k| k as f64 + 0.5).collect();
        let steps = (plan.width.floor() as i64).max(1);
        let mean = |field: &(Sampled, Sampled), d: f64| {
            let (mut sum, mut n) = (0.0, 0);
            for k in 0..steps {
                let a = ((k as f64 + 0.5) / steps as f64 - 0.5) * plan.width;
                let Some(on) = swath.trace_at(a) else { continue };
                let (x, y) = swath.global(a, on + d);
                let (x, y) = (x * pixel.0, y * pixel.1);
                let v = field.0.at(x, y) * swath.tangent.0 + field.1.at(x, y) * swath.tangent.1;
                if v.is_finite() {
                    sum += v;
                    n += 1;
                }
            }
            if n > 0 { sum / f64::from(n) } else { f64::NAN }
        };
        let [truth, estimate] = [0, 1].map(|k| distance.iter().map(|d| mean(&fields[k], *d)).collect::<Vec<f64>>());
        let step = |values: &[f64], core: f64| {
            let points = distance.iter().zip(values).filter(|p| p.1.is_finite()).map(|(d, v)| (*d, *v, 1.0));
            rise(&points.collect::<Vec<_>>(), core, 1.0)
        };
        Section {
            x: swath.origin.0 * pixel.0,
            y: swath.origin.1 * pixel.1,
            strike: swath.strike(),
            truth_rise: step(&truth, 3.0),
            estimate_rise: step(&estimate, core),
            distance,
            truth,
            estimate,
        }
    };
    swaths.iter().map(one).collect()
}

/// Median rises.
pub fn sharpness(sections: &[Section]) -> Option<Sharpness> {
    let both: Vec<(Rise, Rise)> = sections.iter().filter_map(|s| Some((s.truth_rise?, s.estimate_rise?))).collect();
    let median = |pick: fn(&(Rise, Rise)) -> f64| crate::map::profile::fit::median(both.iter().map(pick).collect());
    Some(Sharpness { sections: both.len(), truth_rise: median(|b| b.0.width)?, estimate_rise: median(|b| b.1.width)? })
}
