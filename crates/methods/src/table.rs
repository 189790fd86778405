//! The methods that there are, quantizers first. steady-accel has one file for each, and tables in the same order that pair rows with files.

use crate::{Method, MethodKind, Parameter, ParameterKind, Place};

/// Every method a spec may name.
pub static METHODS: [&Method; 37] = [
    &W4_RTN,
    &W4_GPTQ,
    &W4_AWQ,
    &W4_HQQ,
    &NF4,
    &FP4,
    &Q4_0,
    &W3_RTN,
    &W3_GPTQ,
    &W3_AWQ,
    &W2_RTN,
    &W8_RTN,
    &Q8_0,
    &INT8,
    &W8A8,
    &W8A8_SMOOTH,
    &FP8,
    &KV8,
    &KV4,
    &TOME,
    &DIVPRUNE,
    &LOFI,
    &CDPRUNER,
    &DART,
    &HOLOV,
    &VISIONZIP,
    &PRUMERGE,
    &FASTERVLM,
    &VISPRUNER,
    &FASTV,
    &PYRAMIDDROP,
    &SPARSEVLM,
    &VTW,
    &VTW_SEARCH,
    &RANDOM,
    &BLIND,
    &BLUR,
];

/// Where a method's source counts the positions of what is left anew.
const RENUMBERED: Parameter = Parameter {
    name: "positions",
    kind: ParameterKind::Positions,
    default: "renumber",
    meaning: "rotary positions of what is left; Qwen keeps them in any case",
};

/// What every quantizer takes.
const FLOAT: Parameter = Parameter {
    name: "float",
    kind: ParameterKind::Linears,
    default: "",
    meaning: "layers that are put back into float once all are packed; a part of the name is enough, several have / between",
};

/// What quantizers of fewer bits take.
const EIGHT_BITS: Parameter = Parameter {
    name: "w8",
    kind: ParameterKind::Linears,
    default: "",
    meaning: "layers that are packed in 8 bits instead, rounded to nearest without zero points; a part of the name is enough, several have / between",
};

/// Layers of the vision tower too.
const VISION: Parameter = Parameter {
    name: "vision",
    kind: ParameterKind::Flag,
    default: "",
    meaning: "the vision tower's linear layers too (not its patch embedding)",
};

/// Layers of the projector too.
const PROJECTOR: Parameter =
    Parameter { name: "projector", kind: ParameterKind::Flag, default: "", meaning: "the projector's linear layers too" };

/// The head too.
const HEAD: Parameter = Parameter {
    name: "head",
    kind: ParameterKind::Flag,
    default: "",
    meaning: "the head too, from which the logits come; where it is the token embedding, that itself stays",
};

/// The usual sizes of groups.
const GROUP: Parameter = Parameter {
    name: "g",
    kind: ParameterKind::Group,
    default: "auto",
    meaning: "inputs per scale; auto = the largest of 128, 64, 32, 16 that divides every input width",
};

/// Without zero points.
const SYMMETRIC: Parameter = Parameter { name: "sym", kind: ParameterKind::Flag, default: "", meaning: "symmetric, without zero points" };
/// What rounding to nearest takes, in fewer than 8 bits and in 8.
const RTN: &[Parameter] = &[GROUP, SYMMETRIC, VISION, PROJECTOR, HEAD, EIGHT_BITS, FLOAT];
const RTN_8: &[Parameter] = &[GROUP, SYMMETRIC, VISION, PROJECTOR, HEAD, FLOAT];

/// Round-to-nearest.
const fn rtn(name: &'static str, parameters: &'static [Parameter], summary: &'static str, plain: &'static str) -> Method {
    Method {
        name,
        kind: MethodKind::Quantizer,
        parameters,
        summary,
        plain,
        source: "group-wise round-to-nearest as in GPTQ's and AWQ's baselines (arXiv 2210.17323, 2306.00978)",
    }
}

/// Round-to-nearest, 2 bits.
pub static W2_RTN: Method = rtn(
    "w2:rtn",
    RTN,
    "2-bit weights by rounding to nearest, in the decoder's linear layers; kept in 4 bits",
    "Weights in 2 bits, rounded to the nearest step of a scale per group.",
);

/// Round-to-nearest, 3 bits.
pub static W3_RTN: Method = rtn(
    "w3:rtn",
    RTN,
    "3-bit weights by rounding to nearest, in the decoder's linear layers; kept in 4 bits",
    "Weights in 3 bits, rounded to the nearest step of a scale per group.",
);

