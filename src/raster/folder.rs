//! Several files that belong together, put in a folder when all of them are complete.

use super::output::{finished, no_folder, os_text, parent};
use super::work_folder::WorkFolder;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A folder of results under construction. The files are made in a hidden folder beside it; [`OutputFolder::commit`]
/// moves them, dropping it removes them.
pub struct OutputFolder {
    target: PathBuf,
    work: WorkFolder,
}

impl OutputFolder {
    /// Reserves the folder `target`, which may exist, for files with the given names.
    ///
    /// # Errors
    /// [`Error::Exists`] when one of the files is there already and `overwrite` is not set; [`Error::Write`] when the
    /// place is not a folder, is missing or not writable.
    pub fn new(target: &str, names: &[&str], overwrite: bool) -> Result<OutputFolder> {
        let fail = |why: String| Error::Write { path: target.into(), why };
        if target.starts_with("/vsi") {
            return Err(fail("results of several files need a folder of the local file system".into()));
        }
        let path = Path::new(target.trim_end_matches('/'));
        if path.as_os_str().is_empty() || (path.symlink_metadata().is_ok() && !path.is_dir()) {
            return Err(fail("it is not a folder; give the name of a folder, new or existing".into()));
        }
        if let Some(there) = names.iter().map(|n| path.join(n)).find(|p| !overwrite && p.symlink_metadata().is_ok()) {
            return Err(Error::Exists(there));
        }
        let place = if path.is_dir() { path } else { parent(path) };
        let there = place.is_dir();
        let prefix = match path.is_dir() {
            true => ".shiftmap-".into(),
            false => format!(".{}.shiftmap-", path.file_name().unwrap_or_default().to_string_lossy()),
        };
        let work = WorkFolder::new(place, &prefix).map_err(|e| fail(no_folder(place, there, &e)))?;
        Ok(OutputFolder { target: path.into(), work })
    }

    /// Where to make the file `name`.
    pub fn file(&self, name: &str) -> String {
        self.work.files().join(name).to_string_lossy().into_owned()
    }

    /// Moves the finished files to their place: all in one step where the folder is new, else one after the other.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn commit(self) -> Result<()> {
        let fail = |e: std::io::Error| Error::Write { path: self.target.display().to_string(), why: os_text(&e) };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.work.files()).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            // A disk that accepts data and fails later says so here.
            if entry.path().is_file() {
                std::fs::File::open(entry.path()).and_then(|f| f.sync_all()).map_err(fail)?;
            }
            files.push(entry.file_name());
        }
        files.sort();
        if !self.target.is_dir() {
            std::fs::rename(self.work.files(), &self.target).map_err(fail)?;
        } else {
            for name in files {
                std::fs::rename(self.work.files().join(&name), self.target.join(name)).map_err(fail)?;
            }
        }
        finished();
        Ok(())
    }
}
