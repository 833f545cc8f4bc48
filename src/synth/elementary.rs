//! Logarithm and arc tangent without branches, so that loops over points become vector instructions.
//!
//! Plain multiplications and additions only: the results are the same for every vector width. Both are accurate to about
//! one unit in the last place (tested against the standard library).
//!
//! Reference: argument reductions and the summation order of the logarithm as in Tang (1990), ACM Trans. Math. Software
//! 16:378, and Cody and Waite (1980), "Software Manual for the Elementary Functions"; the polynomials are Chebyshev fits.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// (atanh(w) - w) / w^3 as a polynomial of w^2, |w| <= 0.1716.
const ATANH: [f64; 8] = [
    1.0 / 3.0,
    0.200_000_000_000_004_67,
    0.142_857_142_853_843_77,
    0.111_111_111_997_906_43,
    0.090_908_974_016_020_48,
    0.076_931_425_110_797_03,
    0.066_337_824_215_988_7,
    0.065_496_031_385_212_88,
];

/// (atan(f) - f) / f^3 as a polynomial of f^2, |f| <= 0.4636.
const ATAN: [f64; 13] = [
    -1.0 / 3.0,
    0.199_999_999_999_998_99,
    -0.142_857_142_856_880_12,
    0.111_111_111_084_077_26,
    -0.090_909_089_459_912_33,
    0.076_923_030_535_528_44,
    -0.066_665_709_383_128_17,
    0.058_810_210_370_377_03,
    -0.052_503_570_368_454_48,
    0.046_761_812_781_437_64,
    -0.039_500_051_149_307_11,
    0.027_457_980_538_677_7,
    -0.011_050_306_511_181_358,
];

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

#[inline(always)]
fn polynomial<const N: usize>(c: &[f64; N], z: f64) -> f64 {
    let mut sum = c[N - 1];
    for k in (0..N - 1).rev() {
        sum = sum * z + c[k];
    }
    sum
}

/// (atan(f) - f) / f^3 from f^2 <= 0.215.
#[inline(always)]
pub fn atan_tail(square: f64) -> f64 {
    polynomial(&ATAN, square)
}

/// `x = 2^k * m` with m between 0.7071 and 1.4142, for positive normal numbers: (k, m).
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    const LOWEST: u64 = 0x3fe6_a09e_0000_0000;
    let bits = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - LOWEST);
    // The exponent as the last digits of 2^52 + exponent: a conversion that every vector unit has.
    let k = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    (k, f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + LOWEST))
}

/// Natural logarithm of a positive normal number.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    let (k, m) = split(x);
    let f = m - 1.0;
    let w = f / (2.0 + f);
    let z = w * w;
    let half = 0.5 * f * f;
    let tail = 2.0 * z * polynomial(&ATANH, z);
    k * LN2_HIGH - ((half - (w * (half + tail) + k * LN2_LOW)) - f)
}

/// ln(1 + d) in a form that keeps the small differences ln(1 + d) - d, for normal 1 + d > 0.
#[derive(Debug, Clone, Copy)]
pub struct Log1p {
    /// ln(1 + d).
    pub value: f64,
    /// (ln(1 + d) - d) / d^2 where `near`; meaningless elsewhere.
    pub curvature: f64,
    /// 1 + d lies between 0.7071 and 1.4142.
    pub near: bool,
}

/// See [`Log1p`].
#[inline(always)]
pub fn ln_1p(d: f64) -> Log1p {
    let (k, m) = split(1.0 + d);
    let near = k == 0.0;
    let f = if near { d } else { m - 1.0 };
    let inverse = 1.0 / (2.0 + f);
    let w = f * inverse;
    let z = w * w;
    let tail = polynomial(&ATANH, z);
    // ln = 2w + 2w^3 tail, and 2w - d = -d^2 / (2 + d).
    let curvature = inverse * (2.0 * w * tail * inverse - 1.0);
    let half = 0.5 * f * f;
    let value = k * LN2_HIGH - ((half - (w * (half + 2.0 * z * tail) + k * LN2_LOW)) - f);
    Log1p { value, curvature, near }
}

/// atan(n / d) for d > 0 and any n, |n| + d normal.
#[inline(always)]
pub fn atan_of_quotient(n: f64, d: f64) -> f64 {
    const TAN_22: f64 = 0.414_213_562_373_095_03;
    const TAN_67: f64 = 2.414_213_562_373_095;
    const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
    let a = n.abs();
    let (steep, middle) = (a > TAN_67 * d, a > TAN_22 * d);
    let top = if steep {
        -d
    } else if middle {
        a - d
    } else {
        a
    };
    let bottom = if steep {
        a
    } else if middle {
        a + d
    } else {
        d
    };
    let base = if steep {
        FRAC_PI_2
    } else if middle {
        FRAC_PI_4
    } else {
        0.0
    };
    let low = if steep {
        PI_2_LOW
    } else if middle {
        0.5 * PI_2_LOW
    } else {
        0.0
    };
    let q = top / bottom;
    let z = q * q;
    let value = base + (q + (q * (z * atan_tail(z)) + low));
    value.copysign(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// Difference in units of the last place of `exact`.
    fn ulps(got: f64, exact: f64) -> f64 {
        let step = f64::from_bits(exact.abs().to_bits() + 1) - exact.abs();
        (got - exact).abs() / step
    }

    #[test]
    fn as_accurate_as_the_standard_library() {
        let rng = &mut crate::synth::random::stream(1, crate::synth::random::Purpose::Scene);
        let (mut log, mut log1p, mut arc, mut tail) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for i in 0..1_000_000 {
            let wide = f64::exp(rng.random_range(-80.0..80.0));
            let close = f64::exp(rng.random_range(-0.5..0.5));
            let small = rng.random_range(-1.0f64..1.0) * 10f64.powi(-(i % 12));
            for x in [wide, close, 1.0 + small * 0.9] {
                log = log.max(ulps(ln(x), x.ln()));
            }
            let d = small.max(-0.99);
            let l = ln_1p(d);
            if d.abs() > 1e-300 && l.near {
                log1p = log1p.max(ulps(l.value, d.ln_1p()));
            }
            let n = small * wide;
            arc = arc.max(ulps(atan_of_quotient(n, wide.sqrt()), n.atan2(wide.sqrt())));
            let f = small * 0.46;
            tail = tail.max(ulps(f + f * (f * f * atan_tail(f * f)), f.atan()));
        }
        assert!(log <= 2.0 && log1p <= 2.0 && arc <= 2.0 && tail <= 2.0, "{log} {log1p} {arc} {tail}");
        assert!(atan_of_quotient(0.0, 1.0) == 0.0 && ln(1.0) == 0.0 && ln_1p(0.0).value == 0.0);
    }

    #[test]
    fn the_curvature_of_the_logarithm_has_no_cancellation() {
        assert_eq!(ln_1p(0.0).curvature, -0.5);
        for d in [1e-9, -1e-5, 1e-3, 0.01, -0.01] {
            let series: f64 = (0..40).map(|n| f64::powi(-d, n) / -(n as f64 + 2.0)).sum();
            assert!((ln_1p(d).curvature - series).abs() < 4e-16, "{d}");
        }
        for d in [0.4, -0.29, 0.2f64] {
            assert!((ln_1p(d).curvature - (d.ln_1p() - d) / (d * d)).abs() < 1e-14, "{d}");
        }
    }
}
