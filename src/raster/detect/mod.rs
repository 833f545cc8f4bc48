//! Detection: the amplitude of single-look complex images without aliasing.
//!
//! The square of a signal has twice its bandwidth. Amplitudes taken at the samples of a complex image are therefore aliased, and
//! displacements measured between them are pulled to whole pixels. Here the complex signal is interpolated to half pixels, the
//! amplitude is taken there and low-passed back to the samples, so that what comes out can be interpolated.
//!
//! Both filters are the same half-band filter (sinc with a Kaiser window). Along the flight (the rows' axis, azimuth) the spectrum is
//! centred first: its centre is the phase of the correlation of neighbouring lines (Madsen 1989, IEEE TAES 25(2)), found in
//! blocks that lie on the image's own grid, so that every window of an image gives the same values. Range is taken to be in
//! baseband, as processors deliver it.

mod blocks;

use crate::grid::{Grid, Window};
use blocks::{BLOCK, Blocks, unit};
use rustfft::num_complex::Complex;

/// Taps to each side of a half-band filter.
const TAPS: usize = 12;
/// Shape of its Kaiser window: 0.45 to 0.55 cycles a pixel lie between passing and stopping.
const BETA: f64 = 4.0;
/// Pixels on each side that a value depends on: those of one filter after the other.
const REACH: usize = 2 * TAPS;

/// The pixels that must be read for those of `window` inside an image of `size`: whole blocks, or up to the image's edge.
pub(super) fn region(window: Window, size: (usize, usize)) -> Window {
    let wide = window.grown(REACH + BLOCK as usize);
    let axis = |from: i64, n: usize, size: usize| {
        let first = (from.div_euclid(BLOCK) * BLOCK).max(0);
        let end = ((from + n as i64 + BLOCK - 1).div_euclid(BLOCK) * BLOCK).min(size as i64);
        (first, (end - first).max(0) as usize)
    };
    let (x, width) = axis(wide.x, wide.width, size.0);
    let (y, height) = axis(wide.y, wide.height, size.1);
    Window::new(x, y, width, height)
}

/// Real and imaginary part of the pixels of `place`, and which of them are valid; those that are not count as nothing.
pub(super) struct Signal {
    pub place: Window,
    pub re: Grid<f32>,
    pub im: Grid<f32>,
    pub valid: Grid<bool>,
}

/// Amplitudes of the pixels of `window`, row by row; `signal.place` is its [`region`].
pub(super) fn amplitude(signal: &Signal, window: Window) -> Vec<f32> {
    let h = half_band();
    let blocks = Blocks::new(signal);
    // Twice the window's rows and columns, and as many more as the low pass needs.
    let reach = TAPS as i64;
    let first = (window.x - reach, window.y - reach);
    let (width, height) = (window.width + REACH, window.height + REACH);
    let columns = InRange::new(signal, first, (width, height), &h);
    let mut fine = columns.amplitudes(&blocks, &h);
    fill(&mut fine, signal, &blocks, first);
    low_pass(&fine, (window.width, window.height), &h)
}

/// Amplitudes of a whole image without gaps, given by real and imaginary part.
pub(crate) fn image(signal: &[Grid<f64>; 2]) -> Grid<f64> {
    let [re, im] = signal.each_ref().map(|part| part.map(|v| v as f32));
    let (width, height) = (re.width, re.height);
    let place = Window::new(0, 0, width, height);
    let signal = Signal { place, re, im, valid: Grid::filled(width, height, true) };
    Grid::from_vec(width, height, amplitude(&signal, place).into_iter().map(f64::from).collect())
}

