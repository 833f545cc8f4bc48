//! The outlier filter of a displacement map: a value must be shared by its neighbourhood.
//!
//! Two tests in the 5 × 5 cells around each cell, both on the values as measured:
//! * normalised displacement coherence (the filter of Gardner et al. 2018 in autoRIFT): enough neighbours lie within a
//!   fifth of the search;
//! * the median test (Westerweel & Scarano 2005, Exp. Fluids 39): the value lies within four robust standard
//!   deviations of a median of its neighbours. Besides the median of all neighbours, those of the four half
//!   neighbourhoods count, so that a jump between the two sides of a fault is not an outlier on either.
use crate::field::{Measurement, Status};
use crate::grid::Grid;
use crate::robust::{MAD, median};
use rayon::prelude::*;

/// Cells on each side that the filter looks at.
pub const REACH: usize = 2;
/// Share of the search within which neighbours agree.
const AGREE: f64 = 0.2;
/// One neighbour in so many must agree.
const SUPPORT: usize = 3;
/// Robust standard deviations that are tolerated, and the least tolerance in pixels.
const SIGMAS: f64 = 4.0;
const LEAST: f64 = 0.2;

/// Gives outliers the status [`Status::Outlier`]. `search` is the search in pixels along x and y; cells beyond the
/// grid count as absent.
pub fn reject(field: &mut Grid<Measurement>, search: (f64, f64)) {
    let mut near = Vec::with_capacity(24);
    let mut scratch = Vec::with_capacity(24);
    let mut bad = Vec::new();
    for y in 0..field.height {
        for x in 0..field.width {
            let m = field.get(x, y);
            if m.status != Status::Valid {
                continue;
            }
            if calm(field, (x, y), &m, search) {
                continue;
            }
            let possible = neighbours(field, (x, y), &mut near);
            let agree = (AGREE * search.0, AGREE * search.1);
            let alone = near.iter().filter(|n| agrees(n, &m, agree)).count() * SUPPORT < possible;
            if alone || !central(&m, &near, (SIGMAS, LEAST), &mut scratch) {
                bad.push((x, y));
            }
        }
    }
    for (x, y) in bad {
        field.set(x, y, Measurement::failed(Status::Outlier));
    }
}

/// So many of the neighbours are so close that both tests are passed: the median lies among more than half of them.
/// Only a short cut.
fn calm(field: &Grid<Measurement>, (x, y): (usize, usize), m: &Measurement, search: (f64, f64)) -> bool {
    const ALL: usize = (2 * REACH + 1) * (2 * REACH + 1) - 1;
    if x < REACH || y < REACH || x + REACH >= field.width || y + REACH >= field.height {
        return false;
    }
    let tolerance = |search: f64| LEAST.min(AGREE * search);
    let (tx, ty) = (tolerance(search.0), tolerance(search.1));
    let mut close = 0;
    for j in y - REACH..=y + REACH {
        for n in &field.row(j)[x - REACH..=x + REACH] {
            let d = (n.shift.dx - m.shift.dx).abs() <= tx && (n.shift.dy - m.shift.dy).abs() <= ty;
            close += usize::from(n.status == Status::Valid && d);
        }
    }
    // The cell itself is among them.
    close > ALL / 2 + 1
}

/// A neighbour: its place relative to the cell, its displacement.
type Neighbour = (i64, i64, f64, f64);

/// Valid neighbours, and how many there could be where there are data.
fn neighbours(field: &Grid<Measurement>, (x, y): (usize, usize), near: &mut Vec<Neighbour>) -> usize {
    near.clear();
    let mut possible = 0;
    for j in y.saturating_sub(REACH)..(y + REACH + 1).min(field.height) {
        for i in x.saturating_sub(REACH)..(x + REACH + 1).min(field.width) {
            let m = field.get(i, j);
            if (i, j) == (x, y) || m.status == Status::NoData {
                continue;
            }
            possible += 1;
            if m.status == Status::Valid {
                near.push((i as i64 - x as i64, j as i64 - y as i64, m.shift.dx, m.shift.dy));
            }
        }
    }
    possible
}

/// A neighbour within `agree` of the value.
fn agrees(n: &Neighbour, m: &Measurement, agree: (f64, f64)) -> bool {
    (n.2 - m.shift.dx).abs() <= agree.0 && (n.3 - m.shift.dy).abs() <= agree.1
}

/// Valid cells with less than `share` of their 5 × 5 neighbours within `agree`: one round of the test of coherence.
pub fn incoherent(field: &Grid<Measurement>, agree: (f64, f64), share: f64) -> Vec<(usize, usize)> {
    judged(field, |m, near, possible| {
        let close = near.iter().filter(|n| agrees(n, m, agree)).count();
        (close as f64) < share * possible as f64
    })
}

/// Valid cells farther from the medians of their neighbours than `sigmas` robust standard deviations, and than `least`.
pub fn off_median(field: &Grid<Measurement>, sigmas: f64, least: f64) -> Vec<(usize, usize)> {
    judged(field, |m, near, _| !central(m, near, (sigmas, least), &mut Vec::with_capacity(24)))
}

