//! Lines across which a displacement jumps: which side of them a point lies on, and how large the jump is there.

use super::trace::Distance;

/// A line and the jump of some quantity across it, `N` numbers a point: value on the right minus value on the left, seen
/// in the direction of the line.
#[derive(Debug, Clone, PartialEq)]
pub struct JumpLine<const N: usize> {
    pub points: Vec<(f64, f64)>,
    /// One for each point; zero at both ends.
    pub jump: Vec<[f64; N]>,
}

/// The point of a line that is nearest to some position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foot<const N: usize> {
    /// Which line.
    pub line: usize,
    /// Distance, positive on the right.
    pub across: f64,
    /// Jump at that point.
    pub jump: [f64; N],
}

/// Lines with an index for finding the nearest.
#[derive(Debug, Clone)]
pub struct JumpLines<const N: usize> {
    lines: Vec<JumpLine<N>>,
    /// Number of the first segment of each line.
    first: Vec<usize>,
    distance: Distance,
    /// Sign of the right-hand side: +1 where y points down (images), -1 where it points up (maps).
    right: f64,
}

impl<const N: usize> JumpLines<N> {
    /// Lines in image coordinates (x to the right, y down) when `y_down`, else in map coordinates. Lines of fewer than two
    /// points are left out.
    pub fn new(lines: Vec<JumpLine<N>>, y_down: bool) -> JumpLines<N> {
        let lines: Vec<JumpLine<N>> = lines.into_iter().filter(|l| l.points.len() >= 2).collect();
        let mut first = Vec::with_capacity(lines.len());
        let mut count = 0;
        for line in &lines {
            first.push(count);
            count += line.points.len() - 1;
        }
        let points: Vec<Vec<(f64, f64)>> = lines.iter().map(|l| l.points.clone()).collect();
        JumpLines { lines, first, distance: Distance::new(&points), right: if y_down { 1.0 } else { -1.0 } }
    }

    pub fn lines(&self) -> &[JumpLine<N>] {
        &self.lines
    }

    /// The nearest point of the lines within `bound`.
    pub fn foot(&self, x: f64, y: f64, bound: f64) -> Option<Foot<N>> {
        let (segment, distance) = self.distance.nearest(x, y, bound)?;
        let line = self.first.partition_point(|&f| f <= segment) - 1;
        let (points, k) = (&self.lines[line].points, segment - self.first[line]);
        let (p, q) = (points[k], points[k + 1]);
        let (ux, uy) = (q.0 - p.0, q.1 - p.1);
        let t = ((x - p.0) * ux + (y - p.1) * uy) / (ux * ux + uy * uy).max(f64::MIN_POSITIVE);
        // Nearest to a corner: the side is that of the bisector (Baerentzen and Aanaes 2005, IEEE TVCG 11).
        let (nx, ny) = if t <= 0.0 && k > 0 {
            bisector(points[k - 1], p, q)
        } else if t >= 1.0 && k + 2 < points.len() {
            bisector(p, q, points[k + 2])
        } else {
            (-uy, ux)
        };
        let t = t.clamp(0.0, 1.0);
        let foot = (p.0 + t * ux, p.1 + t * uy);
        // Beyond the ends the line goes on straight.
        let side = self.right * ((x - foot.0) * nx + (y - foot.1) * ny);
        let jump = &self.lines[line].jump;
        let jump = std::array::from_fn(|c| jump[k][c] + t * (jump[k + 1][c] - jump[k][c]));
        Some(Foot { line, across: if side >= 0.0 { distance } else { -distance }, jump })
    }

    /// Largest length of the jump.
    pub fn largest(&self) -> f64 {
        let length = |j: &[f64; N]| j.iter().map(|v| v * v).sum::<f64>().sqrt();
        self.lines.iter().flat_map(|l| &l.jump).map(length).fold(0.0, f64::max)
    }
}

/// Sum of the unit normals of two segments that meet in `b`.
fn bisector(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> (f64, f64) {
    let normal = |p: (f64, f64), q: (f64, f64)| {
        let length = (q.0 - p.0).hypot(q.1 - p.1).max(f64::MIN_POSITIVE);
        (-(q.1 - p.1) / length, (q.0 - p.0) / length)
    };
    let (m, n) = (normal(a, b), normal(b, c));
    (m.0 + n.0, m.1 + n.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_jumps_of_a_zigzag() {
        // Downwards in an image: the right-hand side is the left of the picture.
        let points: Vec<(f64, f64)> = (0..20).map(|i| (if i % 2 == 0 { 0.0 } else { 0.8 }, f64::from(i))).collect();
        let jump = (0..20).map(|i| [f64::from(i)]).collect();
        let lines = JumpLines::new(vec![JumpLine { points: points.clone(), jump }], true);
        for y in 1..180 {
            let y = f64::from(y) * 0.1;
            let (i, t) = (y as usize, y.fract());
            let line = points[i].0 * (1.0 - t) + points[i + 1].0 * t;
            for offset in [-2.0, -0.3, -0.01, 0.01, 0.3, 2.0] {
                let foot = lines.foot(line + offset, y, 10.0).unwrap();
                assert_eq!(foot.across > 0.0, offset < 0.0, "at {y}, {offset}: {foot:?}");
                assert!((foot.jump[0] - y).abs() < 1.5);
            }
        }
        assert!(lines.foot(50.0, 5.0, 10.0).is_none());
        assert_eq!(lines.largest(), 19.0);
        // On a map, where y points up, the same line has its right-hand side on the other side.
        let map = JumpLines::new(lines.lines().to_vec(), false);
        assert!(map.foot(5.0, 5.5, 10.0).unwrap().across > 0.0);
    }
}
