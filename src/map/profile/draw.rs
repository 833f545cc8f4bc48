//! Graphs of a profile.

use super::{Bin, Profile, Station};
use crate::render::chart::{BLUE, Chart, GREY, ORANGE, Series, pale};

/// The profile stacked along strike: medians, scatter and the lines whose difference at the fault is the offset.
pub fn stack(profile: &Profile) -> Chart {
    let mut series = Vec::new();
    // Where windows contain the trace.
    let mixed: Vec<f64> = profile.stack.iter().filter(|b| b.excluded > 0.5).map(|b| b.distance).collect();
    if let (Some(from), Some(to)) = (mixed.first(), mixed.last()) {
        series.push(Series::Span { from: *from, to: *to, colour: [242, 242, 242] });
    }
    let scatter = |pick: fn(&Bin) -> (f64, f64)| -> Vec<(f64, f64, f64)> {
        let band = |b: &Bin| (b.distance, pick(b).0 - pick(b).1, pick(b).0 + pick(b).1);
        profile.stack.iter().map(band).collect()
    };
    let points = |pick: fn(&Bin) -> f64| -> Vec<(f64, f64, f64)> {
        profile.stack.iter().map(|b| (b.distance, pick(b), 0.0)).collect()
    };
    series.push(Series::Band { points: scatter(|b| (b.normal_median, b.normal_nmad)), colour: pale(ORANGE, 0.22) });
    series.push(Series::Band { points: scatter(|b| (b.parallel_median, b.parallel_nmad)), colour: pale(BLUE, 0.22) });
    series.push(Series::Points { points: points(|b| b.normal_median), colour: ORANGE, size: 2.0 });
    series.push(Series::Points { points: points(|b| b.parallel_median), colour: BLUE, size: 2.4 });
    for (side, line) in [(-1.0, through(profile, -1.0)), (1.0, through(profile, 1.0))] {
        if let Some((level, slope)) = line {
            let at = |d: f64| (d, level + slope * d);
            let points = vec![at(0.0), at(side * profile.length)];
            series.push(Series::Line { points, colour: [20, 20, 20], width: 1.6 });
        }
    }
    let offset = |o: Option<super::Offset>| o.map_or("none".into(), |o| format!("{:.3} ± {:.3}", o.value, o.sigma));
    Chart {
        title: format!(
            "Mean offset ({unit}): parallel {} (left +), normal {} (open +)",
            offset(profile.mean_parallel),
            offset(profile.mean_normal),
            unit = profile.unit
        ),
        x_label: format!("Distance from the fault ({}), right side positive", profile.unit),
        y_label: format!("Displacement ({})", profile.unit),
        series,
        legend: vec![("parallel".into(), BLUE), ("normal".into(), ORANGE)],
    }
}

/// Value at the fault and slope of the line through one side of the stack, to guide the eye.
fn through(profile: &Profile, side: f64) -> Option<(f64, f64)> {
    let used = profile.stack.iter().filter(|b| b.distance * side > 0.0 && b.excluded < 0.5);
    let points: Vec<(f64, f64, f64)> = used.map(|b| (b.distance, b.parallel_median, b.n as f64)).collect();
    super::rise::line(points.iter())
}

/// Offsets along strike with one standard deviation.
pub fn slip(profile: &Profile) -> Chart {
    let mut series = Vec::new();
    for (pick, colour) in [((|s| s.normal) as fn(&Station) -> Option<super::Offset>, ORANGE), (|s| s.parallel, BLUE)] {
        let mut start = 0.0;
        let mut strand = 0;
        let mut longest = 0.0f64;
        let mut points = Vec::new();
        for s in &profile.stations {
            // Strands follow one another with a gap.
            if s.strand != strand {
                start += longest + 2.0 * profile.spacing;
                (strand, longest) = (s.strand, 0.0);
                points.push((f64::NAN, f64::NAN, 0.0));
            }
            longest = longest.max(s.along);
            points.push(pick(s).map_or((f64::NAN, f64::NAN, 0.0), |o| (start + s.along, o.value, o.sigma)));
        }
        series.push(Series::Line {
            points: points.iter().map(|p| (p.0, p.1)).collect(),
            colour: pale(colour, 0.5),
            width: 1.4,
        });
        series.push(Series::Points { points, colour, size: 3.4 });
    }
    let ends = |f: fn(f64, f64) -> f64| profile.stations.iter().map(|s| s.along).reduce(f).unwrap_or(0.0);
    series.push(Series::Line { points: vec![(ends(f64::min), 0.0), (ends(f64::max), 0.0)], colour: GREY, width: 1.0 });
    Chart {
        title: format!("Offset along strike, {} swaths, bars of one standard deviation", profile.stations.len()),
        x_label: format!("Distance along the trace ({})", profile.unit),
        y_label: format!("Offset ({})", profile.unit),
        series,
        legend: vec![("parallel, left-lateral +".into(), BLUE), ("normal, opening +".into(), ORANGE)],
    }
}
