//! The command line: parse, call the library, print.
/// Runs the program with the process arguments and returns its exit code.
pub fn run() -> i32 {
    0
}