/// Round-to-nearest, 4 bits.
pub static W4_RTN: Method = rtn(
    "w4:rtn",
    RTN,
    "4-bit weights by rounding to nearest, in the decoder's linear layers",
    "Weights in 4 bits, rounded to the nearest step of a scale per group.",
);

/// Round-to-nearest, 8 bits.
pub static W8_RTN: Method = rtn(
    "w8:rtn",
    RTN_8,
    "8-bit weights by rounding to nearest, in the decoder's linear layers",
    "Weights in 8 bits, rounded to the nearest step of a scale per group.",
);

/// HQQ, 4 bits.
pub static W4_HQQ: Method = Method {
    name: "w4:hqq",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter {
            name: "g",
            kind: ParameterKind::Group,
            default: "auto",
            meaning: "inputs per scale; auto = the largest of 64, 32, 16 that divides every input width",
        },
        VISION,
        PROJECTOR,
        HEAD,
        EIGHT_BITS,
        FLOAT,
    ],
    summary: "4-bit weights whose zero points are fitted to the weights, without data, in the decoder's linear layers",
    plain: "Weights in 4 bits, with zero points that leave most weights close and some large ones far.",
    source: "HQQ (Badri and Shaji, 2023), as in hqq 0.2.8, groups along the inputs",
};

/// Blocks of bitsandbytes' 4 bits.
const BLOCK: Parameter = Parameter {
    name: "g",
    kind: ParameterKind::Group,
    default: "auto",
    meaning: "inputs of a block; auto = the largest of 64, 32, 16 that divides every input width",
};

/// Maxima that are quantized as well.
const DOUBLE: Parameter =
    Parameter { name: "double", kind: ParameterKind::Flag, default: "", meaning: "double quantization: blocks' maxima in 8 bits" };

/// NF4, 4 bits.
pub static NF4: Method = Method {
    name: "nf4",
    kind: MethodKind::Quantizer,
    parameters: &[BLOCK, DOUBLE, VISION, PROJECTOR, HEAD, EIGHT_BITS, FLOAT],
    summary: "4-bit weights, each the nearest of sixteen quantiles of the normal distribution, in the decoder's linear layers",
    plain: "Weights in 4 bits, on steps that lie closer where most weights are.",
    source: "NF4 of QLoRA, NeurIPS 2023 (arXiv 2305.14314), as in bitsandbytes; maxima in f32 unless double",
};

/// FP4, 4 bits.
pub static FP4: Method = Method {
    name: "fp4",
    kind: MethodKind::Quantizer,
    parameters: &[BLOCK, DOUBLE, VISION, PROJECTOR, HEAD, EIGHT_BITS, FLOAT],
    summary: "4-bit weights, each the nearest of fifteen floats with two bits of exponent, in the decoder's linear layers",
    plain: "Weights in 4 bits, as tiny floats.",
    source: "FP4 of bitsandbytes (functional.py, quantize_4bit); maxima in f32 unless double",
};

/// ggml's blocks.
const fn ggml(name: &'static str, parameters: &'static [Parameter], summary: &'static str, plain: &'static str) -> Method {
    Method {
        name,
        kind: MethodKind::Quantizer,
        parameters,
        summary,
        plain,
        source: "ggml's reference quantizers (ggml-quants.c), as in the package gguf 0.19.0",
    }
}

/// ggml's blocks, 4 bits.
pub static Q4_0: Method = ggml(
    "q4_0",
    &[VISION, PROJECTOR, HEAD, EIGHT_BITS, FLOAT],
    "4-bit weights in llama.cpp's Q4_0: 32 weights share a scale, and the largest of them is exact, in the decoder's linear layers",
    "Weights in 4 bits, as llama.cpp's plainest small files hold them.",
);

/// ggml's blocks, 8 bits.
pub static Q8_0: Method = ggml(
    "q8_0",
    &[VISION, PROJECTOR, HEAD, FLOAT],
    "8-bit weights in llama.cpp's Q8_0: 32 weights share a scale, in the decoder's linear layers",
    "Weights in 8 bits, as llama.cpp's files hold them.",
);

