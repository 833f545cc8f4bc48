//! Edges that dip less than about 45 degrees.

use super::edge::Edge;
use super::{BLOCK, Points, Sums};
use crate::synth::elementary::{atan_of_quotient, ln};

/// Adds the displacement that belongs to `edge`.
#[inline(always)]
pub fn add(edge: &Edge, compressible: f64, points: &Points, sums: &mut Sums) {
    for l in 0..BLOCK {
        let u = at(edge, compressible, points.x[l], points.y[l]);
        sums.east[l] += u[0];
        sums.north[l] += u[1];
        sums.up[l] += u[2];
    }
}

/// Smallest denominator: a point on the extension of a surface trace sees the strip below it edge-on.
const SMALLEST: f64 = 1e-280;

#[inline(always)]
fn at(edge: &Edge, compressible: f64, x: f64, y: f64) -> [f64; 3] {
    let p = edge.seen(x, y);
    let (c, t, cot) = (edge.c, edge.t, edge.cot);
    let [b1, b2, b3] = edge.burgers;
    let square = p.y2 * p.y2;
    // R + depth - y1 t as a sum of positive terms.
    let depths = [edge.depth_a, edge.depth_b];
    let reduced = |i: usize| {
        let (y1, r, depth) = (p.y1[i], p.r[i], depths[i]);
        let ahead = (square + depth * depth) / (r + y1.abs()) + y1 * edge.one_minus_t + depth;
        if y1 > 0.0 { ahead } else { r + depth - y1 * t }
    };
    let (da, db) = (reduced(0), reduced(1));
    // Solid angle of the strip below the edge, from the edge down to infinity.
    let side = p.y2 * t;
    let bottom = da * db + side * side;
    let angle = 2.0 * atan_of_quotient(side * (da - db), if bottom > SMALLEST { bottom } else { SMALLEST });
    let (ra, rb) = (p.r[0] + edge.depth_a, p.r[1] + edge.depth_b);
    let inverse = 1.0 / (ra * rb);
    let logs = ln(rb * rb * inverse) - c * p.log;
    let (ia, ib) = (rb * inverse, ra * inverse);
    let j = cot * (cot * logs - (p.y1[1] * ib - p.y1[0] * ia));
    let n = cot * (cot * angle - p.y2 * (ib - ia));
    let k = compressible;
    edge.turn([
        p.direct[0] + b1 * angle + k * (b2 * j - b1 * n),
        p.direct[1] + b2 * angle + k * (b1 * (j - c * p.log) + b2 * n),
        p.direct[2] + b3 * angle + k * cot * (b1 * angle - b2 * logs),
    ])
}
