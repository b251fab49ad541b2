//! A data set: the first byte names the format, the rest is the train file and, after
//! a `0xFF`, the validation file; Parquet, which is no text, has the train file alone.
#![no_main]

use bomf_fuzz::{folder, split, write};
use bomf_tune::data::{DataOptions, read_dataset};
use libfuzzer_sys::fuzz_target;

const FORMATS: [&str; 4] = ["jsonl", "csv", "tsv", "parquet"];

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let format = FORMATS[first as usize % FORMATS.len()];
    let (train, validation) = match format {
        "parquet" => (rest, &[][..]),
        _ => split(rest),
    };
    let names = [format!("train.{format}"), format!("validation.{format}")];
    write(&names[0], train);
    if !validation.is_empty() {
        write(&names[1], validation);
    }
    match read_dataset(folder(), &DataOptions::default()) {
        Ok(dataset) => {
            for split in dataset.splits() {
                assert_eq!(split.texts.len(), split.labels.len());
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
    for name in names {
        let _ = std::fs::remove_file(folder().join(name));
    }
});