/// W8A8 with a scale a token.
pub static W8A8: Method = Method {
    name: "w8a8",
    kind: MethodKind::Quantizer,
    parameters: &[VISION, PROJECTOR, HEAD, FLOAT],
    summary: "8-bit weights and activations, a scale per output and per token, in the decoder's linear layers",
    plain: "Weights and activations of the decoder in 8 bits, nothing apart.",
    source: "W8A8 with dynamic scales per token (ZeroQuant, NeurIPS 2022, arXiv 2206.01861), as in llm-compressor and vLLM",
};

/// FP8 with a scale a token.
pub static FP8: Method = Method {
    name: "fp8",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter { name: "weights", kind: ParameterKind::Flag, default: "", meaning: "weights alone; activations stay what they are" },
        VISION,
        PROJECTOR,
        HEAD,
        FLOAT,
    ],
    summary: "weights and activations in FP8 (E4M3), a scale per output and per token, in the decoder's linear layers; emulated in floats",
    plain: "Weights and activations of the decoder as 8-bit floats.",
    source: "FP8 (arXiv 2209.05433) with dynamic scales per token, as FP8_DYNAMIC in llm-compressor and vLLM",
};

/// GPTQ.
const fn gptq(name: &'static str, summary: &'static str, plain: &'static str) -> Method {
    Method {
        name,
        kind: MethodKind::Quantizer,
        parameters: &[
            GROUP,
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
            SAMPLES,
            VISION,
            PROJECTOR,
            EIGHT_BITS,
            FLOAT,
        ],
        summary,
        plain,
        source: "GPTQ, ICLR 2023 (arXiv 2210.17323), as in AutoGPTQ 0.7.1",
    }
}

/// GPTQ, 4 bits.
pub static W4_GPTQ: Method = gptq(
    "w4:gptq",
    "4-bit weights, each column's rounding error made up for by those behind it, in the decoder's linear layers",
    "Weights in 4 bits, fitted to prompts so that rounding errors make up for each other.",
);

/// GPTQ, 3 bits.
pub static W3_GPTQ: Method = gptq(
    "w3:gptq",
    "3-bit weights, each column's rounding error made up for by those behind it, in the decoder's linear layers; kept in 4 bits",
    "Weights in 3 bits, fitted to prompts so that rounding errors make up for each other.",
);

/// Prompts of a method that calibrates.
const SAMPLES: Parameter = Parameter { name: "n", kind: ParameterKind::Samples, default: "128", meaning: "prompts to calibrate with" };

/// Activation-aware rounding.
const fn awq(name: &'static str, summary: &'static str, plain: &'static str) -> Method {
    Method {
        name,
        kind: MethodKind::Quantizer,
        parameters: &[GROUP, SAMPLES, VISION, PROJECTOR, EIGHT_BITS, FLOAT],
        summary,
        plain,
        source: "AWQ, MLSys 2024 (arXiv 2306.00978), as in AutoAWQ 0.2.9: scale and clip search",
    }
}

/// AWQ, 4 bits.
pub static W4_AWQ: Method = awq(
    "w4:awq",
    "4-bit weights whose columns are scaled by what goes into them, and clipped, in the decoder's linear layers",
    "Weights in 4 bits, of which those that matter most to prompts are kept finer.",
);

/// AWQ, 3 bits.
pub static W3_AWQ: Method = awq(
    "w3:awq",
    "3-bit weights whose columns are scaled by what goes into them, and clipped, in the decoder's linear layers; kept in 4 bits",
    "Weights in 3 bits, of which those that matter most to prompts are kept finer.",
);

/// SmoothQuant, W8A8.
pub static W8A8_SMOOTH: Method = Method {
    name: "w8a8:smooth",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter {
            name: "alpha",
            kind: ParameterKind::Fraction,
            default: "0.5",
            meaning: "how much of the activations' outliers moves into the weights, from 0 to 1",
        },
        SAMPLES,
        VISION,
        PROJECTOR,
        FLOAT,
    ],
    summary: "w8a8 whose activations are smoothed: outliers behind norms move into the weights, in the decoder's linear layers",
    plain: "Weights and activations of the decoder in 8 bits, with outliers of the activations moved into the weights.",
    source: "SmoothQuant, ICML 2023 (arXiv 2211.10438), with dynamic scales per token",
};

/// Keys and values in fewer bits.
const fn cache(name: &'static str, summary: &'static str, plain: &'static str) -> Method {
    Method {
        name,
        kind: MethodKind::Cache,
        parameters: &[],
        summary,
        plain,
        source: "LMDeploy's pytorch engine, quant_policy 8 and 4: asymmetric, per token and head, keys behind their rotation",
    }
}

