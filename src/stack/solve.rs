//! One cell: displacements at the dates from the values of the maps, by weighted least squares that outliers do not pull.
//!
//! Weights are 1/sigma². The start is an L1 solution, exact for one unknown (the weighted median), by reweighting otherwise
//! (Schlossmacher 1973, J. Am. Stat. Assoc. 68); then Tukey's biweight on the length of the two normalised residuals (Beaton
//! and Tukey 1974). The variance is that of the final linear estimate with the stated correlations of the maps; where the
//! maps disagree more than sigma explains at 99 %, it is enlarged by the ratio (Birge 1932, Phys. Rev. 40). For small-baseline
//! networks: Berardino et al. 2002, IEEE Trans. GRS 40 (without the minimum-norm step: dates without connection stay
//! empty).

use super::network::Network;

/// One map's value at a cell: east and north, with standard deviations above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    pub map: usize,
    pub value: [f64; 2],
    pub sigma: [f64; 2],
}

/// What the values of a cell say.
#[derive(Debug, Clone, Default)]
pub struct Solution {
    /// For each unknown, east and north; NaN where no chain of maps leads to it.
    pub displacement: Vec<[f64; 2]>,
    pub sigma: Vec<[f64; 2]>,
    /// Weight left to each value, 0 (outlier) to 1.
    pub kept: Vec<f64>,
    /// Residuals over sigma.
    pub residuals: Vec<[f64; 2]>,
    /// Root of chi² per degree of freedom; NaN without redundancy.
    pub disagreement: f64,
    /// Factor on sigma where the maps disagree.
    enlarged: f64,
    /// The influence of each value on each unknown, unknown by unknown, for both components.
    influence: [Vec<f64>; 2],
}

/// Residuals, in sigmas, at which a value counts for nothing.
const REJECT: f64 = 5.0;
/// The same in the first round; it is halved until it is [`REJECT`], because the start may be off by some sigmas.
const FIRST: f64 = 40.0;
/// Rounds of reweighting, and of the L1 start.
const ROUNDS: usize = 30;
const L1_ROUNDS: usize = 80;
/// Smallest residual of the L1 rounds, in sigmas.
const FLOOR: f64 = 0.05;
/// Values with less weight than this count as rejected.
pub const REJECTED: f64 = 0.05;

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Solver {
    normal: Vec<f64>,
    right: Vec<f64>,
    /// Unknowns that values reach.
    active: Vec<Option<usize>>,
}

