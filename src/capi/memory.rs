//! The program's allocator: mimalloc, with a message and a remedy where Rust would only abort.
//!
//! Tiles come and go by the dozen megabytes. mimalloc keeps their pages where glibc hands them back to the system and faults them
//! in again.
//!
//! Of the program alone: a library must not decide this for its host.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::io::Write;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

const HEAP: MiMalloc = MiMalloc;

/// mimalloc; a request that it refuses ends the program in an orderly way.
pub struct Told;

// SAFETY: every request is passed on to mimalloc as it is.
unsafe impl GlobalAlloc for Told {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        given(unsafe { HEAP.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        given(unsafe { HEAP.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        given(unsafe { HEAP.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { HEAP.dealloc(old, layout) }
    }
}

/// Kept for the last words: removing unfinished results needs a little memory.
const RESERVE: Layout = match Layout::from_size_align(1 << 20, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};
static RESERVED: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static ENDING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread says the last words.
    static SPEAKING: Cell<bool> = const { Cell::new(false) };
}

/// Where memory is limited, GDAL and the C++ library do not survive every request that is refused: they end in a signal or in
/// an exception that nobody can catch. Says so, where there is such a limit, instead of a bare `Aborted`.
pub fn watch_limits() {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is there and its own.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } != 0 || limit.rlim_cur == libc::RLIM_INFINITY {
        return;
    }
    for signal in [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: zeros are an empty mask and no flags; the handler calls only what is allowed within a signal.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = broken_off as *const () as usize;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, null_mut());
        }
    }
}

extern "C" fn broken_off(_: libc::c_int) {
    const LINE: &[u8] = b"ERROR: broken off, most likely for lack of memory: it is limited here (`ulimit -v`), and a library \
        could not go on; raise the limit, or use fewer threads (--threads 1) or a part of the scene (--region); no result was \
        written\n";
    // SAFETY: the line is there, and both calls are allowed within a signal.
    unsafe {
        libc::write(2, LINE.as_ptr().cast(), LINE.len());
        libc::_exit(1)
    }
}

/// Sets the reserve aside.
pub fn reserve() {
    // SAFETY: the size is not zero.
    RESERVED.store(unsafe { HEAP.alloc(RESERVE) }, Ordering::Release);
}

fn given(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() && size > 0 {
        refused(size);
    }
    memory
}

#[cold]
fn refused(size: usize) -> ! {
    if SPEAKING.get() {
        // Not even enough to tidy up.
        tell(size, false);
    }
    if ENDING.swap(true, Ordering::AcqRel) {
        // Another thread is ending the program.
        loop {
            std::thread::park();
        }
    }
    SPEAKING.set(true);
    let reserved = RESERVED.swap(null_mut(), Ordering::AcqRel);
    if !reserved.is_null() {
        // SAFETY: it came from this allocator with this layout, and only this thread has it.
        unsafe { HEAP.dealloc(reserved, RESERVE) };
    }
    let nothing = shiftmap::raster::try_remove_unfinished();
    tell(size, nothing)
}

/// One line on standard error, put together without memory, and the end of the program.
fn tell(size: usize, nothing_written: bool) -> ! {
    let mut line = [0u8; 400];
    let room = line.len();
    let mut rest = &mut line[..];
    let end = if nothing_written { "; nothing was written" } else { "" };
    let _ = writeln!(
        rest,
        "ERROR: out of memory: the system refused {size} bytes more; fewer threads (--threads 1), a smaller cache (--config \
         GDAL_CACHEMAX 32) or a part of the scene (--region) need less, or raise the limit (`ulimit -v`){end}"
    );
    let used = room - rest.len();
    let _ = std::io::stderr().write_all(&line[..used]);
    // SAFETY: ends the process at once; destructors would want memory.
    unsafe { libc::_exit(1) }
}
