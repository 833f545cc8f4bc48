//! Triangular dislocations in an elastic half-space: displacement of the free surface.
//!
//! # What is computed
//! A dislocation loop with Burgers vector b in a half-space moves its free surface by
//!
//! `u = (1 / 2π) [ b Ω' - Σ M G + (1 - 2ν) Σ H ]`, sums over the edges of the loop,
//!
//! where Ω' is the (signed) solid angle of the loop, M = b · (r × t) with t the edge's direction and r the vector from
//! the observation point to it, G = ∫ r / |r|^3 dl along the edge, and H the part that vanishes in an incompressible
//! medium. We get this form from the angular dislocations of Comninou and Dundurs (1975, J. Elasticity 5:203), assembled
//! to triangles as Nikkhoo and Walter (2015, Geophys. J. Int. 201:1119) do: at z = 0 the loop and its mirror image have
//! the same full-space field but for the sign of the vertical (for which see Barnett 1985, Phil. Mag. A 51:383); the terms
//! of the free-surface correction that depend on a vertex alone cancel between the two edges that meet there; and the
//! rest of them combines with the full-space terms. Written so, one logarithm per edge (two more in H) and one arc
//! tangent remain, there is no choice of branch or configuration anywhere, and nothing cancels near an edge, on the
//! extension of an edge or where an edge is nearly vertical: against the quadrature of point sources the error is below
//! 1e-15 per unit slip even at a millionth of the element's size from a surface trace.
//!
//! `docs/dislocations.md` has all formulas.
//!
//! Everything is linear in b, so an edge shared by two triangles is computed once, with the difference of their slip.
//!
//! # Parts
//! [`edge`] has the constants of an edge, `gentle` and `steep` the terms at each point for edges that dip less and
//! more than about 45 degrees.
mod edge;
mod gentle;
mod steep;

use std::collections::HashMap;

use rayon::prelude::*;

use crate::{Error, Result};
use edge::{Edge, Kind};

/// A triangular element with uniform slip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triangle {
    /// East, north, up (at most 0) of the three corners, metres. With n = (P2 - P1) × (P3 - P1), strike is e_z × n
    /// ((0, n_z, 0) for a horizontal triangle) and the dip vector n × strike.
    pub vertices: [[f64; 3]; 3],
    /// Jump from the side that n points away from to the side that it points to: along strike (positive: left-lateral,
    /// whatever the order of the corners), along the dip vector (positive: reverse where n_z > 0), along n (opening).
    pub slip: [f64; 3],
}

/// Displacement of the surface at `obs` (east, north; metres): `out` is overwritten with east, north, up, summed over
/// the triangles, in the unit of the slip.
///
/// Parallel over the points within the calling rayon pool; the result does not depend on the number of threads. On the
/// trace of an element that breaks the surface the value is the mean of the two sides, at a corner on the surface it is
/// finite but without meaning (the exact one grows as the logarithm of the distance). A triangle that lies in the
/// surface moves nothing.
///
/// ```
/// use shiftmap::synth::tde::{Triangle, surface};
/// let triangle = Triangle {
///     vertices: [[0.0, 0.0, -1e3], [4e3, 0.0, -5e3], [0.0, 3e3, -4e3]],
///     slip: [1.0, 0.0, 0.0],
/// };
/// let mut moved = [[0.0; 3]; 1];
/// surface(&[triangle], 0.25, &[[500.0, 800.0]], &mut moved)?;
/// assert!(moved[0][0].abs() > 1e-3);
/// # Ok::<(), shiftmap::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] naming the element and the value: a corner above the surface, a triangle without area, a number that
/// is not finite, Poisson's ratio outside -1 to 0.5, or `obs` and `out` of different length.
pub fn surface(triangles: &[Triangle], poisson: f64, obs: &[[f64; 2]], out: &mut [[f64; 3]]) -> Result<()> {
    Loops::new(triangles, poisson)?.surface(obs, out)
}

/// Triangles prepared for evaluation: their edges, each only once.
#[derive(Debug, Clone)]
pub struct Loops {
    edges: Vec<Edge>,
    /// Places in `edges`, while loops are added.
    known: HashMap<[u64; 6], usize>,
    /// 1 - 2ν.
    compressible: f64,
}

