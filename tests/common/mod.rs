//! What the tests share: a folder of their own, small images, GDAL's view of a file.
#![allow(dead_code)]

use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::raster::{Crs, GeoReference};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seed of every random number in the tests.
pub const SEED: u64 = 20_240_611;

/// A folder that disappears with the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    /// Names of everything in the folder, hidden things too, sorted.
    pub fn names(&self) -> Vec<String> {
        names(self.path())
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// 10 m pixels in UTM zone 12 north, rows running south.
pub fn utm(x: f64, y: f64) -> GeoReference {
    GeoReference::new(GeoTransform([x, 10.0, 0.0, y, 0.0, -10.0]), Some(Crs::from_definition("EPSG:32612").unwrap()))
}

/// Smooth non-periodic texture between about 200 and 1800.
pub fn texture(width: usize, height: usize) -> Grid<f32> {
    Grid::from_fn(width, height, |x, y| texture_at(x as f64, y as f64) as f32)
}

pub fn texture_at(x: f64, y: f64) -> f64 {
    1000.0
        + 300.0 * (0.31 * x + 0.17 * y).sin()
        + 250.0 * (0.23 * x - 0.41 * y + 0.0021 * x * y).cos()
        + 150.0 * (0.057 * x * (1.0 + 0.003 * y)).sin()
}

/// Runs one of GDAL's own programs and returns what it printed.
pub fn gdal(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// `gdalinfo -json` of a file, with all metadata domains.
pub fn gdalinfo(path: &str) -> serde_json::Value {
    serde_json::from_str(&gdal("gdalinfo", &["-json", "-mdd", "all", path])).unwrap()
}

pub fn write_text(path: &str, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    path.into()
}

/// The program under test, to be run in `folder`.
pub fn shiftmap(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("shiftmap"));
    command.args(arguments).current_dir(folder.path());
    command
}

/// Runs the program and returns exit code, standard output and standard error.
pub fn run(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    let out = shiftmap(folder, arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// `pre.tif` and `post.tif`, the latter moved by (`dx`, `dy`) pixels, UInt16 on one UTM grid.
pub fn write_pair(folder: &Folder, size: (usize, usize), dx: f64, dy: f64) {
    let at = |x: f64, y: f64| rough_at(x, y) as f32;
    let image = |dx: f64, dy: f64| Grid::from_fn(size.0, size.1, |x, y| at(x as f64 - dx, y as f64 - dy));
    let georef = utm(500_000.0, 4_000_000.0);
    for (name, values) in [("pre.tif", image(0.0, 0.0)), ("post.tif", image(dx, dy))] {
        let pixel = shiftmap::raster::PixelType::U16;
        shiftmap::raster::write_image(&folder.file(name), &values, pixel, None, Some(&georef), true).unwrap();
    }
}

/// Random texture with all wavelengths from a few pixels up, known at every position: bumps of random height on
/// lattices of 1, 4 and 16 pixels.
pub fn rough_at(x: f64, y: f64) -> f64 {
    let mut sum = 0.0;
    for (spacing, height) in [(1.0, 250.0), (4.0, 300.0), (16.0, 400.0)] {
        let (u, v) = (x / spacing, y / spacing);
        let (i0, j0) = (u.floor() as i64, v.floor() as i64);
        let bump = |t: f64| (-t * t / (2.0 * 0.75 * 0.75)).exp();
        let wx: Vec<f64> = (-3..=4).map(|i| bump(u - (i0 + i) as f64)).collect();
        let wy: Vec<f64> = (-3..=4).map(|j| bump(v - (j0 + j) as f64)).collect();
        for (j, b) in wy.iter().enumerate() {
            for (i, a) in wx.iter().enumerate() {
                sum += height * a * b * hashed(i0 + i as i64 - 3, j0 + j as i64 - 3, spacing as u64);
            }
        }
    }
    4000.0 + sum
}

/// Random texture that is short in reach, so that only the right place looks alike, and free of aliasing, which is a
/// bias of its own.
pub fn fine_at(x: f64, y: f64) -> f64 {
    const SPACING: f64 = 1.6;
    let (u, v) = (x / SPACING, y / SPACING);
    let (i0, j0) = (u.floor() as i64, v.floor() as i64);
    let bump = |t: f64| (-t * t / (2.0 * 0.75 * 0.75)).exp();
    let weights = |t: f64, t0: i64| (-3..=4).map(|i| bump(t - (t0 + i) as f64)).collect::<Vec<_>>();
    let (wx, wy) = (weights(u, i0), weights(v, j0));
    let line = |j: usize| (0..8).map(|i| wx[i] * hashed(i0 + i as i64 - 3, j0 + j as i64 - 3, 77)).sum::<f64>();
    4000.0 + 300.0 * (0..8).map(|j| wy[j] * line(j)).sum::<f64>()
}

/// A number from -1 to 1 for every lattice point.
fn hashed(i: i64, j: i64, level: u64) -> f64 {
    let mut h =
        (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (j as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F) ^ level ^ SEED;
    for _ in 0..2 {
        h = (h ^ (h >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    }
    (h >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
/// A file of the reference values that are kept beside the repository (`SHIFTMAP_SHARED` overrides the place); says so
/// and returns `None` where they are not at hand.
pub fn reference(name: &str) -> Option<String> {
    let shared = std::env::var_os("SHIFTMAP_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("reference").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(_) => {
            println!("skipped: {} is not there", path.display());
            None
        }
    }
}

/// A sink that keeps every tile.
pub struct Collect(pub Vec<(shiftmap::grid::Window, Grid<shiftmap::field::Measurement>)>);

impl Collect {
    /// The whole region of a run as one grid.
    pub fn map(&self, layout: &shiftmap::layout::Layout) -> Grid<shiftmap::field::Measurement> {
        let r = layout.region;
        let none = shiftmap::field::Measurement::failed(shiftmap::field::Status::NoData);
        let mut out = Grid::filled(r.width, r.height, none);
        for (at, part) in &self.0 {
            for y in 0..at.height {
                for x in 0..at.width {
                    out.set((at.x - r.x) as usize + x, (at.y - r.y) as usize + y, part.get(x, y));
                }
            }
        }
        out
    }
}

impl shiftmap::pipeline::FieldSink for Collect {
    fn write(
        &mut self,
        cells: shiftmap::grid::Window,
        measurements: &Grid<shiftmap::field::Measurement>,
    ) -> shiftmap::Result<()> {
        self.0.push((cells, measurements.clone()));
        Ok(())
    }
}

/// The map of a pair of images, and its grid.
///
/// # Errors
/// Those of the run.
pub fn measured(
    pre: &shiftmap::grid::Image,
    post: &shiftmap::grid::Image,
    params: &shiftmap::pipeline::Params,
    region: Option<shiftmap::grid::Window>,
    threads: usize,
) -> shiftmap::Result<(shiftmap::layout::Layout, Grid<shiftmap::field::Measurement>)> {
    use shiftmap::grid::MemoryImage;
    let (pre, post) = (MemoryImage(pre.clone()), MemoryImage(post.clone()));
    let layout = shiftmap::layout::Layout::new((pre.0.width(), pre.0.height()), params.window, params.step, region)?;
    let mut found = Collect(Vec::new());
    let pair = shiftmap::pipeline::Pair::new(&pre, &post, (0.0, 0.0));
    shiftmap::pipeline::run(&pair, &layout, params, threads, &mut found, &mut shiftmap::progress::Silent)?;
    let whole = found.map(&layout);
    Ok((layout, whole))
}

/// A rectangular fault cut along a diagonal, both triangles with upward normals where that is possible.
pub fn two_triangles(f: &shiftmap::synth::okada::Rectangle) -> [shiftmap::synth::tde::Triangle; 2] {
    let (along, down) = (f.strike.to_radians().sin_cos(), f.dip.to_radians().sin_cos());
    let (sin, cos) = if f.dip == 90.0 { (1.0, 0.0) } else { down };
    let corner = |t: f64, w: f64| {
        [
            f.x + t * f.length * along.0 + w * cos * along.1,
            f.y + t * f.length * along.1 - w * cos * along.0,
            -(f.top_depth + w * sin),
        ]
    };
    let [a, b, c, d] = [corner(-0.5, 0.0), corner(0.5, 0.0), corner(0.5, f.width), corner(-0.5, f.width)];
    let mut slip = f.slip;
    if f.dip == 0.0 {
        // A level triangle counts strike from north; turn the slip into that frame.
        let (s, c) = along;
        let [u, v] = [f.slip[0], f.slip[1]];
        // The element's strike is north and its dip vector west; the rectangle's (s, c) and up dip (-c, s).
        slip = [u * c + v * s, -u * s + v * c, f.slip[2]];
    }
    [[a, d, b], [b, d, c]].map(|vertices| shiftmap::synth::tde::Triangle { vertices, slip })
}

/// Gaussian noise of unit variance, a fixed number for every pixel and `key`.
pub fn hashed_noise(x: usize, y: usize, key: u64) -> f64 {
    (0..12).map(|k| hashed(x as i64, y as i64, key * 64 + k + 20)).sum::<f64>() / 2.0
}
