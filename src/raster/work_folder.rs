//! The hidden folder in which a result is made, beside its final place.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Name of the file that a living run holds locked. The operating system unlocks it when the run ends in whatever way.
const LOCK: &str = "lock";
/// Where the files of the result are made: a folder with the rights that the user's folders have.
const FILES: &str = "files";

/// A folder that disappears when it is dropped. What a killed run left under the same prefix is removed first.
pub(super) struct WorkFolder {
    folder: PathBuf,
    files: PathBuf,
    /// `None` where the file system has no locks: such a folder is never taken for abandoned.
    _lock: Option<File>,
}

impl WorkFolder {
    /// Makes `parent/PREFIXxxxxxx`.
    pub(super) fn new(parent: &Path, prefix: &str) -> std::io::Result<WorkFolder> {
        remove_abandoned(parent, prefix);
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let files = folder.path().join(FILES);
        std::fs::create_dir(&files)?;
        let lock = lock(folder.path()).ok();
        Ok(WorkFolder { folder: folder.keep(), files, _lock: lock })
    }

    /// The whole folder.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Where the files of the result are made.
    pub(super) fn files(&self) -> &Path {
        &self.files
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.folder).is_err() {
            // Where the folder around may not be changed any more, a free lock tells the next run that nobody is here.
            let _ = File::create(self.folder.join(LOCK));
        }
    }
}

/// A locked file in `folder`. It gets its name when it is locked already: nobody ever sees it free while its owner lives.
fn lock(folder: &Path) -> std::io::Result<File> {
    let young = folder.join("lock-new");
    let file = File::create(&young)?;
    let locked = file.try_lock().map_err(|e| match e {
        TryLockError::Error(e) => e,
        TryLockError::WouldBlock => std::io::ErrorKind::WouldBlock.into(),
    });
    match locked {
        Ok(()) => std::fs::rename(&young, folder.join(LOCK))?,
        Err(e) => {
            // The folder is removed with everything in it.
            let _ = std::fs::remove_file(&young);
            return Err(e);
        }
    }
    Ok(file)
}

/// Removes folders of that prefix whose owner has ended. Failing at it does no harm to what is being made.
fn remove_abandoned(parent: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let Ok(file) = File::open(entry.path().join(LOCK)) else { continue };
        if file.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn folders_of_living_runs_stay_and_those_of_dead_ones_go() {
        let place = tempfile::tempdir().unwrap();
        let new = |prefix: &str| WorkFolder::new(place.path(), prefix).unwrap();
        let living = new(".map.tif.shiftmap-");
        std::fs::write(living.files().join("map.tif"), "half").unwrap();
        drop(new(".map.tif.shiftmap-"));
        assert_eq!(names(place.path()), 1);
        // What a killed run leaves: the folder is there, the lock is not held.
        let left = place.path().join(".map.tif.shiftmap-killed");
        std::fs::create_dir_all(left.join(FILES)).unwrap();
        std::fs::write(left.join(FILES).join("map.tif"), "half").unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        // Somebody else's results are not touched, nor folders without a lock.
        std::fs::create_dir(place.path().join(".map.tif.shiftmap-unlocked")).unwrap();
        drop(new(".other.tif.shiftmap-"));
        assert_eq!(names(place.path()), 3);
        drop(new(".map.tif.shiftmap-"));
        assert_eq!(names(place.path()), 2);
        assert!(!left.exists() && living.files().join("map.tif").exists());
        drop(living);
        assert_eq!(names(place.path()), 1);
    }
}