/// Weights at the odd distances 1, 3, ... of a half-band filter whose weight at 0 is 1/2; all of them sum to 1.
fn half_band() -> [f32; TAPS] {
    let bessel = |x: f64| {
        // Power series of I0, far beyond f64 for the arguments here.
        let term = |sum: (f64, f64), k: usize| {
            let t = sum.1 * (x / (2.0 * k as f64)).powi(2);
            (sum.0 + t, t)
        };
        (1..30).fold((1.0, 1.0), term).0
    };
    let weight = |i: usize| {
        let t = (2 * i + 1) as f64;
        let sinc = (std::f64::consts::FRAC_PI_2 * t).sin() / (std::f64::consts::PI * t);
        sinc * bessel(BETA * (1.0 - (t / (2 * TAPS) as f64).powi(2)).sqrt())
    };
    let all: f64 = (0..TAPS).map(weight).sum();
    std::array::from_fn(|i| (0.25 * weight(i) / all) as f32)
}

/// The signal at whole and half pixels in range, at whole lines.
struct InRange {
    /// Global pixel of the first column and line of the result.
    first: (i64, i64),
    /// Lines and columns (of whole pixels) of the result.
    size: (usize, usize),
    /// Lines of the signal, [`TAPS`] more at each end than the result; columns at half pixels. Zero outside the image.
    re: Grid<f32>,
    im: Grid<f32>,
}

impl InRange {
    fn new(signal: &Signal, first: (i64, i64), size: (usize, usize), h: &[f32; TAPS]) -> InRange {
        let (width, height) = (2 * size.0, size.1 + REACH);
        let top = first.1 - TAPS as i64 + 1;
        let mut line = vec![0.0; size.0 + REACH];
        let mut one = |part: &Grid<f32>| {
            let mut out = Grid::filled(width, height, 0.0);
            for (y, out) in out.data.chunks_exact_mut(width).enumerate() {
                let Some(y) = index(top + y as i64, signal.place.y, part.height) else { continue };
                line.fill(0.0);
                for (i, v) in line.iter_mut().enumerate() {
                    let Some(x) = index(first.0 - TAPS as i64 + 1 + i as i64, signal.place.x, part.width) else {
                        continue;
                    };
                    if signal.valid.get(x, y) {
                        *v = part.get(x, y);
                    }
                }
                for (x, pair) in out.chunks_exact_mut(2).enumerate() {
                    let at = x + TAPS - 1;
                    pair[0] = line[at];
                    pair[1] = (0..TAPS).map(|i| 2.0 * h[i] * (line[at - i] + line[at + 1 + i])).sum();
                }
            }
            out
        };
        InRange { first, size, re: one(&signal.re), im: one(&signal.im) }
    }

    /// Amplitudes at whole and half pixels of both axes.
    fn amplitudes(&self, blocks: &Blocks, h: &[f32; TAPS]) -> Grid<f32> {
        let (w, lines) = (self.re.width, self.size.1);
        let [turn_re, turn_im] = self.turns(blocks);
        let mut out = Grid::filled(w, 2 * lines, 0.0);
        let [mut re, mut im, mut phase_re, mut phase_im] = [(); 4].map(|()| vec![0.0f32; w]);
        for y in 0..lines {
            let (even, odd) = out.data[2 * y * w..2 * (y + 1) * w].split_at_mut(w);
            let at = y + TAPS - 1;
            norms(self.re.row(at), self.im.row(at), even);
            re.fill(0.0);
            im.fill(0.0);
            // The lines above, then those below, are turned to where the one half way between is; back is the turn's conjugate.
            for (below, sign) in [(false, 1.0), (true, -1.0)] {
                for x in 0..w {
                    let half = half_turn(Complex::new(turn_re.get(x, at), turn_im.get(x, at)));
                    (phase_re[x], phase_im[x]) = (half.re, sign * half.im);
                }
                for (i, h) in h.iter().enumerate() {
                    let (line, turn) = if below { (at + 1 + i, at + i) } else { (at - i, at - i) };
                    if i > 0 {
                        let (tr, ti) = (turn_re.row(turn), turn_im.row(turn));
                        for ((p, q), (tr, ti)) in phase_re.iter_mut().zip(&mut phase_im).zip(tr.iter().zip(ti)) {
                            let ti = sign * ti;
                            (*p, *q) = (*p * tr - *q * ti, *p * ti + *q * tr);
                        }
                    }
                    let phase = phase_re.iter().zip(&phase_im);
                    let value = self.re.row(line).iter().zip(self.im.row(line));
                    for (((re, im), (p, q)), (a, b)) in re.iter_mut().zip(&mut im).zip(phase).zip(value) {
                        *re += 2.0 * h * (a * p - b * q);
                        *im += 2.0 * h * (a * q + b * p);
                    }
                }
            }
            norms(&re, &im, odd);
        }
        out
    }

