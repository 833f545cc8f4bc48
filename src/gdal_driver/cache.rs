//! The tiles of all open virtual rasters of this process, within a limit of bytes.
//!
//! A tile is computed once, however many threads and handles ask for it at the same time: the first computes, the
//! others wait. The least recently used tiles go when the limit is passed.

use crate::Result;
use crate::grid::Window;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What decides a tile's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileKey {
    /// Number of the pair and its parameters.
    pub source: u64,
    /// Step and first window of the grid.
    pub step: (usize, usize),
    pub first: (i64, i64),
    /// How many cells the grid has: what lies around a tile counts, too.
    pub cells: (usize, usize),
    /// Cells of the whole grid.
    pub tile: Window,
}

/// The six bands of a tile.
#[derive(Debug)]
pub struct Tile {
    pub bands: [Vec<f32>; 6],
}

impl Tile {
    fn bytes(&self) -> usize {
        self.bands.iter().map(|b| size_of_val(b.as_slice())).sum()
    }
}

/// A tile under way. `None` inside: it is still being computed; `Some(None)`: that failed.
#[derive(Default)]
struct Pending {
    result: Mutex<Option<Option<Arc<Tile>>>>,
    done: Condvar,
}

enum Slot {
    /// Computed by a thread of the process with this number: after a fork nobody would finish it.
    Pending(u32, Arc<Pending>),
    Ready(Arc<Tile>, u64),
}

/// Numbers for tests and the curious.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub tiles: usize,
    pub bytes: usize,
    pub limit: usize,
}

/// A cache of tiles; [`Cache::shared`] is the process's.
pub struct Cache {
    state: Mutex<State>,
}

struct State {
    slots: HashMap<TileKey, Slot>,
    /// Ready tiles by the time of their last use.
    order: BTreeMap<u64, TileKey>,
    clock: u64,
    bytes: usize,
    limit: usize,
}

/// Default limit in bytes.
pub const DEFAULT_LIMIT: usize = 256 << 20;

impl Cache {
    pub fn new(limit: usize) -> Cache {
        let state = State { slots: HashMap::new(), order: BTreeMap::new(), clock: 0, bytes: 0, limit };
        Cache { state: Mutex::new(state) }
    }

    /// The cache of all handles of this process.
    pub fn shared() -> &'static Cache {
        static CACHE: std::sync::LazyLock<Cache> = std::sync::LazyLock::new(|| Cache::new(DEFAULT_LIMIT));
        &CACHE
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Sets the limit in bytes. The latest tile is kept even if it is larger: its other bands are asked for next.
    pub fn set_limit(&self, limit: usize) {
        let mut state = self.lock();
        state.limit = limit;
        state.trim();
    }

    pub fn usage(&self) -> Usage {
        let state = self.lock();
        Usage { tiles: state.order.len(), bytes: state.bytes, limit: state.limit }
    }

    pub fn has(&self, key: &TileKey) -> bool {
        matches!(self.lock().slots.get(key), Some(Slot::Ready(..)))
    }

    /// Forgets the tiles of a source.
    pub fn forget(&self, source: u64) {
        let mut state = self.lock();
        let gone: Vec<u64> = state.order.iter().filter(|(_, k)| k.source == source).map(|(t, _)| *t).collect();
        gone.into_iter().for_each(|time| state.remove(time));
    }

    /// The tile, made by `make` unless it is there or under way elsewhere.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get(&self, key: TileKey, make: impl FnOnce() -> Result<Tile>) -> Result<Arc<Tile>> {
        let me = std::process::id();
        let claim = loop {
            let mut state = self.lock();
            let pending = match state.slots.get(&key) {
                Some(Slot::Ready(..)) => return Ok(state.touch(&key)),
                Some(Slot::Pending(process, pending)) if *process == me => Arc::clone(pending),
                _ => {
                    let pending = Arc::new(Pending::default());
                    state.slots.insert(key, Slot::Pending(me, Arc::clone(&pending)));
                    break Claim { cache: self, key, pending, tile: None };
                }
            };
            drop(state);
            if let Some(tile) = pending.wait() {
                return Ok(tile);
            }
            // It failed there; whoever comes first tries again and gets the reason.
        };
        let tile = Arc::new(make()?);
        claim.fulfil(Arc::clone(&tile));
        Ok(tile)
    }
}

