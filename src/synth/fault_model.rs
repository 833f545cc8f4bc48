//! The fault of an earthquake as triangles with slip, and its traces at the surface.

use super::mesh::{Mesh, MeshSize, rectangle};
use super::random::{Purpose, numbered};
use super::rupture::{RuptureSpec, SecondarySpec};
use super::scaling::{SHEAR_MODULUS, moment};
use super::slip::{SlipField, SlipSpec, ends};
use super::strand::{Roughness, Strand};
use super::trace::Distance;
use crate::grid::Grid;
use crate::{Error, Result};

/// A triangle that slipped. Map coordinates: metres east, north and up of the middle of the rupture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlipTriangle {
    /// Ordered so that the normal (p1 - p0) × (p2 - p0) points upwards.
    pub vertices: [[f64; 3]; 3],
    /// Slip along strike (left lateral), along dip (reverse) and normal to it (opening), metres: the motion of the side the
    /// normal points to against the other, on the axes s = up × n and d = n × s of Nikkhoo and Walter (2015).
    pub slip: [f64; 3],
    /// Area in m².
    pub area: f64,
}

/// Where a fault meets the surface.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// East and north in metres, in the order along strike.
    pub points: Vec<(f64, f64)>,
    /// Motion (east, north, up) of the ground on the right of the trace against that on its left, at each point, metres.
    pub jump: Vec<[f64; 3]>,
}

/// The strands of an earthquake before they are divided into triangles.
#[derive(Debug, Clone)]
pub struct FaultGeometry {
    spec: RuptureSpec,
    pieces: Vec<Piece>,
}

/// A strand and the part of a slip distribution that belongs to it.
#[derive(Debug, Clone)]
struct Piece {
    strand: Strand,
    /// Where its start lies in the slip distribution.
    from: f64,
    /// Whether the fault steps over at its start and end.
    steps: (bool, bool),
    /// `None`: of the main fault.
    secondary: Option<SecondarySpec>,
}

/// An earthquake ready for the computation of its displacement.
#[derive(Debug, Clone)]
pub struct FaultModel {
    pub spec: RuptureSpec,
    pub triangles: Vec<SlipTriangle>,
    pub traces: Vec<Trace>,
}

/// Share of the length over which slip falls to zero at a step.
const STEP_TAPER: f64 = 0.05;
/// Secondary faults keep this distance from all others, metres.
const CLEARANCE: f64 = 400.0;
/// No trace is sampled at more points than this.
const MOST_SAMPLES: f64 = 20_000.0;

impl FaultGeometry {
    /// Lays out the strands; the traces are sampled every `spacing` metres.
    pub fn new(spec: &RuptureSpec, spacing: f64) -> FaultGeometry {
        let spacing = spacing.max(spec.size.length / MOST_SAMPLES);
        let mut pieces = main_strands(spec, spacing);
        for (k, secondary) in spec.secondary.iter().enumerate() {
            if let Some(piece) = secondary_strand(spec, secondary, k as u64, spacing, &pieces) {
                pieces.push(piece);
            }
        }
        FaultGeometry { spec: spec.clone(), pieces }
    }

    /// The traces of the main fault's strands at full detail, (east, north).
    pub fn main_traces(&self) -> Vec<Vec<(f64, f64)>> {
        self.pieces.iter().filter(|p| p.secondary.is_none()).map(|p| p.strand.trace()).collect()
    }

    /// All strands.
    pub fn strands(&self) -> impl Iterator<Item = &Strand> {
        self.pieces.iter().map(|p| &p.strand)
    }

