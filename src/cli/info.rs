//! `shiftmap info`

use super::common::{Common, cores};
use super::ui::Ui;
use crate::net::{models, runtime};
use crate::{Result, raster};

/// Versions of shiftmap and of the libraries it uses, and where they were found.
///
/// Put this into a report of a problem.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES\n  shiftmap info\n  shiftmap info --json")]
pub struct Args {
    /// Library of ONNX Runtime, or a folder with it [default: ORT_DYLIB_PATH, then beside shiftmap, then Python packages]
    #[arg(long, value_name = "FILE|FOLDER")]
    onnxruntime: Option<String>,

    #[command(flatten)]
    pub common: Common,
}

#[derive(serde::Serialize)]
struct Info {
    version: &'static str,
    program: Option<String>,
    gdal: String,
    gdal_library: Option<String>,
    gdal_raster_formats: usize,
    gdal_cache_mb: String,
    /// The driver `SHIFTMAP`, when GDAL finds it.
    gdal_driver: Option<crate::gdal_driver::Installed>,
    cores: usize,
    onnxruntime: OnnxRuntime,
    models: Vec<String>,
}

/// What runs networks, when it is found.
#[derive(serde::Serialize, Default)]
struct OnnxRuntime {
    version: Option<String>,
    library: Option<String>,
    devices: Vec<&'static str>,
    /// Why there is none.
    trouble: Option<String>,
}

fn onnxruntime(given: Option<&str>) -> OnnxRuntime {
    match runtime::load(given) {
        Ok(found) => OnnxRuntime {
            version: Some(found.version.clone()),
            library: Some(found.library.display().to_string()),
            devices: runtime::devices(&found),
            trouble: None,
        },
        Err(e) => OnnxRuntime { trouble: Some(e.to_string()), ..OnnxRuntime::default() },
    }
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let info = Info {
        version: crate::VERSION,
        program: std::env::current_exe().ok().map(|p| p.display().to_string()),
        gdal: raster::gdal_version(),
        gdal_library: loaded_library("libgdal"),
        gdal_raster_formats: raster::raster_formats(),
        gdal_cache_mb: raster::config("GDAL_CACHEMAX"),
        gdal_driver: crate::gdal_driver::installed(),
        cores: cores(),
        onnxruntime: onnxruntime(args.onnxruntime.as_deref()),
        models: models::list().into_iter().map(|m| m.name).collect(),
    };
    let unknown = || "not known".to_string();
    ui.print(&format!("shiftmap {} ({})", info.version, info.program.clone().unwrap_or_else(unknown)));
    ui.print(&format!("GDAL {} ({})", info.gdal, info.gdal_library.clone().unwrap_or_else(unknown)));
    ui.print(&format!("raster formats: {}, block cache: {} MB", info.gdal_raster_formats, info.gdal_cache_mb));
    ui.print(&match &info.gdal_driver {
        Some(driver) => format!("GDAL driver SHIFTMAP {} ({})", driver.version, driver.library),
        None => {
            let path = raster::config("GDAL_DRIVER_PATH");
            let now = if path.is_empty() { "not set".into() } else { path };
            format!(
                "GDAL driver SHIFTMAP: not found by GDAL; the folder of gdal_SHIFTMAP.so, a link to libshiftmap.so, belongs in \
                 GDAL_DRIVER_PATH ({now})"
            )
        }
    });
    ui.print(&format!("cores: {}", info.cores));
    let ort = &info.onnxruntime;
    ui.print(&match (&ort.version, &ort.library) {
        (Some(version), Some(library)) => {
            format!("ONNX Runtime {version} ({library}), devices: {}", ort.devices.join(", "))
        }
        _ => format!("ONNX Runtime: {}", ort.trouble.as_deref().unwrap_or("not found")),
    });
    let models = if info.models.is_empty() { "none found".into() } else { info.models.join(", ") };
    ui.print(&format!("models: {models}"));
    ui.print_json(&info)
}

/// Path of a shared library of this process, on systems that tell.
fn loaded_library(name: &str) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().filter_map(|l| l.find('/').map(|i| &l[i..])).find(|p| p.contains(name)).map(str::to_string)
}
