//! `steady` itself. Cargo gives a package's tests the paths of its own programs only, and this is how they get this one.

fn main() -> std::process::ExitCode {
    steady::main()
}
