//! Sums over rows of f32 in sixteen lanes: the compiler makes vectors of them, and the order of additions is the same
//! on every machine.

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