/// Keys and values, 8 bits.
pub static KV8: Method = cache(
    "kv8",
    "keys and values in 8 bits, a step and a zero point per token and head; emulated in floats",
    "What the decoder remembers of each token in 8 bits.",
);

/// Keys and values, 4 bits.
pub static KV4: Method = cache(
    "kv4",
    "keys and values in 4 bits, a step and a zero point per token and head; emulated in floats",
    "What the decoder remembers of each token in 4 bits.",
);

/// LLM.int8().
pub static INT8: Method = Method {
    name: "int8",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter {
            name: "threshold",
            kind: ParameterKind::Positive,
            default: "6",
            meaning: "activations of at least this magnitude take the float way",
        },
        FLOAT,
    ],
    summary: "8-bit weights and activations, the outliers of each token in float, in every linear layer but the head",
    plain: "Weights and activations of linear layers in 8 bits, outlying features apart.",
    source: "LLM.int8(), Dettmers et al., NeurIPS 2022 (arXiv 2208.07339); outliers by token, where bitsandbytes takes whole columns of a call",
};

/// ToMe: like patches merged, block by block.
pub static TOME: Method = Method {
    name: "tome",
    kind: MethodKind::TokenReducer(Place::Tower),
    parameters: &[Parameter {
        name: "keep",
        kind: ParameterKind::Keep,
        default: "0.361",
        meaning: "patches that are left behind the tower; 0.361 of LLaVA-1.5's 576 are 16 fewer in each of 23 blocks",
    }],
    summary: "in every block of the vision tower, merges the patches whose keys are most alike",
    plain: "Merges parts of the picture that look alike, step by step, while the picture is being seen.",
    source: "ToMe, ICLR 2023 (arXiv 2210.09461)",
};

/// DivPrune: the most diverse visual tokens.
pub static DIVPRUNE: Method = Method {
    name: "divprune",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.098", meaning: "visual tokens that stay" }],
    summary: "keeps the most diverse projected visual tokens; asks neither question nor attention",
    plain: "Keeps the visual tokens that differ most from each other.",
    source: "DivPrune, CVPR 2025 (arXiv 2503.02175)",
};

/// Leverage, after LoFi.
pub static LOFI: Method = Method {
    name: "lofi",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.333", meaning: "visual tokens that stay" },
        Parameter {
            name: "energy",
            kind: ParameterKind::Fraction,
            default: "0.9",
            meaning: "share of the sum of squares that the low-rank approximation holds",
        },
        RENUMBERED,
    ],
    summary: "LoFi-like: keeps the projected visual tokens of the highest statistical leverage in a low-rank approximation",
    plain: "Keeps the visual tokens without which the picture could be described least.",
    source: "LoFi, EMNLP 2025 (arXiv 2503.06794), as far as its abstract says; layer, rank and centring are ours",
};

/// CDPruner: visual tokens that are relevant and diverse.
pub static CDPRUNER: Method = Method {
    name: "cdpruner",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.111", meaning: "visual tokens that stay" },
        Parameter {
            name: "halves",
            kind: ParameterKind::Flag,
            default: "",
            meaning: "each half of the image apart, an even number in all: OpenVINO's way",
        },
        RENUMBERED,
    ],
    summary: "keeps projected visual tokens that are relevant to the question and unlike each other",
    plain: "Keeps the visual tokens that fit the question and differ from each other.",
    source: "CDPruner, NeurIPS 2025 (arXiv 2506.10967), with the decoder's text embeddings as in OpenVINO GenAI",
};

/// DART: pivots and what resembles them least.
pub static DART: Method = Method {
    name: "dart",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.75", meaning: "visual tokens that stay; a share is rounded up" },
        Parameter { name: "image", kind: ParameterKind::Count, default: "4", meaning: "pivots among the visual tokens" },
        Parameter { name: "text", kind: ParameterKind::Count, default: "4", meaning: "pivots among the text" },
        Parameter {
            name: "positions",
            kind: ParameterKind::Positions,
            default: "keep",
            meaning: "rotary positions of what is left; Qwen keeps them in any case",
        },
    ],
    summary: "keeps a few projected visual tokens as pivots and those that resemble pivots and text least",
    plain: "Drops the visual tokens that repeat what a few others say.",
    source: "DART, EMNLP 2025 (arXiv 2502.11494), on input embeddings as in TensorRT-Edge-LLM",
};

