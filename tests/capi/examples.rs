//! The examples compile and do what they say.

use super::build::{compile, root, succeed};
use super::common::*;
use std::process::Command;

#[test]
fn c_files() {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    let program = compile(&folder, "examples/c/displacement.c", &[]);
    let out =
        succeed(Command::new(&program).current_dir(folder.path()).args(["pre.tif", "post.tif", "c.tif", "STEP=16"]));
    assert!(out.contains("100 %"), "{out}");
    // The same options on the command line give the same bytes.
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "cli.tif", "--step", "16"]);
    assert_eq!(code, 0, "{err}");
    let read = |name: &str| std::fs::read(folder.file(name)).unwrap();
    assert!(read("c.tif") == read("cli.tif"));
    let again =
        Command::new(&program).current_dir(folder.path()).args(["pre.tif", "post.tif", "c.tif"]).output().unwrap();
    let err = String::from_utf8(again.stderr).unwrap();
    assert!(
        again.status.code() == Some(1) && err.contains("error 203: c.tif exists already: add OVERWRITE=YES"),
        "{err}"
    );
}

#[test]
fn c_arrays() {
    let folder = Folder::new();
    let out = succeed(&mut Command::new(compile(&folder, "examples/c/arrays.c", &[])));
    for title in ["library's planes", "own planes"] {
        let want = format!("{title}: 12 x 10 cells, first centre (7.5, 7.5), step (16, 16), ");
        let line = out.lines().find(|l| l.starts_with(&want)).unwrap_or_else(|| panic!("{out}"));
        let numbers: Vec<f64> = line[want.len()..].split(' ').filter_map(|w| w.parse().ok()).collect();
        assert!(numbers[0] >= 80.0 && (numbers[1] - 0.4).abs() < 0.01 && (numbers[2] - 0.3).abs() < 0.01, "{line}");
    }
}

#[test]
fn c_cancel() {
    let folder = Folder::new();
    write_pair(&folder, (1200, 1200), 0.4, -0.3);
    let program = compile(&folder, "examples/c/cancel.c", &[]);
    let before = folder.names();
    let out = succeed(Command::new(program).current_dir(folder.path()).args(["pre.tif", "post.tif", "map.tif"]));
    assert!(out.contains("code 300, stopped on request; nothing was written"), "{out}");
    assert_eq!(folder.names(), before);
}

#[test]
fn cpp_datasets() {
    let folder = Folder::new();
    let gdal = succeed(Command::new("pkg-config").args(["--cflags", "--libs", "gdal"]));
    // The headers of others need not be as strict.
    let gdal = gdal.replace("-I", "-isystem");
    let flags: Vec<&str> = gdal.split_whitespace().collect();
    let program = compile(&folder, "examples/cpp/dataset.cpp", &flags);
    let out = succeed(Command::new(&program).arg(folder.file("map.tif")));
    assert!(out.contains("100 - done.") && out.contains("East displacement: mean +20.0"), "{out}");
}

#[test]
fn the_header_twice_in_c_and_cpp() {
    let folder = Folder::new();
    let text =
        "#include <shiftmap.h>\n#include <shiftmap.h>\nint main(void) { return shiftmap_version_number() == 0; }\n";
    for (name, language, standard) in
        [("twice.c", "cc", "-std=c99"), ("twice.c", "cc", "-std=c11"), ("twice.cpp", "c++", "-std=c++17")]
    {
        write_text(&folder.file(name), text);
        let include = format!("-I{}", root().join("include").display());
        let flags =
            [standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", &include, &folder.file(name)];
        succeed(Command::new(language).args(flags));
    }
    // No comment of C99 and no declaration that C89 does not know but the types of stdint.h.
    let include = format!("-I{}", root().join("include").display());
    succeed(Command::new("cc").args([
        "-std=c89",
        "-Wall",
        "-Werror",
        "-fsyntax-only",
        &include,
        &folder.file("twice.c"),
    ]));
}
