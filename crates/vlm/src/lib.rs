//! The models: checkpoint reading, tokenizer, image processors, architectures, KV cache, decoding.
