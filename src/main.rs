//! The `shiftmap` program.
fn main() {
    std::process::exit(shiftmap::cli::run());
}
