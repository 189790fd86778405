//! Where answers are computed, in words.

use steady_protocol::EngineChoice;

/// Its name.
pub(crate) fn label(choice: EngineChoice) -> &'static str {
    match choice {
        EngineChoice::Auto => "automatic",
        EngineChoice::WebGpu => "WebGPU",
        EngineChoice::Cpu => "CPU",
    }
}

/// What choosing it means.
pub(crate) fn meaning(choice: EngineChoice) -> &'static str {
    match choice {
        EngineChoice::Auto => "The CPU or a real GPU, whichever is done first by a short trial.",
        EngineChoice::WebGpu => "The GPU in any case, even one that is software.",
        EngineChoice::Cpu => "The CPU, in WebAssembly with SIMD.",
    }
}
