//! A folder of weights: `model.safetensors`, or, where the bytes begin with a brace,
//! `model.safetensors.index.json` up to a `0xFF` and one shard after it.
#![no_main]

use bomf_checkpoint::Checkpoint;
use bomf_fuzz::{folder, split, write};
use libfuzzer_sys::fuzz_target;

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SHARD: &str = "model-00001-of-00001.safetensors";

fuzz_target!(|bytes: &[u8]| {
    if bytes.first() == Some(&b'{') {
        let (index, shard) = split(bytes);
        write(INDEX, index);
        write(SHARD, shard);
    } else {
        write(WHOLE, bytes);
    }
    match Checkpoint::open(folder()) {
        Ok(checkpoint) => {
            for tensor in checkpoint.tensors() {
                if tensor.is_float()
                    && let Ok(values) = tensor.to_f32()
                {
                    assert_eq!(values.len(), tensor.len());
                }
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
    for name in [WHOLE, INDEX, SHARD] {
        let _ = std::fs::remove_file(folder().join(name));
    }
});
