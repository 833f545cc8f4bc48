//! Holes filled from what surrounds them.
//!
//! A plane through the values within a distance, weighted by nearness and by variance, is evaluated at the cell. A cell is
//! filled when there are values in all four quarters around it, so that nothing is continued beyond the edge of the data.
//! Its sigma is that of the plane at the cell, with what the scatter of the values about the plane has beyond their own
//! sigma: the ground in the hole may differ from a plane as much as the ground around it does.

use super::cells::{Cells, Step};
use super::overlap::Overlap;
use crate::field::Status;
use rayon::prelude::*;

/// Least number of values.
const LEAST: usize = 8;

/// Value and sigma of a filled cell.
type Filled = ([f32; 2], [f32; 2]);

/// Fills the cells without a value that have values within `radius` cells on all sides.
pub fn fill(cells: &mut Cells, radius: usize, overlap: &Overlap) {
    let found: Vec<Vec<(usize, Filled)>> = (0..cells.height())
        .into_par_iter()
        .map(|y| {
            let mut space = Space::default();
            let empty = (0..cells.width()).filter(|x| !cells.values[0].get(*x, y).is_finite());
            empty.filter_map(|x| Some((x, cell(cells, (x, y), radius, overlap, &mut space)?))).collect()
        })
        .collect();
    for (y, row) in found.into_iter().enumerate() {
        for (x, (values, sigma)) in row {
            for k in 0..2 {
                cells.values[k].set(x, y, values[k]);
                cells.sigma[k].set(x, y, sigma[k]);
            }
            // Nothing was measured here.
            cells.quality.set(x, y, 0.0);
            cells.status.set(x, y, Status::Filled as u8);
            cells.step.set(x, y, Step::Filled);
        }
    }
}

#[derive(Default)]
struct Space {
    terms: Vec<f64>,
    scratch: Vec<f64>,
}

fn cell(cells: &Cells, at: (usize, usize), radius: usize, overlap: &Overlap, space: &mut Space) -> Option<Filled> {
    let r = radius as i64;
    let side = 2 * radius + 1;
    let near = |dx: i64, dy: i64| -> Option<(usize, usize)> {
        let (x, y) = (at.0 as i64 + dx, at.1 as i64 + dy);
        let inside = x >= 0 && y >= 0 && x < cells.width() as i64 && y < cells.height() as i64;
        let there = inside && dx * dx + dy * dy <= r * r && cells.values[0].get(x as usize, y as usize).is_finite();
        there.then_some((x as usize, y as usize))
    };
    let (mut quarters, mut count) = ([0; 4], 0);
    for dy in -r..=r {
        for dx in -r..=r {
            if near(dx, dy).is_some() {
                count += 1;
                // Each axis belongs to one quarter.
                let quarter = match (dx, dy) {
                    (x, y) if x > 0 && y >= 0 => 0,
                    (x, y) if x <= 0 && y > 0 => 1,
                    (x, y) if x < 0 && y <= 0 => 2,
                    _ => 3,
                };
                quarters[quarter] += 1;
            }
        }
    }
    if count < LEAST || quarters.contains(&0) {
        return None;
    }
    let (mut values, mut sigma) = ([f32::NAN; 2], [f32::NAN; 2]);
    for k in 0..2 {
        let known = cells.sigma[k].data.iter().any(|s| s.is_finite());
        let weight = |dx: i64, dy: i64, (x, y): (usize, usize)| {
            let s = f64::from(cells.sigma[k].get(x, y));
            let variance = if s > 0.0 { s * s } else { 1.0 };
            let width = 0.5 * radius as f64;
            (-0.5 * ((dx * dx + dy * dy) as f64) / (width * width)).exp() / variance
        };
        // Normal equations of a + b dx + c dy.
        let mut n = nalgebra::Matrix3::<f64>::zeros();
        let mut b = nalgebra::Vector3::<f64>::zeros();
        let each = |f: &mut dyn FnMut(i64, i64, (usize, usize))| {
            for dy in -r..=r {
                for dx in -r..=r {
                    if let Some(c) = near(dx, dy) {
                        f(dx, dy, c);
                    }
                }
            }
        };
        each(&mut |dx, dy, c| {
            let t = nalgebra::Vector3::new(1.0, dx as f64, dy as f64);
            let w = weight(dx, dy, c);
            n += w * t * t.transpose();
            b += w * f64::from(cells.values[k].get(c.0, c.1)) * t;
        });
        let inverse = n.try_inverse()?;
        let plane = inverse * b;
        // The value is a sum of the neighbours with the weights `g`.
        space.terms.clear();
        space.terms.resize(side * side, 0.0);
        let (mut scatter, mut expected, mut total) = (0.0, 0.0, 0.0);
        each(&mut |dx, dy, c| {
            let t = nalgebra::Vector3::new(1.0, dx as f64, dy as f64);
            let w = weight(dx, dy, c);
            let g = (inverse.row(0) * t)[0] * w;
            let s = f64::from(cells.sigma[k].get(c.0, c.1));
            space.terms[((dy + r) * side as i64 + dx + r) as usize] = if s.is_finite() { g * s } else { 0.0 };
            let residual = f64::from(cells.values[k].get(c.0, c.1)) - plane.dot(&t);
            scatter += w * residual * residual;
            expected += if s.is_finite() { w * s * s } else { 0.0 };
            total += w;
        });
        values[k] = plane[0] as f32;
        if known {
            let variance =
                overlap.variance(&space.terms, side, &mut space.scratch) + (scatter - expected).max(0.0) / total;
            sigma[k] = variance.sqrt() as f32;
        }
    }
    Some((values, sigma))
}
