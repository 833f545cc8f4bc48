//! Deformation that is spread over a zone beside the fault instead of slipping on it.

use rayon::prelude::*;

use super::fault_model::Trace;
use super::frame::Frame;
use super::jump::{JumpLine, JumpLines};
use super::rupture::OffFaultSpec;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Spreads the share `spec.share` of the jump at every trace over `spec.width`: adds
/// share J(s) (F(n) - H(n)) with F(n) = (1 + erf(2 sqrt(2) n / width)) / 2, n the signed distance to the trace and H the
/// step. The ground outside the zone does not notice; the jump that is left at the trace is (1 - share) J.
///
/// Observed shares: Milliner et al. (2016), GRL 43, 10190.
pub fn spread(field: &mut Grid<PixelShift>, traces: &mut [Trace], frame: &Frame, spec: &OffFaultSpec) {
    let lines = traces.iter().map(|t| JumpLine { points: t.points.clone(), jump: t.jump.clone() }).collect();
    let lines = JumpLines::<3>::new(lines, false);
    // Beyond 1.25 widths the added part is below 1e-12 of the jump.
    let reach = 1.25 * spec.width;
    field.data.par_chunks_mut(field.width.max(1)).enumerate().for_each(|(y, row)| {
        for (x, d) in row.iter_mut().enumerate() {
            let (east, north) = frame.map(x as f64, y as f64);
            let Some(foot) = lines.foot(east, north, reach) else { continue };
            let n = foot.across;
            let smooth = 0.5 * (1.0 + libm::erf(2.0 * std::f64::consts::SQRT_2 * n / spec.width));
            let share = spec.share * (smooth - if n >= 0.0 { 1.0 } else { 0.0 });
            let added = frame.shift(foot.jump.map(|v| share * v));
            d.dx += added.dx;
            d.dy += added.dy;
        }
    });
    for jump in traces.iter_mut().flat_map(|t| &mut t.jump).flatten() {
        *jump *= 1.0 - spec.share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jump_across_the_zone_is_what_it_was() {
        let frame = Frame::optical(81, 81, 10.0, (0.0, 0.0));
        let points: Vec<(f64, f64)> = (0..=160).map(|i| (3.0, -800.0 + 10.0 * f64::from(i))).collect();
        let jump = vec![[0.5, -2.0, 0.1]; points.len()];
        let block = |x: usize| {
            let right = frame.map(x as f64, 0.0).0 > 3.0;
            if right { frame.shift([0.5, -2.0, 0.1]) } else { PixelShift::default() }
        };
        for (share, width) in [(0.6, 300.0), (0.3, 100.0)] {
            let mut field = Grid::from_fn(81, 81, |x, _| block(x));
            let mut traces = vec![Trace { points: points.clone(), jump: jump.clone() }];
            spread(&mut field, &mut traces, &frame, &OffFaultSpec { share, width });
            // Profile from one width on the left to one width on the right.
            let at = |metres: f64| field.get((40.0 + metres / 10.0).round() as usize, 40);
            let profile = at(width).dy - at(-width).dy;
            assert!((profile / 0.2 - 1.0).abs() < 0.01, "jump across the zone {profile}");
            // The step that is left at the trace itself.
            let step = field.get(41, 40).dy - field.get(40, 40).dy;
            assert!(step < 0.2 * (1.0 - share) + 0.2 * share * 0.3, "step at the trace {step}");
            assert!((traces[0].jump[80][1] + 2.0 * (1.0 - share)).abs() < 1e-12);
        }
    }
}
