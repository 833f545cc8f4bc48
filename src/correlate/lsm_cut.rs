//! Least-squares matching of windows that a line cuts: the start, and what the uneven support does to the value.
//!
//! * The whole-pixel start is the peak of the zero-mean normalised cross-correlation of the window's own pixels: that
//!   of the whole window may belong to the other side.
//! * A window whose support lies to one side measures the ground at the support's middle. To first order it measures
//!   d(x₀) + X·∂d/∂x + Y·∂d/∂y with X = H⁻¹ Σ w·J·Jᵀ·(x - x₀) (Y alike), H = Σ w·J·Jᵀ, J the gradient of the image: the
//!   normal equations of a translation applied to a linear field. The derivatives come from the windows around it on
//!   the same side, and the value is carried to the window's centre.

use super::Tile;
use super::cut::{Support, centre};
use super::lanes::{self, LANES, add_products, add_products3};
use super::search::{Peak, SearchArea, peak};
use super::surface::NOTHING;
use crate::field::{Measurement, PixelShift, Status};

/// Windows around a cut one are taken this share of the window apart, up to one window away.
const SPACING: usize = 4;
/// Fewest of them, and their least spread along every direction as a share of the window.
const FEWEST: usize = 6;
const SPREAD: f64 = 0.15;

/// How far the support of a cut window lies from its centre: the matrices X and Y, row by row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lean {
    pub cell: usize,
    pub x: [f64; 4],
    pub y: [f64; 4],
}

impl Lean {
    /// Mean offset of the support, pixels.
    fn offset(&self) -> (f64, f64) {
        (0.5 * (self.x[0] + self.x[3]), 0.5 * (self.y[0] + self.y[3]))
    }

    /// Carries a value to the window's centre.
    pub fn carry(&self, m: &mut Measurement, slope: &Slope) {
        let apply = |a: &[f64; 4], g: (f64, f64)| (a[0] * g.0 + a[1] * g.1, a[2] * g.0 + a[3] * g.1);
        let (x, y) = (apply(&self.x, slope.along_x), apply(&self.y, slope.along_y));
        m.shift = PixelShift::new(m.shift.dx - x.0 - y.0, m.shift.dy - x.1 - y.1);
        let ((u, v), c) = (self.offset(), slope.covariance);
        let added = u * u * c[0] + 2.0 * u * v * c[1] + v * v * c[2];
        m.covariance.xx += added;
        m.covariance.yy += added;
        m.covariance.xx += slope.bend.0;
        m.covariance.yy += slope.bend.1;
    }
}

/// The lean of a cell's support; `None` without texture.
pub fn lean(tile: &Tile, cell: usize, support: &Support) -> Option<Lean> {
    let window = tile.windows.window;
    let middle = centre(tile.windows.corner(cell), window);
    let pre = tile.pre();
    let mut sums = [[0.0f64; 3]; 3];
    for (k, &w) in support.weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        let (x, y) = (support.corner.0 + k % window.0, support.corner.1 + k / window.0);
        if !pre.valid.get(x, y) {
            continue;
        }
        let (gx, gy) = (pre.gradient[0].get(x, y) as f64, pre.gradient[1].get(x, y) as f64);
        let products = [gx * gx, gx * gy, gy * gy].map(|p| p * w as f64);
        let (u, v) = (x as f64 - middle.0, y as f64 - middle.1);
        for i in 0..3 {
            sums[0][i] += products[i];
            sums[1][i] += products[i] * u;
            sums[2][i] += products[i] * v;
        }
    }
    let symmetric = |s: [f64; 3]| nalgebra::Matrix2::new(s[0], s[1], s[1], s[2]);
    let inverse = symmetric(sums[0]).try_inverse()?;
    let rows = |m: nalgebra::Matrix2<f64>| [m[(0, 0)], m[(0, 1)], m[(1, 0)], m[(1, 1)]];
    Some(Lean { cell, x: rows(inverse * symmetric(sums[1])), y: rows(inverse * symmetric(sums[2])) })
}

