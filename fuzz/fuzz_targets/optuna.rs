//! A file of Optuna's: any bytes are a study or a clear error.
#![no_main]

use bomf_fuzz::{folder, write};
use bomf_study::interchange::read_optuna;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    write("study.log", bytes);
    match read_optuna(&folder().join("study.log"), None) {
        Ok(study) => assert!(study.trials.iter().all(|trial| trial.value.is_finite())),
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
});
