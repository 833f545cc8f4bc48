//! Faults given as lines on the map with a few numbers each.

use serde::Serialize;

use super::tde::Triangle;
use crate::{Error, Result};

/// A fault whose top edge is a line on the map; lengths in metres, angles in degrees.
///
/// The fault goes down from the line in one direction, at right angles to the line from its first to its last point, to
/// the right of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultLine {
    /// East and north of the points of the top edge.
    #[serde(skip)]
    pub points: Vec<(f64, f64)>,
    /// From the horizontal on the right of the line, 1 to 179: above 90 it dips to the left.
    pub dip: f64,
    /// Depth of the top edge; at 0 the fault breaks the surface.
    pub top: f64,
    /// Extent down the dip.
    pub width: f64,
    /// Amount of slip.
    pub slip: f64,
    /// Direction of the slip of the hanging wall in the fault's plane (Aki and Richards 1980): 0 left-lateral, 90 reverse,
    /// 180 right-lateral, -90 normal. Where the line bends, the horizontal part follows it and the other goes on along the
    /// common direction of dip: the two sides slide on each other and neither open nor overlap.
    pub rake: f64,
    /// Opening across the fault.
    pub opening: f64,
    /// Distance from the two ends, from the bottom and from a buried top over which the slip rises from zero; 0: uniform
    /// slip up to the edges.
    pub taper: f64,
}

/// Growth of the rows of cells with depth, where slip tapers.
const GROWTH: f64 = 1.3;
/// No fault is divided into more cells than this.
const MOST_CELLS: usize = 100_000;

impl FaultLine {
    /// Checks the numbers. `name` begins the message, e.g. `line 3`.
    ///
    /// # Errors
    /// [`Error::Data`] with the name and the value.
    pub fn check(&self, name: &str) -> Result<()> {
        let fail = |why: String| Err(Error::Data(format!("{name}: {why}")));
        if !(1.0..=179.0).contains(&self.dip) {
            return fail(format!("dip {}: give 1 to 179 degrees, above 90 to dip to the left of the line", self.dip));
        }
        let numbers = [self.dip, self.top, self.width, self.slip, self.rake, self.opening, self.taper];
        let places = self.points.iter().flat_map(|p| [p.0, p.1]);
        if let Some(v) = numbers.into_iter().chain(places).find(|v| !v.is_finite()) {
            return fail(format!("{v} is not a usable number"));
        }
        if self.top < 0.0 {
            return fail(format!("top {}: a depth in metres is at least 0", self.top));
        }
        if self.width <= 0.0 {
            return fail(format!(
                "width {} m: the bottom must lie below the top ({} m); depths are positive",
                self.width, self.top
            ));
        }
        if self.taper < 0.0 {
            return fail(format!("taper {}: give a length of at least 0 m", self.taper));
        }
        let [first, .., last] = self.points[..] else { return fail("a line has at least two points".into()) };
        if (last.0 - first.0).hypot(last.1 - first.1) < 1e-3 {
            return fail("it ends where it begins, so the side to which it dips is not defined: cut it in two".into());
        }
        Ok(())
    }

    /// Slip along strike (left-lateral), up the dip (reverse) and across (opening).
    pub fn components(&self) -> [f64; 3] {
        let (sin, cos) = self.rake.to_radians().sin_cos();
        // Exact zeros for the four pure kinds.
        let clean = |v: f64| if v.abs() < 1e-15 { 0.0 } else { v };
        [self.slip * clean(cos), self.slip * clean(sin), self.opening]
    }