impl Solver {
    /// Solves one cell. `rho`: see [`Network::correlation`]; `robust`: outliers lose their weight.
    pub fn solve(&mut self, net: &Network, values: &[Value], rho: f64, robust: bool) -> Option<Solution> {
        let n = self.connect(net, values);
        if n == 0 {
            return None;
        }
        let rows: Vec<[Option<usize>; 2]> = values
            .iter()
            .map(|v| {
                let (a, b) = net.pairs[v.map];
                [a, b].map(|d| net.unknown(d).and_then(|u| self.active[u]))
            })
            .collect();
        // Chains that do not lead to the reference say nothing about it.
        let used: Vec<bool> =
            values.iter().zip(&rows).map(|(v, r)| r.iter().any(Option::is_some) && reaches(net, v, r)).collect();
        let count = used.iter().filter(|u| **u).count();
        let redundancy = count.saturating_sub(n);
        let mut kept: Vec<f64> = used.iter().map(|u| if *u { 1.0 } else { 0.0 }).collect();
        let mut x = [vec![0.0; n], vec![0.0; n]];
        self.both(&rows, values, &kept, &mut x)?;
        if robust && redundancy > 0 {
            self.least_absolute(&rows, values, &used, &mut x);
            let mut reject = FIRST;
            for _ in 0..ROUNDS {
                let mut change = 0.0f64;
                for (k, v) in values.iter().enumerate().filter(|(k, _)| used[*k]) {
                    let r = [0, 1].map(|c| residual(&rows[k], v, &x[c], c));
                    let t = r[0].hypot(r[1]) / reject;
                    let w = if t < 1.0 { (1.0 - t * t).powi(2) } else { 0.0 };
                    change = change.max((w - kept[k]).abs());
                    kept[k] = w;
                }
                // Rejecting everything that holds an unknown leaves it without a value.
                self.both(&rows, values, &kept, &mut x)?;
                if reject == REJECT && change < 1e-4 {
                    break;
                }
                reject = (0.5 * reject).max(REJECT);
            }
        }
        let influence = [0, 1].map(|c| self.influence(&rows, values, &kept, c, n));
        let residuals: Vec<[f64; 2]> = values
            .iter()
            .enumerate()
            .map(|(k, v)| [0, 1].map(|c| if used[k] { residual(&rows[k], v, &x[c], c) } else { f64::NAN }))
            .collect();
        // One line for each unknown of the network.
        let spread = |c: usize| {
            let m = values.len();
            let mut all = vec![0.0; net.unknowns() * m];
            for (u, at) in self.active.iter().enumerate() {
                if let Some(at) = *at {
                    all[u * m..(u + 1) * m].copy_from_slice(&influence[c][at * m..(at + 1) * m]);
                }
            }
            all
        };
        let mut displacement = vec![[f64::NAN; 2]; net.unknowns()];
        for (u, at) in self.active.iter().enumerate() {
            if let Some(at) = *at {
                displacement[u] = [x[0][at], x[1][at]];
            }
        }
        let sigma = vec![[f64::NAN; 2]; net.unknowns()];
        let influence = [spread(0), spread(1)];
        let mut found =
            Solution { displacement, sigma, kept, residuals, disagreement: f64::NAN, enlarged: 1.0, influence };
        found.judge(net, values, rho, n, redundancy);
        Some(found)
    }

    /// Numbers the unknowns that a chain of values connects with the reference; how many.
    fn connect(&mut self, net: &Network, values: &[Value]) -> usize {
        let mut reached = vec![false; net.days.len()];
        reached[net.reference] = true;
        loop {
            let mut grown = false;
            for v in values {
                let (a, b) = net.pairs[v.map];
                if reached[a] != reached[b] {
                    (reached[a], reached[b], grown) = (true, true, true);
                }
            }
            if !grown {
                break;
            }
        }
        self.active = vec![None; net.unknowns()];
        let mut n = 0;
        for day in (0..net.days.len()).filter(|d| reached[*d]) {
            if let Some(u) = net.unknown(day) {
                self.active[u] = Some(n);
                n += 1;
            }
        }
        n
    }

    /// Weighted least squares of both components.
    fn both(
        &mut self,
        rows: &[[Option<usize>; 2]],
        values: &[Value],
        weights: &[f64],
        x: &mut [Vec<f64>; 2],
    ) -> Option<()> {
        for c in 0..2 {
            let n = x[c].len();
            self.assemble(rows, values, weights, c, n);
            factor(&mut self.normal, n)?;
            substitute(&self.normal, n, &mut self.right);
            x[c].copy_from_slice(&self.right);
        }
        Some(())
    }

    fn assemble(&mut self, rows: &[[Option<usize>; 2]], values: &[Value], weights: &[f64], c: usize, n: usize) {
        self.normal.clear();
        self.normal.resize(n * n, 0.0);
        self.right.clear();
        self.right.resize(n, 0.0);
        for ((row, v), w) in rows.iter().zip(values).zip(weights) {
            let w = w / (v.sigma[c] * v.sigma[c]);
            if w == 0.0 {
                continue;
            }
            let signed = [(row[0], -1.0), (row[1], 1.0)];
            for (i, s) in signed {
                let Some(i) = i else { continue };
                self.right[i] += s * w * v.value[c];
                for (j, t) in signed {
                    if let Some(j) = j {
                        self.normal[i * n + j] += s * t * w;
                    }
                }
            }
        }
    }

