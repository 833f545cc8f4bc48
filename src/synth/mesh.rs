//! Triangles for a fault surface, small at the ground and near the image, large elsewhere.

use spade::{AngleLimit, ConstrainedDelaunayTriangulation, HasPosition, Point2, RefinementParameters, Triangulation};

use crate::{Error, Result};

/// How finely a fault is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeshSize {
    /// Length of the edges at the surface within the focus, metres.
    pub finest: f64,
    /// How much longer edges become per metre of distance from the surface and from the focus.
    pub growth: f64,
}

/// Triangles of a rectangle of positions (along, down).
#[derive(Debug, Clone, Default)]
pub struct Mesh {
    pub points: Vec<(f64, f64)>,
    /// Corners as indices into `points`, counter-clockwise in the (along, down) plane.
    pub triangles: Vec<[usize; 3]>,
    /// The points at the surface in the order along strike.
    pub top: Vec<usize>,
}

/// Smallest angle asked of the triangles, degrees.
const ANGLE: f64 = 28.0;

#[derive(Clone, Copy)]
struct Corner(f64, f64);

impl HasPosition for Corner {
    type Scalar = f64;
    fn position(&self) -> Point2<f64> {
        Point2::new(self.0, self.1)
    }
}

impl From<Point2<f64>> for Corner {
    fn from(p: Point2<f64>) -> Self {
        Corner(p.x, p.y)
    }
}

/// Divides the rectangle 0..length × 0..width. `focus`: the part of the strike that needs the finest edges.
///
/// Only the outline is given points of the wanted spacing; the refinement of the inside to a least angle of 28 degrees
/// grades the triangles between them (Ruppert 1995, J. Algorithms 18).
///
/// # Errors
/// [`Error::Internal`] when the triangulation fails.
pub fn rectangle(length: f64, width: f64, size: MeshSize, focus: (f64, f64)) -> Result<Mesh> {
    let coarsest = (width / 6.0).max(size.finest);
    let away = |s: f64| (focus.0 - s).max(s - focus.1).max(0.0);
    let edge = |s: f64, w: f64| (size.finest + size.growth * away(s).hypot(w)).min(coarsest);
    let top = graded(length, |s| edge(s, 0.0));
    let bottom = graded(length, |s| edge(s, width));
    let left = graded(width, |w| edge(0.0, w));
    let right = graded(width, |w| edge(length, w));

    let mut outline: Vec<Point2<f64>> = top.iter().map(|&s| Point2::new(s, 0.0)).collect();
    outline.extend(right[1..].iter().map(|&w| Point2::new(length, w)));
    outline.extend(bottom.iter().rev().skip(1).map(|&s| Point2::new(s, width)));
    outline.extend(left.iter().rev().skip(1).take(left.len() - 2).map(|&w| Point2::new(0.0, w)));
    let fail = |e: spade::InsertionError| Error::Internal(format!("fault mesh: {e:?}"));
    let mut cdt = ConstrainedDelaunayTriangulation::<Corner>::new();
    let handles =
        outline.iter().map(|&p| cdt.insert(p.into())).collect::<std::result::Result<Vec<_>, _>>().map_err(fail)?;
    for (i, from) in handles.iter().enumerate() {
        cdt.add_constraint(*from, handles[(i + 1) % handles.len()]);
    }
    let limit = RefinementParameters::<f64>::new()
        .exclude_outer_faces(true)
        .with_angle_limit(AngleLimit::from_deg(ANGLE))
        .with_max_additional_vertices(40 * outline.len());
    let excluded: std::collections::BTreeSet<usize> = {
        let result = cdt.refine(limit);
        if !result.refinement_complete {
            return Err(Error::Internal("fault mesh: the refinement did not end".into()));
        }
        result.excluded_faces.iter().map(|f| f.index()).collect()
    };
    let points: Vec<(f64, f64)> = cdt.vertices().map(|v| (v.position().x, v.position().y)).collect();
    let mut triangles = Vec::new();
    for face in cdt.inner_faces() {
        let corners = face.vertices().map(|v| v.fix().index());
        let area = twice_area(corners.map(|i| points[i]));
        if !excluded.contains(&face.fix().index()) && area > 1e-9 * width * length / points.len() as f64 {
            triangles.push(corners);
        }
    }
    let mut top: Vec<usize> = (0..points.len()).filter(|&i| points[i].1 == 0.0).collect();
    top.sort_by(|&a, &b| points[a].0.total_cmp(&points[b].0));
    Ok(Mesh { points, triangles, top })
}

