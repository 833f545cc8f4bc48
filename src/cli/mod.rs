//! The command line: parse, call the library, print.
//!
//! One file a command: a clap `Args` struct and `run(args, ui)`. What commands share is in [`common`] (options) and
//! [`ui`] (progress, messages, stopping).

mod combine;
pub mod common;
mod coregister;
mod demo;
mod demo_pictures;
mod displacement;
mod evaluate;
mod filter;
mod generate;
mod info;
mod model;
mod precision;
mod profile;
mod rewrite;
mod stack;
mod strain;
mod synth;
pub mod ui;
mod vectors;
mod verify;

use clap::{Parser, Subcommand};
use ui::Ui;

#[derive(Parser)]
#[command(
    name = "shiftmap",
    version,
    about = "Sub-pixel ground displacement between two satellite images",
    long_about = "Measures how the ground moved between two satellite images, to a small fraction of a pixel, and says how \
                  sure it is. Every image is opened through GDAL: any format, /vsicurl/, /vsizip/, VRT, subdatasets.",
    after_help = "`shiftmap COMMAND --help` explains a command with examples. GDAL's one-dash forms (-of -co -oo -b -q \
                  -overwrite) work too.",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A parsed command.
#[derive(Subcommand)]
pub(crate) enum Command {
    Displacement(Box<displacement::Args>),
    Precision(Box<precision::Args>),
    Evaluate(evaluate::Args),
    Synth(synth::Args),
    Demo(demo::Args),
    Info(info::Args),
    Profile(profile::Args),
    Strain(strain::Args),
    Vectors(vectors::Args),
    Model(model::Args),
    Coregister(Box<coregister::Args>),
    Filter(Box<filter::Args>),
    Verify(Box<verify::Args>),
    Stack(stack::Args),
    Combine(Box<combine::Args>),
    #[command(hide = true)]
    Generate(generate::Args),
}

impl Command {
    fn common(&self) -> &common::Common {
        match self {
            Command::Displacement(a) => &a.common,
            Command::Precision(a) => &a.common,
            Command::Evaluate(a) => &a.common,
            Command::Synth(a) => a.common(),
            Command::Demo(a) => &a.common,
            Command::Info(a) => &a.common,
            Command::Profile(a) => &a.common,
            Command::Strain(a) => &a.common,
            Command::Vectors(a) => &a.common,
            Command::Model(a) => a.common(),
            Command::Coregister(a) => &a.common,
            Command::Filter(a) => &a.common,
            Command::Verify(a) => &a.common,
            Command::Stack(a) => &a.common,
            Command::Combine(a) => &a.common,
            Command::Generate(a) => &a.common,
        }
    }

    pub(crate) fn run(&self, ui: &Ui) -> crate::Result<()> {
        match self {
            Command::Displacement(a) => displacement::run(a, ui),
            Command::Precision(a) => precision::run(a, ui),
            Command::Evaluate(a) => evaluate::run(a, ui),
            Command::Synth(a) => synth::run(a, ui),
            Command::Demo(a) => demo::run(a, ui),
            Command::Info(a) => info::run(a, ui),
            Command::Profile(a) => profile::run(a, ui),
            Command::Strain(a) => strain::run(a, ui),
            Command::Vectors(a) => vectors::run(a, ui),
            Command::Model(a) => model::run(a, ui),
            Command::Coregister(a) => coregister::run(a, ui),
            Command::Filter(a) => filter::run(a, ui),
            Command::Verify(a) => verify::run(a, ui),
            Command::Stack(a) => stack::run(a, ui),
            Command::Combine(a) => combine::run(a, ui),
            Command::Generate(a) => generate::run(a, ui),
        }
    }
}

impl Command {
    /// The job of `displacement`.
    pub(crate) fn displacement_job(&self) -> crate::Result<crate::job::Job> {
        match self {
            Command::Displacement(a) => displacement::job(a),
            _ => Err(crate::Error::Internal("not a displacement".into())),
        }
    }
}

/// The definition of all commands and options.
pub(crate) fn program() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the words of a command line, the program's name first.
pub(crate) fn parse(words: Vec<std::ffi::OsString>) -> Result<Command, clap::Error> {
    Cli::try_parse_from(words).map(|cli| cli.command)
}

/// Runs the program with the process arguments and returns its exit code: 0 done, 1 failed, 2 wrong usage.
pub fn run() -> i32 {
    let cli = match Cli::try_parse_from(rewrite::gdal_forms(std::env::args_os())) {
        Ok(cli) => cli,
        Err(e) => {
            // Printing can only fail when nobody reads.
            let _ = e.print();
            return e.exit_code();
        }
    };
    let ui = Ui::new(cli.command.common());
    // `info` tells what GDAL finds without help.
    if !matches!(cli.command, Command::Info(_)) {
        crate::gdal_driver::register();
    }
    match ui.prepare(cli.command.common()).and_then(|()| cli.command.run(&ui)) {
        Ok(()) => 0,
        Err(e) => {
            ui.error(&e);
            1
        }
    }
}
