//! The hidden folder in which a result is made, beside its final place.

use super::output::{begin, end, reserve};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the file that a living run holds locked. The operating system unlocks it when the run ends in whatever way.
const LOCK: &str = "lock";
/// Where the files of the result are made: a folder with the rights that the user's folders have.
const FILES: &str = "files";

/// Time between making a folder and having its lock, with a margin for the slowest of disks.
const GRACE: Duration = Duration::from_secs(60);

/// More than other runs that start at the same moment will ever take away.
const ATTEMPTS: usize = 20;

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
        for _ in 0..ATTEMPTS {
            match WorkFolder::attempt(parent, prefix) {
                // Another run took the folder for abandoned while it was empty.
                Err(e) if e.kind() == ErrorKind::NotFound && parent.is_dir() => {}
                other => return other,
            }
        }
        WorkFolder::attempt(parent, prefix)
    }

    fn attempt(parent: &Path, prefix: &str) -> std::io::Result<WorkFolder> {
        reserve();
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?.keep();
        // Noted at once: from here on it goes with the run, however that ends.
        begin(folder.clone());
        let mut work = WorkFolder { files: folder.join(FILES), folder, _lock: None };
        work._lock = lock(&work.folder).ok();
        std::fs::create_dir(&work.files)?;
        Ok(work)
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

/// Removes the folder of a run. The lock goes last: what remains when memory or the run ends in the middle of it is a folder
/// with a free lock or an empty one, which the next run removes.
pub(super) fn remove(folder: &Path) -> std::io::Result<()> {
    let gone = |result: std::io::Result<()>| match result {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    let entries = match std::fs::read_dir(folder) {
        Err(e) => return gone(Err(e)),
        Ok(entries) => entries,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        gone(match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path()),
            false => std::fs::remove_file(entry.path()),
        })?;
    }
    gone(std::fs::remove_file(folder.join(LOCK)))?;
    gone(std::fs::remove_dir(folder))
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if remove(&self.folder).is_err() {
            // Where the folder around may not be changed any more, a free lock tells the next run that nobody is here.
            let _ = File::create(self.folder.join(LOCK));
        }
        end(&self.folder);
    }
}

/// A locked file in `folder`. It gets its name when it is locked already: nobody ever sees it free while its owner lives.
fn lock(folder: &Path) -> std::io::Result<File> {
    let young = folder.join("lock-new");
    let file = File::create(&young)?;
    let locked = file.try_lock().map_err(|e| match e {
        TryLockError::Error(e) => e,
        TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
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
        // A run that ended before it had its lock, or after it had removed it. One that lives makes another.
        if std::fs::remove_dir(entry.path()).is_ok() {
            continue;
        }
        let abandoned = match File::open(entry.path().join(LOCK)) {
            Ok(file) => file.try_lock().is_ok(),
            // A run killed while it took its lock has made nothing yet.
            Err(_) => empty(&entry.path()) && old(&entry),
        };
        if abandoned {
            let _ = remove(&entry.path());
        }
    }
}

/// Whether nothing is made in the folder yet.
fn empty(folder: &Path) -> bool {
    std::fs::read_dir(folder.join(FILES)).map_or(true, |mut entries| entries.next().is_none())
}

/// Whether it has been as it is for longer than a run needs for its lock.
fn old(entry: &std::fs::DirEntry) -> bool {
    let age = entry.metadata().and_then(|m| m.modified()).map(|t| t.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > GRACE)
}

/// A message with the names that results will have, in place of those under which they are made.
pub fn final_names(text: &str) -> String {
    const MARK: &str = ".shiftmap-";
    let mut out = text.to_string();
    while let Some(at) = out.find(MARK) {
        let start = out[..at].rfind(['/', ' ', '\'', '"']).map_or(0, |i| i + 1);
        let rest = &out[at + MARK.len()..];
        let inside = format!("/{FILES}/");
        let Some(end) = rest.find(&inside).filter(|&end| end < 16) else { break };
        let after = &rest[end + inside.len()..];
        let name = out[start..at].trim_start_matches('.');
        // A folder of results keeps its name in front, a single file has it already.
        let folder = if name.is_empty() || after.starts_with(name) { String::new() } else { format!("{name}/") };
        out = format!("{}{folder}{after}", &out[..start]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_final_names() {
        for (text, wanted) in [
            ("cannot write a/.q.shiftmap-8QLiuf/files/pre.tif: full", "cannot write a/q/pre.tif: full"),
            ("cannot write .m.tif.shiftmap-8QLiuf/files/m.tif: full", "cannot write m.tif: full"),
            ("cannot write a/.shiftmap-8QLiuf/files/pre.tif", "cannot write a/pre.tif"),
            ("my.shiftmap-notes/x", "my.shiftmap-notes/x"),
        ] {
            assert_eq!(final_names(text), wanted);
        }
    }

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
        // Somebody else's results are not touched, nor folders without a lock where something is made.
        let unlocked = place.path().join(".map.tif.shiftmap-unlocked");
        std::fs::create_dir_all(unlocked.join(FILES)).unwrap();
        // What a run leaves that ends between its first and its last steps.
        let empty = place.path().join(".map.tif.shiftmap-empty");
        std::fs::create_dir(&empty).unwrap();
        drop(new(".other.tif.shiftmap-"));
        assert_eq!(names(place.path()), 4);
        drop(new(".map.tif.shiftmap-"));
        assert_eq!(names(place.path()), 2);
        assert!(!left.exists() && !empty.exists() && unlocked.exists() && living.files().join("map.tif").exists());
        drop(living);
        assert_eq!(names(place.path()), 1);
    }

    #[test]
    fn runs_that_start_together_do_not_disturb_each_other() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..100 {
                        let work = WorkFolder::new(place.path(), ".map.tif.shiftmap-").unwrap();
                        std::fs::write(work.files().join("map.tif"), "half").unwrap();
                        std::thread::yield_now();
                        assert!(work.files().join("map.tif").exists());
                    }
                });
            }
        });
        assert_eq!(names(place.path()), 0);
    }
}
