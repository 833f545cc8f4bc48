//! ONNX Runtime: found, loaded once a process, and what it can run on.
//!
//! Nothing links to it. It is looked for when a network is asked for: in the place given, in `ORT_DYLIB_PATH`, beside
//! this library and program, in Python environments, and where the dynamic linker looks.

use ort::ep::{self, ExecutionProvider};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::places;
use crate::{Error, Result};

/// The environment variable that names the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";
/// How to get it.
pub const REMEDY: &str = "install it with `python3 -m pip install --target FOLDER onnxruntime` (1.19 or newer) and give the folder \
                          with --onnxruntime FOLDER or ORT_DYLIB_PATH";

/// The library in use.
#[derive(Clone)]
pub struct Runtime {
    pub(super) environment: ort::environment::Environment,
    pub library: PathBuf,
    pub version: String,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// Loads ONNX Runtime, or gives the one that is loaded; `given` is a library, or a folder that holds one.
///
/// # Errors
/// [`Error::Option`] when what was given is not it, [`Error::Data`] when it is nowhere: both say how to get it.
pub fn load(given: Option<&str>) -> Result<Runtime> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*loaded {
        return match given.map(|g| places::libraries_in(Path::new(g))) {
            Some(found) if !found.iter().any(|f| same(f, &runtime.library)) => {
                let why = format!(
                    "this process uses {} already, and there can be only one; start the program again",
                    runtime.library.display()
                );
                Err(Error::option("--onnxruntime", given.unwrap_or_default(), why))
            }
            _ => Ok(runtime.clone()),
        };
    }
    let runtime = find(given)?;
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

fn same(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.into());
    real(a) == real(b)
}

fn find(given: Option<&str>) -> Result<Runtime> {
    let named = |name: &str, path: &str| {
        let found = places::libraries_in(Path::new(path));
        let refuse = |why: String| Error::option(name, path, format!("{why}; {REMEDY}"));
        let Some(library) = found.first() else {
            return Err(refuse(match Path::new(path).exists() {
                true => "there is no ONNX Runtime library (libonnxruntime.so.1.*) in it".into(),
                false => "no such file or folder".into(),
            }));
        };
        open(library).map_err(refuse)
    };
    if let Some(path) = given {
        return named("--onnxruntime", path);
    }
    if let Some(path) = std::env::var(VARIABLE).ok().filter(|p| !p.is_empty()) {
        return named(VARIABLE, &path);
    }
    let mut tried = Vec::new();
    let folders = places::folders();
    for library in folders.iter().flat_map(|f| places::libraries_in(f)) {
        match open(&library) {
            Ok(runtime) => return Ok(runtime),
            Err(why) => tried.push(why),
        }
    }
    for name in places::LOADER_NAMES {
        if let Ok(runtime) = open(Path::new(name)) {
            return Ok(runtime);
        }
    }
    let looked: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
    let tried = if tried.is_empty() { String::new() } else { format!("{}; ", tried.join("; ")) };
    Err(Error::Data(format!(
        "networks need ONNX Runtime, which was not found: {tried}looked for libonnxruntime in {}, and where the system \
         keeps libraries; {REMEDY}",
        looked.join(", ")
    )))
}

/// Loads one library; the error is a sentence without a full stop.
fn open(library: &Path) -> std::result::Result<Runtime, String> {
    let named = library.components().count() > 1;
    let shown = library.display();
    // A relative path would count from the program's folder.
    let library = if named { library.canonicalize().unwrap_or_else(|_| library.into()) } else { library.into() };
    let builder = ort::init_from(&library).map_err(|e| words(&shown.to_string(), &e.to_string()))?;
    // The library's own log would go to the error stream, and usage data to its maker.
    let builder = builder.with_name("shiftmap").with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
    let environment = builder.build().map_err(|e| format!("{shown} does not start: {}", one_line(&e.to_string())))?;
    let version = version(&library);
    Ok(Runtime { environment, library, version })
}

/// The loader's complaint in the user's words.
fn words(library: &str, text: &str) -> String {
    let text = one_line(text);
    if let Some(version) = text.split("but got '").nth(1).and_then(|t| t.split('\'').next()) {
        return format!("{library} is version {version}, 1.19 or newer is needed");
    }
    if text.contains("OrtGetApiBase") {
        return format!("{library} is not ONNX Runtime");
    }
    format!("{library} cannot be loaded: it is not a library for this system, or one that it needs is missing")
}

/// The version in the build information, or in the file's name.
fn version(library: &Path) -> String {
    let digits = |t: &str| t.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>();
    let build = ort::info().split("rel-").nth(1).map(digits);
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let named = name.find(|c: char| c.is_ascii_digit()).map(|i| digits(&name[i..]).trim_matches('.').to_string());
    named.filter(|v| v.contains('.')).or(build).unwrap_or_else(|| "1.19 or newer".into())
}

/// A message of the library on one line, without its source code positions.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What networks can run on, by the name that `--device` takes.
const DEVICES: [&str; 7] = ["cpu", "cuda", "rocm", "migraphx", "openvino", "coreml", "directml"];

/// The devices that the loaded library was built for.
pub fn devices(_: &Runtime) -> Vec<&'static str> {
    let built = |name: &&str| match *name {
        "cpu" => true,
        "cuda" => ep::CUDA::is_available().unwrap_or(false),
        "rocm" => ep::ROCm::is_available().unwrap_or(false),
        "migraphx" => ep::MIGraphX::is_available().unwrap_or(false),
        "openvino" => ep::OpenVINO::is_available().unwrap_or(false),
        "coreml" => ep::CoreML::is_available().unwrap_or(false),
        "directml" => ep::DirectML::is_available().unwrap_or(false),
        _ => false,
    };
    DEVICES.into_iter().filter(built).collect()
}

/// The execution provider of `--device NAME[:N]`; `None` is the processor.
///
/// # Errors
/// [`Error::Option`] for a name that does not exist, or that the library was not built for.
pub fn provider(runtime: &Runtime, device: &str) -> Result<Option<ep::ExecutionProviderDispatch>> {
    let (name, number) = device.split_once(':').unwrap_or((device, "0"));
    let name = name.to_ascii_lowercase();
    let refuse = |why: String| Error::option("--device", device, why);
    let number: i32 = number.parse().map_err(|_| refuse("the number of a device is 0, 1, ...: cuda:1".into()))?;
    if !DEVICES.contains(&name.as_str()) {
        return Err(refuse(format!("choose one of {}", DEVICES.join(", "))));
    }
    let built = devices(runtime);
    if !built.contains(&name.as_str()) {
        let package = match name.as_str() {
            "cuda" => "; the Python package onnxruntime-gpu has it",
            "openvino" => "; the Python package onnxruntime-openvino has it",
            "directml" => "; the Python package onnxruntime-directml has it",
            _ => "",
        };
        return Err(refuse(format!(
            "ONNX Runtime {} ({}) was not built for it, only for {}{package}",
            runtime.version,
            runtime.library.display(),
            built.join(", ")
        )));
    }
    Ok(Some(
        match name.as_str() {
            "cuda" => ep::CUDA::default().with_device_id(number).build(),
            "rocm" => ep::ROCm::default().with_device_id(number).build(),
            "migraphx" => ep::MIGraphX::default().with_device_id(number).build(),
            "openvino" => ep::OpenVINO::default().build(),
            "coreml" => ep::CoreML::default().build(),
            "directml" => ep::DirectML::default().with_device_id(number).build(),
            _ => return Ok(None),
        }
        .error_on_failure(),
    ))
}
