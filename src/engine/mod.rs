//! What a run knows before its first tile, and how one tile is measured; no threads, no order, no files written.
//!
//! An [`Engine`] is made once a run (or once an open virtual raster) from the whole pair; each thread then takes a
//! [`Worker`] and measures any tiles in any order. A tile's result depends on nothing but the pair and the parameters.
mod around;
mod auto;
mod calibrate;
mod check;
mod jumps;
mod starts;
mod worker;

pub use jumps::Jump;
pub use worker::Worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::Result;
use crate::correlate::scene::{self, Scene};
use crate::correlate::{self, Alignment, Method, coherent};
use crate::field::PixelShift;
use crate::layout::Layout;
use crate::net::normalise::Scale;
use crate::pipeline::{ComplexUse, Pair, Params, SigmaScale};

/// The plan of a run.
#[derive(Clone)]
pub struct Engine {
    pub layout: Layout,
    /// The parameters, with everything automatic decided.
    pub params: Params,
    alignment: Alignment,
    /// One scene model a band.
    scenes: Arc<[Scene]>,
    /// The window sizes, smallest first.
    stages: Vec<Stage>,
    /// Factors on sigma along x and y.
    sigma_scale: (f64, f64),
    findings: Vec<(String, String)>,
    /// Scales of pre and post image of every band, for networks.
    scales: Arc<[[Scale; 2]]>,
}

/// One window size.
#[derive(Clone)]
struct Stage {
    params: Params,
    layout: Layout,
}

impl Engine {
    /// Checks the parameters and looks at the pair (patches of every band, on the current rayon pool).
    ///
    /// # Errors
    /// Unusable parameters, unreadable images, [`crate::Error::Cancelled`] when `stop` is set meanwhile.
    pub fn new(pair: &Pair, layout: &Layout, params: &Params, stop: &AtomicBool) -> Result<Engine> {
        check::params(pair, params)?;
        let mut params = params.clone();
        let mut findings = Vec::new();
        if let Some(cap) = params.auto_search {
            params.search = auto::search(pair, cap, &mut findings, stop)?;
        }
        let alignment = Alignment::new(pair.origin, params.search);
        let coherence = params.complex == ComplexUse::Coherence;
        let model = |band: usize| match coherence && band >= coherent::FIRST {
            true => coherent::model(pair, band - (band - coherent::FIRST) % 2, &alignment, stop),
            false => scene::analyse(pair, band, &params, &alignment, stop),
        };
        let scenes = (0..pair.bands.len()).map(model).collect::<Result<_>>()?;
        let stages = stages(layout, &params)?;
        let scales: Arc<[[Scale; 2]]> = match &params.net {
            Some(net) => net.scales(pair, stop)?.into(),
            None => [].into(),
        };
        findings.extend(params.net.iter().flat_map(|n| n.facts()));
        let sigma_scale = (1.0, 1.0);
        let mut engine = Engine { layout: *layout, params, alignment, scenes, stages, sigma_scale, findings, scales };
        if engine.params.sigma_scale != SigmaScale::One {
            calibrate::sigma(&mut engine, pair, stop)?;
        }
        Ok(engine)
    }

    /// The same plan for another grid on the same pair, e.g. a coarser one.
    ///
    /// # Errors
    /// Windows of several sizes that have no common centres on it.
    pub fn with_layout(&self, layout: Layout) -> Result<Engine> {
        let params = Params { step: layout.step, ..self.params.clone() };
        Ok(Engine { layout, stages: stages(&layout, &params)?, params, ..self.clone() })
    }

    /// Findings for messages and metadata; those of further bands end in `_BAND2`, `_BAND3`, ...
    pub fn facts(&self) -> Vec<(String, String)> {
        let named = |(band, scene): (usize, &Scene)| {
            let suffix = if band == 0 { String::new() } else { format!("_BAND{}", band + 1) };
            scene.facts.iter().map(|(k, v)| (format!("{k}{suffix}"), v.clone())).collect::<Vec<_>>()
        };
        let scenes = self.scenes.iter().enumerate().flat_map(named);
        self.findings.iter().cloned().chain(scenes).collect()
    }

    /// The method with the buffers of one thread, for the smallest window.
    pub fn method(&self) -> Box<dyn Method + '_> {
        self.stages[0].method(&self.scenes)
    }

    /// How far around zero the tile's windows are looked for, and what is added to a displacement relative to the
    /// tile's base; `None` when the search is too large to be looked through directly.
    pub fn direct_search(&self) -> Option<((usize, usize), PixelShift)> {
        let a = &self.alignment;
        (!a.coarse_to_fine()).then(|| (a.range, PixelShift::new(-a.fraction.0, -a.fraction.1)))
    }

    /// Handles and buffers for one thread.
    pub fn worker<'a>(&'a self, pair: &Pair<'a>) -> Result<Worker<'a>> {
        Worker::new(self, pair)
    }
}

impl Stage {
    fn method<'a>(&'a self, scenes: &'a [Scene]) -> Box<dyn Method + 'a> {
        correlate::plan(&self.params, scenes)
    }
}

/// Every window size with the cells of the smallest.
fn stages(layout: &Layout, params: &Params) -> Result<Vec<Stage>> {
    let mut stages = vec![Stage { params: params.clone(), layout: *layout }];
    for &window in &params.larger_windows {
        let params = Params { window, ..params.clone() };
        stages.push(Stage { params, layout: layout.with_window(window)? });
    }
    Ok(stages)
}
