//! What an earthquake is made of: magnitude, size, geometry and slip, drawn from what is known of real ones.

use rand::RngExt;
use rand_distr::{Distribution, Poisson};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::random::{Purpose, normal, stream};
use super::scaling::{RuptureSize, ScalingLaw, moment};
use super::slip::SlipSpec;
use crate::{Error, Result};

/// Everything that decides an earthquake; the same values and seed give the same fault and slip. Lengths in metres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuptureSpec {
    /// Seed of the roughness, of the slip pattern and of the rake.
    pub seed: u64,
    pub magnitude: f64,
    pub law: ScalingLaw,
    /// Size after the width has been limited by the seismogenic depth; the mean slip follows from the moment.
    pub size: RuptureSize,
    /// Depth of the bottom of the crust that breaks.
    pub seismogenic_depth: f64,
    /// Degrees clockwise from north.
    pub strike_deg: f64,
    pub dip_deg: f64,
    /// `true`: the fault dips to the right of its strike.
    pub dips_right: bool,
    pub slip: SlipSpec,
    /// Hurst exponent of trace and surface.
    pub hurst: f64,
    /// Root mean square deviation of the trace from a line, as a share of its length.
    pub roughness: f64,
    /// Deviation of the surface at depth from its trace, as a share of that of the trace.
    pub relief: f64,
    pub segments: Vec<Segment>,
    pub secondary: Vec<SecondarySpec>,
    /// Deformation spread beside the fault; `None`: all of it on the fault.
    pub off_fault: Option<OffFaultSpec>,
}

/// One piece of the main fault.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub length: f64,
    /// Its direction relative to the mean strike, degrees.
    pub bend_deg: f64,
    /// How the fault steps over at the end of this segment; `None`: it goes on without a gap.
    pub step: Option<StepOver>,
}

/// Two strands side by side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepOver {
    /// Distance to the right (negative: to the left).
    pub offset: f64,
    pub overlap: f64,
}

/// A smaller fault beside the main one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SecondarySpec {
    /// Where it is: share of the main fault's length, and distance to the right of it.
    pub position: f64,
    pub distance: f64,
    pub length: f64,
    /// Direction relative to the main strike, degrees.
    pub angle_deg: f64,
    /// Its mean slip as a share of the main fault's.
    pub slip_share: f64,
    /// `true`: it slips in the other sense.
    pub conjugate: bool,
}

/// Deformation spread over a zone beside the fault.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OffFaultSpec {
    /// Share of the jump that is spread.
    pub share: f64,
    /// Width of the zone that holds 95 % of it, metres.
    pub width: f64,
}

/// What may be asked of an event before the rest is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Wishes {
    pub magnitude: Option<f64>,
    pub law: Option<ScalingLaw>,
    pub strike_deg: Option<f64>,
    pub rake_deg: Option<f64>,
    pub dip_deg: Option<f64>,
}

/// Twice the mean slip at the surface of Wells and Coppersmith (1994), metres: about one standard deviation above it.
fn largest_mean_slip(magnitude: f64) -> f64 {
    2.0 * 10f64.powf(-6.32 + 0.90 * magnitude)
}

/// Magnitudes that are drawn.
pub const MAGNITUDES: std::ops::Range<f64> = 6.0..7.8;

