//! `results.json` and, after a `0xFF`, `trials.jsonl`; what reads is made a page of.
#![no_main]

use bomf_fuzz::{folder, split, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (results, journal) = split(bytes);
    write("results.json", results);
    write("trials.jsonl", journal);
    match bomf::read_output(folder()) {
        Ok((results, journal)) => {
            let page = bomf_report::render_with_journal(&results, &journal);
            assert!(page.ends_with("</html>"), "{page}");
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
});
