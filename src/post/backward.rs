//! The forward/backward check: what is found from pre to post must be found again from post to pre.

use crate::field::{Measurement, PixelShift, Status};
use crate::grid::Grid;

/// Gives cells whose forward displacement is not undone by the backward one the status [`Status::Inconsistent`].
///
/// Both fields are on the same cells, `step` pixels apart; the backward one was measured on the post image, where a
/// cell lies `base` pixels further, and both are relative to `base`. A forward displacement d of the ground at x is
/// compared with the backward one interpolated at x + d; `tolerance` is the largest sum of the two on each axis, in
/// pixels. Cells whose counterpart has no value are inconsistent too; those that leave the tile are compared with the
/// nearest cell inside.
pub fn reject(forward: &mut Grid<Measurement>, backward: &Grid<Measurement>, step: (usize, usize), tolerance: f64) {
    for y in 0..forward.height {
        for x in 0..forward.width {
            let m = forward.get(x, y);
            if m.status != Status::Valid {
                continue;
            }
            let at = (x as f64 + m.shift.dx / step.0 as f64, y as f64 + m.shift.dy / step.1 as f64);
            let undone = interpolate(backward, at)
                .is_some_and(|b| (b.dx + m.shift.dx).abs() <= tolerance && (b.dy + m.shift.dy).abs() <= tolerance);
            if !undone {
                forward.set(x, y, Measurement::failed(Status::Inconsistent));
            }
        }
    }
}

/// Bilinear over the valid ones of the four cells around `at`, as long as the nearest is valid.
fn interpolate(field: &Grid<Measurement>, at: (f64, f64)) -> Option<PixelShift> {
    let (x, y) = (at.0.clamp(0.0, (field.width - 1) as f64), at.1.clamp(0.0, (field.height - 1) as f64));
    if field.get(x.round() as usize, y.round() as usize).status != Status::Valid {
        return None;
    }
    let (i, j) = (x.floor() as usize, y.floor() as usize);
    let (mut sum, mut dx, mut dy) = (0.0, 0.0, 0.0);
    for (v, wy) in [(j, 1.0 - y.fract()), (j + 1, y.fract())] {
        for (u, wx) in [(i, 1.0 - x.fract()), (i + 1, x.fract())] {
            if wx * wy > 0.0 && field.get(u, v).status == Status::Valid {
                let m = field.get(u, v);
                sum += wx * wy;
                dx += wx * wy * m.shift.dx;
                dy += wx * wy * m.shift.dy;
            }
        }
    }
    (sum > 0.0).then(|| PixelShift::new(dx / sum, dy / sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Covariance;

    fn valid(dx: f64, dy: f64) -> Measurement {
        Measurement {
            shift: PixelShift::new(dx, dy),
            covariance: Covariance::default(),
            quality: 1.0,
            status: Status::Valid,
        }
    }

    #[test]
    fn a_field_and_its_inverse_agree_and_a_wrong_match_does_not() {
        // d(x) = 0.02 x + 1 along x, 4 px cells: the inverse at y is -(0.02 x + 1) with y = 1.02 x + 1.
        let mut forward = Grid::from_fn(40, 10, |i, _| valid(0.02 * 4.0 * i as f64 + 1.0, -0.5));
        let backward = Grid::from_fn(40, 10, |i, _| {
            let x = (4.0 * i as f64 - 1.0) / 1.02;
            valid(-(0.02 * x + 1.0), 0.5)
        });
        forward.set(20, 5, valid(-3.0, 0.0));
        forward.set(3, 3, Measurement::failed(Status::LowTexture));
        reject(&mut forward, &backward, (4, 4), 0.1);
        for (k, m) in forward.data.iter().enumerate() {
            let want = match (k % 40, k / 40) {
                (20, 5) => Status::Inconsistent,
                (3, 3) => Status::LowTexture,
                // The last cells leave the tile by up to one cell.
                _ => Status::Valid,
            };
            assert_eq!(m.status, want, "{k}");
        }
    }

    #[test]
    fn no_counterpart_is_a_mismatch() {
        let mut forward = Grid::filled(3, 3, valid(0.0, 0.0));
        let mut backward = Grid::filled(3, 3, valid(0.0, 0.0));
        backward.set(1, 1, Measurement::failed(Status::NoConvergence));
        reject(&mut forward, &backward, (8, 8), 0.5);
        assert_eq!(forward.get(1, 1).status, Status::Inconsistent);
        assert_eq!(forward.get(0, 1).status, Status::Valid);
    }
}