/// The correlation peak of a cut window's own pixels, looked for around its start and, where starts differ, around
/// those of the windows next to it on its side.
pub fn own_peak(tile: &Tile, cell: usize, support: &Support) -> Peak {
    let mut starts = vec![tile.area.start(cell)];
    if !tile.area.starts.is_empty() {
        for (other, _) in around(tile, cell, 2, &|a, b| visible(tile, a, b)) {
            let start = tile.area.start(other);
            if !starts.contains(&start) {
                starts.push(start);
            }
        }
    }
    let mut best: Option<Peak> = None;
    for start in starts {
        let area = SearchArea { range: tile.area.range, starts: &[start] };
        let surface = lanes::vectors(
            #[inline(always)]
            || surface(tile, support, &area),
        );
        let found = peak(&surface, &area, 0);
        // A peak on the border of one search area lies inside another, or nowhere.
        let better = |b: &Peak| (b.edge && !found.edge) || (b.edge == found.edge && found.correlation > b.correlation);
        if best.as_ref().is_none_or(better) {
            best = Some(found);
        }
    }
    best.unwrap_or(Peak { shift: (0, 0), offset: (0.0, 0.0), correlation: NOTHING, edge: true })
}

/// The weighted correlation at every shift of `area`, the mean of the bands.
#[inline(always)]
fn surface(tile: &Tile, support: &Support, area: &SearchArea) -> Vec<f32> {
    let (w, h) = tile.windows.window;
    let (rx, ry) = (area.range.0 as i32, area.range.1 as i32);
    let (nx, ny) = (2 * area.range.0 + 1, 2 * area.range.1 + 1);
    let mut total = vec![0.0f32; nx * ny];
    let mut bands = vec![0u8; nx * ny];
    let mut planes = [vec![0.0f32; w * h], vec![0.0f32; w * h], vec![0.0f32; w * h]];
    let mut valid = vec![0.0f32; w];
    for band in tile.bands {
        let (pre, post) = (&band.pre, &band.post);
        for y in 0..h {
            let row = support.corner.1 + y;
            let values = &pre.values.row(row)[support.corner.0..support.corner.0 + w];
            let ok = &pre.valid.row(row)[support.corner.0..support.corner.0 + w];
            for x in 0..w {
                let k = y * w + x;
                let p = if ok[x] { support.weights[k] } else { 0.0 };
                (planes[0][k], planes[1][k], planes[2][k]) = (p, p * values[x], p * values[x] * values[x]);
            }
        }
        let masked = !post.all_valid;
        let whole = [0, 1, 2].map(|i| planes[i].iter().map(|&v| v as f64).sum::<f64>());
        for sy in -ry..=ry {
            for sx in -rx..=rx {
                let at = |c: usize, s: i32, start: i32| (c + post.search).wrapping_add_signed((s + start) as isize);
                let (px, py) = (at(support.corner.0, sx, area.start(0).0), at(support.corner.1, sy, area.start(0).1));
                let mut sums = [[0.0f32; LANES]; 6];
                for y in 0..h {
                    let g = &post.values.row(py + y)[px..px + w];
                    let line = y * w..(y + 1) * w;
                    let [p, f, ff] = [0, 1, 2].map(|i| &planes[i][line.clone()]);
                    add_products(&mut sums[3], p, g);
                    add_products3(&mut sums[4], p, g, g);
                    add_products(&mut sums[5], f, g);
                    if !masked {
                        continue;
                    }
                    let ok = &post.valid.row(py + y)[px..px + w];
                    valid.iter_mut().zip(ok).for_each(|(v, &ok)| *v = if ok { 1.0 } else { 0.0 });
                    add_products(&mut sums[0], p, &valid);
                    add_products(&mut sums[1], f, &valid);
                    add_products(&mut sums[2], ff, &valid);
                }
                let [mut n, mut f, mut ff, g, gg, fg] = sums.map(|s| lanes::total(&s));
                if !masked {
                    [n, f, ff] = whole;
                }
                if n < 8.0 {
                    continue;
                }
                let value = ncc(n, f, ff, g, gg, fg);
                let slot = (sy + ry) as usize * nx + (sx + rx) as usize;
                if value > NOTHING {
                    total[slot] += value;
                    bands[slot] += 1;
                }
            }
        }
    }
    total.iter().zip(&bands).map(|(t, &n)| if n > 0 { t / n as f32 } else { NOTHING }).collect()
}

/// No line of the tile lies between the centres of two cells.
pub fn visible(tile: &Tile, a: usize, b: usize) -> bool {
    let middle = |c: usize| centre(tile.windows.corner(c), tile.windows.window);
    tile.cuts.is_none_or(|c| c.visible(middle(a), middle(b)))
}

