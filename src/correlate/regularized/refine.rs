//! The continuous displacement: data of single pixels and a smoothness that gives way at jumps.
//!
//! Minimises Σ_p (d_p - m_p)ᵀ A_p (d_p - m_p) + Σ_pq λ_pq φ(|d_p - d_q|) over 4-neighbours, A the information of a pixel
//! ([`super::data`]) and φ the function of Geman & McClure (1987), which bounds what a jump costs. Reweighted least
//! squares (Black & Rangarajan 1996, IJCV 19(1)): the spring between two neighbours is λ / (1 + |d_p - d_q|²/s²)². With
//! λ = L² times the information around, noise is averaged over about L pixels whatever its strength; in other words L
//! is the distance over which pixels share their displacement.
//!
//! With S for one such smoothing the field is S m, off by b = (I - S) d where the ground bends. t = S (m - S m), the correction
//! that Tukey's twicing (1977, Exploratory Data Analysis, chapter 16) would add, is S b and noise; 2 t - S t lacks only
//! (I - S)² b of b.

use super::barrier::Barriers;
use super::data::{Data, RADIUS, Source, data};
use super::level::{Field, zeros};
use super::solve::System;
use crate::correlate::dense::whiten::combine;
use crate::correlate::dense::windows::box_sum;
use crate::grid::Grid;

/// Smoothness of each pass of warping as a share of what is asked for: little at first, so that jumps show before they
/// are smoothed; and how often the springs are weighed in each.
const SHARES: [f32; 3] = [0.6, 0.8, 1.0];
const SPRINGS: usize = 3;
/// When the solver stops: share of the first error, share of what noise leaves in the field (both in χ²: the square of the
/// first is taken), iterations.
const TOLERANCE: f64 = 0.1;
const BELOW_NOISE: f64 = 0.002;
const ITERATIONS: usize = 30;
/// Labels of neighbours that differ by more than this start without a spring, pixels.
const APART: f32 = 0.6;
/// Change of displacement from pixel to pixel that a spring gives way to: at least, and in units of the noise that a
/// smooth field has.
const LEAST_GAP: f32 = 0.03;
const GAP: f32 = 4.0;
/// Share of the data's information that holds pixels without any.
const HOLD: f32 = 1e-5;
/// Radius of the box in which the data's pull on the smoothed field is judged, the pull (χ² of one axis) up to which
/// it is noise, and the least share of the smoothness that it leaves.
const PULL_RADIUS: usize = 8;
const NOISE: f32 = 6.0;
const LEAST_SHARE: f32 = 0.35;
/// Largest change in one pass, pixels.
const LARGEST: f32 = 1.0;

/// A refined field and what its uncertainty needs.
pub struct Refined {
    pub d: [Grid<f32>; 2],
    pub data: Data,
    /// Springs to the right and downwards relative to whole ones, 0 to 1.
    pub joined: [Grid<f32>; 2],
    /// Distance over which each pixel was smoothed.
    pub reach: Grid<f32>,
    /// What smoothing is found to have taken from each component.
    pub taken: [Grid<f32>; 2],
}

/// A continuous field and what it was solved with.
pub struct Smoothed {
    pub d: [Grid<f32>; 2],
    joined: [Grid<f32>; 2],
    length: Grid<f32>,
}

/// Refines the labels `start` (pixels). `smoothness`: L in pixels.
pub fn refine(
    sources: &mut [Source],
    start: [Grid<f32>; 2],
    smoothness: f32,
    barriers: Option<&Barriers>,
    stop: impl Fn() -> bool,
) -> Refined {
    let Smoothed { d, joined, length } = smooth(sources, start, smoothness, barriers, &stop);
    let found = data(sources, [&d[0], &d[1]]);
    let taken = if stop() { d.each_ref().map(|g| g.map(|_| 0.0)) } else { taken(&found, &d, &joined, &length) };
    Refined { d, data: found, joined, reach: length, taken }
}

