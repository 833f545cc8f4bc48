//! Semi-global aggregation of a cost volume of two-dimensional displacements.
//!
//! Along each of eight directions r the path cost of cell p and label u is
//! L_r(p, u) = C(p, u) + min_v [L_r(p - r, v) + V(u - v)] - min_v L_r(p - r, v), and the costs of all directions are
//! summed (Hirschmüller 2008, IEEE TPAMI 30(2), eq. 13 and 14). V(Δ) = min(P (|Δx| + |Δy|), T). The minimum over v is
//! two passes along each label axis whatever the number of labels (Felzenszwalb & Huttenlocher 2006, IJCV 70(1),
//! section 4). All sums are of whole numbers, so their order does not matter.

/// The cost that a label without any support has.
pub const FULL: i16 = 1000;

/// (dx, dy) from a cell's predecessor to the cell.
const DIRECTIONS: [(isize, isize); 8] = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (-1, 1), (1, -1)];

/// Costs of the labels of every cell, labels row by row within a cell.
pub struct Volume {
    /// Columns and rows.
    pub cells: (usize, usize),
    /// Labels along x and y, both odd: the middle one is the cell's base.
    pub labels: (usize, usize),
    /// Displacement of each cell's middle label in label steps; empty when all are zero.
    pub base: Vec<(i32, i32)>,
    /// 0 to [`FULL`].
    pub cost: Vec<i16>,
}

/// What a difference of labels between neighbours costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalty {
    /// One step.
    pub step: i16,
    /// Any difference, at most.
    pub most: i16,
}

/// Whether the way between two neighbouring cells (column, row) is closed.
pub type Closed<'a> = &'a dyn Fn((usize, usize), (usize, usize)) -> bool;

impl Volume {
    fn base(&self, cell: usize) -> (i32, i32) {
        self.base.get(cell).copied().unwrap_or_default()
    }

    /// The sum of the path costs of all directions.
    pub fn aggregate(&self, penalty: Penalty, closed: Option<Closed>) -> Vec<i16> {
        let mut sum = vec![0i16; self.cost.len()];
        for direction in DIRECTIONS {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || self.sweep(penalty, direction, closed, &mut sum),
            );
        }
        sum
    }

    /// The best label of each cell as a displacement in label steps; of equal ones that nearest to the base.
    pub fn best(&self, sum: &[i16]) -> Vec<(i32, i32)> {
        let (lx, ly) = self.labels;
        let offset = |k: usize| ((k % lx) as i32 - (lx / 2) as i32, (k / lx) as i32 - (ly / 2) as i32);
        let mut order: Vec<usize> = (0..lx * ly).collect();
        order.sort_by_key(|&k| (offset(k).0.pow(2) + offset(k).1.pow(2), k));
        let pick = |(cell, sums): (usize, &[i16])| {
            let mut best = order[0];
            for &k in &order[1..] {
                if sums[k] < sums[best] {
                    best = k;
                }
            }
            let (base, offset) = (self.base(cell), offset(best));
            (base.0 + offset.0, base.1 + offset.1)
        };
        sum.chunks_exact(lx * ly).enumerate().map(pick).collect()
    }

    #[inline(always)]
    fn sweep(&self, penalty: Penalty, (dx, dy): (isize, isize), closed: Option<Closed>, sum: &mut [i16]) {
        let ((nx, ny), (lx, ly)) = (self.cells, self.labels);
        let n = lx * ly;
        let mut before = vec![0i16; nx * n];
        let mut current = vec![0i16; nx * n];
        let (mut paths, mut message) = (vec![0i16; n], vec![0i16; n]);
        for row in 0..ny {
            let y = if dy < 0 { ny - 1 - row } else { row };
            for column in 0..nx {
                let x = if dx < 0 { nx - 1 - column } else { column };
                let cell = y * nx + x;
                let from = (x.wrapping_add_signed(-dx), y.wrapping_add_signed(-dy));
                let open = from.0 < nx && from.1 < ny && !closed.is_some_and(|c| c(from, (x, y)));
                if open {
                    let source = if dy == 0 { &current } else { &before };
                    paths.copy_from_slice(&source[from.0 * n..(from.0 + 1) * n]);
                    spread(&mut paths, (lx, ly), penalty.step);
                    let (here, there) = (self.base(cell), self.base(from.1 * nx + from.0));
                    let moved = (here.0 - there.0, here.1 - there.1);
                    shift(&paths, (lx, ly), moved, penalty, &mut message);
                } else {
                    message.fill(0);
                }
                let cost = &self.cost[cell * n..(cell + 1) * n];
                let mut least = i16::MAX;
                for (m, c) in message.iter_mut().zip(cost) {
                    *m += c;
                    least = least.min(*m);
                }
                let out = &mut current[x * n..(x + 1) * n];
                for ((o, m), s) in out.iter_mut().zip(&message).zip(&mut sum[cell * n..(cell + 1) * n]) {
                    *o = m - least;
                    *s += *o;
                }
            }
            std::mem::swap(&mut before, &mut current);
        }
    }
}

