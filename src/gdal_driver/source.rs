//! A pair of images with its parameters, as all handles on it share it: opened once, looked at once, with the open
//! files of its workers.

use super::cache::{Cache, Tile, TileKey};
use super::pooled::Pooled;
use crate::engine::Engine;
use crate::grid::Window;
use crate::job::Prepared;
use crate::layout::Layout;
use crate::{Error, Result, raster, threads};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// See the module.
pub struct Source {
    number: u64,
    images: Arc<Prepared>,
    /// Worker threads for looking at the pair and for reading many tiles at once.
    pub threads: usize,
    /// The plan, and its variants for overviews; empty until the first block is read.
    engines: Mutex<Vec<Arc<Engine>>>,
    facts: std::sync::OnceLock<Vec<(String, String)>>,
    idle: Mutex<Idle>,
    handles: AtomicUsize,
    computed: AtomicUsize,
}

/// Workers without work, with their open files.
struct Idle {
    /// The process that opened the files: after a fork both would move one file position.
    process: u32,
    workers: Vec<Pooled>,
}

impl Source {
    pub fn new(images: Prepared, threads: usize) -> Source {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Source {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            images: Arc::new(images),
            threads: threads.max(1),
            engines: Mutex::default(),
            facts: std::sync::OnceLock::new(),
            idle: Mutex::new(Idle { process: std::process::id(), workers: Vec::new() }),
            handles: AtomicUsize::new(0),
            computed: AtomicUsize::new(0),
        }
    }

    /// Tiles computed so far.
    pub fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }

    /// What looking at the pair found; `None` before.
    pub fn facts(&self) -> Option<&[(String, String)]> {
        self.facts.get().map(Vec::as_slice)
    }

    pub fn opened(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the images' files with the last handle.
    pub fn closed(&self) {
        if self.handles.fetch_sub(1, Ordering::Relaxed) == 1 {
            let workers = std::mem::take(&mut self.idle().workers);
            drop(workers);
        }
    }

    pub fn in_use(&self) -> bool {
        self.handles.load(Ordering::Relaxed) > 0
    }

    /// A tile of `layout`, from the cache or computed on this thread.
    pub fn tile(&self, layout: &Layout, tile: Window, debug: &dyn Fn(&str)) -> Result<Arc<Tile>> {
        Cache::shared().get(self.key(layout, tile), || {
            let (step, place) = (layout.step, (tile.x, tile.y, tile.width, tile.height));
            debug(&format!("computing {}x{} cells at {},{} with step {}", place.2, place.3, place.0, place.1, step.0));
            let engine = self.engine(layout)?;
            let mut worker = self.worker(engine)?;
            let found = worker.tile(tile)?;
            self.give_back(worker);
            self.computed.fetch_add(1, Ordering::Relaxed);
            Ok(Tile { bands: raster::band_values(&found, &self.images.ground) })
        })
    }

    /// Whether a tile needs no computing.
    pub fn has(&self, layout: &Layout, tile: Window) -> bool {
        Cache::shared().has(&self.key(layout, tile))
    }

    fn key(&self, layout: &Layout, tile: Window) -> TileKey {
        TileKey { source: self.number, step: layout.step, first: layout.first, cells: layout.cells, tile }
    }

    /// The plan for a grid on this pair. The first call looks at the pair; others wait for it.
    fn engine(&self, layout: &Layout) -> Result<Arc<Engine>> {
        let mut engines = self.engines.lock().unwrap_or_else(|e| e.into_inner());
        // The region only decides which cells are asked for.
        let all = |l: &Layout| Layout { region: Window::new(0, 0, l.cells.0, l.cells.1), ..*l };
        let whole = all(layout);
        if let Some(engine) = engines.iter().find(|e| e.layout == whole) {
            return Ok(Arc::clone(engine));
        }
        if engines.is_empty() {
            // Looking at the pair depends on the product's grid, whichever level is read first.
            let product = all(&self.images.layout);
            let never = AtomicBool::new(false);
            let pool = threads::pool(self.threads)?;
            let pair = self.images.pair();
            let found = Mutex::new(None);
            // Apart: a worker of another pool that waited here would take work that needs the lock it holds.
            threads::apart(1, || {
                let engine = pool.install(|| Engine::new(&pair, &product, &self.images.params, &never));
                *found.lock().unwrap_or_else(|e| e.into_inner()) = Some(engine);
            })?;
            let found = found.into_inner().unwrap_or_else(|e| e.into_inner());
            let engine = found.unwrap_or_else(|| Err(Error::Internal("nobody looked at the pair".into())))?;
            // Only one thread comes here.
            let _ = self.facts.set(engine.facts());
            engines.push(Arc::new(engine));
        }
        if engines[0].layout == whole {
            return Ok(Arc::clone(&engines[0]));
        }
        let engine = Arc::new(engines[0].with_layout(whole)?);
        engines.push(Arc::clone(&engine));
        Ok(engine)
    }

    fn worker(&self, engine: Arc<Engine>) -> Result<Pooled> {
        let waiting = {
            let mut idle = self.idle();
            let at = idle.workers.iter().position(|w| w.is_for(&engine));
            at.map(|i| idle.workers.swap_remove(i))
        };
        match waiting {
            Some(worker) => Ok(worker),
            None => Pooled::new(engine, Arc::clone(&self.images)),
        }
    }

    fn give_back(&self, worker: Pooled) {
        let mut idle = self.idle();
        let gone = match idle.workers.len() >= self.threads {
            true => Some(idle.workers.remove(0)),
            false => None,
        };
        idle.workers.push(worker);
        // Closing files takes time that others need not wait for.
        drop(idle);
        drop(gone);
        // The last handle may have been closed meanwhile.
        if !self.in_use() {
            let workers = std::mem::take(&mut self.idle().workers);
            drop(workers);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
        let me = std::process::id();
        if idle.process != me {
            idle.process = me;
            // Closing would be safe, but their buffers and locks are in the state of the moment of the fork.
            std::mem::take(&mut idle.workers).into_iter().for_each(std::mem::forget);
        }
        idle
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        Cache::shared().forget(self.number);
    }
}