    /// The turn from each line to the next, real and imaginary part, for every column.
    fn turns(&self, blocks: &Blocks) -> [Grid<f32>; 2] {
        let [mut re, mut im] = [(); 2].map(|()| Grid::filled(self.re.width, self.re.height, 0.0));
        for y in 0..self.re.height {
            let pairs = re.row_mut(y).chunks_exact_mut(2).zip(im.row_mut(y).chunks_exact_mut(2));
            for (x, (re, im)) in pairs.enumerate() {
                let turn = blocks.turn(self.first.0 + x as i64, self.first.1 - TAPS as i64 + 1 + y as i64);
                re.fill(turn.re);
                im.fill(turn.im);
            }
        }
        [re, im]
    }
}

/// Half of a turn. Half a circle has two halves; only amplitudes are wanted of what they lead to.
fn half_turn(turn: Complex<f32>) -> Complex<f32> {
    unit(turn + 1.0).unwrap_or(Complex::new(0.0, 1.0))
}

fn norms(re: &[f32], im: &[f32], out: &mut [f32]) {
    for ((o, a), b) in out.iter_mut().zip(re).zip(im) {
        *o = (a * a + b * b).sqrt();
    }
}

/// Where a global position lies in `n` pixels from `first`.
fn index(at: i64, first: i64, n: usize) -> Option<usize> {
    usize::try_from(at - first).ok().filter(|&i| i < n)
}

/// Gives amplitudes beside invalid pixels and outside the image the mean around them, so that the low pass does not ring there.
fn fill(fine: &mut Grid<f32>, signal: &Signal, blocks: &Blocks, first: (i64, i64)) {
    let (width, height) = (fine.width / 2, fine.height / 2);
    let valid = |x: usize, y: usize| {
        let x = index(first.0 + x as i64, signal.place.x, signal.valid.width);
        let y = index(first.1 + y as i64, signal.place.y, signal.valid.height);
        x.zip(y).is_some_and(|(x, y)| signal.valid.get(x, y))
    };
    let valid = Grid::from_vec(
        width + 1,
        height + 1,
        (0..height + 1).flat_map(|y| (0..width + 1).map(move |x| (x, y))).map(|(x, y)| valid(x, y)).collect(),
    );
    for y in 0..height {
        for x in 0..width {
            let [a, b] = [0, 1].map(|i| [valid.get(x, y + i), valid.get(x + 1, y + i)]);
            if a == [true; 2] && b == [true; 2] {
                continue;
            }
            let mean = blocks.mean(first.0 + x as i64, first.1 + y as i64);
            for (i, ok) in [a[0], a[0] && a[1], a[0] && b[0], false].into_iter().enumerate() {
                if !ok {
                    fine.data[(2 * y + i / 2) * fine.width + 2 * x + i % 2] = mean;
                }
            }
        }
    }
}