    /// Smallest sum of absolute normalised residuals.
    fn least_absolute(&mut self, rows: &[[Option<usize>; 2]], values: &[Value], used: &[bool], x: &mut [Vec<f64>; 2]) {
        if x[0].len() == 1 {
            for c in 0..2 {
                let list = rows.iter().zip(values).zip(used).filter(|(_, u)| **u);
                // With one unknown a value is it or its opposite.
                let mut list: Vec<(f64, f64)> = list
                    .map(|((r, v), _)| (if r[1].is_some() { v.value[c] } else { -v.value[c] }, 1.0 / v.sigma[c]))
                    .collect();
                x[c][0] = weighted_median(&mut list);
            }
            return;
        }
        let mut weights = vec![0.0; values.len()];
        for _ in 0..L1_ROUNDS {
            let mut change = 0.0f64;
            for c in 0..2 {
                for (k, v) in values.iter().enumerate() {
                    weights[k] = match used[k] {
                        true => 1.0 / residual(&rows[k], v, &x[c], c).abs().max(FLOOR),
                        false => 0.0,
                    };
                }
                let n = x[c].len();
                self.assemble(rows, values, &weights, c, n);
                if factor(&mut self.normal, n).is_none() {
                    return;
                }
                substitute(&self.normal, n, &mut self.right);
                let size = values.iter().map(|v| v.sigma[c]).fold(f64::INFINITY, f64::min);
                let moved = x[c].iter().zip(&self.right).map(|(a, b)| (a - b).abs() / size);
                change = change.max(moved.fold(0.0, f64::max));
                x[c].copy_from_slice(&self.right);
            }
            if change < 0.01 {
                return;
            }
        }
    }

    /// What each value contributes to each of the `n` unknowns: (AᵀWA)⁻¹AᵀW, row by row.
    fn influence(
        &mut self,
        rows: &[[Option<usize>; 2]],
        values: &[Value],
        kept: &[f64],
        c: usize,
        n: usize,
    ) -> Vec<f64> {
        let m = values.len();
        let mut out = vec![0.0; n * m];
        self.assemble(rows, values, kept, c, n);
        if factor(&mut self.normal, n).is_none() {
            out.fill(f64::NAN);
            return out;
        }
        for (k, v) in values.iter().enumerate().filter(|(k, _)| kept[*k] > 0.0) {
            let w = kept[k] / (v.sigma[c] * v.sigma[c]);
            self.right.fill(0.0);
            for (i, s) in [(rows[k][0], -1.0), (rows[k][1], 1.0)] {
                if let Some(i) = i {
                    self.right[i] += s * w;
                }
            }
            substitute(&self.normal, n, &mut self.right);
            (0..n).for_each(|i| out[i * m + k] = self.right[i]);
        }
        out
    }
}

impl Solution {
    /// Agreement of the values, and sigma.
    fn judge(&mut self, net: &Network, values: &[Value], rho: f64, unknowns: usize, redundancy: usize) {
        let m = values.len();
        let used: Vec<usize> = (0..m).filter(|k| self.kept[*k] >= REJECTED).collect();
        let freedom = 2.0 * used.len().saturating_sub(unknowns) as f64;
        if redundancy > 0 && freedom > 0.0 {
            let chi: f64 = used.iter().map(|k| self.residuals[*k]).map(|r| r[0] * r[0] + r[1] * r[1]).sum();
            // Maps that share errors agree better than their sigma says.
            let expected: f64 = match rho == 0.0 {
                true => freedom,
                false => {
                    let sum = |c| {
                        let e = self.expected(net, values, c, rho);
                        used.iter().map(|k| e[*k]).sum::<f64>()
                    };
                    (sum(0) + sum(1)).max(0.01 * freedom)
                }
            };
            let chi = chi * freedom / expected;
            self.disagreement = (chi / freedom).sqrt();
            if chi > chi_squared_99(freedom) {
                self.enlarged = self.disagreement;
            }
        }
        for u in 0..self.displacement.len() {
            for c in (0..2).filter(|c| self.displacement[u][*c].is_finite()) {
                let line = &self.influence[c][u * m..(u + 1) * m];
                self.sigma[u][c] = self.enlarged * variance(net, values, line, c, rho).max(0.0).sqrt();
            }
        }
    }

