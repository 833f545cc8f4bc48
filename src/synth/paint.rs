//! Man-made detail of a scene: parcels of land, roads, buildings. All lengths in samples of the painting (half pixels).

use rand::RngExt;
use rand_pcg::Pcg64;

use super::random::normal;
use crate::grid::Grid;

/// A plain divided into rectangular fields by repeated halving.
pub struct Parcels {
    nodes: Vec<Node>,
    cos: f64,
    sin: f64,
}

enum Node {
    /// Cut at `at` across u (or across v); children follow.
    Cut {
        across_u: bool,
        at: f64,
        below: usize,
        above: usize,
    },
    Field {
        tone: f64,
        stripes: f64,
        period: f64,
        along_u: bool,
    },
}

/// Half the width of the dark line along a field's edge.
const HEDGE: f64 = 1.2;

impl Parcels {
    /// Divides an area that covers `width` × `height` in any orientation.
    pub fn new(width: usize, height: usize, rng: &mut Pcg64) -> Parcels {
        let (sin, cos) = rng.random_range(0.1..1.4f64).sin_cos();
        let r = (width + height) as f64;
        let mut parcels = Parcels { nodes: Vec::new(), cos, sin };
        parcels.divide([-r, r, -r, r], rng);
        parcels
    }

    fn divide(&mut self, [u0, u1, v0, v1]: [f64; 4], rng: &mut Pcg64) -> usize {
        let (du, dv) = (u1 - u0, v1 - v0);
        let index = self.nodes.len();
        // Fields are 25 to 90 px long, drawn anew for each piece so that their sizes vary.
        let limit = rng.random_range(50.0..180.0);
        if du.max(dv) < limit {
            let along_u = du > dv;
            let (tone, period) = (0.9 * normal(rng), rng.random_range(4.0..9.0));
            let stripes = if rng.random_bool(0.5) { rng.random_range(0.0..0.35) } else { 0.0 };
            self.nodes.push(Node::Field { tone, stripes, period, along_u });
            return index;
        }
        let across_u = du > dv * rng.random_range(0.6..1.4);
        let share = rng.random_range(0.35..0.65);
        let at = if across_u { u0 + share * du } else { v0 + share * dv };
        self.nodes.push(Node::Field { tone: 0.0, stripes: 0.0, period: 1.0, along_u: false });
        let (low, high) = match across_u {
            true => ([u0, at, v0, v1], [at, u1, v0, v1]),
            false => ([u0, u1, v0, at], [u0, u1, at, v1]),
        };
        let below = self.divide(low, rng);
        let above = self.divide(high, rng);
        self.nodes[index] = Node::Cut { across_u, at, below, above };
        index
    }

    /// Brightness at a point.
    pub fn tone(&self, x: f64, y: f64) -> f64 {
        let (u, v) = (self.cos * x + self.sin * y, self.cos * y - self.sin * x);
        let mut hedge = f64::INFINITY;
        let mut index = 0;
        loop {
            match &self.nodes[index] {
                Node::Cut { across_u, at, below, above } => {
                    let d = if *across_u { u - at } else { v - at };
                    hedge = hedge.min(d.abs());
                    index = if d < 0.0 { *below } else { *above };
                }
                Node::Field { tone, stripes, period, along_u } => {
                    if hedge < HEDGE {
                        return -1.4;
                    }
                    let across = if *along_u { v } else { u };
                    return tone + stripes * (std::f64::consts::TAU * across / period).sin();
                }
            }
        }
    }
}

/// Winding roads across the whole scene, a few of them wide.
pub fn roads(image: &mut Grid<f64>, rng: &mut Pcg64) {
    let (w, h) = (image.width as f64, image.height as f64);
    let number = 4 + image.width.max(image.height) / 256;
    for k in 0..number {
        let mut x = rng.random_range(0.0..w);
        let mut y = rng.random_range(0.0..h);
        let mut heading: f64 = rng.random_range(0.0..std::f64::consts::TAU);
        let mut bend = 0.0;
        let radius = if k % 4 == 0 { 2.4 } else { 1.3 };
        let tone = if rng.random_bool(0.6) { 2.2 } else { -1.8 };
        for _ in 0..(1.2 * w.max(h)) as usize {
            stamp(image, x, y, radius, tone);
            bend = 0.985 * bend + 0.002 * normal(rng);
            heading += bend * 0.6;
            x += 0.9 * heading.cos();
            y += 0.9 * heading.sin();
        }
    }
}

/// Villages: clusters of small bright and dark blocks in the plain.
pub fn buildings(image: &mut Grid<f64>, plain: &Grid<f64>, level: f64, rng: &mut Pcg64) {
    let (w, h) = (image.width as f64, image.height as f64);
    for _ in 0..image.data.len() / 60_000 {
        let (cx, cy) = (rng.random_range(0.0..w), rng.random_range(0.0..h));
        let houses = if plain.get(cx as usize, cy as usize) > level { 26 } else { 3 };
        for _ in 0..houses {
            let (x, y) = (cx + 22.0 * normal(rng), cy + 22.0 * normal(rng));
            let tone = if rng.random_bool(0.7) { 2.5 } else { -2.0 };
            stamp(image, x, y, rng.random_range(1.0..2.6), tone);
        }
    }
}

/// Paints a disc; the scene is periodic, so what leaves on one side enters on the other.
fn stamp(image: &mut Grid<f64>, x: f64, y: f64, radius: f64, tone: f64) {
    let (w, h) = (image.width as i64, image.height as i64);
    let reach = radius.ceil() as i64 + 1;
    let (cx, cy) = (x.round() as i64, y.round() as i64);
    for j in cy - reach..=cy + reach {
        for i in cx - reach..=cx + reach {
            let distance = (i as f64 - x).hypot(j as f64 - y);
            if distance <= radius {
                image.set(i.rem_euclid(w) as usize, j.rem_euclid(h) as usize, tone);
            }
        }
    }
}