impl RuptureSpec {
    /// Draws an event. Ranges and sources: seismogenic depth N(15, 3) km; dip 90 - |N(0, 6)| degrees; trace roughness
    /// 0.001 to 0.01 of the length (Power and Tullis 1991) with Hurst exponent 0.8 (Candela et al. 2012, JGR 117);
    /// a segment for every 25 km; steps of 0.3 to 4 km (Wesnousky 2006, Nature 444); off-fault share 0 to 60 % over 30 to
    /// 300 m (Milliner et al. 2016, GRL 43).
    ///
    /// # Errors
    /// [`Error::Option`] for a wish out of range.
    pub fn draw(seed: u64, wishes: Wishes) -> Result<RuptureSpec> {
        wishes.check()?;
        let rng = &mut stream(seed, Purpose::Magnitude);
        let drawn = rng.random_range(MAGNITUDES);
        let magnitude = wishes.magnitude.unwrap_or(drawn);
        let drawn = ScalingLaw::draw(rng);
        let law = wishes.law.unwrap_or(drawn);
        let free = law.draw_size(magnitude, rng);

        let rng = &mut stream(seed, Purpose::FaultShape);
        let seismogenic_depth = truncated(15e3, 3e3, 10e3, 22e3, rng);
        let drawn = rng.random_range(0.0..360.0);
        let strike_deg = wishes.strike_deg.unwrap_or(drawn);
        let drawn = 90.0 - (6.0 * normal(rng)).abs();
        let dip_deg = wishes.dip_deg.unwrap_or(drawn.max(50.0));
        let dips_right = rng.random_bool(0.5);
        let width = free.width.min(seismogenic_depth / dip_deg.to_radians().sin());
        let mut size = RuptureSize { width, ..free }.with_moment(moment(magnitude));
        // Where the crust is too thin for the width, the slip would become larger than any that was seen: the rupture
        // is longer then, with the same moment.
        let excess = size.mean_slip / largest_mean_slip(magnitude);
        if excess > 1.0 {
            size = RuptureSize { length: size.length * excess, ..size }.with_moment(moment(magnitude));
        }
        let hurst = truncated(0.8, 0.05, 0.6, 0.95, rng);
        let roughness = 10f64.powf(rng.random_range(-3.0..-2.0));
        let segments = segments(size.length, rng);
        let mut slip = SlipSpec::draw(size.length, size.width, &mut stream(seed, Purpose::Rake));
        slip.rake_deg = wishes.rake_deg.unwrap_or(slip.rake_deg);
        let secondary = secondary(size.length, &mut stream(seed, Purpose::Secondary));
        let rng = &mut stream(seed, Purpose::OffFault);
        let off_fault = rng
            .random_bool(0.5)
            .then(|| OffFaultSpec { share: rng.random_range(0.0..0.6), width: rng.random_range(30.0..300.0) });
        Ok(RuptureSpec {
            seed,
            magnitude,
            law,
            size,
            seismogenic_depth,
            strike_deg,
            dip_deg,
            dips_right,
            slip,
            hurst,
            roughness,
            relief: 0.2,
            segments,
            secondary,
            off_fault,
        })
    }
}

impl Wishes {
    fn check(&self) -> Result<()> {
        let within = |name: &str, value: Option<f64>, low: f64, high: f64| match value {
            Some(v) if !(low..=high).contains(&v) => {
                Err(Error::option(name, v, format!("give a number from {low} to {high}")))
            }
            _ => Ok(()),
        };
        within("--magnitude", self.magnitude, 4.5, 8.5)?;
        within("--strike", self.strike_deg, -360.0, 360.0)?;
        within("--rake", self.rake_deg, -360.0, 360.0)?;
        within("--dip", self.dip_deg, 20.0, 90.0)
    }
}

/// A normal number, drawn again until it lies within the limits.
fn truncated(mean: f64, sigma: f64, low: f64, high: f64, rng: &mut Pcg64) -> f64 {
    loop {
        let v = mean + sigma * normal(rng);
        if (low..=high).contains(&v) {
            return v;
        }
    }
}

fn segments(length: f64, rng: &mut Pcg64) -> Vec<Segment> {
    let number = 1 + Poisson::new(length / 25e3).map_or(0, |p| p.sample(rng) as usize);
    let shares: Vec<f64> = (0..number).map(|_| rng.random_range(0.5..1.5)).collect();
    let total: f64 = shares.iter().sum();
    (0..number)
        .map(|i| {
            let own = length * shares[i] / total;
            let bend_deg = (8.0 * normal(rng)).clamp(-25.0, 25.0);
            let steps = i + 1 < number && rng.random_bool(0.5);
            let step = steps.then(|| {
                let next = length * shares[i + 1] / total;
                // Log-uniform, but never wide against the pieces it joins.
                let width = (300.0 * (4000f64 / 300.0).powf(rng.random_range(0.0..1.0))).min(0.25 * own.min(next));
                let offset = if rng.random_bool(0.5) { width } else { -width };
                StepOver { offset, overlap: width * rng.random_range(0.0..1.0) }
            });
            Segment { length: own, bend_deg, step }
        })
        .collect()
}

fn secondary(length: f64, rng: &mut Pcg64) -> Vec<SecondarySpec> {
    if !rng.random_bool(0.3) {
        return Vec::new();
    }
    (0..rng.random_range(1..=3))
        .map(|_| {
            let conjugate = rng.random_bool(0.3);
            let sign = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let turn: f64 = if conjugate { 60.0 + 10.0 * normal(rng) } else { rng.random_range(0.0..30.0) };
            let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            SecondarySpec {
                position: rng.random_range(0.1..0.9),
                distance: side * rng.random_range(300.0..5000.0),
                length: length * rng.random_range(0.05..0.3),
                angle_deg: sign * turn,
                slip_share: rng.random_range(0.05..0.3),
                conjugate,
            }
        })
        .collect()
}
