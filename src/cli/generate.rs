//! `shiftmap generate`, for packagers

use super::common::Common;
use super::ui::Ui;
use crate::{Error, Result};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Write manual pages and shell completions, made from the definition of the options.
///
/// OUTDIR gets man/man1/, bash-completion/completions/, zsh/site-functions/ and fish/vendor_completions.d/, as they lie
/// below PREFIX/share. Existing files are replaced.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Folder for the files, new or existing
    outdir: PathBuf,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let fail = |path: &Path, e: std::io::Error| Error::Write { path: path.display().to_string(), why: e.to_string() };
    let folder = |name: &str| {
        let path = args.outdir.join(name);
        std::fs::create_dir_all(&path).map_err(|e| fail(&path, e)).map(|()| path)
    };
    let man = folder("man/man1")?;
    clap_mangen::generate_to(super::program(), &man).map_err(|e| fail(&man, e))?;
    let shells = [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Zsh, "zsh/site-functions"),
        (Shell::Fish, "fish/vendor_completions.d"),
    ];
    for (shell, name) in shells {
        let path = folder(name)?;
        let file = clap_complete::generate_to(shell, &mut super::program(), "shiftmap", &path);
        let file = file.map_err(|e| fail(&path, e))?;
        if shell == Shell::Bash {
            // Bash looks for a file of the command's own name.
            std::fs::rename(&file, path.join("shiftmap")).map_err(|e| fail(&file, e))?;
        }
    }
    ui.print_json(&serde_json::json!({ "output": args.outdir }))
}
