//! A file of `torch.save`: an archive, or, where the bytes begin with `0x80`, the pickle of one
//! (without a checksum, so that it is always run) with a storage of 64 bytes.
#![no_main]

use bomf_checkpoint::Checkpoint;
use bomf_fuzz::{folder, stored_archive, write};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "pytorch_model.bin";

fuzz_target!(|bytes: &[u8]| {
    match bytes.first() {
        Some(0x80) => {
            let records = [("m/data.pkl", bytes), ("m/data/0", &[0; 64])];
            write(FILE, &stored_archive(&records));
        }
        _ => write(FILE, bytes),
    }
    match Checkpoint::open(folder()) {
        Ok(checkpoint) => {
            for tensor in checkpoint.tensors() {
                let bits = tensor.dtype().bitsize();
                assert_eq!(tensor.bytes().len() * 8, tensor.len() * bits);
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
    let _ = std::fs::remove_file(folder().join(FILE));
});
