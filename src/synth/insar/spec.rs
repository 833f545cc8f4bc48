//! Everything that decides a simulated event: ranges from which each event draws.

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Lowest and highest value of a uniform draw.
pub type Range = (f64, f64);

/// A number of the range; its only one when both ends are equal.
pub(super) fn draw(range: Range, rng: &mut Pcg64) -> f64 {
    range.0 + (range.1 - range.0) * rng.random_range(0.0..1.0)
}

/// Kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The interface of a subduction zone.
    Megathrust,
    /// A fault in the crust.
    Crustal,
    /// Either, half of the events each.
    Mixed,
}

/// How slip varies over the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlipKind {
    /// One rectangle.
    Uniform,
    /// Many rectangles: a tapered fractal distribution.
    Variable,
    /// Either, half of the events each.
    Mixed,
}

/// The fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    pub kind: SourceKind,
    pub slip: SlipKind,
    /// `None`: 5.8 to 7.2 on the megathrust, 5.5 to 6.8 in the crust.
    pub magnitude: Option<Range>,
    /// Direction of the trench, degrees clockwise from north, the plate dips to its right; `None`: any.
    pub trench_deg: Option<f64>,
    /// Share of events that slip slowly, and how long they take in days.
    pub slow: f64,
    pub slow_days: Range,
    /// Events that move no pixel this much are drawn again, metres.
    pub smallest: f64,
    pub poisson: f64,
}

/// The two lines of sight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackSpec {
    /// Direction of flight, degrees clockwise from north: ascending, descending.
    pub heading_deg: [Range; 2],
    /// Incidence angle at the middle of the frame, degrees.
    pub incidence_deg: [Range; 2],
    /// Height of the satellite in metres: how fast the incidence angle grows with the distance.
    pub orbit: f64,
    /// Share of tracks of which an edge of the swath crosses the frame.
    pub edge: f64,
    /// Share of events that only one of the two tracks saw.
    pub single: f64,
}

/// Kind of turbulence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtmosphereKind {
    /// Covariance sigma² exp(-r / lambda).
    Exponential,
    /// Power spectrum k^(-8/3).
    Turbulence,
    /// Either, half of the epochs each.
    Mixed,
}

/// What interferograms show besides the motion; metres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseSpec {
    /// Standard deviation of the delay per metre of height, of each epoch.
    pub topography: f64,
    /// Smooth variation of that factor over the frame, as a share of it.
    pub topography_variation: f64,
    /// Standard deviation of each epoch's ramp across the frame.
    pub ramp: f64,
    pub kind: AtmosphereKind,
    /// Standard deviation of each epoch's atmosphere, and its correlation length.
    pub sigma: Range,
    pub lambda: Range,
    /// White noise of an interferogram.
    pub white: Range,
}

/// Where interferograms show nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoverSpec {
    /// Share of the frame under water, in procedural landscapes.
    pub water: Range,
    /// Share of the land without coherence.
    pub decorrelated: Range,
}

/// The landscape, where no elevation model is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TerrainSpec {
    /// Height that 1 % of the land exceeds, metres.
    pub relief: Range,
}

/// The GNSS network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    pub stations: (usize, usize),
    /// Share of the stations that stand in clusters.
    pub clustered: Range,
    /// Share of networks with a region without stations.
    pub gap: f64,
}

/// Daily positions; metres. White noise and random walk: horizontal, vertical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSpec {
    pub days: usize,
    /// First day with the signal.
    pub event_day: (usize, usize),
    pub white: [Range; 2],
    /// Per square root of a year.
    pub walk: [Range; 2],
    /// Per fourth root of a year; `None`: none.
    pub flicker: Option<[Range; 2]>,
    /// What all stations share, daily.
    pub common: Range,
    /// Share of missing days.
    pub missing: f64,
    /// Days before and after the event whose means give the step.
    pub window: usize,
}

