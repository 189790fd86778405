//! The command line. Everything is in the library beside it, so that tests can run it as a process of their own.

fn main() -> std::process::ExitCode {
    steady::main()
}
