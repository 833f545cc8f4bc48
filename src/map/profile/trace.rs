//! The fault trace: lines joined end to end, positions along them, and the swaths across them.

/// A polyline with its arc length.
#[derive(Debug, Clone)]
pub struct Strand {
    pub points: Vec<(f64, f64)>,
    /// Distance from the start to each point.
    along: Vec<f64>,
}

impl Strand {
    pub fn new(points: Vec<(f64, f64)>) -> Strand {
        let mut along = vec![0.0];
        for p in points.windows(2) {
            let before = along[along.len() - 1];
            along.push(before + (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1));
        }
        Strand { points, along }
    }

    pub fn length(&self) -> f64 {
        self.along[self.along.len() - 1]
    }

    /// Position at a distance from the start.
    pub fn at(&self, s: f64) -> (f64, f64) {
        let s = s.clamp(0.0, self.length());
        let k = self.along.partition_point(|a| *a < s).clamp(1, self.points.len() - 1);
        let (a, b) = (self.along[k - 1], self.along[k]);
        let t = if b > a { (s - a) / (b - a) } else { 0.0 };
        let (p, q) = (self.points[k - 1], self.points[k]);
        (p.0 + t * (q.0 - p.0), p.1 + t * (q.1 - p.1))
    }

    /// The points from `from` to `to`, ends interpolated.
    fn part(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let mut out = vec![self.at(from)];
        let inner = self.points.iter().zip(&self.along).filter(|(_, a)| **a > from && **a < to);
        out.extend(inner.map(|(p, _)| *p));
        out.push(self.at(to));
        out
    }

    /// Swaths `width` wide every `spacing` along the strand, the first and last half a spacing from its ends or more;
    /// one in the middle of a strand that is shorter. Each swath's direction is that of the straight line that fits the
    /// trace within it.
    pub fn swaths(&self, spacing: f64, width: f64, strand: usize) -> Vec<Swath> {
        let n = ((self.length() / spacing).floor() as usize).max(1);
        let first = (self.length() - (n - 1) as f64 * spacing) / 2.0;
        let swath = |k: usize| {
            let s = first + k as f64 * spacing;
            // A little more than the swath, so that a rough trace reaches its edges.
            let line = self.part(s - 0.5 * width, s + 0.5 * width);
            let along = principal(&line);
            let origin = self.at(s);
            let mut swath =
                Swath { strand, along: s, origin, tangent: along, half_width: 0.5 * width, line: Vec::new() };
            let wide = self.part(s - width, s + width);
            swath.line = wide.iter().map(|p| swath.local(*p)).collect();
            swath
        };
        (0..n).map(swath).collect()
    }
}

