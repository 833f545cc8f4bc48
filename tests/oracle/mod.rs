//! Okada (1985), Bull. Seismol. Soc. Am. 75:1135, eqs 25 to 30, written out term by term: independent of the sums over
//! edges that the library uses. It loses digits as 1 / cos^2 of the dip near vertical.
#![allow(dead_code)]

use shiftmap::synth::okada::Rectangle;

/// A rectangle in Okada's own axes: x along strike, y towards up dip, origin above the lower left corner.
pub struct Frame {
    pub sin: f64,
    pub cos: f64,
    pub depth: f64,
    pub length: f64,
    pub width: f64,
    pub slip: [f64; 3],
}

/// Displacement (east, north, up) at `obs` of one rectangle.
pub fn okada1985(f: &Rectangle, poisson: f64, obs: &[[f64; 2]]) -> Vec<[f64; 3]> {
    let (s, c) = f.strike.to_radians().sin_cos();
    let (sin, cos) = if f.dip == 90.0 { (1.0, 0.0) } else { f.dip.to_radians().sin_cos() };
    let depth = f.top_depth + f.width * sin;
    let frame = Frame { sin, cos, depth, length: f.length, width: f.width, slip: f.slip };
    obs.iter()
        .map(|o| {
            let (e, n) = (o[0] - f.x, o[1] - f.y);
            let [u, v, up] = frame.local(e * s + n * c + f.length / 2.0, n * s - e * c + f.width * cos, poisson);
            [u * s - v * c, u * c + v * s, up]
        })
        .collect()
}

impl Frame {
    /// Displacement along Okada's axes.
    pub fn local(&self, x: f64, y: f64, poisson: f64) -> [f64; 3] {
        let (sin, cos) = (self.sin, self.cos);
        let p = y * cos + self.depth * sin;
        let q = y * sin - self.depth * cos;
        let k = 1.0 - 2.0 * poisson;
        let corners = [
            (1.0, x, p),
            (-1.0, x, p - self.width),
            (-1.0, x - self.length, p),
            (1.0, x - self.length, p - self.width),
        ];
        let mut u = [0.0; 3];
        for (sign, xi, eta) in corners {
            let f = self.corner(xi, eta, q, k);
            (0..3).for_each(|i| u[i] += sign * f[i]);
        }
        u.map(|v| v / std::f64::consts::TAU)
    }

    /// One of the four terms of Chinnery's notation, all three kinds of slip together.
    fn corner(&self, xi: f64, eta: f64, q: f64, k: f64) -> [f64; 3] {
        let (sin, cos) = (self.sin, self.cos);
        let x_square = xi * xi + q * q;
        let r = (x_square + eta * eta).sqrt();
        let big_x = x_square.sqrt();
        let (yt, dt) = (eta * cos + q * sin, eta * sin - q * cos);
        let rd = r + dt;
        let r_eta = if eta > 0.0 { r + eta } else { x_square / (r - eta) };
        let r_xi = if xi > 0.0 { r + xi } else { (eta * eta + q * q) / (r - xi) };
        let inverse = |v: f64| if v > 0.0 { 1.0 / v } else { 0.0 };
        let (i_eta, i_xi) = (inverse(r_eta), inverse(r_xi));
        let ln_eta = if r_eta > 0.0 { r_eta.ln() } else { -(r - eta).max(f64::MIN_POSITIVE).ln() };
        let angle = if q == 0.0 { 0.0 } else { (xi * eta / (q * r)).atan() };
        let ir = inverse(r);
        let rd = rd.max(f64::MIN_POSITIVE);
        let (i1, i2, i3, i4, i5);
        if cos.abs() >= 1e-6 {
            i5 = if xi == 0.0 {
                0.0
            } else {
                let top = eta * (big_x + q * cos) + big_x * (r + big_x) * sin;
                2.0 * k / cos * (top / (xi * (r + big_x) * cos)).atan()
            };
            i4 = k / cos * (rd.ln() - sin * ln_eta);
            i3 = k * (yt / (cos * rd) - ln_eta) + sin / cos * i4;
            i1 = -k * xi / (cos * rd) - sin / cos * i5;
        } else {
            i5 = -k * xi * sin / rd;
            i4 = -k * q / rd;
            i3 = 0.5 * k * (eta / rd + yt * q / (rd * rd) - ln_eta);
            i1 = -0.5 * k * xi * q / (rd * rd);
        }
        i2 = -k * ln_eta - i3;
        let (re, rx) = (ir * i_eta, ir * i_xi);
        let strike = [
            -(xi * q * re + angle + i1 * sin),
            -(yt * q * re + q * cos * i_eta + i2 * sin),
            -(dt * q * re + q * sin * i_eta + i4 * sin),
        ];
        let dip = [
            -(q * ir - i3 * sin * cos),
            -(yt * q * rx + cos * angle - i1 * sin * cos),
            -(dt * q * rx + sin * angle - i5 * sin * cos),
        ];
        let turn = xi * q * re - angle;
        let open = [
            q * q * re - i3 * sin * sin,
            -dt * q * rx - sin * turn - i1 * sin * sin,
            yt * q * rx + cos * turn - i5 * sin * sin,
        ];
        let [s, d, t] = self.slip;
        [0, 1, 2].map(|i| s * strike[i] + d * dip[i] + t * open[i])
    }
}
