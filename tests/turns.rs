//! Every interleaving of workers and writer (`src/turns.rs`), by the model checker loom: no tile is lost or written twice,
//! none is measured too early, nobody sleeps for ever, however a run ends.

use std::collections::BTreeMap;

use loom::sync::{Arc, mpsc};
use loom::thread;
use shiftmap::field::Measurement;
use shiftmap::grid::{Grid, Image, ImageFile, ImageReader, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, FieldSink, Pair, Params};

mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
}
#[path = "../src/turns.rs"]
#[allow(dead_code)]
mod turns;

use turns::Turns;

/// Starts a worker that sends what it takes.
fn worker(turns: &Arc<Turns>, send: &mpsc::Sender<usize>) -> thread::JoinHandle<()> {
    let (turns, send) = (turns.clone(), send.clone());
    thread::spawn(move || {
        while let Some(index) = turns.take() {
            let _ = send.send(index);
        }
    })
}

/// Takes what arrives until `enough` tiles are written, in order, and says how far ahead the furthest was.
fn write(turns: &Turns, receive: &mpsc::Receiver<usize>, enough: usize) -> usize {
    let (mut waiting, mut done, mut furthest) = (BTreeMap::new(), 0, 0);
    while done < enough {
        let index = receive.recv().expect("a worker is still there");
        furthest = furthest.max(index - done);
        assert!(waiting.insert(index, ()).is_none(), "tile {index} came twice");
        while waiting.remove(&done).is_some() {
            done += 1;
            turns.wrote();
        }
    }
    furthest
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // All interleavings with up to three forced switches; unbounded, they are too many.
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn every_tile_is_written_once_and_nobody_runs_ahead() {
    const AHEAD: usize = 2;
    model(|| {
        let turns = Arc::new(Turns::new(3, AHEAD));
        let (send, receive) = mpsc::channel();
        let workers = [worker(&turns, &send), worker(&turns, &send)];
        assert!(write(&turns, &receive, 3) < AHEAD);
        workers.into_iter().for_each(|w| w.join().unwrap());
    });
}

#[test]
fn a_writer_that_gives_up_wakes_the_workers() {
    model(|| {
        let turns = Arc::new(Turns::new(4, 1));
        let (send, receive) = mpsc::channel();
        let workers = [worker(&turns, &send), worker(&turns, &send)];
        write(&turns, &receive, 1);
        turns.stop();
        workers.into_iter().for_each(|w| w.join().unwrap());
        assert!(turns.take().is_none());
    });
}

#[test]
fn a_worker_that_never_delivers_ends_the_run() {
    model(|| {
        let turns = Arc::new(Turns::new(4, 1));
        let (send, _receive) = mpsc::channel();
        assert_eq!(turns.take(), Some(0));
        // As the thread that has it does when it panics.
        let lost = {
            let turns = turns.clone();
            thread::spawn(move || turns.stop())
        };
        let other = worker(&turns, &send);
        lost.join().unwrap();
        other.join().unwrap();
    });
}

/// An image of noise whose first tile cannot be read without a panic.
struct Cursed;

impl ImageFile for Cursed {
    fn size(&self) -> (usize, usize) {
        (1400, 1400)
    }

    fn name(&self) -> String {
        "cursed".into()
    }

    fn open(&self) -> shiftmap::Result<Box<dyn ImageReader + '_>> {
        Ok(Box::new(Cursed))
    }
}

impl ImageReader for Cursed {
    fn read(&mut self, window: Window) -> shiftmap::Result<Image> {
        // Not one of the patches that are looked at before the first tile: those are narrow.
        assert!(window.width < 500 || window.x > 0 || window.y > 0, "the disk is on fire");
        let noise = |x: usize, y: usize| {
            let (x, y) = (window.x + x as i64, window.y + y as i64);
            ((x * 7919 + y * 104_729) % 1013) as f32
        };
        Ok(Image::from_values(Grid::from_fn(window.width, window.height, noise)))
    }
}

struct Discard;

impl FieldSink for Discard {
    fn write(&mut self, _: Window, _: &Grid<Measurement>) -> shiftmap::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_in_one_tile_ends_the_run_for_all() {
    let params = Params { window: (64, 64), step: (16, 16), ..Params::default() };
    let layout = Layout::new((1400, 1400), params.window, params.step, None).unwrap();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let run = || {
            pipeline::run(
                &Pair::new(&Cursed, &Cursed, (0.0, 0.0)),
                &layout,
                &params,
                2,
                &mut Discard,
                &mut |_: f64, _: &str| true,
            )
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let _ = ended.send(outcome.is_err());
    });
    // The other thread must not wait for ever for the lost tile to be written.
    assert_eq!(end.recv_timeout(std::time::Duration::from_secs(120)), Ok(true));
}
