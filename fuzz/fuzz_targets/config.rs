//! A model's `config.json`, and the layout of the network that it describes.
#![no_main]

use bomf_fuzz::{folder, write};
use bomf_tune::models::{Config, Head, LabelNames, Network};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    write("config.json", bytes);
    match Config::read(folder()) {
        Ok(config) => {
            let _ = LabelNames::from_config(&config);
            for head in [Head::Classifier { outputs: 2 }, Head::MaskedLm] {
                if let Ok(network) = Network::new(config.clone(), head) {
                    let ends = network.layout().entries().map(|(_, entry)| {
                        entry.param.offset + entry.param.rows * entry.param.cols
                    });
                    assert_eq!(ends.max(), Some(network.layout().len()));
                }
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
});
