//! The `shiftmap` program.

mod memory;

#[global_allocator]
static ALLOCATOR: memory::Told = memory::Told;

fn main() {
    memory::reserve();
    std::process::exit(shiftmap::cli::run());
}
