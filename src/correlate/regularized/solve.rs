//! Sparse linear systems of a two-component field on a pixel grid: data terms of every pixel and springs between
//! neighbours.
//!
//! (A + Σ ω_pq (d_p - d_q)) = b by conjugate gradients, preconditioned by a multigrid V-cycle on blocks of 2 × 2 pixels
//! whose data terms and springs are added (Briggs, Henson & McCormick 2000, chapter 3). Missing springs are no obstacle:
//! blocks that no spring joins stay apart.

use super::level::{Field, Level, coarser, zeros};
use crate::correlate::lanes::vectors;

/// Grids with fewer rows and columns than this are smoothed only.
const COARSEST: usize = 6;
const COARSEST_SWEEPS: usize = 12;

pub struct System {
    levels: Vec<Level>,
}

impl System {
    /// `data`: A of each pixel (xx, xy, yy), not padded; `springs`: to the right (0 in the last column) and downwards
    /// (0 in the last row), not padded.
    pub fn new(width: usize, height: usize, data: [Vec<f32>; 3], springs: [Vec<f32>; 2]) -> System {
        let mut levels = Vec::new();
        let (mut size, mut data, mut springs) = ((width, height), data, springs);
        loop {
            let next = coarser(size, &data, &springs);
            levels.push(Level::new(size, &data, &springs));
            if size.0.min(size.1) < COARSEST {
                break;
            }
            (size, data, springs) = next;
        }
        System { levels }
    }

    /// Improves `d` until the residual is `tolerance` of what it was at first, or rᵀ A⁻¹ r (A as the cycle approximates it, the
    /// energy of what is wrong) is `least`, or for `most` iterations.
    pub fn solve(&self, b: &Field, d: &mut Field, (tolerance, least): (f64, f64), most: usize) -> usize {
        let top = &self.levels[0];
        let inner = top.width..top.width * (top.height + 1);
        let mut work: Vec<Work> = self.levels.iter().map(Work::new).collect();
        top.residual(b, d, &mut work[0].r);
        self.cycle(0, &mut work);
        let mut p = work[0].z.clone();
        let mut rz = dot(&work[0].r, &work[0].z);
        let first = rz;
        let mut q = zeros(top.width, top.height);
        for iteration in 0..most {
            if rz.is_nan() || rz <= (tolerance * tolerance * first).max(least) || rz <= f64::MIN_POSITIVE {
                return iteration;
            }
            top.apply(&p, &mut q);
            let alpha = (rz / dot(&p, &q)) as f32;
            for i in 0..2 {
                add(&mut d[i][inner.clone()], alpha, &p[i][inner.clone()]);
                add(&mut work[0].r[i][inner.clone()], -alpha, &q[i][inner.clone()]);
            }
            self.cycle(0, &mut work);
            let next = dot(&work[0].r, &work[0].z);
            let beta = (next / rz) as f32;
            rz = next;
            for (p, z) in p.iter_mut().zip(&work[0].z) {
                turn(&mut p[inner.clone()], beta, &z[inner.clone()]);
            }
        }
        most
    }

    /// One V-cycle from zero: `z` of the first of `work`, that of level `at`, from its `r`.
    fn cycle(&self, at: usize, work: &mut [Work]) {
        let level = &self.levels[at];
        let Some((Work { r, z, left }, below)) = work.split_first_mut() else { return };
        level.relax_from_zero(r, z);
        if below.is_empty() {
            for _ in 0..COARSEST_SWEEPS {
                level.residual(r, z, left);
                level.relax(left, z);
            }
            return;
        }
        level.residual(r, z, left);
        level.restrict(left, &self.levels[at + 1], &mut below[0].r);
        self.cycle(at + 1, below);
        level.prolong(&below[0].z, &self.levels[at + 1], z);
        level.residual(r, z, left);
        level.relax(left, z);
    }
}

/// What a cycle needs on one level: right side, solution, what is left of the right side.
struct Work {
    r: Field,
    z: Field,
    left: Field,
}

impl Work {
    fn new(level: &Level) -> Work {
        let zeros = || zeros(level.width, level.height);
        Work { r: zeros(), z: zeros(), left: zeros() }
    }
}

/// a += share · b.
fn add(a: &mut [f32], share: f32, b: &[f32]) {
    vectors(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a += share * b),
    );
}

/// a = b + share · a.
fn turn(a: &mut [f32], share: f32, b: &[f32]) {
    vectors(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a = b + share * *a),
    );
}

fn dot(a: &Field, b: &Field) -> f64 {
    // Rows of sums in f32 would lose digits; blocks in f64 in a fixed order.
    let one = |a: &[f32], b: &[f32]| -> f64 {
        let sums = a.chunks(64).zip(b.chunks(64)).map(|(a, b)| {
            let (mut lanes, (pa, ra), (pb, rb)) = ([0.0f32; 8], a.as_chunks::<8>(), b.as_chunks::<8>());
            pa.iter().zip(pb).for_each(|(x, y)| (0..8).for_each(|l| lanes[l] += x[l] * y[l]));
            f64::from(lanes.iter().sum::<f32>() + ra.iter().zip(rb).map(|(x, y)| x * y).sum::<f32>())
        });
        sums.sum()
    };
    one(&a[0], &b[0]) + one(&a[1], &b[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_a_dense_solver_solves() {
        let (w, h) = (13, 11);
        let n = w * h;
        let mut state = 5u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        let mut data = [0; 3].map(|_| vec![0.0f32; n]);
        let mut springs = [0; 2].map(|_| vec![0.0f32; n]);
        let mut b = zeros(w, h);
        for k in 0..n {
            // One direction only, as of one pixel; many pixels without anything.
            let (x, y) = if k % 3 == 0 { (next() - 0.5, next() - 0.5) } else { (0.0, 0.0) };
            (data[0][k], data[1][k], data[2][k]) = (x * x, x * y, y * y);
            springs[0][k] = if k % w == w - 1 || k % w == 6 { 0.0 } else { 30.0 * next() };
            springs[1][k] = if k / w == h - 1 { 0.0 } else { 30.0 * next() };
            (0..2).for_each(|i| b[i][w + k] = next() - 0.5);
        }
        let mut m = nalgebra::DMatrix::<f64>::zeros(2 * n, 2 * n);
        for k in 0..n {
            m[(2 * k, 2 * k)] += data[0][k] as f64;
            m[(2 * k, 2 * k + 1)] += data[1][k] as f64;
            m[(2 * k + 1, 2 * k)] += data[1][k] as f64;
            m[(2 * k + 1, 2 * k + 1)] += data[2][k] as f64;
            for (s, to) in [(springs[0][k], k + 1), (springs[1][k], k + w)] {
                for i in (0..2).filter(|_| s > 0.0) {
                    let (p, q) = (2 * k + i, 2 * to + i);
                    m[(p, p)] += s as f64;
                    m[(q, q)] += s as f64;
                    m[(p, q)] -= s as f64;
                    m[(q, p)] -= s as f64;
                }
            }
        }
        let right = nalgebra::DVector::from_fn(2 * n, |r, _| b[r % 2][w + r / 2] as f64);
        let want = m.cholesky().unwrap().solve(&right);
        let system = System::new(w, h, data, springs);
        let mut d = zeros(w, h);
        let iterations = system.solve(&b, &mut d, (1e-4, 0.0), 200);
        let scale = want.amax();
        for r in 0..2 * n {
            assert!((d[r % 2][w + r / 2] as f64 - want[r]).abs() < 1e-2 * scale, "{iterations}");
        }
        assert!(iterations < 60, "{iterations}");
    }
}
