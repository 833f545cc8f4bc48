//! Edges that dip more than about 45 degrees, vertical ones included.
//!
//! The terms of [`super::gentle`] with cot^2 of the angle to the vertical times differences that vanish with it, written
//! out so that both go away.

use super::edge::Edge;
use super::{BLOCK, Points, Sums};
use crate::synth::elementary::{atan_tail, ln_1p};

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

/// What one end of the edge contributes: the quantities of [`super::gentle`] less ln(R + along) times their factors,
/// and less what is the same at both ends.
struct End {
    angle: f64,
    cot_angle: f64,
    cot_logs: f64,
    j: f64,
    n: f64,
}

#[inline(always)]
fn end(edge: &Edge, y1: f64, y2: f64, r: f64, along: f64, depth: f64) -> End {
    let (s, c, t, h, cot) = (edge.s, edge.c, edge.t, edge.h, edge.cot);
    // Image and vertical leg: R + along and R + depth; their quotient is 1 + de.
    let (rz, ra) = (r + along, r + depth);
    let d = ra - y1 * t;
    let inverse = 1.0 / (rz * (ra * d));
    let inverse_rz = inverse * (ra * d);
    let q = depth * t + y1;
    let de = s * q * inverse_rz;
    let big = c * q * inverse_rz;
    let log = ln_1p(de);
    let curved = if log.near { big * big * log.curvature } else { cot * cot * (log.value - de) };
    let cot_logs = if log.near { big * (1.0 + de * log.curvature) } else { cot * log.value };
    // F = 2 atan f; f cot = y2 h / d.
    let inverse_d = inverse * (rz * ra);
    let (f, fc) = (y2 * t * inverse_d, y2 * h * inverse_d);
    let tail = atan_tail(f * f);
    End {
        angle: 2.0 * (f + f * (f * f * tail)),
        cot_angle: 2.0 * fc * (1.0 + f * f * tail),
        cot_logs,
        j: curved - h * r * inverse_rz + c * y1 * q * (inverse * d),
        n: 2.0 * f * fc * fc * tail + y2 * h * (y1 - t * ra) * (inverse * rz),
    }
}

#[inline(always)]
fn at(edge: &Edge, compressible: f64, x: f64, y: f64) -> [f64; 3] {
    let p = edge.seen(x, y);
    let (c, t, h) = (edge.c, edge.t, edge.h);
    let [b1, b2, b3] = edge.burgers;
    let a = end(edge, p.y1[0], p.y2, p.r[0], p.along[0], edge.depth_a);
    let b = end(edge, p.y1[1], p.y2, p.r[1], p.along[1], edge.depth_b);
    let angle = b.angle - a.angle;
    let cot_angle = b.cot_angle - a.cot_angle;
    let cot_logs = b.cot_logs - a.cot_logs + c * t * p.log;
    let j = b.j - a.j + c * h * p.log;
    let n = b.n - a.n;
    let k = compressible;
    edge.turn([
        p.direct[0] + b1 * angle + k * (b2 * j - b1 * n),
        p.direct[1] + b2 * angle + k * (b1 * (j - c * p.log) + b2 * n),
        p.direct[2] + b3 * angle + k * (b1 * cot_angle - b2 * cot_logs),
    ])
}
