//! What llama.cpp's files hold of a tokenizer: tokens, their types, merges, and which of them mean something. By `convert_hf_to_gguf.py` of
//! <https://github.com/ggml-org/llama.cpp>, but for the scores of Llama's tokens, which are read from the merges.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::VlmError;
use crate::files::gguf::GgufValue;
use crate::files::{Fields, Source};
use crate::text::{ChatTemplate, Tokenizer};

const FILE: &str = "tokenizer.json";

/// What a token is, by llama.cpp's numbers.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// How Qwen2 and Llama 3 split text before they merge.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The two kinds of byte pair encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// SentencePiece's: spaces are `▁`, and what is no token falls back to bytes.
    Llama,
    /// On bytes, split beforehand as the name says.
    Gpt2(&'static str),
}

/// The metadata about `tokenizer`, the one of `source`, for tables of `rows` rows; `ends` end an answer.
///
/// # Errors
/// When it is of a kind that has no name there.
pub(crate) fn vocabulary(source: &Source, tokenizer: &Tokenizer, rows: usize, ends: &[u32]) -> Result<Vec<(String, GgufValue)>, VlmError> {
    let json = source.json(FILE)?.ok_or_else(|| source.missing(FILE, "its tokens go into the file"))?;
    let label = source.label_of(FILE);
    let root = Fields::root(&label, &json)?;
    let model = root.object("model")?.ok_or_else(|| root.error("model", "is missing"))?;
    let kind = kind(&root, &model)?;
    let merges = merges(&model)?;
    let (tokens, types) = tokens(tokenizer, kind, model.text("unk_token")?, rows);

    let mut metadata = Vec::new();
    let mut say = |key: &str, value: GgufValue| metadata.push((format!("tokenizer.{key}"), value));
    let (name, pre) = match kind {
        Kind::Llama => ("llama", "default"),
        Kind::Gpt2(pre) => ("gpt2", pre),
    };
    say("ggml.model", GgufValue::Text(name.to_owned()));
    say("ggml.pre", GgufValue::Text(pre.to_owned()));
    if kind == Kind::Llama {
        say("ggml.scores", GgufValue::Reals(scores(&tokens, &merges)));
        let prepends = json["normalizer"].to_string().contains("Prepend") || json["pre_tokenizer"].to_string().contains("Metaspace");
        say("ggml.add_space_prefix", GgufValue::Flag(prepends));
    } else {
        say("ggml.merges", GgufValue::Texts(merges.iter().map(|[left, right]| format!("{left} {right}")).collect()));
    }
    say("ggml.tokens", GgufValue::Texts(tokens));
    say("ggml.token_type", GgufValue::Wholes(types));
    let special = tokenizer.special();
    let id = |text: Option<&str>| text.and_then(|text| tokenizer.id(text));
    let (first, last) = (id(special.bos.as_deref()), id(special.eos.as_deref()).or(ends.first().copied()));
    let (unknown, padding) = (id(special.unk.as_deref()), id(special.pad.as_deref()));
    for (key, id) in [("bos", first), ("eos", last), ("unknown", unknown), ("padding", padding)] {
        if let Some(id) = id {
            say(&format!("ggml.{key}_token_id"), GgufValue::Count(id as usize));
        }
    }
    // What is put around a text is seen of one.
    let around = tokenizer.encode("a")?;
    say("ggml.add_bos_token", GgufValue::Flag(first.is_some() && around.first().copied() == first));
    say("ggml.add_eos_token", GgufValue::Flag(last.is_some() && around.last().copied() == last));
    if let Some(template) = ChatTemplate::text(source)? {
        say("chat_template", GgufValue::Text(template));
    }
    Ok(metadata)
}

