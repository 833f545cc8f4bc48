//! Where results are put together before they get their final name.

use super::work_folder::{self, WorkFolder};
use crate::{Error, Result};
use gdal::DriverManager;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Outputs of this process.
static OUTPUTS: Mutex<Outputs> = Mutex::new(Outputs { unfinished: Vec::new(), finished: 0 });

struct Outputs {
    /// Folders of outputs under construction.
    unfinished: Vec<PathBuf>,
    finished: usize,
}

/// Makes room for one more note, so that [`begin`] needs no memory while it holds what [`try_remove_unfinished`] needs.
pub(super) fn reserve() {
    outputs().unfinished.reserve(1);
}

/// Notes that `folder` holds an unfinished output.
pub(super) fn begin(folder: PathBuf) {
    outputs().unfinished.push(folder);
}

/// Notes that `folder` is gone.
pub(super) fn end(folder: &Path) {
    outputs().unfinished.retain(|f| f != folder);
}

/// Notes that an output got its final name.
pub(super) fn finished() {
    outputs().finished += 1;
}

fn outputs() -> MutexGuard<'static, Outputs> {
    OUTPUTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what unfinished outputs of this process have written, for a program that has to exit at once. Returns
/// whether that leaves nothing: `false` when an output has its final name already.
pub fn remove_unfinished() -> bool {
    remove(outputs())
}

/// [`remove_unfinished`] for a thread that may be in the middle of anything: does nothing, `false`, where it would have to
/// wait.
pub fn try_remove_unfinished() -> bool {
    OUTPUTS.try_lock().is_ok_and(remove)
}

fn remove(mut outputs: MutexGuard<'static, Outputs>) -> bool {
    for folder in outputs.unfinished.drain(..) {
        // Another thread may still be creating files in it; what cannot be removed, the next run to the same place removes.
        for _ in 0..20 {
            match work_folder::remove(&folder) {
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
                Ok(()) => break,
            }
        }
    }
    outputs.finished == 0
}

/// An output under construction. It lives in a hidden folder beside its final place, so that a stopped run leaves
/// nothing behind and side files get their final names; [`Output::commit`] moves it, dropping it removes it.
pub(super) struct Output {
    target: String,
    /// `None` on GDAL's virtual file systems, where the target itself is written.
    folder: Option<WorkFolder>,
    committed: bool,
}

impl Output {
    /// Reserves a place for `target`, before any work is done.
    ///
    /// # Errors
    /// [`Error::Exists`] without `overwrite`; [`Error::Write`] when the folder is missing or not writable.
    pub(super) fn new(target: &str, overwrite: bool) -> Result<Output> {
        if target.starts_with("/vsi") {
            let there = !overwrite && super::open::open_dataset(target, &[]).is_ok();
            return match there {
                true => Err(Error::Exists(target.into())),
                false => Ok(Output { target: target.into(), folder: None, committed: false }),
            };
        }
        let path = Path::new(target);
        let fail = |why: String| Error::Write { path: target.into(), why };
        let Some(name) = path.file_name().filter(|_| !target.ends_with('/')) else {
            return Err(fail("the output must be a file name".into()));
        };
        if path.is_dir() && !is_zarr(path) {
            return Err(fail("it is a folder; give a file name in it".into()));
        }
        if path.symlink_metadata().is_ok() && !overwrite {
            return Err(Error::Exists(path.into()));
        }
        let parent = parent(path);
        let there = parent.is_dir();
        let prefix = format!(".{}.shiftmap-", name.to_string_lossy());
        let folder = WorkFolder::new(parent, &prefix).map_err(|e| fail(no_folder(parent, there, &e)))?;
        Ok(Output { target: target.into(), folder: Some(folder), committed: false })
    }

    /// The name the user gave.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// The target's file name.
    pub(super) fn name(&self) -> String {
        Path::new(&self.target).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A folder for trials that disappears with the returned value; `None` on GDAL's virtual file systems.
    pub(super) fn stage(&self) -> Result<Option<TempDir>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let stage = tempfile::Builder::new().tempdir_in(folder.files());
        stage.map(Some).map_err(|e| Error::Write { path: self.target.clone(), why: os_text(&e) })
    }

