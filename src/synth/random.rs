//! Seeded random numbers: one independent stream per purpose.
//!
//! A stream depends on the seed and its purpose only, never on how many numbers another part drew or on the number
//! of threads, so that switching one ingredient of a scene off leaves all others as they were.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use crate::grid::Grid;

/// What the random numbers are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    Scene = 1,
    Trace,
    Slip,
    SmoothField,
    NoisePre,
    NoisePost,
    Change,
    Patches,
    PatchScene,
    Shading,
    Speckle,
    SpeckleChange,
    Magnitude,
    FaultShape,
    Roughness,
    Rake,
    Secondary,
    OffFault,
    Patch,
    Sample,
    Window,
    Sky,
    Sensor,
    Differences,
    InsarSource,
    InsarTerrain,
    InsarTrack,
    InsarNoise,
    InsarPlace,
    Atmosphere,
    Cover,
    Network,
    Series,
    EventDay,
}

/// The generator for one purpose of the run with the given seed.
pub fn stream(seed: u64, purpose: Purpose) -> Pcg64 {
    numbered(seed, purpose, 0)
}

/// Like [`stream`], for purposes that need several independent generators (looks, parts).
pub fn numbered(seed: u64, purpose: Purpose, number: u64) -> Pcg64 {
    // Seeds are small numbers in practice: spread them over the whole state (seed_from_u64 does that) and keep the
    // purposes apart by different seeds, not by the order in which numbers are drawn.
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (purpose as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
    Pcg64::seed_from_u64(mixed.rotate_left(23) ^ number.wrapping_mul(0x8CB9_2BA7_2F3D_8DD7))
}

/// One standard normal number.
pub fn normal(rng: &mut Pcg64) -> f64 {
    StandardNormal.sample(rng)
}

/// White noise of unit standard deviation, drawn row by row.
pub fn white(width: usize, height: usize, rng: &mut Pcg64) -> Grid<f64> {
    Grid::from_fn(width, height, |_, _| normal(rng))
}
