//! Pieces of a tile that a network is run on: overlapping, padded by reflection, blended where they meet.

use crate::grid::Grid;

/// Widest blend between two pieces, pixels to each side of the seam.
const BLEND: usize = 8;

/// A piece along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Pixels that go in: from, and one past the last.
    pub from: usize,
    pub to: usize,
    /// Where it meets its neighbours, and over how many pixels to either side they are blended.
    left: Option<(f32, f32)>,
    right: Option<(f32, f32)>,
}

impl Span {
    /// How much the piece counts at pixel `x`; those of all pieces sum to 1, up to rounding.
    pub fn weight(&self, x: usize) -> f32 {
        let at = x as f32 + 0.5;
        let rise = |seam: Option<(f32, f32)>, sign: f32| match seam {
            None => 1.0,
            Some((seam, 0.0)) => f32::from(u8::from(sign * (at - seam) > 0.0)),
            Some((seam, reach)) => (0.5 + sign * (at - seam) / (2.0 * reach)).clamp(0.0, 1.0),
        };
        rise(self.left, 1.0) * rise(self.right, -1.0)
    }

    pub fn side(&self) -> usize {
        self.to - self.from
    }

    /// Length with the padding that makes it a multiple of `multiple`.
    pub fn padded(&self, multiple: usize) -> usize {
        self.side().next_multiple_of(multiple)
    }
}

/// What is wanted of a network's geometry.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Side of a piece with its halo.
    pub tile: usize,
    pub halo: usize,
    pub multiple: usize,
}

/// The pieces along an axis of `len` pixels whose pixels `wanted` (from, one past) are needed; each begins `shift` pixels earlier
/// than its halo asks for.
pub fn spans(len: usize, wanted: (usize, usize), geometry: Geometry, shift: usize) -> Vec<Span> {
    let Geometry { tile, halo, multiple } = geometry;
    let inside = tile.saturating_sub(2 * halo + shift).max(multiple).max(1);
    let size = wanted.1 - wanted.0;
    // What is blended lies beyond the halo too, so that nothing of it is seen.
    let reach = if size > inside { BLEND.min(inside / 4) } else { 0 };
    let count = size.div_ceil(inside - 2 * reach).max(1);
    let seam = |i: usize| wanted.0 + i * size / count;
    let meet = |i: usize| (i > 0 && i < count).then(|| (seam(i) as f32, reach as f32));
    let one = |i: usize| Span {
        from: seam(i).saturating_sub(halo + shift + if i > 0 { reach } else { 0 }),
        to: (seam(i + 1) + halo + if i + 1 < count { reach } else { 0 }).min(len),
        left: meet(i),
        right: meet(i + 1),
    };
    (0..count).map(one).collect()
}

/// Appends the part of a plane (rows of `stride`) inside the spans to `out`, padded by reflection to `size`.
pub fn cut(plane: &[f32], stride: usize, (across, down): (&Span, &Span), size: (usize, usize), out: &mut Vec<f32>) {
    let (w, h) = (across.side(), down.side());
    let (width, height) = size;
    for y in 0..height {
        let row = &plane[(down.from + reflected(y, h)) * stride..][across.from..across.to];
        out.extend_from_slice(row);
        out.extend((w..width).map(|x| row[reflected(x, w)]));
    }
}

/// Index `i` of a line of `n` that is mirrored at its ends, without repeating them.
fn reflected(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let k = i % (2 * (n - 1));
    if k < n { k } else { 2 * (n - 1) - k }
}

/// Weighted sums of what the pieces give.
pub struct Blend {
    sums: Vec<Grid<f32>>,
    weight: Grid<f32>,
}

impl Blend {
    pub fn new(channels: usize, width: usize, height: usize) -> Blend {
        let zero = Grid::filled(width, height, 0.0f32);
        Blend { sums: vec![zero.clone(); channels], weight: zero }
    }