    /// Standard deviation of a linear combination of the unknowns, which are all known.
    pub fn sigma_of(&self, net: &Network, values: &[Value], combination: &[f64], c: usize, rho: f64) -> f64 {
        let m = values.len();
        let line: Vec<f64> = (0..m)
            .map(|k| combination.iter().enumerate().map(|(u, g)| g * self.influence[c][u * m + k]).sum())
            .collect();
        self.enlarged * variance(net, values, &line, c, rho).max(0.0).sqrt()
    }

    /// Expected variance of each value's residual over the variance of the value itself, from the correlations: what a
    /// residual of one sigma should be.
    pub fn expected(&self, net: &Network, values: &[Value], c: usize, rho: f64) -> Vec<f64> {
        let m = values.len();
        let row = |k: usize| -> Vec<f64> {
            let (a, b) = net.pairs[values[k].map];
            let part = |day: usize, i: usize| net.unknown(day).map_or(0.0, |u| self.influence[c][u * m + i]);
            (0..m).map(|i| f64::from(u8::from(i == k)) - (part(b, i) - part(a, i))).collect()
        };
        (0..m).map(|k| variance(net, values, &row(k), c, rho) / (values[k].sigma[c] * values[k].sigma[c])).collect()
    }
}

/// Whether the chain of a value leads to the reference.
fn reaches(net: &Network, v: &Value, row: &[Option<usize>; 2]) -> bool {
    let (a, b) = net.pairs[v.map];
    [(a, row[0]), (b, row[1])].iter().all(|(day, u)| *day == net.reference || u.is_some())
}

/// Normalised residual of a value.
fn residual(row: &[Option<usize>; 2], v: &Value, x: &[f64], c: usize) -> f64 {
    let at = |i: Option<usize>| i.map_or(0.0, |i| x[i]);
    (v.value[c] - (at(row[1]) - at(row[0]))) / v.sigma[c]
}

/// Σ l_i l_j C_ij.
fn variance(net: &Network, values: &[Value], line: &[f64], c: usize, rho: f64) -> f64 {
    let own: f64 = values.iter().zip(line).map(|(v, l)| (l * v.sigma[c]).powi(2)).sum();
    if rho == 0.0 {
        return own;
    }
    let mut common = 0.0;
    for (i, (v, l)) in values.iter().zip(line).enumerate() {
        for (w, k) in values[..i].iter().zip(line) {
            common += 2.0 * l * k * v.sigma[c] * w.sigma[c] * net.correlation(v.map, w.map, rho);
        }
    }
    own + common
}

/// Cholesky factor (lower triangle, in place); `None` unless positive definite.
fn factor(a: &mut [f64], n: usize) -> Option<()> {
    for j in 0..n {
        let before = a[j * n + j];
        let mut d = before;
        for k in 0..j {
            d -= a[j * n + k] * a[j * n + k];
        }
        if d.is_nan() || d <= 1e-9 * before {
            return None;
        }
        let d = d.sqrt();
        a[j * n + j] = d;
        for i in j + 1..n {
            let mut s = a[i * n + j];
            for k in 0..j {
                s -= a[i * n + k] * a[j * n + k];
            }
            a[i * n + j] = s / d;
        }
    }
    Some(())
}

/// Solves with the factor, in place.
fn substitute(l: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        let mut s = b[i];
        for k in 0..i {
            s -= l[i * n + k] * b[k];
        }
        b[i] = s / l[i * n + i];
    }
    for i in (0..n).rev() {
        let mut s = b[i];
        for k in i + 1..n {
            s -= l[k * n + i] * b[k];
        }
        b[i] = s / l[i * n + i];
    }
}