/// Everything that decides an event besides its seed and the given rasters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsarSpec {
    /// Columns and rows.
    pub size: (usize, usize),
    /// Pixel size in metres.
    pub pixel: f64,
    pub source: SourceSpec,
    pub tracks: TrackSpec,
    pub noise: NoiseSpec,
    pub cover: CoverSpec,
    pub terrain: TerrainSpec,
    pub network: NetworkSpec,
    pub series: SeriesSpec,
}

impl Default for InsarSpec {
    fn default() -> Self {
        InsarSpec {
            size: (128, 128),
            pixel: 2000.0,
            source: SourceSpec {
                kind: SourceKind::Megathrust,
                slip: SlipKind::Uniform,
                magnitude: None,
                trench_deg: None,
                slow: 0.0,
                slow_days: (5.0, 30.0),
                smallest: 1e-3,
                poisson: 0.25,
            },
            tracks: TrackSpec {
                heading_deg: [(-15.0, -10.0), (-170.0, -165.0)],
                incidence_deg: [(33.0, 43.0); 2],
                orbit: 693e3,
                edge: 0.3,
                single: 0.0,
            },
            noise: NoiseSpec {
                topography: 10e-6,
                topography_variation: 0.3,
                ramp: 10e-3,
                kind: AtmosphereKind::Exponential,
                sigma: (3e-3, 10e-3),
                lambda: (5e3, 25e3),
                white: (1e-3, 3e-3),
            },
            cover: CoverSpec { water: (0.0, 0.4), decorrelated: (0.0, 0.3) },
            terrain: TerrainSpec { relief: (500.0, 3500.0) },
            network: NetworkSpec { stations: (10, 80), clustered: (0.0, 0.6), gap: 0.3 },
            series: SeriesSpec {
                days: 121,
                event_day: (40, 80),
                white: [(1e-3, 2e-3), (3e-3, 6e-3)],
                walk: [(0.5e-3, 1.5e-3), (1e-3, 4e-3)],
                flicker: None,
                common: (0.5e-3, 2e-3),
                missing: 0.03,
                window: 30,
            },
        }
    }
}

/// Flicker noise of Williams et al. (2004), where it is asked for: horizontal, vertical.
pub const FLICKER: [Range; 2] = [(2e-3, 6e-3), (8e-3, 18e-3)];