/// Unit direction of the line that fits a polyline best, weighted by length, pointing from its start to its end.
fn principal(line: &[(f64, f64)]) -> (f64, f64) {
    let (mut total, mut mean) = (0.0, (0.0, 0.0));
    for p in line.windows(2) {
        let length = (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1);
        total += length;
        mean.0 += length * 0.5 * (p[0].0 + p[1].0);
        mean.1 += length * 0.5 * (p[0].1 + p[1].1);
    }
    mean = (mean.0 / total, mean.1 / total);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for p in line.windows(2) {
        let length = (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1);
        // Moments of a straight piece about the mean: its ends and its middle (Simpson's rule is exact).
        for (q, share) in [(p[0], 1.0), (p[1], 1.0), ((0.5 * (p[0].0 + p[1].0), 0.5 * (p[0].1 + p[1].1)), 4.0)] {
            let (x, y, w) = (q.0 - mean.0, q.1 - mean.1, length * share / 6.0);
            xx += w * x * x;
            xy += w * x * y;
            yy += w * y * y;
        }
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let (mut c, mut s) = (angle.cos(), angle.sin());
    let (a, b) = (line[0], line[line.len() - 1]);
    if c * (b.0 - a.0) + s * (b.1 - a.1) < 0.0 {
        (c, s) = (-c, -s);
    }
    (c, s)
}

/// A rectangle across the fault with axes of its own: `a` along strike, `d` across, positive to the right of the
/// direction in which the trace is drawn.
#[derive(Debug, Clone)]
pub struct Swath {
    pub strand: usize,
    /// Distance of the origin from the strand's start.
    pub along: f64,
    pub origin: (f64, f64),
    /// Unit vector along strike.
    pub tangent: (f64, f64),
    pub half_width: f64,
    /// The trace in local coordinates (a, d), beyond the swath's edges.
    line: Vec<(f64, f64)>,
}

impl Swath {
    /// Unit vector across, to the right of the trace.
    pub fn normal(&self) -> (f64, f64) {
        (self.tangent.1, -self.tangent.0)
    }

    /// Degrees clockwise from up.
    pub fn strike(&self) -> f64 {
        self.tangent.0.atan2(self.tangent.1).to_degrees().rem_euclid(360.0)
    }

    /// (a, d) of a place.
    fn local(&self, p: (f64, f64)) -> (f64, f64) {
        let (x, y) = (p.0 - self.origin.0, p.1 - self.origin.1);
        let n = self.normal();
        (x * self.tangent.0 + y * self.tangent.1, x * n.0 + y * n.1)
    }

    /// The place of (a, d).
    pub fn global(&self, a: f64, d: f64) -> (f64, f64) {
        let n = self.normal();
        (self.origin.0 + a * self.tangent.0 + d * n.0, self.origin.1 + a * self.tangent.1 + d * n.1)
    }

    /// Largest distance of the trace from the swath's axis.
    pub fn bend(&self) -> f64 {
        self.line.iter().fold(0.0, |m, p| m.max(p.1.abs()))
    }

    /// Distance of the trace from the swath's axis at a position along strike; `None` beyond the trace's end.
    pub fn trace_at(&self, a: f64) -> Option<f64> {
        // Where the trace folds back over itself the crossing next to the swath's axis counts.
        let crossing = |s: &[(f64, f64)]| {
            let (p, q) = (s[0], s[1]);
            if (p.0 - a) * (q.0 - a) > 0.0 || p.0 == q.0 {
                return None;
            }
            Some(p.1 + (a - p.0) / (q.0 - p.0) * (q.1 - p.1))
        };
        self.line.windows(2).filter_map(crossing).min_by(|x, y| x.abs().total_cmp(&y.abs()))
    }

    /// Position along strike of a place, and its distance across from the trace itself (positive on the right);
    /// `None` beside the swath, farther than `reach` or beyond the trace's end.
    pub fn distance(&self, p: (f64, f64), reach: f64) -> Option<(f64, f64)> {
        let (a, d) = self.local(p);
        if a.abs() > self.half_width {
            return None;
        }
        let trace = self.trace_at(a)?;
        let distance = d - trace;
        (distance.abs() <= reach).then_some((a, distance))
    }
}

/// Joins lines whose ends touch (closer than `tolerance`), so that a trace in pieces is one strand; lines are turned
/// where needed. Longest strand first.
pub fn join(lines: Vec<Vec<(f64, f64)>>, tolerance: f64) -> Vec<Strand> {
    let mut left: Vec<Vec<(f64, f64)>> = lines.into_iter().map(without_repeats).filter(|l| l.len() > 1).collect();
    let tips: Vec<(f64, f64)> = left.iter().flat_map(|l| [l[0], l[l.len() - 1]]).collect();
    let mut strands = Vec::new();
    let near = |p: (f64, f64), q: (f64, f64)| (p.0 - q.0).hypot(p.1 - q.1) <= tolerance;
    while !left.is_empty() {
        let mut line = left.remove(0);
        // An end where more than two lines meet is a branch and stays open.
        while let Some((k, turned, behind)) = {
            let (head, tail) = (line[0], line[line.len() - 1]);
            let ends = |at: (f64, f64)| {
                let hits = left.iter().enumerate().flat_map(|(k, l)| [(k, false, l[0]), (k, true, l[l.len() - 1])]);
                let hits: Vec<_> = hits.filter(|h| near(h.2, at)).map(|h| (h.0, h.1)).collect();
                let meeting = tips.iter().filter(|t| near(**t, at)).count();
                if meeting == 2 { hits.first().copied() } else { None }
            };
            ends(tail)
                .map(|(k, turned)| (k, turned, true))
                .or_else(|| ends(head).map(|(k, turned)| (k, !turned, false)))
        } {
            let mut other = left.remove(k);
            if turned {
                other.reverse();
            }
            if behind {
                line.extend(other);
            } else {
                other.extend(line);
                line = other;
            }
        }
        strands.push(Strand::new(without_repeats(line)));
    }
    strands.sort_by(|a, b| b.length().total_cmp(&a.length()));
    strands
}

fn without_repeats(mut line: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    line.dedup();
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_strand_and_branches_do_not() {
        let strands = join(
            vec![vec![(10.0, 0.0), (20.0, 0.0)], vec![(10.0, 0.0), (0.0, 0.0)], vec![(30.0, 5.0), (20.0, 0.0)]],
            0.01,
        );
        assert_eq!(strands.len(), 1);
        assert!((strands[0].length() - (20.0 + 125f64.sqrt())).abs() < 1e-12);
        let star = |x: f64, y: f64| vec![(0.0, 0.0), (x, y)];
        assert_eq!(join(vec![star(1.0, 0.0), star(0.0, 1.0), star(-2.0, 0.0)], 0.01).len(), 3);
    }

    #[test]
    fn right_is_right_and_distances_count_from_the_trace_itself() {
        // A trace to the north with a bump of 1 to the east in the middle.
        let strand = Strand::new(vec![(0.0, 0.0), (0.0, 40.0), (1.0, 50.0), (0.0, 60.0), (0.0, 100.0)]);
        let swaths = strand.swaths(100.0, 80.0, 0);
        assert_eq!(swaths.len(), 1);
        let s = &swaths[0];
        assert!(s.strike() < 0.5 || s.strike() > 359.5);
        let (_, east) = s.distance((6.0, 50.0), 50.0).unwrap();
        let (a, west) = s.distance((-6.0, 20.0), 50.0).unwrap();
        assert!((east - 5.0).abs() < 0.05 && (west + 6.0).abs() < 0.05 && (a + 30.0).abs() < 0.5, "{east} {west} {a}");
        assert!(s.distance((0.0, 95.0), 50.0).is_none() && s.distance((60.0, 50.0), 50.0).is_none());
        let back = s.global(s.local((3.0, 4.0)).0, s.local((3.0, 4.0)).1);
        assert!((back.0 - 3.0).abs() < 1e-9 && (back.1 - 4.0).abs() < 1e-9);
    }
}
