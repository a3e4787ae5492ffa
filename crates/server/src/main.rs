//! The `riposte` program; everything it does is in the library's `cli`.

use std::process::ExitCode;

// Many small, short-lived buffers in many threads: the system's allocator keeps far more of them.
// How soon this one gives back what nobody uses is said where it is compiled: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    riposte::cli::main()
}