impl InsarSpec {
    /// The same without any noise or gap: interferograms are s · u, series the signal.
    pub fn noiseless(mut self) -> InsarSpec {
        let none = (0.0, 0.0);
        self.noise =
            NoiseSpec { topography: 0.0, topography_variation: 0.0, ramp: 0.0, sigma: none, white: none, ..self.noise };
        self.cover.decorrelated = none;
        self.tracks.edge = 0.0;
        let s = &mut self.series;
        (s.white, s.walk, s.flicker, s.common, s.missing) = ([none; 2], [none; 2], None, none, 0.0);
        self
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn check(&self) -> Result<()> {
        let fail = |name: &str, value: String, why: &str| Err(Error::option(name, value, why));
        let (w, h) = self.size;
        if w.min(h) < 32 || w.max(h) > 1024 {
            return fail("--size", format!("{w}x{h}"), "give 32 to 1024 pixels");
        }
        if !(self.pixel >= 10.0 && self.pixel <= 50e3) {
            return fail("--pixel", self.pixel.to_string(), "give 10 to 50000 metres");
        }
        let s = &self.series;
        let ranges: [(&str, Range, f64, f64); 23] = [
            ("--magnitude", self.source.magnitude.unwrap_or((6.0, 7.0)), 4.0, 8.0),
            ("--slow-slip", (0.0, self.source.slow), 0.0, 1.0),
            ("--slow-days", self.source.slow_days, 1.0, 60.0),
            ("--smallest", (0.0, 1e3 * self.source.smallest), 0.0, 1e5),
            ("--poisson", (self.source.poisson, self.source.poisson), 0.0, 0.5),
            ("--incidence", self.tracks.incidence_deg[0], 10.0, 65.0),
            ("--incidence", self.tracks.incidence_deg[1], 10.0, 65.0),
            ("--edge", (0.0, self.tracks.edge), 0.0, 1.0),
            ("--single-track", (0.0, self.tracks.single), 0.0, 1.0),
            ("--topography", (0.0, 1e6 * self.noise.topography), 0.0, 1e4),
            ("--topography-variation", (0.0, self.noise.topography_variation), 0.0, 10.0),
            ("--ramp", (0.0, 1e3 * self.noise.ramp), 0.0, 1e5),
            ("--atmosphere-sigma", scaled(self.noise.sigma, 1e3), 0.0, 1e4),
            ("--atmosphere-length", scaled(self.noise.lambda, 1e-3), 0.1, 100.0),
            ("--white", scaled(self.noise.white, 1e3), 0.0, 1e4),
            ("--water", self.cover.water, 0.0, 0.9),
            ("--decorrelated", self.cover.decorrelated, 0.0, 0.95),
            ("--relief", self.terrain.relief, 0.0, 9000.0),
            ("--clustered", self.network.clustered, 0.0, 1.0),
            ("--network-gap", (0.0, self.network.gap), 0.0, 1.0),
            ("--gnss-common", scaled(s.common, 1e3), 0.0, 1e4),
            ("--missing", (0.0, s.missing), 0.0, 0.9),
            ("--orbit", (1e-3 * self.tracks.orbit, 1e-3 * self.tracks.orbit), 100.0, 40e3),
        ];
        for (name, (low, high), least, most) in ranges {
            if !(least <= low && low <= high && high <= most) {
                let why = format!("give numbers from {least} to {most}, the lower one first");
                return fail(name, format!("{low} {high}"), &why);
            }
        }
        let noises =
            [("--gnss-white", s.white), ("--gnss-walk", s.walk), ("--gnss-flicker", s.flicker.unwrap_or(s.white))];
        for (name, values) in noises {
            if let Some(v) = values.iter().find(|v| !(0.0 <= v.0 && v.0 <= v.1 && v.1 <= 10.0)) {
                let value = format!("{} {}", 1e3 * v.0, 1e3 * v.1);
                return fail(name, value, "give millimetres from 0 to 10000, the lower one first");
            }
        }
        if self.network.stations.0 > self.network.stations.1 || self.network.stations.1 > 2000 {
            let value = format!("{:?}", self.network.stations);
            return fail("--stations", value, "give two numbers up to 2000, the lower one first");
        }
        let (first, last) = s.event_day;
        if !(20..=1000).contains(&s.days) || s.window == 0 {
            return fail("--days", s.days.to_string(), "give 20 to 1000 days");
        }
        let slow = if self.source.slow > 0.0 { self.source.slow_days.1.ceil() as usize } else { 0 };
        if first > last || first < s.window || last + slow + s.window > s.days {
            let why =
                format!("{} days before it and {} after it must lie within {} days", s.window, s.window + slow, s.days);
            return fail("--event-day", format!("{first} {last}"), &why);
        }
        Ok(())
    }
}

fn scaled(range: Range, factor: f64) -> Range {
    (range.0 * factor, range.1 * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        assert!(InsarSpec::default().check().is_ok());
        assert!(InsarSpec::default().noiseless().check().is_ok());
        let refused = |change: fn(&mut InsarSpec), word: &str| {
            let mut spec = InsarSpec::default();
            change(&mut spec);
            let text = spec.check().unwrap_err().to_string();
            assert!(text.contains(word), "{text}");
        };
        refused(|s| s.size = (128, 8), "--size");
        refused(|s| s.noise.lambda = (25e3, 5e3), "--atmosphere-length");
        refused(|s| s.series.event_day = (10, 80), "--event-day");
        refused(|s| s.source.slow = 1.0, "--event-day");
        refused(|s| s.series.white[1] = (2.0, 1.0), "--gnss-white");
        refused(|s| s.network.stations = (5, 4), "--stations");
    }
}