/// Every second value of the low-passed amplitudes: those of whole pixels of the window of `size`.
fn low_pass(fine: &Grid<f32>, size: (usize, usize), h: &[f32; TAPS]) -> Vec<f32> {
    let mut lines = vec![0.0f32; fine.width];
    let mut out = Vec::with_capacity(size.0 * size.1);
    for y in 0..size.1 {
        let at = 2 * (y + TAPS);
        lines.iter_mut().zip(fine.row(at)).for_each(|(l, v)| *l = 0.5 * v);
        for (i, h) in h.iter().enumerate() {
            let (above, below) = (fine.row(at - 2 * i - 1), fine.row(at + 2 * i + 1));
            for ((l, a), b) in lines.iter_mut().zip(above).zip(below) {
                *l += h * (a + b);
            }
        }
        for x in 0..size.0 {
            let at = 2 * (x + TAPS);
            let sides = h.iter().enumerate().map(|(i, h)| h * (lines[at - 2 * i - 1] + lines[at + 2 * i + 1]));
            // The filter undershoots beside very bright points.
            out.push((0.5 * lines[at] + sides.sum::<f32>()).max(0.0));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, normal, stream};
    use std::f64::consts::{PI, TAU};

    const SIDE: usize = 160;

    /// Waves that fill 0.8 of the band in range and 0.7 of it along the flight: frequencies in cycles a pixel, and strengths.
    fn waves() -> Vec<(f64, f64, Complex<f64>)> {
        let rng = &mut stream(7, Purpose::Speckle);
        let mut even = |half: f64| half * (2.0 * (normal(rng) * 10.0).rem_euclid(1.0) - 1.0);
        let waves: Vec<_> = (0..40).map(|_| (even(0.40), even(0.35))).collect();
        waves.into_iter().map(|(fx, fy)| (fx, fy, Complex::new(normal(rng), normal(rng)))).collect()
    }

    fn value(waves: &[(f64, f64, Complex<f64>)], x: f64, y: f64) -> Complex<f64> {
        waves.iter().map(|(fx, fy, a)| a * Complex::from_polar(1.0, TAU * (fx * x + fy * y))).sum()
    }

    /// The whole image, line y turned by the phase of a steered beam: `centre` cycles a line, and `rate` more each line.
    fn signal(centre: f64, rate: f64) -> Signal {
        let waves = waves();
        let at = |x: usize, y: usize| {
            let (x, y) = (x as f64, y as f64);
            value(&waves, x, y) * Complex::from_polar(1.0, TAU * (centre * y + 0.5 * rate * y * y))
        };
        let values = Grid::from_fn(SIDE, SIDE, at);
        let part =
            |f: fn(&Complex<f64>) -> f64| Grid::from_vec(SIDE, SIDE, values.data.iter().map(|v| f(v) as f32).collect());
        Signal {
            place: Window::new(0, 0, SIDE, SIDE),
            re: part(|v| v.re),
            im: part(|v| v.im),
            valid: Grid::filled(SIDE, SIDE, true),
        }
    }

    /// The part of a signal that is read for `window`.
    fn part(whole: &Signal, window: Window) -> Signal {
        let place = region(window, (SIDE, SIDE));
        Signal { place, re: whole.re.crop(place), im: whole.im.crop(place), valid: whole.valid.crop(place) }
    }

    fn rms(a: &[f32], b: &[f32]) -> f64 {
        let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (sum / a.len() as f64).sqrt()
    }

    /// The amplitude at an eighth of a pixel, low-passed by a sinc over 64 pixels.
    fn slowly(window: Window) -> Vec<f32> {
        const FINE: usize = 8;
        const HALF: usize = 32;
        let waves = waves();
        let n = (window.width + 2 * HALF) * FINE;
        let position = |i: usize, first: i64| first as f64 - HALF as f64 + i as f64 / FINE as f64;
        let fine = Grid::from_fn(n, n, |x, y| value(&waves, position(x, window.x), position(y, window.y)).norm());
        let kernel: Vec<f64> = (0..=2 * HALF * FINE)
            .map(|i| {
                let t = i as f64 / FINE as f64 - HALF as f64;
                let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
                sinc * (0.5 + 0.5 * (PI * t / HALF as f64).cos()) / FINE as f64
            })
            .collect();
        let mut out = Vec::new();
        for y in 0..window.height {
            let lines: Vec<f64> = (0..n)
                .map(|x| kernel.iter().enumerate().map(|(i, k)| k * fine.get(x, (y * FINE + i).min(n - 1))).sum())
                .collect();
            for x in 0..window.width {
                out.push(
                    kernel.iter().enumerate().map(|(i, k)| k * lines[(x * FINE + i).min(n - 1)]).sum::<f64>() as f32
                );
            }
        }
        out
    }

    #[test]
    fn amplitudes_are_the_low_passed_ones_of_the_continuous_signal() {
        let window = Window::new(70, 75, 12, 12);
        let wanted = slowly(window);
        let mean = wanted.iter().sum::<f32>() / wanted.len() as f32;
        let contrast = rms(&wanted, &vec![mean; wanted.len()]);
        let whole = signal(0.0, 0.0);
        let at_samples: Vec<f32> = {
            let (re, im) = (whole.re.crop(window), whole.im.crop(window));
            re.data.iter().zip(&im.data).map(|(a, b)| a.hypot(*b)).collect()
        };
        let error = |found: &[f32]| rms(found, &wanted) / contrast;
        let plain = error(&at_samples);
        // Beams that are steered across the whole band, and a centre where the spectrum wraps around.
        for (centre, rate) in [(0.0, 0.0), (0.31, 0.0), (0.5, 0.0), (-0.2, 0.006)] {
            let found = error(&amplitude(&part(&signal(centre, rate), window), window));
            println!("centre {centre}, rate {rate}: error {found:.3}, at the samples {plain:.3}");
            // What lies between passing and stopping, and what little of an amplitude lies beyond twice the band.
            assert!(found < 0.1 && plain > 6.0 * found, "{centre} {rate}: {found} {plain}");
        }
    }

    #[test]
    fn windows_of_an_image_agree_with_the_whole() {
        let mut whole = signal(-0.2, 0.006);
        for k in 0..60 {
            whole.valid.set(40 + k, 50 + k / 3, false);
        }
        let all = Window::new(0, 0, SIDE, SIDE);
        let image = Grid::from_vec(SIDE, SIDE, amplitude(&part(&whole, all), all));
        assert!(image.data.iter().all(|v| v.is_finite()));
        for (x, y, w, h) in [(0, 0, 9, 5), (37, 41, 30, 30), (64, 96, 32, 32), (150, 3, 10, 90), (90, 155, 1, 5)] {
            let window = Window::new(x, y, w, h);
            assert_eq!(amplitude(&part(&whole, window), window), image.crop(window).data, "{window:?}");
        }
    }

    #[test]
    fn gaps_and_edges_do_not_ring() {
        let mut whole = signal(0.1, 0.0);
        let all = Window::new(0, 0, SIDE, SIDE);
        let clean = Grid::from_vec(SIDE, SIDE, amplitude(&whole, all));
        for y in 60..100 {
            for x in 60..100 {
                whole.valid.set(x, y, false);
            }
        }
        let found = Grid::from_vec(SIDE, SIDE, amplitude(&whole, all));
        let mean = clean.data.iter().sum::<f32>() / clean.data.len() as f32;
        let contrast = rms(&clean.data, &vec![mean; clean.data.len()]);
        // Change beside the gap, by distance.
        let beside = |d: usize| {
            let at = |g: &Grid<f32>| (60..100).map(|y| g.get(59 - d, y)).collect::<Vec<f32>>();
            rms(&at(&clean), &at(&found)) / contrast
        };
        println!("{:.3} {:.3} {:.3} {:.3}", beside(0), beside(3), beside(8), beside(20));
        assert!(beside(0) < 1.0 && beside(3) < 0.3 && beside(8) < 0.1 && beside(20) < 0.02);
        // The edge of the image holds what the rest holds.
        let row = |y: usize| clean.row(y).iter().sum::<f32>() / SIDE as f32 / mean;
        assert!((row(0) - 1.0).abs() < 0.25 && (row(2) - 1.0).abs() < 0.25, "{} {}", row(0), row(2));
    }
}
