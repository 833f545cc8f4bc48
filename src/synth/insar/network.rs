//! Where GNSS stations stand.

use rand::RngExt;
use rand_pcg::Pcg64;

use super::frame::Frame;
use super::spec::{NetworkSpec, draw};
use super::terrain::Terrain;
use crate::synth::random::{Purpose, normal, stream};

/// Candidates for a spread station: the one farthest from all others is taken.
const CANDIDATES: usize = 6;

/// Places of the stations, metres east and north of the frame's middle: a number drawn from the range, some in clusters, the
/// rest spread (best candidates, Mitchell 1991), all on land, none within a gap. Fewer where there is hardly any land.
pub fn place(spec: &NetworkSpec, frame: &Frame, terrain: &Terrain, seed: u64) -> Vec<[f64; 2]> {
    let rng = &mut stream(seed, Purpose::Network);
    let number = rng.random_range(spec.stations.0..=spec.stations.1);
    let clustered = (draw(spec.clustered, rng) * number as f64).round() as usize;
    let [w, h] = frame.extent();
    let gap = rng.random_bool(spec.gap);
    let hole = (anywhere(frame, rng), w.min(h) * rng.random_range(0.12..0.25));
    let towns: Vec<([f64; 2], f64)> =
        (0..rng.random_range(2..=6)).map(|_| (anywhere(frame, rng), rng.random_range(8e3..25e3) * w / 256e3)).collect();
    let allowed = |p: [f64; 2]| {
        let inside = p[0].abs() < 0.5 * w && p[1].abs() < 0.5 * h;
        inside && terrain.land(frame, p) && !(gap && distance(p, hole.0) < hole.1)
    };
    let mut places: Vec<[f64; 2]> = Vec::with_capacity(number);
    for k in 0..number {
        let mut best = None;
        // More looks than candidates, for the land may be small.
        for _ in 0..20 * CANDIDATES {
            let candidate = if k < clustered {
                let (town, size) = towns[rng.random_range(0..towns.len())];
                [town[0] + size * normal(rng), town[1] + size * normal(rng)]
            } else {
                anywhere(frame, rng)
            };
            if !allowed(candidate) {
                continue;
            }
            let nearest = places.iter().map(|p| distance(*p, candidate)).fold(f64::INFINITY, f64::min);
            match best {
                Some((_, far, looks)) if far >= nearest => best = best.map(|(p, f, _)| (p, f, looks + 1)),
                Some((_, _, looks)) => best = Some((candidate, nearest, looks + 1)),
                None => best = Some((candidate, nearest, 1)),
            }
            if k < clustered || best.is_some_and(|b| b.2 >= CANDIDATES) {
                break;
            }
        }
        places.extend(best.map(|b| b.0));
    }
    places
}

fn anywhere(frame: &Frame, rng: &mut Pcg64) -> [f64; 2] {
    frame.extent().map(|n| n * rng.random_range(-0.5..0.5))
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}
