//! Sparse linear systems of a two-component field on a pixel grid: data terms of every pixel and springs between
//! neighbours.
//!
//! (A + Σ ω_pq (d_p - d_q)) = b by conjugate gradients, preconditioned by a multigrid V-cycle on blocks of 2 × 2 pixels
//! whose data terms and springs are added (Briggs, Henson & McCormick 2000, chapter 3). Missing springs are no obstacle:
//! blocks that no spring joins stay apart.

/// Damping of the Jacobi smoother.
const DAMPING: f32 = 0.7;
/// Springs between blocks as a share of their sum: values constant in a block make coarse grids too stiff.
const COARSER: f32 = 0.5;
/// Grids with fewer rows and columns than this are smoothed only.
const COARSEST: usize = 6;
const COARSEST_SWEEPS: usize = 12;

/// Two components of a field, with one row of padding before and after.
pub type Field = [Vec<f32>; 2];

/// One grid. Rows follow each other; numbers at the end of a row have no spring to the next one.
pub struct Level {
    pub width: usize,
    pub height: usize,
    /// Springs to the right and downwards, padded like a [`Field`].
    springs: [Vec<f32>; 2],
    /// The block of each pixel on the diagonal (xx, xy, yy), and its inverse.
    diagonal: [Vec<f32>; 3],
    inverse: [Vec<f32>; 3],
}

pub struct System {
    levels: Vec<Level>,
}

