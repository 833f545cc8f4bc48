//! A pair of images, a folder with the plugin, and programs that find it.

use super::common::{self, Folder};
use std::path::PathBuf;
use std::process::Command;

pub const PAIR: &str = "SHIFTMAP:pre.tif,post.tif";

/// `pre.tif` and `post.tif`, 0.4 pixels right and 0.3 up.
pub fn pair(size: (usize, usize)) -> Folder {
    let folder = Folder::new();
    common::write_pair(&folder, size, 0.4, -0.3);
    folder
}

/// A folder with `gdal_SHIFTMAP.so`, a link to the library of this build.
pub fn plugins() -> PathBuf {
    let library = std::env::current_exe().unwrap().parent().unwrap().join("libshiftmap.so");
    assert!(library.exists(), "{}", library.display());
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gdalplugins");
    std::fs::create_dir_all(&place).unwrap();
    let link = place.join("gdal_SHIFTMAP.so");
    if std::fs::read_link(&link).ok().as_ref() != Some(&library) {
        // Other tests do the same at this moment.
        let own = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let new = own.path().join("new");
        std::os::unix::fs::symlink(library, &new).unwrap();
        std::fs::rename(new, link).unwrap();
    }
    place
}

/// A program in the folder that finds the plugin.
pub fn command(folder: &Folder, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder.path()).env("GDAL_DRIVER_PATH", plugins());
    command
}

/// What a command that must succeed prints.
pub fn succeeds(mut command: Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{command:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

pub fn tool(folder: &Folder, program: &str, arguments: &[&str]) -> String {
    succeeds(command(folder, program, arguments))
}

/// Standard output and the driver's debug messages.
pub fn traced(folder: &Folder, program: &str, arguments: &[&str]) -> String {
    let mut command = command(folder, program, arguments);
    let out = command.env("CPL_DEBUG", "SHIFTMAP").output().unwrap();
    assert!(out.status.success(), "{command:?}");
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

/// Whether more programs than cores want to run, so that times say little.
pub fn busy() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|v| v.parse().ok()).unwrap_or(0.0);
    load > std::thread::available_parallelism().map_or(1, |n| n.get()) as f64
}

/// Every band of two rasters, bit by bit.
pub fn same_pixels(folder: &Folder, a: &str, b: &str) {
    let raw = |name: &str| {
        let out = format!("{name}.raw");
        tool(folder, "gdal_translate", &["-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ", name, &out]);
        std::fs::read(folder.file(&out)).unwrap()
    };
    let (x, y) = (raw(a), raw(b));
    assert!(x.len() > 1000);
    assert!(x == y, "{a} and {b} differ");
}
