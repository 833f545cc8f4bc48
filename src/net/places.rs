//! Where models and ONNX Runtime may lie, relative to this library, the program and Python environments.

use std::path::{Path, PathBuf};

/// Names that the dynamic linker may know.
pub const LOADER_NAMES: [&str; 3] = if cfg!(target_os = "macos") {
    ["libonnxruntime.1.dylib", "libonnxruntime.dylib", "onnxruntime"]
} else if cfg!(windows) {
    ["onnxruntime.dll", "onnxruntime", "libonnxruntime.dll"]
} else {
    ["libonnxruntime.so.1", "libonnxruntime.so", "onnxruntime.so"]
};

/// The ONNX Runtime libraries at `path`: the file itself, or those in a folder, in the folder of a Python package or in the one
/// that holds it; newest first.
pub fn libraries_in(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.into()];
    }
    for folder in ["", "lib", "capi", "onnxruntime/capi"] {
        let folder = path.join(folder);
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|n| is_library(n)).collect();
        names.sort_by_key(|n| std::cmp::Reverse(numbers(n)));
        if !names.is_empty() {
            return names.iter().map(|n| folder.join(n)).collect();
        }
    }
    Vec::new()
}

fn is_library(name: &str) -> bool {
    name == "onnxruntime.dll"
        || name == "libonnxruntime.so"
        || name.starts_with("libonnxruntime.so.")
        || name.starts_with("libonnxruntime.") && name.ends_with(".dylib")
}

/// The version numbers in a file's name.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// Folders of this library and of the program.
fn own() -> Vec<PathBuf> {
    let files = [crate::capi::own_file(), std::env::current_exe().ok()];
    let mut found = Vec::new();
    for file in files.into_iter().flatten() {
        let file = file.canonicalize().unwrap_or(file);
        if let Some(folder) = file.parent().map(PathBuf::from).filter(|f| !found.contains(f)) {
            found.push(folder);
        }
    }
    found
}

/// The folder in the checkout that `make setup` fills.
const SETUP: &str = ".onnxruntime";

/// The checkout whose `target/release` or `target/release/deps` the folder is.
fn checkout(folder: &Path) -> Option<PathBuf> {
    let folder = if folder.ends_with("deps") { folder.parent()? } else { folder };
    let target = folder.parent().filter(|_| folder.ends_with("release") || folder.ends_with("debug"))?;
    let root = target.parent()?;
    root.join("Cargo.toml").is_file().then(|| root.into())
}

/// The folder of Python packages whose `shiftmap/_files` the folder is.
fn packages(folder: &Path) -> Option<PathBuf> {
    folder.ends_with("shiftmap/_files").then(|| folder.parent()?.parent().map(PathBuf::from)).flatten()
}

/// Folders that may hold ONNX Runtime, in the order in which they are looked through; only those that exist.
pub fn folders() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in own() {
        // Beside; lib beside bin; the wheel's sibling; a checkout's own.
        all.extend(["", "lib", "shiftmap", "../lib", "../lib/shiftmap"].map(|place| folder.join(place)));
        all.extend(packages(&folder));
        all.extend(checkout(&folder).map(|root| root.join(SETUP)));
    }
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        if let Some(root) = std::env::var_os(variable).filter(|r| !r.is_empty()) {
            all.push(PathBuf::from(&root).join("lib"));
            all.extend(python_folders(Path::new(&root)));
        }
    }
    if let Some(home) = std::env::var_os("HOME") {
        all.extend(python_folders(&Path::new(&home).join(".local")));
    }
    all.extend(["/usr/local", "/usr"].iter().flat_map(|r| python_folders(Path::new(r))));
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in all.iter().filter_map(|f| f.canonicalize().ok()) {
        if folder.is_dir() && !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}

/// Where Python below `root` keeps packages, newest version first.
fn python_folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join("lib")) else { return Vec::new() };
    let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|n| n.starts_with("python3")).collect();
    names.sort_by_key(|n| std::cmp::Reverse(numbers(n)));
    let below = |n: &String| ["site-packages", "dist-packages"].map(|p| root.join("lib").join(n).join(p));
    names.iter().flat_map(below).collect()
}

/// The environment variable with folders of models.
pub const MODELS: &str = "SHIFTMAP_MODELS";

/// Folders that may hold models, in the order in which they are looked through; only those that exist.
pub fn model_folders() -> Vec<PathBuf> {
    let given = std::env::var_os(MODELS).unwrap_or_default();
    let mut all: Vec<PathBuf> = std::env::split_paths(&given).filter(|p| !p.as_os_str().is_empty()).collect();
    for folder in own() {
        // Beside (the wheel); bin or lib of an installation; a checkout's own.
        all.extend(["models", "../share/shiftmap/models"].map(|place| folder.join(place)));
        all.extend(checkout(&folder).map(|root| root.join("models")));
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in all.iter().filter_map(|f| f.canonicalize().ok()) {
        if folder.is_dir() && !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_by_name_and_the_newest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let capi = folder.path().join("onnxruntime/capi");
        std::fs::create_dir_all(&capi).unwrap();
        for name in
            ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.22.1", "libonnxruntime_providers_shared.so", "x.so"]
        {
            std::fs::write(capi.join(name), "").unwrap();
        }
        let names = |path: &Path| -> Vec<String> {
            let found = libraries_in(path);
            found.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        let wanted = ["libonnxruntime.so.1.22.1", "libonnxruntime.so.1.9.0"];
        assert_eq!(names(folder.path()), wanted);
        assert_eq!(names(&capi), wanted);
        assert_eq!(names(&capi.join("x.so")), ["x.so"]);
        assert!(libraries_in(&folder.path().join("nowhere")).is_empty());
    }
}
