//! The `riposte` program; everything it does is in the library's `cli`.

use std::process::ExitCode;

// Many small, short-lived buffers in many threads: the system's allocator keeps far more of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    riposte::cli::main()
}
