//! The `shiftmap` program.

/// Tiles come and go by the dozen megabytes: this one keeps their pages where glibc hands them back to the system and
/// faults them in again. The library leaves the choice to its host.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    std::process::exit(shiftmap::cli::run());
}