/// Points that go through the edges together.
const BLOCK: usize = 64;
/// Largest coordinate; products of four lengths must stay far from the largest number.
const FARTHEST: f64 = 1e15;

impl Loops {
    /// Checks the triangles and prepares their edges.
    ///
    /// # Errors
    /// Those of [`surface`].
    pub fn new(triangles: &[Triangle], poisson: f64) -> Result<Loops> {
        let mut loops = Loops::empty(poisson)?;
        for (i, triangle) in triangles.iter().enumerate() {
            loops.add(&triangle.vertices, burgers(triangle, i)?);
        }
        loops.finish();
        Ok(loops)
    }

    /// No loop yet.
    pub(super) fn empty(poisson: f64) -> Result<Loops> {
        match poisson > -1.0 && poisson <= 0.5 {
            true => Ok(Loops { edges: Vec::new(), known: HashMap::new(), compressible: 1.0 - 2.0 * poisson }),
            false => Err(Error::Data(format!("Poisson's ratio {poisson}: give a number above -1 and at most 0.5"))),
        }
    }

    /// Adds a closed loop of checked corners: `burgers` is the jump from the side from which it turns clockwise to the
    /// other.
    pub(super) fn add(&mut self, corners: &[[f64; 3]], burgers: [f64; 3]) {
        if corners.iter().all(|p| p[2] == 0.0) {
            return;
        }
        for (k, &a) in corners.iter().enumerate() {
            let b = corners[(k + 1) % corners.len()];
            // The deeper end last; level edges in the order of their coordinates, so that neighbours agree.
            let swap = (-a[2], a[0], a[1]) > (-b[2], b[0], b[1]);
            let (a, b) = if swap { (b, a) } else { (a, b) };
            let sign = if swap { -1.0 } else { 1.0 };
            let index = *self.known.entry(key(a, b)).or_insert_with(|| {
                self.edges.push(Edge::new(a, b));
                self.edges.len() - 1
            });
            self.edges[index].add(burgers.map(|v| sign * v));
        }
    }

    /// Drops the edges between elements of equal slip, where nothing ends, and what only [`Loops::add`] needs.
    pub(super) fn finish(&mut self) {
        self.edges.retain(|e| !e.is_silent());
        self.known = HashMap::new();
    }

    /// [`surface`] of these triangles.
    ///
    /// # Errors
    /// A point that is not finite, or `obs` and `out` of different length.
    pub fn surface(&self, obs: &[[f64; 2]], out: &mut [[f64; 3]]) -> Result<()> {
        check_points(obs, out.len())?;
        out.par_chunks_mut(BLOCK).zip(obs.par_chunks(BLOCK)).for_each(|(out, obs)| {
            pulp::Arch::new().dispatch(Blocks { loops: self, chosen: None, obs, out });
        });
        Ok(())
    }

    /// Number of edges that are evaluated at each point.
    pub fn edges(&self) -> usize {
        self.edges.len()
    }

    /// Distance of a point of the surface from one of the edges.
    pub(super) fn distance(&self, edge: usize, obs: [f64; 2]) -> f64 {
        self.edges[edge].distance(obs)
    }

    /// The share of some of the edges in the displacement at `obs`, one after the other on the calling thread.
    ///
    /// On its own it has no meaning, but away from the edge it is as smooth as the displacement.
    pub(super) fn sum_of(&self, edges: &[u32], obs: &[[f64; 2]], out: &mut [[f64; 3]]) {
        pulp::Arch::new().dispatch(Blocks { loops: self, chosen: Some(edges), obs, out });
    }
}

/// Observation points of one block.
struct Points {
    x: [f64; BLOCK],
    y: [f64; BLOCK],
}

/// Their displacement.
struct Sums {
    east: [f64; BLOCK],
    north: [f64; BLOCK],
    up: [f64; BLOCK],
}

/// Evaluation of all edges or of some, compiled for the widest vectors of the machine (same numbers on every one).
struct Blocks<'a> {
    loops: &'a Loops,
    chosen: Option<&'a [u32]>,
    obs: &'a [[f64; 2]],
    out: &'a mut [[f64; 3]],
}

