//! The command line. Everything is in the library beside it, so that tests can run it as a process of their own.

/// An answer takes and frees large matrices by the hundred. The system's allocator gives their pages back each time and asks for others, which have to be cleared; this
/// one keeps them for a while.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    steady::main()
}