/// Says whether the second cell lies on the first one's side.
type SameSide<'s> = &'s dyn Fn(usize, usize) -> bool;

/// Cells around `cell` on its side, at most one window away and a part of it apart, with their distance.
fn around(tile: &Tile, cell: usize, spacing: usize, same_side: SameSide) -> Vec<(usize, (f64, f64))> {
    let windows = &tile.windows;
    let apart = |w: usize, s: usize| (w / spacing / s).max(1) as i64;
    let apart = (apart(windows.window.0, windows.step.0), apart(windows.window.1, windows.step.1));
    let (cx, cy) = ((cell % windows.cells.0) as i64, (cell / windows.cells.0) as i64);
    let here = centre(windows.corner(cell), windows.window);
    let reach = spacing as i64;
    let mut found = Vec::new();
    for j in -reach..=reach {
        for i in -reach..=reach {
            let (x, y) = (cx + i * apart.0, cy + j * apart.1);
            let inside = x >= 0 && y >= 0 && x < windows.cells.0 as i64 && y < windows.cells.1 as i64;
            if (i, j) == (0, 0) || i * i + j * j > reach * reach || !inside {
                continue;
            }
            let other = y as usize * windows.cells.0 + x as usize;
            let there = centre(windows.corner(other), windows.window);
            if same_side(cell, other) {
                found.push((other, (there.0 - here.0, there.1 - here.1)));
            }
        }
    }
    found
}

/// Carries the values of the windows in `leans` (in rising cell order) to their centres.
pub fn level(tile: &Tile, field: &mut [Measurement], leans: &[Lean], same_side: SameSide) {
    let mut levelled = Vec::with_capacity(leans.len());
    for lean in leans {
        if field[lean.cell].status != Status::Valid {
            continue;
        }
        let Some(slope) = slope(tile, field, leans, lean, same_side) else { continue };
        let mut m = field[lean.cell];
        lean.carry(&mut m, &slope);
        levelled.push((lean.cell, m));
    }
    replace(tile, field, levelled);
}

/// Puts the values that were carried into the field, once all of them are known.
pub fn replace(tile: &Tile, field: &mut [Measurement], carried: Vec<(usize, Measurement)>) {
    for (cell, m) in carried {
        field[cell] = m;
        tile.check_search(cell, &mut field[cell]);
    }
}

/// Derivatives of (dx, dy) along x and y, the covariance (xx, xy, yy) of each component's two derivatives, and the variance
/// of each component that the ground's curvature gives a window.
pub struct Slope {
    pub along_x: (f64, f64),
    pub along_y: (f64, f64),
    pub covariance: [f64; 3],
    pub bend: (f64, f64),
}

/// The plane through the values around a cell, on its side; those that lie far off it are left out.
fn slope(tile: &Tile, field: &[Measurement], leans: &[Lean], own: &Lean, same_side: SameSide) -> Option<Slope> {
    let (window, cell, offset) = (tile.windows.window, own.cell, own.offset());
    let mut points = Vec::new();
    for (other, (u, v)) in around(tile, cell, SPACING, same_side) {
        let m = &field[other];
        if m.status != Status::Valid {
            continue;
        }
        let lean = leans.binary_search_by_key(&other, |l| l.cell).ok();
        let (ou, ov) = lean.map_or((0.0, 0.0), |i| leans[i].offset());
        let variance = 0.5 * (m.covariance.xx + m.covariance.yy);
        points.push(Point { u: u + ou, v: v + ov, dx: m.shift.dx, dy: m.shift.dy, variance });
    }
    let mut plane = Plane::fit(&points, window)?;
    let far = |p: &Point, plane: &Plane| plane.residual(p);
    let mut all: Vec<f64> = points.iter().map(|p| far(p, &plane)).collect();
    all.sort_by(f64::total_cmp);
    let limit = 4.0 * all[all.len() / 2];
    let kept: Vec<Point> = points.iter().filter(|p| far(p, &plane) <= limit).copied().collect();
    if kept.len() < points.len() {
        plane = Plane::fit(&kept, window)?;
    }
    // Curvature κ along an axis gives a window of side w the error κw²/24; and where the support's middle lies at o and
    // that of the windows around at c, their plane's slope is κc off there, the carried value κ·o·c. Around the best
    // plane through a disc of radius w, ½κu² has the standard deviation κw²/8.
    let side = window.0.max(window.1) as f64;
    let n = kept.len() as f64;
    let (cu, cv) = (kept.iter().map(|p| p.u).sum::<f64>() / n, kept.iter().map(|p| p.v).sum::<f64>() / n);
    let lever = (side * side / 24.0).hypot(offset.0 * cu + offset.1 * cv) / (side * side / 8.0);
    let bend = |value: fn(&Point) -> f64, component: &[f64; 3]| {
        let excess = |p: &Point| (value(p) - Plane::at(component, p)).powi(2) - p.variance;
        lever * lever * (kept.iter().map(excess).sum::<f64>() / n).max(0.0)
    };
    let bend = (bend(|p| p.dx, &plane.dx), bend(|p| p.dy, &plane.dy));
    // Windows overlap, so their errors are alike.
    let share = |w: usize, s: usize| (w as f64 / ((w / SPACING / s).max(1) * s) as f64).max(1.0);
    let alike = share(window.0, tile.windows.step.0) * share(window.1, tile.windows.step.1);
    Some(Slope {
        along_x: (plane.dx[1], plane.dy[1]),
        along_y: (plane.dx[2], plane.dy[2]),
        covariance: plane.covariance.map(|c| c * alike),
        bend,
    })
}