    /// Triangles with slip. Edges at the surface have the length `size.finest` within `radius` metres of the map point
    /// `focus`, and grow away from it.
    ///
    /// # Errors
    /// [`Error::Internal`] when a mesh cannot be made.
    pub fn model(&self, size: MeshSize, focus: (f64, f64), radius: f64) -> Result<FaultModel> {
        let spec = &self.spec;
        let main = self.slip_field(&spec.slip, spec.size.length, spec.size.width, 0);
        let mut parts = Vec::new();
        let mut main_mean = (0.0, 0.0);
        for (k, piece) in self.pieces.iter().enumerate() {
            let strand = &piece.strand;
            let (along, across) = strand.local(focus.0, focus.1);
            let beside = (across.abs() - radius).max(0.0);
            let half = (radius - beside).max(0.0);
            let local = MeshSize { finest: size.finest + size.growth * beside, ..size };
            let mesh = rectangle(strand.length, strand.width, local, (along - half, along + half))?;
            let part = match piece.secondary {
                None => {
                    let part = Part::new(strand, &mesh, piece, &main);
                    main_mean = (main_mean.0 + part.potency(), main_mean.1 + part.area());
                    part
                }
                Some(s) => {
                    let mut slip = SlipSpec::clone(&spec.slip);
                    slip.correlation = (2000.0 + strand.length / 3.0, 1000.0 + strand.width / 3.0);
                    slip.rake_deg += if s.conjugate { 180.0 } else { 0.0 };
                    let field = self.slip_field(&slip, strand.length, strand.width, 1 + k as u64);
                    let mut part = Part::new(strand, &mesh, piece, &field);
                    // Its mean slip is a share of the main fault's, which comes first.
                    let mean = part.potency() / part.area();
                    part.scale(s.slip_share * main_mean.0 / main_mean.1 / mean);
                    part
                }
            };
            parts.push(part);
        }
        let potency: f64 = parts.iter().map(Part::potency).sum();
        if !(potency > 0.0 && potency.is_finite()) {
            return Err(Error::Internal(format!("event {}: no slip anywhere", spec.seed)));
        }
        let factor = moment(spec.magnitude) / (SHEAR_MODULUS * potency);
        parts.iter_mut().for_each(|p| p.scale(factor));
        let mut model = FaultModel { spec: spec.clone(), triangles: Vec::new(), traces: Vec::new() };
        for part in parts {
            model.triangles.extend(part.triangles);
            model.traces.push(part.trace);
        }
        Ok(model)
    }

    fn slip_field(&self, slip: &SlipSpec, length: f64, width: f64, number: u64) -> SlipField {
        let seed = self.spec.seed;
        let rng = &mut numbered(seed, Purpose::Slip, number);
        SlipField::new(slip, length, width, rng, &mut numbered(seed, Purpose::Rake, 1 + number))
    }
}

impl FaultModel {
    /// Sum of shear modulus × area × slip in N m.
    pub fn moment(&self) -> f64 {
        let potency: f64 = self.triangles.iter().map(|t| t.area * norm(t.slip)).sum();
        SHEAR_MODULUS * potency
    }

    /// Largest slip of any triangle in metres.
    pub fn largest_slip(&self) -> f64 {
        self.triangles.iter().map(|t| norm(t.slip)).fold(0.0, f64::max)
    }
}

/// The triangles of one strand.
struct Part {
    triangles: Vec<SlipTriangle>,
    trace: Trace,
}

impl Part {
    fn new(strand: &Strand, mesh: &Mesh, piece: &Piece, field: &SlipField) -> Part {
        let places: Vec<[f64; 3]> = mesh.points.iter().map(|p| strand.point(p.0, p.1)).collect();
        let right = strand.axes().1;
        let mut triangles = Vec::with_capacity(mesh.triangles.len());
        // Jump of each edge at the surface, by its first point.
        let mut edges = vec![[0.0; 3]; mesh.points.len()];
        for corners in &mesh.triangles {
            let mean = |pick: fn(&(f64, f64)) -> f64| corners.iter().map(|&i| pick(&mesh.points[i])).sum::<f64>() / 3.0;
            let (along, down) = (mean(|p| p.0), mean(|p| p.1));
            let depth = -corners.iter().map(|&i| places[i][2]).sum::<f64>() / 3.0;
            let mut amount = field.slip(piece.from + along, down, depth);
            if piece.steps.0 {
                amount *= ends(along.min(0.5 * strand.length), strand.length, STEP_TAPER);
            }
            if piece.steps.1 {
                amount *= ends(along.max(0.5 * strand.length), strand.length, STEP_TAPER);
            }
            let direction = slip_direction(strand, field.rake(piece.from + along, down));
            let (triangle, jump) = slipped(corners.map(|i| places[i]), direction, amount, right);
            triangles.push(triangle);
            let mut surface: Vec<usize> = corners.iter().copied().filter(|&i| mesh.points[i].1 == 0.0).collect();
            if surface.len() == 2 {
                surface.sort_by(|&a, &b| mesh.points[a].0.total_cmp(&mesh.points[b].0));
                edges[surface[0]] = jump;
            }
        }
        let points = mesh.top.iter().map(|&i| (places[i][0], places[i][1])).collect();
        let last = mesh.top.len() - 1;
        let jump = (0..=last).map(|k| match k {
            0 => [0.0; 3],
            k if k == last => [0.0; 3],
            k => {
                let (a, b) = (edges[mesh.top[k - 1]], edges[mesh.top[k]]);
                [0, 1, 2].map(|c| 0.5 * (a[c] + b[c]))
            }
        });
        Part { triangles, trace: Trace { points, jump: jump.collect() } }
    }

    fn potency(&self) -> f64 {
        self.triangles.iter().map(|t| t.area * norm(t.slip)).sum()
    }

    fn area(&self) -> f64 {
        self.triangles.iter().map(|t| t.area).sum()
    }

