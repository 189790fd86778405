//! Whatever bytes a weight file has, reading it ends in tensors or in an error.

use proptest::prelude::*;

use super::folder::{Folder, safetensors};

const HEADER: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"lm_head.weight":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]}}"#;

fn read(folder: &Folder, bytes: &[u8]) {
    folder.single(bytes);
    if let Ok(mut weights) = folder.open().weights() {
        let _ = weights.take("a", &[2, 2]);
        let _ = weights.take("lm_head.weight", &[4]);
        let _ = weights.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes(flips in prop::collection::vec((0..HEADER.len() + 32, any::<u8>()), 1..6), cut in 0..HEADER.len() + 40) {
        let folder = Folder::tiny();
        let mut bytes = safetensors(HEADER, &[0; 24]);
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(1));
        read(&folder, &bytes);
    }

    #[test]
    fn any_offsets_and_shapes(
        offsets in any::<[u64; 4]>(), shape in prop::collection::vec(any::<u64>(), 0..4), small in any::<bool>(), data in 0_usize..64,
    ) {
        let folder = Folder::tiny();
        let [a, b, c, d] = offsets.map(|offset| if small { offset % 40 } else { offset });
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{a},{b}]}},"lm_head.weight":{{"dtype":"BF16","shape":[4],"data_offsets":[{c},{d}]}}}}"#
        );
        read(&folder, &safetensors(&header, &vec![0; data]));
    }
}
