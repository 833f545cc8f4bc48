//! Inputs that change while they are read.

use super::*;
use shiftmap::grid::Grid;
use shiftmap::raster::{PixelType, write_image};

/// `displacement` of a pair of 1200 × 1000 pixels, read with next to no cache.
fn long_run(folder: &Folder) -> Command {
    for (name, d) in [("pre.tif", 0.0), ("post.tif", 0.4)] {
        let values = Grid::from_fn(1200, 1000, |x, y| texture_at(x as f64 - d, y as f64) as f32);
        write_image(&folder.file(name), &values, PixelType::U16, None, Some(&utm(5e5, 4e6)), false).unwrap();
    }
    shiftmap(
        folder,
        &[
            "displacement",
            "pre.tif",
            "post.tif",
            "out.tif",
            "-q",
            "--step",
            "2",
            "--window",
            "32",
            "--threads",
            "1",
            "--config",
            "GDAL_CACHEMAX",
            "1",
        ],
    )
}

#[test]
fn an_input_is_cut_while_it_is_read() {
    for (cut, share) in [("post.tif", 0.3), ("pre.tif", 0.02)] {
        let folder = Folder::new();
        let child = spawned(&mut long_run(&folder));
        until("nothing is being written", || folder.names().len() == 3);
        let file = std::fs::OpenOptions::new().write(true).open(folder.file(cut)).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len((length as f64 * share) as u64).unwrap();
        let out = ended(child, Duration::from_secs(120));
        let said = error_of(&out, &["ERROR: cannot ", cut]);
        assert!(said.contains("truncated or damaged") || said.contains("gdalinfo"), "{said}");
        assert_eq!(folder.names(), ["post.tif", "pre.tif"]);
    }
}

#[test]
fn an_input_is_removed_before_a_thread_opens_it() {
    let folder = Folder::new();
    let (code, _, err) = {
        write_pair(&folder, (200, 160), 0.4, -0.3);
        std::fs::write(folder.file("list.vrt"), VRT).unwrap();
        run(&folder, &["displacement", "pre.tif", "list.vrt", "out.tif", "-q"])
    };
    assert_eq!(code, 1);
    assert!(err.starts_with("ERROR: cannot ") && err.contains("list.vrt") && err.lines().count() == 1, "{err}");
    assert_eq!(folder.names(), ["list.vrt", "post.tif", "pre.tif"]);
}

/// A virtual raster whose file is gone.
const VRT: &str = "<VRTDataset rasterXSize='200' rasterYSize='160'><SRS>EPSG:32612</SRS><GeoTransform>500000, 10, 0, \
4000000, 0, -10</GeoTransform><VRTRasterBand dataType='UInt16' band='1'><SimpleSource><SourceFilename \
relativeToVRT='1'>gone.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>";
