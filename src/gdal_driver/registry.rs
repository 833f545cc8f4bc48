//! The pairs that this process knows, so that every handle on the same pair and parameters shares one.

use super::source::Source;
use crate::grid::Window;
use crate::job::{Job, Prepared};
use crate::raster::WriteOptions;
use std::sync::{Arc, Mutex};

/// Pairs without an open handle that are remembered: programs such as QGIS close a raster and open it again.
const REMEMBERED: usize = 8;

static SOURCES: Mutex<Vec<(String, Arc<Source>)>> = Mutex::new(Vec::new());

/// The shared pair of a job. `stamp` says in which state the input files are; without one (their state cannot be
/// known) nothing is shared.
pub fn shared(job: &Job, prepared: Prepared, stamp: Option<String>) -> Arc<Source> {
    let Some(stamp) = stamp else {
        let source = Arc::new(Source::new(prepared, job.threads));
        source.opened();
        return source;
    };
    let key = key(job, &stamp);
    let mut sources = SOURCES.lock().unwrap_or_else(|e| e.into_inner());
    let found = sources.iter().position(|(k, _)| *k == key).map(|i| sources.remove(i).1);
    let source = found.unwrap_or_else(|| Arc::new(Source::new(prepared, job.threads)));
    source.opened();
    sources.push((key, Arc::clone(&source)));
    // The oldest without handles go; the last place is the newest.
    let mut idle = sources.iter().filter(|(_, s)| !s.in_use()).count();
    sources.retain(|(_, s)| {
        let gone = idle > REMEMBERED && !s.in_use();
        idle -= usize::from(gone);
        !gone
    });
    source
}

/// Everything that decides a tile's values, and nothing else.
fn key(job: &Job, stamp: &str) -> String {
    let deciding = Job { out: String::new(), write: WriteOptions::default(), threads: 1, region: None, ..job.clone() };
    format!("{deciding:?}\n{stamp}")
}

/// The rectangle of cells that a block of a raster with this region covers; it may reach beyond the region.
pub fn block(region: Window, size: (usize, usize), x: usize, y: usize) -> Window {
    Window::new(region.x + (x * size.0) as i64, region.y + (y * size.1) as i64, size.0, size.1)
}
