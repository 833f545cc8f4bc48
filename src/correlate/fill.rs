//! Smooth filling of invalid pixels, so that filters see no edge where the data end.
//!
//! The values are used by the filters' tails only; every pixel filled here stays invalid. Push-pull interpolation
//! (Gortler et al. 1996, "The Lumigraph", section 3.4): average the valid pixels down a pyramid, then fill each level
//! from the coarser one.

use crate::grid::{Grid, Image};

/// Replaces invalid values by a smooth continuation of the valid ones. Returns `None` when nothing is valid.
pub fn fill_invalid(image: &Image) -> Option<Grid<f32>> {
    if image.all_valid() {
        return Some(image.values.clone());
    }
    if !image.valid.data.iter().any(|&v| v) {
        return None;
    }
    let weights = image.valid.map(|v| if v { 1.0f32 } else { 0.0 });
    Some(pull(image.values.clone(), weights))
}

/// Fills where the weight is below 1 from the next coarser level.
fn pull(values: Grid<f32>, weights: Grid<f32>) -> Grid<f32> {
    let (w, h) = (values.width, values.height);
    if (w <= 1 && h <= 1) || weights.data.iter().all(|&v| v >= 1.0) {
        return values;
    }
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let (mut sum, mut mass) = (Grid::filled(cw, ch, 0.0f32), Grid::filled(cw, ch, 0.0f32));
    for y in 0..h {
        for x in 0..w {
            let k = weights.get(x, y);
            let i = (y / 2) * cw + x / 2;
            sum.data[i] += k * values.get(x, y);
            mass.data[i] += k;
        }
    }
    for (s, m) in sum.data.iter_mut().zip(mass.data.iter_mut()) {
        *s = if *m > 0.0 { *s / *m } else { 0.0 };
        *m = m.min(1.0);
    }
    let coarse = pull(sum, mass);
    Grid::from_fn(w, h, |x, y| {
        let k = weights.get(x, y);
        if k >= 1.0 { values.get(x, y) } else { k * values.get(x, y) + (1.0 - k) * bilinear(&coarse, x, y) }
    })
}

/// Value of the half-resolution grid at the centre of fine pixel (x, y).
fn bilinear(coarse: &Grid<f32>, x: usize, y: usize) -> f32 {
    let at = |p: usize, n: usize| {
        let c = (p as f32 + 0.5) / 2.0 - 0.5;
        let i = c.floor();
        let lo = (i.max(0.0) as usize).min(n - 1);
        let hi = ((i + 1.0).max(0.0) as usize).min(n - 1);
        (lo, hi, c - i)
    };
    let (x0, x1, u) = at(x, coarse.width);
    let (y0, y1, v) = at(y, coarse.height);
    (1.0 - v) * ((1.0 - u) * coarse.get(x0, y0) + u * coarse.get(x1, y0))
        + v * ((1.0 - u) * coarse.get(x0, y1) + u * coarse.get(x1, y1))
}

/// Invalidates every pixel closer than or at `radius` (Chebyshev distance) to an invalid one.
pub fn erode(valid: &Grid<bool>, radius: usize) -> Grid<bool> {
    if radius == 0 || valid.data.iter().all(|&v| v) {
        return valid.clone();
    }
    let (w, h) = (valid.width, valid.height);
    let line = |input: &[bool], out: &mut [bool]| {
        let mut last_bad: Option<usize> = None;
        for (i, &v) in input.iter().enumerate() {
            if !v {
                last_bad = Some(i);
            }
            out[i] = last_bad.is_none_or(|b| i - b > radius);
        }
        let mut next_bad: Option<usize> = None;
        for (i, &v) in input.iter().enumerate().rev() {
            if !v {
                next_bad = Some(i);
            }
            out[i] &= next_bad.is_none_or(|b| b - i > radius);
        }
    };
    let mut rows = Grid::filled(w, h, true);
    for y in 0..h {
        line(valid.row(y), rows.row_mut(y));
    }
    let mut out = rows.clone();
    let (mut column, mut result) = (vec![true; h], vec![true; h]);
    for x in 0..w {
        for (y, v) in column.iter_mut().enumerate() {
            *v = rows.get(x, y);
        }
        line(&column, &mut result);
        for (y, v) in result.iter().enumerate() {
            out.set(x, y, *v);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_pixels_are_untouched_and_holes_are_smooth() {
        let mut image = Image::from_values(Grid::from_fn(40, 30, |x, y| x as f32 + 2.0 * y as f32));
        for y in 10..20 {
            for x in 10..25 {
                image.valid.set(x, y, false);
                image.values.set(x, y, 0.0);
            }
        }
        let filled = fill_invalid(&image).unwrap();
        for y in 0..30 {
            for x in 0..40 {
                let truth = x as f32 + 2.0 * y as f32;
                let tolerance = if image.valid.get(x, y) { 0.0 } else { 16.0 };
                assert!((filled.get(x, y) - truth).abs() <= tolerance, "({x},{y}) {}", filled.get(x, y));
            }
        }
        assert!(fill_invalid(&Image::invalid(4, 4)).is_none());
    }

    #[test]
    fn erosion_is_a_square() {
        let mut valid = Grid::filled(9, 9, true);
        valid.set(4, 4, false);
        let e = erode(&valid, 2);
        let bad = e.data.iter().filter(|&&v| !v).count();
        assert_eq!(bad, 25);
        assert!(!e.get(2, 6) && e.get(1, 4));
    }
}
