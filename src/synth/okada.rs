//! Rectangular dislocations in an elastic half-space: displacement of the free surface.
//!
//! Reference: Okada (1985), Bull. Seismol. Soc. Am. 75:1135, eqs 25 to 30, with R + ξ and R + η written so that they keep
//! their digits on both sides of an edge.

use rayon::prelude::*;

use super::tde::{check_points, check_poisson};
use crate::{Error, Result};

/// A rectangular fault with uniform slip; lengths in metres, angles in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectangle {
    /// East and north of the middle of the top edge.
    pub x: f64,
    pub y: f64,
    /// Depth of the top edge, at least 0.
    pub top_depth: f64,
    /// Clockwise from north; the fault dips to the right of this direction.
    pub strike: f64,
    /// From the horizontal, 0 to 90.
    pub dip: f64,
    /// Along strike.
    pub length: f64,
    /// Down dip.
    pub width: f64,
    /// Left-lateral, reverse, opening.
    pub slip: [f64; 3],
}

/// Displacement of the surface at `obs` (east, north; metres): `out` is overwritten with east, north, up, summed over
/// the rectangles, in the unit of the slip.
///
/// Parallel over the points within the calling rayon pool; the result does not depend on the number of threads. On the
/// trace of a rectangle that breaks the surface the value is that of one side or the mean; at its ends it has no meaning.
///
/// # Errors
/// [`Error::Data`] naming the rectangle and the value: above the surface, without area, not finite, a dip outside 0 to
/// 90, Poisson's ratio outside -1 to 0.5, or `obs` and `out` of different length.
pub fn surface(faults: &[Rectangle], poisson: f64, obs: &[[f64; 2]], out: &mut [[f64; 3]]) -> Result<()> {
    check_poisson(poisson)?;
    check_points(obs, out.len())?;
    let frames = faults.iter().enumerate().map(|(i, f)| Frame::new(f, i)).collect::<Result<Vec<Frame>>>()?;
    out.par_iter_mut().zip(obs).for_each(|(out, &[e, n])| {
        *out = [0.0; 3];
        for frame in &frames {
            let u = frame.at(e, n, poisson);
            (0..3).for_each(|i| out[i] += u[i]);
        }
    });
    Ok(())
}

/// Okada's own axes: x along strike, y towards up dip, origin above the lower left corner.
struct Frame {
    x: f64,
    y: f64,
    along: [f64; 2],
    sin: f64,
    cos: f64,
    depth: f64,
    length: f64,
    width: f64,
    slip: [f64; 3],
}

impl Frame {
    fn new(f: &Rectangle, index: usize) -> Result<Frame> {
        let fail = |why: String| Err(Error::Data(format!("rectangle {}: {why}", index + 1)));
        let numbers = [f.x, f.y, f.top_depth, f.strike, f.dip, f.length, f.width, f.slip[0], f.slip[1], f.slip[2]];
        if let Some(v) = numbers.iter().find(|v| v.is_nan() || v.abs() > 1e15) {
            return fail(format!("{v} is not a usable number (finite, at most 1e15)"));
        }
        if f.top_depth < 0.0 {
            return fail(format!("the top edge at depth {} lies above the surface; give at least 0", f.top_depth));
        }
        if !(0.0..=90.0).contains(&f.dip) {
            return fail(format!("dip {}: give 0 to 90; turn the strike by 180 degrees for the other side", f.dip));
        }
        if !(f.length > 0.0 && f.width > 0.0) {
            return fail(format!("length {} and width {} must be above 0", f.length, f.width));
        }
        let (strike_sin, strike_cos) = f.strike.to_radians().sin_cos();
        let (sin, cos) = match f.dip {
            90.0 => (1.0, 0.0),
            dip => dip.to_radians().sin_cos(),
        };
        let depth = f.top_depth + f.width * sin;
        let along = [strike_sin, strike_cos];
        Ok(Frame { x: f.x, y: f.y, along, sin, cos, depth, length: f.length, width: f.width, slip: f.slip })
    }

    fn at(&self, east: f64, north: f64, poisson: f64) -> [f64; 3] {
        let (e, n) = (east - self.x, north - self.y);
        let [s, c] = self.along;
        let x = e * s + n * c + self.length / 2.0;
        let y = n * s - e * c + self.width * self.cos;
        let [u, v, up] = self.local(x, y, poisson);
        [u * s - v * c, u * c + v * s, up]
    }

    /// Displacement along Okada's axes.
    fn local(&self, x: f64, y: f64, poisson: f64) -> [f64; 3] {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Okada (1985), Table 2: x, y, d, dip, L, W; strike, dip and tensile displacement; ν = 0.25.
    type Row = ([f64; 6], [[f64; 3]; 3]);
    const TABLE: [Row; 3] = [
        (
            [2.0, 3.0, 4.0, 70.0, 3.0, 2.0],
            [[-8.689e-3, -4.298e-3, -2.747e-3], [-4.682e-3, -3.527e-2, -3.564e-2], [-2.660e-4, 1.056e-2, 3.214e-3]],
        ),
        ([0.0, 0.0, 4.0, 90.0, 3.0, 2.0], [[0.0, 5.253e-3, 0.0], [0.0, 0.0, 0.0], [1.223e-2, 0.0, -1.606e-2]]),
        ([0.0, 0.0, 4.0, -90.0, 3.0, 2.0], [[0.0, -1.303e-3, 0.0], [0.0, 0.0, 0.0], [3.507e-3, 0.0, -7.740e-3]]),
    ];

    #[test]
    fn the_published_check_list_is_met_to_its_digits() {
        for ([x, y, depth, dip, length, width], expected) in TABLE {
            for (mode, expected) in expected.iter().enumerate() {
                let mut slip = [0.0; 3];
                slip[mode] = 1.0;
                // The table's last case dips the other way, which the public form writes with another strike.
                let (sin, cos) = if dip == 70.0 { f64::to_radians(dip).sin_cos() } else { (dip / 90.0, 0.0) };
                let frame = Frame { x: 0.0, y: 0.0, along: [0.0, 1.0], sin, cos, depth, length, width, slip };
                let u = frame.local(x, y, 0.25);
                for i in 0..3 {
                    let unit = if expected[i] == 0.0 {
                        1e-15
                    } else {
                        0.5001 * 10f64.powf(expected[i].abs().log10().floor() - 3.0)
                    };
                    assert!((u[i] - expected[i]).abs() <= unit, "{u:?} is not {expected:?}");
                }
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        let good = Rectangle {
            x: 0.0,
            y: 0.0,
            top_depth: 0.0,
            strike: 10.0,
            dip: 60.0,
            length: 1e4,
            width: 5e3,
            slip: [1.0, 0.0, 0.0],
        };
        let run =
            |f: Rectangle, nu: f64| surface(&[good, f], nu, &[[1.0, 2.0]], &mut [[0.0; 3]]).unwrap_err().to_string();
        assert!(surface(&[good], 0.25, &[[1.0, 2.0]], &mut [[0.0; 3]]).is_ok());
        assert!(run(Rectangle { top_depth: -3.0, ..good }, 0.25).contains("rectangle 2"));
        assert!(run(Rectangle { dip: 95.0, ..good }, 0.25).contains("dip 95"));
        assert!(run(Rectangle { width: 0.0, ..good }, 0.25).contains("width 0"));
        assert!(run(Rectangle { x: f64::NAN, ..good }, 0.25).contains("NaN"));
        assert!(run(good, 0.6).contains("0.6"));
        let short = surface(&[good], 0.25, &[[1.0, 2.0]], &mut []).unwrap_err().to_string();
        assert!(short.contains("1 observation"));
    }
}