impl Pending {
    fn wait(&self) -> Option<Arc<Tile>> {
        let mut result = self.result.lock().unwrap_or_else(|e| e.into_inner());
        loop {
            match &*result {
                Some(outcome) => return outcome.clone(),
                None => result = self.done.wait(result).unwrap_or_else(|e| e.into_inner()),
            }
        }
    }
}

impl State {
    /// The tile of a key that is ready, which becomes the latest.
    fn touch(&mut self, key: &TileKey) -> Arc<Tile> {
        self.clock += 1;
        match self.slots.get_mut(key) {
            Some(Slot::Ready(tile, time)) => {
                self.order.remove(time);
                *time = self.clock;
                self.order.insert(self.clock, *key);
                Arc::clone(tile)
            }
            _ => unreachable!("asked for a tile that is ready"),
        }
    }

    fn remove(&mut self, time: u64) {
        if let Some(key) = self.order.remove(&time)
            && let Some(Slot::Ready(tile, _)) = self.slots.remove(&key)
        {
            self.bytes -= tile.bytes();
        }
    }

    fn trim(&mut self) {
        while self.bytes > self.limit && self.order.len() > 1 {
            let Some((&oldest, _)) = self.order.first_key_value() else { return };
            self.remove(oldest);
        }
    }
}

/// The duty to finish a tile; dropped without success (an error, a panic) it sets those who wait free.
struct Claim<'a> {
    cache: &'a Cache,
    key: TileKey,
    pending: Arc<Pending>,
    tile: Option<Arc<Tile>>,
}

impl Claim<'_> {
    fn fulfil(mut self, tile: Arc<Tile>) {
        self.tile = Some(tile);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        match &self.tile {
            Some(tile) => {
                state.clock += 1;
                let time = state.clock;
                state.bytes += tile.bytes();
                state.slots.insert(self.key, Slot::Ready(Arc::clone(tile), time));
                state.order.insert(time, self.key);
                state.trim();
            }
            None => drop(state.slots.remove(&self.key)),
        }
        drop(state);
        *self.pending.result.lock().unwrap_or_else(|e| e.into_inner()) = Some(self.tile.take());
        self.pending.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key(i: i64) -> TileKey {
        TileKey { source: 1, step: (8, 8), first: (-12, -12), cells: (64, 64), tile: Window::new(i, 0, 4, 4) }
    }

    fn tile(value: f32) -> Tile {
        Tile { bands: std::array::from_fn(|_| vec![value; 16]) }
    }

    /// Bytes of one of these tiles.
    const SIZE: usize = 6 * 16 * 4;

    #[test]
    fn many_threads_compute_a_tile_once() {
        let (cache, made) = (Cache::new(DEFAULT_LIMIT), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let got = cache.get(key(0), || {
                        made.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(50));
                        Ok(tile(3.0))
                    });
                    assert_eq!(got.unwrap().bands[5][15], 3.0);
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(cache.usage(), Usage { tiles: 1, bytes: SIZE, limit: DEFAULT_LIMIT });
    }

    #[test]
    fn the_least_recently_used_tiles_go() {
        let cache = Cache::new(2 * SIZE);
        let used = |i: i64| {
            let mut made = false;
            cache
                .get(key(i), || {
                    made = true;
                    Ok(tile(i as f32))
                })
                .unwrap();
            made
        };
        assert!(used(0) && used(1));
        assert!(!used(0));
        assert!(used(2));
        assert!(!used(0) && !used(2) && used(1), "tile 1 was the oldest");
        cache.set_limit(0);
        assert_eq!(cache.usage().tiles, 1);
        assert!(!used(1), "the latest tile stays");
        cache.forget(2);
        assert_eq!(cache.usage().tiles, 1);
        cache.forget(1);
        assert_eq!(cache.usage(), Usage { tiles: 0, bytes: 0, limit: 0 });
    }

    #[test]
    fn a_failure_is_not_kept_and_frees_those_who_wait() {
        let cache = Cache::new(DEFAULT_LIMIT);
        let failures = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let got = cache.get(key(0), || {
                        std::thread::sleep(std::time::Duration::from_millis(10));
                        Err(Error::Data("no".into()))
                    });
                    failures.fetch_add(usize::from(got.is_err()), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(failures.load(Ordering::Relaxed), 4);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cache.get(key(0), || panic!("x"))));
        assert!(panicked.is_err());
        assert!(cache.get(key(0), || Ok(tile(1.0))).is_ok());
    }
}