fn kind(root: &Fields<'_>, model: &Fields<'_>) -> Result<Kind, VlmError> {
    match model.text("type")? {
        Some("BPE") => {}
        other => return Err(model.error("type", format!("expected BPE, whose tokens llama.cpp's files hold here, found {other:?}"))),
    }
    if model.bool("byte_fallback")?.unwrap_or(false) {
        return Ok(Kind::Llama);
    }
    let whole = model.bool("ignore_merges")?.unwrap_or(false);
    let steps = match root.get("pre_tokenizer") {
        Some(step) if step["type"] == "Sequence" => step["pretokenizers"].as_array().cloned().unwrap_or_default(),
        Some(step) => vec![step.clone()],
        None => Vec::new(),
    };
    let splits = |step: &Value, regex: &str| step["type"] == "Split" && step["pattern"]["Regex"] == regex && step["behavior"] == "Isolated";
    let bytes = |step: &Value, regex: bool| {
        step["type"] == "ByteLevel" && step["add_prefix_space"] != true && step["use_regex"].as_bool().unwrap_or(true) == regex
    };
    let name = match &steps[..] {
        [first, second] if bytes(second, false) && splits(first, QWEN2) && !whole => Some("qwen2"),
        [first, second] if bytes(second, false) && splits(first, LLAMA3) && whole => Some("llama-bpe"),
        // Of the names of this split the one under which spaces of an answer stay.
        [first, second] if bytes(second, true) && first["type"] == "Digits" && first["individual_digits"] == true && !whole => {
            Some("smollm")
        }
        [only] if bytes(only, true) && !whole => Some("gpt-2"),
        _ => None,
    };
    let known = "those of GPT-2, Qwen2, Llama 3 and of GPT-2 with single digits have names there that are known here";
    name.map(Kind::Gpt2).ok_or_else(|| root.error("pre_tokenizer", format!("splits text in a way of its own; {known}")))
}

/// Pairs of tokens that become one, the earlier the sooner. A space within a token is written as byte-level vocabularies write it.
fn merges(model: &Fields<'_>) -> Result<Vec<[String; 2]>, VlmError> {
    const NAME: &str = "merges";
    let list = model.get(NAME).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let pair = |merge: &Value| {
        let (left, right) = match merge {
            Value::String(pair) => pair.split_once(' ')?,
            pair => (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?),
        };
        Some([left.replace(' ', "Ġ"), right.replace(' ', "Ġ")])
    };
    let pairs: Option<Vec<_>> = list.iter().map(pair).collect();
    pairs.ok_or_else(|| model.error(NAME, "expected pairs of tokens"))
}

/// The tokens of a table with so many rows, and what each is.
fn tokens(tokenizer: &Tokenizer, kind: Kind, unknown: Option<&str>, rows: usize) -> (Vec<String>, Vec<i32>) {
    let added = tokenizer.added();
    let of = |id: u32| {
        let Some(text) = tokenizer.token(id) else { return (format!("[PAD{id}]"), UNUSED) };
        match (kind, added.get(&id)) {
            (Kind::Llama, _) if unknown == Some(text.as_str()) => (text, UNKNOWN),
            (_, Some(&special)) if special || looks_special(&text) => (text, CONTROL),
            (_, Some(_)) => (text.replace('▁', " "), USER_DEFINED),
            (Kind::Llama, None) if is_byte(&text) => (text, BYTE),
            (_, None) => (text, NORMAL),
        }
    };
    (0..rows as u32).map(of).unzip()
}

/// Tokens that files forget to call special (`does_token_look_special` of the converter).
fn looks_special(text: &str) -> bool {
    ["<pad>", "<mask>"].contains(&text)
        || (text.starts_with("<|") && text.ends_with("|>"))
        || (text.starts_with("<unused") && text.ends_with('>'))
}

/// `<0x0A>` stands for a byte.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// llama.cpp merges the two neighbours first whose token has the highest score: that of the earliest merge.
fn scores(tokens: &[String], merges: &[[String; 2]]) -> Vec<f32> {
    let mut ranks = BTreeMap::new();
    for (rank, [left, right]) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    tokens.iter().map(|token| -(*ranks.get(token).unwrap_or(&merges.len()) as f32)).collect()
}
