//! Colour scales.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Where there is no value.
pub const NO_VALUE: Rgb = [150, 150, 150];

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Blue over white to red, white at 0, full colour at ± the limit: for displacements and errors.
    Diverging { limit: f64 },
    /// Light to dark from 0 to the limit: for standard deviations.
    Sequential { limit: f64 },
    /// Black to white: for images.
    Grey { low: f64, high: f64 },
}

/// Corner colours of the diverging scale from the most negative to the most positive; lightness is symmetric.
const DIVERGING: [Rgb; 9] = [
    [14, 42, 102],
    [31, 92, 160],
    [88, 152, 199],
    [171, 208, 230],
    [250, 250, 250],
    [246, 190, 164],
    [222, 122, 96],
    [178, 40, 50],
    [102, 8, 30],
];

/// Corner colours of the sequential scale.
const SEQUENTIAL: [Rgb; 6] =
    [[252, 250, 238], [248, 217, 142], [240, 162, 84], [206, 92, 88], [134, 46, 104], [46, 20, 70]];

impl Scale {
    /// The colour of a value; NaN is grey.
    pub fn colour(&self, value: f64) -> Rgb {
        if !value.is_finite() {
            return NO_VALUE;
        }
        match *self {
            Scale::Diverging { limit } => blend(&DIVERGING, 0.5 + 0.5 * value / limit),
            Scale::Sequential { limit } => blend(&SEQUENTIAL, value / limit),
            Scale::Grey { low, high } => {
                let v = (255.0 * (value - low) / (high - low)).round().clamp(0.0, 255.0) as u8;
                [v, v, v]
            }
        }
    }

    /// Smallest and largest value with a colour of its own.
    pub fn range(&self) -> (f64, f64) {
        match *self {
            Scale::Diverging { limit } => (-limit, limit),
            Scale::Sequential { limit } => (0.0, limit),
            Scale::Grey { low, high } => (low, high),
        }
    }
}

/// Linear interpolation between corner colours, t from 0 to 1.
fn blend(corners: &[Rgb], t: f64) -> Rgb {
    let position = t.clamp(0.0, 1.0) * (corners.len() - 1) as f64;
    let i = (position as usize).min(corners.len() - 2);
    let f = position - i as f64;
    std::array::from_fn(|k| (f64::from(corners[i][k]) * (1.0 - f) + f64::from(corners[i + 1][k]) * f).round() as u8)
}

/// Grey scale of an image: from the 1 % to the 99 % quantile of its finite values.
pub fn image_scale(values: &[f32]) -> Scale {
    let mut finite: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f32::total_cmp);
    if finite.is_empty() {
        return Scale::Grey { low: 0.0, high: 1.0 };
    }
    let at = |p: f64| f64::from(finite[((finite.len() - 1) as f64 * p) as usize]);
    let (low, high) = (at(0.01), at(0.99));
    Scale::Grey { low, high: if high > low { high } else { low + 1.0 } }
}

/// A round number (1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten) not below `v`.
pub fn round_up(v: f64) -> f64 {
    if !(v.is_finite() && v > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(v.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|k| k * power)
        .find(|c| *c >= v * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_neutral_and_the_sides_are_blue_and_red() {
        let s = Scale::Diverging { limit: 2.0 };
        assert_eq!(s.colour(0.0), [250, 250, 250]);
        let (minus, plus) = (s.colour(-1.0), s.colour(1.0));
        assert!(minus[2] > minus[0] && plus[0] > plus[2]);
        assert_eq!(s.colour(9.0), s.colour(2.0));
        assert_eq!(s.colour(f64::NAN), NO_VALUE);
    }

    #[test]
    fn limits_are_round() {
        for (v, want) in [(0.034, 0.04), (1.0, 1.0), (1.1, 1.5), (8.5, 10.0), (0.0, 1.0)] {
            assert!((round_up(v) - want).abs() < 1e-12, "{v}");
        }
    }
}
