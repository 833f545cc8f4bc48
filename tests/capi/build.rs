//! Compiling and running C and C++ programs.

use super::common::Folder;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library of this build.
pub fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let path = deps.join("libshiftmap.so");
    assert!(path.exists(), "{}", path.display());
    path
}

/// Compiles `source` (relative to the repository), as strict as can be, and returns the program.
pub fn compile(folder: &Folder, source: &str, more: &[&str]) -> PathBuf {
    let cpp = source.ends_with(".cpp");
    for name in ["libshiftmap.so", "libshiftmap.so.0"] {
        let link = folder.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(library(), link).unwrap();
        }
    }
    let program = folder.path().join(Path::new(source).file_stem().unwrap());
    let mut command = Command::new(if cpp { "c++" } else { "cc" });
    command.args([if cpp { "-std=c++17" } else { "-std=c99" }, "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o"]);
    command.arg(&program).arg(root().join(source)).arg("-I").arg(root().join("include"));
    command.arg("-L").arg(folder.path()).arg(format!("-Wl,-rpath,{}", folder.path().display()));
    let out = command.args(["-lshiftmap", "-lm", "-lpthread", "-ldl"]).args(more).output().unwrap();
    assert!(out.status.success(), "{source}: {}", String::from_utf8_lossy(&out.stderr));
    program
}

/// Runs a command, which must succeed, and returns what it printed.
pub fn succeed(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", both(&out));
    both(&out)
}

fn both(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

/// Whether a program is there.
pub fn there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
}
