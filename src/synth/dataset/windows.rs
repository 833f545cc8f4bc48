//! Small windows with one displacement each, for networks that look at one window at a time.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::sample::{MARGIN, Workshop, prepared};
use crate::Result;
use crate::field::PixelShift;
use crate::grid::{Grid, Window};
use crate::synth::change::Change;
use crate::synth::inverse::{Displacement, Source, sources};
use crate::synth::noise::{add_white, change_ground, observe};
use crate::synth::random::Purpose;
use crate::synth::spectrum::{SceneSpectrum, moments};
use crate::synth::warp::Warper;

/// Largest shift of a window along each axis, pixels.
pub const LARGEST_SHIFT: f64 = 1.0;
/// Jump across a discontinuity, pixels: limits of a log-uniform draw.
const JUMP: (f64, f64) = (0.05, 1.5);

/// Everything about one window but its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowRecord {
    pub index: usize,
    pub place: usize,
    pub pre: String,
    pub post: String,
    pub corner: (i64, i64),
    pub change: Change,
    /// Displacement (right, down) at the centre of the window, pixels.
    pub shift: (f64, f64),
    /// Displacement of the other side of the discontinuity; `None`: the window moves as a whole.
    pub other: Option<(f64, f64)>,
    /// Where the discontinuity is: unit normal (x, y) that points to the side of the centre, and its distance from the
    /// centre in pixels.
    pub line: Option<(f64, f64, f64)>,
}

/// A window pair.
#[derive(Debug, Clone)]
pub struct WindowSample {
    pub record: WindowRecord,
    pub pre: Grid<f32>,
    pub post: Grid<f32>,
}

/// Two blocks that move rigidly on either side of a straight line.
struct Blocks {
    normal: (f64, f64),
    /// normal · x - offset is the signed distance.
    offset: f64,
    right: PixelShift,
    left: PixelShift,
}

impl Displacement for Blocks {
    fn at(&self, x: f64, y: f64) -> PixelShift {
        self.on_side(x, y, self.normal.0 * x + self.normal.1 * y >= self.offset)
    }

    fn across(&self, x: f64, y: f64) -> Option<f64> {
        Some(self.normal.0 * x + self.normal.1 * y - self.offset)
    }

    fn on_side(&self, _: f64, _: f64, right: bool) -> PixelShift {
        if right { self.right } else { self.left }
    }

    fn largest_jump(&self) -> f64 {
        (self.right.dx - self.left.dx).hypot(self.right.dy - self.left.dy)
    }
}

impl Workshop<'_> {
    /// Makes window `index`: every second one has a discontinuity.
    ///
    /// # Errors
    /// Unreadable images; no valid part large enough.
    pub fn window(&self, index: usize) -> Result<WindowSample> {
        let spec = self.spec;
        let rng = &mut spec.stream(index);
        let seed = rng.random_range(0..1u64 << 52);
        let mut change = spec.change.draw(rng, seed);
        // A window under a cloud has no answer, and one of a single date nothing to be mixed with.
        (change.noise.clouds, change.mix, change.jitter) = (0.0, 0.0, 0.0);
        let (base, post_image) = self.base(spec.split_of(index), rng)?;
        let (corner, images) = self.cut(base, rng)?;
        let size = spec.size + 2 * MARGIN;
        let mut component = || rng.random_range(-LARGEST_SHIFT..LARGEST_SHIFT);
        let shift = PixelShift::new(component(), component());
        let centre = (size as f64 - 1.0) / 2.0;
        let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        // At most 0.4 of the window away from its centre, so that both sides are seen.
        let away = rng.random_range(0.0..0.4) * spec.size as f64;
        let jump = JUMP.0 * (JUMP.1 / JUMP.0).powf(rng.random_range(0.0..1.0));
        let turn: f64 = rng.random_range(0.0..std::f64::consts::TAU);
        let cut = index % 2 == 1;
        let other = PixelShift::new(shift.dx + jump * turn.cos(), shift.dy + jump * turn.sin());
        let blocks = Blocks {
            normal: (cos, sin),
            offset: cos * centre + sin * centre - away,
            right: shift,
            left: if cut { other } else { shift },
        };
        let (ox, oy) = if post_image == 1 { base.misregistration.unwrap_or_default() } else { (0.0, 0.0) };
        let moved = sources(&blocks, size, size).map(|s| Source { x: s.x + ox, y: s.y + oy, ..s });
        let inner = Window::new(MARGIN as i64, MARGIN as i64, spec.size, spec.size);
        let warped = Warper::mirrored(&prepared(&images[post_image], spec.band_limit)).warp(&moved).crop(inner);
        let mut pre = prepared(&images[0], spec.band_limit).crop(inner);
        let (mean, std) = moments(&warped.data);
        let std = std.max(f64::MIN_POSITIVE);
        let sign = if change.inverted { -1.0 } else { 1.0 };
        let mut ground = warped.map(|v| sign * (v - mean) / std);
        change_ground(&mut ground, &change.noise, SceneSpectrum::default(), seed);
        let post = observe(&ground, &change.noise, mean, std, seed);
        let (_, pre_std) = moments(&pre.data);
        add_white(&mut pre, pre_std * change.noise.white_sigma(), Purpose::NoisePre, seed);
        let record = WindowRecord {
            index,
            place: base.place,
            pre: base.images[0].clone(),
            post: base.images[post_image].clone(),
            corner,
            change,
            shift: (shift.dx, shift.dy),
            other: cut.then_some((other.dx, other.dy)),
            line: cut.then_some((cos, sin, away)),
        };
        Ok(WindowSample { record, pre: pre.map(|v| v as f32), post: post.map(|v| v as f32) })
    }
}