/// Where half of the weight lies below; the middle between two values where it is exactly half.
fn weighted_median(list: &mut [(f64, f64)]) -> f64 {
    list.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * list.iter().map(|l| l.1).sum::<f64>();
    let mut sum = 0.0;
    for (k, (value, weight)) in list.iter().enumerate() {
        sum += weight;
        if sum > half * (1.0 + 1e-9) {
            return *value;
        }
        if sum >= half * (1.0 - 1e-9) {
            return 0.5 * (value + list.get(k + 1).map_or(*value, |l| l.0));
        }
    }
    f64::NAN
}

/// Quantile 0.99 of chi² (Wilson and Hilferty 1931, PNAS 17).
fn chi_squared_99(freedom: f64) -> f64 {
    let t = 2.0 / (9.0 * freedom);
    freedom * (1.0 - t + 2.326 * t.sqrt()).max(0.0).powi(3)
}

#[cfg(test)]
mod tests {
    use super::super::dates::Day;
    use super::*;
    use crate::synth::random::{Purpose, normal, stream};
    use nalgebra::{DMatrix, DVector};

    fn dated(pairs: &[(i64, i64)], reference: Option<Day>) -> Network {
        let dates: Vec<(Day, Day)> = pairs.iter().map(|p| (Day(p.0), Day(p.1))).collect();
        Network::of(&dates, &vec![String::new(); pairs.len()], reference).unwrap()
    }

    const PAIRS: [(i64, i64); 8] = [(0, 1), (1, 2), (2, 3), (0, 2), (3, 1), (3, 4), (2, 4), (0, 4)];

    /// (AᵀWA)⁻¹AᵀW v and its covariance with dense matrices.
    fn oracle(net: &Network, values: &[Value], weights: &[f64], c: usize, rho: f64) -> (DVector<f64>, DMatrix<f64>) {
        let (m, n) = (values.len(), net.unknowns());
        let mut a = DMatrix::<f64>::zeros(m, n);
        for (k, v) in values.iter().enumerate() {
            let (s, e) = net.pairs[v.map];
            if let Some(u) = net.unknown(s) {
                a[(k, u)] -= 1.0;
            }
            if let Some(u) = net.unknown(e) {
                a[(k, u)] += 1.0;
            }
        }
        let w = DMatrix::from_diagonal(&DVector::from_fn(m, |k, _| weights[k] / values[k].sigma[c].powi(2)));
        let g = (a.transpose() * &w * &a).try_inverse().unwrap() * a.transpose() * w;
        let covariance = DMatrix::from_fn(m, m, |i, j| {
            values[i].sigma[c] * values[j].sigma[c] * net.correlation(values[i].map, values[j].map, rho)
        });
        (&g * DVector::from_fn(m, |k, _| values[k].value[c]), &g * covariance * g.transpose())
    }

    fn drawn(net: &Network, u: &[[f64; 2]], rng: &mut rand_pcg::Pcg64) -> Vec<Value> {
        let at = |d: usize, c: usize| net.unknown(d).map_or(0.0, |k| u[k][c]);
        (0..net.pairs.len())
            .map(|map| {
                let sigma = [0.1 + 0.02 * map as f64, 0.3 - 0.02 * map as f64];
                let (a, b) = net.pairs[map];
                let value = [0, 1].map(|c| at(b, c) - at(a, c) + sigma[c] * normal(rng));
                Value { map, value, sigma }
            })
            .collect()
    }