    /// The fault as triangles with upward normals, in cells of `spacing` metres at its top where slip tapers.
    pub fn triangles(&self, spacing: f64) -> Vec<Triangle> {
        let (columns, along) = self.columns(spacing);
        let rows = self.rows(spacing, columns.len());
        let length = along.last().copied().unwrap_or(0.0);
        let down = self.down();
        let point = |k: usize, w: f64| {
            let (x, y) = columns[k];
            // Rounding must not lift the top above the ground.
            [x + w * down[0], y + w * down[1], (w * down[2] - self.top).min(0.0)]
        };
        let [strike_slip, dip_slip, opening] = self.components();
        let side = if self.dip <= 90.0 { 1.0 } else { -1.0 };
        let mut triangles = Vec::with_capacity(2 * (columns.len() - 1) * rows.len());
        for pair in rows.windows(2) {
            let (w0, w1) = (pair[0], pair[1]);
            for k in 0..columns.len() - 1 {
                let [a, b, c, d] = [point(k, w0), point(k + 1, w0), point(k + 1, w1), point(k, w1)];
                let share = self.taper_at(0.5 * (along[k] + along[k + 1]), length, 0.5 * (w0 + w1));
                // The common direction up the dip on the element's own axes.
                let turned =
                    -side * (down[0] * (b[0] - a[0]) + down[1] * (b[1] - a[1])) / (b[0] - a[0]).hypot(b[1] - a[1]);
                let own =
                    [strike_slip + dip_slip * turned, dip_slip * (1.0 - turned * turned).max(0.0).sqrt(), opening];
                let slip = own.map(|s| s * share);
                // To the left the other order has the upward normal.
                let halves = if self.dip <= 90.0 { [[a, d, b], [b, d, c]] } else { [[a, b, d], [b, c, d]] };
                triangles.extend(halves.map(|vertices| Triangle { vertices, slip }));
            }
        }
        triangles
    }

    /// Unit vector down the dip: east, north, up.
    fn down(&self) -> [f64; 3] {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        let (e, n) = (last.0 - first.0, last.1 - first.1);
        let length = e.hypot(n);
        let (sin, cos) = match self.dip {
            90.0 => (1.0, 0.0),
            dip => dip.to_radians().sin_cos(),
        };
        [cos * n / length, -cos * e / length, -sin]
    }

