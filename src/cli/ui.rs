//! What the user sees and how the user stops a run.

use super::common::Common;
use crate::progress::Progress;
use crate::{Error, Result, raster};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set by Ctrl-C and SIGTERM, polled by progress.
static STOP: AtomicBool = AtomicBool::new(false);

/// Set by whoever says the program's last words.
static ENDED: AtomicBool = AtomicBool::new(false);

/// How long a run may take to notice that it is to stop; a read over the network may hang for longer.
const PATIENCE: Duration = Duration::from_millis(700);

/// Runs on a thread of its own when a signal arrives.
fn stop() {
    let again = STOP.swap(true, Ordering::SeqCst);
    if !again {
        std::thread::sleep(PATIENCE);
    }
    let nothing_left = raster::remove_unfinished();
    if (nothing_left || again) && !ENDED.swap(true, Ordering::SeqCst) {
        let _ = writeln!(std::io::stderr(), "ERROR: {}", Error::Cancelled);
        std::process::exit(1);
    }
}

/// Cache for GDAL's blocks in MB: enough for the tiles of all workers, and fixed, so that memory does not grow with
/// the machine or the scene.
const CACHE_MB: &str = "128";

/// What GDAL waits for over the network, where it would wait for ever: for a connection, and for a transfer that has come
/// to (nearly) nothing, in seconds and bytes per second.
const NETWORK: [(&str, &str); 3] =
    [("GDAL_HTTP_CONNECTTIMEOUT", "20"), ("GDAL_HTTP_LOW_SPEED_TIME", "25"), ("GDAL_HTTP_LOW_SPEED_LIMIT", "100")];

/// Takes what a command says when another program runs it instead of the terminal.
pub trait Host: Send + Sync {
    /// A message for the user.
    fn note(&self, text: &str);
    /// Text that the terminal would show on standard output.
    fn print(&self, text: &str);
    /// The result for programs.
    fn json(&self, text: String);
    /// Progress; `false` stops the run.
    fn progress(&self, fraction: f64, message: &str) -> bool;
}

/// Messages, progress and results of one command.
#[derive(Clone)]
pub struct Ui {
    quiet: bool,
    json: bool,
    host: Option<Arc<dyn Host>>,
}

impl Ui {
    pub fn new(common: &Common) -> Ui {
        Ui { quiet: common.quiet, json: common.json, host: None }
    }

    /// Everything goes to `host`, nothing to the terminal.
    pub(crate) fn hosted(host: Arc<dyn Host>) -> Ui {
        Ui { quiet: false, json: true, host: Some(host) }
    }

    /// Sets the process up: GDAL's options and messages, signals.
    pub(super) fn prepare(&self, common: &Common) -> Result<()> {
        raster::silence_gdal();
        for (key, value) in [("GDAL_CACHEMAX", CACHE_MB)].iter().chain(&NETWORK) {
            // Chosen in the environment or GDAL's configuration file; the options of the command line come below.
            if raster::config(key).is_empty() {
                raster::set_config(key, value)?;
            }
        }
        for pair in common.config.chunks(2) {
            raster::set_config(&pair[0], &pair[1])?;
        }
        ctrlc::set_handler(stop).map_err(|e| {
            Error::Data(format!(
                "cannot watch for Ctrl-C ({e}): the system refused a thread or memory; raise the limit \
                 (`ulimit -v`, `ulimit -u`)"
            ))
        })
    }

    /// A message on standard error, unless the user wants none.
    pub fn note(&self, text: &str) {
        if let Some(host) = &self.host {
            host.note(text);
        } else if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// The one line that ends a failed run.
    pub(super) fn error(&self, error: &Error) {
        if ENDED.swap(true, Ordering::SeqCst) {
            // The thread of the signal is ending the program.
            std::thread::sleep(PATIENCE);
            return;
        }
        let text = raster::final_names(&error.to_string());
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut out = std::io::stderr();
        // A half-printed progress line stays on standard output; the message starts a line of its own.
        let _ = writeln!(out, "ERROR: {text}");
    }

    /// Text on standard output, unless `--quiet` or `--json` is given.
    pub fn print(&self, text: &str) {
        if let Some(host) = &self.host {
            host.print(text);
        } else if !self.quiet && !self.json {
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// The result for programs, when `--json` is given.
    pub fn print_json(&self, value: &impl serde::Serialize) -> Result<()> {
        if self.json {
            let text = serde_json::to_string_pretty(value).map_err(|e| Error::Internal(format!("summary: {e}")))?;
            match &self.host {
                Some(host) => host.json(text),
                None => drop(writeln!(std::io::stdout(), "{text}")),
            }
        }
        Ok(())
    }

    /// Progress in GDAL's form, or silent; both stop the run when the user asks.
    pub fn progress(&self) -> TermProgress {
        TermProgress { shown: None, silent: self.quiet || self.json, host: self.host.clone() }
    }
}

/// `0...10...20 ... 100 - done.`, one flush a token: QGIS turns the tokens into its progress bar.
pub struct TermProgress {
    /// Tokens printed so far: 41 in all, one for every 2.5 %.
    shown: Option<usize>,
    silent: bool,
    host: Option<Arc<dyn Host>>,
}

const TOKENS: usize = 40;

impl TermProgress {
    fn show(&mut self, fraction: f64, out: &mut impl Write) -> std::io::Result<()> {
        let target = (fraction.clamp(0.0, 1.0) * TOKENS as f64 + 1e-9) as usize;
        let first = self.shown.map_or(0, |n| n + 1);
        for token in first..=target {
            match token {
                TOKENS => {
                    write!(out, "100 - done.")?;
                    out.flush()?;
                    writeln!(out)?;
                }
                t if t % 4 == 0 => write!(out, "{}", t / 4 * 10)?,
                _ => write!(out, ".")?,
            }
            out.flush()?;
        }
        self.shown = self.shown.max(Some(target));
        Ok(())
    }
}

impl Progress for TermProgress {
    fn report(&mut self, fraction: f64, message: &str) -> bool {
        if let Some(host) = &self.host {
            return host.progress(fraction, message);
        }
        if !self.silent && self.show(fraction, &mut std::io::stdout().lock()).is_err() {
            // Nobody reads any more, e.g. `| head`: the run itself goes on.
            self.silent = true;
        }
        !STOP.load(Ordering::SeqCst)
    }
}

impl Drop for TermProgress {
    fn drop(&mut self) {
        // A run that stopped half way leaves its line unfinished; what follows starts on a new one.
        if !self.silent && self.shown.is_some_and(|n| n < TOKENS) {
            let _ = writeln!(std::io::stdout());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_gdals() {
        let mut text = Vec::new();
        let mut progress = TermProgress { shown: None, silent: false, host: None };
        for i in 0..=1000 {
            progress.show(f64::from(i) / 1000.0, &mut text).unwrap();
        }
        let want = "0...10...20...30...40...50...60...70...80...90...100 - done.\n";
        assert_eq!(String::from_utf8(text).unwrap(), want);
        let mut text = Vec::new();
        let mut progress = TermProgress { shown: None, silent: true, host: None };
        progress.show(0.5, &mut text).unwrap();
        progress.show(0.3, &mut text).unwrap();
        progress.show(1.0, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), want);
    }
}
