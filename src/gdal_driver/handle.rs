//! An open virtual raster: the product's grid and texts at once, its blocks when they are asked for.

use super::cache::Cache;
use super::connection::Request;
use super::registry;
use super::source::Source;
use crate::grid::Window;
use crate::layout::Layout;
use crate::raster::{self, GeoReference, Ground};
use crate::{Error, Result, options, threads};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Overviews are offered until one is at most this large.
const SMALLEST: usize = 256;

/// Largest share of the cache that is filled ahead of reading.
const AHEAD: usize = 2;

/// What GDAL's dataset stands on; used by one thread at a time, while different handles are independent.
pub struct Handle {
    source: Arc<Source>,
    /// The product's grid, then its overviews'.
    levels: Vec<Layout>,
    georef: GeoReference,
    ground: Ground,
    metadata: Vec<(String, String)>,
    debug: fn(&str),
}

/// The grid of a level, as GDAL wants it.
pub struct LevelGrid {
    pub size: (usize, usize),
    pub block: (usize, usize),
    /// `None` when the raster is not georeferenced.
    pub transform: Option<[f64; 6]>,
}

impl Handle {
    /// Opens and checks the images; nothing is measured. `stamp` says in which state the input files are.
    ///
    /// # Errors
    /// Unknown options, bad values, images that cannot be opened or do not fit.
    pub fn open(request: &Request, stamp: &dyn Fn(&[&str]) -> Option<String>, debug: fn(&str)) -> Result<Handle> {
        Cache::shared().set_limit(cache_limit(&raster::config("SHIFTMAP_CACHEMAX"))?);
        let job = options::virtual_job(&request.pre, &request.post, &request.options)?;
        let prepared = job.prepare(&mut |note| debug(note)).map_err(|e| options::reworded("displacement", e))?;
        let (georef, ground, metadata) = (prepared.georef.clone(), prepared.ground, prepared.metadata.clone());
        let mut levels = vec![prepared.layout];
        let mut factor = 2;
        while levels.last().is_some_and(|l| l.region.width.max(l.region.height) > SMALLEST) {
            levels.push(prepared.layout.coarser(factor));
            factor *= 2;
        }
        let models = job.model_files();
        let inputs: Vec<&str> = job.inputs().into_iter().chain(models.iter().map(String::as_str)).collect();
        let stamp = stamp(&inputs);
        let source = registry::shared(&job, prepared, stamp);
        Ok(Handle { source, levels, georef, ground, metadata, debug })
    }

    /// Levels beyond the product itself.
    pub fn overviews(&self) -> usize {
        self.levels.len() - 1
    }

    pub fn grid(&self, level: usize) -> LevelGrid {
        let layout = &self.levels[level];
        // The product of images without any georeference lies on their pixels.
        let placed = self.georef.referenced || self.georef.crs.is_none();
        LevelGrid {
            size: (layout.region.width, layout.region.height),
            block: layout.tile_cells(),
            transform: placed.then(|| layout.geotransform(&self.georef.transform).0),
        }
    }

    /// The coordinate reference system.
    pub fn wkt(&self) -> Option<&str> {
        self.georef.crs.as_ref().map(|c| c.wkt.as_str())
    }

