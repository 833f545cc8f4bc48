//! Networks of the kind `window`: one displacement for each cell's window.

use super::Net;
use super::field::{laplace_variance, start_wanted};
use super::images::Source;
use super::session::{Input, Network};
use crate::Result;
use crate::correlate::Tile;
use crate::correlate::dense::start::{self, bilinear};
use crate::correlate::prepare::Preparer;

/// Windows that go through the network at once.
const BATCH: usize = 64;
/// Cells to each side over which the closure of forward and backward is averaged.
const CLOSURE: i64 = 2;

/// The displacement of a window's centre relative to the tile's base, and the variances of its components.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub d: (f64, f64),
    pub variance: (f64, f64),
}

/// Displacement and, where the network states it, logarithm of the Laplace scale.
type Said = ((f64, f64), Option<(f32, f32)>);

/// Every cell of the tile; `None` when the run is stopped or an image is empty.
///
/// # Errors
/// The network's failures.
pub fn measure(
    net: &Net,
    network: &mut Network,
    tile: &Tile,
    sources: &mut [Source],
    preparer: &mut Preparer,
) -> Result<Option<Vec<Found>>> {
    let card = &net.model.card;
    let side = card.tile;
    let corner = |cell: usize| {
        let (x, y) = tile.corner(cell);
        (x as i64, y as i64)
    };
    let cells = tile.windows.len();
    let mut d: Vec<(f64, f64)> = vec![(0.0, 0.0); cells];
    if start_wanted(tile, card) {
        let field = start::field(tile);
        let half = (side as f32 - 1.0) / 2.0;
        for (cell, d) in d.iter_mut().enumerate() {
            let (x, y) = corner(cell);
            let at = |axis: usize| f64::from(bilinear(&field[axis], x as f32 + half, y as f32 + half)).round();
            *d = (at(0), at(1));
        }
    }
    let mut scales = vec![None; cells];
    for _ in 0..net.passes() {
        let Some(said) = looked(net, network, tile, sources, preparer, &d, false)? else { return Ok(None) };
        for (cell, (moved, scale)) in said.into_iter().enumerate() {
            d[cell] = (d[cell].0 + moved.0, d[cell].1 + moved.1);
            scales[cell] = scale;
        }
    }
    if network.gives_scale() {
        let variance = |s: Option<(f32, f32)>| {
            s.map_or((f64::NAN, f64::NAN), |s| (f64::from(laplace_variance(s.0)), f64::from(laplace_variance(s.1))))
        };
        return Ok(Some(d.into_iter().zip(scales).map(|(d, s)| Found { d, variance: variance(s) }).collect()));
    }
    // As for dense networks: two independent errors add up in what is left.
    let Some(back) = looked(net, network, tile, sources, preparer, &d, true)? else { return Ok(None) };
    let (nx, ny) = (tile.windows.cells.0 as i64, tile.windows.cells.1 as i64);
    let variance = |cell: usize| {
        let (x, y) = (cell as i64 % nx, cell as i64 / nx);
        let (mut sum, mut n) = ((0.0, 0.0), 0.0);
        for j in (y - CLOSURE).max(0)..=(y + CLOSURE).min(ny - 1) {
            for i in (x - CLOSURE).max(0)..=(x + CLOSURE).min(nx - 1) {
                let (r, _) = back[(j * nx + i) as usize];
                sum = (sum.0 + 0.5 * r.0 * r.0, sum.1 + 0.5 * r.1 * r.1);
                n += 1.0;
            }
        }
        let level = |v: f64| card.sigma.map_or(v, |s| s.variance(v));
        (level(sum.0 / n), level(sum.1 / n))
    };
    Ok(Some(d.into_iter().enumerate().map(|(cell, d)| Found { d, variance: variance(cell) }).collect()))
}

/// What the network says of every window with the post image's moved by `d`; `backward`: with the images exchanged.
fn looked(
    net: &Net,
    network: &mut Network,
    tile: &Tile,
    sources: &mut [Source],
    preparer: &mut Preparer,
    d: &[(f64, f64)],
    backward: bool,
) -> Result<Option<Vec<Said>>> {
    let side = net.model.card.tile;
    let mut said = Vec::with_capacity(d.len());
    let mut values = Vec::new();
    for first in (0..d.len()).step_by(BATCH) {
        if tile.stopped() {
            return Ok(None);
        }
        let batch = first..(first + BATCH).min(d.len());
        values.clear();
        for cell in batch.clone() {
            let (x, y) = tile.corner(cell);
            let mut planes: [Vec<f32>; 2] = Default::default();
            for source in sources.iter_mut() {
                for row in y..y + side {
                    planes[0].extend_from_slice(&source.pre.row(row)[x..x + side]);
                }
                let Some(post) = post(source, (x as i64, y as i64), side, d[cell], preparer) else { return Ok(None) };
                planes[1].extend_from_slice(&post);
            }
            let order = if backward { [1, 0] } else { [0, 1] };
            order.iter().for_each(|&k| values.extend_from_slice(&planes[k]));
        }
        let n = batch.len();
        let input = Input { name: "pair", shape: vec![n, 2 * sources.len(), side, side], values: &values };
        let out = network.run(&[input], &[n, 2])?;
        net.check(&out.displacement)?;
        net.check(out.log_scale.as_deref().unwrap_or_default())?;
        for k in 0..n {
            let two = |v: &[f32]| (v[2 * k], v[2 * k + 1]);
            let (dx, dy) = two(&out.displacement);
            said.push(((f64::from(dx), f64::from(dy)), out.log_scale.as_deref().map(two)));
        }
    }
    Ok(Some(said))
}

/// A window of the post image, copied where the shift is whole pixels.
fn post(
    source: &mut Source,
    corner: (i64, i64),
    side: usize,
    d: (f64, f64),
    preparer: &mut Preparer,
) -> Option<Vec<f32>> {
    let whole = d.0 == d.0.round() && d.1 == d.1.round();
    if whole && d.0.abs().max(d.1.abs()) <= source.reach() as f64 {
        return Some(source.post_window((corner.0 + d.0 as i64, corner.1 + d.1 as i64), (side, side)).data);
    }
    source.moved_window(corner, side, d, preparer)
}
