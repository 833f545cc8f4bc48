//! One simulated event: everything that is measured, and the truth.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::cover::Vegetation;
use super::frame::Frame;
use super::geometry::Track;
use super::interferogram::LosNoise;
use super::network;
use super::series::{ComponentNoise, signal, step};
use super::source::{Source, largest};
use super::spec::{InsarSpec, draw};
use super::terrain::Terrain;
use crate::Result;
use crate::grid::Grid;
use crate::raster::GeoReference;
use crate::synth::random::{Purpose, normal, numbered, stream};

/// Names of the tracks.
pub const TRACKS: [&str; 2] = ["ascending", "descending"];

/// What comes from the user's rasters instead of being drawn.
#[derive(Debug, Clone)]
pub struct Ground {
    pub georef: GeoReference,
    /// `None`: procedural.
    pub terrain: Option<Terrain>,
    /// Unit vectors to the satellite, NaN where there is none; `None`: from the track.
    pub units: [Option<[Grid<f32>; 3]>; 2],
}

/// A GNSS station.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    pub name: String,
    /// Metres east and north of the frame's middle.
    pub place: [f64; 2],
    pub height: f64,
    /// East, north, up; metres.
    pub truth: [f64; 3],
    pub step: [f64; 3],
    pub sigma: [f64; 3],
    pub noise: [ComponentNoise; 3],
    /// Of each day, NaN when it is missing.
    pub series: Vec<[f64; 3]>,
}

/// Parameters of an event, for its record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub seed: u64,
    pub source: Source,
    /// Largest length of the displacement of a pixel, metres.
    pub largest_m: f64,
    /// `None`: from the user's unit vectors.
    pub tracks: [Option<Track>; 2],
    pub noise: [LosNoise; 2],
    /// Share of the frame with a value.
    pub seen: [f64; 2],
    pub event_day: usize,
    /// First day after the event on which nothing moves any more.
    pub end_day: usize,
    /// Standard deviation of the daily noise that all stations share: horizontal and vertical alike.
    pub gnss_common: f64,
    pub stations: usize,
}

/// A simulated event. Grids have the frame's size.
#[derive(Debug, Clone)]
pub struct Scene {
    pub frame: Frame,
    pub georef: GeoReference,
    pub terrain: Terrain,
    /// East, north, up of the unit vector to the satellite, for both tracks.
    pub units: [[Grid<f32>; 3]; 2],
    /// Metres towards the satellite, NaN where nothing is measured.
    pub los: [Grid<f32>; 2],
    /// East, north, up; metres.
    pub truth: [Grid<f32>; 3],
    pub stations: Vec<Station>,
    pub record: Record,
}

impl Scene {
    /// Makes the event of that seed.
    ///
    /// Parts have random numbers of their own: without one kind of noise the others stay as they are.
    ///
    /// # Errors
    /// Options out of range, or without an event that moves the ground enough.
    pub fn new(spec: &InsarSpec, ground: Ground, seed: u64) -> Result<Scene> {
        let frame = Frame { width: spec.size.0, height: spec.size.1, pixel: spec.pixel };
        let (source, field) = Source::draw(&spec.source, &frame, seed)?;
        let terrain = match ground.terrain {
            Some(terrain) => terrain,
            // The plate dips inland.
            None => Terrain::procedural(spec, &frame, source.strike_deg + 90.0, seed),
        };
        let rng = &mut stream(seed, Purpose::InsarTrack);
        let drawn = [0, 1].map(|k| Track {
            heading_deg: draw(spec.tracks.heading_deg[k], rng),
            incidence_deg: draw(spec.tracks.incidence_deg[k], rng),
            orbit: spec.tracks.orbit,
        });
        let tracks = [0, 1].map(|k| ground.units[k].is_none().then_some(drawn[k]));
        let [first, second] = ground.units;
        let units = [(first, drawn[0]), (second, drawn[1])].map(|(given, track)| {
            given.unwrap_or_else(|| {
                let unit = frame.grid(|p| track.unit(p));
                [0, 1, 2].map(|c| unit.map(|s| s[c] as f32))
            })
        });
        let single = rng.random_bool(spec.tracks.single).then(|| rng.random_range(0..2));
        let vegetation = Vegetation::new(&frame, seed);
        let mut noise = Vec::with_capacity(2);
        let los = [0, 1].map(|k| {
            let (parameters, values) = LosNoise::draw(&spec.noise, &frame, &terrain, k as u64, seed);
            noise.push(parameters);
            let mut seen = vegetation.seen(spec, &frame, &terrain, &drawn[k], k as u64, seed);
            if single.is_some_and(|other| other != k) {
                seen.data.fill(false);
            }
            interferogram(&field, &units[k], &values, &seen)
        });
        let day = &mut stream(seed, Purpose::EventDay);
        let event_day = day.random_range(spec.series.event_day.0..=spec.series.event_day.1);
        let end_day = event_day + source.slow_days.map_or(0, |d| d.ceil() as usize);
        let gnss_common = draw(spec.series.common, day);
        let mut scene = Scene {
            georef: ground.georef,
            truth: [0, 1, 2].map(|c| field.map(|u| u[c] as f32)),
            stations: Vec::new(),
            record: Record {
                seed,
                largest_m: largest(&field),
                tracks,
                noise: [noise[0], noise[1]],
                seen: los.each_ref().map(share),
                event_day,
                end_day,
                gnss_common,
                stations: 0,
                source,
            },
            frame,
            terrain,
            units,
            los,
        };
        scene.stations = scene.measured(spec)?;
        scene.record.stations = scene.stations.len();
        Ok(scene)
    }