    /// Unit of the displacement bands.
    pub fn unit(&self) -> &'static str {
        self.ground.unit
    }

    /// Items of the metadata domain `SHIFTMAP`: the product's; what looking at the pair found comes with the first
    /// block.
    pub fn metadata(&self) -> impl Iterator<Item = &(String, String)> {
        self.metadata.iter().chain(self.source.facts().into_iter().flatten())
    }

    /// Whether [`Handle::metadata`] is complete.
    pub fn complete(&self) -> bool {
        self.source.facts().is_some()
    }

    /// Tiles computed for this pair and its parameters in this process, and the state of the tile cache.
    pub fn usage(&self) -> Vec<(&'static str, usize)> {
        let usage = Cache::shared().usage();
        vec![
            ("TILES_COMPUTED", self.source.computed()),
            ("TILES_CACHED", usage.tiles),
            ("BYTES_CACHED", usage.bytes),
            ("BYTES_LIMIT", usage.limit),
        ]
    }

    /// Fills a block of one band (0 to 5), row-major; cells beyond the raster are NaN.
    ///
    /// # Errors
    /// Unreadable images, images without any common detail.
    pub fn read_block(&self, level: usize, band: usize, x: usize, y: usize, values: &mut [f32]) -> Result<()> {
        let layout = self.level(level)?;
        let block = registry::block(layout.region, layout.tile_cells(), x, y);
        if values.len() != block.width * block.height || band >= raster::BANDS.len() {
            return Err(Error::Internal(format!("block {x},{y} of band {} has another size", band + 1)));
        }
        values.fill(f32::NAN);
        let Some(wanted) = block.intersect(&layout.region) else { return Ok(()) };
        for place in layout.tiles_touching(wanted) {
            let tile = self.tile(layout, place)?;
            let Some(part) = place.intersect(&wanted) else { continue };
            for row in part.y..part.bottom() {
                let from = (row - place.y) as usize * place.width + (part.x - place.x) as usize;
                let to = (row - block.y) as usize * block.width + (part.x - block.x) as usize;
                values[to..to + part.width].copy_from_slice(&tile.bands[band][from..from + part.width]);
            }
        }
        Ok(())
    }

    /// How many rows of cells from `y` on to read at once: whole blocks, enough of them to keep all threads busy, and
    /// few enough to stay in the cache until every band has been read.
    pub fn rows_at_once(&self, level: usize, x: usize, y: usize, width: usize) -> Result<usize> {
        let layout = self.level(level)?;
        let (bw, bh) = layout.tile_cells();
        let columns = (x + width.max(1) - 1) / bw - x / bw + 1;
        let rows = (4 * self.source.threads).div_ceil(columns).min(self.capacity(layout) / columns).max(1);
        Ok(rows * bh - y % bh)
    }

    /// Tiles of a grid that may be computed ahead.
    fn capacity(&self, layout: &Layout) -> usize {
        let (bw, bh) = layout.tile_cells();
        Cache::shared().usage().limit / AHEAD / (bw * bh * raster::BANDS.len() * size_of::<f32>())
    }

    /// Computes the tiles of a rectangle in parallel, as far as the cache can hold them.
    ///
    /// # Errors
    /// Those of [`Handle::read_block`].
    pub fn prefetch(&self, level: usize, x: usize, y: usize, width: usize, height: usize) -> Result<()> {
        let layout = self.level(level)?;
        let cells = Window::new(layout.region.x + x as i64, layout.region.y + y as i64, width, height);
        let Some(cells) = cells.intersect(&layout.region) else { return Ok(()) };
        let mut tiles = layout.tiles_touching(cells);
        tiles.truncate(self.capacity(layout));
        tiles.retain(|t| !self.source.has(layout, *t));
        let workers = self.source.threads.min(tiles.len());
        if workers < 2 {
            // Reading computes what is missing.
            return Ok(());
        }
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        threads::apart(workers, || {
            while let Some(&tile) = tiles.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(e) = self.tile(layout, tile) {
                    next.store(tiles.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
                }
            }
        })?;
        failure.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }

    fn tile(&self, layout: &Layout, place: Window) -> Result<Arc<super::cache::Tile>> {
        let found = self.source.tile(layout, place, &self.debug);
        found.map_err(|e| options::reworded("displacement", e))
    }

    fn level(&self, level: usize) -> Result<&Layout> {
        self.levels.get(level).ok_or_else(|| Error::Internal(format!("there is no overview {level}")))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.source.closed();
    }
}

/// The limit of the tile cache in bytes: megabytes, or a number with KB, MB or GB.
fn cache_limit(text: &str) -> Result<usize> {
    let text = text.trim().to_ascii_uppercase();
    if text.is_empty() {
        return Ok(super::cache::DEFAULT_LIMIT);
    }
    let (number, unit) = match text.strip_suffix(['B']).and_then(|t| t.split_at_checked(t.len().checked_sub(1)?)) {
        Some((number, "K")) => (number, 1 << 10),
        Some((number, "M")) => (number, 1 << 20),
        Some((number, "G")) => (number, 1 << 30),
        _ => (text.as_str(), 1 << 20),
    };
    match number.trim().parse::<f64>() {
        Ok(n) if n >= 0.0 && n.is_finite() => Ok((n * f64::from(unit)) as usize),
        _ => Err(Error::option("SHIFTMAP_CACHEMAX", text, "a number of megabytes, or one with KB, MB or GB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_limit_is_in_megabytes() {
        assert_eq!(cache_limit("").unwrap(), 256 << 20);
        assert_eq!(cache_limit("64").unwrap(), 64 << 20);
        assert_eq!(cache_limit("1.5 gb").unwrap(), 3 << 29);
        assert_eq!(cache_limit("100KB").unwrap(), 100 << 10);
        for bad in ["lots", "-1", "MB", "B", "3 TB", "ä"] {
            let text = cache_limit(bad).unwrap_err().to_string();
            assert!(text.starts_with("SHIFTMAP_CACHEMAX="), "{text}");
        }
    }
}