    /// Adds a piece: `values` are `channels` planes of `width` × `height` (padding included).
    pub fn add(&mut self, across: &Span, down: &Span, values: &[f32], width: usize, height: usize) {
        let columns: Vec<f32> = (across.from..across.to).map(|x| across.weight(x)).collect();
        for y in down.from..down.to {
            let row = down.weight(y);
            if row == 0.0 {
                continue;
            }
            for (c, sum) in self.sums.iter_mut().enumerate() {
                let from = &values[(c * height + y - down.from) * width..][..columns.len()];
                let to = &mut sum.row_mut(y)[across.from..across.to];
                for ((t, v), k) in to.iter_mut().zip(from).zip(&columns) {
                    *t += row * k * v;
                }
            }
            let to = &mut self.weight.row_mut(y)[across.from..across.to];
            to.iter_mut().zip(&columns).for_each(|(t, k)| *t += row * k);
        }
    }

    /// The means; pixels that no piece covers get the nearest covered one's value, for which the covered part must be a
    /// rectangle.
    pub fn finish(self) -> Vec<Grid<f32>> {
        let Blend { mut sums, weight } = self;
        let some = |y: &usize| weight.row(*y).iter().any(|w| *w > 0.0);
        let (Some(top), Some(bottom)) = ((0..weight.height).find(some), (0..weight.height).rev().find(some)) else {
            return sums;
        };
        let inside = |x: &usize| weight.get(*x, top) > 0.0;
        let left = (0..weight.width).find(inside).unwrap_or(0);
        let right = (0..weight.width).rev().find(inside).unwrap_or(0);
        for sum in &mut sums {
            let means = Grid::from_fn(weight.width, weight.height, |x, y| {
                let (x, y) = (x.clamp(left, right), y.clamp(top, bottom));
                sum.get(x, y) / weight.get(x, y)
            });
            *sum = means;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: Geometry = Geometry { tile: 64, halo: 12, multiple: 8 };

    #[test]
    fn pieces_cover_what_is_wanted_with_their_halo() {
        for (len, wanted, shift) in
            [(200, (12, 188), 0), (200, (12, 188), 4), (90, (20, 60), 0), (300, (0, 300), 4), (30, (3, 4), 0)]
        {
            let found = spans(len, wanted, NET, shift);
            for x in wanted.0..wanted.1 {
                let total: f32 = found.iter().filter(|s| s.from <= x && x < s.to).map(|s| s.weight(x)).sum();
                assert!((total - 1.0).abs() < 1e-6, "{x}: {total}");
                for s in found.iter().filter(|s| s.weight(x) > 0.0) {
                    assert!(s.from == 0 || s.from + NET.halo <= x, "{x} {s:?}");
                    assert!(s.to == len || x + NET.halo < s.to, "{x} {s:?}");
                }
            }
            assert!(found.iter().all(|s| s.padded(NET.multiple) <= NET.tile + NET.multiple), "{found:?}");
        }
    }

    #[test]
    fn padding_reflects() {
        let line: Vec<usize> = (0..9).map(|i| reflected(i, 4)).collect();
        assert_eq!(line, [0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(reflected(5, 1), 0);
    }

    /// What every piece agrees on comes back bit for bit where one piece counts, and up to rounding in the blend.
    #[test]
    fn blending_keeps_what_the_pieces_agree_on() {
        let truth = Grid::from_fn(150, 120, |x, y| (x as f32 * 0.37 - y as f32 * 0.11).sin());
        let (columns, rows) = (spans(150, (12, 138), NET, 0), spans(120, (12, 108), NET, 0));
        let mut blend = Blend::new(1, 150, 120);
        for down in &rows {
            for across in &columns {
                let (w, h) = (across.padded(8), down.padded(8));
                let mut piece = Vec::new();
                cut(&truth.data, 150, (across, down), (w, h), &mut piece);
                assert_eq!(piece.len(), w * h);
                blend.add(across, down, &piece, w, h);
            }
        }
        let out = blend.finish().remove(0);
        for y in 12..108 {
            for x in 12..138 {
                assert!((out.get(x, y) - truth.get(x, y)).abs() < 1e-6);
            }
        }
    }
}
