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

/// `count` pieces along an axis of `len` pixels whose pixels `wanted` (from, one past) are needed; each begins `shift` pixels
/// earlier than its halo asks for.
pub fn spans(len: usize, wanted: (usize, usize), halo: usize, shift: usize, count: usize) -> Vec<Span> {
    let size = wanted.1 - wanted.0;
    // What is blended lies beyond the halo too, so that nothing of it is seen.
    let reach = if count > 1 { BLEND.min(size / count / 4) } else { 0 };
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

/// The pieces along both axes (x, y), of the shape that costs the least work: none holds more pixels than a square of
/// `geometry.tile`, but it may be longer than that on one side. A piece keeps at least its halo.
pub fn pieces(
    size: (usize, usize),
    wanted: ((usize, usize), (usize, usize)),
    geometry: Geometry,
    shift: (usize, usize),
) -> (Vec<Span>, Vec<Span>) {
    let Geometry { tile, halo, multiple } = geometry;
    let padded = |s: &Span| s.padded(multiple);
    let work = |spans: &[Span]| spans.iter().map(padded).sum::<usize>();
    let longest = |spans: &[Span]| spans.iter().map(padded).max().unwrap_or(0);
    // Pieces of a pixel's width are the end: their halo alone is too large for the tile, which is not refused here.
    let choices = |len: usize, wanted: (usize, usize), shift: usize| {
        let inside = tile.saturating_sub(2 * (halo + BLEND) + shift).max(multiple).max(1);
        let most = (wanted.1 - wanted.0).div_ceil(inside).max(1);
        (1..=most).map(move |count| spans(len, wanted, halo, shift, count)).collect::<Vec<_>>()
    };
    let (across, down) = (choices(size.0, wanted.0, shift.0), choices(size.1, wanted.1, shift.1));
    let smallest = [&across, &down].map(|c| c.last().map_or(0, |s| longest(s)));
    let limit = (tile * tile).max(smallest[0] * smallest[1]);
    let mut best: Option<(usize, usize, usize)> = None;
    for (i, columns) in across.iter().enumerate() {
        for (j, rows) in down.iter().enumerate() {
            let total = work(columns) * work(rows);
            if longest(columns) * longest(rows) <= limit && best.is_none_or(|b| total < b.0) {
                best = Some((total, i, j));
            }
        }
    }
    let (_, i, j) = best.unwrap_or((0, across.len() - 1, down.len() - 1));
    (across[i].clone(), down[j].clone())
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
            let (found, other) = pieces((len, 70), (wanted, (12, 58)), NET, (shift, 0));
            for x in wanted.0..wanted.1 {
                let total: f32 = found.iter().filter(|s| s.from <= x && x < s.to).map(|s| s.weight(x)).sum();
                assert!((total - 1.0).abs() < 1e-6, "{x}: {total}");
                for s in found.iter().filter(|s| s.weight(x) > 0.0) {
                    assert!(s.from == 0 || s.from + NET.halo <= x, "{x} {s:?}");
                    assert!(s.to == len || x + NET.halo < s.to, "{x} {s:?}");
                }
            }
            let side = |s: &[Span]| s.iter().map(|s| s.padded(NET.multiple)).max().unwrap();
            assert!(side(&found) * side(&other) <= (NET.tile + NET.multiple).pow(2), "{found:?}");
        }
    }

    #[test]
    fn two_halves_are_cheaper_than_four_quarters() {
        let net = Geometry { tile: 512, halo: 48, multiple: 8 };
        let wanted = (64, 608);
        let (columns, rows) = pieces((672, 672), (wanted, wanted), net, (0, 0));
        assert_eq!((columns.len().min(rows.len()), columns.len() * rows.len()), (1, 2), "{columns:?} {rows:?}");
        // A halo that leaves the tile no inside still gives pieces.
        let (columns, _) = pieces((300, 300), ((100, 200), (100, 200)), Geometry { tile: 64, ..net }, (0, 0));
        assert!(columns.iter().all(|s| s.side() >= 100));
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
        let (columns, rows) = pieces((150, 120), ((12, 138), (12, 108)), NET, (0, 0));
        assert!(columns.len() * rows.len() > 3);
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
