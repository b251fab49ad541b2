//! A chat template: any text writes a conversation or is a clear error, and comes to an end.
#![no_main]

use bomf_fuzz::{folder, write};
use bomf_tune::data::Chat;
use bomf_tune::tokenize::ChatTemplate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    write("chat_template.jinja", bytes);
    let written = ChatTemplate::load(folder())
        .and_then(|template| template.map(|t| t.turn(&Chat::of_pair("a", "b"))).transpose());
    if let Err(error) = written {
        let _ = (error.to_string(), error.hint());
    }
});