    /// Points of the top edge and their positions along it: those of the line, and where slip tapers others between.
    fn columns(&self, spacing: f64) -> (Vec<(f64, f64)>, Vec<f64>) {
        let (mut columns, mut along) = (vec![self.points[0]], vec![0.0]);
        for pair in self.points.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            let length = dx.hypot(dy);
            if length < 1e-6 {
                continue;
            }
            let parts = if self.taper > 0.0 { (length / spacing).ceil().clamp(1.0, 1e4) as usize } else { 1 };
            let start = along[along.len() - 1];
            for i in 1..=parts {
                let t = i as f64 / parts as f64;
                columns.push(if i == parts { b } else { (a.0 + t * dx, a.1 + t * dy) });
                along.push(start + t * length);
            }
        }
        (columns, along)
    }

    /// Distances down the dip of the rows of cells: one row, or where slip tapers rows that grow with depth.
    fn rows(&self, spacing: f64, columns: usize) -> Vec<f64> {
        if self.taper == 0.0 {
            return vec![0.0, self.width];
        }
        let most = (MOST_CELLS / columns.max(1)).clamp(8, 60);
        let largest = self.width / 12.0;
        let mut heights = vec![spacing.min(largest)];
        while heights.iter().sum::<f64>() < self.width && heights.len() < most {
            heights.push((heights[heights.len() - 1] * GROWTH).min(largest));
        }
        let scale = self.width / heights.iter().sum::<f64>();
        let mut rows = vec![0.0];
        rows.extend(heights.iter().scan(0.0, |w, h| {
            *w += h * scale;
            Some(*w)
        }));
        // The bottom exactly.
        if let Some(last) = rows.last_mut() {
            *last = self.width;
        }
        rows
    }

    /// Share of the slip at a place on the fault.
    fn taper_at(&self, along: f64, length: f64, down: f64) -> f64 {
        if self.taper == 0.0 {
            return 1.0;
        }
        let rise = |distance: f64| (std::f64::consts::FRAC_PI_2 * (distance / self.taper).clamp(0.0, 1.0)).sin();
        let top = if self.top > 0.0 { rise(down) } else { 1.0 };
        rise(along) * rise(length - along) * rise(self.width - down) * top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::okada::{self, Rectangle};
    use crate::synth::tde;

    fn line(dip: f64, rake: f64) -> FaultLine {
        FaultLine {
            points: vec![(0.0, -4e3), (0.0, 4e3)],
            dip,
            top: 500.0,
            width: 6e3,
            slip: 2.0,
            rake,
            opening: 0.3,
            taper: 0.0,
        }
    }

    fn moved(f: &FaultLine) -> Vec<[f64; 3]> {
        let obs = [[700.0, 300.0], [-2e3, 1e3], [3e3, -5e3]];
        let mut out = vec![[0.0; 3]; 3];
        tde::surface(&f.triangles(100.0), 0.25, &obs, &mut out).unwrap();
        out
    }

    #[test]
    fn a_straight_line_is_a_rectangle() {
        for (dip, rake) in [(90.0, 0.0), (60.0, 90.0), (35.0, -130.0), (120.0, 40.0)] {
            let f = line(dip, rake);
            // Dipping to the left is the same as drawn the other way round and dipping to the right.
            let (strike, dip) = if dip > 90.0 { (180.0, 180.0 - dip) } else { (0.0, dip) };
            let slip = f.components();
            let rectangle =
                Rectangle { x: 0.0, y: 0.0, top_depth: f.top, strike, dip, length: 8e3, width: f.width, slip };
            let obs = [[700.0, 300.0], [-2e3, 1e3], [3e3, -5e3]];
            let mut expected = vec![[0.0; 3]; 3];
            okada::surface(&[rectangle], 0.25, &obs, &mut expected).unwrap();
            for (a, b) in moved(&f).iter().zip(&expected) {
                assert!((0..3).all(|i| (a[i] - b[i]).abs() < 1e-11), "dip {dip}: {a:?} {b:?}");
            }
        }
        assert_eq!(line(90.0, 180.0).components(), [-2.0, 0.0, 0.3]);
        assert_eq!(line(90.0, 90.0).components(), [0.0, 2.0, 0.3]);
    }

    #[test]
    fn along_a_bent_line_the_reverse_slip_keeps_its_direction() {
        for (dip, sign) in [(40.0, 1.0), (140.0, -1.0)] {
            let points = vec![(0.0, -4e3), (900.0, 0.0), (0.0, 4e3)];
            let f = FaultLine { points, opening: 0.0, slip: 1.0, ..line(dip, 90.0) };
            let (sin, cos) = 40f64.to_radians().sin_cos();
            for t in f.triangles(100.0) {
                let [p, q, r] = t.vertices;
                let (u, v) = ([0, 1, 2].map(|i| q[i] - p[i]), [0, 1, 2].map(|i| r[i] - p[i]));
                let n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
                let level = n[0].hypot(n[1]);
                let all = level.hypot(n[2]);
                let n = n.map(|v| v / all);
                let s = [-n[1] / (level / all), n[0] / (level / all), 0.0];
                let d = [n[1] * s[2] - n[2] * s[1], n[2] * s[0] - n[0] * s[2], n[0] * s[1] - n[1] * s[0]];
                let b = [0, 1, 2].map(|i| t.slip[0] * s[i] + t.slip[1] * d[i]);
                let want = [-cos * sign, 0.0, sin];
                assert!(n[2] > 0.0 && (0..3).all(|i| (b[i] - want[i]).abs() < 1e-12), "{b:?} {want:?}");
            }
        }
    }

    #[test]
    fn the_taper_takes_the_slip_to_zero_at_the_edges_and_nothing_else() {
        let f = FaultLine { taper: 2e3, ..line(70.0, 0.0) };
        let triangles = f.triangles(100.0);
        let slips: Vec<f64> = triangles.iter().map(|t| t.slip[0]).collect();
        let largest = slips.iter().copied().fold(0.0, f64::max);
        assert!((largest - 2.0).abs() < 0.02 && slips.iter().all(|s| *s >= 0.0));
        for t in &triangles {
            let deepest = t.vertices.iter().map(|v| -v[2]).fold(0.0, f64::max);
            let bottom = f.top + f.width * f.dip.to_radians().sin();
            if t.vertices.iter().any(|v| v[1].abs() > 3999.0) {
                assert!(t.slip[0] < 0.1);
            }
            assert!(deepest <= bottom + 1e-6);
        }
    }

    #[test]
    fn bad_numbers_are_named() {
        let good = line(60.0, 0.0);
        good.check("line 1").unwrap();
        let message = |f: FaultLine| f.check("line 7").unwrap_err().to_string();
        assert!(message(FaultLine { dip: 0.0, ..good.clone() }).contains("line 7: dip 0"));
        assert!(message(FaultLine { top: -5.0, ..good.clone() }).contains("top -5"));
        assert!(message(FaultLine { width: -1.0, ..good.clone() }).contains("width -1"));
        assert!(message(FaultLine { slip: f64::NAN, ..good.clone() }).contains("NaN"));
        let closed = vec![(0.0, 0.0), (5.0, 5.0), (0.0, 0.0)];
        assert!(message(FaultLine { points: closed, ..good }).contains("cut it in two"));
    }
}