/// HoloV: a budget for each stretch of the image.
pub static HOLOV: Method = Method {
    name: "holov",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.111", meaning: "visual tokens that stay" },
        Parameter { name: "parts", kind: ParameterKind::Count, default: "16", meaning: "stretches that the image is cut into" },
    ],
    summary: "shares its budget out between stretches of the image, and keeps in each what the class token looks at most",
    plain: "Keeps some visual tokens from every part of the picture, more from the parts that matter.",
    source: "HoloV, NeurIPS 2025 (arXiv 2510.02912)",
};

/// VisionZip: dominant visual tokens, and the rest merged.
pub static VISIONZIP: Method = Method {
    name: "visionzip",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[Parameter {
        name: "keep",
        kind: ParameterKind::Keep,
        default: "0.333",
        meaning: "tokens that are left, 5 of 32 of them merged; published are 0.333, 0.222 and 0.111",
    }],
    summary: "keeps what the vision tower's class token looks at, itself included, and merges the rest into a few tokens",
    plain: "Keeps what the eye looks at most, and sums the rest up in a few tokens.",
    source: "VisionZip, CVPR 2025 (arXiv 2412.04467)",
};

/// PruMerge and PruMerge+.
pub static PRUMERGE: Method = Method {
    name: "prumerge",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[Parameter {
        name: "plus",
        kind: ParameterKind::Flag,
        default: "",
        meaning: "PruMerge+: evenly spread visual tokens join those that stand out",
    }],
    summary: "keeps as many visual tokens as stand out to the vision tower's class token, and adds their neighbours to them",
    plain: "Keeps the visual tokens that stand out, as many as there are, and folds the others into them.",
    source: "LLaVA-PruMerge, ICCV 2025 (arXiv 2403.15388)",
};

/// FasterVLM: what the class token looks at.
pub static FASTERVLM: Method = Method {
    name: "fastervlm",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.25", meaning: "visual tokens that stay" }, RENUMBERED],
    summary: "keeps the visual tokens that the vision tower's class token looks at most",
    plain: "Keeps the visual tokens that the eye looks at most.",
    source: "FasterVLM (arXiv 2412.01818)",
};

/// VisPruner: what the class token looks at, and what nothing resembles.
pub static VISPRUNER: Method = Method {
    name: "vispruner",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.111", meaning: "visual tokens that stay" },
        Parameter {
            name: "important",
            kind: ParameterKind::Fraction,
            default: "0.5",
            meaning: "share of them by attention; the rest by how little they resemble another",
        },
        RENUMBERED,
    ],
    summary: "keeps what the vision tower's class token looks at, and of the rest what resembles nothing else",
    plain: "Keeps what the eye looks at most, and of the rest what is unlike anything else.",
    source: "VisPruner, ICCV 2025 (arXiv 2412.01818v2)",
};

/// FastV: the visual tokens that the last prompt token attends to most.
pub static FASTV: Method = Method {
    name: "fastv",
    kind: MethodKind::TokenReducer(Place::Decoder),
    parameters: &[
        Parameter { name: "k", kind: ParameterKind::Layer, default: "2", meaning: "first decoder layer that sees fewer visual tokens" },
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.5", meaning: "visual tokens that stay" },
    ],
    summary: "inside the decoder, keeps the visual tokens that the last prompt token attends to most",
    plain: "Drops, inside the decoder, the visual tokens that text attends to least.",
    source: "FastV, ECCV 2024 (arXiv 2403.06764)",
};

/// PyramidDrop: three stages inside the decoder.
pub static PYRAMIDDROP: Method = Method {
    name: "pyramiddrop",
    kind: MethodKind::TokenReducer(Place::Decoder),
    parameters: &[
        Parameter {
            name: "layers",
            kind: ParameterKind::Layers(3),
            default: "auto",
            meaning: "decoder layers that see fewer visual tokens; auto = a quarter, half and three quarters of the depth",
        },
        Parameter { name: "ratio", kind: ParameterKind::Fraction, default: "0.5", meaning: "visual tokens that each stage leaves" },
        RENUMBERED,
    ],
    summary: "inside the decoder, in three stages, keeps the visual tokens that the last prompt token attends to most",
    plain: "Drops visual tokens step by step inside the decoder, those that text attends to least.",
    source: "PyramidDrop, CVPR 2025 (arXiv 2410.17247)",
};

