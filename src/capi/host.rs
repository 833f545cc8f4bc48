//! Runs work on a thread of its own while the caller's thread makes the callbacks.
//!
//! Callbacks then come from the caller's thread whatever thread a command reports from, and often enough to stop a
//! command that is busy.

use super::guard::{Failure, Outcome, Settings};
use super::quiet::quietly;
use super::types::*;
use crate::cli::ui::Host;
use crate::options::Door;
use crate::progress::Progress;
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How often the caller is asked, at least, whether to go on.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// As much as a program's main thread has.
const STACK: usize = 8 << 20;

/// The caller's functions for one call.
pub(super) struct Callbacks {
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
    settings: Settings,
}

impl Callbacks {
    pub(super) fn new(progress: shiftmap_progress_fn, userdata: *mut c_void, settings: Settings) -> Callbacks {
        Callbacks { progress, userdata, settings }
    }

    pub(super) fn threads(&self) -> u16 {
        self.settings.threads
    }

    fn progress(&self, fraction: f64, message: &str) -> bool {
        let Some(function) = self.progress else { return true };
        let message = c_string(message);
        // SAFETY: the caller's function, on the caller's thread, with what the header promises it.
        unsafe { function(fraction, message.as_ptr(), self.userdata) != 0 }
    }

    fn log(&self, level: c_int, text: &str) {
        let Some(function) = self.settings.log else { return };
        let text = c_string(text);
        // SAFETY: as for the progress function.
        unsafe { function(level, text.as_ptr(), self.settings.userdata) };
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// What the working thread tells the caller's.
enum Event {
    Log(c_int, String),
    Json(String),
    Progress(f64, String, mpsc::Sender<bool>),
}

/// The working thread's side.
pub(super) struct Remote {
    events: mpsc::Sender<Event>,
    stopped: AtomicBool,
}

impl Host for Remote {
    fn note(&self, text: &str) {
        let _ = self.events.send(Event::Log(SHIFTMAP_LOG_NOTE, text.into()));
    }

    fn print(&self, text: &str) {
        let _ = self.events.send(Event::Log(SHIFTMAP_LOG_TEXT, text.into()));
    }

    fn json(&self, text: String) {
        let _ = self.events.send(Event::Json(text));
    }

    fn progress(&self, fraction: f64, message: &str) -> bool {
        if self.stopped.load(Ordering::Relaxed) {
            return false;
        }
        let (answer, receive) = mpsc::channel();
        let sent = self.events.send(Event::Progress(fraction, message.into(), answer));
        sent.is_ok() && receive.recv().unwrap_or(false) && !self.stopped.load(Ordering::Relaxed)
    }
}

/// A [`Remote`] as the progress of a run.
pub(super) struct RemoteProgress(pub(super) Arc<Remote>);

impl Progress for RemoteProgress {
    fn report(&mut self, fraction: f64, message: &str) -> bool {
        self.0.progress(fraction, message)
    }
}

/// Runs `work` on a thread of its own; returns its result and the JSON it handed out.
pub(super) fn run<T: Send>(
    callbacks: &Callbacks,
    work: impl FnOnce(Arc<Remote>) -> Outcome<T> + Send,
) -> Outcome<(T, Option<String>)> {
    let (events, receive) = mpsc::channel();
    let remote = Arc::new(Remote { events, stopped: AtomicBool::new(false) });
    let stop = Arc::downgrade(&remote);
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("shiftmap".into()).stack_size(STACK);
        let worker = builder
            .spawn_scoped(scope, move || quietly(|| work(remote)))
            .map_err(|e| Failure::new(SHIFTMAP_ERR_INTERNAL, format!("cannot start a thread: {e}")))?;
        let (mut fraction, mut message, mut json) = (0.0, String::new(), None);
        let halt = || {
            if let Some(remote) = stop.upgrade() {
                remote.stopped.store(true, Ordering::Relaxed);
            }
        };
        loop {
            match receive.recv_timeout(HEARTBEAT) {
                Ok(Event::Log(level, text)) => callbacks.log(level, &text),
                Ok(Event::Json(text)) => json = Some(text),
                Ok(Event::Progress(f, m, answer)) => {
                    (fraction, message) = (f, m);
                    let go_on = callbacks.progress(fraction, &message);
                    if !go_on {
                        halt();
                    }
                    let _ = answer.send(go_on);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if !callbacks.progress(fraction, &message) {
                        halt();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let outcome = worker.join().unwrap_or_else(|payload| Err(Failure::panic(&*payload)));
        outcome.map(|value| (value, json))
    })
}

/// Runs a command of the command line and hands its JSON result to `json` (NULL: not wanted).
///
/// # Safety
/// `json` is NULL or may be written.
pub(super) unsafe fn command(
    callbacks: &Callbacks,
    command: &str,
    positional: &[&str],
    mut options: Vec<(String, String)>,
    json: *mut *mut c_char,
) -> Outcome<()> {
    default_threads(callbacks, command, &mut options);
    let fail = |e| Failure::of(command, e);
    let ((), text) = run(callbacks, |remote| {
        let parsed = crate::options::parse(command, Door::Files, positional, &options).map_err(fail)?;
        parsed.run(&crate::cli::ui::Ui::hosted(remote)).map_err(fail)
    })?;
    // SAFETY: as the caller promises.
    unsafe { super::text::give(text.unwrap_or_else(|| "null".into()), json) };
    Ok(())
}

/// The context's number of threads, where the command has the option and the caller did not give it.
pub(super) fn default_threads(callbacks: &Callbacks, command: &str, options: &mut Vec<(String, String)>) {
    let threads = callbacks.threads();
    let given = options.iter().any(|(key, _)| key.eq_ignore_ascii_case("THREADS"));
    if threads > 0 && !given && crate::options::has(command, "THREADS") {
        options.push(("THREADS".into(), threads.to_string()));
    }
}