/// A field of zeros.
pub fn zeros(width: usize, height: usize) -> Field {
    [0, 1].map(|_| vec![0.0; width * (height + 2)])
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

    /// Improves `d` until the residual is `tolerance` of what it was at first, or for `most` iterations.
    pub fn solve(&self, b: &Field, d: &mut Field, tolerance: f64, most: usize) -> usize {
        let top = &self.levels[0];
        let pad = top.width;
        let inner = pad..pad + top.width * top.height;
        let mut r = zeros(top.width, top.height);
        top.residual(b, d, &mut r);
        let mut z = self.cycle(0, &r);
        let mut p = z.clone();
        let mut rz = dot(&r, &z);
        let first = rz;
        let mut q = zeros(top.width, top.height);
        for iteration in 0..most {
            if rz.is_nan() || rz <= tolerance * tolerance * first || rz <= f64::MIN_POSITIVE {
                return iteration;
            }
            top.apply(&p, &mut q);
            let alpha = (rz / dot(&p, &q)) as f32;
            for i in 0..2 {
                for k in inner.clone() {
                    d[i][k] += alpha * p[i][k];
                    r[i][k] -= alpha * q[i][k];
                }
            }
            z = self.cycle(0, &r);
            let next = dot(&r, &z);
            let beta = (next / rz) as f32;
            rz = next;
            for i in 0..2 {
                for k in inner.clone() {
                    p[i][k] = z[i][k] + beta * p[i][k];
                }
            }
        }
        most
    }

    /// One V-cycle from zero.
    fn cycle(&self, at: usize, r: &Field) -> Field {
        let level = &self.levels[at];
        let (w, h) = (level.width, level.height);
        let mut z = zeros(w, h);
        let mut left = zeros(w, h);
        level.relax(r, &mut z);
        if at + 1 == self.levels.len() {
            for _ in 0..COARSEST_SWEEPS {
                level.residual(r, &z, &mut left);
                level.relax(&left, &mut z);
            }
            return z;
        }
        level.residual(r, &z, &mut left);
        let next = &self.levels[at + 1];
        let mut coarse = zeros(next.width, next.height);
        for i in 0..2 {
            for y in 0..h {
                let from = &left[i][(y + 1) * w..(y + 2) * w];
                let to = &mut coarse[i][(y / 2 + 1) * next.width..(y / 2 + 2) * next.width];
                let (pairs, rest) = from.as_chunks::<2>();
                to.iter_mut().zip(pairs).for_each(|(t, p)| *t += p[0] + p[1]);
                if let Some(v) = rest.first() {
                    to[next.width - 1] += v;
                }
            }
        }
        let found = self.cycle(at + 1, &coarse);
        for i in 0..2 {
            for y in 0..h {
                let from = &found[i][(y / 2 + 1) * next.width..(y / 2 + 2) * next.width];
                let to = &mut z[i][(y + 1) * w..(y + 2) * w];
                let (pairs, rest) = to.as_chunks_mut::<2>();
                pairs.iter_mut().zip(from).for_each(|(t, v)| {
                    t[0] += v;
                    t[1] += v;
                });
                if let Some(v) = rest.first_mut() {
                    *v += from[next.width - 1];
                }
            }
        }
        level.residual(r, &z, &mut left);
        level.relax(&left, &mut z);
        z
    }
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

/// The data terms and springs of blocks of 2 × 2 pixels.
#[allow(clippy::type_complexity)]
fn coarser(
    (w, h): (usize, usize),
    data: &[Vec<f32>; 3],
    springs: &[Vec<f32>; 2],
) -> ((usize, usize), [Vec<f32>; 3], [Vec<f32>; 2]) {
    let size = (w.div_ceil(2), h.div_ceil(2));
    let at = |x: usize, y: usize| (y / 2) * size.0 + x / 2;
    let mut sums = [0; 3].map(|_| vec![0.0f32; size.0 * size.1]);
    let mut between = [0; 2].map(|_| vec![0.0f32; size.0 * size.1]);
    for y in 0..h {
        for x in 0..w {
            let k = y * w + x;
            (0..3).for_each(|i| sums[i][at(x, y)] += data[i][k]);
            if x % 2 == 1 {
                between[0][at(x, y)] += COARSER * springs[0][k];
            }
            if y % 2 == 1 {
                between[1][at(x, y)] += COARSER * springs[1][k];
            }
        }
    }
    (size, sums, between)
}

impl Level {
    fn new((width, height): (usize, usize), data: &[Vec<f32>; 3], springs: &[Vec<f32>; 2]) -> Level {
        let padded = |v: &[f32]| {
            let mut out = vec![0.0; width * (height + 2)];
            out[width..width * (height + 1)].copy_from_slice(v);
            out
        };
        let springs = [padded(&springs[0]), padded(&springs[1])];
        let mut diagonal = data.clone();
        let mut inverse = [0; 3].map(|_| vec![0.0f32; width * height]);
        for k in 0..width * height {
            let p = k + width;
            let pull = springs[0][p] + springs[0][p - 1] + springs[1][p] + springs[1][p - width];
            let (a, b, c) = (data[0][k] + pull, data[1][k], data[2][k] + pull);
            let det = (a * c - b * b).max(f32::MIN_POSITIVE);
            diagonal[0][k] = a;
            diagonal[2][k] = c;
            inverse[0][k] = c / det;
            inverse[1][k] = -b / det;
            inverse[2][k] = a / det;
        }
        Level { width, height, springs, diagonal, inverse }
    }

    /// out = M v.
    fn apply(&self, v: &Field, out: &mut Field) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || self.product(v, None, out),
        );
    }

    /// out = b - M v.
    fn residual(&self, b: &Field, v: &Field, out: &mut Field) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || self.product(v, Some(b), out),
        );
    }

    #[inline(always)]
    fn product(&self, v: &Field, b: Option<&Field>, out: &mut Field) {
        let (w, n) = (self.width, self.width * self.height);
        let (right, left) = (&self.springs[0][w..w + n], &self.springs[0][w - 1..w - 1 + n]);
        let (down, up) = (&self.springs[1][w..w + n], &self.springs[1][..n]);
        for i in 0..2 {
            let (own, other) = (&self.diagonal[2 * i][..n], &self.diagonal[1][..n]);
            let (here, there) = (&v[i][w..w + n], &v[1 - i][w..w + n]);
            let (e, o) = (&v[i][w + 1..w + 1 + n], &v[i][w - 1..w - 1 + n]);
            let (s, t) = (&v[i][2 * w..2 * w + n], &v[i][..n]);
            let out = &mut out[i][w..w + n];
            for k in 0..n {
                out[k] = own[k] * here[k] + other[k] * there[k]
                    - ((right[k] * e[k] + left[k] * o[k]) + (down[k] * s[k] + up[k] * t[k]));
            }
            if let Some(b) = b {
                for (o, b) in out.iter_mut().zip(&b[i][w..w + n]) {
                    *o = b - *o;
                }
            }
        }
    }

    /// z += damped D⁻¹ r.
    fn relax(&self, r: &Field, z: &mut Field) {
        let (w, n) = (self.width, self.width * self.height);
        let (x, y) = (&r[0][w..w + n], &r[1][w..w + n]);
        let [a, b, c] = self.inverse.each_ref().map(|v| &v[..n]);
        let [zx, zy] = z.each_mut().map(|v| &mut v[w..w + n]);
        for k in 0..n {
            zx[k] += DAMPING * (a[k] * x[k] + b[k] * y[k]);
            zy[k] += DAMPING * (b[k] * x[k] + c[k] * y[k]);
        }
    }
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
        let iterations = system.solve(&b, &mut d, 1e-4, 200);
        let scale = want.amax();
        for r in 0..2 * n {
            assert!((d[r % 2][w + r / 2] as f64 - want[r]).abs() < 1e-2 * scale, "{iterations}");
        }
        assert!(iterations < 60, "{iterations}");
    }
}
