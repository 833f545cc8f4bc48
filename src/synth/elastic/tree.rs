//! Square tiles of pixels, small where elements are near.
//!
//! Reference: the far field as polynomials on a hierarchy of tiles is the "local expansion" of tree codes; with
//! interpolation nodes in its place as in Fong and Darve (2009), J. Comput. Phys. 228:8712.

use std::sync::Arc;

use rayon::prelude::*;

use super::PixelGrid;
use super::chebyshev::{N, Rule, Values, along_row, basis};
use crate::synth::tde::Loops;

/// Side of the smallest tiles in pixels: their near elements cost as much at all pixels as the division would.
const SMALLEST: usize = 16;
/// Side of the largest tiles that are kept whole, for the sake of the threads.
const LARGEST: usize = 128;
/// An edge is far from a tile when its distance from the centre is this many times that of the tile's corners: the
/// interpolation error is then a millionth of what the edge contributes at that distance.
const FAR: f64 = 2.0;

/// Pixels (x..x + side) × (y..y + side), as far as they belong to the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tile {
    pub x: usize,
    pub y: usize,
    pub side: usize,
}

impl Tile {
    /// Number of columns and rows inside the image.
    pub fn inside(&self, grid: &PixelGrid) -> (usize, usize) {
        let within = |start: usize, end: usize| self.side.min(end.saturating_sub(start));
        (within(self.x, grid.width), within(self.y, grid.height))
    }

    /// Position (column, row) of a point of the square -1..1.
    fn pixel(&self, u: f64, v: f64) -> (f64, f64) {
        let half = 0.5 * self.side as f64;
        (self.x as f64 - 0.5 + half * (1.0 + u), self.y as f64 - 0.5 + half * (1.0 + v))
    }
}

/// A tile that is not divided any further.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub tile: Tile,
    /// Polynomials of the far elements.
    coefficients: Values,
    /// Edges to be evaluated at each pixel.
    near: Arc<Vec<u32>>,
}

/// A tile on its way down.
struct Pending {
    tile: Tile,
    /// What has been summed so far, at the tile's nodes.
    values: Values,
    edges: Arc<Vec<u32>>,
}

/// All tiles of an image.
pub struct Tiles<'a> {
    loops: &'a Loops,
    grid: &'a PixelGrid,
    rule: Rule,
    pub leaves: Vec<Leaf>,
}

impl<'a> Tiles<'a> {
    pub fn new(loops: &'a Loops, grid: &'a PixelGrid) -> Tiles<'a> {
        let mut tiles = Tiles { loops, grid, rule: Rule::new(), leaves: Vec::new() };
        let side = grid.width.max(grid.height).max(SMALLEST).next_power_of_two();
        let edges = Arc::new((0..loops.edges() as u32).collect());
        let whole = Pending { tile: Tile { x: 0, y: 0, side }, values: [[0.0; N * N]; 3], edges };
        let mut level = if grid.width > 0 && grid.height > 0 { vec![whole] } else { Vec::new() };
        while !level.is_empty() {
            let done: Vec<(Option<Leaf>, Vec<Pending>)> = level.into_par_iter().map(|p| tiles.descend(p)).collect();
            level = Vec::new();
            for (leaf, below) in done {
                tiles.leaves.extend(leaf);
                level.extend(below);
            }
        }
        tiles
    }

    /// Adds the far edges and divides the tile, or makes a leaf of it.
    fn descend(&self, mut p: Pending) -> (Option<Leaf>, Vec<Pending>) {
        let tile = p.tile;
        let (x, y) = tile.pixel(0.0, 0.0);
        let centre = self.grid.map(x, y);
        let radius = [-1.0, 1.0].map(|u| {
            let (x, y) = tile.pixel(u, 1.0);
            let corner = self.grid.map(x, y);
            (corner[0] - centre[0]).hypot(corner[1] - centre[1])
        });
        let limit = FAR * radius[0].max(radius[1]);
        let (near, far): (Vec<u32>, Vec<u32>) =
            p.edges.iter().partition(|&&e| self.loops.distance(e as usize, centre) < limit);
        if !far.is_empty() {
            let mut obs = [[0.0; 2]; N * N];
            for (k, o) in obs.iter_mut().enumerate() {
                let (x, y) = tile.pixel(self.rule.nodes[k % N], self.rule.nodes[k / N]);
                *o = self.grid.map(x, y);
            }
            let mut moved = [[0.0; 3]; N * N];
            self.loops.sum_of(&far, &obs, &mut moved);
            for (k, m) in moved.iter().enumerate() {
                (0..3).for_each(|c| p.values[c][k] += m[c]);
            }
        }
        let near = Arc::new(near);
        if tile.side <= SMALLEST || (near.is_empty() && tile.side <= LARGEST) {
            return (Some(Leaf { tile, coefficients: self.rule.coefficients(&p.values), near }), Vec::new());
        }
        let half = tile.side / 2;
        let quarters = [(false, false), (true, false), (false, true), (true, true)];
        let below = quarters.into_iter().filter_map(|(right, lower)| {
            let tile = Tile { x: tile.x + half * right as usize, y: tile.y + half * lower as usize, side: half };
            let (width, height) = tile.inside(self.grid);
            (width > 0 && height > 0).then(|| Pending {
                tile,
                values: self.rule.quarter(&p.values, right, lower),
                edges: near.clone(),
            })
        });
        (None, below.collect())
    }

    /// Displacement at the pixels of a leaf that lie in the image, row by row.
    pub fn pixels(&self, leaf: &Leaf) -> Vec<[f64; 3]> {
        let (width, height) = leaf.tile.inside(self.grid);
        let mut out = vec![[0.0; 3]; width * height];
        if !leaf.near.is_empty() {
            let at = |k: usize| self.grid.map((leaf.tile.x + k % width) as f64, (leaf.tile.y + k / width) as f64);
            let obs: Vec<[f64; 2]> = (0..out.len()).map(at).collect();
            self.loops.sum_of(&leaf.near, &obs, &mut out);
        }
        let step = 2.0 / leaf.tile.side as f64;
        let bases: Vec<[f64; N]> = (0..leaf.tile.side).map(|i| basis((i as f64 + 0.5) * step - 1.0)).collect();
        for (row, y) in out.chunks_mut(width).zip(&bases) {
            let c = along_row(&leaf.coefficients, y);
            for (o, x) in row.iter_mut().zip(&bases) {
                for (o, c) in o.iter_mut().zip(&c) {
                    *o += (0..N).map(|k| c[k] * x[k]).sum::<f64>();
                }
            }
        }
        out
    }
}