/// SparseVLM: three stages inside the decoder, rated by words about the image.
pub static SPARSEVLM: Method = Method {
    name: "sparsevlm",
    kind: MethodKind::TokenReducer(Place::Decoder),
    parameters: &[
        Parameter {
            name: "layers",
            kind: ParameterKind::Layers(3),
            default: "auto",
            meaning: "decoder layers that see fewer visual tokens; auto = 3, 7 and 16 of 32",
        },
        Parameter {
            name: "keep",
            kind: ParameterKind::Keep,
            default: "0.333",
            meaning: "visual tokens in the mean over all layers; published are 0.333, 0.222, 0.167 and 0.111",
        },
    ],
    summary: "inside the decoder, in three stages, keeps the visual tokens that words about the image attend to, and merges some of the rest",
    plain: "Drops visual tokens step by step inside the decoder, those that the words about the picture attend to least.",
    source: "SparseVLM, ICML 2025 (arXiv 2410.04417)",
};

/// Where no visual token is left, the text's.
const TEXT_POSITIONS: Parameter = Parameter {
    name: "positions",
    kind: ParameterKind::Positions,
    default: "keep",
    meaning: "rotary positions of the text; Qwen keeps them in any case",
};

/// VTW: no visual tokens in the upper layers.
pub static VTW: Method = Method {
    name: "vtw",
    kind: MethodKind::TokenReducer(Place::Decoder),
    parameters: &[
        Parameter {
            name: "k",
            kind: ParameterKind::Layers(1),
            default: "auto",
            meaning: "first decoder layer without visual tokens; auto = 15 of 32",
        },
        TEXT_POSITIONS,
    ],
    summary: "inside the decoder, drops every visual token at one layer",
    plain: "Takes the picture away half-way through the decoder.",
    source: "VTW, AAAI 2025 (arXiv 2405.05803)",
};

/// VTW, at a layer that is searched for.
pub static VTW_SEARCH: Method = Method {
    name: "vtw:search",
    kind: MethodKind::TokenReducer(Place::Decoder),
    parameters: &[
        Parameter {
            name: "eta",
            kind: ParameterKind::Positive,
            default: "0.003",
            meaning: "most that dropping them may change the next token, KL in nats, mean over the prompts; published are 0.003, 0.0005 and 0.0001",
        },
        Parameter { name: "n", kind: ParameterKind::Samples, default: "20", meaning: "prompts that the layer is searched for with" },
        TEXT_POSITIONS,
    ],
    summary: "inside the decoder, drops every visual token at the first layer where that hardly changes the next token, found with a few questions",
    plain: "Takes the picture away inside the decoder, as early as a few trial questions allow.",
    source: "VTW, AAAI 2025 (arXiv 2405.05803)",
};

/// The control: random visual tokens.
pub static RANDOM: Method = Method {
    name: "random",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.5", meaning: "visual tokens that stay" },
        Parameter { name: "seed", kind: ParameterKind::Seed, default: "0", meaning: "which random sets" },
        Parameter {
            name: "placed",
            kind: ParameterKind::Flag,
            default: "",
            meaning: "what is left keeps its rotary positions, as with positions=keep of other methods; Qwen keeps them in any case",
        },
    ],
    summary: "the control: keeps a random set of projected visual tokens, one set per image",
    plain: "Keeps visual tokens by chance: what any method has to beat.",
    source: "control; see UniPruneBench (arXiv 2511.02650)",
};

/// The control: no visual tokens.
pub static BLIND: Method = Method {
    name: "blind",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[],
    summary: "the control: no visual token reaches the decoder; what is answered right is answered without the image",
    plain: "Shows no picture at all: what can be answered without looking.",
    source: "control; see `EVAL.md` of FasterVLM (arXiv 2412.01818)",
};

/// The control: a smaller image.
pub static BLUR: Method = Method {
    name: "blur",
    kind: MethodKind::TokenReducer(Place::Picture),
    parameters: &[Parameter {
        name: "keep",
        kind: ParameterKind::Fraction,
        default: "0.25",
        meaning: "pixels that the smaller image has, as a share",
    }],
    summary: "the control: as many visual tokens, of an image that was made smaller and enlarged again",
    plain: "Shows a smaller picture: what can be answered without the details.",
    source: "control",
};