/// In place, the least of every label's own cost and the others' plus `step` for each step of distance.
#[inline(always)]
fn spread(costs: &mut [i16], (lx, ly): (usize, usize), step: i16) {
    for i in 1..lx {
        for j in 0..ly {
            costs[j * lx + i] = costs[j * lx + i].min(costs[j * lx + i - 1] + step);
        }
    }
    for i in (1..lx).rev() {
        for j in 0..ly {
            costs[j * lx + i - 1] = costs[j * lx + i - 1].min(costs[j * lx + i] + step);
        }
    }
    for j in 1..ly {
        let (above, below) = costs.split_at_mut(j * lx);
        for (b, a) in below[..lx].iter_mut().zip(&above[(j - 1) * lx..]) {
            *b = (*b).min(a + step);
        }
    }
    for j in (1..ly).rev() {
        let (above, below) = costs.split_at_mut(j * lx);
        for (a, b) in above[(j - 1) * lx..].iter_mut().zip(&below[..lx]) {
            *a = (*a).min(b + step);
        }
    }
}

/// The costs seen from a base that lies `moved` label steps further.
#[inline(always)]
fn shift(costs: &[i16], (lx, ly): (usize, usize), moved: (i32, i32), penalty: Penalty, out: &mut [i16]) {
    let most = penalty.most;
    if moved == (0, 0) {
        for (o, c) in out.iter_mut().zip(costs) {
            *o = (*c).min(most);
        }
        return;
    }
    for j in 0..ly {
        for i in 0..lx {
            // Labels beyond the other's are reached from its nearest.
            let (x, y) = (i as i32 + moved.0, j as i32 + moved.1);
            let (u, v) = (x.clamp(0, lx as i32 - 1), y.clamp(0, ly as i32 - 1));
            let far = i32::from(penalty.step) * ((x - u).abs() + (y - v).abs());
            let cost = i32::from(costs[v as usize * lx + u as usize]) + far;
            out[j * lx + i] = cost.min(i32::from(most)) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<i16> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            ((state >> 16) % 1001) as i16
        };
        (0..n).map(|_| next()).collect()
    }

    /// Straight from the definition, each path from its start, every pair of labels.
    fn oracle(v: &Volume, penalty: Penalty, closed: Option<Closed>) -> Vec<i16> {
        let ((nx, ny), (lx, ly)) = (v.cells, v.labels);
        let n = lx * ly;
        let at = |cell: usize, k: usize| {
            let b = v.base(cell);
            (b.0 + (k % lx) as i32, b.1 + (k / lx) as i32)
        };
        let mut sum = vec![0i16; v.cost.len()];
        for (dx, dy) in DIRECTIONS {
            for cell in 0..nx * ny {
                // Back to the start of the path.
                let mut way = vec![cell];
                loop {
                    let (x, y) = (way[way.len() - 1] % nx, way[way.len() - 1] / nx);
                    let (u, w) = (x as isize - dx, y as isize - dy);
                    let inside = u >= 0 && w >= 0 && u < nx as isize && w < ny as isize;
                    if !inside || closed.is_some_and(|c| c((u as usize, w as usize), (x, y))) {
                        break;
                    }
                    way.push(w as usize * nx + u as usize);
                }
                let mut costs: Vec<i32> = vec![0; n];
                let mut last: Option<usize> = None;
                for &c in way.iter().rev() {
                    let message = |k: usize| match last {
                        None => 0,
                        Some(l) => (0..n)
                            .map(|m| {
                                let (a, b) = (at(c, k), at(l, m));
                                let far = penalty.step as i32 * ((a.0 - b.0).abs() + (a.1 - b.1).abs());
                                costs[m] + far.min(penalty.most as i32)
                            })
                            .min()
                            .unwrap(),
                    };
                    let next: Vec<i32> = (0..n).map(|k| message(k) + v.cost[c * n + k] as i32).collect();
                    let least = *next.iter().min().unwrap();
                    costs = next.iter().map(|v| v - least).collect();
                    last = Some(c);
                }
                for k in 0..n {
                    sum[cell * n + k] += costs[k] as i16;
                }
            }
        }
        sum
    }

    #[test]
    fn path_costs_are_those_of_the_definition() {
        let wall = |a: (usize, usize), b: (usize, usize)| (a.0 < 3) != (b.0 < 3) && a.1 > 1;
        for (labels, far) in [((3, 3), 0), ((5, 3), 1), ((3, 5), 2)] {
            let cells = (6, 5);
            let base = match far {
                0 => Vec::new(),
                _ => (0..30).map(|k: i32| (k * 7 % (2 * far + 1) - far, k * 5 % (2 * far + 1) - far)).collect(),
            };
            let v = Volume { cells, labels, base, cost: noise(30 * labels.0 * labels.1, 9) };
            for penalty in [Penalty { step: 90, most: 250 }, Penalty { step: 300, most: 900 }] {
                assert_eq!(v.aggregate(penalty, None), oracle(&v, penalty, None));
                assert_eq!(v.aggregate(penalty, Some(&wall)), oracle(&v, penalty, Some(&wall)));
            }
        }
    }

    #[test]
    fn without_any_support_the_base_is_best() {
        let v = Volume { cells: (4, 4), labels: (5, 5), base: Vec::new(), cost: vec![FULL; 400] };
        let sum = v.aggregate(Penalty { step: 100, most: 300 }, None);
        assert!(v.best(&sum).iter().all(|d| *d == (0, 0)));
    }
}