    fn scale(&mut self, factor: f64) {
        let slips = self.triangles.iter_mut().map(|t| &mut t.slip);
        slips.chain(&mut self.trace.jump).flatten().for_each(|v| *v *= factor);
    }
}

/// Unit vector (east, north, up) of the motion of the right side against the left one.
///
/// The rake is that of Aki and Richards (1980): seen with the hanging wall on the right of the strike, counter-clockwise
/// from the strike.
fn slip_direction(strand: &Strand, rake_deg: f64) -> [f64; 3] {
    let (strike, _) = strand.axes();
    let down = strand.down();
    let (sin, cos) = rake_deg.to_radians().sin_cos();
    // The hanging wall goes up the dip for a rake of 90 degrees; on which side of the trace it is decides the sign.
    let up = if strand.dips_right { -sin } else { sin };
    [cos * strike.0 + up * down[0], cos * strike.1 + up * down[1], up * down[2]]
}

/// The triangle with its slip turned into its own plane, and the motion of the right side against the left one.
fn slipped(mut p: [[f64; 3]; 3], direction: [f64; 3], amount: f64, right: (f64, f64)) -> (SlipTriangle, [f64; 3]) {
    let normal = |p: &[[f64; 3]; 3]| cross(minus(p[1], p[0]), minus(p[2], p[0]));
    if normal(&p)[2] < 0.0 {
        p.swap(1, 2);
    }
    let n = normal(&p);
    let doubled = norm(n);
    let n = n.map(|v| v / doubled);
    let along_normal = dot(direction, n);
    let tangent = [0, 1, 2].map(|c| direction[c] - along_normal * n[c]);
    let length = norm(tangent);
    let jump = tangent.map(|v| amount * v / length);
    // Slip is the motion of the side that the normal points to.
    let side = if n[0] * right.0 + n[1] * right.1 >= 0.0 { 1.0 } else { -1.0 };
    let flat = n[0].hypot(n[1]);
    let s = if flat > 0.0 { [-n[1] / flat, n[0] / flat, 0.0] } else { [0.0, n[2], 0.0] };
    let d = cross(n, s);
    let slip = [side * dot(jump, s), side * dot(jump, d), 0.0];
    (SlipTriangle { vertices: p, slip, area: 0.5 * doubled }, jump)
}

fn main_strands(spec: &RuptureSpec, spacing: f64) -> Vec<Piece> {
    let length = spec.size.length;
    // Corners of the bent centre line, turned so that it starts and ends on the axis.
    let mut corners = vec![(0.0, 0.0)];
    for s in &spec.segments {
        let &(u, v) = corners.last().unwrap_or(&(0.0, 0.0));
        corners.push((u + s.length, v + s.length * s.bend_deg.to_radians().tan()));
    }
    let tilt = corners.last().map_or(0.0, |c| c.1 / length);
    let centre = |u: f64| {
        let i = corners.iter().rposition(|c| c.0 <= u).unwrap_or(0).min(corners.len() - 2);
        let ((u0, v0), (u1, v1)) = (corners[i], corners[i + 1]);
        v0 + (u - u0) / (u1 - u0) * (v1 - v0) - tilt * u
    };
    let (sin, cos) = spec.strike_deg.to_radians().sin_cos();
    let steps: Vec<f64> = spec.segments.iter().filter_map(|s| s.step).map(|s| s.offset).collect();
    // The middle of the rupture is the origin of the map.
    let mut offset = -0.5 * steps.iter().sum::<f64>();
    let (mut start, mut end, mut before, mut stepped) = (0.0, 0.0, 0.0, false);
    let mut pieces = Vec::new();
    for (k, segment) in spec.segments.iter().enumerate() {
        end += segment.length;
        if segment.step.is_none() && k + 1 < spec.segments.len() {
            continue;
        }
        let after = segment.step.map_or(0.0, |s| 0.5 * s.overlap);
        let (from, to) = (start - before, (end + after).min(length));
        let samples = ((to - from) / spacing).ceil() as usize + 1;
        let at = |i: usize| from + (to - from) * i as f64 / (samples - 1) as f64;
        let u = from - 0.5 * length;
        let mut strand = Strand {
            origin: (u * sin + offset * cos, u * cos - offset * sin),
            strike_deg: spec.strike_deg,
            length: to - from,
            width: spec.size.width,
            dip_deg: spec.dip_deg,
            dips_right: spec.dips_right,
            profile: (0..samples).map(|i| centre(at(i))).collect(),
            relief: Grid::filled(2, 2, 0.0),
        };
        strand.roughen(roughness(spec, strand.length, spacing), &mut numbered(spec.seed, Purpose::Roughness, k as u64));
        pieces.push(Piece { strand, from, steps: (stepped, segment.step.is_some()), secondary: None });
        if let Some(step) = segment.step {
            offset += step.offset;
            before = 0.5 * step.overlap;
            stepped = true;
        }
        start = end;
    }
    pieces
}

