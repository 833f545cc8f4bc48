//! Sums over rows of f32 in sixteen lanes, and what else the compiler makes vectors of; the order of additions is the same on every
//! machine.

pub const LANES: usize = 16;

/// Compiles what `work` does for the widest vectors of the machine; `work` and all it calls must be inlined. Meant for
/// one window or one plane at a time: a whole method inlined into one function takes minutes to compile.
#[inline]
pub fn vectors<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

#[inline(always)]
pub fn total(lanes: &[f32; LANES]) -> f64 {
    lanes.iter().map(|&v| v as f64).sum()
}

#[inline(always)]
pub fn add(acc: &mut [f32; LANES], a: &[f32]) {
    let a = a.chunks_exact(LANES);
    let rest = a.remainder();
    for a in a {
        for l in 0..LANES {
            acc[l] += a[l];
        }
    }
    for (l, a) in rest.iter().enumerate() {
        acc[l] += a;
    }
}

#[inline(always)]
pub fn add_products(acc: &mut [f32; LANES], a: &[f32], b: &[f32]) {
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (a.remainder(), b.remainder());
    for (a, b) in a.zip(b) {
        for l in 0..LANES {
            acc[l] += a[l] * b[l];
        }
    }
    for (l, (a, b)) in ra.iter().zip(rb).enumerate() {
        acc[l] += a * b;
    }
}

/// Products of three rows.
#[inline(always)]
pub fn add_products3(acc: &mut [f32; LANES], a: &[f32], b: &[f32], c: &[f32]) {
    let (a, b, c) = (a.chunks_exact(LANES), b.chunks_exact(LANES), c.chunks_exact(LANES));
    let (ra, rb, rc) = (a.remainder(), b.remainder(), c.remainder());
    for ((a, b), c) in a.zip(b).zip(c) {
        for l in 0..LANES {
            acc[l] += a[l] * b[l] * c[l];
        }
    }
    for (l, ((a, b), c)) in ra.iter().zip(rb).zip(rc).enumerate() {
        acc[l] += a * b * c;
    }
}

/// Σ a·(b - mean).
#[inline(always)]
pub fn add_centred(acc: &mut [f32; LANES], a: &[f32], b: &[f32], mean: f32) {
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (a.remainder(), b.remainder());
    for (a, b) in a.zip(b) {
        for l in 0..LANES {
            acc[l] += a[l] * (b[l] - mean);
        }
    }
    for (l, (a, b)) in ra.iter().zip(rb).enumerate() {
        acc[l] += a * (b - mean);
    }
}

/// Natural logarithm of a positive, normal number, within 2 units of the last place; unlike that of the standard library it can be
/// computed for many numbers at once. After Moshier's Cephes library (1989): a polynomial between √½ and √2.
#[inline(always)]
pub fn ln(v: f32) -> f32 {
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let exponent = (v.to_bits().wrapping_sub(ROOT_HALF) as i32) >> 23;
    let m = f32::from_bits(v.to_bits().wrapping_sub((exponent << 23) as u32)) - 1.0;
    let mut p = 7.037_683_6e-2;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * m + c;
    }
    let square = m * m;
    (p * m * square - 0.5 * square) + m + exponent as f32 * std::f32::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_standard_library() {
        for k in 0..20_000 {
            let v = (-4.0f32 + 8.0 * k as f32 / 20_000.0).exp();
            assert!((ln(v) - v.ln()).abs() <= 4e-7 * v.ln().abs().max(0.5), "{v}");
        }
    }
}