/// As [`refine`], the field alone.
pub fn smooth(
    sources: &mut [Source],
    start: [Grid<f32>; 2],
    smoothness: f32,
    barriers: Option<&Barriers>,
    stop: impl Fn() -> bool,
) -> Smoothed {
    let mut reach = start[0].map(|_| smoothness);
    let mut d = start;
    let mut joined = first_springs(&d, barriers);
    let mut length = reach.clone();
    for share in SHARES {
        if stop() {
            break;
        }
        let found = data(sources, [&d[0], &d[1]]);
        let around = around(&found);
        length = reach.map(|v| share * v);
        let before = d.clone();
        for _ in 0..SPRINGS {
            solve(&found, &around, &joined, &length, &before, &mut d);
            joined = springs(&d, &around, &length, barriers);
        }
        for (d, b) in d.iter_mut().zip(&before) {
            // A pixel that nothing holds keeps what it had.
            let keep = |d: f32, b: f32| if d.is_finite() { d.clamp(b - LARGEST, b + LARGEST) } else { b };
            d.data.iter_mut().zip(&b.data).for_each(|(d, b)| *d = keep(*d, *b));
        }
        let chi = pull(&found, &d);
        for (k, v) in reach.data.iter_mut().enumerate() {
            let share = (NOISE / chi.data[k].max(NOISE)).sqrt().sqrt();
            *v = (*v * share).max(LEAST_SHARE * smoothness);
        }
    }
    Smoothed { d, joined, length }
}

/// What smoothing took: 2 t - S t with t = S of what the data are off the field.
fn taken(found: &Data, d: &[Grid<f32>; 2], joined: &[Grid<f32>; 2], length: &Grid<f32>) -> [Grid<f32>; 2] {
    let around = around(found);
    let nothing = d.each_ref().map(|g| g.map(|_| 0.0));
    let smooth = |right: [Grid<f32>; 2]| {
        let mut out = nothing.clone();
        solve(&Data { right, ..found.clone() }, &around, joined, length, &nothing, &mut out);
        out
    };
    let once = smooth([0, 1].map(|i| residual(found, d, i)));
    let twice = smooth([0, 1].map(|i| times(found, &once, i)));
    [0, 1].map(|i| combine(&once[i], &twice[i], |t, s| 2.0 * t - s))
}

/// Information times a field, one component.
fn times(found: &Data, d: &[Grid<f32>; 2], i: usize) -> Grid<f32> {
    let [xx, xy, yy] = &found.information;
    let (own, other) = if i == 0 { (xx, xy) } else { (yy, xy) };
    let one = |k: usize| own.data[k] * d[i].data[k] + other.data[k] * d[1 - i].data[k];
    Grid { data: (0..xx.data.len()).map(one).collect(), ..found.both.clone() }
}

/// Information times what one component's data are off the field `d`.
fn residual(found: &Data, d: &[Grid<f32>; 2], i: usize) -> Grid<f32> {
    combine(&found.right[i], &times(found, d, i), |r, t| r - t)
}

/// Where the data around a pixel agree on another displacement than the smoothed one: χ² per axis, 1 is noise.
fn pull(found: &Data, d: &[Grid<f32>; 2]) -> Grid<f32> {
    let sum = |g: &Grid<f32>| box_sum(g, PULL_RADIUS);
    let [a, b, c] = found.information.each_ref().map(sum);
    let [x, y] = [0, 1].map(|i| sum(&residual(found, d, i)));
    let mut chi = a.map(|_| 0.0);
    for k in 0..a.data.len() {
        let det = a.data[k] * c.data[k] - b.data[k] * b.data[k];
        if det > 1e-6 * (a.data[k] + c.data[k]).powi(2) {
            let (p, q) = (x.data[k], y.data[k]);
            chi.data[k] = 0.5 * ((c.data[k] * p - b.data[k] * q) * p + (a.data[k] * q - b.data[k] * p) * q) / det;
        }
    }
    chi
}