/// A value at a place relative to the cell.
#[derive(Debug, Clone, Copy)]
struct Point {
    u: f64,
    v: f64,
    dx: f64,
    dy: f64,
    variance: f64,
}

/// Value and derivatives of both components.
struct Plane {
    dx: [f64; 3],
    dy: [f64; 3],
    covariance: [f64; 3],
}

impl Plane {
    fn fit(points: &[Point], window: (usize, usize)) -> Option<Plane> {
        if points.len() < FEWEST {
            return None;
        }
        let mut normal = nalgebra::Matrix3::<f64>::zeros();
        let (mut x, mut y) = (nalgebra::Vector3::zeros(), nalgebra::Vector3::zeros());
        for p in points {
            let row = nalgebra::Vector3::new(1.0, p.u, p.v);
            let w = 1.0 / p.variance.max(1e-12);
            normal += row * row.transpose() * w;
            x += row * (w * p.dx);
            y += row * (w * p.dy);
        }
        let n = normal[(0, 0)];
        let (mu, mv) = (normal[(0, 1)] / n, normal[(0, 2)] / n);
        let (uu, uv, vv) = (normal[(1, 1)] / n - mu * mu, normal[(1, 2)] / n - mu * mv, normal[(2, 2)] / n - mv * mv);
        let smallest = 0.5 * (uu + vv) - (0.25 * (uu - vv).powi(2) + uv * uv).sqrt();
        let least = SPREAD * window.0.min(window.1) as f64;
        if smallest < least * least {
            return None;
        }
        let inverse = normal.try_inverse()?;
        let (x, y) = (inverse * x, inverse * y);
        Some(Plane {
            dx: [x[0], x[1], x[2]],
            dy: [y[0], y[1], y[2]],
            covariance: [inverse[(1, 1)], inverse[(1, 2)], inverse[(2, 2)]],
        })
    }

    /// Distance of a value from the plane, pixels.
    fn residual(&self, p: &Point) -> f64 {
        (p.dx - Plane::at(&self.dx, p)).hypot(p.dy - Plane::at(&self.dy, p))
    }

    /// A component at the place of a value.
    fn at(component: &[f64; 3], p: &Point) -> f64 {
        component[0] + component[1] * p.u + component[2] * p.v
    }
}

/// Zero-mean normalised cross-correlation from the five sums.
#[inline(always)]
fn ncc(n: f64, f: f64, ff: f64, g: f64, gg: f64, fg: f64) -> f32 {
    let vf = ff - f * f / n;
    let vg = gg - g * g / n;
    let energy = vf * vg;
    // Rounding leaves a little energy in a constant window; it carries no texture.
    if vf <= 1e-10 * ff || vg <= 1e-10 * gg || energy <= 0.0 {
        return NOTHING;
    }
    ((fg - f * g / n) / energy.sqrt()) as f32
}
