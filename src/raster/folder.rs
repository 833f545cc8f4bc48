//! Several files that belong together, put in a folder when all of them are complete.

use super::output::{begin, end, finished, os_text, parent};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of results under construction. The files are made in a hidden folder beside it; [`OutputFolder::commit`]
/// moves them, dropping it removes them.
pub struct OutputFolder {
    target: PathBuf,
    work: TempDir,
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
        let work = tempfile::Builder::new().prefix(".shiftmap-").tempdir_in(place).map_err(|e| {
            fail(match e.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("the folder {} does not exist; create it first", place.display())
                }
                _ => format!("the folder {} is not writable ({}); choose another place", place.display(), os_text(&e)),
            })
        })?;
        begin(work.path());
        Ok(OutputFolder { target: path.into(), work })
    }

    /// Where to make the file `name`.
    pub fn file(&self, name: &str) -> String {
        self.work.path().join(name).to_string_lossy().into_owned()
    }

    /// Moves the finished files to their place.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn commit(self) -> Result<()> {
        let fail = |e: std::io::Error| Error::Write { path: self.target.display().to_string(), why: os_text(&e) };
        if !self.target.is_dir() {
            std::fs::create_dir(&self.target).map_err(fail)?;
        }
        for entry in std::fs::read_dir(self.work.path()).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            // A disk that accepts data and fails later says so here.
            if entry.path().is_file() {
                std::fs::File::open(entry.path()).and_then(|f| f.sync_all()).map_err(fail)?;
            }
            std::fs::rename(entry.path(), self.target.join(entry.file_name())).map_err(fail)?;
        }
        finished();
        Ok(())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        end(self.work.path());
    }
}