/// Mean information of the pixels that have any, of both axes.
fn around(found: &Data) -> Grid<f32> {
    let trace = Grid {
        data: found.information[0].data.iter().zip(&found.information[2].data).map(|(a, b)| 0.5 * (a + b)).collect(),
        ..found.both.clone()
    };
    let (sum, count) = (box_sum(&trace, RADIUS), box_sum(&found.both, RADIUS));
    let least = 1e-3;
    Grid { data: sum.data.iter().zip(&count.data).map(|(s, n)| s / n.max(1.0) + least).collect(), ..sum.clone() }
}

/// Springs before anything continuous is known.
fn first_springs(d: &[Grid<f32>; 2], barriers: Option<&Barriers>) -> [Grid<f32>; 2] {
    each_edge(d, barriers, |_, gap| if gap > APART * APART { 1e-3 } else { 1.0 })
}

/// Springs of Geman & McClure at the field `d`.
fn springs(d: &[Grid<f32>; 2], around: &Grid<f32>, length: &Grid<f32>, barriers: Option<&Barriers>) -> [Grid<f32>; 2] {
    each_edge(d, barriers, |k, gap| {
        let s = LEAST_GAP.max(GAP / (around.data[k].sqrt() * length.data[k].powi(2)));
        let v = 1.0 / (1.0 + gap / (s * s));
        v * v
    })
}

/// `f(pixel, squared difference)` for the neighbours to the right and below; 0 beyond the border and across lines.
fn each_edge(d: &[Grid<f32>; 2], barriers: Option<&Barriers>, f: impl Fn(usize, f32) -> f32) -> [Grid<f32>; 2] {
    let (w, h) = (d[0].width, d[0].height);
    let gap = |a: usize, b: usize| (d[0].data[a] - d[0].data[b]).powi(2) + (d[1].data[a] - d[1].data[b]).powi(2);
    let right = Grid::from_fn(w, h, |x, y| {
        let k = y * w + x;
        if x + 1 == w || barriers.is_some_and(|b| b.right.data[k]) { 0.0 } else { f(k, gap(k, k + 1)) }
    });
    let down = Grid::from_fn(w, h, |x, y| {
        let k = y * w + x;
        if y + 1 == h || barriers.is_some_and(|b| b.down.data[k]) { 0.0 } else { f(k, gap(k, k + w)) }
    });
    [right, down]
}

fn solve(
    found: &Data,
    around: &Grid<f32>,
    joined: &[Grid<f32>; 2],
    length: &Grid<f32>,
    hold: &[Grid<f32>; 2],
    d: &mut [Grid<f32>; 2],
) {
    let (w, h) = (d[0].width, d[0].height);
    let own = |k: usize| around.data[k] * length.data[k].powi(2);
    let stiff = |joined: &Grid<f32>, next: usize| -> Vec<f32> {
        let one = |k: usize| joined.data[k] * 0.5 * (own(k) + own((k + next).min(w * h - 1)));
        (0..w * h).map(one).collect()
    };
    let mut information = found.information.each_ref().map(|g| g.data.clone());
    let mut b = padded(&found.right, w, h);
    for k in 0..w * h {
        let held = HOLD * around.data[k];
        information[0][k] += held;
        information[2][k] += held;
        (0..2).for_each(|i| b[i][w + k] += held * hold[i].data[k]);
    }
    let system = System::new(w, h, information, [stiff(&joined[0], 1), stiff(&joined[1], w)]);
    let mut field = padded(d, w, h);
    // Noise has a χ² of one in each area of L² pixels.
    let noise: f64 = length.data.iter().map(|l| f64::from(1.0 / (l * l))).sum();
    system.solve(&b, &mut field, (TOLERANCE, BELOW_NOISE * noise), ITERATIONS);
    for i in 0..2 {
        d[i].data.copy_from_slice(&field[i][w..w * (h + 1)]);
    }
}

fn padded(g: &[Grid<f32>; 2], w: usize, h: usize) -> Field {
    let mut out = zeros(w, h);
    (0..2).for_each(|i| out[i][w..w * (h + 1)].copy_from_slice(&g[i].data));
    out
}