/// The valid cells that are `bad`, row by row.
fn judged(
    field: &Grid<Measurement>,
    bad: impl Fn(&Measurement, &[Neighbour], usize) -> bool + Sync,
) -> Vec<(usize, usize)> {
    let row = |y: usize| -> Vec<(usize, usize)> {
        let mut near = Vec::with_capacity(24);
        let mut found = Vec::new();
        for x in 0..field.width {
            let m = field.get(x, y);
            if m.status == Status::Valid {
                let possible = neighbours(field, (x, y), &mut near);
                if bad(&m, &near, possible) {
                    found.push((x, y));
                }
            }
        }
        found
    };
    (0..field.height).into_par_iter().flat_map_iter(row).collect()
}

/// The value is near one of the medians, both components of the same one.
fn central(m: &Measurement, near: &[Neighbour], (sigmas, least): (f64, f64), scratch: &mut Vec<f64>) -> bool {
    let sides: [fn(&Neighbour) -> bool; 5] = [|_| true, |n| n.0 <= 0, |n| n.0 >= 0, |n| n.1 <= 0, |n| n.1 >= 0];
    let mut judged = false;
    for side in sides {
        let members = || near.iter().filter(|n| side(n));
        if members().count() < 4 {
            continue;
        }
        judged = true;
        let mut close = |pick: fn(&Neighbour) -> f64, value: f64, variance: f64| {
            scratch.clear();
            scratch.extend(members().map(pick));
            let middle = median(scratch);
            scratch.iter_mut().for_each(|v| *v = (*v - middle).abs());
            let spread = MAD * median(scratch);
            let tolerance = (sigmas * spread.max(variance.sqrt())).max(least);
            (value - middle).abs() <= tolerance
        };
        if close(|n| n.2, m.shift.dx, m.covariance.xx) && close(|n| n.3, m.shift.dy, m.covariance.yy) {
            return true;
        }
    }
    !judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Covariance, PixelShift};

    fn valid(dx: f64, dy: f64) -> Measurement {
        let covariance = Covariance { xx: 1e-4, xy: 0.0, yy: 1e-4 };
        Measurement { shift: PixelShift::new(dx, dy), covariance, quality: 0.9, status: Status::Valid }
    }

    fn statuses(field: &Grid<Measurement>, s: Status) -> usize {
        field.data.iter().filter(|m| m.status == s).count()
    }

    #[test]
    fn lone_wrong_peaks_are_rejected_and_nothing_else() {
        let mut field = Grid::from_fn(20, 15, |x, y| valid(0.01 * x as f64, -0.02 * y as f64));
        for (x, y) in [(3, 4), (10, 10), (19, 14), (0, 7)] {
            field.set(x, y, valid(2.5, -1.5));
        }
        field.set(6, 6, valid(0.06, 0.9));
        reject(&mut field, (4.0, 4.0));
        assert_eq!(statuses(&field, Status::Outlier), 5);
        assert_eq!(field.get(6, 6).status, Status::Outlier);
    }

    #[test]
    fn both_sides_of_a_jump_stay() {
        // A bent fault with 3 px of slip.
        let mut field = Grid::from_fn(30, 30, |x, y| {
            let side = (x as f64) < 12.0 + 0.3 * y as f64 + 2.0 * (y as f64 / 4.0).sin();
            valid(if side { 1.5 } else { -1.5 }, 0.0)
        });
        reject(&mut field, (4.0, 4.0));
        assert_eq!(statuses(&field, Status::Outlier), 0);
    }

    #[test]
    fn values_without_company_are_rejected_unless_there_are_no_data() {
        let mut field = Grid::from_fn(9, 9, |_, _| Measurement::failed(Status::NoConvergence));
        field.set(4, 4, valid(0.1, 0.1));
        let mut island = Grid::from_fn(9, 9, |_, _| Measurement::failed(Status::NoData));
        island.set(4, 4, valid(0.1, 0.1));
        reject(&mut field, (4.0, 4.0));
        reject(&mut island, (4.0, 4.0));
        assert_eq!(field.get(4, 4).status, Status::Outlier);
        assert_eq!(island.get(4, 4).status, Status::Valid);
    }

    #[test]
    fn noise_of_the_stated_size_stays() {
        let mut state = 1u64;
        let mut random = || {
            let sum: f64 = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 40) as f64 / (1u64 << 24) as f64
                })
                .sum();
            0.5 * (sum - 6.0)
        };
        let mut field = Grid::from_fn(60, 60, |_, _| {
            let mut m = valid(random(), random());
            m.covariance = Covariance { xx: 0.25, xy: 0.0, yy: 0.25 };
            m
        });
        reject(&mut field, (20.0, 20.0));
        assert!(statuses(&field, Status::Outlier) <= 4);
    }
}