fn twice_area([a, b, c]: [(f64, f64); 3]) -> f64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

/// Points from 0 to `length` whose spacing follows `edge`.
fn graded(length: f64, edge: impl Fn(f64) -> f64) -> Vec<f64> {
    // Number of edges from the start, integrated in steps shorter than any edge.
    let smallest = (0..=200).map(|i| edge(length * f64::from(i) / 200.0)).fold(f64::INFINITY, f64::min);
    let steps = ((4.0 * length / smallest).ceil() as usize).clamp(200, 400_000);
    let step = length / steps as f64;
    let mut count = Vec::with_capacity(steps + 1);
    count.push(0.0);
    for i in 0..steps {
        count.push(count[i] + step / edge((i as f64 + 0.5) * step));
    }
    let edges = (count[steps].round() as usize).max(2);
    let per_edge = count[steps] / edges as f64;
    let mut points = vec![0.0];
    let mut i = 0;
    for k in 1..edges {
        let want = k as f64 * per_edge;
        while count[i + 1] < want {
            i += 1;
        }
        points.push((i as f64 + (want - count[i]) / (count[i + 1] - count[i])) * step);
    }
    points.push(length);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_the_rectangle_with_good_triangles() {
        for (length, width, finest) in [(15e3, 12e3, 30.0), (30e3, 15e3, 100.0), (2e3, 9e3, 50.0)] {
            let mesh = rectangle(length, width, MeshSize { finest, growth: 0.2 }, (0.0, length)).unwrap();
            let corner = |t: &[usize; 3]| t.map(|i| mesh.points[i]);
            let area: f64 = mesh.triangles.iter().map(|t| 0.5 * twice_area(corner(t))).sum();
            assert!((area / (length * width) - 1.0).abs() < 1e-12, "{area}");
            let mut smallest = 180f64;
            for t in &mesh.triangles {
                let p = corner(t);
                for k in 0..3 {
                    let (a, b, c) = (p[k], p[(k + 1) % 3], p[(k + 2) % 3]);
                    let (u, v) = ((b.0 - a.0, b.1 - a.1), (c.0 - a.0, c.1 - a.1));
                    let angle = (u.0 * v.1 - u.1 * v.0).atan2(u.0 * v.0 + u.1 * v.1).to_degrees();
                    smallest = smallest.min(angle);
                }
            }
            assert!(smallest > 27.9, "angle {smallest}");
            let longest = mesh.top.windows(2).map(|w| mesh.points[w[1]].0 - mesh.points[w[0]].0).fold(0.0, f64::max);
            assert!(longest < 1.02 * finest, "top edge {longest}");
        }
    }

    #[test]
    fn a_focus_saves_triangles() {
        let size = MeshSize { finest: 30.0, growth: 0.2 };
        let all = rectangle(60e3, 12e3, size, (0.0, 60e3)).unwrap();
        let part = rectangle(60e3, 12e3, size, (20e3, 32e3)).unwrap();
        assert!(part.triangles.len() * 2 < all.triangles.len(), "{} of {}", part.triangles.len(), all.triangles.len());
        let fine = part.top.windows(2).map(|w| (part.points[w[0]].0, part.points[w[1]].0));
        assert!(fine.filter(|p| p.0 > 20e3 && p.1 < 32e3).all(|p| p.1 - p.0 < 1.05 * 30.0));
    }
}
