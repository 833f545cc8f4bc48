//! The automatic search range (`--search auto`): a sparse coarse pass over the pair.
//!
//! Patches spread over the scene are matched coarse to fine up to the cap; the largest displacement that several
//! neighbouring windows share, with a margin, becomes the search.

use rayon::prelude::*;
use std::sync::atomic::AtomicBool;

use crate::correlate::Alignment;
use crate::correlate::scene::{self, Sampling};
use crate::pipeline::Pair;
use crate::{Error, Result};

/// Patches along each axis at most.
const PATCHES: usize = 8;
/// Share of windows whose displacement may lie beyond what is kept as largest, per thousand.
const BEYOND: usize = 2;
/// The search in terms of the largest displacement found.
const MARGIN: (f64, f64) = (1.25, 2.0);

/// The search for the pair, at most `cap` pixels.
///
/// # Errors
/// [`Error::Data`] when nothing matches; the cap is not positive.
pub fn search(pair: &Pair, cap: f64, findings: &mut Vec<(String, String)>, stop: &AtomicBool) -> Result<(f64, f64)> {
    let size = pair.pre().size();
    let smallest = size.0.min(size.1) as f64;
    if !(cap >= 1.0 && cap.is_finite()) {
        return Err(Error::option("--search", format!("auto:{cap}"), "the cap is a number of pixels from 1 on"));
    }
    // Beyond that too little of the images is left in common.
    let cap = cap.min((smallest / 2.0).floor().max(1.0));
    let alignment = Alignment::new(pair.origin, (cap, cap));
    let mut patches = scene::read_patches(pair.bands[0], &alignment, Sampling { along: PATCHES, stop })?;
    scene::to_units(&mut patches);
    let Some(kernel) = scene::whitening(&patches, &alignment) else { return Err(nothing(pair, cap)) };
    let shared: Vec<Vec<(f64, f64)>> =
        patches.par_iter().map(|p| scene::shared_shifts(p, &alignment, &kernel.1, stop)).collect();
    let shared: Vec<(f64, f64)> = shared.into_iter().flatten().collect();
    if shared.is_empty() {
        return Err(nothing(pair, cap));
    }
    let largest = |pick: fn(&(f64, f64)) -> f64, fraction: f64| {
        let mut v: Vec<f64> = shared.iter().map(|s| (pick(s) - fraction).abs()).collect();
        v.sort_by(f64::total_cmp);
        v[v.len() - 1 - v.len() * BEYOND / 1000]
    };
    let (x, y) = (largest(|s| s.0, alignment.fraction.0), largest(|s| s.1, alignment.fraction.1));
    let wanted = |d: f64| (MARGIN.0 * d + MARGIN.1).ceil();
    let found = (wanted(x).min(cap), wanted(y).min(cap));
    let mut add = |key: &str, value: String| findings.push((key.into(), value));
    add("SEARCH_PX", format!("{}x{}", found.0, found.1));
    let capped = if wanted(x.max(y)) > cap { format!(", limited to the cap of {cap} px") } else { String::new() };
    add(
        "SEARCH_AUTO",
        format!(
            "largest displacement {x:.0} x {y:.0} px in {} windows of {} patches{capped}",
            shared.len(),
            patches.len()
        ),
    );
    Ok(found)
}

fn nothing(pair: &Pair, cap: f64) -> Error {
    Error::Data(format!(
        "no part of {} was found in {} within {cap} px, so no search range can be derived; check that they show the same \
         place, or give --search in pixels or metres",
        pair.pre().name(),
        pair.post().name()
    ))
}
