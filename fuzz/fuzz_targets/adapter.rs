//! A LoRA adapter: `adapter_config.json` up to a `0xFF`, and `adapter_model.safetensors` after it
//! (a sound one of two factors where nothing follows).
#![no_main]

use bomf_checkpoint::Adapter;
use bomf_fuzz::{folder, split, write};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// A of 1 x 2 and B of 2 x 1, all zeros.
const HEADER: &str = concat!(
    r#"{"base_model.model.q.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"#,
    r#""base_model.model.q.lora_B.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}"#,
);

fuzz_target!(|bytes: &[u8]| {
    let (config, weights) = split(bytes);
    write(CONFIG, config);
    if weights.is_empty() {
        let mut sound = (HEADER.len() as u64).to_le_bytes().to_vec();
        sound.extend(HEADER.bytes());
        sound.extend([0; 16]);
        write(WEIGHTS, &sound);
    } else {
        write(WEIGHTS, weights);
    }
    match Adapter::open(folder()) {
        Ok(adapter) => {
            for layer in adapter.layers() {
                let (m, n) = layer.sides();
                assert_eq!(layer.a.len(), layer.r * n);
                assert_eq!(layer.b.len(), m * layer.r);
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
});
