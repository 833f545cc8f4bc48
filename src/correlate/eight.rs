//! Vectors of eight lanes of f32: AVX2 where the machine has it, else the same operations one lane after the other. Nothing is
//! added across lanes and nothing is fused, so both give the same bytes.

use pulp::{Scalar256b, Simd, f32x8};

pub const LANES: usize = 8;
/// One value in each lane.
pub type Lanes = [f32; LANES];

/// An instruction set with vectors of eight f32.
pub trait Eight: Simd<f32s = f32x8> {
    /// The eight values of `row` from `x` on.
    #[inline(always)]
    fn load(self, row: &[f32], x: usize) -> f32x8 {
        let lanes: Lanes = row[x..x + LANES].try_into().expect("as many as lanes");
        pulp::cast(lanes)
    }

    /// Four values of each row from `x` on.
    #[inline(always)]
    fn load_halves(self, rows: [&[f32]; 2], x: usize) -> f32x8 {
        let mut lanes: Lanes = [0.0; LANES];
        for (half, row) in lanes.as_chunks_mut::<{ LANES / 2 }>().0.iter_mut().zip(rows) {
            half.copy_from_slice(&row[x..x + LANES / 2]);
        }
        pulp::cast(lanes)
    }

    /// sum + a · b, rounded twice.
    #[inline(always)]
    fn add_product(self, sum: f32x8, a: f32x8, b: f32x8) -> f32x8 {
        self.add_f32s(sum, self.mul_f32s(a, b))
    }
}

impl<S: Simd<f32s = f32x8>> Eight for S {}

/// Something to do with vectors; `run` and all it calls must be inlined.
pub trait Work {
    type Output;
    fn run<S: Eight>(self, simd: S) -> Self::Output;
}

/// Does it with the best vectors of the machine.
#[inline]
pub fn eight<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(
            #[inline(always)]
            || work.run(simd),
        );
    }
    work.run(Scalar256b)
}
