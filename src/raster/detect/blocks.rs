//! What is found in blocks of a complex image: the centre of its azimuth spectrum and its mean amplitude.

use super::Signal;
use crate::grid::Grid;
use rustfft::num_complex::Complex;

/// Side of the blocks in which the azimuth spectrum's centre and the mean amplitude are found, pixels.
pub(super) const BLOCK: i64 = 32;

/// What is known of whole blocks.
pub(super) struct Blocks {
    /// Global number of the first block.
    first: (i64, i64),
    /// Correlation of neighbouring lines, 1 at most: its phase is the azimuth spectrum's centre, in radians per line.
    turn: Grid<Complex<f32>>,
    /// Sum of valid amplitudes, and their number.
    sum: Grid<f32>,
    count: Grid<f32>,
}

impl Blocks {
    pub(super) fn new(signal: &Signal) -> Blocks {
        let place = signal.place;
        let first = (place.x.div_euclid(BLOCK), place.y.div_euclid(BLOCK));
        let count =
            |from: i64, n: usize, first: i64| ((from + n as i64 + BLOCK - 1).div_euclid(BLOCK) - first) as usize;
        let (w, h) = (count(place.x, place.width, first.0), count(place.y, place.height, first.1));
        let mut blocks = Blocks {
            first,
            turn: Grid::filled(w, h, Complex::default()),
            sum: Grid::filled(w, h, 0.0),
            count: Grid::filled(w, h, 0.0),
        };
        for by in 0..h {
            for bx in 0..w {
                blocks.measure(signal, (bx, by));
            }
        }
        blocks
    }

    fn measure(&mut self, signal: &Signal, (bx, by): (usize, usize)) {
        let place = signal.place;
        let inside = |b: usize, first: i64, from: i64, n: usize| {
            let start = (first + b as i64) * BLOCK - from;
            (start.max(0) as usize, (start + BLOCK).clamp(0, n as i64) as usize)
        };
        let (x0, x1) = inside(bx, self.first.0, place.x, place.width);
        let (y0, y1) = inside(by, self.first.1, place.y, place.height);
        let (mut turn, mut power, mut sum, mut count) = (Complex::<f64>::default(), 0.0f64, 0.0f64, 0.0f32);
        for y in y0..y1 {
            for x in x0..x1 {
                let at = |y: usize| {
                    let (re, im) = (f64::from(signal.re.get(x, y)), f64::from(signal.im.get(x, y)));
                    signal.valid.get(x, y).then(|| Complex::new(re, im))
                };
                let Some(z) = at(y) else { continue };
                sum += z.norm_sqr().sqrt();
                power += z.norm_sqr();
                count += 1.0;
                if y + 1 < y1
                    && let Some(next) = at(y + 1)
                {
                    turn += next * z.conj();
                }
            }
        }
        let turn = turn / power.max(f64::MIN_POSITIVE);
        self.turn.data[by * self.turn.width + bx] = Complex::new(turn.re as f32, turn.im as f32);
        self.sum.data[by * self.sum.width + bx] = sum as f32;
        self.count.data[by * self.count.width + bx] = count;
    }

    /// The two blocks around a pixel along an axis and the second's weight.
    fn around(at: i64, first: i64, n: usize) -> (usize, usize, f32) {
        let t = ((at - first * BLOCK) as f32 + 0.5) / BLOCK as f32 - 0.5;
        let k = t.floor();
        let clamped = |k: f32| k.clamp(0.0, n as f32 - 1.0) as usize;
        (clamped(k), clamped(k + 1.0), t - k)
    }

    /// Turn from the line `y` to the next at a column, of length 1.
    pub(super) fn turn(&self, x: i64, y: i64) -> Complex<f32> {
        let (a, b, v) = Self::around(y, self.first.1, self.turn.height);
        let (l, r, u) = Self::around(x, self.first.0, self.turn.width);
        let across = |y: usize| self.turn.get(l, y) * (1.0 - u) + self.turn.get(r, y) * u;
        let t = across(a) * (1.0 - v) + across(b) * v;
        unit(t).unwrap_or(Complex::new(1.0, 0.0))
    }

    /// Mean amplitude around a pixel; 0 where nothing is valid.
    pub(super) fn mean(&self, x: i64, y: i64) -> f32 {
        let (a, b, v) = Self::around(y, self.first.1, self.sum.height);
        let (l, r, u) = Self::around(x, self.first.0, self.sum.width);
        let at = |g: &Grid<f32>| {
            (g.get(l, a) * (1.0 - u) + g.get(r, a) * u) * (1.0 - v) + (g.get(l, b) * (1.0 - u) + g.get(r, b) * u) * v
        };
        let count = at(&self.count);
        if count > 0.0 { at(&self.sum) / count } else { 0.0 }
    }
}

/// A complex number with length 1; `None` for one that points nowhere.
pub(super) fn unit(v: Complex<f32>) -> Option<Complex<f32>> {
    let norm = v.norm_sqr().sqrt();
    (norm > 1e-6).then(|| v / norm)
}