    /// Where to write the file that will become the target.
    pub(super) fn path(&self) -> String {
        match (&self.folder, Path::new(&self.target).file_name()) {
            (Some(folder), Some(name)) => folder.files().join(name).to_string_lossy().into_owned(),
            _ => self.target.clone(),
        }
    }

    /// Where to write an intermediate file; it has to be deleted before the commit.
    pub(super) fn scratch(&self) -> String {
        match &self.folder {
            Some(folder) => folder.files().join("shiftmap-scratch.tif").to_string_lossy().into_owned(),
            None => format!("{}.shiftmap-scratch.tif", self.target),
        }
    }

    /// Whether the place of the result is as it was at the start; GDAL's own words for a lost one lead nowhere.
    ///
    /// # Errors
    /// [`Error::Write`] when the folder was removed.
    pub(super) fn check_place(&self) -> Result<()> {
        match &self.folder {
            Some(folder) if !folder.files().is_dir() => {
                let parent = parent(Path::new(&self.target)).display();
                let why =
                    format!("the folder {parent} or what was being made in it was removed during the run; run again");
                Err(Error::Write { path: self.target.clone(), why })
            }
            _ => Ok(()),
        }
    }

    /// Gives the finished files their final names.
    pub(super) fn commit(mut self) -> Result<()> {
        self.check_place()?;
        self.committed = true;
        let Some(folder) = &self.folder else { return Ok(()) };
        let target = PathBuf::from(&self.target);
        let fail = |e: std::io::Error| Error::Write { path: self.target.clone(), why: os_text(&e) };
        let mut side = Vec::new();
        for entry in std::fs::read_dir(folder.files()).map_err(fail)? {
            side.push(entry.map_err(fail)?.file_name());
        }
        side.sort();
        for name in &side {
            // A disk that accepts data and fails later says so here.
            let from = folder.files().join(name);
            if from.is_file() {
                std::fs::File::open(&from).and_then(|f| f.sync_all()).map_err(fail)?;
            }
        }
        // What is in the way goes aside in one step, so that no moment shows a part of it; it leaves with the folder.
        let aside = |name: &Path, as_name: &str| match std::fs::rename(name, folder.path().join(as_name)) {
            Err(e) if e.kind() != ErrorKind::NotFound && e.kind() != ErrorKind::NotADirectory => Err(fail(e)),
            _ => Ok(()),
        };
        // Held while names change: who removes unfinished outputs sees this one either unfinished or finished.
        let mut outputs = outputs();
        // What an earlier file of this name left behind describes other pixels.
        for suffix in [".aux.xml", ".ovr", ".msk"] {
            aside(Path::new(&format!("{}{suffix}", self.target)), &format!("old{suffix}"))?;
        }
        if target.is_dir() {
            aside(&target, "old")?;
        }
        let main = target.file_name().unwrap_or_default();
        let last = |name: &std::ffi::OsString| name == main;
        for name in side.iter().filter(|n| !last(n)).chain(side.iter().filter(|n| last(n))) {
            std::fs::rename(folder.files().join(name), parent(&target).join(name)).map_err(fail)?;
        }
        outputs.finished += 1;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.committed && self.folder.is_none() {
            // Nothing may be there yet, and there is nobody to tell.
            if let Ok(driver) = DriverManager::get_driver_by_name("GTiff") {
                let _ = driver.delete(&self.target);
            }
        }
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Why nothing can be made in `parent`; `there`: whether it was a folder before the attempt.
pub(super) fn no_folder(parent: &Path, there: bool, e: &std::io::Error) -> String {
    let parent = parent.display();
    match e.kind() {
        ErrorKind::NotFound if !there => format!("the folder {parent} does not exist; create it first"),
        ErrorKind::NotADirectory => format!("{parent} is not a folder; choose another place"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => os_text(e),
        _ => format!("the folder {parent} is not writable ({}); choose another place", os_text(e)),
    }
}

/// A Zarr store is a folder, and yet a dataset that may be overwritten.
fn is_zarr(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "zarr")
}

/// The operating system's reason without Rust's error number, with the usual remedy for a full disk.
pub(super) fn os_text(e: &std::io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_string();
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("{text}; free some space or choose another disk"),
        ErrorKind::PermissionDenied => format!("{text}; allow writing in its folder or choose another place"),
        ErrorKind::ReadOnlyFilesystem => format!("{text}; choose another place"),
        _ => text,
    }
}
