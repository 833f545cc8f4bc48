//! Images in memory that can be opened by name, so that every job takes them like files.

use crate::grid::ImageFile;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// No file name begins like this.
const PREFIX: &str = "shiftmap-array:";

static IMAGES: Mutex<BTreeMap<u64, Weak<Entry>>> = Mutex::new(BTreeMap::new());

struct Entry {
    number: u64,
    file: Box<dyn ImageFile + Send>,
}

/// An image that [`RasterBand::open`](super::RasterBand::open) finds under [`SharedImage::path`] as long as a clone of
/// it exists.
#[derive(Clone)]
pub struct SharedImage(Arc<Entry>);

impl SharedImage {
    pub fn new(file: Box<dyn ImageFile + Send>) -> SharedImage {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry { number, file });
        images().insert(number, Arc::downgrade(&entry));
        SharedImage(entry)
    }

    /// The name to open it by.
    pub fn path(&self) -> String {
        format!("{PREFIX}{}", self.0.number)
    }

    pub(super) fn file(&self) -> &dyn ImageFile {
        &*self.0.file
    }

    pub(super) fn find(path: &str) -> Option<SharedImage> {
        let number = path.strip_prefix(PREFIX)?.parse().ok()?;
        images().get(&number)?.upgrade().map(SharedImage)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        images().remove(&self.number);
    }
}

impl std::fmt::Debug for SharedImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file().name())
    }
}

fn images() -> MutexGuard<'static, BTreeMap<u64, Weak<Entry>>> {
    IMAGES.lock().unwrap_or_else(PoisonError::into_inner)
}
