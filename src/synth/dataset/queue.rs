//! What all sets share: folders, files that appear when they are complete, work on several threads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::synth::npy::{Array, UNFINISHED};
use crate::{Error, Result};

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Write`].
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::Write { path: path.display().to_string(), why: e.to_string() })
}

/// Removes what a stopped run left half done.
pub(crate) fn clean(folder: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for path in entries.filter_map(|e| Some(e.ok()?.path())) {
        if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(UNFINISHED)) {
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|e| Error::Write { path: path.display().to_string(), why: e.to_string() })?;
        }
    }
    Ok(())
}

/// The record beside a file of arrays. It is written first, so that a file that is there is complete.
pub(crate) fn record_path(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// Whether a file of the set is there: it gets its name when it is complete.
pub(crate) fn complete(path: &Path) -> bool {
    path.exists()
}

/// Samples along a new first axis.
///
/// # Errors
/// Samples of different shape.
pub(crate) fn stack(parts: &[Vec<(&'static str, Array)>]) -> Result<Vec<(&'static str, Array)>> {
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    (0..first.len())
        .map(|k| {
            let arrays: Vec<&Array> = parts.iter().map(|p| &p[k].1).collect();
            let array = Array::stack(&arrays).ok_or_else(|| Error::Internal("samples of different shape".into()))?;
            Ok((first[k].0, array))
        })
        .collect()
}

/// Makes all units on `threads` threads; progress and the request to stop are handled on this one.
pub(crate) fn work<'a, T: Sync>(
    units: &[&'a T],
    threads: usize,
    make: impl Fn(&'a T) -> Result<()> + Sync,
    progress: &mut dyn FnMut(f64, &str) -> bool,
) -> Result<()> {
    let pool = crate::threads::pool(threads)?;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    let mut failure = None;
    pool.in_place_scope(|scope| {
        for _ in 0..threads.max(1) {
            let sender = sender.clone();
            let (next, stop, make) = (&next, &stop, &make);
            scope.spawn(move |_| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    // The other end only goes away when the run ends.
                    let _ = sender.send(make(unit));
                }
            });
        }
        drop(sender);
        let mut done = 0;
        loop {
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(Ok(())) => done += 1,
                Ok(Err(e)) => {
                    stop.store(true, Ordering::Relaxed);
                    failure.get_or_insert(e);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if !progress(done as f64 / units.len().max(1) as f64, "samples") && failure.is_none() {
                stop.store(true, Ordering::Relaxed);
                failure = Some(Error::Cancelled);
            }
        }
    });
    failure.map_or(Ok(()), Err)
}