    #[test]
    fn least_squares_is_that_of_dense_matrices() {
        let mut rng = stream(1, Purpose::Sample);
        for (net, rho) in [
            (Network::event(5), 0.0),
            (Network::event(5), 0.4),
            (dated(&PAIRS, None), 0.0),
            (dated(&PAIRS, Some(Day(2))), 0.3),
        ] {
            let u = vec![[1.0, -2.0]; net.unknowns()];
            let values = drawn(&net, &u, &mut rng);
            let mut solver = Solver::default();
            let got = solver.solve(&net, &values, rho, false).unwrap();
            let robust = solver.solve(&net, &values, rho, true).unwrap();
            for (found, weights) in [(&got, vec![1.0; values.len()]), (&robust, robust.kept.clone())] {
                for c in 0..2 {
                    let (x, covariance) = oracle(&net, &values, &weights, c, rho);
                    for k in 0..net.unknowns() {
                        assert!((found.displacement[k][c] - x[k]).abs() < 1e-9, "{found:?} {x}");
                        let plain = found.disagreement.is_nan() || found.disagreement < 1.0;
                        let ratio = found.sigma[k][c] / covariance[(k, k)].sqrt();
                        assert!(if plain { (ratio - 1.0).abs() < 1e-9 } else { ratio > 1.0 - 1e-9 }, "{ratio}");
                    }
                    let g: Vec<f64> = (0..net.unknowns()).map(|k| 0.3 + k as f64).collect();
                    let v = DVector::from_vec(g.clone());
                    let want = (v.transpose() * &covariance * &v)[(0, 0)].sqrt();
                    let ratio = found.sigma_of(&net, &values, &g, c, rho) / want;
                    assert!(ratio > 1.0 - 1e-9 && (found.disagreement > 1.0 || ratio < 1.0 + 1e-9));
                }
            }
        }
    }

    #[test]
    fn an_outlier_does_not_pull() {
        let mut rng = stream(2, Purpose::Sample);
        for net in [Network::event(5), dated(&PAIRS, None)] {
            let u: Vec<[f64; 2]> = (0..net.unknowns()).map(|k| [k as f64, -2.0]).collect();
            for bad in 0..net.pairs.len() {
                let mut values = drawn(&net, &u, &mut rng);
                values[bad].value[0] += 30.0;
                let got = Solver::default().solve(&net, &values, 0.0, true).unwrap();
                assert!(got.kept[bad] < REJECTED, "{bad}: {got:?}");
                for (g, t) in got.displacement.iter().zip(&u) {
                    assert!((g[0] - t[0]).abs() < 0.8 && (g[1] - t[1]).abs() < 0.8, "{bad}: {got:?}");
                }
            }
        }
    }

    #[test]
    fn dates_without_connection_stay_empty() {
        let net = dated(&PAIRS, None);
        let value = |map| Value { map, value: [1.0, 1.0], sigma: [0.1, 0.1] };
        // Dates 0, 1, 2 and apart from them 3, 4.
        let got = Solver::default().solve(&net, &[value(0), value(1), value(5)], 0.0, true).unwrap();
        let known: Vec<bool> = got.displacement.iter().map(|d| d[0].is_finite()).collect();
        assert_eq!(known, [true, true, false, false]);
        assert_eq!(got.displacement[1], [2.0, 2.0]);
        assert!(Solver::default().solve(&net, &[value(5)], 0.0, true).is_none());
        assert!(Solver::default().solve(&net, &[], 0.0, true).is_none());
    }

    #[test]
    fn two_maps_that_contradict_each_other_have_no_value_or_a_large_sigma() {
        let net = Network::event(2);
        let at = |v: f64, map| Value { map, value: [v, 0.0], sigma: [0.1, 0.1] };
        let far = Solver::default().solve(&net, &[at(0.0, 0), at(9.0, 1)], 0.0, true);
        assert!(far.is_none());
        let got = Solver::default().solve(&net, &[at(0.0, 0), at(0.5, 1)], 0.0, true).unwrap();
        assert!((got.displacement[0][0] - 0.25).abs() < 1e-9 && got.sigma[0][0] > 0.1, "{got:?}");
    }

    #[test]
    fn the_weighted_median_by_hand() {
        assert_eq!(weighted_median(&mut [(3.0, 1.0), (1.0, 1.0), (9.0, 1.0)]), 3.0);
        assert_eq!(weighted_median(&mut [(1.0, 1.0), (2.0, 1.0)]), 1.5);
        assert_eq!(weighted_median(&mut [(1.0, 5.0), (2.0, 1.0), (8.0, 1.0)]), 1.0);
    }
}
