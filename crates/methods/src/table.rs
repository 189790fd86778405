//! The methods that there are, quantizers first. steady-accel has one file for each, and tables in the same order that pair rows with files.

use crate::{Method, MethodKind, Parameter, ParameterKind};

/// Every method a spec may name.
pub static METHODS: [&Method; 6] = [&W4_RTN, &W4_GPTQ, &INT8, &DIVPRUNE, &FASTV, &RANDOM];

/// Round-to-nearest, 4 bits.
pub static W4_RTN: Method = Method {
    name: "w4:rtn",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter {
            name: "g",
            kind: ParameterKind::Group,
            default: "auto",
            meaning: "inputs per scale; auto = the largest of 128, 64, 32, 16 that divides every input width",
        },
        Parameter { name: "sym", kind: ParameterKind::Flag, default: "", meaning: "symmetric, without zero points" },
    ],
    summary: "4-bit weights by rounding to nearest, in the decoder's linear layers",
    plain: "Weights in 4 bits, rounded to the nearest step of a scale per group.",
    source: "group-wise round-to-nearest as in GPTQ's and AWQ's baselines (arXiv 2210.17323, 2306.00978)",
};

/// GPTQ, 4 bits.
pub static W4_GPTQ: Method = Method {
    name: "w4:gptq",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter {
            name: "g",
            kind: ParameterKind::Group,
            default: "auto",
            meaning: "inputs per scale; auto = the largest of 128, 64, 32, 16 that divides every input width",
        },
        Parameter {
            name: "asym",
            kind: ParameterKind::Flag,
            default: "",
            meaning: "a zero point per group; without it symmetric, as AutoGPTQ has it",
        },
        Parameter {
            name: "act",
            kind: ParameterKind::Flag,
            default: "",
            meaning: "columns with the largest activations first, with static groups",
        },
        Parameter {
            name: "damp",
            kind: ParameterKind::Positive,
            default: "0.01",
            meaning: "share of the mean of the Hessian's diagonal that is added to it",
        },
        Parameter { name: "n", kind: ParameterKind::Count, default: "128", meaning: "prompts to calibrate with" },
    ],
    summary: "4-bit weights, each column's rounding error made up for by those behind it, in the decoder's linear layers",
    plain: "Weights in 4 bits, fitted to prompts so that rounding errors make up for each other.",
    source: "GPTQ, ICLR 2023 (arXiv 2210.17323), as in AutoGPTQ 0.7.1",
};

/// LLM.int8().
pub static INT8: Method = Method {
    name: "int8",
    kind: MethodKind::Quantizer,
    parameters: &[Parameter {
        name: "threshold",
        kind: ParameterKind::Positive,
        default: "6",
        meaning: "activations of at least this magnitude take the float way",
    }],
    summary: "8-bit weights and activations, the outliers of each token in float, in every linear layer but the head",
    plain: "Weights and activations of linear layers in 8 bits, outlying features apart.",
    source: "LLM.int8(), Dettmers et al., NeurIPS 2022 (arXiv 2208.07339); outliers by token, where bitsandbytes takes whole columns of a call",
};

/// DivPrune: the most diverse visual tokens.
pub static DIVPRUNE: Method = Method {
    name: "divprune",
    kind: MethodKind::TokenReducer,
    parameters: &[Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.098", meaning: "visual tokens that stay" }],
    summary: "keeps the most diverse projected visual tokens; asks neither question nor attention",
    plain: "Keeps the visual tokens that differ most from each other.",
    source: "DivPrune, CVPR 2025 (arXiv 2503.02175)",
};

/// FastV: the visual tokens that the last prompt token attends to most.
pub static FASTV: Method = Method {
    name: "fastv",
    kind: MethodKind::TokenReducer,
    parameters: &[
        Parameter { name: "k", kind: ParameterKind::Layer, default: "2", meaning: "first decoder layer that sees fewer visual tokens" },
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.5", meaning: "visual tokens that stay" },
    ],
    summary: "inside the decoder, keeps the visual tokens that the last prompt token attends to most",
    plain: "Drops, inside the decoder, the visual tokens that text attends to least.",
    source: "FastV, ECCV 2024 (arXiv 2403.06764)",
};

/// The control: random visual tokens.
pub static RANDOM: Method = Method {
    name: "random",
    kind: MethodKind::TokenReducer,
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.5", meaning: "visual tokens that stay" },
        Parameter { name: "seed", kind: ParameterKind::Seed, default: "0", meaning: "which random sets" },
    ],
    summary: "the control: keeps a random set of projected visual tokens, one set per image",
    plain: "Keeps visual tokens by chance: what any method has to beat.",
    source: "control; see UniPruneBench (arXiv 2511.02650)",
};
