//! Polynomials on a square in the basis of Chebyshev polynomials.
//!
//! Reference: Trefethen (2013), "Approximation Theory and Approximation Practice", chapters 2 to 4 and 8: a function that
//! is analytic in a neighbourhood is met to a precision that grows geometrically with the number of nodes.

/// Nodes along one side.
pub const N: usize = 8;
/// Values of the three components at the N × N nodes (row by row), or the coefficients in their place.
pub type Values = [[f64; N * N]; 3];

/// The matrices of one interpolation rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Zeros of the N-th Chebyshev polynomial, on -1..1.
    pub nodes: [f64; N],
    /// Coefficient k from the value at node i.
    analysis: [[f64; N]; N],
    /// Value at node i of the lower (upper) half from the values at the nodes of the whole.
    halves: [[[f64; N]; N]; 2],
}

/// T_0 to T_(N-1) at `x`.
pub fn basis(x: f64) -> [f64; N] {
    let mut t = [1.0; N];
    t[1] = x;
    for k in 2..N {
        t[k] = 2.0 * x * t[k - 1] - t[k - 2];
    }
    t
}

impl Rule {
    pub fn new() -> Rule {
        let nodes = std::array::from_fn(|i| (std::f64::consts::PI * (2 * i + 1) as f64 / (2 * N) as f64).cos());
        let at_nodes: [[f64; N]; N] = nodes.map(basis);
        let weight = |k: usize| if k == 0 { 1.0 / N as f64 } else { 2.0 / N as f64 };
        let analysis = std::array::from_fn(|k| std::array::from_fn(|i| weight(k) * at_nodes[i][k]));
        let halves = [-1.0, 1.0].map(|side| {
            nodes.map(|x| {
                let t = basis(0.5 * (x + side));
                std::array::from_fn(|p| (0..N).map(|k| weight(k) * at_nodes[p][k] * t[k]).sum())
            })
        });
        Rule { nodes, analysis, halves }
    }

    /// Coefficients of the polynomial that has these values at the nodes.
    pub fn coefficients(&self, values: &Values) -> Values {
        values.map(|v| separable(&self.analysis, &self.analysis, &v))
    }

    /// Values at the nodes of one quarter: the left (right) and upper (lower) half.
    pub fn quarter(&self, values: &Values, right: bool, lower: bool) -> Values {
        values.map(|v| separable(&self.halves[lower as usize], &self.halves[right as usize], &v))
    }
}

/// `rows` applied down the columns and `columns` applied along the rows.
fn separable(rows: &[[f64; N]; N], columns: &[[f64; N]; N], v: &[f64; N * N]) -> [f64; N * N] {
    let mut half = [0.0; N * N];
    for j in 0..N {
        for i in 0..N {
            half[j * N + i] = (0..N).map(|p| columns[i][p] * v[j * N + p]).sum();
        }
    }
    let mut out = [0.0; N * N];
    for j in 0..N {
        for p in 0..N {
            let w = rows[j][p];
            (0..N).for_each(|i| out[j * N + i] += w * half[p * N + i]);
        }
    }
    out
}

/// The polynomial with coefficients `c` along one row: coefficients in x, from the basis in y.
pub fn along_row(c: &Values, y: &[f64; N]) -> [[f64; N]; 3] {
    c.map(|c| {
        let mut row = [0.0; N];
        for (j, t) in y.iter().enumerate() {
            (0..N).for_each(|i| row[i] += t * c[j * N + i]);
        }
        row
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_met_exactly_and_so_are_their_quarters() {
        let rule = Rule::new();
        let f = |x: f64, y: f64| 1.0 - 2.0 * x + x.powi(7) * y.powi(3) - 0.5 * y.powi(7) + x * y;
        let mut values: Values = [[0.0; N * N]; 3];
        for j in 0..N {
            for i in 0..N {
                values[1][j * N + i] = f(rule.nodes[i], rule.nodes[j]);
            }
        }
        let at = |c: &Values, x: f64, y: f64| -> f64 {
            let row = along_row(c, &basis(y));
            row[1].iter().zip(basis(x)).map(|(c, t)| c * t).sum()
        };
        let c = rule.coefficients(&values);
        for (x, y) in [(0.3, -0.7), (-1.0, 1.0), (0.99, 0.01)] {
            assert!((at(&c, x, y) - f(x, y)).abs() < 1e-13);
            for (right, lower) in [(false, false), (true, false), (false, true), (true, true)] {
                let quarter = rule.coefficients(&rule.quarter(&values, right, lower));
                let shift = |v: f64, upper: bool| 0.5 * (v + if upper { 1.0 } else { -1.0 });
                assert!((at(&quarter, x, y) - f(shift(x, right), shift(y, lower))).abs() < 1e-13);
            }
        }
    }
}
