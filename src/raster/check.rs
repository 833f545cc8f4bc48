//! Whether a file really holds what was written: GDAL before 3.7 does not say whether closing failed.

use super::open::open_dataset;
use super::reason;
use gdal::{Dataset, DriverManager, Metadata};

/// Whether the user allows missing blocks.
pub(super) fn sparse(creation: &[String]) -> bool {
    creation.iter().any(|o| o.to_ascii_uppercase().starts_with("SPARSE_OK="))
}

/// Every block must have its bytes inside the file.
pub(super) fn verify_blocks(path: &str, sparse: bool) -> std::result::Result<(), String> {
    let dataset = open_dataset(path, &[]).map_err(|e| e.to_string())?;
    let length = std::fs::metadata(path).map(|m| m.len()).ok().filter(|_| !path.starts_with("/vsi"));
    for i in 1..=dataset.raster_count() {
        let band = dataset.rasterband(i).map_err(reason)?;
        let ((w, h), (bw, bh)) = (band.size(), band.block_size());
        for (x, y) in (0..h.div_ceil(bh)).flat_map(|y| (0..w.div_ceil(bw)).map(move |x| (x, y))) {
            let number = |what: &str| {
                band.metadata_item(&format!("BLOCK_{what}_{x}_{y}"), "TIFF").and_then(|v| v.parse::<u64>().ok())
            };
            match (number("OFFSET"), number("SIZE"), length) {
                (Some(at), Some(size), Some(length)) if at + size > length => {
                    return Err("the file is cut short".into());
                }
                (None, _, _) | (_, None, _) if !sparse => return Err(format!("block {x},{y} of band {i} is missing")),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A way to GDAL's last message on this thread without touching the process-wide error handler: asking a dataset in
/// memory for a geotransform it does not have fails silently, and the error carries the message left before.
pub(super) struct Probe(Dataset);

impl Probe {
    pub(super) fn new() -> gdal::errors::Result<Probe> {
        Ok(Probe(DriverManager::get_driver_by_name("MEM")?.create("", 1, 1, 1)?))
    }

    /// The last message, empty when there is none; it is forgotten afterwards.
    pub(super) fn message(&self) -> String {
        match self.0.geo_transform() {
            Err(gdal::errors::GdalError::CplError { msg, .. }) => msg.trim().to_string(),
            _ => String::new(),
        }
    }

    pub(super) fn clear(&self) {
        self.message();
    }
}