/// Roughness of a piece: shorter ones deviate less, as the Hurst exponent says.
fn roughness(spec: &RuptureSpec, length: f64, spacing: f64) -> Roughness {
    let rms = spec.roughness * spec.size.length * (length / spec.size.length).powf(spec.hurst);
    Roughness { rms, hurst: spec.hurst, relief: spec.relief, spacing }
}

/// `None` when there is no place for it clear of the others.
fn secondary_strand(
    spec: &RuptureSpec,
    secondary: &SecondarySpec,
    number: u64,
    spacing: f64,
    others: &[Piece],
) -> Option<Piece> {
    let taken = Distance::new(&others.iter().map(|p| p.strand.trace()).collect::<Vec<_>>());
    let (sin, cos) = spec.strike_deg.to_radians().sin_cos();
    // Farther out and shorter, until it is clear.
    for attempt in 0..12 {
        let length = secondary.length * 0.85f64.powi(attempt);
        let distance = secondary.distance * (1.0 + 0.2 * f64::from(attempt));
        let u = (secondary.position - 0.5) * spec.size.length;
        let middle = (u * sin + distance * cos, u * cos - distance * sin);
        let strike_deg = spec.strike_deg + secondary.angle_deg;
        let (s, c) = strike_deg.to_radians().sin_cos();
        let samples = ((length / spacing).ceil() as usize + 1).max(8);
        let mut strand = Strand {
            origin: (middle.0 - 0.5 * length * s, middle.1 - 0.5 * length * c),
            strike_deg,
            length,
            width: spec.size.width.min(0.8 * length),
            dip_deg: spec.dip_deg,
            dips_right: spec.dips_right,
            profile: vec![0.0; samples],
            relief: Grid::filled(2, 2, 0.0),
        };
        let rng = &mut numbered(spec.seed, Purpose::Roughness, 1000 + number);
        strand.roughen(roughness(spec, length, spacing), rng);
        let clear = strand.trace().iter().all(|&(e, n)| taken.at(e, n) > CLEARANCE);
        if clear && length > 4.0 * CLEARANCE {
            return Some(Piece { strand, from: 0.0, steps: (false, false), secondary: Some(*secondary) });
        }
    }
    None
}

fn minus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strand(dip_deg: f64, dips_right: bool) -> Strand {
        Strand {
            origin: (0.0, 0.0),
            strike_deg: 0.0,
            length: 1000.0,
            width: 1000.0,
            dip_deg,
            dips_right,
            profile: vec![0.0; 2],
            relief: Grid::filled(128, 64, 0.0),
        }
    }

    #[test]
    fn rake_means_what_aki_and_richards_mean() {
        for dips_right in [true, false] {
            let strand = strand(60.0, dips_right);
            let corners = [strand.point(0.0, 0.0), strand.point(500.0, 0.0), strand.point(0.0, 500.0)];
            // (rake, slip along strike, slip along dip)
            for (rake, left_lateral, reverse) in
                [(0.0, 1.0, 0.0), (90.0, 0.0, 1.0), (180.0, -1.0, 0.0), (-90.0, 0.0, -1.0)]
            {
                let (t, jump) = slipped(corners, slip_direction(&strand, rake), 2.0, strand.axes().1);
                assert!((t.slip[0] - 2.0 * left_lateral).abs() < 1e-12, "rake {rake}: {:?}", t.slip);
                assert!((t.slip[1] - 2.0 * reverse).abs() < 1e-12, "rake {rake}: {:?}", t.slip);
                // Left lateral with strike north: the right (east) side goes north.
                assert!((jump[1] - 2.0 * left_lateral).abs() < 1e-12);
                // Reverse: the hanging wall, on the side of the dip, goes up.
                let up = if dips_right { jump[2] } else { -jump[2] };
                assert!((up - 2.0 * reverse * 60f64.to_radians().sin()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn an_overhanging_facet_slips_with_its_neighbours() {
        // The same motion on two facets tilted to either side of the vertical.
        let strand = strand(90.0, true);
        let direction = slip_direction(&strand, 60.0);
        for tilt in [-30.0, 30.0] {
            let (t, jump) =
                slipped([[0.0, 0.0, 0.0], [0.0, 500.0, 0.0], [tilt, 0.0, -500.0]], direction, 1.0, strand.axes().1);
            assert!(jump[1] > 0.45 && jump[2] > 0.8, "{jump:?}");
            // A dip to the left makes the other side the hanging wall: the same motion is normal there.
            assert_eq!(t.slip[1] > 0.0, tilt > 0.0);
        }
    }
}
