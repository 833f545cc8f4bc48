//! Options that commands share.

use crate::raster::WriteOptions;
use clap::Args;

/// What every command accepts.
#[derive(Args, Debug, Clone, Default)]
pub struct Common {
    /// Print nothing but errors
    #[arg(short = 'q', long, help_heading = "Common options")]
    pub quiet: bool,

    /// Print a JSON summary on standard output instead of progress
    #[arg(long, help_heading = "Common options")]
    pub json: bool,

    /// GDAL configuration option, e.g. --config GDAL_HTTP_TIMEOUT 20 (may be repeated)
    #[arg(long, num_args = 2, value_names = ["KEY", "VALUE"], action = clap::ArgAction::Append, help_heading = "Common options")]
    pub config: Vec<String>,
}

/// How a raster is written.
#[derive(Args, Debug, Clone, Default)]
pub struct WriteArgs {
    /// Replace OUT if it is there already (without this it is an error)
    #[arg(long, help_heading = "Output options")]
    pub overwrite: bool,

    /// GDAL format of OUT, e.g. GTiff, COG, netCDF [default: by the extension]
    #[arg(long = "of", visible_alias = "format", value_name = "FORMAT", help_heading = "Output options")]
    pub format: Option<String>,

    /// Creation option of the format, e.g. --co COMPRESS=ZSTD (may be repeated)
    #[arg(long = "co", value_name = "KEY=VALUE", help_heading = "Output options")]
    pub creation: Vec<String>,
}

impl WriteArgs {
    pub fn options(&self) -> WriteOptions {
        let (format, creation) = (self.format.clone(), self.creation.clone());
        WriteOptions { format, creation, overwrite: self.overwrite, memory: None }
    }
}

/// How much of the machine is used.
#[derive(Args, Debug, Clone, Default)]
pub struct ThreadArgs {
    /// Number of worker threads; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Common options")]
    pub threads: Option<u16>,
}

impl ThreadArgs {
    pub fn count(&self) -> usize {
        self.threads.map_or_else(cores, usize::from)
    }
}

/// Cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Two numbers for columns and rows, written `N` or `NxM`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Two<T>(pub T, pub T);

impl<T: std::str::FromStr + Copy> std::str::FromStr for Two<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |s: &str| s.trim().parse::<T>().map_err(|_| format!("`{text}` is not N or NxM, e.g. 32 or 32x16"));
        match text.split_once(['x', 'X']) {
            Some((a, b)) => Ok(Two(number(a)?, number(b)?)),
            None => number(text).map(|n| Two(n, n)),
        }
    }
}
