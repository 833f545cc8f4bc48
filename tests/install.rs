//! What `make install` and `make wheel` put somewhere works there, outside of the source tree.

mod common;

use common::*;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A packaging script with the program and the library of this build.
fn packaging(script: &str) -> Command {
    let library = std::env::current_exe().unwrap().parent().unwrap().join("libshiftmap.so");
    let mut command = Command::new(root().join("packaging").join(script));
    command.env("PROGRAM", assert_cmd::cargo::cargo_bin!("shiftmap")).env("LIBRARY", library);
    command
}

/// Runs a command, which must succeed, and returns what it printed.
fn succeed(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    assert!(out.status.success(), "{command:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

fn there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// An installation that was moved away from the folder it was made for.
fn installed(folder: &Folder) -> PathBuf {
    let stage = folder.path().join("stage");
    succeed(packaging("install.sh").args(["install", "/opt/shiftmap"]).arg(&stage));
    let prefix = folder.path().join("a place");
    std::fs::rename(stage.join("opt/shiftmap"), &prefix).unwrap();
    prefix
}

#[test]
fn a_program_finds_the_library_with_pkg_config() {
    let folder = Folder::new();
    let prefix = installed(&folder);
    let lib = prefix.join("lib");
    let flags = succeed(
        Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", lib.join("pkgconfig"))
            .args(["--cflags", "--libs", "shiftmap"]),
    );
    write_pair(&folder, (200, 160), 0.4, -0.3);
    let source = root().join("examples/c/displacement.c");
    let compile = format!("cc -o use '{}' {flags}", source.display());
    succeed(Command::new("sh").args(["-c", &compile]).current_dir(folder.path()));
    let mut run = Command::new(folder.path().join("use"));
    run.env("LD_LIBRARY_PATH", &lib).current_dir(folder.path()).args(["pre.tif", "post.tif", "map.tif"]);
    succeed(&mut run);
    assert_eq!(gdalinfo(&folder.file("map.tif"))["bands"][0]["description"], "East displacement");

    let program = prefix.join("bin/shiftmap");
    assert!(succeed(Command::new(program).arg("--version")).contains(env!("CARGO_PKG_VERSION")));
    let page = std::fs::read_to_string(prefix.join("share/man/man1/shiftmap-displacement.1")).unwrap();
    assert!(page.contains("WINDOW") || page.contains("window"));
    let completion = std::fs::read_to_string(prefix.join("share/bash-completion/completions/shiftmap")).unwrap();
    assert!(completion.contains("displacement"));
}

#[test]
fn a_cmake_project_finds_the_package() {
    if !there("cmake") {
        return;
    }
    let folder = Folder::new();
    let prefix = installed(&folder);
    let build = folder.path().join("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(root().join("examples/cmake")).arg("-B").arg(&build);
    succeed(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())));
    succeed(Command::new("cmake").arg("--build").arg(&build));
    write_pair(&folder, (200, 160), 0.4, -0.3);
    let mut run = Command::new(build.join("displacement"));
    succeed(run.current_dir(folder.path()).args(["pre.tif", "post.tif", "map.tif", "STEP=16"]));
}

#[test]
fn gdals_programs_find_the_driver() {
    let folder = Folder::new();
    let prefix = installed(&folder);
    write_pair(&folder, (200, 160), 0.4, -0.3);
    if Command::new("gdal_calc.py").arg("--help").output().is_err() {
        println!("skipped: gdal_calc.py is not installed");
        return;
    }
    let mut script = Command::new(root().join("examples/shell/virtual.sh"));
    script.args(["pre.tif", "post.tif", "."]).current_dir(folder.path());
    let out = succeed(script.env("GDAL_DRIVER_PATH", prefix.join("lib/gdalplugins")));
    assert!(out.contains("Description = East displacement") && out.contains("UTM zone 12N"), "{out}");
    assert_eq!(gdalinfo(&folder.file("corner.tif"))["size"], serde_json::json!([4, 4]));
    let length = shiftmap::raster::read_all_bands(&folder.file("length.tif")).unwrap();
    let (values, valid) = (&length.bands[0].values.data, &length.bands[0].valid.data);
    let found: Vec<f32> = values.iter().zip(valid).filter(|(_, ok)| **ok).map(|(v, _)| *v).collect();
    // 0.4 pixels right and 0.3 up at 10 m a pixel.
    assert!(found.len() > 20 && found.iter().all(|v| (v - 5.0).abs() < 0.3), "{found:?}");
}

#[test]
fn uninstalling_leaves_nothing_but_what_was_there() {
    let folder = Folder::new();
    let prefix = folder.path().join("prefix");
    std::fs::create_dir_all(prefix.join("share/man/man1")).unwrap();
    std::fs::write(prefix.join("share/man/man1/other.1"), "").unwrap();
    // Twice: the second replaces the first.
    for _ in 0..2 {
        succeed(packaging("install.sh").arg("install").arg(&prefix));
    }
    let links = std::fs::read_link(prefix.join("lib/libshiftmap.so")).unwrap();
    assert_eq!(links.to_str().unwrap(), concat!("libshiftmap.so.", env!("CARGO_PKG_VERSION_MAJOR")));
    succeed(packaging("install.sh").arg("uninstall").arg(&prefix));
    let left = succeed(Command::new("find").arg(&prefix).arg("-type").arg("f"));
    assert_eq!(left.trim(), prefix.join("share/man/man1/other.1").to_str().unwrap());
    assert_eq!(names(&prefix), ["share"]);
}

#[test]
fn the_wheel_is_enough() {
    let folder = Folder::new();
    let venv = folder.path().join("venv");
    if !Command::new("python3").args(["-m", "venv"]).arg(&venv).output().is_ok_and(|o| o.status.success()) {
        println!("skipped: python3 has no venv module");
        return;
    }
    let python = venv.join("bin/python");
    let pip = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install"]).args(arguments);
        command
    };
    if !pip(&["numpy", "build", "setuptools>=70.1"]).output().is_ok_and(|o| o.status.success()) {
        println!("skipped: pip cannot fetch numpy and build");
        return;
    }
    let wheel = succeed(packaging("wheel.sh").arg(folder.path()).env("PYTHON", &python));
    succeed(&mut pip(&[wheel.trim()]));
    let script = root().join("examples/python/displacement.py");
    let out = succeed(Command::new(&python).arg(script).arg(folder.path()).current_dir(folder.path()));
    for line in [
        "arrays: right +3.000, up -2.000 pixels",
        "files: 256 cells",
        "fault: north +0.38",
        "error 104: option WINDW: no such option; did you mean WINDOW?",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let checks = root().join("tests/python/module.py");
    succeed(Command::new(&python).arg(checks).current_dir(folder.path()));
    if pip(&["distributed"]).output().is_ok_and(|o| o.status.success()) {
        let (checks, array) = (root().join("tests/python/cluster.py"), root().join("examples/cluster/slurm.sh"));
        println!(
            "{}",
            succeed(Command::new(&python).arg(checks).arg(folder.path()).arg(array).current_dir(folder.path()))
        );
    } else {
        println!("skipped: pip cannot fetch distributed");
    }
    let version = succeed(Command::new(venv.join("bin/shiftmap")).arg("--version"));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}
