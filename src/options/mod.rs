//! Options as `KEY=VALUE` strings, in the manner of GDAL, for every door but the command line: C ABI, GDAL driver, QGIS.
//!
//! Keys are the command line's long options in capitals with underscores (`--min-valid 0.5` is `MIN_VALID=0.5`, in any
//! case). Flags take YES/NO, TRUE/FALSE, ON/OFF or 1/0; options of several numbers take them separated by blanks or
//! commas (`REGION=0 0 512 512`); options that may be repeated on the command line may be repeated here. Everything is
//! read from the command line's own definition, so a new option needs no code here.

mod list;
mod parse;
mod paths;
mod words;

pub use list::{Kind, OptionInfo, commands, has, json, list, xml};
pub(crate) use parse::parse;
pub use parse::{arguments, array_job, check, job, pairs, virtual_job};
pub(crate) use paths::{join as join_paths, split as split_paths};
pub use words::reworded;

/// Who asks: decides which options there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Results are written to files, as on the command line.
    Files,
    /// Results stay in memory: no options of output files.
    Virtual,
    /// So do the images: no options of input files either.
    Arrays,
}

/// Options that belong to the command line, with what to do instead.
const TERMINAL: [(&str, &str); 3] = [
    ("quiet", "is for the command line: messages and progress go to the callbacks"),
    ("json", "is for the command line: results are returned by the function"),
    ("config", "is for the command line: set GDAL's configuration in the program, e.g. with CPLSetConfigOption"),
];

/// Options of output files.
const OUTPUT: [&str; 4] = ["overwrite", "format", "creation", "split_lines"];

/// Options of input files, and those that need a georeference.
const INPUT: [&str; 6] = ["band", "post_band", "open_options", "resample", "stack_pair", "complex"];

/// Why `argument` is not offered through `door`; `None` when it is.
fn refusal(argument: &clap::Arg, door: Door) -> Option<&'static str> {
    let id = argument.get_id().as_str();
    match TERMINAL.iter().find(|(name, _)| *name == id) {
        Some((_, why)) => Some(why),
        None if door != Door::Files && OUTPUT.contains(&id) => Some("is for files: nothing is written here"),
        None if door == Door::Arrays && INPUT.contains(&id) => Some("is for image files, not for arrays"),
        None => None,
    }
}

/// The option's name on the command line, without dashes; `None` for positional arguments and clap's own options.
fn long(argument: &clap::Arg) -> Option<&str> {
    let own = matches!(argument.get_id().as_str(), "help" | "version");
    argument.get_long().filter(|_| !own)
}

/// `min-valid` → `MIN_VALID`
fn key(long: &str) -> String {
    long.to_ascii_uppercase().replace('-', "_")
}