    /// Stations with their series and steps; those without a usable day on one side are left out.
    fn measured(&self, spec: &InsarSpec) -> Result<Vec<Station>> {
        let (series, seed, record) = (&spec.series, self.record.seed, &self.record);
        let places = network::place(&spec.network, &self.frame, &self.terrain, seed);
        let mut moved = vec![[0.0; 3]; places.len()];
        record.source.loops()?.surface(&places, &mut moved)?;
        let rng = &mut stream(seed, Purpose::Series);
        let common: Vec<[f64; 3]> =
            (0..series.days).map(|_| [0; 3].map(|_| record.gnss_common * normal(rng))).collect();
        let mut stations = Vec::with_capacity(places.len());
        for (k, (&place, &truth)) in places.iter().zip(&moved).enumerate() {
            let rng = &mut numbered(seed, Purpose::Series, 1 + k as u64);
            let noise = ComponentNoise::draw(series, rng);
            let own = noise.map(|n| n.series(series.days, rng));
            let daily = |day: usize| {
                let share = signal(day, record.event_day, record.source.slow_days);
                [0, 1, 2].map(|c| share * truth[c] + own[c][day] + common[day][c])
            };
            let missing: Vec<bool> = (0..series.days).map(|_| rng.random_bool(series.missing)).collect();
            let values: Vec<[f64; 3]> =
                (0..series.days).map(|day| if missing[day] { [f64::NAN; 3] } else { daily(day) }).collect();
            let estimate = [0, 1, 2].map(|c| {
                let one: Vec<f64> = values.iter().map(|v| v[c]).collect();
                step(&one, (record.event_day, record.end_day), series.window, &noise[c], record.gnss_common)
            });
            let [Some(east), Some(north), Some(up)] = estimate else { continue };
            stations.push(Station {
                name: format!("S{:03}", k + 1),
                place,
                height: self.terrain.at(&self.frame, place),
                truth,
                step: [east.0, north.0, up.0],
                sigma: [east.1, north.1, up.1],
                noise,
                series: values,
            });
        }
        Ok(stations)
    }
}

fn interferogram(field: &Grid<[f64; 3]>, unit: &[Grid<f32>; 3], noise: &Grid<f64>, seen: &Grid<bool>) -> Grid<f32> {
    let value = |k: usize| {
        let u = field.data[k];
        let along: f64 = (0..3).map(|c| f64::from(unit[c].data[k]) * u[c]).sum();
        if seen.data[k] { (along + noise.data[k]) as f32 } else { f32::NAN }
    };
    Grid::from_vec(field.width, field.height, (0..field.data.len()).map(value).collect())
}

/// Share of pixels with a value.
fn share(los: &Grid<f32>) -> f64 {
    los.data.iter().filter(|v| v.is_finite()).count() as f64 / los.data.len() as f64
}
