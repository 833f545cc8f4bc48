//! One edge of a dislocation loop: its own axes and the constants of its formulas.

/// How an edge is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Dip below about 45 degrees.
    Gentle,
    /// Steeper, up to vertical: a form in which nothing is divided by the sine of the angle to the vertical.
    Steep,
}

/// An edge from the upper end A to the lower end B, with the Burgers vector that ends there.
///
/// Axes: 1 horizontal from A towards B, 3 down, 2 = 3 × 1.
#[derive(Debug, Clone)]
pub struct Edge {
    pub kind: Kind,
    /// Positions (east, north) of the ends, and their depths.
    pub a: [f64; 2],
    pub b: [f64; 2],
    pub depth_a: f64,
    pub depth_b: f64,
    /// Direction of axis 1 (east, north).
    pub along: [f64; 2],
    pub length: f64,
    /// Components of the edge's direction on axes 1 and 3: sine and cosine of its angle to the vertical.
    pub s: f64,
    pub c: f64,
    /// t = s / (1 + c), the tangent of half the angle, and 1 - t.
    pub t: f64,
    pub one_minus_t: f64,
    /// h = c / (1 + c).
    pub h: f64,
    /// c / s; 0 for steep edges that use it nowhere.
    pub cot: f64,
    /// Distances below this count as this: a point on the edge gets a finite value.
    pub tiny: f64,
    /// Burgers vector east, north, up; and on the edge's axes divided by 2π.
    vector: [f64; 3],
    pub burgers: [f64; 3],
}

/// Cosine of the angle to the vertical from which an edge is steep.
const STEEP: f64 = 0.7;
/// Sine below which the terms with c / s are never selected.
const NEARLY_VERTICAL: f64 = 0.05;

impl Edge {
    /// The edge between two points, the deeper one last, without slip.
    pub fn new(a: [f64; 3], b: [f64; 3]) -> Edge {
        let (dx, dy, down) = (b[0] - a[0], b[1] - a[1], a[2] - b[2]);
        let level = dx.hypot(dy);
        let length = level.hypot(down);
        let (s, c) = (level / length, down / length);
        let kind = if c < STEEP { Kind::Gentle } else { Kind::Steep };
        Edge {
            kind,
            a: [a[0], a[1]],
            b: [b[0], b[1]],
            depth_a: -a[2],
            depth_b: -b[2],
            // Any direction serves a vertical edge.
            along: if level > 0.0 { [dx / level, dy / level] } else { [1.0, 0.0] },
            length,
            s,
            c,
            t: s / (1.0 + c),
            one_minus_t: c * (1.0 + s + c) / ((1.0 + s) * (1.0 + c)),
            h: c / (1.0 + c),
            cot: if kind == Kind::Gentle || s > NEARLY_VERTICAL { c / s } else { 0.0 },
            tiny: 1e-30 * length,
            vector: [0.0; 3],
            burgers: [0.0; 3],
        }
    }

    /// Adds the slip of one more loop that this edge bounds (with the opposite sign where the loop runs from B to A).
    pub fn add(&mut self, burgers: [f64; 3]) {
        for (sum, v) in self.vector.iter_mut().zip(burgers) {
            *sum += v;
        }
        let [e, n, u] = self.vector.map(|v| v / std::f64::consts::TAU);
        let [x, y] = self.along;
        self.burgers = [e * x + n * y, e * y - n * x, -u];
    }

    /// Distance of a point of the surface.
    pub fn distance(&self, [x, y]: [f64; 2]) -> f64 {
        let (dx, dy) = (x - self.a[0], y - self.a[1]);
        let level = dx * self.along[0] + dy * self.along[1];
        let t = (level * self.s - self.depth_a * self.c).clamp(0.0, self.length);
        let across = [dx - t * self.s * self.along[0], dy - t * self.s * self.along[1]];
        across[0].hypot(across[1]).hypot(self.depth_a + t * self.c)
    }

    /// No slip ends at this edge.
    pub fn is_silent(&self) -> bool {
        self.vector == [0.0; 3]
    }
}

/// What both kinds of edges need at one point.
#[derive(Clone, Copy)]
pub struct Seen {
    /// Position of the point from A and from B along axis 1; along axis 2 (the same for both).
    pub y1: [f64; 2],
    pub y2: f64,
    /// Distances to A and B.
    pub r: [f64; 2],
    /// Component along the edge of the vectors from the point to A and B.
    pub along: [f64; 2],
    /// ln((r_B + along_B) / (r_A + along_A)): the integral of 1/r along the edge.
    pub log: f64,
    /// -M G of the module documentation, on the edge's axes.
    pub direct: [f64; 3],
}

impl Edge {
    /// Distances, the logarithm and the part that does not depend on Poisson's ratio.
    #[inline(always)]
    pub fn seen(&self, x: f64, y: f64) -> Seen {
        let (s, c) = (self.s, self.c);
        let (da, db) = ([x - self.a[0], y - self.a[1]], [x - self.b[0], y - self.b[1]]);
        let [e1, n1] = self.along;
        let y1 = [da[0] * e1 + da[1] * n1, db[0] * e1 + db[1] * n1];
        // Both ends give the same distances from the line; the nearer one gives them more exactly.
        let nearer_a = y1[0].abs() <= y1[1].abs();
        let d = [if nearer_a { da[0] } else { db[0] }, if nearer_a { da[1] } else { db[1] }];
        let y2 = d[0] * n1 - d[1] * e1;
        let z1 = if nearer_a { y1[0] * c + self.depth_a * s } else { y1[1] * c + self.depth_b * s };
        // The direct part has the same limit on both sides of a surface trace: a point on it takes that.
        let side = if y2.abs() > self.tiny { y2 } else { self.tiny };
        let square = side * side;
        let rho = square + z1 * z1;
        let distance = |y1: f64, depth: f64| (y1 * y1 + square + depth * depth).sqrt();
        let (ra, rb) = (distance(y1[0], self.depth_a), distance(y1[1], self.depth_b));
        let (sa, sb) = (self.depth_a * c - y1[0] * s, self.depth_b * c - y1[1] * s);
        // ((ra + rb + L) / (ra + rb - L)), without the difference where the point lies beside the edge.
        let sum = ra + rb + self.length;
        let sum = sum * sum;
        let beside = sa * sb < 0.0;
        let top = if beside { (ra + sa.abs()) * (rb + sb.abs()) } else { sum };
        let bottom = if beside { rho } else { 2.0 * (ra * rb + rho + sa * sb) };
        let inverse = 1.0 / (bottom * sum);
        let ratio = top * inverse * sum;
        let inverse_r = 1.0 / (ra * rb);
        // (sb / rb - sa / ra) / rho and 1 / ra - 1 / rb: the integral of r / r^3 across and along the edge.
        let across = 2.0 * self.length * (ra + rb) * inverse_r * top * inverse;
        let lengthwise = (rb - ra) * inverse_r;
        let [b1, b2, b3] = self.burgers;
        let m = b2 * z1 + side * (b3 * s - b1 * c);
        let direct =
            [m * (z1 * c * across - s * lengthwise), m * (side * across), -m * (s * z1 * across + c * lengthwise)];
        Seen { y1, y2, r: [ra, rb], along: [sa, sb], log: crate::synth::elementary::ln(ratio), direct }
    }

    /// East, north and up of a vector on the edge's axes.
    #[inline(always)]
    pub fn turn(&self, v: [f64; 3]) -> [f64; 3] {
        let [x, y] = self.along;
        [x * v[0] + y * v[1], y * v[0] - x * v[1], -v[2]]
    }
}
