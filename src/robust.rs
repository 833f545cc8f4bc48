//! Robust location and scale.

/// From the median absolute deviation to a standard deviation of normal errors.
pub const MAD: f64 = 1.4826;

/// Constant of Tukey's biweight: 95 % efficient for normal errors.
pub const TUKEY: f64 = 4.685;

/// The median; NaN for nothing. Reorders `values`, which must be finite.
pub fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    let upper = *middle;
    match n % 2 {
        1 => upper,
        _ => 0.5 * (upper + below.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    }
}

/// 1.4826 × the median distance from `centre`; NaN for nothing.
pub fn scale(values: &[f64], centre: f64) -> f64 {
    let mut away: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    MAD * median(&mut away)
}

/// Weight of a residual of `u` robust standard deviations: Tukey's biweight.
pub fn biweight(u: f64) -> f64 {
    let t = 1.0 - (u / TUKEY).powi(2);
    if t > 0.0 { t * t } else { 0.0 }
}

/// A robust mean and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    pub value: f64,
    /// As if the values were independent.
    pub error: f64,
}

/// The biweight mean: from the median on, reweighted with the scale of the values about it. `None` for fewer than three
/// values. Reorders `values`, which must be finite.
///
/// Reference: Mosteller and Tukey (1977), Data analysis and regression, chapter 10.
pub fn location(values: &mut [f64]) -> Option<Location> {
    if values.len() < 3 {
        return None;
    }
    let mut centre = median(values);
    let spread = scale(values, centre);
    if spread <= 0.0 {
        return Some(Location { value: centre, error: 0.0 });
    }
    // The order of the values decides rounding; sorted, the sum does not depend on how they were collected.
    values.sort_unstable_by(f64::total_cmp);
    for _ in 0..10 {
        let (mut sum, mut total) = (0.0, 0.0);
        for v in values.iter() {
            let w = biweight((v - centre) / spread);
            sum += w * v;
            total += w;
        }
        let next = sum / total;
        let done = (next - centre).abs() < 1e-9 * spread;
        centre = next;
        if done {
            break;
        }
    }
    Some(Location { value: centre, error: spread / (values.len() as f64).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_a_few_numbers() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn a_third_of_wrong_values_does_not_move_the_location() {
        let good = (0..200).map(|i| 0.3 + 0.01 * ((i * 37 % 200) as f64 / 100.0 - 1.0));
        let mut values: Vec<f64> = good.chain((0..100).map(|i| 1.0 + 0.01 * i as f64)).collect();
        let found = location(&mut values).unwrap();
        assert!((found.value - 0.3).abs() < 0.002, "{found:?}");
        assert_eq!(location(&mut [1.0, 2.0]), None);
        assert_eq!(location(&mut [2.0, 2.0, 2.0, 9.0]).unwrap().value, 2.0);
    }
}
