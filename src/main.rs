//! The `shiftmap` program.

// With the other code that is unsafe, but of the program alone: a library leaves the allocator to its host.
#[path = "capi/memory.rs"]
mod memory;

#[global_allocator]
static ALLOCATOR: memory::Told = memory::Told;

fn main() {
    memory::watch_limits();
    memory::reserve();
    std::process::exit(shiftmap::cli::run());
}