impl pulp::WithSimd for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let edges = &self.loops.edges;
        for (obs, out) in self.obs.chunks(BLOCK).zip(self.out.chunks_mut(BLOCK)) {
            let mut points = Points { x: [obs[0][0]; BLOCK], y: [obs[0][1]; BLOCK] };
            for (l, p) in obs.iter().enumerate() {
                (points.x[l], points.y[l]) = (p[0], p[1]);
            }
            let mut sums = Sums { east: [0.0; BLOCK], north: [0.0; BLOCK], up: [0.0; BLOCK] };
            for k in 0..self.chosen.map_or(edges.len(), <[u32]>::len) {
                let edge = &edges[self.chosen.map_or(k, |c| c[k] as usize)];
                match edge.kind {
                    Kind::Gentle => gentle::add(edge, self.loops.compressible, &points, &mut sums),
                    Kind::Steep => steep::add(edge, self.loops.compressible, &points, &mut sums),
                }
            }
            for (l, o) in out.iter_mut().enumerate() {
                *o = [sums.east[l], sums.north[l], sums.up[l]];
            }
        }
    }
}

/// Bits of the two ends; -0 counts as 0.
fn key(a: [f64; 3], b: [f64; 3]) -> [u64; 6] {
    [a[0], a[1], a[2], b[0], b[1], b[2]].map(|v| (v + 0.0).to_bits())
}

/// The slip as a vector east, north, up, after all checks of the triangle.
fn burgers(triangle: &Triangle, index: usize) -> Result<[f64; 3]> {
    let number = index + 1;
    let [p1, p2, p3] = &triangle.vertices;
    for (k, p) in [p1, p2, p3].into_iter().enumerate() {
        if !p.iter().all(|v| v.abs() <= FARTHEST) {
            return Err(Error::Data(format!(
                "triangle {number}, corner {}: {p:?} is not a position in metres (finite, at most 1e15)",
                k + 1
            )));
        }
        if p[2] > 0.0 {
            return Err(Error::Data(format!(
                "triangle {number}, corner {}: z = {} lies above the surface; z counts upwards from it and is at most 0",
                k + 1,
                p[2]
            )));
        }
    }
    if !triangle.slip.iter().all(|v| v.is_finite()) {
        return Err(Error::Data(format!("triangle {number}: slip {:?} is not finite", triangle.slip)));
    }
    let minus = |a: &[f64; 3], b: &[f64; 3]| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let (u, v) = (minus(p2, p1), minus(p3, p1));
    let n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let length = |a: &[f64; 3]| (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]).sqrt();
    let (area, longest) = (length(&n), length(&u).max(length(&v)).max(length(&minus(p3, p2))));
    // Below this the direction of n is rounding.
    if !(area > 1e-13 * longest * longest && longest > 1e-6) {
        return Err(Error::Data(format!(
            "triangle {number} has no area (its corners {:?} lie on a line): remove it from the mesh",
            triangle.vertices
        )));
    }
    let n = n.map(|v| v / area);
    let level = n[0].hypot(n[1]);
    let strike = if level > 0.0 { [-n[1] / level, n[0] / level, 0.0] } else { [0.0, n[2], 0.0] };
    let dip = [-n[2] * strike[1], n[2] * strike[0], n[0] * strike[1] - n[1] * strike[0]];
    let [s, d, t] = triangle.slip;
    Ok([0, 1, 2].map(|i| s * strike[i] + d * dip[i] + t * n[i]))
}

fn check_points(obs: &[[f64; 2]], out: usize) -> Result<()> {
    if obs.len() != out {
        return Err(Error::Data(format!("{} observation points, but room for {out} displacements", obs.len())));
    }
    match obs.iter().position(|p| !p.iter().all(|v| v.abs() <= FARTHEST)) {
        Some(i) => Err(Error::Data(format!(
            "observation point {}: {:?} is not a position in metres (finite, at most 1e15)",
            i + 1,
            obs[i]
        ))),
        None => Ok(()),
    }
}
